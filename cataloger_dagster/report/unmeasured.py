"""Numbers in prose that nobody measured: their marks, and what is code; what a number is, ``numerals`` says."""

import itertools
import re
from collections import deque
from collections.abc import Iterator, Sequence
from functools import cached_property

from cataloger_sandbox.numerals import numerals
from markupsafe import Markup

from cataloger_dagster.facts import Facts
from cataloger_dagster.report.tree import Element, Node, Unparsable

MAX_NUMBERS = 20_000
MARK = "<mark data-unmeasured"
"""How each mark begins, once it is written out."""

_CODE = re.compile(r"[=<>(){}\[\];*'\"/\\_|$]")
# What stands there is no part of the words around it.
_APART = frozenset({"data", "mark", "place", "br"})
_BETWEEN = "\ufffc"
_CONSTANT = re.compile(r"[=<>'\"]")
NOT_MEASURED = " (not measured)"
"""What follows such a number where there are no marks, as in plain text."""


def unmeasured_mark(text: str) -> Element:
    """Return *text* marked as something that nobody measured."""
    return Element("mark", {"data-unmeasured": ""}, [text])


class Verbatim(str):
    """Text in which nothing is marked: code, a name, a value of the database."""

    __slots__ = ()


class Unmeasured:
    """Marks and counts the numbers in text; what *facts* have as a name or as a value is none."""

    def __init__(self, facts: Facts) -> None:
        self.count = 0
        self._facts = facts
        self._names = {name for table in facts.tables for name in (table.name, *table.column_by_name)}

    def marked(self, words: Sequence[Node]) -> list[Node]:
        """Return running text with its numbers marked: each by itself, and what is one across elements.

        Raises:
            Unparsable: there are so many that no page could show them.
        """
        texts: list[str] = []
        _gather(words, texts)
        starts = [0, *itertools.accumulate(map(len, texts))]
        spans = self._numerals("".join(texts))
        if len(texts) > 1:
            for start, text in zip(starts, texts, strict=False):
                spans += [(start + first, start + last) for first, last in self._numerals(text)]
        merged = deque(_merged(spans))
        self.count += len(merged)
        if self.count > MAX_NUMBERS:
            raise Unparsable(f"more than {MAX_NUMBERS:,} numbers that nobody measured; show facts by <fact-value>")
        return _cut(words, iter(zip(starts, texts, strict=False)), merged)

    def _numerals(self, text: str) -> list[tuple[int, int]]:
        """Return where numbers stand in *text*; no more are looked for than may be there."""
        return list(itertools.islice(numerals(text, self._names), MAX_NUMBERS + 1))

    def is_code(self, text: str) -> bool:
        """Say whether the text of a code element is code, a name, or a value of the database; not any number is."""
        if text in self._names or text in self._values:
            return True
        if not any(char.isalpha() for char in self._without_digits(text)):
            return bool(_CONSTANT.search(text))
        return len(text.split()) == 1 or bool(_CODE.search(text))

    def _without_digits(self, text: str) -> str:
        """Return *text* without the numbers that are written in digits: the T of a time is no word."""
        spans = [span for span in numerals(text, self._names) if any(map(str.isnumeric, text[slice(*span)]))]
        starts, ends = [0, *(last for _, last in spans)], [*(first for first, _ in spans), len(text)]
        return "".join(text[start:end] for start, end in zip(starts, ends, strict=True))

    @cached_property
    def _values(self) -> set[str]:
        """What the profiles show as frequent or extreme values: a number among them is measured."""
        columns = [column for table in self._facts.tables for column in table.columns]
        return {str(v) for c in columns for v in (c.min, c.max, *(value for value, _ in c.top or ())) if v is not None}


def _is_text(node: Node) -> bool:
    return isinstance(node, str) and not isinstance(node, Verbatim | Markup)


def _gather(nodes: Sequence[Node], texts: list[str]) -> None:
    """Add to *texts* those that may be marked, in their order, with a sign between what does not go on in a word."""
    for node in nodes:
        if _is_text(node):
            texts.append(str(node))
        elif isinstance(node, str) or node.name in _APART:
            texts.append(_BETWEEN)
        else:
            _gather(node.children, texts)


def _cut(nodes: Sequence[Node], texts: Iterator[tuple[int, str]], spans: deque[tuple[int, int]]) -> list[Node]:
    """Return *nodes* with what lies in *spans* marked, each piece in its place."""
    cut: list[Node] = []
    for node in nodes:
        if _is_text(node):
            cut += _pieces(*next(texts), spans)
        elif isinstance(node, str) or node.name in _APART:
            next(texts)
            cut.append(node)
        else:
            cut.append(Element(node.name, node.attributes, _cut(node.children, texts, spans)))
    return cut


def _pieces(start: int, text: str, spans: deque[tuple[int, int]]) -> Iterator[Node]:
    at, end = start, start + len(text)
    while spans and spans[0][0] < end:
        first, last = max(spans[0][0], start), min(spans[0][1], end)
        if first > at:
            yield text[at - start : first - start]
        if last > first:
            yield unmeasured_mark(text[first - start : last - start])
        at = max(at, last)
        if spans[0][1] > end:
            return
        spans.popleft()
    if at < end:
        yield text[at - start :]


def _merged(spans: Sequence[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """Yield *spans* in order, those that overlap as one."""
    begun: tuple[int, int] | None = None
    for span in sorted(spans):
        if begun and span[0] < begun[1]:
            begun = (begun[0], max(begun[1], span[1]))
            continue
        if begun:
            yield begun
        begun = span
    if begun:
        yield begun
