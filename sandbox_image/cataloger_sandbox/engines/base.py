"""What every engine offers to the measuring code, the plain data that flows between them, and what all engines share.

No SQL dialect: the SQL here is read alike by all of them.
"""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from cataloger_sandbox.encode import Value

FieldKind = Literal["number", "time", "text", "boolean", "binary", "nested", "other"]

TOP = 10
BINS = 20
EACH_WHOLE = 40
"""Whole numbers over fewer than so many get a bin each: two or one of them to a bin, by turns, would draw a comb."""
QUANTILES = {"0.05": "q05", "0.25": "q25", "0.5": "median", "0.75": "q75", "0.95": "q95"}
"""The quantiles measured, and what each is called in a query's outputs."""

SHARES = {"q05": "20 * u >= t", "q25": "4 * u >= t", "median": "2 * u >= t"} | {
    "q75": "4 * u >= 3 * t",
    "q95": "20 * u >= 19 * t",
}
"""The condition for each quantile by counting, where u values are at most v, of t in all.

In whole numbers, so that no rounding moves a quantile.
"""

LONGEST_KEY = 64
"""Texts of more characters on average identify nothing."""

LONG_BYTES = 64 * 2**20
"""A column with more bytes than these, and of more than ``LONG_VALUE`` a value, is long: its values are never grouped,
as whoever groups them holds them all in memory at once."""

LONG_VALUE = 1_000

CUT = 201
"""So many characters of a text leave the database: one more than is shown, to see that it was longer."""

ONE_QUERY = "it must be one query: SELECT, WITH or VALUES, and nothing beside it"
"""What is said of another's statement that is no query."""


class Native(str):
    """SQL in the database's own dialect already, where that is not the rules'."""

    __slots__ = ()


class QueryFailed(Exception):
    """A query did not run. The message is the engine's own, on one line.

    It is ``late`` if it ran out of time, and ``lost`` if the connection went away in it and there is another now.
    """

    def __init__(self, message: str, late: bool = False, lost: bool = False) -> None:
        super().__init__(message)
        self.late = late
        self.lost = lost


@dataclass
class Field:
    """One column as the database's own catalog describes it."""

    index: int
    name: str
    type: str
    kind: FieldKind
    nullable: bool | None = None
    comment: str | None = None
    floating: bool = False  # can hold NaN or infinity
    integer: bool = False
    readable: bool = True
    domain: bool = False  # a named type over ``base``
    base: str = ""  # the engine's own type name, where the SQL depends on it
    few: bool = False  # it is expected to have few different values
    full: bool = False  # it is expected to have no nulls
    loose: bool = False  # texts of different characters may be equal


Facts = dict[str, Value]
"""Measured values by output name: ``rows``, ``newest``, ``sampled`` (rows in the sample), ``c{i}_{fact}``."""


@dataclass
class Relation:
    """One table or view as the database's own catalog describes it."""

    schema: str
    name: str
    canonical: str
    kind: Literal["table", "view"]
    comment: str | None = None
    fields: list[Field] = field(default_factory=list)
    primary_key: list[str] | None = None
    unique: list[list[str]] = field(default_factory=list)
    estimate: int | None = None  # rows, as the engine guesses without counting
    unreadable: str | None = None  # why it can't be read, if known beforehand
    fixed: bool = False  # the same sample of its rows can be drawn again
    parts: bool = False  # its rows lie in several tables
    pieces: str = ""  # what reads its rows a few at a time, where its values take more memory than they may
    part: str = ""  # a subquery for some of its rows, to be profiled in its place
    size: int = 0  # bytes or rows, as the engine guesses: tells which of several takes longest
    long: bool = False  # it may hold values so long that their bytes are worth counting
    weighed: Facts | None = None  # these bytes by column, where they are counted already

    def is_declared_unique(self, column: Field) -> bool:
        """Tell whether a key of its own keeps the values of *column* apart."""
        return [column.name] in [self.primary_key, *self.unique]


def tell_apart(relations: Sequence[Relation]) -> None:
    """Give a table ``a.b`` of the default schema its schema's name too where a table ``b`` of schema ``a`` exists."""
    seen: dict[str, Relation] = {}
    for relation in relations:
        other = seen.setdefault(relation.canonical, relation)
        if other is not relation:
            plain = relation if relation.name == relation.canonical else other
            plain.canonical = f"{plain.schema}.{plain.name}"


@dataclass(frozen=True)
class ForeignKey:
    """A declared reference, by canonical table names."""

    table: str
    columns: list[str]
    to_table: str
    to_columns: list[str]


@dataclass(frozen=True)
class Rows:
    """What a query returned, its values encoded."""

    columns: list[str]
    rows: list[list[Value]]

    def first(self) -> dict[str, Value]:
        """Return the first row by output name; nothing if there is none."""
        return dict(zip(self.columns, self.rows[0], strict=True)) if self.rows else {}

    def dicts(self) -> list[dict[str, Value]]:
        """Return the rows by output name."""
        return [dict(zip(self.columns, row, strict=True)) for row in self.rows]


