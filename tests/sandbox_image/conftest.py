"""Databases of all three engines for the kit's tests: made of SQL, opened as the kit is told to open them."""

import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import duckdb
import psycopg
import pytest

from tests.services.postgres import Postgres

ENGINES = ["duckdb", "sqlite", pytest.param("postgres", marks=pytest.mark.postgres)]


SLOW = 100
"""Beyond so many rows, one by one takes long in DuckDB; fewer do not go as lists, in which it takes NaN for null."""


@dataclass
class Made:
    """A database for one test: ``connection`` is what the kit gets, ``sql`` runs statements as its owner."""

    engine: str
    connection: dict[str, Any]
    url: str = ""

    def sql(self, *statements: str) -> None:
        with self._open() as driver:
            for statement in statements:
                driver.execute(statement)
            if self.engine == "sqlite":
                driver.commit()

    def load(self, table: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
        """Create *table* with *columns* (``"name type"``) and fill it, all rows at once."""
        with self._open() as driver:
            driver.execute(f"CREATE TABLE {table} ({', '.join(columns)})")
            if self.engine == "duckdb" and len(rows) > SLOW:
                lists = ", ".join(["unnest(?)"] * len(columns))
                driver.execute(
                    f"INSERT INTO {table} SELECT {lists}", [list(values) for values in zip(*rows, strict=True)]
                )
            elif rows and self.engine != "postgres":
                driver.executemany(f"INSERT INTO {table} VALUES ({', '.join('?' * len(columns))})", rows)
                driver.commit()
            elif rows:
                with driver.cursor().copy(f"COPY {table} FROM STDIN") as copy:
                    for row in rows:
                        copy.write_row(row)

    def _open(self) -> Any:
        if self.engine == "duckdb":
            return duckdb.connect(self.connection["path"])
        if self.engine == "sqlite":
            return _Closing(sqlite3.connect(self.connection["path"]))
        return psycopg.connect(self.url, autocommit=True)


class _Closing:
    """A SQLite connection that ``with`` closes, as the other drivers' do."""

    def __init__(self, driver: sqlite3.Connection) -> None:
        self._driver = driver

    def __enter__(self) -> sqlite3.Connection:
        return self._driver

    def __exit__(self, *_: object) -> None:
        self._driver.close()


def connection_of(url: str) -> dict[str, Any]:
    """Return the connection of a PostgreSQL URL."""
    parts = urlsplit(url)
    return {
        "backend": "postgres",
        "host": parts.hostname,
        "port": parts.port,
        "user": unquote(parts.username or ""),
        "password": unquote(parts.password or ""),
        "database": unquote(parts.path[1:]),
    }


@pytest.fixture(scope="session")
def empty_duckdb(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A DuckDB file without a table: to have it written anew takes longer than some of the tests with one."""
    path = tmp_path_factory.mktemp("empty") / "empty.duckdb"
    duckdb.connect(path).close()
    return path.read_bytes()


@pytest.fixture
def make(
    tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, empty_duckdb: bytes
) -> Callable[[str], Made]:
    """Return the function that makes an empty database of an engine."""
    monkeypatch.chdir(tmp_path)

    def made(engine: str) -> Made:
        if engine == "postgres":
            server: Postgres = request.getfixturevalue("postgres")
            url = server.new_database()
            return Made(engine, connection_of(url), url)
        path = tmp_path / f"test.{engine}"
        database = Made(engine, {"backend": engine, "path": str(path)})
        if engine == "duckdb":
            path.write_bytes(empty_duckdb)
        else:
            database.sql("CREATE TABLE made (x integer)", "DROP TABLE made")
        return database

    return made


@pytest.fixture(params=ENGINES)
def database(request: pytest.FixtureRequest, make: Callable[[str], Made]) -> Made:
    """An empty database of each engine in turn."""
    return make(request.param)
