"""The guard in the relay: the protocol's state after a refusal, messages in pieces, and statements that mean it ill."""

import contextlib
import os
import signal
import socket
import struct
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from cataloger_dagster.sandbox.conversation import Limits
from cataloger_dagster.sandbox.verdict import STATEMENT_LIMIT
from cataloger_dagster.sandbox.wire import message, startup
from tests.sandbox.servers import PASSWORD, Relayed, Server, relayed, take_message

CREATE = "CREATE TABLE mine (x int)"


@pytest.fixture
def relay(tls_server: Server) -> Iterator[Relayed]:
    """A relay for a superuser, whom nothing but the guard keeps from writing."""
    with relayed(tls_server.upstream, "tls", limits=Limits(snapshots=1)) as relay:
        yield relay
    assert tls_server.execute("SELECT 1 FROM pg_class WHERE relname = 'mine'") == []


@pytest.fixture
def link(relay: Relayed) -> Iterator[socket.socket]:
    """A client's socket, logged in."""
    with contextlib.closing(relay.socket()) as link:
        link.sendall(startup({"user": "x"}))
        answers(link)
        yield link


def query(sql: str) -> bytes:
    return message(b"Q", sql.encode() + b"\0")


def parse(sql: str, name: str = "") -> bytes:
    return message(b"P", f"{name}\0{sql}\0".encode() + b"\0\0")


def bind(name: str = "") -> bytes:
    return message(b"B", b"\0" + name.encode() + b"\0" + b"\0\0" * 3)


RUN = message(b"D", b"P\0") + message(b"E", b"\0" + b"\0" * 4)
SYNC = message(b"S", b"")


def answers(link: socket.socket) -> list[tuple[bytes, bytes]]:
    """What the server says until it is ready."""
    found = [take_message(link)]
    while found[-1][0] != b"Z":
        found.append(take_message(link))
    return found


def shape(found: list[tuple[bytes, bytes]]) -> str:
    """Kinds of messages, each once in a row, and the transaction's status."""
    return b"".join(kind for kind, _ in found).decode() + found[-1][1].decode()


def error_of(found: list[tuple[bytes, bytes]]) -> dict[str, str]:
    body = next(body for kind, body in found if kind == b"E")
    return {field[:1].decode(): field[1:].decode() for field in body.split(b"\0") if field}


def test_outside_of_a_transaction_a_refusal_leaves_the_connection_as_it_was(link: socket.socket) -> None:
    link.sendall(query(CREATE))
    found = answers(link)
    assert shape(found) == "EZI"
    assert error_of(found) == {
        "S": "ERROR",
        "V": "ERROR",
        "C": "25006",
        "M": "CREATE TABLE is refused: nothing was run, for this connection is read-only",
    }
    link.sendall(query("SELECT 1"))
    assert shape(answers(link)) == "TDCZI"


def test_nothing_of_a_message_is_run_that_has_one_statement_too_many(link: socket.socket) -> None:
    link.sendall(query(f"SELECT set_config('search_path', 'elsewhere', false); {CREATE}"))
    assert shape(answers(link)) == "EZI"
    link.sendall(query("SHOW search_path"))
    assert b"elsewhere" not in b"".join(body for _, body in answers(link))


def test_in_a_transaction_a_refusal_fails_it(link: socket.socket) -> None:
    link.sendall(query("BEGIN"))
    assert shape(answers(link)) == "CZT"
    link.sendall(query(CREATE))
    found = answers(link)
    assert (shape(found), error_of(found)["C"]) == ("EZE", "25006")
    link.sendall(query("SELECT 1"))
    found = answers(link)
    assert (shape(found), error_of(found)["C"]) == ("EZE", "25P02")
    link.sendall(query("ROLLBACK"))
    assert shape(answers(link)) == "CZI"


