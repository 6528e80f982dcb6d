"""Whether a complete page is safe: one pure function, used before a page is stored and by the check.

It parses the page as a browser does and allows what our templates write and nothing else; how parsers differ is in
``readings.py``, what a style sheet does in ``stylesheet.py``. It knows nothing of facts or prose; what a model may
write is decided in ``vocabulary.py``.
"""

import re
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

import nh3
from selectolax.lexbor import LexborHTMLParser

from cataloger_dagster.report.readings import difference, sanitiser
from cataloger_dagster.report.stylesheet import fetches

POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
MAX_CHARACTERS = 100_000_000
MAX_REASONS = 20

_EVERYWHERE = frozenset({"id", "class", "role", "tabindex", "title", "aria-label", "aria-hidden"})
_PLAIN = frozenset(
    """
    header nav main section div p h1 h2 h3 h4 h5 h6 ul li dl dt dd table thead tbody tfoot tr caption blockquote
    figure figcaption summary pre hr abbr b bdi br cite code del dfn em ins kbd q s samp small span strong sub sup
    u var wbr title g
    """.split()  # noqa: SIM905
)
_OWN: Mapping[str, frozenset[str]] = {
    "a": frozenset({"href"}),
    "data": frozenset({"value", "data-claim"}),
    "mark": frozenset({"data-unmeasured"}),
    "time": frozenset({"datetime"}),
    "td": frozenset({"colspan", "rowspan"}),
    "th": frozenset({"colspan", "rowspan", "scope"}),
    "details": frozenset({"open"}),
    "ol": frozenset({"reversed"}),
    "i": frozenset({"style"}),
    "svg": frozenset({"viewBox", "width", "height"}),
    "path": frozenset({"d"}),
    "rect": frozenset({"x", "y", "width", "height", "rx"}),
    "circle": frozenset({"cx", "cy", "r"}),
    "text": frozenset({"x", "y", "text-anchor"}),
}
BODY = dict.fromkeys(_PLAIN, _EVERYWHERE) | {name: own | _EVERYWHERE for name, own in _OWN.items()}
"""The elements that our templates write into the body of a page, with their attributes."""

_FRAME = {"html": frozenset({"lang"}), "head": frozenset[str](), "body": frozenset[str]()}
_WIDTH = re.compile(r"width:\d{1,3}(\.\d+)?%")
# A place on this page, a page of the same store, or the page in this one's own folder.
_HREF = re.compile(
    r"#[\w.%~-]*|(catalog|summary|overview)\.html|(\.\./){1,2}(?!\.|%2[eE])[\w.%~-]+(/(?!\.|%2[eE])[\w.%~:-]+)*/(catalog|summary|overview)\.html(#[\w.%~-]*)?"
)
_DATA = {
    ("application/json", "cataloger"),
    ("application/json", "cataloger-overview"),
    ("application/json", "cataloger-transcript"),
    ("application/ld+json", None),
}
_META = ({"charset": "utf-8"}, {"name": "viewport"}, {"name": "generator"})
_BODY_BEGINS, _DATA_BEGINS = "<body>", '<script type="application/json"'


def unsafe(html: str) -> list[str]:
    """Return what makes a page unsafe, in words; empty when it is safe.

    Safe is: a content security policy first in the head, no script but the data blocks, no handler, form, frame
    or object, no reference to anything but places on the page and pages beside it, no id twice, one style sheet in
    the head that loads nothing, and a body of which two parsers make the same.
    """
    if len(html) > MAX_CHARACTERS:
        return [f"the page has {len(html):,} characters; at most {MAX_CHARACTERS:,} are allowed"]
    reasons: dict[str, None] = {}
    if not html[:200].lstrip().lower().startswith("<!doctype html>"):
        reasons["the page does not begin with <!doctype html>"] = None
    for reason in _reasons(html):
        reasons.setdefault(reason)
        if len(reasons) >= MAX_REASONS:
            break
    return list(reasons)


