"""Numbers in a model's prose that nobody measured: which are numbers, which are names or code, and their marks."""

import re
from functools import cached_property

from cataloger_dagster.facts import Facts
from cataloger_dagster.report.tree import Element, Node

_NUMBER = re.compile(r"(?<!\w)(?<!\w[-–.])[-+−]?\d+(?:[T.,:/'’\u00a0\u202f\u2009–-]?\d+)*%?")
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
        """Return *text* with its numbers marked."""
        words: list[Node] = []
        start = 0
        for match in _NUMBER.finditer(text):
            if self._is_name(text, match.start(), match.end()):
                continue
            if match.start() > start:
                words.append(text[start : match.start()])
            words.append(unmeasured_mark(match[0]))
            self.count += 1
            start = match.end()
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

    def _is_name(self, text: str, start: int, end: int) -> bool:
        while end < len(text) and (text[end].isalnum() or text[end] == "_"):
            end += 1
        return text[start:end] in self._names
