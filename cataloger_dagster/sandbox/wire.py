"""Messages of PostgreSQL's protocol, version 3.0, as far as a relay reads or writes them.

The format is in PostgreSQL's manual, part "Frontend/Backend Protocol". Every length that somebody else sends
is checked before anything is read. Who says what, and when, is in ``login`` and ``relay``.
"""

import struct
from collections.abc import Mapping, Sequence

from cataloger_dagster.sandbox.peer import Peer

CANCEL_REQUEST = 80877102
SSL_REQUEST = 80877103
GSS_REQUEST = 80877104
VERSION = 3 << 16

STARTUP_LIMIT = 10_000
"""Longest first packet of a client, in bytes; the server's own limit is the same."""

MESSAGE_LIMIT = 1 << 16
"""Longest message of a server before its first ReadyForQuery, in bytes."""


class ProtocolError(Exception):
    """What was sent is no message of the protocol; the message says what it is instead."""


async def read_startup(client: Peer) -> tuple[int, bytes]:
    """Return the code of a client's first packet (a request's, or the protocol's version) and what follows it.

    Raises:
        ProtocolError: its length is impossible.
        EOFError: it is cut short.
    """
    length, code = struct.unpack(">II", await client.exactly(8))
    if not 8 <= length <= STARTUP_LIMIT:
        raise ProtocolError(f"a first packet of {length:,} bytes; it has 8 to {STARTUP_LIMIT:,}")
    return code, await client.exactly(length - 8)


async def read_message(server: Peer) -> tuple[bytes, bytes]:
    """Return the kind of a server's message, one byte, and its body.

    Raises:
        ProtocolError: it is longer than anything a server says before the first query.
        EOFError: it is cut short.
    """
    kind, length = struct.unpack(">cI", await server.exactly(5))
    if not 4 <= length <= MESSAGE_LIMIT:
        raise ProtocolError(f"a message {kind!r} of {length:,} bytes during the login")
    return kind, await server.exactly(length - 4)


def request(code: int, body: bytes = b"") -> bytes:
    """Return a client's first packet."""
    return struct.pack(">II", 8 + len(body), code) + body


def message(kind: bytes, body: bytes) -> bytes:
    """Return a message of either side."""
    return kind + struct.pack(">I", 4 + len(body)) + body


def startup(parameters: Mapping[str, str]) -> bytes:
    """Return the packet that begins a connection."""
    pairs = b"".join(f"{name}\0{value}\0".encode() for name, value in parameters.items())
    return request(VERSION, pairs + b"\0")


def parameters_of(body: bytes) -> dict[str, str]:
    """Return what a startup packet says.

    Raises:
        ProtocolError: it is no list of names and values.
    """
    parts = body.split(b"\0")
    # An empty name ends the list; split makes one more part behind it.
    if len(parts) < 2 or len(parts) % 2 or parts[-2:] != [b"", b""]:
        raise ProtocolError("a startup packet that is no list of names and values")
    try:
        text = [part.decode() for part in parts[:-2]]
    except UnicodeDecodeError:
        raise ProtocolError("a startup packet that is not in UTF-8") from None
    return dict(zip(text[::2], text[1::2], strict=True))


def error(code: str, text: str, severity: str = "FATAL", *, hint: str | None = None, place: int | None = None) -> bytes:
    """Return an error with its SQLSTATE, so that any client shows *text*; by itself it ends the connection.

    *place* is the character of the statement, from 1, that it is about.
    """
    fields = {"S": severity, "V": severity, "C": code, "M": text, "H": hint, "P": place}
    told = "".join(f"{kind}{str(value).replace(chr(0), '')}\0" for kind, value in fields.items() if value is not None)
    return message(b"E", told.encode("utf-8", "replace") + b"\0")


def sqlstate(body: bytes) -> str:
    """Return the SQLSTATE of a server's error, empty if it names none."""
    return next((field[1:].decode("ascii", "replace") for field in body.split(b"\0") if field[:1] == b"C"), "")


def negotiation(names: Sequence[str]) -> bytes:
    """Return the answer to a client of a later minor version, or one with options *names*: 3.0, without them."""
    return message(b"v", struct.pack(">II", VERSION, len(names)) + b"".join(f"{name}\0".encode() for name in names))


class Boundaries:
    """Follows the messages in a stream of them; ``statuses`` are the last chunk's ParameterStatus, their bodies."""

    def __init__(self) -> None:
        self._held = b""
        self.left = 0
        self.statuses: list[bytes] = []

    @property
    def between(self) -> bool:
        """Whether what was passed on ends where a message ends."""
        return self.left == 0

    def release(self) -> bytes:
        """Return what is held back, to be followed again."""
        held, self._held = self._held, b""
        return held

    def follow(self, chunk: bytes) -> tuple[bytes, int]:
        """Return what of the stream can be passed on now, and where in it the last message begins.

        A head cut in two is held back, and so is a ParameterStatus. Where no message begins, that place is 0; ``left``
        is the number of bytes that the last message still lacks.

        Raises:
            ProtocolError: a length is impossible.
        """
        if self._held:
            chunk, self._held = self._held + chunk, b""
        place, last, end = self.left, 0, len(chunk)
        unpack = _LENGTH.unpack_from
        self.statuses = []
        while place + 5 <= end:
            (length,) = unpack(chunk, place + 1)
            if length < 4:
                raise ProtocolError(f"a message of {length} bytes")
            if chunk[place] == _STATUS and length <= MESSAGE_LIMIT:
                if place + 1 + length > end:
                    break
                self.statuses.append(chunk[place + 5 : place + 1 + length])
            last = place
            place += 1 + length
        if place < end:
            chunk, self._held = chunk[:place], chunk[place:]
            end = place
        self.left = place - end
        return chunk, last


_LENGTH = struct.Struct(">I")
_STATUS = ord("S")
