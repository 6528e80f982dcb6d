"""How markup is read: whether two HTML5 parsers make the same of it, and what they write reads the same again.

Markup that one parser reads in one way and another in another (mutation XSS) slips past any check of one reading.
Here Lexbor's is compared with that of html5ever, through the sanitiser Ammonia, which takes out what is not named
to it. What may be named is ``vocabulary.py``'s and ``safety.py``'s.
"""

from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet

import nh3
from selectolax.lexbor import LexborHTMLParser

from cataloger_dagster.report.tree import Element, Unparsable, parse, write

_AROUND = 60


def sanitiser(allowed: Mapping[str, Iterable[str]]) -> nh3.Cleaner:
    """Return what writes markup as html5ever reads it, with the *allowed* elements (to attributes) alone."""
    return nh3.Cleaner(
        tags=set(allowed),
        # No element is dropped with its text: what is missed in the result is told.
        clean_content_tags=set(),
        attributes={tag: set(names) for tag, names in allowed.items() if names},
        url_schemes=set(),
        link_rel=None,
        generic_attribute_prefixes=set(),
    )


def difference(markup: str, other_parser: nh3.Cleaner) -> str | None:
    """Return where two parsers read *markup* differently, or what a ``sanitiser`` takes out of it; null if nothing.

    *markup* is the inside of a body.
    """
    ours = _written(markup)
    theirs = other_parser.clean(markup)
    for other in (theirs, _written(theirs), other_parser.clean(theirs)):
        if other != ours:
            at = next((i for i, (a, b) in enumerate(zip(ours, other, strict=False)) if a != b), len(ours))
            return ours[max(at - _AROUND // 2, 0) : at + _AROUND // 2]
    return None


def is_stable(body: Element) -> bool:
    """Say whether a submission, written out, is read by both parsers as the same tree again."""
    written = str(write(body.children))
    names: dict[str, AbstractSet[str]] = {}
    for element in body.walk():
        names[element.name] = names.get(element.name, frozenset()) | element.attributes.keys()
    for again in (written, sanitiser(names).clean(written)):
        try:
            # The tag keeps white space that stands first, which a parser drops before a body.
            if parse(f"<body>{again}").body.children != body.children:
                return False
        except Unparsable:
            return False
    return True


def _written(markup: str) -> str:
    body = LexborHTMLParser(f"<!doctype html><body>{markup}").body
    return "" if body is None else body.inner_html or ""
