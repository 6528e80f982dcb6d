"""PostgreSQL: its catalog and its SQL for profiles."""

import re
from collections.abc import Callable, Sequence
from typing import Any

import psycopg
from psycopg.adapt import Loader

from cataloger_sandbox.encode import Value, encode, iso, number
from cataloger_sandbox.engines.base import (
    CUT,
    EXACT_ROWS,
    ONE_QUERY,
    SHARES,
    TOP,
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
    bins,
    counts,
    literal,
    not_exists,
    one_line,
    output,
    quote,
)
from cataloger_sandbox.errors import DatabaseProblem

_INTEGERS = ("int2", "int4", "int8")
_FLOATS = ("float4", "float8")
_TIMES = ("date", "timestamp", "timestamptz", "time", "timetz")
_DATED = ("date", "timestamp", "timestamptz")
_TEXTS = ("text", "varchar", "bpchar", "citext", "name")
_NESTED = ("json", "jsonb", "hstore", "tsvector", "xml")
_ORDERED = ("interval", "inet", "cidr", "money", "pg_lsn")
_RANGES = [
    f"{kind}{shape}" for kind in ("int4", "int8", "num", "date", "ts", "tstz") for shape in ("range", "multirange")
]

# The first word after spaces, parentheses and comments.
_QUERY = re.compile(r"(?:[\s(]|--[^\n]*(?:\n|$)|/\*.*?\*/)*(?:select|with|values|table)\b", re.IGNORECASE | re.DOTALL)

_OURS = "n.nspname NOT LIKE 'pg\\_%' AND n.nspname <> 'information_schema'"

_LISTING = f"""\
SELECT count(*) FILTER (WHERE NOT c.relispartition) OVER () AS tables,
  n.nspname AS schema_name, c.relname AS table_name, c.relkind,
  obj_description(c.oid, 'pg_class') AS comment, c.relispartition AS part,
  has_schema_privilege(n.oid, 'USAGE') AS open, has_any_column_privilege(c.oid, 'SELECT') AS readable
FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND {_OURS}{{where}} ORDER BY 2, 3"""

_COLUMNS = f"""\
SELECT n.nspname AS schema_name, c.relname AS table_name, a.attname AS column_name,
  format_type(a.atttypid, a.atttypmod) AS type, NOT a.attnotnull AS nullable,
  col_description(c.oid, a.attnum) AS comment,
  has_column_privilege(c.oid, a.attnum, 'SELECT') AS readable,
  t.typtype = 'd' AS domain, b.typname AS base, b.typtype AS family, b.typcategory AS category
FROM pg_attribute AS a JOIN pg_class AS c ON c.oid = a.attrelid JOIN pg_namespace AS n ON n.oid = c.relnamespace
JOIN pg_type AS t ON t.oid = a.atttypid
JOIN pg_type AS b ON b.oid = CASE WHEN t.typtype = 'd' THEN t.typbasetype ELSE t.oid END
WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND a.attnum > 0 AND NOT a.attisdropped AND {_OURS}{{where}}
ORDER BY 1, 2, a.attnum"""

