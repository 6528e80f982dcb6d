"""The way out to MySQL and MariaDB: no password inside, nobody but the user that was granted, nothing left running."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pymysql
import pytest

from cataloger_dagster.databases import Database
from cataloger_dagster.errors import ConfigurationError, DatabaseError
from cataloger_dagster.preflight import look
from cataloger_dagster.sandbox import mysql_wire
from cataloger_dagster.sandbox.conversation import Limits
from cataloger_dagster.sandbox.local import LocalSandbox
from cataloger_dagster.sandbox.mysql_relay import MySQLRelay
from cataloger_dagster.sandbox.mysql_statements import LONGEST, refusal
from cataloger_dagster.urls import ServerURL
from tests.sandbox.listener import Listener
from tests.services.mariadb import MariaDB
from tests.services.postgres import url_with

KIT = {"facts": {}, "history": [], "changes": []}


@pytest.fixture(scope="module")
def reader(mariadb: MariaDB) -> str:
    return mariadb.new_reader(mariadb.new_database("CREATE TABLE t (a int)", "INSERT INTO t VALUES (1), (2)"))


@pytest.fixture(scope="module")
def session(reader: str) -> Iterator[Any]:
    with LocalSandbox().open(Database.from_url(reader)) as opened:
        opened.start("cataloger_sandbox.kit:namespace", {"connection": dict(opened.connection), **KIT})
        yield opened


def test_a_session_reads_and_holds_no_password(session: Any, reader: str) -> None:
    assert session.execute("con.table('t').count().execute()").output == "2\n"
    password = reader.split(":")[2].split("@")[0]
    assert password not in str(session.connection)
    looked = "import gc; any(x == {!r} or x == {!r} for x in gc.get_objects() if isinstance(x, (str, bytes)))"
    assert session.execute(looked.format(password, password.encode())).output == "False\n"
    assert "password" not in session.connection


def test_whatever_a_client_claims_it_is_the_user_that_was_granted(session: Any, mariadb: MariaDB) -> None:
    session.execute(
        "import pymysql\n"
        f"c = pymysql.connect(unix_socket={session.connection['host']!r} + '/.s.PGSQL.5432', user='admin', "
        "password='x', database='mysql', ssl_disabled=True)"
    )
    user = session.execute("k = c.cursor(); k.execute('SELECT CURRENT_USER()'); k.fetchall()[0][0]").output
    assert user.startswith("'reader_")
    # Another user, another database, a prepared statement, all settings anew, several statements in one, a shutdown.
    for command, told in ((17, "admin"), (2, "mysql"), (22, "SELECT 1"), (31, ""), (27, "0"), (8, "")):
        refused = session.execute(f"c._execute_command({command}, {told!r}); c._read_packet()").output
        assert "a sandbox may ask queries, and nothing else" in refused, command
    many = session.execute(
        "from pymysql.constants import CLIENT\n"
        f"pymysql.connect(unix_socket={session.connection['host']!r} + '/.s.PGSQL.5432', user='x', ssl_disabled=True, "
        "client_flag=CLIENT.MULTI_STATEMENTS)"
    ).output
    assert "takes the kit's own driver" in many
    assert "denied to user" in session.execute("k.execute('SELECT * FROM mysql.user')").output


def test_an_interrupted_query_ends_on_the_server_and_the_session_goes_on(session: Any, mariadb: MariaDB) -> None:
    # A server notices by itself that somebody who waits for a sleep is gone, and not while it computes.
    ended = session.execute("con.raw_sql('SELECT benchmark(4000000000, md5(1)) /* interrupted */')", timeout=1.0)
    assert ended.error == "timeout"
    until = time.monotonic() + 20
    mine = "ID <> CONNECTION_ID() AND INFO LIKE '%md5(1)) /* interrupted%'"
    running = f"SELECT count(*) FROM information_schema.PROCESSLIST WHERE {mine}"
    while mariadb.execute(mariadb.url, running)[0][0][0] and time.monotonic() < until:
        time.sleep(0.1)
    assert mariadb.execute(mariadb.url, running)[0][0][0] == 0
    assert session.execute("con.table('t').count().execute()").output == "2\n"


def test_the_pre_flight_says_how_the_server_is_reached(session: Any, reader: str) -> None:
    verdict = look(Database.from_url(reader), session)
    assert verdict.read_only
    assert "no parser looks at the rest" in verdict.warnings[0]


def test_a_server_that_is_away_and_a_wrong_password_are_told_in_the_relays_words(reader: str) -> None:
    away = reader.rpartition("@")[0] + "@127.0.0.1:1/x"
    stranger = url_with(reader, user="no", password="hunter2")
    for url, words in [(away, "127.0.0.1:1 can't be reached"), (stranger, "refuses user 'no'")]:
        database = Database.from_url(url)
        with LocalSandbox().open(database) as opened, pytest.raises(DatabaseError, match=words) as caught:
            look(database, opened)
        assert "hunter2" not in str(caught.value)


def test_tls_is_had_where_the_url_asks_for_it_or_nothing_is(reader: str, tmp_path: Path) -> None:
    """The tests' server offers none."""
    database = Database.from_url(f"{reader}?ssl-mode=REQUIRED")
    with LocalSandbox().open(database) as opened, pytest.raises(DatabaseError, match="TLS"):
        look(database, opened)
    (tmp_path / "ca.pem").write_text("no certificate")
    with (
        pytest.raises(ConfigurationError, match="can't be used"),
        LocalSandbox().open(Database.from_url(f"{reader}?ssl-ca={tmp_path}/ca.pem")),
    ):
        pass


