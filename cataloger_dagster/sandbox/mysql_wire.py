"""What MySQL's client/server protocol says, as far as the relay has to speak and read it. No I/O here.

The format is in MySQL's source documentation, part "Client/Server Protocol": packets of a length (three bytes), a
number and a body; a greeting of version 10 and its answer; OK and ERR; commands by their first byte.
"""

import secrets
import struct
from collections.abc import Iterator

LONGEST = 0xFFFFFF
"""The length of a packet that goes on in the next one."""

_CONNECT_WITH_DB, _SSL, _COMPRESS, _LOCAL_FILES = 1 << 3, 1 << 11, 1 << 5, 1 << 7
_PROTOCOL_41, _TRANSACTIONS, _SECURE, _MULTI_STATEMENTS = 1 << 9, 1 << 13, 1 << 15, 1 << 16
_MULTI_RESULTS, _PS_MULTI_RESULTS, _PLUGIN_AUTH = 1 << 17, 1 << 18, 1 << 19
_LATER = (1 << 23) | (1 << 24) | (1 << 25) | (1 << 26) | (1 << 27)  # session tracking, no EOF, and what came after

FORM = (
    _COMPRESS | _LOCAL_FILES | _PROTOCOL_41 | _TRANSACTIONS | _MULTI_STATEMENTS | _MULTI_RESULTS | _PS_MULTI_RESULTS
) | _LATER
"""The capabilities that say how what follows is written: both ends of a relay must have agreed on the same."""

_ALLOWED = frozenset({1, 2, 3, 4, 9, 14, 22, 23, 24, 25, 26, 28})
"""Quit, use a database, query, list fields, statistics, ping, and the commands of prepared statements.

Not: to become another user, to take the log of all changes, to stop or kill, to reset the session that was made
read-only, or to send many statements as one.
"""


def packet(number: int, body: bytes) -> bytes:
    """Return *body*, which is not of the longest, as a packet."""
    return len(body).to_bytes(3, "little") + bytes([number & 0xFF]) + body


def greeting(version: str, thread: int, capabilities: int) -> bytes:
    """Return a server's first packet, which asks for a password that is not looked at."""
    offered = (capabilities | _SECURE | _PLUGIN_AUTH | _CONNECT_WITH_DB) & ~(_SSL | _COMPRESS | _LOCAL_FILES)
    # No byte of it may be nothing.
    salt = bytes(byte % 127 + 1 for byte in secrets.token_bytes(20))
    body = b"\x0a" + version.encode() + b"\0" + struct.pack("<I", thread) + salt[:8] + b"\0"
    body += struct.pack("<HBHHB", offered & 0xFFFF, 45, 2, offered >> 16, 21) + bytes(10) + salt[8:] + b"\0"
    return packet(0, body + b"mysql_native_password\0")


def capabilities_of(answer: bytes) -> int:
    """Return the capabilities that a client's answer to the greeting (its body) claims."""
    return int.from_bytes(answer[:4], "little")


def ok(number: int) -> bytes:
    """Return the packet that lets a client in."""
    return packet(number, b"\0\0\0\x02\0\0\0")


def error(number: int, text: str, *, greeted: bool = True) -> bytes:
    """Return the packet that refuses something; before a greeting is answered it has no state."""
    state = b"#HY000" if greeted else b""
    return packet(number, b"\xff" + struct.pack("<H", 1105) + state + text.encode()[:1000])


_UNANSWERED = frozenset({1, 24, 25})
"""Quit, and the two about prepared statements that a server says nothing to."""


class Commands:
    """A client's stream, of which what is allowed passes; ``asks`` says whether the last command wants an answer."""

    def __init__(self) -> None:
        self.asks = False
        self._head = bytearray()
        self._left = 0
        self._goes_on = False  # the next packet is a part of this one
        self._passes = True

    def take(self, data: bytes) -> Iterator[bytes | int]:
        """Yield what passes of *data*, and the number of each packet whose command does not."""
        rest = memoryview(data)
        while rest:
            if self._left:
                piece, rest = rest[: self._left], rest[self._left :]
                self._left -= len(piece)
                if self._passes:
                    yield bytes(piece)
                continue
            length = self._length()
            needed = 4 if length is None else self._needed(length)
            missing = needed - len(self._head)
            self._head += rest[:missing]
            rest = rest[missing:]
            length = self._length()
            if length is None or len(self._head) < self._needed(length):
                continue
            if not self._goes_on:
                self._passes = length > 0 and self._head[4] in _ALLOWED
                if self._passes:
                    self.asks = self._head[4] not in _UNANSWERED
                else:
                    yield self._head[3]
            if self._passes:
                yield bytes(self._head)
            self._left = length - (len(self._head) - 4)
            self._goes_on = length == LONGEST
            self._head.clear()

    def _needed(self, length: int) -> int:
        """Return how much of a packet of *length* must be seen: its head, and the command that it begins with."""
        return 5 if length and not self._goes_on else 4

    def _length(self) -> int | None:
        return int.from_bytes(self._head[:3], "little") if len(self._head) >= 4 else None
