"""What the pages of one database have in common: sections in order, an appendix, the data block, all in one HTML.

What stands in the sections is ``catalog.py``'s and ``summary.py``'s.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from cataloger_dagster.facts import Change, Claim, Table
from cataloger_dagster.report import anchors, elements
from cataloger_dagster.report.block import Block, block_of, write_block
from cataloger_dagster.report.croissant import croissant
from cataloger_dagster.report.digest import digested, empty
from cataloger_dagster.report.elements import View
from cataloger_dagster.report.numbers import apart, span
from cataloger_dagster.report.page import Page
from cataloger_dagster.report.prose import Place, Section
from cataloger_dagster.report.run import PageKind, Run
from cataloger_dagster.report.tree import clean

APPENDIX = "How it was measured"


@dataclass(frozen=True)
class Shown:
    """A section as the template gets it; ``count`` stands beside it in the contents."""

    key: str | None
    id: str
    title: Markup
    parts: list[Markup]
    ids: list[str]
    count: str | None = None


def placed(sections: Sequence[Section]) -> set[str]:
    """Return which of the page's own parts (``relations``, ``findings``) the model gave a place."""
    return {place.kind for place in _places(sections) if place.table is None}


def placed_tables(sections: Sequence[Section]) -> list[str]:
    """Return the tables that the model gave a place, in its order."""
    names = (place.table for place in _places(sections) if place.kind == "table")
    return list(dict.fromkeys(name for name in names if name))


def _places(sections: Sequence[Section]) -> list[Place]:
    return [part for section in sections for part in section.parts if isinstance(part, Place)]


def arranged(sections: Sequence[Section], wanted: Sequence[str]) -> list[Section]:
    """Return *sections* with empty ones for what is *wanted* and missing, each before what follows it by rule."""
    found = list(sections)
    for key in wanted:
        if any(section.key == key for section in found):
            continue
        later = anchors.SECTIONS[anchors.SECTIONS.index(key) + 1 :]
        at = next((i for i, section in enumerate(found) if section.key in later), len(found))
        found.insert(at, Section(key, Markup("")))
    return found


def shown(
    view: View, number: int, section: Section, title: str, added: Sequence[Markup], count: str | None = None
) -> Shown:
    """Return the section that stands at *number*: its places filled, what is *added* at its end.

    *title* is for a section that the model gave none.
    """
    parts = [part if isinstance(part, Markup) else elements.place(view, part) for part in section.parts]
    key = anchors.section(section.key or f"part{number}")
    return Shown(section.key, key, section.title or Markup("{}").format(title), [*parts, *added], section.ids, count)


def framed(
    kind: PageKind,
    run: Run,
    view: View,
    sections: Sequence[Shown],
    *,
    order: Sequence[Table],
    named: Mapping[str, Claim],
    changes: Sequence[Change],
    estimates: Mapping[str, float],
) -> Page[Block]:
    """Return the page of *sections*, with an appendix behind them.

    *order* is how the contents list the tables, *named* and *changes* are what the data block holds beside the
    facts, *estimates* says by how much those that are shown may be off; see ``catalog``.
    """
    facts, prose = view.facts, view.prose
    templates = elements.environment()
    appendix = templates.get_template("appendix.html.j2").render(view=view, estimates=estimates, database=run.database)
    end = [Markup(appendix), elements.queries(view, {**named, **prose.claims}.values())]
    block = block_of(
        run,
        facts,
        kind=kind,
        claims=[*{**named, **prose.claims}.values(), *view.sentences.claims()],
        changes=changes,
        about=prose.about,
        measured=prose.measured,
        unmeasured=prose.unmeasured,
    ).model_copy(update={"digest": empty()})
    html = templates.get_template("catalog.html.j2").render(
        kind=kind,
        run=run,
        view=view,
        rows=sum(table.rows or 0 for table in facts.tables),
        tokens=run.tokens,
        times=apart([run.snapshot, *([run.previous] if run.previous else [])], clock=True),
        since=span(run.previous, run.snapshot) if run.previous else "",
        sections=[*sections, Shown("appendix", anchors.section("appendix"), Markup(APPENDIX), end, [])],
        order=order,
        block=Markup(write_block(block, view.detail.block, view.detail.steps)),
        croissant=Markup(croissant(block, fields=view.detail.fields)) if kind == "catalog" else "",
    )
    html, digest = digested(clean(html))
    return Page(html, block.model_copy(update={"digest": digest}), prose.measured, prose.unmeasured)
