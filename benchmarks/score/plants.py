"""Flaws: what was planted where, and how a place for one is found. The flaws themselves are in ``flaws``."""

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import numpy as np

from benchmarks.score.tables import Column, Table, World

RATES = (0.0001, 0.001, 0.01, 0.1)
ALONE = ("empty_table", "duplicate_rows", "stale_table")
"""Flaws that want a table for themselves: one in a database."""


@dataclass(frozen=True)
class Plant:
    """One flaw: the finding that is right for it.

    *least* and *most* are the rows that a right finding may count (all copies of a key, or all but the first of each),
    null where none is asked for. *visible* is whether somebody with nothing but the data could see it. *also* are
    kinds that the data allow as well (two rows of -999 may be outliers).
    """

    kind: str
    table: str
    columns: tuple[str, ...]
    rate: float | None
    least: int | None
    most: int | None
    visible: bool = True
    also: frozenset[str] = frozenset()
    note: str = ""


class NoPlace(Exception):
    """The flaw finds no column that could have it and has none yet."""


@dataclass
class Bed:
    """A database in which flaws are planted, one after the other, each in a place of its own."""

    world: World
    rng: np.random.Generator
    now: datetime
    plants: list[Plant] = field(default_factory=list)
    used: set[tuple[str, str]] = field(default_factory=set)

    def amount(self, table: Table, rate: float) -> int:
        """Return how many rows of the table the rate is."""
        return max(1, round(table.rows * rate))

    def columns(self, rate: float | None, fits: Callable[[Table, Column], object]) -> list[tuple[Table, Column]]:
        """Return the free columns for which *fits*, in tables of which the rate is two rows or more, shuffled.

        Raises:
            NoPlace: there is none.
        """
        found = [
            (table, column)
            for table in self.world.tables.values()
            for column in table.columns.values()
            if (table.name, column.name) not in self.used
            and table.rows >= (1000 if rate is None else max(1000, round(2 / rate)))
            and fits(table, column)
        ]
        if not found:
            raise NoPlace
        return [found[i] for i in self.rng.permutation(len(found)).tolist()]

    def column(self, rate: float | None, *roles: str) -> tuple[Table, Column]:
        """Return a free column that has one of the roles.

        Raises:
            NoPlace: there is none.
        """
        return self.columns(rate, lambda _, column: column.roles & set(roles))[0]

    def rows(self, values: Sequence[Any], count: int, fits: Callable[[Any], object] = lambda _: True) -> list[int]:
        """Return the places of *count* values that are not null and for which *fits*.

        Raises:
            NoPlace: there are not so many.
        """
        found = [row for row, value in enumerate(values) if value is not None and fits(value)]
        if len(found) < count:
            raise NoPlace
        return sorted(self.rng.choice(found, count, replace=False).tolist())

    def put(self, table: Table, columns: Iterable[Column], plant: Plant) -> None:
        """Take the columns into the table, write the flaw down and hold its place."""
        self.world = self.world.having(self.world.tables[table.name].having(*columns))
        self.noted(plant)

    def noted(self, plant: Plant, places: Iterable[str] = ()) -> None:
        """Write a flaw down and hold its columns, and *places* of the same table."""
        self.plants.append(plant)
        self.used |= {(plant.table, name) for name in (*plant.columns, *places)}


def planted(
    world: World, flaws: dict[str, Callable[[Bed, float], None]], rates: dict[str, Sequence[float | None]],
    rate: float, kinds: Iterable[str], each: int, rng: np.random.Generator, now: datetime,
) -> Bed:  # fmt: skip
    """Return the world with up to *each* flaws of every kind at one rate (of the kinds without one, as they are)."""
    bed = Bed(world, rng, now)
    for kind in kinds:
        allowed = rates.get(kind, RATES)
        if rate not in allowed and None not in allowed:
            continue
        for _ in range(1 if kind in ALONE else each):
            with suppress(NoPlace):
                flaws[kind](bed, rate)
    return bed
