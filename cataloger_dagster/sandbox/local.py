"""The sandbox without Docker: the runner in a child process, under bubblewrap where it is installed and works.

Under bubblewrap the child has no network, no home, a read-only system, a bounded work folder in memory, and
of a database in a file that file alone. Without it nothing confines the child, so it is for our own code
alone; that rule is in ``choice``.
"""

import contextlib
import functools
import importlib.util
import json
import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from cataloger_dagster.bundled import bundled
from cataloger_dagster.databases import Database
from cataloger_dagster.errors import SandboxError
from cataloger_dagster.sandbox.folders import private_folder
from cataloger_dagster.sandbox.grant import DATA, Grant, grant
from cataloger_dagster.sandbox.runner import RunnerSession
from cataloger_dagster.sandbox.session import Session
from cataloger_dagster.sandbox.stream import Stream

WORK = "/sandbox"
_PACKAGES = ("ibis", "duckdb", "pandas", "psycopg")
_PATH = "/usr/local/bin:/usr/bin:/bin"
_ENDING = 10.0

_TELLING = frozenset({"kallsyms", "key-users", "keys", "latency_stats", "sched_debug", "timer_list"})
"""The kernel's files that tell of the whole machine, beside those that root alone may read."""


class LocalSandbox:
    """Opens sessions in child processes of this machine.

    Attributes:
        memory_mb: memory of one interpreter; more is a ``MemoryError`` there.
        work_mb: size of the work folder under bubblewrap, of one file in it otherwise.
        isolated: whether bubblewrap confines the child.
    """

    name = "local"

    def __init__(self, memory_mb: int = 2048, work_mb: int = 512, isolated: bool | None = None) -> None:
        self.memory_mb = memory_mb
        self.work_mb = work_mb
        self.isolated = globals()["isolated"]() if isolated is None else isolated

    @contextlib.contextmanager
    def open(self, database: Database | None, cells: bool = True) -> Iterator[Session]:
        """Open a session that can reach *database*; see ``Sandbox``."""
        _compile_packages()
        with grant(database) as granted:
            if self.isolated:
                program = bubblewrap()
                if program is None:
                    raise SandboxError("bubblewrap is not installed; install it (apt-get install bubblewrap)")
                confined = _confined(program, granted, self.work_mb)
                with _runner([*confined, *self._command(WORK, granted, cells)], cwd="/") as session:
                    session.grant(granted, DATA)
                    yield session
                return
            with private_folder() as work, _runner(self._command(f"{work}", granted, cells), f"{work}") as session:
                session.grant(granted, None)
                yield session

    def _command(self, work: str, granted: Grant, cells: bool) -> list[str]:
        megabyte = 1 << 20
        settings = {
            "work": work,
            "data": self.memory_mb * megabyte,
            "file": self.work_mb * megabyte,
            "packages": [str(folder) for folder in _package_folders()],
            "backend": granted.connection.get("backend", ""),
            "ahead": cells,
        }
        return [sys.executable, "-I", "-B", str(bundled("sandbox_image")), json.dumps(settings)]


def bubblewrap() -> str | None:
    """Return the path of bubblewrap, if it is installed."""
    return shutil.which("bwrap")


def isolated() -> bool:
    """Say whether a local session is confined: bubblewrap is installed, and may make its namespaces here."""
    program = bubblewrap()
    return program is not None and _works(program)


@functools.cache
def _works(program: str) -> bool:
    """Try bubblewrap once with all that a session needs of it."""
    command = [*_confined(program, Grant(), 1), sys.executable, "-I", "-c", ""]
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=30, env={}, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0


@functools.cache
def _options(program: str) -> str:
    """Return bubblewrap's help: older ones lack some options."""
    return subprocess.run([program, "--help"], capture_output=True, text=True, timeout=30, env={}, check=False).stdout


