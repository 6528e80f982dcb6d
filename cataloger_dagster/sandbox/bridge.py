"""A plain socket for a link that is none: TLS or SSH to an engine, whose libraries an event loop can't wait for."""

import contextlib
import select
import socket
import ssl
import threading
from collections.abc import Iterator
from typing import Any

_CHUNK = 1 << 18
_PATIENCE = 0.05  # seconds; a link of SSH can't be waited for until it takes more


@contextlib.contextmanager
def plain(link: Any) -> Iterator[socket.socket]:
    """Yield *link* itself if it is a plain socket, else one whose bytes a thread carries to *link* and back.

    What is no plain socket has ``recv``, ``send``, ``setblocking`` and ``fileno`` of one. The thread ends when
    either side does, or the context is left.
    """
    if type(link) is socket.socket:
        yield link
        return
    near, far = socket.socketpair()
    left = threading.Event()
    thread = threading.Thread(target=_carry, args=[link, far, left], name="bridge", daemon=True)
    thread.start()
    try:
        with near:
            yield near
    finally:
        left.set()
        # To close it is not enough: an event loop, which may be what leaves, holds it open until its next turn.
        with contextlib.suppress(OSError):
            far.shutdown(socket.SHUT_RDWR)
        thread.join()
        link.close()


def _carry(link: Any, far: socket.socket, left: threading.Event) -> None:
    """Carry bytes both ways, in one thread: TLS takes no two at once."""
    link.setblocking(False)
    far.setblocking(False)
    inward, outward = b"", b""
    with far, contextlib.suppress(OSError):
        while not left.is_set():
            readers = [*([] if inward else [link]), *([] if outward else [far])]
            writers = [*([far] if inward else []), *([link] if outward else [])]
            # What TLS has decrypted already no descriptor tells of.
            waits = not (not inward and isinstance(link, ssl.SSLSocket) and link.pending())
            select.select(readers, writers, [], (_PATIENCE if outward else None) if waits else 0)
            if not inward and (chunk := _received(link)) is not None:
                if not chunk:
                    return
                inward = chunk
            if not outward and (chunk := _received(far)) is not None:
                if not chunk:
                    return
                outward = chunk
            inward = _sent(far, inward)
            outward = _sent(link, outward)


def _received(link: Any) -> bytes | None:
    """Return what is there, empty at the end, null if nothing is there yet."""
    try:
        return bytes(link.recv(_CHUNK))
    except (BlockingIOError, TimeoutError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
        return None


def _sent(link: Any, data: bytes) -> bytes:
    """Send what *link* takes now of *data*, and return the rest."""
    try:
        return data[link.send(data) :] if data else data
    except (BlockingIOError, TimeoutError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
        return data
