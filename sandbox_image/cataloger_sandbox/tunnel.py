"""The way from inside to the database's server: a socket here, whose connections the host serves.

Each connection is carried over the stream to the host, beside the requests and replies. Both sides may have
``WINDOW`` bytes of it under way that the other's end has not taken, so one that nobody reads holds up nothing
else. The socket has an abstract name: no code in here can remove it or put another in its place.
"""

import os
import socket
import struct
from collections import deque
from contextlib import suppress
from secrets import token_hex

from cataloger_sandbox.host import Host
from cataloger_sandbox.wire import CLOSE, CREDIT, DATA, DATA_LIMIT, END, OPEN

WINDOW = 1 << 20
"""Bytes of a connection that may be under way in one direction; the host's is the same."""

CONNECTIONS = 64
"""Connections at a time; one more is closed at once."""

PORT = 5432

_PEER = struct.Struct("iII")  # what SO_PEERCRED tells: process, user, group


def answers(folder: str) -> bool:
    """Say whether the host serves a socket in *folder*, so that no tunnel is needed."""
    with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as link:
        link.settimeout(1.0)
        link.connect(f"{folder}/.s.PGSQL.{PORT}")
        return True
    return False


class Connection:
    """One client of the socket, and how far either side has come."""

    def __init__(self, number: int, client: socket.socket) -> None:
        self.number, self.client = number, client
        self.credit = WINDOW  # bytes that the host still takes
        self.taken = 0  # bytes that the client has taken and the host has not been told of
        self.outgoing: deque[memoryview] = deque()
        self.client_ended = False
        self.host_ended = False
        self.host_gone = False

    def fileno(self) -> int:
        """Return the descriptor to wait for."""
        return self.client.fileno()


class Tunnel:
    """Carries connections to *host*, none before ``listen``."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._listener: socket.socket | None = None
        self._place = ""
        self._connections: dict[int, Connection] = {}
        self._last = 0

    def listen(self) -> str:
        """Listen, if that is not so yet, and return the ``host`` that PostgreSQL's clients connect to."""
        if self._listener is None:
            # The colon keeps psycopg from looking the name up as a host's.
            self._place = f":cataloger-{token_hex(8)}"
            self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            self._listener.bind(f"\0{self._place}/.s.PGSQL.{PORT}")
            self._listener.listen(CONNECTIONS)
            self._listener.setblocking(False)
        return f"@{self._place}"

    def readers(self) -> list[Connection | socket.socket]:
        """Return what is to be read from as soon as it can be."""
        waiting: list[Connection | socket.socket] = []
        if self._listener is not None:
            waiting.append(self._listener)
        if not self._host.is_behind:
            waiting += [each for each in self._connections.values() if each.credit and not each.client_ended]
        return waiting

    def writers(self) -> list[Connection]:
        """Return what is to be written to as soon as it can be."""
        return [each for each in self._connections.values() if each.outgoing]

    def pass_on(self, readable: list[Connection | socket.socket], writable: list[Connection]) -> None:
        """Carry what is there; raises ``HostGone``."""
        for connection in writable:
            self._write(connection)
        for ready in readable:
            if isinstance(ready, socket.socket):
                self._accept(ready)
            elif ready.number in self._connections:
                self._read(ready)

    def take(self, kind: int, number: int, body: bytes) -> None:
        """Do what the host says of a connection; what it says of one that is gone has crossed our own word."""
        connection = self._connections.get(number)
        if connection is None:
            return
        if kind == CREDIT:
            connection.credit += int.from_bytes(body)
            return
        if kind == DATA:
            connection.outgoing.append(memoryview(body))
        elif kind in (END, CLOSE):
            connection.host_ended = True
            connection.host_gone |= kind == CLOSE
        self._write(connection)

    def _accept(self, listener: socket.socket) -> None:
        try:
            client, _ = listener.accept()
        except OSError:  # it has thought better of it, or there are no descriptors left
            return
        _, user, _ = _PEER.unpack(client.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _PEER.size))
        # Where no namespace is between us and other users of the machine, they see the socket too.
        if user != os.getuid() or len(self._connections) >= CONNECTIONS:
            client.close()
            return
        client.setblocking(False)
        self._last += 1
        self._connections[self._last] = Connection(self._last, client)
        self._host.send(OPEN, self._last)

    def _read(self, connection: Connection) -> None:
        try:
            chunk = connection.client.recv(min(connection.credit, DATA_LIMIT))
        except BlockingIOError:
            return
        except OSError:
            self._forget(connection, told=False)
            return
        if chunk:
            connection.credit -= len(chunk)
            self._host.send(DATA, connection.number, chunk)
            return
        connection.client_ended = True
        self._host.send(END, connection.number)
        self._settle(connection)

    def _write(self, connection: Connection) -> None:
        """Write what the client takes now, and tell the host in large steps how much that was."""
        outgoing = connection.outgoing
        try:
            while outgoing:
                count = connection.client.send(outgoing[0])
                connection.taken += count
                if count < len(outgoing[0]):
                    outgoing[0] = outgoing[0][count:]
                else:
                    outgoing.popleft()
        except BlockingIOError:
            pass
        except OSError:
            self._forget(connection, told=connection.host_gone)
            return
        if connection.taken >= WINDOW // 2 and not connection.host_ended:
            self._host.send(CREDIT, connection.number, connection.taken.to_bytes(4))
            connection.taken = 0
        self._settle(connection)

    def _settle(self, connection: Connection) -> None:
        """End what has ended, once the client has been given all."""
        if connection.outgoing or not connection.host_ended:
            return
        if connection.host_gone or connection.client_ended:
            self._forget(connection, told=True)
            return
        with suppress(OSError):
            connection.client.shutdown(socket.SHUT_WR)

    def _forget(self, connection: Connection, told: bool) -> None:
        """Let go of a connection; the host is told unless it knows."""
        if self._connections.pop(connection.number, None) is not None:
            connection.client.close()
            if not told:
                self._host.send(CLOSE, connection.number)
