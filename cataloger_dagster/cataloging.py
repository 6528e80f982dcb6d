"""One database in, one report out: the path from a session over the facts and the agent to a checked page.

The command line and the Dagster assets both call these functions and nothing below them. Nothing here
knows of Dagster, of flags or of the environment; how pages look is the report's. What is seen of a database
before a run is ``preflight``'s, the model's part is ``authoring``'s, the way into the store and back is
``publication``'s, and whether a stored page still tells the truth is ``verification``'s.
"""

import contextlib
import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from time import monotonic
from typing import Any, Self

from cataloger_dagster.agent.model import Model
from cataloger_dagster.authoring import Progress, Writing, once_more_if_lost, silent, write
from cataloger_dagster.databases import Database
from cataloger_dagster.errors import DatabaseError, ReportError
from cataloger_dagster.evidence import Evidence
from cataloger_dagster.facts import Change, Claim, Facts
from cataloger_dagster.known_values import learn
from cataloger_dagster.preflight import Verdict, look
from cataloger_dagster.privacy import Mask
from cataloger_dagster.prompts import PromptTemplate
from cataloger_dagster.publication import Report
from cataloger_dagster.recurrence import with_recurring
from cataloger_dagster.report.block import Block, block_of
from cataloger_dagster.report.catalog import catalog_page
from cataloger_dagster.report.changes import changes, claims
from cataloger_dagster.report.narrative import problems
from cataloger_dagster.report.page import Page
from cataloger_dagster.report.run import PageKind, Run
from cataloger_dagster.report.safety import unsafe
from cataloger_dagster.report.summary import summary_page
from cataloger_dagster.resuming import Attempt, Keeping, attempt, terms_of
from cataloger_dagster.sandbox.session import Sandbox, Session
from cataloger_dagster.store.snapshots import timestamp

SPARE_SECONDS = 60.0
"""What measuring gets beyond its own limit, by which it stops asking and hands over what it has."""


def catalog(
    database: Database,
    *,
    sandbox: Sandbox,
    model: Model,
    prompt: PromptTemplate,
    history: Sequence[Block] = (),
    run_id: str | None = None,
    scheduled: str | None = None,
    keeping: Keeping | None = None,
    progress: Progress = silent,
    warn: Progress = silent,
) -> Report:
    """Measure *database*, have *model* write about it, and return the page, checked and ready to be stored.

    *history* are the blocks of earlier catalogs, newest first; *scheduled* is the time (ISO 8601, UTC) that the
    run was meant for. With *keeping*, what is paid for outlives this process: the next try goes on from there, with
    what was measured in the first. *progress* is told each step, *warn* what people should know of even if it ends
    well.

    Raises:
        DatabaseError: it can't be read, or its role can write and the entry does not allow that.
        SandboxError, ModelError: the sandbox or the model's server failed for good.
        StoreError: the run can't be kept, or another process is at it.
    """
    began = monotonic()
    mask = Mask(database.privacy, database.password, database.hidden)
    terms = terms_of(database, model, prompt)
    with mask.over_errors(), contextlib.ExitStack() as kept:

        @functools.cache
        def begin() -> Attempt:
            return kept.enter_context(attempt(keeping, database.name, "catalog", terms, progress))

        progress(f"opening {database.shown_url}")
        work = once_more_if_lost(
            sandbox,
            database,
            lambda opened, session: _catalogued(
                database, opened, session, sandbox, model, prompt, history[:1], mask, begin, progress, warn
            ),
            warn,
        )
    writing = work.writing
    return _report(
        database,
        "catalog",
        work.ground.at,
        model,
        writing,
        lambda run: catalog_page(run, work.measured, writing.outcome.html, work.named, work.ground.changes),
        seconds=monotonic() - began,
        run_id=run_id,
        scheduled=scheduled,
        keeping=keeping,
        previous=work.ground.previous,
        notes=work.verdict.warnings,
    )


@dataclass(frozen=True)
class _Work:
    """What a page is made of: what was seen before, what was measured, what was written."""

    verdict: Verdict
    ground: "_Ground"
    writing: Writing
    measured: Facts
    named: Mapping[str, Claim]


