"""Judges a page's findings, inferred references and labels of personal data against what was planted.

A finding is right if a flaw of the same kind was planted in the same table and columns, and its rows are within a tenth
of those planted (a flaw of two rows: exactly two). Of a key's or a row's copies it may count all, or all but the first
of each. It need not name columns where whole rows or tables are meant, and of a dependency it may name the dependent
column alone. Another kind in the place of a planted one is a miss of this and a false alarm of that. A second right
finding of one flaw is a false alarm.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from benchmarks.score.plants import Plant
from benchmarks.score.tables import UNGRADED, World

NEAR = 0.1
WHOLE_TABLE = ("duplicate_rows", "empty_table", "stale_table")


@dataclass(frozen=True)
class Verdict:
    """What became of one database's flaws: those found, those missed, and what was found that is none."""

    rate: float | None
    hits: list[tuple[Plant, dict[str, Any]]]
    misses: list[tuple[Plant, str]]
    false: list[dict[str, Any]]
    untouched_columns: int = 0
    untouched_false: int = 0


@dataclass
class Count:
    """Hits, misses and false alarms, and what follows from them (null where it says nothing)."""

    hits: int = 0
    misses: int = 0
    false: int = 0

    @property
    def precision(self) -> float | None:
        """The share of what was found that is right."""
        return self.hits / (self.hits + self.false) if self.hits + self.false else None

    @property
    def recall(self) -> float | None:
        """The share of what is there that was found."""
        return self.hits / (self.hits + self.misses) if self.hits + self.misses else None

    @property
    def f1(self) -> float | None:
        """The harmonic mean of the two."""
        total = 2 * self.hits + self.misses + self.false
        return 2 * self.hits / total if total else None

    def __add__(self, other: "Count") -> "Count":
        return Count(self.hits + other.hits, self.misses + other.misses, self.false + other.false)

    def figures(self) -> dict[str, Any]:
        """Return all of it, for programs."""
        return {"hits": self.hits, "misses": self.misses, "false": self.false,
                "precision": self.precision, "recall": self.recall, "f1": self.f1}  # fmt: skip


def judge(block: dict[str, Any], plants: Iterable[Plant], world: World, rate: float | None = None) -> Verdict:
    """Match the page's findings with the plants of the database."""
    findings = [part for finding in block["findings"] for part in finding.get("members") or [finding]]
    plants = list(plants)
    hits, misses = [], []
    taken: set[int] = set()
    for plant in plants:
        chosen = next((i for i, f in enumerate(findings) if i not in taken and right(f, plant)), None)
        if chosen is None:
            misses.append((plant, _instead(findings, plant)))
        else:
            taken.add(chosen)
            hits.append((plant, findings[chosen]))
    false = [finding for i, finding in enumerate(findings) if i not in taken and not _unclear(finding, world)]
    touched = {(plant.table, name) for plant in plants for name in plant.columns}
    emptied = {plant.table for plant in plants if plant.kind in WHOLE_TABLE}
    clean = {(table.name, name) for table in world.tables.values() for name in table.columns
             if (table.name, name) not in touched and table.name not in emptied}  # fmt: skip
    on_clean = sum(
        all((finding["table"], name) in clean for name in finding["columns"]) and finding["table"] not in emptied
        for finding in false
    )
    return Verdict(rate, hits, misses, false, len(clean), on_clean)


def _unclear(finding: dict[str, Any], world: World) -> bool:
    """Say whether people differ: is an e-mail address in ``login`` exposed, is a hotline's number anybody's?"""
    table = world.tables.get(finding["table"])
    columns = [table.columns[name] for name in finding["columns"] if name in table.columns] if table else []
    return finding["kind"] == "pii_exposed" and any(
        "unclear" in column.roles or column.pii == UNGRADED for column in columns
    )


def right(finding: dict[str, Any], plant: Plant) -> bool:
    """Say whether a finding is the one that a plant asks for."""
    return (
        (finding["kind"] == plant.kind or finding["kind"] in plant.also)
        and finding["table"] == plant.table
        and _columns_fit(finding["columns"], plant)
        and near(finding["rows"], plant)
    )


def near(rows: int | None, plant: Plant) -> bool:
    """Say whether a count of rows is within a tenth of the planted."""
    if plant.least is None or plant.most is None:
        return True
    return rows is not None and plant.least * (1 - NEAR) <= rows <= plant.most * (1 + NEAR)


def _columns_fit(columns: list[str], plant: Plant) -> bool:
    if plant.kind in WHOLE_TABLE:
        return True
    if plant.kind == "broken_dependency":
        return set(columns) in (set(plant.columns), {plant.columns[-1]})
    return set(columns) == set(plant.columns)


def _instead(findings: list[dict[str, Any]], plant: Plant) -> str:
    """Return what was found in the place of a missed flaw, if anything."""
    there = [
        f"{finding['kind']} of {finding['rows']} rows"
        for finding in findings
        if finding["table"] == plant.table
        and (set(finding["columns"]) & set(plant.columns) or (finding["kind"] == plant.kind and not plant.columns))
    ]
    return ", ".join(there) or "nothing"


@dataclass
class Sets:
    """What of a set of true things was found, by name."""

    right: set[str] = field(default_factory=set)
    missed: set[str] = field(default_factory=set)
    wrong: set[str] = field(default_factory=set)

    @property
    def count(self) -> Count:
        """As numbers."""
        return Count(len(self.right), len(self.missed), len(self.wrong))


def references(block: dict[str, Any], world: World) -> Sets:
    """Compare the inferred references with the true ones; declared ones are left out on both sides."""
    known = {_arrow(r.table, r.columns, r.to, r.to_columns): r for r in world.references if not r.declared}
    true = {name for name, reference in known.items() if not reference.optional}
    found = {
        _arrow(reference["from"][0], reference["from"][1], reference["to"][0], reference["to"][1])
        for reference in block["references"]
        if not reference["declared"]
    }
    return Sets(true & found, true - found, found - known.keys())


def _arrow(table: str, columns: Iterable[str], to: str, keys: Iterable[str]) -> str:
    pairs = sorted(zip(columns, keys, strict=True))
    return f"{table}({', '.join(a for a, _ in pairs)}) → {to}({', '.join(b for _, b in pairs)})"


def labels(block: dict[str, Any], world: World) -> Sets:
    """Compare the labels of personal data with the true ones; where people differ, none counts."""
    found = {(t["name"], c["name"]): c["pii"] for t in block["tables"] for c in t["columns"]}
    result = Sets()
    for table in world.tables.values():
        for column in table.columns.values():
            label = found.get((table.name, column.name))
            place = f"{table.name}.{column.name}"
            if column.pii == UNGRADED:
                continue
            if label is not None:
                (result.right if label == column.pii else result.wrong).add(f"{place}: {label}")
            if column.pii is not None and label != column.pii:
                result.missed.add(f"{place}: {column.pii}")
    return result
