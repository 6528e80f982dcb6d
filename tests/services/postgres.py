"""A PostgreSQL server of the tests' own, or the one named by ``CATALOGER_TEST_POSTGRES``."""

import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit, urlunsplit

import psycopg
from psycopg import sql

if TYPE_CHECKING:
    from tests.services.keeper import Keeper

REMEDY = "apt-get install postgresql, or name a server: CATALOGER_TEST_POSTGRES=postgres://admin:password@host:port/db"


class Postgres:
    """A running server where we are superuser. Names of databases and roles are made unique: workers share it."""

    def __init__(self, url: str) -> None:
        self.url = url
        parts = urlsplit(url)
        self.host, self.port = parts.hostname or "127.0.0.1", parts.port or 5432
        self._databases: list[str] = []
        self._roles: list[str] = []

    def new_database(self, name: str = "test") -> str:
        """Make an empty database called *name* and a unique ending; return its URL for the superuser."""
        unique = f"{name}_{secrets.token_hex(4)}"
        self.execute(self.url, sql.SQL("CREATE DATABASE {}").format(sql.Identifier(unique)))
        self._databases.append(unique)
        return url_with(self.url, database=unique)

    def new_role(self, url: str, *grants: str, name: str = "reader", options: str = "") -> str:
        """Make a role that can log in to the database of *url* and return its URL.

        Each of *grants* is SQL in which ``{role}`` stands for the role's quoted name, run in that database.
        """
        unique, password = f"{name}_{secrets.token_hex(4)}", secrets.token_hex(8)
        role = sql.Identifier(unique)
        self.execute(
            url,
            sql.SQL("CREATE ROLE {} LOGIN PASSWORD {} {}").format(role, sql.Literal(password), sql.SQL(options)),
            *(sql.SQL(grant).format(role=role) for grant in grants),
        )
        self._roles.append(unique)
        return url_with(url, user=unique, password=password)

    def new_reader(self, url: str, schema: str = "public", name: str = "reader") -> str:
        """Make a role that can read every table there is in *schema* and no more; return its URL."""
        quoted = sql.Identifier(schema).as_string()
        grants = (
            f"GRANT USAGE ON SCHEMA {quoted} TO {{role}}",
            f"GRANT SELECT ON ALL TABLES IN SCHEMA {quoted} TO {{role}}",
        )
        return self.new_role(url, *grants, name=name)

    def execute(self, url: str, *statements: "str | sql.SQL | sql.Composed") -> None:
        """Run statements, each by itself, in the database of *url*."""
        with psycopg.connect(url, autocommit=True, connect_timeout=10) as connection:
            for statement in statements:
                connection.execute(statement.encode() if isinstance(statement, str) else statement)

    def drop_all(self) -> None:
        """Drop what was made here: for a server that outlives the tests."""
        for name in self._databases:
            # WITH (FORCE) came with PostgreSQL 13.
            ending = sql.SQL("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = {}")
            self.execute(self.url, ending.format(sql.Literal(name)))
            self.execute(self.url, sql.SQL("DROP DATABASE IF EXISTS {}").format(sql.Identifier(name)))
        for name in self._roles:
            self.execute(self.url, sql.SQL("DROP ROLE IF EXISTS {}").format(sql.Identifier(name)))


def url_with(url: str, database: str | None = None, user: str | None = None, password: str | None = None) -> str:
    """The same server under another database or account."""
    parts = urlsplit(url)
    login, at, place = parts.netloc.rpartition("@")
    if user is not None:
        login, at = f"{quote(user, safe='')}:{quote(password or '', safe='')}", "@"
    path = parts.path if database is None else f"/{quote(database, safe='')}"
    return urlunsplit((parts.scheme, f"{login}{at}{place}", path, parts.query, ""))


def binaries() -> Path | None:
    """The folder with ``initdb`` and ``postgres``: the one named, Debian's newest, or the one on the path."""
    if named := os.environ.get("CATALOGER_TEST_POSTGRES_BINARIES"):
        return Path(named)
    folders = sorted(
        Path("/usr/lib/postgresql").glob("*/bin"), key=lambda each: each.parent.name.zfill(4), reverse=True
    )
    found = next((folder for folder in folders if (folder / "initdb").exists()), None)
    initdb = shutil.which("initdb")
    return found or (Path(initdb).resolve().parent if initdb else None)


def free_port() -> int:
    """A loopback port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def start(keeper: "Keeper") -> dict[str, Any]:
    """Start a server on loopback with password authentication (SCRAM); as another account where we are root."""
    found = binaries()
    assert found is not None
    account = server_account()
    data, password, port = keeper.data / "server", secrets.token_hex(8), free_port()
    data.mkdir(mode=0o700)
    secret = keeper.folder / "password"
    secret.write_text(password)
    options: dict[str, Any] = {"cwd": keeper.folder}
    if account is not None:
        for path in (data, secret):
            os.chown(path, account.pw_uid, account.pw_gid)
        options |= {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}
    command = [str(found / "initdb"), "-D", str(data), "-U", "admin", "--auth=scram-sha-256", f"--pwfile={secret}"]
    command += ["--encoding=UTF8", "--locale=C.UTF-8", "--no-sync"]
    made = subprocess.run(command, capture_output=True, text=True, **options)
    if made.returncode:
        raise RuntimeError(made.stderr)
    settings = ["listen_addresses=127.0.0.1", f"port={port}", "unix_socket_directories=", "fsync=off", "jit=off"]
    # What is asked depends on the server's statistics: they come when a test says so.
    settings += ["autovacuum=off"]
    settings += ["synchronous_commit=off", "full_page_writes=off", "shared_buffers=32MB", "max_connections=60"]
    # SIGQUIT is PostgreSQL's immediate shutdown: nothing in here is worth a checkpoint.
    server = keeper.spawn(
        [str(found / "postgres"), "-D", str(data), *(part for each in settings for part in ("-c", each))],
        stop=signal.SIGQUIT,
        **options,
    )
    url = f"postgres://admin:{password}@127.0.0.1:{port}/postgres"
    end = time.monotonic() + 30
    while True:
        try:
            psycopg.connect(url, connect_timeout=5).close()
            return {"url": url}
        except psycopg.OperationalError as error:
            if server.poll() is not None or time.monotonic() > end:
                raise RuntimeError(str(error)) from None
            time.sleep(0.05)


def server_account() -> pwd.struct_passwd | None:
    """PostgreSQL refuses to run as root: the account it gets instead; None where we are not root."""
    if os.getuid() != 0:
        return None
    names = {entry.pw_name: entry for entry in pwd.getpwall()}
    return names.get("postgres") or names["nobody"]
