"""Tables and columns that tell nothing: no rows, or one and the same value in all of them."""

from collections.abc import Iterator, Sequence

from cataloger_sandbox.flaws.finding import Finding
from cataloger_sandbox.survey import Profile, Survey

CONSTANT_ROWS = 100
"""A column with one value is a finding from so many rows on."""

TOGETHER = 4
"""So many columns of a table that are null throughout are one finding."""

NAMED = 12


def empty_tables(_survey: Survey, profile: Profile) -> Iterator[Finding]:
    """Yield the table if it has no row."""
    if profile.rows == 0:
        sentence = f"{profile.name} has no rows."
        yield Finding("empty_table", profile.name, [], "low", 0, profile.queries[0], sentence)


def constant_columns(survey: Survey, profile: Profile) -> Iterator[Finding]:
    """Yield the columns with one value, or none, in every row."""
    rows = profile.rows or 0
    if rows < CONSTANT_ROWS:
        return
    empty = [column["name"] for column in profile.columns if column["nulls"] == rows]
    if len(empty) >= TOGETHER:
        yield from _all_empty(survey, profile, empty)
    for column in profile.columns:
        always_null = column["nulls"] == rows
        if always_null and len(empty) >= TOGETHER:
            continue
        if not always_null and not (column["nulls"] == 0 and column["distinct"] == 1):
            continue
        name, path = survey.engine.quote(column["name"]), survey.engine.path(profile.relation)
        kind = profile.kinds[column["name"]]
        shown = ""
        if profile.values and not always_null and kind not in ("binary", "nested"):
            # PostgreSQL has no least truth value.
            least = f"CASE WHEN {name} THEN 'true' ELSE 'false' END" if kind == "boolean" else name
            shown = f", min({least}) AS value"
        # Counted again, with the value beside it: a sketch that says 1 is no proof.
        sql = f"SELECT count(*) AS rows, count(DISTINCT {name}) AS distinct_values{shown}\nFROM {path}"
        if kind in ("nested", "other") or always_null:
            sql = f"SELECT count(*) AS rows, count({name}) AS filled\nFROM {path}"
        found, query = survey.journal.count(sql)
        if found is None or query is None:
            continue
        what = "is null" if always_null else "has one and the same value"
        sentence = f"{column['name']} {what} in all {rows:,} rows of {profile.name}."
        yield Finding("constant_column", profile.name, [column["name"]], "low", found, query, sentence)


def _all_empty(survey: Survey, profile: Profile, names: Sequence[str]) -> Iterator[Finding]:
    """Yield one finding for many columns that are null throughout."""
    filled = ", ".join(f"count({survey.engine.quote(name)}) AS {survey.engine.quote(name)}" for name in names)
    rows, query = survey.journal.count(
        f"SELECT count(*) AS rows, {filled}\nFROM {survey.engine.path(profile.relation)}"
    )
    if rows is None or query is None:
        return
    listed = f"{', '.join(names[:NAMED])}{f' and {len(names) - NAMED:,} more' if len(names) > NAMED else ''}"
    sentence = f"{len(names):,} columns of {profile.name} are null in all {rows:,} rows: {listed}."
    yield Finding("constant_column", profile.name, names, "low", rows, query, sentence, detail="null", grouped=True)
