"""Numbers that can't be right: against what a column's name and its bulk say, or orders of magnitude from the rest."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from cataloger_sandbox.flaws.look import Column, Look, Suspect, sql_value
from cataloger_sandbox.flaws.phrases import amount, counted, plain, verb
from cataloger_sandbox.flaws.tails import poisson_tail
from cataloger_sandbox.names import words

LEAST = 30
"""Of fewer values nothing is said."""

BULK = 0.85
"""So large a share of the values keeps to a bound that the rest breaks."""

FAR = 10.0
"""How many times as far from the median as all others an outlier is: an order of magnitude."""

MOST = 0.16
"""At most so large a share of the values lies out: more of them are a second hump."""

REPEATED = 0.2
"""Outliers that are so few different values, for the rows that have them, are meant."""

AGES = (100, 125)
"""From the first on hardly any person lives, and none beyond the second."""

SEVERAL = 5
"""Of fewer that pass a bound each may be a slip."""

SMALLER = 2.33
"""So many standard deviations below the mean one of a hundred samples lies that are no smaller."""

STEEPEST = 8.0
"""A power law's tail that is steeper is taken for one that is so steep."""


@dataclass(frozen=True)
class _Bound:
    """What a name says of its values. ``why`` ends the sentence "… which no <why> is"."""

    names: frozenset[str]
    low: float | None
    high: float | None
    what: str
    last: bool = False  # the name's last word must be one of these


_MOVES = {"change", "delta", "diff", "difference", "growth", "gain", "return", "yoy", "mom", "variance", "increase"} | {
    "margin",
    "roi",
    "deviation",
    "anomaly",
    "offset",
    "adjustment",
    "balance",
    "net",
    "refund",
    "correction",
    "profit",
    "income",
    "earnings",
    "delay",
    "temp",
    "temperature",
    "elevation",
    "altitude",
    "alt",
    "movement",
}


def _bound(names: str, low: float | None, high: float | None, what: str, last: bool = False) -> _Bound:
    return _Bound(frozenset(names.split()), low, high, what, last)


_QUANTITIES = _bound(
    "quantity qty count units items seats stock inventory price cost weight height width length "
    "depth distance duration size population area speed volume salary wage views clicks "
    "visits visitors rooms bedrooms bathrooms floors engines stars age capacity pages bytes "
    "employees attempts retries installs downloads likes rating mileage km miles kg grams pressure "
    "visib visibility precip precipitation rainfall headcount turnaround elapsed latency wait "
    "runtime uptime downtime tenure consumption usage rain snow snowfall wind gust",
    0,
    None,
    "a quantity of zero or more",
)
QUANTITIES = _QUANTITIES.names
"""Words of names whose values are quantities."""

_BOUNDS = (
    _bound("percent pct percentage perc humidity humid", 0, 100, "a percentage between 0 and 100"),
    _bound("share fraction probability prob confidence", 0, 1, "a share between 0 and 1"),
    _bound("lat latitude", -90, 90, "a latitude between -90 and 90"),
    _bound("lon lng long longitude", -180, 180, "a longitude between -180 and 180"),
    _bound("age", 0, 125, "an age between 0 and 125", last=True),
    _bound("month", 1, 12, "a month between 1 and 12", last=True),
    _bound("day dom", 1, 31, "a day of the month between 1 and 31", last=True),
    _bound("hour", 0, 24, "an hour between 0 and 24", last=True),
    _bound("minute", 0, 59, "a minute between 0 and 59", last=True),
    _bound("second", 0, 60, "a second between 0 and 60", last=True),
    _bound("weekday dow", 0, 7, "a day of the week between 0 and 7", last=True),
    _bound("quarter", 1, 4, "a quarter between 1 and 4", last=True),
    _bound("week", 0, 53, "a week between 0 and 53", last=True),
    _bound("heading bearing azimuth", 0, 360, "an angle between 0 and 360"),
    _bound("dir direction deg degree degrees", -180, 360, "an angle between -180 and 360"),
    _bound("ph", 0, 14, "a pH between 0 and 14", last=True),
    _bound("port", 0, 65535, "a port between 0 and 65,535", last=True),
    _bound("year yr", 1000, 2200, "a year between 1000 and 2200", last=True),
    _QUANTITIES,
)


