"""What a style sheet does beyond styling: what it fetches, and what it puts over other things. By a CSS parser."""

from collections.abc import Iterable, Iterator
from typing import Any

import tinycss2
from tinycss2.ast import AtRule, Declaration, FunctionBlock, Node, ParseError, QualifiedRule, URLToken

# Of the values of these, whatever they are, a model has no need.
_COVERING = frozenset({"position", "z-index", "inset", "float", "transform", "behavior", "-moz-binding", "content"})
_FETCHING = frozenset({"url", "src", "image", "image-set", "-webkit-image-set", "cross-fade", "element", "expression"})
_GROUPING = frozenset({"media", "supports", "page", "layer", "container"})


def fetches(css: str) -> list[str]:
    """Return what in a style sheet could fetch something, or run: functions, rules, or what no parser reads."""
    return list(dict.fromkeys(_fetching(tinycss2.parse_stylesheet(css, skip_comments=True, skip_whitespace=True))))


def covers(css: str) -> list[str]:
    """Return the declarations of a style sheet, or of a style attribute, that take things from their places."""
    nodes = tinycss2.parse_blocks_contents(css, skip_comments=True, skip_whitespace=True)
    return list(dict.fromkeys(_covering(nodes)))


def _fetching(nodes: Iterable[Node]) -> Iterator[str]:
    for node in nodes:
        if isinstance(node, ParseError):
            yield node.message
        elif isinstance(node, URLToken):
            yield "url()"
        elif isinstance(node, FunctionBlock) and node.lower_name in _FETCHING:
            yield f"{node.lower_name}()"
        elif isinstance(node, AtRule) and node.lower_at_keyword not in _GROUPING:
            yield f"@{node.lower_at_keyword}"
        yield from _fetching(_inside(node))


def _covering(nodes: Iterable[Node]) -> Iterator[str]:
    for node in nodes:
        if isinstance(node, Declaration) and node.lower_name in _COVERING:
            yield node.lower_name
        if isinstance(node, AtRule | QualifiedRule) and node.content is not None:
            yield from _covering(tinycss2.parse_blocks_contents(node.content, skip_comments=True, skip_whitespace=True))


def _inside(node: Any) -> list[Node]:
    found: list[Node] = []
    for name in ("prelude", "content", "arguments", "value"):
        inside = getattr(node, name, None)
        if isinstance(inside, list):
            found += inside
    return found
