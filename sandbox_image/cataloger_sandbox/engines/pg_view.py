"""The view of the data that the connections to one PostgreSQL server share, and how one that is lost comes back to it.

The first connection exports the snapshot of its transaction, the others take it. What is read is ``pg``'s.
"""

from collections.abc import Callable
from threading import Event, Lock
from time import monotonic
from typing import Any

import psycopg

from cataloger_sandbox.engines.base import literal, one_line
from cataloger_sandbox.errors import DatabaseProblem

LOST = "the connection to the server was lost in the middle: try again"

RETURN_SECONDS = 30.0
"""So long is a server waited for that went away: it may be starting again."""

LOSSES = 3
"""A connection that is lost so many times is not opened again: somebody ends it on purpose, or the queries do."""

BEGIN = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
_PAUSE = 0.5


class View:
    """One snapshot of a database, for as long as the connection lives that began it.

    Attributes:
        unshared: why others can't have it; null as long as they can.
    """

    def __init__(self, opened: Callable[[], Any], shared: bool) -> None:
        self.unshared: str | None = None
        self._lost = 0
        self._later = False  # whether some of what is read is of a later snapshot than the rest
        self._open = opened
        self._shared = shared
        self._name: str | None = None
        self._begun = False
        self._stopped = Event()
        self._lock = Lock()

    def begin(self, driver: Any) -> None:
        """Begin a transaction on *driver* that sees this view, or a new one where it is gone."""
        with self._lock:
            driver.execute(BEGIN)
            if self._name is not None and self._taken(driver, self._name):
                return
            self._later = self._begun
            self._begun, self._name = True, None
            if self._shared:
                self._name = self._exported(driver)

    def again(self, prepare: Callable[[Any], None], losses: int) -> None:
        """Open a connection in place of one that was lost, the *losses*-th time, and *prepare* it.

        Raises:
            DatabaseProblem: it was lost too often, or the server does not come back.
        """
        with self._lock:
            self._lost += 1
        until = monotonic() + RETURN_SECONDS
        while True:
            if losses > LOSSES or self._stopped.is_set():
                raise DatabaseProblem(LOST)
            try:
                driver = self._open()
                try:
                    prepare(driver)
                except BaseException:
                    driver.close()
                    raise
            except (psycopg.Error, DatabaseProblem) as error:
                if monotonic() > until:
                    raise DatabaseProblem(LOST) from error
                self._stopped.wait(_PAUSE)
            else:
                return

    def told(self) -> list[str]:
        """Say what became of the connections."""
        if not self._lost:
            return []
        times = "once" if self._lost == 1 else f"{self._lost} times"
        later = "; what was measured after that is of a later state of the data" if self._later else ""
        return [f"the connection to the server was lost {times}{later}"]

    def stop(self) -> None:
        """Open no connection any more."""
        self._stopped.set()

    def _taken(self, driver: Any, name: str) -> bool:
        try:
            driver.execute(f"SET TRANSACTION SNAPSHOT {literal(name)}")
        except psycopg.Error:
            if driver.closed:
                raise
            driver.execute("ROLLBACK")  # whoever exported it is gone, and it with them
            driver.execute(BEGIN)
            return False
        return True

    def _exported(self, driver: Any) -> str | None:
        try:
            # This statement alone, to the letter: the relay lets no other export a snapshot.
            return str(driver.execute("SELECT pg_export_snapshot()").fetchone()[0])
        except psycopg.Error as error:
            if driver.closed:
                raise
            self.unshared = one_line(error)
            driver.execute("ROLLBACK")
            driver.execute(BEGIN)
            return None
