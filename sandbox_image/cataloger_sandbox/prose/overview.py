"""A whole text over all databases: what needs somebody, what changed, what they share."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from cataloger_sandbox import elements, kinds
from cataloger_sandbox.elements import code, fact
from cataloger_sandbox.prose.phrases import names

GRAVE = ("high", "medium")
SHARED = 12
"""How many tables that several databases have are told of."""


def overview(databases: Sequence[Mapping[str, Any]]) -> str:
    """Return a whole text about *databases*, as the host describes each."""
    known = [each for each in databases if "tables" in each]
    parts = [
        _lede(known),
        elements.section("needs", "What needs a person", elements.items(_needed(databases))),
        elements.section("changes", "What changed", elements.items(_changed(known))),
        elements.section("shared", "What they have in common", elements.items(_shared(known))),
    ]
    return "\n".join(part for part in parts if part)


def _lede(known: Sequence[Mapping[str, Any]]) -> str:
    urgent = [each["name"] for each in known if any(item["severity"] == "high" for item in each["findings"])]
    total = f"{fact('total', 'tables')} tables with {fact('total', 'rows')} rows"
    if not urgent:
        return f"<p>{total}; no finding is of high severity.</p>"
    return f"<p>{total}; look at {names(urgent[:3])} first.</p>"


def _needed(databases: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    for each in databases:
        if each.get("reason"):
            fault = "has a page, but its entry is broken" if "tables" in each else "has no page"
            yield f"{code(each['name'])} {fault}: its row below says why."
    grave = [(each, [item for item in each.get("findings", ()) if item["severity"] in GRAVE]) for each in databases]
    for each, found in sorted(grave, key=lambda pair: (-_high(pair[1]), -len(pair[1]), pair[0]["name"])):
        if found:
            worst = found[0]
            place = code(worst["table"]) + (f".{code(worst['columns'][0])}" if worst["columns"] else "")
            others = " and other tables" if worst["tables"] > 1 else ""
            levels = [
                f"{severity} ({fact(each['name'], 'findings', severity)})"
                for severity in GRAVE
                if any(item["severity"] == severity for item in found)
            ]
            yield (
                f"{code(each['name'])} has findings of severity {' and '.join(levels)}; "
                f"look first at {place}{others}: {kinds.one(worst['kind'])}."
            )


def _high(found: Sequence[Mapping[str, Any]]) -> int:
    return sum(item["severity"] == "high" for item in found)


def _changed(known: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    for each in known:
        grave = [change for change in each["changes"] if change["severity"] in GRAVE]
        if grave:
            first = grave[0]
            place = code(first["table"]) + (f".{code(first['column'])}" if first["column"] else "")
            more = ", and there is more on its page" if len(grave) > 1 else ""
            yield f"{code(each['name'])}: {place} {kinds.changed(first['kind'])}{more}."


def _shared(known: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Tell of tables that several databases have under one name with at least half of their columns alike."""
    having: dict[str, list[tuple[str, set[str]]]] = defaultdict(list)
    for each in known:
        for table in each["tables"]:
            having[table["name"]].append((each["name"], set(table["columns"])))
    told = 0
    for table, found in sorted(having.items(), key=lambda pair: (-len(pair[1]), pair[0])):
        first = found[0][1]
        alike = [name for name, columns in found if 2 * len(columns & first) >= len(columns | first)]
        if len(alike) > 1 and told < SHARED:
            told += 1
            yield f"{code(table)} is in {names(alike)}, with mostly the same columns."
