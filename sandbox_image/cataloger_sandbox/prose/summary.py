"""A whole page about what changed since the snapshots before."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from cataloger_sandbox import elements, kinds
from cataloger_sandbox.elements import code, fact
from cataloger_sandbox.measured import Facts, is_speakable, join_reference
from cataloger_sandbox.prose.flaws import MEANT
from cataloger_sandbox.prose.phrases import names


def summary(facts: Facts, changes: Sequence[Mapping[str, Any]]) -> str:
    """Return a whole page about what changed since the snapshots before."""
    return _Summary(facts, changes).write()


class _Summary:
    def __init__(self, facts: Facts, changes: Sequence[Mapping[str, Any]]) -> None:
        self.facts = facts
        self.changes = list(changes)
        # Numbers can be told of the latest pair of snapshots only: the host compares those.
        self.latest = max((change["since"] or "" for change in self.changes), default="")

    def write(self) -> str:
        new = [change for change in self.changes if (change["since"] or "") == self.latest]
        old = [change for change in self.changes if (change["since"] or "") != self.latest]
        if not self.changes:
            return elements.section(
                "changes", "What changed", "<p>Nothing that is compared has changed between these snapshots.</p>"
            )
        parts = [
            self._lede(new),
            elements.section("changes", "What changed", elements.items(self._lines(new))),
            elements.section("needs", "What needs a person", elements.items(self._needed(new))),
            elements.section("before", "Before that", elements.items(self._older(old))),
        ]
        return "\n".join(part for part in parts if part)

    def _lede(self, new: Sequence[Mapping[str, Any]]) -> str:
        if not new:
            return ""
        grave = [change for change in new if change["severity"] in ("high", "medium")]
        tables = names(change["table"] for change in grave or new)
        if grave:
            return f"<p>Look at {tables} first: what changed there may break what is built on it.</p>"
        return f"<p>Ordinary change in {tables}; nothing that was compared calls for action.</p>"

    def _lines(self, changes: Sequence[Mapping[str, Any]]) -> Iterator[str]:
        for change in changes:
            if text := self._told(change, numbers=True):
                yield text

    def _older(self, changes: Sequence[Mapping[str, Any]]) -> list[str]:
        return [text for change in changes[:30] if (text := self._told(change, numbers=False))]

    def _needed(self, changes: Sequence[Mapping[str, Any]]) -> Iterator[str]:
        for change in changes:
            if change["severity"] in ("high", "medium") and change["kind"] in _NEEDED:
                yield _NEEDED[change["kind"]].format(self._place(change))

    def _told(self, change: Mapping[str, Any], numbers: bool) -> str:
        kind, table, column = change["kind"], change["table"], change["column"]
        place = self._place(change)
        numbers = numbers and is_speakable(table) and is_speakable(column or "")
        if kind == "rows_changed":
            verb = "grew" if (change["to"] or 0) > (change["from"] or 0) else "shrank"
            if not numbers or not self._now(table, "rows"):
                return f"{place} {verb}."
            before, by = fact(table, "rows", "before"), fact(table, "rows", "change")
            return f"{place} {verb} from {before} to {fact(table, 'rows')} rows, by {by}."
        if kind == "nulls_changed" and column:
            if change["from"] == change["to"]:
                return f"{place} is empty in another share of its rows, as their number changed."
            verb = "more" if (change["to"] or 0) > (change["from"] or 0) else "fewer"
            if not numbers or not self._now(table, column, "nulls"):
                return f"{place} has {verb} empty values."
            return (
                f"{place} has {verb} empty values: {fact(table, column, 'nulls')}, "
                f"before {fact(table, column, 'nulls', 'before')}."
            )
        if kind == "table_added":
            rows = f", with {fact(table, 'rows')} rows" if numbers and self._now(table, "rows") else ""
            return f"{place} is new{rows}."
        if kind == "type_changed":
            return f"{place} changed its type, from {code(str(change['from']))} to {code(str(change['to']))}."
        if kind in ("finding_new", "finding_resolved"):
            finding = self._finding(change["to"] if kind == "finding_new" else change["from"])
            name = kinds.one(finding) if finding else "a finding"
            return f"{place}: {name}, {'new' if kind == 'finding_new' else 'no longer there'}."
        return f"{place} {kinds.changed(kind)}."

    def _finding(self, identifier: Any) -> str:
        for finding in self.facts.raw.get("findings") or []:
            if finding["id"] == identifier:
                return str(finding["kind"])
        head = str(identifier or "").split(".")[0].split(":")[0]
        return head if head in MEANT else ""

    def _now(self, *parts: str) -> bool:
        return self.facts.has(join_reference(parts))

    def _place(self, change: Mapping[str, Any]) -> str:
        return code(change["table"]) + (f".{code(change['column'])}" if change["column"] else "")


_NEEDED = {
    "table_dropped": "Was {} dropped on purpose? Queries that name it fail now.",
    "column_dropped": "Was {} dropped on purpose? Queries that name it fail now.",
    "type_changed": "Do the readers of {} cope with its new type?",
    "rows_changed": "Is the size of {} what its owners expect?",
    "nulls_changed": "Why is {} filled less than before?",
    "reference_broken": "Who puts the missing rows that {} refers to in place?",
    "freshness_stalled": "Does whatever loads {} still run?",
    "finding_new": "Who mends what was found in {}?",
}
