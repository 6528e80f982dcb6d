"""The relay against a direct connection: many small queries, one large result, and connecting.

Run it alone: ``python benchmarks/relay.py [--runs 5]``. It starts a PostgreSQL server of its own. The clients, a
process beside this one, another one, and two sessions of a sandbox, take turns, so that all see the same machine.
Ratios are what counts: seconds depend on the machine. ``--processor`` counts the processor time of all processes for
small queries alone, which a busy machine changes less; with ``--image`` a container's processes are not among them.
"""

import argparse
import contextlib
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from urllib.parse import quote

from psycopg.conninfo import make_conninfo

from cataloger_dagster.databases import Database
from cataloger_dagster.sandbox import grant
from cataloger_dagster.sandbox.docker import DockerSandbox
from cataloger_dagster.sandbox.local import LocalSandbox
from cataloger_dagster.sandbox.login import Login
from cataloger_dagster.sandbox.relay import Relay
from cataloger_dagster.sandbox.session import Sandbox
from cataloger_dagster.sandbox.upstream import SSLMode, Upstream

sys.path.insert(0, str(Path(__file__).parents[1]))
from tests.sandbox.listener import Listener
from tests.sandbox.servers import PASSWORD, Server, tls_server

ROWS = 1_000_000
WHAT = {
    "small": ("2,000 × `SELECT 1`", 20),
    "facts": (f"40 × a column's facts of {ROWS:,} rows", 20),
    "large": (f"{ROWS:,} rows fetched", 1),
    "connect": ("20 × connect and close", 20),
}
"""What is measured, and how many turns it takes."""

CLIENT = f"""
import time
import psycopg

way = {{way!r}}
connection = psycopg.connect(way, autocommit=True)
FACTS = "SELECT count(*), count(amount), min(amount), max(amount), avg(amount) FROM flights"

def small():
    for _ in range(100):
        connection.execute("SELECT 1").fetchone()

def facts():
    for _ in range(2):
        connection.execute(FACTS).fetchone()

def large():
    assert len(connection.execute("SELECT * FROM flights").fetchall()) == {ROWS}

def connect():
    psycopg.connect(way).close()

def timed(what):
    began = time.perf_counter()
    what()
    return time.perf_counter() - began
"""

LOOP = """
import sys
print("ready", flush=True)
for line in sys.stdin:
    print(timed(globals()[line.strip()]), flush=True)
"""

SETTLING = 15.0
"""Seconds in which sandboxes end their imports."""

Client = Callable[[str], float]


@contextlib.contextmanager
def process(way: str) -> Iterator[Client]:
    """Yield a client in a process of its own."""
    command = [sys.executable, "-c", CLIENT.format(way=way) + LOOP]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdin
        assert child.stdout
        told, said = child.stdin, child.stdout
        assert said.readline() == "ready\n"

        def measure(what: str) -> float:
            told.write(f"{what}\n")
            told.flush()
            return float(said.readline())

        yield measure
        told.close()


@contextlib.contextmanager
def session(sandbox: Sandbox, database: Database) -> Iterator[Client]:
    """Yield a client in a sandbox, behind the relay."""
    with sandbox.open(database) as opened:
        place = opened.connection
        way = make_conninfo(host=place["host"], port=place.get("port") or 5432, user="anybody")
        made = opened.execute(CLIENT.format(way=way))
        assert made.error is None, made.output
        yield lambda what: float(opened.execute(f"timed({what})").output)


@contextlib.contextmanager
def relayed(upstream: Upstream) -> Iterator[str]:
    """Yield the connection string of a relay to *upstream* that listens at a socket."""
    relay = Relay(upstream, Login(upstream.name, "scram", "postgres", PASSWORD))
    with tempfile.TemporaryDirectory(prefix="r") as folder, Listener(relay, Path(folder, ".s.PGSQL.5432")):
        yield f"host={folder}"


@contextlib.contextmanager
def without_doors() -> Iterator[None]:
    """Have sessions reach their servers by the tunnel, as with an engine on another machine."""
    shown = grant.doorway
    grant.doorway = lambda: contextlib.nullcontext(None)  # type: ignore[assignment]
    try:
        yield
    finally:
        grant.doorway = shown


@contextlib.contextmanager
def clients(sandbox: Sandbox, server: Server, mode: SSLMode) -> Iterator[list[Client]]:
    """Yield clients: direct, at the relay's socket, in a sandbox, and in one by the tunnel."""
    port = server.upstream.port
    direct = make_conninfo(
        host="127.0.0.1", port=port, user="scram", password=PASSWORD, dbname="postgres", sslmode=mode
    )
    url = f"postgres://scram:{quote(PASSWORD, safe='')}@127.0.0.1:{port}/postgres?sslmode={mode}"
    database = Database.from_url(url, environ={})
    with contextlib.ExitStack() as stack:
        found = [
            stack.enter_context(process(direct)),
            stack.enter_context(process(stack.enter_context(relayed(Upstream("127.0.0.1", port, mode))))),
            stack.enter_context(session(sandbox, database)),
        ]
        with without_doors():
            found.append(stack.enter_context(session(sandbox, database)))
        yield found


