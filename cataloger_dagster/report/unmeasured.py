"""Numbers in prose that nobody measured: their marks, and what is code; what a number is, ``numerals.py`` says."""

import re
from functools import cached_property

from cataloger_dagster.facts import Facts
from cataloger_dagster.report.numerals import numerals
from cataloger_dagster.report.tree import Element, Node, Unparsable

MAX_NUMBERS = 20_000
_LETTERS = re.compile(r"[^\W\d]")
_CODE = re.compile(r"[=<>(){}\[\];*'\"/\\_|$]")


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
        words = text.split()
        if _CODE.search(text) or (len(words) == 1 and _LETTERS.search(text)):
            return True
        return text in self._names or text in self._values

    @cached_property
    def _values(self) -> set[str]:
        """What the profiles show as frequent or extreme values: a number among them is measured."""
        columns = [column for table in self._facts.tables for column in table.columns]
        return {str(v) for c in columns for v in (c.min, c.max, *(value for value, _ in c.top or ())) if v is not None}
