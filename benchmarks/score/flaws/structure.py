"""Flaws of whole columns, rows and tables: keys, references, dependencies, nulls, staleness, emptiness."""

from dataclasses import replace
from datetime import timedelta

import numpy as np

from benchmarks.score import words
from benchmarks.score.plants import Bed, NoPlace, Plant
from benchmarks.score.tables import Table


def empty_table(bed: Bed, _rate: float) -> None:
    """Empty a table that nothing refers to."""
    free = [table for table in bed.world.tables.values() if table.spare and table.rows and not _touched(bed, table)]
    if not free:
        raise NoPlace
    table = words.one(bed.rng, free)
    bed.world = bed.world.having(table.taking([]))
    bed.noted(Plant("empty_table", table.name, (), None, None, None), table.columns)


def stale_table(bed: Bed, _rate: float) -> None:
    """Move a table's times back, as if nothing had come for months."""
    found = bed.columns(None, lambda t, c: c.name == t.time and "event" in c.roles and _rhythm(t) < 0.5)
    table, column = found[0]
    behind = timedelta(days=int(bed.rng.integers(60, 200)))
    moments = [each for each in table.columns.values() if each.type in ("date", "timestamp")]
    if any((table.name, each.name) in bed.used for each in moments):
        raise NoPlace
    bed.put(
        table,
        [each.holding([None if at is None else at - behind for at in each.values]) for each in moments],
        Plant("stale_table", table.name, (column.name,), None, None, None, note=f"{behind.days} days"),
    )
    bed.used |= {(table.name, each.name) for each in moments}


def _rhythm(table: Table) -> float:
    """Return the mean time between two rows, in days."""
    moments = table.columns[table.time].values if table.time else []
    return (max(moments) - min(moments)) / timedelta(days=1) / table.rows if moments else np.inf


def duplicate_rows(bed: Bed, rate: float) -> None:
    """Load some rows twice. The table is left to this flaw."""
    found = [(table, column) for table, column in bed.columns(rate, lambda t, _: not t.declared or not t.key)
             if not _touched(bed, table) and not any(r.to == table.name for r in bed.world.references)]  # fmt: skip
    if not found:
        raise NoPlace
    table = found[0][0]
    count = bed.amount(table, rate)
    again = bed.rng.choice(table.rows, count, replace=False).tolist()
    where = np.argsort(np.array([*range(table.rows), *again]), kind="stable").tolist()
    bed.world = bed.world.having(table.taking([row if row < table.rows else again[row - table.rows] for row in where]))
    bed.noted(Plant("duplicate_rows", table.name, (), rate, count, 2 * count), table.columns)


def duplicate_key(bed: Bed, rate: float) -> None:
    """Give some rows the key of another, by pairs; the key is declared no more."""
    table, column = bed.column(rate, "id")
    key = table.key if column.name in table.key else (column.name,)
    if any((table.name, name) in bed.used for name in key):
        raise NoPlace
    pairs = max(1, bed.amount(table, rate) // 2)
    rows = bed.rng.choice(table.rows, 2 * pairs, replace=False).tolist()
    taken = dict(zip(rows[:pairs], rows[pairs:], strict=True))
    changed = []
    for name in key:
        values = table.columns[name].values
        changed.append(table.columns[name].holding([values[taken.get(row, row)] for row in range(table.rows)]))
    bed.world = bed.world.undeclared(table.name)
    bed.put(table, changed, Plant("duplicate_key", table.name, key, rate, pairs, 2 * pairs))


def orphan_foreign_key(bed: Bed, rate: float) -> None:
    """Point some rows at parents that are not there; the reference is declared no more."""
    found = bed.columns(rate, lambda _, column: "reference" in column.roles)
    # A part of a declared key may not meet another such by chance: no database would take it.
    free = [(table, column) for table, column in found if not (table.declared and column.name in table.key)]
    if not free:
        raise NoPlace
    table, column = free[0]
    reference = next(r for r in bed.world.references if r.table == table.name and r.columns == (column.name,))
    parents = bed.world.tables[reference.to].columns[reference.to_columns[0]].values
    rows = bed.rows(column.values, bed.amount(table, rate))
    known, made = set(parents), []
    while len(made) < len(rows):
        if isinstance(parents[0], str):
            form = "".join("#" if c.isdigit() else "?" if c.isalpha() else c for c in words.one(bed.rng, parents))
            value: object = words.written(bed.rng, form if reference.to != "patients" else "P#######")
        else:
            value = int(max(parents)) + int(bed.rng.integers(1, max(50, len(parents))))
        if value not in known:
            made.append(value)
    drawn = dict(zip(rows, made, strict=True))
    values = [drawn.get(row, value) for row, value in enumerate(column.values)]
    others = tuple(replace(r, declared=False) if r == reference else r for r in bed.world.references)
    bed.world = replace(bed.world, references=others)
    bed.put(table, [column.holding(values)], Plant("orphan_foreign_key", table.name, (column.name,), rate,
            len(rows), len(rows), note=f"to {reference.to}"))  # fmt: skip


def broken_dependency(bed: Bed, rate: float) -> None:
    """Give some rows another of the dependent column's values than the one that belongs to them."""
    table, column = bed.column(rate, "dependent")
    determinant = next(first for first, second in table.dependencies if second == column.name)
    if (table.name, determinant) in bed.used:
        raise NoPlace
    vocabulary = sorted(set(column.values))
    rows = bed.rows(column.values, bed.amount(table, rate))
    drawn = {row: words.one(bed.rng, [v for v in vocabulary if v != column.values[row]]) for row in rows}
    values = [drawn.get(row, value) for row, value in enumerate(column.values)]
    plant = Plant("broken_dependency", table.name, (determinant, column.name), rate, len(rows), len(rows))
    bed.put(table, [column.holding(values)], plant)


def constant_column(bed: Bed, _rate: float) -> None:
    """Give every row the same value."""
    table, column = bed.column(None, "constant")
    value = words.one(bed.rng, [value for value in column.values[:50] if value is not None])
    plant = Plant("constant_column", table.name, (column.name,), None, table.rows, table.rows, note=f"{value!r}")
    bed.put(table, [column.holding([value] * table.rows)], plant)


def null_burst(bed: Bed, rate: float) -> None:
    """Empty a column for a stretch of the table's time; of a column that is full, or of one that is evenly empty."""
    scattered = rate >= 0.01
    table, column = bed.columns(
        rate, lambda t, c: t.time and c.name != t.time and c.roles & ({"full", "optional"} if scattered else {"full"})
    )[0]
    count = bed.amount(table, rate)
    first = int(bed.rng.integers(table.rows // 20, table.rows - count - table.rows // 20))
    before = sum(value is None for value in column.values[first : first + count])
    values = [None if first <= row < first + count else value for row, value in enumerate(column.values)]
    share = sum(value is None for value in column.values) / table.rows
    # Where nulls are common, a stretch of them is seen if hardly any stretch of that length would be so by chance.
    visible = share == 0 or share**count * table.rows < 0.001
    plant = Plant("null_burst", table.name, (column.name,), rate, count - before, count, visible,
                  note=f"{before} before")  # fmt: skip
    bed.put(table, [column.holding(values)], plant)


def _touched(bed: Bed, table: Table) -> bool:
    return any(name == table.name for name, _ in bed.used)