def _confined(program: str, granted: Grant, work_mb: int) -> list[str]:
    """Return the command that runs another one confined, with what is *granted* mounted read-only."""
    options = _options(program)
    bounded = ["--size", str(work_mb << 20)] if "--size" in options else []
    command = [program, "--unshare-all", "--unshare-user", "--uid", "10001", "--gid", "10001", "--hostname", "sandbox"]
    command += ["--cap-drop", "ALL", "--new-session", "--as-pid-1", "--clearenv"]
    if "--disable-userns" in options:
        command += ["--disable-userns"]
    for name, value in _environment(WORK).items():
        command += ["--setenv", name, value]
    # Before what may lie in them: an interpreter in /tmp is mounted there.
    command += ["--proc", "/proc", "--dev", "/dev", *_covers()]
    command += [*bounded, "--tmpfs", "/tmp", *bounded, "--tmpfs", WORK]
    for name in ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64"):
        path = Path(name)
        if path.is_symlink():
            command += ["--symlink", str(path.readlink()), name]
        elif path.is_dir():
            command += ["--ro-bind", name, name]
    for name in ("/etc/ld.so.cache", "/etc/alternatives", "/etc/localtime"):
        command += ["--ro-bind-try", name, name]
    interpreter = {Path(sys.prefix), Path(sys.base_prefix), Path(sys.executable).resolve().parent.parent}
    # An interpreter in a folder of the root itself has that for its parent's.
    folders = {*interpreter, *_package_folders(), bundled("sandbox_image")} - {Path("/")}
    # A folder before what is in it: a mount hides what was mounted below it.
    for folder in sorted(folders, key=lambda path: len(path.parts)):
        if not folder.is_relative_to("/usr"):
            command += ["--ro-bind", str(folder), str(folder)]
    if granted.door is not None:
        command += ["--ro-bind", str(granted.door.folder), DATA]
    for file in granted.files:
        command += ["--ro-bind", str(file), f"{DATA}/{file.name}"]
    # What is left of the new root and of /dev is memory without a bound.
    command += [*bounded, "--tmpfs", "/dev/shm", "--remount-ro", "/dev", "--remount-ro", "/"]
    return [*command, "--chdir", WORK, "--"]


def _covers() -> list[str]:
    """Return bubblewrap's options that close the kernel's own files in ``/proc``.

    Where Cataloger runs as root, so does the child for the kernel, whatever it is called inside: without a single
    capability it could write the machine's settings, and by them have anything run outside.
    """
    options = []
    for entry in sorted(os.scandir("/proc"), key=lambda entry: entry.name):
        if entry.is_symlink() or entry.name.isdigit():
            continue
        mode = entry.stat(follow_symlinks=False).st_mode
        if entry.name in _TELLING or (stat.S_ISREG(mode) and not mode & stat.S_IROTH):
            options += ["--ro-bind", os.devnull, entry.path]
        elif stat.S_ISDIR(mode) or mode & 0o222:
            options += ["--ro-bind", entry.path, entry.path]
    return options


def _package_folders() -> list[Path]:
    """Return the folders that the kit's packages are in, where they are not the interpreter's own."""
    folders: list[Path] = []
    for name in _PACKAGES:
        found = importlib.util.find_spec(name)
        if found is None or found.origin is None:
            continue
        folder = Path(found.origin).parent.parent
        own = any(folder.is_relative_to(prefix) for prefix in (sys.prefix, sys.base_prefix))
        if not own and folder not in folders:
            folders.append(folder)
    return folders


@functools.cache
def _compile_packages() -> None:
    """Have the kit's packages compiled once, where an installer left that out: a confined child can't keep it."""
    found = importlib.util.find_spec(_PACKAGES[0])
    if found is None or found.origin is None or Path(importlib.util.cache_from_source(found.origin)).exists():
        return
    if os.access(Path(found.origin).parent, os.W_OK):
        script = "import sys; sys.path += sys.argv[1:]; from cataloger_sandbox import zygote; zygote.import_ahead()"
        command = [sys.executable, "-I", "-c", script, *map(str, [bundled("sandbox_image"), *_package_folders()])]
        subprocess.run(command, env=_environment("/"), capture_output=True, check=False)


def _environment(work: str) -> dict[str, str]:
    """Return all that the child sees of an environment: nothing of ours, which holds secrets."""
    return {"PATH": _PATH, "HOME": work, "TMPDIR": work, "LANG": "C.UTF-8", "TZ": "UTC"}


@contextlib.contextmanager
def _runner(command: list[str], cwd: str) -> Iterator[RunnerSession]:
    """Run *command* as a runner; leaving ends it and all its processes."""
    with contextlib.ExitStack() as held:
        # An interrupt waits until whatever it ends is sure to be closed. The runner lets signals come again.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
        try:
            ours, theirs = map(held.enter_context, socket.socketpair())
            complaints = held.enter_context(tempfile.TemporaryFile())
            child = subprocess.Popen(
                command,
                stdin=theirs.fileno(),
                stdout=theirs.fileno(),
                stderr=complaints,
                cwd=cwd,
                env=_environment(cwd),
                start_new_session=True,
            )
            held.callback(_end, child, ours)
            theirs.close()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        with Stream(ours, _Plain(complaints)) as stream:
            yield RunnerSession(stream)


def _end(child: "subprocess.Popen[bytes]", link: socket.socket) -> None:
    link.close()  # a runner whose input ends, ends with everything it runs
    try:
        child.wait(_ENDING)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()


class _Plain:
    """A link that carries the runner's bytes alone; its standard error is a file."""

    def __init__(self, complaints: IO[bytes]) -> None:
        self._complaints = complaints

    def decode(self, data: bytes) -> bytes:
        return data

    def complaint(self) -> str:
        size = os.fstat(self._complaints.fileno()).st_size
        return os.pread(self._complaints.fileno(), 4000, max(0, size - 4000)).decode("utf-8", "replace")
