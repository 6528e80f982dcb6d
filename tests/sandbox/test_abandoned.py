"""No container outlives its run: not one that is killed at whatever moment, and of no other run is one removed."""

import contextlib
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator

import docker
import pytest

from cataloger_dagster.errors import SandboxError
from cataloger_dagster.owners import OWNER, owner
from cataloger_dagster.sandbox import abandoned
from cataloger_dagster.sandbox.docker import DockerSandbox


@pytest.fixture
def client(docker_sandbox_image: str) -> Iterator[docker.DockerClient]:
    with contextlib.closing(docker.from_env()) as client:
        yield client


def of_processes(client: docker.DockerClient, processes: set[int], state: str | None = None) -> set[str]:
    """The containers that some *processes* made, or those of them in one *state*."""
    return {
        each["Id"]
        for each in client.api.containers(all=True, filters={"label": OWNER})
        if int(each["Labels"][OWNER].split()[1]) in processes and state in (None, each["State"])
    }


PROGRAM = """
import sys, time
from cataloger_dagster.sandbox.docker import DockerSandbox
with DockerSandbox(sys.argv[1]).open(None) as session:
    session.execute("x = 41")
    print("ready", flush=True)
    if sys.argv[2] == "cell":
        session.execute("import time; time.sleep(60)", timeout=100)
    time.sleep(60)
"""


@pytest.mark.parametrize(
    ("number", "moment"),
    [(signal.SIGKILL, "cell"), (signal.SIGKILL, "idle"), (signal.SIGTERM, "cell"), (signal.SIGINT, "cell")],
)
def test_the_container_goes_with_the_process_that_opened_it(
    client: docker.DockerClient, docker_sandbox_image: str, number: signal.Signals, moment: str
) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, docker_sandbox_image, moment],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    with process:
        assert process.stdout
        assert process.stdout.readline() == b"ready\n"
        assert len(of_processes(client, {process.pid})) == 1
        process.send_signal(number)
        ended = time.monotonic()
        process.wait(10)
    while of_processes(client, {process.pid}):
        assert time.monotonic() - ended < 10
        time.sleep(0.02)
    sys.stdout.write(f"{number.name} in {moment}: gone after {time.monotonic() - ended:.2f} s\n")


FORKS = """
import os, sys, time
from cataloger_dagster.sandbox.docker import DockerSandbox
for line in sys.stdin:
    child = os.fork()
    if child == 0:
        with DockerSandbox(sys.argv[1]).open(None) as session:
            for _ in range(100):
                session.execute("import time; time.sleep(0.1)")
                time.sleep(0.1)
        os._exit(0)
    print(child, flush=True)
"""


def test_a_run_killed_at_any_moment_leaves_nothing(client: docker.DockerClient, docker_sandbox_image: str) -> None:
    moments = random.Random(20)
    killed: set[int] = set()
    had = unstarted = 0
    longest = 0.0
    with subprocess.Popen(
        [sys.executable, "-c", FORKS, docker_sandbox_image],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        bufsize=1,
    ) as forker:
        assert forker.stdin
        assert forker.stdout
        for _ in range(4):
            # From before the container is made to well into its cells.
            delays = sorted(moments.uniform(0, 2) for _ in range(5))
            began = time.monotonic()
            young = []
            for _ in delays:
                forker.stdin.write("\n")
                young.append(int(forker.stdout.readline()))
            for child, delay in zip(young, delays, strict=True):
                time.sleep(max(0.0, began + delay - time.monotonic()))
                os.kill(child, signal.SIGKILL)
            killed.update(young)
            ended = time.monotonic()
            had += len(of_processes(client, set(young)))
            # Those that run end by themselves.
            while of_processes(client, killed, "running"):
                assert time.monotonic() - ended < 20
                time.sleep(0.02)
            longest = max(longest, time.monotonic() - ended)
            unstarted += len(of_processes(client, killed, "created"))
        forker.stdin.close()
    assert had
    # The next run removes the others.
    with DockerSandbox(docker_sandbox_image).open(None):
        deadline = time.monotonic() + 20
        while of_processes(client, killed):  # the engine may be removing one already
            assert time.monotonic() < deadline
            time.sleep(0.05)
    told = f"of {len(killed)} killed runs {had} had a container, {unstarted} never started"
    sys.stdout.write(f"{told}; the others were gone after {longest:.2f} s\n")


