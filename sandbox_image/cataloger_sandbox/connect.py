"""Opening a database read-only, and saying clearly why it can't be opened.

``connect`` makes the Ibis backend that a session calls ``con``; ``open_connection`` gives the driver's own
connection to our measuring code. Nothing is measured here. A file whose path does not say its name, because it was
sent (see ``sealed``), has that in the connection's ``name``. Without a path there is an empty database in memory.
"""

import contextlib
import importlib
import re
import sqlite3
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cataloger_sandbox.errors import DatabaseProblem
from cataloger_sandbox.extensions import load_needed
from cataloger_sandbox.mysql_login import open_mysql

CONNECT_SECONDS = 40  # longer than the relay waits for the server: its reason is the better one
SESSION_STATEMENT_SECONDS = 300
LOCK_SECONDS = 10
ABANDONED_SECONDS = 5

_RESERVED = ("main", "system", "temp")  # what DuckDB calls no database in a file

# A view of a hostile file must not read other files of the machine into a page. It can't be undone.
_SHUT = "SET enable_external_access = false"

_DUCKDB_SETTINGS = {
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
    "temp_directory": "duckdb-spill",  # in the working folder; the file's own folder may be read-only
}


def connect(connection: Mapping[str, Any]) -> Any:
    """Return the Ibis backend of *connection*, read-only.

    Raises:
        DatabaseProblem: it can't be opened.
    """
    driver = open_connection(connection)
    if connection["backend"] == "postgres":
        from cataloger_sandbox.postgres_backend import ReadingBackend

        return ReadingBackend.from_connection(driver)
    if connection["backend"] == "mysql":
        from cataloger_sandbox.mysql_backend import reading_backend

        return reading_backend(driver)
    # Takes most of a second, and measuring does not need it. By its module: by ``ibis.duckdb`` it is looked up first.
    return importlib.import_module(f"ibis.backends.{connection['backend']}").Backend.from_connection(driver)


def open_connection(connection: Mapping[str, Any]) -> Any:
    """Return the driver's own connection of *connection*, read-only.

    Raises:
        DatabaseProblem: it can't be opened.
    """
    openers = {"duckdb": _duckdb, "sqlite": _sqlite, "postgres": _postgres, "mysql": open_mysql}
    opener = openers.get(connection.get("backend", ""))
    if opener is None:
        raise DatabaseProblem(
            f"the backend {connection.get('backend')!r} can't be opened here: use duckdb, sqlite, postgres or mysql"
        )
    return opener(connection)


def _duckdb(connection: Mapping[str, Any]) -> Any:
    import duckdb

    if connection["path"] is None:
        driver = duckdb.connect(":memory:", config=dict(_DUCKDB_SETTINGS))
        driver.execute(_SHUT)
        return driver
    path = _file(connection["path"], "DuckDB")
    if _head(path).startswith(b"SQLite format 3\0"):
        raise DatabaseProblem(f"{path} is a SQLite database, not a DuckDB one: write its URL as sqlite://…")
    try:
        driver = duckdb.connect(str(path), read_only=True, config=dict(_DUCKDB_SETTINGS))
        try:
            # No view is looked into before all is shut.
            load_needed(driver, duckdb.__version__)
        finally:
            driver.execute(_SHUT)
        if name := connection.get("name"):
            catalog = _catalog_of(name).replace('"', '""')
            driver.execute(f'ALTER DATABASE "{path.name}" SET ALIAS TO "{catalog}"')
    except duckdb.Error as error:
        raise DatabaseProblem(_duckdb_message(path, str(error), duckdb.__version__)) from error
    return driver


def _catalog_of(name: str) -> str:
    """Return what DuckDB calls the database in a file of that *name*."""
    catalog = next(filter(None, name.split(".")), name)
    return f"{catalog}_db" if catalog.lower() in _RESERVED else catalog


def _duckdb_message(path: Path, fault: str, version: str) -> str:
    if "set lock" in fault or "Conflicting lock" in fault:
        holder = re.search(r"held in (.+?) \(PID (\d+)\)", fault)
        by = f"process {holder[2]} ({holder[1]})" if holder else "another process"
        return f"{path} is held open for writing by {by}: let it close the file, or catalog a copy"
    if "version" in fault.lower() and ("read a database" in fault or "newer" in fault or "storage" in fault.lower()):
        return (
            f"{path} was written by a newer DuckDB than the {version} used here: "
            "write it again with `EXPORT DATABASE` there and `IMPORT DATABASE` with this version"
        )
    if "not a valid DuckDB database" in fault:
        return f"{path} is no DuckDB database: check the path in the URL"
    if "Permission denied" in fault:
        return f"{path} can't be read: permission denied; give this user the right to read it"
    return f"{path} can't be opened as a DuckDB database: {_first_line(fault)}"


