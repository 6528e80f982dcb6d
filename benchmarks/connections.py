"""Several large tables measured over one connection and over more, in turns: time, processor time, memory.

Run it alone: ``python benchmarks/connections.py [--tables 8] [--rows 500000] [--connections 1 2 4] [--runs 3]``. It
needs PostgreSQL's programs, or ``--url`` of a server where it may make a database. Each is a process of its own; its
processor time and memory are without the server's, which works beside it. What can be gained depends on the
processors that the server has free: the ratios are this machine's, and its load is printed.
"""

import argparse
import contextlib
import json
import os
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import psycopg

from benchmarks.large import TABLE, server
from benchmarks.summarize import run

MEASURE = """
import json, sys
from pathlib import Path
from cataloger_sandbox.measure import measure
connection = json.loads(Path(sys.argv[1]).read_text())
measure(connection, None, ["*"], [], [], True, connections={connections})
"""


def copied(url: str, path: Path, tables: int) -> None:
    """Copy the tables to a SQLite file."""
    with contextlib.closing(sqlite3.connect(path)) as file, psycopg.connect(url) as source:
        for number in range(tables):
            file.execute(
                f"CREATE TABLE orders_{number} (id INTEGER, customer_id INTEGER, status TEXT, amount NUMERIC, "
                "score REAL, placed_at TEXT, token TEXT, quantity INTEGER)"
            )
            with source.cursor("rows") as cursor:
                cursor.itersize = 20_000
                cursor.execute(
                    "SELECT id, customer_id, status, amount::float8, score, placed_at::text, token, quantity "
                    f"FROM orders_{number}"
                )
                file.executemany(f"INSERT INTO orders_{number} VALUES (?, ?, ?, ?, ?, ?, ?, ?)", cursor)
        file.commit()


def main(arguments: Sequence[str] | None = None) -> None:
    """Make the data, run everything in turns, print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--tables", type=int, default=8)
    parser.add_argument("--rows", type=int, default=500_000)
    parser.add_argument("--connections", type=int, nargs="+", default=[1, 2, 4])
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--url", help="a PostgreSQL server's superuser; without it one is started")
    chosen = parser.parse_args(arguments)
    with server(chosen.url) as postgres, tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        url = postgres.new_database("several")
        for number in range(chosen.tables):
            postgres.execute(url, TABLE.format(rows=chosen.rows).replace("orders", f"orders_{number}"))
        postgres.execute(url, "VACUUM ANALYZE")
        copied(url, folder / "several.db", chosen.tables)
        parts = psycopg.conninfo.conninfo_to_dict(url)
        places = {
            "PostgreSQL": {
                "backend": "postgres",
                "host": parts["host"],
                "port": parts["port"],
                "user": parts["user"],
                "password": parts["password"],
                "database": parts["dbname"],
            },
            "SQLite": {"backend": "sqlite", "path": str(folder / "several.db")},
        }
        for engine, connection in places.items():
            told = folder / f"{engine}.json"
            told.write_text(json.dumps(connection))
            found: dict[int, list[tuple[float, float, float]]] = {count: [] for count in chosen.connections}
            for _ in range(chosen.runs):
                for count in chosen.connections:
                    began = time.perf_counter()
                    processor, megabytes = run(MEASURE.format(connections=count), told, folder)
                    found[count].append((time.perf_counter() - began, processor, megabytes))
                    print(f"# {engine} {count}: {found[count][-1][0]:.1f} s, load {os.getloadavg()[0]:.1f}", flush=True)
            title = f"{engine}, {chosen.tables} tables of {chosen.rows:,} rows x 8 columns"
            print(f"{title:50} {'seconds':>8} {'ratio':>7} {'our CPU s':>10} {'peak MB':>8}")
            least = 0.0
            for count, runs in found.items():
                seconds, processor, megabytes = (statistics.median(each) for each in zip(*runs, strict=True))
                least = least or seconds
                name = f"{count} connection{'s' if count > 1 else ''}"
                print(f"{name:50} {seconds:8.1f} {seconds / least:7.2f} {processor:10.1f} {megabytes:8.0f}", flush=True)
        postgres.drop_all()


if __name__ == "__main__":
    main()
