"""SQLite: its connection and its catalog. The SQL of profiles is ``lite_profile``'s."""

import json
import math
import re
import sqlite3
from collections.abc import Callable, Sequence
from typing import Any

from cataloger_sandbox.encode import Value, encode, encode_rows
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
    matching,
    one_line,
    output,
    quote,
    weighing,
)
from cataloger_sandbox.engines.estimate import sample_error
from cataloger_sandbox.engines.lite_profile import STEPS, drawn, kind_of, note, row_number

_LISTS = re.compile(r"c\d+_(?:tops|counts)")
_ASKING = {sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_FUNCTION, sqlite3.SQLITE_RECURSIVE}
_ASKING_PRAGMAS = {"table_info", "table_xinfo", "table_list", "index_list", "index_info", "foreign_key_list"}

_LISTING = """\
SELECT count(*) OVER () AS tables, name, type
FROM sqlite_master WHERE type IN ('table', 'view') AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' ORDER BY name"""

_KINDS = "SELECT name, type, wr FROM pragma_table_list WHERE schema = 'main' ORDER BY name"

_COLUMNS = """\
SELECT m.name AS table_name, c.name AS column_name, c.type, c."notnull" AS filled, c.pk
FROM sqlite_master AS m, pragma_table_xinfo(m.name) AS c
WHERE m.type IN ('table', 'view') AND c.hidden <> 1{where} ORDER BY m.name, c.cid"""

_INDEXES = """\
SELECT m.name AS table_name, i.name AS index_name, c.name AS column_name
FROM sqlite_master AS m, pragma_index_list(m.name) AS i, pragma_index_info(i.name) AS c
WHERE m.type = 'table' AND i."unique" AND NOT i.partial{where} ORDER BY m.name, i.seq DESC, c.seqno"""

_FOREIGN = """\
SELECT m.name AS table_name, f.id, f."table" AS to_table, f."from" AS column_name, f."to" AS to_column
FROM sqlite_master AS m, pragma_foreign_key_list(m.name) AS f
WHERE m.type = 'table'{where} ORDER BY m.name, f.id DESC, f.seq"""


