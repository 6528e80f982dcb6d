"""Attempts to write to a database's file from inside: each is refused, and the file is byte for byte what it was.

The sandboxes are those that a model's code may run in. A server's is ``test_read_only_postgres``.
"""

import contextlib
import hashlib
import sqlite3
from collections.abc import Iterator, Mapping
from pathlib import Path

import duckdb
import pytest

from cataloger_dagster.databases import Database
from cataloger_dagster.sandbox.session import Sandbox, Session

SECRET = "a secret beside the database"


class Shop:
    """A database file in a session that has ``con``, ``driver`` and ``path``, and all that lies beside the file."""

    def __init__(self, session: Session, path: Path) -> None:
        self.path = path
        self.execute = session.execute
        done = session.execute(
            "import os, sqlite3, subprocess, sys, duckdb\n"
            "from cataloger_sandbox.connect import connect\n"
            f"con = connect({dict(session.connection)!r}); driver = con.con; path = {session.connection['path']!r}\n"
            f"outside = {str(path.parent)!r}"
        )
        assert done.error is None, done.output
        self.before = self.stored()

    def stored(self) -> Mapping[str, str]:
        """The file and what lies beside it, by name."""
        return {
            each.name: hashlib.sha256(each.read_bytes()).hexdigest() + oct(each.stat().st_mode)
            for each in sorted(self.path.parent.iterdir())
        }


