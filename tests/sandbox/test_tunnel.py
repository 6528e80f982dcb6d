"""Connections from inside to a server out here: many, slow, broken off, and none of them in the way of a cell."""

import asyncio
import contextlib
import os
import subprocess
import threading
import time
from pathlib import Path

import pytest

from cataloger_dagster.sandbox.grant import Grant
from cataloger_dagster.sandbox.local import LocalSandbox
from cataloger_dagster.sandbox.peer import Peer
from cataloger_dagster.sandbox.runner import RunnerSession
from cataloger_dagster.sandbox.session import Sandbox, Session
from cataloger_dagster.sandbox.tunnel import CONNECTIONS, WINDOW

CONNECT = """
import socket, threading, time
def connect():
    link = socket.socket(socket.AF_UNIX)
    link.settimeout(60)
    link.connect("\\0" + {host!r}[1:] + "/.s.PGSQL.5432")
    return link
def receive(link, size):
    data = bytearray()
    while len(data) < size and (chunk := link.recv(min(1 << 20, size - len(data)))): data += chunk
    return bytes(data)
"""


class Echo:
    """Sends back what it gets; counts connections, bytes and ends."""

    def __init__(self) -> None:
        self.opened = 0
        self.ended = 0
        self.bytes = 0
        self.tasks: set[asyncio.Task[object]] = set()

    async def serve(self, client: Peer) -> None:
        self.opened += 1
        try:
            with contextlib.suppress(ConnectionResetError):
                await self.talk(client)
        finally:
            self.ended += 1
            client.transport.close()

    async def talk(self, client: Peer) -> None:
        while chunk := await client.read():
            self.bytes += len(chunk)
            client.write(chunk)
            await client.drained()

    async def close(self) -> None:
        return None


class Flood(Echo):
    """Sends without end, and counts what it could."""

    async def talk(self, client: Peer) -> None:
        while True:
            client.write(bytes(1 << 16))
            self.bytes += 1 << 16
            await client.drained()


class Goodbye(Echo):
    """Says hello and ends the connection, without listening."""

    async def talk(self, client: Peer) -> None:
        client.write(b"hello" * 100_000)


class Broken(Echo):
    """Fails in a way that its author did not think of."""

    async def talk(self, client: Peer) -> None:
        raise KeyError("not thought of")


def served(session: Session, server: Echo) -> RunnerSession:
    """The session, its cells with ``connect`` and ``receive``."""
    assert isinstance(session, RunnerSession)
    session.grant(Grant({"backend": "postgres"}, server=server), None)
    assert session.execute(CONNECT.format(host=session.connection["host"])).output == ""
    return session


