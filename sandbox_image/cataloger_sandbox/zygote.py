"""The process that imports what is slow once, and then only forks.

A fork of it has ibis, DuckDB and pandas at hand in milliseconds. It runs no code of anybody's: what its
children run is in ``worker``, who asks for them is in ``runner``.
"""

import gc
import importlib
import os
import signal
import socket
from collections.abc import Callable, Mapping, Sequence

MODULES = ("numpy", "pandas", "cataloger_sandbox.kit")
"""Imported ahead where installed; code that needs another imports it as usual."""

OF_DATABASES = ("pyarrow.pandas_compat", "ibis")
"""What any kind of database needs beside them."""

OF_BACKENDS: Mapping[str, tuple[str, ...]] = {
    "duckdb": ("duckdb", "ibis.backends.duckdb", "ibis.backends.duckdb.converter"),
    "sqlite": ("ibis.backends.sqlite",),
    "postgres": ("ibis.backends.postgres", "cataloger_sandbox.postgres_backend"),
    # Not Ibis's own backend, which looks for another driver before ours has taken its place.
    "mysql": ("pymysql", "ibis.backends.sql.compilers.mysql", "cataloger_sandbox.mysql_backend"),
}
"""What each kind of database needs beside both."""

READY = b"ready"


def import_ahead(backend: str | None = None) -> None:
    """Import what is installed of ``MODULES`` and of what *backend* needs: nothing if it is empty, null is any."""
    wanted = [*MODULES, *(() if backend == "" else OF_DATABASES)]
    for kind, needed in OF_BACKENDS.items():
        if backend in (None, kind):
            wanted += needed
    # The collector finds nothing among modules, and takes a tenth of the time.
    gc.disable()
    for name in wanted:
        try:
            importlib.import_module(name)
        except ImportError:
            continue


Body = Callable[[bytes, socket.socket, int, int | None], None]
"""What a process runs: of a kind, with its channel, its output, and the file that the host sent, if it did."""


def run(requests: socket.socket, backend: str | None, body: Body) -> None:
    """Import ahead for *backend*, say so, then fork a process for each request until *requests* closes.

    A request is the kind of process and the descriptors that *body* is to have.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    import_ahead(backend)
    # Children share our memory as long as the collector leaves our objects alone.
    gc.freeze()
    gc.enable()
    requests.send(READY)
    while True:
        kind, descriptors, _, _ = socket.recv_fds(requests, 64, 3)
        if not kind:
            os._exit(0)
        _fork(kind, descriptors, body)
        for descriptor in descriptors:
            os.close(descriptor)


def _fork(kind: bytes, descriptors: Sequence[int], body: Body) -> None:
    """Fork twice, so that the process is an orphan: the supervisor adopts it and learns of its end."""
    try:
        middle = os.fork()
    except OSError:  # too many processes: the closed channel tells
        return
    if middle:
        os.waitpid(middle, 0)
        return
    try:
        if os.fork() == 0:
            channel, output, *file = descriptors
            body(kind, socket.socket(fileno=channel), output, file[0] if file else None)
    finally:
        os._exit(1)
