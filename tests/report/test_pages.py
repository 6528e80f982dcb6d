"""The three pages: what each must show, for friendly, hostile, hidden and empty databases."""

import html as entities
import re
from itertools import pairwise
from urllib.parse import unquote

import pytest
from selectolax.lexbor import LexborHTMLParser

from cataloger_dagster.facts import (
    Coverage,
    Dependency,
    Facts,
    Histogram,
    Lengths,
    Query,
    Reference,
    Sampled,
    Table,
    Unlisted,
)
from cataloger_dagster.report import anchors, diagram
from cataloger_dagster.report.block import block_of
from cataloger_dagster.report.catalog import catalog_page
from cataloger_dagster.report.changes import changes, claims
from cataloger_dagster.report.overview import Entry, overview_page
from cataloger_dagster.report.safety import unsafe
from cataloger_dagster.report.summary import summary_page
from tests import samples

NOW, BEFORE = samples.flights(), samples.flights(11)
BLOCKS = [block_of(samples.run(), NOW), block_of(samples.run(snapshot=samples.BEFORE, previous=None), BEFORE)]


def words(html: str, selector: str = "main") -> str:
    found = LexborHTMLParser(html).css_first(selector)
    assert found is not None, selector
    return re.sub(r"\s+", " ", found.text())


def catalog(facts: Facts = NOW, narrative: str | None = samples.NARRATIVE, **changed: object) -> str:
    return catalog_page(samples.run(**changed), facts, narrative, claims(BLOCKS[1], facts), changes(BLOCKS)).html


def test_every_link_on_a_page_leads_to_a_place_on_it() -> None:
    for html in (catalog(), catalog(samples.hostile(), None), _summary()):
        ids = set(re.findall(r' id="([^"]*)"', html))
        assert len(ids) == len(re.findall(r' id="([^"]*)"', html)), "an id stands twice"
        missing = {href for href in re.findall(r' href="#([^"]*)"', html) if href not in ids}
        assert not missing


def test_what_is_estimated_is_marked_everywhere_it_stands() -> None:
    """In a table, in prose, in a chart and its label, and in the appendix with its error."""
    table = NOW.table_by_name["flights"]
    histogram = Histogram(low=-86, high=1272, counts=[9_000, 700, 97], sampled=True)
    changed = {"histogram": histogram, "quantiles_error": 0.0062, "distinct_method": "hll", "distinct_error": 0.0446}
    columns = [c.model_copy(update=changed) if c.name == "arr_delay" else c for c in table.columns]
    sampled = [Sampled(table="flights", rows=9_797, of=336_776, method="each row by chance")]
    coverage = NOW.coverage.model_copy(update={"sampled": sampled})
    tables = [table.model_copy(update={"columns": columns}) if t is table else t for t in NOW.tables]
    facts = NOW.model_copy(update={"tables": tables, "coverage": coverage})
    prose = (
        '<p>Half are above <fact-value ref="flights.arr_delay.median"> of '
        '<fact-value ref="flights.arr_delay.distinct">, none above <fact-value ref="flights.arr_delay.max">.</p>'
        '<fact-chart ref="flights.arr_delay">'
    )
    page = catalog(facts, prose)
    row = words(page, '[id="flights.arr_delay"]')
    for part in ("≈ 577", "median ≈ −5", "half in ≈ −17 to ≈ 14", "of a sample", "−86 to 1,272"):
        assert part in row, part
    assert "Half are above ≈ −5 of ≈ 577, none above 1,272." in words(page)
    chart = LexborHTMLParser(page).css_first("svg.large")
    assert chart is not None
    assert "of a sample of 9,797 values" in chart.text()
    assert "of a sample of 9,797 values, median about −5" in str(chart.attributes["aria-label"])
    assert "9,797 of 336,776 rows" in words(page, '[id="flights"]')
    appendix = words(page, "#page-estimates")
    assert "off by up to 4.5 %" in appendix
    assert "off by up to 0.7 %" in appendix


def test_a_query_opens_when_one_of_its_values_is_followed() -> None:
    page = LexborHTMLParser(catalog())
    target = page.css_first('[id="query-q2"]')
    assert target is not None
    assert target.tag == "pre"
    assert target.parent is not None
    assert target.parent.tag == "details"


