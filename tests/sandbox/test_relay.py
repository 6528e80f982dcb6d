"""The relay: who a client becomes, what it may set, cancels, caps and limits, and clients that mean ill."""

import asyncio
import contextlib
import os
import re
import resource
import signal
import socket
import struct
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import psycopg
import pytest

from cataloger_dagster.sandbox import relay as module
from cataloger_dagster.sandbox.client_settings import SETTINGS_AS_STATEMENT
from cataloger_dagster.sandbox.conversation import CHUNK, Limits
from cataloger_dagster.sandbox.login import Login
from cataloger_dagster.sandbox.peer import Peer
from cataloger_dagster.sandbox.relay import Relay
from cataloger_dagster.sandbox.wire import CANCEL_REQUEST, GSS_REQUEST, SSL_REQUEST, message, request, startup
from tests.sandbox.listener import Listener
from tests.sandbox.servers import (
    PASSWORD,
    Relayed,
    Server,
    fake_server,
    relayed,
    said,
    take_message,
    take_startup,
    with_mode,
)

NOBODY = startup({"user": "nobody", "database": "nowhere"})
GREETING = b"R\0\0\0\x08\0\0\0\0" + b"K\0\0\0\x0c\0\0\0\1\0\0\0\2" + b"Z\0\0\0\x05I"


def one(connection: psycopg.Connection[Any], query: str) -> Any:
    row = connection.execute(query.encode()).fetchone()
    assert row
    return row[0]


