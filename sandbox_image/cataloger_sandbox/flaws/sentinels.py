"""Values that stand for "missing": far outside of what else a column holds, or far too frequent within it.

Which values people write for that: the nines, -1, the ends of the machine's integers, the first and last days that
systems know, and words. A value is one only where the column itself says so, by its range and its counts.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from cataloger_sandbox.flaws.look import DAY, Column, Look, Suspect, is_one_of
from cataloger_sandbox.flaws.phrases import counted, listed, verb
from cataloger_sandbox.flaws.shapes import is_code_among, style
from cataloger_sandbox.flaws.tails import poisson_tail

LEAST = 20
"""Of fewer values nothing is said."""

MEASURED = 100
"""A column of fewer different numbers is not measured: some of its values come often."""

EDGE = 4
"""So many times as far apart values lie beyond an edge as before it."""

LEAST_SAME, ROUND = 8, 5
"""So often a value within the range comes at least that may be no measurement, and so many others are as round."""

_ENDS = {2**31 - 1, -(2**31), 2**15 - 1, -(2**15), 2**16 - 1, 2**32 - 1, -(2**63), 2**63 - 1}
_REPEATED = {float(digit * count) for digit in "987" for count in range(2, 13)}
_WITH_PLACES = {float(f"{'9' * count}.{'9' * places}") for count in range(2, 9) for places in (1, 2, 3)}
_PLACEHOLDERS = frozenset(
    {-1.0, -9.0} | set(map(float, _ENDS)) | {sign * each for each in _REPEATED | _WITH_PLACES for sign in (1, -1)}
)
_SORTED = np.array(sorted(_PLACEHOLDERS))
_DAYS = {"9999-12-31", "9999-12-30", "9999-01-01", "9999-09-09", "8888-08-08", "2999-12-31", "2999-01-01"} | {
    "2099-12-31",
    "2100-01-01",
    "2100-12-31",
    "3000-01-01",
    "1970-01-01",
    "1969-12-31",
    "1900-01-01",
    "1899-12-30",
    "1899-12-31",
    "1800-01-01",
    "1753-01-01",
    "1600-01-01",
    "1111-11-11",
    "1000-01-01",
    "0001-01-01",
    "2000-01-01",
    "1980-01-01",
}

# Words that nobody has as a value, and words that may be one: a country (NA), a payment method (none).
_STRONG = re.compile(
    r"#?n/a!?|<?n\.a\.?>?|\(?<?null>?\)?|nan|nil|#n/d|\(none\)|\(blank\)|\[blank\]"
    r"|not (?:available|applicable|specified|stated|given|provided|recorded|reported|entered)"
    r"|n/d|s/d|s/o|o\.a\.|sin datos?|brak|ohne angabe|nicht bekannt|non disponible"
    r"|undefined|-+|\?+|\.|_+|\*+|not known|no data|no value|keine angabe|k\.a\.|\\n|0000-00-00( 00:00:00)?"
    r"|tbd|tba|tbc|-?9{3,}|9999-12-31|1900-01-01|1970-01-01",
    re.IGNORECASE,
)
_WEAK = re.compile(
    r"na|none|unknown|unkn|missing|xxx+|test|empty|blank|not set|unspecified|unbekannt|inconnu|desconocido",
    re.IGNORECASE,
)
_SIGNED = {
    "change",
    "delta",
    "diff",
    "difference",
    "balance",
    "offset",
    "net",
    "gain",
    "profit",
    "margin",
    "growth",
} | {
    "delay",
    "temp",
    "temperature",
    "lat",
    "lon",
    "latitude",
    "longitude",
    "direction",
    "sign",
    "vote",
    "sentiment",
}
_PRICED = {"price", "amount", "cost", "fee", "total", "msrp", "rate", "revenue", "salary"}


def sentinel_values(look: Look) -> Iterator[Suspect]:
    """Yield the columns in which some values stand for none."""
    for column in look.of_kind("number"):
        if column.filled >= LEAST and (found := _numbers(look, column)):
            yield _suspect(look, column, found)
    for column in look.of_kind("number"):
        if (value := _default(look, column)) is not None:
            yield _suspect_default(look, column, value)
    for column in look.of_kind("time"):
        if column.filled >= LEAST and (found := _times(look, column)):
            yield _suspect(look, column, found)
    for column in look.of_kind("text"):
        if column.filled >= LEAST and (found := _texts(column)):
            yield _suspect(look, column, found)


def _suspect(look: Look, column: Column, found: list[Any]) -> Suspect:
    column.take(found)
    # What stands for nobody's value is nobody's.
    values = listed(replace(column, profile={}), found).replace("“”", "an empty text")
    name, table = column.name, look.profile.name

    def say(rows: int) -> str:
        return (
            f"{counted(rows, look)} of {table} {verb(rows, 'has', 'have')} {values} in {name}, "
            f"which {verb(len(found), 'stands', 'stand')} for a missing value."
        )

    severity = "low" if column.kind == "text" else "medium"
    return Suspect("sentinel_value", [name], severity, is_one_of(column, found), say)  # type: ignore[arg-type]


def _suspect_default(look: Look, column: Column, value: Any) -> Suspect:
    column.take([value])
    shown = listed(replace(column, profile={}), [value])
    others = max(count for other, count in column.free.items() if other != 0)

    def say(rows: int) -> str:
        return (
            f"{counted(rows, look)} of {look.profile.name} {verb(rows, 'has', 'have')} {shown} in {column.name}, where "
            f"no other value comes {'' if look.whole else 'about '}more than {others:,} times: it may stand for a "
            f"missing one, or for all beyond a limit."
        )

    return Suspect("sentinel_value", [column.name], "low", is_one_of(column, [value]), say)


def _default(look: Look, column: Column) -> Any:
    """Return the one value within a column's range that comes so often as no measurement would; null if none does.

    Of measured values each is rare, and the values around one tell how often it should come: that it comes so much
    more often is told by the Poisson distribution's tail. Values written with fewer digits come more often by nature,
    as people round, and so do the ends, where an instrument stops, and zero: a value must be far more frequent than any
    as round as it is. Prices are set, and one may be everybody's.
    """
    if column.field.integer or column.words & _PRICED or look.names(column):
        return None
    values, numbers, counts = column.ordered()
    if len(values) < MEASURED or len(values) < 0.2 * counts.sum() or np.all(numbers == np.round(numbers)):
        return None
    inner = np.flatnonzero(numbers != 0)[1:-1]
    values, numbers, counts = [values[at] for at in inner], numbers[inner], counts[inner]
    at = int(np.argmax(counts))
    places = np.array([_places(value) for value in values])
    others = np.arange(len(values)) != at
    as_round = counts[others & (places <= places[at])]
    near = np.delete(counts, at)[max(0, at - 10) : at + 10]
    if counts[at] < LEAST_SAME or counts[at] < 2 * counts[others].max() or len(as_round) < ROUND:
        return None
    if counts[at] < 4 * as_round.max() or poisson_tail(counts[at], 2 * near.mean()) > look.alpha:
        return None
    return None if _is_edge(numbers, at) else values[at]


def _is_edge(numbers: Any, at: int) -> bool:
    """Tell whether values lie close on one side of one and far apart on the other: there what is measured ends."""
    below, above = numbers[at] - numbers[max(0, at - 10)], numbers[min(len(numbers) - 1, at + 10)] - numbers[at]
    return bool(min(below, above) * EDGE < max(below, above))


def _places(value: Any) -> int:
    """Return how many digits a number has after the point."""
    text = str(value)
    return len(text.partition(".")[2].rstrip("0")) if "e" not in text else len(text)


def _numbers(look: Look, column: Column) -> list[Any]:
    values, numbers, counts = column.ordered()
    if len(values) < 4 or column.name in look.profile.unique:
        return []
    usual = ~np.isin(numbers, _SORTED)
    if usual.sum() < 3 or counts[usual].sum() < 0.3 * counts.sum():
        return []
    rest, rest_counts = numbers[usual], counts[usual]
    low, high = _quantile(rest, rest_counts, 0.05), _quantile(rest, rest_counts, 0.95)
    width, median = max(high - low, 1e-12), _quantile(rest, rest_counts, 0.5)
    found = []
    for index in np.flatnonzero(~usual):
        value, number, count = values[index], numbers[index], counts[index]
        gap = max(rest[0] - number, number - rest[-1])
        extent = median - rest[0] if number < median else rest[-1] - median
        apart = 20 if number > 0 and column.words & _PRICED else 1  # 999 is a price as well
        enough = count >= 2 or abs(number) >= 999
        if (gap > apart * max(width, 0.5 * extent) and enough) or (
            _is_lone_negative(column, number, count, rest, rest_counts)
            or _is_spike(look, column, number, count, rest, rest_counts)
        ):
            found.append(value)
    for end in (0, -1):  # a value of no known form, but the same one each time and far from the rest
        inner = numbers[1:] if end == 0 else numbers[:-1]
        if counts[end] < 8 or values[end] in found or len(inner) < 10 or numbers[end] == 0:
            continue
        gap = abs(numbers[end] - (inner[0] if end == 0 else inner[-1]))
        others = np.delete(counts, end)
        if counts[end] >= max(8, 10 * np.quantile(others, 0.9)) and gap > 3 * width + 0.5 * (inner[-1] - inner[0]):
            found.append(values[end])
    return found


def _is_lone_negative(column: Column, number: float, count: float, rest: Any, rest_counts: Any) -> bool:
    """Tell whether -1 or -9 is the only number below zero, and no end of a tail that thins out."""
    if number not in (-1.0, -9.0) or rest[0] < 0 or column.words & _SIGNED or len(rest) < 10 or count < 3:
        return False
    near = rest_counts[:3]
    thins_out = rest[0] <= 1 and len(near) == 3 and near[0] < 0.7 * near[1] < near[2] and count <= near[0]
    return not thins_out


def _is_spike(look: Look, column: Column, number: float, count: float, rest: Any, rest_counts: Any) -> bool:
    """Tell whether a number comes far more often than those around it."""
    if count < 5 or number != round(number) or (number > 0 and column.words & _PRICED) or abs(number) < 99:
        return False
    at = int(np.searchsorted(rest, number))
    near = rest_counts[max(0, at - 10) : at + 10]
    usual = max(float(near.max()), 1.0) if len(near) else 1.0
    return bool(count > 5 * usual and poisson_tail(count, usual) < look.alpha)


_NEAR = 60 * DAY


def _times(look: Look, column: Column) -> list[Any]:
    values, numbers, counts = column.ordered()
    infinite = [value for value in column.free if "infinity" in str(value).lower()]
    days = np.array([str(value)[:10] for value in values])
    usual = np.array([day not in _DAYS for day in days], dtype=bool)
    if usual.sum() < 3:
        return infinite
    rest, rest_counts = numbers[usual], counts[usual]
    width = _quantile(rest, rest_counts, 0.95) - _quantile(rest, rest_counts, 0.05)
    found = list(infinite)
    by_day: dict[str, float] = {}
    for day, count in zip(days, counts, strict=True):
        by_day[str(day)] = by_day.get(str(day), 0.0) + count
    for day in sorted(set(days[~usual])):
        number = float(numbers[days == day][0])
        count = by_day[str(day)]
        gap = max(rest[0] - number, number - rest[-1])
        far = gap > max(0.5 * width, 365 * DAY)
        if far or _is_frequent_day(look, str(day), count, number, rest, rest_counts, by_day):
            found += [value for value, own in zip(values, days, strict=True) if own == day]
    return found or _lone_day(days, numbers, by_day, values)


def _lone_day(days: Any, numbers: Any, by_day: Mapping[str, float], values: list[Any]) -> list[Any]:
    """Return the values of a first or last day that is far from all others and comes far more often.

    Of one very far away a few are enough: times that are wrong by themselves are not all of one day.
    """
    for end in (days[0], days[-1]):
        inner = numbers[days != end]
        others = np.array([count for day, count in by_day.items() if day != end])
        if by_day[str(end)] < 3 or len(others) < 10:
            continue
        at, reach = float(numbers[days == end][0]), max(inner[-1] - inner[0], 365 * DAY)
        gap = max(inner[0] - at, at - inner[-1])
        often = by_day[str(end)] >= max(8, 10 * float(np.quantile(others, 0.9)))
        if gap > (reach if often else 10 * reach):
            return [value for value, own in zip(values, days, strict=True) if own == end]
    return []


def _is_frequent_day(
    look: Look, day: str, count: float, number: float, rest: Any, rest_counts: Any, by_day: Mapping[str, float]
) -> bool:
    near = rest_counts[np.abs(rest - number) < _NEAR]
    most, mean = (float(near.max()), float(near.sum()) * DAY / (2 * _NEAR)) if len(near) else (0.0, 0.0)
    # Where only the year is known, each is written as its first day.
    same = max((other for key, other in by_day.items() if key[4:] == day[4:] and key != day), default=0.0)
    enough = count >= 5 and count > 2 * most and count > 2 * same
    return bool(enough and poisson_tail(count, max(mean, 0.01)) < look.alpha)


def _texts(column: Column) -> list[str]:
    counts = column.free
    total = sum(counts.values())
    usual = {value: count for value, count in counts.items() if not _STRONG.fullmatch(value.strip()) and value.strip()}
    if sum(usual.values()) < 0.3 * total or len(usual) < 2:
        return []
    found = [value for value in counts if value.strip() and value not in usual and _stands_out(value, usual)]
    found = [value for value in found if not value.isalpha() or not is_code_among(value, usual)]
    # Among titles and names of things, of which each is another, a word is one of them unless it comes again and again.
    open_ = len(usual) > 0.5 * sum(usual.values())
    found = [value for value in found if not (open_ and value.isalpha() and counts[value] < 3)]
    blank = [value for value in counts if not value.strip()]
    if sum(counts[value] for value in blank) <= 0.2 * total:
        found += blank
    return found + [value for value in usual if _WEAK.fullmatch(value.strip()) and _is_out_of_place(value, usual)]


def _stands_out(value: str, usual: Mapping[str, int]) -> bool:
    """Tell whether a token is of another form than the values around it: 99999 is a postcode among postcodes."""
    if not re.fullmatch(r"-?[\d-]+", value):
        return True
    same = sum(count for other, count in usual.items() if re.fullmatch(r"-?[\d./-]+", other))
    if same < 0.5 * sum(usual.values()):
        return True
    # Among numbers as text: outside of all others, or a day that no other is near.
    if re.fullmatch(r"\d{4}-\d\d-\d\d", value):
        years = [int(other[:4]) for other in usual if re.match(r"\d{4}-\d\d-\d\d", other)]
        return not years or not min(years) - 5 <= int(value[:4]) <= max(years) + 5
    if not re.fullmatch(r"-?\d+", value):
        return True
    numbers = [float(other) for other in usual if re.fullmatch(r"-?\d+(\.\d+)?", other)]
    return bool(numbers) and not min(numbers) - 1 <= float(value) <= 2 * max(numbers) + 1


def _is_out_of_place(value: str, usual: Mapping[str, int]) -> bool:
    """Tell whether a word that may be a value is none here: the vocabulary is open, or written in another way."""
    others = {other: count for other, count in usual.items() if other != value and not _WEAK.fullmatch(other.strip())}
    total = sum(others.values())
    if not others or usual[value] > total or (len(others) > 0.5 * total and usual[value] < 3):
        return False
    shapes: dict[tuple[bool, bool, bool], int] = {}
    for other, count in others.items():
        shapes[style(other)] = shapes.get(style(other), 0) + count
    alike = shapes.get(style(value), 0) / total
    lengths = {len(other) for other in others}
    if lengths == {len(value)}:
        return False  # a code among codes of its length
    return alike < 0.1 or len(others) > 50


def _quantile(numbers: Any, counts: Any, share: float) -> float:
    summed = np.cumsum(counts)
    return float(numbers[int(np.searchsorted(summed, share * summed[-1]))])
