"""The facts' schema: what was measured of a database, and how a reference finds one value in it.

The kit measures inside the sandbox and sends JSON; this module parses it. It holds no SQL, no HTML and
no I/O. Field names and formats are those of the page's data block (``page-block.schema.json``); keys
beyond it are marked *extra*. Decimals and integers beyond 2^53 are strings, dates ISO 8601, NaN and the
infinities the strings ``NaN``, ``Infinity``, ``-Infinity``; bytes never appear.
"""

import difflib
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field

Scalar = int | float | str | bool | None
Severity = Literal["high", "medium", "low", "info"]

SEVERITIES: tuple[Severity, ...] = ("high", "medium", "low", "info")


class Frozen(BaseModel):
    """An immutable parsed value; unknown keys are an error, so kit and host can't drift apart unseen."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """Return a copy with *update*; what was worked out of the old fields is not taken along."""
        copied = super().model_copy(update=update, deep=deep)
        for name in copied.__dict__.keys() - type(self).model_fields.keys():
            del copied.__dict__[name]
        return copied

    def dump(self) -> dict[str, Any]:
        """Return the value as JSON-ready data under the block's own key names."""
        return self.model_dump(mode="json", by_alias=True)


class Lengths(Frozen):
    """Lengths of a text column's values in characters (of a binary one, in bytes)."""

    min: int
    max: int
    mean: float


class Histogram(Frozen):
    """Equal-width bins over a column's finite values: ``counts[i]`` values fall into bin ``i`` of ``low … high``.

    Where ``sampled``, they are the values of a sample alone; the ends are the whole column's.
    """

    low: Scalar
    high: Scalar
    counts: list[int]
    sampled: bool = False


class Column(Frozen):
    """One column and its profile; ``skipped`` says why a part of it could not be measured.

    ``quantiles_error`` says by how much the rank of its quantiles may be off, ``distinct_error`` by what share the
    number of its distinct values may be; both are null where these are exact. ``semantic_confidence`` says from 0 to 1
    how far values and name bear out ``semantic_type`` and ``pii``.
    """

    name: str
    type: str
    nullable: bool | None = None
    nulls: int | None = None
    distinct: int | None = None
    distinct_method: Literal["exact", "hll"] | None = None
    min: Scalar = None
    max: Scalar = None
    mean: Scalar = None
    std: Scalar = None
    quantiles: dict[str, Scalar] | None = None
    quantiles_error: float | None = None
    top: list[tuple[Scalar, int]] | None = None
    semantic_type: str | None = None
    pii: str | None = None
    # extra
    semantic_confidence: float | None = None
    distinct_error: float | None = None
    lengths: Lengths | None = None
    histogram: Histogram | None = None
    comment: str | None = None
    skipped: str | None = None


class Newest(Frozen):
    """The latest value of a table's time column, at most the time of measuring when future dates exist."""

    column: str
    value: str


class Table(Frozen):
    """One table or view. ``name`` is its canonical name: plain in the default schema, else ``schema.name``."""

    name: str
    schema_: str | None = Field(alias="schema")
    rows: int | None
    kind: Literal["table", "view"]
    keys: list[list[str]]
    queries: list[str]
    columns: list[Column]
    # extra
    primary_key: list[str] | None = None
    comment: str | None = None
    newest: Newest | None = None
    hidden: bool = False

    @cached_property
    def column_by_name(self) -> dict[str, Column]:
        """The columns by name."""
        return {column.name: column for column in self.columns}


class Reference(Frozen):
    """A foreign key, declared or inferred: ``(table, columns)`` at both ends; ``orphans`` counts its breaks."""

    from_: tuple[str, list[str]] = Field(alias="from")
    to: tuple[str, list[str]]
    declared: bool
    orphans: int | None
    query: str | None = None


class Dependency(Frozen):
    """A column that determines another: of ``rows`` rows that have both values, ``breaking`` differ from the usual.

    ``determinants`` counts the different values of the determinant among them.
    """

    table: str
    determinant: str
    dependent: str
    rows: int
    breaking: int
    determinants: int
    query: str


