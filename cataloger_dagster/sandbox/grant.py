"""What of the outside a sandbox gets to see: one database, read-only, and nothing else.

A DuckDB file is shown as it is; of a SQLite file a snapshot is made, because one in WAL mode can't be opened
where it can't be written; a server is reached through the session's ``tunnel`` by a relay, which logs in, so that no
password gets inside: PostgreSQL by ``Relay``, MySQL by ``MySQLRelay``, which looks at the first words of statements
alone. How a sandbox gets the files is in ``docker`` and ``local``.
"""

import contextlib
import shutil
import sqlite3
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cataloger_dagster.databases import Database
from cataloger_dagster.errors import DatabaseError
from cataloger_dagster.sandbox.conversation import Limits
from cataloger_dagster.sandbox.doorway import Doorway, doorway
from cataloger_dagster.sandbox.folders import private_folder
from cataloger_dagster.sandbox.login import login_of
from cataloger_dagster.sandbox.relay import Relay
from cataloger_dagster.sandbox.tunnel import Server
from cataloger_dagster.sandbox.upstream import Upstream
from cataloger_dagster.urls import ServerURL

DATA = "/data"
"""Folder of database files inside a sandbox that has its own file system."""

_MAGIC = bytes.fromhex("d9d505f920a163d7")  # of a journal of SQLite's
_LOCKED = 10.0  # seconds to wait for a writer to finish


@dataclass(frozen=True)
class Grant:
    """One database as a sandbox may see it.

    Attributes:
        connection: the kit's connection without its place.
        files: what a database in a file is made of, itself first.
        original: the file's path as people know it.
        server: serves the connections from inside, where the database is on a server.
        door: where it can be reached by a sandbox that is shown it.
    """

    connection: Mapping[str, Any] = field(default_factory=dict)
    files: tuple[Path, ...] = ()
    original: Path | None = None
    server: Server | None = field(default=None, repr=False)
    door: Doorway | None = None

    def path(self, folder: str | None) -> str:
        """Return the path inside of a database in a file; *folder* has the files, or they are where they are here."""
        return str(self.files[0]) if folder is None else f"{folder}/{self.files[0].name}"

    def shown(self, folder: str | None) -> Mapping[str, str]:
        """Return paths in the kit's messages, each with what people call it."""
        return {self.path(folder): str(self.original)} if self.files else {}


@contextlib.contextmanager
def grant(database: Database | None) -> Iterator[Grant]:
    """Make *database* ready to be seen by a sandbox, until the context is left.

    Raises:
        DatabaseError: its file is missing or is no database.
    """
    if database is None:
        yield Grant()
        return
    address = database.address
    if isinstance(address, ServerURL) and address.backend == "mysql":
        # Its driver need not be installed where there is no such server.
        from cataloger_dagster.sandbox.mysql_relay import MySQLRelay

        relay = MySQLRelay(address)
        told = {"backend": "mysql", "user": address.user, "database": address.database, "server": relay.name}
        with doorway() as door:
            yield Grant(told, server=relay, door=door)
        return
    if isinstance(address, ServerURL):
        upstream = Upstream.of(address)
        login = login_of(address, upstream)
        limits = Limits(snapshots=1 if database.connections > 1 else 0)
        told = {"backend": "postgres", "user": login.user, "database": login.database, "server": upstream.name}
        with doorway() as door:
            yield Grant(told, server=Relay(upstream, login, limits), door=door)
        return
    database.require_file()
    if address.backend == "sqlite":
        with private_folder() as folder:
            snapshot = folder / address.path.name
            copy_sqlite(address.path, snapshot)
            yield Grant({"backend": "sqlite"}, (snapshot,), address.path)
        return
    log = address.path.with_name(address.path.name + ".wal")
    yield Grant({"backend": "duckdb"}, (address.path, *([log] if log.is_file() else [])), address.path)


