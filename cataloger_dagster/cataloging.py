"""One database in, one report out: the path from a session over the facts and the agent to a checked page.

The command line and the Dagster assets both call these functions and nothing below them. Nothing here
knows of Dagster, of flags or of the environment; how pages are kept is the store's, how they look the
report's. Whether a stored page still tells the truth is ``verification``'s.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from time import monotonic
from typing import Any, Literal

from cataloger_dagster.agent.loop import Limits, Outcome, run_agent
from cataloger_dagster.agent.model import Model, Usage
from cataloger_dagster.agent.tools import Toolbox
from cataloger_dagster.agent.transcript import Transcript
from cataloger_dagster.databases import Database, Databases
from cataloger_dagster.errors import CatalogerError, DatabaseError, ReportError
from cataloger_dagster.evidence import Evidence
from cataloger_dagster.facts import Facts
from cataloger_dagster.privacy import clean_facts, cleaner
from cataloger_dagster.prompts import PromptTemplate
from cataloger_dagster.report.block import Block, block_of, read_block
from cataloger_dagster.report.catalog import catalog_page
from cataloger_dagster.report.changes import changes, claims
from cataloger_dagster.report.narrative import problems
from cataloger_dagster.report.overview import Entry, overview_page
from cataloger_dagster.report.page import Page
from cataloger_dagster.report.run import Run
from cataloger_dagster.report.safety import unsafe
from cataloger_dagster.report.summary import summary_page
from cataloger_dagster.sandbox.session import Sandbox, Session
from cataloger_dagster.store.snapshots import Snapshot, Store, timestamp

PREFLIGHT_SECONDS = 60.0
START_SECONDS = 60.0

Kind = Literal["catalog", "summary"]
Progress = Callable[[str], None]


@dataclass(frozen=True)
class Verdict:
    """What the pre-flight found: the engine, what is there, and what the role could write (nothing, if right)."""

    engine: str
    tables: int
    views: int
    rights: list[str]
    role: str | None = None
    remedy: str | None = None

    @property
    def read_only(self) -> bool:
        """Whether the role can write nothing."""
        return not self.rights


@dataclass(frozen=True)
class Report:
    """What one run made of one database, not stored yet.

    Attributes:
        at: the start of the measuring, or the name of the snapshot that the page belongs to.
        render: makes the page for the timestamp that the store gives out.
        page: the page as of ``at``.
        script: the session as Python text that can be run again.
        transcript: its record, as JSON lines.
        seconds: the whole run's, in wall time; ``agent_seconds`` is the agent's part.
    """

    database: str
    kind: Kind
    at: datetime | str
    render: Callable[[str], Page[Block]]
    page: Page[Block]
    script: str
    transcript: str
    model: str
    outcome: Outcome
    limits: Limits
    seconds: float
    agent_seconds: float

    @property
    def usage(self) -> Usage:
        """The tokens that the agent's run took."""
        return self.outcome.usage


@dataclass(frozen=True)
class StoredPage:
    """A page of the store, with its data block parsed."""

    snapshot: str
    html: str
    block: Block


@dataclass(frozen=True)
class Published:
    """Where a report went: the snapshot's timestamp, and the page's path or address."""

    snapshot: str
    address: str


@dataclass(frozen=True)
class WrittenOverview:
    """Where an overview went, how many databases it lists, and how many of them have no page yet."""

    address: str
    databases: int
    without_page: int


def silent(_message: str) -> None:
    """Show no progress."""


def preflight(database: Database, sandbox: Sandbox) -> Verdict:
    """Look at *database* before anything is spent on it: reachable, what is there, what its role may do.

    Raises:
        DatabaseError: it can't be opened or read.
        SandboxError: the sandbox failed.
    """
    with sandbox.open(database) as session:
        return _preflight(database, session)


