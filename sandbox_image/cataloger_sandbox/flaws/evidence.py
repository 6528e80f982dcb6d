"""How the rows at fault are counted, and the query that shows them: their number first, as ``rows``, then each row.

Of a table whose values must not be shown, the query gives the number alone.
"""

from collections.abc import Iterator, Sequence

from cataloger_sandbox.engines.base import QueryFailed
from cataloger_sandbox.flaws.look import Suspect
from cataloger_sandbox.survey import Profile, Survey


def count_rows(
    survey: Survey, profile: Profile, condition: str, order: str = "", shown: str = "t.*"
) -> tuple[int, str] | None:
    """Count the rows of a table for which *condition* (SQL, over the row ``t``) holds.

    Args:
        order: the SQL to order the rows by where they are shown.
        shown: the SQL of what is shown of each row.

    Returns:
        Their number and the id of the recorded query; null where there are none, or they could not be counted.
    """
    path = survey.engine.path(profile.relation)
    count = f"SELECT count(*) AS rows\nFROM {path} AS t\nWHERE {condition}"
    rows, query = survey.journal.count(count, _shown(path, condition, order, shown) if profile.values else None)
    return (rows, query) if rows and query is not None else None


def count_all(survey: Survey, profile: Profile, suspects: Sequence[Suspect]) -> Iterator[tuple[Suspect, int, str]]:
    """Count the rows of many conditions in one pass; yield each that some rows meet, but not too many, with its query.

    Where one condition can't be evaluated, each is counted by itself.
    """
    if not suspects:
        return
    path = survey.engine.path(profile.relation)
    outputs = ", ".join(f"count(CASE WHEN {item.where} THEN 1 END) AS s{i}" for i, item in enumerate(suspects))
    try:
        counts = survey.journal.try_out(f"SELECT {outputs}\nFROM {path} AS t").rows[0]
    except QueryFailed:
        for suspect in suspects:
            counted = count_rows(survey, profile, suspect.where, suspect.order)
            if counted and counted[0] <= suspect.most * (profile.rows or 0):
                yield suspect, *counted
        return
    for suspect, rows in zip(suspects, counts, strict=True):
        if isinstance(rows, int) and 0 < rows <= suspect.most * (profile.rows or 0):
            yield suspect, rows, survey.journal.record(_shown(path, suspect.where, suspect.order))


def _shown(path: str, condition: str, order: str, shown: str = "t.*") -> str:
    ordered = f"\nORDER BY {order}" if order else ""
    return f"SELECT count(*) OVER () AS rows, {shown}\nFROM {path} AS t\nWHERE {condition}{ordered}"
