"""Times and nulls: dates to come, days that stand for none, crowded nulls, tables that lag; plans and gaps are not."""

import datetime as dt
import random
from typing import Any

import pytest
from cataloger_sandbox.flaws.times import rhythm

from tests.sandbox_image.flaws.looks import NOW, kinds, look_of, some, steps, suspects

SIZE = 3000
RATES = [0.001, 0.01, 0.1]
FIRST = NOW.replace(tzinfo=None) - dt.timedelta(days=500)


def columns(rng: random.Random) -> dict[str, list[Any]]:
    """Return times and gappy columns as they are in tables, none of them wrong."""
    created = sorted(FIRST + dt.timedelta(days=500 * rng.random()) for _ in range(SIZE))
    summer = [4 <= each.month <= 9 for each in created]
    return {
        "id": list(range(1, SIZE + 1)),
        "created_at": created,
        "due_date": [(each + dt.timedelta(days=rng.choice([14, 30, 60]))).date() for each in created],
        "valid_until": [(each + dt.timedelta(days=365)).date() for each in created],
        "departure": [each + dt.timedelta(days=rng.expovariate(0.02)) for each in created],
        "birth_date": [dt.date(1930, 1, 1) + dt.timedelta(days=rng.randrange(30000)) for _ in range(SIZE)],
        "delivered_at": [
            each + dt.timedelta(days=4) if each < created[-1] - dt.timedelta(days=5) else None for each in created
        ],
        "coupon": [rng.choice("XYZ") if rng.random() < 0.05 else None for _ in range(SIZE)],
        "fax": [str(rng.randrange(10**6)) if rng.random() < 0.6 else None for _ in range(SIZE)],
        "snow_depth": [None if warm else rng.uniform(5, 90) for warm in summer],
        "introduced_later": [None if i < 900 else rng.gauss(5, 1) for i in range(SIZE)],
        "gusts": [rng.gauss(20, 5) if rng.random() < 0.93 else None for _ in range(SIZE)],
    }


@pytest.mark.parametrize("seed", range(3))
def test_ordinary_times_and_gaps_are_no_flaws(seed: int) -> None:
    assert kinds(columns(random.Random(seed))) == []


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("column", ["created_at", "birth_date"])
def test_times_to_come_are_told_where_the_bulk_is_past(column: str, rate: float) -> None:
    rng = random.Random(f"{column}{rate}")
    rows = rng.sample(range(SIZE), round(SIZE * rate))
    ahead = some(columns(rng)[column], rows, lambda value: value + dt.timedelta(days=36_000))
    assert kinds({column: ahead}) == [("future_date", column)]


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("day", [dt.date(9999, 12, 31), dt.date(1900, 1, 1), dt.date(1970, 1, 1)])
def test_a_day_that_stands_for_none_is_a_sentinel_and_no_date_to_come(day: dt.date, rate: float) -> None:
    rng = random.Random(f"{day}{rate}")
    rows = rng.sample(range(SIZE), round(SIZE * rate) + 6)
    assert kinds({"birth_date": some(columns(rng)["birth_date"], rows, lambda _: day)}) == [
        ("sentinel_value", "birth_date")
    ]


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("column", ["gusts", "birth_date"])
def test_nulls_that_crowd_in_a_stretch_of_time_are_told_with_it(column: str, rate: float) -> None:
    rng = random.Random(f"{column}{rate}")
    clean = columns(rng)
    first = rng.randrange(400, 2200)
    rows = range(first, first + max(12, round(SIZE * rate)))
    (found,) = suspects({"created_at": clean["created_at"], column: some(clean[column], rows, lambda _: None)})
    assert (found.kind, found.columns) == ("null_burst", [column])
    assert f't."{column}" IS NULL' in found.where
    assert "BETWEEN" in found.where


def test_columns_that_are_null_in_the_same_stretch_are_one_finding() -> None:
    rng = random.Random(2)
    clean = columns(rng)
    torn = {name: some(clean[name], range(1500, 1600), lambda _: None) for name in ("gusts", "birth_date", "departure")}
    (found,) = suspects({"created_at": clean["created_at"]} | torn)
    assert sorted(found.columns) == ["birth_date", "departure", "gusts"]


def test_a_column_with_many_such_stretches_is_patchy_by_nature() -> None:
    rng = random.Random(3)
    clean = columns(rng)
    rows = [start + i for start in range(100, 2900, 300) for i in range(40)]
    assert kinds({"created_at": clean["created_at"], "gusts": some(clean["gusts"], rows, lambda _: None)}) == []


def test_a_few_nulls_in_a_key_are_told() -> None:
    keys = some([f"K{i:05}" for i in range(SIZE)], [5, 900, 2500], lambda _: None)
    assert kinds({"order_id": keys}) == [("null_burst", "order_id")]
    optional = some([f"K{i:05}" for i in range(SIZE)], range(0, SIZE, 9), lambda _: None)
    assert kinds({"tracking_id": optional}) == []


def test_a_table_s_rhythm_is_the_days_on_which_it_got_rows() -> None:
    look = look_of({"created_at": list(steps(FIRST, 400, 6 * 3600))})
    look.profile.newest = {"column": "created_at", "value": "2026-01-01T00:00:00"}
    found = rhythm(look)
    assert found is not None
    assert len(found.days) == 101
    look.profile.newest = {"column": "installed_on", "value": "2026-01-01"}
    assert rhythm(look) is None
