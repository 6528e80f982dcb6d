"""What is measured of every session alike, ours and the peers': plain Python, because each runs in its own environment.

Seconds of wall time, each the median of its runs. What is measured is what a user waits for: nothing is taken off.
"""

import contextlib
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from typing import Protocol, TypeVar

MEGABYTE = "for _ in range(16_384): print('x' * 63)"
AT_ONCE = 8
AT_ONCE_RUNS = 3
TRIES = 10


Result = TypeVar("Result")


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


def median(runs: int, work: Callable[[], object]) -> float:
    """Return the median time of *work* over so many *runs*, in seconds."""
    return statistics.median(timed(work) for _ in range(runs))


def measure(open_session: Open, runs: int, resets: bool = True) -> Iterator[tuple[str, float | None]]:
    """Yield what was measured with its seconds, or the idle session's memory in MB; null where it failed."""
    ready = "ready, first cell answered"
    yield ready, attempted(ready, lambda: opened(open_session, runs, "print(1 + 1)", "2"))
    with contextlib.ExitStack() as stack:
        session = attempted("a session", lambda: stack.enter_context(started(open_session)))

        def of_session(name: str, work: Callable[[Session], float | None]) -> tuple[str, float | None]:
            return name, None if session is None else attempted(name, lambda: work(session))

        yield of_session("1 + 1", lambda each: median(runs, lambda: _expect(each.run("print(1 + 1)"), "2")))
        yield of_session("idle memory (MB)", lambda each: _memory(each.container) if each.container else None)
        yield of_session("1 MB of output", lambda each: median(runs, lambda: each.run(MEGABYTE)))
        if resets:
            yield of_session("reset, first cell answered", lambda each: median(runs, lambda: _reset(each)))
    together = [_at_once(open_session) for _ in range(AT_ONCE_RUNS)]
    answered = [each for each in together if each is not None]
    yield "8 sessions at once", statistics.median(answered) if len(answered) == AT_ONCE_RUNS else None


def attempted(name: str, work: Callable[[], Result]) -> Result | None:
    """Return what *work* returns, or null, with the reason on stderr: one cell of the table stays empty."""
    try:
        return work()
    except Exception as fault:  # noqa: BLE001  # whatever a peer's libraries raise
        print(f"{name}: {fault!r}", file=sys.stderr)
        return None


@contextlib.contextmanager
def started(open_session: Open) -> Iterator[Session]:
    """Open a session, once more if it does not start."""
    with contextlib.ExitStack() as stack:
        for left in reversed(range(TRIES)):
            try:
                session = stack.enter_context(open_session())
            except RuntimeError as fault:
                print(f"a session did not start: {fault}", file=sys.stderr)
                if not left:
                    raise
            else:
                break
        yield session


def opened(open_session: Open, runs: int, code: str, wanted: str) -> float | None:
    """Return the seconds from opening a session to its first cell's answer: *code* prints *wanted*.

    A session that does not start is told of on stderr and left out, so null is for none.
    """
    took = []
    for _ in range(runs):
        began = time.perf_counter()
        try:
            with open_session() as session:
                _expect(session.run(code), wanted)
                took.append(time.perf_counter() - began)
        except RuntimeError as fault:
            print(f"a session did not start: {fault}", file=sys.stderr)
    return statistics.median(took) if took else None


def _reset(session: Session) -> None:
    session.reset()
    _expect(session.run("print(1 + 1)"), "2")


def _at_once(open_session: Open) -> float | None:
    """Return the seconds until all are answered and left; null, with the reason on stderr, if one was not."""

    def one() -> None:
        with open_session() as session:
            _expect(session.run("print(1 + 1)"), "2")

    began = time.perf_counter()
    with ThreadPoolExecutor(AT_ONCE) as pool:
        tasks = [pool.submit(one) for _ in range(AT_ONCE)]
    took = time.perf_counter() - began
    faults = [fault for task in tasks if (fault := task.exception())]
    if faults:
        print(f"{len(faults)} of {AT_ONCE} sessions at once failed, first: {faults[0]!r}", file=sys.stderr)
    return None if faults else took


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
