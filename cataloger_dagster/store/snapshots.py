"""Snapshots: what a run wrote for one database, under one timestamp, once.

``{database}/{timestamp}/catalog.html`` (or ``summary.html``, or both) with companions beside it, and
``_overview/{timestamp}/overview.html``. A snapshot is there when its page is, and the page comes last.
What is on a page is not this module's business.
"""

import contextlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from cataloger_dagster.databases import check_name
from cataloger_dagster.errors import ConfigurationError, StoreError
from cataloger_dagster.report.run import Kind, PageKind
from cataloger_dagster.store.folder import FolderObjects
from cataloger_dagster.store.objects import Objects, Taken
from cataloger_dagster.store.runs import OVERVIEW, Runs

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

MILLISECOND = timedelta(milliseconds=1)
TIMESTAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
LAST_TIME = datetime(9999, 12, 31, tzinfo=UTC)

FIRST_WINDOW = 32 * 24 * 3600 * 1000
"""How far back the search for the newest begins: one listing of S3 holds a month of daily snapshots."""

WIDER = 8
WIDEST = FIRST_WINDOW * WIDER
"""How a window grows that held too few: once, then to the beginning."""

LIST_PAGE = 1000
KEYS_PER_SNAPSHOT = 8
"""Two pages, two scripts, two transcripts, each to be run on and to be read."""

NAMES_TRIED = 10_000


@dataclass(frozen=True, order=True)
class Snapshot:
    """One page of one database at one time.

    Attributes:
        database: its name; ``_overview`` for the overview.
        time: UTC, in whole milliseconds.
        kind: which page.
    """

    database: str
    time: datetime
    kind: Kind

    @property
    def name(self) -> str:
        """The timestamp as it is written: ``2026-01-15T10:00:00.123Z``."""
        return timestamp(self.time)

    @property
    def page(self) -> str:
        """The name of the page's file."""
        return f"{self.kind}.html"

    def key(self, name: str) -> str:
        """Return the key of one file of the snapshot."""
        return f"{self.database}/{self.name}/{name}"


