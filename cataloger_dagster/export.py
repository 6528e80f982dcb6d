"""A page in other forms, all of its data block: as JSON, as Markdown for people, as a Croissant description.

All come from the stored page alone; nothing is measured again.
"""

import json
import re
from collections.abc import Iterator
from typing import Any, Literal, get_args

from cataloger_dagster.errors import ReportError
from cataloger_dagster.facts import Change, Column, Scalar, Table
from cataloger_dagster.report.block import Block, read_block
from cataloger_dagster.report.coverage import not_judged, not_listed
from cataloger_dagster.report.croissant import croissant
from cataloger_dagster.report.numbers import format_value, is_ungrouped

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
    """Return what the block says as Markdown: the database, changes, findings, and every table with its columns."""
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
            yield _row(change.kind, change_place(change), change.from_, change.to, change.severity)
    yield from ("", "## Findings", "")
    if block.findings:
        yield from ("| severity | finding | rows |", "|---|---|--:|")
        for finding in block.findings:
            yield _row(finding.severity, finding.sentence, finding.rows)
    else:
        yield "None."
    if block.references:
        yield from ("", "## References", "", "| from | to | declared | orphans |", "|---|---|---|--:|")
        for reference in block.references:
            ends = (f"{table} ({', '.join(names)})" for table, names in (reference.from_, reference.to))
            yield _row(*ends, "yes" if reference.declared else "inferred", reference.orphans)
    for table in facts.tables:
        yield from _table(table)
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


def _table(table: Table) -> Iterator[str]:
    yield from ("", f"## {escaped(table.name)}", "")
    if table.comment:
        yield from (escaped(table.comment), "")
    keys = "; ".join(", ".join(key) for key in table.keys)
    size = "rows not counted" if table.rows is None else f"{table.rows:,} rows"
    yield f"{table.kind.capitalize()}, {size}{f'; keys: {escaped(keys)}' if keys else ''}."
    yield from ("", "| column | type | nulls | distinct | min | max | most frequent |", "|---|---|--:|--:|---|---|---|")
    for column in table.columns:
        yield _row(
            column.name,
            column.type,
            column.nulls,
            distinct(column),
            _value(column, column.min),
            _value(column, column.max),
            _value(column, column.top[0][0]) if column.top else None,
        )


def distinct(column: Column) -> str | None:
    """Return a column's distinct values as text; an estimate is never shown as exact."""
    if column.distinct is None:
        return None
    return f"{'≈ ' if column.distinct_method == 'hll' else ''}{column.distinct:,}"


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