@pytest.fixture(scope="module")
def duckdb_shop(confining_sandbox: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    path = tmp_path_factory.mktemp("duckdb") / "shop.duckdb"
    with contextlib.closing(duckdb.connect(path)) as connection:
        connection.execute("CREATE TABLE orders AS SELECT range AS id FROM range(3)")
    with contextlib.closing(duckdb.connect(path.with_name("other.duckdb"))) as connection:
        connection.execute("CREATE TABLE other (x INTEGER)")
    path.with_name("secret.txt").write_text(SECRET)
    with confining_sandbox.open(Database.from_url(f"duckdb://{path}")) as session:
        yield Shop(session, path)


@pytest.fixture(scope="module")
def sqlite_shop(confining_sandbox: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    path = tmp_path_factory.mktemp("sqlite") / "shop.sqlite"
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("CREATE TABLE orders (id INTEGER)")
        connection.executemany("INSERT INTO orders VALUES (?)", [(1,), (2,), (3,)])
        connection.commit()
    path.with_name("secret.txt").write_text(SECRET)
    with confining_sandbox.open(Database.from_url(f"sqlite://{path}")) as session:
        yield Shop(session, path)


def failed(shop: Shop, code: str, refusal: str) -> None:
    """Make an attempt and see that it is refused, in the words expected, and that nothing has changed."""
    done = shop.execute(code, 60)
    assert done.error == "error", done.output
    assert any(each.lower() in done.output.lower() for each in refusal.split("|")), done.output
    assert SECRET not in done.output
    assert shop.stored() == shop.before
    assert shop.execute("con.table('orders').count().execute()").output.strip() == "3"


# The file system's refusals; where the file's folder is not there at all, nothing is found.
UNWRITABLE = (
    "read-only file system|permission denied|no such file|device or resource busy|operation not permitted|cross-device"
)
NO_ACCESS = "file system operations are disabled|external access|disabled by configuration|no such file|no files found"

FILES = [
    "open(path, 'r+b')",
    "open(path, 'ab')",
    "open(path, 'wb')",
    "open(path + '.wal', 'wb')",
    "open(path + '-wal', 'wb')",
    "open(path + '-journal', 'wb')",
    "os.remove(path)",
    "os.rename(path, path + '.old')",
    "os.replace(__import__('tempfile').mkstemp()[1], path)",
    "os.truncate(path, 0)",
    "os.chmod(path, 0o666)",
    "os.utime(path, (0, 0))",
    "os.link(path, path + '.link')",
    "os.symlink('/tmp', path + '.link')",
    "os.setxattr(path, 'user.mine', b'x')",
    "open(outside + '/shop.new', 'wb')",
    "open(outside + '/secret.txt').read()",
    "__import__('ctypes').CDLL(None, use_errno=True).mount(b'', b'/data', None, 32, None) == 0 or 1 / 0",
]


@pytest.mark.parametrize("code", FILES)
def test_a_duckdb_file_stays_as_it_is_whatever_the_system_is_asked(duckdb_shop: Shop, code: str) -> None:
    failed(duckdb_shop, code, f"{UNWRITABLE}|division by zero|not supported")


@pytest.mark.parametrize("code", FILES)
def test_a_sqlite_file_stays_as_it_is_whatever_the_system_is_asked(sqlite_shop: Shop, code: str) -> None:
    failed(sqlite_shop, code, f"{UNWRITABLE}|division by zero|not supported")


@pytest.mark.parametrize(
    ("statement", "refusal"),
    [
        ("INSERT INTO orders VALUES (4)", "read-only mode"),
        ("UPDATE orders SET id = 0", "read-only mode"),
        ("DELETE FROM orders", "read-only mode"),
        ("TRUNCATE orders", "read-only mode"),
        ("CREATE TABLE mine (a INTEGER)", "read-only mode"),
        ("CREATE OR REPLACE TABLE orders AS SELECT 1 AS id", "read-only mode"),
        ("CREATE VIEW mine AS SELECT 1", "read-only mode"),
        ("CREATE SCHEMA mine", "read-only mode"),
        ("CREATE SEQUENCE mine", "read-only mode"),
        ("CREATE MACRO mine() AS 1", "read-only mode"),
        ("CREATE INDEX mine ON orders (id)", "read-only mode"),
        ("ALTER TABLE orders ADD COLUMN a INTEGER", "read-only mode"),
        ("DROP TABLE orders", "read-only mode"),
        ("COMMENT ON TABLE orders IS 'mine'", "read-only mode"),
        ("COPY orders FROM '{outside}/secret.txt'", f"read-only mode|{NO_ACCESS}"),
        ("COPY orders TO '{path}.csv'", NO_ACCESS),
        ("COPY orders TO '{outside}/mine.csv'", NO_ACCESS),
        ("COPY orders TO 'mine.csv'", NO_ACCESS),
        ("EXPORT DATABASE '{path}.export'", NO_ACCESS),
        ("EXPORT DATABASE 'mine'", NO_ACCESS),
        ("IMPORT DATABASE 'mine'", NO_ACCESS),
        ("ATTACH '{path}' AS again (READ_WRITE)", f"{NO_ACCESS}|already attached|read-only"),
        ("ATTACH '{outside}/other.duckdb' AS other (READ_WRITE)", NO_ACCESS),
        ("ATTACH 'mine.duckdb' AS mine", NO_ACCESS),
        ("DETACH shop", "cannot detach"),
        ("INSTALL httpfs", f"{NO_ACCESS}|installing"),
        ("INSTALL httpfs FROM 'http://127.0.0.1:1'", f"{NO_ACCESS}|installing"),
        ("LOAD httpfs", f"{NO_ACCESS}|loading"),
        ("LOAD 'mine.duckdb_extension'", f"{NO_ACCESS}|loading"),
        ("SET enable_external_access = true", "while database is running"),
        ("SET GLOBAL access_mode = 'READ_WRITE'", "while database is running"),
        ("PRAGMA access_mode = 'READ_WRITE'", "while database is running"),
        ("SET allow_unsigned_extensions = true", "while database is running"),
        ("SET allowed_directories = ['/']", "enable_external_access is disabled"),
        ("SET allowed_paths = ['{path}']", "enable_external_access is disabled"),
        ("SET temp_directory = '{path}.tmp'", f"{NO_ACCESS}|disabled"),
        ("SET extension_directory = '/tmp'; INSTALL httpfs", f"{NO_ACCESS}|installing"),
        ("SELECT * FROM read_csv('/etc/passwd')", NO_ACCESS),
        ("SELECT * FROM read_text('{outside}/secret.txt')", NO_ACCESS),
        ("SELECT * FROM '{outside}/*.csv'", NO_ACCESS),
        ("SELECT * FROM glob('/*')", NO_ACCESS),
        ("SELECT * FROM read_csv('http://127.0.0.1:1/x.csv')", f"{NO_ACCESS}|httpfs"),
        (
            "SELECT * FROM sqlite_scan('{outside}/shop.sqlite', 'orders')",
            f"{NO_ACCESS}|does not exist|not in the catalog",
        ),
    ],
)
def test_duckdb_refuses_every_statement_that_writes_or_reads_elsewhere(
    duckdb_shop: Shop, statement: str, refusal: str
) -> None:
    failed(duckdb_shop, f"driver.execute(f{statement!r})", refusal)


@pytest.mark.parametrize(
    "code",
    [
        "duckdb.connect(path)",
        "duckdb.connect(path, read_only=False, config={'access_mode': 'READ_WRITE'})",
        "duckdb.connect().execute(f\"ATTACH '{path}' AS again (READ_WRITE)\")",
        "subprocess.run([sys.executable, '-c', f\"import duckdb; duckdb.connect('{path}')\"], check=True)",
        "subprocess.run([sys.executable, '-c', f\"import duckdb; duckdb.sql('ATTACH $${path}$$')\"], check=True)",
        "duckdb.connect().execute(f\"COPY (SELECT 1) TO '{path}'\")",
        "duckdb.connect().execute(f\"COPY (SELECT 1) TO '{outside}/mine.csv'\")",
        "duckdb.connect().execute(f\"FROM read_text('{outside}/secret.txt')\").fetchone()[0]",
        "duckdb.connect().execute(f\"ATTACH '{outside}/other.duckdb' AS other (READ_WRITE)\")",
        "duckdb.connect().execute(\"INSTALL httpfs; LOAD httpfs; FROM read_csv('https://example.org/x.csv')\")",
    ],
)
def test_another_duckdb_can_write_no_more(duckdb_shop: Shop, code: str) -> None:
    """The library in there is the agent's own to configure: what holds the file is its mount."""
    failed(
        duckdb_shop,
        code,
        f"{UNWRITABLE}|cannot open|different configuration|failed to|already attached|not subscriptable",
    )


def test_what_duckdb_may_do_beside_the_file_leaves_no_trace(duckdb_shop: Shop) -> None:
    for statement in (
        "CREATE TEMP TABLE mine AS SELECT 1 AS a",
        "ATTACH ':memory:' AS scratch",
        "CREATE TABLE scratch.mine AS SELECT 1 AS a",
        "CHECKPOINT",
        "VACUUM",
        "BEGIN; COMMIT",
    ):
        duckdb_shop.execute(f"driver.execute({statement!r})", 60)
        assert duckdb_shop.stored() == duckdb_shop.before


@pytest.mark.parametrize(
    ("statement", "refusal"),
    [
        ("INSERT INTO orders VALUES (4)", "readonly"),
        ("REPLACE INTO orders VALUES (4)", "readonly"),
        ("UPDATE orders SET id = 0", "readonly"),
        ("DELETE FROM orders", "readonly"),
        ("CREATE TABLE mine (a)", "readonly"),
        ("CREATE VIEW mine AS SELECT 1", "readonly"),
        ("CREATE TRIGGER mine AFTER INSERT ON orders BEGIN SELECT 1; END", "readonly"),
        ("CREATE INDEX mine ON orders (id)", "readonly"),
        ("CREATE VIRTUAL TABLE mine USING fts5(a)", "readonly"),
        ("ALTER TABLE orders ADD COLUMN a", "readonly"),
        ("DROP TABLE orders", "readonly"),
        ("ANALYZE", "readonly"),
        ("VACUUM", "readonly|read-only"),
        ("PRAGMA user_version = 5", "readonly"),
        ("VACUUM INTO '{path}.copy'", "unable to open|read-only|readonly"),
        ("VACUUM INTO '{outside}/copy.sqlite'", "unable to open|read-only|readonly"),
        ("ATTACH 'file:{path}?mode=rw' AS again ;; INSERT INTO again.orders VALUES (4)", "readonly|unable to open"),
        ("ATTACH '{path}' AS again ;; INSERT INTO again.orders VALUES (4)", "readonly"),
        ("ATTACH '{outside}/shop.sqlite' AS original ;; INSERT INTO original.orders VALUES (4)", "unable to open"),
        ("SELECT load_extension('/data/mine.so')", "not authorized"),
        ("SELECT writefile('{path}', 'x')", "no such function"),
        ("SELECT readfile('{outside}/secret.txt')", "no such function"),
        ("PRAGMA query_only = OFF ;; INSERT INTO orders VALUES (4)", "readonly"),
        ("PRAGMA query_only = OFF ;; DROP TABLE orders", "readonly"),
        ("PRAGMA query_only = OFF ;; PRAGMA user_version = 5", "readonly"),
        ("PRAGMA query_only = OFF ;; VACUUM", "readonly|read-only"),
        ("PRAGMA query_only = OFF ;; PRAGMA writable_schema = ON ;; UPDATE sqlite_master SET sql = 'x'", "readonly"),
        ("PRAGMA query_only = OFF ;; PRAGMA journal_mode = WAL ;; INSERT INTO orders VALUES (4)", "readonly"),
        (
            "PRAGMA query_only = OFF ;; PRAGMA locking_mode = EXCLUSIVE ;; BEGIN IMMEDIATE ;; DELETE FROM orders",
            "readonly",
        ),
    ],
)
def test_sqlite_refuses_every_statement_that_writes_or_reads_elsewhere(
    sqlite_shop: Shop, statement: str, refusal: str
) -> None:
    own = "from cataloger_sandbox.connect import open_connection\n"
    own += "own = open_connection({'backend': 'sqlite', 'path': path})\n"
    failed(sqlite_shop, f"{own}for each in f{statement!r}.split(' ;; '): own.execute(each)", refusal)


@pytest.mark.parametrize(
    "code",
    [
        "sqlite3.connect(path).execute('INSERT INTO orders VALUES (4)')",
        "sqlite3.connect(f'file:{path}?mode=rw', uri=True).execute('DELETE FROM orders')",
        "sqlite3.connect(f'file:{path}?mode=rwc&immutable=1', uri=True).execute('DROP TABLE orders')",
        "sqlite3.connect(f'file:{path}?nolock=1&vfs=unix-none', uri=True).execute('DROP TABLE orders')",
        "sqlite3.connect(path + '.new').execute('CREATE TABLE mine (a)')",
        "sqlite3.connect(f'{outside}/shop.sqlite').execute('INSERT INTO orders VALUES (4)')",
        "target = sqlite3.connect(path); sqlite3.connect(':memory:').backup(target)",
        "driver.enable_load_extension(True); driver.load_extension('/data/mine')",
        "duckdb.connect().execute(f\"COPY (SELECT 1) TO '{path}'\")",
    ],
)
def test_another_sqlite_can_write_no_more(sqlite_shop: Shop, code: str) -> None:
    failed(sqlite_shop, code, f"readonly|read-only|unable to open|cannot open|{UNWRITABLE}|no attribute")


def test_what_sqlite_may_do_beside_the_file_leaves_no_trace(sqlite_shop: Shop) -> None:
    for code in (
        "driver.execute('PRAGMA journal_mode = WAL').fetchall()",
        "driver.execute('PRAGMA query_only = OFF'); driver.execute('CREATE TEMP TABLE mine AS SELECT 1 AS a')",
        "copy = sqlite3.connect(':memory:'); driver.backup(copy); copy.execute('DELETE FROM orders')",
        "driver.execute('PRAGMA wal_checkpoint(TRUNCATE)').fetchall()",
        "driver.execute('PRAGMA optimize').fetchall()",
    ):
        sqlite_shop.execute(code, 60)
        assert sqlite_shop.stored() == sqlite_shop.before
        assert sqlite_shop.execute("con.table('orders').count().execute()").output.strip() == "3"
