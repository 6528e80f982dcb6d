"""The other side of one connection, whatever carries it: awaited while a login takes turns, then heard as it speaks.

To hear it takes no task and no copy: what came is handed on in the callback that brought it. Who takes what is said
more slowly than it comes, holds the one that says it, so nothing piles up. What is said is for ``relay``,
``conversation`` and ``upstream`` to know.
"""

import asyncio
import contextlib
from collections.abc import Callable
from typing import cast


class Peer(asyncio.Protocol):
    """One connection, given to *made* as soon as it is there; all calls are made in its event loop.

    About *limit* bytes are kept of what nobody has asked for.
    """

    def __init__(self, limit: int, made: Callable[["Peer"], object] | None = None) -> None:
        self._limit = limit
        self._made = made
        self._transport: asyncio.Transport | None = None
        self._kept = bytearray()
        self._keeps_enough = False
        self._holds = 0  # reasons not to read
        self._is_full = False  # whether it takes less than it is told
        self._has_ended = False
        self._is_lost = False
        self._source: Peer | None = None
        self._said: Callable[[bytes], None] | None = None
        self._over: Callable[[Exception | None], None] | None = None
        self._change: asyncio.Future[None] | None = None

    @property
    def transport(self) -> asyncio.Transport:
        """What carries the connection."""
        assert self._transport is not None
        return self._transport

    @property
    def has_ended(self) -> bool:
        """Whether it has said all, and all of that was read."""
        return self._has_ended and not self._kept

    # Awaited

    async def exactly(self, count: int) -> bytes:
        """Return its next *count* bytes.

        Raises:
            EOFError: it ends before.
        """
        while len(self._kept) < count:
            if self._has_ended:
                raise EOFError
            self._keep(enough=False)
            await self._changes()
        data = bytes(self._kept[:count])
        del self._kept[:count]
        self._keep(enough=len(self._kept) > self._limit)
        return data

    async def read(self) -> bytes:
        """Return what it says next, empty at the end."""
        while not self._kept and not self._has_ended:
            await self._changes()
        return self._taken()

    async def drained(self) -> None:
        """Wait until it has taken most of what was written.

        Raises:
            ConnectionResetError: it is gone.
        """
        while self._is_full and not self._is_lost:
            await self._changes()
        if self._is_lost:
            raise ConnectionResetError

    async def close(self, seconds: float) -> None:
        """Close once everything written is sent, unless it is not taken within *seconds*."""
        self.transport.close()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while not self._is_lost:
                    await self._changes()

    # Heard

    def hear(self, said: Callable[[bytes], None], over: Callable[[Exception | None], None]) -> None:
        """From now on tell *said* what it says; and *over* that this was all, with what *said* raised if it did.

        Who raises is told nothing more: there is no saying where in a message it broke off.
        """
        self._said, self._over = said, over
        if self._kept:
            self._hear(self._taken())
        if self._has_ended:
            self._tell_end(None)

    def ignore(self) -> None:
        """Hear it no more; nobody feeds it any more."""
        self._said = self._over = None
        self.feed_from(None)

    def feed_from(self, source: "Peer | None") -> None:
        """Hold *source* while more is written than is taken, because what it says is what is written."""
        if self._is_full and self._source is not None:
            self._source.release()
        self._source = source
        if self._is_full and source is not None:
            source.hold()

    def hold(self) -> None:
        """Read nothing from it until this is taken back."""
        self._holds += 1
        if self._holds == 1 and not self._is_closing:
            self.transport.pause_reading()

    def release(self) -> None:
        """Take back one ``hold``."""
        self._holds -= 1
        if self._holds == 0 and not self._is_closing:
            self.transport.resume_reading()

    # Told

    def write(self, data: bytes) -> None:
        """Tell it *data*, now or when it takes it."""
        if not self._is_lost:
            self.transport.write(data)

    def abort(self) -> None:
        """End the connection at once."""
        self.transport.abort()

    # By the transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep what carries the connection."""
        self._transport = cast(asyncio.Transport, transport)
        if self._made is not None:
            self._made(self)

    def data_received(self, data: bytes) -> None:
        """Hand on what came, or keep it for whoever asks."""
        if self._said is not None:
            self._hear(data)
            return
        self._kept += data
        if len(self._kept) > self._limit:
            self._keep(enough=True)
        self._changed()

    def eof_received(self) -> bool:
        """Take note of the end; it can be answered still, but not over TLS."""
        self._end()
        return self.transport.get_extra_info("sslcontext") is None

    def connection_lost(self, _exc: Exception | None) -> None:
        """Tell everybody that waits."""
        self._is_lost = True
        self._end()

    def pause_writing(self) -> None:
        """Hold whoever's words it does not take."""
        self._is_full = True
        if self._source is not None:
            self._source.hold()

    def resume_writing(self) -> None:
        """Let them go on."""
        self._is_full = False
        if self._source is not None:
            self._source.release()
        self._changed()

    @property
    def _is_closing(self) -> bool:
        return self._is_lost or self.transport.is_closing()

    def _hear(self, data: bytes) -> None:
        assert self._said is not None
        try:
            self._said(data)
        except Exception as fault:  # noqa: BLE001 - it is raised where the end is waited for, as a task's is
            self._said = None
            self._tell_end(fault)

    def _end(self) -> None:
        self._has_ended = True
        self._tell_end(None)
        self._changed()

    def _tell_end(self, fault: Exception | None) -> None:
        over, self._over = self._over, None
        if over is not None:
            over(fault)

    def _taken(self) -> bytes:
        data = bytes(self._kept)
        self._kept.clear()
        self._keep(enough=False)
        return data

    def _keep(self, enough: bool) -> None:
        if enough != self._keeps_enough:
            self._keeps_enough = enough
            if enough:
                self.hold()
            else:
                self.release()

    async def _changes(self) -> None:
        """Wait until something has changed; one at a time waits for a connection."""
        assert self._change is None
        self._change = asyncio.get_running_loop().create_future()
        try:
            await self._change
        finally:
            self._change = None

    def _changed(self) -> None:
        if self._change is not None and not self._change.done():
            self._change.set_result(None)
