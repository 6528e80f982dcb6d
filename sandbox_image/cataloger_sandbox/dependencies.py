"""Which columns of a table determine others: a city its country, a product its category.

Single columns only. Candidates come from the profile, a sample rules most of them out, and what remains is counted
over all rows. A dependency counts as one only beyond what chance would give (see ``Evidence.strength``), and one
that follows from others is left out. Whether one that breaks is a flaw is for others to say.
"""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from time import monotonic
from typing import Any, Self

import numpy as np

from cataloger_sandbox.encode import Value
from cataloger_sandbox.engines.base import Field, QueryFailed
from cataloger_sandbox.judging import Unjudged
from cataloger_sandbox.names import is_identifier
from cataloger_sandbox.reading import Reading
from cataloger_sandbox.survey import Dependency, Profile, Survey

HOLDS = 0.95
"""A dependency holds for at least this share of the rows that have both values."""

STRENGTH = 0.7
"""How much of the way from chance to certainty the determinant must lead; see ``Evidence.strength``."""

BETTER = 0.9
"""Of the rows that have not the dependent's most frequent value, so many at least are as the determinant says.

This is lambda of L. Goodman and W. Kruskal, Measures of association for cross classifications (1954): where nearly
all rows have one value, any column seems to determine it.
"""

SUPPORT = 30
"""So many rows at least repeat a value of the determinant and could break the dependency."""

SAMPLE = 5_000
FIRST = (250, 1_250)
"""So many rows of the sample are looked at first: they rule out most pairs."""

PER_TABLE = 12
ROWS_PER_TABLE = 40_000_000
"""So many rows are read to count a table's dependencies: of a large table fewer of these are counted."""

SEARCH_SECONDS = 30.0
"""So long may the search in one table take."""

COLUMNS = 40
DISTINCT = 100_000
"""A determinant of more different values identifies things, and what depends on it is a table of its own."""


@dataclass(frozen=True)
class Evidence:
    """What rows say of one pair of columns: where the determinant repeats, how often the dependent repeats with it.

    Attributes:
        rows, groups: the rows whose determinant comes more than once, and its values among these.
        breaking: those of them that have not the most frequent dependent value of their group.
        torn: those of ``breaking`` whose group has no clear majority: there nothing is determined.
        others: those of ``rows`` that have not the most frequent dependent value of all.
        strength: from 0 (no better than chance) to 1 (certain). It is mu+ of M. Parciak et al., Measuring approximate
            functional dependencies: a comparative study (ICDE 2024): the probability that two rows of a group agree
            (pdep of G. Piatetsky-Shapiro and C. Matheus, 1993) against that of any two rows, less what groups so
            small would show by chance.
    """

    rows: int
    groups: int
    breaking: int
    torn: int
    others: int
    strength: float

    @property
    def holds(self) -> bool:
        """Tell whether the dependency is one, going by these rows."""
        if self.rows - self.groups < SUPPORT or self.breaking > (1 - HOLDS) * self.rows:
            return False
        if self.strength < STRENGTH or 2 * self.torn > self.breaking:
            return False
        return self.breaking <= (1 - BETTER) * self.others


def find_dependencies(survey: Survey, reading: Reading) -> list[Dependency]:
    """Return the dependencies of a table, most worth knowing first."""
    profile = reading.profile
    if profile.relation.kind != "table" or not profile.values or (profile.rows or 0) <= SUPPORT:
        return []
    return _of_table(survey, reading, monotonic() + SEARCH_SECONDS)


