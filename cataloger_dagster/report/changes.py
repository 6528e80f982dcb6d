"""What changed between snapshots, from their data blocks: kinds, severities, and the claims that prose may cite.

Pure comparison; how changes look on a page is in ``elements.py``.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise

from cataloger_dagster.facts import (
    SEVERITIES,
    Change,
    Claim,
    Column,
    Facts,
    Finding,
    Scalar,
    Severity,
    Table,
    join_reference,
)
from cataloger_dagster.report.block import Block

# A share of nulls that moves by less is the noise of growth.
NULLS_MOVED = 0.01
NULLS_FACTOR = 1.5
# So many tables that join a finding of many tables, or leave it, are told one by one.
EACH = 3


def changes(history: Sequence[Block]) -> list[Change]:
    """Return what changed from snapshot to snapshot; *history* is newest first, and so is the result.

    ``since`` is the snapshot that a change was counted from; the gravest of each pair of snapshots comes first.
    """
    return [change for now, before in pairwise(history) for change in _between(before, now)]


def _between(before: Block, now: Block) -> list[Change]:
    found = [*_tables(before, now), *_findings(before, now)]
    return sorted(found, key=lambda change: SEVERITIES.index(change.severity))


def _tables(before: Block, now: Block) -> Iterator[Change]:
    old, new = before.facts.table_by_name, now.facts.table_by_name
    unread = {skip.table for skip in now.coverage.skipped if skip.column is None}
    first = now.queries[0].id if now.queries else None
    since = before.snapshot
    for name, table in new.items():
        query = table.queries[0] if table.queries else first
        if name not in old:
            yield _change("table_added", name, None, None, table.rows, since, "info", query)
            continue
        yield from _columns(old[name], table, since, query)
        yield from _rows(old[name], table, since, query)
    for name, table in old.items():
        # What could not be read this time is not gone.
        if name not in new and name not in unread:
            yield _change("table_dropped", name, None, table.rows, None, since, "high", first)


def _columns(old: Table, new: Table, since: str, query: str | None) -> Iterator[Change]:
    for name, column in new.column_by_name.items():
        was = old.column_by_name.get(name)
        if was is None:
            yield _change("column_added", new.name, name, None, column.type, since, "info", query)
            continue
        if was.type != column.type:
            yield _change("type_changed", new.name, name, was.type, column.type, since, "high", query)
        severity = _nulls_severity(old, was, new, column)
        if severity:
            yield _change("nulls_changed", new.name, name, was.nulls, column.nulls, since, severity, query)
    for name, was in old.column_by_name.items():
        if name not in new.column_by_name:
            yield _change("column_dropped", new.name, name, was.type, None, since, "high", query)


def _rows(old: Table, new: Table, since: str, query: str | None) -> Iterator[Change]:
    if old.rows is None or new.rows is None or old.rows == new.rows:
        return
    severity: Severity = "info"
    if new.rows < old.rows:
        severity = "high" if new.rows < old.rows / 2 else "medium" if new.rows < old.rows * 0.95 else "low"
    elif old.rows and new.rows > 10 * old.rows:
        severity = "medium"
    yield _change("rows_changed", new.name, None, old.rows, new.rows, since, severity, query)


def _nulls_severity(old: Table, was: Column, new: Table, now: Column) -> Severity | None:
    """Return how grave it is that the share of nulls moved, or null where it did not."""
    if was.nulls is None or now.nulls is None or was.nulls == now.nulls or not old.rows or not new.rows:
        return None
    before, after = was.nulls / old.rows, now.nulls / new.rows
    emptied_or_filled = (was.nulls == 0) != (now.nulls == 0)
    ratio = max(before, after) / min(before, after) if min(before, after) else 0.0
    if abs(after - before) < NULLS_MOVED and not emptied_or_filled and ratio < NULLS_FACTOR:
        return None
    if after < before:
        return "info"
    return "high" if after - before >= 0.5 else "medium" if after - before >= 0.1 else "low"


def _findings(before: Block, now: Block) -> Iterator[Change]:
    for key, finding, tables in _new(before, now):
        yield _finding("finding_new", finding, None, key, before.snapshot, finding.severity, finding.query, tables)
    for key, finding, tables in _resolved(before, now):
        yield _finding("finding_resolved", finding, key, None, before.snapshot, "info", None, tables)


_Step = tuple[str, Finding, int | None]
"""A finding that came or went: its id, the worst of its tables' findings, and of how many tables it is if of many."""


def _new(before: Block, now: Facts | Block) -> list[_Step]:
    """Return the findings that came; what the snapshot before could not look for may have been there."""
    return list(_beyond(now, before))


