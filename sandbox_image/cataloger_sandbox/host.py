"""The stream to the host: frames that have come, frames that are to go; neither ever waits.

What the frames say is in ``runner`` (requests and replies) and ``tunnel`` (connections).
"""

import os
import sys
import time
from collections import deque
from collections.abc import Iterator

from cataloger_sandbox.wire import HEADER, LIMIT

_READ = 1 << 20
_ENOUGH = 256 << 10


class HostGone(Exception):
    """The host has closed our input or output, or says what is no frame."""


class Host:
    """Frames over two descriptors, which become non-blocking.

    Where there is a *silence*, the host says something more often than every so many seconds, else it is gone: what
    carries its words may be, and then nobody closes our input. It counts from the first word of a host that is *late*.
    """

    def __init__(self, requests: int, replies: int, silence: float | None = None, late: bool = False) -> None:
        self.requests, self.replies, self.silence = requests, replies, silence
        self._heard = None if late else time.monotonic()
        os.set_blocking(requests, False)
        os.set_blocking(replies, False)
        self._incoming = bytearray()
        self._outgoing: deque[memoryview] = deque()
        self._waiting = 0

    @property
    def is_waiting(self) -> bool:
        """Whether something is to be written as soon as the host takes it."""
        return bool(self._outgoing)

    @property
    def is_behind(self) -> bool:
        """Whether so much is to be written that nothing but replies should be added."""
        return self._waiting > _ENOUGH

    @property
    def until(self) -> float | None:
        """When the host is gone unless it says something; null if it need not."""
        return None if self.silence is None or self._heard is None else self._heard + self.silence

    def listen(self) -> None:
        """Take note that nothing was heard up to now; raises ``HostGone`` if that is too long."""
        until = self.until
        if until is not None and time.monotonic() >= until:
            # For whoever is there after all: one that was suspended, say.
            sys.stderr.write(f"no word of its host has come for {self.silence:g} s\n")
            sys.stderr.flush()
            raise HostGone

    def send(self, kind: int, connection: int = 0, body: bytes = b"") -> None:
        """Send a frame, now or when the host takes it; raises ``HostGone``."""
        frame = HEADER.pack(kind, connection, len(body)) + body
        self._outgoing.append(memoryview(frame))
        self._waiting += len(frame)
        self.write()

    def write(self) -> None:
        """Write what the host takes now; raises ``HostGone``."""
        try:
            while self._outgoing:
                frame = self._outgoing[0]
                count = os.write(self.replies, frame)
                self._waiting -= count
                if count < len(frame):
                    self._outgoing[0] = frame[count:]
                else:
                    self._outgoing.popleft()
        except BlockingIOError:
            return
        except OSError:
            raise HostGone from None

    def read(self) -> Iterator[tuple[int, int, bytes]]:
        """Take what is there and yield the frames that are whole: kind, connection, body; raises ``HostGone``."""
        try:
            chunk = os.read(self.requests, _READ)
        except BlockingIOError:
            return
        except OSError:
            chunk = b""
        if not chunk:
            raise HostGone
        self._heard = time.monotonic()
        incoming = self._incoming
        incoming += chunk
        while len(incoming) >= HEADER.size:
            kind, connection, length = HEADER.unpack_from(incoming)
            if length > LIMIT:
                raise HostGone
            end = HEADER.size + length
            if len(incoming) < end:
                return
            body = bytes(incoming[HEADER.size : end])
            del incoming[:end]
            yield kind, connection, body