@pytest.fixture
def made(client: docker.DockerClient, docker_sandbox_image: str) -> Iterator[dict[str, str]]:
    """Containers that were not started, by what their owner is."""
    place, process, _ = owner().rsplit(" ", 2)
    host, boot, processes = place.split("/")
    marks = {
        "dead": f"{place} {process} 1",
        "alive": owner(),
        "on another host": f"elsewhere/{boot}/{processes} {process} 1",
        "before a restart, or on a host of the same name": f"{host}/another/{processes} {process} 1",
        "in a container of the same name": f"{host}/{boot}/pid:[1] {process} 1",
    }
    containers = {
        name: client.api.create_container(docker_sandbox_image, labels={OWNER: mark})["Id"]
        for name, mark in marks.items()
    }
    try:
        yield containers
    finally:
        for container in containers.values():
            try:
                client.api.remove_container(container, force=True)
            except docker.errors.APIError as error:
                # A run of another test may have removed the dead one, or be about it.
                if error.status_code not in (404, 409):
                    raise


def left(client: docker.DockerClient, made: dict[str, str]) -> set[str]:
    there = {each["Id"] for each in client.api.containers(all=True)}
    return {name for name, container in made.items() if container in there}


def test_a_run_removes_first_what_a_dead_one_left_and_nothing_of_others(
    client: docker.DockerClient, docker_sandbox_image: str, made: dict[str, str]
) -> None:
    with DockerSandbox(docker_sandbox_image).open(None):
        deadline = time.monotonic() + 20
        while "dead" in left(client, made):  # another run may be removing it already
            assert time.monotonic() < deadline
            time.sleep(0.05)
        assert left(client, made) == set(made) - {"dead"}


def test_a_sweep_removes_what_nobody_started_for_a_day_whoever_made_it(
    client: docker.DockerClient, docker_sandbox_image: str, made: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    started = client.api.create_container(
        docker_sandbox_image, entrypoint=["/bin/sleep", "60"], labels={OWNER: "elsewhere/x/y 1 1"}
    )["Id"]
    try:
        client.api.start(started)
        now = time.time()
        monkeypatch.setattr("cataloger_dagster.sandbox.abandoned.time.time", lambda: now + 90_000)
        ours = {each["Id"] for each in client.api.containers(all=True, filters={"label": OWNER})}
        listed = client.api.containers
        # Runs of other tests are going on: of theirs nothing is forgotten, and they remove what is dead.
        made = {name: container for name, container in made.items() if name != "dead"}
        mine = {*made.values(), started}
        monkeypatch.setattr(
            docker.APIClient, "containers", lambda self, **how: [e for e in listed(**how) if e["Id"] in mine]
        )
        assert mine <= ours
        abandoned.sweep()
        assert left(client, made | {"started": started}) == {"started"}
    finally:
        client.api.remove_container(started, force=True)


@pytest.mark.parametrize("names", [[], None])
def test_a_container_that_has_no_name_yet_or_any_more_is_removed_too(
    client: docker.DockerClient, made: dict[str, str], monkeypatch: pytest.MonkeyPatch, names: list[str] | None
) -> None:
    dead = owner().rpartition(" ")[0] + " 1"  # it began at another time
    told = {"Id": made["dead"], "Names": names, "State": "created", "Created": time.time(), "Labels": {OWNER: dead}}
    monkeypatch.setattr(docker.APIClient, "containers", lambda self, **how: [told])
    assert abandoned.sweep() == [made["dead"][:12]]
    monkeypatch.undo()
    assert "dead" not in left(client, made)


def test_a_container_that_is_stuck_stops_no_run_and_the_sweep_says_why(
    client: docker.DockerClient, docker_sandbox_image: str, made: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    # Dead to us alone: other runs of this machine would remove it.
    mark = client.api.inspect_container(made["on another host"])["Config"]["Labels"][OWNER]
    monkeypatch.setattr(abandoned, "is_dead", lambda other: other == mark)
    remove = docker.APIClient.remove_container

    def stuck(self: docker.APIClient, container: str, **how: object) -> None:
        if container == made["on another host"]:
            raise docker.errors.APIError("driver failed to remove root filesystem", explanation="device is busy")
        remove(self, container, **how)

    monkeypatch.setattr(docker.APIClient, "remove_container", stuck)
    with DockerSandbox(docker_sandbox_image).open(None) as session:
        assert session.execute("1").output == "1\n"
    with pytest.raises(SandboxError, match=r"can't remove what a dead run left: .*: device is busy"):
        abandoned.sweep()
