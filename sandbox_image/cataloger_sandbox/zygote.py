"""The process that imports what is slow once, and then only forks.

A fork of it has ibis, DuckDB and pandas at hand in milliseconds. It runs no code of anybody's: what its
children run is in ``worker``, who asks for them is in ``runner``.
"""

import gc
import importlib
import importlib.util
import os
import signal
import socket
import sys
import warnings
from collections.abc import Callable, Mapping
from typing import Any

MODULES = ("numpy", "pandas", "cataloger_sandbox.kit")
"""Imported ahead where installed; code that needs another imports it as usual."""

OF_DATABASES = ("pyarrow.pandas_compat", "ibis")
"""What any kind of database needs beside them."""

OF_BACKENDS: Mapping[str, tuple[str, ...]] = {
    "duckdb": ("duckdb", "ibis.backends.duckdb", "ibis.backends.duckdb.converter"),
    "sqlite": ("ibis.backends.sqlite",),
    "postgres": ("ibis.backends.postgres", "cataloger_sandbox.postgres_backend"),
    # Not Ibis's own backend, which looks for another driver before ours has taken its place.
    "mysql": ("pymysql", "cataloger_sandbox.mysql_driver", "cataloger_sandbox.mysql_backend"),
}
"""What each kind of database needs beside both, and beside its one of the ``COMPILERS``."""

COMPILERS = "ibis.backends.sql.compilers"
"""A package that imports Ibis's compilers of twenty kinds of databases, and with them as many dialects of SQLGlot."""

READY = b"ready"


def import_ahead(backend: str | None = None) -> None:
    """Import what is installed of ``MODULES`` and of what *backend* needs: nothing if it is empty, null is any."""
    wanted = [*MODULES, *(() if backend == "" else OF_DATABASES)]
    for kind, needed in OF_BACKENDS.items():
        if backend in (None, kind):
            wanted += [f"{COMPILERS}.{kind}", *needed]
    # The collector finds nothing among modules, and takes a tenth of the time.
    gc.disable()
    if backend != "":
        _put_off(COMPILERS)
    for name in wanted:
        try:
            importlib.import_module(name)
        except ImportError:
            continue


def _put_off(package: str) -> None:
    """Have *package* import what it imports no earlier than something is looked for that it lacks; not its modules."""
    try:
        found = importlib.util.find_spec(package)
    except ImportError:
        return
    if found is None or found.loader is None or package in sys.modules:
        return
    module, loader = importlib.util.module_from_spec(found), found.loader

    def late(name: str) -> Any:
        if (name == "__all__" or not name.startswith("__")) and module.__dict__.pop("__getattr__", None):
            loader.exec_module(module)
            return getattr(module, name)
        raise AttributeError(f"module {package!r} has no attribute {name!r}", name=name, obj=module)

    module.__dict__["__getattr__"] = late
    sys.modules[package] = module
    parent, _, name = package.rpartition(".")
    setattr(sys.modules[parent], name, module)


def warm_up() -> None:
    """Run a query of each kind of database that can be had in memory, so that the next is not the first one.

    Libraries import the rest of what they need and fill their caches by it, and memory that is shared with the zygote
    is copied. Nothing is kept of the databases.
    """
    # Slow to import, and imported by now.
    from cataloger_sandbox.connect import connect

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for backend in ("duckdb", "sqlite"):
            if f"ibis.backends.{backend}" in sys.modules:
                con = connect({"backend": backend, "path": None})
                con.raw_sql("CREATE TABLE warm (x INTEGER, y VARCHAR(5))")
                table = con.table("warm")
                table.count().execute()
                table.limit(1).execute()
                con.disconnect()


def run(requests: socket.socket, backend: str | None, body: Callable[[socket.socket, int], None]) -> None:
    """Import ahead for *backend*, say so, then fork a process for each request until *requests* closes.

    A request is the two descriptors that *body* is to have: the process's channel and its output.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    import_ahead(backend)
    # Children share our memory as long as the collector leaves our objects alone.
    gc.freeze()
    gc.enable()
    requests.send(READY)
    while True:
        asked, descriptors, _, _ = socket.recv_fds(requests, 64, 2)
        if not asked:
            os._exit(0)
        channel, output = descriptors
        _fork(channel, output, body)
        os.close(channel)
        os.close(output)


def _fork(channel: int, output: int, body: Callable[[socket.socket, int], None]) -> None:
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
            body(socket.socket(fileno=channel), output)
    finally:
        os._exit(1)
