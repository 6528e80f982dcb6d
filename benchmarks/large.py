"""A large table's whole profile, against counting its rows and against ibis's describe(): PostgreSQL and SQLite.

Run it alone: ``python benchmarks/large.py [--rows 2000000] [--url postgres://…]``. It needs PostgreSQL's programs,
or the URL of a server where it may make a database, and about 1 GB on disk. One table, one run after another on one
machine; ratios are what counts: seconds depend on the machine. Each query of the profile is listed with the time that
it took by the facts' own record, the best of a few runs, as is the counting, which they are compared with.

``describe()`` has the most frequent value of texts, and no histogram, no text's length and no quantiles of times, which
ours have. It counts distinct values exactly; so do we where they may be a key or are few, and in SQLite always.
"""

import argparse
import contextlib
import re
import sqlite3
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import ibis
import psycopg

from cataloger_dagster.databases import Database
from cataloger_dagster.sandbox.local import LocalSandbox
from tests.services.postgres import Postgres
from tests.services.shared import shared

COUNTS = 5
SCAN = "the one scan"
OTHERS = "keys, references, flaws"
EVERYTHING = {"schemas": None, "tables": ["*"], "exclude": [], "hidden": [], "values": True}

TABLE = """
CREATE TABLE orders AS SELECT i AS id, i * 7919::bigint % 1000003 AS customer_id,
  (ARRAY['new', 'paid', 'sent', 'done', 'void'])[1 + (hashint4(i) & 255) % 5] AS status,
  round(exp(2 + (hashint4(i + 7) & 65535) / 20000.0)::numeric, 2)::numeric(12, 2) AS amount,
  (hashint4(i * 3) & 1048575) / 1000.0::float8 AS score,
  timestamp '2020-01-01' + i * interval '37 seconds' AS placed_at,
  md5(i::text) AS token, CASE WHEN i % 3 > 0 THEN hashint4(i + 11) & 1023 END AS quantity
FROM generate_series(1, {rows}) AS i
"""


def seconds(work: Callable[[], object], runs: int) -> float:
    """Return the best wall time of *work* over the runs, in seconds: what else the machine does only adds to it."""
    times = []
    for _ in range(runs):
        began = time.perf_counter()
        work()
        times.append(time.perf_counter() - began)
    return min(times)


@contextlib.contextmanager
def server(url: str | None) -> Iterator[Postgres]:
    """A PostgreSQL server: the one named, or one of our own."""
    if url is not None:
        yield Postgres(url)
        return
    with shared("postgres", seconds=60) as told:
        yield Postgres(told["url"])


def copied(url: str, path: Path) -> None:
    """Copy the table to a SQLite file."""
    with contextlib.closing(sqlite3.connect(path)) as file, psycopg.connect(url) as source:
        file.execute(
            "CREATE TABLE orders (id INTEGER PRIMARY KEY, customer_id INTEGER, status TEXT, amount NUMERIC, "
            "score REAL, placed_at TEXT, token TEXT, quantity INTEGER)"
        )
        with source.cursor("rows") as cursor:
            cursor.itersize = 20_000
            cursor.execute(
                "SELECT id, customer_id, status, amount::float8, score, placed_at::text, token, quantity FROM orders"
            )
            file.executemany("INSERT INTO orders VALUES (?, ?, ?, ?, ?, ?, ?, ?)", cursor)
        file.commit()


def measured(url: str) -> tuple[float, dict[str, float]]:
    """Measure every fact of the database of *url*, as ``catalog`` does, in a session of its own.

    Returns:
        the seconds that it took, and those that its queries took by their own record, by what they are for.
    """
    began = time.perf_counter()
    with LocalSandbox().open(Database.from_url(url)) as session:
        connection = {"connection": dict(session.connection)}
        facts = session.call("cataloger_sandbox.measure:measure", connection | EVERYTHING, 3600.0)
    took = time.perf_counter() - began
    [table] = facts["tables"]
    columns = [column["name"] for column in table["columns"]]
    parts: dict[str, float] = {}
    for query in facts["queries"]:
        name = purpose(query["sql"], columns) if query["id"] in table["queries"] else OTHERS
        parts[name] = parts.get(name, 0.0) + query["seconds"]
    return took, parts


def purpose(sql: str, columns: Sequence[str]) -> str:
    """Say what a query of a profile is for, by the names of its outputs."""
    found = re.findall(r"\bAS c(\d+)_(\w+)", sql)
    facts = {fact for _, fact in found}
    names = ", ".join(columns[index] for index in sorted({int(index) for index, _ in found}))
    if "nulls" in facts:
        return SCAN
    if "seen" in facts:
        return "sample: how many values differ"
    if "tops" in facts:
        return f"groups: {names}"
    if "sampled" in facts:
        return f"sample: quantiles, histograms of {names}"
    if "kept" in facts:
        return f"sketch of distinct values: {names}"
    return f"exact distinct values: {names}" if "distinct" in facts else f"exact ranges, lengths, means: {names}"


def main(arguments: Sequence[str] | None = None) -> None:
    """Make the data, run everything, print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--rows", type=int, default=2_000_000)
    parser.add_argument("--url", help="a PostgreSQL server's superuser; without it one is started")
    parser.add_argument("--runs", type=int, default=3, help="profiles in PostgreSQL, of which the best counts")
    parser.add_argument("--only", choices=["postgres", "sqlite"], help="one engine alone, and no describe()")
    chosen = parser.parse_args(arguments)
    with server(chosen.url) as postgres, tempfile.TemporaryDirectory() as folder:
        url = postgres.new_database("large")
        postgres.execute(url, TABLE.format(rows=chosen.rows), "VACUUM ANALYZE orders")
        if chosen.only != "sqlite":
            with psycopg.connect(url) as con:
                told("PostgreSQL", chosen.rows, con, "SELECT count(*) FROM orders", url, chosen.runs)
            if chosen.only is None:
                began = time.perf_counter()
                described = ibis.connect(url)
                described.table("orders").describe().execute()
                described.disconnect()
                print(f"{'ibis describe()':60} {time.perf_counter() - began:8.2f}")
        if chosen.only != "postgres":
            path = Path(folder) / "large.db"
            copied(url, path)
            with contextlib.closing(sqlite3.connect(path)) as file:
                told("SQLite", chosen.rows, file, "SELECT count(quantity) FROM orders", f"sqlite://{path}", 1)
        postgres.drop_all()


def told(engine: str, rows: int, con: psycopg.Connection | sqlite3.Connection, count: str, url: str, runs: int) -> None:
    """Count the rows and measure every fact by turns, and print the best time of each part."""

    def counted() -> None:
        con.execute(count).fetchall()
        con.rollback()  # no transaction stays open while others run

    least, best, whole = seconds(counted, COUNTS), dict[str, float](), []
    for _ in range(runs):
        took, parts = measured(url)
        whole.append(took)
        best = {name: min(value, best.get(name, value)) for name, value in parts.items()}
        least = min(least, seconds(counted, COUNTS))
    print(f"{f'{engine}, {rows:,} rows x 8 columns':60} {'seconds':>8} {'ratio':>7}")
    for name, value in ((count, least), *best.items(), ("every fact", min(whole))):
        print(f"{name:60} {value:8.2f} {value / least:7.1f}", flush=True)


if __name__ == "__main__":
    main()