def eventually(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def works(relay: Relayed) -> bool:
    with relay.connect() as connection:
        return bool(one(connection, "SELECT 1") == 1)


@pytest.mark.parametrize(
    "asked",
    [
        {},
        {"dbname": "other"},
        {"user": "plain"},
        {"user": "postgres", "dbname": "template1"},
        {"dbname": "replication"},
        {"options": "-c session_authorization=plain"},
    ],
)
def test_whatever_a_client_asks_for_it_gets_the_granted_role_and_database(
    tls_server: Server, asked: dict[str, str]
) -> None:
    with relayed(tls_server.upstream, "scram", PASSWORD) as relay, relay.connect(**asked) as connection:
        assert one(connection, "SELECT current_user || ' ' || session_user || ' ' || current_database()") == (
            "scram scram postgres"
        )


@pytest.mark.parametrize("value", ["true", "database", "on"])
def test_no_replication_connection_is_made(tls_server: Server, value: str) -> None:
    with (
        relayed(tls_server.upstream) as relay,
        pytest.raises(psycopg.OperationalError, match="a sandbox gets no replication connection"),
    ):
        relay.connect(replication=value)


def test_transactions_are_read_only_and_statements_limited(tls_server: Server) -> None:
    tls_server.execute("DROP TABLE IF EXISTS scratch")
    with relayed(tls_server.upstream) as relay, relay.connect() as connection:
        assert one(connection, "SHOW default_transaction_read_only") == "on"
        assert one(connection, "SHOW statement_timeout") == "5min"
        with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
            connection.execute("CREATE TABLE scratch (x int)")
        with pytest.raises(psycopg.errors.ReadOnlySqlTransaction, match="'default_transaction_read_only' is refused"):
            connection.execute("SET default_transaction_read_only = off")
        # The time is the client's own.
        connection.execute("SET statement_timeout = 0")
        assert one(connection, "SHOW statement_timeout") == "0"


def test_a_url_can_set_more_and_not_less(tls_server: Server) -> None:
    options = "-c work_mem=7MB -c statement_timeout=0 -c default_transaction_read_only=off"
    with relayed(tls_server.upstream, options=options) as relay, relay.connect() as connection:
        assert one(connection, "SHOW work_mem") == "7MB"
        assert one(connection, "SHOW statement_timeout") == "5min"
        assert one(connection, "SHOW default_transaction_read_only") == "on"


def test_a_client_chooses_how_values_are_written_and_no_more(tls_server: Server) -> None:
    asked = {
        "application_name": "mine", "client_encoding": "LATIN1", "datestyle": "German", "TimeZone": "Asia/Tokyo",
        "IntervalStyle": "iso_8601", "extra_float_digits": "0", "search_path": "elsewhere",
        "work_mem": "9MB", "statement_timeout": "0", "options": "-c work_mem=8MB",
    }  # fmt: skip
    with relayed(tls_server.upstream) as relay, contextlib.closing(relay.socket()) as link:
        link.sendall(startup({"user": "x", **asked}))
        greeting = until_ready(link)
        assert b"E" not in {kind for kind, _ in greeting}

        def shown(name: str) -> str:
            link.sendall(message(b"Q", f"SHOW {name}\0".encode()))
            return next(body[6:].decode() for kind, body in until_ready(link) if kind == b"D")

        names = ("application_name", "client_encoding", "datestyle", "timezone", "intervalstyle", "search_path")
        assert [shown(name) for name in names] == [
            "mine", "LATIN1", "German, DMY", "Asia/Tokyo", "iso_8601", "elsewhere"
        ]  # fmt: skip
        assert [shown(name) for name in ("work_mem", "statement_timeout")] == ["4MB", "5min"]


def until_ready(link: socket.socket) -> list[tuple[bytes, bytes]]:
    messages = []
    while not messages or messages[-1][0] != b"Z":
        messages.append(take_message(link))
    return messages


def test_a_client_of_a_later_protocol_is_answered_with_ours(tls_server: Server) -> None:
    with relayed(tls_server.upstream) as relay:
        with relay.connect(max_protocol_version="3.2") as connection:
            assert connection.pgconn.protocol_version == 3
        with contextlib.closing(relay.socket()) as link:
            body = b"user\0x\0_pq_.new\0on\0\0"
            link.sendall(request((3 << 16) + 7, body))
            kind, told = take_message(link)
    assert (kind, told) == (b"v", struct.pack(">II", 3 << 16, 1) + b"_pq_.new\0")


def test_a_connection_is_served_that_no_socket_brought(tls_server: Server) -> None:
    upstream = tls_server.upstream
    relay = Relay(upstream, Login(upstream.name, "scram", "postgres", PASSWORD))
    ours, theirs = socket.socketpair()

    async def serve() -> None:
        client = Peer(CHUNK)
        await asyncio.get_running_loop().create_unix_connection(lambda: client, sock=theirs)
        await relay.serve(client)

    with ours, Listener(relay) as listener:
        served = asyncio.run_coroutine_threadsafe(serve(), listener.loop)
        ours.settimeout(20)
        ours.sendall(NOBODY)
        until_ready(ours)
        ours.sendall(message(b"Q", b"SELECT current_user\0"))
        assert dict(until_ready(ours))[b"D"][6:] == b"scram"
        ours.shutdown(socket.SHUT_WR)
        assert said(ours) == b""
        served.result(20)


# Cancels.


def running(server: Server, query: str) -> int:
    with psycopg.connect(server.admin) as connection:
        asked = "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query = %s"
        row = connection.execute(asked, [query]).fetchone()
    assert row
    return int(row[0])


@pytest.mark.parametrize("mode", ["disable", "require"])
def test_a_statement_is_cancelled_on_the_server(tls_server: Server, mode: str) -> None:
    upstream = with_mode(tls_server.upstream, mode)
    user = "plain" if mode == "disable" else "tls"
    with relayed(upstream, user) as relay, relay.connect() as connection:
        # cancel() would keep the relay's thread from running.
        timer = threading.Timer(0.3, connection.cancel_safe)
        timer.start()
        with pytest.raises(psycopg.errors.QueryCanceled, match="due to user request"):
            connection.execute("SELECT pg_sleep(50)")
        timer.join()
        assert running(tls_server, "SELECT pg_sleep(50)") == 0
        assert one(connection, "SELECT 1") == 1


def test_a_statement_that_is_cancelled_while_it_is_looked_at_is_never_sent(tls_server: Server) -> None:
    with relayed(tls_server.upstream) as relay, contextlib.closing(relay.socket()) as link:
        link.sendall(NOBODY)
        key = next(body for kind, body in until_ready(link) if kind == b"K")
        link.sendall(message(b"Q", b"SELECT 1\0"))
        until_ready(link)
        judge = relay.relay._judge._process
        assert judge is not None
        os.kill(judge.pid, signal.SIGSTOP)
        [talk] = relay.relay._talks.values()
        link.sendall(message(b"Q", b"SELECT pg_sleep(54)\0") + message(b"Q", b"SELECT 2\0"))
        eventually(lambda: talk._looking is not None)
        with contextlib.closing(relay.socket()) as other:
            other.sendall(request(CANCEL_REQUEST, key))
            eventually(lambda: talk._is_cancelled)
            os.kill(judge.pid, signal.SIGCONT)
            assert said(other) == b""
        assert b"C57014\0" in dict(until_ready(link))[b"E"]
        assert dict(until_ready(link))[b"D"].endswith(b"2")


def test_a_cancel_works_where_no_more_connections_are_had(tls_server: Server) -> None:
    with relayed(tls_server.upstream, limits=Limits(connections=1)) as relay, relay.connect() as connection:
        timer = threading.Timer(0.3, connection.cancel_safe)
        timer.start()
        with pytest.raises(psycopg.errors.QueryCanceled):
            connection.execute("SELECT pg_sleep(50)")
        timer.join()


def test_a_cancel_of_somebody_elses_statement_is_not_forwarded(tls_server: Server) -> None:
    query, server = "SELECT pg_sleep(51)", ("127.0.0.1", tls_server.upstream.port)
    with socket.create_connection(server) as other, relayed(tls_server.upstream) as relay:
        other.sendall(startup({"user": "plain", "database": "postgres"}))
        key = next(body for kind, body in until_ready(other) if kind == b"K")
        other.sendall(message(b"Q", query.encode() + b"\0"))
        eventually(lambda: running(tls_server, query) == 1)
        with relay.connect():
            for asked in (key, b"", key[:4], key + b"\0", b"\xff" * 100):
                with contextlib.closing(relay.socket()) as link:
                    link.sendall(request(CANCEL_REQUEST, asked))
                    assert said(link) == b""
        time.sleep(0.2)
        assert running(tls_server, query) == 1
        # The server itself takes that key.
        with socket.create_connection(server) as link:
            link.sendall(request(CANCEL_REQUEST, key))
        assert b"57014" in dict(until_ready(other))[b"E"]


@pytest.mark.parametrize(
    "query", ["SELECT pg_sleep(52)", "SELECT repeat('x', 1000) FROM generate_series(1, 100000000)"]
)
def test_a_client_that_goes_leaves_no_statement_running(tls_server: Server, query: str) -> None:
    with relayed(tls_server.upstream) as relay:
        link = relay.socket()
        link.sendall(NOBODY)
        until_ready(link)
        link.sendall(message(b"Q", query.encode() + b"\0"))
        eventually(lambda: running(tls_server, query) == 1)
        link.close()
        eventually(lambda: running(tls_server, query) == 0)
        assert works(relay)


def test_the_end_of_the_session_leaves_no_statement_running(tls_server: Server) -> None:
    query = "SELECT pg_sleep(53)"
    with relayed(tls_server.upstream) as relay:
        link = relay.socket()
        link.sendall(NOBODY)
        until_ready(link)
        link.sendall(message(b"Q", query.encode() + b"\0"))
        eventually(lambda: running(tls_server, query) == 1)
    assert running(tls_server, query) == 0
    assert said(link) == b""
    link.close()


def test_leaving_ends_the_connections_and_the_thread(tls_server: Server) -> None:
    with relayed(tls_server.upstream) as relay:
        connection = relay.connect()
    with pytest.raises(psycopg.OperationalError):
        connection.execute("SELECT 1")
    connection.close()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("relay ")]
    clients = "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'"
    eventually(lambda: tls_server.execute(clients) == [(1,)])


