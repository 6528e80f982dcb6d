"""DuckDB: its connection and its catalog. The SQL of profiles is ``duck_profile``'s."""

import contextlib
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import duckdb

from cataloger_sandbox.encode import Value, encode, encode_column, iso
from cataloger_sandbox.engines.base import (
    LONG_BYTES,
    ONE_QUERY,
    Described,
    Facts,
    Field,
    FieldKind,
    ForeignKey,
    Plan,
    QueryFailed,
    Relation,
    Rows,
    Step,
    interrupting,
    literal,
    not_exists,
    one_line,
    quote,
    weighing,
)
from cataloger_sandbox.engines.duck_profile import STEPS, drawn, path
from cataloger_sandbox.engines.estimate import sample_error, sketch_error

_INTEGERS = {"TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT"} | {
    "UTINYINT",
    "USMALLINT",
    "UINTEGER",
    "UBIGINT",
    "UHUGEINT",
}
_PLAIN = {*_INTEGERS, "FLOAT", "DOUBLE", "VARCHAR", "BOOLEAN", "BLOB", '"NULL"', "JSON"}
_UNCHANGED = _PLAIN - {"BLOB", '"NULL"'}
_NEXT = ",\n  "
_DATED = ("DATE", "TIMESTAMP")

_EXACT = re.compile(
    r"(?:U?(?:TINY|SMALL|BIG|HUGE)?INT(?:EGER)?|FLOAT|DOUBLE|VARCHAR|BOOLEAN|DATE|TIMESTAMP|DECIMAL\(\d+,\d+\))(?:\[\])?"
    r"|BLOB|\"NULL\"|JSON|MAP\(INTEGER, U?BIGINT\)"
)
"""The types whose values Python has without a loss, but for times beyond its own."""

_POINT = re.compile(r"^(-?)\.")

_GROUP = 122_880
"""A table of so many rows, which lie in one group, is read by one thread: others would only wait for it."""

CONFINED = "200MB"
"""So much memory may be taken for a table whose values may be long."""

PIECES = 200
"""A table whose values are too long for that is read in so many pieces, at most: one of more rows than ``_NARROWED``
is not, as it would still be read by two thousand values."""

_NARROWED = PIECES * 2048

_FEW = 10_000
"""Queries over at most so many rows are planned once: their values leave as they are, if Python has such values."""

_ENDS = {date.min, date.max, datetime.min, datetime.max}  # noqa: DTZ901 - compared with times that have no zone
"""What Python is given for an infinite time too."""

_LISTING = """\
SELECT count(*) OVER () AS tables, sum(column_count) OVER () AS columns,
  schema_name, table_name, kind, comment, estimate
FROM (SELECT schema_name, table_name, 'table' AS kind, comment, estimated_size AS estimate, column_count
      FROM duckdb_tables() WHERE database_name = current_database() AND NOT internal AND NOT temporary
      UNION ALL
      SELECT schema_name, view_name, 'view', comment, NULL, column_count
      FROM duckdb_views() WHERE database_name = current_database() AND NOT internal AND NOT temporary){where}
ORDER BY schema_name, table_name"""

_COLUMNS = """\
SELECT schema_name, table_name, column_name, data_type, is_nullable, comment
FROM duckdb_columns() WHERE database_name = current_database() AND NOT internal{where}
ORDER BY schema_name, table_name, column_index"""

_CONSTRAINTS = """\
SELECT schema_name, table_name, constraint_type, constraint_column_names, referenced_table, referenced_column_names
FROM duckdb_constraints() WHERE database_name = current_database()
  AND constraint_type IN ('PRIMARY KEY', 'UNIQUE', 'FOREIGN KEY'){where}
ORDER BY schema_name, table_name, constraint_index"""

_INDEXES = """\
SELECT schema_name, table_name, sql FROM duckdb_indexes() WHERE database_name = current_database() AND is_unique{where}
ORDER BY schema_name, table_name, index_name"""


