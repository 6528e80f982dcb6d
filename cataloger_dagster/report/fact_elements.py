"""The fact elements (``fact-value`` and its like) in what a model wrote, and what each becomes.

A value is filled in at once. A table, a chart, the diagram and the findings become an element called ``place``
for as long as prose is a tree; as markup, a place is left for the page to fill, drawn, or a link to it. How a
table or a finding looks is in ``elements.py``.
"""

import re
from collections.abc import Mapping, Sequence

from markupsafe import Markup

from cataloger_dagster.facts import Claim, Column, Facts, Table, UnknownReference, split_reference
from cataloger_dagster.report import anchors
from cataloger_dagster.report.charts import has_chart, label, large_chart
from cataloger_dagster.report.numbers import format_fact, format_named, ungrouped
from cataloger_dagster.report.targets import Targets, shortened
from cataloger_dagster.report.tree import Element, Node, write
from cataloger_dagster.report.unmeasured import NOT_MEASURED, unmeasured_mark
from cataloger_dagster.report.vocabulary import harmful

VALUE = "<data value="
"""How each value that was filled in begins, once it is written out."""


class FactElements:
    """Turns the fact elements of one submission into values and places.

    Attributes:
        claims: what was shown, by reference.
    """

    def __init__(self, facts: Facts, named: Mapping[str, Claim], targets: Targets, problems: list[str]) -> None:
        self.claims: dict[str, Claim] = {}
        self._facts, self._named, self._targets, self._problems = facts, named, targets, problems
        self._placed: set[str] = set()
        self._ungrouped = ungrouped(facts)

    def value(self, element: Element, in_link: bool) -> list[Node]:
        """Return the value that a ``fact-value`` names; it leads to its query unless it stands in a link already."""
        self._problems += harmful(element)
        reference = self._reference(element)
        if not reference:
            self._problems.append(
                "<fact-value> lacks its ref attribute: table.fact, table.column.fact or a fact()'s name"
            )
            return []
        try:
            claim = self._facts.resolve(reference, self._named)
        except UnknownReference as error:
            self._problems.append(str(error))
            return [unmeasured_mark(reference + NOT_MEASURED)]
        self.claims.setdefault(claim.id, claim)
        shown = Markup("").join([self._estimate(claim), self._shown(claim)])
        inside: list[Node] = [shown]
        if claim.query in self._facts.query_by_id and not in_link:
            inside = [Element("a", {"href": "#" + anchors.query(claim.query)}, inside)]
        value = "" if claim.value is None else _plain(claim)
        attributes = {"value": value, "data-claim": claim.id}
        # Numbers and dates stay on one line.
        return [Element("data", attributes | ({"class": "n"} if len(shown) <= 24 else {}), inside)]

    def chart(self, element: Element) -> list[Node]:
        """Return the place of a column's distribution, in running text."""
        self._problems += harmful(element)
        reference = self._reference(element)
        found = self._targets.find(reference)
        if found is None or len(found) != 2:
            self._targets.miss(element.name, reference, "column")
            return []
        if not has_chart(self._facts.table_by_name[found[0]].column_by_name[found[1]]):
            self._problems.append(f'<fact-chart ref="{shortened(reference)}">: no distribution was measured there')
            return []
        return [Element("place", {"kind": "chart", "table": found[0], "column": found[1]})]

    def place(self, element: Element) -> list[Node]:
        """Return the place of a fact element that stands for a block; of what is placed already, a link to it."""
        self._problems += harmful(element)
        kind = element.name.removeprefix("fact-")
        reference = self._reference(element)
        if kind == "relations" or (kind == "findings" and not reference):
            if kind in self._placed:
                return [_linked(anchors.section(kind), kind)]
            self._placed.add(kind)
            return [Element("place", {"kind": kind})]
        found = self._targets.find(reference)
        if found is None or len(found) != 1:
            self._targets.miss(element.name, reference, "table")
            return []
        key = f"table {found[0]}"
        if kind == "table" and key in self._placed:
            return [_linked(anchors.place(found[0]), Element("code", {}, [found[0]]))]
        if kind == "findings" and f"findings {found[0]}" in self._placed:
            return [_linked(anchors.section(kind), kind)]
        self._placed.add(f"{kind} {found[0]}")
        return [Element("place", {"kind": kind, "table": found[0]})]

    def write(self, nodes: Sequence[Node]) -> Markup:
        """Write *nodes* as HTML, charts drawn; a table or list of findings deep inside becomes a link to it."""
        return write([self._drawn(node) for node in nodes])

    def _drawn(self, node: Node) -> Node:
        if isinstance(node, str):
            return node
        if node.name != "place":
            return Element(node.name, node.attributes, [self._drawn(child) for child in node.children])
        kind, table = node.attributes["kind"], node.attributes.get("table")
        if kind == "chart" and table is not None:
            column = self._facts.table_by_name[table].column_by_name[node.attributes["column"]]
            grouped = (table, column.name) not in self._ungrouped
            return large_chart(column, label(column, table, grouped=grouped), grouped=grouped)
        target = anchors.place(table) if kind == "table" and table else anchors.section(kind)
        return Element("a", {"href": f"#{target}"}, [table or kind])

    def _reference(self, element: Element) -> str:
        return self._targets.plain(element.attributes.get("ref", ""))

    def _shown(self, claim: Claim) -> str:
        table, column, fact = self._subject(claim.id)
        if claim.id in self._named or table is None:
            return format_named(claim.value, claim.id)
        return format_fact(
            claim.value, fact, grouped=column is None or (table.name, column.name) not in self._ungrouped
        )

    def _estimate(self, claim: Claim) -> str:
        _, column, fact = self._subject(claim.id)
        if column is None:
            return ""
        quantile = column.quantiles_error is not None and re.fullmatch(r"median|q\d+", fact)
        return "≈ " if quantile or (fact == "distinct" and column.distinct_method == "hll") else ""

    def _subject(self, reference: str) -> tuple[Table | None, Column | None, str]:
        if reference in self._named:
            return None, None, ""
        parts = split_reference(reference)
        table = self._facts.table_by_name.get(parts[0])
        if table is None or len(parts) == 1:
            return None, None, parts[-1]
        return table, table.column_by_name.get(parts[1]) if len(parts) == 3 else None, parts[-1]


def _linked(target: str, words: Node) -> Node:
    return Element("p", {}, [Element("a", {"href": f"#{target}"}, [words])])


def _plain(claim: Claim) -> str:
    if isinstance(claim.value, bool):
        return "true" if claim.value else "false"
    return str(claim.value)
