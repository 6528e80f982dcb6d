"""The relay against a direct connection: many small queries, one large result, and connecting.

Run it alone: ``python benchmarks/relay.py [--runs 5]``. It starts a PostgreSQL server of its own. The client is a
process of its own, as a sandbox is; in it direct and relayed take turns, so that both see the same machine. Ratios
are what counts: seconds depend on the machine.
"""

import argparse
import contextlib
import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import psycopg

from cataloger_dagster.sandbox.login import Login
from cataloger_dagster.sandbox.relay import Relay
from cataloger_dagster.sandbox.upstream import Upstream

sys.path.insert(0, str(Path(__file__).parents[1]))
from tests.sandbox.listener import Listener
from tests.sandbox.servers import PASSWORD, tls_server

QUERIES = 2_000
ROWS = 1_000_000
BLOCK = 100

CLIENT = f"""
import json, sys, time
import psycopg

found = [{{"small": 0.0, "large": 0.0, "connect": 0.0}} for _ in range(2)]
ways = sys.argv[1:]
connections = [psycopg.connect(way, autocommit=True) for way in ways]

def small(side):
    for _ in range({BLOCK}):
        connections[side].execute("SELECT 1").fetchone()

def large(side):
    assert len(connections[side].execute("SELECT * FROM flights").fetchall()) == {ROWS}

def connect(side):
    psycopg.connect(ways[side]).close()

for what, times in ((small, {QUERIES // BLOCK}), (large, 1), (connect, 20)):
    for turn in range(times):
        for side in (turn % 2, 1 - turn % 2):
            began = time.perf_counter()
            what(side)
            found[side][what.__name__] += time.perf_counter() - began
print(json.dumps(found))
"""


@contextlib.contextmanager
def relayed(upstream: Upstream) -> Iterator[str]:
    """Yield the connection string of a relay to *upstream*."""
    login = Login(upstream.name, "scram", "postgres", PASSWORD)
    with (
        tempfile.TemporaryDirectory(prefix="r") as folder,
        Listener(Relay(upstream, login), Path(folder, ".s.PGSQL.5432")),
    ):
        yield f"host={folder} user=x dbname=x"


def measured(direct: str, through: str) -> list[Mapping[str, float]]:
    """Return the client's seconds, direct and through the relay."""
    command = [sys.executable, "-c", CLIENT, direct, through]
    return list(json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout))


def main() -> None:
    """Measure and print one table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=5)
    runs = parser.parse_args().runs
    with tls_server() as server:
        server.execute(
            f"CREATE TABLE flights AS SELECT i AS id, md5(i::text) AS name, i * 0.25 AS amount, "
            f"timestamp '2026-01-01' + i * interval '1 s' AS at FROM generate_series(1, {ROWS}) AS i",
            "GRANT SELECT ON flights TO scram",
            "VACUUM ANALYZE flights",
        )
        port, found = server.upstream.port, {}
        secret = psycopg.conninfo.make_conninfo(password=PASSWORD)
        for mode in ("disable", "require"):
            upstream = Upstream("127.0.0.1", port, mode)  # type: ignore[arg-type]
            direct = f"host=127.0.0.1 port={port} user=scram dbname=postgres sslmode={mode} {secret}"
            with relayed(upstream) as through:
                found[mode] = [measured(direct, through) for _ in range(runs)]
    print(f"medians of {runs} runs\n\n| what | TLS to the server | direct, s | relay, s | ratio |")
    print("|---|---|---:|---:|---:|")
    names = {
        "small": f"{QUERIES:,} × `SELECT 1`",
        "large": f"{ROWS:,} rows fetched",
        "connect": "20 × connect and close",
    }
    for what, name in names.items():
        for mode, pairs in found.items():
            direct_s, relay_s = (statistics.median(pair[side][what] for pair in pairs) for side in (0, 1))
            ratio = statistics.median(pair[1][what] / pair[0][what] for pair in pairs)
            tls = "no" if mode == "disable" else "yes"
            print(f"| {name} | {tls} | {direct_s:.4f} | {relay_s:.4f} | {ratio:.2f} |")


if __name__ == "__main__":
    main()
