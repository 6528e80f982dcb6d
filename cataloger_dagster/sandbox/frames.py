"""Frames between the host and a runner: what both sides put on the one stream between them.

A frame is its kind (a byte), its connection (four bytes, 0 for requests and replies), the length of its body
(four bytes) and the body; numbers are big-endian. ``DATA`` of connection 0 goes to the runner alone: it is a part
of a file that a request has announced, as long as a request may be. The runner's side is ``cataloger_sandbox.wire``;
what carries the frames is ``stream``.
"""

import struct
from collections.abc import Iterator
from enum import IntEnum
from typing import NamedTuple

from cataloger_dagster.errors import SandboxError

LIMIT = 64 << 20
"""Longest request or reply, in bytes; the runner's own limit is the same."""

DATA_LIMIT = 64 << 10
"""Longest body of a connection's frame, in bytes: what a request may have to wait for."""

_HEADER = struct.Struct(">BII")


class Kind(IntEnum):
    """What a frame says.

    ``MESSAGE`` is a request or a reply. The others are of one connection through the tunnel: its begin (said by
    the runner), its bytes, how many more the other side may send (four bytes), that a side has said all, that
    a side is gone. ``ALIVE`` goes to the runner alone, of connection 0: the host is there.
    """

    MESSAGE, OPEN, DATA, CREDIT, END, CLOSE, ALIVE = range(7)


_LENGTHS = {
    Kind.MESSAGE: (0, LIMIT),
    Kind.OPEN: (0, 0),
    Kind.DATA: (1, DATA_LIMIT),
    Kind.CREDIT: (4, 4),
    Kind.END: (0, 0),
    Kind.CLOSE: (0, 0),
}
"""The shortest and the longest body of each kind that a runner sends."""


class Frame(NamedTuple):
    """One frame."""

    kind: Kind
    connection: int
    body: bytes


def pack(kind: Kind, connection: int, body: bytes) -> bytes:
    """Return a frame as bytes."""
    return _HEADER.pack(kind, connection, len(body)) + body


class Frames:
    """Cuts the runner's bytes into frames."""

    def __init__(self) -> None:
        self._received = bytearray()

    def feed(self, data: bytes) -> Iterator[Frame]:
        """Yield the frames that *data* makes whole.

        Raises:
            SandboxError: what came is no frame, or a longer one than may be.
        """
        received = self._received
        received += data
        while len(received) >= _HEADER.size:
            number, connection, length = _HEADER.unpack_from(received)
            if number not in _LENGTHS or (connection == 0) != (number == Kind.MESSAGE):
                raise SandboxError("the sandbox does not speak Cataloger's protocol")
            kind = Kind(number)
            least, most = _LENGTHS[kind]
            if not least <= length <= most:
                raise SandboxError(f"the sandbox announces {kind.name} of {length:,} bytes; at most {most:,}")
            end = _HEADER.size + length
            if len(received) < end:
                return
            body = bytes(received[_HEADER.size : end])
            del received[:end]
            yield Frame(kind, connection, body)
