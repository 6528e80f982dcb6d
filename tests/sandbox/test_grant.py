"""What of a database is shown to a sandbox, and what is refused before one starts."""

import contextlib
import shutil
import sqlite3
import stat
import struct
import subprocess
import sys
from pathlib import Path

import pytest

from cataloger_dagster.databases import Database
from cataloger_dagster.errors import ConfigurationError, DatabaseError
from cataloger_dagster.sandbox.grant import grant


def test_a_duckdb_file_is_shown_by_itself(duckdb_file: Path) -> None:
    with grant(Database.from_url(f"duckdb://{duckdb_file}")) as granted:
        assert granted.files == (duckdb_file,)
        assert granted.path("/data") == "/data/shop.duckdb"
        assert granted.path(None) == str(duckdb_file)


def test_a_sqlite_snapshot_is_private_read_only_and_gone_afterwards(sqlite_file: Path) -> None:
    with grant(Database.from_url(f"sqlite://{sqlite_file}")) as granted:
        (snapshot,) = granted.files
        assert granted.shown("/data") == {"/data/shop.sqlite": str(sqlite_file)}
        assert snapshot != sqlite_file
        assert stat.S_IMODE(snapshot.stat().st_mode) == 0o444
        assert stat.S_IMODE(snapshot.parent.stat().st_mode) == 0o700
        with contextlib.closing(sqlite3.connect(f"{snapshot.as_uri()}?immutable=1", uri=True)) as copy:
            assert copy.execute("SELECT count(*) FROM orders").fetchone() == (3,)
            assert copy.execute("PRAGMA journal_mode").fetchone() != ("wal",)
    assert not snapshot.parent.exists()


def rows(path: Path) -> list[tuple[int]]:
    with (
        grant(Database.from_url(f"sqlite://{path}")) as granted,
        contextlib.closing(sqlite3.connect(f"{granted.files[0].as_uri()}?immutable=1", uri=True)) as copy,
    ):
        return copy.execute("SELECT * FROM t ORDER BY a").fetchall()


def beside(path: Path) -> dict[str, bytes]:
    return {each.name: each.read_bytes() for each in path.parent.iterdir()}


KILLED = """
import os, sqlite3, sys
c = sqlite3.connect(sys.argv[1], isolation_level=None)
c.execute("PRAGMA journal_mode=" + sys.argv[2])
c.execute("PRAGMA cache_size=1")
c.execute("CREATE TABLE t (a)")
c.execute("INSERT INTO t VALUES (1), (2)")
if sys.argv[2] == "DELETE":
    c.execute("CREATE TABLE big AS WITH n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3000) "
              "SELECT hex(randomblob(300)) AS x FROM n")
    c.execute("BEGIN")
    c.execute("UPDATE t SET a = a + 10")
    c.execute("UPDATE big SET x = x || 'y'")
os.kill(os.getpid(), 9)
"""


@pytest.mark.parametrize("mode", ["WAL", "DELETE"])
def test_what_a_writer_left_that_was_killed_is_read_and_nothing_is_written_beside_it(tmp_path: Path, mode: str) -> None:
    path = tmp_path / "t.sqlite"
    subprocess.run([sys.executable, "-c", KILLED, path, mode], check=False)
    before = beside(path)
    assert f"t.sqlite-{'wal' if mode == 'WAL' else 'journal'}" in before
    assert rows(path) == [(1,), (2,)]
    assert set(beside(path)) == set(before)
    assert {**beside(path), "t.sqlite-shm": b""} == {**before, "t.sqlite-shm": b""}
    # A log that was copied without the file that only open databases have.
    (tmp_path / "t.sqlite-shm").unlink(missing_ok=True)
    before = beside(path)
    assert rows(path) == [(1,), (2,)]
    assert beside(path) == before