class Finding(Frozen):
    """A flaw in the data. ``id`` stays the same across snapshots: it is made of kind, table and columns.

    One that many tables have in like-named columns is one finding with ``members``, those of each table: ``table``,
    ``columns``, ``severity`` and ``query`` are the worst's, ``rows`` their sum, and no table is in the ``id``. Of a
    page with no room for all members, ``members_left_out`` counts the others, and ``tables_left_out`` the tables that
    have none listed.
    """

    id: str
    kind: str
    table: str
    columns: list[str]
    severity: Severity
    rows: int | None
    query: str
    sentence: str
    first_seen: str | None = None
    # extra
    members: list["Finding"] = Field(default_factory=list)
    members_left_out: int = 0
    tables_left_out: int = 0

    @property
    def key(self) -> str:
        """Its id, with the columns in the order in which ids have them since they are sorted; older pages had not."""
        return self.id.replace(",".join(self.columns), ",".join(sorted(self.columns)), 1) if self.columns else self.id

    @property
    def parts(self) -> list["Finding"]:
        """The findings of single tables: the members, or the finding itself."""
        return self.members or [self]

    @property
    def spread(self) -> int:
        """How many findings of single tables it stands for, listed or not."""
        return len(self.parts) + self.members_left_out


class Query(Frozen):
    """A query that was run: at what time (ISO 8601, UTC) and for how many seconds.

    A profile's query names its outputs ``rows`` and ``c{i}_{fact}``, where ``i`` counts the table's
    columns from 0; any other query gives its claim's value in the first column of its first row.
    """

    id: str
    sql: str
    at: str
    seconds: float


class Claim(Frozen):
    """A value shown on a page under a reference, with the query behind it."""

    id: str
    value: Scalar
    query: str
    note: str | None = None


class Skipped(Frozen):
    """A table (``column`` null) or column that could not be measured, and why."""

    table: str
    column: str | None = None
    reason: str


class Sampled(Frozen):
    """A table of which ``rows`` rows of ``of`` stand for all; ``method`` says how they were drawn, and for what."""

    table: str
    rows: int
    of: int | None
    method: str


class Searched(Frozen):
    """A table in which flaws were looked for in ``rows`` of ``of`` rows; ``reason`` says why in none."""

    table: str
    rows: int
    of: int | None
    reason: str | None = None


class Unjudged(Frozen):
    """What findings of some ``kinds`` may be missing in ``tables`` (none: in all of them), and why.

    Where ``columns`` are named, in these of the tables' alone. What is ``cut`` lies beyond a bound of the
    search; else something failed.
    """

    kinds: list[str]
    tables: list[str] = Field(default_factory=list)
    columns: list[str] = Field(default_factory=list)
    reason: str
    cut: bool = False

    def covers(self, kind: str, table: str, columns: Sequence[str]) -> bool:
        """Say whether a finding of a kind in a table's columns may be among what is missing."""
        if kind not in self.kinds or (self.tables and table not in self.tables):
            return False
        return not self.columns or any(column in self.columns for column in columns)


class Unlisted(Frozen):
    """How many ``findings`` of a kind, in how many ``tables``, are not listed; the ``ids`` of the first of them."""

    kind: str
    findings: int
    tables: int
    ids: list[str] = Field(default_factory=list)