# Caps and limits.


def test_one_connection_too_many_is_told_so(tls_server: Server) -> None:
    with relayed(tls_server.upstream, limits=Limits(connections=3)) as relay, contextlib.ExitStack() as open_ones:
        for _ in range(3):
            open_ones.enter_context(relay.connect())
        with pytest.raises(psycopg.OperationalError, match="has 3 connections to the database already") as told:
            relay.connect()
        assert told.value.sqlstate in (None, "53300")
        with contextlib.closing(relay.socket()) as link:
            link.sendall(NOBODY)
            assert b"C53300\0" in said(link)
        open_ones.close()
        eventually(lambda: relay.relay._live == 0)
        assert works(relay)


def test_the_place_of_a_client_that_was_ended_in_a_query_is_waited_for(tls_server: Server) -> None:
    with relayed(tls_server.upstream, limits=Limits(connections=1)) as relay:
        with contextlib.closing(relay.socket()) as link:
            link.sendall(NOBODY)
            eventually(lambda: relay.relay._talks)
            link.sendall(message(b"Q", b"SELECT pg_sleep(60)\0"))
            eventually(lambda: tls_server.execute("SELECT 1 FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep%'"))
        assert works(relay)


def test_a_connection_on_which_a_function_switches_writing_on_is_ended(tls_server: Server) -> None:
    name = "default_transaction_read_only"
    with relayed(tls_server.upstream) as relay:
        tls_server.execute(
            f"CREATE FUNCTION opened() RETURNS text LANGUAGE sql AS $$ SELECT set_config('{name}', 'off', false) $$"
        )
        connection = relay.connect()
        if tls_server.execute("SELECT current_setting('server_version_num')::int >= 140000") == [(True,)]:
            with pytest.raises(psycopg.errors.ReadOnlySqlTransaction, match=f"{name} was switched off"):
                connection.execute("SELECT opened()")
        connection.close()
        tls_server.execute("DROP FUNCTION opened")
        assert works(relay)


