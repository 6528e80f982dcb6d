"""Grades the numbers of a page with SQL of its own through the bare driver; nothing of the profiler is used.

What a page calls exact must be equal. A mean or a deviation may differ by a billionth of the column's spread (the order
of a sum). An estimate of distinct values must be within the error that the page states, and a quantile's rank within
its own (without one, it must lie between the two values at its place). A masked text is compared in masked form. The
query of a finding must run, and show something.
"""

import contextlib
import math
import re
import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Protocol

import duckdb
import psycopg

Value = Any
_TIME = re.compile(r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d")


@dataclass(frozen=True)
class Deviation:
    """One number of the page that is not so."""

    place: str
    fact: str
    shown: Value
    true: Value


@dataclass
class Grade:
    """How many numbers were compared, which of them in masked form, which were not given, and which are wrong."""

    exact: int = 0
    estimates: int = 0
    masked: int = 0
    absent: list[str] = field(default_factory=list)
    wrong: list[Deviation] = field(default_factory=list)
    tables: tuple[int, int] = (0, 0)
    columns: tuple[int, int] = (0, 0)

    @property
    def compared(self) -> int:
        """All that were compared."""
        return self.exact + self.estimates


class Asked(Protocol):
    """A bare connection: runs SQL with ``?`` for values, says which tables and columns there are."""

    def rows(self, sql: str, values: Sequence[Value] = ()) -> list[tuple[Value, ...]]:
        """Run a query."""

    def columns(self) -> dict[str, dict[str, str]]:
        """Return each table's columns with their types, small letters."""

    def cast(self, kind: str) -> str:
        """Return a placeholder for a value of the page that is to be of a column's type."""


class Duck:
    """DuckDB."""

    def __init__(self, path: str) -> None:
        self._con = duckdb.connect(path, read_only=True)

    def rows(self, sql: str, values: Sequence[Value] = ()) -> list[tuple[Value, ...]]:
        """Run a query."""
        return self._con.execute(sql, list(values)).fetchall()

    def columns(self) -> dict[str, dict[str, str]]:
        """Return each table's columns with their types."""
        return _grouped(self.rows(
            "SELECT table_schema, table_name, column_name, lower(data_type) FROM information_schema.columns "
            "ORDER BY ordinal_position"), "main")  # fmt: skip

    def cast(self, kind: str) -> str:
        """Return a typed placeholder."""
        return f"CAST(? AS {kind})"

    def close(self) -> None:
        """Close the connection."""
        self._con.close()


class Lite:
    """SQLite; a time is compared as the text that it is stored as."""

    def __init__(self, path: str) -> None:
        self._con = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
        # SQLite's own shell has it, in which a person would run a page's query; Python's library has not.
        self._con.create_function(
            "REGEXP", 2, lambda pattern, text: text is not None and bool(re.search(pattern, text))
        )

    def rows(self, sql: str, values: Sequence[Value] = ()) -> list[tuple[Value, ...]]:
        """Run a query."""
        return self._con.execute(sql, tuple(values)).fetchall()

    def columns(self) -> dict[str, dict[str, str]]:
        """Return each table's columns with their types."""
        tables = self.rows(
            "SELECT name FROM sqlite_master WHERE type IN ('table', 'view') AND name NOT LIKE 'sqlite_%'"
        )
        return {
            name: {row[1]: row[2].lower() for row in self.rows(f"PRAGMA table_info({quoted(name)})")}
            for (name,) in tables
        }

    def cast(self, kind: str) -> str:
        """Return a placeholder."""
        return "replace(?, 'T', ' ')" if kind == "timestamp" else "?"

    def close(self) -> None:
        """Close the connection."""
        self._con.close()


class Server:
    """PostgreSQL."""

    def __init__(self, url: str) -> None:
        self._con = psycopg.connect(url, autocommit=True)

    def rows(self, sql: str, values: Sequence[Value] = ()) -> list[tuple[Value, ...]]:
        """Run a query."""
        if not values:
            return self._con.execute(sql.encode()).fetchall()
        return self._con.execute(sql.replace("%", "%%").replace("?", "%s").encode(), list(values)).fetchall()

    def columns(self) -> dict[str, dict[str, str]]:
        """Return each table's columns with their types."""
        return _grouped(self.rows(
            "SELECT n.nspname, c.relname, a.attname, format_type(a.atttypid, a.atttypmod) FROM pg_attribute a "
            "JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace "
            "WHERE c.relkind IN ('r', 'v', 'm', 'p', 'f') AND a.attnum > 0 AND NOT a.attisdropped "
            "AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast') ORDER BY a.attnum"),
            "public")  # fmt: skip

    def cast(self, kind: str) -> str:
        """Return a typed placeholder."""
        return f"CAST(? AS {kind})"

    def close(self) -> None:
        """Close the connection."""
        self._con.close()


def connect(engine: str, where: str) -> Duck | Lite | Server:
    """Return the bare connection of an engine."""
    return {"duckdb": Duck, "sqlite": Lite, "postgres": Server}[engine](where)


def grade(block: dict[str, Any], con: Asked) -> Grade:
    """Compare every number of the page's block with the database."""
    result, real = Grade(), con.columns()
    shown = {table["name"]: table for table in block["tables"]}
    result.tables = (len(real.keys() & shown.keys()), len(real))
    found = sum(len(columns.keys() & {c["name"] for c in shown[name]["columns"]})
                for name, columns in real.items() if name in shown)  # fmt: skip
    result.columns = (found, sum(map(len, real.values())))
    for name, columns in real.items():
        if name not in shown:
            continue
        table = shown[name]
        place = ".".join(
            map(quoted, name.split(".", 1) if table["schema"] and name.startswith(table["schema"] + ".") else [name])
        )
        _same(result, name, "rows", table["rows"], con.rows(f"SELECT count(*) FROM {place}")[0][0])
        for column in table["columns"]:
            if column["name"] in columns:
                _column(result, con, place, f"{name}.{column['name']}", column, columns[column["name"]])
    for reference in block["references"]:
        _orphans(result, con, reference)
    queries = {query["id"]: query["sql"] for query in block.get("queries", [])}
    for finding in (part for item in block["findings"] for part in item.get("members") or [item]):
        if finding.get("query") in queries:
            _evidence(result, con, finding, queries[finding["query"]])
    return result


def _evidence(result: Grade, con: Asked, finding: dict[str, Any], sql: str) -> None:
    """Run a finding's query as a person would: it must run, and show rows where some are said to be wrong."""
    place = f"{finding['table']}.{','.join(finding['columns'])}"
    try:
        shown = len(con.rows(sql))
    except (duckdb.Error, sqlite3.Error, psycopg.Error) as error:
        result.wrong.append(Deviation(place, f"{finding['kind']} query", sql, str(error)))
        return
    result.exact += 1
    if not shown and finding["rows"]:
        result.wrong.append(Deviation(place, f"{finding['kind']} query", f"{finding['rows']} rows", "no row"))


def _column(result: Grade, con: Asked, table: str, place: str, shown: dict[str, Any], kind: str) -> None:
    name = quoted(shown["name"])
    numeric = any(word in kind for word in ("int", "double", "real", "float", "decimal", "numeric"))
    ordered = numeric or kind.startswith(("date", "timestamp")) or kind in ("text", "varchar", "character varying")
    text = ordered and not numeric and not kind.startswith(("date", "timestamp"))
    total, filled, distinct = con.rows(f"SELECT count(*), count({name}), count(DISTINCT {name}) FROM {table}")[0]
    _same(result, place, "nulls", shown["nulls"], total - filled)
    if shown["distinct_method"] == "hll":
        result.estimates += 1
        if abs(shown["distinct"] - distinct) > (shown.get("distinct_error") or 0) * distinct:
            result.wrong.append(Deviation(place, "distinct", shown["distinct"], distinct))
    else:
        _same(result, place, "distinct", shown["distinct"], distinct)
    if ordered and filled:
        low, high = con.rows(f"SELECT min({name}), max({name}) FROM {table}")[0]
        _same(result, place, "min", shown.get("min"), low)
        _same(result, place, "max", shown.get("max"), high)
    if numeric and filled:
        _moments(result, con, table, place, shown, name)
    if ordered and not text and filled:
        _quantiles(result, con, table, place, shown, name, kind)
    if shown.get("top"):
        _top(result, con, table, place, shown, name)
    lengths = shown.get("lengths")
    if text and lengths and filled:
        true = con.rows(f"SELECT min(length({name})), max(length({name})), avg(length({name})) FROM {table}")[0]
        for fact, value in zip(("min", "max", "mean"), true, strict=True):
            _same(result, place, f"lengths.{fact}", lengths[fact], value, 1e-9 * float(true[1]))


def _moments(result: Grade, con: Asked, table: str, place: str, shown: dict[str, Any], name: str) -> None:
    number = f"CAST({name} AS DOUBLE PRECISION)"
    count, mean = con.rows(f"SELECT count({name}), avg({number}) FROM {table}")[0]
    apart = f"({number} - CAST(? AS DOUBLE PRECISION))"
    squares = con.rows(f"SELECT sum({apart} * {apart}) FROM {table}", [mean, mean])[0][0]
    deviation = math.sqrt(squares / (count - 1)) if count > 1 else None
    slack = 1e-9 * max(abs(mean), deviation or 0)
    _same(result, place, "mean", shown.get("mean"), mean, slack)
    _same(result, place, "std", shown.get("std"), deviation, slack)


def _quantiles(result: Grade, con: Asked, table: str, place: str, shown: dict[str, Any], name: str, kind: str) -> None:
    if not shown.get("quantiles"):
        result.absent.append(f"{place} quantiles")
        return
    error = shown.get("quantiles_error") or 0.0
    marks = con.cast(kind)
    for share, value in shown["quantiles"].items():
        below, upto, count = con.rows(
            f"SELECT sum(CASE WHEN {name} < {marks} THEN 1 ELSE 0 END), "
            f"sum(CASE WHEN {name} <= {marks} THEN 1 ELSE 0 END), count({name}) FROM {table}",
            [value, value],
        )[0]
        if error:
            result.estimates += 1
        else:
            result.exact += 1
        at = float(share)
        least, most = math.floor(at * (count - 1)), max(math.ceil(at * (count - 1)), math.ceil(at * count) - 1)
        if not (below <= most + error * count and upto >= least + 1 - error * count):
            ranks = f"rank {below / count:.4f} to {upto / count:.4f}, error {error}"
            result.wrong.append(Deviation(place, f"quantile {share}", value, ranks))


def _top(result: Grade, con: Asked, table: str, place: str, shown: dict[str, Any], name: str) -> None:
    true = con.rows(f"SELECT {name}, count(*) FROM {table} WHERE {name} IS NOT NULL GROUP BY 1 ORDER BY 2 DESC, 1")
    given = [count for _, count in shown["top"]]
    _same(result, place, "top counts", given, [count for _, count in true[: len(given)]])
    numeric = any(isinstance(value, int | float | Decimal) for value, _ in true)
    counts = {(plain(value), count) for value, count in true}
    for value, count in shown["top"]:
        result.exact += 1
        if {(plain(value), count), *([(number(value), count)] if numeric else [])} & counts:
            continue
        if any(times == count and _is_veiled(str(value), each) for each, times in true):
            result.masked += 1
        else:
            result.wrong.append(Deviation(place, "top", [value, count], "no such value so often"))


def _orphans(result: Grade, con: Asked, reference: dict[str, Any]) -> None:
    (child, columns), (parent, keys) = reference["from"], reference["to"]
    if reference["orphans"] is None:
        result.absent.append(f"{child} → {parent} orphans")
        return
    pairs = " AND ".join(f"p.{quoted(k)} = c.{quoted(f)}" for f, k in zip(columns, keys, strict=True))
    present = " AND ".join(f"c.{quoted(f)} IS NOT NULL" for f in columns)
    names = [".".join(map(quoted, name.split(".", 1))) for name in (child, parent)]
    true = con.rows(f"SELECT count(*) FROM {names[0]} c WHERE {present} "
                    f"AND NOT EXISTS (SELECT 1 FROM {names[1]} p WHERE {pairs})")[0][0]  # fmt: skip
    _same(result, f"{child}.{','.join(columns)}", f"orphans to {parent}", reference["orphans"], true)


def _same(result: Grade, place: str, fact: str, shown: Value, true: Value, slack: float = 0.0) -> None:
    if shown is None and true is not None:
        result.absent.append(f"{place} {fact}")
        return
    result.exact += 1
    if not equal(shown, true, slack):
        if isinstance(shown, str) and _is_veiled(shown, true):
            result.masked += 1
        else:
            result.wrong.append(Deviation(place, fact, shown, _short(true)))


def equal(shown: Value, true: Value, slack: float = 0.0) -> bool:
    """Say whether a value of the page is the database's: as numbers if both are, else as text."""
    if isinstance(shown, bool) or isinstance(true, bool):
        return bool(shown) == bool(true) and shown in (True, False, 0, 1)
    if isinstance(true, int | float | Decimal) and isinstance(shown, int | float | str):
        with contextlib.suppress(ArithmeticError):
            if math.isfinite(true):
                difference = abs(Decimal(str(shown)) - Decimal(str(true)))
                return difference <= Decimal(slack) or (isinstance(true, float) and float(shown) == true)
        return number(shown) == number(true)
    if isinstance(true, str) and isinstance(shown, str) and len(shown) > 50 and shown.endswith("…"):
        return true.startswith(shown[:-1])
    return plain(shown) == plain(true)


def plain(value: Value) -> str:
    """Return a value as the page writes it; numbers and times in one form."""
    if isinstance(value, datetime | date):
        value = value.isoformat()
    if isinstance(value, int | float | Decimal) and not isinstance(value, bool):
        return number(value)
    if isinstance(value, str) and _TIME.match(value):
        whole, _, fraction = value.replace(" ", "T", 1).partition(".")
        return f"{whole}.{fraction.rstrip('0')}".rstrip(".")
    return str(value)


def number(value: Value) -> str:
    """Return a number (or its text) in one form."""
    try:
        decimal = Decimal(str(value))
    except ArithmeticError:
        return str(value)
    if decimal.is_finite():
        return format(decimal.normalize(), "f")
    return "NaN" if decimal.is_nan() else "Infinity" if decimal > 0 else "-Infinity"


def masked(text: str) -> str:
    """Return a text as DESIGN masks it: letters are a or A, digits 9."""
    return "".join("9" if c.isdigit() else "A" if c.isupper() else "a" if c.isalpha() else c for c in text)


def _is_veiled(shown: str, true: Value) -> bool:
    """Say whether a text or a day (one that somebody was born on) is shown masked."""
    return isinstance(true, str | date) and veiled(shown, str(true))


def veiled(shown: str, true: str) -> bool:
    """Say whether a text is shown with all or a part of it masked, whole or cut at its end."""
    if shown.endswith("…") and len(shown) <= len(true):
        shown, true = shown[:-1], true[: len(shown) - 1]
    if len(shown) != len(true):
        return False
    return all(mark in (letter, mask) for mark, letter, mask in zip(shown, true, masked(true), strict=True))


def quoted(name: str) -> str:
    """Return an identifier in SQL."""
    return '"' + name.replace('"', '""') + '"'


def _short(value: Value) -> Value:
    return value if isinstance(value, int | float | bool | list) or value is None else str(value)[:80]


def _grouped(rows: Iterable[tuple[Value, ...]], default: str) -> dict[str, dict[str, str]]:
    tables: dict[str, dict[str, str]] = {}
    for schema, table, column, kind in rows:
        name = table if schema == default else f"{schema}.{table}"
        tables.setdefault(name, {})[column] = kind
    return tables
