"""All databases in, one page out: the newest catalog of each in a table, and what a model makes of them together.

The model is asked when what it would be told is no longer what it was told for the newest overview; otherwise its text
stays, with the numbers of today. The page does not wait for it: where the model or its sandbox fails, or there is
none, the table is written all the same and says so. How one database becomes a page is ``cataloging``'s.
"""

import contextlib
import hashlib
import itertools
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from cataloger_dagster import __version__
from cataloger_dagster.agent.model import Model, Usage
from cataloger_dagster.authoring import Progress, Writing, once_more_if_lost, silent, write
from cataloger_dagster.databases import Budget, Database, Databases
from cataloger_dagster.errors import (
    CatalogerError,
    ConfigurationError,
    ModelError,
    ReportError,
    SandboxError,
    StoreError,
)
from cataloger_dagster.facts import SEVERITIES
from cataloger_dagster.privacy import Mask
from cataloger_dagster.prompts import PromptTemplate
from cataloger_dagster.publication import newest_pages, read_by_people, records
from cataloger_dagster.report.block import Block
from cataloger_dagster.report.numbers import count
from cataloger_dagster.report.overview import Entry, Text, claims, overview_page, problems, read_text
from cataloger_dagster.report.safety import unsafe
from cataloger_dagster.resuming import Keeping, Terms, attempt, with_what_is_left
from cataloger_dagster.sandbox.session import Sandbox, Session
from cataloger_dagster.store.runs import OVERVIEW
from cataloger_dagster.store.snapshots import Store, timestamp

BUDGET = Budget(tokens=60_000, steps=12, minutes=10)
"""What the text over all databases may take: it is short, and everything that it is made of is told at once."""

TASK_CHARACTERS = 30_000
"""How much the model is told at once of all databases; of those beyond it are the names, the rest in its session."""

GRAVE = SEVERITIES[:2]

COULD_NOT = "The text could not be written"

TOLD = 12
"""How many grave findings and changes of one database the model is told; the rest are in its session."""


@dataclass(frozen=True)
class WrittenOverview:
    """Where an overview went, and what is on it.

    Attributes:
        transcript: where it stands how the text was written, to be read; null where it was not written this time.
        databases: how many it lists; ``without_page`` of them have no catalog yet.
        text: ``new``, ``kept`` from an earlier overview, or ``missing``.
        usage: the tokens that the text took.
        fault: why the text is not what it should be; empty where it is.
    """

    address: str
    transcript: str | None
    databases: int
    without_page: int
    text: str
    model: str
    usage: Usage
    unmeasured: int
    fault: str = ""


def overview(
    databases: Databases,
    store: Store,
    *,
    choose: Callable[[], tuple[Model, Sandbox]],
    prompt: PromptTemplate,
    keeping: Keeping | None = None,
    progress: Progress = silent,
    warn: Progress = silent,
) -> WrittenOverview:
    """Write one page over all *databases* from the newest catalog of each, and say where it is.

    A database without a page, or with one that can't be read, is listed with the reason. *choose* gives the model, and
    the sandbox for it; where there is none (a key is refused, no engine is there) the page says so and has the text
    of before.

    Raises:
        StoreError: the store can't be read or written, or another process is at this run.
        ReportError: it is not safe.
    """
    entries = [_entry(name, databases, store) for name in databases.keys]
    told = [_told(entry, databases.entries.get(entry.name)) for entry in entries]
    earlier = _earlier(store)
    text, work, fault, name = earlier, None, "", ""
    if not any(entry.block for entry in entries):
        text = None
    else:
        chosen, name, reason = _chosen(choose, earlier)
        matter = _matter(told, databases, name, prompt)
        if earlier is not None and earlier.matter == matter:
            fault = earlier.fault
            if reason:
                warn(f"{reason.rstrip('.')}. There was nothing new to write, and the text of before stays")
        elif chosen is None:
            work = _Work(None, f"{COULD_NOT}: {reason}", Usage())
        else:
            progress(f"writing about {count(len(entries), 'database')} ({name})")
            if keeping is not None:
                keeping = with_what_is_left(keeping, OVERVIEW, "overview", _terms(matter, name, prompt))
            work = _written(entries, told, matter, chosen, prompt, keeping, progress, warn)
    if work is not None:
        fault = work.fault
        if work.writing and work.writing.outcome.html:
            text = Text(work.writing.outcome.html, matter, name, timestamp(datetime.now(UTC)), fault)
    if fault:
        warn(fault)
    at = datetime.now(UTC)
    page = overview_page(timestamp(at), entries, text, fault)
    if reasons := unsafe(page.html):
        raise ReportError(f"the overview is not safe and was not stored: {'; '.join(reasons[:5])}")
    snapshot = store.write_overview(
        at,
        _records(timestamp(at), name, work.writing) if work and work.writing else {},
        lambda time: overview_page(time, entries, text, fault).html.encode(),
    )
    if keeping is not None and (work is None or work.writing):
        with contextlib.suppress(StoreError):  # the page is there; what stays of the run is removed by a later one
            keeping.runs.remove(OVERVIEW, "overview", keeping.run)
    return WrittenOverview(
        address=store.address(snapshot),
        transcript=store.address(snapshot, read_by_people("overview")) if work and work.writing else None,
        databases=len(entries),
        without_page=sum(entry.block is None for entry in entries),
        text="missing" if text is None else "kept" if text is earlier else "new",
        model=text.model if text else name,
        usage=work.usage if work else Usage(),
        unmeasured=page.unmeasured,
        fault=fault,
    )