def _sqlite(connection: Mapping[str, Any]) -> sqlite3.Connection:
    if connection["path"] is None:
        return sqlite3.connect(":memory:", isolation_level=None)
    path = _file(connection["path"], "SQLite")
    head = _head(path)
    if head[8:12] == b"DUCK":
        raise DatabaseProblem(f"{path} is a DuckDB database, not a SQLite one: write its URL as duckdb://…")
    if not head.startswith(b"SQLite format 3\0"):
        raise DatabaseProblem(f"{path} is no SQLite database (or an encrypted one): check the path in the URL")
    driver = None
    try:
        if "name" in connection:
            # By its number SQLite opens no file: it looks for the name that this one lacks.
            driver = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
            driver.deserialize(path.read_bytes())
        else:
            uri = path.as_uri() + "?mode=ro"
            driver = sqlite3.connect(uri, uri=True, isolation_level=None, check_same_thread=False)
        driver.execute("PRAGMA query_only = ON")
        driver.execute("SELECT count(*) FROM sqlite_master").fetchone()
    except sqlite3.Error as error:
        if driver is not None:
            driver.close()
        if "locked" in str(error):
            message = f"{path} is locked by a process that writes: let it finish, then try again"
        elif "unable to open" in str(error):
            message = f"{path} can't be opened: its folder must be readable, with the -wal file where there is one"
        elif "malformed" in str(error) or "not a database" in str(error):
            message = f"{path} is damaged ({error}): restore it, or recover it with `sqlite3 FILE .recover`"
        else:
            message = f"{path} can't be opened as a SQLite database: {error}"
        raise DatabaseProblem(message) from error
    return driver


def _file(text: str, engine: str) -> Path:
    path = Path(text).absolute()
    try:
        if path.is_dir():
            raise DatabaseProblem(f"{path} is a folder: name the {engine} file in it")
        if not path.exists():
            raise DatabaseProblem(f"{path} does not exist: check the path in the URL (nothing was created)")
        if path.stat().st_size == 0:
            raise DatabaseProblem(f"{path} is empty (0 bytes), so no {engine} database: check the path in the URL")
    except OSError as error:
        raise DatabaseProblem(f"{path} can't be read: {error.strerror}; check the path and its rights") from error
    return path


def _head(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(16)
    except OSError as error:
        raise DatabaseProblem(f"{path} can't be read: {error.strerror}; give this user the right to read it") from error


def _postgres(connection: Mapping[str, Any]) -> Any:
    import psycopg

    try:
        driver = psycopg.connect(
            host=connection["host"],
            port=connection.get("port") or 5432,
            user=connection.get("user"),
            password=connection.get("password"),
            dbname=connection.get("database"),
            connect_timeout=CONNECT_SECONDS,
            application_name="cataloger",
            client_encoding="utf8",
            autocommit=True,
        )
        # As statements, not as start-up options: poolers refuse those.
        driver.execute(
            "SET default_transaction_read_only = on; "
            f"SET statement_timeout = '{SESSION_STATEMENT_SECONDS}s'; SET lock_timeout = '{LOCK_SECONDS}s'; "
            "SET timezone = 'UTC'; SET datestyle = 'ISO, YMD'; SET intervalstyle = 'postgres'"
        )
        # A run that is killed can't cancel its query: the server looks by itself whether anybody still waits.
        with contextlib.suppress(psycopg.Error):  # before PostgreSQL 14 it can't, nor on some systems
            driver.execute(f"SET client_connection_check_interval = '{ABANDONED_SECONDS}s'")
    except psycopg.Error as error:
        raise DatabaseProblem(_postgres_message(connection, str(error))) from None
    return driver


def _postgres_message(connection: Mapping[str, Any], fault: str) -> str:
    user, database = connection.get("user"), connection.get("database")
    host = str(connection["host"])
    # The socket in a sandbox leads to a relay; what is behind it has a name of its own.
    place = connection.get("server") or (
        "the server" if host.startswith("/") else f"{host}:{connection.get('port') or 5432}"
    )
    password = connection.get("password")
    if password:
        fault = fault.replace(str(password), "***")
    if connection.get("server") and _reason(fault).startswith(f"{place} "):
        return _reason(fault)  # the relay's own words
    if "password authentication failed" in fault or "no password supplied" in fault:
        return f"{place} refuses the password of role {user!r}: check the user and password in the URL"
    if re.search(r'database ".*" does not exist', fault, re.DOTALL):
        return f"{place} has no database {database!r}: check the name at the end of the URL"
    if re.search(r'role ".*" does not exist', fault, re.DOTALL):
        return f"{place} has no role {user!r}: check the user in the URL"
    if "permission denied for database" in fault:
        return f"role {user!r} may not connect to {database!r}: GRANT CONNECT ON DATABASE to it"
    if "pg_hba.conf" in fault:
        return (
            f"{place} does not let role {user!r} into {database!r} from here (pg_hba.conf): "
            "have its administrator add a line for this role, or use TLS"
        )
    if "too many" in fault or "remaining connection slots" in fault:
        return f"{place} has no connection left: try again later, or raise the limit of role {user!r}"
    if "starting up" in fault or "shutting down" in fault:
        return f"{place} is starting or shutting down: try again in a moment"
    unreachable = (
        "refused",
        "translate host",
        "resolve host",
        "not known",
        "timeout",
        "timed out",
        "No route",
        "unreachable",
    )
    if any(word in fault for word in (*unreachable, "No such file", "closed the connection", "failed to connect")):
        return f"{place} can't be reached: check host and port in the URL, and that PostgreSQL runs ({_reason(fault)})"
    return f"{place} can't be used: {_reason(fault)}"


def _reason(fault: str) -> str:
    lines = [line.strip() for line in fault.splitlines() if line.strip()]
    return lines[-1].rsplit("failed: ", 1)[-1].removeprefix("FATAL:").strip() if lines else "no reason given"


def _first_line(fault: str) -> str:
    return fault.strip().splitlines()[0] if fault.strip() else "no reason given"
