"""A forked process as the supervisor sees it: what it is told, what it tells and prints, how it ended.

What runs in it is in ``worker``; who starts, times and ends it is ``runner``.
"""

import fcntl
import os
import signal
import socket
import struct
from collections import deque
from contextlib import suppress

from cataloger_sandbox import worker
from cataloger_sandbox.output import Output
from cataloger_sandbox.wire import packets

_PIPE = 1 << 20
_PACKETS = 64  # taken in one go: a flood must not keep us from the clock
_SET_PIPE_SIZE = 1031  # fcntl.F_SETPIPE_SZ


class Child:
    """A process of the supervisor's: its channel, its output, its end."""

    def __init__(self) -> None:
        self.channel, self.far_channel = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.output_end, self.far_output = os.pipe()
        with suppress(OSError):  # the user's pipes are limited; a small one works too
            fcntl.fcntl(self.output_end, _SET_PIPE_SIZE, _PIPE)
        self.channel.setblocking(False)
        os.set_blocking(self.output_end, False)
        self.pid: int | None = None
        self.is_settled = False
        self.gone = False
        self.status: int | None = None
        self.output = Output()
        self.output_open = True
        self.outgoing: deque[bytes] = deque()
        self.incoming: deque[bytes] = deque()
        self.cell: int | None = None
        self.outcome: int | None = None

    def forked(self) -> None:
        """Let go of the process's own ends."""
        self.far_channel.close()
        os.close(self.far_output)

    def become(self, kind: bytes, file: int | None) -> None:
        """Tell the process what it is; raises OSError if it is gone."""
        socket.send_fds(self.channel, [kind], [] if file is None else [file])

    def send(self, message: bytes) -> None:
        """Queue a message."""
        self.outgoing.extend(packets(message))

    def write(self) -> None:
        """Send what the channel takes now."""
        try:
            while self.outgoing:
                self.channel.send(self.outgoing[0])
                self.outgoing.popleft()
        except BlockingIOError:
            pass
        except OSError:
            self.outgoing.clear()

    def await_cell(self, number: int) -> None:
        """From now on take nothing from the process but how cell *number* ended."""
        self.cell, self.outcome = number, None

    def read(self) -> None:
        """Take the packets that are there, as far as they mean anything."""
        for _ in range(_PACKETS):
            try:
                packet = self.channel.recv(1 << 17)
            except BlockingIOError:
                return
            except OSError:
                packet = b""
            if not packet:
                self.gone = True
                return
            if self.pid is None:
                (self.pid,) = struct.unpack(">I", packet)
            elif not self.is_settled:
                self.is_settled = True
            elif self.cell is None:
                self.incoming.append(packet)
            elif len(packet) == worker.OUTCOME.size:
                number, ending = worker.OUTCOME.unpack(packet)
                if number == self.cell and ending in (worker.DONE, worker.RAISED, worker.EXITED):
                    self.outcome = ending

    def drain(self, most: int = _PIPE) -> None:
        """Take the output that is there, at most what a full pipe holds."""
        while most > 0:
            try:
                chunk = os.read(self.output_end, 1 << 18)
            except BlockingIOError:
                return
            if not chunk:
                self.output_open = False
                return
            most -= len(chunk)
            self.output.add(chunk)

    def message(self) -> bytes | None:
        """Return a whole message if one has come."""
        if not self.incoming:
            return None
        (length,) = struct.unpack(">I", self.incoming[0])
        if sum(map(len, self.incoming)) < 4 + length:
            return None
        self.incoming.popleft()
        body = b"".join(self.incoming)
        self.incoming.clear()
        return body

    def close(self) -> None:
        """Close our ends."""
        self.channel.close()
        os.close(self.output_end)

    def ending(self) -> str:
        """Say how the process ended."""
        if self.status is None:
            return "ended"
        if os.WIFSIGNALED(self.status):
            number = os.WTERMSIG(self.status)
            if number == signal.SIGKILL:
                return "was killed, most likely because it used up the memory"
            return f"was killed by {signal.Signals(number).name}"
        return f"ended with exit code {os.WEXITSTATUS(self.status)}"
