"""A page in other forms, all of its data block: as JSON, as Markdown for people, as a Croissant description.

All come from the stored page alone; nothing is measured again.
"""

import json
import re
from collections.abc import Iterator, Sequence
from typing import Any, Literal, get_args

from cataloger_sandbox import kinds

from cataloger_dagster.errors import ReportError
from cataloger_dagster.facts import Change, Column, Dependency, Facts, Finding, Scalar, Table
from cataloger_dagster.report.block import Block, read_block
from cataloger_dagster.report.coverage import not_judged, not_listed
from cataloger_dagster.report.croissant import croissant
from cataloger_dagster.report.elements import finding_place
from cataloger_dagster.report.numbers import count, format_value, is_ungrouped, per_cent, share

Format = Literal["json", "markdown", "croissant"]

FORMATS: tuple[Format, ...] = get_args(Format)


def export(html: str, form: Format) -> str:
    """Return the page in another form.

    Raises:
        ReportError: the page lacks what the form is made of.
    """
    match form:
        case "json":
            return _pretty(read_block(html).dump())
        case "croissant":
            return _pretty(_croissant(read_block(html)))
        case "markdown":
            return markdown(read_block(html))


def _pretty(data: Any) -> str:
    return json.dumps(data, indent=2, ensure_ascii=False)


def _croissant(block: Block) -> Any:
    if block.kind != "catalog":
        raise ReportError("a summary has no Croissant description; export the catalog")
    return json.loads(croissant(block))


def markdown(block: Block) -> str:
    """Return what the block says as Markdown: the database, changes, findings with their queries, references, and every
    table with its columns."""
    return "\n".join(_lines(block))


def _lines(block: Block) -> Iterator[str]:
    facts = block.facts
    rows = sum(table.rows or 0 for table in block.tables)
    yield f"# {escaped(block.database)}"
    yield ""
    yield f"{escaped(block.engine)}, {block.snapshot}, written by {escaped(block.model)}."
    measured, columns = block.coverage.tables, block.coverage.columns
    yield (
        f"{measured[0]} of {measured[1]} tables and {columns[0]} of {columns[1]} columns measured; {rows:,} rows; "
        f"{len(block.findings)} findings."
    )
    if block.about:
        yield from ("", escaped(block.about))
    for note in block.notes:
        yield from ("", f"**Note:** {escaped(note)}")
    if block.changes:
        yield from ("", "## Changes", "", "| change | where | before | now | severity |", "|---|---|--:|--:|---|")
        for change in block.changes:
            kind = change.kind.replace("_", " ")
            yield _row(kind, change_place(change), change.from_, change.to, change.severity)
    yield from ("", "## Findings", "")
    for finding in block.findings:
        yield from _finding(finding, block.facts)
    if not block.findings:
        yield "None."
    if block.references:
        yield from ("", "## References", "", "| from | to | declared | orphans |", "|---|---|---|--:|")
        for reference in block.references:
            ends = (f"{table} ({', '.join(names)})" for table, names in (reference.from_, reference.to))
            yield _row(*ends, "yes" if reference.declared else "inferred", reference.orphans)
    for table in facts.tables:
        yield from _table(table, [found for found in block.dependencies if found.table == table.name])
    yield from _estimates(facts)
    coverage = block.coverage
    lacking = (coverage.skipped, coverage.sampled, coverage.searched, coverage.unanswered)
    if any((*lacking, coverage.unjudged, coverage.unlisted, coverage.notes)):
        yield from ("", "## Not measured in full", "")
        for skipped in coverage.skipped:
            place = skipped.table if skipped.column is None else f"{skipped.table}.{skipped.column}"
            yield f"- {escaped(place)}: {escaped(skipped.reason)}"
        for sample in coverage.sampled:
            of = "" if sample.of is None else f" of {sample.of:,}"
            yield f"- {escaped(sample.table)}: {sample.rows:,}{of} rows stand for all ({escaped(sample.method)})"
        for item in coverage.searched:
            of = "" if item.of is None else f" of {item.of:,}"
            reason = f", {escaped(item.reason)}" if item.reason else ""
            yield f"- {escaped(item.table)}: flaws were looked for in {item.rows:,}{of} rows{reason}"
        for reason in coverage.unanswered:
            yield f"- some flaws may be missing: {escaped(reason)}"
        for sentence in [*coverage.notes, *not_listed(coverage), *not_judged(coverage)]:
            yield f"- {escaped(sentence)}"
    yield ""


def _finding(finding: Finding, facts: Facts) -> Iterator[str]:
    """Yield a finding as an item of a list: its sentence, its tables if it has many, its evidence query."""
    where = f"{finding.spread:,} places" if finding.members else finding_place(finding)
    name, sentence = _within(kinds.one(finding.kind)), _within(finding.sentence)
    yield f"- **{finding.severity}**, {name} in {_within(where)}: {sentence}"
    if finding.members:
        places = [
            f"{finding_place(part)}{'' if part.rows is None else f' ({part.rows:,})'}" for part in finding.members
        ]
        rest = f", and {finding.members_left_out:,} more" if finding.members_left_out else ""
        yield from ("", f"  Rows in each: {_within(', '.join(places))}{rest}.")
    query = facts.query_by_id.get(finding.query)
    if query is not None:
        # As Markdown knows it, a line ends with any of these; inside the fence every line is one of the item's.
        lines = re.split(r"\r\n|\r|\n", query.sql)
        fence = "`" * max(3, 1 + max(map(len, re.findall("`+", query.sql)), default=0))
        yield from ("", f"  {fence}sql", *(f"  {line}" for line in lines), f"  {fence}", "")


