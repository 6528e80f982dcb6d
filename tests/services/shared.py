"""One server for every worker of a test run, gone when the last of them is, however it ended.

A keeper process of its own session starts the server. Every user holds a shared lock on one file; the
keeper waits for the exclusive lock, which the kernel grants when no user is left (ended, interrupted or
killed), then stops the server and removes its folder. Nobody counts, nobody polls.
"""

import fcntl
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]


def base_folder() -> Path:
    """The folder of this account's test servers; readable by others, because servers run as another account."""
    folder = Path(tempfile.gettempdir()) / f"cataloger-tests-{os.getuid()}"
    folder.mkdir(mode=0o755, exist_ok=True)
    if folder.stat().st_uid != os.getuid():
        raise RuntimeError(f"{folder} belongs to another account")
    return folder


def run_id() -> str:
    """One name for all workers of a run."""
    return os.environ.get("PYTEST_XDIST_TESTRUNUID", "")[:10] or f"p{os.getpid()}"


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the exclusive lock of a file that is never removed."""
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


@contextmanager
def shared(kind: str, seconds: float) -> Iterator[dict[str, Any]]:
    """Yield what the server of *kind* says about itself (address, keys), starting it if this run has none yet.

    Raises:
        RuntimeError: it did not start within *seconds*; with the end of its log.
    """
    folder = base_folder() / run_id() / kind
    keeper: subprocess.Popen[bytes] | None = None
    # Starts happen one after the other, over all runs: two of them never race for a port.
    with locked(base_folder() / f"{kind}.start"):
        users = join(folder)
        state = folder / "state.json"
        if not state.exists():
            keeper = start(kind, folder)
            try:
                wait_for(state, keeper, folder / "keeper.log", seconds)
            except BaseException:
                # Ctrl-C included: a server half started is stopped before we go.
                keeper.terminate()
                keeper.wait()
                os.close(users)
                raise
        told = json.loads(state.read_text())
    try:
        if "error" in told:
            raise RuntimeError(told["error"])
        yield told
    finally:
        os.close(users)
        if keeper is not None:
            keeper.wait(timeout=600)


def join(folder: Path) -> int:
    """Take the shared lock of the users; again if the keeper of an earlier server was just leaving with its folder."""
    path = folder / "users.lock"
    while True:
        folder.mkdir(parents=True, mode=0o755, exist_ok=True)
        try:
            lock = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        except FileNotFoundError:
            continue
        fcntl.flock(lock, fcntl.LOCK_SH)
        if path.exists() and path.stat().st_ino == os.fstat(lock).st_ino:
            return lock
        os.close(lock)


def start(kind: str, folder: Path) -> "subprocess.Popen[bytes]":
    """Start the keeper outside our process group, so that Ctrl-C does not reach it before us."""
    with (folder / "keeper.log").open("wb") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "tests.services.keeper", kind, str(folder)],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )


def wait_for(state: Path, keeper: "subprocess.Popen[bytes]", log: Path, seconds: float) -> None:
    """Wait until the keeper told how the server is."""
    end = time.monotonic() + seconds
    while not state.exists():
        if keeper.poll() is not None or time.monotonic() > end:
            tail = log.read_text(errors="replace")[-3000:] if log.exists() else ""
            raise RuntimeError(f"the server did not start within {seconds:.0f} s\n{tail}")
        time.sleep(0.05)
