"""The data block: exactly the published schema, safe in a script element, small, and read back as it was."""

import json
import re
from importlib.resources import files
from itertools import product
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import jsonschema
import pytest

from cataloger_dagster.errors import CatalogerError
from cataloger_dagster.facts import Change, Facts, Finding, Query, Skipped, Unjudged
from cataloger_dagster.report import elements
from cataloger_dagster.report.block import block_of, read_block, write_block
from cataloger_dagster.report.catalog import catalog_page
from cataloger_dagster.report.changes import changes, claims
from cataloger_dagster.report.detail import LARGEST, Detail, levels
from cataloger_dagster.report.redrawn import differences
from cataloger_dagster.report.summary import summary_page
from tests import samples

SCHEMA: dict[str, Any] = json.loads(files("cataloger_dagster.report").joinpath("page-block.schema.json").read_text())
SHARED = Path(__file__).parents[3] / "shared" / "page-block.schema.json"


def valid(text: str) -> dict[str, Any]:
    data: dict[str, Any] = json.loads(text)
    jsonschema.Draft202012Validator(SCHEMA).validate(data)
    return data


def test_the_published_schema_is_the_agreed_one() -> None:
    if not SHARED.exists():
        pytest.skip("the agreed schema is not on this machine")
    assert json.loads(SHARED.read_text()) == SCHEMA


def test_the_block_of_a_page_is_what_the_schema_says() -> None:
    before = block_of(samples.run(snapshot=samples.BEFORE, previous=None), samples.flights(11))
    now = block_of(samples.run(), samples.flights())
    found, named = changes([now, before]), claims(before, samples.flights())
    page = catalog_page(samples.run(), samples.flights(), samples.NARRATIVE, named, found)
    data = valid(write_block(page.block))
    assert {claim["id"] for claim in data["claims"]} >= {
        "flights.rows",
        "flights.dep_time.nulls",
        "flights.rows.change",
    }
    assert data["changes"]
    # What the schema leaves optional is on the page all the same, as far as it was measured.
    assert set(data["tables"][0]["columns"][4]) >= {"min", "max", "mean", "std", "quantiles", "top", "histogram"}
    summary = summary_page(samples.run(), samples.flights(), None, named, found, [now, before])
    assert valid(write_block(summary.block))["kind"] == "summary"


@pytest.mark.parametrize("facts", [samples.flights(), samples.hostile()], ids=["flights", "hostile"])
def test_the_block_is_read_back_as_it_was_written(facts: Facts) -> None:
    page = catalog_page(samples.run(), facts, None, {}, [])
    valid(write_block(page.block))
    assert read_block(page.html) == page.block
    assert read_block(page.html).facts == facts


def test_nothing_in_the_block_can_end_its_script_element() -> None:
    text = write_block(catalog_page(samples.run(), samples.hostile(), None, {}, []).block)
    assert not set("<>&\u2028\u2029\x00\x7f") & set(text)
    assert "\\u003c/script" in text


@pytest.mark.parametrize("sign", list("<>&\u2028\u2029\x7f\x9f\ud800\udfff\ufdd0\ufdef\ufffe\uffff"))
def test_a_sign_that_a_page_cannot_carry_is_written_out_and_read_back(sign: str) -> None:
    block = block_of(samples.run(database=f"a{sign}b"), samples.flights())
    text = write_block(block)
    assert sign not in text
    assert json.loads(text)["database"] == f"a{sign}b"


def test_ten_thousand_columns_fit_in_six_megabytes() -> None:
    facts = samples.large(50, 200)
    text = write_block(block_of(samples.run(), facts))
    assert len(text.encode()) <= 6_000_000
    data = json.loads(text)
    assert len(data["tables"]) == 50
    valid(json.dumps(data | {"tables": data["tables"][:1]}))
    assert data["tables"][7]["columns"][9]["quantiles"]["0.5"] is not None


def test_a_page_of_a_thousand_columns_leaves_nothing_out() -> None:
    few = catalog_page(samples.run(), samples.large(20, 50), None, {}, [])
    assert "shows less than was measured" not in few.html


