"""Whose something is: the process that made it, named in a mark, so that what a dead one left can be found."""

import os
import socket
from pathlib import Path

OWNER = "dev.cataloger.owner"
"""The label of a container that holds its owner's mark."""


def owner() -> str:
    """Return this process's mark: host name, process id, and when the process started."""
    return f"{socket.gethostname()} {os.getpid()} {started(os.getpid())}"


def is_dead(mark: str) -> bool:
    """Say whether the process behind *mark* has certainly ended; of another host's nobody here knows."""
    host, _, process = mark.rpartition(" ")[0].rpartition(" ")
    began = mark.rpartition(" ")[2]
    if host != socket.gethostname() or not process.isdigit():
        return False
    return started(int(process)) != began


def started(process: int) -> str:
    """Return when a process started, in the kernel's own count, or ``0`` if it is not running."""
    try:
        return Path(f"/proc/{process}/stat").read_text(errors="replace").rpartition(")")[2].split()[19]
    except OSError:
        return "0"