WRITING = [
    "INSERT INTO t VALUES (3)",
    "REPLACE INTO t VALUES (3)",
    "UPDATE t SET a = 9",
    "DELETE FROM t",
    "TRUNCATE t",
    "DROP TABLE t",
    "CREATE TABLE u (a int)",
    "CREATE TEMPORARY TABLE u (a int)",
    "ALTER TABLE t ADD b int",
    "RENAME TABLE t TO u",
    "CREATE INDEX i ON t (a)",
    "ANALYZE TABLE t",
    "OPTIMIZE TABLE t",
    "LOCK TABLES t WRITE",
    "FLUSH TABLES",
    "RESET QUERY CACHE",
    "GRANT ALL ON *.* TO CURRENT_USER()",
    "SELECT writes()",
    "SELECT NEXTVAL(counter)",
    "SELECT NEXT VALUE FOR counter",
    "SELECT SETVAL(counter, 100)",
    "WITH x AS (SELECT 9 AS a) UPDATE t, x SET t.a = x.a",
    "SELECT * FROM v",
    "INSTALL SONAME 'ha_example'",
    "BINLOG ''",
]


def test_no_statement_writes_whatever_the_user_may(mariadb: MariaDB) -> None:
    """From a user with every right to the database the relay and the read-only session keep it."""
    url = mariadb.new_database(
        "CREATE TABLE t (a int)",
        "INSERT INTO t VALUES (1), (2)",
        "CREATE SEQUENCE counter",
        "CREATE FUNCTION writes() RETURNS int MODIFIES SQL DATA BEGIN INSERT INTO t VALUES (7); RETURN 1; END",
        "CREATE VIEW v AS SELECT writes() AS x",
    )
    state = "SELECT (SELECT group_concat(a ORDER BY a) FROM t), next_not_cached_value FROM counter"
    before = mariadb.execute(url, "SHOW FULL TABLES", state)
    for user in (mariadb.new_user(url, "GRANT ALL ON {db}.* TO {user}"), mariadb.new_reader(url)):
        with LocalSandbox().open(Database.from_url(user)) as opened:
            opened.start("cataloger_sandbox.kit:namespace", {"connection": dict(opened.connection), **KIT})
            code = (
                f"answered = []\nfor sql in {WRITING!r}:\n"
                "    for before in ((), ('COMMIT',), ('BEGIN',), ('SET autocommit = 0',), ('ROLLBACK', 'BEGIN')):\n"
                "        try:\n            for each in (*before, sql, 'COMMIT'): con.raw_sql(each).fetchall()\n"
                "            answered.append(sql)\n"
                "        except Exception: pass\nsorted(set(answered))"
            )
            told = opened.execute(code, 120)
            assert told.error is None, told.output
            assert told.output == "[]\n"
        assert mariadb.execute(url, "SHOW FULL TABLES", state) == before


