"""What a rule knows of a database: its tables, what refers to what, and the answers to the questions asked.

What HTML can't name is not among it: such a table is left to the page, which shows every table in any case.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from cataloger_sandbox.elements import code
from cataloger_sandbox.measured import Column, Facts, Table, is_speakable, join_reference, ranked_tables
from cataloger_sandbox.questions import Question, answered, questions

MOSTLY = 0.9
"""From this share of nulls on a column is called mostly empty."""


class Known:
    """The facts and answers, sorted for telling.

    Attributes:
        facts: what was measured.
        noted: what ``fact()`` noted, by name; among it the answers.
        tables: the central ones first.
        references: as they are in the facts.
        asked: the questions that have an answer.
        outgoing, incoming: the references from and to a table.
        parents, children: the tables at the other end, each with the columns that lead there.
    """

    def __init__(self, facts: Facts, noted: Mapping[str, Any]) -> None:
        self.facts = facts
        self.noted = noted
        self.tables = [facts[raw["name"]] for raw in ranked_tables(facts.raw) if is_speakable(raw["name"])]
        self.references: list[dict[str, Any]] = [
            r
            for r in facts.raw.get("references") or []
            if all(
                table in facts and all(map(is_speakable, [table, *columns])) for table, columns in (r["from"], r["to"])
            )
        ]
        self.asked = [
            question
            for question in answered(questions(facts), noted)
            if all(map(is_speakable, [question.table, *question.columns]))
        ]
        self.outgoing: dict[str, list[dict[str, Any]]] = {}
        self.incoming: dict[str, list[dict[str, Any]]] = {}
        first: dict[str, dict[str, Any]] = {}
        for reference in self.references:
            self.outgoing.setdefault(reference["from"][0], []).append(reference)
            self.incoming.setdefault(reference["to"][0], []).append(reference)
            first.setdefault(join_reference([reference["from"][0], *reference["from"][1]]), reference)
        self._first = {id(reference) for reference in first.values()}
        self.parents = {table.name: self._parents(table) for table in self.tables}
        self.children = {table.name: self._children(table) for table in self.tables}

    @property
    def centre(self) -> Table:
        """The table that most is about; there has to be one."""
        return self.tables[0]

    def answers(self, kind: str) -> list[Question]:
        """Return the questions of one kind that have an answer."""
        return [question for question in self.asked if question.kind == kind]

    def are_empty_together(self, question: Question) -> bool:
        """Say whether the columns asked about are empty in just the same rows."""
        return bool(self.noted[question.id] == self.facts[question.table][question.columns[0]].nulls)

    def is_first(self, reference: Mapping[str, Any]) -> bool:
        """Say whether this is the reference that ``orphans`` of its column speaks of, where a column has several."""
        return id(reference) in self._first

    def _parents(self, table: Table) -> dict[str, list[str]]:
        return _ends((r["to"][0], r["from"][1]) for r in self.outgoing.get(table.name, ()) if r["to"][0] != table.name)

    def _children(self, table: Table) -> dict[str, list[str]]:
        return _ends(
            (r["from"][0], r["from"][1]) for r in self.incoming.get(table.name, ()) if r["from"][0] != table.name
        )


def grain(table: Table) -> list[str]:
    """Return the key that says what a row is: the declared one, else the shortest that was found."""
    declared = table.raw.get("primary_key")
    return declared or min(table.keys, key=len, default=[])


def time_column(table: Table) -> Column | None:
    """Return the column by which the rows lie in time, if its ends were measured."""
    newest = (table.raw.get("newest") or {}).get("column")
    column = table.columns.get(newest) if newest else None
    if column is None or column.min is None or column.max is None or not is_speakable(column.name):
        return None
    return column


def is_mostly_empty(table: Table, column: Column) -> bool:
    """Say whether nearly every row of *table* has no value in *column*."""
    return bool(table.rows and column.nulls and column.nulls >= MOSTLY * table.rows)


def _ends(pairs: Iterator[tuple[str, list[str]]]) -> dict[str, list[str]]:
    ends: dict[str, list[str]] = {}
    for name, columns in pairs:
        ends.setdefault(name, []).append(" + ".join(code(column) for column in columns))
    return ends
