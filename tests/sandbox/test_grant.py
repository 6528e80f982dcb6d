"""What of a database is shown to a sandbox, and what is refused before one starts."""

import contextlib
import sqlite3
import stat
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
