"""Whose something is: the process that made it, named in a mark, so that what a dead one left can be found."""

import os
import socket
from pathlib import Path

OWNER = "dev.cataloger.owner"
"""The label of a container that holds its owner's mark."""


def owner() -> str:
    """Return this process's mark: where it runs, its id there, and when it started."""
    return f"{_place()} {os.getpid()} {started(os.getpid())}"


def is_dead(mark: str) -> bool:
    """Say whether the process behind *mark* has certainly ended; of another place's nobody here knows."""
    place, _, process = mark.rpartition(" ")[0].rpartition(" ")
    began = mark.rpartition(" ")[2]
    if place != _place() or not process.isdigit():
        return False
    return started(int(process)) != began


def _place() -> str:
    """Return where process ids mean what they mean here.

    A host name alone does not say it: machines share names, and containers of one name have processes of their own.
    """
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{socket.gethostname()}/{boot}/{Path('/proc/self/ns/pid').readlink()}"
    except OSError:
        return socket.gethostname()


def started(process: int) -> str:
    """Return when a process started, in the kernel's own count, or ``0`` if it is not running."""
    try:
        told = Path(f"/proc/{process}/stat").read_text(errors="replace").rpartition(")")[2].split()
    except OSError:
        return "0"
    # One that has ended stays on the list until its parent asks how.
    return "0" if told[0] in "ZX" else told[19]