def _resolved(before: Block, now: Facts | Block) -> list[_Step]:
    """Return the findings that are gone; what could not be looked for this time is not."""
    return list(_beyond(before, now))


def gone(before: Block, now: Facts) -> list[Finding]:
    """Return what single tables had of the findings *before*, and have not now, though it was looked for."""
    known = _ids(now)
    parts = (part for finding in before.findings for part in finding.parts)
    return [part for part in parts if part.key not in known and now.coverage.judges(part)]


def _ids(snapshot: Facts | Block) -> set[str]:
    """Return the ids of all findings of single tables, whether these are listed or not."""
    listed = {part.key for finding in snapshot.findings for part in finding.parts}
    return listed | {key for item in snapshot.coverage.unlisted for key in item.ids}


def _beyond(snapshot: Facts | Block, other: Facts | Block) -> Iterator[_Step]:
    """Yield what of the findings of *snapshot* the *other* does not know, though it looked for it.

    What a rule claimed for another that could not look in *snapshot* is the flaw that the other rule found.

    A finding of many tables is compared table by table, so it lasts while tables join and leave it: a few of them are
    told each by itself, many as one.
    """
    known = _ids(other)
    missed: dict[str, list[Finding]] = {}
    for part in (part for finding in other.findings for part in finding.parts):
        if not snapshot.coverage.judges(part):
            missed.setdefault(part.table, []).append(part)
    for finding in snapshot.findings:
        unknown = [part for part in finding.parts if part.key not in known and other.coverage.judges(part)]
        parts = [part for part in unknown if not _stands_in(part, missed.get(part.table, ()))]
        if len(parts) > EACH or (len(parts) > 1 and len(parts) == len(finding.members)):
            yield finding.id, parts[0], len(parts)
        else:
            yield from ((part.id, part, None) for part in parts)


def _stands_in(part: Finding, missed: Iterable[Finding]) -> bool:
    """Tell whether *part* is in columns of one that was *missed*, and of another kind."""
    return any(part.kind != other.kind and set(part.columns) & set(other.columns) for other in missed)


def _finding(
    kind: str,
    finding: Finding,
    before: Scalar,
    after: Scalar,
    since: str,
    severity: Severity,
    query: str | None,
    tables: int | None,
) -> Change:
    column = finding.columns[0] if len(finding.columns) == 1 else None
    change = _change(kind, finding.table, column, before, after, since, severity, query)
    return change.model_copy(update={"tables": tables})


def _change(
    kind: str,
    table: str,
    column: str | None,
    before: Scalar,
    after: Scalar,
    since: str,
    severity: Severity,
    query: str | None,
) -> Change:
    return Change(
        kind=kind, table=table, column=column, from_=before, to=after, since=since, severity=severity, query=query
    )


def claims(before: Block, now: Facts | Block) -> dict[str, Claim]:
    """Return what prose may cite of the difference: ``flights.rows.before``, ``flights.rows.change``, by name.

    For every table that both snapshots have its rows, for every column whose nulls differ its nulls; over all of
    them ``tables.before``, ``rows.before``, ``findings.before``, ``findings.new`` and ``findings.resolved``.
    Each leads to the query that measured it now.
    """
    old = before.facts.table_by_name
    first = now.queries[0].id if now.queries else "q0"
    found: dict[str, Claim] = {}

    def note(name: str, value: Scalar, query: str, text: str) -> None:
        found[name] = Claim(id=name, value=value, query=query, note=text)

    def moved(parts: list[str], was: int | None, is_: int | None, query: str) -> None:
        if was is None or is_ is None:
            return
        name = join_reference(parts)
        note(f"{name}.before", was, query, f"as of snapshot {before.snapshot}")
        note(f"{name}.change", is_ - was, query, f"this snapshot less that of {before.snapshot}")

    for table in now.tables:
        was = old.get(table.name)
        if was is None:
            continue
        query = table.queries[0] if table.queries else first
        moved([table.name, "rows"], was.rows, table.rows, query)
        for column in table.columns:
            earlier = was.column_by_name.get(column.name)
            if earlier is not None and earlier.nulls != column.nulls:
                moved([table.name, column.name, "nulls"], earlier.nulls, column.nulls, query)
    moved(["tables"], len(before.tables), len(now.tables), first)
    moved(["rows"], sum(t.rows or 0 for t in before.tables), sum(t.rows or 0 for t in now.tables), first)
    moved(["findings"], len(before.findings), len(now.findings), first)
    note("findings.new", len(_new(before, now)), first, f"not in snapshot {before.snapshot}")
    note("findings.resolved", len(_resolved(before, now)), first, f"in snapshot {before.snapshot}, gone now")
    return found
