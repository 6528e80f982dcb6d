"""The overview page: every database in one table, with what a team looks for first."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from markupsafe import Markup

from cataloger_dagster.facts import SEVERITIES
from cataloger_dagster.report import elements
from cataloger_dagster.report.block import Block, as_json
from cataloger_dagster.report.numbers import count
from cataloger_dagster.report.page import Page
from cataloger_dagster.report.tree import clean


@dataclass(frozen=True)
class Entry:
    """One database of the overview.

    Attributes:
        block: the data block of its newest catalog; null without one.
        reason: why there is none, or what is wrong with the newest run.
        summary: the snapshot of its newest summary, if there is one.
    """

    name: str
    block: Block | None = None
    reason: str | None = None
    owners: tuple[str, ...] = ()
    summary: str | None = None


@dataclass(frozen=True)
class Line:
    """An entry as the template gets it."""

    entry: Entry
    href: str | None
    summary: str | None
    tables: int
    rows: int
    findings: list[tuple[str, int]]
    age: str
    stale: bool


def overview_page(at: str, entries: Sequence[Entry]) -> Page[None]:
    """Return the page of all *entries* as of *at*; links lead to pages beside it in the store."""
    lines = [_line(entry, at) for entry in sorted(entries, key=lambda entry: entry.name.lower())]
    html = (
        elements.environment()
        .get_template("overview.html.j2")
        .render(
            at=at,
            lines=lines,
            documented=sum(line.href is not None for line in lines),
            tables=sum(line.tables for line in lines),
            rows=sum(line.rows for line in lines),
            findings=Counter(f.severity for entry in entries if entry.block for f in entry.block.findings),
            severities=SEVERITIES,
            block=Markup(as_json(_data(at, lines))),
        )
    )
    return Page(clean(html), None)


def _line(entry: Entry, at: str) -> Line:
    block = entry.block
    if block is None:
        return Line(entry, None, None, 0, 0, [], "", False)
    tally = Counter(finding.severity for finding in block.findings)
    age = datetime.fromisoformat(at) - datetime.fromisoformat(block.snapshot)
    days = max(age.days, 0)
    hours = int(max(age.total_seconds(), 0) // 3600)
    words = count(days, "day") + " ago" if days else count(hours, "hour") + " ago" if hours else "just now"
    return Line(
        entry=entry,
        href=f"../../{entry.name}/{block.snapshot}/catalog.html",
        summary=f"../../{entry.name}/{entry.summary}/summary.html" if entry.summary else None,
        tables=len(block.tables),
        rows=sum(table.rows or 0 for table in block.tables),
        findings=[(severity, tally[severity]) for severity in SEVERITIES if tally[severity]],
        age=words,
        stale=days >= 7,
    )


def _data(at: str, lines: Sequence[Line]) -> dict[str, Any]:
    return {
        "format": 1,
        "at": at,
        "databases": [
            {
                "name": line.entry.name,
                "snapshot": line.entry.block.snapshot if line.entry.block else None,
                "page": line.href,
                "tables": line.tables,
                "rows": line.rows,
                "findings": dict(line.findings),
                "changes": len(line.entry.block.changes) if line.entry.block else 0,
                "reason": line.entry.reason,
            }
            for line in lines
        ],
    }