def until(condition: object, seconds: float = 10) -> None:
    assert callable(condition)
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def resident() -> int:
    """This process's memory, in bytes."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def test_many_connections_at_once_keep_their_bytes_apart(session: Session) -> None:
    echo = Echo()
    code = (
        "wrong = []\n"
        "size = threading.stack_size(1 << 18)\n"
        "def one(n):\n"
        "    link, data = connect(), bytes([n]) * 300_000\n"
        "    sender = threading.Thread(target=lambda: (link.sendall(data), link.shutdown(socket.SHUT_WR)))\n"
        "    sender.start()\n"
        "    if receive(link, 1 << 30) != data: wrong.append(n)\n"
        "    sender.join(); link.close()\n"
        "threads = [threading.Thread(target=one, args=[n]) for n in range(40)]\n"
        "for each in threads: each.start()\n"
        "for each in threads: each.join()\n"
        "wrong"
    )
    assert served(session, echo).execute(code, timeout=60).output == "[]\n"
    assert (echo.opened, echo.bytes) == (40, 40 * 300_000)
    until(lambda: echo.ended == 40)


def test_a_client_that_never_reads_holds_up_neither_cells_nor_memory(session: Session) -> None:
    flood = Flood()
    assert served(session, flood).execute("idle = [connect() for _ in range(8)]").error is None
    time.sleep(0.5)
    assert session.execute("1 + 1").output == "2\n"
    assert len(session.execute("print('x' * 10_000)").output) == 10_001
    assert session.call("os:getcwd", {}, 30).startswith("/")
    assert flood.opened == 8
    # A window, what waits for the next one, and what the client's own socket takes.
    assert flood.bytes < 8 * (2 * WINDOW + (1 << 20))
    before = flood.bytes
    assert session.execute("len(receive(idle[3], 5_000_000))", timeout=60).output == "5000000\n"
    assert flood.bytes > before
    session.stop()
    until(lambda: flood.ended == 8)


def test_a_transfer_of_200_mb_both_ways_takes_little_memory_here(session: Session) -> None:
    most = [0]
    done = threading.Event()

    def watch() -> None:
        while not done.wait(0.01):
            most[0] = max(most[0], resident())

    echo = Echo()
    served(session, echo)
    before = resident()
    watcher = threading.Thread(target=watch)
    watcher.start()
    code = (
        "link, size, got = connect(), 200 << 20, 0\n"
        "def send():\n"
        "    for n in range(200): link.sendall(bytes([n]) * (1 << 20))\n"
        "sender = threading.Thread(target=send)\n"
        "sender.start()\n"
        "right = all(receive(link, 1 << 20) == bytes([n]) * (1 << 20) for n in range(200))\n"
        "sender.join(); link.close()\n"
        "right"
    )
    try:
        assert session.execute(code, timeout=150).output == "True\n"
    finally:
        done.set()
        watcher.join()
    assert echo.bytes == 200 << 20
    assert most[0] - before < 32 << 20


def test_either_side_may_end_a_connection_in_the_middle(session: Session) -> None:
    goodbye, echo, flood = Goodbye(), Echo(), Flood()
    served(session, goodbye)
    # All that was said arrives; what the client says afterwards goes nowhere.
    assert session.execute("link = connect(); len(receive(link, 1 << 30))").output == "500000\n"
    assert "BrokenPipe" in session.execute("for _ in range(100): link.sendall(bytes(1 << 20))").output
    served(session, echo)
    session.execute("link = connect(); link.sendall(bytes(5_000_000 - 4_900_000)); link.close()")
    until(lambda: echo.ended == 1)
    served(session, flood)
    session.execute("link = connect(); receive(link, 100_000); link.close()")
    until(lambda: flood.ended == 1)
    session.execute("link = connect(); import os; os._exit(1)")
    until(lambda: flood.ended == 2)
    assert session.execute("1").output == "1\n"


def test_a_client_may_end_its_half_and_read_on(session: Session) -> None:
    code = "link = connect(); link.sendall(b'last words'); link.shutdown(socket.SHUT_WR); receive(link, 1 << 20)"
    assert served(session, Echo()).execute(code).output == "b'last words'\n"


def test_one_connection_too_many_is_closed_and_the_others_go_on(session: Session) -> None:
    echo = Echo()
    served(session, echo).execute(f"links = [connect() for _ in range({CONNECTIONS})]; links[0].sendall(b'x')")
    assert session.execute("receive(connect(), 1)").output in ("b''\n",)
    assert session.execute("receive(links[0], 1)").output == "b'x'\n"
    session.execute("links.pop().close()")
    until(lambda: echo.ended == 1)
    assert session.execute("link = connect(); link.sendall(b'y'); receive(link, 1)").output == "b'y'\n"


def test_a_session_may_be_left_while_connections_are_busy(sandbox: Sandbox) -> None:
    flood = Flood()
    before = threading.active_count()
    with sandbox.open(None) as session:
        served(session, flood).execute("links = [connect() for _ in range(5)]; receive(links[0], 1_000_000)")
    assert flood.opened == flood.ended == 5
    assert threading.active_count() == before


def test_without_a_database_there_is_nothing_to_connect_to(sandbox: Sandbox) -> None:
    with sandbox.open(None) as session:
        seen = session.execute("[line for line in open('/proc/net/unix') if '@:cataloger' in line]").output
        if not isinstance(sandbox, LocalSandbox) or sandbox.isolated:
            assert seen == "[]\n"


def test_what_a_cell_throws_at_its_descriptors_and_at_the_socket_is_no_frame(session: Session) -> None:
    echo = Echo()
    code = (
        "import os, struct\n"
        "frames = [struct.pack('>BII', kind, n, 4) + b'null' for kind in range(7) for n in (0, 1, 2, 9)]\n"
        "junk = b''.join(frames) + os.urandom(100_000)\n"
        "links = [connect() for _ in range(3)]\n"
        "for link in links: link.sendall(junk)\n"
        "print([receive(link, len(junk)) == junk for link in links])\n"
        "for n in list(range(3)) + list(range(3, 64)):\n"
        "    try: os.set_blocking(n, False); os.write(n, frames[0] + frames[5])\n"
        "    except OSError: pass\n"
        "for name in ('/proc/1/fd/0', '/proc/1/fd/1', f'/proc/{os.getppid()}/fd/1', '/dev/stdin'):\n"
        "    try: open(name, 'wb', buffering=0).write(junk)\n"
        "    except OSError: pass"
    )
    result = served(session, echo).execute(code)
    assert result.output.startswith("[True, True, True]\n")
    session.execute("'the session goes on'")
    assert session.execute("1 + 1").output == "2\n"
    assert session.call("os:getcwd", {}, 30).startswith("/")


def test_a_server_that_fails_ends_its_connection_alone(session: Session, caplog: pytest.LogCaptureFixture) -> None:
    assert served(session, Broken()).execute("receive(connect(), 1)").output == "b''\n"
    assert session.execute("1").output == "1\n"
    until(lambda: "a connection from a sandbox failed" in caplog.text)


def test_the_socket_can_be_neither_removed_nor_taken(session: Session) -> None:
    code = (
        "name = '\\0' + {host!r}[1:] + '/.s.PGSQL.5432'\n"
        "try: socket.socket(socket.AF_UNIX).bind(name)\n"
        "except OSError as error: print(error.strerror)"
    )
    served(session, Echo())
    assert session.execute(code.format(host=session.connection["host"])).output == "Address already in use\n"


@pytest.mark.skipif(
    os.getuid() != 0 or not Path("/usr/bin/python3").exists(),
    reason="only root may become another user, and that user needs a Python",
)
def test_another_user_of_the_machine_is_not_let_in() -> None:
    code = "import socket, sys; s = socket.socket(socket.AF_UNIX); s.connect('\\0' + sys.argv[1]); print(s.recv(1))"
    echo = Echo()
    with LocalSandbox(isolated=False).open(None) as session:
        place = served(session, echo).connection["host"][1:] + "/.s.PGSQL.5432"
        command = ["/usr/bin/python3", "-I", "-c", code, place]
        found = subprocess.run(command, user=65534, capture_output=True, text=True, check=False, cwd="/")
        assert found.stdout.strip() == "b''" or "reset" in found.stderr
    assert echo.opened == 0