_KEYS = f"""\
SELECT n.nspname AS schema_name, c.relname AS table_name, i.indisprimary AS is_primary,
  (SELECT array_agg(a.attname::text ORDER BY k.o) FROM unnest(i.indkey::int2[]) WITH ORDINALITY AS k (n, o)
   JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum = k.n WHERE k.o <= i.indnkeyatts) AS columns
FROM pg_index AS i JOIN pg_class AS c ON c.oid = i.indrelid JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE i.indisunique AND i.indisvalid AND i.indpred IS NULL AND i.indexprs IS NULL AND {_OURS}{{where}}
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

    exact_only = True
    quantiles_error: float | None = None

    def __init__(self, driver: Any) -> None:
        self._driver = driver
        self._seconds: float | None = None
        for kind in (*_TEXTS, "json", "jsonb", "interval", "xml", *_RANGES):
            if psycopg.adapters.types.get(kind):
                driver.adapters.register_loader(kind, _Text)
        for kind in _TIMES:
            driver.adapters.register_loader(kind, _Time)
        driver.execute("SET jit = off")  # compiling a profile's many expressions takes longer than running them
        driver.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        version = str(driver.execute("SHOW server_version").fetchone()[0])
        self.label = f"postgres {version.split()[0]}"
        found = driver.execute(
            "SELECT CASE WHEN EXISTS (SELECT FROM pg_namespace WHERE nspname = 'public') "
            "THEN 'public' ELSE coalesce(current_schema()::text, 'public') END"
        ).fetchone()
        self.default_schema = str(found[0])
        self.steps: Sequence[Step] = (
            Step(lambda *_: True, _scan, 40, "its profile", first=True, minimal=_counts),
            Step(_wants_values, _values, 20, "its distinct values, quantiles, top values and histogram"),
        )

    def fetch(self, sql: str, seconds: float | None = None, limit: int | None = None) -> Rows:
        """Run *sql* and return its rows, encoded; see ``Engine``."""
        driver = self._driver
        if driver.closed:
            raise DatabaseProblem("the connection to the server was lost in the middle: try again")
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
                raise DatabaseProblem("the connection to the server was lost in the middle: try again") from error
            try:
                driver.execute("ROLLBACK TO SAVEPOINT cataloger")
            except psycopg.Error as lost:
                raise DatabaseProblem(f"the transaction was ended by the server: {one_line(lost)}") from lost
            self._seconds = None  # the rollback took a new timeout back as well
            if isinstance(error, psycopg.errors.QueryCanceled) and "statement timeout" in str(error):
                raise QueryFailed(f"took longer than {seconds:g} s", late=True) from error
            if isinstance(error, psycopg.errors.LockNotAvailable):
                raise QueryFailed("another session holds it locked", late=True) from error
            raise QueryFailed(one_line(error)) from error
        return Rows(names, [[encode(value) for value in row] for row in rows])

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
            )
            if not row["open"]:
                relation.unreadable = f"the role has no USAGE right on schema {schema}"
            elif not row["readable"]:
                relation.unreadable = "the role has no SELECT right on it"
            relations[schema, name] = relation
        for row in run(_COLUMNS.format(where=where)).dicts():
            if owner := relations.get((str(row["schema_name"]), str(row["table_name"]))):
                owner.fields.append(_field(owner, row))
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

    def describe(self, column: Field, facts: Facts) -> Described:
        """Say what *column* holds."""
        note = None
        if not _small(facts):
            note = f"more than {EXACT_ROWS:,} rows: distinct values, quantiles and top values are not counted"
        return Described(column.kind, column.type, note)

    def quote(self, name: str) -> str:
        """Return *name* as an identifier."""
        return quote(name)

    def path(self, relation: Relation) -> str:
        """Return the relation's name as SQL."""
        return _path(relation)

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


def _field(relation: Relation, row: dict[str, Value]) -> Field:
    base, family, category = str(row["base"]), str(row["family"]), str(row["category"])
    return Field(
        index=len(relation.fields),
        name=str(row["column_name"]),
        type=str(row["type"]),
        kind=_kind(base, family, category),
        nullable=bool(row["nullable"]) if relation.kind == "table" else None,
        comment=str(row["comment"]) if row["comment"] else None,
        floating=base in (*_FLOATS, "numeric"),
        integer=base in _INTEGERS,
        readable=bool(row["readable"]),
        domain=bool(row["domain"]),
        base="enum" if family == "e" else base,
    )


def _kind(base: str, family: str, category: str) -> FieldKind:
    if category == "A" or family == "c" or base in _NESTED:
        return "nested"
    if base in (*_INTEGERS, *_FLOATS, "numeric"):
        return "number"
    if base in _TIMES:
        return "time"
    if base in _TEXTS:
        return "text"
    return {"bool": "boolean", "bytea": "binary"}.get(base, "other")  # type: ignore[return-value]


