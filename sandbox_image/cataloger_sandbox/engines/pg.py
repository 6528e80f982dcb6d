"""PostgreSQL: its connection and its catalog. The SQL of profiles is ``pg_profile``'s."""

import contextlib
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import psycopg
from psycopg.adapt import Loader

from cataloger_sandbox.encode import Value, encode_rows, iso
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
    literal,
    matching,
    not_exists,
    one_line,
    quote,
    weighing,
)
from cataloger_sandbox.engines.estimate import sample_error, sketch_error
from cataloger_sandbox.engines.losses import LOST
from cataloger_sandbox.engines.pg_profile import FLOATS, INTEGERS, STEPS, TEXTS, TIMES, drawn, path
from cataloger_sandbox.engines.pg_view import BEGIN, View
from cataloger_sandbox.errors import DatabaseProblem

CANCEL_SECONDS = 5.0
"""A server has so long to take the word that a query is to end."""

FEW = 5_000
"""Of so many different values at most the server's statistics say that they are few."""

_NESTED = ("json", "jsonb", "hstore", "tsvector", "xml")
_RANGES = [
    f"{kind}{shape}" for kind in ("int4", "int8", "num", "date", "ts", "tstz") for shape in ("range", "multirange")
]

# The first word after spaces, parentheses and comments.
_QUERY = re.compile(r"(?:[\s(]|--[^\n]*(?:\n|$)|/\*.*?\*/)*(?:select|with|values|table)\b", re.IGNORECASE | re.DOTALL)

_OURS = "n.nspname NOT LIKE 'pg\\_%' AND n.nspname <> 'information_schema'"

_LISTING = f"""\
SELECT count(*) FILTER (WHERE NOT c.relispartition) OVER () AS tables,
  n.nspname AS schema_name, c.relname AS table_name, c.relkind,
  c.relkind IN ('r', 'p', 'm') AND NOT (c.relhassubclass AND EXISTS (SELECT FROM pg_inherits AS i
    JOIN pg_class AS f ON f.oid = i.inhrelid WHERE f.relkind = 'f')) AS fixed, c.relhassubclass AS parts,
  (SELECT sum(pg_relation_size(s.reltoastrelid)) FROM pg_class AS s
   WHERE s.oid = c.oid OR s.oid IN (SELECT inhrelid FROM pg_inherits WHERE inhparent = c.oid)) AS outside,
  (SELECT sum(s.relpages) FROM pg_class AS s
   WHERE s.oid = c.oid OR s.oid IN (SELECT inhrelid FROM pg_inherits WHERE inhparent = c.oid)) AS pages,
  obj_description(c.oid, 'pg_class') AS comment, c.relispartition AS part,
  has_schema_privilege(n.oid, 'USAGE') AS open, has_any_column_privilege(c.oid, 'SELECT') AS readable
FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND {_OURS}{{where}} ORDER BY 2, 3"""

_COLUMNS = f"""\
SELECT n.nspname AS schema_name, c.relname AS table_name, a.attname AS column_name,
  format_type(a.atttypid, a.atttypmod) AS type, NOT a.attnotnull OR EXISTS (SELECT FROM pg_constraint AS k
    WHERE k.conrelid = c.oid AND a.attnum = ANY (k.conkey) AND k.contype = 'n' AND NOT k.convalidated) AS nullable,
  col_description(c.oid, a.attnum) AS comment,
  has_column_privilege(c.oid, a.attnum, 'SELECT') AS readable,
  t.typtype = 'd' AS domain, NOT coalesce(l.collisdeterministic, true) AS loose,
  b.typname AS base, b.typtype AS family, b.typcategory AS category
FROM pg_attribute AS a JOIN pg_class AS c ON c.oid = a.attrelid JOIN pg_namespace AS n ON n.oid = c.relnamespace
JOIN pg_type AS t ON t.oid = a.atttypid
JOIN pg_type AS b ON b.oid = CASE WHEN t.typtype = 'd' THEN t.typbasetype ELSE t.oid END
LEFT JOIN pg_collation AS l ON l.oid = a.attcollation
WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND a.attnum > 0 AND NOT a.attisdropped AND {_OURS}{{where}}
ORDER BY 1, 2, a.attnum"""

# What the server expects by its own statistics: a way is chosen by it, nothing shown.
_EXPECTED = f"""\
SELECT n.schemaname AS schema_name, n.tablename AS table_name, n.attname AS column_name,
  min(n.n_distinct) > 0 AND max(n.n_distinct) <= {FEW} AS few, max(n.null_frac) = 0 AS filled
FROM pg_stats AS n WHERE {_OURS.replace("n.nspname", "n.schemaname")}{{where}} GROUP BY 1, 2, 3"""

