"""What passes between one logged-in client and the server, until either side ends it or has had as much as it may.

What the client says goes through the ``guard``; what the server says is passed on unread but for two things: the
errors that the guard changes, and its word that a setting is no more what was set for the client, which ends the
connection. Who may have a conversation, and how it begins, is in ``relay``.
"""

import asyncio
import contextlib
from dataclasses import dataclass, field

from cataloger_dagster.sandbox.client_settings import is_undone
from cataloger_dagster.sandbox.guard import Guard
from cataloger_dagster.sandbox.judge import Judge
from cataloger_dagster.sandbox.peer import Peer
from cataloger_dagster.sandbox.upstream import Link, Refused, Upstream
from cataloger_dagster.sandbox.verdict import Refusal
from cataloger_dagster.sandbox.wire import CANCEL_REQUEST, Boundaries, message, request

CHUNK = 1 << 18
"""Most bytes that are read at a time, and about the most that wait to be passed on in one direction."""

_CANCEL = 5.0
_CANCELLED = 1.0  # what a server needs to end a cancelled query
_READY = ord("Z")
_CANCELLED_UNSENT = Refusal("57014", "canceling statement due to user request")  # a server's words
_FAREWELL = 0.25  # what a server needs to close an idle connection; a busy one does not read


@dataclass(frozen=True)
class Limits:
    """What one sandbox may use up of the way to its server.

    Attributes:
        connections: at a time.
        down, up: bytes from and to the server, all connections of the session together.
        snapshots: that each connection may export, so that others of the session see the same data.
        idle: seconds that a connection may be silent in both directions.
    """

    connections: int = 8
    down: int = 4 << 30
    up: int = 1 << 30
    snapshots: int = 0
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


@dataclass(eq=False)
class Conversation:
    """A client that is logged in, and its way to the server."""

    client: Peer
    link: Link
    key: bytes
    judge: Judge
    limits: Limits
    traffic: Traffic
    boundaries: Boundaries = field(default_factory=Boundaries)

    def __post_init__(self) -> None:
        self._guard = Guard(self.judge, self.limits.snapshots)
        self._loop = asyncio.get_running_loop()
        self._said = self._loop.time()  # when either side last said something
        self._over: asyncio.Future[None] = self._loop.create_future()
        self._looking: asyncio.Task[None] | None = None
        self._is_cancelled = False  # what is looked at
        self._is_idle = True  # whether the server has answered all that it was sent

    async def pass_on(self) -> None:
        """Pass on what both sides say until one of them ends it.

        Raises:
            Ended: we end it.
            ProtocolError: one side says what is no message.
            SandboxError: statements can't be looked at.
        """
        client, server = self.client, self.link.peer
        client.feed_from(server)
        server.feed_from(client)
        silence = self._loop.create_task(self._silence())
        silence.add_done_callback(self._done)
        client.hear(self._client_said, self._end)
        server.hear(self._server_said, self._end)
        try:
            await self._over
        finally:
            client.ignore()
            server.ignore()
            silence.cancel()
            if self._looking is not None:
                self._looking.cancel()

    async def leave(self, upstream: Upstream) -> None:
        """Say goodbye to the server; where it does not listen, for it runs a query, have it cancel that."""
        server = self.link.peer
        if server.has_ended:
            return
        server.write(message(b"X", b""))
        if await _ends(server, _FAREWELL) or not self.key:
            return
        await self._forward_cancel(upstream)
        await _ends(server, _CANCELLED)

    async def cancel(self, upstream: Upstream) -> None:
        """Have the server cancel what runs; what is still looked at is not sent to it, and answered as it would."""
        # One that is sent and cancelled at once may begin only after the server has looked for what to cancel.
        if self._looking is not None:
            self._is_cancelled = True
            await asyncio.wait([self._looking])
            if self._is_idle:
                return
        await self._forward_cancel(upstream)

    async def _forward_cancel(self, upstream: Upstream) -> None:
        with contextlib.suppress(Refused, OSError, TimeoutError):
            async with asyncio.timeout(_CANCEL), upstream.open(self.link.tls is not None) as other:
                other.peer.write(request(CANCEL_REQUEST, self.key))
                await other.peer.drained()
                await _ends(other.peer, _CANCEL)

    def _client_said(self, chunk: bytes) -> None:
        self._said = self._loop.time()
        self.traffic.up += len(chunk)
        if self.traffic.up > self.limits.up:
            raise Ended("53400", _used_up("sent", self.limits.up, "to"))
        self._tell_server(self._guard.up(chunk))
        if self._guard.question is not None and self._looking is None:
            self._looking = self._loop.create_task(self._look())
            self._looking.add_done_callback(self._done)

    async def _look(self) -> None:
        """Have the judge answer the guard's questions, and hear no more of the client until then."""
        self.client.hold()
        try:
            while (question := self._guard.question) is not None:
                refusal = await self.judge.refusal(question)
                if self._is_cancelled:
                    self._is_cancelled, refusal = False, _CANCELLED_UNSENT
                self._tell_server(self._guard.answer(refusal))
        finally:
            self._looking = None
            self.client.release()

    def _tell_server(self, chunk: bytes) -> None:
        if chunk:
            self._is_idle = False
            self.link.peer.write(chunk)

    def _server_said(self, chunk: bytes) -> None:
        self._said = self._loop.time()
        boundaries, traffic = self.boundaries, self.traffic
        if self._guard.waits:
            chunk = self._guard.down(chunk, boundaries)
        before = boundaries.left
        chunk, last = boundaries.follow(chunk)
        if boundaries.statuses and (undone := is_undone(boundaries.statuses)):
            boundaries.left = before
            raise Ended("25006", f"{undone} was switched off on this connection, so it is ended; connect anew")
        # A message that has begun is passed on whole, so it counts as a whole when it begins.
        traffic.down += len(chunk) - before + boundaries.left
        if traffic.down > self.limits.down and last >= before:
            self.client.write(chunk[:last])
            boundaries.left = 0
            raise Ended("53400", _used_up("read", self.limits.down, "from"))
        if chunk:
            self._is_idle = boundaries.between and last >= before and chunk[last] == _READY
            self.client.write(chunk)

    async def _silence(self) -> None:
        while (left := self._said + self.limits.idle - self._loop.time()) > 0:
            await asyncio.sleep(left)
        raise Ended("57P05", f"nothing was said for {self.limits.idle:g} s; connect anew")

    def _done(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (fault := task.exception()) is not None:
            self._end(fault)

    def _end(self, fault: BaseException | None) -> None:
        """End it, because of *fault* if there is one; the first end counts."""
        if self._over.done():
            return
        if fault is None:
            self._over.set_result(None)
        else:
            self._over.set_exception(fault)


async def _ends(peer: Peer, seconds: float) -> bool:
    """Read on until the other side closes; false if it does not within *seconds*."""
    try:
        async with asyncio.timeout(seconds):
            while await peer.read():
                pass
    except TimeoutError:
        return False
    return True


def _used_up(verb: str, limit: int, direction: str) -> str:
    return (
        f"the sandbox has {verb} {limit:,} bytes {direction} the database, as much as one session may; "
        "aggregate in SQL, or read a sample"
    )
