"""Streams that stall: the server keeps the connection alive with pings and sends nothing else.

The SDK passes over pings, so nobody who reads its events would notice; a connection on which not even pings come
is ended by the client's own time-out.
"""

import contextlib
import socket
import threading
from time import monotonic
from types import TracebackType
from typing import Any, Self

STALL_SECONDS = 600.0
"""How long a stream may hold pings alone: a model that thinks without showing it is silent for minutes."""


class Watch:
    """Cuts the connection of *response* when ``saw`` was not called for *seconds*; ``stalled`` says that it did."""

    def __init__(self, response: Any, seconds: float) -> None:
        self.stalled = False
        self._response, self._seconds, self._last = response, seconds, monotonic()
        self._left = threading.Event()
        self._watcher = threading.Thread(target=self._watch, name="watch of a stream", daemon=True)

    def saw(self) -> None:
        """Note that something came."""
        self._last = monotonic()

    def __enter__(self) -> Self:
        self._watcher.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._left.set()
        self._watcher.join()

    def _watch(self) -> None:
        while not self._left.wait(max(0.0, self._last + self._seconds - monotonic())):
            if monotonic() - self._last >= self._seconds:
                self.stalled = True
                # Closed, the reader would go on waiting; cut, it wakes.
                connection = self._response.extensions["network_stream"].get_extra_info("socket")
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)
                return
