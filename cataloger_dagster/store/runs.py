"""Runs in progress: what a run has paid for so far, step by step, so that another try can go on from there.

``_runs/{database}/{run}/{kind}.000001.json …``: one object a step, since object stores can't append. Whoever
holds the *lease* writes; it is renewed while its holder lives, and taken over when that one is dead. What the
steps hold is the writer's business.
"""

import contextlib
import json
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import Any, Self

from cataloger_dagster import owners
from cataloger_dagster.databases import check_name
from cataloger_dagster.errors import StoreError
from cataloger_dagster.report.run import Kind
from cataloger_dagster.store.objects import Missing, Objects, Taken, checked

Step = dict[str, Any]

OVERVIEW = "_overview"
"""Stands in place of a database's name for what is over all of them."""

RUNS = "_runs"

BEAT = 30.0
"""Seconds between two renewals of a lease."""

DEAD = timedelta(seconds=150)
"""A lease that was not renewed for so long is its holder's no more: five beats, for slow stores and clocks apart."""

LOOK = 5.0
"""Seconds between two looks at a lease that may be dead soon."""

_DIGITS = 6


class Busy(StoreError):
    """Another process is at this run, and alive."""


@dataclass(frozen=True)
class Unfinished:
    """A run that was begun and has not published its page.

    Attributes:
        run: its id: the root run's, where Dagster started it.
        steps: what it wrote, in order.
        held: whether somebody who is alive is at it.
    """

    database: str
    kind: Kind
    run: str
    steps: Sequence[Step] = field(repr=False)
    held: bool


class Runs:
    """The runs in progress over *objects*; *beat* is the time between two signs of life, in seconds."""

    def __init__(
        self, objects: Objects, now: Callable[[], datetime] = lambda: datetime.now(UTC), beat: float = BEAT
    ) -> None:
        self._objects, self._now, self._beat = objects, now, beat

    def take(self, database: str, kind: Kind, run: str, patience: timedelta = DEAD) -> "RunInProgress":
        """Take the lease of *run*, new or left by somebody dead, and return it with the steps it has.

        Where the holder may be dead and it can't be told yet, it waits for as long as *patience*.

        Raises:
            Busy: its holder is alive.
            StoreError: the store can't be read or written.
        """
        lease = _Lease(self._objects, _prefix(database, run, kind), self._now)
        lease.take(patience)
        try:
            steps, last = self._steps(database, run, kind)
        except BaseException:
            with contextlib.suppress(StoreError):
                lease.release()
            raise
        return RunInProgress(self._objects, database, kind, run, steps, last, lease, self._beat)

    def unfinished(self, database: str, kind: Kind) -> list[Unfinished]:
        """List the runs of *database* that have begun and not ended, in the order of their ids."""
        found = []
        _check(database)
        for run in self._objects.folders(f"{RUNS}/{database}/"):
            steps, _ = self._steps(database, run, kind)
            if steps:
                lease = _Lease(self._objects, _prefix(database, run, kind), self._now)
                found.append(Unfinished(database, kind, run, steps, lease.is_held()))
        return found

    def remove(self, database: str, kind: Kind, run: str) -> None:
        """Remove everything of *run*; there may be nothing. What others hold is theirs: ask ``unfinished`` first."""
        for key in reversed(self._objects.keys(_prefix(database, run, kind))):
            self._objects.delete(key)

    def _steps(self, database: str, run: str, kind: Kind) -> tuple[list[Step], int]:
        """Return the steps, and the number of the last. One that is torn counts as never written."""
        steps: list[Step] = []
        last = 0
        prefix = _prefix(database, run, kind)
        for key in self._objects.keys(prefix):
            name = key.removeprefix(prefix).removesuffix(".json")
            if not (len(name) == _DIGITS and name.isdecimal()):
                continue
            last = int(name)
            # The owner of a lease that ran out may be removing it while we look.
            with contextlib.suppress(Missing, ValueError):
                step = json.loads(self._objects.read(key))
                if isinstance(step, dict):
                    steps.append(step)
        return steps, last


