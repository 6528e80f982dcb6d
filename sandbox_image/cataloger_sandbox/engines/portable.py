"""Any database that Ibis has a backend with SQL for: listed, read and profiled through Ibis alone.

What a backend has no expression for is left out and said of each column it is missing of. A kind of database that
can say more of itself is a subclass (``mysql``).
"""

import gc
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from ibis.common.exceptions import IbisError

from cataloger_sandbox.encode import Value, encode_rows
from cataloger_sandbox.engines import dialect, portable_profile
from cataloger_sandbox.engines.base import (
    Described,
    Facts,
    Field,
    FieldKind,
    ForeignKey,
    Native,
    Plan,
    Query,
    QueryFailed,
    Relation,
    Rows,
    Step,
    less,
    literal,
    matching,
    not_exists,
    one_line,
    quote,
)
from cataloger_sandbox.engines.estimate import sample_error
from cataloger_sandbox.engines.portable_profile import OPAQUE, has_quantiles, is_counted

_WORDS = {"std": "standard deviation", "mean_length": "lengths", "median": "quantiles"}
"""What a reader calls the facts that a backend may not have."""


SELDOM = 50_000
"""Ibis makes some ten thousands of objects for a query, nearly all of which live as long as it is made."""


class PortableEngine:
    """An open database behind an Ibis backend.

    *label* is its name and version; *faults* are what its driver raises where a query fails.
    """

    searched = 600_000
    rows_first = False

    def __init__(
        self, backend: Any, label: str, faults: tuple[type[Exception], ...], default_schema: str = "main"
    ) -> None:
        self._backend = backend
        self._faults = faults
        self.label = label
        self.default_schema = default_schema
        self._can: dict[tuple[str, str], bool] = {}
        self.steps: Sequence[Step] = [replace(step, sql=_seldom_collecting(step.sql)) for step in self._steps()]

    # SQL

    def fetch(self, sql: str, seconds: float | None = None, limit: int | None = None) -> Rows:
        """Run *sql* and return its rows, encoded; see ``Engine``. Ibis has no way to end a query after *seconds*."""
        most = None if limit is None else max(limit, portable_profile.MOST_ROWS)
        try:
            names, rows = self.rows(self.spoken(sql) if limit is None else sql, seconds, most)
        except self._faults as error:
            raise QueryFailed(one_line(error)) from error
        found = portable_profile.folded(names, encode_rows(rows))
        return Rows(found.columns, found.rows[:limit])

    def rows(self, sql: str, seconds: float | None, limit: int | None) -> tuple[list[str], list[Sequence[Any]]]:  # noqa: ARG002
        """Run *sql*, which is the database's own, and return the names and the values of what it gives."""
        cursor = self._backend.raw_sql(sql)
        return [item[0] for item in cursor.description or ()], cursor.fetchall() if limit is None else cursor.fetchmany(
            limit
        )

    def expect(self, rows: int | None, confined: bool = False) -> None:
        """Do nothing: any number of rows is read alike; see ``Engine``."""

    def spoken(self, sql: str) -> str:
        """Return the rules' *sql* in the database's dialect; what is in it already stays as it is."""
        return sql if isinstance(sql, Native) else self._written(dialect.read(sql))

    def _written(self, tree: Any) -> Native:
        own = self._backend.compiler.dialect
        return Native(dialect.compare_exactly(tree, self.exactly, own).sql(own, pretty=True))

    def exactly(self, schema: str | None, table: str, column: str) -> str | None:  # noqa: ARG002
        """Return what a column is compared by; see ``dialect``."""
        return None

    def compiled(self, expression: Any) -> Native:
        """Return an Ibis *expression* as SQL."""
        return self._written(self._backend.compiler.to_sqlglot(expression.as_table()))

    # The catalog

    def catalog(
        self,
        run: Callable[[str], Rows],  # noqa: ARG002
        schemas: Sequence[str] | None,
    ) -> tuple[list[Relation], list[ForeignKey], list[tuple[str, str]]]:
        """Read what Ibis lists; see ``Engine``. It tells tables and views apart nowhere, and knows no keys."""
        if schemas is not None and self.default_schema not in schemas:
            return [], [], []
        relations, left_out = [], []
        for name in sorted(self._backend.list_tables()):
            relation = Relation(self.default_schema, name, name, "table")
            try:
                schema = self._backend.get_schema(name)
            except (IbisError, *self._faults) as error:
                left_out.append((name, f"its columns can't be read: {one_line(error)}"))
                continue
            for index, (column, kind) in enumerate(schema.items()):
                relation.fields.append(_field(index, column, kind))
            relations.append(relation)
        return relations, [], left_out

    # Profiles

    def can(self, kind: FieldKind, fact: str, expression: Any) -> bool:
        """Tell whether the backend has what an *expression* needs; asked once for each *kind* and *fact*."""
        if (kind, fact) not in self._can:
            try:
                self._backend.compiler.to_sqlglot(expression.as_table())
            except (IbisError, NotImplementedError):
                self._can[kind, fact] = False
            else:
                self._can[kind, fact] = True
        return self._can[kind, fact]

    def _steps(self) -> Sequence[Step]:
        def counted(plan: Plan, column: Field, facts: Facts) -> bool:
            return has_quantiles(plan, column) and is_counted(plan, column, facts)

        def sampled(plan: Plan, column: Field, facts: Facts) -> bool:
            return has_quantiles(plan, column) and not is_counted(plan, column, facts)

        def binned(plan: Plan, column: Field, facts: Facts) -> bool:
            return has_quantiles(plan, column) and bool(portable_profile.edges(column, facts))

        compiled, can = self.compiled, self.can
        return (
            Step(
                lambda *_: True,
                lambda plan, fields, _: compiled(portable_profile.scan(plan, fields, can)),
                50,
                "its profile",
                first=True,
                instead=less(self.path),
            ),
            Step(
                counted,
                lambda plan, fields, _: compiled(portable_profile.quantiles(plan, fields, can)),
                5,
                "its quantiles",
            ),
            Step(
                sampled,
                lambda plan, fields, facts: compiled(portable_profile.sampled(plan, fields, facts, can)),
                1,
                "its quantiles",
            ),
            Step(
                portable_profile.has_top,
                lambda plan, fields, _: compiled(portable_profile.tops(plan, fields[0])),
                1,
                "its top values",
            ),
            Step(
                binned,
                lambda plan, fields, facts: compiled(portable_profile.histogram(plan, fields[0], facts)),
                1,
                "its histogram",
            ),
        )

    def describe(self, column: Field, facts: Facts) -> Described:  # noqa: ARG002
        """Say what *column* holds, and what the backend can't tell of it."""
        lost = dict.fromkeys(word for fact, word in _WORDS.items() if self._can.get((column.kind, fact)) is False)
        note = f"ibis has no expression here for its {', '.join(lost)}" if lost else None
        if column.base == OPAQUE:
            note = f"values of type {column.type} are neither compared nor shown: nulls are counted"
        return Described(column.kind, column.type, note)

    def quantiles_error(self, plan: Plan, column: Field, facts: Facts) -> float | None:  # noqa: ARG002
        """Return the rank error of quantiles; see ``Engine``."""
        return sample_error(column, facts)

    def distinct_error(self, plan: Plan, column: Field, facts: Facts) -> float | None:  # noqa: ARG002
        """Return nothing: what is counted is counted one by one."""
        return None

    # What the rules ask for

    def sampling(self, relation: Relation) -> str:  # noqa: ARG002
        """Say how a sample is drawn; see ``Engine``."""
        return "each row by chance (RAND()), others each time"

    def weighing(self, relation: Relation) -> str | None:  # noqa: ARG002
        """Return nothing: a server groups long values in its own memory; see ``Engine``."""
        return None

    def alone(self, relation: Relation, rows: int | None) -> bool:  # noqa: ARG002
        """Say no: there is one connection; see ``Engine``."""
        return False

    def narrow(self, relation: Relation) -> bool:  # noqa: ARG002
        """Do nothing: it holds one row at a time; see ``Engine``."""
        return False

    def drawn(self, relation: Relation, outputs: Sequence[str], share: float) -> str:
        """Return the query for some of the rows; see ``Engine``."""
        chance = f" WHERE random() < {share:.9f}" if share < 1 else ""
        return f"SELECT {', '.join(outputs)} FROM {self.path(relation)}{chance}"

    def spread(self, relation: Relation, rows: int, count: int) -> str:
        """Return what to read some rows from; see ``Engine``."""
        return self.path(relation) if rows <= count else f"{self.path(relation)}\nWHERE random() < {count / rows:.9f}"

    def matches(self, text: str, pattern: str) -> str:
        """Return the condition of a match; see ``Engine``."""
        return f"{text} ~ {literal(pattern)}"

    def matching(self, fields: Sequence[Field], source: str, holds: Callable[[str], str]) -> str:
        """Return the query for the texts that meet a condition; see ``Engine``."""
        return matching(fields, source, holds)

    def quote(self, name: str) -> str:
        """Return *name* as an identifier of the rules' SQL."""
        return quote(name)

    def path(self, relation: Relation) -> str:
        """Return the relation's name as the rules' SQL."""
        return f"{quote(relation.schema)}.{quote(relation.name)}"

    def missing(self, columns: Sequence[str], table: str, keys: Sequence[str]) -> str:
        """Return the condition of an orphan; see ``Engine``. What refers to what is the database's own to say."""
        mine, theirs = ([f"{dialect.EQUAL}({name})" for name in names] for names in (columns, keys))
        return not_exists(mine, table, theirs)

    def close(self) -> None:
        """Close the connection."""
        self._backend.disconnect()


def _seldom_collecting(query: Query) -> Query:
    """Return *query* so that Python looks for garbage less often while it makes its SQL."""

    def made(plan: Plan, fields: Sequence[Field], facts: Facts) -> str:
        usual = gc.get_threshold()
        gc.set_threshold(SELDOM, *usual[1:])
        try:
            return query(plan, fields, facts)
        finally:
            gc.set_threshold(*usual)

    return made


def _field(index: int, name: str, kind: Any) -> Field:
    """Return a column by its Ibis type."""
    families: Sequence[tuple[str, FieldKind]] = (
        ("is_boolean", "boolean"),
        ("is_numeric", "number"),
        ("is_timestamp", "time"),
        ("is_date", "time"),
        ("is_string", "text"),
        ("is_binary", "binary"),
        ("is_nested", "nested"),
        ("is_json", "nested"),
    )
    family: FieldKind = next((found for test, found in families if getattr(kind, test)()), "other")
    ordered: Value = family != "other" or kind.is_time() or kind.is_uuid()
    return Field(
        index,
        name,
        str(kind).removeprefix("!"),
        family,
        nullable=kind.nullable,
        floating=kind.is_floating(),
        integer=kind.is_integer(),
        base=str(kind) if ordered else OPAQUE,
    )
