"""What a model wrote: why it is refused, and how it becomes prose for a page.

This is the order of the reading; each step is a module's of its own: the parser is in ``tree.py``, what may be
written in ``vocabulary.py``, where links lead in ``targets.py``, facts in ``fact_elements.py``, numbers that are
no claims in ``unmeasured.py``, blocks in ``structure.py``, their places in ``sections.py``, the result in
``prose.py``.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

from markupsafe import Markup

from cataloger_dagster.facts import Claim, Facts, UnknownReference
from cataloger_dagster.report.fact_elements import VALUE, FactElements
from cataloger_dagster.report.prose import Prose
from cataloger_dagster.report.readings import is_stable
from cataloger_dagster.report.safety import unsafe_part
from cataloger_dagster.report.sections import Arrangement
from cataloger_dagster.report.structure import Structure
from cataloger_dagster.report.targets import Targets, shortened
from cataloger_dagster.report.tree import Element, Unparsable, parse
from cataloger_dagster.report.unmeasured import MARK, Unmeasured
from cataloger_dagster.report.vocabulary import harmful, harmful_head

MAX_PROBLEMS = 20
MAX_BYTES = 1_500_000
"""So much of a page its prose may take, values and charts filled in: the facts of every table need room too."""


def problems(html: str, facts: Facts, named: Mapping[str, Claim]) -> list[str]:
    """Return why a submission is refused, in words that a model can act on; empty when it is fine."""
    found = _clashes(facts, named)
    try:
        prose, told = _read(html, facts, named)
    except Unparsable as error:
        return [*found, str(error)]
    if not told and (reasons := unsafe_part(_written(prose))):
        told = [f"what it becomes can't stand on a page ({reasons[0]}); write it with plainer structure"]
    found += list(dict.fromkeys(told))
    if len(found) > MAX_PROBLEMS:
        found = [*found[:MAX_PROBLEMS], f"and {len(found) - MAX_PROBLEMS} more of the kind"]
    return found


def read(html: str | None, facts: Facts, named: Mapping[str, Claim]) -> Prose:
    """Return what a model wrote, with facts filled in.

    What ``problems`` would refuse is left out, and a value that is not known (a claim that failed when it was
    run again) is marked: by now the page has to be made of what there is.
    """
    if not html:
        return Prose()
    try:
        prose, _ = _read(html, facts, named)
    except Unparsable:
        return Prose()
    # A page that its own check refuses would lose the run: better it has no prose.
    return prose if _bytes(prose) <= MAX_BYTES and not unsafe_part(_written(prose)) else Prose()


def _texts(prose: Prose) -> list[Markup]:
    sections = [part for section in prose.sections for part in (section.title, *section.parts)]
    texts = [prose.lede, *sections, *prose.meanings.values(), *prose.purposes.values()]
    return [text for text in texts if isinstance(text, Markup)]


def _bytes(prose: Prose) -> int:
    return sum(len(text.encode()) for text in _texts(prose))


def _written(prose: Prose) -> str:
    """Return all that stands of *prose* on a page, each text by itself."""
    return "".join(f"<div>{text}</div>" for text in _texts(prose))


def _clashes(facts: Facts, named: Mapping[str, Claim]) -> list[str]:
    found = []
    for name in named:
        try:
            facts.resolve(name)
        except UnknownReference:
            continue
        found.append(f"fact({name!r}, …) takes the name of a measured fact; choose another")
    return found


def _own_ids(elements: Sequence[Element], found: list[str]) -> set[str]:
    """Return the ids that the model gave, and take those that are there already off their elements."""
    ids: set[str] = set()
    for element in elements:
        if (key := element.attributes.get("id")) and key in ids:
            found.append(f'id="{shortened(key)}" is given twice; a link could lead to one of them only')
            del element.attributes["id"]
        elif key:
            ids.add(key)
    return ids


def _read(html: str, facts: Facts, named: Mapping[str, Claim]) -> tuple[Prose, list[str]]:
    """Return the prose, and what is wrong with it in the order in which it was met."""
    if not html.strip():
        return Prose(), ["the page is empty; submit prose and structure as HTML"]
    parsed = parse(html)
    body = parsed.body
    found = [*harmful_head(parsed.head), *harmful(body)]
    elements = list(body.walk())
    ids = _own_ids(elements, found)
    if not elements:
        found.append("there is no markup in it; write HTML (<h2>, <p>, <ul>, …), not plain text or Markdown")
        return Prose(), found
    if re.search(r"^[ \t]*```", html, re.MULTILINE) and not any(e.name == "pre" for e in elements):
        found.append("take the page out of its ``` fence")
    targets = Targets(facts, ids, found)
    fact_elements = FactElements(facts, named, targets, found)
    unmeasured = Unmeasured(facts)
    blocks = Structure(targets, fact_elements, unmeasured, found).flow(body.children)
    if not blocks and not found:
        found.append("the page has no text; submit prose and structure as HTML")
    arrangement = Arrangement(facts, targets, fact_elements)
    arrangement.arrange(blocks)
    prose = Prose(
        lede=arrangement.lede,
        sections=arrangement.sections,
        meanings=arrangement.meanings,
        purposes=arrangement.purposes,
        claims=fact_elements.claims,
        about=arrangement.about,
    )
    written = _written(prose)  # what found no place on the page is not counted
    prose = replace(prose, measured=written.count(VALUE), unmeasured=written.count(MARK))
    if (size := _bytes(prose)) > MAX_BYTES:
        found.append(
            f"with its values and charts filled in, the text takes {size:,} bytes of the page; at most {MAX_BYTES:,} "
            "are taken: write less, draw fewer charts (every table's profile is on the page anyway)"
        )
    elif not found and not is_stable(body):
        found.append(
            "the markup does not read the same when it is written out and read again (a list, a table or a link that "
            "is not closed where it ends?); close every element inside the one it stands in"
        )
    return prose, found
