"""What is measured of every session alike, ours and the peers': plain Python, because each runs in its own environment.

Seconds of wall time. What is measured is what a user waits for: nothing is taken off.
"""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from typing import Protocol

MEGABYTE = "for _ in range(16_384): print('x' * 63)"
AT_ONCE = 8


class Session(Protocol):
    """A live Python that keeps its state; ``container`` is its container's id or name, if it has one."""

    container: str | None

    def run(self, code: str) -> str:
        """Run *code* and return what it printed."""

    def reset(self) -> None:
        """Begin again with a fresh interpreter, ready for the next cell."""


Open = Callable[[], AbstractContextManager[Session]]


def timed(work: Callable[[], object]) -> float:
    """Return how long *work* took, in seconds."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def once(open_session: Open, query: str = "", answer: str = "", resets: bool = True) -> Iterator[tuple[str, float]]:
    """Open one session and yield its measures: ready, a cell, 1 MB, the first *query*, which prints *answer*, a reset.

    The query's seconds are those until the session was ready and those of its own cell: so it is told of sessions
    that get nothing ready meanwhile.
    """
    began = time.perf_counter()
    with open_session() as session:
        _expect(session.run("print(1 + 1)"), "2")
        ready = time.perf_counter() - began
        yield "ready, first cell answered", ready
        yield "1 + 1", timed(lambda: _expect(session.run("print(1 + 1)"), "2"))
        yield "1 MB of output", timed(lambda: session.run(MEGABYTE))
        if query:
            yield "first Ibis query", ready + timed(lambda: _expect(session.run(query), answer))
        if resets:
            yield "reset, first cell answered", timed(lambda: reset(session))


def idle(open_session: Open) -> Iterator[tuple[str, float]]:
    """Yield the memory of a session that has answered one cell, in MB."""
    with open_session() as session:
        _expect(session.run("print(1 + 1)"), "2")
        if session.container:
            yield "idle memory (MB)", _memory(session.container)


def together(open_session: Open) -> Iterator[tuple[str, float]]:
    """Open sessions at once, and yield the seconds until all are answered and left."""

    def one() -> None:
        with open_session() as session:
            _expect(session.run("print(1 + 1)"), "2")

    began = time.perf_counter()
    with ThreadPoolExecutor(AT_ONCE) as pool:
        tasks = [pool.submit(one) for _ in range(AT_ONCE)]
    took = time.perf_counter() - began
    faults = [fault for task in tasks if (fault := task.exception())]
    if faults:
        raise RuntimeError(f"{len(faults)} of {AT_ONCE} sessions failed, first: {faults[0]!r}")
    yield f"{AT_ONCE} sessions at once", took


def opened(open_session: Open, name: str, code: str, wanted: str) -> Iterator[tuple[str, float]]:
    """Yield the seconds from opening a session to its first cell's answer, as *name*: *code* prints *wanted*."""
    began = time.perf_counter()
    with open_session() as session:
        _expect(session.run(code), wanted)
        yield name, time.perf_counter() - began


def attempted(what: str, measures: Iterator[tuple[str, float]]) -> dict[str, float]:
    """Return the *measures* up to the first that fails, whose reason is told on stderr."""
    found: dict[str, float] = {}
    try:
        found.update(measures)
    except Exception as fault:  # noqa: BLE001  # whatever a peer's libraries raise
        print(f"{what}: {fault!r}", file=sys.stderr, flush=True)
    return found


def reset(session: Session) -> None:
    """Reset a session and have it answer a cell."""
    session.reset()
    _expect(session.run("print(1 + 1)"), "2")


def _memory(container: str) -> float:
    """Return what the engine counts as the container's memory (without the page cache), in MB."""
    shown = subprocess.run(
        ["docker", "stats", "--no-stream", "--format", "{{.MemUsage}}", container],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split("/")[0]
    number = float(shown.strip().rstrip("KMGiB"))
    unit = shown.strip().lstrip("0123456789.")
    return number * {"KiB": 1 / 1024, "MiB": 1, "GiB": 1024}[unit]


def _expect(output: str, wanted: str) -> None:
    if output.strip() != wanted:
        raise ValueError(f"the session answered {output!r}, not {wanted!r}")
