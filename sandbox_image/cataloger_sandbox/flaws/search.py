"""The search for flaws: every family in its turn, what follows from something else taken out, the rest ranked.

No kind floods a page: the same flaw in many tables is one finding, and of the others so many are listed.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from cataloger_sandbox.flaws.dependencies import broken_dependencies
from cataloger_sandbox.flaws.exposed import exposed_orders, exposed_persons, exposed_secrets, nameless
from cataloger_sandbox.flaws.finding import Family, Finding, ranked
from cataloger_sandbox.flaws.keys import duplicate_keys, orphans
from cataloger_sandbox.flaws.tables import constant_columns, empty_tables
from cataloger_sandbox.flaws.values import KINDS as KINDS_OF_VALUES
from cataloger_sandbox.judging import judged
from cataloger_sandbox.survey import Profile, Survey

FAMILIES: Mapping[Family, Sequence[str]] = {
    empty_tables: ("empty_table",),
    constant_columns: ("constant_column",),
    duplicate_keys: ("duplicate_key",),
    orphans: ("orphan_foreign_key",),
    broken_dependencies: ("broken_dependency",),
    nameless: ("pii_exposed", "secret_exposed"),
    exposed_secrets: ("secret_exposed",),
    exposed_persons: ("pii_exposed",),
    exposed_orders: ("suspicious_instruction",),
}
"""The families that ask of the database alone, and the kinds of what each finds."""

KINDS = tuple(
    dict.fromkeys([*KINDS_OF_VALUES, "stale_table", *(kind for kinds in FAMILIES.values() for kind in kinds)])
)
"""All kinds of findings."""

_CAUSES = {
    "duplicate_key": ("duplicate_rows",),
    "orphan_foreign_key": ("sentinel_value", "case_or_space_variant", "mixed_format", "rare_category"),
    "broken_dependency": ("sentinel_value", "case_or_space_variant", "mixed_format", "rare_category", "outlier"),
}
"""What a flaw may follow from, and then is told of with it."""

ALIKE = 0.9
"""A flaw follows from another in the same columns where both are in as many rows, or nearly."""

MOST = 10
"""So many findings of one kind in one table are listed."""

LISTED = 40
"""So many findings of one kind in all tables are listed."""

TABLES = 5
"""A flaw that so many tables have in columns of one name is one finding."""

IDS = 2_000
"""Of so many findings of one kind that are not listed the ids are told, so that they are known again."""

NAMED = 12

_SAID = {
    "duplicate_key": "the key {columns} repeats with them",
    "orphan_foreign_key": "the reference by {columns} breaks there",
    "broken_dependency": "{columns} no longer go together there",
}


def find_flaws(survey: Survey, profile: Profile) -> list[Finding]:
    """Return what the families find in a table."""
    found: list[Finding] = []
    for family, kinds in FAMILIES.items():
        found += judged(survey, profile, kinds, family, survey, profile)
    return found


def choose(findings: Iterable[Finding]) -> tuple[list[Finding], list[Finding]]:
    """Return the findings that are told, the gravest first; and those that are not listed."""
    return listed(ranked(gathered(settled(findings))))


def settled(findings: Iterable[Finding]) -> list[Finding]:
    """Return the findings without those that follow from others, which name them."""
    by_table: dict[str, list[Finding]] = {}
    for finding in findings:
        by_table.setdefault(finding.table, []).append(finding)
    for kept in by_table.values():
        for effect in list(kept):
            cause = next((item for item in kept if _follows(effect, item)), None)
            if cause is not None:
                kept.remove(effect)
                said = _SAID[effect.kind].format(columns=" and ".join(effect.columns))
                kept[kept.index(cause)] = cause.naming(said)
    return [finding for kept in by_table.values() for finding in kept]


def gathered(findings: Iterable[Finding]) -> list[Finding]:
    """Return the findings; the same flaw in like-named columns of several tables is one."""
    kept: list[Finding] = []
    alike: dict[tuple[str, str, str], list[Finding]] = {}
    for finding in findings:
        if finding.columns or finding.kind == "empty_table":
            alike.setdefault((finding.kind, finding.like_named, finding.detail), []).append(finding)
        else:
            kept.append(finding)
    for found in alike.values():
        several = len({finding.table for finding in found}) >= TABLES
        kept += [_in_many_tables(ranked(found))] if several else found
    return kept


def _in_many_tables(found: Sequence[Finding]) -> Finding:
    worst, tables = found[0], len({finding.table for finding in found})
    rows = sum(finding.rows for finding in found)
    counted = f", {rows:,} rows in all; the worst is {worst.table}" if rows else f"; one of them is {worst.table}"
    sentence = f"In {tables:,} tables{counted}: {worst.sentence}"
    return replace(worst, rows=rows, sentence=sentence, members=found)


def listed(findings: Sequence[Finding]) -> tuple[list[Finding], list[Finding]]:
    """Return the first findings of each kind, and of each kind in each table; and those that are left out."""
    kept: list[Finding] = []
    counts: Counter[str] = Counter()
    for finding in bounded(findings):
        counts[finding.kind] += 1
        if counts[finding.kind] <= LISTED:
            kept.append(finding)
    ids = {finding.id for finding in kept}
    return kept, [member for item in findings if item.id not in ids for member in item.members or [item]]


def unlisted(left_out: Iterable[Finding]) -> list[dict[str, Any]]:
    """Return what is not listed in the host's schema, kind by kind."""
    by_kind: dict[str, list[Finding]] = {}
    for finding in left_out:
        by_kind.setdefault(finding.kind, []).append(finding)
    return [
        {
            "kind": kind,
            "findings": len(found),
            "tables": len({finding.table for finding in found}),
            "ids": [finding.id for finding in found[:IDS]],
        }
        for kind, found in by_kind.items()
    ]


def bounded(findings: Sequence[Finding]) -> list[Finding]:
    """Return the first findings of each kind in each table; the last of them names the columns of those left out.

    What many tables have is no finding of one of them alone, and is left in.
    """
    by_place: dict[tuple[str, str], list[Finding]] = {}
    for finding in findings:
        by_place.setdefault((finding.kind, "" if finding.members else finding.table), []).append(finding)
    kept: dict[str, Finding] = {}
    for (_, table), found in by_place.items():
        shown, left_out = (found[:MOST], found[MOST:]) if table else (found, [])
        kept |= {finding.id: finding for finding in shown}
        if left_out:
            names = list(dict.fromkeys(name for finding in left_out for name in finding.columns))
            more = f" and {len(names) - NAMED:,} more" if len(names) > NAMED else ""
            said = f"the same was found, and is not listed, in {', '.join(names[:NAMED])}{more}"
            kept[shown[-1].id] = shown[-1].naming(said)
    return [kept[finding.id] for finding in findings if finding.id in kept]


def _follows(effect: Finding, cause: Finding) -> bool:
    if cause.kind not in _CAUSES.get(effect.kind, ()):
        return False
    return (not cause.columns or bool(set(cause.columns) & set(effect.columns))) and (
        min(cause.rows, effect.rows) >= ALIKE * max(cause.rows, effect.rows)
    )
