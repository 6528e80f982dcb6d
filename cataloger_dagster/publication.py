"""Reports and their way into the store and back: what a run hands over, how it is written, how pages are read.

How a report comes about is ``cataloging``'s, how pages are kept is the store's.
"""

import contextlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from cataloger_dagster.agent.loop import Outcome
from cataloger_dagster.agent.meter import Limits
from cataloger_dagster.agent.model import Usage
from cataloger_dagster.errors import ReportError, StoreError
from cataloger_dagster.report.block import Block, read_block
from cataloger_dagster.report.page import Page
from cataloger_dagster.report.run import Kind, PageKind
from cataloger_dagster.report.safety import unsafe
from cataloger_dagster.report.transcript import transcript_page
from cataloger_dagster.store.snapshots import Snapshot, Store, timestamp


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
        run: the name under which the run is kept until its page is stored; null where it is not.
    """

    database: str
    kind: PageKind
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
    run: str | None = None

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
    """Where a report went: the snapshot's timestamp, and the paths or addresses of page and transcript, to be read."""

    snapshot: str
    address: str
    transcript: str


def publish(report: Report, store: Store) -> Published:
    """Write *report* as a snapshot of *store*: the page last, under the first free timestamp.

    What was kept of the run while it went on is in the page's transcript then, and removed.

    Raises:
        StoreError: the store can't be written.
        ReportError: the transcript can't be shown safely.
    """
    at = report.at if isinstance(report.at, str) else timestamp(report.at)
    snapshot = store.write(
        report.database,
        report.kind,
        report.at,
        records(report.database, report.kind, at, report.model, report.script, report.transcript),
        lambda time: report.render(time).html.encode(),
    )
    if report.run is not None:
        with contextlib.suppress(StoreError):  # the page is there; what stays of the run is removed by a later one
            store.runs.remove(report.database, report.kind, report.run)
    return Published(snapshot.name, store.address(snapshot), store.address(snapshot, read_by_people(report.kind)))


def records(name: str, kind: Kind, at: str, model: str, script: str, transcript: str) -> dict[str, bytes]:
    """Return the files that stand beside a page: how *model* wrote it, to be run, to be parsed and to be read.

    Raises:
        ReportError: the transcript can't be shown safely.
    """
    events = [json.loads(line) for line in transcript.splitlines()]
    html = transcript_page(name, kind, at, model, events)
    if reasons := unsafe(html):
        raise ReportError(f"the transcript of {name!r} is not safe and was not stored: {reasons[0]}")
    files = {f"{kind}.py": script, f"{kind}.transcript.jsonl": transcript, read_by_people(kind): html}
    return {file: text.encode() for file, text in files.items()}


def read_by_people(kind: Kind) -> str:
    """Return the name of the file that shows people how a page was written."""
    return f"{kind}.transcript.html"


def newest_pages(store: Store, database: str, kind: PageKind, count: int = 1) -> list[StoredPage]:
    """Return the newest *count* pages of *database*, newest first.

    Raises:
        StoreError: the store can't be read.
        ReportError: a page has no readable data block.
    """
    return [stored_page(store, snapshot) for snapshot in store.newest(database, kind, count)]


def stored_page(store: Store, snapshot: Snapshot) -> StoredPage:
    """Return the page of *snapshot*, parsed.

    Raises:
        StoreError: the store can't be read.
        ReportError: it is no page, or one without a readable data block.
    """
    try:
        html = store.read(snapshot).decode()
        return StoredPage(snapshot.name, html, read_block(html))
    except UnicodeDecodeError as error:
        raise ReportError(f"{store.address(snapshot)}: it is no text, so no page") from error
    except ReportError as error:
        raise ReportError(f"{store.address(snapshot)}: {error}") from error


def history(store: Store, database: str, count: int) -> list[Block]:
    """Return the data blocks of the newest *count* catalogs of *database*, newest first."""
    return [page.block for page in newest_pages(store, database, "catalog", count)]