@dataclass(frozen=True)
class _Work:
    """What came of asking the model: its writing, or null with the *fault* that ended it; what was paid either way."""

    writing: Writing | None
    fault: str
    usage: Usage


def _chosen(
    choose: Callable[[], tuple[Model, Sandbox]], earlier: Text | None
) -> tuple[tuple[Model, Sandbox] | None, str, str]:
    """Return who writes, and the name: of *earlier* where nobody can be had, whose reason is the last."""
    try:
        chosen = choose()
    except (ModelError, SandboxError, ConfigurationError) as error:
        return None, earlier.model if earlier else "", str(error)
    return chosen, chosen[0].name, ""


def _terms(matter: str, model: str, prompt: PromptTemplate) -> Terms:
    return {
        "the model": model,
        "the prompt": prompt.hash,
        "what there is to tell": matter,
        "Cataloger's version": __version__,
    }


def _written(
    entries: Sequence[Entry],
    told: Sequence[Mapping[str, Any]],
    matter: str,
    chosen: tuple[Model, Sandbox],
    prompt: PromptTemplate,
    keeping: Keeping | None,
    progress: Progress,
    warn: Progress,
) -> _Work:
    """Have *model* write; what it paid for before a failure stays in the store, for the next overview to go on with."""
    mask = Mask("masked")
    named = claims(entries)
    model, sandbox = chosen

    def work(_: contextlib.ExitStack, session: Session) -> Writing:
        return write(
            session,
            model,
            prompt,
            "all databases",
            BUDGET,
            tried=tried,
            accept=lambda html: problems(html, named),
            mask=mask,
            kit={
                "connection": {},
                "facts": {},
                "history": [],
                "changes": [],
                "databases": list(told),
                "known": {claim.id: claim.value for claim in named.values()},
            },
            variables=_in_the_task(told),
            progress=progress,
            warn=warn,
        )

    try:
        with (
            mask.over_errors(),
            attempt(keeping, OVERVIEW, "overview", _terms(matter, model.name, prompt), progress) as tried,
        ):
            if tried.opening is None:
                tried.open(datetime.now(UTC), {})
            writing = once_more_if_lost(sandbox, None, work, warn)
    except (ModelError, SandboxError) as error:
        return _Work(None, f"{COULD_NOT}: {error}", tried.usage)
    outcome = writing.outcome
    fault = f"The text is a draft that was never handed in: {outcome.reason}" if outcome.html else outcome.reason
    return _Work(writing, fault if outcome.reason else "", outcome.usage)


def _records(at: str, model: str, writing: Writing) -> Mapping[str, bytes]:
    transcript = writing.transcript
    return records("all databases", "overview", at, model, transcript.script(), transcript.lines())


