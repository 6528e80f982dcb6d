"""MySQL and MariaDB: their connection, their catalog, and how their texts are compared. Profiles are Ibis's.

Both take texts for equal that differ in case, accents or spaces at the end, as a column's collation has it. Values are
told apart here by their characters (``COLLATE``), as everywhere else; references alone are the database's own.
"""

import re
from collections.abc import Callable, Sequence
from decimal import Decimal
from functools import cached_property
from typing import Any

import pymysql
from pymysql.constants import CR, ER, FIELD_TYPE

from cataloger_sandbox.encode import Value, iso
from cataloger_sandbox.engines.base import (
    ONE_QUERY,
    Field,
    FieldKind,
    ForeignKey,
    Native,
    QueryFailed,
    Relation,
    Rows,
    literal,
)
from cataloger_sandbox.engines.losses import LOST, Losses
from cataloger_sandbox.engines.portable import PortableEngine
from cataloger_sandbox.engines.portable_profile import OPAQUE
from cataloger_sandbox.errors import DatabaseProblem
from cataloger_sandbox.mysql_backend import reading_backend

_QUERY = re.compile(
    r"(?:[\s(]|--\s[^\n]*(?:\n|$)|#[^\n]*(?:\n|$)|/\*(?!!).*?\*/)*(?:select|with|values|table)\b", re.I | re.S
)

_LATE = {ER.QUERY_TIMEOUT, ER.STATEMENT_TIMEOUT}
"""What MySQL and MariaDB say of a statement that ran out of time."""

_LOST = {CR.CR_SERVER_GONE_ERROR, CR.CR_SERVER_LOST, ER.SERVER_SHUTDOWN}

_LISTING = """\
SELECT COUNT(*) OVER () AS tables, TABLE_SCHEMA AS schema_name, TABLE_NAME AS table_name, TABLE_TYPE AS kind,
  TABLE_ROWS AS estimate, TABLE_COMMENT AS comment
FROM information_schema.TABLES WHERE TABLE_SCHEMA IN ({schemas}) ORDER BY 2, 3"""

_COLUMNS = """\
SELECT TABLE_SCHEMA AS schema_name, TABLE_NAME AS table_name, COLUMN_NAME AS column_name, DATA_TYPE AS base,
  COLUMN_TYPE AS type, IS_NULLABLE AS nullable, COLUMN_COMMENT AS comment, PRIVILEGES AS rights
FROM information_schema.COLUMNS WHERE TABLE_SCHEMA IN ({schemas}) ORDER BY 1, 2, ORDINAL_POSITION"""

# MariaDB's JSON is a text whose check says that it is some.
_JSON = """\
SELECT CONSTRAINT_SCHEMA AS schema_name, TABLE_NAME AS table_name, CONSTRAINT_NAME AS column_name
FROM information_schema.CHECK_CONSTRAINTS
WHERE CONSTRAINT_SCHEMA IN ({schemas}) AND CHECK_CLAUSE LIKE 'json\\_valid(%'"""

_KEYS = """\
SELECT TABLE_SCHEMA AS schema_name, TABLE_NAME AS table_name, INDEX_NAME AS index_name, COLUMN_NAME AS column_name,
  SUB_PART AS part
FROM information_schema.STATISTICS WHERE TABLE_SCHEMA IN ({schemas}) AND NON_UNIQUE = 0
ORDER BY 1, 2, INDEX_NAME <> 'PRIMARY', 3, SEQ_IN_INDEX"""

_FOREIGN = """\
SELECT TABLE_SCHEMA AS schema_name, TABLE_NAME AS table_name, CONSTRAINT_NAME AS constraint_name,
  COLUMN_NAME AS column_name, REFERENCED_TABLE_SCHEMA AS to_schema, REFERENCED_TABLE_NAME AS to_table,
  REFERENCED_COLUMN_NAME AS to_column
FROM information_schema.KEY_COLUMN_USAGE
WHERE TABLE_SCHEMA IN ({schemas}) AND REFERENCED_TABLE_NAME IS NOT NULL ORDER BY 1, 2, 3, ORDINAL_POSITION"""

_CHARSETS = """\
SELECT TABLE_SCHEMA, TABLE_NAME, COLUMN_NAME, CHARACTER_SET_NAME, COLLATION_NAME
FROM information_schema.COLUMNS WHERE COLLATION_NAME IS NOT NULL"""

_INTEGERS = ("tinyint", "smallint", "mediumint", "int", "bigint", "year")
_TEXTS = ("char", "varchar", "tinytext", "text", "mediumtext", "longtext", "enum", "set")
_BINARIES = ("binary", "varbinary", "tinyblob", "blob", "mediumblob", "longblob")
_COMPARED = ("time", "uuid", "inet4", "inet6")