def _catalogued(
    database: Database,
    opened: contextlib.ExitStack,
    session: Session,
    sandbox: Sandbox,
    model: Model,
    prompt: PromptTemplate,
    before: Sequence[Block],
    mask: Mask,
    begin: Callable[[], Attempt],
    progress: Progress,
    warn: Progress,
) -> _Work:
    """Measure *database* in *session*, unless an earlier try has, and have *model* write."""
    verdict = look(database, session)
    if verdict.rights and not database.allow_writable_role:
        raise DatabaseError(verdict.refusal(database))
    tried = begin()  # not before: a database that can't be read leaves nothing in the store
    ground = _Ground.of(tried)
    if ground is None:
        progress(f"measuring {verdict.tables} tables and {verdict.views} views")
        ground = _ground(database, session, before, mask)
        tried.open(ground.at, ground.dump())
    else:
        learn(mask, ground.facts, database, session)
    facts = ground.facts
    connection = session.connection
    if database.privacy == "schema" or database.hidden:
        # Where values must not be seen, the agent has the facts (without values) in a sandbox of its own: in this
        # one it could find the way to the database, whether it is told of it or not.
        opened.close()
        session, connection = opened.enter_context(sandbox.open(None)), {}
    evidence = Evidence(session, connection, facts, mask)
    progress(f"writing ({model.name})")
    writing = write(
        session,
        model,
        prompt,
        database.name,
        database.budget,
        tried=tried,
        accept=lambda html: evidence.problems(html) + problems(html, facts, {**ground.claims, **evidence.claims()}),
        mask=mask,
        kit={
            "connection": dict(connection),
            "facts": facts.dump(),
            "history": [],
            "changes": _dumped(ground.changes),
        },
        variables={
            "name": database.name,
            "engine": facts.engine,
            "context": database.context or "",
            "connected": bool(connection),
        },
        progress=progress,
        warn=warn,
    )
    session.stop()
    progress("running the page's own queries again")
    named = {**ground.claims, **evidence.final()}
    measured = facts.model_copy(update={"queries": [*facts.queries, *evidence.queries]})
    return _Work(verdict, ground, writing, measured, named)


def summarize(
    database: Database,
    *,
    history: Sequence[Block],
    sandbox: Sandbox,
    model: Model,
    prompt: PromptTemplate,
    run_id: str | None = None,
    scheduled: str | None = None,
    keeping: Keeping | None = None,
    progress: Progress = silent,
    warn: Progress = silent,
) -> Report:
    """Have *model* tell what changed over *history* (the blocks of the last catalogs, newest first, one or more).

    The numbers are those of the pages; the database is not opened. A catalog that the same run has just written
    shares its snapshot with the summary. *keeping*, *progress* and *warn* are as for ``catalog``.

    Raises:
        ReportError: there is no catalog yet.
        SandboxError, ModelError: the sandbox or the model's server failed for good.
        StoreError: the run can't be kept, or another process is at it.
    """
    if not history:
        raise ReportError(f"there is no catalog of {database.name!r} in the store yet; write one first")
    began = monotonic()
    mask = Mask(database.privacy, database.password, database.hidden)
    history = [mask.block(block) for block in history]
    newest = history[0]
    facts, differences = newest.facts, changes(history)
    extra = claims(history[1], facts) if len(history) > 1 else {}
    progress(f"summarizing {len(history)} snapshots ({model.name})")
    terms = terms_of(database, model, prompt, **{"the history": " ".join(block.snapshot for block in history)})
    with attempt(keeping, database.name, "summary", terms, progress) as tried:
        if tried.opening is None:
            tried.open(datetime.now(UTC), {})
        writing = once_more_if_lost(
            sandbox,
            None,
            lambda _, session: write(
                session,
                model,
                prompt,
                database.name,
                database.budget,
                tried=tried,
                accept=lambda html: problems(html, facts, extra),
                mask=mask,
                kit={
                    "connection": {},
                    "facts": facts.dump(),
                    "history": [block.dump() for block in history],
                    "changes": _dumped(differences),
                },
                variables={
                    "name": database.name,
                    "engine": facts.engine,
                    "context": database.context or "",
                    "snapshots": [block.snapshot for block in history],
                    "changes": _dumped(differences),
                },
                progress=progress,
                warn=warn,
            ),
            warn,
        )
        at = tried.began
    seconds = monotonic() - began
    same_run = run_id is not None and newest.run_id == run_id
    return _report(
        database,
        "summary",
        newest.snapshot if same_run else at,
        model,
        writing,
        lambda run: summary_page(run, facts, writing.outcome.html, extra, differences, history),
        seconds=seconds,
        run_id=run_id,
        scheduled=scheduled,
        keeping=keeping,
        previous=history[1].snapshot if len(history) > 1 else None,
    )


