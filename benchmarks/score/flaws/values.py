"""Flaws of single numbers and times: sentinels, outliers, impossible values, dates that are not yet."""

import re
from datetime import date, datetime, timedelta
from typing import Any

import numpy as np

from benchmarks.score import words
from benchmarks.score.plants import Bed, NoPlace, Plant
from benchmarks.score.tables import Column, Table

FEW = 3
"""So many equal values far outside may as well be called outliers."""


def sentinel_value(bed: Bed, rate: float) -> None:
    """Put one value that stands for "missing": digits repeated, a far date, a placeholder, a value far too frequent."""
    form = words.one(bed.rng, ("number", "number", "text", "date", "frequent" if rate >= 0.01 else "number"))
    if form == "text":
        table, column = bed.column(rate, "category")
        value: Any = words.one(bed.rng, [w for w in words.words("placeholders") if w not in column.values])
    elif form == "date":
        table, column = bed.column(rate, "event")
        value = _far_date(bed, column)
    elif form == "frequent":
        table, column = bed.columns(rate, lambda _, c: c.roles >= {"float", "measure"} and len(set(c.values)) > 1500)[0]
        present = [value for value in column.values if value is not None]
        value = round(float(np.quantile(present, bed.rng.uniform(0.3, 0.9))), 2) or 0.01
    else:
        table, column = bed.columns(rate, lambda _, c: "measure" in c.roles)[0]
        value = _repeated_digits(bed, column)
    count = bed.amount(table, rate)
    also = frozenset({"outlier", "impossible_value", "future_date"} if count <= FEW and form != "text" else ())
    _set(bed, table, column, dict.fromkeys(bed.rows(column.values, count), value), "sentinel_value", rate,
         also=also, note=f"{value!r}")  # fmt: skip


def _repeated_digits(bed: Bed, column: Column) -> float:
    """Return -999, 9999, -88.0 or the like: one digit, as often as takes it three times beyond every value."""
    largest = max(abs(value) for value in column.values if value is not None)
    digit, sign = words.one(bed.rng, "9999987"), words.one(bed.rng, (-1, -1, 1))
    length = 2
    while int(digit * length) <= 3 * largest or (length < 3 and bed.rng.random() < 0.5):
        length += 1
    value = sign * int(digit * length)
    return value if column.type in ("integer", "bigint") else float(value)


def _far_date(bed: Bed, column: Column) -> Any:
    years = ((9999, 12, 31), (2999, 12, 31), (1900, 1, 1), (1970, 1, 1), (1899, 12, 30), (1901, 1, 1))
    year, month, day = words.one(bed.rng, years)
    return date(year, month, day) if column.type == "date" else datetime(year, month, day)  # noqa: DTZ001 - none has a zone


def outlier(bed: Bed, rate: float) -> None:
    """Multiply values by a thousand or more: a wrong unit, a lost decimal point."""
    table, column = bed.columns(rate, lambda _, c: "measure" in c.roles and 2000 * _top(c) < _room(c))[0]
    top = _top(column)
    power = int(bed.rng.integers(3, 6))
    while power > 3 and (top * 10**power > 2e7 or 2 * top * 10**power >= _room(column)):
        power -= 1
    rows = bed.rows(column.values, bed.amount(table, rate))
    made = top * 10**power * bed.rng.uniform(0.5, 2, len(rows))
    whole = column.type in ("integer", "bigint")
    drawn = {row: round(value) if whole else round(value, 2) for row, value in zip(rows, made.tolist(), strict=True)}
    _set(bed, table, column, drawn, "outlier", rate, note=f"about {top * 10**power:g}")


def _top(column: Column) -> float:
    present = np.array([float(value) for value in column.values if value is not None])
    return max(float(np.quantile(present, 0.99)), 1.0)


def _room(column: Column) -> float:
    """Return what the column's type can't hold: 10^8 for decimal(10,2); infinity for types that hold any of ours."""
    digits = re.fullmatch(r"decimal\((\d+),(\d+)\)", column.type)
    return float(10 ** (int(digits[1]) - int(digits[2]))) if digits else float("inf")


def impossible_value(bed: Bed, rate: float) -> None:
    """Put what the column's name rules out: a share above 100, a quantity below zero, an angle beyond the circle."""
    table, column = bed.column(rate, "percent", "nonneg", "degrees", "latitude", "longitude")
    count = bed.amount(table, rate)
    limit = {"percent": 100.0, "degrees": 360.0, "latitude": 90.0, "longitude": 180.0}
    bound = next((limit[role] for role in limit if role in column.roles), None)
    whole = column.type in ("integer", "bigint")
    if bound is None:
        drawn = {row: -column.values[row] for row in bed.rows(column.values, count, lambda value: value > 0)}
    else:
        span = words.one(bed.rng, (0.3, 1.0, 4.0))
        beyond = bound * (1 + bed.rng.uniform(0.02, span, count))
        made = [round(value) if whole else round(value, 1) for value in beyond.tolist()]
        drawn = dict(zip(bed.rows(column.values, count), made, strict=True))
    _set(bed, table, column, drawn, "impossible_value", rate, note=f"like {next(iter(drawn.values()))}")


def future_date(bed: Bed, rate: float) -> None:
    """Put times of events that have not happened yet."""
    table, column = bed.column(rate, "event")
    if column.type not in ("date", "timestamp"):
        raise NoPlace
    rows = bed.rows(column.values, bed.amount(table, rate))
    ahead = bed.rng.uniform(20, 900, len(rows)).tolist()
    moments = [bed.now.replace(microsecond=0) + timedelta(days=round(days), seconds=int(days * 977)) for days in ahead]
    drawn = {row: at.date() if column.type == "date" else at for row, at in zip(rows, moments, strict=True)}
    _set(bed, table, column, drawn, "future_date", rate)


def _set(
    bed: Bed, table: Table, column: Column, drawn: dict[int, Any], kind: str, rate: float,
    also: frozenset[str] = frozenset(), note: str = "",
) -> None:  # fmt: skip
    values = [drawn.get(row, value) for row, value in enumerate(column.values)]
    plant = Plant(kind, table.name, (column.name,), rate, len(drawn), len(drawn), also=also, note=note)
    bed.put(table, [column.holding(values)], plant)