def catalog(
    database: Database,
    *,
    sandbox: Sandbox,
    model: Model,
    prompt: PromptTemplate,
    history: Sequence[Block] = (),
    run_id: str | None = None,
    scheduled: str | None = None,
    progress: Progress = silent,
) -> Report:
    """Measure *database*, have *model* write about it, and return the page, checked and ready to be stored.

    *history* are the blocks of earlier catalogs, newest first; *scheduled* is the time (ISO 8601, UTC) that the
    run was meant for.

    Raises:
        DatabaseError: it can't be read, or its role can write and the entry does not allow that.
        SandboxError, ModelError: the sandbox or the model's server failed for good.
    """
    began = monotonic()
    clean = cleaner(database.privacy, database.password)
    progress(f"opening {database.shown_url}")
    with sandbox.open(database) as session:
        verdict = _preflight(database, session)
        if verdict.rights and not database.allow_writable_role:
            raise DatabaseError(_refusal(database, verdict))
        progress(f"measuring {verdict.tables} tables and {verdict.views} views")
        at = datetime.now(UTC)
        facts = clean_facts(_measure(database, session), clean)
        before = history[:1]
        differences = changes([_unwritten(database, at, facts), *before]) if before else []
        extra = claims(before[0], facts) if before else {}
        # Where values must not be seen, the agent has the facts (without values) and no connection.
        connection = session.connection if database.privacy != "schema" and not database.hidden else {}
        evidence = Evidence(session, connection, facts, clean)
        progress(f"writing ({model.name})")
        writing = _write(
            session,
            model,
            prompt,
            database,
            accept=lambda html: evidence.problems() + problems(html, facts, {**extra, **evidence.claims()}),
            clean=clean,
            kit={"connection": dict(connection), "facts": facts.dump(), "history": [], "changes": _dumped(differences)},
            variables={
                "name": database.name,
                "engine": facts.engine,
                "context": database.context or "",
                "connected": bool(connection),
            },
            progress=progress,
        )
        session.stop()
        progress("running the page's own queries again")
        named = {**extra, **evidence.final()}
        measured = facts.model_copy(update={"queries": [*facts.queries, *evidence.queries]})
    seconds = monotonic() - began
    notes = [_warning(verdict)] if verdict.rights else []

    def render(snapshot: str) -> Page[Block]:
        run = _run(
            database,
            snapshot,
            model,
            writing,
            seconds=seconds,
            run_id=run_id,
            scheduled=scheduled,
            previous=before[0].snapshot if before else None,
            notes=notes,
        )
        return catalog_page(run, measured, writing.outcome.html, named, differences)

    return _report(database, "catalog", at, render, model, writing, seconds)


def summarize(
    database: Database,
    *,
    history: Sequence[Block],
    sandbox: Sandbox,
    model: Model,
    prompt: PromptTemplate,
    run_id: str | None = None,
    scheduled: str | None = None,
    progress: Progress = silent,
) -> Report:
    """Have *model* tell what changed over *history* (the blocks of the last catalogs, newest first, one or more).

    The numbers are those of the pages; the database is not opened. A catalog that the same run has just written
    shares its snapshot with the summary.

    Raises:
        ReportError: there is no catalog yet.
        SandboxError, ModelError: the sandbox or the model's server failed for good.
    """
    if not history:
        raise ReportError(f"there is no catalog of {database.name!r} in the store yet; write one first")
    began, at = monotonic(), datetime.now(UTC)
    newest = history[0]
    facts, differences = newest.facts, changes(history)
    extra = claims(history[1], facts) if len(history) > 1 else {}
    clean = cleaner(database.privacy, database.password)
    progress(f"summarizing {len(history)} snapshots ({model.name})")
    with sandbox.open(None) as session:
        writing = _write(
            session,
            model,
            prompt,
            database,
            accept=lambda html: problems(html, facts, extra),
            clean=clean,
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
        )
    seconds = monotonic() - began

    def render(snapshot: str) -> Page[Block]:
        run = _run(
            database,
            snapshot,
            model,
            writing,
            seconds=seconds,
            run_id=run_id,
            scheduled=scheduled,
            previous=history[1].snapshot if len(history) > 1 else None,
        )
        return summary_page(run, facts, writing.outcome.html, extra, differences, history)

    same_run = run_id is not None and newest.run_id == run_id
    return _report(database, "summary", newest.snapshot if same_run else at, render, model, writing, seconds)


def publish(report: Report, store: Store) -> Published:
    """Write *report* as a snapshot of *store*: the page last, under the first free timestamp.

    Raises:
        StoreError: the store can't be written.
    """
    snapshot = store.write(
        report.database,
        report.kind,
        report.at,
        {f"{report.kind}.py": report.script.encode(), f"{report.kind}.transcript.jsonl": report.transcript.encode()},
        lambda time: report.render(time).html.encode(),
    )
    return Published(snapshot.name, store.address(snapshot))


def newest_pages(store: Store, database: str, kind: Kind, count: int = 1) -> list[StoredPage]:
    """Return the newest *count* pages of *database*, newest first.

    Raises:
        StoreError: the store can't be read.
        ReportError: a page has no readable data block.
    """
    return [stored_page(store, snapshot) for snapshot in store.newest(database, kind, count)]


def stored_page(store: Store, snapshot: Snapshot) -> StoredPage:
    """Return the page of *snapshot*, parsed."""
    html = store.read(snapshot).decode()
    return StoredPage(snapshot.name, html, read_block(html))


def history(store: Store, database: str, count: int) -> list[Block]:
    """Return the data blocks of the newest *count* catalogs of *database*, newest first."""
    return [page.block for page in newest_pages(store, database, "catalog", count)]


