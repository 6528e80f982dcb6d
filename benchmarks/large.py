"""A large table's whole profile, against counting its rows and against ibis's describe(): PostgreSQL and SQLite.

Run it alone: ``python benchmarks/large.py [--rows 2000000] [--url postgres://…]``. It needs PostgreSQL's programs,
or the URL of a server where it may make a database, and about 1 GB on disk. One table, one run after another on one
machine; ratios are what counts: seconds depend on the machine.

``describe()`` has the most frequent value of texts, and no histogram, no text's length and no quantiles of times, which
ours have. It counts distinct values exactly; so do we where they may be a key or are few, and in SQLite always.
"""

import argparse
import contextlib
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

RUNS = 3
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


def profile(url: str) -> Callable[[], object]:
    """Return what measures every fact of the database of *url*, as ``catalog`` does, in a session of its own."""
    database = Database.from_url(url)

    def measured() -> None:
        with LocalSandbox().open(database) as session:
            connection = {"connection": dict(session.connection)}
            session.call("cataloger_sandbox.measure:measure", connection | EVERYTHING, 3600.0)

    return measured


def main(arguments: Sequence[str] | None = None) -> None:
    """Make the data, run everything, print the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--rows", type=int, default=2_000_000)
    parser.add_argument("--url", help="a PostgreSQL server's superuser; without it one is started")
    chosen = parser.parse_args(arguments)
    with server(chosen.url) as postgres, tempfile.TemporaryDirectory() as folder:
        url = postgres.new_database("large")
        postgres.execute(url, TABLE.format(rows=chosen.rows), "VACUUM ANALYZE orders")
        path = Path(folder) / "large.db"
        copied(url, path)

        def describe() -> None:
            con = ibis.connect(url)
            con.table("orders").describe().execute()
            con.disconnect()

        def count() -> None:
            with psycopg.connect(url) as con:
                con.execute("SELECT count(*) FROM orders").fetchone()

        def scan() -> None:
            with contextlib.closing(sqlite3.connect(path)) as con:
                con.execute("SELECT count(quantity) FROM orders").fetchone()

        for engine, floor, lines in (
            ("PostgreSQL", count, [("ibis describe()", describe), ("every fact of ours", profile(url))]),
            ("SQLite", scan, [("every fact of ours", profile(f"sqlite://{path}"))]),
        ):
            least = seconds(floor, RUNS)
            print(f"{engine + f', {chosen.rows:,} rows x 8 columns':44} {'seconds':>8} {'ratio':>7}")
            print(f"{'counting the rows, one scan':44} {least:8.2f} {1:7.1f}")
            for name, work in lines:
                value = seconds(work, 1)
                print(f"{name:44} {value:8.2f} {value / least:7.1f}", flush=True)
        postgres.drop_all()


if __name__ == "__main__":
    main()