def test_the_identity_says_who_measured_what_and_when() -> None:
    header = words(catalog(run_id="r1", scheduled="2013-12-31T23:00:00Z", notes=("The role may write.",)), "header")
    for part in (
        "31 Dec 2013, 23:59 UTC",
        "for 31 Dec 2013, 23:00 UTC",
        "duckdb 1.5.6",
        "5 of 5 tables, 27 of 27 columns",
        "367,687",
        "5 measured, 2 not",  # "Half" and 12
        "claude-sonnet-4-5",
        "57,333 tokens, 14 steps, 85 s",
        "The role may write.",
    ):
        assert part in header, part


def test_a_page_nobody_finished_says_so_and_has_all_facts() -> None:
    html = catalog_page(samples.run(narrative="partial"), NOW, None, {}, []).html
    assert "its words are missing or cut short" in words(html, "header")
    assert "336,776" in words(html)


def test_changes_are_told_with_their_query() -> None:
    told = words(catalog(), "#page-changes")
    assert "Since 30 Nov 2013" in told
    assert "flights grew by 28,135 rows (+9.1 %) to 336,776." in told
    assert "New finding: Repeated key in weather." in told
    assert 'href="#query-q2">28,135 rows</a>' in catalog()
    assert "first snapshot" in words(catalog(previous=None), "#page-changes")


def test_findings_come_gravest_first_with_their_evidence() -> None:
    found = LexborHTMLParser(catalog()).css("#page-findings .fi > li")
    assert [item.attributes["class"] for item in found] == ["high", "medium", "medium", "low"]
    assert "NOT EXISTS" in found[0].text()
    assert "new" in found[2].text()


def test_a_row_shows_what_was_measured_of_its_column() -> None:
    html = catalog()
    delay = words(html, '[id="flights.arr_delay"]')
    for part in (
        "double",
        "Minutes late at arrival",
        "9,430",
        "2.8 %",
        "577",
        "−86 to 1,272",
        "median ≈ −5",
        "half in ≈ −17 to ≈ 14",
    ):
        assert part in delay, part
    assert LexborHTMLParser(html).css_first('[id="flights.arr_delay"] svg.h') is not None
    assert "airlines.carrier" in words(html, '[id="flights.carrier"]')
    assert "UA 17 %" in words(html, '[id="flights.carrier"]')
    assert "and 12 more" in words(html, '[id="flights.carrier"]')
    assert "References without a match" in words(html, '[id="flights.tailnum"]')
    assert "all differ" in words(html, '[id="airports.faa"]')
    assert "≈" in words(html, '[id="flights.time_hour"]')
    assert "1956 to 2013" in words(html, '[id="planes.year"]')


@pytest.mark.parametrize("text", samples.NASTY)
def test_hostile_text_is_shown_as_it_is(text: str) -> None:
    html = catalog(samples.hostile(), None, previous=None)
    shown = text.replace("\x00", "�").replace("\x1f", "�")
    assert str(entities.unescape(html)).count(shown) > 20
    id_ = anchors.place(text, text)
    assert html.count(f' id="{id_}"') == 1
    assert re.fullmatch(r"[\w.%~-]+", id_, re.ASCII)


def test_every_table_says_what_a_row_is_and_how_that_is_known() -> None:
    flights = NOW.tables[0]
    first, second = (column.name for column in flights.columns[:2])
    queries = [
        Query(id="k1", sql="SELECT count(*) AS rows, count(DISTINCT a) AS c0_distinct", at=samples.AT, seconds=0.1),
        Query(id="k2", sql="SELECT count(*) AS combinations FROM x", at=samples.AT, seconds=0.1),
    ]
    for keys, primary, told, link in (
        ([], None, "One row is not known no key is declared, and none was found", None),
        ([[first]], [first], f"One row is {first} declared", None),
        ([[first]], None, f"One row is {first} each is there once", "#query-k1"),
        ([[first, second]], None, f"One row is {first}, {second} each is there once", "#query-k2"),
    ):
        table = flights.model_copy(update={"keys": keys, "primary_key": primary, "queries": ["k1", "k2"]})
        facts = NOW.model_copy(
            update={"tables": [table], "references": [], "findings": [], "queries": [*NOW.queries, *queries]}
        )
        section = LexborHTMLParser(catalog(facts, None)).css_first('section[id="flights"] dl.k div')
        assert section is not None
        assert re.sub(r"\s+", " ", section.text(separator=" ")).strip() == told
        found = section.css_first("a")
        assert (found.attributes["href"] if found else None) == link