class Coverage(Frozen):
    """How many tables and columns were measured of how many there are, and in how much of them flaws were looked for.

    ``unanswered`` says why questions about the whole database got no answer: what they would have found is missing.
    ``notes`` say what else a reader has to know of how all was measured.
    """

    tables: tuple[int, int]
    columns: tuple[int, int]
    skipped: list[Skipped] = Field(default_factory=list)
    sampled: list[Sampled] = Field(default_factory=list)
    searched: list[Searched] = Field(default_factory=list)
    unanswered: list[str] = Field(default_factory=list)
    unjudged: list[Unjudged] = Field(default_factory=list)
    unlisted: list[Unlisted] = Field(default_factory=list)
    notes: list[str] = Field(default_factory=list)

    @property
    def left_out(self) -> int:
        """How many findings are not listed."""
        return sum(item.findings for item in self.unlisted)

    def judges(self, finding: Finding) -> bool:
        """Say whether *finding*, of a single table, would have been told or named among the unlisted, were it there."""
        if any(item.kind == finding.kind and item.findings > len(item.ids) for item in self.unlisted):
            return False
        if self.unanswered or any(item.column is None and item.table == finding.table for item in self.skipped):
            return False
        if any(item.reason and item.table == finding.table for item in self.searched):
            return False
        return not any(item.covers(finding.kind, finding.table, finding.columns) for item in self.unjudged)


class Change(Frozen):
    """A difference between two snapshots; ``column`` is null where it is the table's.

    Where the same came or went in several ``tables``, the one named is the worst of them.
    """

    kind: str
    table: str
    column: str | None
    from_: Scalar = Field(alias="from")
    to: Scalar
    since: str | None = None
    severity: Severity
    query: str | None = None
    # extra
    tables: int | None = None


class UnknownReference(LookupError):
    """A reference that names no fact. The message says what was meant, for the model to mend."""


class Facts(Frozen):
    """Everything measured of one database in one snapshot."""

    engine: str
    default_schema: str | None = None
    tables: list[Table]
    references: list[Reference] = Field(default_factory=list)
    dependencies: list[Dependency] = Field(default_factory=list)
    findings: list[Finding] = Field(default_factory=list)
    queries: list[Query] = Field(default_factory=list)
    coverage: Coverage

    @cached_property
    def table_by_name(self) -> dict[str, Table]:
        """The tables by canonical name."""
        return {table.name: table for table in self.tables}

    @cached_property
    def query_by_id(self) -> dict[str, Query]:
        """The queries by id."""
        return {query.id: query for query in self.queries}

    def resolve(self, reference: str, named: Mapping[str, Claim] | None = None) -> Claim:
        """Return the value that *reference* names.

        ``table.fact``, ``table.column.fact``, a total of the database (``tables``, ``columns``, ``rows``,
        ``findings``), or one of *named*, the claims made by ``fact()``.

        Raises:
            UnknownReference: no such table, column, fact or name, or its value was not measured.
        """
        if named and reference in named:
            return named[reference]
        parts = split_reference(reference)
        if len(parts) == 1:
            return self._total(reference, parts[0], named or {})
        table = self.table_by_name.get(parts[0])
        if table is None:
            raise UnknownReference(f"{reference}: there is no table {parts[0]!r}{_meant(parts[0], self.table_by_name)}")
        if len(parts) == 2:
            values = table_facts(table)
        elif len(parts) == 3:
            column = table.column_by_name.get(parts[1])
            if column is None:
                raise UnknownReference(
                    f"{reference}: table {table.name!r} has no column {parts[1]!r}"
                    f"{_meant(parts[1], table.column_by_name)}"
                )
            values = column_facts(column) | self._orphans(table.name, column.name)
        else:
            raise UnknownReference(
                f"{reference}: write table.fact or table.column.fact, and double-quote a name that has dots"
            )
        fact = parts[-1]
        if values.get(fact) is None:
            measured = ", ".join(name for name, value in values.items() if value is not None) or "nothing"
            raise UnknownReference(f"{reference}: {fact!r} was not measured there; measured: {measured}")
        if fact == "orphans":
            query = next((r.query for r in self.references if r.from_ == (table.name, [parts[1]])), None)
        else:
            query = self._measured_by(table, parts[1] if len(parts) == 3 else None, fact)
        return Claim(id=reference, value=values[fact], query=query or "q0")

    def _measured_by(self, table: Table, column: str | None, fact: str) -> str | None:
        """Return the query of *table* that gives *fact*: the last that names an output after it, if it is a column's.

        What a later one gives is measured again because the earlier one's was not good enough.
        """
        index = next((i for i, item in enumerate(table.columns) if item.name == column), None)
        output = re.compile(rf"\b{fact}\b" if index is None else rf"\bc{index}_{fact}\b")
        queries = [key for key in table.queries if key in self.query_by_id]
        giving = [key for key in queries if output.search(self.query_by_id[key].sql)]
        if giving:
            return giving[0 if index is None else -1]
        return next(iter(queries), None)

    def _total(self, reference: str, name: str, named: Mapping[str, Claim]) -> Claim:
        totals: dict[str, int] = {
            "tables": len(self.tables),
            "columns": sum(len(table.columns) for table in self.tables),
            "rows": sum(table.rows or 0 for table in self.tables),
            "findings": len(self.findings),
        }
        if name not in totals:
            known = [*named, *totals]
            raise UnknownReference(f"{reference}: no fact has this name{_meant(name, known)}")
        return Claim(id=reference, value=totals[name], query=self.queries[0].id if self.queries else "q0")

    def _orphans(self, table: str, column: str) -> dict[str, Scalar]:
        for reference in self.references:
            if reference.from_ == (table, [column]):
                return {"orphans": reference.orphans}
        return {}