def test_so_many_bytes_can_be_read_and_no_more(tls_server: Server) -> None:
    query = "SELECT repeat('x', 1000) FROM generate_series(1, {})"
    with relayed(tls_server.upstream, limits=Limits(down=3_000_000)) as relay:
        with relay.connect() as connection:
            assert len(connection.execute(query.format(1000).encode()).fetchall()) == 1000
        with relay.connect() as connection, pytest.raises(psycopg.OperationalError) as told:
            connection.execute(query.format(100_000).encode())
        assert "has read 3,000,000 bytes from the database, as much as one session may; aggregate in SQL" in str(
            told.value
        )
        assert 0 < relay.relay.traffic.down <= 3_000_000 + CHUNK + 2000


def test_one_value_larger_than_what_is_left_is_not_begun(tls_server: Server) -> None:
    with relayed(tls_server.upstream, limits=Limits(down=2_000_000)) as relay, relay.connect() as connection:
        assert len(one(connection, "SELECT repeat('x', 1500000)")) == 1_500_000
        with pytest.raises(psycopg.OperationalError, match="has read 2,000,000 bytes"):
            connection.execute("SELECT repeat('x', 100000000)")


def test_so_many_bytes_can_be_sent_and_no_more(tls_server: Server) -> None:
    with relayed(tls_server.upstream, limits=Limits(up=1_000_000)) as relay, relay.connect() as connection:
        assert one(connection, f"SELECT length('{'x' * 500_000}')") == 500_000
        with pytest.raises(psycopg.OperationalError, match="has sent 1,000,000 bytes to the database"):
            connection.execute("SELECT length(%s)", ["x" * 600_000])


def test_both_directions_are_counted(tls_server: Server) -> None:
    with relayed(tls_server.upstream) as relay, relay.connect() as connection:
        one(connection, f"SELECT '{'x' * 10_000}' || repeat('y', 20000)")
        assert 10_000 < relay.relay.traffic.up < 12_000
        assert 30_000 < relay.relay.traffic.down < 32_000


def test_a_connection_that_is_silent_too_long_is_ended_with_a_reason(tls_server: Server) -> None:
    with relayed(tls_server.upstream, limits=Limits(idle=2.0)) as relay, relay.connect() as connection:
        for _ in range(6):
            time.sleep(0.5)
            assert one(connection, "SELECT 1") == 1
        time.sleep(3)
        with pytest.raises(psycopg.OperationalError, match="nothing was said for 2 s"):
            connection.execute("SELECT 1")