def evidence(determinant: Iterable[Value], dependent: Iterable[Value]) -> Evidence:
    """Return what two columns' values, row by row, say of their dependency; rows with a null are passed over."""
    groups: dict[Value, list[int]] = defaultdict(list)
    pairs = Counter(zip(determinant, dependent, strict=True))
    for (left, right), count in pairs.items():
        if left is not None and right is not None:
            groups[left].append(count)
    rows = number = breaking = torn = 0
    agreeing = 0.0
    for counts in groups.values():
        size = sum(counts)
        if size < 2:
            continue
        number += 1
        rows += size
        if len(counts) == 1:
            agreeing += size
            continue
        less = size - max(counts)
        breaking += less
        torn += less if is_torn(size, less) else 0
        agreeing += sum(count * count for count in counts) / size
    totals: dict[Value, int] = defaultdict(int)
    for (left, right), count in pairs.items():
        if left is not None and right is not None and (count > 1 or len(groups[left]) > 1):
            totals[right] += count
    others = rows - max(totals.values(), default=0)
    strength = 0.0
    if rows > number and others:
        chance = sum(count * count for count in totals.values()) / rows**2
        strength = 1 - (1 - agreeing / rows) / (1 - chance) * (rows - 1) / (rows - number)
    return Evidence(rows, number, breaking, torn, others, strength)


def is_torn(size: int, breaking: int) -> bool:
    """Tell whether a group of *size* rows, *breaking* of them unlike the most frequent, has no clear majority."""
    return breaking > 1 and 5 * breaking > size