def _path(relation: Relation) -> str:
    return f"{quote(relation.schema)}.{quote(relation.name)}"


def _finite(column: Field, word: str = "FILTER (WHERE {})") -> str:
    """Return the condition that keeps NaN and infinities out, in *word*, or nothing where there can't be any."""
    name = quote(column.name)
    if column.kind == "number" and column.floating:
        # A numeric of fixed precision holds no infinity, and before PostgreSQL 14 none did.
        unlike = ["NaN"] if "(" in column.type else ["NaN", "Infinity", "-Infinity"]
        condition = f"{name} NOT IN ({', '.join(map(literal, unlike))})"
    elif column.base in _DATED:
        condition = f"isfinite({name})"
    else:
        return ""
    return " " + word.format(condition)


def _counts(plan: Plan, fields: Sequence[Field], _facts: Facts) -> str:
    return counts(_path(plan.relation), fields)


def _scan(plan: Plan, fields: Sequence[Field], _facts: Facts) -> str:
    outputs = ["count(*) AS rows"]
    if plan.newest and plan.newest in fields:
        name = quote(plan.newest.name)
        zone = "+00" if plan.newest.base == "timestamptz" else ""
        kind = "timestamptz" if zone else "timestamp"
        outputs.append(f"max({name}) FILTER (WHERE {name} <= {kind} '{plan.now}{zone}') AS newest")
    for column in fields:
        name = quote(column.name)
        measures = {"nulls": f"count(*) - count({name})"}
        if plan.values:
            measures |= _aggregates(column, name)
        outputs += [f"{sql} AS {output(column, fact)}" for fact, sql in measures.items()]
    return "SELECT " + ",\n  ".join(outputs) + f"\nFROM {_path(plan.relation)}"


def _aggregates(column: Field, name: str) -> dict[str, str]:
    if column.kind == "number":
        finite = _finite(column)
        measures = {"min": f"min({name})", "max": f"max({name})"}
        measures |= {"mean": f"avg({name}){finite}", "std": f"stddev_samp({name}){finite}"}
        if column.base != "float8":
            measures |= {fact: f"({measures[fact]})::float8" for fact in ("mean", "std")}
        if column.floating:
            measures["infinite"] = f"count({name}) - count({name}){finite}"
        return measures
    if column.kind == "time" or column.base in (*_ORDERED, "enum"):
        return {"min": f"min({name})", "max": f"max({name})"}
    if column.kind == "text":
        return {
            "min": f"left(min({name})::text, {CUT})",
            "max": f"left(max({name})::text, {CUT})",
            **_lengths(f"length({name})"),
        }
    return _lengths(f"octet_length({name})") if column.kind == "binary" else {}


def _lengths(length: str) -> dict[str, str]:
    return {
        "min_length": f"min({length})",
        "max_length": f"max({length})",
        "mean_length": f"avg({length})::float8",
    }


def _small(facts: Facts) -> bool:
    return int(str(facts.get("rows") or 0)) <= EXACT_ROWS


def _wants_values(_plan: Plan, column: Field, facts: Facts) -> bool:
    return _small(facts) and facts.get(output(column, "nulls")) is not None


def _values(plan: Plan, fields: Sequence[Field], facts: Facts) -> str:
    pieces = []
    for column in fields:
        pieces.append(_grouped(plan, column))
        if plan.values and (piece := _bins(plan, column, facts)):
            pieces.append(piece)
    return "SELECT *\nFROM " + ",\n  ".join(f"{piece} AS t{i}" for i, piece in enumerate(pieces))


