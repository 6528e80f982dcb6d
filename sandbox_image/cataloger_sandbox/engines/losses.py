"""Connections to a server that are lost on the way: how often one is opened again, and how long the server is awaited.

What was asked when one was lost has no answer. What view of the data one comes back to is for the engines to say.
"""

from collections.abc import Callable
from threading import Event, Lock
from time import monotonic

from cataloger_sandbox.errors import DatabaseProblem

LOST = "the connection to the server was lost in the middle: try again"

RETURN_SECONDS = 30.0
"""So long is a server waited for that went away: it may be starting again."""

LOSSES = 3
"""A connection that is lost so many times is not opened again: somebody ends it on purpose, or the queries do."""

_PAUSE = 0.5


class Losses:
    """How often the connections to one server were lost.

    Attributes:
        later: whether some of what is read is of a later state of the data than the rest.
    """

    def __init__(self) -> None:
        self.later = False
        self._count = 0
        self._stopped = Event()
        self._lock = Lock()

    def again(self, reopen: Callable[[], None], losses: int, faults: tuple[type[Exception], ...]) -> None:
        """Have a connection opened in place of one that was lost, the *losses*-th time; *reopen* raises *faults*.

        Raises:
            DatabaseProblem: it was lost too often, or the server does not come back.
        """
        with self._lock:
            self._count += 1
        until = monotonic() + RETURN_SECONDS
        expected: tuple[type[Exception], ...] = (DatabaseProblem, *faults)
        while True:
            if losses > LOSSES or self._stopped.is_set():
                raise DatabaseProblem(LOST)
            try:
                reopen()
            except expected as error:
                if monotonic() > until:
                    raise DatabaseProblem(LOST) from error
                self._stopped.wait(_PAUSE)
            else:
                return

    def told(self) -> list[str]:
        """Say what became of the connections."""
        if not self._count:
            return []
        times = "once" if self._count == 1 else f"{self._count} times"
        later = "; what was measured after that is of a later state of the data" if self.later else ""
        return [f"the connection to the server was lost {times}{later}"]

    def stop(self) -> None:
        """Open no connection any more."""
        self._stopped.set()
