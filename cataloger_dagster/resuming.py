"""What a run keeps in the store while it goes on, and how another try goes on from there.

The first step is the *opening*: the terms of the run and what was measured. Every further one holds events of the
agent's transcript, written before each request and after each reply, so a try that is killed loses no reply but
one in flight. How steps are stored, and by whom, is ``store.runs``'s business; how replies come back, the loop's.
"""

import contextlib
import hashlib
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from cataloger_dagster import __version__
from cataloger_dagster.agent.model import Model, Usage
from cataloger_dagster.agent.transcript import FAILED, Event
from cataloger_dagster.databases import Database
from cataloger_dagster.errors import ConfigurationError, StoreError
from cataloger_dagster.prompts import PromptTemplate
from cataloger_dagster.report.run import Kind
from cataloger_dagster.store.runs import RunInProgress, Runs, Step, Unfinished
from cataloger_dagster.store.snapshots import timestamp

Terms = Mapping[str, str]

FRESH = timedelta(hours=24)
"""How old a run may be to be gone on with: what it measured becomes the page."""

_WRITTEN = {"start", "resumed", "reply", "results", *FAILED}
"""The events after which what has come together is written: a request, a wait, or work that may be lost comes next."""

_PAID = {"reply", *FAILED}


@dataclass(frozen=True)
class Keeping:
    """Where a run is kept while it goes on.

    Attributes:
        runs: the runs in progress of the store.
        run: the run's id, the same for every try: Dagster's root run, or a name of our own.
        resume: whether there must be something to go on from.
    """

    runs: Runs
    run: str
    resume: bool = False


@dataclass(frozen=True)
class Opening:
    """What a run began with: its *terms*, when, and what it *measured* then, as JSON."""

    terms: Terms
    at: datetime
    measured: Mapping[str, Any]


class Attempt:
    """One try at a run: ``opening`` and ``past`` are what there is of it so far, null and nothing in a first try.

    Both grow while it goes on, so that work begun again in the same process goes on from there, too.
    """

    def __init__(self, run: RunInProgress | None, terms: Terms, opening: Opening | None, past: list[Event]) -> None:
        self.opening, self.past = opening, past
        self._run, self._terms = run, terms
        self._events: list[Event] = []

    @property
    def usage(self) -> Usage:
        """What was paid for so far, in every try: replies, and requests that failed."""
        return sum((Usage(**event["usage"]) for event in self.past if event["event"] in _PAID), Usage())

    @property
    def began(self) -> datetime:
        """When the run began, which an earlier try may have."""
        if self.opening is None:
            raise AssertionError("the run has not begun")
        return self.opening.at

    def open(self, at: datetime, measured: Mapping[str, Any]) -> None:
        """Write the opening of a run that begins.

        Raises:
            StoreError: the store can't be written, or another process has taken the run over.
        """
        self.opening = Opening(self._terms, at, measured)
        if self._run is not None:
            self._run.write({"opening": {"terms": self._terms, "at": at.isoformat(), "measured": measured}})

    def note(self, event: Event) -> None:
        """Take an event of the transcript, and write what has come together where it counts.

        Raises:
            StoreError: the store can't be written, or another process has taken the run over.
        """
        self.past.append(event)
        self._events.append(event)
        if self._run is not None and event["event"] in _WRITTEN:
            self._run.write({"events": self._events})
            self._events = []


@contextlib.contextmanager
def attempt(
    keeping: Keeping | None, name: str, kind: Kind, terms: Terms, tell: Callable[[str], None]
) -> Iterator[Attempt]:
    """Begin a run on what is called *name*, or go on with an earlier try at it: under the same *terms*, and fresh.

    Left with an error, a run for which nothing was paid leaves nothing; one that was paid for stays, for another try.

    Raises:
        ConfigurationError: there must be something to go on from, and there is none that can be.
        StoreError: the store can't be read or written, or another process is at this run.
    """
    if keeping is None:
        yield Attempt(None, terms, None, [])
        return
    _sweep(keeping, name, kind)
    with keeping.runs.take(name, kind, keeping.run) as run:
        opening, past = _read(run.steps)
        if fault := _fault(opening, terms):
            if keeping.resume:
                raise ConfigurationError(f"{name}: {fault}; run it without --resume to begin anew")
            if past:
                tell(f"beginning anew: {fault}")
            run.clear()
            opening, past = None, []
        if opening is not None:
            replies = sum(event["event"] == "reply" for event in past)
            tell(f"going on with the run of {opening.at:%Y-%m-%d %H:%M} UTC, which has {replies} replies")
        tried = Attempt(run, terms, opening, past)
        try:
            yield tried
        except BaseException:
            if not any(map(_cost, tried.past)):
                with contextlib.suppress(StoreError):  # the fault that ended the run is the one to tell
                    run.clear()
            raise


