"""The sandbox in Docker: one container a session, driven over its own standard input and output.

The container is reached by the attach socket alone. When that closes, because the session was left or this
process ended however it ended, the engine closes the runner's input, the runner ends, and the engine
removes the container. Where the engine itself is gone, the runner ends when it has heard nothing for a while. One
that was made and never started is left to the next run; see ``abandoned``.
A database's file is mounted where the engine sees it as we do, and else sent: a small one to the runner, others to
the engine (see ``archive``). Images are in ``image``, what is said to the runner is in ``runner``.
"""

import base64
import contextlib
import json
import os
import stat
import struct
import uuid
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import docker
from docker.types import LogConfig, Mount

from cataloger_dagster.databases import Database
from cataloger_dagster.errors import DatabaseError, SandboxError
from cataloger_dagster.owners import OWNER, owner
from cataloger_dagster.sandbox.abandoned import remove_abandoned
from cataloger_dagster.sandbox.archive import archive, opened
from cataloger_dagster.sandbox.bridge import plain
from cataloger_dagster.sandbox.engine import engine, refusals, removed
from cataloger_dagster.sandbox.grant import DATA, Grant, grant
from cataloger_dagster.sandbox.pool import IDLE_SECONDS, Pool
from cataloger_dagster.sandbox.runner import BUILD, RunnerSession
from cataloger_dagster.sandbox.session import Session
from cataloger_dagster.sandbox.stream import Stream

WORK = "/work"
USER = 10001
_STDERR = 2

LIGHT_BYTES = 16 << 20
"""A database of at most so many bytes, in one file, is sent to the runner, whose memory has it."""

SILENCE = 300.0
"""Seconds after which a runner that hears nothing of its host ends by itself.

An engine that is killed closes no container's input, nor does one that keeps them while it is away; nor, for long,
the connection to one on another machine.
"""

_FILES = 32_768  # in the work folder

_RECEIVING: Mapping[str, Any] = {"mounts": [Mount(target=DATA, source=None, type="volume")]}
"""Options of a container to which the engine can send files."""


