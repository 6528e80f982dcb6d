"""Numbers: sentinels, impossible values and outliers are told, and told apart; tails, codes and clocks are not."""

import functools
import math
import random
from decimal import Decimal
from typing import Any

import pytest

from tests.sandbox_image.flaws.looks import kinds, some, suspects

SIZE = 3000
RATES = [0.001, 0.01, 0.1]


def places(rng: random.Random, rate: float) -> list[int]:
    return rng.sample(range(SIZE), max(1, round(SIZE * rate)))


def columns(rng: random.Random) -> dict[str, list[Any]]:
    """Return numbers as they are in tables, none of them wrong."""
    n = range(SIZE)
    return {
        "amount": [round(math.exp(rng.gauss(4, 1.2)), 2) for _ in n],
        "population": [int(1000 * rng.paretovariate(1.0)) for _ in n],
        "clicks": [0 if rng.random() < 0.9 else int(rng.paretovariate(1.2)) for _ in n],
        "quantity": [1 + int(rng.expovariate(0.5)) for _ in n],
        "temperature": [round(rng.gauss(12, 9), 1) for _ in n],
        "two_humps": [rng.gauss(20, 3) if rng.random() < 0.7 else rng.gauss(400, 20) for _ in n],
        "discount_pct": [rng.choice([0, 0, 0, 5, 10, 20, 50, 100]) for _ in n],
        "growth_pct": [round(rng.gauss(4, 70), 1) for _ in n],
        "dep_time": [100 * rng.randrange(24) + rng.randrange(60) for _ in n],
        "year": [rng.randrange(1950, 2026) for _ in n],
        "age": [max(0, min(90, int(rng.gauss(45, 18)))) for _ in n],
        "price": [rng.choice([9.99, 19.99, 99.99, 999.0, 4.5, 12.0, 99.0, 49.0, 250.0, 1.99]) for _ in n],
        "balance": [round(rng.gauss(90, 60), 2) for _ in n],
        "rating": rng.choices([1, 2, 3, 4, 5], [1, 2, 5, 30, 62], k=SIZE),
        "vote": rng.choices([-1, 0, 1], [5, 10, 85], k=SIZE),
        "refunded_amount": [round(rng.gauss(50, 5), 2) * (-1 if rng.random() < 0.03 else 1) for _ in n],
        "error_code": rng.choices([0, 1, 2, 404, 500, 503], [90, 4, 3, 2, 0.6, 0.4], k=SIZE),
        "tz_offset": rng.choices([-8, -7, -6, -5, -1, 0, 1, 2], k=SIZE),
    }


@functools.cache
def ordinary(column: str) -> dict[str, list[Any]]:
    """Return the same again for all who change *column*: to make them up takes longer than to judge them."""
    return columns(random.Random(column))


@pytest.mark.parametrize("seed", range(3))
def test_ordinary_numbers_are_no_flaws(seed: int) -> None:
    assert kinds(columns(random.Random(seed))) == []


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize(
    ("column", "value"),
    [("temperature", -999.0), ("quantity", -1), ("quantity", 999999), ("amount", 99999.0), ("year", 9999)],
)
def test_a_value_that_stands_for_none_is_told_with_its_value(column: str, value: float, rate: float) -> None:
    rng = random.Random(f"{column}{value}{rate}")
    values = some(ordinary(column)[column], [*places(rng, rate), 1, 2, 3], lambda _: value)
    (found,) = suspects({column: values})
    assert (found.kind, found.columns) == ("sentinel_value", [column])
    assert f"{value:g}" in found.say(7).replace(",", "")


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("column", ["amount", "temperature", "quantity", "balance"])
def test_values_orders_of_magnitude_off_are_outliers(column: str, rate: float) -> None:
    rng = random.Random(f"{column}{rate}")
    values = some(
        ordinary(column)[column], places(rng, rate), lambda value: round(value * rng.uniform(2000, 9000) + 99.5, 2)
    )
    assert ("outlier", column) in kinds({column: values})


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize(
    ("column", "change"),
    [
        ("discount_pct", lambda value: value + 120),
        ("quantity", lambda value: -5 - value),
        ("age", lambda value: value + 150),
        ("turnaround", lambda value: -value),
        ("latitude", lambda value: value + 80),
        ("month", lambda _: 13),
        ("wind_dir", lambda value: value + 500),
        ("duration_minute", lambda value: -value),
    ],
)
def test_values_that_the_name_and_the_bulk_rule_out_are_impossible(column: str, change: Any, rate: float) -> None:
    rng = random.Random(f"{column}{rate}")
    clean = ordinary(column) | {
        "turnaround": [rng.randrange(30, 90) for _ in range(SIZE)],
        "latitude": [rng.gauss(50, 6) for _ in range(SIZE)],
        "month": [rng.randrange(1, 13) for _ in range(SIZE)],
        "wind_dir": [rng.randrange(-170, 180) for _ in range(SIZE)],
        "duration_minute": [rng.randrange(5, 240) for _ in range(SIZE)],
    }
    values = some(clean[column], places(rng, rate), change)
    assert kinds({column: values}) == [("impossible_value", column)]


