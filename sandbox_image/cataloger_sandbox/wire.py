"""How the runner's parts talk: frames to and from the host, messages of packets between our own processes.

A frame is its kind (a byte), its connection (four bytes, 0 for the requests and replies), the length of its
body (four bytes) and the body; numbers are big-endian. The bodies of requests and replies are JSON. A message
is a length of four bytes and JSON over a socket that keeps packets apart (so bytes that a cell throws at it
can't be taken for half of a message). What is said is in ``runner``, ``tunnel`` and ``worker``.
"""

import json
import socket
import struct
from collections.abc import Iterator
from typing import Any

LIMIT = 64 << 20
"""Longest request, reply or message, in bytes."""

DATA_LIMIT = 64 << 10
"""Longest body of a connection's frame, in bytes: what a reply may have to wait for."""

HEADER = struct.Struct(">BII")
"""Kind, connection and length of a frame."""

MESSAGE, OPEN, DATA, CREDIT, END, CLOSE, ALIVE = range(7)
"""Kinds of frames: a request or reply; and of a connection its begin (told by us), its bytes, how many more
bytes the other side may send (four bytes), that a side has said all, and that a side is gone. The bytes of
connection 0, up to ``LIMIT`` in a frame, are those of the file that the host has announced. The last is the host's
word that it is there, and nothing else."""

_PACKET = 64 << 10


def encode(value: Any) -> bytes:
    """Return *value* as JSON; a lone surrogate, which is no text, becomes a question mark."""
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode("utf-8", "replace")


def packets(message: bytes) -> Iterator[bytes]:
    """Yield the packets of a message: its length, then its parts."""
    yield struct.pack(">I", len(message))
    for start in range(0, len(message), _PACKET):
        yield message[start : start + _PACKET]


def send_message(channel: socket.socket, message: bytes) -> None:
    """Send one message, waiting where the channel is full."""
    for packet in packets(message):
        channel.sendall(packet)


def receive_message(channel: socket.socket) -> bytes | None:
    """Wait for one message; null when the other side is gone."""
    header = channel.recv(_PACKET)
    if not header:
        return None
    (length,) = struct.unpack(">I", header)
    message = bytearray()
    while len(message) < length:
        packet = channel.recv(_PACKET)
        if not packet:
            return None
        message += packet
    return bytes(message)
