"""What a made database is: tables of columns with their values, true keys and references, and what each column is.

Values are plain Python: ``int``, ``float`` (rounded, where the type is decimal), ``str``, ``bool``, ``date``,
``datetime`` (UTC, without a zone), and None for null. How they are written to an engine is ``loading``'s.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Self

import numpy as np

UNGRADED = "?"
"""Personal data or not: people differ (a postcode, a date of birth), so no label is right and none is wrong."""


@dataclass(frozen=True)
class Column:
    """One column; *roles* say which flaws may be planted in it, *pii* what personal data it holds (null: none)."""

    name: str
    type: str
    values: list[Any]
    roles: frozenset[str] = frozenset()
    pii: str | None = None

    def holding(self, values: list[Any], kind: str | None = None) -> Self:
        """Return the column with other values."""
        return replace(self, values=values, type=kind or self.type)


@dataclass(frozen=True)
class Table:
    """One table: *key* is its true key, *declared* whether a constraint says so; *time* is the column it grows by."""

    name: str
    columns: dict[str, Column]
    key: tuple[str, ...] = ()
    declared: bool = True
    time: str | None = None
    dependencies: tuple[tuple[str, str], ...] = ()
    spare: bool = False
    """Whether it may be emptied: nothing refers to it."""

    @property
    def rows(self) -> int:
        """How many rows it has."""
        return len(next(iter(self.columns.values())).values)

    def having(self, *columns: Column) -> Self:
        """Return the table with these columns in the place of those of the same names."""
        return replace(self, columns=self.columns | {column.name: column for column in columns})

    def taking(self, rows: Sequence[int]) -> Self:
        """Return the table of these rows, in this order."""
        return self.having(*(each.holding([each.values[row] for row in rows]) for each in self.columns.values()))


@dataclass(frozen=True)
class Reference:
    """A true reference of one table's columns to another's; *declared* says whether a constraint says so."""

    table: str
    columns: tuple[str, ...]
    to: str
    to_columns: tuple[str, ...]
    declared: bool = True
    optional: bool = False
    """Whether it follows from another, so that a page may leave it out: it counts neither way."""


@dataclass(frozen=True)
class World:
    """A whole database."""

    tables: dict[str, Table]
    references: tuple[Reference, ...] = ()

    def having(self, *tables: Table) -> Self:
        """Return the world with these tables in the place of those of the same names."""
        return replace(self, tables=self.tables | {table.name: table for table in tables})

    def undeclared(self, *tables: str) -> Self:
        """Return the world without any constraint (or without those that touch the named tables)."""
        chosen = set(tables or self.tables)
        return replace(
            self,
            tables={t.name: replace(t, declared=t.declared and t.name not in chosen) for t in self.tables.values()},
            references=tuple(replace(r, declared=r.declared and not chosen & {r.table, r.to}) for r in self.references),
        )


@dataclass(frozen=True)
class Sheet:
    """A table in the making: the draws of one generator, one column after the other."""

    name: str
    rows: int
    rng: np.random.Generator
    columns: dict[str, Column] = field(default_factory=dict)

    def add(self, name: str, kind: str, values: Any, roles: str = "", pii: str | None = None) -> list[Any]:
        """Add a column (*roles* are words) and return its values as plain Python."""
        held = values.tolist() if isinstance(values, np.ndarray) else list(values)
        assert len(held) == self.rows, f"{self.name}.{name} has {len(held)} values for {self.rows} rows"
        self.columns[name] = Column(name, kind, held, frozenset(roles.split()), pii)
        return held

    def table(self, key: str = "", **kwargs: Any) -> Table:
        """Return what was added as a table; *key* names its key's columns."""
        return Table(self.name, dict(self.columns), tuple(key.split()), **kwargs)
