"""The host's end of the tunnel: connections from inside a sandbox, each served as if it had come to a socket here.

A connection is carried in frames of the one stream to the sandbox. Each side may have ``WINDOW`` bytes of it
under way that the other's end has not taken, so a connection that nobody reads holds up nothing else, and a
session's memory is bounded. What comes from inside is not trusted: who sends more than that, or opens more
than ``CONNECTIONS``, ends the session. The runner's end is ``cataloger_sandbox.tunnel``.
"""

import asyncio
from collections.abc import Callable
from typing import Protocol

from cataloger_dagster.errors import SandboxError
from cataloger_dagster.sandbox.frames import DATA_LIMIT, Frame, Kind
from cataloger_dagster.sandbox.peer import Peer

WINDOW = 1 << 20
"""Bytes of a connection that may be under way in one direction; the runner's is the same."""

CONNECTIONS = 64
"""Connections at a time; the runner keeps to as many."""

HELD = 64 << 10
"""Bytes that a server leaves unread before no more credit is given."""

_HIGH, _LOW = 256 << 10, 64 << 10  # bytes a server has written that wait for credit: where it waits, and goes on

Send = Callable[[Kind, int, bytes], None]


class Server(Protocol):
    """Who serves the connections from inside; all calls are made in one event loop."""

    async def serve(self, client: Peer) -> None:
        """Serve one connection until either side ends it, and close *client*."""

    async def close(self) -> None:
        """End every connection."""


