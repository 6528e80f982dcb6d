"""A small tree of what a model wrote: parsed by a real HTML5 parser, written out in one way only.

What is allowed is decided in ``vocabulary.py``. Of the parser nothing leaves this module.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from markupsafe import Markup, escape
from selectolax.lexbor import LexborHTMLParser

MAX_CHARACTERS = 2_000_000
MAX_TAGS = 60_000
MAX_DEPTH = 100
MAX_ATTRIBUTES = 100
# Formatting that is never closed is opened again in every later block, once for each: a bomb in few bytes.
_MAX_REOPENED = 3_000_000
_FORMATTING = re.compile(r"<(?:b|big|code|em|font|i|nobr|s|small|strike|strong|tt|u)[\s/][^>]", re.IGNORECASE)
_TAG = re.compile(r"<[a-zA-Z]")
# A parser compares each attribute with those before it: many in one tag take the square of their number. Looked for
# wherever a tag could begin, in a comment too; nothing is tried twice.
_MANY_ATTRIBUTES = re.compile(
    r"<[a-zA-Z][^\s/>]*+(?:[\s/]*+[^\s/>][^\s/>=]*+(?:\s*+=\s*+(?>\"[^\"]*+\"|'[^']*+'|[^\s>]*+))?+)"
    rf"{{{MAX_ATTRIBUTES + 1}}}",
    re.ASCII,
)
# Control characters, lone surrogates and non-characters: no text needs them, and parsers differ on them.
_UNWANTED = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff]")
VOID = frozenset({"br", "wbr", "hr"})
# Right after <pre> a parser drops one line end; how many were there no two tell alike once it is written again.
_LINE_ENDS = "\r\n"


@dataclass
class Element:
    """An element with its attributes and children; text is a plain string, finished markup a ``Markup``."""

    name: str
    attributes: dict[str, str] = field(default_factory=dict)
    children: list["Element | str"] = field(default_factory=list)

    def text(self) -> str:
        """Return all text inside, as one line."""
        return re.sub(r"\s+", " ", "".join(_texts(self))).strip()

    def walk(self) -> Iterator["Element"]:
        """Yield every element inside, in document order."""
        for child in self.children:
            if isinstance(child, Element):
                yield child
                yield from child.walk()


Node = Element | str


class Unparsable(ValueError):
    """The text is not worth, or not safe, to be parsed. The message says why, for the model."""


@dataclass(frozen=True)
class Parsed:
    """A parsed document: the body, and every element of its head, those inside others too."""

    head: list[Element]
    body: Element


def clean(html: str) -> str:
    """Return a page with a sign in place of every character that no page can carry, such as NUL."""
    return _UNWANTED.sub("�", html)


def parse(html: str) -> Parsed:
    """Parse a fragment or a document. Elements called ``fact-…`` never have children: those follow them.

    Raises:
        Unparsable: too long, too many tags, too many attributes in one, nested too deep.
    """
    if len(html) > MAX_CHARACTERS:
        raise Unparsable(f"the page has {len(html):,} characters; at most {MAX_CHARACTERS:,} are taken")
    tags = len(_TAG.findall(html))
    if tags > MAX_TAGS:
        raise Unparsable(f"the page has {tags:,} tags; at most {MAX_TAGS:,} are taken")
    if tags * len(_FORMATTING.findall(html)) > _MAX_REOPENED:
        raise Unparsable("too many formatting elements (b, i, code, …) have attributes; leave the attributes out")
    html = _UNWANTED.sub("", html)
    if _MANY_ATTRIBUTES.search(html):
        raise Unparsable(f"an element has more than {MAX_ATTRIBUTES} attributes (or a quote or a > is missing)")
    # Without a doctype a browser would nest tables in paragraphs; a second one is passed over.
    document = LexborHTMLParser("<!doctype html>" + html)
    head, body = Element("head"), Element("body")
    root = document.root
    child = root.first_child if root is not None else None
    while child is not None:
        if child.tag == "head":
            _convert(child, head)
        elif child.tag == "body":
            body.attributes = _attributes(child)
            _convert(child, body)
        elif child.tag and not child.tag.startswith("-"):
            body.children.append(Element(child.tag, _attributes(child)))
        child = child.next
    return Parsed(list(head.walk()), body)


def _convert(source: object, target: Element) -> None:
    """Fill *target* with the children of the parser's node, without recursion: unclosed fact elements nest deep."""
    stack: list[tuple[object, Element, int]] = [(source.first_child, target, 0)]  # type: ignore[attr-defined]
    while stack:
        node, parent, depth = stack.pop()
        if node is None:
            continue
        stack.append((node.next, parent, depth))  # type: ignore[attr-defined]
        name: str | None = node.tag  # type: ignore[attr-defined]
        if name == "-text":
            text = node.text_content  # type: ignore[attr-defined]
            if parent.name == "pre" and not parent.children:
                text = text.lstrip(_LINE_ENDS)
            if parent.children and isinstance(parent.children[-1], str):
                parent.children[-1] += text
            elif text:
                parent.children.append(text)
        elif name and not name.startswith("-"):
            if depth > MAX_DEPTH:
                raise Unparsable(f"elements are nested more than {MAX_DEPTH} deep; close them")
            element = Element(name, _attributes(node))
            parent.children.append(element)
            into = (parent, depth) if name.startswith("fact-") else (element, depth + 1)
            stack.append((node.first_child, *into))  # type: ignore[attr-defined]


def _attributes(node: object) -> dict[str, str]:
    return {name: value or "" for name, value in node.attributes.items()}  # type: ignore[attr-defined]


def write(nodes: Sequence[Node]) -> Markup:
    """Write *nodes* as HTML: everything escaped, every element closed."""
    parts: list[str] = []
    for node in nodes:
        _write(node, parts)
    return Markup("".join(parts))


def _write(node: Node, parts: list[str]) -> None:
    if isinstance(node, str):
        parts.append(escape(node))
        return
    attributes = "".join(
        f' {name}="{escape(value)}"' if value else f" {name}" for name, value in node.attributes.items()
    )
    parts.append(f"<{node.name}{attributes}>")
    if node.name in VOID:
        return
    inside: list[str] = []
    for child in node.children:
        _write(child, inside)
    if node.name == "pre":
        inside = ["".join(inside).lstrip(_LINE_ENDS)]
    parts += [*inside, f"</{node.name}>"]


def _texts(element: Element) -> Iterator[str]:
    for child in element.children:
        if isinstance(child, Element):
            yield from _texts(child)
        else:
            yield child
