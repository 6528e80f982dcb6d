"""Keys that repeat, and references that break."""

from collections.abc import Iterator

from cataloger_sandbox.flaws.evidence import count_rows
from cataloger_sandbox.flaws.finding import Finding, Severity
from cataloger_sandbox.links import HOLDS, links_where
from cataloger_sandbox.names import words
from cataloger_sandbox.survey import Link, Profile, Survey

_SHARED = {"postcode", "zip", "zipcode", "postal", "plz", "phone", "mobile", "tel", "fax", "telephone", "plate"} | {
    "name",
    "symbol",
    "hash",
}
"""Words of names whose values several rows may share."""


def duplicate_keys(survey: Survey, profile: Profile) -> Iterator[Finding]:
    """Yield the columns that identify the rows, but for a few."""
    own = [link for link in survey.links if link.source is profile and len(link.columns) == 1]
    referring = {link.columns[0] for link in own}
    for name in profile.broken:
        if name in referring or _repeats_by_nature(profile, name):
            continue  # it points to another table's key, and is none of its own; or it is no key
        column, path = survey.engine.quote(name), survey.engine.path(profile.relation)
        repeated = f"SELECT {column} FROM {path} WHERE {column} IS NOT NULL GROUP BY {column} HAVING count(*) > 1"
        counted = count_rows(survey, profile, f"t.{column} IN ({repeated})", f"t.{column}")
        if counted is None:
            continue
        sentence = (
            f"{name} identifies the rows of {profile.name}, "
            f"but {counted[0]:,} of {profile.rows:,} rows share its value with another."
        )
        yield Finding("duplicate_key", profile.name, [name], "high", *counted, sentence)


def _repeats_by_nature(profile: Profile, name: str) -> bool:
    """Tell whether a column is none that must not repeat: a place's or person's, or digits too few to stay apart.

    Of n codes drawn from K, about n * n / 2 K meet one drawn before (the birthday problem).
    """
    if set(words(name)) & _SHARED:
        return True
    column, rows = profile.column(name), profile.rows or 0
    longest = (column.get("lengths") or {}).get("max")
    ends = [str(column.get(end) or "") for end in ("min", "max")]
    if longest is None or not all(end.isdigit() for end in ends):
        return False
    return bool(rows - column["nulls"] - column["distinct"] <= 3 * rows**2 / (2 * 10**longest))


def orphans(survey: Survey, profile: Profile) -> Iterator[Finding]:
    """Yield the references of a table that break for some rows."""
    for link in survey.links:
        if (
            link.source is profile
            and _breaks(link)
            and (counted := count_rows(survey, link.source, links_where(survey, link, "t")))
        ):
            columns, to_columns = " and ".join(link.columns), " and ".join(link.to_columns)
            sentence = (
                f"{counted[0]:,} of {link.filled:,} rows of {link.source.name} that have {columns} "
                f"find no row of {link.target.name} with this {to_columns}."
            )
            severity: Severity = "high" if link.declared else "medium"
            yield Finding("orphan_foreign_key", link.source.name, link.columns, severity, *counted, sentence)


def _breaks(link: Link) -> bool:
    if not link.orphans or not link.filled or not link.target.rows:
        return False
    return link.declared or link.orphans <= link.filled * (1 - HOLDS)
