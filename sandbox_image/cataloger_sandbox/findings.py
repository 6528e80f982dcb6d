"""The flaws that our own statistics show, each with the query that returns the rows at fault.

An evidence query gives their number in the first column of each row, ``rows``. For a table whose values
must not be shown it gives the number alone. One flaw is one finding.
"""

from collections.abc import Sequence
from typing import Any

from cataloger_sandbox.references import HOLDS, Link, links_where
from cataloger_sandbox.survey import Profile, Survey

CONSTANT_ROWS = 100
"""A column with one value is a finding from so many rows on."""

_ORDER = ("high", "medium", "low", "info")


def find_flaws(survey: Survey, links: Sequence[Link]) -> list[dict[str, Any]]:
    """Return the findings, the gravest first."""
    findings = []
    referring = {(link.source.name, link.columns[0]) for link in links if len(link.columns) == 1}
    for profile in survey.profiles.values():
        if profile.rows is None or profile.relation.kind != "table":
            continue  # a view repeats the flaws of its tables
        if profile.rows == 0:
            findings.append(_empty(profile))
            continue
        findings += _constant(survey, profile)
        findings += _duplicates(survey, profile, referring)
    for link in links:
        findings += _orphans(survey, link)
    return sorted(findings, key=lambda item: (_ORDER.index(item["severity"]), -(item["rows"] or 0), item["id"]))


def _empty(profile: Profile) -> dict[str, Any]:
    return _finding("empty_table", profile, [], "low", 0, profile.queries[0], f"{profile.name} has no rows.")


def _constant(survey: Survey, profile: Profile) -> list[dict[str, Any]]:
    rows = profile.rows or 0
    if rows < CONSTANT_ROWS:
        return []
    findings = []
    for column in profile.columns:
        always_null = column["nulls"] == rows
        if not always_null and not (column["nulls"] == 0 and column["distinct"] == 1):
            continue
        name, path = survey.engine.quote(column["name"]), survey.engine.path(profile.relation)
        shown = ""
        if profile.values and not always_null and profile.kinds[column["name"]] not in ("binary", "nested"):
            shown = f", min({name}) AS value"
        # Counted again, with the value beside it: a sketch that says 1 is no proof.
        sql = f"SELECT count(*) AS rows, count(DISTINCT {name}) AS distinct_values{shown}\nFROM {path}"
        if profile.kinds[column["name"]] in ("nested", "other") or always_null:
            sql = f"SELECT count(*) AS rows, count({name}) AS filled\nFROM {path}"
        found, query = survey.journal.count(sql)
        if found is None or query is None:
            continue
        what = "is null" if always_null else "has one and the same value"
        sentence = f"{column['name']} {what} in all {rows:,} rows of {profile.name}."
        findings.append(_finding("constant_column", profile, [column["name"]], "low", found, query, sentence))
    return findings


def _duplicates(survey: Survey, profile: Profile, referring: set[tuple[str, str]]) -> list[dict[str, Any]]:
    findings = []
    for name in profile.broken:
        if (profile.name, name) in referring:
            continue  # it points to another table's key, and is none of its own
        column, path = survey.engine.quote(name), survey.engine.path(profile.relation)
        repeated = f"SELECT {column} FROM {path} WHERE {column} IS NOT NULL GROUP BY {column} HAVING count(*) > 1"
        condition = f"t.{column} IN ({repeated})"
        count = f"SELECT count(*) AS rows\nFROM {path} AS t\nWHERE {condition}"
        shown = f"SELECT count(*) OVER () AS rows, t.*\nFROM {path} AS t\nWHERE {condition}\nORDER BY t.{column}"
        rows, query = survey.journal.count(count, shown if profile.values else None)
        if not rows or query is None:
            continue
        sentence = (
            f"{name} identifies the rows of {profile.name}, "
            f"but {rows:,} of {profile.rows:,} rows share its value with another."
        )
        findings.append(_finding("duplicate_key", profile, [name], "high", rows, query, sentence))
    return findings


def _orphans(survey: Survey, link: Link) -> list[dict[str, Any]]:
    if not link.orphans or not link.filled or not link.target.rows:
        return []
    if not link.declared and link.orphans > link.filled * (1 - HOLDS):
        return []
    path, condition = survey.engine.path(link.source.relation), links_where(survey, link)
    count = f"SELECT count(*) AS rows\nFROM {path} AS c\nWHERE {condition}"
    shown = f"SELECT count(*) OVER () AS rows, c.*\nFROM {path} AS c\nWHERE {condition}"
    rows, query = survey.journal.count(count, shown if link.source.values else None)
    if not rows or query is None:
        return []
    columns, to_columns = " and ".join(link.columns), " and ".join(link.to_columns)
    sentence = (
        f"{rows:,} of {link.filled:,} rows of {link.source.name} that have {columns} "
        f"find no row of {link.target.name} with this {to_columns}."
    )
    severity = "high" if link.declared else "medium"
    return [_finding("orphan_foreign_key", link.source, link.columns, severity, rows, query, sentence)]


def _finding(
    kind: str, profile: Profile, columns: list[str], severity: str, rows: int, query: str, sentence: str
) -> dict[str, Any]:
    return {
        "id": ":".join([kind, profile.name, *([",".join(columns)] if columns else [])]),
        "kind": kind,
        "table": profile.name,
        "columns": columns,
        "severity": severity,
        "rows": rows,
        "query": query,
        "sentence": sentence,
    }
