"""Whether a complete page is safe: one pure function, used before a page is stored and by the check.

It parses the page as a browser does and allows what our templates write and nothing else. It knows nothing of
facts or prose; what a model may write is decided in ``vocabulary.py``.
"""

import re
from collections.abc import Iterator
from typing import Any

from selectolax.lexbor import LexborHTMLParser

POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
MAX_CHARACTERS = 200_000_000
MAX_REASONS = 20

_ELEMENTS = frozenset(
    """
    html head meta title style body header nav main section div p h1 h2 h3 h4 h5 h6 ul ol li dl dt dd table
    thead tbody tfoot tr th td caption blockquote figure figcaption details summary pre hr a abbr b bdi br cite
    code del dfn em i ins kbd mark data q s samp small span strong sub sup time u var wbr svg g path rect circle
    text script
    """.split()  # noqa: SIM905
)
_ATTRIBUTES = frozenset(
    """
    id class lang href value data-claim data-unmeasured datetime scope colspan rowspan open reversed role
    tabindex title aria-label aria-hidden viewbox width height d x y cx cy r rx text-anchor
    """.split()  # noqa: SIM905
)
# One style sheet, in the head; its text is not compared with ours, so that pages of earlier versions stay safe.
_LOADS = re.compile(r"url|image\(|image-set|src\(|@import|@font|@namespace|expression|behavior|[\\<]", re.IGNORECASE)
_WIDTH = re.compile(r"width:\d{1,3}(\.\d+)?%")
# A place on this page, or a page of the same store, beside this one.
_HREF = re.compile(
    r"#[\w.%~-]*|(\.\./){1,2}(?!\.|%2[eE])[\w.%~-]+(/(?!\.|%2[eE])[\w.%~:-]+)*/(catalog|summary|overview)\.html(#[\w.%~-]*)?"
)
_DATA = {("application/json", "cataloger"), ("application/json", "cataloger-overview"), ("application/ld+json", None)}
_META = ({"charset": "utf-8"}, {"name": "viewport"}, {"name": "generator"})


def unsafe(html: str) -> list[str]:
    """Return what makes a page unsafe, in words; empty when it is safe.

    Safe is: a content security policy first in the head, no script but the data blocks, no handler, form, frame
    or object, no reference to anything but places on the page and pages beside it, and one style sheet in the
    head that loads nothing.
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


def _reasons(html: str) -> Iterator[str]:
    root = LexborHTMLParser(html).root
    if root is None:
        yield "the page is empty"
        return
    yield from _policy(root)
    scripts: set[tuple[str | None, str | None]] = set()
    styled = False
    for node in root.traverse(include_text=False):
        tag = node.tag
        if tag is None or tag.startswith("-"):
            continue
        if tag not in _ELEMENTS:
            yield f"<{tag}> is not allowed"
            continue
        attributes = node.attributes
        if tag == "script":
            kind = (attributes.get("type"), attributes.get("id"))
            if kind not in _DATA or set(attributes) - {"type", "id"}:
                yield "a script that is not one of the two data blocks"
            elif kind in scripts:
                yield f"a second data block {kind[1] or kind[0]}"
            scripts.add(kind)
        elif tag == "style":
            if styled or attributes or node.parent is None or node.parent.tag != "head" or _LOADS.search(node.text()):
                yield "a style that is not the page's own, or loads something"
            styled = True
        elif tag == "meta":
            yield from _meta(attributes)
        else:
            for name, value in attributes.items():
                yield from _attribute(tag, name, value or "")


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


def _attribute(tag: str, name: str, value: str) -> Iterator[str]:
    if name == "style":
        if tag != "i" or not _WIDTH.fullmatch(value):
            yield f"<{tag} style> is not one of the page's own"
    elif name.lower() not in _ATTRIBUTES:
        yield f"<{tag} {name}> is an event handler" if name.startswith("on") else f"<{tag} {name}> is not allowed"
    elif name == "href" and (tag != "a" or not _HREF.fullmatch(value)):
        yield f"<{tag} href> leads outside the page: {value[:60]!r}"