@pytest.mark.parametrize(
    ("column", "make"),
    [
        ("age", lambda rng: int(rng.triangular(0, 150, 10))),  # of houses
        ("age", lambda rng: int(abs(rng.gauss(50, 38)))),  # in months
        ("wage", lambda rng: round(rng.gauss(1.65, 0.75), 6)),  # its logarithm
        ("aspect_ratio", lambda rng: round(rng.gauss(0.8, 0.15), 4)),
        ("income", lambda rng: round(rng.uniform(1, 3) * (-1 if rng.random() < 0.004 else 1), 4)),
    ],
)
def test_what_passes_a_bound_by_nature_is_possible(column: str, make: Any) -> None:
    rng = random.Random(column)
    assert "impossible_value" not in [kind for kind, _ in kinds({column: [make(rng) for _ in range(SIZE)]})]


def test_an_age_that_nobody_reaches_is_impossible_beside_very_old_persons() -> None:
    rng = random.Random("old")
    ages = [rng.randrange(0, 90) for _ in range(SIZE - 4)] + [101, 103, 104, 138]
    assert kinds({"age": ages}) == [("impossible_value", "age")]


def test_the_more_specific_kind_takes_the_rows() -> None:
    rng = random.Random(5)
    values = some(columns(rng)["quantity"], range(10, 30), lambda _: -999)
    values = some(values, range(100, 110), lambda value: -value)
    values = some(values, range(200, 204), lambda _: 4_000_000 + rng.randrange(1000))
    found = {suspect.kind: suspect.where for suspect in suspects({"quantity": values})}
    assert list(found) == ["sentinel_value", "impossible_value", "outlier"]
    assert "NOT IN (-999)" in found["impossible_value"]


@pytest.mark.parametrize("value", [-77, -88, 88])
def test_the_codes_of_surveys_stand_for_none_where_no_other_number_is_near(value: int) -> None:
    hours = [round(random.Random(i).uniform(0, 25), 1) for i in range(SIZE)]
    assert kinds({"overtime": some(hours, [5, 900, 1700], lambda _: value)}) == [("sentinel_value", "overtime")]
    ages = [float(random.Random(i).randrange(18, 101)) for i in range(SIZE)]
    assert kinds({"age": ages}) == []


@pytest.mark.parametrize("rate", RATES[1:])
def test_one_measurement_far_more_often_than_any_around_it_may_stand_for_none(rate: float) -> None:
    rng = random.Random(f"{rate}")
    measured = [round(rng.uniform(60, 500), 1) for _ in range(SIZE)]
    (found,) = suspects({"distance": some(measured, places(rng, rate), lambda _: 311.7)})
    assert (found.kind, found.columns) == ("sentinel_value", ["distance"])
    assert "BETWEEN 311.69" in found.where
    assert "no other value comes more than" in found.say(3)