@dataclass(frozen=True)
class Limits:
    """Up to what size things are counted one by one.

    Attributes:
        exact_rows: a column of at most so many values has its distinct values, quantiles and bins counted.
        sample_rows: about so many rows are drawn of a table in which a column has more.
        top_distinct: top values are given for columns of at most so many distinct values.
    """

    exact_rows: int = 1_000_000
    sample_rows: int = 100_000
    top_distinct: int = 5_000


@dataclass(frozen=True)
class Plan:
    """How a relation is to be profiled."""

    relation: Relation
    values: bool  # whether values may be read, or counts only
    rows: int | None  # its rows, counted or estimated beforehand
    newest: Field | None  # the time column that tells how fresh it is
    now: str  # the time of measuring, as the text of a timestamp in UTC
    limits: Limits = field(default_factory=Limits)
    long: frozenset[int] = frozenset()  # the indexes of the columns whose values are too long to be grouped

    @property
    def small(self) -> bool:
        """Tell whether the relation is small enough for exact counting, as far as its rows were known beforehand."""
        return (self.rows is None or self.rows <= self.limits.exact_rows) and not self.long


Query = Callable[[Plan, Sequence[Field], Facts], str]
"""What makes the SQL that measures some columns, given what is known of their relation."""


@dataclass(frozen=True)
class Step:
    """One pass over a relation: which columns take part, and the query that measures them."""

    wants: Callable[[Plan, Field, Facts], bool]
    sql: Query
    width: int  # how many columns one query takes
    what: str  # what is missing if it fails
    first: bool = False  # counts the rows, also of a table without columns
    instead: Sequence[Query] = ()  # what to measure where ``sql`` fails, the most first


@dataclass(frozen=True)
class Described:
    """What a column turned out to hold: its kind, its type as shown, and what could not be measured of it."""

    kind: FieldKind
    type: str
    note: str | None = None


class Engine(Protocol):
    """An open database, in one consistent view where the engine has one."""

    label: str
    default_schema: str
    steps: Sequence[Step]
    searched: int  # values of text that one search by a pattern may read
    rows_first: bool  # how a relation is profiled depends on its rows, which must be known before its first step

    def fetch(self, sql: str, seconds: float | None = None, limit: int | None = None) -> Rows:
        """Run *sql* for at most *seconds* and return its first *limit* rows, encoded.

        A *limit* says that others wrote it: it must be one query, and leaves nothing behind for the next.

        Raises:
            QueryFailed: it failed or took longer, or is more than a query.
        """

    def expect(self, rows: int | None, confined: bool = False) -> None:
        """Prepare for queries over tables of at most so many *rows*; null where nobody knows.

        Of few rows it takes longer to plan a query than to run it. Those that are *confined* fail where they would
        take much memory.
        """

    def alone(self, relation: Relation, rows: int | None) -> bool:
        """Tell whether nothing else may be asked, over no connection, while *rows* of *relation* are read.

        So it is where that takes all threads, or much memory, of a process that all connections share.
        """

    def spoken(self, sql: str) -> str:
        """Return *sql*, as our rules write it, in the dialect that a person would run it in; ``fetch`` takes both."""

    def catalog(
        self, run: Callable[[str], Rows], schemas: Sequence[str] | None
    ) -> tuple[list[Relation], list[ForeignKey], list[tuple[str, str]]]:
        """Read what is there through *run*: relations, declared references, and (name, reason) of what is left out."""

    def describe(self, column: Field, facts: Facts) -> Described:
        """Say what *column* holds, given what was measured."""

    def quantiles_error(self, plan: Plan, column: Field, facts: Facts) -> float | None:
        """Return by how much the rank of *column*'s quantiles may be off, as a share; null where they are exact."""

    def distinct_error(self, plan: Plan, column: Field, facts: Facts) -> float | None:
        """Return by what share *column*'s number of distinct values may be off; null where it is exact."""

    def sampling(self, relation: Relation) -> str:
        """Say in words how a sample of *relation* is drawn; nothing where none is."""

    def weighing(self, relation: Relation) -> str | None:
        """Return the query for the bytes that columns of *relation* hold; null where these are few, as its place is.

        Its outputs are ``b`` with the index of the field, and ``n`` with it for how many values these are.
        """

    def narrow(self, relation: Relation) -> bool:
        """Read *relation* in ``pieces`` from now on, as its values don't go into memory; say whether that can be."""

    def drawn(self, relation: Relation, outputs: Sequence[str], share: float) -> str:
        """Return the query for *outputs* (as SQL) of a *share* of the rows of *relation*, each row drawn by itself."""

    def spread(self, relation: Relation, rows: int, count: int) -> str:
        """Return what to read about *count* rows from, of the *rows* that *relation* has: spread over it, and cheap."""

    def matches(self, text: str, pattern: str) -> str:
        """Return the condition that *text* (as SQL) holds a piece that *pattern*, an extended regular expression, fits.

        The pattern is read alike by PostgreSQL, RE2 and Python: no classes by backslash, no word boundaries.
        """

    def matching(self, fields: Sequence[Field], source: str, holds: Callable[[str], str]) -> str:
        """Return the query for how many texts of each of *fields* in *source* (as SQL) meet the condition *holds*.

        Its outputs are ``n`` with the index of the field.
        """

    def quote(self, name: str) -> str:
        """Return *name* as an identifier."""

    def path(self, relation: Relation) -> str:
        """Return the relation's name as SQL."""

    def missing(self, columns: Sequence[str], table: str, keys: Sequence[str]) -> str:
        """Return the condition that no row of *table* has *keys* equal to *columns* (all as SQL)."""

    def close(self) -> None:
        """Close the connection."""


