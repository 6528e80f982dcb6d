"""A Docker engine of the tests' own, to be stopped and killed: the machine's, which others use, is left alone.

It lives in namespaces of its own, whose first process is the holder below: with the holder go the engine, its
containerd, the shims, their containers and every mount, however the tests ended. Its one image is the sandbox's with
the runner and the interpreter alone: that is there in two seconds, and is all that a session without a database needs.
"""

import contextlib
import io
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Self

import docker

from tests.services.shared import ROOT

PROGRAMS = ("docker", "dockerd", "containerd", "runc", "unshare")
REMEDY = "apt-get install docker.io util-linux, and run the tests as root"
IMAGE = "cataloger-second:test"

PACK = """
import importlib, os, sys, sysconfig, tarfile
from pathlib import Path

sys.path.insert(0, "/opt/cataloger")
for name in ("runner", "worker", "judging"):
    importlib.import_module(f"cataloger_sandbox.{name}")
mapped = {Path(line.split(maxsplit=5)[5].strip()) for line in open("/proc/self/maps") if "/" in line}
libraries = {path for path in mapped if path.is_file()}
names = {link for path in libraries for link in path.parent.iterdir() if link.resolve() in libraries}
wanted = {Path(sys.executable), Path(sys.prefix, "pyvenv.cfg"), *libraries, *names, *Path("/").glob("lib*/ld-*")}
for folder in (Path("/opt/cataloger"), Path(sysconfig.get_path("stdlib"))):
    spared = {folder / name for name in ("test", "idlelib", "lib2to3", "tkinter", "ensurepip", "site-packages")}
    wanted |= {path for path in folder.rglob("*") if not spared & {path, *path.parents}}
packed = {Path("/")}

def pack(path):
    if path not in packed:
        packed.add(path)
        pack(path.parent)
        archive.add(path, recursive=False)
        if path.is_symlink():
            pack(Path(os.path.normpath(path.parent / path.readlink())))

with tarfile.open(fileobj=sys.stdout.buffer, mode="w|") as archive:
    for path in sorted(wanted):
        pack(path)
"""
"""Run in the sandbox's image: writes what the runner needs of it as a tar."""


def available() -> bool:
    """Say whether an engine can be started: there are its programs, and we are root."""
    return os.getuid() == 0 and all(shutil.which(program, path=_path()) for program in PROGRAMS)


def _path() -> str:
    # Debian has dockerd where only root looks.
    return f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"


