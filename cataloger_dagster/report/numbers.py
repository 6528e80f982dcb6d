"""How values are written for readers: grouping, precision, dates, shares. No HTML is made here."""

import math
import re
from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal, InvalidOperation

from cataloger_dagster.facts import Column, Facts, Scalar

# Narrow no-break spaces and the like would be nicer typography and worse to copy into a query.
_IDENTIFIER = re.compile(
    r"(^|_)(id|ids|key|uuid|guid|code|no|num|nr|number|zip|zipcode|postcode|plz|phone|isbn|ean|sku)$"
)
_YEAR = re.compile(r"(^|_)(year|years?|yr|jahr|annee|ano)(_|$)|year$")
_NUMBER = re.compile(r"-?\d+(\.\d+)?([eE][-+]?\d+)?")
_TIME = re.compile(r"(\d{4,}-\d{2}-\d{2})[T ](\d{2}:\d{2})(:\d{2})?(\.\d+)?(Z|[+-]\d{2}:?\d{2})?")
COUNTS = frozenset({"nulls", "distinct", "rows", "columns", "orphans", "top_count"})
MINUS = "−"


def is_number(value: Scalar) -> bool:
    """Say whether *value* is a number, or the text of one that JSON can't hold."""
    if isinstance(value, bool) or value is None:
        return False
    return isinstance(value, int | float) or bool(_NUMBER.fullmatch(value))


def as_float(value: Scalar) -> float | None:
    """Return *value* on a number line: numbers as they are, dates and times as seconds; null where it has no place."""
    if value is None or isinstance(value, bool):
        return None
    if isinstance(value, int | float) or _NUMBER.fullmatch(value):
        number = float(value)
    else:
        try:
            number = datetime.fromisoformat(value).replace(tzinfo=None).timestamp()
        except (ValueError, OverflowError, OSError):
            return None
    return number if math.isfinite(number) else None


def ungrouped(facts: Facts) -> frozenset[tuple[str, str]]:
    """Return the columns (by table and name) whose digits are never grouped: identifiers, keys, years."""
    found = {(t.name, c.name) for t in facts.tables for c in t.columns if is_ungrouped(c)}
    keyed = {(t.name, name) for t in facts.tables for key in [*t.keys, t.primary_key or []] for name in key}
    keyed |= {(end[0], name) for r in facts.references for end in (r.from_, r.to) for name in end[1]}
    return frozenset(found | keyed)


def is_ungrouped(column: Column) -> bool:
    """Say whether a column's name or values alone tell that they are identifiers, years or times of day (HHMM)."""
    name = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", column.name).lower()
    if _IDENTIFIER.search(name) or column.semantic_type in ("identifier", "id", "key", "year", "code", "postcode"):
        return True
    if _YEAR.search(name) or column.semantic_type == "year":
        return True
    low, high = column.min, column.max
    if not isinstance(low, int) or not isinstance(high, int):
        return False
    # Whole numbers between 1800 and 2100 alone are years, whatever the column is called.
    return (low >= 1800 and high <= 2100) or (name.endswith("time") and low >= 0 and 1000 < high <= 2400)


def format_value(value: Scalar, *, grouped: bool = True, width: int | None = None) -> str:
    """Return *value* as a reader sees it; *width* cuts long text at so many characters."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return _signed(f"{value:,}" if grouped else str(value))
    if isinstance(value, float):
        return _signed(_float(value, grouped))
    if _NUMBER.fullmatch(value) and len(value) > 15:
        return _signed(_decimal(value, grouped))
    if time := _TIME.fullmatch(value):
        day, minute, second, fraction, zone = time.groups()
        if minute == "00:00" and (second or ":00") == ":00" and not fraction:
            return day + (f" {minute} {zone}" if zone and zone != "Z" else "")
        shown = f"{day} {minute}" + (second if second and (second != ":00" or fraction) else "")
        return shown + (f" {zone}" if zone and zone != "Z" else "")
    text = re.sub(r"\s+", " ", value)
    return text if width is None or len(text) <= width else text[: width - 1] + "…"


def _signed(text: str) -> str:
    return MINUS + text[1:] if text.startswith("-") else text


def _float(value: float, grouped: bool) -> str:
    if not math.isfinite(value):
        return str(value)
    size = abs(value)
    if size and (size >= 1e15 or size < 1e-4):
        return f"{value:.4g}"
    if value == int(value):
        return f"{int(value):,}" if grouped else str(int(value))
    digits = 2 if size >= 1 else 4 - math.floor(math.log10(size)) - 1
    text = f"{value:,.{digits}f}" if grouped else f"{value:.{digits}f}"
    return text.rstrip("0").rstrip(".")


def _decimal(value: str, grouped: bool) -> str:
    try:
        number = Decimal(value)
    except InvalidOperation:
        return value
    if number == number.to_integral_value():
        number = number.to_integral_value()
    return f"{number:,f}" if grouped else f"{number:f}"


def format_decimal(value: Scalar, *, grouped: bool = True) -> str:
    """Return a value of a decimal column as a reader sees it: without the zeros that fill its scale."""
    if not isinstance(value, str) or not _NUMBER.fullmatch(value):
        return format_value(value, grouped=grouped)
    text = _decimal(value, grouped)
    return _signed(text.rstrip("0").rstrip(".") if "." in text else text)


def format_fact(value: Scalar, fact: str, *, grouped: bool) -> str:
    """Return the value of a fact: counts are always grouped, a column's own values if *grouped*."""
    return format_value(value, grouped=grouped or fact in COUNTS or fact.endswith("_length"))


