"""What is known while a database is measured: one profile a table, and the way to ask more. No SQL here."""

import re
from dataclasses import dataclass, field, replace
from datetime import datetime
from threading import Event
from typing import Any

from cataloger_sandbox.engines.base import Engine, Facts, FieldKind, Limits, Plan, Relation
from cataloger_sandbox.journal import Journal
from cataloger_sandbox.judging import Unjudged


@dataclass
class Profile:
    """One relation with what was measured of it; ``columns`` are in the host's schema."""

    relation: Relation
    hidden: bool
    values: bool
    plan: Plan | None = None
    facts: Facts = field(default_factory=dict)
    queries: list[str] = field(default_factory=list)
    reason: str | None = None  # why nothing could be measured
    notes: dict[int, str] = field(default_factory=dict)  # why a part of a column could not, by its index
    kinds: dict[str, FieldKind] = field(default_factory=dict)
    columns: list[dict[str, Any]] = field(default_factory=list)
    keys: list[list[str]] = field(default_factory=list)
    unique: set[str] = field(default_factory=set)  # the columns that are keys by themselves
    broken: list[str] = field(default_factory=list)  # the columns that would be, but for a few rows
    counted: int | None = None  # its rows, where not all of it could be measured in time
    part: "Profile | None" = None  # then, what some of its rows show
    newest: dict[str, str] | None = None
    searched: int | None = None  # in how many rows flaws were looked for; null for all, or where there are none to see
    unsearched: str | None = None  # why they could not be looked for

    @property
    def name(self) -> str:
        """Return the relation's canonical name."""
        return self.relation.canonical

    @property
    def rows(self) -> int | None:
        """Return the counted rows; null if it could not be read."""
        rows = self.facts.get("rows")
        return rows if isinstance(rows, int) else None

    def column(self, name: str) -> dict[str, Any]:
        """Return the profile of column *name*."""
        return next(column for column in self.columns if column["name"] == name)

    def dump(self) -> dict[str, Any]:
        """Return the table in the host's schema."""
        return {
            "name": self.name,
            "schema": self.relation.schema,
            "rows": self.counted if self.rows is None else self.rows,
            "kind": self.relation.kind,
            "keys": self.keys,
            "queries": self.queries,
            "columns": self.columns,
            "primary_key": self.relation.primary_key,
            "comment": self.relation.comment,
            "newest": self.newest,
            "hidden": self.hidden,
        }

    def sampled(self, method: str) -> list[dict[str, Any]]:
        """Return the sample that quantiles and bins are of, for the coverage; nothing where they are of all rows."""
        if self.part is not None:
            what = "quantiles and histograms; it took longer than its share of the time: no more is known but its rows"
            return [{"table": self.name, "rows": self.part.rows, "of": self.counted, "method": f"{method}; for {what}"}]
        if not any(re.fullmatch(r"c\d+_sampled", name) for name in self.facts):
            return []
        what = "quantiles and histograms of columns of many different values; everything else is of all rows"
        return [{"table": self.name, "rows": self.facts["sampled"], "of": self.rows, "method": f"{method}; for {what}"}]

    def searching(self) -> list[dict[str, Any]]:
        """Return in how many rows flaws were looked for, for the coverage; nothing where that is all of them."""
        if self.searched is None:
            return []
        return [{"table": self.name, "rows": self.searched, "of": self.rows, "reason": self.unsearched}]

    def skipped(self) -> list[dict[str, Any]]:
        """Return what could not be measured here, for the coverage."""
        if self.rows is None:
            return [{"table": self.name, "column": None, "reason": self.reason or "it could not be measured"}]
        return [
            {"table": self.name, "column": column["name"], "reason": column["skipped"]}
            for column in self.columns
            if column["skipped"]
        ]


@dataclass(frozen=True)
class Link:
    """A reference with what was measured of it. ``filled`` counts the rows that point anywhere."""

    source: Profile
    columns: list[str]
    target: Profile
    to_columns: list[str]
    declared: bool
    orphans: int | None
    filled: int | None
    query: str | None
    by_name: bool = True

    def dump(self) -> dict[str, Any]:
        """Return the reference in the host's schema."""
        return {
            "from": [self.source.name, self.columns],
            "to": [self.target.name, self.to_columns],
            "declared": self.declared,
            "orphans": self.orphans,
            "query": self.query,
        }


@dataclass(frozen=True)
class Dependency:
    """One column of a table that determines another: rows of the same determinant have the same dependent value.

    Attributes:
        rows: those that have both values.
        breaking: those of them that have not the most frequent dependent value of their determinant.
        determinants: the different values of the determinant among them.
        query: the id of the query that counted this.
        evidence: the query that returns the rows that break it, their number first in each (``rows``).
    """

    table: str
    determinant: str
    dependent: str
    rows: int
    breaking: int
    determinants: int
    query: str
    evidence: str

    def dump(self) -> dict[str, Any]:
        """Return the dependency in the host's schema."""
        return {
            "table": self.table,
            "determinant": self.determinant,
            "dependent": self.dependent,
            "rows": self.rows,
            "breaking": self.breaking,
            "determinants": self.determinants,
            "query": self.query,
        }


@dataclass
class Survey:
    """The whole database under measurement."""

    engine: Engine
    journal: Journal
    now: datetime
    limits: Limits = field(default_factory=Limits)
    profiles: dict[str, Profile] = field(default_factory=dict)
    links: list[Link] = field(default_factory=list)
    dependencies: list[Dependency] = field(default_factory=list)
    unjudged: list[Unjudged] = field(default_factory=list)

    def beside(self, engine: Engine, stopped: Event) -> "Survey":
        """Return what asks *engine* about one table: it knows all that this one does, and notes by itself."""
        return replace(self, engine=engine, journal=self.journal.beside(engine, stopped), unjudged=[])

    def take(self, other: "Survey") -> dict[str, str]:
        """Add what *other* noted, and return by its queries' ids those that they have here."""
        self.unjudged += other.unjudged
        return self.journal.take(other.journal)

    def expect(self, profile: Profile) -> None:
        """Say to the engine that what is asked next is of one table."""
        relation = profile.relation
        self.engine.expect(profile.rows if relation.kind == "table" else None, confined=bool(relation.pieces))

    def expect_all(self) -> None:
        """Say to the engine that what is asked next is of several tables."""
        confined = any(profile.relation.pieces for profile in self.tables)
        self.engine.expect(max((profile.rows or 0 for profile in self.tables), default=0), confined)

    @property
    def tables(self) -> list[Profile]:
        """Return the tables that could be measured; a view repeats what its tables hold."""
        return [item for item in self.profiles.values() if item.relation.kind == "table" and item.rows is not None]