def terms_of(database: Database, model: Model, prompt: PromptTemplate, **more: str) -> Terms:
    """Return what must be the same for a run to be gone on with, by the words in which a difference is told."""
    entry = database.model_dump_json(include={"schemas", "tables", "exclude", "context", "privacy", "hidden"})
    told = hashlib.sha256(f"{database.shown_url} {entry}".encode()).hexdigest()[:16]
    return {
        "the model": model.name,
        "the prompt": prompt.hash,
        "the database's entry": told,
        "Cataloger's version": __version__,
        **more,
    }


def new_run() -> str:
    """Return a name for a run that no orchestrator names; names sort as the runs began."""
    return f"{timestamp(datetime.now(UTC))}-{secrets.token_hex(3)}"


def resumable(runs: Runs, database: str) -> Unfinished | None:
    """Return the newest catalog of *database* that was begun, paid for and left, or null."""
    found = []
    for each in runs.unfinished(database, "catalog"):
        opening, past = _read(each.steps)
        if opening is not None and not each.held and any(map(_cost, past)) and not _is_stale(opening):
            found.append((opening.at, each))
    return max(found, key=lambda pair: pair[0])[1] if found else None


def with_what_is_left(keeping: Keeping, name: str, kind: Kind, terms: Terms) -> Keeping:
    """Return *keeping* for a run that was paid for and left under the same *terms*, if its own has not begun yet."""
    found = list(keeping.runs.unfinished(name, kind))
    if any(each.run == keeping.run for each in found):
        return keeping
    for each in reversed(found):
        opening, past = _read(each.steps)
        if not each.held and any(map(_cost, past)) and not _fault(opening, terms):
            return replace(keeping, run=each.run)
    return keeping


def model_of(unfinished: Unfinished) -> str:
    """Return the name of the model that was at *unfinished*."""
    opening, _ = _read(unfinished.steps)
    return opening.terms.get("the model", "") if opening else ""


def told_of(unfinished: Unfinished) -> str:
    """Return in a few words what was left."""
    opening, past = _read(unfinished.steps)
    began = f"{opening.at:%Y-%m-%d %H:%M} UTC" if opening else "?"
    tokens = sum(map(_cost, past))
    replies = sum(event["event"] == "reply" for event in past)
    return f"a run of {began} was left after {replies} replies and {tokens:,} tokens"


def _fault(opening: Opening | None, terms: Terms) -> str:
    """Return why a run can't be gone on with; empty where it can be."""
    if opening is None:
        return "there is no run to go on with"
    if _is_stale(opening):
        return f"the run of {opening.at:%Y-%m-%d %H:%M} UTC is older than {FRESH // timedelta(hours=1)} hours"
    changed = [name for name in terms if opening.terms.get(name) != terms[name]]
    return f"{' and '.join(changed)} changed since the run of {opening.at:%Y-%m-%d %H:%M} UTC" if changed else ""


def _is_stale(opening: Opening) -> bool:
    return datetime.now(UTC) - opening.at > FRESH


def _sweep(keeping: Keeping, name: str, kind: Kind) -> None:
    """Remove the runs that nobody will go on with: they are left and stale, or nothing was paid for them."""
    for each in keeping.runs.unfinished(name, kind):
        opening, past = _read(each.steps)
        lost = opening is None or _is_stale(opening) or not any(map(_cost, past))
        if each.run != keeping.run and not each.held and lost:
            keeping.runs.remove(name, kind, each.run)


def _read(steps: Sequence[Step]) -> tuple[Opening | None, list[Event]]:
    """Return what the steps hold; nothing where the opening is missing, or is none that this version writes."""
    opening: Opening | None = None
    events: list[Event] = []
    for step in steps:
        if told := step.get("opening"):
            with contextlib.suppress(KeyError, TypeError, ValueError):
                opening = Opening(told["terms"], datetime.fromisoformat(told["at"]), told["measured"])
        events += step.get("events", [])
    return (opening, events) if opening else (None, [])


def _cost(event: Event) -> int:
    """Return the tokens of a reply, or of a request that failed; nothing for other events."""
    return sum(event["usage"].values()) if event["event"] in _PAID else 0