_MONEY = {"amount", "total", "subtotal", "value", "payment", "revenue", "sales", "sum"} | {
    "charge",
    "credit",
    "debit",
    "cash",
    "transaction",
}
_FLIPPED = _bound("", 0, None, "a quantity of zero or more")


def impossible_values(look: Look) -> Iterator[Suspect]:
    """Yield the columns with values beyond a bound that the name sets and the bulk keeps.

    Where the name says nothing, values below zero are impossible if they are as large as those above: what crosses
    zero by nature is small there. Sums of money are left out: a refund is one.
    """
    for column in look.of_kind("number"):
        if column.filled < LEAST or look.names(column) or column.words & _MOVES:
            continue
        bounds = [bound for bound in _BOUNDS if _applies(bound, column)]
        if not bounds and not column.words & _MONEY and _is_flipped(column):
            bounds = [_FLIPPED]
        suspect = next((suspect for bound in bounds if (suspect := _beyond(look, column, bound))), None)
        if suspect:
            yield suspect


def _applies(bound: _Bound, column: Column) -> bool:
    parts = words(column.name)
    return bool(parts) and (parts[-1] in bound.names if bound.last else bool(set(parts) & bound.names))


def _is_flipped(column: Column) -> bool:
    _, numbers, counts = column.ordered()
    repeated = np.repeat(numbers, counts.astype(int))
    above, below = repeated[repeated > 0], -repeated[repeated < 0]
    if len(below) < 3 or len(above) < BULK * len(repeated) or len(np.unique(above)) < 10:
        return False
    near = np.quantile(above, 0.05)
    # Few are near zero on either side, so the column does not run through it.
    if near <= 0.15 * np.median(above) or not 0.5 <= np.median(below) / np.median(above) <= 2:
        return False
    return _are_as_large(below, above)


def _are_as_large(few: np.ndarray, many: np.ndarray) -> bool:
    """Tell whether a *few* numbers are no smaller than *many*: what runs through zero is smaller on its far side.

    This is the test of H. Mann and D. Whitney (On a test of whether one of two random variables is stochastically
    larger than the other, Annals of Mathematical Statistics 18, 1947) in its normal approximation, at ``SMALLER``.
    """
    ordered = np.sort(many)
    under = (np.searchsorted(ordered, few, "left") + np.searchsorted(ordered, few, "right")) / 2
    n, m = len(few), len(many)
    return bool(float(under.mean()) / m - 0.5 > -SMALLER * np.sqrt((n + m + 1) / (12 * n * m)))


def _beyond(look: Look, column: Column, bound: _Bound) -> Suspect | None:
    values, numbers, counts = column.ordered()
    if not len(numbers):
        return None
    low = -np.inf if bound.low is None else bound.low
    high = np.inf if bound.high is None else bound.high
    outside = (numbers < low) | (numbers > high)
    total, beyond = float(counts.sum()), float(counts[outside].sum())
    if total - beyond < BULK * total:
        return None
    known = [column.profile.get(end) for end in ("min", "max")] if not look.whole else []
    ends = [number for item in known if item is not None and np.isfinite(number := _float(item))]
    if _is_no_bound(bound, numbers, counts):
        return None
    if not beyond and not any(number < low or number > high for number in ends if _is_free(column, number)):
        return None
    column.take([value for value, out in zip(values, outside, strict=True) if out])
    parts = [] if bound.low is None else [f"{column.sql} < {bound.low:g}"]
    parts += [] if bound.high is None else [f"{column.sql} > {bound.high:g}"]
    where = " OR ".join(parts) if len(parts) == 1 else f"({' OR '.join(parts)})"
    excluded = sorted(
        {sql_value(column, value) for value in column.taken}
        - {sql_value(column, value) for value, out in zip(values, outside, strict=True) if out}
    )
    if excluded:
        where += f" AND {column.sql} NOT IN ({', '.join(excluded)})"
    name, table = column.name, look.profile.name
    example = plain(column, values[int(np.argmax(np.where(outside, np.abs(numbers), -1)))]) if beyond else ""

    def say(rows: int) -> str:
        such = f", such as {example}" if example else ""
        return (
            f"{counted(rows, look)} of {table} {verb(rows, 'has', 'have')} in {name} what can't be {bound.what}{such}."
        )

    return Suspect("impossible_value", [name], "high", where, say, order=column.sql, most=0.2)


