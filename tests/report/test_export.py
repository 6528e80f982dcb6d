"""A page as Markdown for people: as much as the page says, estimates marked, each finding with its query."""

from cataloger_dagster.export import export
from cataloger_dagster.facts import Dependency, Facts, Newest
from cataloger_dagster.report.catalog import catalog_page
from tests import samples

NOW = samples.flights()


def markdown(facts: Facts) -> str:
    return export(catalog_page(samples.run(previous=None), facts, None, {}, []).html, "markdown")


def line(text: str, beginning: str) -> str:
    return next(each for each in text.splitlines() if each.startswith(beginning))


def changed(**update: object) -> Facts:
    """The flights, of which the delay on arrival is changed."""
    table = NOW.table_by_name["flights"]
    columns = [c.model_copy(update=update) if c.name == "arr_delay" else c for c in table.columns]
    tables = [table.model_copy(update={"columns": columns}) if t is table else t for t in NOW.tables]
    return NOW.model_copy(update={"tables": tables})


def test_an_estimate_has_its_mark_and_its_error_and_the_method_is_told() -> None:
    text = markdown(changed(distinct_method="hll", distinct=571, distinct_error=0.0446, quantiles_error=0.0062))
    row = line(text, "| arr\\_delay")
    assert "| ≈ 571 (± 4.5 %) |" in row
    assert "| ≈ −5 |" in row
    assert "- distinct values: a sketch (HyperLogLog), off by up to 4.5 %" in text
    assert "- medians: a sketch or a sample, their rank off by up to 0.7 %" in text
    assert "(HyperLogLog)\n" in markdown(changed(distinct_method="hll", distinct_error=None))
    exact = markdown(changed(quantiles_error=None))
    assert "| −5 |" in line(exact, "| arr\\_delay")


def test_where_all_is_exact_nothing_is_said_of_estimates() -> None:
    exact = [
        table.model_copy(
            update={
                "columns": [
                    c.model_copy(update={"distinct_method": "exact", "quantiles_error": None}) for c in table.columns
                ]
            }
        )
        for table in NOW.tables
    ]
    text = markdown(NOW.model_copy(update={"tables": exact}))
    assert "≈" not in text


def test_a_finding_has_its_kind_its_whole_sentence_and_its_query() -> None:
    finding = NOW.findings[0].model_copy(update={"sentence": "Long " * 100 + "end."})
    query = NOW.query_by_id[finding.query].model_copy(update={"sql": "SELECT '````'\r\n\n# no heading"})
    queries = [query if q.id == query.id else q for q in NOW.queries]
    text = markdown(NOW.model_copy(update={"findings": [finding], "queries": queries}))
    beginning = f"- **{finding.severity}**, references without a match in flights.tailnum: Long"
    assert line(text, beginning).endswith(" end.")
    assert "\n  `````sql\n  SELECT '````'\n  \n  # no heading\n  `````\n" in text


def test_a_finding_of_many_tables_names_them() -> None:
    first = NOW.findings[0]
    members = [first.model_copy(update={"table": table, "rows": n}) for table, n in (("flights", 3), ("planes", None))]
    whole = first.model_copy(update={"members": members, "members_left_out": 7})
    text = markdown(NOW.model_copy(update={"findings": [whole]}))
    assert "references without a match in 9 places" in text
    assert "  Rows in each: flights.tailnum (3), planes.tailnum, and 7 more." in text


def test_a_column_says_what_it_holds_what_lacks_and_what_is_frequent() -> None:
    update = {"comment": "Minutes | early", "pii": "email", "nulls": 33_678, "top": [(-13, 1)]}
    row = line(markdown(changed(**update)), "| arr\\_delay")
    assert "| Minutes \\| early; personal: email | 33,678 (10 %) |" in row
    assert row.endswith("|  |"), "where no value repeats none is frequent"
    assert line(markdown(changed(top=[(-13, 30_310)], nulls=33_678)), "| arr\\_delay").endswith("| −13 (10 %) |")
    assert "not measured: too long" in line(markdown(changed(skipped="too long")), "| arr\\_delay")


def test_a_table_says_its_keys_its_newest_row_and_what_is_determined() -> None:
    table = NOW.table_by_name["flights"].model_copy(
        update={"keys": [["a", "b"], ["c"]], "newest": Newest(column="time_hour", value="2013-12-31T23:00:00")}
    )
    found = [
        Dependency(table="flights", determinant="tailnum", dependent="carrier", rows=9, breaking=n, determinants=2,
                   query="q2")
        for n in (0, 1)
    ]  # fmt: skip
    text = markdown(NOW.model_copy(update={"tables": [table], "dependencies": found, "references": [], "findings": []}))
    assert "Table, 336,776 rows; unique: a + b; c; newest: 2013-12-31 23:00 (time\\_hour)." in text
    assert "Determined: carrier by tailnum, carrier by tailnum (but for 1 of 9 rows)." in text