def test_connections_and_bytes_are_limited_and_silence_too(reader: str, tmp_path: Path) -> None:
    address = Database.from_url(reader).address
    assert isinstance(address, ServerURL)

    def client() -> Any:
        return pymysql.connect(unix_socket=str(tmp_path / "s"), ssl_disabled=True, autocommit=True)

    def asked(driver: Any, sql: str) -> Any:
        with driver.cursor() as cursor:
            cursor.execute(sql)
            return cursor.fetchone()[0]

    limits = Limits(connections=2, down=1 << 20, up=1 << 20, idle=0.5)
    with Listener(MySQLRelay(address, limits), tmp_path / "s"):
        one, two = client(), client()
        with pytest.raises(pymysql.OperationalError, match="2 connections to the database already"):
            client()
        two.close()
        assert asked(one, "SELECT 1") == 1
        time.sleep(1)
        with pytest.raises(pymysql.OperationalError):
            asked(one, "SELECT 1")
        three = client()
        with pytest.raises(pymysql.OperationalError):
            asked(three, "SELECT REPEAT('x', 2000000)")
        with pytest.raises(pymysql.OperationalError, match=r"has read 1,048,576 bytes.*aggregate in SQL"):
            client()
    with Listener(MySQLRelay(address, Limits(up=1000)), tmp_path / "t"):
        talker = pymysql.connect(unix_socket=str(tmp_path / "t"), ssl_disabled=True)
        with pytest.raises(pymysql.OperationalError):
            asked(talker, "SELECT '" + "x" * 2000 + "'")
        with pytest.raises(pymysql.OperationalError, match="has sent 1,000 bytes"):
            pymysql.connect(unix_socket=str(tmp_path / "t"), ssl_disabled=True)


def _packets(*bodies: bytes) -> bytes:
    return b"".join(mysql_wire.packet(0, body) for body in bodies)


def test_no_session_changes_its_user_or_its_way_of_reading_or_holds_others_up(
    session: Any, mariadb: MariaDB, reader: str
) -> None:
    """None of these needs a right, so the rights that the pre-flight sees don't keep anybody from them."""
    statements = [
        "SET PASSWORD = PASSWORD('x')",
        "ALTER USER CURRENT_USER() IDENTIFIED BY 'x'",
        "SET SESSION TRANSACTION READ WRITE",
        "START TRANSACTION READ WRITE",
        "SET STATEMENT max_statement_time = 1 FOR SET PASSWORD = PASSWORD('x')",
        "BEGIN NOT ATOMIC SET PASSWORD = PASSWORD('x'); END",
        "EXECUTE IMMEDIATE 'SET PASSWORD = PASSWORD(''x'')'",
        "/*! SET PASSWORD = PASSWORD('x') */",
        "SELECT GET_LOCK('app', 1)",
        "SELECT a FROM t FOR /* me */ UPDATE",
        "XA START 'x'",
        "KILL 1",
        "SET DEFAULT ROLE NONE",
        "SET GLOBAL max_connections = 1",
        "SET @@session.sql_log_bin = 0",
        "CALL p()",
        "DO SLEEP(1)",
        "USE mysql",
        "HANDLER t OPEN",
        "PREPARE x FROM 'SET PASSWORD = PASSWORD(''x'')'",
        "LOAD DATA LOCAL INFILE '/etc/passwd' INTO TABLE t",
        "SELECT 1 INTO /* to */ OUTFILE '/tmp/cataloger'",
        "SELECT 1 INTO\tDUMPFILE '/tmp/cataloger'",
        "SELECT LOAD_FILE('/etc/passwd')",
    ]
    for sql in statements:
        assert "OperationalError" in session.execute(f"con.raw_sql({sql!r}).fetchall()").output, sql
    assert session.execute("con.table('t').count().execute()").output == "2\n"
    assert mariadb.execute(reader, "SELECT 1") == [[(1,)]]


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT 1",
        " -- why\n(# and\n/* so */ SELECT 'SET PASSWORD')",
        "with x as (select 1) select * from x",
        "SHOW GRANTS FOR CURRENT_USER()",
        "SET NAMES utf8mb4 COLLATE utf8mb4_nopad_bin",
        "START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY",
        "SET SESSION max_statement_time = 5.000",
        "SET ROLE `a b`",
        "COMMIT;",
    ],
)
def test_what_reads_by_its_first_words_passes(statement: str) -> None:
    assert refusal(statement.encode()) is None