class LiteEngine:
    """An open SQLite file, in one transaction."""

    searched = 600_000
    rows_first = False
    default_schema = "main"

    def __init__(self, driver: sqlite3.Connection) -> None:
        self._driver = driver
        driver.text_factory = lambda data: data.decode("utf-8", "replace")
        try:
            driver.execute("SELECT sqrt(1)")
        except sqlite3.Error:  # built without the mathematical functions
            driver.create_function("sqrt", 1, lambda x: math.sqrt(x) if x is not None else None, deterministic=True)
        # SQLite has the operator, and its shell has one like it; what it means is up to the application.
        driver.create_function("regexp", 2, _fits, deterministic=True)
        driver.execute("BEGIN")
        self.label = f"sqlite {sqlite3.sqlite_version}"
        self.steps: Sequence[Step] = STEPS

    def fetch(self, sql: str, seconds: float | None = None, limit: int | None = None) -> Rows:
        """Run *sql* and return its rows, encoded; see ``Engine``."""
        try:
            with interrupting(self._driver.interrupt, seconds):
                if limit is not None:
                    self._driver.set_authorizer(_allow)
                cursor = self._driver.execute(sql)
                rows = cursor.fetchall() if limit is None else cursor.fetchmany(limit)
                names = [item[0] for item in cursor.description or ()]
                cursor.close()
        except (sqlite3.Error, sqlite3.Warning, ValueError, OverflowError) as error:
            if "not authorized" in str(error):
                raise QueryFailed(ONE_QUERY) from error
            if "interrupted" in str(error):
                raise QueryFailed(f"took longer than {seconds:g} s", late=True) from error
            raise QueryFailed(one_line(error)) from error
        finally:
            self._driver.set_authorizer(None)
        if not any(map(_LISTS.fullmatch, names)):
            return Rows(names, encode_rows(rows))
        return Rows(names, [[_encode(value, name) for value, name in zip(row, names, strict=True)] for row in rows])

    def interrupt(self) -> None:
        """End the query that runs, if one does; it is called from another thread."""
        self._driver.interrupt()

    def expect(self, rows: int | None, confined: bool = False) -> None:
        """Do nothing: any number of rows is read alike; see ``Engine``."""

    def spoken(self, sql: str) -> str:
        """Return *sql* itself; see ``Engine``."""
        return sql

    def catalog(
        self, run: Callable[[str], Rows], schemas: Sequence[str] | None
    ) -> tuple[list[Relation], list[ForeignKey], list[tuple[str, str]]]:
        """Read what is there; see ``Engine``."""
        listed = run(_LISTING).dicts()
        if schemas is not None and self.default_schema not in schemas:
            return [], [], []
        try:
            kinds = {str(row["name"]): (row["type"], row["wr"]) for row in self.fetch(_KINDS).dicts()}
        except QueryFailed:  # before SQLite 3.37
            kinds = {}
        relations: dict[str, Relation] = {}
        left_out: list[tuple[str, str]] = []
        for row in listed:
            name = str(row["name"])
            if kinds.get(name, ("", 0))[0] == "shadow":
                left_out.append((name, "it only stores the index of a virtual table"))
            else:
                kind = "view" if row["type"] == "view" else "table"
                fixed = kinds.get(name) == ("table", 0)  # with rowids
                relations[name] = Relation("main", name, name, kind, fixed=fixed)  # type: ignore[arg-type]
        keyed: dict[str, list[tuple[int, str]]] = {}
        for row in _each(run, _COLUMNS, relations.values(), blame=True):
            relation = relations.get(str(row["table_name"]))
            if relation is None:
                continue
            if row["pk"]:
                keyed.setdefault(relation.name, []).append((int(str(row["pk"])), str(row["column_name"])))
            relation.fields.append(_field(relation, row))
        for name, columns in keyed.items():
            relations[name].primary_key = [column for _, column in sorted(columns)]
        indexes: dict[tuple[str, str], list[Value]] = {}
        for row in _each(run, _INDEXES, relations.values()):
            indexes.setdefault((str(row["table_name"]), str(row["index_name"])), []).append(row["column_name"])
        for (name, _), indexed in indexes.items():
            if name in relations and all(isinstance(column, str) for column in indexed):
                relations[name].unique.append([str(column) for column in indexed])
        return list(relations.values()), _foreign_keys(run, relations), left_out

    def describe(self, column: Field, facts: Facts) -> Described:
        """Say what *column* holds."""
        kind = kind_of(column, facts)
        first, last = (facts.get(output(column, end)) for end in ("first", "last"))
        declared, found = column.type, {str(item) for item in (first, last) if item and item != "null"}
        if not found or (declared and found <= _expected(column)):
            shown = declared or (" or ".join(sorted(found)) or "any")
        elif not declared:
            shown = " or ".join(sorted(found))
        elif found & _expected(column):
            shown = f"{declared} (also {' and '.join(sorted(found - _expected(column)))})"
        else:
            shown = f"{declared} (holds {' and '.join(sorted(found))})"
        return Described(kind, shown, note(column, facts, kind))

    def quantiles_error(self, plan: Plan, column: Field, facts: Facts) -> float | None:  # noqa: ARG002
        """Return the rank error of quantiles; see ``Engine``."""
        return sample_error(column, facts)

    def distinct_error(self, plan: Plan, column: Field, facts: Facts) -> float | None:  # noqa: ARG002
        """Return nothing: what is counted is counted one by one."""
        return None

    def sampling(self, relation: Relation) -> str:
        """Say how a sample is drawn; see ``Engine``."""
        if row_number(relation):
            return "each row by a hash of its rowid, the same rows again as long as the table is unchanged"
        return "each row by chance (random()), others each time"

    def weighing(self, relation: Relation) -> str | None:
        """Return the query for the bytes of the columns; see ``Engine``."""
        [[size]] = self.fetch("SELECT page_count * page_size FROM pragma_page_count, pragma_page_size").rows
        if not isinstance(size, int) or size < LONG_BYTES:
            return None
        return weighing(
            relation,
            quote(relation.name),
            lambda column: None if column.base in ("integer", "real", "numeric") else f"length({quote(column.name)})",
        )

    def alone(self, relation: Relation, rows: int | None) -> bool:  # noqa: ARG002
        """Say no: each connection reads by itself; see ``Engine``."""
        return False

    def narrow(self, relation: Relation) -> bool:  # noqa: ARG002
        """Do nothing: it holds one row at a time; see ``Engine``."""
        return False

    def drawn(self, relation: Relation, outputs: Sequence[str], share: float) -> str:
        """Return the query for some of the rows; see ``Engine``."""
        return drawn(relation, outputs, share)

    def spread(self, relation: Relation, rows: int, count: int) -> str:
        """Return what to read some rows from; see ``Engine``."""
        path, row = quote(relation.name), row_number(relation)
        if rows <= count or row is None:
            return path
        # From places at even distances, the next row each: a search in the table's tree, whatever gaps it has.
        ends = f"SELECT min({row}) AS low, max({row}) AS high FROM {path}"
        steps = f"SELECT 0 AS n UNION ALL SELECT n + 1 FROM steps WHERE n < {count - 1}"
        place = f"e.low + (e.high - e.low) / {count} * s.n + (e.high - e.low) % {count} * s.n / {count}"
        nearest = f"SELECT (SELECT min({row}) FROM {path} WHERE {row} >= {place}) FROM steps AS s, ends AS e"
        return f"{path}\nWHERE {row} IN (WITH RECURSIVE ends AS ({ends}), steps AS ({steps}) {nearest})"

    def matches(self, text: str, pattern: str) -> str:
        """Return the condition of a match; see ``Engine``."""
        return f"{text} REGEXP {literal(pattern)}"

    def matching(self, fields: Sequence[Field], source: str, holds: Callable[[str], str]) -> str:
        """Return the query for the texts that meet a condition; see ``Engine``."""
        return matching(fields, source, holds)

    def quote(self, name: str) -> str:
        """Return *name* as an identifier."""
        return quote(name)

    def path(self, relation: Relation) -> str:
        """Return the relation's name as SQL."""
        return quote(relation.name)

    def missing(self, columns: Sequence[str], table: str, keys: Sequence[str]) -> str:
        """Return the condition of an orphan; see ``Engine``."""
        # NOT EXISTS reads the whole table for every row, and so does NOT IN, which looks for nulls among the
        # keys; IN under CASE, where null and false are one, looks into the index that is made for the query.
        filled = " AND ".join(f"{key} IS NOT NULL" for key in keys)
        mine, theirs = ", ".join(columns), ", ".join(keys)
        mine = f"({mine})" if len(columns) > 1 else mine
        return f"CASE WHEN {mine} IN (SELECT {theirs} FROM {table} WHERE {filled}) THEN 0 ELSE 1 END"

    def close(self) -> None:
        """Close the connection."""
        self._driver.close()


