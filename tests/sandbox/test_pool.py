"""The warm pool: containers that wait for anybody, are claimed once, and leave nothing behind."""

import contextlib
import itertools
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import docker
import pytest

from cataloger_dagster.databases import Database
from cataloger_dagster.errors import SandboxError
from cataloger_dagster.sandbox import docker as docker_module
from cataloger_dagster.sandbox.docker import LIGHT_BYTES, DockerSandbox
from cataloger_dagster.sandbox.pool import POOL
from tests.services.postgres import Postgres

pytestmark = pytest.mark.docker

WORKERS = 16
_MEMORY = itertools.count(1024 + int(os.environ.get("PYTEST_XDIST_WORKER", "gw0")[2:]) % WORKERS, WORKERS)
"""Sizes of memory that no other worker takes."""


@pytest.fixture
def client() -> Iterator[docker.DockerClient]:
    with contextlib.closing(docker.from_env()) as found:
        yield found


class Pooled:
    """Sandboxes that share a pool no other test knows: its plan is its own by an odd size of memory."""

    def __init__(self, client: docker.DockerClient, image: str) -> None:
        self.client, self.image = client, image
        self.memory = next(_MEMORY)
        self.plan = self.sandbox(1)._pool.labels[POOL]  # type: ignore[union-attr]

    def sandbox(self, size: int) -> DockerSandbox:
        return DockerSandbox(self.image, memory_mb=self.memory, pool=size)

    def containers(self) -> dict[str, str]:
        """All that was made for the pool: names and ids."""
        found = self.client.api.containers(all=True, filters={"label": f"{POOL}={self.plan}"})
        return {each["Names"][0].removeprefix("/"): each["Id"] for each in found}

    def idle(self) -> dict[str, str]:
        return {name: each for name, each in self.containers().items() if name.startswith("cataloger-idle-")}

    def wait_for(self, condition: Callable[[], Any], seconds: float = 60) -> None:
        until = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < until, self.containers()
            time.sleep(0.05)

    def fill(self, size: int) -> DockerSandbox:
        """Have a run fill the pool, and wait until it is full."""
        sandbox = self.sandbox(size)
        with sandbox.open(None):
            self.wait_for(lambda: len(self.idle()) == size)
        self.wait_for(lambda: len(self.containers()) == size)
        return sandbox

    def end(self) -> None:
        """Let the refilling come to its end, and remove all that was made."""
        for thread in threading.enumerate():
            if thread.name == "sandbox pool":
                thread.join(30)
        for name in self.containers():
            with contextlib.suppress(docker.errors.APIError):
                self.client.api.remove_container(name, force=True, v=True)


@pytest.fixture
def pooled(client: docker.DockerClient, docker_sandbox_image: str) -> Iterator[Pooled]:
    made = Pooled(client, docker_sandbox_image)
    yield made
    made.end()


def test_a_run_claims_an_idle_container_uses_it_once_and_another_takes_its_place(pooled: Pooled) -> None:
    sandbox = pooled.fill(1)
    [waiting] = pooled.idle().values()
    with sandbox.open(None) as session:
        session.execute("secret = 42")
        assert session.execute("secret").output == "42\n"
        mine = [name for name, each in pooled.containers().items() if each == waiting]
        assert [name.startswith("cataloger-idle-") for name in mine] == [False], "it has the run's name"
        pooled.wait_for(lambda: pooled.idle())
        assert waiting not in pooled.idle().values()
    pooled.wait_for(lambda: waiting not in pooled.containers().values())
    with sandbox.open(None) as session:
        assert "NameError" in session.execute("secret").output


def test_a_claimed_container_is_confined_as_any_other(pooled: Pooled, client: docker.DockerClient) -> None:
    sandbox = pooled.fill(1)
    [waiting] = pooled.idle().values()
    with DockerSandbox(pooled.image, memory_mb=pooled.memory).open(None), sandbox.open(None) as session:
        told = client.api.inspect_container(waiting)
        host = told["HostConfig"]
        assert (host["NetworkMode"], host["ReadonlyRootfs"], host["CapDrop"]) == ("none", True, ["ALL"])
        assert (host["Memory"], host["PidsLimit"], told["Config"]["User"]) == (pooled.memory << 20, 256, "10001:10001")
        assert session.execute("import os; sorted(os.environ)").output == session.execute("sorted(os.environ)").output
        assert "CATALOGER" not in session.execute("dict(os.environ)").output


def test_databases_behind_the_relay_and_small_files_are_reached_from_a_claimed_container(
    pooled: Pooled, postgres: Postgres, sqlite_file: Path, duckdb_file: Path
) -> None:
    url = postgres.new_database("pooled")
    postgres.execute(url, "CREATE TABLE t AS SELECT generate_series(1, 7) AS id")
    for address, table, rows in [
        (Database.from_url(url, "pooled"), "t", "7"),
        (Database.from_url(f"sqlite://{sqlite_file}", "lite"), None, None),
        (Database.from_url(f"duckdb://{duckdb_file}", "duck"), None, None),
    ]:
        sandbox = pooled.fill(1)
        [waiting] = pooled.idle().values()
        with sandbox.open(address) as session:
            assert waiting in pooled.containers().values()
            assert not [name for name, each in pooled.idle().items() if each == waiting]
            kit = {"connection": dict(session.connection), "facts": {}, "history": [], "changes": []}
            session.start("cataloger_sandbox.kit:namespace", kit)
            told = session.execute("con.list_tables()")
            assert told.error is None, told.output
            if table:
                assert session.connection["host"].startswith("@"), "the tunnel: nothing can be mounted any more"
                assert session.execute(f"con.table({table!r}).count().execute()").output == f"{rows}\n"
            else:
                assert told.output != "[]\n"


