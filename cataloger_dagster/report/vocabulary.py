"""What a model may write: elements and attributes, and why the others are refused.

How the elements may stand in each other is ``structure.py``'s; what the fact elements become, ``fact_elements.py``'s.
"""

import re
from collections.abc import Iterable, Sequence

from cataloger_dagster.report import anchors
from cataloger_dagster.report.stylesheet import covers, fetches
from cataloger_dagster.report.tree import Element

HEADINGS = ("h1", "h2", "h3", "h4", "h5", "h6")
# Layout that carries nothing here: its content stays.
WRAPPERS = frozenset({"section", "article", "main", "header", "footer", "div", "hgroup", "aside", "center", "address"})
_FLOW = frozenset({"blockquote", "figure", "li", "dd", "td", "details"})
_STRUCTURE = frozenset({"ul", "ol", "dl", "table"})
TEXT_BLOCKS = frozenset({"p", "pre", *HEADINGS})
TEXT_PARTS = frozenset({"dt", "th", "caption", "figcaption", "summary"})
TABLE_PARTS = frozenset({"thead", "tbody", "tfoot", "tr"})
BLOCKS = _FLOW | _STRUCTURE | TEXT_BLOCKS | TEXT_PARTS | TABLE_PARTS | {"hr"}
INLINE = frozenset(
    """
    a abbr b bdi br cite code del dfn em i ins kbd q s samp small span strong sub sup time u var wbr
    """.split()  # noqa: SIM905
)
# Said nothing about and left out, with or without what is in them.
UNWRAPPED = frozenset({"mark", "tt", "big", "font", "label", "nobr"})
DROPPED = frozenset({"nav", "col", "colgroup", "template", "title"})
FACT_ELEMENTS = frozenset({"fact-value", "fact-table", "fact-chart", "fact-relations", "fact-findings"})
BLOCK_FACTS = frozenset({"fact-table", "fact-relations", "fact-findings"})
ALLOWED = WRAPPERS | BLOCKS | INLINE | UNWRAPPED | DROPPED | FACT_ELEMENTS

MAX_STYLE = 100_000
"""So many characters of a style sheet, which is not taken anyway, are read."""

_WHY = {
    "script": "scripts never run on a page",
    "style": "the page has its own style",
    "link": "the page loads nothing from outside",
    "base": "the page loads nothing from outside",
    "meta": "the page's head is ours",
    "img": 'the page shows no images; a distribution is <fact-chart ref="table.column">',
    "svg": 'drawings are ours: <fact-chart ref="table.column"> and <fact-relations>',
    "iframe": "no frames",
    "frame": "no frames",
    "frameset": "no frames",
    "data": 'write <fact-value ref="table.column.fact"> and the value is filled in',
}
_WHY |= dict.fromkeys(
    ("object", "embed", "applet", "audio", "video", "picture", "source", "track"), "the page loads nothing"
)
_WHY |= dict.fromkeys(("form", "input", "button", "select", "option", "textarea", "dialog"), "a page has no forms")

# Kept on these elements; other attributes are left out, the harmful ones refused.
_KEPT = {
    "ol": ("reversed",),
    "td": ("colspan", "rowspan"),
    "th": ("colspan", "rowspan", "scope"),
    "details": ("open",),
}
_HARMFUL = frozenset(
    {"srcdoc", "formaction", "action", "background", "ping", "srcset", "poster", "xlink:href", "http-equiv"}
)


def refusal(element: Element) -> str:
    """Return why *element* is refused, in words that a model can act on."""
    why = _WHY.get(element.name)
    if element.name.startswith("fact-"):
        known = ", ".join(sorted(FACT_ELEMENTS))
        why = f"the fact elements are {known}"
    return f"<{element.name}> is not allowed" + (f": {why}" if why else "; use plain structure")


def holds_words(element: Element) -> bool:
    """Say whether what is inside a refused element is prose, and not a script or the like."""
    return element.name not in _WHY or element.name == "data"


def harmful(element: Element, skip: Sequence[str] = ()) -> list[str]:
    """Return what is wrong with the attributes of *element*; those called as in *skip* are passed over."""
    found = []
    for name in element.attributes:
        if name in skip:
            continue
        shown = f"<{element.name} {name}=…>"
        if name.startswith("on"):
            found.append(f"{shown} is an event handler; scripts never run on a page")
        elif name == "style":
            found.append(f"{shown} is not allowed; the page has its own style")
        elif name in _HARMFUL or (name == "src" and element.name not in _WHY):
            found.append(f"{shown} is not allowed; the page loads nothing")
    return found


def harmful_head(head: Iterable[Element]) -> list[str]:
    """Return what is wrong with the elements of a document's head: it is not taken, but must not mean harm."""
    found = []
    for element in head:
        refresh = element.name == "meta" and element.attributes.get("http-equiv", "").lower() == "refresh"
        if refresh or element.name not in ("title", "style", "meta"):
            found.append(refusal(element))
        elif element.name == "style":
            css = element.text()
            if len(css) > MAX_STYLE:
                found.append(f"<style> of {len(css):,} characters is not allowed; the page has its own style")
                continue
            found += [f"<style> with {what} is not allowed; the page has its own style" for what in fetches(css)]
            found += [f"<style> with {what} is not allowed; nothing covers the page" for what in covers(css)]
        else:
            found += harmful(element, skip=("http-equiv", "content", "name", "charset"))
    return found


def kept(element: Element) -> dict[str, str]:
    """Return the attributes of *element* that stay; a link's target is not among them."""
    stay: dict[str, str] = {}
    for name in _KEPT.get(element.name, ()):
        value = element.attributes.get(name)
        if value is None:
            continue
        if name in ("colspan", "rowspan") and not re.fullmatch(r"[1-9]\d{0,2}", value):
            continue
        if name == "scope" and value not in ("row", "col", "rowgroup", "colgroup"):
            continue
        stay[name] = "" if name in ("open", "reversed") else value
    if element.attributes.get("id"):
        stay["id"] = anchors.text(element.attributes["id"])
    return stay


def kept_of_block(element: Element) -> dict[str, str]:
    """Return the attributes of a block that stay, among them what it is written for, until it is moved there."""
    stay = kept(element)
    if "data-for" in element.attributes:
        stay["data-for"] = element.attributes["data-for"]
    return stay