def _earlier(store: Store) -> Text | None:
    """Return the text of the newest overview; nothing where it has none that can be read.

    Raises:
        StoreError: the store can't be read: to take that for no text would have one paid for again.
    """
    snapshot = store.newest_overview()
    return read_text(store.read(snapshot).decode(errors="replace")) if snapshot else None


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


def _told(entry: Entry, database: Database | None) -> dict[str, Any]:
    """Return what the session holds of one database, masked: names, counts, and what findings say of values."""
    mask = Mask(database.privacy, database.password, database.hidden) if database else Mask("masked")
    block = entry.block
    if block is None:
        return {"name": entry.name, "reason": mask(entry.reason or "")}
    block = mask.without_values(block)
    speaks = database is None or database.privacy != "schema"
    told = {
        "name": entry.name,
        "engine": block.engine,
        "context": database.context if database else None,
        "owners": list(entry.owners),
        "about": block.about,
        "measured": block.snapshot,
        "reason": entry.reason,
        "tables": [
            {"name": table.name, "rows": table.rows, "columns": [column.name for column in table.columns]}
            for table in block.tables
        ],
        "findings": [
            {
                "severity": finding.severity,
                "kind": finding.kind,
                "table": finding.table,
                "columns": finding.columns,
                "tables": finding.spread,
                "rows": finding.rows,
                "sentence": finding.sentence if speaks else None,
            }
            for finding in sorted(block.findings, key=lambda finding: SEVERITIES.index(finding.severity))
        ],
        "changes": [
            {"severity": change.severity, "kind": change.kind, "table": change.table, "column": change.column}
            for change in _newest_changes(block)
        ],
    }
    masked: dict[str, Any] = {
        **told,
        **mask.data({key: told[key] for key in ("context", "about", "reason", "findings")}),
    }
    return masked


def _newest_changes(block: Block) -> list[Any]:
    """Return what changed since the snapshot before, the gravest first."""
    changes = [change for change in block.changes if change.since == block.previous]
    return sorted(changes, key=lambda change: SEVERITIES.index(change.severity))


def _in_the_task(told: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the databases that there is room for, those with the most grave findings first, and the others' names."""
    ordered = sorted(map(_briefly, told), key=lambda each: -len(each["findings"]))
    ends = itertools.accumulate(len(json.dumps(each)) for each in ordered)
    room = sum(end <= TASK_CHARACTERS for end in ends)
    return {"databases": ordered[:room], "others": [each["name"] for each in ordered[room:]]}


def _briefly(told: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the model is told of one database in its task."""
    findings, changes = told.get("findings", []), told.get("changes", [])
    return {
        **{key: told.get(key) for key in ("name", "engine", "context", "about", "reason")},
        "tables": [table["name"] for table in told.get("tables", [])][:TOLD],
        "more_tables": max(0, len(told.get("tables", [])) - TOLD),
        "findings": list(_grave(findings))[:TOLD],
        "all_findings": len(findings),
        "changes": list(_grave(changes))[:TOLD],
    }


def _grave(found: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    for each in found:
        if each["severity"] in GRAVE:
            column = each["column"] if "column" in each else ", ".join(each["columns"])
            place = each["table"] + (f".{column}" if column else "")
            others = " and in other tables" if each.get("tables", 1) > 1 else ""
            yield f"{each['severity']} {each['kind']} {place}{others}"


def _matter(told: Sequence[Mapping[str, Any]], databases: Databases, model: str, prompt: PromptTemplate) -> str:
    """Return a digest of what makes a text another: not of numbers, which are filled in, nor of other texts.

    What may be told is part of it: a text from before may say what must not be seen any more.
    """
    matter = [
        {key: value for key, value in _briefly(each).items() if key not in ("about", "all_findings")} for each in told
    ]
    rules = {name: [entry.privacy, entry.hidden] for name, entry in databases.entries.items()}
    whole = json.dumps([model, prompt.hash, matter, rules], sort_keys=True)
    return hashlib.sha256(whole.encode()).hexdigest()[:16]
