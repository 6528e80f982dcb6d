"""Numbers in prose that nobody measured: their marks, and what is code; what a number is, ``numerals.py`` says."""

import re
from functools import cached_property

from cataloger_dagster.facts import Facts
from cataloger_dagster.report.numerals import numerals
from cataloger_dagster.report.tree import Element, Node, Unparsable

MAX_NUMBERS = 20_000
MARK = "<mark data-unmeasured"
"""How each mark begins, once it is written out."""

_CODE = re.compile(r"[=<>(){}\[\];*'\"/\\_|$]")
_CONSTANT = re.compile(r"[=<>'\"]")
NOT_MEASURED = " (not measured)"
"""What follows such a number where there are no marks, as in plain text."""


def unmeasured_mark(text: str) -> Element:
    """Return *text* marked as something that nobody measured."""
    return Element("mark", {"data-unmeasured": ""}, [text])


class Unmeasured:
    """Marks and counts the numbers in text; what *facts* have as a name or as a value is none."""

    def __init__(self, facts: Facts) -> None:
        self.count = 0
        self._facts = facts
        self._names = {name for table in facts.tables for name in (table.name, *table.column_by_name)}

    def marked(self, text: str) -> list[Node]:
        """Return *text* with its numbers marked.

        Raises:
            Unparsable: there are so many that no page could show them.
        """
        words: list[Node] = []
        start = 0
        for first, last in numerals(text, self._names):
            if first > start:
                words.append(text[start:first])
            words.append(unmeasured_mark(text[first:last]))
            self.count += 1
            if self.count > MAX_NUMBERS:
                raise Unparsable(f"more than {MAX_NUMBERS:,} numbers that nobody measured; show facts by <fact-value>")
            start = last
        if start < len(text):
            words.append(text[start:])
        return words

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
