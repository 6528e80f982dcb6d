"""How the runner's parts talk: frames to the host, messages of packets between our own processes.

A frame is a length of four bytes, big-endian, and JSON. A message is the same over a socket that keeps
packets apart (so bytes that a cell throws at it can't be taken for half of a message). What is said is in
``runner`` and ``worker``.
"""

import json
import os
import socket
import struct
from collections.abc import Iterator
from typing import Any

LIMIT = 64 << 20
"""Longest frame or message, in bytes."""

_PACKET = 64 << 10


def encode(value: Any) -> bytes:
    """Return *value* as JSON; a lone surrogate, which is no text, becomes a question mark."""
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode("utf-8", "replace")


def write_frame(descriptor: int, body: bytes) -> None:
    """Write one frame to the host."""
    rest = memoryview(struct.pack(">I", len(body)) + body)
    while rest:
        rest = rest[os.write(descriptor, rest) :]


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
