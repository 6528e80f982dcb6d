"""The relay against a direct connection: many small queries, and one large result.

Run it alone: ``python benchmarks/relay.py [--runs 5]``. It starts a PostgreSQL server of its own. The client is a
process of its own, as a sandbox is; in each run direct and relayed take turns. Ratios are what counts: seconds
depend on the machine.
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

from cataloger_dagster.sandbox.listener import Listener
from cataloger_dagster.sandbox.login import Login
from cataloger_dagster.sandbox.relay import Relay
from cataloger_dagster.sandbox.upstream import Upstream

sys.path.insert(0, str(Path(__file__).parents[1]))
from tests.sandbox.servers import PASSWORD, tls_server

QUERIES = 2_000
ROWS = 1_000_000

CLIENT = f"""
import json, sys, time
import psycopg

with psycopg.connect(sys.argv[1], autocommit=True) as connection:
    connection.execute("SELECT 1")
    began = time.perf_counter()
    for _ in range({QUERIES}):
        connection.execute("SELECT 1").fetchone()
    small = time.perf_counter() - began
    began = time.perf_counter()
    rows = connection.execute("SELECT * FROM flights").fetchall()
    large = time.perf_counter() - began
    assert len(rows) == {ROWS}
began = time.perf_counter()
for _ in range(20):
    psycopg.connect(sys.argv[1]).close()
print(json.dumps({{"small": small, "large": large, "connect": (time.perf_counter() - began) / 20}}))
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


def measured(conninfo: str) -> Mapping[str, float]:
    """Return the client's seconds."""
    done = subprocess.run([sys.executable, "-c", CLIENT, conninfo], check=True, capture_output=True, text=True)
    return dict(json.loads(done.stdout))


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
                found[mode] = [(measured(direct), measured(through)) for _ in range(runs)]
    print(f"medians of {runs} runs\n\n| what | TLS to the server | direct, s | relay, s | ratio |")
    print("|---|---|---:|---:|---:|")
    names = {
        "small": f"{QUERIES:,} × `SELECT 1`",
        "large": f"{ROWS:,} rows fetched",
        "connect": "connect and close",
    }
    for what, name in names.items():
        for mode, pairs in found.items():
            direct_s, relay_s = (statistics.median(pair[side][what] for pair in pairs) for side in (0, 1))
            ratio = statistics.median(pair[1][what] / pair[0][what] for pair in pairs)
            tls = "no" if mode == "disable" else "yes"
            print(f"| {name} | {tls} | {direct_s:.4f} | {relay_s:.4f} | {ratio:.2f} |")


if __name__ == "__main__":
    main()