def test_a_savepoint_survives_a_refusal(link: socket.socket) -> None:
    for sql, expected in (
        ("BEGIN", "CZT"),
        ("SAVEPOINT a", "CZT"),
        (CREATE, "EZE"),
        ("ROLLBACK TO a", "CZT"),
        ("SELECT 1", "TDCZT"),
        ("COMMIT", "CZI"),
    ):
        link.sendall(query(sql))
        assert shape(answers(link)) == expected


def test_after_a_refused_parse_the_messages_up_to_sync_are_passed_over(link: socket.socket) -> None:
    link.sendall(parse("SELECT 1") + bind() + RUN + parse(CREATE) + bind() + RUN + parse("SELECT 2") + bind() + RUN)
    link.sendall(SYNC + query("SELECT 3"))
    found = answers(link)
    assert shape(found) == "12TDCEZI"
    assert error_of(found)["C"] == "25006"
    assert shape(answers(link)) == "TDCZI"


def test_a_refused_parse_fails_the_transaction_that_it_is_in(link: socket.socket) -> None:
    link.sendall(query("BEGIN") + parse(CREATE, "mine") + SYNC + parse("SELECT 1") + SYNC + query("ROLLBACK"))
    assert [shape(answers(link)) for _ in range(4)] == ["CZT", "EZE", "EZE", "CZI"]
    link.sendall(bind("mine") + SYNC)
    found = answers(link)
    assert (shape(found), error_of(found)["C"]) == ("EZI", "26000")


def test_every_one_of_many_refusals_in_a_pipeline_is_answered_in_its_place(link: socket.socket) -> None:
    link.sendall(b"".join(query(sql) for sql in ("SELECT 1", CREATE, "SELECT 2", "SELECT nextval('x')") * 40))
    told = [answers(link) for _ in range(160)]
    assert [shape(each) for each in told] == ["TDCZI", "EZI", "TDCZI", "EZI"] * 40
    assert [error_of(each)["C"] for each in told[1::2]] == ["25006", "42501"] * 40


def test_a_function_called_by_its_number_is_refused(link: socket.socket) -> None:
    lo_creat = struct.pack(">IHHHIIH", 957, 1, 1, 1, 4, 131072, 1)
    link.sendall(message(b"F", lo_creat) + query("SELECT count(*) FROM pg_largeobject_metadata"))
    found = answers(link)
    assert (shape(found), error_of(found)["C"]) == ("EZI", "42501")
    assert answers(link)[1][1].endswith(b"0")


def test_messages_in_pieces_are_judged_whole(link: socket.socket) -> None:
    for byte in query("SELECT 1") + query(CREATE) + parse("SELECT 1") + bind() + RUN + SYNC:
        link.sendall(bytes([byte]))
    assert [shape(answers(link)) for _ in range(3)] == ["TDCZI", "EZI", "12TDCZI"]


@pytest.mark.parametrize("kind", [b"Q", b"P"])
def test_a_message_that_is_too_long_to_look_at_is_refused_and_not_kept(link: socket.socket, kind: bytes) -> None:
    body = b"SELECT '" + b"x" * STATEMENT_LIMIT + b"'\0"
    link.sendall(message(kind, body if kind == b"Q" else b"\0" + body + b"\0\0") + (SYNC if kind == b"P" else b""))
    found = answers(link)
    assert (shape(found), error_of(found)["C"]) == ("EZI", "54000")
    link.sendall(query("SELECT 1"))
    assert shape(answers(link)) == "TDCZI"


def test_a_parameter_may_be_longer_than_a_statement(relay: Relayed) -> None:
    with relay.connect() as connection:
        found = connection.execute("SELECT length(%s)", ["x" * (4 * STATEMENT_LIMIT)]).fetchone()
        assert found == (4 * STATEMENT_LIMIT,)


@pytest.mark.parametrize("sent", [b"p\0\0\0\x05x", b"\0\0\0\0\x04", message(b"Q", b"SELECT 1"), b"Q\0\0\0\x03"])
def test_a_message_that_no_client_sends_ends_the_connection(link: socket.socket, sent: bytes) -> None:
    link.sendall(sent)
    kind, body = take_message(link)
    assert kind == b"E"
    assert b"08P01" in body
    with contextlib.suppress(ConnectionResetError):
        assert link.recv(1) == b""