def _is_no_bound(bound: _Bound, numbers: np.ndarray, counts: np.ndarray) -> bool:
    """Tell whether the values pass a bound by nature: ages of houses or in months, and logarithms of quantities.

    Nearly as many are just below the age that no person reaches as are beyond it; and what runs through zero, in many
    steps, is smaller there than above.
    """
    if bound.names == {"age"}:
        beyond = float(counts[numbers > AGES[1]].sum())
        return beyond >= SEVERAL and float(counts[(numbers > AGES[0]) & (numbers <= AGES[1])].sum()) >= 0.5 * beyond
    below = numbers < 0
    if bound is not _QUANTITIES or below.sum() < 10 or not (numbers[below] % 1).all():
        return False
    repeated = np.repeat(numbers, counts.astype(int))
    return not _are_as_large(-repeated[repeated < 0], repeated[repeated > 0])


def _is_free(column: Column, number: float) -> bool:
    """Tell whether no rule has explained a value that is equal to *number*."""
    return all(_float(value) != number for value in column.taken)


def _float(value: object) -> float:
    try:
        return float(str(value))
    except ValueError:
        return float("nan")


def outliers(look: Look) -> Iterator[Suspect]:
    """Yield the columns with values orders of magnitude beyond all others.

    Distances from the median are compared, above and below it each by itself. If the tail were a power law, the
    heaviest that data have, the logarithm of the ratio of one ordered value to the next would be exponential, with
    the rate that the tail below shows (A. Rényi, On the theory of order statistics, 1953; B. Hill, A simple general
    approach to inference about the tail of a distribution, Annals of Statistics 3, 1975): a gap that this makes
    improbable, and that is an order of magnitude wide, sets outliers apart. Values so far out that they can't be
    that tail's, though there is no gap, are told by their number.
    """
    for column in look.of_kind("number"):
        if column.filled < LEAST or look.names(column) or len(column.counts) < 10:
            continue
        if any(bound.high is not None and _applies(bound, column) for bound in _BOUNDS):
            continue  # what its name allows is none: Guam is far from Kansas, and has a longitude
        if suspect := _outliers(look, column):
            yield suspect


