"""Our sandboxes against ``docker run``, ipykernel in a container, smolagents' DockerExecutor and llm-sandbox.

Run it alone: ``python benchmarks/sandbox.py [--runs 20] [--base-image NAME] [--json FILE]``. It needs a Docker
engine, and makes an environment and an image for the peers first. Every run is a round in which each of them has its
turn, so a machine that changes its pace does so for all. One table of medians, a dash where there is no such thing;
below it what only ours has. Each sample is kept in the file, round by round. Ratios are what counts: seconds depend
on the machine.
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
from peers.measures import attempted, idle, once, reset, timed, together

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
PLAIN = "docker run --rm true"
KILLED = "host killed"
PATIENCE = 180  # seconds for one answer of a peer
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


class Peer:
    """A peer's process, begun again where it did not answer."""

    def __init__(self, name: str, python: str) -> None:
        self._command = [python, str(PEERS / "peers.py"), name, PEER_IMAGE]
        self._process: subprocess.Popen[str] | None = None

    def measure(self, what: str) -> dict[str, float]:
        """Return what was asked for; nothing of what failed, which is told on stderr."""
        if self._process is None:
            self._process = subprocess.Popen(
                self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
            )
        process = self._process
        assert process.stdin is not None
        assert process.stdout is not None
        clock = threading.Timer(PATIENCE, process.kill)
        clock.start()
        try:
            process.stdin.write(f"{what}\n")
            answer = process.stdout.readline()
        except OSError:
            answer = ""
        finally:
            clock.cancel()
        if not answer:
            self.close()
        return dict(json.loads(answer or "{}"))

    def close(self) -> None:
        """End it."""
        if self._process is not None:
            self._process.communicate()
            self._process = None


@contextlib.contextmanager
def peers(base: str) -> Iterator[dict[str, Peer]]:
    """Yield the peers, in an environment and an image of their own."""
    say("The peers' image and environment")
    build = ["docker", "build", "--quiet", "--tag", PEER_IMAGE, "--build-arg", f"BASE_IMAGE={base}", str(PEERS)]
    subprocess.run(build, check=True, stdout=sys.stderr)
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        venv.create(folder, with_pip=True)
        python = f"{folder}/bin/python"
        needs = ["-r", str(PEERS / "environment.txt")]
        subprocess.run([python, "-m", "pip", "install", "--quiet", *needs], check=True, stdout=sys.stderr)
        made = {name: Peer(name, python) for name in ("ipykernel", "smolagents", "llm-sandbox")}
        for peer in made.values():
            stack.callback(peer.close)
        yield made


STARTED = time.monotonic()


def say(what: str) -> None:
    """Tell how far it is."""
    print(f"[{time.monotonic() - STARTED:6.0f} s] {what}", file=sys.stderr, flush=True)


class Samples:
    """All that was measured, by sandbox and measure; kept in a *file*, if there is one, as it comes."""

    def __init__(self, file: Path | None) -> None:
        self._file = file
        self.taken: dict[str, dict[str, list[float]]] = {}

    def add(self, label: str, found: Mapping[str, float]) -> None:
        """Add to one sandbox's samples what was *found* of it."""
        taken = self.taken.setdefault(label, {})
        for name, value in found.items():
            taken.setdefault(name, []).append(value)
        if self._file is not None:
            self._file.write_text(json.dumps(self.taken, indent=1))


QUERY = "con.table('flights').count().execute()"


def queried(sandbox: Sandbox, database: Database) -> Iterator[tuple[str, float]]:
    """Yield the seconds to the first Ibis query's answer: from opening the session, and after a reset; and its own."""
    began = time.perf_counter()
    with sandbox.open(database) as session:
        query_first(session, QUERY)
        yield "first Ibis query", time.perf_counter() - began
        yield "reset, first Ibis query", timed(lambda: query_first(session, QUERY))
        # Here, where nothing is got ready any more: a session's first second has none to spare.
        yield "reset, first cell answered", timed(lambda: reset(_Ours(session, None)))


def query_first(session: Session, query: str) -> None:
    """Begin the session's interpreter with the kit, and run *query* in it."""
    session.start("cataloger_sandbox.kit:namespace", {"connection": dict(session.connection), **KIT})
    result = session.execute(query)
    if result.error:
        raise RuntimeError(result.output)


def warm(sandbox: DockerSandbox, small: Database) -> Iterator[tuple[str, float]]:
    """Yield the seconds from opening a session on a warm container: without a file, with a *small* one, and a query."""
    works: list[tuple[str, Database | None, Callable[[Session], object]]] = [
        ("warm, first cell answered", None, lambda session: session.execute("1 + 1")),
        ("warm, file sent, first cell", small, lambda session: session.execute("1 + 1")),
        ("warm, file sent, first Ibis query", small, lambda session: query_first(session, QUERY)),
    ]
    for name, granted, work in works:
        await_idle()
        began = time.perf_counter()
        with sandbox.open(granted) as session:
            work(session)
            yield name, time.perf_counter() - began