def test_a_server_reads_no_text_but_what_was_judged(link: socket.socket) -> None:
    """After the text's end, a second one: the server refuses such a message too."""
    link.sendall(message(b"Q", f"SELECT 1\0{CREATE}\0".encode()))
    kind, body = take_message(link)
    assert kind == b"E"
    assert b"08P01" in body


def test_an_error_in_the_middle_of_many_rows_is_found(relay: Relayed) -> None:
    with relay.connect() as connection, connection.pipeline():
        rows = connection.execute("SELECT repeat('x', 1000), n FROM generate_series(1, 5000) AS n")
        refused = connection.execute(CREATE)
        with pytest.raises(psycopg.errors.ReadOnlySqlTransaction, match="CREATE TABLE is refused"):
            refused.fetchall()
        assert len(rows.fetchall()) == 5000


@pytest.mark.parametrize("way", ["startup", "SET"])
def test_a_string_ends_for_the_server_where_it_ends_for_the_guard(relay: Relayed, tls_server: Server, way: str) -> None:
    """With standard_conforming_strings off, a backslash would keep the first string open."""
    sql = r"SELECT 'a\', lo_create(777), ' -- '"
    tls_server.execute("ALTER ROLE tls SET standard_conforming_strings = off")
    try:
        with relay.connect(options="-c standard_conforming_strings=off") as connection:
            if way == "SET":
                with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
                    connection.execute("SET standard_conforming_strings = off")
            with pytest.raises(psycopg.errors.InsufficientPrivilege, match="large objects"):
                connection.execute(sql.encode())
            assert connection.execute(rb"SELECT length('a\')").fetchone() == (2,)
    finally:
        tls_server.execute("ALTER ROLE tls RESET standard_conforming_strings")
    assert tls_server.execute("SELECT 1 FROM pg_largeobject_metadata") == []


@pytest.mark.parametrize("encoding", ["SJIS", "BIG5", "GBK", "GB18030", "UHC", "JOHAB", "euc_jis_2004"])
def test_no_encoding_is_spoken_in_which_a_quote_may_be_half_a_letter(relay: Relayed, encoding: str) -> None:
    with pytest.raises(psycopg.OperationalError, match=f"client encoding {encoding} is refused; use UTF8"):
        relay.connect(client_encoding=encoding)
    with relay.connect() as connection, pytest.raises(psycopg.errors.ReadOnlySqlTransaction, match="use UTF8"):
        connection.execute(f"SET client_encoding = '{encoding}'".encode())


def test_the_servers_own_encoding_is_not_taken_for_the_clients(relay: Relayed, tls_server: Server) -> None:
    tls_server.execute("ALTER ROLE tls SET client_encoding = 'SJIS'")
    try:
        with relay.connect() as connection:
            assert connection.execute("SHOW client_encoding").fetchone() == ("UTF8",)
    finally:
        tls_server.execute("ALTER ROLE tls RESET client_encoding")


def test_a_statement_that_ends_the_parser_is_refused_and_the_next_one_is_looked_at(relay: Relayed) -> None:
    judge = relay.relay._judge
    with relay.connect() as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)
        process = judge._process
        assert process is not None
        os.kill(process.pid, signal.SIGSTOP)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        with pytest.raises(psycopg.errors.StatementTooComplex, match="was not run"):
            connection.execute("SELECT 2")
        assert connection.execute("SELECT 3").fetchone() == (3,)
        assert judge._process is not None
        assert judge._process.pid != process.pid


def test_the_parser_sees_no_secret_and_ends_with_the_relay(tls_server: Server) -> None:
    with relayed(tls_server.upstream, "scram", PASSWORD) as relay, relay.connect() as connection:
        connection.execute("SELECT 1")
        process = relay.relay._judge._process
        assert process is not None
        folder = Path(f"/proc/{process.pid}")
        told = [pair.partition(b"=")[0] for pair in (folder / "environ").read_bytes().split(b"\0")]
        assert set(told) <= {b"PYTHONPATH", b"LC_CTYPE", b""}
        assert b"c4nary" not in (folder / "cmdline").read_bytes()
    assert process.returncode is not None


