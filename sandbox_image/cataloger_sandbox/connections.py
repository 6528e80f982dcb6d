"""The connections over which a database is measured: all of one view of it, each for one thread at a time.

What is asked over them is for others to say. A table's work is one connection's; which one's makes no difference.
"""

from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed, wait
from math import ceil
from threading import Event, Lock
from typing import TypeVar

from cataloger_sandbox.engines.base import Engine
from cataloger_sandbox.errors import DatabaseProblem

T = TypeVar("T")
R = TypeVar("R")

_AGAIN = 0.1  # a query that begins just when all are ended is ended so much later


class Connections:
    """One engine, and others that see the same data, as many as are asked for and can be had.

    Args:
        another: opens one more; null where there can be one alone.
        end: ends what runs on all of them, and lets none be opened again.
        told: gives what is to be said of them when all is measured.
        own: how many there are whatever is asked for, as they burden nobody; null for as many as are.
    """

    def __init__(
        self,
        first: Engine,
        another: Callable[[], Engine] | None = None,
        end: Callable[[], None] | None = None,
        told: Callable[[], list[str]] = list,
        own: int | None = None,
    ) -> None:
        self.engines = [first]
        self.stopped = Event()
        self._another = another
        self._end = end
        self._told = told
        self._own = own
        self._fewer: list[str] = []

    @property
    def first(self) -> Engine:
        """The one that asks what is asked once."""
        return self.engines[0]

    @property
    def told(self) -> list[str]:
        """What is to be said of them: why they are fewer than wanted, and what became of them."""
        return [*self._fewer, *self._told()]

    def grow(self, wanted: int, items: int) -> None:
        """Open more, until there are as many as *wanted*, or as *items*; where one can't be opened the others go on."""
        count = min(self._own or wanted, items)
        while self._another and len(self.engines) < count:
            try:
                self.engines.append(self._another())
            except DatabaseProblem as problem:
                self._fewer.append(f"measured over {len(self.engines)} of {count} connections: {problem}")
                return

    def each(
        self,
        items: Sequence[T],
        weight: Callable[[T], int],
        work: Callable[[Engine, T, int], R],
        alone: Callable[[T], bool],
    ) -> list[R]:
        """Return what *work* makes of each of *items*, in their order.

        It is given the engine to ask, the item, and how many are still to come one after another, this one included.
        Over several connections the first has those that are worked on *alone*, and only then the others begin, the
        heaviest first, so that none is waited for at the end; whatever is raised then, an interrupt among it, ends the
        queries of all.
        """
        single = len(self.engines) == 1 or len(items) < 2
        before = [index for index, item in enumerate(items) if single or alone(item)]
        beside = sorted({*range(len(items))} - {*before}, key=lambda index: -weight(items[index]))
        after = ceil(len(beside) / len(self.engines))
        done = {
            index: work(self.first, items[index], len(before) - number + after) for number, index in enumerate(before)
        }
        if beside:
            self._share(items, beside, work, done)
        return [done[index] for index in range(len(items))]

    def _share(
        self, items: Sequence[T], order: Sequence[int], work: Callable[[Engine, T, int], R], done: dict[int, R]
    ) -> None:
        """Have *work* done on those of *items* that *order* numbers, over all connections; its outcome is in *done*."""
        queue = _Queue(order, len(self.engines))

        def serve(engine: Engine) -> None:
            while not self.stopped.is_set() and (taken := queue.take()):
                index, rounds = taken
                done[index] = work(engine, items[index], rounds)

        with ThreadPoolExecutor(len(self.engines), "connection") as threads:
            futures = [threads.submit(serve, engine) for engine in self.engines]
            try:
                for future in as_completed(futures):
                    future.result()
            except BaseException:
                self._stop(futures)
                raise

    def _stop(self, futures: Sequence[Future[None]]) -> None:
        self.stopped.set()
        while wait(futures, 0).not_done:
            if self._end:
                self._end()
            wait(futures, _AGAIN)


class _Queue:
    """What is still to do, for several threads."""

    def __init__(self, order: Sequence[int], threads: int) -> None:
        self._left = deque(order)
        self._threads = threads
        self._lock = Lock()

    def take(self) -> tuple[int, int] | None:
        """Return the next one and how many each thread has still to do, this one included; null at the end."""
        with self._lock:
            if not self._left:
                return None
            rounds = ceil(len(self._left) / self._threads)
            return self._left.popleft(), rounds
