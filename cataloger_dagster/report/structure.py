"""Structure: what a model wrote as blocks in blocks and text in blocks, so that a browser reads it back the same.

Which elements may be written is ``vocabulary.py``'s; which block goes where on the page, ``sections.py``'s.
"""

from collections.abc import Iterable, Sequence

from cataloger_dagster.report import anchors
from cataloger_dagster.report.fact_elements import FactElements
from cataloger_dagster.report.targets import Targets
from cataloger_dagster.report.tree import Element, Node
from cataloger_dagster.report.unmeasured import Unmeasured, Verbatim
from cataloger_dagster.report.vocabulary import (
    ALLOWED,
    BLOCK_FACTS,
    DROPPED,
    INLINE,
    TABLE_PARTS,
    TEXT_BLOCKS,
    TEXT_PARTS,
    UNWRAPPED,
    WRAPPERS,
    harmful,
    holds_words,
    kept,
    kept_of_block,
    refusal,
)


class Structure:
    """Brings the elements of one submission into order: facts filled in, numbers marked, *problems* told."""

    def __init__(self, targets: Targets, facts: FactElements, unmeasured: Unmeasured, problems: list[str]) -> None:
        self._targets, self._facts, self._unmeasured, self._problems = targets, facts, unmeasured, problems

    def flow(self, nodes: Iterable[Node]) -> list[Node]:
        """Return *nodes* as blocks; text that stands loose between them becomes paragraphs."""
        blocks: list[Node] = []
        loose: list[Node] = []

        def close() -> None:
            if any(not isinstance(node, str) or node.strip() for node in loose):
                blocks.extend(self._paragraph(Element("p", {}, list(loose))))
            loose.clear()

        for node in nodes:
            if isinstance(node, str):
                loose.append(node)
            elif node.name in BLOCK_FACTS or (node.name not in INLINE and not node.name.startswith("fact-")):
                if node.name in UNWRAPPED:
                    self._problems += harmful(node)
                    loose.extend(node.children)
                    continue
                close()
                blocks.extend(self._block(node))
            else:
                loose.append(node)
        close()
        return blocks

    def _block(self, element: Element) -> list[Node]:
        name = element.name
        if name not in ALLOWED:
            self._problems.append(refusal(element))
            self._problems += harmful(element)
            # A page that is made all the same keeps the words, but never those of a script.
            return self.flow(element.children) if holds_words(element) else []
        if name in DROPPED:
            for inner in element.walk():
                if inner.name not in ALLOWED:
                    self._problems.append(refusal(inner))
            return []
        if name in BLOCK_FACTS:
            return self._facts.place(element)
        self._problems += harmful(element)
        data_for = element.attributes.get("data-for")
        if name in WRAPPERS:
            inside = self.flow(element.children)
            if data_for is not None:
                return [Element("div", {"data-for": data_for}, inside)]
            if element.attributes.get("id"):
                _give_id(inside, anchors.text(element.attributes["id"]))
            return inside
        if name in TEXT_BLOCKS or name in TEXT_PARTS:
            return self._paragraph(element)
        block = Element(name, kept_of_block(element))
        if name in ("ul", "ol"):
            block.children = self._listed(element, ("li",), "li")
        elif name == "dl":
            block.children = self._listed(element, ("dt", "dd"), "dd")
        elif name == "table":
            block.children = self._table(element)
        elif name == "details":
            block.children = self._details(element)
        elif name in TABLE_PARTS or name == "td":  # outside of a table: a parser leaves them there in <math>
            return self.flow(element.children)
        elif name != "hr":
            block.children = self._content(element)
        return [block]

    def _content(self, element: Element) -> list[Node]:
        """Return what is inside a cell or an item: bare text if it is only that, else blocks."""
        if any(
            isinstance(e, Element) and e.name not in INLINE | UNWRAPPED | {"fact-value", "fact-chart"}
            for e in element.children
        ):
            return self.flow(element.children)
        lifted: list[Node] = []
        return [*self._phrase(element.children, lifted), *lifted]

    def _listed(self, element: Element, names: tuple[str, ...], default: str) -> list[Node]:
        items: list[Node] = []
        for child in element.children:
            if isinstance(child, str):
                if child.strip():
                    items.append(Element(default, {}, self._phrase([child], [])))
            elif child.name in names:
                items.append(self._item(child))
            elif child.name in WRAPPERS:
                self._problems += harmful(child)
                items.extend(self._listed(child, names, default))
            elif inside := self.flow([child]):
                items.append(Element(default, {}, inside))
        return items

    def _item(self, element: Element) -> Element:
        self._problems += harmful(element)
        # What a caption or a term can't hold is dropped: there is no place for it beside them.
        inside = self._phrase(element.children, []) if element.name in TEXT_PARTS else self._content(element)
        return Element(element.name, kept_of_block(element), inside)

    def _table(self, element: Element) -> list[Node]:
        parts: list[Node] = []
        for child in element.children:
            if not isinstance(child, Element) or child.name in DROPPED:
                continue
            self._problems += harmful(child)
            if child.name == "caption":
                parts.append(self._item(child))
            elif child.name in ("thead", "tbody", "tfoot"):
                rows = [row for row in child.children if isinstance(row, Element) and row.name == "tr"]
                if rows:
                    parts.append(Element(child.name, {}, [self._row(row) for row in rows]))
            else:
                self._problems.append(refusal(child))
        return parts

    def _row(self, element: Element) -> Node:
        self._problems += harmful(element)
        cells = [child for child in element.children if isinstance(child, Element) and child.name in ("td", "th")]
        return Element("tr", kept_of_block(element), [self._item(cell) for cell in cells])

    def _details(self, element: Element) -> list[Node]:
        heads = [child for child in element.children if isinstance(child, Element) and child.name == "summary"]
        rest = [child for child in element.children if child not in heads]
        head = self._item(heads[0]) if heads else Element("summary", {}, ["More"])
        return [head, *self.flow(rest)]

    def _paragraph(self, element: Element) -> list[Node]:
        """Return a block of text; what can't stand inside it follows, and cuts it in two where it stood."""
        name = element.name if element.name in TEXT_BLOCKS else "p"
        attributes = kept_of_block(element)
        blocks: list[Node] = []
        run: list[Node] = []

        def close() -> None:
            lifted: list[Node] = []
            words = self._phrase(run, lifted)
            if _says(words):
                blocks.append(Element(name, dict(attributes), words))
                attributes.pop("id", None)
            blocks.extend(lifted)
            run.clear()

        for child in element.children:
            if isinstance(child, Element) and child.name in BLOCK_FACTS:
                close()
                blocks.extend(self._facts.place(child))
            else:
                run.append(child)
        close()
        return blocks

    def _phrase(self, nodes: Iterable[Node], lifted: list[Node]) -> list[Node]:
        """Return *nodes* as running text, numbers marked; places that need a block of their own go to *lifted*."""
        return self._unmeasured.marked(self._words(nodes, lifted))

    def _words(self, nodes: Iterable[Node], lifted: list[Node], link: bool = False, code: bool = False) -> list[Node]:
        """Return *nodes* as running text; what stands in code is verbatim."""
        words: list[Node] = []
        for node in nodes:
            if isinstance(node, str):
                words.extend([Verbatim(node) if code else node] if node else [])
                continue
            name = node.name
            if name == "fact-value":
                words.extend(self._facts.value(node, link))
            elif name == "fact-chart":
                words.extend(self._facts.chart(node))
            elif name in BLOCK_FACTS:
                lifted.extend(self._facts.place(node))
            elif name not in ALLOWED:
                self._problems.append(refusal(node))
                self._problems += harmful(node)
                if holds_words(node):
                    words.extend(self._words(node.children, lifted, link, code))
            elif name in DROPPED:
                continue
            elif name not in INLINE:
                self._problems += harmful(node)
                inside = self._words(node.children, lifted, link, code)
                words.extend([" ", *inside, " "] if name not in UNWRAPPED else inside)
            else:
                self._problems += harmful(node)
                in_link = link or name == "a"
                is_code = name in ("code", "samp", "kbd", "var") and self._unmeasured.is_code(node.text())
                is_code = is_code or (name in ("sub", "sup") and _belongs(node.text(), words))
                inside = self._words(node.children, lifted, in_link, code or is_code)
                words.extend(self._inline(node, inside, link))
        return words

    def _inline(self, element: Element, inside: list[Node], link: bool) -> list[Node]:
        attributes = kept(element)
        name = element.name
        if name == "a":
            href = self._targets.link(element.attributes["href"]) if "href" in element.attributes else None
            if href is None or link:
                return [Element("span", attributes, inside)] if attributes else inside
            attributes["href"] = href
        if name == "span" and not attributes:
            return inside
        if name not in ("br", "wbr") and not inside and not attributes:
            return []
        return [Element(name, attributes, inside)]


def _belongs(text: str, before: Sequence[Node]) -> bool:
    """Say whether a raised or lowered *text* is part of the name or unit *before* it: of m², CO₂."""
    last = before[-1] if before else ""
    return isinstance(last, str) and last[-1:].isalpha() and len(text.strip()) <= 2


def _says(words: Sequence[Node]) -> bool:
    return any(isinstance(word, Element) or word.strip() for word in words)


def _give_id(blocks: Sequence[Node], key: str) -> None:
    for block in blocks:
        if isinstance(block, Element) and block.name != "place":
            block.attributes.setdefault("id", key)
            return
