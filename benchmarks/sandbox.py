"""Our sandboxes against ``docker run``, ipykernel in a container, smolagents' DockerExecutor and llm-sandbox.

Run it alone: ``python benchmarks/sandbox.py [--runs 20] [--base-image NAME]``. It needs a Docker engine, and makes
an environment and an image for the peers first. One table, medians of one run on one machine; below it what only
ours has. Ratios are what counts: seconds depend on the machine.
"""

import argparse
import contextlib
import json
import os
import resource
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import venv
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import docker
import duckdb
from peers.measures import measure, median, timed

from cataloger_dagster.databases import Database
from cataloger_dagster.demo import build_database
from cataloger_dagster.owners import OWNER
from cataloger_dagster.sandbox import image
from cataloger_dagster.sandbox.docker import DockerSandbox
from cataloger_dagster.sandbox.local import LocalSandbox
from cataloger_dagster.sandbox.pool import POOL
from cataloger_dagster.sandbox.session import Sandbox, Session
from cataloger_dagster.settings import Settings

PEERS = Path(__file__).parent / "peers"
PEER_IMAGE = "cataloger-peers"
PATIENCE = 3600  # seconds for one peer
GIGABYTE = "for _ in range(1 << 20): print('x' * 1023)"
KIT = {"facts": {}, "history": [], "changes": []}

HOST = """
import sys, time
from cataloger_dagster.sandbox.docker import DockerSandbox
with DockerSandbox(sys.argv[1]).open(None) as session:
    session.start("builtins:dict", {})
    print("ready", flush=True)
    session.execute("import time\\nwhile True: time.sleep(1)" if sys.argv[2] == "cell" else "1", timeout=100)
    time.sleep(100)
"""


class _Ours:
    """One of our sessions, as the measures see it."""

    def __init__(self, session: Session, container: str | None) -> None:
        self.container = container
        self._session = session

    def run(self, code: str) -> str:
        return self._session.execute(code).output

    def reset(self) -> None:
        self._session.start("builtins:dict", {})


def opener(sandbox: Sandbox) -> Any:
    """Return what opens a session of *sandbox* for the measures."""

    @contextlib.contextmanager
    def open_session() -> Iterator[_Ours]:
        with sandbox.open(None) as session:
            yield _Ours(session, (containers() or [None])[0] if sandbox.name == "docker" else None)

    return open_session


def containers(process: int | None = None) -> list[str]:
    """Return the containers that a process of ours opened, this one's if none is named."""
    with contextlib.closing(docker.APIClient()) as api:
        found = api.containers(filters={"label": OWNER})
    return [each["Id"] for each in found if each["Labels"][OWNER].split()[1] == str(process or os.getpid())]


def peers(base: str, runs: int) -> dict[str, dict[str, float | None]]:
    """Return the peers' figures, from an environment and an image of their own."""
    said = sys.stderr
    subprocess.run(
        ["docker", "build", "--quiet", "--tag", PEER_IMAGE, "--build-arg", f"BASE_IMAGE={base}", str(PEERS)],
        check=True,
        stdout=said,
    )
    with tempfile.TemporaryDirectory() as folder:
        venv.create(folder, with_pip=True)
        python = f"{folder}/bin/python"
        needs = ["-r", str(PEERS / "environment.txt")]
        subprocess.run([python, "-m", "pip", "install", "--quiet", *needs], check=True, stdout=said)
        found = {}
        for name in ("ipykernel", "smolagents", "llm-sandbox"):
            print(f"{name} …", file=said)
            command = [python, str(PEERS / "peers.py"), name, PEER_IMAGE, str(runs)]
            # One that does not get through leaves the rest of its column empty; why is on stderr.
            with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as running:
                assert running.stdout is not None
                clock = threading.Timer(PATIENCE, running.kill)
                clock.start()
                found[name] = dict(json.loads(line) for line in running.stdout)
                clock.cancel()
        return found


def queried(sandbox: Sandbox, database: Database, runs: int) -> dict[str, float | None]:
    """Return the seconds to the first Ibis query's answer: from opening the session, and after a reset."""
    query = "con.table('flights').count().execute()"

    fresh = []
    for _ in range(runs):
        began = time.perf_counter()
        with sandbox.open(database) as session:
            query_first(session, query)
            fresh.append(time.perf_counter() - began)
    with sandbox.open(database) as session:
        again = median(runs, lambda: query_first(session, query))
    return {"first Ibis query": statistics.median(fresh), "reset, first Ibis query": again}


def query_first(session: Session, query: str) -> None:
    """Begin the session's interpreter with the kit, and run *query* in it."""
    session.start("cataloger_sandbox.kit:namespace", {"connection": dict(session.connection), **KIT})
    result = session.execute(query)
    if result.error:
        raise RuntimeError(result.output)