@dataclass
class _Settings:
    """What is set for all cursors of a file at once."""

    threads: int  # as many as there may be
    used: int
    confined: bool = False


class DuckEngine:
    """A cursor of an open DuckDB file, in one transaction.

    Args:
        beside: the engine of another cursor of the same file.
    """

    searched = 2_000_000
    rows_first = True

    def __init__(self, driver: Any, beside: "DuckEngine | None" = None) -> None:
        self._driver = driver
        driver.execute("SET TimeZone = 'UTC'")
        driver.execute("SET enable_progress_bar = false")
        driver.execute("BEGIN TRANSACTION READ ONLY")
        self.label = f"duckdb {duckdb.__version__}"
        self.default_schema = "main"
        self.steps: Sequence[Step] = STEPS
        self._few = False
        blocks = driver.execute("SELECT sum(block_size * used_blocks) FROM pragma_database_size()").fetchone()[0]
        self._size = int(blocks or 0)
        threads = int(driver.execute("SELECT current_setting('threads')").fetchone()[0])
        self._settings: _Settings = beside._settings if beside else _Settings(threads, threads)

    def another(self) -> "DuckEngine":
        """Return one more cursor of the file, whose queries can run beside those of this one."""
        return DuckEngine(self._driver.cursor(), self)

    def interrupt(self) -> None:
        """End the query that runs."""
        self._driver.interrupt()

    def expect(self, rows: int | None, confined: bool = False) -> None:
        """Use one thread for few rows, and plan their queries once; see ``Engine``."""
        # Over several cursors all at a time expect the same: what is read by more threads, or confined, is alone.
        confined = confined and rows is not None and rows <= _NARROWED
        if confined != self._settings.confined:
            self._driver.execute(f"SET memory_limit = '{CONFINED}'" if confined else "RESET memory_limit")
            self._settings.confined = confined
        self._few = rows is not None and rows <= _FEW
        wanted = 1 if rows is not None and rows <= _GROUP else self._settings.threads
        if wanted != self._settings.used:
            self._driver.execute(f"SET threads = {wanted}")
            self._settings.used = wanted

    def alone(self, relation: Relation, rows: int | None) -> bool:
        """Say yes where all threads read it, or its values may take much memory; see ``Engine``."""
        if relation.kind != "table" or rows is None or rows > _GROUP or relation.weighed is None:
            return True
        sizes = [int(str(size or 0)) for name, size in relation.weighed.items() if name.startswith("b")]
        return bool(relation.pieces) or sum(sizes) > LONG_BYTES

    def fetch(self, sql: str, seconds: float | None = None, limit: int | None = None) -> Rows:
        """Run *sql* and return its rows, encoded; see ``Engine``."""
        try:
            with interrupting(self._driver.interrupt, seconds):
                if limit is not None:
                    _check(sql)
                elif self._few and (found := _as_they_are(self._driver.execute(sql))):
                    return found
                relation = self._driver.sql(sql)
                if relation is None:
                    return Rows([], [])
                names = list(relation.columns)
                types = [str(kind) for kind in relation.types]
                if any(_cast(kind) for kind in types):
                    # Dates past 9999, infinities and the like have no Python value: they leave as text; so do
                    # decimals, whose Python values take long to make.
                    outputs = ", ".join(f"a{i}{_cast(kind)}" for i, kind in enumerate(types))
                    inputs = ", ".join(f"a{i}" for i in range(len(types)))
                    sql = f"SELECT {outputs} FROM ({sql.rstrip().rstrip(';')}\n) AS q({inputs})"
                # To run the relation would plan the query, which of hundreds of columns is most of its time, again.
                done = self._driver.execute(sql)
                rows = done.fetchall() if limit is None else done.fetchmany(limit)
        except duckdb.InterruptException as error:
            self._begin_again()
            raise QueryFailed(f"took longer than {seconds:g} s", late=True) from error
        except (duckdb.Error, RuntimeError, ValueError, OverflowError) as error:
            self._begin_again()
            raise QueryFailed(one_line(error)) from error
        encoded = [_encode_column(values, kind) for values, kind in zip(zip(*rows, strict=True), types, strict=False)]
        return Rows(names, [list(row) for row in zip(*encoded, strict=True)])

    def _begin_again(self) -> None:
        """Leave the transaction that an error ended; the file can't have changed, as nobody writes while we read."""
        with contextlib.suppress(duckdb.Error):
            self._driver.execute("ROLLBACK")
        self._driver.execute("BEGIN TRANSACTION READ ONLY")

    def spoken(self, sql: str) -> str:
        """Return *sql* itself; see ``Engine``."""
        return sql

    def catalog(
        self, run: Callable[[str], Rows], schemas: Sequence[str] | None
    ) -> tuple[list[Relation], list[ForeignKey], list[tuple[str, str]]]:
        """Read what is there; see ``Engine``."""
        chosen = f"schema_name IN ({', '.join(map(literal, schemas)) or 'NULL'})" if schemas is not None else ""
        where = f"\n  AND {chosen}" if chosen else ""
        relations: dict[tuple[str, str], Relation] = {}
        for row in run(_LISTING.format(where=f"\nWHERE {chosen}" if chosen else "")).dicts():
            schema, name = str(row["schema_name"]), str(row["table_name"])
            relations[schema, name] = Relation(
                schema=schema,
                name=name,
                canonical=name if schema == self.default_schema else f"{schema}.{name}",
                kind="view" if row["kind"] == "view" else "table",
                comment=_text(row["comment"]),
                estimate=row["estimate"] if isinstance(row["estimate"], int) else None,
                fixed=row["kind"] == "table",
            )
        for row in run(_COLUMNS.format(where=where)).dicts():
            relation = relations.get((str(row["schema_name"]), str(row["table_name"])))
            if relation is None:
                continue
            kind = str(row["data_type"])
            if str(row["column_name"]).lower() == "rowid":
                relation.fixed = False
            relation.fields.append(
                Field(
                    index=len(relation.fields),
                    name=str(row["column_name"]),
                    type=kind.lower() if len(kind) < 200 else kind[:200].lower() + "…",
                    kind=_kind(kind),
                    nullable=bool(row["is_nullable"]) if relation.kind == "table" else None,
                    comment=_text(row["comment"]),
                    floating=kind in ("FLOAT", "DOUBLE"),
                    integer=kind in _INTEGERS,
                    base=kind,
                )
            )
        foreign: list[ForeignKey] = []
        for row in run(_CONSTRAINTS.format(where=where)).dicts():
            relation = relations.get((str(row["schema_name"]), str(row["table_name"])))
            columns = row["constraint_column_names"]
            if relation is None or not isinstance(columns, list):
                continue
            if row["constraint_type"] == "PRIMARY KEY":
                relation.primary_key = columns
            elif row["constraint_type"] == "UNIQUE":
                relation.unique.append(columns)
            elif target := relations.get((relation.schema, str(row["referenced_table"]))):
                to_columns = row["referenced_column_names"]
                if isinstance(to_columns, list):
                    foreign.append(ForeignKey(relation.canonical, columns, target.canonical, to_columns))
        for row in run(_INDEXES.format(where=where)).dicts():
            relation = relations.get((str(row["schema_name"]), str(row["table_name"])))
            if relation is not None and (indexed := _indexed(str(row["sql"]), relation)):
                relation.unique.append(indexed)
        return list(relations.values()), foreign, []

    def describe(self, column: Field, facts: Facts) -> Described:  # noqa: ARG002
        """Say what *column* holds."""
        return Described(column.kind, column.type)

    def quantiles_error(self, plan: Plan, column: Field, facts: Facts) -> float | None:  # noqa: ARG002
        """Return the rank error of quantiles; see ``Engine``."""
        return sample_error(column, facts)

    def distinct_error(self, plan: Plan, column: Field, facts: Facts) -> float | None:  # noqa: ARG002
        """Return the error of the number of distinct values; see ``Engine``."""
        return sketch_error(column, facts)

    def sampling(self, relation: Relation) -> str:
        """Say how a sample is drawn; see ``Engine``."""
        if relation.fixed:
            return "each row by a hash of its rowid, the same rows again as long as the table is unchanged"
        return "each row by chance (random()), others each time"

    def weighing(self, relation: Relation) -> str | None:
        """Return the query for the bytes of the columns; see ``Engine``."""
        # The file may be a fraction of what it holds, which is pressed together.
        if self._size < LONG_BYTES // 64:
            return None
        sizes: dict[FieldKind, str] = {"text": "strlen({})", "binary": "octet_length({})"}
        return weighing(
            relation,
            path(relation),
            lambda column: sizes.get(column.kind, "strlen({})" if column.base == "JSON" else "").format(
                quote(column.name)
            ),
        )

    def narrow(self, relation: Relation) -> bool:
        """Read *relation* by its rowids: of two thousand values, which are read at once, some may be none in memory."""
        if not relation.fixed or (relation.estimate or 0) > _NARROWED:
            return False
        place = path(relation)
        last = self.fetch(f"SELECT max(rowid) AS last FROM {place}").first()["last"]
        rows = int(str(last or 0)) + 1
        step = -(-rows // PIECES)
        pieces = (
            f"SELECT rowid, * FROM {place} WHERE rowid BETWEEN {first} AND {first + step - 1}"
            for first in range(0, rows, step)
        )
        relation.pieces = "({})".format("\nUNION ALL ".join(pieces))
        return True

    def drawn(self, relation: Relation, outputs: Sequence[str], share: float) -> str:
        """Return the query for some of the rows; see ``Engine``."""
        return drawn(relation, outputs, share)

    def spread(self, relation: Relation, rows: int, count: int) -> str:
        """Return what to read some rows from; see ``Engine``."""
        table = path(relation)
        if rows <= count or not relation.fixed:
            return table
        # Blocks of 2,048 rows are what is read; of forty of them, each gives some rows.
        share = min(1.0, 40 * 2048 / rows)
        blocks = f" TABLESAMPLE SYSTEM ({100 * share:.6f} PERCENT) REPEATABLE (1)" if share < 1 else ""
        return f"{table}{blocks}\nWHERE rowid % {max(1, round(rows * share / count))} = 0"

    def matches(self, text: str, pattern: str) -> str:
        """Return the condition of a match; see ``Engine``."""
        return f"regexp_matches({text}, {literal(pattern)})"

    def matching(self, fields: Sequence[Field], source: str, holds: Callable[[str], str]) -> str:
        """Return the query for the texts that meet a condition; see ``Engine``."""
        # One condition over all columns: DuckDB makes each pattern ready anew for every place where it stands.
        numbers, names = ", ".join(str(field.index) for field in fields), ", ".join(quote(f.name) for f in fields)
        counts = ", ".join(f"count(*) FILTER (WHERE k = {field.index}) AS n{field.index}" for field in fields)
        texts = f"SELECT unnest([{numbers}]) AS k, unnest([{names}]) AS v\nFROM {source}"
        return f"SELECT {counts}\nFROM ({texts}) AS s\nWHERE {holds('v')}"

    def quote(self, name: str) -> str:
        """Return *name* as an identifier."""
        return quote(name)

    def path(self, relation: Relation) -> str:
        """Return the relation's name as SQL."""
        return path(relation)

    def missing(self, columns: Sequence[str], table: str, keys: Sequence[str]) -> str:
        """Return the condition of an orphan; see ``Engine``."""
        return not_exists(columns, table, keys)

    def close(self) -> None:
        """Close the connection."""
        self._driver.close()


def _as_they_are(done: Any) -> Rows | None:
    """Return the rows of a query that was run, encoded; null where Python has not all values that the database has."""
    types = [str(item[1]) for item in done.description]
    if not all(map(_EXACT.fullmatch, types)):
        return None
    rows = done.fetchall()
    columns = []
    for values, kind in zip(zip(*rows, strict=True), types, strict=False):
        if not kind.startswith(_DATED):
            columns.append(encode_column(values))
            continue
        listed = kind.endswith("]")
        met = {item for value in values if value is not None for item in (value if listed else [value])}
        if met & _ENDS:
            return None
        known = {value: None if value is None else iso(_moment(value)) for value in met | {None}}
        columns.append(
            [[known[item] for item in value] if isinstance(value, list) else known[value] for value in values]
        )
    return Rows([item[0] for item in done.description], [list(row) for row in zip(*columns, strict=True)])


def _moment(value: date | str) -> str:
    """Return a date or timestamp as DuckDB writes it; those beyond Python's come as text."""
    if not isinstance(value, datetime):
        return str(value)
    text = value.isoformat(" ")
    return text.rstrip("0") if value.microsecond else text


def _check(sql: str) -> None:
    """Refuse what is more than a question: a temporary table or macro would stand in for ours in later ones.

    Raises:
        QueryFailed: it is not one query.
    """
    if [statement.type for statement in duckdb.extract_statements(sql)] != [duckdb.StatementType.SELECT]:
        raise QueryFailed(ONE_QUERY)


def _kind(kind: str) -> FieldKind:
    if kind.endswith("]") or kind.startswith(("STRUCT", "MAP", "UNION")) or kind in ("JSON", "VARIANT"):
        return "nested"
    if kind in _INTEGERS or kind in ("FLOAT", "DOUBLE") or kind.startswith("DECIMAL"):
        return "number"
    if kind.startswith(("DATE", "TIMESTAMP", "TIME")):
        return "time"
    if kind.startswith("ENUM"):
        return "other"
    return {"VARCHAR": "text", "BOOLEAN": "boolean", "BLOB": "binary"}.get(kind, "other")  # type: ignore[return-value]


def _indexed(sql: str, relation: Relation) -> list[str]:
    """Return the columns of a unique index, or nothing where it covers expressions."""
    inside = sql[sql.rfind(" ON ") :].partition("(")[2].rpartition(")")[0]
    names = {column.name for column in relation.fields}
    parts = [part.strip() for part in re.findall(r'(?:"(?:[^"]|"")*"|[^,"])+', inside)]
    columns = [part[1:-1].replace('""', '"') if part.startswith('"') else part for part in parts]
    return columns if columns and all(column in names for column in columns) else []


def _cast(kind: str) -> str:
    """Return the cast under which a result of type *kind* leaves the database."""
    if kind.endswith("[]"):
        return "" if kind[:-2] in _PLAIN else "::VARCHAR[]" if not kind[:-2].endswith("]") else "::VARCHAR"
    if kind in _PLAIN or kind.startswith("MAP(INTEGER"):
        return ""
    return "::VARCHAR"


def _encode_column(values: Sequence[Any], kind: str) -> list[Value]:
    if kind in _UNCHANGED:
        return encode_column(values)
    if kind.startswith("DECIMAL(") and not kind.endswith("]"):
        # Of decimals with no digit before the point DuckDB writes no zero there.
        return encode_column([value and _POINT.sub(r"\g<1>0.", value) for value in values])
    if kind.startswith(("DATE", "TIME")) and not kind.endswith("]"):
        known = {value: iso(value) for value in set(values) if value is not None}
        return [known.get(value) for value in values]
    return [_encode(value, kind) for value in values]


def _encode(value: Any, kind: str) -> Value:
    if isinstance(value, str) and kind.startswith(("DATE", "TIME")):
        return iso(value)
    if isinstance(value, list) and kind.startswith(("DATE", "TIME", "DECIMAL")):
        return [_encode(item, kind[:-2]) for item in value]
    return encode(value)


def _text(value: Value) -> str | None:
    return str(value) if value else None
