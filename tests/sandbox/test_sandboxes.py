"""Every kind of sandbox: the same session over the same databases, read-only."""

import contextlib
import json
import os
import sqlite3
import stat
import tempfile
import time
from pathlib import Path
from urllib.parse import urlsplit

import duckdb
import psycopg
import pytest

from cataloger_dagster.databases import Database
from cataloger_dagster.errors import DatabaseError, SandboxError
from cataloger_dagster.sandbox.doorway import SOCKET
from cataloger_dagster.sandbox.local import LocalSandbox
from cataloger_dagster.sandbox.session import Sandbox, Session
from tests.services.postgres import Postgres, url_with

CON = "from cataloger_sandbox.connect import connect\ncon = connect({connection!r})"


def connected(session: Session) -> Session:
    """The session with ``con``."""
    result = session.execute(CON.format(connection=dict(session.connection)))
    assert result.error is None, result.output
    return session


def test_a_session_without_a_database_runs_code_and_calls(session: Session) -> None:
    assert dict(session.connection) == {}
    assert session.execute("1 + 1").output == "2\n"
    assert session.call("os:getcwd", {}, 30) == session.execute("import os; os.getcwd()").output.strip("'\n")
    session.start("builtins:dict", {"facts": [1]})
    assert session.execute("facts").output == "[1]\n"
    session.stop()
    assert "NameError" in session.execute("facts").output


def test_a_duckdb_file_is_read_and_never_written(sandbox: Sandbox, duckdb_file: Path) -> None:
    before = duckdb_file.read_bytes()
    with sandbox.open(Database.from_url(f"duckdb://{duckdb_file}")) as session:
        connected(session)
        assert session.execute("con.table('orders').count().execute()").output.strip() == "3"
        assert "read-only" in session.execute("con.raw_sql('CREATE TABLE mine (a INT)')").output
    assert duckdb_file.read_bytes() == before
    assert sorted(path.name for path in duckdb_file.parent.iterdir()) == ["secret.txt", "shop.duckdb"]


def test_a_duckdb_files_log_is_read_with_it(sandbox: Sandbox, tmp_path: Path) -> None:
    path = tmp_path / "logged.duckdb"
    with contextlib.closing(duckdb.connect(path)) as connection:
        connection.execute("PRAGMA disable_checkpoint_on_shutdown")
        connection.execute("SET checkpoint_threshold='1GB'")
        connection.execute("CREATE TABLE orders AS SELECT range AS id FROM range(7)")
    assert path.with_name("logged.duckdb.wal").exists()
    with sandbox.open(Database.from_url(f"duckdb://{path}")) as session:
        assert connected(session).execute("con.table('orders').count().execute()").output.strip() == "7"


def test_a_sqlite_file_is_seen_as_it_is_at_this_moment(sandbox: Sandbox, sqlite_file: Path) -> None:
    with contextlib.closing(sqlite3.connect(sqlite_file)) as writer:
        writer.execute("INSERT INTO orders VALUES (4)")
        writer.commit()
        assert sqlite_file.with_name("shop.sqlite-wal").stat().st_size > 0
        writer.execute("INSERT INTO orders VALUES (5)")  # not committed
        with sandbox.open(Database.from_url(f"sqlite://{sqlite_file}")) as session:
            assert connected(session).execute("con.table('orders').count().execute()").output.strip() == "4"
            assert "readonly" in session.execute("con.con.execute('INSERT INTO orders VALUES (6)')").output
            writer.commit()
            session.stop()
            assert connected(session).execute("con.table('orders').count().execute()").output.strip() == "4"
    with contextlib.closing(sqlite3.connect(sqlite_file)) as reader:
        assert reader.execute("SELECT max(id) FROM orders").fetchone() == (5,)


def test_a_postgres_server_is_reached_by_a_socket_that_is_nobody_elses(sandbox: Sandbox, postgres: Postgres) -> None:
    admin = postgres.new_database()
    postgres.execute(admin, "CREATE TABLE orders AS SELECT generate_series(1, 200000) AS id")
    reader = Database.from_url(postgres.new_reader(admin))
    with sandbox.open(reader) as session:
        assert Path(session.connection["host"]).name in ("data", "server")
        connected(session)
        lines = [line.split() for line in Path("/proc/net/unix").read_text().splitlines()]
        [place] = {Path(line[-1]) for line in lines if f"-{os.getpid()}-" in line[-1] and SOCKET in line[-1]}
        assert stat.S_IMODE(place.parent.parent.stat().st_mode) == 0o700
        if session.connection["host"] == "/data":  # else it is not confined at all
            assert "Read-only file system" in session.execute("import os; os.unlink('/data/.s.PGSQL.5432')").output
        assert session.execute("con.table('orders').count().execute()").output.strip() == "200000"
        assert session.execute("len(con.table('orders').execute())").output == "200000\n"
        assert "read-only" in session.execute("con.con.execute('INSERT INTO orders VALUES (1)')").output
        slow = session.execute("con.con.execute('SELECT pg_sleep(60)')", timeout=1)
        assert slow.error == "timeout"
        assert slow.state_kept
        deadline = time.monotonic() + 5
        while statements(admin, "SELECT pg_sleep(60)"):  # the cancel has to go through
            assert time.monotonic() < deadline
            time.sleep(0.05)


