"""Which columns identify a table's rows: the declared keys, and those inferred from the data.

A single column is a key when it is unique and never null; two to four columns when the rows' combinations
are. A search costs queries that give no fact: those are not recorded, the one that proves a key is.
"""

from collections.abc import Sequence
from itertools import combinations
from math import prod
from time import monotonic

from cataloger_sandbox.engines.base import Field, QueryFailed, Relation, may_identify
from cataloger_sandbox.names import freshness, is_identifier, table_words, words
from cataloger_sandbox.survey import Profile, Survey

SEARCH_SECONDS = 20.0
"""So long may the search for composite keys of a whole database take."""

COMPOSITE_ROWS = 5_000_000
"""In a table of more rows no composite key is looked for: to prove one takes as many combinations in memory."""

BY_CHANCE = 11
"""Columns identify rows together only if without a reason so many pairs of rows at least would be alike.

The number of pairs that are alike by chance is nearly a Poisson's (the birthday problem), so that none would be in one
case of 60,000: in one table of a thousand, whose ``COMBINATIONS`` are all tried.
"""

COMBINATIONS = 60
SAMPLE = 20_000
NEAR = 0.01
"""A column with so small a share of surplus rows is a key that is broken."""


def find_keys(survey: Survey) -> None:
    """Fill in each profile's ``keys`` and ``unique`` columns."""
    until = monotonic() + SEARCH_SECONDS
    for profile in survey.profiles.values():
        declared = _declared(profile.relation)
        profile.keys = list(declared)
        if not profile.rows or profile.rows < 2:
            profile.unique = {columns[0] for columns in declared if len(columns) == 1}
            continue
        _count_exactly(survey, profile)
        profile.unique = {columns[0] for columns in declared if len(columns) == 1} | {
            field.name for field in profile.relation.fields if _is_unique(profile, field)
        }
        profile.broken = [field.name for field in profile.relation.fields if is_broken_key(profile, field)]
        profile.keys += _inferred(profile, declared)
        if not profile.keys and not profile.broken and profile.relation.kind == "table" and monotonic() < until:
            profile.keys += _composite(survey, profile, until)


def newest_field(relation: Relation) -> Field | None:
    """Return the column that most plausibly tells when *relation* was last written to."""
    best, best_score = None, (False, 0.0)
    for field in relation.fields:
        timed = (field.kind == "time" and not field.base.lower().startswith("time")) or _is_timestamp(field)
        score = freshness(field.name)
        # SQLite has no type for times: a text column's name must say it clearly, and no column be declared to be one.
        named = field.kind == "text" and field.base == "text" and score >= 3
        if field.readable and score and (timed or named) and (timed, score) > best_score:
            best, best_score = field, (timed, score)
    return best


def is_broken_key(profile: Profile, field: Field) -> bool:
    """Tell whether a column is a key but for at most one row in a hundred."""
    if profile.relation.kind != "table" or not profile.rows:
        return False
    column = profile.columns[field.index]
    distinct, nulls = column["distinct"], column["nulls"]
    if distinct is None or nulls is None or column["distinct_method"] != "exact" or not _may_identify(profile, field):
        return False
    filled = profile.rows - nulls
    if not 0 < filled - distinct <= profile.rows * NEAR or nulls > profile.rows / 2:
        return False
    if profile.kinds[field.name] == "number" and words(field.name) == table_words(profile.relation.name):
        return False  # the population in a table of that name is how many people there are
    return is_identifier(field.name, profile.relation.name)


def _declared(relation: Relation) -> list[list[str]]:
    keys: list[list[str]] = []
    for columns in [*([relation.primary_key] if relation.primary_key else []), *relation.unique]:
        if columns and sorted(columns) not in [sorted(key) for key in keys]:
            keys.append(columns)
    return keys


def _is_timestamp(field: Field) -> bool:
    return field.kind == "time" and field.base.lower().startswith("timestamp")


def _is_unique(profile: Profile, field: Field) -> bool:
    column = profile.columns[field.index]
    exact = column["distinct_method"] == "exact"
    return exact and column["nulls"] == 0 and column["distinct"] == profile.rows and _may_identify(profile, field)


def _may_identify(profile: Profile, field: Field) -> bool:
    return may_identify(field, profile.kinds[field.name], profile.facts)


def _count_exactly(survey: Survey, profile: Profile) -> None:
    """Count the distinct values of a large table's likely key, which a sketch only estimates."""
    if profile.relation.primary_key:
        return
    likely = [
        field
        for field in profile.relation.fields
        if profile.columns[field.index]["distinct_method"] == "hll"
        and is_identifier(field.name, profile.relation.name)
        and _may_identify(profile, field)
        and profile.columns[field.index]["distinct"] > 0.9 * (profile.rows or 0)
    ]
    for field in likely[:2]:
        name, path = survey.engine.quote(field.name), survey.engine.path(profile.relation)
        try:
            rows, identifier = survey.journal.run(
                f"SELECT count(DISTINCT {name}) AS c{field.index}_distinct\nFROM {path}"
            )
        except QueryFailed:
            continue
        profile.columns[field.index] |= {
            "distinct": rows.rows[0][0],
            "distinct_method": "exact",
            "distinct_error": None,
        }
        profile.queries.append(identifier)