def test_a_hidden_table_shows_counts_and_no_values() -> None:
    plain = NOW.tables[2]
    bare = [
        c.model_copy(update=dict.fromkeys(("min", "max", "mean", "std", "quantiles", "top", "histogram", "lengths")))
        for c in plain.columns
    ]
    hidden = plain.model_copy(update={"hidden": True, "columns": bare})
    html = catalog_page(samples.run(previous=None), NOW.model_copy(update={"tables": [hidden]}), None, {}, []).html
    assert "hidden by configuration" in words(html, "#planes")
    assert "BOEING" not in html
    assert unsafe(html) == []


def test_a_table_that_could_not_be_measured_says_why() -> None:
    broken = Table(name="gone", schema=None, rows=None, kind="view", keys=[], queries=[], columns=[])
    coverage = Coverage(tables=(1, 2), columns=(0, 0), skipped=[{"table": "gone", "reason": "dropped meanwhile"}])  # type: ignore[list-item]
    facts = Facts(engine="sqlite 3.45", tables=[broken], coverage=coverage)
    html = catalog_page(samples.run(previous=None), facts, None, {}, []).html
    assert "Not measured: dropped meanwhile" in words(html, "#gone")
    assert "dropped meanwhile" in words(html, "#page-appendix")
    assert "1 of 2 tables" in words(html, "header")


def test_a_database_without_tables_has_a_page_too() -> None:
    facts = Facts(engine="sqlite 3.45", tables=[], coverage=Coverage(tables=(0, 0), columns=(0, 0)))
    html = catalog_page(samples.run(previous=None), facts, None, {}, []).html
    assert "There are no tables in it." in words(html)
    assert unsafe(html) == []
    block = block_of(samples.run(), facts)
    assert unsafe(summary_page(samples.run(), facts, None, {}, [], [block]).html) == []


def test_the_head_tells_two_snapshots_of_one_minute_apart_and_how_far_they_are() -> None:
    head = words(catalog(snapshot="2026-11-28T10:42:15.286Z", previous="2026-11-28T10:42:10.378Z"), "dl.id")
    assert "Measured28 Nov 2026, 10:42:15 UTC" in head
    assert "Compared with28 Nov 2026, 10:42:10 UTC5 seconds before" in head
    head = words(catalog(), "dl.id")
    assert "Measured31 Dec 2013, 23:59 UTC" in head
    assert "Compared with30 Nov 2013, 23:59 UTC31 days before" in head
    assert "Compared" not in words(catalog(previous=None), "dl.id")


def test_a_table_says_what_determines_what_and_leads_to_the_query_of_what_breaks_it() -> None:
    found = [
        Dependency(table="flights", determinant="tailnum", dependent="carrier", rows=334_264, breaking=0,
                   determinants=4_043, query="q3"),
        Dependency(table="flights", determinant="flight", dependent="dest", rows=336_776, breaking=1,
                   determinants=3_844, query="q7"),
    ]  # fmt: skip
    page = LexborHTMLParser(catalog(NOW.model_copy(update={"dependencies": found})))
    said = {
        entry.css_first("dt").text(): entry.css_first("dd")  # type: ignore[union-attr]
        for entry in page.css("#flights dl.k > div")
    }
    line = re.sub(r"\s+", " ", said["Determined"].text())  # type: ignore[union-attr]
    assert line == "carrier by tailnum · dest by flight but for 1 row of 336,776"
    assert [a.attributes["href"] for a in said["Determined"].css("a")] == ["#query-q7"]  # type: ignore[union-attr]
    assert not [dt for dt in page.css("#weather dl.k dt") if dt.text() == "Determined"]


def test_each_query_says_what_it_was_for() -> None:
    """Those of the structure and those that only looked at rows are values of nothing."""
    asked = ("s1", "q2", "r1", "c1")
    queries = [Query(id=key, sql="SELECT 1", at=samples.AT, seconds=0.1) for key in asked]
    table = NOW.table_by_name["airlines"].model_copy(update={"queries": ["q2"]})
    facts = Facts(engine="x", tables=[table], queries=queries, coverage=NOW.coverage)
    named = {"late": samples.claim("late", 3, "c1")}
    page = catalog_page(samples.run(previous=None), facts, "<p><fact-value ref='airlines.rows'></p>", named, []).html
    told = [" ".join(item.text().split()[:-2]) for item in LexborHTMLParser(page).css(".qs summary")]
    assert told == [
        "s1 tables, columns and keys", "q2 profile of airlines", "r1 rows that rules looked at",
        "c1 a value of the prose: late",
    ]  # fmt: skip