_KEYS = f"""\
SELECT n.nspname AS schema_name, c.relname AS table_name, i.indisprimary AS is_primary,
  (SELECT array_agg(a.attname::text ORDER BY k.o) FROM unnest(i.indkey::int2[]) WITH ORDINALITY AS k (n, o)
   JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum = k.n WHERE k.o <= i.indnkeyatts) AS columns
FROM pg_index AS i JOIN pg_class AS c ON c.oid = i.indrelid JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE i.indisunique AND i.indisvalid AND NOT (c.relkind = 'r' AND c.relhassubclass)
  AND i.indpred IS NULL AND i.indexprs IS NULL AND {_OURS}{{where}}
ORDER BY 1, 2, i.indisprimary DESC, i.indexrelid"""

_FOREIGN = f"""\
SELECT n.nspname AS schema_name, c.relname AS table_name, fn.nspname AS to_schema, fc.relname AS to_table,
  (SELECT array_agg(a.attname::text ORDER BY k.o) FROM unnest(x.conkey) WITH ORDINALITY AS k (n, o)
   JOIN pg_attribute AS a ON a.attrelid = x.conrelid AND a.attnum = k.n) AS columns,
  (SELECT array_agg(a.attname::text ORDER BY k.o) FROM unnest(x.confkey) WITH ORDINALITY AS k (n, o)
   JOIN pg_attribute AS a ON a.attrelid = x.confrelid AND a.attnum = k.n) AS to_columns
FROM pg_constraint AS x JOIN pg_class AS c ON c.oid = x.conrelid JOIN pg_namespace AS n ON n.oid = c.relnamespace
JOIN pg_class AS fc ON fc.oid = x.confrelid JOIN pg_namespace AS fn ON fn.oid = fc.relnamespace
WHERE x.contype = 'f' AND {_OURS}{{where}} ORDER BY 1, 2, x.conname"""


class _Text(Loader):
    """Any value as its text; a byte that is no UTF-8 does not end the reading."""

    def load(self, data: Any) -> str:
        return bytes(data).decode("utf-8", "replace")


class _Time(Loader):
    """A date or time as ISO 8601 text: Python's own types end at the year 9999."""

    def load(self, data: Any) -> str:
        return iso(bytes(data).decode())


