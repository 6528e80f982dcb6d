"""The page's elements as an agent writes them: every name escaped and checked against what was measured.

Which words stand between them is the agent's business; the words that a rule can write are in ``prose``.
"""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from cataloger_sandbox import elements
from cataloger_sandbox.measured import Facts, UnknownReference, join_reference
from cataloger_sandbox.prose.catalog import QUESTIONS, catalog, minimal
from cataloger_sandbox.prose.overview import overview
from cataloger_sandbox.prose.summary import summary

# What the host offers beside the facts where there is an earlier snapshot; it checks them itself.
_COMPARED = (".before", ".change", "findings.new", "findings.resolved")


class Page:
    """Writes a page's elements.

    ``page.value("orders", "amount", "nulls")`` is a measured number, ``page.table("orders")`` a table's profile,
    ``page.chart("orders", "amount")`` a distribution, ``page.relations()`` the diagram, ``page.findings()`` the
    findings; ``page.meaning("orders", "amount", "What was paid.")`` says what a column is, and
    ``page.meaning("orders", "One row for each order.")`` what a table is; ``page.code(name)`` shows a name,
    ``page.section(title, html)`` is a section and ``page.questions([…])`` the one of open questions.
    ``page.draft()`` is a whole page by rule to start from; ``page.save(html)`` writes it for submit_html.
    """

    def __init__(
        self,
        facts: Facts,
        noted: Mapping[str, Any],
        changes: Sequence[Mapping[str, Any]],
        databases: Sequence[Mapping[str, Any]] = (),
    ) -> None:
        self._databases = databases
        self._facts = facts
        self._noted = noted
        self._changes = changes

    def __repr__(self) -> str:
        return self.__doc__ or ""

    def ref(self, *parts: str) -> str:
        """Return the reference of *parts*, quoted where a name needs it."""
        return join_reference(parts)

    def value(self, *parts: str) -> str:
        """Return the element for one value: its reference whole, the name given to ``fact()``, or parts to be joined.

        Raises:
            UnknownReference: nothing measured and nothing noted has this name.
        """
        reference = parts[0] if len(parts) == 1 else join_reference(parts)
        if reference not in self._noted and not reference.endswith(_COMPARED):
            self._facts.value(reference)
        return elements.value(reference)

    def table(self, name: str) -> str:
        """Return the element for a table's whole profile."""
        return elements.table(self._known(name))

    def chart(self, name: str, column: str) -> str:
        """Return the element for a column's distribution."""
        if not self._facts[self._known(name)][column].drawable:
            raise UnknownReference(f"no distribution was measured of {join_reference([name, column])}")
        return elements.chart(name, column)

    def relations(self) -> str:
        """Return the element for the diagram of references."""
        return elements.relations()

    def findings(self, name: str | None = None) -> str:
        """Return the element for the findings, of one table or of all."""
        return elements.findings(None if name is None else self._known(name))

    def meaning(self, name: str, *rest: str) -> str:
        """Return ``meaning(table, html)`` or ``meaning(table, column, html)`` as an element that moves to its place."""
        *column, html = rest
        for part in column:
            self._facts[self._known(name)][part]
        return elements.meaning([self._known(name), *column], html)

    def code(self, text: str) -> str:
        """Return a name as code, escaped."""
        return elements.code(text)

    def section(self, title: str, html: str) -> str:
        """Return a section under a heading."""
        return f"<section>\n<h2>{title}</h2>\n{html}\n</section>"

    def questions(self, lines: Iterable[str]) -> str:
        """Return the section of open questions; nothing without any."""
        return elements.section("questions", QUESTIONS, elements.items(lines))

    def draft(self, *, noted: bool = True) -> str:
        """Return a whole page by rule, of the facts and, where it is wanted, of what ``fact()`` *noted*."""
        return catalog(self._facts, self._noted if noted else {})

    def minimal(self) -> str:
        """Return the least that is a page: its measured parts, without a word about them."""
        return minimal(self._facts)

    def summary(self) -> str:
        """Return a whole summary of the changes, by rule."""
        return summary(self._facts, self._changes)

    def overview(self) -> str:
        """Return a whole text over all databases, by rule."""
        return overview(self._databases)

    def save(self, html: str, file: str = "page.html") -> str:
        """Write *html* to *file* in the session's folder and return what to do with it."""
        Path(file).write_text(html, encoding="utf-8", errors="replace")
        return f"{file}: {len(html):,} characters; submit it with submit_html(file={file!r})"

    def _known(self, name: str) -> str:
        if name not in self._facts:
            raise UnknownReference(f"there is no table {name!r}; the tables are in facts.tables")
        return name