def _inferred(profile: Profile, declared: Sequence[list[str]]) -> list[list[str]]:
    """Return the single columns worth calling keys: those named so, else the most likely one."""
    known = {columns[0] for columns in declared if len(columns) == 1}
    fields = [field for field in profile.relation.fields if field.name in profile.unique - known]
    named = [field for field in fields if is_identifier(field.name, profile.relation.name)]
    if declared:
        return [[field.name] for field in named if profile.kinds[field.name] != "number"]
    if named:
        return [[field.name] for field in named]
    rows = profile.rows or 0
    plain = [field for field in fields if profile.kinds[field.name] != "time" and (field.index == 0 or rows >= 100)]
    timed = [field for field in fields if profile.kinds[field.name] == "time" and rows >= 100]
    return [[field.name] for field in (plain or timed)[:1]]


def _composite(survey: Survey, profile: Profile, until: float) -> list[list[str]]:
    """Search for two to four columns that identify the rows together."""
    rows = profile.rows or 0
    if rows > COMPOSITE_ROWS:
        return []
    ranked = sorted(
        (rank, field.index, field) for field in profile.relation.fields if (rank := _rank(profile, field)) is not None
    )[:10]
    if rows < 100:  # in a few rows nearly every pair of columns is unique: names must say it
        ranked = [item for item in ranked if item[0] == 0]
    for size in (2, 3, 4):
        found = []
        for chosen in combinations(ranked, size):
            fields = sorted((item[2] for item in chosen), key=lambda field: field.index)
            distinct = [int(str(profile.columns[field.index]["distinct"])) for field in fields]
            telling = alike_by_chance(rows, distinct) >= BY_CHANCE or _is_junction(profile, fields, ranked)
            if rows <= prod(distinct) and telling:
                found.append((sum(item[0] for item in chosen), [field.index for field in fields], fields))
        candidates = [item[2] for item in sorted(found, key=lambda item: item[:2])[:COMBINATIONS]]
        if candidates and (key := _first_unique(survey, profile, candidates, until)):
            return [key]
        if monotonic() > until:
            return []
    return []


def alike_by_chance(rows: int, distinct: Sequence[int]) -> float:
    """Return how many pairs of rows at least are alike in columns that have nothing to do with each other.

    That two rows are alike in one column is least probable where each of its values comes equally often; a column that
    alone is nearly unique leaves next to nothing for another to tell apart.
    """
    return rows * (rows - 1) / 2 * prod(max(0.0, 1 / each - 1 / rows) for each in distinct)


def _is_junction(profile: Profile, fields: Sequence[Field], ranked: Sequence[tuple[int, int, Field]]) -> bool:
    """Tell whether *fields* are all that a table has of identifiers, and nearly all it has: it joins two others."""
    named = [item[1] for item in ranked if item[0] == 0]
    return [field.index for field in fields] == sorted(named) and len(profile.relation.fields) <= len(named) + 2


def _rank(profile: Profile, field: Field) -> int | None:
    """Return how plausible a column is as a part of a key, 0 the most; null if it can't be one."""
    column = profile.columns[field.index]
    if column["nulls"] != 0 or (column["distinct"] or 0) < 2 or not _may_identify(profile, field):
        return None
    if is_identifier(field.name, profile.relation.name):
        return 0
    return 1 if profile.kinds[field.name] in ("text", "time", "other") else 3


def _first_unique(
    survey: Survey, profile: Profile, candidates: Sequence[Sequence[Field]], until: float
) -> list[str] | None:
    """Return the first of *candidates* that is unique; most are ruled out on a sample, all in one query."""
    engine = survey.engine
    path = engine.path(profile.relation)
    names = [[engine.quote(field.name) for field in fields] for fields in candidates]
    needed = sorted({name for group in names for name in group})
    sample = f"(SELECT {', '.join(needed)} FROM {path} LIMIT {SAMPLE}) AS s"
    counts = ", ".join(
        f"(SELECT count(*) FROM (SELECT DISTINCT {', '.join(group)} FROM {sample}) AS d) AS k{i}"
        for i, group in enumerate(names)
    )
    expected = min(SAMPLE, profile.rows or 0)
    try:
        found = engine.fetch(f"SELECT {counts}", SEARCH_SECONDS).rows[0]
        for fields, group, count in zip(candidates, names, found, strict=True):
            if count != expected or monotonic() > until:
                continue
            sql = f"SELECT count(*) AS combinations\nFROM (SELECT DISTINCT {', '.join(group)} FROM {path}) AS d"
            if survey.journal.try_out(sql).rows[0][0] == profile.rows:
                profile.queries.append(survey.journal.note(sql))
                return [field.name for field in fields]
    except QueryFailed:
        return None
    return None
