"""What a model wrote: why it is refused, and how it becomes sections of a page.

Structure and prose are kept, everything else is named and refused. Fact elements (``fact-value`` and its
like) become values or places that the page fills; numbers that are no claims are marked; headings become the
page's sections. How a fact looks is in ``elements.py``, the page around it in the templates.
"""

import difflib
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from urllib.parse import unquote

from markupsafe import Markup

from cataloger_dagster.facts import (
    Claim,
    Column,
    Facts,
    Table,
    UnknownReference,
    split_reference,
)
from cataloger_dagster.report import anchors
from cataloger_dagster.report.charts import has_chart, label, large_chart
from cataloger_dagster.report.numbers import format_fact, format_named, ungrouped
from cataloger_dagster.report.tree import Element, Node, Unparsable, parse, write

MAX_PROBLEMS = 20

HEADINGS = ("h1", "h2", "h3", "h4", "h5", "h6")
# Layout that carries nothing here: its content stays.
_WRAPPERS = frozenset({"section", "article", "main", "header", "footer", "div", "hgroup", "aside", "center", "address"})
_FLOW = frozenset({"blockquote", "figure", "li", "dd", "td", "details"})
_STRUCTURE = frozenset({"ul", "ol", "dl", "table"})
_TEXT_BLOCKS = frozenset({"p", "pre", *HEADINGS})
_TEXT_PARTS = frozenset({"dt", "th", "caption", "figcaption", "summary"})
_TABLE_PARTS = frozenset({"thead", "tbody", "tfoot", "tr"})
_BLOCKS = _FLOW | _STRUCTURE | _TEXT_BLOCKS | _TEXT_PARTS | _TABLE_PARTS | {"hr"}
_INLINE = frozenset(
    """
    a abbr b bdi br cite code del dfn em i ins kbd q s samp small span strong sub sup time u var wbr
    """.split()  # noqa: SIM905
)
# Said nothing about and left out, with or without what is in them.
_UNWRAPPED = frozenset({"mark", "tt", "big", "font", "label", "nobr"})
_DROPPED = frozenset({"nav", "col", "colgroup", "template", "title"})
_FACTS = frozenset({"fact-value", "fact-table", "fact-chart", "fact-relations", "fact-findings"})
_BLOCK_FACTS = frozenset({"fact-table", "fact-relations", "fact-findings"})
_ALLOWED = _WRAPPERS | _BLOCKS | _INLINE | _UNWRAPPED | _DROPPED | _FACTS

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
    "a": ("href",),
    "ol": ("reversed",),
    "td": ("colspan", "rowspan"),
    "th": ("colspan", "rowspan", "scope"),
    "details": ("open",),
}
_HARMFUL = frozenset(
    {"srcdoc", "formaction", "action", "background", "ping", "srcset", "poster", "xlink:href", "http-equiv"}
)

_NUMBER = re.compile(r"(?<!\w)(?<!\w[-–.])[-+−]?\d+(?:[T.,:/'’\u00a0\u202f\u2009–-]?\d+)*%?")
_LETTERS = re.compile(r"[^\W\d]")
_CODE = re.compile(r"[=<>(){}\[\];*'\"/\\_|$]")

_SECTIONS = (
    ("changes", r"\bchange|\bsince\b|what.?s new|what is new"),
    ("questions", r"question|unknowns|unclear"),
    ("findings", r"\bfindings?\b|\bflaws?\b|data quality|quality issues|known problems"),
    ("relations", r"\brelat|how .*tables (join|connect|fit)|\bdiagram\b|\bentities\b"),
    ("tables", r"^(all |the |every )?tables?\b|table by table|data dictionary|^tables and columns"),
    ("about", r"what (this|the|it|is)\b|\babout\b|overview|introduction|purpose|at a glance"),
)


@dataclass(frozen=True)
class Place:
    """Where the page fills in more than a value: ``table``, ``relations`` or ``findings``, and of which table."""

    kind: str
    table: str | None = None


