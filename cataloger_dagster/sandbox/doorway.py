"""A socket of this machine at which a sandbox's server is reached in one step, where the sandbox can be shown it.

A sandbox whose mounts are ours to make sees the socket's folder read-only. That folder lies in one that is ours
alone, so nobody else on the machine gets to it. Whether the socket answers inside, the runner tries: an engine may
run on another machine, or have a security module in between. Where it does not, there is the ``tunnel``, which
takes a query some four times as long as the way without a sandbox; this takes one and a half times as long.
"""

import contextlib
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from cataloger_dagster.sandbox.folders import private_folder

SOCKET = ".s.PGSQL.5432"
"""The name that PostgreSQL's clients look for in a folder."""

_BACKLOG = 64


@dataclass(frozen=True)
class Doorway:
    """A listening socket, to be served, in *folder*."""

    folder: Path
    listener: socket.socket


@contextlib.contextmanager
def doorway() -> Iterator[Doorway]:
    """Yield a new one; it is gone when the context is left."""
    with private_folder() as outer, socket.socket(socket.AF_UNIX) as listener:
        folder = outer / "server"
        folder.mkdir()
        folder.chmod(0o755)  # the user inside is another one
        path = folder / SOCKET
        listener.bind(str(path))
        path.chmod(0o666)
        listener.listen(_BACKLOG)
        listener.setblocking(False)
        yield Doorway(folder, listener)
