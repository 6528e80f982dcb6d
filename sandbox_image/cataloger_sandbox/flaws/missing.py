"""Nulls where they should not be: crowded into a stretch of the rows' order, or a few in a key."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from cataloger_sandbox.flaws.look import Column, Look, Suspect, sql_value
from cataloger_sandbox.flaws.phrases import per_cent, plain
from cataloger_sandbox.names import freshness, is_identifier

LEAST_ROWS = 100
LEAST_NULLS = 2
LEAST_TIMES = 10

KEY_NULLS = 0.01
"""At most so large a share of a key's values is missing where they are a flaw."""

FEW = 20
"""So many nulls of a column are looked at as what they are, a handful of places."""

LOOSE = 1 / 3
"""So large a share of a stretch at least is null that holds all of a column's few nulls: times lie among each other."""

IN_ORDER = 0.98
"""Rows came in an order if of so many neighbours at least the second is no earlier than the first."""

PAIR = 0.002
"""The chance of a false finding in a column with two nulls: two side by side, in a thousand rows or more.

Of so few places no more can be said; if all of a database's columns had two, one in five hundred would be told of.
"""

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
        orders = _orders(look)
        for order in orders:
            found = {burst.column.name for burst in bursts}
            bursts += [
                burst
                for column in _gappy(look)
                if column.name not in found and (burst := _burst(look, order, column, look.alpha / len(orders)))
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
    """Return the columns that the rows are looked at in the order of.

    These are the telling time, the time by which the rows lie in order already, and a key of whole numbers.
    """
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
    lying = [column for column in times[1:] if _lie_in_order(column.numbers[np.isfinite(column.numbers)])]
    return [*times[:1], *lying[:1], *keys[:1]]


def _lie_in_order(places: np.ndarray) -> bool:
    """Tell whether rows came in the order of these numbers, but for a few that came late."""
    return len(places) > 1 and float(np.mean(np.diff(places) >= 0)) >= IN_ORDER


def _burst(look: Look, order: Column, column: Column, alpha: float) -> _Burst | None:
    if column is order:
        return None
    places = order.numbers
    usable = np.isfinite(places)
    if order.taken:
        usable &= np.array([value not in order.taken for value in order.values], dtype=bool)
    if _lie_in_order(places[usable]):
        # As they lie the rows are in this order: those of one time are in the order in which they came.
        distinct, groups = places[usable], np.arange(int(usable.sum()))
    else:
        distinct, groups = np.unique(places[usable], return_inverse=True)
    missing = np.array([value is None for value in column.values], dtype=bool)[usable]
    rows = np.bincount(groups)
    nulls = np.bincount(groups, weights=missing)
    stretch = _scan(rows, nulls, alpha) or _run_of_few(rows, nulls, alpha)
    if (
        stretch is None
        or not _is_flaw(column, stretch, rows, nulls, alpha)
        or _is_of_kind(look, column, usable, groups, stretch)
    ):
        return None
    by_number = {float(number): value for value, number in zip(order.values, places, strict=True)}
    ends = sorted((float(distinct[stretch.first]), float(distinct[stretch.last])))
    low, high = by_number[ends[0]], by_number[ends[1]]
    # "All others" are those too that have no place in the order, or a wrong one: a time to come.
    held = float(rows[stretch.first : stretch.last + 1].sum())
    others = (look.size - column.filled - stretch.nulls) / max(look.size - held, 1.0)
    return _Burst(column, order, low, high, replace(stretch, outside=others))


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


def _run_of_few(rows: np.ndarray, nulls: np.ndarray, alpha: float) -> _Stretch | None:
    """Return the stretch that holds all of a column's nulls, if they are few and would hardly ever lie so close.

    Of n rows k are null: that these all lie in one of the n - w + 1 stretches of w rows has at most the probability
    (n - w + 1) C(w, k) / C(n, k), as each set of k rows is as probable as another. Of a few nulls it says more than the
    bound of ``_scan``. What two must meet is ``PAIR``.
    """
    missing, total = int(nulls.sum()), float(rows.sum())
    if not LEAST_NULLS <= missing <= FEW:
        return None
    places = np.flatnonzero(nulls)
    first, last = int(places[0]), int(places[-1])
    inside = float(rows[first : last + 1].sum())
    each = np.arange(missing)
    probable = (total - inside + 1) * float(np.prod((inside - each) / (total - each)))
    if probable > (PAIR if missing == LEAST_NULLS else alpha):
        return None
    return _Stretch(first, last, missing / inside, 0.0, missing)


def _is_flaw(column: Column, stretch: _Stretch, rows: np.ndarray, nulls: np.ndarray, alpha: float) -> bool:
    every = not stretch.outside and LEAST_NULLS < stretch.nulls <= FEW
    if stretch.nulls < LEAST_NULLS or stretch.inside < (LOOSE if every else 0.6):
        return False
    # Where many are null anyway, all of a stretch must be, but for a few.
    if stretch.inside < 4 * stretch.outside and stretch.inside < _DENSE[0]:
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