class SecondEngine:
    """The engine; leaving the context ends it and all that it started."""

    def __init__(self) -> None:
        # The path of a socket has some hundred characters at most: pytest's folders are too deep.
        self._folder = Path(tempfile.mkdtemp(prefix="cataloger-engine-"))
        self.host = f"unix://{self._folder}/socket"
        self.is_running = False

    def __enter__(self) -> Self:
        namespaces = ("unshare", "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc")
        self._holder = subprocess.Popen(
            [*namespaces, sys.executable, "-m", "tests.services.second_engine", str(self._folder)],
            cwd=ROOT,
            env=os.environ | {"PATH": _path()},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            bufsize=1,
            start_new_session=True,
        )
        return self

    def __exit__(self, *_: object) -> None:
        try:
            if self.is_running:
                # It takes its containers' control groups away, which no namespace holds.
                self.stop("SIGTERM")
        finally:
            self._holder.communicate()  # its input closes, by which it ends
            shutil.rmtree(self._folder)

    def start(self, *options: str) -> None:
        """Start the engine with *options*, if it does not run, and wait until it answers.

        Raises:
            RuntimeError: it does not.
        """
        if self.is_running:
            return
        self._ask("start", *options)
        self.is_running = True
        deadline = time.monotonic() + 30
        while not self._answers():
            if time.monotonic() > deadline:
                log = (self._folder / "log").read_text(errors="replace")[-3000:]
                raise RuntimeError(f"the second engine does not answer:\n{log}")
            time.sleep(0.02)

    def _answers(self) -> bool:
        # Not by the SDK, which leaves its socket open where nobody listens.
        with socket.socket(socket.AF_UNIX) as link, contextlib.suppress(OSError):
            link.settimeout(10)
            link.connect(self.host.removeprefix("unix://"))
            link.sendall(b"GET /_ping HTTP/1.0\r\n\r\n")
            return link.recv(100).startswith(b"HTTP/1.0 200")
        return False

    def stop(self, way: str) -> None:
        """Send the engine, and nothing that it started, the signal called *way*, and wait for its end."""
        self._ask("stop", way)
        self.is_running = False

    def runners(self) -> int:
        """Return how many processes there are of sandboxes, whatever the engine knows of them."""
        return int(self._ask("runners"))

    def copy(self, image: str) -> None:
        """Make ``IMAGE``: what the runner needs of the other engine's *image*, with all that it says of itself."""
        with contextlib.closing(docker.from_env()) as other:
            told = other.images.get(image).attrs["Config"]
        # Not by the SDK, which leaves the socket open over which the tar comes.
        run = ["docker", "run", "--rm", "--network=none", "--log-driver=none", "--user=0"]
        command = [*run, f"--entrypoint={told['Entrypoint'][0]}", image, "-I", "-c", PACK]
        content = subprocess.run(command, stdout=subprocess.PIPE, check=True, timeout=60).stdout
        says = [f"ENTRYPOINT {json.dumps(told['Entrypoint'])}", f"USER {told['User']}"]
        says += [f"LABEL {name}={json.dumps(value)}" for name, value in told["Labels"].items()]
        says += [f"ENV {each}" for each in told["Env"]]
        name, _, tag = IMAGE.partition(":")
        with contextlib.closing(docker.DockerClient(self.host, version="1.41")) as client:
            client.api.import_image_from_data(content, repository=name, tag=tag, changes=says)
            # The one thing that an import can't be told.
            rest = io.BytesIO(f"FROM {IMAGE}\nSTOPSIGNAL {told['StopSignal']}\n".encode())
            client.images.build(fileobj=rest, tag=IMAGE)

    def _ask(self, *words: str) -> str:
        assert self._holder.stdin
        assert self._holder.stdout
        self._holder.stdin.write(json.dumps(words) + "\n")
        answer = self._holder.stdout.readline()
        if not answer:
            raise RuntimeError("the holder of the second engine has ended")
        return str(json.loads(answer))


class Holder:
    """The first process of the engine's namespaces: starts the engine, signals it, and takes in its orphans."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._engine = 0
        self._ended: set[int] = set()
        # At once: to an engine that starts, a containerd that nobody has taken in is one that runs.
        threading.Thread(target=self._reap, daemon=True).start()

    def start(self, *options: str) -> str:
        """Start the engine; it keeps to a folder of its own, and to ``/run``, which is."""
        command = ["dockerd", f"--host=unix://{self._folder}/socket", f"--data-root={self._folder}/data"]
        command += ["--bridge=none", "--iptables=false", "--ip6tables=false", *options]
        log = os.open(self._folder / "log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        actions = [(os.POSIX_SPAWN_DUP2, log, 1), (os.POSIX_SPAWN_DUP2, log, 2)]
        self._engine = os.posix_spawnp(command[0], command, os.environ, file_actions=actions)
        os.close(log)
        return ""

    def stop(self, way: str) -> str:
        """Signal the engine and wait for its end."""
        os.kill(self._engine, signal.Signals[way])
        while self._engine not in self._ended:
            time.sleep(0.01)
        return ""

    def runners(self) -> str:
        """Count the processes of sandboxes."""
        found = 0
        for process in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                found += b"\0/opt/cataloger\0" in (process / "cmdline").read_bytes()
        return str(found)

    def _reap(self) -> None:
        while True:
            try:
                self._ended.add(os.wait()[0])
            except ChildProcessError:
                time.sleep(0.01)


def main(folder: Path) -> None:
    """Do what the tests ask, one line each, until they hang up; everything in the namespaces ends with us."""
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", "/run"], check=True)
    holder = Holder(folder)
    quiet = os.open(os.devnull, os.O_RDONLY)
    asked = os.fdopen(os.dup(0))
    os.dup2(quiet, 0)
    for line in asked:
        operation, *arguments = json.loads(line)
        sys.stdout.write(json.dumps(getattr(holder, operation)(*arguments)) + "\n")
        sys.stdout.flush()
    os._exit(0)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
