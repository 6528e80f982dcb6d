"""The whole path on the demo's data, against what people use instead: DuckDB's SUMMARIZE and ibis's describe().

Run it with ``make bench``. Each line is the median of the runs and its ratio to SUMMARIZE of every table, all in
one process tree on one machine; the peers print statistics, ``catalog`` also finds keys, references and flaws and
writes the page. Peak memory is that of the largest process of ours.
"""

import resource
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import duckdb
import ibis

from cataloger_dagster.agent.playbook import Playbook
from cataloger_dagster.cataloging import catalog
from cataloger_dagster.databases import Database
from cataloger_dagster.demo import build_database
from cataloger_dagster.prompts import load
from cataloger_dagster.sandbox.local import LocalSandbox

RUNS = 5
TABLES = ("airlines", "airports", "flights", "planes", "weather")


def seconds(work: Callable[[], object]) -> float:
    """Return the median wall time of *work* over the runs, in seconds."""
    times = []
    for _ in range(RUNS):
        began = time.perf_counter()
        work()
        times.append(time.perf_counter() - began)
    return statistics.median(times)


def main() -> None:
    """Build the data, run everything, print the table."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "flights.duckdb"
        build_database(file, 12)
        database = Database.from_url(f"duckdb://{file}")

        def summarize() -> None:
            with duckdb.connect(str(file), read_only=True) as con:
                for table in TABLES:
                    con.execute(f"SUMMARIZE {table}").fetchall()

        def describe() -> None:
            con = ibis.duckdb.connect(str(file), read_only=True)
            for table in TABLES:
                con.table(table).describe().execute()
            con.disconnect()

        def ours() -> None:
            catalog(database, sandbox=LocalSandbox(), model=Playbook(), prompt=load("catalog"))

        peer = seconds(summarize)
        print(f"{'what':44} {'seconds':>8} {'ratio':>6}")
        for name, value in (
            ("DuckDB SUMMARIZE, 5 tables", peer),
            ("ibis describe(), 5 tables", seconds(describe)),
            ("catalog: facts, findings, text, page", seconds(ours)),
        ):
            print(f"{name:44} {value:8.2f} {value / peer:6.1f}")
        peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
        print(f"peak memory of catalog's largest process: {peak:.0f} MB")


if __name__ == "__main__":
    main()
