"""Each check passes on a good report and fails on the one it is there for."""

from dataclasses import replace

import pytest

from cataloger_dagster.agent.meter import Limits
from cataloger_dagster.defs.checks import CATALOG_CHECKS, SUMMARY_CHECKS, verdicts
from cataloger_dagster.publication import Report
from cataloger_dagster.report.catalog import catalog_page
from tests import samples

REPORT = samples.report("<p>What flew.</p>")
PAGE = REPORT.page


def failed(report: Report) -> list[str]:
    return [verdict.check_name or "" for verdict in verdicts(report) if not verdict.passed]


def test_a_report_within_its_limits_passes_every_check() -> None:
    assert failed(REPORT) == []
    assert {verdict.check_name for verdict in verdicts(REPORT)} == set(CATALOG_CHECKS)
    summary = replace(REPORT, kind="summary")
    assert {verdict.check_name for verdict in verdicts(summary)} == set(SUMMARY_CHECKS)


@pytest.mark.parametrize(
    "limits",
    [Limits(tokens=99, steps=5, seconds=10), Limits(tokens=100, steps=4, seconds=10), Limits(100, 5, seconds=9)],
)
def test_a_budget_that_was_passed_is_told(limits: Limits) -> None:
    assert failed(replace(REPORT, limits=limits)) == ["budget_held"]


def test_a_number_nobody_measured_is_told() -> None:
    page = catalog_page(samples.run(), samples.flights(), "<p>There are 98765 of them.</p>", {}, [])
    assert failed(replace(REPORT, page=page)) == ["every_number_is_measured"]


@pytest.mark.parametrize("place", ["flights", "flights.carrier"])
def test_a_table_or_column_without_a_place_is_named(place: str) -> None:
    assert f' id="{place}"' in PAGE.html
    page = replace(PAGE, html=PAGE.html.replace(f' id="{place}"', "", 1))
    assert failed(replace(REPORT, page=page)) == ["every_table_and_column_is_present"]
    (verdict,) = (v for v in verdicts(replace(REPORT, page=page)) if not v.passed)
    assert verdict.metadata["missing"].value == [place]


def test_a_page_that_could_run_something_is_told() -> None:
    page = replace(PAGE, html=PAGE.html.replace("<main", "<script>alert(1)</script><main", 1))
    assert failed(replace(REPORT, page=page)) == ["page_is_safe"]