@pytest.mark.parametrize(
    "statement",
    [
        b"",
        b"--\nSET PASSWORD = 'x'\nSELECT 1",
        b"--x\nSELECT 1",
        b"# \0\nSELECT 1",
        b"/* */ SET PASSWORD = 'x' -- */ SELECT",
        b"/*! SET PASSWORD = 'x' -- */ SELECT 1",
        b"SELECT 1 FOR /*M!100000 UPDATE */",
        b"SELECT 1 IN\tSHARE MODE",
        b"SELECT 1 LOCK IN -- me\n SHARE MODE",
        b"SELECTED",
        b"BEGIN NOT ATOMIC SELECT 1; END",
        b"SET NAMES utf8mb4, PASSWORD = 'x'",
        b"SET NAMES gbk",
        b"SELECT '\xbf\x27'",
        b"SELECT " + b"1" * LONGEST,
    ],
)
def test_what_may_do_more_than_read_is_refused_with_a_reason(statement: bytes) -> None:
    assert refusal(statement)


def test_comments_without_end_are_read_in_no_time() -> None:
    assert refusal(b"SELECT 1 FOR" + b" /**/" * 100_000 + b"/*") is None
    assert refusal(b"(" * 500_000)


@pytest.mark.parametrize("size", [1, 3, 5, 1000])
def test_commands_are_told_apart_however_they_are_cut(size: int) -> None:
    stream = _packets(b"\x03SELECT 1", b"\x11root", b"\x0e", b"", b"\x0c1234", b"\x03DROP TABLE t", b"\x03SELECT 2")
    commands = mysql_wire.Commands(refusal)
    passed, refusals = b"", []
    for at in range(0, len(stream), size):
        for piece in commands.take(stream[at : at + size]):
            if isinstance(piece, bytes):
                passed += piece
            else:
                refusals.append(piece.reason)
    assert passed == _packets(b"\x03SELECT 1", b"\x0e", b"\x03SELECT 2")
    assert len(refusals) == 4
    assert "DROP does more" in refusals[-1]


def test_a_statement_that_goes_on_in_other_packets_is_refused_once_and_nothing_of_it_passes() -> None:
    longest = mysql_wire.LONGEST.to_bytes(3, "little") + b"\0\x03" + b"x" * (mysql_wire.LONGEST - 1)
    stream = longest + _packets(b"\x03SELECT 1") + _packets(b"\x03SELECT 2")
    [told, passed] = mysql_wire.Commands(refusal).take(stream)
    assert isinstance(told, mysql_wire.Refused)
    assert passed == _packets(b"\x03SELECT 2")
