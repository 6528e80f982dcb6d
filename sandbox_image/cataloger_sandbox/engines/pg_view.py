"""The view of the data that the connections to one PostgreSQL server share, and how one that is lost comes back to it.

The first connection exports the snapshot of its transaction, the others take it. What is read is ``pg``'s.
"""

from collections.abc import Callable
from threading import Lock
from typing import Any

import psycopg

from cataloger_sandbox.engines.base import literal, one_line
from cataloger_sandbox.engines.losses import Losses

BEGIN = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"


class View:
    """One snapshot of a database, for as long as the connection lives that began it.

    Attributes:
        unshared: why others can't have it; null as long as they can.
        losses: what was lost of its connections.
    """

    def __init__(self, opened: Callable[[], Any], shared: bool) -> None:
        self.unshared: str | None = None
        self.losses = Losses()
        self._open = opened
        self._shared = shared
        self._name: str | None = None
        self._begun = False
        self._lock = Lock()

    def begin(self, driver: Any) -> None:
        """Begin a transaction on *driver* that sees this view, or a new one where it is gone."""
        with self._lock:
            driver.execute(BEGIN)
            if self._name is not None and self._taken(driver, self._name):
                return
            self.losses.later = self._begun
            self._begun, self._name = True, None
            if self._shared:
                self._name = self._exported(driver)

    def again(self, prepare: Callable[[Any], None], losses: int) -> None:
        """Open a connection in place of one that was lost, the *losses*-th time, and *prepare* it.

        Raises:
            DatabaseProblem: it was lost too often, or the server does not come back.
        """

        def reopen() -> None:
            driver = self._open()
            try:
                prepare(driver)
            except BaseException:
                driver.close()
                raise

        self.losses.again(reopen, losses, (psycopg.Error,))

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