def test_of_one_row_the_finding_says_its_query_of_more_theirs() -> None:
    one, *more = NOW.findings
    html = catalog(NOW.model_copy(update={"findings": [one.model_copy(update={"rows": 1}), *more]}))
    assert "1 row and its query" in words(html)
    assert "rows and their query" in words(html)


def test_a_decimal_columns_ends_are_grouped_and_have_no_zeros_that_only_fill_its_scale() -> None:
    table = NOW.table_by_name["flights"]
    changed = {"type": "decimal(30,12)", "min": "-0.500000000000", "max": "12345.333322110000", "quantiles": None}
    columns = [c.model_copy(update=changed) if c.name == "arr_delay" else c for c in table.columns]
    facts = NOW.model_copy(update={"tables": [table.model_copy(update={"columns": columns})]})
    assert "−0.5 to 12,345.33332211" in words(catalog(facts, None), '[id="flights.arr_delay"]')


def test_texts_of_one_letter_have_one_character() -> None:
    table = NOW.table_by_name["flights"]
    lengths = Lengths(min=1, max=1, mean=1)
    columns = [c.model_copy(update={"lengths": lengths}) if c.name == "carrier" else c for c in table.columns]
    facts = NOW.model_copy(update={"tables": [table.model_copy(update={"columns": columns})]})
    assert re.search(r"\b1 character\b", words(catalog(facts, None), '[id="flights.carrier"]'))


def size(drawn: str) -> tuple[int, int]:
    """How wide the drawings of a diagram are, and how high together."""
    found = re.findall(r'<svg class="er" viewBox="0 \d+ (\d+) (\d+)" width="(\d+)" height="(\d+)"', drawn)
    assert len(found) == drawn.count("<svg") > 0
    assert all((a, b) == (c, d) for a, b, c, d in found)
    assert len({wide for wide, *_ in found}) == 1, "letters of one size on paper"
    return int(found[0][0]), sum(int(high) for _, high, *_ in found)


def test_groups_below_each_other_are_drawings_of_their_own_with_all_that_is_theirs() -> None:
    """Three pairs are wider than a page: two stand side by side, the third is the second drawing."""
    ends = [(0, 1), (2, 3), (4, 5)]
    references = [
        Reference(from_=(f"table_{a}", ["column_1"]), to=(f"table_{b}", ["column_0"]), declared=True, orphans=0)
        for a, b in ends
    ]
    drawn = str(diagram.diagram(samples.large(6, 2).model_copy(update={"references": references}), anchors.place))
    svgs = LexborHTMLParser(drawn).css("svg")
    assert [len(svg.css("a")) for svg in svgs] == [4, 2]
    assert [len(svg.css("path")) for svg in svgs] == [2, 1]
    assert [svg.attributes["aria-label"] for svg in svgs] == [
        "4 tables and 2 references between them; the list below says the same",
        "2 tables and 1 reference between them; the list below says the same",
    ]
    _, top, _, high = (int(part) for part in (svgs[1].attributes["viewBox"] or "").split())
    for box in svgs[1].css("rect"):
        assert top <= int(box.attributes["y"] or 0) < top + high


def test_the_diagram_draws_declared_and_inferred_references_apart() -> None:
    drawn = str(diagram.diagram(NOW, anchors.place))
    assert drawn.count("<title>") == len(NOW.references) + 5
    assert drawn.count('class="inferred"') == 3
    assert drawn == str(diagram.diagram(NOW, anchors.place))


def test_the_diagram_bears_cycles_self_references_and_a_hundred_tables() -> None:
    ends = [("flights", "planes"), ("planes", "airlines"), ("airlines", "flights"), ("weather", "weather")]
    looped = [Reference(from_=(a, ["x"]), to=(b, ["y"]), declared=True, orphans=0) for a, b in ends]
    assert str(diagram.diagram(NOW.model_copy(update={"references": looped}), anchors.place)).count("<path") == 4
    drawn = str(diagram.diagram(samples.large(100, 2), anchors.place))
    assert drawn.count("<rect") == 100
    width, height = size(drawn)
    assert width < 3_000
    assert height < 3_000