class MySQLEngine(PortableEngine):
    """An open database of a MySQL or MariaDB server, in one read-only transaction with a snapshot of its own."""

    def __init__(self, driver: Any, losses: Losses | None = None) -> None:
        """Measure over *driver*; with *losses* a connection that is lost is opened again."""
        self._driver = driver
        self._losses = losses
        self._lost = 0
        driver.decoders = dict(_DECODERS)
        version = str(driver.get_server_info())
        self.is_mariadb = "mariadb" in version.lower()
        number = re.findall(r"\d+\.\d+\.\d+", version)[-1] if self.is_mariadb else version.split("-")[0]
        # Two texts are equal if all their characters are, the spaces at the end too.
        self._exact = "utf8mb4_nopad_bin" if self.is_mariadb else "utf8mb4_0900_bin"
        self._begin()
        with driver.cursor() as cursor:
            cursor.execute("SELECT DATABASE()")
            [[database]] = cursor.fetchall()
        name = "mariadb" if self.is_mariadb else "mysql"
        # Of what the driver itself raises ``rows`` makes the right errors.
        super().__init__(reading_backend(driver), f"{name} {number}", (UnicodeError, ValueError), str(database))

    def _begin(self) -> None:
        with self._driver.cursor() as cursor:
            cursor.execute(f"SET NAMES utf8mb4 COLLATE {self._exact}")
            cursor.execute("START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY")
        self._seconds: float | None = None

    def _return(self) -> None:
        """Go on over another connection, which sees the data as they are then.

        Raises:
            DatabaseProblem: there is none.
        """
        if self._losses is None:
            raise DatabaseProblem(LOST)

        def reopen() -> None:
            self._driver.connect()
            self._begin()

        self.close()
        self._lost += 1
        self._losses.again(reopen, self._lost, (pymysql.Error,))
        self._losses.later = True

    def rows(self, sql: str, seconds: float | None, limit: int | None) -> tuple[list[str], list[Sequence[Any]]]:
        """Run *sql*; see ``PortableEngine``.

        Raises:
            DatabaseProblem: the connection is lost, and does not come back.
        """
        if not self._driver.open:
            self._return()
        if limit is not None and not _QUERY.match(sql):
            raise QueryFailed(ONE_QUERY)
        try:
            with self._driver.cursor() as cursor:
                if seconds != self._seconds:
                    cursor.execute(self._allow(seconds))
                    self._seconds = seconds
                if limit is not None:
                    cursor.execute(f"SET SESSION sql_select_limit = {limit}")
                try:
                    cursor.execute(sql)
                    found = list(cursor.fetchall())
                    names = [item[0] for item in cursor.description or ()]
                finally:
                    if limit is not None and self._driver.open:
                        cursor.execute("SET SESSION sql_select_limit = DEFAULT")
        except pymysql.Error as error:
            code = error.args[0] if error.args else 0
            if code in _LOST or not self._driver.open:
                self._return()
                raise QueryFailed("the connection to the server was lost", lost=True) from error
            if code in _LATE:
                raise QueryFailed(f"took longer than {seconds:g} s", late=True) from error
            raise QueryFailed(said(error)) from error
        return names, found

    def _allow(self, seconds: float | None) -> str:
        if self.is_mariadb:
            return f"SET SESSION max_statement_time = {seconds or 0:.3f}"
        return f"SET SESSION max_execution_time = {int((seconds or 0) * 1000)}"

    def exactly(self, schema: str | None, table: str, column: str) -> str | None:
        """Return what a column is compared by; see ``dialect``."""
        known = self._charsets.get((schema or self.default_schema, table, column))
        if known is None or known[1] == self._exact:
            return None
        text = "x" if known[0] == "utf8mb4" else "CONVERT(x USING utf8mb4)"
        return f"{text} COLLATE {self._exact}"

    @cached_property
    def _charsets(self) -> dict[tuple[str, str, str], tuple[str, str]]:
        """Return the character set and the collation of every column of text."""
        found = self.fetch(Native(_CHARSETS)).rows
        return {(str(row[0]), str(row[1]), str(row[2])): (str(row[3]), str(row[4])) for row in found}

    def catalog(
        self, run: Callable[[str], Rows], schemas: Sequence[str] | None
    ) -> tuple[list[Relation], list[ForeignKey], list[tuple[str, str]]]:
        """Read what is there; see ``Engine``. Without *schemas* that is the database that the URL names."""
        listed = (
            ", ".join(_text(name) for name in (schemas if schemas is not None else [self.default_schema])) or "NULL"
        )

        def ask(sql: str) -> list[dict[str, Value]]:
            return run(Native(sql.format(schemas=listed))).dicts()

        relations: dict[tuple[str, str], Relation] = {}
        left_out: list[tuple[str, str]] = []
        for row in ask(_LISTING):
            schema, name = str(row["schema_name"]), str(row["table_name"])
            canonical = name if schema == self.default_schema else f"{schema}.{name}"
            if row["kind"] == "SEQUENCE":
                left_out.append((canonical, "a sequence, which holds no data"))
                continue
            view = "VIEW" in str(row["kind"])
            relations[schema, name] = Relation(
                schema,
                name,
                canonical,
                "view" if view else "table",
                # What a view's comment says is that it is one, or why it can't be read.
                comment=None if view else str(row["comment"] or "") or None,
                estimate=row["estimate"] if isinstance(row["estimate"], int) else None,
            )
        for row in ask(_COLUMNS):
            if owner := relations.get((str(row["schema_name"]), str(row["table_name"]))):
                owner.fields.append(_field(owner, row))
        if self.is_mariadb:
            for row in ask(_JSON):
                if owner := relations.get((str(row["schema_name"]), str(row["table_name"]))):
                    for column in owner.fields:
                        if column.name == row["column_name"]:
                            column.kind, column.type = "nested", "json"
        for owner, columns, primary in _keys(relations, ask(_KEYS)):
            if primary:
                owner.primary_key = columns
            else:
                owner.unique.append(columns)
        return list(relations.values()), _foreign_keys(relations, ask(_FOREIGN)), left_out

    def close(self) -> None:
        """Close the connection."""
        if self._driver.open:
            self._driver.close()


