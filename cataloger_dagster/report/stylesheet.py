"""What a style sheet does beyond styling: what it fetches, and what it puts over other things. By a CSS parser."""

from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from typing import Any

import tinycss2
from tinycss2.ast import AtKeywordToken, AtRule, Declaration, FunctionBlock, Node, ParseError, QualifiedRule, URLToken

# Of the values of these, whatever they are, a model has no need.
_COVERING = frozenset({"position", "z-index", "inset", "float", "transform", "behavior", "-moz-binding", "content"})
_FETCHING = frozenset({"url", "src", "image", "image-set", "-webkit-image-set", "cross-fade", "element", "expression"})
MAX_DEPTH = 50
_GROUPING = frozenset({"media", "supports", "page", "layer", "container"})


def fetches(css: str) -> list[str]:
    """Return what in a style sheet could fetch something, or run: functions, rules, or what no parser reads."""
    return list(_fetched(css))


@lru_cache(maxsize=4)  # the style sheet that all pages have is asked about again and again
def _fetched(css: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(_fetching(tinycss2.parse_stylesheet(css, skip_comments=True, skip_whitespace=True))))


def covers(css: str) -> list[str]:
    """Return the declarations of a style sheet, or of a style attribute, that take things from their places."""
    return list(dict.fromkeys(_covering(css)))


def _fetching(nodes: Iterable[Node]) -> Iterator[str]:
    stack = [iter(nodes)]
    while stack:
        if len(stack) > MAX_DEPTH:
            yield f"things nested more than {MAX_DEPTH} deep"
            return
        node = next(stack[-1], None)
        if node is None:
            stack.pop()
            continue
        if isinstance(node, ParseError):
            yield node.message
        elif isinstance(node, URLToken):
            yield "url()"
        elif isinstance(node, FunctionBlock) and node.lower_name in _FETCHING:
            yield f"{node.lower_name}()"
        elif isinstance(node, AtRule) and node.lower_at_keyword not in _GROUPING:
            yield f"@{node.lower_at_keyword}"
        elif isinstance(node, AtKeywordToken) and node.lower_value not in _GROUPING:  # a rule in a rule
            yield f"@{node.lower_value}"
        stack.append(iter(_inside(node)))


def _covering(css: str) -> Iterator[str]:
    stack = [iter(_contents(css))]
    while stack:
        if len(stack) > MAX_DEPTH:
            yield f"rules nested more than {MAX_DEPTH} deep"
            return
        node = next(stack[-1], None)
        if node is None:
            stack.pop()
            continue
        if isinstance(node, Declaration) and node.lower_name in _COVERING:
            yield node.lower_name
        if isinstance(node, AtRule | QualifiedRule) and node.content is not None:
            stack.append(iter(_contents(node.content)))


def _contents(css: str | Iterable[Node]) -> Sequence[Node]:
    found: Sequence[Node] = tinycss2.parse_blocks_contents(css, skip_comments=True, skip_whitespace=True)
    return found


def _inside(node: Any) -> list[Node]:
    found: list[Node] = []
    for name in ("prelude", "content", "arguments"):
        inside = getattr(node, name, None)
        if isinstance(inside, list):
            found += inside
    return found