def much_of(what: str) -> Facts:
    facts = samples.large(*((560, 20) if what == "columns" else (40, 20)))
    tables = facts.tables
    match what:
        case "columns":  # a real profile's queries take some 330 characters a column
            queries = [query.model_copy(update={"sql": query.sql.ljust(6_600, ".")}) for query in facts.queries]
            return facts.model_copy(update={"queries": queries})
        case "comments":
            told = {"comment": "It is said that " * 700}
            commented = [[column.model_copy(update=told) for column in table.columns] for table in tables]
            update = [t.model_copy(update={"columns": c}) for t, c in zip(tables, commented, strict=True)]
            return facts.model_copy(update={"tables": update})
        case "references":
            return facts.model_copy(update={"references": facts.references * 500})
        case "exceptions":
            places = [(table.name, column.name) for table in tables for column in table.columns]
            skipped = [Skipped(table=table, column=column, reason="too long " * 9) for table, column in places] * 25
            unjudged = [
                Unjudged(tables=[table.name], kinds=["outlier"], reason="no time " * 9) for table in tables
            ] * 200
            more = {"skipped": skipped, "unjudged": unjudged}
            return facts.model_copy(update={"coverage": facts.coverage.model_copy(update=more)})
    queries = [
        query.model_copy(update={"id": f"{query.id}_{n}", "sql": query.sql.ljust(900, ".")})
        for query in facts.queries
        for n in range(150)
    ]
    return facts.model_copy(update={"queries": [*facts.queries, *queries]})


@pytest.mark.parametrize("what", ["columns", "comments", "references", "exceptions", "queries"])
def test_whatever_there_is_much_of_a_page_has_at_most_ten_megabytes_and_shows_what_its_block_has(what: str) -> None:
    facts = much_of(what)
    page = catalog_page(samples.run(), facts, None, {}, [])
    assert len(page.html.encode()) <= 10_000_000
    assert "shows less than was measured" in page.html or "more, in the page's data block" in page.html
    block = read_block(page.html)
    columns = [column for table in block.tables for column in table.columns]
    assert [len(table.columns) for table in block.tables] == [len(table.columns) for table in facts.tables]
    assert all(column.nulls is not None and column.distinct is not None for column in columns)
    assert page.html.count("<tr id=") == len(columns)
    if what != "columns":  # it is drawn again at each level
        assert list(differences(page.html, block)) == []


def test_a_page_is_not_drawn_where_its_comments_alone_do_not_fit() -> None:
    facts = much_of("comments")
    length = sum(len(column.comment or "") for table in facts.tables for column in table.columns)
    assert length * 2 > LARGEST
    assert next(levels(facts))[0].text == 200
    assert next(levels(much_of("references")))[0] == Detail()


@pytest.fixture(scope="module")
def spread() -> Facts:
    """Every kind of finding ten times, each in sixty tables, but for one that two tables have: 11,942 places."""
    facts = samples.large(60, 4)
    names = [table.name for table in facts.tables]
    findings, queries = [], list(facts.queries)
    for kind, nth in product(elements.KINDS, range(10)):
        column = f"column_{nth % 4}"
        parts = [
            Finding(
                id=f"{kind}:{name}:{column}:{nth}",
                kind=kind,
                table=name,
                columns=[column],
                severity="medium",
                rows=60 - at,
                query=f"q{len(queries) + 1 + at}",
                sentence=f"{60 - at} of 1,000,000 rows of {name} have in {column} what it should not have.",
            )
            for at, name in enumerate(names[: 2 if not findings else None])
        ]
        sql = f"SELECT *, count(*) OVER () AS rows FROM {{}} WHERE {column} IS NULL".ljust(300)
        queries += [Query(id=p.query, sql=sql.format(p.table), at=samples.AT, seconds=0.1) for p in parts]
        rows = sum(part.rows or 0 for part in parts)
        said = f"In {len(parts)} tables, {rows:,} rows in all; the worst is {names[0]}: {parts[0].sentence}"
        whole = {"id": f"{kind}::{column}:{nth}", "rows": rows, "members": parts, "sentence": said}
        findings.append(parts[0].model_copy(update=whole))
    return facts.model_copy(update={"findings": findings, "queries": queries})