@pytest.mark.parametrize("length", [2, 4, 100])
def test_a_hundred_tables_stay_legible_whatever_hangs_together(length: int) -> None:
    """In pairs, in groups of four, or all in one chain: no wider than a page or a band of layers, none on another."""
    facts = samples.large(100, 2)
    ends = [(at, at + 1) for at in range(99) if (at + 1) % length]
    references = [
        Reference(from_=(f"table_{a}", ["column_1"]), to=(f"table_{b}", ["column_0"]), declared=True, orphans=0)
        for a, b in ends
    ]
    drawn = str(diagram.diagram(facts.model_copy(update={"references": references}), anchors.place))
    width, height = size(drawn)
    assert width <= diagram.WIDE <= 960
    assert height < 3_000
    boxes = [tuple(map(int, box)) for box in re.findall(r'<rect x="(\d+)" y="(\d+)" width="\d+" height="(\d+)"', drawn)]
    assert len(boxes) == 100
    for number, (x, y, high) in enumerate(boxes):
        assert not any(abs(x - a) < diagram.BOX and y < b + other and b < y + high for a, b, other in boxes[:number])
    groups = [
        (min(x), min(y), max(x) + diagram.BOX, max(low + high for low, high in zip(y, heights, strict=True)))
        for x, y, heights in (zip(*boxes[at : at + length], strict=True) for at in range(0, 100, length))
    ]
    for number, (left, top, right, bottom) in enumerate(groups):
        assert not any(left < r and a < right and top < d and b < bottom for a, b, r, d in groups[:number])


def test_curves_that_go_on_below_run_on_lines_of_their_own() -> None:
    """Three layers, three tables in the fourth that refer to one below, and it back to the first of them."""
    ends = [(0, 1), (1, 2), (2, 3), (2, 4), (2, 5), (3, 6), (4, 6), (5, 6), (6, 3)]
    facts = samples.large(7, 2)
    references = [
        Reference(from_=(f"table_{a}", ["column_1"]), to=(f"table_{b}", ["column_0"]), declared=True, orphans=0)
        for a, b in ends
    ]
    drawn = str(diagram.diagram(facts.model_copy(update={"references": references}), anchors.place))
    bent = re.findall(r'd="M\d+ \d+H-?\d+Q(\d+) \d+ \d+ \d+V-?\d+Q\d+ (\d+) \d+ \d+H\d+Q(\d+) ', drawn)
    assert len(bent) == 4
    for line in zip(*bent, strict=True):  # beside the boxes of the one row, between the rows, beside those of the other
        assert len(set(line)) == 4
    width = int(re.findall(r'<svg class="er" viewBox="0 0 (\d+) ', drawn)[0])
    assert all(0 <= int(x) <= width for out, _, into in bent for x in (out, into))


def test_a_long_name_keeps_its_beginning_and_its_end_in_the_diagram() -> None:
    names = ["customers_and_their_orders_2023", "customers_and_their_orders_2024", "東京都千代田区丸の内一丁目顧客表"]
    references = [Reference(from_=(a, ["x"]), to=(b, ["x"]), declared=True, orphans=0) for a, b in pairwise(names)]
    tables = [NOW.tables[0].model_copy(update={"name": name}) for name in names]
    facts = NOW.model_copy(update={"tables": tables, "references": references})
    drawn = LexborHTMLParser(str(diagram.diagram(facts, anchors.place)))
    assert [a.css_first("title").text() for a in drawn.css("a")] == names  # type: ignore[union-attr]
    assert [text.text() for text in drawn.css("text.b")] == [
        "customers_an…ers_2023", "customers_an…ers_2024", "東京都千代田…目顧客表",
    ]  # fmt: skip


def _summary(narrative: str | None = None) -> str:
    oldest = BLOCKS[1].model_copy(update={"snapshot": "2013-10-31T23:59:00.000Z", "tables": BLOCKS[1].tables[:-1]})
    history = [*BLOCKS, oldest]
    return summary_page(samples.run(), NOW, narrative, claims(BLOCKS[1], NOW), changes(history), history).html


