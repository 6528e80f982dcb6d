"""The catalog page: one database, one snapshot.

The model's prose keeps its order; what it left out of the page's own sections is put where it belongs.
"""

from collections.abc import Mapping, Sequence

from markupsafe import Markup

from cataloger_dagster.facts import Change, Claim, Facts, Table
from cataloger_dagster.report import elements
from cataloger_dagster.report.block import Block
from cataloger_dagster.report.detail import LARGEST, cited_queries, levels
from cataloger_dagster.report.elements import View
from cataloger_dagster.report.frame import Shown, arranged, framed, placed, placed_tables, shown
from cataloger_dagster.report.narrative import read
from cataloger_dagster.report.numbers import apart
from cataloger_dagster.report.page import Page
from cataloger_dagster.report.run import Run

TITLES = {
    "about": "What this database is",
    "changes": "What changed",
    "findings": "Findings",
    "relations": "How tables relate",
    "tables": "Tables",
    "questions": "Open questions",
}


def catalog_page(
    run: Run, facts: Facts, narrative: str | None, named: Mapping[str, Claim], changes: Sequence[Change]
) -> Page[Block]:
    """Return the page of *facts*, told by *narrative* (null: by nobody).

    *named* are the claims that prose may cite beyond the facts: of ``fact()`` and of the changes. Of a database with
    very many columns the page shows less, until it fits (see ``detail.py``).
    """
    prose = read(narrative, facts, named)
    cited = cited_queries([*named.values(), *prose.claims.values()], changes)
    for detail, listed in levels(facts, cited):
        page = _page(run, View(listed, prose, changes, compared=run.previous is not None, detail=detail), named)
        if len(page.html.encode("utf-8", "surrogatepass")) <= LARGEST:
            break
    return page


def _page(run: Run, view: View, named: Mapping[str, Claim]) -> Page[Block]:
    return framed(
        "catalog",
        run,
        view,
        _sections(view, run),
        order=_in_order(view),
        named=named,
        changes=view.changes,
        estimates=_estimates(view.facts),
    )


def _sections(view: View, run: Run) -> list[Shown]:
    wanted = ["about", "changes", "findings", "relations", "tables"]
    if not view.facts.tables:
        wanted = ["about", "changes"]
    by_model = placed(view.prose.sections)
    sections = arranged(view.prose.sections, [key for key in wanted if key not in by_model])
    found: list[Shown] = []
    for number, section in enumerate(sections):
        added: list[Markup] = []
        count: str | None = None
        title = TITLES[section.key or "about"]
        if section.key == "about" and not (section.parts and view.facts.tables):
            added.append(_said_by_us(view))
        elif section.key == "changes":
            if run.previous:
                title = f"Since {apart([run.snapshot, run.previous])[run.previous]}"
            added.append(_changes(view, run))
            count = f"{len(view.changes)}" if view.changes else None
        elif section.key == "findings":
            if "findings" not in by_model:
                added.append(elements.findings(view))
            count = f"{len(view.facts.findings)}"
        elif section.key == "relations" and "relations" not in by_model:
            added.append(elements.relations(view))
        elif section.key == "tables":
            done = placed_tables(sections)
            added += [elements.table_section(view, table) for table in view.facts.tables if table.name not in done]
        found.append(shown(view, number, section, title, added, count))
    return found


def _in_order(view: View) -> list[Table]:
    """Return the tables as they stand on the page: those the model placed first, in its order."""
    names = dict.fromkeys([*placed_tables(view.prose.sections), *view.facts.table_by_name])
    return [view.facts.table_by_name[name] for name in names]


def _said_by_us(view: View) -> Markup:
    text = "Nobody has described this database yet." if view.facts.tables else "There are no tables in it."
    return Markup('<p class="none">{}</p>').format(text)


def _changes(view: View, run: Run) -> Markup:
    if run.previous is None:
        return Markup('<p class="none">This is the first snapshot; there is nothing to compare it with.</p>')
    return elements.changes(view, view.changes, view.whole | {finding.id: finding for finding in view.facts.findings})


def _estimates(facts: Facts) -> dict[str, float]:
    """Return by what share estimates are off at most: of ``distinct`` values, of the ``quantiles``' rank."""
    found: dict[str, float] = {}
    for column in (column for table in facts.tables for column in table.columns):
        if column.distinct_method == "hll":
            found["distinct"] = max(found.get("distinct", 0.0), column.distinct_error or 0.0)
        if column.quantiles_error is not None:
            found["quantiles"] = max(found.get("quantiles", 0.0), column.quantiles_error)
    return found