class DockerSandbox:
    """Opens sessions in containers of *image*.

    Attributes:
        runtime: the engine's runtime for containers, such as ``runsc``; null for its own.
        memory_mb: memory of the container; a quarter of it at most is the work folder's.
        cpus: processors it may use.
        pids: processes and threads it may have at a time.
    """

    name = "docker"

    def __init__(
        self,
        image: str,
        memory_mb: int = 2048,
        cpus: float = 2.0,
        pids: int = 256,
        pool: int = 0,
        runtime: str | None = None,
    ) -> None:
        self.image = image
        self.memory_mb = memory_mb
        self.cpus = cpus
        self.pids = pids
        self.runtime = runtime
        plan = {"memory": memory_mb, "cpus": cpus, "pids": pids, "runtime": runtime}
        self._pool = Pool(pool, image, plan) if pool else None

    @contextlib.contextmanager
    def open(self, database: Database | None, cells: bool = True) -> Iterator[Session]:
        """Open a session that can reach *database*; see ``Sandbox``."""
        with grant(database) as granted, engine() as client, contextlib.ExitStack() as cleanup:
            api = client.api
            with refusals("list containers"):
                # One that is stuck must not stop this run: `cataloger sandbox sweep` says why it is.
                remove_abandoned(client)
            claimed = self._pool.claim(client) if self._pool is not None and _are_light(granted.files) else None
            name = claimed or f"cataloger-{uuid.uuid4().hex[:16]}"
            # By its name, known before it exists: an interrupt may come before the engine's answer.
            cleanup.enter_context(removed(client, name))
            is_mounted = claimed is None and self._create(client, name, granted, cells)
            with refusals("attach to a sandbox"):
                attached = api.attach_socket(name, params={"stdin": 1, "stdout": 1, "stderr": 1, "stream": 1})
            cleanup.callback(attached.close)
            if (response := getattr(attached, "_response", None)) is not None:
                cleanup.callback(response.close)  # it holds the socket open
            link = cleanup.enter_context(plain(getattr(attached, "_sock", attached)))
            stream = cleanup.enter_context(Stream(link, _Multiplexed()))
            with refusals(f"start a sandbox of {self.image}"):
                api.start(name)
            try:
                session = RunnerSession(stream)
            except SandboxError as error:
                raise SandboxError(f"{error} (image {self.image}; {BUILD})") from None
            if is_mounted or not granted.files:
                session.grant(granted, DATA)
            else:
                with opened(granted.files) as files:
                    if _are_light(granted.files):
                        session.grant(granted, None, files[0])
                    else:
                        with refusals("copy the database into a sandbox"):
                            api.put_archive(name, DATA, archive(files))
                        session.grant(granted, DATA)
            if self._pool is not None:
                self._pool.refill(self._make_idle)
            yield session

    def _create(self, client: docker.DockerClient, name: str, granted: Grant, cells: bool) -> bool:
        """Create the container; say whether the files of *granted* are mounted in it, or are still to be sent.

        Raises:
            SandboxError: the engine refused, or has no such image.
        """
        files = granted.files
        settings = {"backend": granted.connection.get("backend", ""), "ahead": cells}
        shown = {f"{DATA}/{file.name}": file for file in files}
        if granted.door is not None:
            shown[DATA] = granted.door.folder
        if shown and client.api.base_url.startswith("http+docker://local"):
            mounts = [
                Mount(target=inside, source=str(outside), type="bind", read_only=True)
                for inside, outside in shown.items()
            ]
            options = {"mounts": mounts, "group_add": _groups(files)}
            with refusals("create a sandbox"):
                try:
                    self._create_as(client, name, _user(files), options, settings)
                    if all(_is_seen(client, name, file) for file in files):
                        return True
                    client.api.remove_container(name, force=True, v=True)
                except docker.errors.APIError as error:
                    # What we call by this path is not there for the engine: it runs on another machine than it seems.
                    if "source path" not in str(error.explanation):
                        raise
        # A volume, because nothing else in the container can be written from outside: the files in it are root's.
        receiving = {} if _are_light(files) else _RECEIVING
        with refusals("create a sandbox"):
            self._create_as(client, name, f"{USER}:{USER}", receiving, settings)
        return False

    def _make_idle(self, client: docker.DockerClient, name: str) -> None:
        """Create and start a container that waits for its first host, if no other process has made it yet.

        Nobody is attached to it: its input stays open until the first who is, hangs up.
        """
        assert self._pool is not None
        with refusals("fill the pool"):
            try:
                self._create_as(client, name, f"{USER}:{USER}", {}, {"idle": IDLE_SECONDS}, self._pool.labels)
                client.api.start(name)
            except docker.errors.APIError as error:
                if error.status_code not in (404, 409):  # claimed already, or made by another
                    raise

    def _create_as(
        self,
        client: docker.DockerClient,
        name: str,
        user: str,
        options: Mapping[str, Any],
        settings: Mapping[str, Any],
        labels: Mapping[str, str] | None = None,
    ) -> None:
        try:
            client.api.create_container(
                self.image,
                [json.dumps({**self._settings(), **settings})],
                name=name,
                stdin_open=True,
                user=user,
                labels=dict(labels or {OWNER: owner()}),
                host_config=client.api.create_host_config(**self._confinement(), **options),
            )
        except docker.errors.ImageNotFound:
            raise SandboxError(f"there is no image {self.image}; build it: cataloger sandbox build") from None

    @property
    def _work_mb(self) -> int:
        return self.memory_mb // 4

    def _settings(self) -> dict[str, Any]:
        # One interpreter gets what the work folder and the other processes leave: at its limit it has a
        # MemoryError to handle, at the container's it would be killed.
        return {"work": WORK, "data": (self.memory_mb * 5 // 8) << 20, "silence": SILENCE}

    def _confinement(self) -> dict[str, Any]:
        return {
            "network_mode": "none",
            "read_only": True,
            # Files have a number, too: each takes memory beside its bytes, which stays when all processes are ended.
            "tmpfs": {
                WORK: f"size={self._work_mb}m,nr_inodes={_FILES},mode=1777",
                "/tmp": f"size=16m,nr_inodes={_FILES // 16},mode=1777",
                "/dev/shm": f"size=64m,nr_inodes={_FILES // 16},mode=1777",
            },
            "cap_drop": ["ALL"],
            "security_opt": ["no-new-privileges:true"],
            "pids_limit": self.pids,
            "mem_limit": f"{self.memory_mb}m",
            "memswap_limit": f"{self.memory_mb}m",
            "nano_cpus": int(self.cpus * 1e9),
            "log_config": LogConfig(type="none"),
            "auto_remove": True,
            "runtime": self.runtime,
        }


def _are_light(files: Sequence[Path]) -> bool:
    """Say whether the runner can be sent *files*: there are none, or one that is small."""
    return not files or (len(files) == 1 and files[0].stat().st_size <= LIGHT_BYTES)


def _is_seen(client: docker.DockerClient, name: str, file: Path) -> bool:
    """Say whether what the container has of *file* is that file, and not another that the engine has by this path."""
    api = client.api
    answer = api.head(
        f"{api.base_url}/v{api.api_version}/containers/{name}/archive", params={"path": f"{DATA}/{file.name}"}
    )
    answer.raise_for_status()
    told = json.loads(base64.b64decode(answer.headers["X-Docker-Container-Path-Stat"]))
    status = file.stat()
    age = datetime.fromisoformat(told["mtime"]).timestamp() - status.st_mtime
    return bool(told["size"] == status.st_size and abs(age) < 0.001)


def _user(files: Sequence[Path]) -> str:
    """Return the user inside: nobody of this machine, or ourselves where only we may read the database's file.

    Raises:
        DatabaseError: no user but root may read the file.
    """
    for path in files:
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


def _groups(files: Sequence[Path]) -> list[int]:
    """Return the groups that the user inside must be in to read the database's files, never root's."""
    closed = [status for path in files if not (status := path.stat()).st_mode & stat.S_IROTH]
    return sorted({status.st_gid for status in closed if status.st_mode & stat.S_IRGRP} - {0})


class _Multiplexed:
    """The engine's own frames around what a container writes: its stream (1 or 2), three zeros, a length, the bytes."""

    def __init__(self) -> None:
        self._header = b""
        self._stream = 0
        self._left = 0  # bytes that the current frame still has
        self._complaints = b""

    def decode(self, data: bytes) -> bytes:
        said = []
        at = 0
        while at < len(data):
            if self._left == 0:
                missing = 8 - len(self._header)
                self._header += data[at : at + missing]
                at += missing
                if len(self._header) == 8:
                    self._stream, self._left = struct.unpack(">BxxxI", self._header)
                    self._header = b""
                continue
            chunk = data[at : at + self._left]
            at += len(chunk)
            self._left -= len(chunk)
            if self._stream == _STDERR:
                self._complaints = (self._complaints + chunk)[-4000:]
            else:
                said.append(chunk)
        return b"".join(said)

    def complaint(self) -> str:
        return self._complaints.decode("utf-8", "replace")