def test_the_preflights_probe_leaves_no_way_to_write(relay: Relayed, tls_server: Server) -> None:
    probe = "BEGIN READ WRITE; CREATE TABLE {}.cataloger_probe (); ROLLBACK"
    with relay.connect() as connection:
        connection.execute(probe.format("public").encode())
        assert connection.execute("SHOW transaction_read_only").fetchone() == ("on",)
        with pytest.raises(psycopg.errors.InvalidSchemaName):
            connection.execute(probe.format("nothing").encode())
        with pytest.raises(psycopg.errors.ReadOnlySqlTransaction, match="AND CHAIN is refused"):
            connection.execute("ROLLBACK AND CHAIN")
        connection.execute("ROLLBACK; BEGIN; SAVEPOINT a")
        with pytest.raises(psycopg.Error):
            connection.execute(probe.format("nothing").encode())
        connection.execute("ROLLBACK TO a")
        assert connection.execute("SHOW transaction_read_only").fetchone() == ("on",)
    assert tls_server.execute("SELECT 1 FROM pg_class WHERE relname = 'cataloger_probe'") == []


EXPORT = "SELECT pg_export_snapshot()"


def test_a_connection_exports_its_snapshot_once_for_another_to_take(relay: Relayed, tls_server: Server) -> None:
    tls_server.execute("DROP TABLE IF EXISTS seen; CREATE TABLE seen AS SELECT 1 AS x")
    begin = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
    with relay.connect() as first, relay.connect() as second:
        first.execute(begin)
        row = first.execute(EXPORT).fetchone()
        assert row is not None
        tls_server.execute("DELETE FROM seen")
        second.execute(begin)
        second.execute(f"SET TRANSACTION SNAPSHOT '{row[0]}'")
        assert second.execute("SELECT count(*) FROM seen").fetchone() == (1,)
        assert second.execute("SHOW transaction_read_only").fetchone() == ("on",)
        with pytest.raises(psycopg.errors.InsufficientPrivilege, match="another snapshot of this connection"):
            first.execute(EXPORT)
        first.execute("ROLLBACK")
        first.execute(begin)
        with pytest.raises(psycopg.errors.InsufficientPrivilege, match="another snapshot of this connection"):
            first.execute(EXPORT)
    with relay.connect() as third:
        third.execute(begin)
        assert third.execute(EXPORT).fetchone() is not None
    tls_server.execute("DROP TABLE seen")


def test_many_exports_in_one_chunk_are_one(link: socket.socket) -> None:
    link.sendall(query("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY") + query(EXPORT) * 3)
    assert [shape(answers(link)) for _ in range(4)] == ["CZT", "TDCZT", "EZE", "EZE"]


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT pg_export_snapshot() FROM generate_series(1, 1000)",
        "SELECT pg_export_snapshot(), pg_export_snapshot()",
        f"{EXPORT}; {EXPORT}",
        f"{EXPORT};",
        "PREPARE mine AS SELECT pg_export_snapshot()",
        "select pg_export_snapshot()",
    ],
)
def test_a_snapshot_is_exported_by_that_statement_alone(link: socket.socket, sql: str) -> None:
    link.sendall(query(sql))
    found = answers(link)
    assert (shape(found), error_of(found)["C"]) == ("EZI", "42501")


def test_no_export_is_prepared(link: socket.socket) -> None:
    link.sendall(parse(EXPORT, "mine") + SYNC)
    found = answers(link)
    assert (shape(found), error_of(found)["C"]) == ("EZI", "42501")


def test_without_leave_no_snapshot_is_exported(tls_server: Server) -> None:
    with relayed(tls_server.upstream, "tls") as relay, relay.connect() as con:
        con.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        with pytest.raises(psycopg.errors.InsufficientPrivilege, match="acts on the server"):
            con.execute(EXPORT)
