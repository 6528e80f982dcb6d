"""The way out to MySQL and MariaDB: no password inside, nobody but the user that was granted, nothing left running."""

import struct
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cataloger_dagster.databases import Database
from cataloger_dagster.errors import ConfigurationError, DatabaseError
from cataloger_dagster.preflight import look
from cataloger_dagster.sandbox import mysql_wire
from cataloger_dagster.sandbox.local import LocalSandbox
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
    changed = session.execute("c._execute_command(17, b'admin\\0'); c._read_packet()").output
    assert "a sandbox may ask queries, and nothing else" in changed
    many = session.execute(
        "from pymysql.constants import CLIENT\n"
        f"pymysql.connect(unix_socket={session.connection['host']!r} + '/.s.PGSQL.5432', user='x', ssl_disabled=True, "
        "client_flag=CLIENT.MULTI_STATEMENTS)"
    ).output
    assert "takes the kit's own driver" in many
    assert "denied to user" in session.execute("k.execute('SELECT * FROM mysql.user')").output


def test_an_interrupted_query_ends_on_the_server_and_the_session_goes_on(session: Any, mariadb: MariaDB) -> None:
    ended = session.execute("con.raw_sql('SELECT sleep(300) /* interrupted */')", timeout=1.0)
    assert ended.error == "timeout"
    until = time.monotonic() + 20
    mine = "ID <> CONNECTION_ID() AND INFO LIKE '%sleep(300) /* interrupted%'"
    running = f"SELECT count(*) FROM information_schema.PROCESSLIST WHERE {mine}"
    while mariadb.execute(mariadb.url, running)[0][0][0] and time.monotonic() < until:
        time.sleep(0.1)
    assert mariadb.execute(mariadb.url, running)[0][0][0] == 0
    assert session.execute("con.table('t').count().execute()").output == "2\n"


def test_the_pre_flight_says_how_the_server_is_reached(session: Any, reader: str) -> None:
    verdict = look(Database.from_url(reader), session)
    assert verdict.read_only
    assert "passed on unread" in verdict.warnings[0]


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


def _packets(*bodies: bytes) -> bytes:
    return b"".join(mysql_wire.packet(0, body) for body in bodies)


@pytest.mark.parametrize("size", [1, 3, 5, 1000])
def test_commands_are_told_apart_however_they_are_cut(size: int) -> None:
    stream = _packets(b"\x03SELECT 1", b"\x11root", b"\x0e", b"", b"\x0c1234", b"\x03SELECT 2")
    commands = mysql_wire.Commands()
    passed, refused = b"", 0
    for at in range(0, len(stream), size):
        for piece in commands.take(stream[at : at + size]):
            if isinstance(piece, bytes):
                passed += piece
            else:
                refused += 1
    assert passed == _packets(b"\x03SELECT 1", b"\x0e", b"\x03SELECT 2")
    assert refused == 3


def test_the_rest_of_a_packet_of_the_longest_is_no_command() -> None:
    longest = struct.pack("<I", mysql_wire.LONGEST) + b"\x03" + b"x" * (mysql_wire.LONGEST - 1)
    stream = longest + _packets(b"\x11 and more of the text") + _packets(b"\x11root")
    pieces = list(mysql_wire.Commands().take(stream))
    assert b"".join(piece for piece in pieces if isinstance(piece, bytes)) == stream[: -len(_packets(b"\x11root"))]
    assert pieces[-1] == 0
