"""The process that starts one test server, keeps it while anybody uses it, and stops it.

Run as ``python -m tests.services.keeper KIND FOLDER`` by ``shared``.
"""

import contextlib
import ctypes
import fcntl
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from tests.services import ceph, mariadb, postgres

STARTS: dict[str, Callable[["Keeper"], dict[str, Any]]] = {
    "postgres": postgres.start,
    "mariadb": mariadb.start,
    "ceph": ceph.start,
}
PR_SET_PDEATHSIG = 1
MEMORY = Path("/dev/shm")
PLENTY = 8_000_000_000
"""Bytes of memory of which three servers may take four."""


class Keeper:
    """The server's folder, the one for its data, and its processes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.data = data_folder(folder)
        self.processes: list[tuple[subprocess.Popen[bytes], signal.Signals]] = []

    def spawn(
        self, command: Sequence[str], stop: signal.Signals = signal.SIGTERM, **options: Any
    ) -> "subprocess.Popen[bytes]":
        """Start a server process that dies with the keeper, even if the keeper is killed; *stop* asks it to end."""
        with (self.folder / f"{Path(command[0]).name}.log").open("ab") as log:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                preexec_fn=lambda: die_with_parent(stop),
                **options,
            )
        self.processes.append((process, stop))
        return process

    def stop(self) -> None:
        """Stop the processes, the last started first, and remove their data."""
        for process, stop in reversed(self.processes):
            process.send_signal(stop)
            try:
                process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        shutil.rmtree(self.data, ignore_errors=True)


def data_folder(folder: Path) -> Path:
    """Make the folder of a server's data: in memory where there is plenty of it, else in *folder*.

    Hundreds of databases are a hundred thousand files; to remove them from a disk takes half a minute of waiting.
    """
    name = f"cataloger-tests-{os.getuid()}-"
    if MEMORY.is_dir() and os.access(MEMORY, os.W_OK):
        for left in MEMORY.glob(f"{name}*"):  # by a keeper that was killed
            if not Path("/proc", left.name.removeprefix(name).partition("-")[0]).exists():
                shutil.rmtree(left, ignore_errors=True)
        if min(shutil.disk_usage(MEMORY).free, memory_available()) >= PLENTY:
            made = Path(tempfile.mkdtemp(prefix=f"{name}{os.getpid()}-", dir=MEMORY))
            made.chmod(0o755)
            return made
    made = folder / "data"
    made.mkdir(mode=0o755)
    return made


def memory_available() -> int:
    """Return how many bytes of memory are free, or would be if they were needed."""
    found = re.search(r"MemAvailable:\s+(\d+) kB", Path("/proc/meminfo").read_text())
    return int(found[1]) * 1024 if found else 0


def die_with_parent(way: signal.Signals | None) -> None:
    """Have the kernel send *way* to this process when its parent is gone; None takes that back."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, way or 0)


def end(*_: object) -> None:
    """Leave through the ``finally`` of ``main``."""
    raise SystemExit(1)


def main(kind: str, folder: Path) -> None:
    """Start (together with whoever asked), tell, wait for the last user, stop, remove."""
    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    die_with_parent(signal.SIGTERM)
    keeper = Keeper(folder)
    with (folder / "users.lock").open() as users:
        try:
            try:
                told = STARTS[kind](keeper)
            except (OSError, RuntimeError, subprocess.SubprocessError) as error:
                traceback.print_exc()
                told = {"error": f"{kind} did not start: {error}\n{logs(folder)}"}
            (folder / "state.tmp").write_text(json.dumps(told))
            (folder / "state.tmp").rename(folder / "state.json")
            die_with_parent(None)
            fcntl.flock(users, fcntl.LOCK_EX)
        finally:
            keeper.stop()
            # First out of sight in one step: whoever comes next makes a folder of its own.
            gone = folder.rename(folder.with_name(f"{folder.name}.gone"))
            shutil.rmtree(gone, ignore_errors=True)
            with contextlib.suppress(OSError):  # another server of this run is still there
                folder.parent.rmdir()


def logs(folder: Path) -> str:
    """The ends of the server's logs."""
    return "\n".join(
        f"{path.name}: {path.read_text(errors='replace')[-1500:]}" for path in sorted(folder.glob("*.log"))
    )


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