class RunInProgress:
    """One run whose lease is ours, as a context: entered, it keeps the lease; left, it gives it back.

    What was written stays when it is left, for another try; ``clear`` and ``Runs.remove`` take it away.
    """

    def __init__(
        self,
        objects: Objects,
        database: str,
        kind: Kind,
        run: str,
        steps: Sequence[Step],
        last: int,
        lease: "_Lease",
        beat: float,
    ) -> None:
        self.database, self.kind, self.run = database, kind, run
        self.steps: tuple[Step, ...] = tuple(steps)
        self._objects, self._last, self._lease = objects, last, lease
        self._beat, self._left = beat, threading.Event()
        self._keeper = threading.Thread(target=self._keep, name=f"lease of {database}", daemon=True)

    def __enter__(self) -> Self:
        self._keeper.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._left.set()
        self._keeper.join()
        # A store that fails now is not what the run fails of; the lease runs out by itself.
        with contextlib.suppress(StoreError):
            self._lease.release()

    def write(self, step: Mapping[str, Any]) -> None:
        """Write the next step; it is there when this returns.

        Raises:
            Busy: another process has taken the run over.
            StoreError: the store can't be written.
        """
        if self._lease.lost:
            raise Busy(self._lease.lost)
        self._last += 1
        key = f"{_prefix(self.database, self.run, self.kind)}{self._last:0{_DIGITS}}.json"
        try:
            self._objects.create(key, json.dumps(step).encode())
        except Taken:
            raise Busy(f"{self._objects.address(key)}: another process has taken this run over") from None

    def clear(self) -> None:
        """Forget the steps: the run begins anew, under the same lease.

        Raises:
            Busy: another process has taken the run over; the steps are that one's.
            StoreError: the store can't be read or written.
        """
        self._lease.renew()
        prefix = _prefix(self.database, self.run, self.kind)
        for key in reversed(self._objects.keys(prefix)):
            if not key.startswith(f"{prefix}lease"):
                self._objects.delete(key)
        self.steps, self._last = (), 0

    def _keep(self) -> None:
        while not self._left.wait(self._beat):
            try:
                self._lease.renew()
            except Busy:
                return  # told at the next step
            except StoreError:
                continue  # down for a moment; if for longer, the next step says so


class _Lease:
    """Who may write: numbered objects, each created once, the last of which counts.

    To hold the lease is to have created the last; to renew it or to take it over is to create the next, in which
    one of many who try succeeds.
    """

    def __init__(self, objects: Objects, prefix: str, now: Callable[[], datetime]) -> None:
        self._objects, self._prefix, self._now = objects, f"{prefix}lease.", now
        self._number = 0
        self._lock = threading.Lock()
        self.lost = ""

    def take(self, patience: timedelta) -> None:
        """Become the holder.

        Raises:
            Busy: the holder is alive, or may be after all of *patience*.
        """
        until = self._now() + patience
        seen: int | None = None
        while True:
            number, mark, at = self._last()
            renewed = seen is not None and number > seen
            seen = number
            if not self._is_dead(mark, at):
                if renewed or self._now() >= until or mark == owners.owner():
                    host, process = [*mark.split(" "), "", ""][:2]
                    raise Busy(
                        f"{self._objects.address(self._prefix.removesuffix('.lease.'))}: process {process} on {host} "
                        "is at this run; wait for it, or end it"
                    )
                threading.Event().wait(min(LOOK, patience.total_seconds() / 4))
                continue
            with contextlib.suppress(Taken):  # another was faster: look again
                self._create(number + 1)
                return

    def renew(self) -> None:
        """Show that we are alive.

        Raises:
            Busy: somebody else has become the holder.
        """
        with self._lock:
            try:
                if not self.lost:
                    self._create(self._number + 1)
            except Taken:
                self._lose()
            # Of who was away for long, the next number may be free again: the one that took over is beyond it.
            if not self.lost and _number(self._prefix, self._objects.keys(self._prefix)[-1]) > self._number:
                self._lose()
            if self.lost:
                raise Busy(self.lost)

    def _lose(self) -> None:
        self.lost = f"{self._objects.address(self._prefix)}: another process has taken this run over"

    def release(self) -> None:
        """Stop being the holder, if we still are."""
        with self._lock:
            if not self.lost:
                for key in self._objects.keys(self._prefix):
                    if _number(self._prefix, key) <= self._number:  # what comes after is of who took the run over
                        self._objects.delete(key)

    def is_held(self) -> bool:
        """Say whether the holder is alive, as far as can be told."""
        _, mark, at = self._last()
        return not self._is_dead(mark, at)

    def _is_dead(self, mark: str, at: datetime | None) -> bool:
        return at is None or owners.is_dead(mark) or self._now() - at > DEAD

    def _create(self, number: int) -> None:
        told = {"owner": owners.owner(), "at": self._now().isoformat()}
        self._objects.create(f"{self._prefix}{number:0{_DIGITS}}.json", json.dumps(told).encode())
        before, self._number = self._number, number
        if before:
            self._objects.delete(f"{self._prefix}{before:0{_DIGITS}}.json")

    def _last(self) -> tuple[int, str, datetime | None]:
        """Return the last lease's number, its holder's mark and its time; no time where there is no lease."""
        keys = self._objects.keys(self._prefix)
        if not keys:
            return 0, "", None
        number = _number(self._prefix, keys[-1])
        try:
            told = json.loads(self._objects.read(keys[-1]))
            return number, str(told["owner"]), datetime.fromisoformat(told["at"])
        except Missing:
            return self._last()  # renewed, or given back, while we looked
        except (ValueError, KeyError, TypeError):
            return number, "", None


def _number(prefix: str, key: str) -> int:
    return int(key.removeprefix(prefix).removesuffix(".json"))


def _check(database: str) -> None:
    if database != OVERVIEW:
        check_name(database)


def _prefix(database: str, run: str, kind: Kind) -> str:
    _check(database)
    if "/" in run:
        raise StoreError(f"{run!r} can't be the name of a run: it has a slash")
    return f"{RUNS}/{database}/{checked(run)}/{kind}."
