"""The stream to a runner that is not ours: what it may not say ends the session in words, and nothing hangs."""

import asyncio
import contextlib
import gc
import socket
import struct
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from cataloger_dagster import __version__
from cataloger_dagster.errors import SandboxError
from cataloger_dagster.sandbox import runner
from cataloger_dagster.sandbox.frames import LIMIT, Kind, pack
from cataloger_dagster.sandbox.peer import Peer
from cataloger_dagster.sandbox.runner import RunnerSession
from cataloger_dagster.sandbox.stream import Stream
from cataloger_dagster.sandbox.tunnel import CONNECTIONS, WINDOW

HELLO = pack(Kind.MESSAGE, 0, f'{{"version": "{__version__}"}}'.encode())


class Plain:
    def decode(self, data: bytes) -> bytes:
        return data

    def complaint(self) -> str:
        return "last words"


class Silent:
    """Reads nothing and says nothing."""

    async def serve(self, client: Peer) -> None:
        await asyncio.Event().wait()

    async def close(self) -> None:
        return None


@contextlib.contextmanager
def conversation() -> Iterator[tuple[Stream, socket.socket]]:
    """A stream with a server behind its tunnel, and its other end."""
    ours, theirs = socket.socketpair()
    with theirs, Stream(ours, Plain()) as stream:
        stream.serve(Silent())
        yield stream, theirs


def test_the_runner_is_told_that_we_are_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cataloger_dagster.sandbox.stream.BEAT", 0.05)
    with conversation() as (_, theirs):
        heard = b""
        while len(heard) < 27:
            heard += theirs.recv(1000)
        assert heard[:27] == 3 * pack(Kind.ALIVE, 0, b"")


def greeted(stream: Stream, theirs: socket.socket, pieces: int = 1000) -> RunnerSession:
    """A session whose hello was answered, in *pieces* of so many bytes."""

    def answer() -> None:
        theirs.recv(1000)
        for start in range(0, len(HELLO), pieces):
            theirs.sendall(HELLO[start : start + pieces])
            time.sleep(0.0005)

    thread = threading.Thread(target=answer)
    thread.start()
    try:
        return RunnerSession(stream)
    finally:
        thread.join()


OPEN = pack(Kind.OPEN, 1, b"")
DATA = pack(Kind.DATA, 1, bytes(1 << 16))


@pytest.mark.parametrize(
    ("said", "fault"),
    [
        (struct.pack(">BII", Kind.MESSAGE, 0, LIMIT + 1), "MESSAGE of 67,108,865 bytes; at most 67,108,864"),
        (struct.pack(">BII", Kind.DATA, 1, (1 << 16) + 1), "DATA of 65,537 bytes; at most 65,536"),
        (struct.pack(">BII", Kind.DATA, 1, 0), "DATA of 0 bytes"),
        (struct.pack(">BII", 6, 1, 0), "does not speak"),
        (struct.pack(">BII", Kind.OPEN, 0, 0), "does not speak"),
        (struct.pack(">BII", Kind.MESSAGE, 1, 0), "does not speak"),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "does not speak"),
        (DATA, "never opened: 1"),
        (pack(Kind.OPEN, 2, b""), "opens connection 2 after 0"),
        (OPEN + OPEN, "opens connection 1 after 1"),
        (b"".join(pack(Kind.OPEN, n + 1, b"") for n in range(CONNECTIONS + 1)), f"at {CONNECTIONS}"),
        (OPEN + DATA * (WINDOW // (1 << 16)) + DATA, "more than 1,048,576 bytes that were not taken"),
        (OPEN + pack(Kind.CREDIT, 1, (1).to_bytes(4)), "more credit than it was sent"),
        (OPEN + pack(Kind.CREDIT, 1, b"123"), "CREDIT of 3 bytes"),
        (OPEN + pack(Kind.END, 1, b"") + DATA, "goes on with a connection that it ended"),
    ],
)
def test_what_our_runner_never_says_ends_the_session(said: bytes, fault: str) -> None:
    with conversation() as (stream, theirs):
        session = greeted(stream, theirs)
        theirs.sendall(said)
        with pytest.raises(SandboxError, match=fault):
            session.execute("1", timeout=-25)
        with pytest.raises(SandboxError, match=fault):
            session.stop()


def test_an_answer_that_nobody_asked_for_ends_the_session() -> None:
    with conversation() as (stream, theirs):
        session = greeted(stream, theirs)
        theirs.sendall(HELLO)
        assert theirs.recv(1) == b""
        with pytest.raises(SandboxError, match="answers what nobody asked"):
            session.stop()


@pytest.mark.parametrize("body", [b"", b"no JSON", b"[1]", b'{"output": 1, "more": 2}', b"[" * 100_000, b"\xff"])
def test_a_reply_that_is_none_is_an_error(body: bytes) -> None:
    with conversation() as (stream, theirs):
        session = greeted(stream, theirs)
        threading.Thread(target=lambda: (theirs.recv(1000), theirs.sendall(pack(Kind.MESSAGE, 0, body)))).start()
        with pytest.raises(SandboxError, match="does not speak"):
            session.execute("1", timeout=-25)


def test_a_runner_that_ends_in_the_middle_of_a_frame_is_gone() -> None:
    with conversation() as (stream, theirs):
        session = greeted(stream, theirs)
        theirs.sendall(HELLO[:-1])
        threading.Timer(0.1, theirs.close).start()
        began = time.monotonic()
        with pytest.raises(SandboxError, match=r"has ended: .*last words"):
            session.execute("1")
        assert time.monotonic() - began < 5


def test_a_late_reply_is_not_taken_for_the_next_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    with conversation() as (stream, theirs):
        greeted(stream, theirs)
        with pytest.raises(SandboxError, match="does not answer"):
            stream.ask(b"{}", 0.05)
        theirs.sendall(pack(Kind.MESSAGE, 0, b'{"value": "late"}'))
        with pytest.raises(SandboxError, match="was given up"):
            stream.ask(b"{}", 1)


def test_frames_may_come_a_byte_at_a_time() -> None:
    with conversation() as (stream, theirs):
        greeted(stream, theirs, pieces=1)


def test_a_runner_that_never_says_hello_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, "START", 0.02)
    monkeypatch.setattr(runner, "SPARE", 0.03)
    with conversation() as (stream, _), pytest.raises(SandboxError, match="does not answer"):
        RunnerSession(stream)


@pytest.mark.parametrize("begun", [True, False], ids=["while it connects", "before it connects"])
def test_an_interrupt_hangs_up(monkeypatch: pytest.MonkeyPatch, begun: bool) -> None:
    ours, theirs = socket.socketpair()
    stream = Stream(ours, Plain())
    loop = stream._loop

    class Interrupted:
        """The loop, whose first call comes back, or does not go out, as an interrupt comes."""

        def call_soon_threadsafe(self, *call: Any) -> None:
            stream._loop = loop
            if begun:
                loop.call_soon_threadsafe(*call)
            raise KeyboardInterrupt

    stream._loop = Interrupted()  # type: ignore[assignment]
    with theirs, ours:
        with pytest.raises(KeyboardInterrupt), stream:
            raise AssertionError("it was entered")
        theirs.settimeout(10)
        assert theirs.recv(1) == b""
    assert (stream._transport is not None) == begun
    assert stream._transport is None or stream._transport.is_closing()
    assert not stream._thread.is_alive()
    assert stream._loop.is_closed()
    gc.collect()  # what is left open or never begun would warn, and a warning is an error
