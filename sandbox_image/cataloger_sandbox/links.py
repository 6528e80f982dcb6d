"""One reference under measurement: how many rows it has, how many of these point to nothing. No search here."""

from collections.abc import Sequence

from cataloger_sandbox.engines.base import QueryFailed
from cataloger_sandbox.survey import Link, Profile, Survey

HOLDS = 0.8
"""An inferred reference holds for at least this share of its rows."""


def links_where(survey: Survey, link: Link, row: str) -> str:
    """Return the condition under which a *row* of the link's source is an orphan."""
    return _orphan(survey, link.columns, link.target, link.to_columns, row)


def _orphan(survey: Survey, columns: Sequence[str], target: Profile, to_columns: Sequence[str], row: str = "c") -> str:
    engine = survey.engine
    mine = [f"{row}.{engine.quote(name)}" for name in columns]
    theirs = [f"p.{engine.quote(name)}" for name in to_columns]
    filled = " AND ".join(f"{name} IS NOT NULL" for name in mine)
    missing = engine.missing(mine, f"{engine.path(target.relation)} AS p", theirs)
    return f"{filled} AND {missing}"


def measure_link(
    survey: Survey,
    source: Profile,
    columns: list[str],
    target: Profile,
    to_columns: list[str],
    *,
    declared: bool,
    by_name: bool = True,
) -> Link:
    """Count the orphans of one reference; an inferred one that does not hold has no ``query``."""
    orphans = filled = query = None
    if source.rows is not None and target.rows is not None:
        filled = _filled(survey, source, columns)  # before the count: the journal notes what was tried last
        condition = _orphan(survey, columns, target, to_columns)
        sql = f"SELECT count(*) AS orphans\nFROM {survey.engine.path(source.relation)} AS c\nWHERE {condition}"
        orphans, query = _count(survey, sql, record=declared)
        if not declared and filled and orphans is not None and orphans <= filled * (1 - HOLDS):
            query = survey.journal.note(sql)
    return Link(source, columns, target, to_columns, declared, orphans, filled, query, by_name)


def _count(survey: Survey, sql: str, record: bool) -> tuple[int | None, str | None]:
    try:
        if record:
            rows, query = survey.journal.run(sql)
        else:
            rows, query = survey.journal.try_out(sql), None
    except QueryFailed:
        return None, None
    value = rows.rows[0][0]
    return (value if isinstance(value, int) else None), query


def _filled(survey: Survey, source: Profile, columns: Sequence[str]) -> int | None:
    """Return how many rows have a value in all of *columns*."""
    nulls = [source.column(name)["nulls"] for name in columns]
    if any(count is None for count in nulls) or source.rows is None:
        return None
    if len(columns) == 1 or sum(count > 0 for count in nulls) == 0:
        return source.rows - int(nulls[0])
    condition = " AND ".join(f"{survey.engine.quote(name)} IS NOT NULL" for name in columns)
    found, _ = _count(survey, f"SELECT count(*) FROM {survey.engine.path(source.relation)} WHERE {condition}", False)
    return found