# Clients that mean ill.


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"a first packet of 1,195,725,856 bytes"),
        (struct.pack(">II", 7, 3 << 16), b"a first packet of 7 bytes"),
        (struct.pack(">II", 0xFFFFFFFF, 3 << 16), b"a first packet of 4,294,967,295 bytes"),
        (struct.pack(">II", 10_001, 3 << 16) + b"x" * 10_000, b"a first packet of 10,001 bytes"),
        (request(2 << 16, b"old"), b"a first packet of version 2.0"),
        (request(1234 << 16 | 9999), b"a first packet of version 1234.9999"),
        (request(3 << 16), b"no list of names and values"),
        (request(3 << 16, b"user\0"), b"no list of names and values"),
        (request(3 << 16, b"user\0x\0"), b"no list of names and values"),
        (request(3 << 16, b"user\0x\0database\0\0extra"), b"no list of names and values"),
        (request(3 << 16, b"user\0\xff\xfe\0\0"), b"not in UTF-8"),
        (request(SSL_REQUEST) * 4, b"nothing but questions for encryption"),
        (request(SSL_REQUEST) + b"\x16\x03\x01\x02\0\1\0\1\xfc", b"a first packet of"),
        (b"", b""),
        (b"\0\0\0", b""),
        (struct.pack(">II", 100, 3 << 16) + b"user\0", b""),
    ],
)
def test_what_is_no_start_of_a_connection_is_refused(tls_server: Server, text: bytes, answer: bytes) -> None:
    with relayed(tls_server.upstream) as relay:
        with contextlib.closing(relay.socket()) as link:
            link.sendall(text)
            link.shutdown(socket.SHUT_WR)
            told = said(link)
        assert answer in told
        assert not told or b"C08P01\0" in told
        assert works(relay)


def test_questions_for_encryption_are_answered_with_no(tls_server: Server) -> None:
    with relayed(tls_server.upstream) as relay, contextlib.closing(relay.socket()) as link:
        for code in (GSS_REQUEST, SSL_REQUEST):
            link.sendall(request(code))
            assert link.recv(1) == b"N"
        link.sendall(NOBODY)
        until_ready(link)