def copy_sqlite(source: Path, target: Path) -> None:
    """Copy a SQLite database as it is at this moment, its uncommitted log included, to a file all may read.

    Nothing is written beside the source: one that nobody has open is copied with its log or journal, and only the copy
    is opened.

    Raises:
        DatabaseError: the source can't be read, or is no SQLite database.
    """
    try:
        if not (_is_at_rest(source) and _copied_at_rest(source, target, "-wal")):
            try:
                _backed_up(source, target)
            except sqlite3.OperationalError as error:
                # A writer died in a transaction, and whoever opens it has to take that back.
                if getattr(error, "sqlite_errorcode", None) != sqlite3.SQLITE_READONLY_ROLLBACK:
                    raise
                if not _copied_at_rest(source, target, "-journal"):
                    raise sqlite3.OperationalError("database is locked") from None
        with contextlib.closing(sqlite3.connect(target)) as copy:
            # The copy has the mode of the source, and its WAL could not be written where it is going.
            copy.execute("PRAGMA journal_mode=DELETE")
            copy.execute("SELECT count(*) FROM sqlite_schema")
    except sqlite3.Error as error:
        if "not a database" in str(error):
            raise DatabaseError(f"{source} is no SQLite database; correct the url") from None
        if "malformed" in str(error):
            raise DatabaseError(
                f"{source} is damaged ({error}): restore it, or recover it with `sqlite3 FILE .recover`"
            ) from None
        raise DatabaseError(
            f"{source} can't be copied: {error}; see that it is not locked, that its folder can be read, "
            f"and that {tempfile.gettempdir()} has room for a copy"
        ) from None
    except OSError as error:
        raise DatabaseError(f"{source} can't be copied: {error.strerror or error}; see who may read it") from None
    target.chmod(0o444)


def _backed_up(source: Path, target: Path) -> None:
    with (
        contextlib.closing(sqlite3.connect(f"{source.as_uri()}?mode=ro", uri=True, timeout=_LOCKED)) as original,
        contextlib.closing(sqlite3.connect(target)) as copy,
    ):
        original.backup(copy, progress=_Patience(_LOCKED))


def _is_at_rest(source: Path) -> bool:
    """Say whether a database has a log and nobody has it open.

    To open it, even to read, makes files beside it, which stay and are ours: its owner's programs might not be able
    to write them.
    """
    with source.open("rb") as file:
        head = file.read(20)
    return head[18:20] == b"\2\2" and not any(_beside(source, each).exists() for each in ("-shm", "-journal"))


def _copied_at_rest(source: Path, target: Path, log: str) -> bool:
    """Copy the files of a database that nobody has open; say whether that was so to the end."""
    before = _state(source)
    shutil.copyfile(source, target)
    if _beside(source, log).exists():
        shutil.copyfile(_beside(source, log), _beside(target, log))
        if log == "-journal" and _names_another_file(_beside(target, log)):
            raise sqlite3.OperationalError(
                "a transaction over several files was cut off; open it with the program that writes it"
            )
    if _state(source) == before:
        return True
    target.unlink()
    _beside(target, log).unlink(missing_ok=True)
    return False


def _names_another_file(journal: Path) -> bool:
    """Say whether a journal ends with the name of one for several files, which SQLite removes when it is done.

    In a hostile one that is any file. The format is in SQLite's documentation, "Database File Format".
    """
    with journal.open("rb") as file:
        file.seek(max(0, journal.stat().st_size - len(_MAGIC)))
        return file.read() == _MAGIC


def _state(source: Path) -> list[tuple[int, int, int] | None]:
    """Return what changes when anybody opens or writes a database."""
    found: list[tuple[int, int, int] | None] = []
    for ending in ("", "-wal", "-shm", "-journal"):
        try:
            status = _beside(source, ending).stat()
        except FileNotFoundError:
            found.append(None)
        else:
            found.append((status.st_ino, status.st_size, status.st_mtime_ns))
    return found


def _beside(path: Path, ending: str) -> Path:
    return path.with_name(path.name + ending)


class _Patience:
    """Ends a backup that waits for a lock; left alone it would wait for ever."""

    def __init__(self, seconds: float) -> None:
        self._until = time.monotonic() + seconds

    def __call__(self, status: int, _remaining: int, _total: int) -> None:
        if status in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED) and time.monotonic() > self._until:
            raise sqlite3.OperationalError("database is locked")