SEARCH = """
import pathlib

# In halves that stand apart, so that the search does not find itself.
halves = [[bytes.fromhex(half) for half in each] for each in {sought!r}]
count = [0 for each in halves]

def search(place):
    for number, (first, second) in enumerate(halves):
        at = place.find(first)
        while at >= 0:
            begin = at + len(first)
            count[number] += place[begin : begin + len(second)] == second
            at = place.find(first, begin)

files = [path for name in ("environ", "cmdline") for path in pathlib.Path("/proc").glob({processes!r} + "/" + name)]
files += [path for folder in {folders!r} for path in pathlib.Path(folder).rglob("*") if path.is_file()]
for path in files:
    try:
        search(path.read_bytes())
    except OSError:
        pass
# All memory of this interpreter, the database's client in it.
with open("/proc/self/maps") as maps, open("/proc/self/mem", "rb", 0) as memory:
    for line in maps.readlines():
        start, end = (int(each, 16) for each in line.split()[0].split("-"))
        if " rw" in line and end - start < 200 << 20:
            memory.seek(start)
            try:
                search(memory.read(end - start))
            except OSError:
                pass
count
"""


def test_the_password_is_nowhere_in_a_sandbox(sandbox: Sandbox, postgres: Postgres) -> None:
    url = postgres.new_reader(postgres.new_database())
    password = urlsplit(url).password
    assert password
    assert len(password) == 16
    with sandbox.open(Database.from_url(url)) as session:
        assert password not in str(dict(session.connection))
        connected(session)
        assert session.execute("con.raw_sql('SELECT 1').fetchone()[0]").output == "1\n"
        session.execute("marker = 'its-mark-' + 'to-be-found'")
        sought = [
            (text[:8].encode().hex(), text[8:].encode().hex())
            for text in (password, "its-mark-to-be-found", urlsplit(url).path[1:])
        ]
        # Where nothing confines a session, the other processes and /tmp are the machine's.
        alone = sandbox.name == "docker" or (isinstance(sandbox, LocalSandbox) and sandbox.isolated)
        folders = [".", *(["/tmp", "/run"] if alone else [])]
        found = session.execute(SEARCH.format(sought=sought, folders=folders, processes="[0-9]*" if alone else "self"))
        assert found.error is None, found.output
        secret, mark, shown = json.loads(found.output)
        assert mark > 0
        assert shown > 0
        assert secret == 0


def statements(url: str, query: str) -> int:
    """How many connections run *query*."""
    with psycopg.connect(url) as connection:
        found = connection.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE query = %s AND state = 'active'", [query]
        ).fetchone()
    assert found
    return int(found[0])


@pytest.mark.parametrize("sandbox", ["plain"], indirect=True)
def test_a_wrong_password_is_a_database_error_without_the_password(sandbox: Sandbox, postgres: Postgres) -> None:
    url = url_with(postgres.new_database(), user="admin", password="not-the-password")
    with (
        sandbox.open(Database.from_url(url)) as session,
        pytest.raises(DatabaseError, match="refuses the password") as told,
    ):
        session.call("cataloger_sandbox.connect:connect", {"connection": dict(session.connection)}, 30)
    assert "not-the-password" not in str(told.value)


@pytest.mark.parametrize("sandbox", ["docker"], indirect=True)
def test_a_server_that_is_not_there_is_named(sandbox: Sandbox) -> None:
    database = Database.from_url("postgres://reader:pw@127.0.0.1:1/shop")
    with sandbox.open(database) as session, pytest.raises(DatabaseError, match=r"127\.0\.0\.1:1 can't be reached"):
        session.call("cataloger_sandbox.connect:connect", {"connection": dict(session.connection)}, 30)