def _grouped(plan: Plan, column: Field) -> str:
    """Return the subquery over a column's distinct values: how many, the most frequent, the quantiles."""
    name, table = quote(column.name), _path(plan.relation)
    # Types without equality are compared by their text.
    comparable = column.kind not in ("nested", "other") or column.base in (*_ORDERED, "enum", "uuid")
    value = name if comparable else f"{name}::text"
    if column.domain and comparable:
        value = f"{name}::{column.base}"  # an array of a domain's values would come back as one text
    groups = f"SELECT {value} AS v, count(*) AS n FROM {table} WHERE {name} IS NOT NULL GROUP BY 1"
    if not plan.values or column.kind in ("nested", "binary"):
        return f"(SELECT count(*) AS {output(column, 'distinct')} FROM ({groups}) AS g)"
    outputs = {"distinct": "count(*)"}
    order = 'v COLLATE "C"' if column.kind == "text" or not comparable else "v"
    windows = [f"row_number() OVER (ORDER BY n DESC, {order}) AS r"]
    native = column.kind != "text" and (column.kind != "other" or column.base in (*_ORDERED, "uuid"))
    shown = "v" if native else f"left(v::text, {CUT})"
    if column.kind in ("number", "time"):
        kept = _finite(column, "WHERE {}").replace(name, "v")
        over = _finite(column).replace(name, "v")
        windows += [f"sum(n){over} OVER (ORDER BY v) AS u", f"sum(n){over} OVER () AS t"]
        also = kept.replace(" WHERE ", " AND ", 1)
        outputs |= {fact: f"min(v) FILTER (WHERE {share}{also})" for fact, share in SHARES.items()}
    outputs |= {
        "top": f"(array_agg({shown}) FILTER (WHERE r = 1))[1]",
        "top_count": "max(n) FILTER (WHERE r = 1)",
        "tops": f"array_agg({shown} ORDER BY r) FILTER (WHERE r <= {TOP})",
        "counts": f"array_agg(n ORDER BY r) FILTER (WHERE r <= {TOP})",
    }
    listed = ", ".join(f"{sql} AS {output(column, fact)}" for fact, sql in outputs.items())
    return f"(SELECT {listed} FROM (SELECT v, n, {', '.join(windows)} FROM ({groups}) AS g) AS w)"


def _bins(plan: Plan, column: Field, facts: Facts) -> str | None:
    low, high = facts.get(output(column, "min")), facts.get(output(column, "max"))
    if column.kind not in ("number", "time") or low is None or low == high or column.base == "timetz":
        return None
    name, table = quote(column.name), _path(plan.relation)
    first, last = number(low), number(high)
    source = f"{name}::float8" if column.kind == "number" else f"extract(epoch FROM {name})::float8"
    finite = _finite(column, "AND {}")
    count = bins(column, 0, 1e9)
    found = ""
    if column.kind == "number" and first is not None and last is not None:
        count = bins(column, first, last)
        a, b = f"{first!r}::float8", f"{last!r}::float8"
    else:
        ends = f"(SELECT {{}}({name}) FROM {table} WHERE {name} IS NOT NULL{finite})"
        a, b = (f"(SELECT {end}({source}) FROM {table} WHERE {name} IS NOT NULL{finite})" for end in ("min", "max"))
        if any("Infinity" in str(end) or end == "NaN" for end in (low, high)):
            found = (
                f", {ends.format('min')} AS {output(column, 'low')}, {ends.format('max')} AS {output(column, 'high')}"
            )
    inner = (
        f"SELECT least({count - 1}, floor(({source} - {a}) / nullif({b} - {a}, 0) * {count}))::int AS b, count(*) AS n "
        f"FROM {table} WHERE {name} IS NOT NULL{finite} GROUP BY 1"
    )
    return (
        f"(SELECT json_object_agg(b, n) AS {output(column, 'histogram')}, {count} AS {output(column, 'bins')}{found} "
        f"FROM ({inner}) AS h WHERE b IS NOT NULL)"
    )
