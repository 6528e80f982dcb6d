"""Which part of a model's prose goes where on the page: to a column, to a table, or into one of the sections.

A block goes where its ``data-for`` says, else where the headings above it say. How blocks come about is
``structure.py``'s; what the page adds to the sections, ``catalog.py``'s and ``summary.py``'s.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from markupsafe import Markup

from cataloger_dagster.facts import Facts
from cataloger_dagster.report.fact_elements import FactElements
from cataloger_dagster.report.prose import Part, Place, Section
from cataloger_dagster.report.targets import Targets
from cataloger_dagster.report.tree import Element, Node
from cataloger_dagster.report.unmeasured import NOT_MEASURED
from cataloger_dagster.report.vocabulary import BLOCKS, HEADINGS

_SECTIONS = (
    ("changes", r"\bchange|\bsince\b|what.?s new|what is new"),
    ("questions", r"question|unknowns|unclear"),
    ("findings", r"\bfindings?\b|\bflaws?\b|data quality|quality issues|known problems"),
    ("relations", r"\brelat|how .*tables (join|connect|fit)|\bdiagram\b|\bentities\b"),
    ("tables", r"^(all |the |every )?tables?\b|table by table|data dictionary|^tables and columns"),
    ("about", r"what (this|the|it|is)\b|\babout\b|overview|introduction|purpose|at a glance"),
)


class Arrangement:
    """Puts the blocks of one submission in their places.

    Attributes:
        lede, sections, meanings, purposes, about: as in ``Prose``.
    """

    def __init__(self, facts: Facts, targets: Targets, fact_elements: FactElements) -> None:
        self.lede: Markup | None = None
        self.sections: list[Section] = []
        self.meanings: dict[tuple[str, str], Markup] = {}
        self.purposes: dict[str, Markup] = {}
        self.about: str | None = None
        self._tables, self._targets, self._facts = facts.table_by_name, targets, fact_elements

    def arrange(self, blocks: list[Node]) -> None:
        """Place *blocks*, and whatever is in them."""
        self._take_out(blocks)
        self._cut(blocks)

    def _take_out(self, blocks: list[Node]) -> None:
        """Move what is written ``data-for`` a table or a column to its place; drop what this leaves empty."""
        kept: list[Node] = []
        for node in blocks:
            if isinstance(node, str):
                kept.append(node)
                continue
            target = node.attributes.pop("data-for", None)
            if target is None:
                before = bool(node.children)
                self._take_out(node.children)
                if node.children or not before:
                    kept.append(node)
                continue
            found = self._targets.find(target) or self._targets.find(target.strip())
            if found is None:
                self._targets.miss(f"{node.name} data-for", self._targets.plain(target), "table or column")
                self._take_out(node.children)
                kept.append(node)
                continue
            self._assign(found, node)
        blocks[:] = kept

    def _assign(self, found: tuple[str, ...], node: Element) -> None:
        self._take_out(node.children)
        if node.name in ("tr", "table", "ul", "ol", "dl", "blockquote", "pre", "details", "figure"):
            words: list[Node] = [node] if node.name != "tr" else _joined(node)
        else:
            words = node.children
        if node.name in HEADINGS or (len(found) == 1 and node.name in ("p", "li", "dd", "dt", "td", "th")):
            words = [Element("p", {}, words)] if not any(_is_block(word) for word in words) else words
        html = self._facts.write(words)
        if len(found) == 2:
            key = (found[0], found[1])
            self.meanings[key] = self.meanings[key] + Markup("<br>") + html if key in self.meanings else html
        else:
            self._add_purpose(found[0], html)

    def _add_purpose(self, table: str, html: Markup) -> None:
        self.purposes[table] = self.purposes.get(table, Markup("")) + html

    def _cut(self, blocks: list[Node]) -> None:
        """Cut the blocks into sections at their highest headings."""
        headings = [block for block in blocks if isinstance(block, Element) and block.name in HEADINGS]
        if headings and headings[0].name == "h1" and sum(h.name == "h1" for h in headings) == 1:
            # The page has a title.
            blocks.remove(headings.pop(0))
        top = min((heading.name for heading in headings), default="h2")
        intro: list[Node] = []
        cut: list[tuple[Element, list[Node]]] = []
        for block in blocks:
            if isinstance(block, Element) and block.name == top:
                cut.append((block, []))
            else:
                (cut[-1][1] if cut else intro).append(block)
        cut = self._own_tables(cut)
        keys = self._keys(cut)
        self._intro(intro, "about" in keys)
        for key, (heading, inside) in zip(keys, cut, strict=True):
            if key is None and not inside:
                continue
            parts = self._parts(inside)
            if key == "about" and self.sections and self.sections[0].key == "about":
                # What stood before the first heading belongs to what the database is.
                parts = [*self.sections.pop(0).parts, *parts]
            ids = [heading.attributes["id"]] if "id" in heading.attributes else []
            self.sections.append(Section(key, self._facts.write(heading.children), parts, ids))
        if self.about is None:
            about = next((inside for key, (_, inside) in zip(keys, cut, strict=True) if key == "about"), [])
            self.about = _first_sentence(about)

    def _own_tables(self, cut: list[tuple[Element, list[Node]]]) -> list[tuple[Element, list[Node]]]:
        """Join sections that are each called like a table into one of tables; their prose goes to the table."""
        joined: list[tuple[Element, list[Node]]] = []
        for heading, inside in cut:
            table = self._table_called(heading)
            if table is None:
                joined.append((heading, self._under_tables(inside)))
                continue
            inside = self._under_tables([Element("h3", {}, heading.children), *inside])
            if joined and joined[-1][0].attributes.get("tables"):
                joined[-1][1].extend(inside)
            else:
                joined.append((Element("h2", {"tables": "own"}, ["Tables"]), inside))
        return joined

    def _under_tables(self, blocks: list[Node]) -> list[Node]:
        """Take out headings that are a table's name: the table has its own; the prose up to the next goes there."""
        kept: list[Node] = []
        table: str | None = None
        level, moved = "", False
        for block in blocks:
            name = block.name if isinstance(block, Element) else ""
            if name in HEADINGS and (called := self._table_called(block)):
                table, level, moved = called, name, False
                continue
            if name in HEADINGS and table and name <= level:
                table = None
            if table is None or name == "place":
                moved = moved or name == "place"
                kept.append(block)
            elif moved:
                kept.append(block)
            else:
                self._add_purpose(table, self._facts.write([block]))
        return kept

    def _table_called(self, heading: Node) -> str | None:
        if not isinstance(heading, Element):
            return None
        words = re.sub(r"^(the )?table:?\s+|\s+table$", "", heading.text().strip("`\"' "), flags=re.IGNORECASE).strip(
            "`\"' "
        )
        return words if words in self._tables else None

    def _keys(self, cut: list[tuple[Element, list[Node]]]) -> list[str | None]:
        """Say which of the page's sections each cut is; each is given once."""
        keys: list[str | None] = []
        for heading, inside in cut:
            places = Counter(
                e.attributes["kind"] for e in _elements(inside) if e.name == "place" and "column" not in e.attributes
            )
            words = heading.text().lower()
            key = next((key for key, pattern in _SECTIONS if re.search(pattern, words)), None)
            if heading.attributes.pop("tables", None) or (places["table"] and key is None):
                key = "tables"
            elif places["relations"] and key in (None, "tables"):
                key = "relations"
            elif places["findings"] and key is None:
                key = "findings"
            keys.append(key if key not in keys else None)
        if keys and "about" not in keys and keys[0] is None:
            keys[0] = "about"
        return keys

    def _intro(self, intro: list[Node], has_about: bool) -> None:
        if not intro:
            return
        first = intro[0]
        if isinstance(first, Element) and first.name == "p":
            self.about = _first_sentence([first])
            if has_about and len(first.text()) <= 400:
                self.lede = self._facts.write(first.children)
                intro = intro[1:]
        if intro:
            self.sections.append(Section("about", Markup(""), self._parts(intro)))

    def _parts(self, blocks: list[Node]) -> list[Part]:
        """Return finished markup, with places between it."""
        _level_headings(blocks)
        parts: list[Part] = []
        run: list[Node] = []
        for block in _pruned(blocks):
            if isinstance(block, Element) and block.name == "place":
                if run:
                    parts.append(self._facts.write(run))
                    run = []
                parts.append(Place(block.attributes["kind"], block.attributes.get("table")))
            else:
                run.append(block)
        if run:
            parts.append(self._facts.write(run))
        return parts


