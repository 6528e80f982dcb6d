"""How the rows at fault are counted, and the query that shows them: their number first, as ``rows``, then each row.

Of a table whose values must not be shown, the query gives the number alone.
"""

from cataloger_sandbox.survey import Profile, Survey


def count_rows(survey: Survey, profile: Profile, condition: str, order: str = "") -> tuple[int, str] | None:
    """Count the rows of a table for which *condition* (SQL, over the row ``t``) holds.

    Args:
        order: the SQL to order the rows by where they are shown.

    Returns:
        Their number and the id of the recorded query; null where there are none, or they could not be counted.
    """
    source = f"FROM {survey.engine.path(profile.relation)} AS t\nWHERE {condition}"
    shown = f"SELECT count(*) OVER () AS rows, t.*\n{source}" + (f"\nORDER BY {order}" if order else "")
    rows, query = survey.journal.count(f"SELECT count(*) AS rows\n{source}", shown if profile.values else None)
    return (rows, query) if rows and query is not None else None
