"""The overview page: every database in one table, with what a team looks for first, under a text over all of them.

The numbers in that text are sums over the databases' own pages: ``claims``. The text is kept in the page's data as it
was written, and filled in anew for the next page.
"""

import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from markupsafe import Markup
from pydantic import BaseModel, ValidationError, field_validator

from cataloger_dagster.errors import ReportError
from cataloger_dagster.facts import SEVERITIES, Claim, Coverage, Facts, join_reference
from cataloger_dagster.report import anchors, elements
from cataloger_dagster.report.block import GENERATOR, Block, as_json
from cataloger_dagster.report.digest import digested, empty
from cataloger_dagster.report.narrative import problems as narrative_problems
from cataloger_dagster.report.narrative import read
from cataloger_dagster.report.numbers import count
from cataloger_dagster.report.page import Page
from cataloger_dagster.report.prose import Place, Prose, Section
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


@dataclass(frozen=True)
class Text:
    """What a model wrote about all databases.

    Attributes:
        html: as it was submitted, its numbers still references.
        matter: a digest of what it was written from.
        at: when, as the store writes time.
        fault: why it is a draft that was never handed in; empty where it is none.
    """

    html: str
    matter: str
    model: str
    at: str
    fault: str = ""


class DatabaseData(BaseModel):
    """What an overview's data says of one database; ``snapshot`` is the page that it was taken from."""

    name: str
    snapshot: str | None
    reason: str | None
    tables: int
    rows: int
    findings: dict[str, int]
    changes: int

    @field_validator("snapshot")
    @classmethod
    def _is_a_time(cls, text: str | None) -> str | None:
        return text if text is None else _a_time(text)


class ClaimData(BaseModel):
    """A number that an overview's text shows."""

    id: str
    value: int | float | str | None


class TextData(BaseModel):
    """A text as an overview's data holds it; see ``Text``."""

    html: str
    matter: str
    model: str
    at: str
    fault: str = ""

    @field_validator("at")
    @classmethod
    def _is_a_time(cls, text: str) -> str:
        return _a_time(text)


class Data(BaseModel):
    """The data of an overview page, which it is verified by; keys of a later version are passed over."""

    at: str
    fault: str = ""
    text: TextData | None
    claims: list[ClaimData]
    databases: list[DatabaseData]

    @field_validator("at")
    @classmethod
    def _is_a_time(cls, text: str) -> str:
        return _a_time(text)


def _a_time(text: str) -> str:
    if datetime.fromisoformat(text).tzinfo is None:
        raise ValueError("it has no time zone")
    return text


TITLE = "In short"
TOTAL = "total"
"""What the sums over all databases are called."""

_NOTHING = Facts(engine="", tables=[], coverage=Coverage(tables=(0, 0), columns=(0, 0)))
_BLOCK = re.compile(r'<script type="application/json" id="cataloger-overview">(.*?)</script', re.DOTALL)


def claims(entries: Sequence[Entry]) -> dict[str, Claim]:
    """Return the numbers that a text over *entries* may show, by reference: ``shop.rows``, ``total.rows``.

    A database that is called like the sums has its own under ``_total``, which no database can be called.
    """
    named = {f"{TOTAL}.databases": len(entries)}
    blocks = {entry.name: [entry.block] for entry in entries if entry.block}
    called = {f"_{name}" if name == TOTAL else name: found for name, found in blocks.items()}
    for name, found in [(TOTAL, [block for each in blocks.values() for block in each]), *called.items()]:
        findings = [finding for block in found for finding in block.findings]
        numbers = {
            "tables": sum(len(block.tables) for block in found),
            "columns": sum(len(table.columns) for block in found for table in block.tables),
            "rows": sum(table.rows or 0 for block in found for table in block.tables),
            "findings": len(findings),
            "changes": sum(change.since == block.previous for block in found for change in block.changes),
        }
        for severity in SEVERITIES:
            numbers[f"findings.{severity}"] = sum(finding.severity == severity for finding in findings)
        named |= {join_reference([name, *fact.split(".")]): value for fact, value in numbers.items()}
    return {reference: Claim(id=reference, value=value, query="") for reference, value in named.items()}