def _fits(pattern: str, value: object) -> bool:
    return isinstance(value, str) and re.search(pattern, value) is not None


def _allow(action: int, argument: str | None, *_: str | None) -> int:
    """Let a query read and nothing else: a temporary table would stand in for a real one in later queries."""
    asks = action in _ASKING or (action == sqlite3.SQLITE_PRAGMA and argument in _ASKING_PRAGMAS)
    # SQLite says so of itself when a query first names a pragma as a table; the file can't be written anyway.
    declares = action == sqlite3.SQLITE_UPDATE and argument == "sqlite_master"
    return sqlite3.SQLITE_OK if asks or declares else sqlite3.SQLITE_DENY


def _each(run: Callable[[str], Rows], sql: str, relations: Any, blame: bool = False) -> list[dict[str, Value]]:
    """Run *sql* for all tables at once, or, where one of them breaks it, table by table."""
    try:
        return run(sql.format(where="")).dicts()
    except QueryFailed:
        rows: list[dict[str, Value]] = []
        for relation in relations:
            try:
                rows += run(sql.format(where=f" AND m.name = {literal(relation.name)}")).dicts()
            except QueryFailed as error:
                if blame:
                    relation.unreadable = f"it can't be read: {error}"
        return rows


def _field(relation: Relation, row: dict[str, Value]) -> Field:
    declared = str(row["type"] or "")
    affinity = _affinity(declared)
    kinds: dict[str, FieldKind] = {"integer": "number", "real": "number", "text": "text", "blob": "binary"}
    timed = bool(re.search(r"date|time", declared, re.IGNORECASE))
    return Field(
        index=len(relation.fields),
        name=str(row["column_name"]),
        type=declared.lower(),
        kind="time" if timed else kinds.get(affinity, "number" if declared else "other"),
        nullable=None if relation.kind == "view" else not row["filled"] and not row["pk"],
        integer=affinity == "integer",
        base=affinity,
    )