def table_facts(table: Table) -> dict[str, Scalar]:
    """Return a table's own facts by name (null where not measured)."""
    return {
        "rows": table.rows,
        "columns": len(table.columns),
        "newest": table.newest.value if table.newest else None,
    }


def column_facts(column: Column) -> dict[str, Scalar]:
    """Return a column's facts by name (null where not measured); quantile 0.25 is called ``q25``."""
    facts: dict[str, Scalar] = {
        "type": column.type,
        "nulls": column.nulls,
        "distinct": column.distinct,
        "min": column.min,
        "max": column.max,
        "mean": column.mean,
        "std": column.std,
    }
    for share, value in (column.quantiles or {}).items():
        facts["median" if float(share) == 0.5 else f"q{float(share) * 100:02g}"] = value
    if column.top:
        facts["top"], facts["top_count"] = column.top[0]
    if column.lengths:
        facts |= {
            "min_length": column.lengths.min,
            "max_length": column.lengths.max,
            "mean_length": column.lengths.mean,
        }
    return facts


_PART = re.compile(r'"((?:[^"]|"")+)"|(\w+)')


def split_reference(reference: str) -> list[str]:
    """Split ``table.column.fact`` into its parts, undoing double quotes (``""`` is one quote).

    Raises:
        UnknownReference: the text is no reference.
    """
    parts: list[str] = []
    position = 0
    while match := _PART.match(reference, position):
        parts.append(match[1].replace('""', '"') if match[1] is not None else match[2])
        position = match.end()
        if position == len(reference):
            return parts
        if reference[position] != ".":
            break
        position += 1
    raise UnknownReference(
        f'{reference!r} is no reference: write table.fact or table.column.fact, like "odd name".rows for odd names'
    )


def join_reference(parts: Sequence[str]) -> str:
    """Return the reference of *parts*, each double-quoted where it holds more than letters, digits, underscores."""
    return ".".join(part if re.fullmatch(r"\w+", part) else '"' + part.replace('"', '""') + '"' for part in parts)


def references(facts: Facts) -> Iterator[str]:
    """Yield every reference that resolves in *facts*, table by table."""
    for table in facts.tables:
        for fact, value in table_facts(table).items():
            if value is not None:
                yield join_reference([table.name, fact])
        for column in table.columns:
            for fact, value in column_facts(column).items():
                if value is not None:
                    yield join_reference([table.name, column.name, fact])


def _meant(name: str, known: Mapping[str, object] | Sequence[str]) -> str:
    close = difflib.get_close_matches(name, list(known), n=3)
    return f"; did you mean {', '.join(map(repr, close))}?" if close else ""