def await_idle() -> None:
    """Wait until the pool is full again, its container's imports included."""
    with contextlib.closing(docker.APIClient()) as api:
        while not api.containers(filters={"label": POOL, "name": "cataloger-idle-"}):
            time.sleep(0.05)
    time.sleep(2)


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


def after_a_kill(name: str, when: str) -> float:
    """Return the seconds until the container is gone after its host process was killed."""
    with subprocess.Popen([sys.executable, "-c", HOST, name, when], stdout=subprocess.PIPE, text=True) as host:
        assert host.stdout is not None
        host.stdout.readline()
        time.sleep(0.5)  # into the cell
        began = time.perf_counter()
        host.send_signal(signal.SIGKILL)
        host.wait()
        while containers(host.pid):
            time.sleep(0.01)
        return time.perf_counter() - began


def show(samples: Mapping[str, Mapping[str, list[float]]], runs: int) -> None:
    """Print one table: a row for each measure, a column for each sandbox, of how many runs where these are fewer."""
    names = [name for name in samples if name != PLAIN]
    print(f"{'milliseconds, medians of ' + str(runs):36}" + "".join(f"{name:>15}" for name in names))
    print(f"{PLAIN:36}{statistics.median(samples[PLAIN][PLAIN]) * 1000:15.0f}")
    for measured in dict.fromkeys(measured for name in names for measured in samples[name]):
        print(f"{measured:36}" + "".join(f"{_cell(samples[name].get(measured), measured, runs):>15}" for name in names))


def _cell(taken: list[float] | None, measured: str, runs: int) -> str:
    if not taken:
        return "-"
    is_memory = measured.endswith("(MB)")
    few = f" ({len(taken)})" if len(taken) < runs and not is_memory else ""
    return f"{statistics.median(taken) * (1 if is_memory else 1000):.1f}{few}"


def main() -> None:
    """Measure everything and print it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--base-image", default=os.environ.get("CATALOGER_TEST_BASE_IMAGE", "python:3.12-slim"))
    parser.add_argument("--json", type=Path, help="keep every sample in this file, round by round")
    options = parser.parse_args()
    name = os.environ.get("CATALOGER_SANDBOX_IMAGE") or Settings(databases=Path()).sandbox_image
    if not image.is_current(name):
        image.build(name, options.base_image)
    ours: dict[str, Sandbox] = {"ours, Docker": DockerSandbox(name), "ours, local": LocalSandbox()}
    samples, runs = Samples(options.json), options.runs
    plain = ["docker", "run", "--rm", "--entrypoint", "true", name]
    with tempfile.TemporaryDirectory() as folder, peers(options.base_image) as others:
        Path(folder).chmod(0o755)
        file = Path(folder) / "flights.duckdb"
        build_database(file, 1)
        database = Database.from_url(f"duckdb://{file}")
        small = Database.from_url(f"duckdb://{small_database(Path(folder))}")
        for label, sandbox in ours.items():
            samples.add(label, attempted(label, idle(opener(sandbox))))
        for label, peer in others.items():
            samples.add(label, peer.measure("idle"))
        for run in range(runs):
            say(f"round {run + 1} of {runs}: one session at a time")
            samples.add(PLAIN, {PLAIN: timed(lambda: subprocess.run(plain, check=True))})
            for label, sandbox in ours.items():
                samples.add(label, attempted(label, once(opener(sandbox), resets=False)))
                samples.add(label, attempted(label, queried(sandbox, database)))
            for label, peer in others.items():
                samples.add(label, peer.measure("once"))
        for run in range(runs):
            say(f"round {run + 1} of {runs}: 8 sessions at once")
            for label, sandbox in ours.items():
                samples.add(label, attempted(label, together(opener(sandbox))))
            for label, peer in others.items():
                samples.add(label, peer.measure("together"))
        pooled = DockerSandbox(name, pool=1)
        with pooled.open(None):
            await_idle()
        for run in range(runs):
            say(f"round {run + 1} of {runs}: warm")
            samples.add("ours, Docker", attempted("warm", warm(pooled, small)))
            samples.add("llm-sandbox", others["llm-sandbox"].measure("pool"))
        for run in range(runs):
            say(f"round {run + 1} of {runs}: killed")
            samples.add(KILLED, {when: after_a_kill(name, when) for when in ("idle", "cell")})
    killed = samples.taken.pop(KILLED)
    show(samples.taken, runs)
    print()
    for label, sandbox in ours.items():
        took, grown = gigabyte(sandbox)
        print(f"{label}: 1 GB printed in {took:.1f} s, host process + {grown:.0f} MB")
    for when, taken in killed.items():
        print(f"host killed, {when}: container gone after {statistics.median(taken) * 1000:.0f} ms")


if __name__ == "__main__":
    main()
