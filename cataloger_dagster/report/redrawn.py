"""A stored page against its own data block: drawn once more from the block, and compared place by place.

It tells where a page was changed by hand; that it was, its digest tells (``digest.py``). The prose is not in the
block: what it shows of facts is read by ``claims.py``.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import unquote

from markupsafe import Markup
from selectolax.lexbor import LexborHTMLParser, LexborNode

from cataloger_dagster.report import elements
from cataloger_dagster.report.block import Block
from cataloger_dagster.report.detail import LEVELS
from cataloger_dagster.report.elements import View
from cataloger_dagster.report.prose import Prose

FEW = 20
"""So few differences are not those of another level of detail."""


@dataclass(frozen=True)
class Difference:
    """A place (a reference, or ``finding`` with an id), the text there and the text that the block gives."""

    place: str
    shown: str
    drawn: str


def differences(html: str, block: Block) -> Iterator[Difference]:
    """Yield where the profiles and findings on the page *html* are not what its *block* says.

    How much a page shows is not in its block: it is drawn at each level of detail, and that one compared which is most
    like it.
    """
    shown = _texts(html)
    found: list[Difference] | None = None
    for detail in LEVELS:
        view = View(block.facts, Prose(), block.changes, compared=block.previous is not None, detail=detail)
        markup = [elements.findings(view), *(elements.table_section(view, table) for table in block.tables)]
        drawn = _texts(Markup("").join(markup))
        other = [
            Difference(unquote(key[0]), shown[key], text)
            for key, text in drawn.items()
            if key in shown and shown[key] != text
        ]
        if found is None or len(other) < len(found):
            found = other
        if len(found) <= FEW:
            break
    yield from found or []


def overview_differences(html: str, drawn: str) -> Iterator[Difference]:
    """Yield where the numbers on the overview *html* are not those on the page as it is *drawn* from its databases."""
    shown, made = _numbers(html), _numbers(drawn)
    for key in sorted(shown.keys() | made.keys()):
        if shown.get(key, "") != made.get(key, ""):
            yield Difference(f"{unquote(key[0])}: {key[1]}".lower(), shown.get(key, ""), made.get(key, ""))


def _numbers(html: str) -> dict[tuple[str, str], str]:
    """Return the text of every number over all databases and of one, by the row and the column."""
    parsed = LexborHTMLParser(html)
    found = {}
    for part in parsed.css("dl.id > div"):
        name, value = part.css_first("dt"), part.css_first("dd")
        if name is not None and value is not None:
            found["all databases", _text(name)] = _text(value)
    heads = [_text(head) for head in parsed.css("table.ov thead th")]
    for row in parsed.css("table.ov tr[id]"):
        for head, cell in zip(heads[1:], row.css("td"), strict=False):
            found[(row.attributes["id"] or "").removeprefix("text-"), head] = _text(cell)
    return found


def _texts(html: str) -> dict[tuple[str, str], str]:
    """Return the text of every part of a profile or finding that is not prose, by the id and the part."""
    found: dict[tuple[str, str], str] = {}
    for node in LexborHTMLParser(html).css("section.t[id], tr[id], ol.fi > li[id]"):
        key = node.attributes["id"] or ""
        if node.tag == "section":
            heads = [node.css_first("h3"), node.css_first("dl.k")]
            found[key, "head"] = " ".join(_text(head) for head in heads if head is not None)
        elif node.tag == "tr":
            for number, cell in enumerate(node.css("td")):
                if "m" not in (cell.attributes.get("class") or "").split():
                    found[key, str(number)] = _text(cell)
        else:
            found[key, "finding"] = " ".join(map(_text, node.css("div > p")))
    return found


def _text(node: LexborNode) -> str:
    return re.sub(r"\s+", " ", node.text()).strip()
