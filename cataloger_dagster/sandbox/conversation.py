"""What passes between one logged-in client and the server, until either side ends it or has had as much as it may.

What the client says goes through the ``guard``; what the server says is passed on unread but for two things: the
errors that the guard changes, and its word that a setting is no more what was set for the client, which ends the
connection. Who may have a conversation, and how it begins, is in ``relay``.
"""

import asyncio
import contextlib
from collections.abc import Sequence
from dataclasses import dataclass, field

from cataloger_dagster.errors import SandboxError
from cataloger_dagster.sandbox.client_settings import is_undone
from cataloger_dagster.sandbox.guard import Guard
from cataloger_dagster.sandbox.upstream import Link, Refused, Upstream
from cataloger_dagster.sandbox.wire import CANCEL_REQUEST, Boundaries, ProtocolError, message, request

CHUNK = 1 << 18
"""Most bytes that are read at a time, and about the most that wait to be passed on in one direction."""

_CANCEL = 5.0
_CANCELLED = 1.0  # what a server needs to end a cancelled query
_FAREWELL = 0.25  # what a server needs to close an idle connection; a busy one does not read


@dataclass(frozen=True)
class Limits:
    """What one sandbox may use up of the way to its server.

    Attributes:
        connections: at a time.
        down, up: bytes from and to the server, all connections of the session together.
        idle: seconds that a connection may be silent in both directions.
    """

    connections: int = 8
    down: int = 4 << 30
    up: int = 1 << 30
    idle: float = 3600.0


@dataclass
class Traffic:
    """The bytes that have passed so far in one session, from and to the server."""

    down: int = 0
    up: int = 0


class Ended(Exception):
    """The relay ends a connection; the message is for the client, with its SQLSTATE."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code


_EXPECTED = (Ended, ProtocolError, SandboxError, OSError, asyncio.CancelledError)


@dataclass(eq=False)
class Conversation:
    """A client that is logged in, and its way to the server; ``said`` is when either side last said something."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    link: Link
    key: bytes
    said: float
    guard: Guard
    limits: Limits
    traffic: Traffic
    boundaries: Boundaries = field(default_factory=Boundaries)

    async def pass_on(self) -> Sequence[Exception]:
        """Pass on what both sides say until one of them ends it; return why, nothing if it is just over.

        Cancelled, it is over too.
        """
        parts = [asyncio.ensure_future(each) for each in (self._pass_up(), self._pass_down(), self._silence())]
        try:
            await asyncio.wait(parts, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for part in parts:
                part.cancel()
            outcomes = await asyncio.gather(*parts, return_exceptions=True)
            for outcome in outcomes:
                if isinstance(outcome, BaseException) and not isinstance(outcome, _EXPECTED):
                    raise outcome
        return [each for each in outcomes if isinstance(each, Ended | ProtocolError | SandboxError)]

    async def leave(self, upstream: Upstream) -> None:
        """Say goodbye to the server; where it does not listen, for it runs a query, have it cancel that."""
        with contextlib.suppress(OSError, EOFError):
            if self.link.reader.at_eof():
                return
            self.link.writer.write(message(b"X", b""))
            if await _ends(self.link.reader, _FAREWELL) or not self.key:
                return
            await self._forward_cancel(upstream)
            await _ends(self.link.reader, _CANCELLED)

    async def cancel(self, upstream: Upstream) -> None:
        """Have the server cancel what runs, once what is still looked at is on its way."""
        async with self.guard.looking:
            pass
        await self._forward_cancel(upstream)

    async def _forward_cancel(self, upstream: Upstream) -> None:
        with contextlib.suppress(Refused, OSError, TimeoutError):
            async with asyncio.timeout(_CANCEL), upstream.open(self.link.tls is not None) as other:
                other.writer.write(request(CANCEL_REQUEST, self.key))
                await other.writer.drain()
                await _ends(other.reader, _CANCEL)

    async def _pass_up(self) -> None:
        loop = asyncio.get_running_loop()
        reader, writer = self.reader, self.link.writer
        while chunk := await reader.read(CHUNK):
            self.said = loop.time()
            self.traffic.up += len(chunk)
            if self.traffic.up > self.limits.up:
                raise Ended("53400", _used_up("sent", self.limits.up, "to"))
            writer.write(await self.guard.up(chunk))
            await writer.drain()

    async def _pass_down(self) -> None:
        loop = asyncio.get_running_loop()
        reader, writer, boundaries, traffic = self.link.reader, self.writer, self.boundaries, self.traffic
        while chunk := await reader.read(CHUNK):
            self.said = loop.time()
            if self.guard.waits:
                chunk = self.guard.down(chunk, boundaries)
            before = boundaries.left
            chunk, last = boundaries.follow(chunk)
            if boundaries.statuses and (undone := is_undone(boundaries.statuses)):
                boundaries.left = before
                raise Ended("25006", f"{undone} was switched off on this connection, so it is ended; connect anew")
            # A message that has begun is passed on whole, so it counts as a whole when it begins.
            traffic.down += len(chunk) - before + boundaries.left
            if traffic.down > self.limits.down and last >= before:
                writer.write(chunk[:last])
                boundaries.left = 0
                raise Ended("53400", _used_up("read", self.limits.down, "from"))
            writer.write(chunk)
            await writer.drain()

    async def _silence(self) -> None:
        loop = asyncio.get_running_loop()
        while (left := self.said + self.limits.idle - loop.time()) > 0:
            await asyncio.sleep(left)
        raise Ended("57P05", f"nothing was said for {self.limits.idle:g} s; connect anew")


async def _ends(reader: asyncio.StreamReader, seconds: float) -> bool:
    """Read on until the other side closes; false if it does not within *seconds*."""
    try:
        async with asyncio.timeout(seconds):
            while await reader.read(CHUNK):
                pass
    except TimeoutError:
        return False
    except OSError:
        pass
    return True


def _used_up(verb: str, limit: int, direction: str) -> str:
    return (
        f"the sandbox has {verb} {limit:,} bytes {direction} the database, as much as one session may; "
        "aggregate in SQL, or read a sample"
    )