def test_the_summary_tells_changes_by_snapshot_and_rows_over_them() -> None:
    html = _summary('<h2>In short</h2><p>It grew by <fact-value ref="flights.rows.change"> rows.</p>')
    assert "It grew by 28,135 rows." in words(html, "#page-about")
    told = words(html, "#page-changes")
    assert (
        told.index("31 Dec 2013")
        < told.index("grew by 28,135")
        < told.index("30 Nov 2013 since")
        < told.index("New table airlines")
    )
    row = words(html, "#page-tables #flights")
    assert "308,641 308,641 336,776" in row
    assert "–" in words(html, "#page-tables #airlines")
    assert LexborHTMLParser(html).css_first("#page-tables svg.s path") is not None
    assert unsafe(html) == []


def test_the_overview_lists_every_database_and_links_to_its_page() -> None:
    page = catalog_page(samples.run(), NOW, samples.NARRATIVE, {}, changes(BLOCKS))
    entries = [
        Entry("shop", reason="It can't be reached: connection refused at db.internal:5432."),
        Entry("flights", page.block, owners=("team:data",), summary=samples.AT),
        Entry("old", BLOCKS[1]),
    ]
    html = overview_page("2014-01-02T10:00:00.000Z", entries).html
    rows = LexborHTMLParser(html).css("main tbody tr")
    assert [row.css("th")[0].text().split("\n")[0][:5] for row in rows] == ["fligh", "oldduck"[:5], "shop"]
    flights = re.sub(r"\s+", " ", rows[0].text())
    for part in (
        "Every departure from New York's airports",
        "367,687",
        "1 high",
        "2 medium",
        "31 Dec 2013",
        "1 day ago",
        "team:data",
    ):
        assert part in flights, part
    assert f'href="../../flights/{samples.AT}/catalog.html"' in html
    assert "connection refused" in rows[2].text()
    assert "2 of 3 databases" in words(html, "header")
    assert unsafe(overview_page(samples.AT, []).html) == []


def test_of_a_long_run_of_one_kind_the_first_are_shown_and_the_rest_is_folded_with_its_places() -> None:
    facts = samples.flights()
    one = facts.findings[0]
    found = [
        one.model_copy(update={"id": f"{kind}:planes:c{n}", "kind": kind, "severity": severity, "rows": 90 - n})
        for kind, severity, many in (("mixed_format", "high", 7), ("outlier", "high", 30), ("rare_category", "low", 8))
        for n in range(many)
    ]
    page = catalog_page(samples.run(), facts.model_copy(update={"findings": found}), None, {}, [])
    tree = LexborHTMLParser(page.html)
    assert [len(fold.css("li[id]")) for fold in tree.css("li.more")] == [25, 3]
    assert [fold.css_first("summary").text() for fold in tree.css("li.more > details")] == [
        "25 more of this kind: values far out of range",
        "3 more of this kind: rare, probably mistyped values",
    ]
    ids = [unquote(item.attributes["id"] or "").removeprefix("finding-") for item in tree.css("ol.fi li[id]")]
    assert ids == [item.id for item in found]


def test_a_finding_of_many_tables_is_told_in_each_and_every_link_leads_to_it() -> None:
    facts = samples.flights()
    one = facts.findings[0]
    parts = [
        one.model_copy(update={"id": f"outlier:{table.name}:year", "table": table.name, "columns": [column], "rows": n})
        for n, (table, column) in enumerate(zip(facts.tables, ["year", "temp", "year", "alt", "name"], strict=False))
    ]
    whole = parts[-1].model_copy(update={"id": "outlier::year", "rows": sum(range(len(parts))), "members": parts})
    coverage = facts.coverage.model_copy(update={"unlisted": [Unlisted(kind="outlier", findings=1_460, tables=380)]})
    facts = facts.model_copy(update={"findings": [whole], "coverage": coverage})
    page = catalog_page(samples.run(), facts, None, {}, [])
    tree = LexborHTMLParser(page.html)
    assert len(tree.css("ol.fi > li")) == 1
    assert len(tree.css("ol.fi table tbody tr")) == len(parts)
    assert "1,460 more findings of values far out of range in 380 tables are not listed." in page.html
    assert "only these are marked at their tables and columns" in page.html
    places = {node.attributes["id"] for node in tree.css("[id]")}
    links = [str(link.attributes["href"])[1:] for link in tree.css("a[href^='#']")]
    assert set(links) <= places | {unquote(place or "") for place in places}
    # Once by each column that the page has; the last table has no column of this name.
    assert links.count("finding-outlier%3A%3Ayear") == len(parts) - 1
