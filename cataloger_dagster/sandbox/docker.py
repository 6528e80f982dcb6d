"""The sandbox in Docker: one container a session, driven over its own standard input and output.

The container is reached by the attach socket alone. When that closes, because the session was left or this
process ended however it ended, the engine closes the runner's input, the runner ends, and the engine
removes the container. One that was made and never started is left to the next run; see ``abandoned``.
Images are in ``image``, what is said to the runner is in ``frames``.
"""

import contextlib
import json
import os
import socket
import stat
import struct
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import docker
from docker.types import LogConfig, Mount

from cataloger_dagster.databases import Database
from cataloger_dagster.errors import DatabaseError, SandboxError
from cataloger_dagster.owners import OWNER, owner
from cataloger_dagster.sandbox.abandoned import remove_abandoned
from cataloger_dagster.sandbox.engine import engine, refusals
from cataloger_dagster.sandbox.frames import BUILD, RunnerSession
from cataloger_dagster.sandbox.grant import SOCKETS, Grant, grant
from cataloger_dagster.sandbox.session import Session

WORK = "/work"
USER = 10001
_STDERR = 2


class DockerSandbox:
    """Opens sessions in containers of *image*.

    Attributes:
        memory_mb: memory of the container; a quarter of it at most is the work folder's.
        cpus: processors it may use.
        pids: processes and threads it may have at a time.
    """

    name = "docker"

    def __init__(self, image: str, memory_mb: int = 2048, cpus: float = 2.0, pids: int = 256) -> None:
        self.image = image
        self.memory_mb = memory_mb
        self.cpus = cpus
        self.pids = pids

    @contextlib.contextmanager
    def open(self, database: Database | None) -> Iterator[Session]:
        """Open a session that can reach *database*; see ``Sandbox``."""
        with grant(database) as granted, engine() as client, contextlib.ExitStack() as cleanup:
            api = client.api
            if granted.mounts and not api.base_url.startswith("http+docker://local"):
                raise SandboxError("the Docker engine is on another machine, where the database can't be mounted")
            with refusals("list containers"):
                # One that is stuck must not stop this run: `cataloger sandbox sweep` says why it is.
                remove_abandoned(client)
            name = f"cataloger-{uuid.uuid4().hex[:16]}"
            # By its name, known before it exists: an interrupt may come before the engine's answer.
            cleanup.callback(_remove, client, name)
            with refusals("create a sandbox"):
                self._create(client, name, granted)
            with refusals("attach to a sandbox"):
                attached = api.attach_socket(name, params={"stdin": 1, "stdout": 1, "stderr": 1, "stream": 1})
            cleanup.callback(attached.close)
            link = cleanup.enter_context(getattr(attached, "_sock", attached))
            stream = _Attached(link)
            cleanup.callback(stream.hang_up)
            with refusals(f"start a sandbox of {self.image}"):
                api.start(name)
            try:
                session = RunnerSession(stream, granted.inside, granted.shown)
            except SandboxError as error:
                raise SandboxError(f"{error} (image {self.image}; {BUILD})") from None
            yield session

    def _create(self, client: docker.DockerClient, name: str, granted: Grant) -> None:
        try:
            client.api.create_container(
                self.image,
                [json.dumps(self._settings())],
                name=name,
                stdin_open=True,
                user=_user(granted),
                labels={OWNER: owner()},
                host_config=client.api.create_host_config(**self._confinement(granted)),
            )
        except docker.errors.ImageNotFound:
            raise SandboxError(f"there is no image {self.image}; build it: cataloger sandbox build") from None

    @property
    def _work_mb(self) -> int:
        return self.memory_mb // 4

    def _settings(self) -> dict[str, Any]:
        # One interpreter gets what the work folder and the other processes leave: at its limit it has a
        # MemoryError to handle, at the container's it would be killed.
        return {"work": WORK, "data": (self.memory_mb * 5 // 8) << 20}

    def _confinement(self, granted: Grant) -> dict[str, Any]:
        return {
            "network_mode": "none",
            "read_only": True,
            "tmpfs": {WORK: f"size={self._work_mb}m,mode=1777", "/tmp": "size=16m,mode=1777"},
            "cap_drop": ["ALL"],
            "security_opt": ["no-new-privileges:true"],
            "pids_limit": self.pids,
            "mem_limit": f"{self.memory_mb}m",
            "memswap_limit": f"{self.memory_mb}m",
            "nano_cpus": int(self.cpus * 1e9),
            "log_config": LogConfig(type="none"),
            "auto_remove": True,
            "group_add": _groups(granted),
            "mounts": [
                Mount(target=inside, source=str(outside), type="bind", read_only=True)
                for inside, outside in granted.mounts.items()
            ],
        }


def _files(granted: Grant) -> list[Path]:
    return [outside for inside, outside in granted.mounts.items() if inside != SOCKETS]


def _user(granted: Grant) -> str:
    """Return the user inside: nobody of this machine, or ourselves where only we may read the database's file.

    Raises:
        DatabaseError: no user but root may read the file.
    """
    for path in _files(granted):
        status = path.stat()
        if status.st_mode & stat.S_IROTH or (status.st_mode & stat.S_IRGRP and status.st_gid != 0):
            continue
        if status.st_uid == os.getuid() != 0 and status.st_mode & stat.S_IRUSR:
            return f"{os.getuid()}:{USER}"
        raise DatabaseError(
            f"{path} can be read by its owner alone (mode {stat.S_IMODE(status.st_mode):04o}), and the sandbox "
            f"runs as another user; let it be read: chmod o+r {path}"
        )
    return f"{USER}:{USER}"


def _groups(granted: Grant) -> list[int]:
    """Return the groups that the user inside must be in to read the database's files, never root's."""
    closed = [status for path in _files(granted) if not (status := path.stat()).st_mode & stat.S_IROTH]
    return sorted({status.st_gid for status in closed if status.st_mode & stat.S_IRGRP} - {0})


def _remove(client: docker.DockerClient, name: str) -> None:
    """Remove the container, unless it was never made, is gone, or is being removed by the engine already."""
    with refusals(f"remove the sandbox {name}"):
        try:
            client.api.remove_container(name, force=True, v=True)
        except docker.errors.APIError as error:
            if error.status_code not in (404, 409):
                raise


class _Attached:
    """The stream to a container: frames of the engine's around what the runner writes."""

    def __init__(self, link: socket.socket) -> None:
        self._link = link
        self._received = bytearray()
        self._left = 0  # bytes that the current chunk still has
        self._kind = 0
        self._complaints = bytearray()

    def send(self, data: bytes, seconds: float) -> None:
        self._link.settimeout(max(seconds, 0.001))
        self._link.sendall(data)

    def receive(self, seconds: float) -> bytes:
        self._link.settimeout(max(seconds, 0.001))
        while True:
            if self._left == 0 and len(self._received) >= 8:
                self._kind, self._left = struct.unpack(">BxxxI", self._received[:8])
                del self._received[:8]
            if self._left and self._received:
                chunk = bytes(self._received[: self._left])
                del self._received[: self._left]
                self._left -= len(chunk)
                if self._kind != _STDERR:
                    return chunk
                self._complaints = (self._complaints + chunk)[-4000:]
                continue
            more = self._link.recv(1 << 20)
            if not more:
                return b""
            self._received += more

    def complaint(self) -> str:
        return self._complaints.decode("utf-8", "replace")

    def hang_up(self) -> None:
        """Close the runner's input."""
        with contextlib.suppress(OSError):
            self._link.shutdown(socket.SHUT_RDWR)
