"""Keys that repeat, and references that break."""

from collections.abc import Iterator

from cataloger_sandbox.flaws.evidence import count_rows
from cataloger_sandbox.flaws.finding import Finding, Severity
from cataloger_sandbox.references import HOLDS, links_where
from cataloger_sandbox.survey import Link, Survey


def duplicate_keys(survey: Survey) -> Iterator[Finding]:
    """Yield the columns that identify the rows, but for a few."""
    referring = {(link.source.name, link.columns[0]) for link in survey.links if len(link.columns) == 1}
    for profile in survey.tables:
        for name in profile.broken:
            if (profile.name, name) in referring:
                continue  # it points to another table's key, and is none of its own
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


def orphans(survey: Survey) -> Iterator[Finding]:
    """Yield the references that break for some rows."""
    for link in survey.links:
        if _breaks(link) and (counted := count_rows(survey, link.source, links_where(survey, link, "t"))):
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
