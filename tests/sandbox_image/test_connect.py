"""Opening a database: read-only, and a clear reason where it can't be opened."""

import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import psycopg
import pytest
from cataloger_sandbox.connect import connect, open_connection
from cataloger_sandbox.errors import DatabaseProblem
from cataloger_sandbox.measure import measure

from tests.newer_duckdb import make_newer
from tests.sandbox_image.conftest import Made, connection_of
from tests.services.postgres import Postgres


def refused(connection: dict[str, Any]) -> str:
    """Return why *connection* can't be opened."""
    with pytest.raises(DatabaseProblem) as error:
        open_connection(connection)
    return str(error.value)


@pytest.mark.parametrize("backend", ["duckdb", "sqlite"])
def test_files_that_are_no_database_are_told_apart(backend: str, tmp_path: Path) -> None:
    def reason(path: Path) -> str:
        message = refused({"backend": backend, "path": str(path)})
        assert str(path) in message
        return message

    missing = tmp_path / "missing.db"
    assert "does not exist" in reason(missing)
    assert not missing.exists()
    (tmp_path / "empty.db").touch()
    assert "0 bytes" in reason(tmp_path / "empty.db")
    (tmp_path / "notes.txt").write_text("no database at all\n" * 500)
    assert f"no {'DuckDB' if backend == 'duckdb' else 'SQLite'} database" in reason(tmp_path / "notes.txt")
    assert "folder" in reason(tmp_path)
    other = tmp_path / "other.db"
    if backend == "duckdb":
        with sqlite3.connect(other) as driver:
            driver.execute("CREATE TABLE t (x)")
        driver.close()
        assert "sqlite://" in reason(other)
    else:
        duckdb.connect(str(other)).close()
        assert "duckdb://" in reason(other)


def test_a_damaged_sqlite_file_is_told(tmp_path: Path) -> None:
    path = tmp_path / "damaged.sqlite"
    with sqlite3.connect(path) as driver:
        driver.execute("CREATE TABLE t (x)")
    driver.close()
    path.write_bytes(path.read_bytes()[:100] + b"\xff" * 8000)
    assert "damaged" in refused({"backend": "sqlite", "path": str(path)})


def test_a_duckdb_file_held_by_a_writer_names_the_process(tmp_path: Path) -> None:
    path = tmp_path / "held.duckdb"
    code = f"import duckdb, sys; c = duckdb.connect({str(path)!r}); print('open', flush=True); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as writer:
        assert writer.stdout is not None
        assert writer.stdout.readline() == "open\n"
        message = refused({"backend": "duckdb", "path": str(path)})
        assert f"process {writer.pid}" in message
        assert "close" in message
        writer.communicate("")


def test_a_duckdb_file_of_a_newer_version_is_told(tmp_path: Path) -> None:
    path = tmp_path / "newer.duckdb"
    duckdb.connect(str(path)).close()
    make_newer(path)
    message = refused({"backend": "duckdb", "path": str(path)})
    assert f"newer DuckDB than the {duckdb.__version__}" in message
    assert "EXPORT DATABASE" in message


def test_an_unknown_backend_is_told() -> None:
    assert "oracle" in refused({"backend": "oracle"})


def test_servers_that_refuse_are_told_apart_and_no_password_shows(postgres: Postgres) -> None:
    url = postgres.new_database()
    right = connection_of(url)

    def reason(**changed: Any) -> str:
        message = refused({**right, **changed})
        assert right["password"] not in message
        assert "wr0ng-secret" not in message
        return message

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        closed = taken.getsockname()[1]
        assert "can't be reached" in reason(port=closed)
    assert "can't be reached" in reason(host="/nowhere/run")
    assert "check host and port" in reason(host="no-such-host.invalid")
    assert "refuses the password" in reason(password="wr0ng-secret")
    assert "no database 'absent'" in reason(database="absent")


def test_a_query_ends_on_the_server_when_the_run_that_asked_is_killed(postgres: Postgres) -> None:
    url = postgres.new_database()
    program = (
        "import sys; from cataloger_sandbox.connect import open_connection; "
        "open_connection(eval(sys.argv[1])).execute('SELECT pg_sleep(100)')"
    )
    place = Path(__file__).parents[2] / "sandbox_image"
    asker = subprocess.Popen([sys.executable, "-c", program, repr(connection_of(url))], cwd=place)
    with psycopg.connect(url, autocommit=True) as watcher:

        def wait_until(asked: int) -> None:
            until = time.monotonic() + 30
            query = (
                "SELECT count(*) FROM pg_stat_activity WHERE (datname, wait_event) = (current_database(), 'PgSleep')"
            )
            while watcher.execute(query).fetchone() != (asked,):
                assert time.monotonic() < until
                time.sleep(0.1)

        wait_until(1)
        asker.kill()
        asker.wait()
        wait_until(0)


