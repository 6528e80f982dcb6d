"""Databases in files, and every kind of sandbox to open them in."""

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from cataloger_dagster.sandbox.docker import DockerSandbox
from cataloger_dagster.sandbox.local import LocalSandbox, isolated
from cataloger_dagster.sandbox.session import Sandbox, Session
from tests.sandbox import servers
from tests.sandbox.servers import Server
from tests.services.missing import missing


@pytest.fixture
def duckdb_file(tmp_path: Path) -> Path:
    """A DuckDB file with one table of three rows, and a secret beside it."""
    path = tmp_path / "shop.duckdb"
    with contextlib.closing(duckdb.connect(path)) as connection:
        connection.execute("CREATE TABLE orders AS SELECT range AS id FROM range(3)")
    (tmp_path / "secret.txt").write_text("a secret beside the database")
    return path


@pytest.fixture
def sqlite_file(tmp_path: Path) -> Path:
    """A SQLite file in WAL mode with one table of three rows."""
    path = tmp_path / "shop.sqlite"
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("CREATE TABLE orders (id INTEGER)")
        connection.executemany("INSERT INTO orders VALUES (?)", [(1,), (2,), (3,)])
        connection.commit()
    return path


KINDS = ["plain", "bubblewrap", "docker"]


def sandbox_of(request: pytest.FixtureRequest) -> Sandbox:
    """The sandbox of the kind that *request* asks for."""
    if request.param == "docker":
        return DockerSandbox(request.getfixturevalue("docker_sandbox_image"), memory_mb=1024)
    if request.param == "bubblewrap" and not isolated():
        missing("bubblewrap", "apt-get install bubblewrap")
    return LocalSandbox(memory_mb=640, isolated=request.param == "bubblewrap")


@pytest.fixture(params=KINDS)
def sandbox(request: pytest.FixtureRequest) -> Sandbox:
    """Each kind of sandbox."""
    return sandbox_of(request)


@pytest.fixture(scope="module", params=KINDS)
def _opened(request: pytest.FixtureRequest) -> Iterator[Session]:
    with sandbox_of(request).open(None) as session:
        yield session


@pytest.fixture
def session(_opened: Session) -> Iterator[Session]:
    """A session in each kind of sandbox, which a module's tests share; cells and what they start are a test's own."""
    yield _opened
    _opened.stop()


@pytest.fixture(scope="module", params=["local", "docker"])
def confining_sandbox(request: pytest.FixtureRequest) -> Sandbox:
    """Each sandbox that a model's code may run in, for sessions that several tests share."""
    if request.param == "docker":
        return DockerSandbox(request.getfixturevalue("docker_sandbox_image"), memory_mb=1024)
    if not isolated():
        missing("bubblewrap", "apt-get install bubblewrap")
    return LocalSandbox(memory_mb=1024, isolated=True)


@pytest.fixture(scope="session")
def tls_server() -> Iterator[Server]:
    """A PostgreSQL server with TLS and a role for each way to log in."""
    with servers.tls_server() as server:
        yield server