def problems(html: str, named: Mapping[str, Claim]) -> list[str]:
    """Return why a text is refused, in words that a model can act on; empty when it is fine."""
    found = narrative_problems(html, _NOTHING, named)
    if not found and _places(read(html, _NOTHING, named)):
        found = ["this page has no <fact-table>, <fact-findings>, <fact-relations> or <fact-chart>: <fact-value> alone"]
    return found


def _places(prose: Prose) -> list[Place]:
    return [part for section in prose.sections for part in section.parts if isinstance(part, Place)]


def read_text(html: str) -> Text | None:
    """Return the text that an overview page holds, or null: it has none, or not one that this version reads."""
    found = _BLOCK.search(html)
    try:
        return Text(**TextData.model_validate(json.loads(found[1])["text"]).model_dump()) if found else None
    except (ValueError, KeyError, TypeError):
        return None


def is_overview(html: str) -> bool:
    """Say whether *html* is an overview, whole or cut short, of whatever version."""
    return 'id="cataloger-overview"' in html or (GENERATOR in html and "<h1>All databases</h1>" in html)


def read_data(html: str) -> Data:
    """Return the data of an overview page.

    Raises:
        ReportError: it carries none, or not such as this version can read.
    """
    found = _BLOCK.search(html)
    if not found:
        raise ReportError("the overview carries no data; the file is cut short")
    try:
        data = json.loads(found[1])
    except ValueError as error:
        raise ReportError(f"the overview's data is no JSON ({error})") from error
    if not isinstance(data, Mapping) or data.get("format") != 1:
        shown = data.get("format") if isinstance(data, Mapping) else type(data).__name__
        raise ReportError(f"the overview's data has format {shown!r}, this version reads format 1; update cataloger")
    try:
        return Data.model_validate(data)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise ReportError(
            f"the overview's data can't be read: {place}: {first['msg']} ({error.error_count()} in all); "
            "was it changed by hand?"
        ) from error


def overview_page(at: str, entries: Sequence[Entry], text: Text | None = None, fault: str = "") -> Page[None]:
    """Return the page of all *entries* as of *at*, under *text*; links lead to pages beside it in the store.

    *fault* says why the text is missing, old or a draft.
    """
    named = claims(entries)
    prose = read(text.html, _NOTHING, named) if text else Prose()
    lines = [_line(entry, at) for entry in sorted(entries, key=lambda entry: entry.name.lower())]
    html = (
        elements.environment()
        .get_template("overview.html.j2")
        .render(
            at=at,
            lines=lines,
            text=text,
            prose=prose,
            sections=[_drawn(number, section) for number, section in enumerate(prose.sections)],
            fault=fault,
            documented=sum(line.href is not None for line in lines),
            tables=sum(line.tables for line in lines),
            rows=sum(line.rows for line in lines),
            findings=Counter(f.severity for entry in entries if entry.block for f in entry.block.findings),
            severities=SEVERITIES,
            block=Markup(as_json(_data(at, lines, text, fault, prose))),
        )
    )
    html, _ = digested(clean(html))
    return Page(html, None, prose.measured, prose.unmeasured)


def _drawn(number: int, section: Section) -> dict[str, Any]:
    return {
        "id": anchors.section(f"part{number}"),
        "title": section.title or Markup("{}").format(TITLE),
        "parts": [part for part in section.parts if isinstance(part, str)],
        "ids": section.ids,
    }


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


def _data(at: str, lines: Sequence[Line], text: Text | None, fault: str, prose: Prose) -> dict[str, Any]:
    return {
        "format": 1,
        "digest": empty(),
        "at": at,
        "text": asdict(text) if text else None,
        "fault": fault,
        "claims": [{"id": claim.id, "value": claim.value} for claim in prose.claims.values()],
        "databases": [
            {
                "name": line.entry.name,
                "snapshot": line.entry.block.snapshot if line.entry.block else None,
                "page": line.href,
                "reason": line.entry.reason,
                **database_data(line.entry),
            }
            for line in lines
        ],
    }


def database_data(entry: Entry) -> dict[str, Any]:
    """Return the numbers of one database, as an overview's data has them."""
    block = entry.block
    tally = Counter[str](finding.severity for finding in block.findings) if block else Counter[str]()
    return {
        "tables": len(block.tables) if block else 0,
        "rows": sum(table.rows or 0 for table in block.tables) if block else 0,
        "findings": {severity: tally[severity] for severity in SEVERITIES if tally[severity]},
        "changes": len(block.changes) if block else 0,
    }