class PgEngine:
    """An open PostgreSQL database, in one repeatable-read, read-only transaction."""

    searched = 100_000  # its expressions take more than ten times as long as RE2
    rows_first = False

    def __init__(self, driver: Any, view: View | None = None) -> None:
        """Measure over *driver*; with a *view* a connection that is lost is opened again."""
        self._view = view
        self._losses = 0
        self._begin(driver)
        version = str(driver.execute("SHOW server_version").fetchone()[0])
        self.label = f"postgres {version.split()[0]}"
        found = driver.execute(
            "SELECT CASE WHEN EXISTS (SELECT FROM pg_namespace WHERE nspname = 'public') "
            "THEN 'public' ELSE coalesce(current_schema()::text, 'public') END"
        ).fetchone()
        self.default_schema = str(found[0])
        self.steps: Sequence[Step] = STEPS

    def _begin(self, driver: Any) -> None:
        for kind in (*TEXTS, "json", "jsonb", "interval", "xml", *_RANGES):
            if psycopg.adapters.types.get(kind):
                driver.adapters.register_loader(kind, _Text)
        for kind in TIMES:
            driver.adapters.register_loader(kind, _Time)
        driver.execute("SET jit = off")  # compiling a profile's many expressions takes longer than running them
        if self._view is None:
            driver.execute(BEGIN)
        else:
            self._view.begin(driver)
        self._driver = driver
        self._seconds: float | None = None

    def fetch(self, sql: str, seconds: float | None = None, limit: int | None = None) -> Rows:
        """Run *sql* and return its rows, encoded; see ``Engine``."""
        if self._driver.closed:
            self._return()
        driver = self._driver
        try:
            if seconds != self._seconds:
                driver.execute(f"SET LOCAL statement_timeout = {int((seconds or 0) * 1000)}")
                self._seconds = seconds
            driver.execute("SAVEPOINT cataloger")  # a failed query must not end the transaction
            # Prepared: the server then takes one statement and no more.
            cursor = driver.execute(sql if limit is None else _limited(sql, limit), prepare=True)
            names = [item.name for item in cursor.description or ()]
            rows = cursor.fetchall() if cursor.description else []
            if limit is not None:  # what it set, such as a search path, is no business of the next one's
                driver.execute("ROLLBACK TO SAVEPOINT cataloger")
            driver.execute("RELEASE SAVEPOINT cataloger")
        except psycopg.Error as error:
            if driver.closed:
                raise self._lost() from error
            try:
                driver.execute("ROLLBACK TO SAVEPOINT cataloger")
            except psycopg.Error as lost:
                if driver.closed:
                    raise self._lost() from lost
                raise DatabaseProblem(f"the transaction was ended by the server: {one_line(lost)}") from lost
            self._seconds = None  # the rollback took a new timeout back as well
            if isinstance(error, psycopg.errors.QueryCanceled) and "statement timeout" in str(error):
                raise QueryFailed(f"took longer than {seconds:g} s", late=True) from error
            if isinstance(error, psycopg.errors.LockNotAvailable):
                raise QueryFailed("another session holds it locked", late=True) from error
            raise QueryFailed(one_line(error)) from error
        return Rows(names, encode_rows(rows))

    def interrupt(self) -> None:
        """End the query that runs, if one does; it is called from another thread."""
        with contextlib.suppress(psycopg.Error):
            self._driver.cancel_safe(timeout=CANCEL_SECONDS)

    def _lost(self) -> QueryFailed:
        """Come back, and return what is said of the query in which the connection was lost."""
        self._return()
        return QueryFailed("the connection to the server was lost", lost=True)

    def _return(self) -> None:
        """Go on over another connection.

        Raises:
            DatabaseProblem: there is none.
        """
        if self._view is None:
            raise DatabaseProblem(LOST)
        self._driver.close()
        self._losses += 1
        self._view.again(self._begin, self._losses)

    def expect(self, rows: int | None, confined: bool = False) -> None:
        """Do nothing: any number of rows is read alike; see ``Engine``."""

    def spoken(self, sql: str) -> str:
        """Return *sql* itself; see ``Engine``."""
        return sql

    def catalog(
        self, run: Callable[[str], Rows], schemas: Sequence[str] | None
    ) -> tuple[list[Relation], list[ForeignKey], list[tuple[str, str]]]:
        """Read what is there; see ``Engine``."""
        where = f" AND n.nspname IN ({', '.join(map(literal, schemas)) or 'NULL'})" if schemas is not None else ""
        relations: dict[tuple[str, str], Relation] = {}
        left_out: list[tuple[str, str]] = []
        for row in run(_LISTING.format(where=where)).dicts():
            schema, name = str(row["schema_name"]), str(row["table_name"])
            canonical = name if schema == self.default_schema else f"{schema}.{name}"
            if row["part"]:
                left_out.append((canonical, "a partition, measured as a part of its table"))
                continue
            relation = Relation(
                schema=schema,
                name=name,
                canonical=canonical,
                kind="view" if row["relkind"] in ("v", "m") else "table",
                comment=str(row["comment"]) if row["comment"] else None,
                fixed=bool(row["fixed"]),
                parts=bool(row["parts"]),
                size=int(str(row["pages"] or 0)),
                # Longer values are kept outside of the table; they may be pressed together.
                long=int(str(row["outside"] or 0)) > LONG_BYTES // 512,
            )
            if not row["open"]:
                relation.unreadable = f"the role has no USAGE right on schema {schema}"
            elif not row["readable"]:
                relation.unreadable = "the role has no SELECT right on it"
            relations[schema, name] = relation
        for row in run(_COLUMNS.format(where=where)).dicts():
            if owner := relations.get((str(row["schema_name"]), str(row["table_name"]))):
                owner.fields.append(_field(owner, row))
        _expect(run, where, relations)
        for row in run(_KEYS.format(where=where)).dicts():
            owner = relations.get((str(row["schema_name"]), str(row["table_name"])))
            columns = row["columns"]
            if owner is None or not isinstance(columns, list):
                continue
            if row["is_primary"]:
                owner.primary_key = columns
            else:
                owner.unique.append(columns)
        foreign = []
        for row in run(_FOREIGN.format(where=where)).dicts():
            source = relations.get((str(row["schema_name"]), str(row["table_name"])))
            target = relations.get((str(row["to_schema"]), str(row["to_table"])))
            columns, to_columns = row["columns"], row["to_columns"]
            if source and target and isinstance(columns, list) and isinstance(to_columns, list):
                foreign.append(ForeignKey(source.canonical, columns, target.canonical, to_columns))
        return list(relations.values()), foreign, left_out

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
            how = "by a hash of its place" if relation.parts else "by chance (TABLESAMPLE BERNOULLI)"
            return f"each row {how}, the same rows again as long as the table is unchanged"
        return "each row by chance (random()), others each time"

    def weighing(self, relation: Relation) -> str | None:
        """Return the query for the bytes of the columns; see ``Engine``."""
        if not relation.long:
            return None
        sizes: dict[FieldKind, str] = {"text": "octet_length({}::text)", "binary": "octet_length({})"}
        sizes["nested"] = "pg_column_size({})"  # pressed together, but known without reading the value
        return weighing(
            relation, path(relation), lambda column: sizes.get(column.kind, "").format(quote(column.name)) or None
        )

    def alone(self, relation: Relation, rows: int | None) -> bool:  # noqa: ARG002
        """Say no: each connection has a process of the server; see ``Engine``."""
        return False

    def narrow(self, relation: Relation) -> bool:  # noqa: ARG002
        """Do nothing: it holds one row at a time; see ``Engine``."""
        return False

    def drawn(self, relation: Relation, outputs: Sequence[str], share: float) -> str:
        """Return the query for some of the rows; see ``Engine``."""
        return drawn(relation, outputs, share)

    def spread(self, relation: Relation, rows: int, count: int) -> str:
        """Return what to read some rows from; see ``Engine``."""
        if rows <= count or not relation.fixed:
            return path(relation)
        # Whole pages of a large table, some rows of all pages of a small one.
        how = "SYSTEM" if rows > 50 * count else "BERNOULLI"
        return f"{path(relation)} TABLESAMPLE {how} ({min(100.0, 120 * count / rows):.6f}) REPEATABLE (1)"

    def matches(self, text: str, pattern: str) -> str:
        """Return the condition of a match; see ``Engine``."""
        return f"{text} ~ {literal(pattern)}"

    def matching(self, fields: Sequence[Field], source: str, holds: Callable[[str], str]) -> str:
        """Return the query for the texts that meet a condition; see ``Engine``."""
        return matching(fields, source, holds)

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


