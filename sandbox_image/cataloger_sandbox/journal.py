"""The record of what was run: every query that gave a fact, under an id, with its time. No SQL is made here."""

from datetime import UTC, datetime
from math import inf
from threading import Event
from time import perf_counter
from typing import Any

from cataloger_sandbox.engines.base import Engine, QueryFailed, Rows

TRY_SECONDS = 60.0
"""A step of a search may take so long; what is slower is not found."""

LEAST_SECONDS = 1.0
"""What is asked before the time for all is up gets so long at least: a limit of nothing means none to an engine."""


TABLE_SECONDS = 5.0
"""A table gets so long at least."""

SHARES = 4
"""Of the time that is left for profiles, a table gets one of so many shares at most: four slow tables leave a third."""


class Journal:
    """Runs queries on one engine and keeps those that gave an answer.

    No query runs longer than *seconds*, and none after *all_seconds* from now: what is not asked by then fails.
    """

    def __init__(self, engine: Engine, seconds: float, all_seconds: float | None = None) -> None:
        self.engine = engine
        self.queries: list[dict[str, Any]] = []
        self.unanswered: list[str] = []  # why questions of a search got no answer; flaws may be missing
        self._seconds = seconds
        self._all_seconds = all_seconds
        self._until = inf if all_seconds is None else perf_counter() + all_seconds
        self._shared = inf  # until when the table that is being profiled may be asked
        self._share = 0.0
        self._prefix = "q"  # of the ids
        self._stopped: Event | None = None
        self._tried: tuple[str, str, datetime, float] = ("", "", datetime.now(UTC), 0.0)

    def beside(self, engine: Engine, stopped: Event) -> "Journal":
        """Return a journal for what is asked of *engine* about one table, which ``take`` adds to this one.

        What is asked once *stopped* is set ends its thread, as an interrupt does.
        """
        other = Journal(engine, self._seconds, self._all_seconds)
        other._until, other._stopped, other._prefix = self._until, stopped, "new"
        return other

    def take(self, other: "Journal") -> dict[str, str]:
        """Add what *other* has, and return by its ids those that its queries have here."""
        ids = {query["id"]: self._identifier(number) for number, query in enumerate(other.queries, 1)}
        self.queries += [query | {"id": ids[query["id"]]} for query in other.queries]
        self.unanswered += other.unanswered
        return ids

    def share(self, tables: int | None) -> None:
        """Let the next of so many *tables* have its share of the time, half of which is for profiles; null ends it.

        Of tables that are measured at the same time, those count that come one after another.
        """
        self._shared = inf
        if tables is None or self._all_seconds is None:
            return
        left = self._until - perf_counter() - self._all_seconds / 2
        self._share = max(TABLE_SECONDS, left / min(tables, SHARES))
        self._shared = perf_counter() + self._share

    def share_again(self) -> None:
        """Let the table at hand have as long again."""
        self._shared = perf_counter() + self._share if self._share else inf

    def run(self, sql: str, shown: str | None = None) -> tuple[Rows, str]:
        """Run *sql* and return its rows and its id; *shown* is recorded in its place where it says the same better.

        Raises:
            QueryFailed: it failed; nothing is recorded.
        """
        said = self.engine.spoken(sql)
        at = datetime.now(UTC)
        began = perf_counter()
        rows = self._fetch(said, self._seconds)
        identifier = self._record(self.engine.spoken(shown) if shown else said, at, perf_counter() - began)
        return rows, identifier

    def try_out(self, sql: str) -> Rows:
        """Run *sql* as a step of a search, which gives no fact of its own and is not recorded; see ``note``.

        Raises:
            QueryFailed: it failed.
        """
        said = self.engine.spoken(sql)
        at, began = datetime.now(UTC), perf_counter()
        try:
            rows = self._fetch(said, TRY_SECONDS)
        except QueryFailed as error:
            if error.late or error.lost:
                self.unanswered.append(str(error))
            raise
        self._tried = (sql, said, at, perf_counter() - began)
        return rows

    @property
    def over(self) -> bool:
        """Tell whether the time for all is up."""
        return perf_counter() >= self._until

    def _fetch(self, sql: str, seconds: float) -> Rows:
        if self._stopped and self._stopped.is_set():
            raise KeyboardInterrupt  # of the thread that waits for this one
        now = perf_counter()
        left, shared = self._until - now, self._shared - now
        if left <= 0:
            raise QueryFailed(f"the {(self._all_seconds or 0) / 60:g} minutes for measuring are used up", late=True)
        if shared <= 0:
            raise QueryFailed(f"the table's share of the time, {self._share:.0f} s, is used up", late=True)
        return self.engine.fetch(sql, min(seconds, max(round(min(left, shared), 1), LEAST_SECONDS)))

    def note(self, sql: str) -> str:
        """Record the query last tried out, because it gave a fact after all; return its id."""
        tried, said, at, seconds = self._tried
        assert tried == sql
        return self._record(said, at, seconds)

    def record(self, shown: str) -> str:
        """Record *shown*, which gives by itself a part of what the query last tried out gave; return its id."""
        _, _, at, seconds = self._tried
        return self._record(self.engine.spoken(shown), at, seconds)

    def count(self, sql: str, shown: str | None = None) -> tuple[int | None, str | None]:
        """Return the number that *sql* gives and the id under which it, or *shown*, is recorded; nulls if it fails."""
        try:
            rows, identifier = self.run(sql, shown)
        except QueryFailed as error:
            self.unanswered.append(str(error))
            return None, None
        value = rows.rows[0][0] if rows.rows else None
        return (value if isinstance(value, int) else None), identifier

    def _identifier(self, ahead: int) -> str:
        return f"{self._prefix}{len(self.queries) + ahead}"

    def _record(self, sql: str, at: datetime, seconds: float) -> str:
        identifier = self._identifier(1)
        self.queries.append({"id": identifier, "sql": sql, "at": timestamp(at), "seconds": round(seconds, 4)})
        return identifier


def timestamp(at: datetime) -> str:
    """Return *at* as the page writes times: UTC, milliseconds, ``Z``."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{at.microsecond // 1000:03d}Z"
