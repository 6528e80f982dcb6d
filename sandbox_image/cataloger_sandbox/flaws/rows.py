"""Whole rows that come more than once."""

from collections import Counter
from collections.abc import Iterator

from cataloger_sandbox.engines.base import QueryFailed
from cataloger_sandbox.flaws.finding import Finding
from cataloger_sandbox.flaws.look import Look, is_one_of
from cataloger_sandbox.flaws.phrases import counted

LEAST = 20

MOST = 0.25
"""Where more of the rows are repeated, rows are not meant to differ."""

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