def _is_block(node: Node) -> bool:
    return (
        isinstance(node, Element) and node.name in BLOCKS | {"div", "place"} and node.attributes.get("kind") != "chart"
    )


def _joined(row: Element) -> list[Node]:
    """Return a table row's cells as running text, the first (the name of what it is for) left out."""
    cells = [cell for cell in row.children if isinstance(cell, Element)]
    words: list[Node] = []
    for cell in cells[1:] or cells:
        words += [" ", *cell.children] if words else cell.children
    return words


def _elements(blocks: Iterable[Node]) -> Iterator[Element]:
    for block in blocks:
        if isinstance(block, Element):
            yield block
            yield from block.walk()


def _level_headings(blocks: Sequence[Node]) -> None:
    """Renumber headings from h3 on, without a gap: the section has the h2."""
    levels: list[str] = []
    for block in blocks:
        if isinstance(block, Element) and block.name in HEADINGS:
            while levels and levels[-1] >= block.name:
                levels.pop()
            levels.append(block.name)
            block.name = f"h{min(2 + len(levels), 6)}"


def _pruned(blocks: Sequence[Node]) -> list[Node]:
    """Drop headings under which nothing stands any more."""
    kept: list[Node] = []
    for block in reversed(blocks):
        if isinstance(block, Element) and block.name in HEADINGS:
            below = kept[-1] if kept else None
            if below is None or (isinstance(below, Element) and below.name in HEADINGS and below.name <= block.name):
                continue
        kept.append(block)
    return kept[::-1]


def _first_sentence(blocks: Sequence[Node]) -> str | None:
    """Return the first sentence of the first paragraph, as plain text."""
    for block in blocks:
        if isinstance(block, Element) and block.name == "p" and (text := _visible(block)):
            end = re.search(r"[.!?](?=\s+[^\W\d_a-z]|\s*$)", text)
            sentence = text[: end.end()] if end else text
            return sentence if len(sentence) <= 300 else sentence[:299] + "…"
    return None


def _visible(element: Element) -> str:
    if "data-unmeasured" in element.attributes:
        return f"{element.text().removesuffix(NOT_MEASURED)}{NOT_MEASURED}"
    text = "".join(
        str(Markup(child).striptags())
        if isinstance(child, Markup)
        else child.text()
        if isinstance(child, Element) and child.name == "place"
        else _visible(child)
        if isinstance(child, Element)
        else child
        for child in element.children
    )
    return re.sub(r"\s+", " ", text) if element.name != "p" else re.sub(r"\s+", " ", text).strip()