def warm(image_name: str, database: Database, runs: int) -> dict[str, float | None]:
    """Return the seconds from opening a session on a warm container: without and with a small file sent, and a query.

    *database* is the small file's.
    """
    sandbox = DockerSandbox(image_name, pool=1)
    with sandbox.open(None):
        await_idle()

    def claimed(granted: Database | None, work: Callable[[Session], object]) -> float:
        took = []
        for _ in range(runs):
            began = time.perf_counter()
            with sandbox.open(granted) as session:
                work(session)
                took.append(time.perf_counter() - began)
                await_idle()
        return statistics.median(took)

    return {
        "warm, first cell answered": claimed(None, lambda session: session.execute("1 + 1")),
        "warm, file sent, first cell": claimed(database, lambda session: session.execute("1 + 1")),
        "warm, file sent, first Ibis query": claimed(
            database, lambda session: query_first(session, "con.table('flights').count().execute()")
        ),
    }


def await_idle() -> None:
    """Wait until the pool is full again, its container's imports included."""
    with contextlib.closing(docker.APIClient()) as api:
        while not api.containers(filters={"label": POOL, "name": "cataloger-idle-"}):
            time.sleep(0.05)
    time.sleep(3)


def gigabyte(sandbox: Sandbox) -> tuple[float, float]:
    """Return the seconds that 1 GB of output takes, and by how many MB this process's peak memory grew."""
    with sandbox.open(None) as session:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        took = timed(lambda: session.execute(GIGABYTE, timeout=300))
    return took, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024


def small_database(folder: Path) -> Path:
    """Make a database small enough to be sent to a warm container."""
    file = folder / "small.duckdb"
    with duckdb.connect(str(file)) as con:
        con.execute("CREATE TABLE flights AS SELECT range AS id FROM range(1000)")
    return file


def after_a_kill(name: str, when: str, runs: int) -> float:
    """Return the seconds until the container is gone after its host process was killed."""
    took = []
    for _ in range(runs):
        host = subprocess.Popen([sys.executable, "-c", HOST, name, when], stdout=subprocess.PIPE, text=True)
        assert host.stdout is not None
        host.stdout.readline()
        time.sleep(0.5)  # into the cell
        began = time.perf_counter()
        host.send_signal(signal.SIGKILL)
        host.wait()
        while containers(host.pid):
            time.sleep(0.01)
        took.append(time.perf_counter() - began)
    return statistics.median(took)


def show(figures: Mapping[str, Mapping[str, float | None]], baseline: float) -> None:
    """Print one table: a row for each measure, a column for each sandbox."""
    names = list(figures)
    print(f"{'milliseconds':34}" + "".join(f"{name:>13}" for name in names))
    print(f"{'docker run --rm true':34}{baseline * 1000:13.0f}")
    for measured in dict.fromkeys(measured for each in figures.values() for measured in each):
        cells = [figures[name].get(measured) for name in names]
        factor = 1 if measured.endswith("(MB)") else 1000
        shown = ["-" if cell is None else f"{cell * factor:.1f}" for cell in cells]
        print(f"{measured:34}" + "".join(f"{cell:>13}" for cell in shown))


def main() -> None:
    """Measure everything and print it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--base-image", default=os.environ.get("CATALOGER_TEST_BASE_IMAGE", "python:3.12-slim"))
    options = parser.parse_args()
    name = os.environ.get("CATALOGER_SANDBOX_IMAGE") or Settings(databases=Path()).sandbox_image
    if not image.is_current(name):
        image.build(name, options.base_image)
    ours: dict[str, Sandbox] = {"ours, Docker": DockerSandbox(name), "ours, local": LocalSandbox()}

    def plain() -> None:
        subprocess.run(["docker", "run", "--rm", "--entrypoint", "true", name], check=True)

    baseline = median(options.runs, plain)
    figures: dict[str, dict[str, float | None]] = {
        label: dict(measure(opener(sandbox), options.runs)) for label, sandbox in ours.items()
    }
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "flights.duckdb"
        Path(folder).chmod(0o755)
        build_database(file, 1)
        for label, sandbox in ours.items():
            figures[label] |= queried(sandbox, Database.from_url(f"duckdb://{file}"), options.runs)
        small = Database.from_url(f"duckdb://{small_database(Path(folder))}")
        figures["ours, Docker"] |= warm(name, small, options.runs)
    figures |= peers(options.base_image, options.runs)
    show(figures, baseline)
    print()
    for label, sandbox in ours.items():
        took, grown = gigabyte(sandbox)
        print(f"{label}: 1 GB printed in {took:.1f} s, host process + {grown:.0f} MB")
    for when in ("idle", "cell"):
        gone = after_a_kill(name, when, max(3, options.runs // 4))
        print(f"host killed, {when}: container gone after {gone * 1000:.0f} ms")


if __name__ == "__main__":
    main()
