"""What becomes of the fact elements: values that lead to their queries, written as readers expect."""

import re

import pytest
from selectolax.lexbor import LexborHTMLParser

from cataloger_dagster.report.catalog import catalog_page
from cataloger_dagster.report.narrative import problems, read
from cataloger_dagster.report.safety import unsafe
from tests import samples
from tests.report.narrated import FACTS, VALUE, page


def test_a_value_is_filled_in_and_leads_to_its_query() -> None:
    html = page(f"<p>It has {VALUE} rows.</p>")
    assert (
        '<data value="336776" data-claim="flights.rows" class="n"><a href="#query-q2">336,776</a></data> rows.' in html
    )
    assert '<pre id="query-q2"' in html


@pytest.mark.parametrize(
    "written",
    [
        '<p>a <fact-value ref="flights.rows"> b <fact-value ref="planes.rows"> c</p><p>d</p>',
        '<p>a <fact-value ref="flights.rows"></fact-value> b <fact-value ref="planes.rows"/> c</p><p>d</p>',
        '<p>a <fact-value ref="flights.rows"></fact-value></fact-value> b <fact-value ref=planes.rows/> c</p><p>d</p>',
        "<p>a <fact-value ref=flights.rows> b <fact-value ref=planes.rows> c<p>d",
    ],
)
def test_a_missing_or_extra_end_tag_swallows_nothing(written: str) -> None:
    parts = read(written, FACTS, {}).sections[0].parts
    shown = re.sub(r"<[^>]+>", "", str(parts[0]).replace("</p>", "|"))
    assert shown == "a 336,776 b 3,322 c|d|"


def test_a_thousand_open_fact_elements_are_no_deep_nesting() -> None:
    html = "<p>" + VALUE * 1000 + "end</p><p>after</p>"
    assert problems(html, FACTS, {}) == []
    assert read(html, FACTS, {}).measured == 1000


def test_a_claim_that_failed_later_is_marked_and_the_page_made_all_the_same() -> None:
    html = page('<p>In all <fact-value ref="late">.</p><script>x</script>')
    assert "<mark data-unmeasured>late (not measured)</mark>" in html
    assert unsafe(html) == []


def test_identifiers_and_years_are_not_grouped_by_thousands() -> None:
    named = {"first_year": 1956, "order_id": 1234567, "late": 1234567}
    html = page("".join(f'<p><fact-value ref="{name}"></p>' for name in [*named, "planes.year.min"]), **named)
    shown = [node.text() for node in LexborHTMLParser(html).css("#page-about p data")]
    assert shown == ["1956", "1234567", "1,234,567", "1956"]


def test_an_estimate_is_never_shown_as_exact() -> None:
    html = page('<p><fact-value ref="flights.time_hour.distinct"> <fact-value ref="flights.dest.distinct"></p>')
    shown = [node.text() for node in LexborHTMLParser(html).css("#page-about p data")]
    assert shown == ["≈ 6,920", "105"]
    assert "HyperLogLog" in html


def test_every_number_of_a_findings_sentence_is_a_claim_that_leads_to_its_evidence() -> None:
    finding = FACTS.findings[0].model_copy(
        update={"sentence": "50,094 of 12 % rows like 'A 7' in orders2, 3 a letter or two off.", "rows": 50_094}
    )
    facts = FACTS.model_copy(update={"findings": [finding]})
    made = catalog_page(samples.run(), facts, None, {}, [])
    nodes = LexborHTMLParser(made.html).css("#page-findings data")
    assert [(node.attributes["value"], node.text()) for node in nodes] == [
        ("50094", "50,094"),
        ("12 %", "12 %"),
        ("3", "3"),
    ]
    evidence = f"#query-{finding.query}"
    assert {node.css_first("a").attributes["href"] for node in nodes} == {evidence}
    assert len(LexborHTMLParser(made.html).css(f'[id="{evidence[1:]}"]')) == 1
    named = {claim.id: claim for claim in made.block.claims}
    assert [named[node.attributes["data-claim"]].query for node in nodes] == [finding.query] * 3