def _of_table(survey: Survey, reading: Reading, until: float) -> list[Dependency]:
    profile = reading.profile
    determinants = [field for field in profile.relation.fields if _may_determine(profile, field)]
    dependents = [field for field in profile.relation.fields if _may_depend(profile, field)]
    if beyond := {field.name for field in (*determinants[COLUMNS:], *(dependents[COLUMNS:] if determinants else []))}:
        _leave(survey, profile, beyond, f"what determines what was looked for in {COLUMNS} columns")
    determinants, dependents = determinants[:COLUMNS], dependents[:COLUMNS]
    pairs = [(a, b) for a in determinants for b in dependents if a is not b and _has_room(profile, a, b)]
    if not pairs:
        return []
    fields = sorted({field.index: field for pair in pairs for field in pair}.values(), key=lambda field: field.index)
    read = reading.whole(fields, SAMPLE) or _read(survey, profile, fields)
    if not read:
        return []
    values = {field.index: _Numbered.of(read[field.name]) for field in fields}
    seen = _screened(values, [(a.index, b.index) for a, b in pairs])
    by_index = {field.index: field for field in fields}
    chosen = worth_knowing(
        seen, {index for index, field in by_index.items() if is_identifier(field.name, profile.name)}
    )
    allowed = min(PER_TABLE, max(3, ROWS_PER_TABLE // (profile.rows or 1)))
    counted = []
    strongest = sorted(chosen, key=lambda pair: (-round(seen[pair].strength, 2), pair))
    for number, (left, right) in enumerate(strongest):
        late = monotonic() > until
        if late or number == allowed:
            reason = f"was counted in {SEARCH_SECONDS:g} s" if late else f"was counted of {allowed} pairs of columns"
            columns = {by_index[index].name for pair in strongest[number:] for index in pair}
            _leave(survey, profile, columns, f"what determines what {reason}, and not to the end")
            break
        dependency = _counted(survey, profile, by_index[left], by_index[right])
        if dependency is not None:
            counted.append(dependency)
    return counted


def _leave(survey: Survey, profile: Profile, columns: Collection[str], reason: str) -> None:
    """Note that a bound leaves out what *columns* may have to do with each other."""
    survey.unjudged.append(Unjudged(["broken_dependency"], profile.name, reason, sorted(columns), cut=True))


def _may_determine(profile: Profile, field: Field) -> bool:
    """Tell whether a column's values are names or numbers of things, each of which comes in several rows."""
    column = profile.columns[field.index]
    distinct, filled = column["distinct"] or 0, (profile.rows or 0) - (column["nulls"] or 0)
    if field.name in profile.unique or field.name in profile.broken or not 3 <= distinct <= DISTINCT:
        return False
    if filled - distinct < SUPPORT or filled < 1.5 * distinct:
        return False
    kind = profile.kinds[field.name]
    if kind == "number":
        return field.integer or profile.facts.get(f"c{field.index}_last") == "integer"
    return (kind == "text" and _is_short(profile, field)) or (kind == "other" and column["min"] is not None)


def _may_depend(profile: Profile, field: Field) -> bool:
    column = profile.columns[field.index]
    if field.name in profile.unique or (column["distinct"] or 0) < 2:
        return False
    kind = profile.kinds[field.name]
    return kind in ("number", "time", "boolean", "other") or (kind == "text" and _is_short(profile, field))


def _is_short(profile: Profile, field: Field) -> bool:
    lengths = profile.columns[field.index].get("lengths")
    return lengths is None or (lengths["mean"] <= 64 and lengths["max"] <= 200)


def _has_room(profile: Profile, determinant: Field, dependent: Field) -> bool:
    """Tell whether the dependent has few enough values: each beyond the determinant's own breaks a row at least."""
    left, right = (profile.columns[field.index] for field in (determinant, dependent))
    most = left["distinct"] * (1 + (left["distinct_error"] or 0)) + (1 - HOLDS) * (profile.rows or 0)
    return bool(right["distinct"] * (1 - (right["distinct_error"] or 0)) <= most)


def _read(survey: Survey, profile: Profile, fields: Sequence[Field]) -> dict[str, list[Value]]:
    engine, rows = survey.engine, profile.rows or 0
    listed = ", ".join(engine.quote(field.name) for field in fields)
    sql = f"SELECT {listed}\nFROM {engine.spread(profile.relation, rows, SAMPLE)}\nLIMIT {2 * SAMPLE}"
    try:
        found = survey.journal.try_out(sql).rows
    except QueryFailed:
        return {}
    return {field.name: list(values) for field, values in zip(fields, zip(*found, strict=True), strict=False)}


@dataclass(frozen=True)
class _Numbered:
    """A column's values, each as a number, equal for equal ones: they are compared many times."""

    values: list[int | None]
    first: Any  # an array of the first of them, -1 for null

    @classmethod
    def of(cls, values: Iterable[Value]) -> Self:
        """Return *values* numbered."""
        known: dict[str, int] = {}
        numbers = [None if value is None else known.setdefault(str(value), len(known)) for value in values]
        return cls(numbers, np.array([-1 if one is None else one for one in numbers[: max(FIRST)]], dtype=np.int64))


def _screened(columns: Mapping[int, _Numbered], pairs: Sequence[tuple[int, int]]) -> dict[tuple[int, int], Evidence]:
    """Return the evidence for those *pairs* of *columns*, by their indexes, that it speaks for."""
    for size in FIRST:
        # So few rows say little for a dependency, but enough against one.
        left, right = (np.array([columns[pair[side]].first[:size] for pair in pairs]) for side in (0, 1))
        rows, groups, breaking = repeating(left, right)
        ruled_out = (rows - groups >= SUPPORT) & (breaking > 4 * (1 - HOLDS) * rows)
        pairs = [pair for pair, out in zip(pairs, ruled_out, strict=True) if not out]
        if not pairs:
            break
    found = {(a, b): evidence(columns[a].values, columns[b].values) for a, b in pairs}
    return {pair: each for pair, each in found.items() if each.holds}


def repeating(determinants: Any, dependents: Any) -> tuple[Any, Any, Any]:
    """Return ``rows``, ``groups`` and ``breaking`` of the ``evidence`` of several pairs of columns, as arrays.

    Args:
        determinants, dependents: arrays of whole numbers below their length, -1 for null: a row for each pair.
    """
    number, length = determinants.shape
    filled = (determinants >= 0) & (dependents >= 0)
    # One whole number for each value of a determinant of a pair, and for each value of the dependent with it.
    own = determinants + np.arange(number)[:, None] * length
    both = np.sort((own * length + dependents)[filled])
    starts = _starts(both)
    counts, left = np.diff(starts, append=len(both)), both[starts] // max(1, length)
    groups = _starts(left)
    if not len(groups):
        return (np.zeros(number, dtype=np.int64),) * 3
    sizes, most = np.add.reduceat(counts, groups), np.maximum.reduceat(counts, groups)
    repeated = sizes > 1
    pair = left[groups][repeated] // length
    rows, agreeing = (np.bincount(pair, of[repeated], number).astype(np.int64) for of in (sizes, most))
    return rows, np.bincount(pair, minlength=number), rows - agreeing


def _starts(ordered: Any) -> Any:
    """Return where each run of equal numbers begins."""
    return np.flatnonzero(np.diff(ordered, prepend=ordered[:1] - 1))


def worth_knowing(seen: Mapping[tuple[int, int], Evidence], identifiers: set[int]) -> list[tuple[int, int]]:
    """Return the dependencies of *seen* from which all others follow, as pairs of column indexes.

    Of columns that determine each other one stands for all: the one whose dependencies break most, as it shows the
    breaks, else an identifier, else the first. Then what one column determines by way of another is left out.
    """
    stands_for: dict[int, int] = {}
    for a in sorted({index for pair in seen for index in pair}):
        if a in stands_for:
            continue
        alike = [a, *(b for (x, b) in seen if x == a and (b, a) in seen and b not in stands_for)]
        chosen = min(
            alike,
            key=lambda x: (
                -sum(seen[x, y].breaking for y in alike if (x, y) in seen),
                x not in identifiers,
                x,
            ),
        )
        stands_for |= dict.fromkeys(alike, chosen)
    kept = [(a, b) for a, b in seen if stands_for[a] == a and stands_for[b] in (a, b)]
    onward: dict[int, set[int]] = defaultdict(set)
    for a, b in kept:
        onward[a].add(b)
    return [(a, b) for a, b in kept if not any(b in onward[between] for between in onward[a] - {b})]


def _counted(survey: Survey, profile: Profile, determinant: Field, dependent: Field) -> Dependency | None:
    """Count over all rows how far a dependency holds; null where it does not."""
    engine = survey.engine
    a, b, path = engine.quote(determinant.name), engine.quote(dependent.name), engine.path(profile.relation)
    filled = f"{a} IS NOT NULL AND {b} IS NOT NULL"
    pairs = f"SELECT {a} AS a, {b} AS b, count(*) AS k FROM {path}\n      WHERE {filled} GROUP BY {a}, {b}"
    less = "n - m"
    torn = f"CASE WHEN {less} > 1 AND 5 * ({less}) > n THEN {less} ELSE 0 END"
    sql = (
        f"SELECT CAST(sum({less}) AS BIGINT) AS breaking, CAST(sum(n) AS BIGINT) AS rows, "
        f"count(*) AS determinants, CAST(sum({torn}) AS BIGINT) AS torn\n"
        f"FROM (SELECT a, sum(k) AS n, max(k) AS m\n"
        f"  FROM ({pairs}) AS p GROUP BY a) AS g"
    )
    try:
        counted = survey.journal.try_out(sql).first()
    except QueryFailed:
        return None
    breaking, rows, groups, torn_rows = (
        int(str(counted[name] or 0)) for name in ("breaking", "rows", "determinants", "torn")
    )
    top = profile.columns[dependent.index].get("top")
    others = rows - (top[0][1] if top else 0)
    if rows - groups < SUPPORT or breaking > min((1 - HOLDS) * rows, (1 - BETTER) * others) or 2 * torn_rows > breaking:
        return None
    usual = (
        f"SELECT a, b FROM (SELECT {a} AS a, {b} AS b, "
        f"row_number() OVER (PARTITION BY {a} ORDER BY count(*) DESC, {b}) AS place\n"
        f"    FROM {path} WHERE {filled} GROUP BY {a}, {b}) AS p WHERE place = 1"
    )
    evidence_sql = (
        f"SELECT count(*) OVER () AS rows, u.b AS usual, t.*\nFROM {path} AS t\n"
        f"JOIN ({usual}) AS u ON t.{a} = u.a\nWHERE t.{b} <> u.b"
    )
    return Dependency(
        table=profile.name,
        determinant=determinant.name,
        dependent=dependent.name,
        rows=rows,
        breaking=breaking,
        determinants=groups,
        query=survey.journal.note(sql),
        evidence=evidence_sql,
    )