def said(error: pymysql.Error) -> str:
    """Return the server's own words, without its number for them, on one line."""
    return " ".join(str(error.args[-1] if error.args else error).split())[:300]


def _keys(
    relations: dict[tuple[str, str], Relation], rows: Sequence[dict[str, Value]]
) -> list[tuple[Relation, list[str], bool]]:
    grouped: dict[tuple[str, str, str], list[dict[str, Value]]] = {}
    for row in rows:
        place = (str(row["schema_name"]), str(row["table_name"]), str(row["index_name"]))
        grouped.setdefault(place, []).append(row)
    # A part of a column, or an expression, keeps no column's values apart.
    return [
        (relations[schema, table], [str(row["column_name"]) for row in columns], index == "PRIMARY")
        for (schema, table, index), columns in grouped.items()
        if (schema, table) in relations and all(row["column_name"] and row["part"] is None for row in columns)
    ]


def _foreign_keys(relations: dict[tuple[str, str], Relation], rows: Sequence[dict[str, Value]]) -> list[ForeignKey]:
    grouped: dict[tuple[str, str, str], list[dict[str, Value]]] = {}
    for row in rows:
        place = (str(row["schema_name"]), str(row["table_name"]), str(row["constraint_name"]))
        grouped.setdefault(place, []).append(row)
    found = []
    for (schema, table, _), parts in grouped.items():
        source = relations.get((schema, table))
        target = relations.get((str(parts[0]["to_schema"]), str(parts[0]["to_table"])))
        if source and target:
            columns = [[str(row[side]) for row in parts] for side in ("column_name", "to_column")]
            found.append(ForeignKey(source.canonical, columns[0], target.canonical, columns[1]))
    return found


def _field(relation: Relation, row: dict[str, Value]) -> Field:
    base, declared = str(row["base"]).lower(), str(row["type"])
    kind = _kind(base, declared)
    return Field(
        index=len(relation.fields),
        name=str(row["column_name"]),
        type=declared,
        kind=kind,
        nullable=row["nullable"] == "YES" if relation.kind == "table" else None,
        comment=str(row["comment"]) if row["comment"] else None,
        floating=base in ("float", "double"),
        integer=base in (*_INTEGERS, "bit"),
        readable="select" in str(row["rights"]),
        base=base if kind != "other" or base in _COMPARED else OPAQUE,
    )


def _kind(base: str, declared: str) -> FieldKind:
    if base == "bit":
        return "boolean" if declared == "bit(1)" else "number"
    if base in (*_INTEGERS, "decimal", "float", "double"):
        return "number"
    if base in ("date", "datetime", "timestamp"):
        return "time"
    if base in _TEXTS:
        return "text"
    if base == "json":
        return "nested"
    return "binary" if base in _BINARIES else "other"


def _text(name: str) -> str:
    return literal(name.replace("\\", "\\\\"))


def _number(text: str) -> int | Decimal:
    """Return a decimal, or a whole number where it has no places: sums of whole numbers are decimals here."""
    return Decimal(text) if "." in text else int(text)


_DECODERS: dict[int, Callable[[Any], Any]] = {
    FIELD_TYPE.BIT: lambda data: int.from_bytes(data, "big"),
    FIELD_TYPE.TINY: int,
    FIELD_TYPE.SHORT: int,
    FIELD_TYPE.LONG: int,
    FIELD_TYPE.LONGLONG: int,
    FIELD_TYPE.INT24: int,
    FIELD_TYPE.YEAR: int,
    FIELD_TYPE.FLOAT: float,
    FIELD_TYPE.DOUBLE: float,
    FIELD_TYPE.DECIMAL: _number,
    FIELD_TYPE.NEWDECIMAL: _number,
    # As text: Python's own types know no day 0000-00-00 and no time of 25 hours.
    FIELD_TYPE.DATE: str,
    FIELD_TYPE.TIME: str,
    FIELD_TYPE.DATETIME: iso,
    FIELD_TYPE.TIMESTAMP: iso,
}
