"""The catalog page: one database, one snapshot.

The model's prose keeps its order; what it left out of the page's own sections is put where it belongs.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from cataloger_dagster.facts import Change, Claim, Facts, Table
from cataloger_dagster.report import anchors, elements
from cataloger_dagster.report.block import Block, block_of, write_block
from cataloger_dagster.report.croissant import croissant
from cataloger_dagster.report.elements import View
from cataloger_dagster.report.narrative import Place, Section, read
from cataloger_dagster.report.numbers import apart
from cataloger_dagster.report.page import Page
from cataloger_dagster.report.run import Run
from cataloger_dagster.report.tree import clean

TITLES = {
    "about": "What this database is",
    "changes": "What changed",
    "findings": "Findings",
    "relations": "How tables relate",
    "tables": "Tables",
    "questions": "Open questions",
    "appendix": "How it was measured",
}


@dataclass(frozen=True)
class Shown:
    """A section as the template gets it; ``count`` stands beside it in the contents."""

    key: str | None
    id: str
    title: Markup
    parts: list[Markup]
    ids: list[str]
    count: str | None = None


def catalog_page(
    run: Run, facts: Facts, narrative: str | None, named: Mapping[str, Claim], changes: Sequence[Change]
) -> Page[Block]:
    """Return the page of *facts*, told by *narrative* (null: by nobody).

    *named* are the claims that prose may cite beyond the facts: of ``fact()`` and of the changes.
    """
    prose = read(narrative, facts, named)
    view = View(facts, prose, changes, compared=run.previous is not None)
    sections = _sections(view, run)
    claims = {**named, **prose.claims}
    block = block_of(
        run,
        facts,
        claims=claims.values(),
        changes=changes,
        about=prose.about,
        measured=prose.measured,
        unmeasured=prose.unmeasured,
    )
    html = (
        elements.environment()
        .get_template("catalog.html.j2")
        .render(
            kind="catalog",
            run=run,
            view=view,
            rows=sum(table.rows or 0 for table in facts.tables),
            tokens=run.tokens,
            sections=sections,
            order=in_order(view),
            block=Markup(write_block(block)),
            croissant=Markup(croissant(block)),
        )
    )
    return Page(clean(html), block, prose.measured, prose.unmeasured)


def _sections(view: View, run: Run) -> list[Shown]:
    wanted = ["about", "changes", "findings", "relations", "tables"]
    if not view.facts.tables:
        wanted = ["about", "changes"]
    placed = {p.kind for s in view.prose.sections for p in s.parts if isinstance(p, Place) and p.table is None}
    sections = arranged(view.prose.sections, [key for key in wanted if key not in placed], tuple(TITLES))
    shown: list[Shown] = []
    tables_done = {part.table for s in sections for part in s.parts if isinstance(part, Place) and part.kind == "table"}
    for number, section in enumerate(sections):
        parts = [part if isinstance(part, Markup) else elements.place(view, part) for part in section.parts]
        count: str | None = None
        title = section.title or Markup("{}").format(TITLES[section.key or "about"])
        if section.key == "about" and not (parts and view.facts.tables):
            parts.append(_said_by_us(view))
        elif section.key == "changes":
            title = (
                section.title or Markup("Since {}").format(apart([run.snapshot, run.previous])[run.previous])
                if run.previous
                else title
            )
            parts.append(_changes(view, run))
            count = f"{len(view.changes)}" if view.changes else None
        elif section.key == "findings":
            if "findings" not in placed:
                parts.append(elements.findings(view))
            count = f"{len(view.facts.findings)}"
        elif section.key == "relations" and "relations" not in placed:
            parts.append(elements.relations(view))
        elif section.key == "tables":
            left = [table for table in view.facts.tables if table.name not in tables_done]
            parts.extend(elements.table_section(view, table) for table in left)
        key = anchors.section(section.key) if section.key else anchors.text(f"part{number}")
        shown.append(Shown(section.key, key, title, parts, section.ids, count))
    appendix = (
        elements.environment().get_template("appendix.html.j2").render(view=view, estimates=_estimates(view.facts))
    )
    end = [Markup(appendix), elements.queries(view)]
    return [*shown, Shown("appendix", anchors.section("appendix"), Markup(TITLES["appendix"]), end, [])]


def in_order(view: View) -> list[Table]:
    """Return the tables as they stand on the page: those the model placed first, in its order."""
    places = (p for s in view.prose.sections for p in s.parts if isinstance(p, Place) and p.kind == "table")
    names = dict.fromkeys(p.table for p in places if p.table)
    return [
        view.facts.table_by_name[name] for name in [*names, *(t for t in view.facts.table_by_name if t not in names)]
    ]


def arranged(sections: Sequence[Section], wanted: Sequence[str], order: Sequence[str]) -> list[Section]:
    """Return *sections* with empty ones for what is *wanted* and missing, each before what follows it in *order*."""
    found = list(sections)
    for key in wanted:
        if any(section.key == key for section in found):
            continue
        later = order[order.index(key) + 1 :]
        at = next((i for i, section in enumerate(found) if section.key in later), len(found))
        found.insert(at, Section(key, Markup("")))
    return found


def _said_by_us(view: View) -> Markup:
    text = "Nobody has described this database yet." if view.facts.tables else "There are no tables in it."
    return Markup('<p class="none">{}</p>').format(text)


def _changes(view: View, run: Run) -> Markup:
    if run.previous is None:
        return Markup('<p class="none">This is the first snapshot; there is nothing to compare it with.</p>')
    return elements.changes(view, view.changes, {finding.id: finding for finding in view.facts.findings})


def _estimates(facts: Facts) -> bool:
    return any(column.distinct_method == "hll" for table in facts.tables for column in table.columns)
