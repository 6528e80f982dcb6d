"""Small databases that make trouble, one in each engine: names, types and shapes that nobody tuned for."""

import sqlite3
from pathlib import Path

import duckdb

ODD = 'od"d name.é; DROP'

TABLES = f"""
CREATE TABLE customers (id INTEGER PRIMARY KEY, "name" TEXT, note TEXT);
CREATE TABLE orders (id INTEGER PRIMARY KEY, customer_id INTEGER, created_at TIMESTAMP, dep_time INTEGER,
  amount INTEGER, shipped_at TIMESTAMP, carrier TEXT, "select" TEXT);
CREATE TABLE "{ODD.replace('"', '""')}" ("a ""b"".c" INTEGER, "2023" TEXT, "<b>&amp;" TEXT);
CREATE TABLE void (x INTEGER, y TEXT);
CREATE VIEW busy AS SELECT customer_id, count(*) AS n FROM orders GROUP BY customer_id;
"""


def fill(odd: str = ODD) -> list[str]:
    """Return statements that fill the tables, in SQL that every engine takes."""
    customers = ", ".join(f"({n}, 'customer {n}', {repr('') if n % 3 else 'NULL'})" for n in range(1, 201))
    orders = ", ".join(
        f"({n}, {n % 230 + 1}, '2024-{n % 12 + 1:02d}-{n % 28 + 1:02d} 10:00:00', "
        f"{n % 24 * 100 + n % 60}, {n % 40 - 3}, "
        + ("NULL, NULL" if n % 20 == 0 else f"'2024-{n % 12 + 1:02d}-28 12:00:00', 'c{n % 4}'")
        + ", 'x')"
        for n in range(1, 2001)
    )
    quoted = '"' + odd.replace('"', '""') + '"'
    rows = ", ".join(f"({n % 150 + 1}, '{n} <script>alert(1)</script>', NULL)" for n in range(300))
    return [
        f"INSERT INTO customers VALUES {customers}",
        f"INSERT INTO orders VALUES {orders}",
        f"INSERT INTO {quoted} VALUES {rows}",
    ]


def make_duckdb(path: Path) -> dict[str, object]:
    """Build the database as a DuckDB file and return the kit's connection."""
    with duckdb.connect(str(path)) as con:
        con.execute(TABLES)
        for statement in fill():
            con.execute(statement)
    return {"backend": "duckdb", "path": str(path)}


def make_sqlite(path: Path) -> dict[str, object]:
    """Build the database as a SQLite file and return the kit's connection."""
    con = sqlite3.connect(path)
    con.executescript(TABLES)
    for statement in fill():
        con.execute(statement)
    con.commit()
    con.close()
    return {"backend": "sqlite", "path": str(path)}
