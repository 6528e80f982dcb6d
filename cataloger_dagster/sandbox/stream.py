"""The one stream to a runner, owned by a thread of its own: replies go to whoever asked, connections to the tunnel.

The thread runs an event loop, so connections are carried while a cell runs and between two cells alike. What is
asked and answered is in ``runner``.
"""

import asyncio
import contextlib
import functools
import queue
import socket
import threading
from collections.abc import Callable, Coroutine, Iterable
from concurrent.futures import Future
from types import TracebackType
from typing import Any, Protocol, Self, cast

import uvloop

from cataloger_dagster.errors import SandboxError
from cataloger_dagster.sandbox.frames import Frames, Kind, pack
from cataloger_dagster.sandbox.peer import Peer
from cataloger_dagster.sandbox.tunnel import HELD, Server, Tunnel

BEAT = 20.0
"""Seconds after which the runner is told again that we are there."""


class Decoder(Protocol):
    """What lies around the runner's bytes on a link."""

    def decode(self, data: bytes) -> bytes:
        """Return the bytes of *data* that are the runner's."""

    def complaint(self) -> str:
        """Return what the runner wrote to its standard error, as far as it is known."""


class Stream(asyncio.Protocol):
    """Carries frames over *link*, a plain stream socket; leaving the context hangs up."""

    def __init__(self, link: socket.socket, decoder: Decoder) -> None:
        self._link = link
        self._decoder = decoder
        self._frames = Frames()
        self._loop = uvloop.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="sandbox", daemon=True)
        self._connecting: asyncio.Task[None] | None = None
        self._transport: asyncio.Transport | None = None
        self._tunnel = Tunnel(self._send)
        self._door: asyncio.AbstractServer | None = None
        self._replies: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._awaited = 0  # replies
        self._takes = asyncio.Event()  # more to be written
        self._end: str | None = None

    def __enter__(self) -> Self:
        self._thread.start()
        try:
            self._run(self._connect)
        except BaseException:
            # An interrupt leaves what connects at work: a loop that is closed meanwhile takes the process with it.
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._run(self._close)
        finally:
            self._stop()

    def serve(self, server: Server, door: socket.socket | None = None) -> None:
        """Have *server* serve the connections from inside, and those to the listening socket *door*, from now on."""
        self._run(lambda: self._serve(server, door))

    def ask(self, request: bytes, seconds: float, file: Iterable[bytes] = ()) -> bytes:
        """Send *request*, and the parts of the *file* that it announces, and return the runner's reply.

        Raises:
            SandboxError: there is none within *seconds*, or the stream has ended.
        """
        if self._end is not None:
            raise SandboxError(self._end)
        self._loop.call_soon_threadsafe(self._request, request)
        for part in file:
            self._run(functools.partial(self._send_part, part))
        try:
            reply = self._replies.get(timeout=max(seconds, 0.001))
        except queue.Empty:
            # A reply that comes after all must not be taken for the next one's.
            self._end = "the sandbox did not answer in time, and was given up"
            raise SandboxError("the sandbox does not answer; see whether its machine is overloaded") from None
        if reply is None:
            raise SandboxError(str(self._end))
        return reply

    def _run(self, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Have *work* done in the loop. Its coroutine is made there: here an interrupt might leave it never begun."""
        outcome: Future[None] = Future()
        held: list[asyncio.Task[None]] = []  # the loop's own hold on a task is a weak one

        def told(task: asyncio.Task[None]) -> None:
            if error := asyncio.CancelledError() if task.cancelled() else task.exception():
                outcome.set_exception(error)
            else:
                outcome.set_result(None)

        def begin() -> None:
            held.append(self._loop.create_task(work()))
            held[0].add_done_callback(told)

        self._loop.call_soon_threadsafe(begin)
        outcome.result()

    def _stop(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    # In the loop

    async def _connect(self) -> None:
        self._connecting = asyncio.current_task()
        unix = self._link.family == socket.AF_UNIX
        connect = self._loop.create_unix_connection if unix else self._loop.create_connection
        await connect(lambda: self, sock=self._link)

    async def _serve(self, server: Server, door: socket.socket | None) -> None:
        self._tunnel.serve(server)
        if door is not None:
            self._door = await self._loop.create_unix_server(
                lambda: Peer(HELD, lambda client: self._tunnel.attend(server, client)), sock=door
            )

    async def _close(self) -> None:
        if self._connecting is not None:
            await asyncio.wait([self._connecting])
        if self._door is not None:
            self._door.close()
        await self._tunnel.close()
        self._fail(self._gone("it was left"))
        # Others may hold the socket open.
        with contextlib.suppress(OSError):
            self._link.shutdown(socket.SHUT_RDWR)
        await asyncio.sleep(0)  # for the transport to close it

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep what is written to."""
        self._transport = cast(asyncio.Transport, transport)
        self._takes.set()
        self._loop.call_later(BEAT, self._beat)

    def pause_writing(self) -> None:
        """Let the file wait: the sandbox does not take it as fast as we read it."""
        self._takes.clear()

    def resume_writing(self) -> None:
        """Go on with the file."""
        self._takes.set()

    def data_received(self, data: bytes) -> None:
        """Hand on what came."""
        if self._end is not None:
            return
        try:
            for frame in self._frames.feed(self._decoder.decode(data)):
                if frame.kind == Kind.MESSAGE:
                    self._reply(frame.body)
                else:
                    self._tunnel.take(frame)
        except SandboxError as error:
            self._fail(str(error))

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell everybody that waits."""
        self._fail(self._gone(str(exc or "")))

    def _beat(self) -> None:
        if self._end is None and self._transport is not None:
            if not self._transport.get_write_buffer_size():  # else it has enough to hear
                self._send(Kind.ALIVE, 0, b"")
            self._loop.call_later(BEAT, self._beat)

    def _request(self, request: bytes) -> None:
        self._awaited += 1
        self._send(Kind.MESSAGE, 0, request)

    async def _send_part(self, part: bytes) -> None:
        await self._takes.wait()
        self._send(Kind.DATA, 0, part)

    def _reply(self, body: bytes) -> None:
        if self._awaited == 0:
            raise SandboxError("the sandbox answers what nobody asked")
        self._awaited -= 1
        self._replies.put(body)

    def _send(self, kind: Kind, connection: int, body: bytes) -> None:
        if self._end is None and self._transport is not None:
            self._transport.write(pack(kind, connection, body))

    def _fail(self, reason: str) -> None:
        """End the stream for good; the first reason stays."""
        if self._end is None:
            self._end = reason
        self._replies.put(None)
        self._takes.set()
        self._tunnel.lost()
        if self._transport is not None:
            self._transport.abort()

    def _gone(self, reason: str) -> str:
        told = "; ".join(filter(None, [reason, self._decoder.complaint().strip()[-1000:]]))
        return f"the sandbox has ended: {told or 'it says nothing; its memory may have been used up'}"
