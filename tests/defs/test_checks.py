"""Each check passes on a good report and fails on the one it is there for."""

from dataclasses import replace

import pytest
from selectolax.lexbor import LexborHTMLParser

from cataloger_dagster.agent.meter import Limits
from cataloger_dagster.defs.checks import CATALOG_CHECKS, SUMMARY_CHECKS, verdicts
from cataloger_dagster.defs.metadata import report_metadata
from cataloger_dagster.facts import Unjudged
from cataloger_dagster.publication import Report
from cataloger_dagster.report.catalog import catalog_page
from tests import samples


@pytest.fixture(scope="module")
def report() -> Report:
    return samples.report("<p>What flew.</p>")


def failed(judged: Report) -> list[str]:
    return [verdict.check_name or "" for verdict in verdicts(judged) if not verdict.passed]


def test_a_report_within_its_limits_passes_every_check(report: Report) -> None:
    assert failed(report) == []
    assert {verdict.check_name for verdict in verdicts(report)} == set(CATALOG_CHECKS)
    summary = replace(report, kind="summary")
    assert {verdict.check_name for verdict in verdicts(summary)} == set(SUMMARY_CHECKS)


@pytest.mark.parametrize(
    "limits",
    [Limits(tokens=99, steps=5, seconds=10), Limits(tokens=100, steps=4, seconds=10), Limits(100, 5, seconds=9)],
)
def test_a_budget_that_was_passed_is_told(report: Report, limits: Limits) -> None:
    assert failed(replace(report, limits=limits)) == ["budget_held"]


def test_a_number_nobody_measured_is_told(report: Report) -> None:
    page = catalog_page(samples.run(), samples.flights(), "<p>There are 98765 of them.</p>", {}, [])
    assert failed(replace(report, page=page)) == ["every_number_is_measured"]


@pytest.mark.parametrize(
    ("claimed", "typed", "share"), [(3, 1, 0.75), (2, 0, 1.0), (0, 2, 0.0), (0, 0, 1.0), (7, 9, 7 / 16)]
)
def test_the_shares_of_numbers_are_those_of_the_page(report: Report, claimed: int, typed: int, share: float) -> None:
    value, number = '<fact-value ref="flights.rows">', "12345"
    text = f"<h2>About</h2><p>x {f'{value} ' * claimed}</p><ul><li>y {f'{number}; ' * typed}</li></ul>"
    # Beside them are numbers that are no claims of the text: a name, code, a position, a finding's sentence.
    text += "<p>one <code>status = 4</code> in <code>utf8</code></p><h2>Findings</h2><fact-findings>"
    page = catalog_page(samples.run(), samples.flights(), text, {}, [])
    (verdict,) = (v for v in verdicts(replace(report, page=page)) if v.check_name == "every_number_is_measured")
    assert {key: value.value for key, value in verdict.metadata.items()} == {
        "measured": claimed,
        "unmeasured": typed,
        "share measured": share,
    }
    assert verdict.passed == (typed == 0)
    main = LexborHTMLParser(page.html).css_first("main")
    assert main is not None
    assert len(main.css("mark[data-unmeasured]")) == typed
    assert len(main.css("#page-about data[data-claim]")) == claimed
    metadata = report_metadata(replace(report, page=page))
    assert metadata["numbers unmeasured"] == typed
    assert (page.block.measured, page.block.unmeasured) == (claimed, typed)


@pytest.mark.parametrize("place", ["flights", "flights.carrier"])
def test_a_table_or_column_without_a_place_is_named(report: Report, place: str) -> None:
    assert f' id="{place}"' in report.page.html
    page = replace(report.page, html=report.page.html.replace(f' id="{place}"', "", 1))
    assert failed(replace(report, page=page)) == ["every_table_and_column_is_present"]
    (verdict,) = (v for v in verdicts(replace(report, page=page)) if not v.passed)
    assert verdict.metadata["missing"].value == [place]


def test_a_page_that_could_run_something_is_told(report: Report) -> None:
    page = replace(report.page, html=report.page.html.replace("<main", "<script>alert(1)</script><main", 1))
    assert failed(replace(report, page=page)) == ["page_is_safe"]


@pytest.mark.parametrize(("cut", "expected"), [(False, ["every_rule_was_applied"]), (True, [])])
def test_a_rule_that_failed_is_told_and_a_bound_is_no_failure(report: Report, cut: bool, expected: list[str]) -> None:
    item = Unjudged(kinds=["outlier"], tables=["flights"], reason="a fault", cut=cut)
    facts = samples.flights()
    facts = facts.model_copy(update={"coverage": facts.coverage.model_copy(update={"unjudged": [item]})})
    page = catalog_page(samples.run(), facts, "<p>What flew.</p>", {}, [])
    assert failed(replace(report, page=page)) == expected
    (verdict,) = (v for v in verdicts(replace(report, page=page)) if v.check_name == "every_rule_was_applied")
    assert verdict.metadata["not judged"].value == ["Values far out of range may be missing in flights: a fault."]
    assert "Values far out of range may be missing in flights: a fault." in page.html