def _table(table: Table, dependencies: Sequence[Dependency]) -> Iterator[str]:
    yield from ("", f"## {escaped(table.name)}", "")
    if table.comment:
        yield from (escaped(table.comment), "")
    keys = "; ".join(" + ".join(key) for key in table.keys)
    size = "rows not counted" if table.rows is None else count(table.rows, "row")
    newest = (
        f"; newest: {_within(format_value(table.newest.value))} ({_within(table.newest.column)})"
        if table.newest
        else ""
    )
    yield f"{table.kind.capitalize()}, {size}{f'; unique: {escaped(keys)}' if keys else ''}{newest}."
    if dependencies:
        said = (f"{found.dependent} by {found.determinant}{_but_for(found)}" for found in dependencies)
        yield from ("", f"Determined: {escaped(', '.join(said))}.")
    yield from (
        "",
        "| column | type | what it holds | nulls | distinct | least | median | greatest | most frequent |",
        "|---|---|---|--:|--:|---|---|---|---|",
    )
    for column in table.columns:
        present = (table.rows or 0) - (column.nulls or 0)
        yield _row(
            column.name,
            column.type,
            _holds(column),
            _nulls(column, table.rows),
            distinct(column),
            _value(column, column.min),
            _median(column),
            _value(column, column.max),
            _most_frequent(column, present),
        )


def _but_for(found: Dependency) -> str:
    return f" (but for {found.breaking:,} of {found.rows:,} rows)" if found.breaking else ""


def _holds(column: Column) -> str:
    """Return what a column is for and what its values are: its comment, its semantic type or kind of personal data."""
    kind = f"personal: {column.pii}" if column.pii else column.semantic_type or ""
    parts = [column.comment or "", kind.replace("_", " "), f"not measured: {column.skipped}" if column.skipped else ""]
    return "; ".join(part for part in parts if part)


def _nulls(column: Column, rows: int | None) -> str | None:
    if column.nulls is None:
        return None
    return f"{column.nulls:,} ({share(column.nulls, rows)})" if column.nulls and rows else f"{column.nulls:,}"


def _median(column: Column) -> str | None:
    median = (column.quantiles or {}).get("0.5")
    if median is None:
        return None
    return f"{'≈ ' if column.quantiles_error is not None else ''}{_value(column, median)}"


def _most_frequent(column: Column, present: int) -> str | None:
    """Return the most frequent value and its share of those *present*; where none repeats, none is."""
    if not column.top or column.top[0][1] <= 1 < present:
        return None
    value, times = column.top[0]
    return f"{_value(column, value) or '(empty)'} ({share(times, present)})"


def _estimates(facts: Facts) -> Iterator[str]:
    """Yield how what is marked ≈ was estimated, and by how much it may be off."""
    columns = [column for table in facts.tables for column in table.columns]
    sketched = [column.distinct_error or 0.0 for column in columns if column.distinct_method == "hll"]
    sampled = [column.quantiles_error for column in columns if column.quantiles_error is not None]
    if sketched or sampled:
        yield from ("", "## Estimates", "", "≈ marks an estimate; every other number is exact, and of all rows.", "")
    if sketched:
        off = f", off by up to {per_cent(max(sketched))}" if max(sketched) else ""
        yield f"- distinct values: a sketch (HyperLogLog){off}"
    if sampled:
        yield f"- medians: a sketch or a sample, their rank off by up to {per_cent(max(sampled))}"


def distinct(column: Column) -> str | None:
    """Return a column's distinct values as text; an estimate is never shown as exact."""
    if column.distinct is None:
        return None
    if column.distinct_method != "hll":
        return f"{column.distinct:,}"
    error = f" (± {per_cent(column.distinct_error)})" if column.distinct_error else ""
    return f"≈ {column.distinct:,}{error}"


def change_place(change: Change) -> str:
    """Return what a change is about: a table, or a column of one."""
    return change.table if change.column is None else f"{change.table}.{change.column}"


def _value(column: Column, value: Scalar) -> str | None:
    return None if value is None else format_value(value, grouped=not is_ungrouped(column), width=40)


def _row(*cells: Scalar) -> str:
    shown = ("" if cell is None else format_value(cell, width=200) for cell in cells)
    return f"| {' | '.join(map(_within, shown))} |"


def escaped(text: str) -> str:
    """Return *text* as it reads in Markdown: on one line, no markup, no cell's end; names in a database are hostile."""
    # A line that begins with one of these would be a list, a heading or a table's rule.
    return re.sub(r"^(\d*)([-+=:.)])", r"\1\\\2", _within(text))


def _within(line: str) -> str:
    marked = re.sub(r"([\\`*_{}\[\]<>|#!~$&])", r"\\\1", re.sub(r"\s+", " ", line).strip())
    # Readers of Markdown make links of bare addresses.
    return re.sub(r"(?<=:)//|(?<=www)\.", lambda found: "\\" + "\\".join(found[0]), marked)
