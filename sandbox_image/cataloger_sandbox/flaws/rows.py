"""Rows that come more than once: in every column, or in the two that should tell them apart."""

from collections import Counter
from collections.abc import Iterator
from itertools import combinations

from cataloger_sandbox.engines.base import QueryFailed
from cataloger_sandbox.flaws.evidence import count_rows
from cataloger_sandbox.flaws.finding import Finding
from cataloger_sandbox.flaws.look import Column, Look, is_one_of
from cataloger_sandbox.flaws.phrases import counted
from cataloger_sandbox.judging import Unjudged
from cataloger_sandbox.keys import NEAR

LEAST = 20

MOST = 0.25
"""Where more of the rows are repeated, rows are not meant to differ."""

GRID = 0.5
"""For so large a share of the pairs of values a grid has a row."""

PROBES = 2_000
"""So many values of a large table's most telling column are looked up to see whether their rows repeat."""


def duplicate_rows(look: Look) -> Iterator[Finding]:
    """Yield the table if some of its rows are the same in every column.

    Rows of a few categories meet by chance: that is no flaw as long as no more do than would if columns were
    independent of each other.
    """
    if look.rows < LEAST or look.profile.unique or look.profile.relation.primary_key:
        return
    if not look.whole and not _probe(look):
        return
    survey, profile = look.survey, look.profile
    if profile.plan and profile.plan.long:
        survey.unjudged.append(Unjudged(["duplicate_rows"], profile.name, "its rows are too long to compare", cut=True))
        return
    names = [
        f"CAST(t.{survey.engine.quote(item.name)} AS varchar)"
        if profile.kinds[item.name] == "nested"
        else f"t.{survey.engine.quote(item.name)}"
        for item in profile.relation.fields
    ]
    path, every = survey.engine.path(profile.relation), ", ".join(names)
    groups = f"SELECT count(*) AS n FROM {path} AS t GROUP BY {every} HAVING count(*) > 1"
    marked = f"SELECT t.*, count(*) OVER (PARTITION BY {every}) AS copies FROM {path} AS t"
    first = look.survey.engine.quote(profile.relation.fields[0].name)
    shown = f"SELECT count(*) OVER () AS rows, d.*\nFROM ({marked}) AS d\nWHERE copies > 1\nORDER BY d.{first}, copies"
    try:
        repeated, rows = survey.journal.try_out(f"SELECT count(*), sum(n) FROM ({groups}) AS g").rows[0]
    except QueryFailed:
        return
    rows = int(str(rows or 0))
    if not rows or rows > MOST * look.rows or rows - int(str(repeated)) <= 5 * _by_chance(look) + 1 - look.whole:
        return
    query = survey.journal.record(shown)
    surplus = rows - int(str(repeated))
    sentence = (
        f"{counted(rows, look)} of {profile.name} are the same in every column as another: "
        f"{surplus:,} {'is' if surplus == 1 else 'are'} there once too often."
    )
    yield Finding("duplicate_rows", profile.name, [], "high", rows, query, sentence)


def _by_chance(look: Look) -> float:
    """Return how many rows would be like an earlier one if the columns had nothing to do with each other."""
    meeting = 0.5 * look.rows**2
    for column in look.columns.values():
        size = max(look.size, 1)
        nulls = look.size - column.filled
        meeting *= max((sum(n * n for n in column.counts.values()) + nulls * nulls) / size**2 - 1 / size, 1 / size**2)
    return meeting


def _probe(look: Look) -> bool:
    """Look up all rows that have some values of the most telling column: are there two alike?"""
    column = max(look.columns.values(), key=lambda item: len(item.counts))
    if len(column.counts) < 0.3 * look.size:
        return True
    values = list(column.counts)[:PROBES]
    survey, profile = look.survey, look.profile
    outputs = ", ".join(f"t.{survey.engine.quote(name)}" for name in look.columns)
    sql = f"SELECT {outputs} FROM {survey.engine.path(profile.relation)} AS t WHERE {is_one_of(column, values)}"
    try:
        rows = survey.journal.try_out(sql).rows
    except QueryFailed:
        return False
    return max(Counter(map(tuple, rows)).values(), default=0) > 1


def repeated_pairs(look: Look) -> Iterator[Finding]:
    """Yield a pair of columns that identifies the rows but for a few.

    A pair is meant to be a key where far fewer of its values meet than would if the two had nothing to do with each
    other: lines are numbered within each order, times are told apart within each station. Where the rows have a key
    already the pair must be a grid as well: a row for nearly every employee and month.
    """
    profile, survey = look.profile, look.survey
    told = profile.unique or profile.broken or profile.relation.primary_key or profile.relation.unique
    if not look.whole or any(len(key) == 2 for key in profile.keys) or look.rows < LEAST:
        return
    found = sorted(
        (surplus, first.field.index, second.field.index, first, second)
        for first, second in combinations(_parts(look), 2)
        if look.names(first)
        and (not told or _is_grid(look, first, second))
        and (surplus := _surplus(look, first, second)) is not None
    )
    if not found or not found[0][0]:
        return
    first, second = found[0][3:]
    names = [survey.engine.quote(column.name) for column in (first, second)]
    pair, mine = ", ".join(names), ", ".join(f"t.{name}" for name in names)
    repeated = f"SELECT {pair} FROM {survey.engine.path(profile.relation)} GROUP BY {pair} HAVING count(*) > 1"
    if counted_rows := count_rows(survey, profile, f"({mine}) IN ({repeated})", mine):
        sentence = (
            f"{first.name} and {second.name} together identify the rows of {profile.name}, "
            f"but {counted(counted_rows[0], look)} share both with another."
        )
        yield Finding("duplicate_key", profile.name, [first.name, second.name], "high", *counted_rows, sentence)


def _parts(look: Look) -> list[Column]:
    """Return the columns that may be a part of a key: names and numbers of things, whole numbers, days.

    Moments are none: few things happen in the same one, so that with any column they are nearly unique.
    """
    found = [
        column
        for column in look.columns.values()
        if column.filled == look.size
        and len(column.counts) > 1
        and not column.field.floating
        and (column.kind != "time" or all(len(str(value)) <= len("2026-01-31") for value in column.counts))
        and (look.names(column) or column.kind in ("number", "time"))
    ]
    return sorted(found, key=lambda column: (not look.names(column), column.field.index))[:10]


def _is_grid(look: Look, first: Column, second: Column) -> bool:
    """Tell whether there is a row for most of the pairs that two columns' values make."""
    return len(second.counts) >= 3 and look.size >= GRID * len(first.counts) * len(second.counts)


def _surplus(look: Look, first: Column, second: Column) -> int | None:
    """Return how many rows have a pair of values again; null where the pair is none that is meant to be a key."""
    size = look.size
    # How probable it is that two rows have the same value: what is nearly unique by itself is no key with any other.
    share = [sum(n * (n - 1) for n in column.counts.values()) / size**2 for column in (first, second)]
    by_chance = 0.5 * size * size * share[0] * share[1]
    if by_chance < 30 or len(first.counts) * len(second.counts) < (1 - NEAR) * size:
        return None
    surplus = size - len(set(zip(first.values, second.values, strict=True)))
    return surplus if surplus <= min(NEAR * size, 0.1 * by_chance) else None