def format_named(value: Scalar, name: str) -> str:
    """Return the value of a claim that was given *name* by ``fact()``: an id or a year in the name tells its kind."""
    plain = name.lower().replace('"', "")
    ungrouped = bool(_IDENTIFIER.search(plain) or _YEAR.search(plain.replace(".", "_")))
    return format_value(value, grouped=not ungrouped)


def share(part: int, whole: int) -> str:
    """Return a share in per cent; a part that is there never shows as 0 %, one that is short never as 100 %."""
    percent = 100 * part / whole if whole else 0.0
    if not part or part >= whole:
        return f"{percent:.0f} %"
    if percent < 0.1:
        return "< 0.1 %"
    if percent > 99.9:
        return "> 99.9 %"
    return f"{percent:.0f} %" if 10 <= percent < 99 else f"{percent:.1f} %"


def per_cent(error: float) -> str:
    """Return an error in per cent, rounded up: it must not look smaller than it is."""
    percent = math.ceil(round(1000 * error, 6)) / 10
    return f"{percent:.0f} %" if percent >= 10 or percent == int(percent) else f"{percent:.1f} %"


def day_and_time(at: str) -> str:
    """Return an ISO time as ``31 Dec 2013, 23:59 UTC``."""
    time = datetime.fromisoformat(at)
    return f"{time.day} {time:%b %Y, %H:%M} UTC"


def day(at: str) -> str:
    """Return an ISO time as ``31 Dec 2013``."""
    time = datetime.fromisoformat(at)
    return f"{time.day} {time:%b %Y}"


def apart(times: Sequence[str], *, clock: bool = False) -> dict[str, str]:
    """Return how to call *times* so that they differ: by the day, else with hours and minutes, else with seconds.

    With *clock* they always have hours and minutes, and the time zone.
    """
    parsed = {at: datetime.fromisoformat(at) for at in times}
    called: dict[str, str] = {}
    patterns = ("%b %Y", "%b %Y, %H:%M", "%b %Y, %H:%M:%S", "%b %Y, %H:%M:%S.%f")
    for pattern in (f"{one} UTC" for one in patterns[1:]) if clock else patterns:
        called = {at: f"{time.day} {time.strftime(pattern)}" for at, time in parsed.items()}
        if len(set(called.values())) == len(called):
            break
    return called


def span(start: str, end: str) -> str:
    """Return about how long it is from one ISO time to a later one, in the largest unit that fits."""
    seconds = max((datetime.fromisoformat(end) - datetime.fromisoformat(start)).total_seconds(), 0.0)
    for unit, size in (("day", 86_400), ("hour", 3_600), ("minute", 60)):
        # What runs once a day does not run to the second.
        if seconds >= 0.95 * size:
            return count(round(seconds / size), unit)
    return count(round(seconds), "second") if round(seconds) else "less than a second"


def duration(seconds: float) -> str:
    """Return seconds as ``0.4 s``, ``85 s`` or ``12 min``."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"


def count(number: int, noun: str) -> str:
    """Return ``1 table``, ``5 tables``."""
    plural = (
        noun if number == 1 else noun[:-1] + "ies" if noun.endswith("y") and noun[-2] not in "aeiou" else noun + "s"
    )
    return f"{number:,} {plural}"
