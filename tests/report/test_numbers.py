"""How values are written for readers."""

import pytest

from cataloger_dagster.facts import Column, Scalar
from cataloger_dagster.report.numbers import apart, format_value, is_ungrouped, share, span


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, "null"),
        (True, "true"),
        (0, "0"),
        (-1234567, "−1,234,567"),
        (12.639070257304708, "12.64"),
        (0.0012345, "0.001234"),
        (1e-9, "1e-09"),
        (3.0, "3"),
        ("12345678901234567890.50", "12,345,678,901,234,567,890.50"),
        ("9007199254740993", "9,007,199,254,740,993"),
        ("NaN", "NaN"),
        ("-Infinity", "-Infinity"),
        ("2013-12-31T00:00:00", "2013-12-31"),
        ("2013-12-31T23:05:00Z", "2013-12-31 23:05"),
        ("2013-12-31T23:05:09.5+02:00", "2013-12-31 23:05:09 +02:00"),
        ("12", "12"),
        ("a\n  b", "a b"),
    ],
)
def test_a_value_is_written_for_readers(value: Scalar, shown: str) -> None:
    assert format_value(value) == shown


@pytest.mark.parametrize(
    ("name", "low", "high", "ungrouped"),
    [
        ("customer_id", 1, 99999, True),
        ("customerId", 1, 99999, True),
        ("year", 1, 99999, True),
        ("birth_year", 1, 99999, True),
        ("built", 1956, 2013, True),
        ("dep_time", 1, 2400, True),
        ("air_time", 20, 695, False),
        ("amount", 1, 99999, False),
        ("paid", 1, 99999, False),
        ("yearly_income", 1, 99999, False),
    ],
)
def test_identifiers_years_and_times_of_day_are_known_by_name_or_range(
    name: str, low: int, high: int, ungrouped: bool
) -> None:
    assert is_ungrouped(Column(name=name, type="integer", min=low, max=high)) is ungrouped


@pytest.mark.parametrize(
    ("part", "whole", "shown"),
    [
        (0, 5, "0 %"),
        (5, 5, "100 %"),
        (1, 100_000, "< 0.1 %"),
        (99_999, 100_000, "> 99.9 %"),
        (995, 1000, "99.5 %"),
        (1, 40, "2.5 %"),
        (1, 3, "33 %"),
        (0, 0, "0 %"),
    ],
)
def test_a_share_never_hides_that_something_is_there(part: int, whole: int, shown: str) -> None:
    assert share(part, whole) == shown


def test_snapshots_are_called_so_that_they_differ() -> None:
    month = ["2013-12-31T23:59:00.000Z", "2013-11-30T23:59:00.000Z"]
    assert list(apart(month).values()) == ["31 Dec 2013", "30 Nov 2013"]
    assert list(apart(["2013-12-31T23:59:01.000Z", "2013-12-31T08:00:00.000Z"]).values()) == [
        "31 Dec 2013, 23:59",
        "31 Dec 2013, 08:00",
    ]
    close = ["2013-12-31T23:59:01.100Z", "2013-12-31T23:59:01.200Z", "2013-12-31T23:59:02.000Z"]
    assert len(set(apart(close).values())) == 3
    assert list(apart(month, clock=True).values()) == ["31 Dec 2013, 23:59 UTC", "30 Nov 2013, 23:59 UTC"]
    assert list(apart(close[::2], clock=True).values()) == ["31 Dec 2013, 23:59:01 UTC", "31 Dec 2013, 23:59:02 UTC"]


@pytest.mark.parametrize(
    ("end", "said"),
    [
        ("2026-01-15T10:00:00.200Z", "less than a second"),
        ("2026-01-15T10:00:05.000Z", "5 seconds"),
        ("2026-01-15T10:58:00.000Z", "1 hour"),
        ("2026-01-16T09:59:30.000Z", "1 day"),
        ("2026-01-22T10:00:03.000Z", "7 days"),
    ],
)
def test_how_far_snapshots_are_apart_is_said_in_the_unit_that_fits(end: str, said: str) -> None:
    assert span("2026-01-15T10:00:00.000Z", end) == said