def overview(databases: Databases, store: Store) -> WrittenOverview:
    """Write one page over all *databases* from the newest catalog of each, and say where it is.

    A database without a page, or with one that can't be read, is listed with the reason.

    Raises:
        StoreError: the overview can't be written.
    """
    entries = [_entry(name, databases, store) for name in databases.keys]
    snapshot = store.write_overview(datetime.now(UTC), lambda time: overview_page(time, entries).html.encode())
    return WrittenOverview(store.address(snapshot), len(entries), sum(entry.block is None for entry in entries))


@dataclass(frozen=True)
class _Writing:
    outcome: Outcome
    transcript: Transcript
    limits: Limits
    seconds: float


def _write(
    session: Session,
    model: Model,
    prompt: PromptTemplate,
    database: Database,
    *,
    accept: Callable[[str], list[str]],
    clean: Callable[[str], str],
    kit: Mapping[str, Any],
    variables: Mapping[str, Any],
    progress: Progress,
) -> _Writing:
    """Start the kit in a fresh interpreter of *session* and let *model* work there until it is done."""
    session.start("cataloger_sandbox.kit:namespace", kit)
    digest = session.call("cataloger_sandbox.kit:digest", {"facts": kit["facts"]}, START_SECONDS)
    budget = database.budget
    limits = Limits(tokens=budget.tokens, steps=budget.steps, seconds=budget.minutes * 60)
    rendered = prompt.render(**variables, digest=clean(digest), budget=asdict(limits))
    transcript = Transcript(lambda event: _tell(event, progress))
    began = monotonic()
    outcome = run_agent(model, Toolbox(session, accept, clean), rendered, limits, transcript)
    return _Writing(outcome, transcript, limits, monotonic() - began)


def _tell(event: Mapping[str, Any], progress: Progress) -> None:
    if event["event"] == "reply":
        usage = event["usage"]
        tokens = usage["input"] + usage["cache_write"] + usage["output"]
        progress(f"step {event['step']}: {tokens:,} tokens, {event['seconds']:.1f} s")


def _preflight(database: Database, session: Session) -> Verdict:
    arguments = {"connection": dict(session.connection), "schemas": database.schemas}
    return Verdict(**session.call("cataloger_sandbox.preflight:preflight", arguments, PREFLIGHT_SECONDS))


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
        },
        database.budget.minutes * 60,
    )
    return Facts.model_validate(measured)


def _unwritten(database: Database, at: datetime, facts: Facts) -> Block:
    """Return the block that the comparison with earlier snapshots wants, before there is a page."""
    return block_of(Run(database=database.name, snapshot=timestamp(at)), facts)


def _run(database: Database, snapshot: str, model: Model, writing: _Writing, **fields: Any) -> Run:
    usage, outcome = writing.outcome.usage, writing.outcome
    notes = [*fields.pop("notes", [])]
    if outcome.html is None:
        notes.append(f"The text is missing: {outcome.reason} The facts below were measured all the same.")
    return Run(
        database=database.name,
        snapshot=snapshot,
        model=model.name,
        narrative="full" if outcome.html is not None else "partial",
        usage={"input": usage.input + usage.cache_write, "cache_read": usage.cache_read, "output": usage.output},
        steps=outcome.steps,
        context=database.context,
        notes=tuple(notes),
        **fields,
    )


def _report(
    database: Database,
    kind: Kind,
    at: datetime | str,
    render: Callable[[str], Page[Block]],
    model: Model,
    writing: _Writing,
    seconds: float,
) -> Report:
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
        outcome=writing.outcome,
        limits=writing.limits,
        seconds=seconds,
        agent_seconds=writing.seconds,
    )


def _entry(name: str, databases: Databases, store: Store) -> Entry:
    fault = str(databases.broken[name]) if name in databases.broken else None
    owners = tuple(databases.entries[name].owners) if name in databases.entries else ()
    try:
        pages = newest_pages(store, name, "catalog")
    except CatalogerError as error:
        return Entry(name=name, reason=str(error), owners=owners)
    if not pages:
        return Entry(name=name, reason=fault or "No catalog has been written yet.", owners=owners)
    summaries = store.newest(name, "summary")
    return Entry(
        name=name,
        block=pages[0].block,
        reason=fault,
        owners=owners,
        summary=summaries[0].name if summaries else None,
    )


def _refusal(database: Database, verdict: Verdict) -> str:
    rights = "; ".join(verdict.rights[:8]) + (
        f"; and {len(verdict.rights) - 8} more" if len(verdict.rights) > 8 else ""
    )
    return (
        f"{database.name}: the role {verdict.role!r} can write ({rights}). Cataloger reads with a read-only role. "
        f"Make one:\n{verdict.remedy}\nor set allow_writable_role: true for this database; the page will say so."
    )


def _warning(verdict: Verdict) -> str:
    return f"The role {verdict.role!r} that this was measured with can write: {'; '.join(verdict.rights[:8])}."


def _dumped(differences: Sequence[Any]) -> list[dict[str, Any]]:
    return [change.dump() for change in differences]