def test_findings_of_every_kind_in_very_many_tables_fit_and_what_is_not_listed_is_told(spread: Facts) -> None:
    facts = spread
    places = sum(len(finding.members) for finding in facts.findings)
    left_out = facts.findings[-1].members[-1]
    told = {"table": left_out.table, "column": None, "from": None, "to": left_out.id, "severity": "medium"}
    new = Change.model_validate({"kind": "finding_new", "query": left_out.query, **told})
    page = catalog_page(samples.run(), facts, None, {}, [new])
    assert len(page.html.encode()) <= 10_000_000
    block = read_block(page.html)
    assert list(differences(page.html, block)) == []
    assert {finding.id: finding.rows for finding in block.findings} == {f.id: f.rows for f in facts.findings}
    # The few of the smallest are all there; of the others the gravest are.
    assert len(block.findings[0].members) == 2
    listed = sum(len(finding.members) for finding in block.findings)
    assert len(block.findings[0].members) < 15 < len(block.findings[1].members) < 60
    assert block.findings[1].members == facts.findings[1].members[: len(block.findings[1].members)]
    assert sum(finding.spread for finding in block.findings) == places
    assert block.coverage.left_out == places - listed
    assert f"and {60 - len(block.findings[1].members)} more, which" in page.html
    queries = {query.id for query in block.queries}
    assert len(queries) < len(facts.queries)
    shown = [part.query for finding in block.findings for part in (finding, *finding.members)]
    assert {*shown, left_out.query, *(claim.query for claim in block.claims)} <= queries
    ids = re.findall(r' id="([^"]*)"', page.html)
    assert {unquote(href) for href in re.findall(r' href="#([^"]*)"', page.html)} <= set(map(unquote, ids))
    assert not [change for change in changes([block_of(samples.run(), facts), block]) if "finding" in change.kind]


def test_a_finding_of_many_tables_alone_is_listed_with_all_of_them(spread: Facts) -> None:
    facts = spread.model_copy(update={"findings": spread.findings[:2], "queries": spread.queries[:200]})
    page = catalog_page(samples.run(), facts, None, {}, [])
    assert [len(finding.members) for finding in page.block.findings] == [2, 60]
    assert not page.block.coverage.unlisted
    assert "more, which" not in page.html


def test_a_summary_of_eleven_thousand_columns_has_at_most_ten_megabytes() -> None:
    facts = much_of("columns")
    block = block_of(samples.run(), facts)
    page = summary_page(samples.run(), facts, None, {}, [], [block, block])
    assert len(page.html.encode()) <= 10_000_000
    assert "Of a query, the first" in page.html
    assert "distributions" not in page.html
    assert len(read_block(page.html).tables) == len(facts.tables)


def test_keys_of_a_later_version_are_passed_over() -> None:
    page = catalog_page(samples.run(), samples.flights(), None, {}, [])
    later = page.html.replace('{"format":1,', '{"format":1,"new":[1],', 1).replace(
        '{"name":"flights",', '{"new":2,"name":"flights",'
    )
    assert read_block(later) == page.block


@pytest.mark.parametrize(
    ("html", "reason"),
    [
        ("<p>some page</p>", "carries no data block"),
        ('<script type="application/json" id="other">{}</script>', "carries no data block"),
        ('<script type="application/json" id="cataloger">{"format":1,</script>', "is no JSON"),
        ('<script type="application/json" id="cataloger">[]</script>', "format 'list'"),
        ('<script type="application/json" id="cataloger">{"format":2}</script>', "format 2"),
        ('<script type="application/json" id="cataloger">{"format":1}</script>', "database: Field required"),
    ],
)
def test_a_page_without_a_block_is_an_error_that_says_what_is_wrong(html: str, reason: str) -> None:
    with pytest.raises(CatalogerError, match=reason.replace("(", r"\(")):
        read_block(html)


def test_the_croissant_has_a_record_set_for_each_table() -> None:
    page = catalog_page(samples.run(), samples.flights(), samples.NARRATIVE, {}, [])
    data = json.loads(page.html.split('<script type="application/ld+json">')[1].split("</script>")[0])
    assert data["conformsTo"] == "http://mlcommons.org/croissant/1.1"
    assert [records["name"] for records in data["recordSet"]] == [table.name for table in samples.flights().tables]
    ids = [field["@id"] for records in data["recordSet"] for field in records["field"]]
    assert len(ids) == len(set(ids)) == 27
    carrier = next(f for f in data["recordSet"][0]["field"] if f["name"] == "flights/carrier")
    assert carrier["references"]["field"]["@id"] in ids