Part = Markup | Place


@dataclass
class Section:
    """A part of the page under one heading; ``key`` says which of the page's own sections it is, if any."""

    key: str | None
    title: Markup
    parts: list[Part] = field(default_factory=list)
    ids: list[str] = field(default_factory=list)


@dataclass
class Prose:
    """What a model wrote, ready for the page.

    Attributes:
        lede: the sentence before the first heading.
        sections: in the model's order.
        meanings: prose for a column's row, by table and column.
        purposes: prose for the head of a table's section.
        claims: what the prose shows, by reference.
        about: the first sentence on what the database is, as plain text.
    """

    lede: Markup | None = None
    sections: list[Section] = field(default_factory=list)
    meanings: dict[tuple[str, str], Markup] = field(default_factory=dict)
    purposes: dict[str, Markup] = field(default_factory=dict)
    claims: dict[str, Claim] = field(default_factory=dict)
    about: str | None = None
    measured: int = 0
    unmeasured: int = 0


def problems(html: str, facts: Facts, named: Mapping[str, Claim]) -> list[str]:
    """Return why a submission is refused, in words that a model can act on; empty when it is fine."""
    found = _clashes(facts, named)
    try:
        reader = _Reader(facts, named)
        reader.read(html)
    except Unparsable as error:
        return [*found, str(error)]
    found += list(dict.fromkeys(reader.problems))
    if len(found) > MAX_PROBLEMS:
        found = [*found[:MAX_PROBLEMS], f"and {len(found) - MAX_PROBLEMS} more of the kind"]
    return found


def read(html: str | None, facts: Facts, named: Mapping[str, Claim]) -> Prose:
    """Return what a model wrote, with facts filled in.

    What ``problems`` would refuse is left out, and a value that is not known (a claim that failed when it was
    run again) is marked: by now the page has to be made of what there is.
    """
    if not html or not html.strip():
        return Prose()
    reader = _Reader(facts, named)
    try:
        reader.read(html)
    except Unparsable:
        return Prose()
    return reader.prose


def _clashes(facts: Facts, named: Mapping[str, Claim]) -> list[str]:
    found = []
    for name in named:
        try:
            facts.resolve(name)
        except UnknownReference:
            continue
        found.append(f"fact({name!r}, …) takes the name of a measured fact; choose another")
    return found