def test_a_large_file_is_mounted_in_a_container_of_its_own(
    pooled: Pooled, duckdb_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert duckdb_file.stat().st_size <= LIGHT_BYTES
    monkeypatch.setattr(docker_module, "LIGHT_BYTES", duckdb_file.stat().st_size - 1)
    sandbox = pooled.fill(1)
    with sandbox.open(Database.from_url(f"duckdb://{duckdb_file}", "duck")):
        assert len(pooled.idle()) == 1
        assert len(pooled.containers()) == 1


def test_of_many_who_want_the_same_container_each_gets_one_of_its_own(pooled: Pooled) -> None:
    sandbox = pooled.fill(2)
    waiting = set(pooled.idle().values())
    start = threading.Barrier(4, timeout=60)

    def use(number: int) -> str:
        start.wait()
        with sandbox.open(None) as session:
            session.execute(f"number = {number}")
            start.wait()
            host = session.execute("import socket; print(number, socket.gethostname())").output
            start.wait()
            return host

    with ThreadPoolExecutor(4) as pool:
        told = [each.split() for each in pool.map(use, range(4))]
    assert [int(number) for number, _ in told] == [0, 1, 2, 3]
    hosts = {host for _, host in told}
    assert len(hosts) == 4
    assert {each[:12] for each in waiting} <= hosts


def test_of_many_claims_on_one_container_one_succeeds(pooled: Pooled) -> None:
    for _ in range(3):
        sandbox = pooled.fill(1)
        start = threading.Barrier(8, timeout=60)

        def claim(_: int, sandbox: DockerSandbox = sandbox, start: threading.Barrier = start) -> str | None:
            with contextlib.closing(docker.from_env()) as client:
                client.ping()
                start.wait()
                return sandbox._pool.claim(client)  # type: ignore[union-attr]

        with ThreadPoolExecutor(8) as threads:
            claimed = [name for name in threads.map(claim, range(8)) if name is not None]
        assert len(claimed) == 1
        pooled.client.api.remove_container(claimed[0], force=True, v=True)


def test_the_pool_does_not_grow_beyond_its_size_whoever_fills_it(pooled: Pooled) -> None:
    with contextlib.ExitStack() as stack:
        for _ in range(3):
            stack.enter_context(pooled.sandbox(2).open(None))
        pooled.wait_for(lambda: len(pooled.idle()) == 2)
        for thread in threading.enumerate():
            if thread.name == "sandbox pool":
                thread.join(60)
        assert len(pooled.idle()) == 2
    with pooled.sandbox(1).open(None):
        pooled.wait_for(lambda: len(pooled.idle()) == 1)


def test_an_idle_container_ends_by_itself(pooled: Pooled, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(docker_module, "IDLE_SECONDS", 1)
    with pooled.sandbox(1).open(None):
        pooled.wait_for(lambda: not [t for t in threading.enumerate() if t.name == "sandbox pool"])
        pooled.wait_for(lambda: not pooled.containers())


def test_a_new_image_takes_the_place_of_the_old_one_in_the_pool(
    client: docker.DockerClient, docker_sandbox_image: str
) -> None:
    name = f"cataloger-test-pool:{os.getpid()}"
    client.images.get(docker_sandbox_image).tag(name)
    pooled = Pooled(client, name)
    try:
        pooled.fill(1)
        [old] = pooled.idle().values()
        made = client.api.create_container(docker_sandbox_image)
        client.api.commit(made["Id"], *name.split(":"), message="another version")
        client.api.remove_container(made["Id"])
        with pooled.sandbox(1).open(None):
            pooled.wait_for(lambda: pooled.idle() and old not in pooled.containers().values())
    finally:
        pooled.end()
        client.images.remove(name, force=True)


PROGRAM = """
import sys
from cataloger_dagster.sandbox.docker import DockerSandbox
with DockerSandbox(sys.argv[1], memory_mb=int(sys.argv[2]), pool=1).open(None) as session:
    print("ready", flush=True)
    session.execute("import time; time.sleep(60)", timeout=100)
"""


def test_a_claimed_container_goes_with_its_killed_host_and_the_idle_one_stays(pooled: Pooled) -> None:
    pooled.fill(1)
    [waiting] = pooled.idle().values()
    host = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, pooled.image, str(pooled.memory)], stdout=subprocess.PIPE, text=True
    )
    assert host.stdout
    assert host.stdout.readline() == "ready\n"
    pooled.wait_for(lambda: [each for each in pooled.idle().values() if each != waiting])
    host.send_signal(signal.SIGKILL)
    host.communicate()
    pooled.wait_for(lambda: waiting not in pooled.containers().values(), seconds=10)
    assert len(pooled.idle()) == 1


def test_without_a_pool_none_is_made(pooled: Pooled) -> None:
    with DockerSandbox(pooled.image, memory_mb=pooled.memory).open(None):
        pass
    assert pooled.containers() == {}


def test_the_runtime_is_the_one_that_was_asked_for(client: docker.DockerClient, docker_sandbox_image: str) -> None:
    sandbox = DockerSandbox(docker_sandbox_image, runtime="runc")
    with sandbox.open(None) as session:
        identifier = session.execute("import socket; print(socket.gethostname())").output.strip()
        assert client.api.inspect_container(identifier)["HostConfig"]["Runtime"] == "runc"
    with (
        pytest.raises(SandboxError, match="no-such-runtime"),
        DockerSandbox(docker_sandbox_image, runtime="no-such-runtime").open(None),
    ):
        pass