@dataclass(frozen=True)
class _Ground:
    """What a catalog stands on: measured and compared once, and the same for every try at the run."""

    at: datetime
    facts: Facts
    previous: str | None
    changes: Sequence[Change]
    claims: Mapping[str, Claim]

    def dump(self) -> dict[str, Any]:
        """Return all but the time as JSON."""
        return {
            "facts": self.facts.dump(),
            "previous": self.previous,
            "changes": _dumped(self.changes),
            "claims": _dumped(list(self.claims.values())),
        }

    @classmethod
    def of(cls, tried: Attempt) -> Self | None:
        """Return what an earlier try stood on, or null."""
        if tried.opening is None:
            return None
        measured = tried.opening.measured
        named = [Claim.model_validate(claim) for claim in measured["claims"]]
        return cls(
            at=tried.opening.at,
            facts=Facts.model_validate(measured["facts"]),
            previous=measured["previous"],
            changes=[Change.model_validate(change) for change in measured["changes"]],
            claims={claim.id: claim for claim in named},
        )


def _ground(database: Database, session: Session, history: Sequence[Block], mask: Mask) -> _Ground:
    at = datetime.now(UTC)
    measured = _measure(database, session)
    learn(mask, measured, database, session)
    facts, before = mask.facts(measured), [mask.block(block) for block in history]
    if before:
        facts = mask.facts(with_recurring(facts, before[0], session, session.connection))
    return _Ground(
        at=at,
        facts=facts,
        previous=before[0].snapshot if before else None,
        changes=changes([_unwritten(database, at, facts), *before]) if before else [],
        claims=claims(before[0], facts) if before else {},
    )


def _measure(database: Database, session: Session) -> Facts:
    measured = session.call(
        "cataloger_sandbox.measure:measure",
        {
            "connection": dict(session.connection),
            "schemas": database.schemas,
            "tables": database.tables,
            "exclude": database.exclude,
            "hidden": database.hidden,
            "values": database.privacy != "schema",
            "seconds": database.budget.minutes * 60,
            "connections": database.connections,
        },
        database.budget.minutes * 60 + SPARE_SECONDS,
    )
    return Facts.model_validate(measured)


def _unwritten(database: Database, at: datetime, facts: Facts) -> Block:
    """Return the block that the comparison with earlier snapshots wants, before there is a page."""
    return block_of(Run(database=database.name, snapshot=timestamp(at)), facts)


def _report(
    database: Database,
    kind: PageKind,
    at: datetime | str,
    model: Model,
    writing: Writing,
    draw: Callable[[Run], Page[Block]],
    *,
    seconds: float,
    run_id: str | None,
    scheduled: str | None,
    keeping: Keeping | None,
    previous: str | None,
    notes: Sequence[str] = (),
) -> Report:
    """Return the report whose page *draw* makes of the run, checked."""
    outcome = writing.outcome
    usage = outcome.usage
    tokens = {"input": usage.input + usage.cache_write, "cache_read": usage.cache_read, "output": usage.output}
    if outcome.ended != "submitted":
        fault = "The text is missing" if outcome.html is None else "The text is a draft that was never handed in"
        notes = [*notes, f"{fault}: {outcome.reason} The facts below were measured all the same."]

    def render(snapshot: str) -> Page[Block]:
        return draw(
            Run(
                database=database.name,
                snapshot=snapshot,
                scheduled=scheduled,
                model=model.name,
                narrative="full" if outcome.ended == "submitted" else "partial",
                usage=tokens,
                steps=outcome.steps,
                seconds=seconds,
                run_id=run_id,
                previous=previous,
                notes=tuple(notes),
                context=database.context,
            )
        )

    page = render(at if isinstance(at, str) else timestamp(at))
    if reasons := unsafe(page.html):
        raise ReportError(f"the page of {database.name!r} is not safe and was not stored: {'; '.join(reasons[:5])}")
    return Report(
        database=database.name,
        kind=kind,
        at=at,
        render=render,
        page=page,
        script=writing.transcript.script(),
        transcript=writing.transcript.lines(),
        model=model.name,
        outcome=outcome,
        limits=writing.limits,
        seconds=seconds,
        agent_seconds=writing.seconds,
        run=keeping.run if keeping else None,
    )


def _dumped(differences: Sequence[Any]) -> list[dict[str, Any]]:
    return [change.dump() for change in differences]
