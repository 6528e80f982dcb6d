"""Times and nulls: dates to come, days that stand for none, crowded nulls, tables that lag; plans and gaps are not."""

import datetime as dt
import functools
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


@functools.cache
def ordinary(column: str) -> dict[str, list[Any]]:
    """Return the same again for all who change *column*: to make them up takes longer than to judge them."""
    return columns(random.Random(column))


@pytest.mark.parametrize("seed", range(3))
def test_ordinary_times_and_gaps_are_no_flaws(seed: int) -> None:
    assert kinds(columns(random.Random(seed))) == []


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("column", ["created_at", "birth_date"])
def test_times_to_come_are_told_where_the_bulk_is_past(column: str, rate: float) -> None:
    rng = random.Random(f"{column}{rate}")
    rows = rng.sample(range(SIZE), round(SIZE * rate))
    ahead = some(ordinary(column)[column], rows, lambda value: value + dt.timedelta(days=36_000))
    assert kinds({column: ahead}) == [("future_date", column)]


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("day", [dt.date(9999, 12, 31), dt.date(1900, 1, 1), dt.date(1970, 1, 1)])
def test_a_day_that_stands_for_none_is_a_sentinel_and_no_date_to_come(day: dt.date, rate: float) -> None:
    rng = random.Random(f"{day}{rate}")
    rows = rng.sample(range(SIZE), round(SIZE * rate) + 6)
    assert kinds({"birth_date": some(ordinary("birth_date")["birth_date"], rows, lambda _: day)}) == [
        ("sentinel_value", "birth_date")
    ]


def test_one_day_a_century_away_stands_for_none_though_it_is_no_known_one() -> None:
    rng = random.Random(12)
    days = [(FIRST + dt.timedelta(days=rng.randrange(500))).date() for _ in range(SIZE)]
    rows = range(0, SIZE, 150)
    assert kinds({"first_day": some(days, rows, lambda _: dt.date(1901, 3, 1))}) == [("sentinel_value", "first_day")]
    assert kinds({"first_day": some(days, rows, lambda day: day.replace(year=1901, day=1 + day.day % 28))}) == []
    assert kinds({"first_day": some(days, rows, lambda _: dt.date(2023, 3, 1))}) == []


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("column", ["gusts", "birth_date"])
def test_nulls_that_crowd_in_a_stretch_of_time_are_told_with_it(column: str, rate: float) -> None:
    rng = random.Random(f"{column}{rate}")
    clean = ordinary(column)
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


def test_a_few_nulls_side_by_side_are_told_in_a_column_otherwise_full() -> None:
    full = columns(random.Random(5)) | {"score": [float(i % 97) for i in range(SIZE)]}
    for beside in ([1400, 1401], [1400, 1401, 1402]):
        (found,) = suspects(full | {"score": some(full["score"], beside, lambda _: None)})
        assert (found.kind, found.columns) == ("null_burst", ["score"])
    (found,) = suspects(full | {"score": some(full["score"], [1400, 1402, 1403, 1407], lambda _: None)})
    assert (found.kind, found.columns) == ("null_burst", ["score"])
    for apart in ([200, 1900], [1400, 1420, 1450], [200, 1900, 1901], [1400, 1404]):
        assert kinds(full | {"score": some(full["score"], apart, lambda _: None)}) == []
    short = {name: full[name][:400] for name in ("created_at", "score")}
    assert kinds(short | {"score": some(short["score"], [200, 201], lambda _: None)}) == []


def test_a_stretch_without_any_value_is_told_where_a_third_is_null_anyway() -> None:
    rng = random.Random(6)
    gappy = columns(rng) | {"dust": [rng.gauss(9, 2) if rng.random() < 0.67 else None for _ in range(SIZE)]}
    assert kinds(gappy) == []
    (found,) = suspects(gappy | {"dust": some(gappy["dust"], range(1000, 1040), lambda _: None)})
    assert (found.kind, found.columns) == ("null_burst", ["dust"])
    half = some(gappy["dust"], range(1000, 1400, 4), lambda _: None)
    assert kinds(gappy | {"dust": half}) == []


def test_nulls_are_looked_at_in_the_order_of_the_rows_too_where_another_time_says_more() -> None:
    rng = random.Random(7)
    first = [FIRST.date() + dt.timedelta(days=i // 6) for i in range(SIZE)]
    last = [day + dt.timedelta(days=rng.randrange(30)) for day in first]
    days = some([rng.randrange(30) for _ in range(SIZE)], [1500, 1501, 1502], lambda _: None)
    assert kinds({"first_day": first, "last_day": last, "score": days}) == [("null_burst", "score")]


def test_rows_that_came_late_do_not_hide_the_order_of_the_others() -> None:
    rng = random.Random(9)
    months = [dt.date(2025, 1 + i // 250, 1) for i in range(SIZE)]
    late = some(months, rng.sample(range(SIZE), 12), lambda _: dt.date(2025, 12, 1))
    tax = some([rng.randrange(90) for _ in range(SIZE)], range(1510, 1535), lambda _: None)
    assert kinds({"month": late, "tax": tax}) == [("null_burst", "tax")]
    assert kinds({"month": rng.sample(months, SIZE), "tax": tax}) == []


def test_a_plan_is_a_date_to_come_where_its_rows_have_happened() -> None:
    rng = random.Random(8)
    created = columns(rng)["created_at"]
    planned = [each - dt.timedelta(minutes=rng.randrange(-90, 90)) for each in created]
    later = rng.sample(range(SIZE), 30)
    ahead = some(planned, later, lambda value: value + dt.timedelta(days=900))
    assert kinds({"departed": created, "scheduled_dep": ahead}) == [("future_date", "scheduled_dep")]
    to_come = [None if i in set(later) else each for i, each in enumerate(created)]
    assert kinds({"departed": to_come, "scheduled_dep": ahead}) == []


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


def test_all_others_are_also_the_rows_whose_time_is_wrong() -> None:
    """A tenth of the times are to come: 120 of the 2,730 rows outside have no score, 30 of them of the stretch."""
    times = list(steps(NOW.replace(tzinfo=None) - dt.timedelta(days=400), 3000, 9_000))
    wrong = set(range(0, 3000, 10))
    score = [None if 1000 <= at < 1300 or at % 30 == 0 else at % 7 + 0.5 for at in range(3000)]
    placed = some(times, wrong, lambda time: time + dt.timedelta(days=1500))
    found = next(each for each in suspects({"placed_at": placed, "score": score}) if each.kind == "null_burst")
    assert "100 % of the rows there, 4.4 % of all others" in found.say(270)
