"""The summary page: what changed over the last snapshots of one database, and what needs a person."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from markupsafe import Markup

from cataloger_dagster.facts import SEVERITIES, Change, Claim, Facts
from cataloger_dagster.report import elements
from cataloger_dagster.report.block import Block
from cataloger_dagster.report.charts import sparkline
from cataloger_dagster.report.detail import LARGEST, SUMMARY_LEVELS, cited_queries
from cataloger_dagster.report.elements import View
from cataloger_dagster.report.frame import Shown, arranged, framed, placed, placed_tables, shown
from cataloger_dagster.report.narrative import read
from cataloger_dagster.report.numbers import apart, count
from cataloger_dagster.report.page import Page
from cataloger_dagster.report.run import Run

TITLES = {
    "about": "In short",
    "changes": "What changed",
    "findings": "Findings",
    "relations": "How tables relate",
    "tables": "Rows by snapshot",
    "questions": "What needs a person",
}
# More columns than this fit no page; the line beside them still shows every snapshot.
SHOWN = 6


@dataclass(frozen=True)
class Series:
    """One table over the snapshots, oldest first; a snapshot that does not have it is null."""

    name: str
    rows: list[int | None]
    line: Markup
    gone: bool


def summary_page(
    run: Run,
    facts: Facts,
    narrative: str | None,
    named: Mapping[str, Claim],
    changes: Sequence[Change],
    history: Sequence[Block],
) -> Page[Block]:
    """Return what *changes* over *history* (newest first, this snapshot included) are, told by *narrative*.

    Where there is much of it the page shows less, until it fits (see ``detail.py``).
    """
    prose = read(narrative, facts, named)
    cited = cited_queries([*named.values(), *prose.claims.values()], changes)
    for detail in SUMMARY_LEVELS:
        listed = detail.listing(facts, cited)
        view = View(listed, prose, _newest(changes, history), compared=len(history) > 1, detail=detail)
        page = _page(run, view, named, changes, history)
        if len(page.html.encode("utf-8", "surrogatepass")) <= LARGEST:
            break
    return page


def _page(
    run: Run, view: View, named: Mapping[str, Claim], changes: Sequence[Change], history: Sequence[Block]
) -> Page[Block]:
    facts, by_model = view.facts, placed(view.prose.sections)
    sections = arranged(view.prose.sections, ["about", "changes", "tables", *({"findings"} - by_model)])
    found: list[Shown] = []
    for number, section in enumerate(sections):
        added: list[Markup] = []
        tally: str | None = None
        if section.key == "about" and not section.parts:
            added.append(_in_short(changes, history))
        elif section.key == "changes":
            added.append(_by_snapshot(view, changes, history))
            tally = str(len(changes)) if changes else None
        elif section.key == "findings":
            if "findings" not in by_model:
                added.append(elements.findings(view))
            tally = str(len(facts.findings))
        elif section.key == "tables":
            added.append(_rows(view, history, placed_tables(sections)))
        found.append(shown(view, number, section, TITLES[section.key or "about"], added, tally))
    return framed("summary", run, view, found, order=facts.tables, named=named, changes=changes, estimates={})


def _newest(changes: Sequence[Change], history: Sequence[Block]) -> list[Change]:
    before = history[1].snapshot if len(history) > 1 else None
    return [change for change in changes if change.since == before]


def _in_short(changes: Sequence[Change], history: Sequence[Block]) -> Markup:
    if len(history) < 2:
        text = "There is one snapshot so far; from the next on, this page tells what changed."
    elif not changes:
        text = f"Nothing changed over the last {count(len(history), 'snapshot')}."
    else:
        grave = sum(SEVERITIES.index(change.severity) < 2 for change in changes)
        text = f"{count(len(changes), 'change')} over {count(len(history), 'snapshot')}"
        text += f", {grave} of medium or high severity." if grave else ", none of them grave."
    return Markup("<p>{}</p>").format(text)


def _by_snapshot(view: View, changes: Sequence[Change], history: Sequence[Block]) -> Markup:
    """Return the changes under the snapshot that brought them, newest first."""
    if len(history) < 2:
        return Markup('<p class="none">There is no earlier snapshot to compare with.</p>')
    every = [finding for block in reversed(history) for finding in block.findings]
    known = {part.id: part for finding in every for part in (finding, *finding.members)}
    parts: list[Markup] = []
    called = apart([block.snapshot for block in history])
    for now, before in pairwise(history):
        found = [change for change in changes if change.since == before.snapshot]
        title = Markup('<h3>{} <span class="rows">since {}</span></h3>').format(
            called[now.snapshot], called[before.snapshot]
        )
        parts += [title, elements.changes(view, found, known)]
    return Markup("").join(parts)


def _rows(view: View, history: Sequence[Block], drawn: Sequence[str]) -> Markup:
    """Return the rows of every table over the snapshots, oldest first."""
    blocks = list(reversed(history))
    names = list(dict.fromkeys(table.name for block in history for table in block.tables))
    current = {table.name for table in history[0].tables} if history else set()
    found = [[block.facts.table_by_name for block in blocks]]
    series = []
    for name in names:
        rows = [tables[name].rows if name in tables else None for tables in found[0]]
        series.append(Series(name, rows[-SHOWN:], sparkline(rows), name not in current))
    called = apart([block.snapshot for block in blocks])
    shown = [(block.snapshot, called[block.snapshot]) for block in blocks[-SHOWN:]]
    template = elements.environment().get_template("series.html.j2")
    return Markup(
        template.render(view=view, snapshots=shown, series=series, earlier=len(blocks) - len(shown), drawn=drawn)
    )