def test_a_client_that_is_slow_to_say_what_it_wants_is_hung_up_on(
    tls_server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_STARTUP", 1.5)
    with relayed(tls_server.upstream) as relay, contextlib.closing(relay.socket()) as link:
        with contextlib.suppress(BrokenPipeError):
            for byte in NOBODY:
                link.sendall(bytes([byte]))
                time.sleep(0.1)
        assert said(link) == b""
        assert works(relay)


def test_a_flood_of_connections_leaves_room_for_one_that_speaks(
    tls_server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_STARTUP", 2.0)
    files = len(os.listdir("/proc/self/fd"))  # noqa: PTH208
    with relayed(tls_server.upstream) as relay:
        with contextlib.ExitStack() as flood:
            sent = 0
            for _ in range(300):
                with contextlib.suppress(OSError):
                    flood.enter_context(contextlib.closing(relay.socket()))
                    sent += 1
            time.sleep(0.3)
            assert len(os.listdir("/proc/self/fd")) - files - sent < 60  # noqa: PTH208
        eventually(lambda: relay.relay._waiting == 0)
        assert works(relay)


def test_garbage_after_the_login_harms_nobody_else(tls_server: Server) -> None:
    with relayed(tls_server.upstream) as relay, relay.connect() as neighbour:
        for garbage in (b"\xff" * 100_000, b"Q\xff\xff\xff\xff", b"p\0\0\0\x04", os.urandom(50_000)):
            with contextlib.closing(relay.socket()) as link:
                link.sendall(NOBODY)
                until_ready(link)
                with contextlib.suppress(OSError):
                    link.sendall(garbage)
                    link.shutdown(socket.SHUT_WR)
                said(link)
        assert one(neighbour, "SELECT 1") == 1
        eventually(lambda: relay.relay._live == 1)


def test_a_client_that_does_not_read_keeps_the_memory_small(tls_server: Server) -> None:
    with relayed(tls_server.upstream) as relay, relay.connect() as neighbour:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        with contextlib.ExitStack() as stack:
            for _ in range(5):
                link = stack.enter_context(contextlib.closing(relay.socket()))
                link.sendall(NOBODY)
                until_ready(link)
                link.sendall(message(b"Q", b"SELECT repeat('x', 100000) FROM generate_series(1, 10000)\0"))
            time.sleep(1)
            assert relay.relay.traffic.down < 30_000_000
            assert one(neighbour, "SELECT 1") == 1
        grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown < 60_000  # kilobytes; what was asked for is 5 GB


def test_a_client_that_only_sends_keeps_the_memory_small() -> None:
    def deaf(link: socket.socket) -> None:
        take_startup(link)
        link.sendall(GREETING)
        time.sleep(2)

    with fake_server(deaf) as upstream, relayed(upstream) as relay, contextlib.closing(relay.socket()) as link:
        link.sendall(NOBODY)
        until_ready(link)
        link.settimeout(1)
        sent = 0
        with contextlib.suppress(TimeoutError):
            while sent < 100_000_000:
                sent += link.send(b"x" * 100_000)
        assert sent < 20_000_000


def test_a_server_that_breaks_the_protocol_ends_that_connection(tls_server: Server) -> None:
    def broken(link: socket.socket) -> None:
        take_startup(link)
        link.sendall(GREETING)
        take_message(link)
        link.sendall(b"T\0\0\0\0")
        said(link)

    with fake_server(broken) as upstream, relayed(upstream) as relay, contextlib.closing(relay.socket()) as link:
        link.sendall(NOBODY)
        until_ready(link)
        link.sendall(message(b"Q", b"SELECT 1\0"))
        assert b"was sent a message of 0 bytes" in said(link)


def test_a_server_that_ends_shows_its_last_words(tls_server: Server) -> None:
    with relayed(tls_server.upstream) as relay, relay.connect() as connection:
        pid = one(connection, "SELECT pg_backend_pid()")
        tls_server.execute(f"SELECT pg_terminate_backend({pid})")
        with pytest.raises(psycopg.errors.AdminShutdown):
            connection.execute("SELECT 1")


def test_a_pooler_that_takes_no_settings_at_the_start_is_told_by_statement() -> None:
    startups: list[bytes] = []
    queries: list[bytes] = []

    def pooler(link: socket.socket) -> None:
        startups.append(take_startup(link))
        if b"options" in startups[-1]:
            link.sendall(message(b"E", b"SFATAL\0C08P01\0Munsupported startup parameter: options\0\0"))
            return
        link.sendall(GREETING)
        while True:
            kind, body = take_message(link)
            if kind != b"Q":
                return
            queries.append(body)
            link.sendall(message(b"C", b"SET\0") + message(b"Z", b"I"))

    with fake_server(pooler) as upstream, relayed(upstream) as relay:
        for _ in range(2):
            with contextlib.closing(relay.socket()) as link:
                link.sendall(NOBODY)
                assert [kind for kind, _ in until_ready(link)] == [b"R", b"K", b"Z"]
                link.sendall(message(b"Q", b"SELECT 1\0"))
                until_ready(link)
    assert [b"options" in each for each in startups] == [True, False, False]
    assert queries == [f"{SETTINGS_AS_STATEMENT}\0".encode(), b"SELECT 1\0"] * 2


def test_the_relays_own_messages_hold_no_password() -> None:
    with (
        fake_server(lambda link: link.sendall(b"R\0\0\0\x0f\0\0\0\x0a" + b"c4nary\0\0")) as upstream,
        relayed(replace(upstream), "reader", "c4nary") as relay,
        contextlib.closing(relay.socket()) as link,
    ):
        link.sendall(NOBODY)
        told = said(link)
    assert re.search(rb"offers \*\*\*, and SCRAM-SHA-256 is needed", told), told
    assert b"c4nary" not in told
