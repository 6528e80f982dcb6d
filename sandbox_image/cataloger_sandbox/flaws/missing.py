"""Nulls where they should not be: crowded into a stretch of the rows' order, or a few in a key."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from cataloger_sandbox.flaws.look import Column, Look, Suspect, sql_value
from cataloger_sandbox.flaws.phrases import per_cent, plain
from cataloger_sandbox.names import freshness, is_identifier

LEAST_ROWS = 100
LEAST_NULLS = 3
LEAST_TIMES = 10

KEY_NULLS = 0.01
"""At most so large a share of a key's values is missing where they are a flaw."""

_DENSE = (0.97, 0.75)
"""What share of a stretch's rows is null, as two alternatives to the column's own rate."""

MANY = 4
"""A column with so many stretches of about one size is patchy by nature."""

_LATER = re.compile(
    r"end|deliver|ship|clos|complet|finish|return|delet|cancel|paid|resolv|refund|approv|until|expir|left|terminat"
    r"|retire|death|died|arriv|accept|publish|archiv|last|rating|review|score|feedback|comment|note",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class _Stretch:
    """A stretch of the rows in the order of a column: places in that order, and how dense the nulls are in and out."""

    first: int
    last: int
    inside: float
    outside: float
    nulls: int


@dataclass(frozen=True)
class _Burst:
    column: Column
    order: Column
    low: object
    high: object
    stretch: _Stretch


def null_bursts(look: Look) -> Iterator[Suspect]:
    """Yield the stretches of time or of a key in which nulls crowd, and the keys with a few."""
    bursts: list[_Burst] = []
    if look.size >= LEAST_ROWS:
        for order in _orders(look):
            found = {burst.column.name for burst in bursts}
            bursts += [
                burst for column in _gappy(look) if column.name not in found and (burst := _burst(look, order, column))
            ]
    for together in _together(bursts):
        yield _tell(look, together)
    told = {burst.column.name for burst in bursts}
    for column in look.columns.values():
        if column.name not in told and _is_key_with_nulls(look, column):
            yield _key(look, column)


def _gappy(look: Look) -> list[Column]:
    return [
        column
        for column in look.columns.values()
        if LEAST_NULLS <= look.size - column.filled <= 0.5 * look.size and not column.profile.get("skipped")
    ]


def _orders(look: Look) -> list[Column]:
    """Return the columns that the rows are looked at in the order of: the telling time, and a key of whole numbers."""
    times = [
        column
        for column in look.of_kind("time")
        if freshness(column.name) > 0 and column.filled > 0.98 * look.size and len(column.counts) >= LEAST_TIMES
    ]
    times.sort(key=lambda column: -freshness(column.name))
    keys = [
        column
        for column in look.of_kind("number")
        if (column.field.integer or column.name in look.profile.unique)
        and column.filled > 0.98 * look.size
        and len(column.counts) > 0.9 * look.size
        and is_identifier(column.name, look.profile.relation.name)
    ]
    return [*times[:1], *keys[:1]]


def _burst(look: Look, order: Column, column: Column) -> _Burst | None:
    if column is order:
        return None
    places = order.numbers
    usable = np.isfinite(places)
    if order.taken:
        usable &= np.array([value not in order.taken for value in order.values], dtype=bool)
    if np.all(np.diff(places[usable]) >= 0):
        # As they lie the rows are in this order: those of one time are in the order in which they came.
        distinct, groups = places[usable], np.arange(int(usable.sum()))
    else:
        distinct, groups = np.unique(places[usable], return_inverse=True)
    missing = np.array([value is None for value in column.values], dtype=bool)[usable]
    rows = np.bincount(groups)
    nulls = np.bincount(groups, weights=missing)
    stretch = _scan(rows, nulls, look.alpha / 2)
    if (
        stretch is None
        or not _is_flaw(column, stretch, rows, nulls, look.alpha / 2)
        or _is_of_kind(look, column, usable, groups, stretch)
    ):
        return None
    by_number = {float(number): value for value, number in zip(order.values, places, strict=True)}
    low, high = by_number[float(distinct[stretch.first])], by_number[float(distinct[stretch.last])]
    return _Burst(column, order, low, high, stretch)


def _scan(rows: np.ndarray, nulls: np.ndarray, alpha: float) -> _Stretch | None:
    """Return the stretch in which nulls crowd most, if the column's own rate makes it improbable.

    A row scores the logarithm of how much likelier it is in a dense stretch than anywhere; the chance of a segment of
    n such scores whose sum is S or more is below n exp(-S) (S. Karlin, S. Altschul, Methods for assessing the
    statistical significance of molecular sequence features by using general scoring schemes, PNAS 87, 1990).
    """
    total, missing = float(rows.sum()), float(nulls.sum())
    best: _Stretch | None = None
    most = 0.0
    for dense in _DENSE:
        rate = missing / total
        if rate <= 0 or rate > 0.6 * dense:
            continue
        scores = nulls * np.log(dense / rate) + (rows - nulls) * np.log((1 - dense) / (1 - rate))
        summed = np.concatenate([[0.0], np.cumsum(scores)])
        lowest = np.minimum.accumulate(summed)
        last = int(np.argmax(summed - lowest))
        score = float(summed[last] - lowest[last])
        if score <= most or total * np.exp(-min(score, 700.0)) > alpha:
            continue
        first = int(np.argmin(summed[: last + 1]))
        inside, held = float(rows[first:last].sum()), float(nulls[first:last].sum())
        outside = (missing - held) / max(total - inside, 1.0)
        best, most = _Stretch(first, last - 1, held / inside, outside, int(held)), score
    return best


def _is_flaw(column: Column, stretch: _Stretch, rows: np.ndarray, nulls: np.ndarray, alpha: float) -> bool:
    if stretch.nulls < LEAST_NULLS or stretch.inside < 0.6 or stretch.inside < 4 * stretch.outside:
        return False
    margin = max(1, len(rows) // 200)
    if stretch.first < margin or stretch.last >= len(rows) - margin:
        # A column that came later, or what has not happened yet, is no flaw: unless all is sharp.
        named = column.kind == "time" or bool(_LATER.search(column.name))
        if named or stretch.inside < 0.99 or stretch.outside > 0.001 or stretch.first < margin:
            return False
    alike = 1
    rows, nulls = rows.copy(), nulls.copy()
    current: _Stretch | None = stretch
    while current is not None and alike < MANY:
        rows = np.delete(rows, np.s_[current.first : current.last + 1])
        nulls = np.delete(nulls, np.s_[current.first : current.last + 1])
        current = _scan(rows, nulls, alpha) if len(rows) and nulls.sum() else None
        alike += current is not None and current.nulls > 0.3 * stretch.nulls
        if current is not None and current.nulls <= 0.3 * stretch.nulls:
            break
    return alike < MANY


def _is_of_kind(look: Look, column: Column, usable: np.ndarray, groups: np.ndarray, stretch: _Stretch) -> bool:
    """Tell whether the rows of the stretch are of a kind of their own, which has no such value."""
    inside = (groups >= stretch.first) & (groups <= stretch.last)
    for other in look.columns.values():
        if other is column or not 2 <= len(other.counts) <= 30 or other.kind not in ("text", "boolean", "number"):
            continue
        values = np.array([str(value) for value in other.values], dtype=object)[usable]
        own, count = np.unique(values[inside], return_counts=True)
        main = own[int(np.argmax(count))]
        if count.max() > 0.95 * inside.sum() and (values[~inside] == main).mean() < 0.02 and main != "None":
            return True
    return False


def _together(bursts: Sequence[_Burst]) -> list[list[_Burst]]:
    """Return the bursts by stretch: columns that are missing in the same rows are one flaw."""
    found: list[list[_Burst]] = []
    for burst in bursts:
        for group in found:
            other = group[0]
            size = max(other.stretch.last - other.stretch.first, burst.stretch.last - burst.stretch.first, 1)
            apart = abs(other.stretch.first - burst.stretch.first) + abs(other.stretch.last - burst.stretch.last)
            if other.order is burst.order and apart <= 0.2 * size:
                group.append(burst)
                break
        else:
            found.append([burst])
    return found


def _tell(look: Look, together: Sequence[_Burst]) -> Suspect:
    order = together[0].order
    low = sql_value(order, min((burst.low for burst in together), key=lambda value: _place(order, value)))  # type: ignore[arg-type]
    high = sql_value(order, max((burst.high for burst in together), key=lambda value: _place(order, value)))  # type: ignore[arg-type]
    empty = " OR ".join(f"{burst.column.sql} IS NULL" for burst in together)
    where = f"{order.sql} BETWEEN {low} AND {high} AND " + (f"({empty})" if len(together) > 1 else empty)
    stretch, names = together[0].stretch, [burst.column.name for burst in together]
    ends = f"{plain(order, together[0].low)} to {plain(order, together[0].high)}"  # type: ignore[arg-type]
    about = "" if look.whole else "about "

    def say(rows: int) -> str:
        them = " and ".join([", ".join(names[:-1]), names[-1]]) if len(names) > 1 else names[0]
        return (
            f"{them} of {look.profile.name} {'are' if len(names) > 1 else 'is'} null in {rows:,} rows that crowd in "
            f"{order.name} {ends}: {about}{per_cent(stretch.inside)} of the rows there, "
            f"{about}{per_cent(stretch.outside)} of all others."
        )

    return Suspect("null_burst", names, "medium", where, say, order=order.sql)


def _place(order: Column, value: object) -> float:
    return float(order.numbers[list(order.values).index(value)])  # type: ignore[arg-type]


def _is_key_with_nulls(look: Look, column: Column) -> bool:
    nulls, distinct = column.profile.get("nulls"), column.profile.get("distinct")
    if not nulls or not isinstance(distinct, int) or look.rows < LEAST_ROWS or nulls > KEY_NULLS * look.rows:
        return False
    if not is_identifier(column.name, look.profile.relation.name):
        return False
    # Unique but for these: or nearly, where copies are a flaw of their own.
    return distinct >= 0.99 * (look.rows - nulls) and column.profile.get("distinct_method") == "exact"


def _key(look: Look, column: Column) -> Suspect:
    def say(rows: int) -> str:
        return f"{column.name} tells the rows of {look.profile.name} apart, but is null in {rows:,} of {look.rows:,}."

    return Suspect("null_burst", [column.name], "medium", f"{column.sql} IS NULL", say)