def test_a_journal_that_names_another_file_has_none_removed(tmp_path: Path) -> None:
    path, canary = tmp_path / "db" / "t.sqlite", tmp_path / "canary"
    path.parent.mkdir()
    canary.write_text("not to be removed")
    subprocess.run([sys.executable, "-c", KILLED, path, "DELETE"], check=False)
    name = str(canary).encode()
    with (path.parent / "t.sqlite-journal").open("ab") as journal:
        journal.write(bytes.fromhex("00100001") + name + struct.pack(">II", len(name), sum(name)))
        journal.write(bytes.fromhex("d9d505f920a163d7"))
    before = beside(path)
    with pytest.raises(DatabaseError, match="a transaction over several files was cut off"):
        rows(path)
    assert canary.exists()
    assert beside(path) == before


def test_a_sqlite_database_that_nobody_has_open_gets_no_files_beside_it(tmp_path: Path) -> None:
    """Those would be ours, and keep its owner's programs from writing."""
    path = tmp_path / "t.sqlite"
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("CREATE TABLE t AS SELECT 1 AS a")
    before = beside(path)
    assert set(before) == {"t.sqlite"}
    assert rows(path) == [(1,)]
    assert beside(path) == before


def test_a_writer_that_comes_while_the_files_are_copied_is_seen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "t.sqlite"
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("CREATE TABLE t AS SELECT 1 AS a")
    copied = shutil.copyfile

    def and_written(source: Path, target: Path) -> None:
        copied(source, target)
        with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection:
            connection.execute("INSERT INTO t VALUES (2)")

    monkeypatch.setattr(shutil, "copyfile", and_written)
    assert rows(path) == [(1,), (2,)]


@pytest.mark.parametrize("name", ["odd name.sqlite", "ünïcode.sqlite", "a?b#c%20d.sqlite", "colon:comma,.sqlite"])
def test_a_file_may_have_any_name(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE t (a)")
    database = Database.from_url(str(path))
    with grant(database) as granted:
        assert granted.path("/data") == f"/data/{name}"
        assert [each.name for each in granted.files] == [name]


def test_a_file_that_is_no_sqlite_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "notes.sqlite"
    path.write_text("these are notes, and no database at all\n" * 100)
    with (
        pytest.raises(DatabaseError, match=r"notes\.sqlite is no SQLite database"),
        grant(Database.from_url(f"sqlite://{path}")),
    ):
        pass


def test_a_sqlite_file_cut_short_is_told_as_damaged(sqlite_file: Path) -> None:
    sqlite_file.write_bytes(sqlite_file.read_bytes()[:50])
    with (
        pytest.raises(DatabaseError, match=r"is damaged .*: restore it, or recover it"),
        grant(Database.from_url(f"sqlite://{sqlite_file}")),
    ):
        pass


def test_a_locked_sqlite_database_says_so(sqlite_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with contextlib.closing(sqlite3.connect(sqlite_file)) as connection:
        connection.execute("PRAGMA journal_mode=DELETE")
        connection.execute("BEGIN EXCLUSIVE")
        monkeypatch.setattr("cataloger_dagster.sandbox.grant._LOCKED", 0.2)
        with pytest.raises(DatabaseError, match="locked"), grant(Database.from_url(f"sqlite://{sqlite_file}")):
            pass


def test_a_server_is_shown_by_its_name_and_without_its_password() -> None:
    with grant(Database.from_url("postgres://re%40der:hunter%2F2@127.0.0.1:1/my%20shop")) as granted:
        told = {"backend": "postgres", "user": "re@der", "database": "my shop", "server": "127.0.0.1:1"}
        assert granted.connection == told
        assert granted.server is not None
        assert granted.files == ()
        assert "hunter" not in repr(granted)


def test_a_parameter_that_makes_no_sense_is_told_before_a_sandbox_starts() -> None:
    database = Database.from_url("postgres://h/d?sslmode=requrie")
    with pytest.raises(ConfigurationError, match="sslmode=requrie"), grant(database):
        pass
