"""One side of a connection: awaited, then heard; what it leaves unread, says too fast, or breaks off."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator

import pytest

from cataloger_dagster.sandbox.peer import Peer

LIMIT = 1 << 16


@contextlib.asynccontextmanager
async def connected() -> AsyncIterator[tuple[Peer, socket.socket]]:
    """A peer, and its own end of the connection, which does not block."""
    ours, theirs = socket.socketpair()
    theirs.setblocking(False)
    peer = Peer(LIMIT)
    await asyncio.get_running_loop().create_unix_connection(lambda: peer, sock=ours)
    with theirs:
        try:
            yield peer, theirs
        finally:
            peer.abort()
            await asyncio.sleep(0)


async def settled() -> None:
    """Let the loop do what there is to do."""
    for _ in range(20):
        await asyncio.sleep(0.001)


async def sent(link: socket.socket, most: int) -> int:
    """Send as much as is taken, *most* at most, and say how much that was."""
    count = 0
    while count < most:
        try:
            count += link.send(bytes(min(1 << 16, most - count)))
        except BlockingIOError:
            await settled()
            try:
                count += link.send(bytes(1))
            except BlockingIOError:
                break
    return count


class Hearer:
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.said = b""
        self.ends: list[Exception | None] = []

    def hear(self, data: bytes) -> None:
        self.said += data

    def over(self, fault: Exception | None) -> None:
        self.ends.append(fault)


def test_what_is_waited_for_comes_in_pieces_of_any_size() -> None:
    async def talk() -> None:
        async with connected() as (peer, link):
            for byte in b"abcdefgh":
                link.send(bytes([byte]))
                await settled()
            assert [await peer.exactly(3), await peer.exactly(5)] == [b"abc", b"defgh"]
            waiting = asyncio.ensure_future(peer.exactly(3 * LIMIT))
            await asyncio.get_running_loop().sock_sendall(link, b"x" * 3 * LIMIT)
            assert await waiting == b"x" * 3 * LIMIT
            link.send(b"ab")
            link.close()
            with pytest.raises(EOFError):
                await peer.exactly(3)
            assert not peer.has_ended
            assert (await peer.read(), await peer.read()) == (b"ab", b"")
            assert peer.has_ended

    asyncio.run(talk())


def test_what_came_before_anybody_heard_is_heard_first_the_end_too() -> None:
    async def talk() -> None:
        async with connected() as (peer, link):
            told = Hearer()
            link.send(b"early")
            link.shutdown(socket.SHUT_WR)
            await settled()
            peer.hear(told.hear, told.over)
            assert (told.said, told.ends) == (b"early", [None])
            peer.write(b"the answer")
            await settled()
            assert link.recv(100) == b"the answer"
            link.close()
            await settled()
            assert told.ends == [None]

    asyncio.run(talk())


def test_nothing_piles_up_where_nobody_asks_and_nothing_is_lost() -> None:
    async def talk() -> None:
        async with connected() as (peer, link):
            count = await sent(link, 100 * LIMIT)
            assert count < 50 * LIMIT  # the socket's own room, mostly
            told = Hearer()
            peer.hear(told.hear, told.over)
            await settled()
            assert told.said == bytes(count)

    asyncio.run(talk())


def test_who_says_more_than_the_other_takes_is_held_and_goes_on_later() -> None:
    async def talk() -> None:
        async with connected() as (fast, source), connected() as (slow, sink):
            slow.feed_from(fast)
            fast.hear(slow.write, lambda _: None)
            count = await sent(source, 100 * LIMIT)
            assert count < 50 * LIMIT
            assert slow.transport.get_write_buffer_size() < 8 * LIMIT
            got = 0
            while got < count:
                await settled()
                got += len(sink.recv(1 << 20))
            assert await sent(source, LIMIT) == LIMIT
            # Held again, and let go for good when nobody feeds on it any more.
            more = await sent(source, 100 * LIMIT)
            assert more < 50 * LIMIT
            told = Hearer()
            slow.feed_from(None)
            fast.hear(told.hear, told.over)
            await settled()
            assert await sent(source, LIMIT) == LIMIT

    asyncio.run(talk())


def test_it_is_read_again_when_the_last_reason_to_hold_it_is_gone() -> None:
    async def talk() -> None:
        async with connected() as (peer, link):
            told = Hearer()
            peer.hear(told.hear, told.over)
            peer.hold()
            peer.hold()
            link.send(b"x")
            for release in (False, True, True):
                assert told.said == b""
                if release:
                    peer.release()
                await settled()
            assert told.said == b"x"

    asyncio.run(talk())


def test_what_goes_wrong_while_it_is_heard_is_told_once_to_who_waits_for_its_end() -> None:
    async def talk() -> None:
        async with connected() as (peer, link):
            ends: list[Exception | None] = []
            told: list[bytes] = []

            def fail(data: bytes) -> None:
                told.append(data)
                raise KeyError(data)

            peer.hear(fail, ends.append)
            link.send(b"x")
            await settled()
            link.send(b"the rest of a message")
            await settled()
            link.close()
            await settled()
            assert [repr(each) for each in ends] == ["KeyError(b'x')"]
            assert told == [b"x"]
            assert await peer.read() == b"the rest of a message"
            assert peer.has_ended

    asyncio.run(talk())


def test_nothing_is_written_to_one_that_is_gone_and_nobody_waits_for_it() -> None:
    async def talk() -> None:
        async with connected() as (peer, link):
            while not peer.transport.get_write_buffer_size():
                peer.write(bytes(1 << 20))
            waiting = asyncio.ensure_future(peer.drained())
            await asyncio.sleep(0)
            link.close()
            with pytest.raises(ConnectionResetError):
                await waiting
            peer.write(b"x")
            peer.hold()
            peer.release()
            await peer.close(10)

    asyncio.run(talk())


def test_a_connection_that_is_full_already_holds_whoever_comes_to_feed_it() -> None:
    async def talk() -> None:
        async with connected() as (full, reader), connected() as (source, link):
            while not full.transport.get_write_buffer_size():
                full.write(bytes(1 << 20))
            full.feed_from(source)
            heard = Hearer()
            source.hear(heard.hear, heard.over)
            link.send(b"more")
            await settled()
            assert heard.said == b""
            while full.transport.get_write_buffer_size():
                with contextlib.suppress(BlockingIOError):
                    reader.recv(1 << 20)
                await settled()
            assert heard.said == b"more"

    asyncio.run(talk())