def _limited(sql: str, limit: int) -> str:
    """Return *sql* so that the server sends *limit* rows at most; only a query can be wrapped so.

    Raises:
        QueryFailed: it is no query.
    """
    if not _QUERY.match(sql):
        raise QueryFailed(ONE_QUERY)
    return f"SELECT * FROM ({sql.rstrip().rstrip(';')}\n) AS q LIMIT {limit}"


def _expect(run: Callable[[str], Rows], where: str, relations: Mapping[tuple[str, str], Relation]) -> None:
    """Mark the columns of few values and of no nulls as far as the server has statistics, and lets them be read."""
    try:
        rows = run(_EXPECTED.format(where=where.replace("n.nspname", "n.schemaname"))).dicts()
    except QueryFailed as error:
        if error.lost:
            raise
        return
    expected = {(str(row["schema_name"]), str(row["table_name"]), str(row["column_name"])): row for row in rows}
    for (schema, table), relation in relations.items():
        for column in relation.fields:
            if row := expected.get((schema, table, column.name)):
                column.few, column.full = bool(row["few"]), bool(row["filled"])


def _field(relation: Relation, row: dict[str, Value]) -> Field:
    base, family, category = str(row["base"]), str(row["family"]), str(row["category"])
    return Field(
        index=len(relation.fields),
        name=str(row["column_name"]),
        type=str(row["type"]),
        kind=_kind(base, family, category),
        nullable=bool(row["nullable"]) if relation.kind == "table" else None,
        comment=str(row["comment"]) if row["comment"] else None,
        floating=base in (*FLOATS, "numeric"),
        integer=base in INTEGERS,
        readable=bool(row["readable"]),
        domain=bool(row["domain"]),
        loose=bool(row["loose"]) or base == "citext",
        base="enum" if family == "e" else base,
    )


def _kind(base: str, family: str, category: str) -> FieldKind:
    if category == "A" or family == "c" or base in _NESTED:
        return "nested"
    if base in (*INTEGERS, *FLOATS, "numeric"):
        return "number"
    if base in TIMES:
        return "time"
    if base in TEXTS:
        return "text"
    return {"bool": "boolean", "bytea": "binary"}.get(base, "other")  # type: ignore[return-value]
