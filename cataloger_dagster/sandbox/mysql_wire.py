"""What MySQL's client/server protocol says, as far as the relay has to speak and read it. No I/O here.

The format is in MySQL's source documentation, part "Client/Server Protocol": packets of a length (three bytes), a
number and a body; a greeting of version 10 and its answer; OK and ERR; commands by their first byte.
"""

import secrets
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass

LONGEST = 0xFFFFFF
"""The length of a packet that goes on in the next one."""

MOST = (1 << 20) + 1
"""A command of more bytes is refused: a statement of a mebibyte and the byte that says what it is."""

_CONNECT_WITH_DB, _SSL, _COMPRESS, _LOCAL_FILES = 1 << 3, 1 << 11, 1 << 5, 1 << 7
_PROTOCOL_41, _TRANSACTIONS, _SECURE, _MULTI_STATEMENTS = 1 << 9, 1 << 13, 1 << 15, 1 << 16
_MULTI_RESULTS, _PS_MULTI_RESULTS, _PLUGIN_AUTH = 1 << 17, 1 << 18, 1 << 19
_LATER = (1 << 23) | (1 << 24) | (1 << 25) | (1 << 26) | (1 << 27)  # session tracking, no EOF, and what came after

FORM = (
    _COMPRESS | _LOCAL_FILES | _PROTOCOL_41 | _TRANSACTIONS | _MULTI_STATEMENTS | _MULTI_RESULTS | _PS_MULTI_RESULTS
) | _LATER
"""The capabilities that say how what follows is written: both ends of a relay must have agreed on the same."""

QUERY = 3
_ALLOWED = frozenset({1, QUERY, 14})
"""Quit, query, ping.

Not: to use another database, to become another user, to take the log of all changes, to stop or kill, to reset the
session that was made read-only, to send many statements as one, or to prepare one, which the kit's driver does not do.
"""


@dataclass(frozen=True)
class Refused:
    """A command that does not pass: the number of its packet, and why."""

    number: int
    reason: str


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


_QUIT = 1
"""A server says nothing to it."""


class Commands:
    """A client's stream, of which what is allowed passes; ``asks`` says whether the last command wants an answer."""

    def __init__(self, refusal: Callable[[bytes], str | None]) -> None:
        self.asks = False
        self._refusal = refusal
        self._kept = bytearray()
        self._left = 0  # of a packet that does not pass
        self._goes_on = False  # the next packet is a part of one that does not pass

    def take(self, data: bytes) -> Iterator[bytes | Refused]:
        """Yield what passes of *data*, packet by packet, and what is refused; a packet is kept until it is whole."""
        self._kept += data
        while True:
            if self._left:
                dropped = min(self._left, len(self._kept))
                del self._kept[:dropped]
                self._left -= dropped
            if self._left or len(self._kept) < 4:
                return
            length = int.from_bytes(self._kept[:3], "little")
            number = self._kept[3]
            if self._goes_on or length > MOST:
                if not self._goes_on:
                    yield Refused(number, f"a command may have {MOST:,} bytes here, and this one has more")
                del self._kept[:4]
                self._left, self._goes_on = length, length == LONGEST
                continue
            if len(self._kept) < 4 + length:
                return
            whole = bytes(self._kept[: 4 + length])
            del self._kept[: 4 + length]
            reason = self._judged(whole[4:])
            if reason is None:
                self.asks = whole[4] != _QUIT
                yield whole
            else:
                yield Refused(number, reason)

    def _judged(self, body: bytes) -> str | None:
        if not body or body[0] not in _ALLOWED:
            return "a sandbox may ask queries, and nothing else"
        return self._refusal(body[1:]) if body[0] == QUERY else None