def test_nothing_can_be_written(database: Made) -> None:
    database.sql("CREATE TABLE t (x integer)")
    driver = open_connection(database.connection)
    try:
        for statement in ("INSERT INTO t VALUES (1)", "DROP TABLE t", "CREATE TABLE u (x integer)"):
            with pytest.raises(Exception, match=r"(?i)read.?only"):
                driver.execute(statement)
    finally:
        driver.close()


@pytest.mark.filterwarnings("ignore:The 'future.infer_string'", "ignore:fetch_arrow_table")
def test_the_ibis_backend_reads_and_does_not_write(database: Made) -> None:
    database.sql("CREATE TABLE t (x integer)", "INSERT INTO t VALUES (41), (1)")
    con = connect(database.connection)
    try:
        assert con.list_tables() == ["t"]
        assert con.table("t").x.sum().execute() == 42
        with pytest.raises(Exception, match=r"(?i)read.?only"):
            con.raw_sql("INSERT INTO t VALUES (1)")
    finally:
        con.disconnect()


def test_a_view_can_not_read_other_files(make: Callable[[str], Made], tmp_path: Path) -> None:
    """A hostile DuckDB file's view over the machine's files shows nothing of them."""
    secret = tmp_path / "secret.txt"
    secret.write_text("the-machine's-own")
    database = make("duckdb")
    database.sql(f"CREATE VIEW leak AS SELECT content FROM read_text('{secret}')")
    raw = measure(database.connection, None, ["*"], [], [], True)
    assert "the-machine's-own" not in str(raw)
    assert raw["tables"][0]["rows"] is None
    assert "leak" in {item["table"] for item in raw["coverage"]["skipped"]}


def test_sqlite_is_read_while_another_writes(make: Callable[[str], Made]) -> None:
    database = make("sqlite")
    database.sql("CREATE TABLE t (x integer)", "INSERT INTO t VALUES (1)")
    writer = sqlite3.connect(database.connection["path"])
    try:
        writer.execute("BEGIN IMMEDIATE")
        writer.execute("INSERT INTO t VALUES (2)")
        raw = measure(database.connection, None, ["*"], [], [], True)
        assert raw["tables"][0]["rows"] == 1
    finally:
        writer.close()


@pytest.mark.parametrize(
    "name", ["shop.duckdb", "a.b.duckdb", "main.db", "temp.db", "system", ".hidden.db", "..x.y", "...", "q\"'s é.db"]
)
def test_a_sent_file_is_called_as_where_it_came_from(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    with duckdb.connect(str(path)) as driver:
        driver.execute("CREATE TABLE t AS SELECT 1 AS x")
        wanted = driver.execute("SELECT current_catalog()").fetchone()
    (tmp_path / "60").write_bytes(path.read_bytes())
    with open_connection({"backend": "duckdb", "path": str(tmp_path / "60"), "name": name}) as sent:
        assert sent.execute("SELECT current_catalog()").fetchone() == wanted
        assert sent.cursor().execute("SELECT x FROM t").fetchone() == (1,)
        with pytest.raises(duckdb.Error, match="read-only"):
            sent.execute("CREATE TABLE u (x INTEGER)")


def test_a_sent_sqlite_file_is_read_and_not_written(tmp_path: Path) -> None:
    path = tmp_path / "60"
    with sqlite3.connect(path) as driver:
        driver.execute("CREATE TABLE t AS SELECT 1 AS x")
    driver.close()
    before = path.read_bytes()
    sent = open_connection({"backend": "sqlite", "path": str(path), "name": "shop.sqlite"})
    assert sent.execute("SELECT x FROM t").fetchone() == (1,)
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        sent.execute("INSERT INTO t VALUES (2)")
    sent.execute("PRAGMA query_only = OFF")
    sent.execute("INSERT INTO t VALUES (2)")
    sent.close()
    assert path.read_bytes() == before
    path.write_bytes(b"SQLite format 3\0" + bytes(5000))
    assert "is damaged" in refused({"backend": "sqlite", "path": str(path), "name": "shop.sqlite"})