def test_numbers_that_people_round_and_prices_and_where_an_instrument_stops_stand_for_themselves() -> None:
    rng = random.Random(7)
    measured = [round(rng.uniform(60, 500), 1) for _ in range(SIZE)]
    rounded = some(measured, range(0, SIZE, 3), lambda value: float(round(value, -2)))
    assert kinds({"distance": rounded}) == []
    assert kinds({"distance": [min(value, 400.3) for value in measured]}) == []
    assert kinds({"distance": [min(value, 400.3) if i % 50 else value for i, value in enumerate(measured)]}) == []
    assert kinds({"distance": some(measured, range(0, SIZE, 9), lambda _: 0.0)}) == []
    assert kinds({"fee": some(measured, range(0, SIZE, 9), lambda _: 311.7)}) == []
    few = [float(rng.choice([10.5, 20.5, 30.5, 40.5])) for _ in range(SIZE)]
    assert kinds({"distance": some(few, range(0, SIZE, 2), lambda _: 50.5)}) == []


def test_numbers_below_zero_are_flipped_only_where_they_are_as_large_as_the_others() -> None:
    rng = random.Random(8)
    sizes = [round(rng.gauss(9, 2), 2) for _ in range(SIZE)]
    assert kinds({"reading": some(sizes, range(0, SIZE, 60), lambda value: -value)}) == [
        ("impossible_value", "reading")
    ]
    logs = [round(rng.gauss(1.2, 0.52), 4) for _ in range(SIZE)]
    assert kinds({"lwg": logs}) == []
    assert kinds({"lat": some(sizes, range(0, SIZE, 60), lambda value: -value)}) == []


def test_a_decimal_stands_in_a_sentence_as_other_numbers_do() -> None:
    rng = random.Random(4)
    values = [Decimal(f"{math.exp(rng.gauss(4, 1)):.2f}") for _ in range(SIZE)]
    values[7] = Decimal("122426726.760000")
    (found,) = suspects({"cost": values})
    assert found.kind == "outlier"
    assert "up to 122,426,726.76, where half of the values are below 5" in found.say(1)


def test_a_second_kind_of_things_is_no_outlier() -> None:
    rng = random.Random(9)
    courses = [rng.choice([100, 101, 103, 110, 112, 120, 121, 122, 124, 126, 128]) for _ in range(SIZE)]
    assert kinds({"course": some(courses, range(0, SIZE, 60), lambda _: rng.choice([230, 331, 398]))}) == []
    off = some(courses, range(0, SIZE, 60), lambda _: rng.randrange(230_000, 398_000))
    assert kinds({"course": off}) == [("outlier", "course")]


def test_what_a_name_bounds_is_no_outlier_within_the_bounds() -> None:
    rng = random.Random(10)
    places = [round(rng.gauss(-95, 3), 4) for _ in range(SIZE)]
    off = some(places, [5, 6, 7], lambda value: value + 240)
    assert kinds({"longitude": off}) == []
    assert kinds({"reading": off}) != []
    assert kinds({"longitude": some(places, [5, 6, 7], lambda value: value + 400)}) == [
        ("impossible_value", "longitude")
    ]


@pytest.mark.parametrize("way", [1, -1])
def test_what_is_as_large_on_the_other_side_is_no_outlier_on_this(way: int) -> None:
    """Payments out of an account, some of them large, and a few in: none is larger than the largest out."""
    rng = random.Random(11)
    out = [round(-math.exp(rng.gauss(3.5, 1.2)) - (900 * rng.paretovariate(1.1) if rng.random() < 0.05 else 0), 2)
           for _ in range(SIZE)]  # fmt: skip
    assert min(out) < -20_000
    few = set(range(0, SIZE, 200))
    account = some(out, few, lambda _: round(rng.uniform(4_000, 6_000), 2))
    assert kinds({"amount": [way * each for each in account]}) == []
    beyond = some(out, few, lambda _: round(rng.uniform(4_000_000, 6_000_000), 2))
    assert kinds({"amount": [way * each for each in beyond]}) == [("outlier", "amount")]


def test_the_numbers_of_keys_are_no_quantities() -> None:
    rng = random.Random(6)
    ids = some([rng.randrange(1000, 9000) for _ in range(SIZE)], [5, 6], lambda _: 80_000_000)
    assert kinds({"customer_id": ids}) == []


def test_of_a_few_rows_nothing_is_said() -> None:
    assert kinds({"amount": [1.0, 2.0, 3.0, 4000.0], "quantity": [1, 2, -3, 4]}) == []