class Store:
    """Snapshots over objects."""

    def __init__(self, objects: Objects, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self.objects = objects
        self._now = now

    def write(
        self,
        database: str,
        kind: PageKind,
        at: datetime | str,
        companions: Mapping[str, bytes],
        page: Callable[[str], bytes],
    ) -> Snapshot:
        """Write a snapshot under *at* (a time, or the name of a snapshot) or the next free millisecond.

        *companions* are named like ``catalog.py``, after the kind. *page* gets the timestamp that it became, and
        is asked again if another writer takes that one. Where anything fails, nothing stays.

        Raises:
            ConfigurationError: *database* is no database's name.
            StoreError: the store can't be written.
        """
        check_name(database)
        return self._write(Snapshot(database, moment(at), kind), companions, page)

    def write_overview(
        self, at: datetime | str, companions: Mapping[str, bytes], page: Callable[[str], bytes]
    ) -> Snapshot:
        """Write the page over all databases, like ``write``."""
        return self._write(Snapshot(OVERVIEW, moment(at), "overview"), companions, page)

    def newest(self, database: str, kind: PageKind, count: int = 1) -> list[Snapshot]:
        """Find the newest *count* snapshots, newest first. It takes as long with ten as with ten thousand."""
        check_name(database)
        return self._search(database, kind, count, None)

    def newest_overview(self) -> Snapshot | None:
        """Find the newest page over all databases."""
        return next(iter(self._search(OVERVIEW, "overview", 1, None)), None)

    def at(self, database: str, kind: PageKind, time: datetime | str) -> Snapshot | None:
        """Find the snapshot that was the newest at *time*."""
        check_name(database)
        return next(iter(self._search(database, kind, 1, moment(time))), None)

    def databases(self) -> list[str]:
        """List the databases that have anything here, if only what a killed run left."""
        return sorted(name for name in self.objects.folders("") if not name.startswith("_"))

    def read(self, snapshot: Snapshot, name: str | None = None) -> bytes:
        """Read the page, or the file *name* beside it.

        Raises:
            Missing: there is no such file.
        """
        return self.objects.read(snapshot.key(name or snapshot.page))

    def address(self, snapshot: Snapshot, name: str | None = None) -> str:
        """Say where the page is, or the file *name* beside it: a path, or ``s3://…``."""
        return self.objects.address(snapshot.key(name or snapshot.page))

    @property
    def runs(self) -> Runs:
        """The runs in progress, which are no snapshots yet."""
        return Runs(self.objects)

    def check(self) -> str | None:
        """Return what the place does not keep of what is promised here, for people; null where it keeps all."""
        return self.objects.check()

    def _write(self, wanted: Snapshot, companions: Mapping[str, bytes], page: Callable[[str], bytes]) -> Snapshot:
        for name in companions:
            if not name.startswith(f"{wanted.kind}.") or name == wanted.page:
                raise ValueError(f"{name} is no companion of {wanted.page}")
        for step in range(NAMES_TRIED):
            snapshot = Snapshot(wanted.database, wanted.time + step * MILLISECOND, wanted.kind)
            # What a killed run left under this name must not become part of ours.
            if self.objects.keys(snapshot.key(f"{wanted.kind}."), limit=1):
                continue
            try:
                self._create(snapshot, companions, page)
            except Taken:
                continue
            return snapshot
        raise StoreError(
            f"{self.objects.address(wanted.key(wanted.page))} and {NAMES_TRIED:,} names after it are taken"
        )

    def _create(self, snapshot: Snapshot, companions: Mapping[str, bytes], page: Callable[[str], bytes]) -> None:
        """Create the companions, then the page. Of writers at the same name, the first companion decides."""
        created: list[str] = []
        try:
            for name in sorted(companions):
                self.objects.create(snapshot.key(name), companions[name])
                created.append(snapshot.key(name))
            self.objects.create(snapshot.key(snapshot.page), page(snapshot.name))
        except BaseException as error:
            # A cancelled run included. What can't be removed now is no snapshot either: it has no page.
            with contextlib.suppress(StoreError):
                # A page may have arrived though the answer was lost: then the snapshot is whole, and stays.
                if isinstance(error, Taken) or not self.objects.keys(snapshot.key(snapshot.page), limit=1):
                    for key in created:
                        self.objects.delete(key)
            raise

    def _search(self, folder: str, kind: Kind, count: int, until: datetime | None) -> list[Snapshot]:
        """Look at windows before the end, each one listing, until one holds enough and is seen whole.

        A store lists upwards only, and no more than a thousand keys a request: a window with too few snapshots
        is widened, one with more than a listing is narrowed. Times are milliseconds since 1970 here.
        """
        if count < 1:
            return []
        end = milliseconds(until or self._now())
        limit = -(-count * KEYS_PER_SNAPSHOT // LIST_PAGE) * LIST_PAGE
        crowded: int | None = None  # a window from here holds more than a listing
        sparse: int | None = None  # a window from here holds too few
        start = max(end - FIRST_WINDOW, 0)
        while True:
            after = f"{folder}/{timestamp(moment_of(start))}" if start else ""
            keys = self.objects.keys(f"{folder}/", after, limit)
            times = [time for key in keys if (time := time_of(key)) is not None]
            whole = len(keys) < limit or (until is not None and bool(times) and times[-1] > until)
            pages = [time for key in keys if key.endswith(f"/{kind}.html") and (time := time_of(key)) is not None]
            found = [time for time in pages if until is None or time <= until][: -count - 1 : -1]
            if whole and (len(found) == count or start == 0):
                return [Snapshot(folder, time, kind) for time in found]
            if whole:
                sparse = start
            else:
                crowded = start
            if crowded is None:
                width = max(end - start, FIRST_WINDOW // WIDER)
                start = max(end - width * WIDER, 0) if width < WIDEST else 0
            elif sparse is None:
                # As many keys as were just seen lie about as far apart before the end: take half of that.
                start = end - (milliseconds(times[-1]) - milliseconds(times[0])) // 2 if times else end
                if start <= crowded:  # a thousand keys after the end: somebody's clock is wrong
                    sparse = milliseconds(LAST_TIME)
            if crowded is not None and sparse is not None:
                start = (crowded + sparse) // 2
                if start == crowded:  # more leftovers of killed runs than a listing holds
                    limit *= 4
                    crowded = None


def timestamp(time: datetime) -> str:
    """Write a time as a snapshot's name: UTC, in milliseconds, so that names sort as time does."""
    utc = time.astimezone(UTC)
    return f"{utc:%Y-%m-%dT%H:%M:%S}.{utc.microsecond // 1000:03d}Z"


def moment(at: datetime | str) -> datetime:
    """Return a time, or the time in a snapshot's name, in UTC and whole milliseconds.

    Raises:
        ConfigurationError: a text is no snapshot's name, or a time has no zone.
    """
    if isinstance(at, str):
        time = parsed(at)
        if time is None:
            raise ConfigurationError(f"{at!r} is no snapshot; they are named like 2026-01-15T10:00:00.123Z")
        return time
    if at.tzinfo is None:
        raise ConfigurationError(f"{at} is a time without a zone; add one, like {at.isoformat()}Z")
    utc = at.astimezone(UTC)
    return utc.replace(microsecond=utc.microsecond // 1000 * 1000)


def parsed(name: str) -> datetime | None:
    """Read a snapshot's name; null if it is none."""
    if TIMESTAMP.fullmatch(name):
        with contextlib.suppress(ValueError):  # 2026-13-45 has the looks only
            return datetime.fromisoformat(name)
    return None


def time_of(key: str) -> datetime | None:
    """Return the time of the snapshot to which an object belongs."""
    _, _, rest = key.partition("/")
    return parsed(rest.partition("/")[0])


def milliseconds(time: datetime) -> int:
    """Count milliseconds since 1970."""
    return (time - EPOCH) // MILLISECOND


def moment_of(count: int) -> datetime:
    """Turn milliseconds since 1970 into a time."""
    return EPOCH + count * MILLISECOND


def open_store(location: str, base: Path | None = None, client: "S3Client | None" = None) -> Store:
    """Open the store at ``s3://bucket/prefix`` or in a folder; a relative one counts from *base*, else from here.

    *client* is a ready S3 client; without one, the AWS_* variables make it.

    Raises:
        ConfigurationError: *location* is neither.
        StoreError: the settings of the S3 client are wrong. Nothing is sent yet.
    """
    scheme, found, rest = location.partition("://")
    if not found:
        return Store(FolderObjects((base or Path.cwd()) / Path(location).expanduser()))
    bucket, _, prefix = rest.partition("/")
    if scheme != "s3" or not bucket:
        raise ConfigurationError(f"{location} is no store: write s3://bucket/prefix or a folder")
    # boto3 takes a third of a second to import, which a folder need not pay.
    from cataloger_dagster.store.s3 import S3Objects

    return Store(S3Objects(bucket, prefix, client))