def measured(sandbox: Sandbox, server: Server, mode: SSLMode, runs: int) -> list[list[Mapping[str, float]]]:
    """Return the seconds of each run, by client and what it did."""
    found = []
    for _ in range(runs):
        with clients(sandbox, server, mode) as each:
            seconds = [dict.fromkeys(WHAT, 0.0) for _ in each]
            for what, (_, turns) in WHAT.items():
                for turn in range(turns):
                    for place in range(len(each)):
                        side = (place + turn) % len(each)
                        seconds[side][what] += each[side](what)
            found.append(seconds)
    return list(found)


def processor(sandbox: Sandbox, server: Server, mode: SSLMode, runs: int) -> list[list[float]]:
    """Return the seconds of processor time of all processes for a small query, of each run by client."""
    with clients(sandbox, server, mode) as each:
        for client in each:
            client("small")
        time.sleep(SETTLING)
        ours = processes()
        found = []
        for run in range(runs):
            seconds = [0.0] * len(each)
            for place in range(len(each)):
                side = (place + run) % len(each)
                before = spent(ours)
                each[side]("small")
                seconds[side] = (spent(ours) - before) / 100
            found.append(seconds)
    return found


def processes() -> list[int]:
    """Return this process and all below it: the server's, the clients', those of local sandboxes."""
    below: dict[int, list[int]] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            below.setdefault(parent, []).append(int(folder.name))
    found = [os.getpid()]
    for each in found:
        found += below.get(each, [])
    return found


def spent(numbers: list[int]) -> float:
    """Return the seconds of processor time that processes have used, all threads and dead ones too."""
    total = 0
    for number in numbers:
        with contextlib.suppress(OSError):
            total += time.clock_gettime_ns((~number << 3) | 2)  # as clock_getcpuclockid(3) makes it on Linux
    return total / 1e9


def main() -> None:
    """Measure and print one table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--image", help="of Docker's sandbox; without it the local one")
    parser.add_argument("--processor", action="store_true", help="processor time of small queries, and nothing else")
    options = parser.parse_args()
    runs = options.runs
    sandbox: Sandbox = DockerSandbox(options.image) if options.image else LocalSandbox(isolated=False)
    with tls_server() as server:
        server.execute(
            f"CREATE TABLE flights AS SELECT i AS id, md5(i::text) AS name, i * 0.25 AS amount, "
            f"timestamp '2026-01-01' + i * interval '1 s' AS at FROM generate_series(1, {ROWS}) AS i",
            "GRANT SELECT ON flights TO scram",
            "VACUUM ANALYZE flights",
        )
        modes: tuple[SSLMode, ...] = ("disable", "require")
        if options.processor:
            show_processor({mode: processor(sandbox, server, mode, runs) for mode in modes})
            return
        found = {mode: measured(sandbox, server, mode, runs) for mode in modes}
    print(f"medians of {runs} runs\n")
    print("| what | TLS | direct, s | at the relay's socket | in a sandbox | by the tunnel |")
    print("|---|---|---:|---:|---:|---:|")
    for what, (name, _) in WHAT.items():
        for mode, each in found.items():
            direct = statistics.median(run[0][what] for run in each)
            ratios = [statistics.median(run[side][what] / run[0][what] for run in each) for side in (1, 2, 3)]
            tls = "no" if mode == "disable" else "yes"
            print(f"| {name} | {tls} | {direct:.2f} | " + " | ".join(f"× {each:.2f}" for each in ratios) + " |")


def show_processor(found: Mapping[SSLMode, list[list[float]]]) -> None:
    """Print the processor time of a small query, a row for each way to the server."""
    print(f"medians of {len(found['disable'])} runs of 100 queries\n")
    print("| way | TLS | microseconds | ratio |")
    print("|---|---|---:|---:|")
    for side, way in enumerate(("direct", "at the relay's socket", "in a sandbox, by the socket", "by the tunnel")):
        for mode, runs in found.items():
            took = statistics.median(run[side] for run in runs) * 1e6
            ratio = statistics.median(run[side] / run[0] for run in runs)
            print(f"| {way} | {'no' if mode == 'disable' else 'yes'} | {took:.0f} | {ratio:.2f} |")


if __name__ == "__main__":
    main()