def quote(name: str) -> str:
    """Return *name* as a double-quoted identifier."""
    return '"' + name.replace('"', '""') + '"'


def matching(fields: Sequence[Field], source: str, holds: Callable[[str], str]) -> str:
    """Return the query for how many texts of each of *fields* meet a condition; see ``Engine``."""
    names = [f"{quote(field.name)} AS v{field.index}" for field in fields]
    counts = [f"count(CASE WHEN {holds(f'v{field.index}')} THEN 1 END) AS n{field.index}" for field in fields]
    return f"SELECT {', '.join(counts)}\nFROM (SELECT {', '.join(names)}\nFROM {source}) AS s"


def weighing(relation: Relation, source: str, bytes_of: Callable[[Field], str | None]) -> str | None:
    """Return the query for the bytes of those columns that *bytes_of* has an expression for; null where it has none."""
    outputs = [
        f"sum({size}) AS b{column.index}, count({quote(column.name)}) AS n{column.index}"
        for column in relation.fields
        if column.readable and (size := bytes_of(column))
    ]
    return f"SELECT {', '.join(outputs)}\nFROM {source}" if outputs else None


def not_exists(columns: Sequence[str], table: str, keys: Sequence[str]) -> str:
    """Return the condition that no row of *table* has *keys* equal to *columns*."""
    equal = " AND ".join(f"{key} = {column}" for key, column in zip(keys, columns, strict=True))
    return f"NOT EXISTS (SELECT 1 FROM {table} WHERE {equal})"


def output(column: Field, fact: str) -> str:
    """Return the name that a fact of *column* has in a query's outputs."""
    return f"c{column.index}_{fact}"


def less(place: Callable[[Relation], str]) -> Sequence[Query]:
    """Return what to measure of a column whose profile fails, where *place* gives its relation's name as SQL.

    The rows and the nulls, with the least and greatest value as far as these have an order; else without these.
    """

    def measured(plan: Plan, fields: Sequence[Field], bounds: bool) -> str:
        outputs = ["count(*) AS rows"]
        for column in fields:
            name = quote(column.name)
            outputs.append(f"count(*) - count({name}) AS {output(column, 'nulls')}")
            if bounds and column.kind in ("number", "time"):
                outputs += [f"{fact}({name}) AS {output(column, fact)}" for fact in ("min", "max")]
        return f"SELECT {', '.join(outputs)}\nFROM {place(plan.relation)}"

    return (
        lambda plan, fields, _: measured(plan, fields, bounds=plan.values),
        lambda plan, fields, _: measured(plan, fields, bounds=False),
    )


@contextmanager
def interrupting(interrupt: Callable[[], object], seconds: float | None) -> Iterator[None]:
    """Call *interrupt* if what is done within takes longer than *seconds*; null gives it all the time."""
    timer = threading.Timer(seconds, interrupt) if seconds else None
    if timer:
        timer.daemon = True
        timer.start()
    try:
        yield
    finally:
        if timer:
            timer.cancel()


def literal(text: str) -> str:
    """Return *text* as a string literal."""
    return "'" + text.replace("'", "''") + "'"


def may_identify(column: Field, kind: FieldKind, facts: Facts) -> bool:
    """Tell whether values of this type identify things: whole numbers, short texts, UUIDs; times at a pinch."""
    if kind == "number":
        return column.integer or facts.get(f"c{column.index}_last") == "integer"
    if kind == "text":
        length = facts.get(f"c{column.index}_mean_length")
        return not isinstance(length, int | float) or length <= LONGEST_KEY
    return kind == "time" or (kind == "other" and column.base.lower() == "uuid")


def bins(column: Field, low: float, high: float) -> int:
    """Return how many bins a histogram from *low* to *high* has: one per whole number where these are few."""
    if column.integer and high - low < EACH_WHOLE:
        return int(high - low) + 1
    return BINS


def one_line(error: Any) -> str:
    """Return the first lines of an engine's message on one line, without its picture of the query."""
    text = str(error).split("\n\nLINE ", 1)[0].split("\nLINE ", 1)[0]
    return " ".join(text.split())[:300]