class _Reader:
    """Reads one submission; collects its problems and its prose."""

    def __init__(self, facts: Facts, named: Mapping[str, Claim]) -> None:
        self.facts = facts
        self.named = named
        self.problems: list[str] = []
        self.prose = Prose()
        self.ids: set[str] = set()
        self.shown: set[str] = set()
        self.ungrouped = ungrouped(facts)
        self.names = {name for table in facts.tables for name in (table.name, *table.column_by_name)}

    def read(self, html: str) -> None:
        if not html.strip():
            self.problems.append("the page is empty; submit prose and structure as HTML")
            return
        parsed = parse(html)
        self._check_head(parsed.head)
        body = parsed.body
        self._check_attributes(body)
        elements = list(body.walk())
        if not elements:
            self.problems.append(
                "there is no markup in it; write HTML (<h2>, <p>, <ul>, …), not plain text or Markdown"
            )
            return
        if re.search(r"^\s*```", html, re.MULTILINE) and not any(e.name == "pre" for e in elements):
            self.problems.append("take the page out of its ``` fence")
        self.ids = {e.attributes["id"] for e in elements if e.attributes.get("id")}
        blocks = self._flow(body.children)
        if not blocks and not self.problems:
            self.problems.append("the page has no text; submit prose and structure as HTML")
        self._take_out(blocks)
        self._sections(blocks)

    # What is allowed

    def _check_head(self, head: Iterable[Element]) -> None:
        for element in head:
            refresh = element.name == "meta" and element.attributes.get("http-equiv", "").lower() == "refresh"
            if refresh or element.name not in ("title", "style", "meta"):
                self._refuse(element)
            elif element.name == "style":
                continue  # The body is taken, the head is ours.
            else:
                self._check_attributes(element, skip=("http-equiv", "content", "name", "charset"))

    def _refuse(self, element: Element) -> None:
        why = _WHY.get(element.name)
        if element.name.startswith("fact-"):
            known = ", ".join(sorted(_FACTS))
            why = f"the fact elements are {known}"
        self.problems.append(f"<{element.name}> is not allowed" + (f": {why}" if why else "; use plain structure"))

    def _check_attributes(self, element: Element, skip: Sequence[str] = ()) -> None:
        for name, value in element.attributes.items():
            if name in skip:
                continue
            shown = f"<{element.name} {name}=…>"
            if name.startswith("on"):
                self.problems.append(f"{shown} is an event handler; scripts never run on a page")
            elif name == "style":
                if re.search(r"url|import|expression|\\|@", value, re.IGNORECASE):
                    self.problems.append(f"{shown} refers to something outside; leave styles to the page")
            elif name in _HARMFUL or (name == "src" and element.name not in _WHY):
                self.problems.append(f"{shown} is not allowed; the page loads nothing")

    def _attributes(self, element: Element) -> dict[str, str]:
        kept: dict[str, str] = {}
        for name in _KEPT.get(element.name, ()):
            value = element.attributes.get(name)
            if value is None or name == "href":
                continue
            if name in ("colspan", "rowspan") and not re.fullmatch(r"[1-9]\d{0,2}", value):
                continue
            if name == "scope" and value not in ("row", "col", "rowgroup", "colgroup"):
                continue
            kept[name] = "" if name in ("open", "reversed") else value
        if element.attributes.get("id"):
            kept["id"] = anchors.text(element.attributes["id"])
        return kept

    # Structure: blocks in blocks, text in blocks, so that a browser reads back what was written

    def _flow(self, nodes: Iterable[Node]) -> list[Node]:
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
            elif node.name in _BLOCK_FACTS or (node.name not in _INLINE and not node.name.startswith("fact-")):
                if node.name in _UNWRAPPED:
                    self._check_attributes(node)
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
        if name not in _ALLOWED:
            self._refuse(element)
            self._check_attributes(element)
            # A page that is made all the same keeps the words, but never those of a script.
            return [] if name in _WHY and name != "data" else self._flow(element.children)
        if name in _DROPPED:
            for inner in element.walk():
                if inner.name not in _ALLOWED:
                    self._refuse(inner)
            return []
        self._check_attributes(element)
        if name in _BLOCK_FACTS:
            place = self._place(element)
            return [place] if place else []
        data_for = element.attributes.get("data-for")
        if name in _WRAPPERS:
            inside = self._flow(element.children)
            if data_for is not None:
                return [Element("div", {"data-for": data_for}, inside)]
            if element.attributes.get("id"):
                _give_id(inside, anchors.text(element.attributes["id"]))
            return inside
        if name in _TEXT_BLOCKS or name in _TEXT_PARTS:
            return self._paragraph(element)
        kept = Element(name, self._attributes(element))
        if data_for is not None:
            kept.attributes["data-for"] = data_for
        if name in ("ul", "ol"):
            kept.children = self._listed(element, ("li",), "li")
        elif name == "dl":
            kept.children = self._listed(element, ("dt", "dd"), "dd")
        elif name == "table":
            kept.children = self._table(element)
        elif name == "details":
            kept.children = self._details(element)
        elif name in _TABLE_PARTS:
            return self._flow(element.children)
        elif name != "hr":
            kept.children = self._content(element)
        return [kept]

    def _content(self, element: Element) -> list[Node]:
        """Return what is inside a cell or an item: bare text if it is only that, else blocks."""
        if any(
            isinstance(e, Element) and e.name not in _INLINE | _UNWRAPPED | {"fact-value", "fact-chart"}
            for e in element.children
        ):
            return self._flow(element.children)
        lifted: list[Node] = []
        return [*self._phrase(element.children, lifted), *lifted]

    def _listed(self, element: Element, names: tuple[str, ...], default: str) -> list[Node]:
        items: list[Node] = []
        for child in element.children:
            if isinstance(child, str):
                if child.strip():
                    items.append(Element(default, {}, self._phrase([child], [])))
            elif child.name in names:
                items.extend(self._item(child))
            elif child.name in _WRAPPERS:
                self._check_attributes(child)
                items.extend(self._listed(child, names, default))
            elif inside := self._flow([child]):
                items.append(Element(default, {}, inside))
        return items

    def _item(self, element: Element) -> list[Node]:
        self._check_attributes(element)
        kept = Element(element.name, self._attributes(element))
        if "data-for" in element.attributes:
            kept.attributes["data-for"] = element.attributes["data-for"]
        lifted: list[Node] = []
        if element.name in _TEXT_PARTS:
            kept.children = self._phrase(element.children, lifted)
        else:
            kept.children = self._content(element)
        return [kept]

    def _table(self, element: Element) -> list[Node]:
        parts: list[Node] = []
        for child in element.children:
            if not isinstance(child, Element) or child.name in _DROPPED:
                continue
            self._check_attributes(child)
            if child.name == "caption":
                parts.extend(self._item(child))
            elif child.name in ("thead", "tbody", "tfoot"):
                rows = [row for row in child.children if isinstance(row, Element) and row.name == "tr"]
                kept = [self._row(row) for row in rows]
                if kept:
                    parts.append(Element(child.name, {}, kept))
            else:
                self._refuse(child)
        return parts

    def _row(self, element: Element) -> Node:
        self._check_attributes(element)
        cells = [child for child in element.children if isinstance(child, Element) and child.name in ("td", "th")]
        attributes = self._attributes(element)
        if "data-for" in element.attributes:
            attributes["data-for"] = element.attributes["data-for"]
        return Element("tr", attributes, [item for cell in cells for item in self._item(cell)])

    def _details(self, element: Element) -> list[Node]:
        heads = [child for child in element.children if isinstance(child, Element) and child.name == "summary"]
        rest = [child for child in element.children if child not in heads]
        head = self._item(heads[0]) if heads else [Element("summary", {}, ["More"])]
        return [*head, *self._flow(rest)]

    def _paragraph(self, element: Element) -> list[Node]:
        """Return a block of text; what can't stand inside it follows, and cuts it in two where it stood."""
        name = element.name if element.name in _TEXT_BLOCKS else "p"
        attributes = self._attributes(element)
        if "data-for" in element.attributes:
            attributes["data-for"] = element.attributes["data-for"]
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
            if isinstance(child, Element) and child.name in _BLOCK_FACTS:
                close()
                if place := self._place(child):
                    blocks.append(place)
            else:
                run.append(child)
        close()
        return blocks

    def _phrase(self, nodes: Iterable[Node], lifted: list[Node], link: bool = False, code: bool = False) -> list[Node]:
        """Return *nodes* as running text; places that need a block of their own go to *lifted*."""
        words: list[Node] = []
        for node in nodes:
            if isinstance(node, str):
                words.extend(self._numbers(node, code))
                continue
            name = node.name
            if name == "fact-value":
                words.extend(self._value(node, link))
            elif name == "fact-chart":
                self._check_attributes(node)
                words.extend(self._chart(node))
            elif name in _BLOCK_FACTS:
                if place := self._place(node):
                    lifted.append(place)
            elif name not in _ALLOWED:
                self._refuse(node)
                self._check_attributes(node)
                if name not in _WHY or name == "data":
                    words.extend(self._phrase(node.children, lifted, link, code))
            elif name in _DROPPED:
                continue
            elif name not in _INLINE:
                self._check_attributes(node)
                inside = self._phrase(node.children, lifted, link, code)
                words.extend([" ", *inside, " "] if name not in _UNWRAPPED else inside)
            else:
                self._check_attributes(node)
                in_link = link or name == "a"
                is_code = code or (name in ("code", "samp", "kbd", "var") and self._is_code(node.text()))
                inside = self._phrase(node.children, lifted, in_link, is_code)
                words.extend(self._inline(node, inside, link))
        return words

    def _inline(self, element: Element, inside: list[Node], link: bool) -> list[Node]:
        attributes = self._attributes(element)
        name = element.name
        if name == "a":
            href = self._href(element)
            if href is None or link:
                return [Element("span", attributes, inside)] if attributes else inside
            attributes["href"] = href
        if name == "span" and not attributes:
            return inside
        if name not in ("br", "wbr") and not inside and not attributes:
            return []
        return [Element(name, attributes, inside)]

    def _href(self, element: Element) -> str | None:
        href = element.attributes.get("href")
        if href is None:
            return None
        href = href.strip()
        if not href.startswith("#"):
            self.problems.append(
                f'<a href="{_cut(href)}"> leads outside; link to places on this page only (href="#orders")'
            )
            return None
        target = self._target(unquote(href[1:]))
        if target is None:
            self.problems.append(f'<a href="{_cut(href)}">: there is no such place on the page')
        return target and f"#{target}"

    def _target(self, name: str) -> str | None:
        if name in self.ids:
            return anchors.text(name)
        if found := self._find(name):
            return anchors.place(*found)
        plain = name.removeprefix("page-")
        if plain in anchors.SECTIONS:
            return anchors.section(plain)
        if plain in ("", "top"):
            return "page-top"
        if name.removeprefix("query-") in self.facts.query_by_id:
            return anchors.query(name.removeprefix("query-"))
        key = name.removeprefix("finding-")
        return anchors.finding(key) if any(f.id == key for f in self.facts.findings) else None

    # Facts

    def _find(self, reference: str) -> tuple[str, ...] | None:
        """Return the table, or table and column, that *reference* names; a plain name need not be quoted."""
        if reference in self.facts.table_by_name:
            return (reference,)
        try:
            parts = split_reference(reference)
        except UnknownReference:
            return None
        table = self.facts.table_by_name.get(parts[0])
        if table is None or len(parts) > 2 or (len(parts) == 2 and parts[1] not in table.column_by_name):
            return None
        return tuple(parts)

    def _reference(self, element: Element) -> str:
        # <fact-value ref=orders.rows/>: without quotes the slash is part of the value.
        written = element.attributes.get("ref", "")
        return written if written in self.facts.table_by_name else written.strip().removesuffix("/")

    def _missing(self, element: Element, kind: str) -> None:
        reference = self._reference(element)
        if not reference:
            self.problems.append(f"<{element.name}> lacks its ref attribute: the name of a {kind}")
            return
        known: list[str] = list(self.facts.table_by_name)
        if kind == "column":
            known = [f"{t.name}.{c}" for t in self.facts.tables for c in t.column_by_name]
        close = difflib.get_close_matches(reference, known, n=3)
        meant = f"; did you mean {', '.join(close)}?" if close else ""
        self.problems.append(f'<{element.name} ref="{_cut(reference)}">: there is no such {kind}{meant}')

    def _place(self, element: Element) -> Node | None:
        """Return the place of a fact element that stands for a block, as an element for now."""
        self._check_attributes(element)
        kind = element.name.removeprefix("fact-")
        reference = self._reference(element)
        if kind == "relations" or (kind == "findings" and not reference):
            if kind in self.shown:
                link = Element("a", {"href": "#" + anchors.section(kind)}, [kind])
                return Element("p", {}, [link])
            self.shown.add(kind)
            return Element("place", {"kind": kind})
        found = self._find(reference)
        if found is None or len(found) != 1:
            self._missing(element, "table")
            return None
        key = f"table {found[0]}"
        if kind == "table" and key in self.shown:
            link = Element("a", {"href": "#" + anchors.place(found[0])}, [Element("code", {}, [found[0]])])
            return Element("p", {}, [link])
        if kind == "table":
            self.shown.add(key)
        return Element("place", {"kind": kind, "table": found[0]})

    def _chart(self, element: Element) -> list[Node]:
        reference = self._reference(element)
        found = self._find(reference)
        if found is None or len(found) != 2:
            self._missing(element, "column")
            return []
        if not has_chart(self.facts.table_by_name[found[0]].column_by_name[found[1]]):
            self.problems.append(f'<fact-chart ref="{_cut(reference)}">: no distribution was measured there')
            return []
        return [Element("place", {"kind": "chart", "table": found[0], "column": found[1]})]

    def _value(self, element: Element, link: bool) -> list[Node]:
        self._check_attributes(element)
        reference = self._reference(element)
        if not reference:
            self.problems.append(
                "<fact-value> lacks its ref attribute: table.fact, table.column.fact or a fact()'s name"
            )
            return []
        try:
            claim = self.facts.resolve(reference, self.named)
        except UnknownReference as error:
            self.problems.append(str(error))
            self.prose.unmeasured += 1
            return [Element("mark", {"data-unmeasured": ""}, [f"{reference} (not measured)"])]
        self.prose.measured += 1
        self.prose.claims.setdefault(claim.id, claim)
        shown = Markup("").join([self._estimate(claim), self._shown(claim)])
        inside: list[Node] = [shown]
        if claim.query in self.facts.query_by_id and not link:
            inside = [Element("a", {"href": "#" + anchors.query(claim.query)}, inside)]
        value = "" if claim.value is None else _plain(claim)
        attributes = {"value": value, "data-claim": claim.id}
        # Numbers and dates stay on one line.
        return [Element("data", attributes | ({"class": "n"} if len(shown) <= 24 else {}), inside)]

    def _shown(self, claim: Claim) -> str:
        table, column, fact = self._subject(claim.id)
        if claim.id in self.named or table is None:
            return format_named(claim.value, claim.id)
        return format_fact(claim.value, fact, grouped=column is None or (table.name, column.name) not in self.ungrouped)

    def _estimate(self, claim: Claim) -> str:
        _, column, fact = self._subject(claim.id)
        return "≈ " if column and fact == "distinct" and column.distinct_method == "hll" else ""

    def _subject(self, reference: str) -> tuple[Table | None, Column | None, str]:
        if reference in self.named:
            return None, None, ""
        parts = split_reference(reference)
        table = self.facts.table_by_name.get(parts[0])
        if table is None or len(parts) == 1:
            return None, None, parts[-1]
        return table, table.column_by_name.get(parts[1]) if len(parts) == 3 else None, parts[-1]

    def _numbers(self, text: str, code: bool) -> list[Node]:
        """Return *text* with its numbers marked: nobody measured them."""
        if code:
            return [text] if text else []
        words: list[Node] = []
        start = 0
        for match in _NUMBER.finditer(text):
            if self._is_name(text, match.start(), match.end()):
                continue
            if match.start() > start:
                words.append(text[start : match.start()])
            words.append(Element("mark", {"data-unmeasured": ""}, [match[0]]))
            self.prose.unmeasured += 1
            start = match.end()
        if start < len(text):
            words.append(text[start:])
        return words

    def _is_code(self, text: str) -> bool:
        """Say whether the text of a code element is code, a name, or a value of the database; not any number is."""
        words = text.split()
        if _CODE.search(text) or (len(words) == 1 and _LETTERS.search(text)):
            return True
        return text in self.names or text in self.values

    @cached_property
    def values(self) -> set[str]:
        """What the profiles show as frequent or extreme values: a number among them is measured."""
        columns = [column for table in self.facts.tables for column in table.columns]
        return {str(v) for c in columns for v in (c.min, c.max, *(value for value, _ in c.top or ())) if v is not None}

    def _is_name(self, text: str, start: int, end: int) -> bool:
        while end < len(text) and (text[end].isalnum() or text[end] == "_"):
            end += 1
        return text[start:end] in self.names

    # Sections

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
            found = self._find(target) or self._find(target.strip())
            if found is None:
                self._missing(Element(f"{node.name} data-for", {"ref": target}), "table or column")
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
        html = self._write(words)
        if len(found) == 2:
            key = (found[0], found[1])
            self.prose.meanings[key] = (
                self.prose.meanings[key] + Markup("<br>") + html if key in self.prose.meanings else html
            )
        else:
            self.prose.purposes[found[0]] = self.prose.purposes.get(found[0], Markup("")) + html

    def _sections(self, blocks: list[Node]) -> None:
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
            section = Section(
                key, write(heading.children), ids=[heading.attributes["id"]] if "id" in heading.attributes else []
            )
            section.parts = self._parts(inside)
            if key == "about" and self.prose.sections and self.prose.sections[0].key == "about":
                # What stood before the first heading belongs to what the database is.
                section.parts = [*self.prose.sections.pop(0).parts, *section.parts]
            self.prose.sections.append(section)
        if self.prose.about is None:
            about = next((inside for key, (_, inside) in zip(keys, cut, strict=True) if key == "about"), [])
            self.prose.about = _first_sentence(about)

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
                self.prose.purposes[table] = self.prose.purposes.get(table, Markup("")) + self._write([block])
        return kept

    def _table_called(self, heading: Node) -> str | None:
        if not isinstance(heading, Element):
            return None
        words = re.sub(r"^(the )?table:?\s+|\s+table$", "", heading.text().strip("`\"' "), flags=re.IGNORECASE).strip(
            "`\"' "
        )
        return words if words in self.facts.table_by_name else None

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
            self.prose.about = _first_sentence([first])
            if has_about and len(first.text()) <= 400:
                self.prose.lede = self._write(first.children)
                intro = intro[1:]
        if intro:
            self.prose.sections.append(Section("about", Markup(""), self._parts(intro)))

    def _parts(self, blocks: list[Node]) -> list[Part]:
        """Return finished markup, with places between it."""
        _level_headings(blocks)
        parts: list[Part] = []
        run: list[Node] = []
        for block in _pruned(blocks):
            if isinstance(block, Element) and block.name == "place":
                if run:
                    parts.append(self._write(run))
                    run = []
                parts.append(Place(block.attributes["kind"], block.attributes.get("table")))
            else:
                run.append(block)
        if run:
            parts.append(self._write(run))
        return parts

    def _write(self, nodes: Sequence[Node]) -> Markup:
        return write([self._drawn(node) for node in nodes])

    def _drawn(self, node: Node) -> Node:
        """Return *node* with its charts drawn; a table or list of findings deep inside becomes a link to it."""
        if isinstance(node, str):
            return node
        if node.name != "place":
            return Element(node.name, node.attributes, [self._drawn(child) for child in node.children])
        kind, table = node.attributes["kind"], node.attributes.get("table")
        if kind == "chart" and table is not None:
            column = self.facts.table_by_name[table].column_by_name[node.attributes["column"]]
            grouped = (table, column.name) not in self.ungrouped
            return large_chart(column, label(column, table, grouped=grouped), grouped=grouped)
        target = anchors.place(table) if kind == "table" and table else anchors.section(kind)
        return Element("a", {"href": f"#{target}"}, [table or kind])


def _plain(claim: Claim) -> str:
    if isinstance(claim.value, bool):
        return "true" if claim.value else "false"
    return str(claim.value)


def _cut(text: str) -> str:
    return text if len(text) <= 60 else text[:57] + "…"


def _says(words: Sequence[Node]) -> bool:
    return any(isinstance(word, Element) or word.strip() for word in words)


def _is_block(node: Node) -> bool:
    return (
        isinstance(node, Element) and node.name in _BLOCKS | {"div", "place"} and node.attributes.get("kind") != "chart"
    )


def _give_id(blocks: Sequence[Node], key: str) -> None:
    for block in blocks:
        if isinstance(block, Element) and block.name != "place":
            block.attributes.setdefault("id", key)
            return


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
