"""How a database's value becomes JSON, the same way everywhere: in a profile, in a claim, in a verification.

Decimals and integers beyond 2^53 become strings, dates ISO 8601, NaN and the infinities the strings ``NaN``,
``Infinity``, ``-Infinity``; bytes never appear. No SQL and no I/O here.
"""

import json
import math
import re
from collections.abc import Mapping, Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from types import NoneType
from typing import Any

Scalar = int | float | str | bool | None
Value = Scalar | list[Any]
"""What a query's field becomes: a scalar, or a list of them (top values, bins) inside the kit."""

SAFE_INTEGER = 2**53
TEXT_LIMIT = 200

_SURROGATE = re.compile("[\ud800-\udfff]")
_USUAL_TIME = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(?:\.\d+)?")
_TIME = re.compile(
    r"(?:(?P<date>\d{4,}-\d\d-\d\d)(?P<bc1> \(BC\))?)?(?P<gap>[ T])?"
    r"(?P<clock>\d\d:\d\d:\d\d(?:\.\d+)?)?(?P<zone>[+-]\d\d(?::\d\d(?::\d\d)?)?)?(?P<bc2> \(?BC\)?)?"
)


def encode(value: Any) -> Value:
    """Return *value* as JSON-ready data; lists keep their form, other nested values become JSON text."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int):
        return value if -SAFE_INTEGER <= value <= SAFE_INTEGER else str(value)
    if isinstance(value, float):
        return _number(value)
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode("utf-8")
    if isinstance(value, Decimal):
        return format(value, "f") if value.is_finite() else _number(float(value))
    if isinstance(value, bytes | bytearray | memoryview):
        return None
    if isinstance(value, datetime | date | time):
        return iso(value.isoformat(" ") if isinstance(value, datetime) else value.isoformat())
    if isinstance(value, timedelta):
        return str(value)
    if isinstance(value, list | tuple):
        return [encode(item) for item in value]
    if isinstance(value, Mapping):
        return json.dumps({str(key): encode(item) for key, item in value.items()}, ensure_ascii=False)
    if hasattr(value, "item"):  # a NumPy scalar
        return encode(value.item())
    return str(value)


def encode_rows(rows: Sequence[Sequence[Any]]) -> list[list[Value]]:
    """Return *rows* with every value encoded, column by column: the values of one are mostly of one type."""
    columns = [encode_column(values) for values in zip(*rows, strict=True)]
    return [list(row) for row in zip(*columns, strict=True)]


def encode_column(values: Sequence[Any]) -> list[Value]:
    """Return each of *values* encoded; those of types that stay as they are, are not looked at one by one."""
    kinds = {*map(type, values)} - {NoneType}
    if len(kinds) > 1 or not _stays(next(iter(kinds), bool), values):
        return [encode(value) for value in values]
    return list(values)


def _stays(kind: type, values: Sequence[Any]) -> bool:
    """Tell whether ``encode`` changes none of *values*, which are of one *kind* or null."""
    if kind is bool:
        return True
    filled = [value for value in values if value is not None]
    if kind is int:
        return bool(min(filled) >= -SAFE_INTEGER and max(filled) <= SAFE_INTEGER)
    if kind is float:
        return all(map(math.isfinite, filled))
    return kind is str and not _SURROGATE.search("".join(filled))


def scalar(value: Value) -> Scalar:
    """Return *value* as the page shows it: a list as JSON text, text cut at 200 characters with an ellipsis."""
    if isinstance(value, list):
        value = json.dumps(value, ensure_ascii=False)
    if isinstance(value, str) and len(value) > TEXT_LIMIT:
        return value[:TEXT_LIMIT] + "…"
    return value


def iso(text: str) -> str:
    """Return an engine's text of a date, time or timestamp in ISO 8601; a year before 1 is counted as ISO does."""
    if _USUAL_TIME.fullmatch(text):
        return text.replace(" ", "T")
    if text in ("infinity", "-infinity"):
        return text.replace("infinity", "Infinity")
    match = _TIME.fullmatch(text)
    if match is None:
        return text
    day, clock, zone = match["date"], match["clock"], match["zone"]
    if day and (match["bc1"] or match["bc2"]):
        year, rest = day.split("-", 1)
        day = f"-{int(year) - 1:04d}-{rest}" if int(year) > 1 else f"0000-{rest}"
    if zone:
        zone = "Z" if set(zone) <= set("+-0:") else zone if len(zone) > 3 else zone + ":00"
    return ("T" if day and clock else "").join(part for part in (day, clock) if part) + (zone or "")


def number(value: Value) -> float | None:
    """Return an encoded number as a finite float, or null where it is none."""
    if isinstance(value, str):
        try:
            value = float(value)
        except ValueError:
            return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return float(value)


def _number(value: float) -> Scalar:
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    return value