def _affinity(declared: str) -> str:
    """Return the affinity of a declared type, by SQLite's own rules."""
    upper = declared.upper()
    if "INT" in upper:
        return "integer"
    if any(word in upper for word in ("CHAR", "CLOB", "TEXT")):
        return "text"
    if "BLOB" in upper or not upper:
        return "blob"
    if any(word in upper for word in ("REAL", "FLOA", "DOUB")):
        return "real"
    return "numeric"


def _expected(column: Field) -> set[str]:
    if column.kind == "time":
        return {"integer", "real", "text"}
    return {
        "integer": {"integer"},
        "real": {"real"},
        "numeric": {"integer", "real"},
        "text": {"text"},
        "blob": {"blob"},
    }[column.base]


def _foreign_keys(run: Callable[[str], Rows], relations: dict[str, Relation]) -> list[ForeignKey]:
    by_lower = {name.lower(): relation for name, relation in relations.items()}
    grouped: dict[tuple[str, int], list[dict[str, Value]]] = {}
    for row in _each(run, _FOREIGN, relations.values()):
        grouped.setdefault((str(row["table_name"]), int(str(row["id"]))), []).append(row)
    keys = []
    for (name, _), rows in grouped.items():
        source, target = relations.get(name), by_lower.get(str(rows[0]["to_table"]).lower())
        if source is None or target is None:
            continue
        named = [str(row["to_column"]) for row in rows if row["to_column"]]
        to_columns = _spelled(named, target) if named else target.primary_key or []
        columns = _spelled([str(row["column_name"]) for row in rows], source)
        if columns and len(columns) == len(to_columns):
            keys.append(ForeignKey(source.canonical, columns, target.canonical, to_columns))
    return keys


def _spelled(columns: list[str], relation: Relation) -> list[str]:
    """Return *columns* as the table spells them (SQLite does not tell cases apart), or nothing if one is missing."""
    spelled = {column.name.lower(): column.name for column in relation.fields}
    if any(column.lower() not in spelled for column in columns):
        return []
    return [spelled[column.lower()] for column in columns]


def _encode(value: Any, name: str) -> Value:
    if isinstance(value, str) and _LISTS.fullmatch(name):
        # SQLite writes infinity in a way of its own.
        listed = json.loads(re.sub(r"(?<=\d,)(-?)Inf(?=\])", r"\1Infinity", value))
        return [encode(item) for _, item in sorted(listed, key=lambda pair: int(pair[0]))]
    return encode(value)