def _outliers(look: Look, column: Column) -> Suspect | None:
    values, numbers, counts = column.ordered()
    if len(numbers) < 10:
        return None
    repeated = np.repeat(numbers, counts.astype(int))
    median = float(np.median(repeated))
    parts, taken, bounds = [], [], []
    for sign in (1, -1):
        distances = np.sort(sign * (repeated - median))
        distances = distances[distances > 0]
        cut = _cut(distances, len(repeated), look.alpha)
        if cut is None and sign > 0 and repeated[0] > 0:
            bound = _too_many(repeated, look.alpha)
            cut = bound - median if bound is not None else None
        end, other = (repeated[-1], repeated[0]) if sign > 0 else (repeated[0], repeated[-1])
        if cut is None or (sign * median < 0 and sign * end <= -sign * other):
            continue  # nothing, or what is the like of the other side's but for its sign: a payment in among those out
        edge = median + sign * cut
        beyond = sign * (numbers - edge) >= 0
        found = [value for value, out in zip(values, beyond, strict=True) if out]
        if len(found) < REPEATED * counts[beyond].sum():
            continue  # a second kind of things, such as courses of a higher year: an error hits each time another value
        nearest = found[0] if sign > 0 else found[-1]
        inner = numbers[~beyond][-1 if sign > 0 else 0]
        parts.append(f"{column.sql} {'>=' if sign > 0 else '<='} {sql_value(column, nearest)}")
        bounds.append((sign, inner, found[-1] if sign > 0 else found[0]))
        taken += found
    if not parts:
        return None
    column.take(taken)
    where = f"({' OR '.join(parts)})" if len(parts) > 1 else parts[0]
    excluded = sorted({sql_value(column, value) for value in column.taken - set(taken)})
    if excluded:
        where += f" AND {column.sql} NOT IN ({', '.join(excluded)})"
    sign, inner, extreme = bounds[0]
    name, table = column.name, look.profile.name
    every, about = ("all", "") if look.whole else ("nearly all", "about ")
    usual = f"{every} others are {'below' if sign > 0 else 'above'} {_round_away(inner, sign)}"

    def say(rows: int) -> str:
        which = f"up to {plain(column, extreme)}" if sign > 0 else f"down to {plain(column, extreme)}"
        return (
            f"{counted(rows, look)} of {table} {verb(rows, 'is', 'are')} orders of magnitude off in {name}, {which}, "
            f"where half of the values are {'below' if sign > 0 else 'above'} {about}{amount(median)} and {usual}."
        )

    return Suspect("outlier", [name], "medium", where, say, order=f"{column.sql} DESC", most=MOST)


def _round_away(number: float, sign: int) -> str:
    """Return a number that is a little further out than *number*, with few digits."""
    return amount(float(f"{number + sign * (abs(number) * 0.001 + 1e-9):.4g}"))


def _cut(distances: np.ndarray, size: int, alpha: float) -> float | None:
    """Return the distance from which on values are outliers, or null.

    Args:
        distances: above the median (or below it), ascending, all greater than nothing.
        size: how many values there are on both sides.
    """
    n = len(distances)
    most = int(MOST * size)
    if n < 15 or n - most < 5:
        most = max(0, n - 15)
    if most < 1:
        return None
    logs = np.log(distances)
    ranks = np.arange(n - 1, max(n - 1 - most, 1), -1)  # the first that may be an outlier, from the top
    gaps = logs[ranks] - logs[ranks - 1]
    for at in np.argsort(-gaps)[:10]:
        first = int(ranks[at])
        outside, gap = n - first, float(gaps[at])
        inner = distances[:first]
        # The largest of the others may itself be far out: the ratio is to where their bulk ends.
        if gap < np.log(2):
            break
        if distances[first] < FAR * np.quantile(inner, 0.9):
            continue
        if np.exp(-_rate(logs[:first]) * outside * gap) < alpha:
            return float(distances[first])
    return None


def _rate(logs: np.ndarray) -> float:
    """Return how fast the tail of values with these logarithms thins out, rather too slow than too fast."""
    size = min(max(20, len(logs) // 50), 500, len(logs) - 1)
    spacings = float((logs[-size:] - logs[-size - 1]).sum())
    # The estimate's relative error is one over the root of its size. Ties would make it endless.
    return min(STEEPEST, size / spacings * (1 - min(0.5, 2 / size**0.5)) if spacings > 0 else STEEPEST)


def _too_many(ordered: np.ndarray, alpha: float) -> float | None:
    """Return the value beyond which there are more than the tail of the middle ones leads to.

    Args:
        ordered: all values, ascending, none of them zero or less.
    """
    size = len(ordered)
    middle, upper = ordered[size // 2], ordered[3 * size // 4]
    rate = np.log(2) / max(np.log(upper / middle), 1e-9)
    for factor in (100.0, 30.0):
        seen = size - int(np.searchsorted(ordered, factor * upper))
        expected = 0.25 * size * factor**-rate
        if 3 <= seen <= MOST * size and seen > 5 * expected and poisson_tail(seen, 2 * expected) < alpha:
            return float(ordered[size - seen])
    return None