def unsafe_part(markup: str) -> list[str]:
    """Return what would make a page unsafe if *markup*, the inside of a body, were put into it."""
    reasons: dict[str, None] = {}
    body = LexborHTMLParser(f"<!doctype html><body>{markup}").body
    for node in body.iter(include_text=False) if body is not None else ():
        for inner in node.traverse(include_text=False):
            reasons |= dict.fromkeys(_element(inner))
    if (at := difference(markup, _sanitiser())) is not None:
        reasons[f"two parsers read it differently near {at!r}"] = None
    return list(reasons)[:MAX_REASONS]


def _reasons(html: str) -> Iterator[str]:
    root = LexborHTMLParser(html).root
    if root is None:
        yield "the page is empty"
        return
    yield from _policy(root)
    blocks: set[tuple[str | None, str | None]] = set()
    ids: set[str] = set()
    styled = False
    for node in root.traverse(include_text=False):
        tag = node.tag
        if tag is None or tag.startswith("-"):
            continue
        attributes = node.attributes
        if (key := attributes.get("id")) is not None:
            if key in ids:
                yield f"the id {key[:60]!r} is there twice"
            ids.add(key)
        if tag == "script":
            kind = (attributes.get("type"), attributes.get("id"))
            if kind not in _DATA or attributes.keys() - {"type", "id"} or _above(node) != "body":
                yield "a script that is not one of the two data blocks"
            elif kind in blocks:
                yield f"a second data block {kind[1] or kind[0]}"
            blocks.add(kind)
        elif tag == "style":
            if styled or attributes or _above(node) != "head":
                yield "a style that is not the page's own"
            # Its text is not compared with ours, so that pages of earlier versions stay safe.
            for reason in fetches(node.text()):
                yield f"a style that loads something: {reason}"
            styled = True
        elif tag == "meta":
            yield from _meta(attributes)
        else:
            yield from _element(node)
    yield from _two_readings(html)


@cache
def _sanitiser() -> nh3.Cleaner:
    # A tenth of a millisecond to make, far less to use.
    return sanitiser(BODY)


def _above(node: Any) -> str | None:
    return None if node.parent is None else node.parent.tag


def _policy(root: Any) -> Iterator[str]:
    head = root.css_first("head")
    first = head.first_child if head is not None else None
    while first is not None and first.tag == "-text":
        first = first.next
    attributes = first.attributes if first is not None and first.tag == "meta" else {}
    if attributes.get("http-equiv", "").lower() != "content-security-policy" or attributes.get("content") != POLICY:
        yield "the content security policy is not first in the head"


def _meta(attributes: dict[str, str | None]) -> Iterator[str]:
    kept = {name: value for name, value in attributes.items() if name != "content"}
    if kept == {"http-equiv": "Content-Security-Policy"} and attributes.get("content") == POLICY:
        return
    if kept not in _META:
        yield f"<meta {' '.join(kept)}> is not allowed"


def _element(node: Any) -> Iterator[str]:
    tag = node.tag
    if tag is None or tag.startswith("-"):
        return
    if (allowed := BODY.get(tag, _FRAME.get(tag))) is None:
        yield f"<{tag}> is not allowed"
        return
    for name, value in node.attributes.items():
        yield from _attribute(tag, allowed, name, value or "")


def _attribute(tag: str, allowed: frozenset[str], name: str, value: str) -> Iterator[str]:
    if name not in allowed and not (name == "viewbox" and tag == "svg"):
        yield f"<{tag} {name}> is an event handler" if name.startswith("on") else f"<{tag} {name}> is not allowed"
    elif name == "style" and not _WIDTH.fullmatch(value):
        yield f"<{tag} style> is not one of the page's own"
    elif name == "href" and not _HREF.fullmatch(value):
        yield f"<{tag} href> leads outside the page: {value[:60]!r}"


def _two_readings(html: str) -> Iterator[str]:
    _, begun, rest = html.partition(_BODY_BEGINS)
    body, ended, _ = rest.partition(_DATA_BEGINS)
    if not begun or not ended:
        yield "the page's body or its data block does not begin where ours do"
    elif (at := difference(body, _sanitiser())) is not None:
        yield f"two parsers read it differently, or the sanitiser takes out something, near {at!r}"