class Tunnel:
    """The connections of one session, given to *send* frames with; lives in one event loop."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._server: Server | None = None
        self._connections: dict[int, Connection] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._last = 0

    def serve(self, server: Server) -> None:
        """Have *server* serve the connections from now on; without one each is closed at once."""
        self._server = server

    def take(self, frame: Frame) -> None:
        """Do what a frame says.

        Raises:
            SandboxError: it says what our runner never says.
        """
        kind, number, body = frame
        if kind == Kind.OPEN:
            self._open(number)
            return
        if number > self._last:
            raise SandboxError(f"the sandbox speaks of a connection that was never opened: {number}")
        connection = self._connections.get(number)
        if connection is not None:  # else it has crossed our own word of the end
            connection.take(kind, body)
            if connection.is_over:
                self._forget(connection, None)

    def lost(self) -> None:
        """Tell every connection that the stream has ended."""
        for connection in list(self._connections.values()):
            self._forget(connection, ConnectionResetError("the sandbox has ended"))

    async def close(self) -> None:
        """End every connection and wait for those who serve them."""
        self.lost()
        if self._server is not None:
            await self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _open(self, number: int) -> None:
        if number != self._last + 1 or len(self._connections) >= CONNECTIONS:
            raise SandboxError(f"the sandbox opens connection {number} after {self._last}, at {len(self._connections)}")
        self._last = number
        if self._server is None:
            self._send(Kind.CLOSE, number, b"")
            return
        client = Peer(HELD)
        connection = Connection(number, self._send, client, lambda: self._forget(connection, None))
        self._connections[number] = connection
        client.connection_made(connection)
        task = self.attend(self._server, client)
        task.add_done_callback(lambda _: connection.close())

    def attend(self, server: Server, client: Peer) -> asyncio.Task[None]:
        """Have *server* serve one connection, until ``close`` at the latest."""
        task = asyncio.get_running_loop().create_task(server.serve(client))
        self._tasks.add(task)
        task.add_done_callback(self._served)
        return task

    def _served(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        error = None if task.cancelled() else task.exception()
        if error is not None:  # as asyncio's own servers do: one connection's fault is not the session's
            told = {"message": "a connection from a sandbox failed", "exception": error, "task": task}
            task.get_loop().call_exception_handler(told)

    def _forget(self, connection: "Connection", error: Exception | None) -> None:
        if self._connections.pop(connection.number, None) is not None:
            connection.lost(error)


class Connection(asyncio.Transport):
    """One connection from inside, as a transport of asyncio's."""

    def __init__(self, number: int, send: Send, protocol: asyncio.Protocol, forget: Callable[[], None]) -> None:
        super().__init__()
        self.number = number
        self._send = send
        self._protocol = protocol
        self._forget = forget
        self._outgoing = bytearray()
        self._credit = WINDOW  # bytes that the client's end still takes
        self._window = WINDOW  # bytes that we have said we still take
        self._owed = 0  # bytes that the reader has taken and the runner has not been told of
        self._reads = True
        self._writer_waits = False
        self._client_ended = False
        self._ending = False  # END is to be said after what waits
        self._ended = False
        self._closing = False
        self._is_lost = False

    # What comes from inside

    def take(self, kind: Kind, body: bytes) -> None:
        """Do what a frame of this connection says."""
        if kind == Kind.CREDIT:
            self._credit += int.from_bytes(body)
            if self._credit > WINDOW:
                raise SandboxError(f"the sandbox gives more credit than it was sent: {self._credit:,} bytes")
            self._flush()
        elif kind == Kind.CLOSE:
            self._is_lost = True
        elif self._client_ended:
            raise SandboxError("the sandbox goes on with a connection that it ended")
        elif kind == Kind.DATA:
            self._window -= len(body)
            if self._window < 0:
                raise SandboxError(f"the sandbox sends more than {WINDOW:,} bytes that were not taken")
            if not self._closing:
                self._owed += len(body)
                self._protocol.data_received(body)
                self._give_credit()
        else:
            self._client_ended = True
            if not self._closing and not self._protocol.eof_received():
                self.close()

    @property
    def is_over(self) -> bool:
        """Whether neither side has anything left to say."""
        return self._is_lost or (self._client_ended and self._ended)

    def lost(self, error: Exception | None) -> None:
        """Tell who serves it that the connection is gone."""
        self._is_lost = self._closing = True
        self._outgoing.clear()
        self._protocol.connection_lost(error)

    def _give_credit(self) -> None:
        # What the reader holds back it has not taken, and pauses us for.
        if self._reads and self._owed >= WINDOW // 2 and not self._client_ended:
            self._window += self._owed
            self._send(Kind.CREDIT, self.number, self._owed.to_bytes(4))
            self._owed = 0

    # What the server says

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Send *data* as far as there is credit; the rest waits."""
        if self._closing or self._ending:
            return
        self._outgoing += data
        self._flush()

    def _flush(self) -> None:
        outgoing = self._outgoing
        while outgoing and self._credit and not self._is_lost:
            chunk = bytes(outgoing[: min(self._credit, DATA_LIMIT)])
            del outgoing[: len(chunk)]
            self._credit -= len(chunk)
            self._send(Kind.DATA, self.number, chunk)
        if not outgoing and not self._is_lost:
            if self._closing:
                self.abort()
                return
            if self._ending and not self._ended:
                self._ended = True
                self._send(Kind.END, self.number, b"")
                if self.is_over:
                    self._forget()
                    return
        if not self._writer_waits and len(outgoing) > _HIGH:
            self._writer_waits = True
            self._protocol.pause_writing()
        elif self._writer_waits and len(outgoing) <= _LOW:
            self._writer_waits = False
            self._protocol.resume_writing()

    def write_eof(self) -> None:
        """Say that no more will be written, after what waits."""
        self._ending = True
        self._flush()

    def can_write_eof(self) -> bool:
        """Say that ``write_eof`` works."""
        return True

    def close(self) -> None:
        """End the connection after what waits; what comes from inside is thrown away."""
        if not self._closing:
            self._closing = True
            self._flush()

    def abort(self) -> None:
        """End the connection now."""
        if not self._is_lost:
            self._is_lost = self._closing = True
            self._send(Kind.CLOSE, self.number, b"")
            self._forget()

    def is_closing(self) -> bool:
        """Say whether the connection is gone or about to be."""
        return self._closing

    def pause_reading(self) -> None:
        """Give no more credit."""
        self._reads = False

    def resume_reading(self) -> None:
        """Give credit for what was taken meanwhile."""
        self._reads = True
        self._give_credit()

    def get_write_buffer_size(self) -> int:
        """Return the bytes that wait."""
        return len(self._outgoing)