@pytest.mark.parametrize("sandbox", ["plain", "docker"], indirect=True)
def test_a_file_that_is_no_database_is_called_by_its_own_path(sandbox: Sandbox, tmp_path: Path) -> None:
    path = tmp_path / "notes.duckdb"
    path.write_text("these are notes, and no database at all\n" * 100)
    with sandbox.open(Database.from_url(f"duckdb://{path}")) as session, pytest.raises(DatabaseError) as told:
        session.call("cataloger_sandbox.connect:connect", {"connection": dict(session.connection)}, 30)
    assert str(path) in str(told.value)


def test_no_variable_of_our_environment_is_seen_inside(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-secret-key")
    monkeypatch.setenv("PGPASSWORD", "secret-password")
    with sandbox.open(None) as session:
        seen = session.execute("import os; dict(os.environ)").output
        assert "secret" not in seen
        assert "PATH" in seen


def test_a_memory_bomb_leaves_the_session_and_its_variables(session: Session) -> None:
    session.execute("x = 41")
    result = session.execute("kept = []\nwhile True: kept.append(bytearray(50 << 20))", timeout=60)
    assert "MemoryError" in result.output
    assert session.execute("del kept\nx + 1").output == "42\n"


def test_an_error_leaves_nothing_behind(sandbox: Sandbox, sqlite_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted() -> None:
        with sandbox.open(Database.from_url(f"sqlite://{sqlite_file}")) as session:
            session.execute("1")
            assert list(Path(folder).iterdir())
            raise KeyboardInterrupt

    with tempfile.TemporaryDirectory(prefix="t") as folder:
        monkeypatch.setattr(tempfile, "tempdir", folder)
        with pytest.raises(KeyboardInterrupt):
            interrupted()
        assert not list(Path(folder).iterdir())


def test_no_thread_that_a_cell_left_ends_what_is_called(confining_sandbox: Sandbox) -> None:
    code = """
import os, threading
def go():
    while not over:
        for p in os.listdir('/proc'):
            if p.isdigit() and int(p) not in (1, os.getpid()):
                try: os.kill(int(p), 9)
                except OSError: pass
over, x = False, 41
threading.Thread(target=go, daemon=True).start()
"""
    with confining_sandbox.open(None) as session:
        assert session.execute(code).error is None
        for _ in range(10):
            assert session.call("os:getcwd", {}, 60).startswith("/")
        assert "42" in session.execute("over = True\nx + 1").output


EVERYTHING = {"schemas": None, "tables": ["*"], "exclude": [], "hidden": [], "values": True, "seconds": 120}


def test_a_database_is_measured_over_as_many_connections_as_its_entry_says(
    sandbox: Sandbox, postgres: Postgres
) -> None:
    url = postgres.new_database()
    for number in range(10):
        made = f"CREATE TABLE orders_{number} AS SELECT i AS id, i % 3 AS kind FROM generate_series(1, 300) AS i"
        postgres.execute(url, made)
    reader = postgres.new_reader(url)
    found = {}
    database = Database.from_url(reader).model_copy(update={"connections": 8})
    with sandbox.open(database, cells=False) as session:
        for count in (1, 8):
            arguments = {**EVERYTHING, "connection": dict(session.connection), "connections": count}
            told = session.call("cataloger_sandbox.measure:measure", arguments, 120)
            assert told["coverage"]["notes"] == []  # as many as were asked for
            found[count] = [{**query, "at": "", "seconds": 0} for query in told.pop("queries")], told
        assert found[8] == found[1]
        with psycopg.connect(url, autocommit=True) as con:
            until = time.monotonic() + 5
            while con.execute(
                "SELECT 1 FROM pg_stat_activity WHERE usename = %s", [urlsplit(reader).username]
            ).fetchall():
                assert time.monotonic() < until
                time.sleep(0.05)


def test_measuring_that_is_given_up_leaves_no_query_on_the_server(sandbox: Sandbox, postgres: Postgres) -> None:
    url = postgres.new_database()
    for number in range(3):
        postgres.execute(url, f"CREATE VIEW slow_{number} AS SELECT i FROM generate_series(1, 1000) AS i, pg_sleep(30)")
    reader = postgres.new_reader(url)
    running = "SELECT 1 FROM pg_stat_activity WHERE usename = %s AND query LIKE '%%slow%%'"
    database = Database.from_url(reader).model_copy(update={"connections": 3})
    with (
        psycopg.connect(url, autocommit=True) as con,
        sandbox.open(database, cells=False) as session,
    ):
        arguments = {**EVERYTHING, "connection": dict(session.connection), "connections": 3}
        with pytest.raises(SandboxError):
            session.call("cataloger_sandbox.measure:measure", arguments, 4)
        until = time.monotonic() + 5
        while con.execute(running, [urlsplit(reader).username]).fetchall():
            assert time.monotonic() < until
            time.sleep(0.05)
