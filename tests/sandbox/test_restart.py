"""An engine that stops, is killed and comes back: a run says so at once, nothing is left, and the next one works."""

import contextlib
import gc
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator

import docker
import pytest

from cataloger_dagster.errors import SandboxError
from cataloger_dagster.sandbox import abandoned
from cataloger_dagster.sandbox.docker import DockerSandbox
from cataloger_dagster.sandbox.pool import POOL
from tests.services import second_engine
from tests.services.missing import missing
from tests.services.second_engine import IMAGE, SecondEngine

SOON = 10.0
"""Seconds in which a run hears of its engine's end; a loaded machine included."""


@pytest.fixture(scope="module")
def _second(docker_sandbox_image: str) -> Iterator[SecondEngine]:
    if not second_engine.available():
        missing("Docker engine that can be started", second_engine.REMEDY)
    with SecondEngine() as engine:
        engine.start()
        engine.copy(docker_sandbox_image)
        yield engine


@pytest.fixture
def engine(_second: SecondEngine, monkeypatch: pytest.MonkeyPatch) -> SecondEngine:
    """A second engine, running, with nothing on it, to which ``DOCKER_HOST`` leads."""
    _second.start()
    monkeypatch.setenv("DOCKER_HOST", _second.host)
    for name in left():
        with contextlib.closing(docker.from_env()) as client:
            client.api.remove_container(name, force=True)
    return _second


def left() -> list[str]:
    """The containers that the engine knows."""
    with contextlib.closing(docker.from_env()) as client:
        return [each["Id"] for each in client.api.containers(all=True)]


def until(condition: Callable[[], bool], seconds: float = 30.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def assert_the_next_run_works() -> None:
    with DockerSandbox(IMAGE).open(None) as session:
        assert session.execute("1 + 1").output == "2\n"
    until(lambda: not left())


def collect() -> None:
    """Collect what the SDK leaves behind: a socket at which nobody listens any more."""
    with warnings.catch_warnings(action="ignore", category=ResourceWarning):
        gc.collect()


@pytest.mark.parametrize("moment", ["idle", "cell"])
@pytest.mark.parametrize("way", ["SIGTERM", "SIGKILL"])
def test_a_session_ends_with_its_engine_which_comes_back_with_nothing(
    engine: SecondEngine, way: str, moment: str
) -> None:
    ended = lose_a_session(engine, way, moment)
    assert time.monotonic() - ended < SOON
    engine.start()
    until(lambda: not left())
    until(lambda: engine.runners() == 0)  # they end a moment after their container is gone
    assert_the_next_run_works()


def lose_a_session(engine: SecondEngine, way: str, moment: str) -> float:
    """Have the engine end at a *moment* of a session, which ends with it; return when that was."""
    ended = 0.0

    def end() -> None:
        nonlocal ended
        engine.stop(way)
        ended = time.monotonic()

    def run() -> None:
        with DockerSandbox(IMAGE).open(None) as session:
            session.execute("x = 41")
            assert engine.runners()
            if moment == "idle":
                end()
                session.execute("x + 1")
            else:
                thread = threading.Timer(0.3, end)
                thread.start()
                try:
                    session.execute("import time\ntime.sleep(60)", 90)
                finally:
                    thread.join()

    with pytest.raises(SandboxError, match="the sandbox has ended"):
        run()
    collect()
    return ended


@pytest.mark.parametrize(("way", "options"), [("SIGKILL", []), ("SIGTERM", ["--live-restore"])], ids=["kill", "live"])
def test_a_container_that_outlives_its_engine_ends_by_itself(
    engine: SecondEngine, way: str, options: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    # The container's shim holds its input open: nobody tells it.
    monkeypatch.setattr("cataloger_dagster.sandbox.docker.SILENCE", 1.5)
    monkeypatch.setattr("cataloger_dagster.sandbox.stream.BEAT", 0.2)
    if options:
        engine.stop("SIGTERM")
        engine.start(*options)
    lose_a_session(engine, way, "cell")
    until(lambda: engine.runners() == 0)
    engine.start(*options)
    until(lambda: not left())
    monkeypatch.undo()
    monkeypatch.setenv("DOCKER_HOST", engine.host)
    assert_the_next_run_works()
    engine.stop("SIGTERM")


PROGRAM = """
import sys
import time
from cataloger_dagster.errors import SandboxError
from cataloger_dagster.sandbox import docker
# What the killed engine's own engine started, while nobody kept it in mind, ends when it has heard nothing so long.
docker.SILENCE = 5.0
print("ready", flush=True)
for _ in sys.stdin:
    began = time.monotonic()
    try:
        with docker.DockerSandbox(sys.argv[1]).open(None) as session:
            print(session.execute("1 + 1").output.strip(), flush=True)
    except SandboxError as error:
        print(f"SandboxError after {time.monotonic() - began:.1f} s: {error}".replace("\\n", " "), flush=True)
"""


def test_a_run_whose_engine_is_killed_while_it_makes_a_container_says_so_and_leaves_nothing(
    engine: SecondEngine,
) -> None:
    with subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", PROGRAM, IMAGE], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin
        assert process.stdout
        process.stdout.readline()
        failed = 0
        for delay in (0.01, 0.06, 0.12, 0.2, 0.3):
            process.stdin.write("\n")
            process.stdin.flush()
            time.sleep(delay)
            engine.stop("SIGKILL")
            told = process.stdout.readline()
            if told != "2\n":
                failed += 1
                assert told.startswith("SandboxError after "), told
                assert float(told.split()[2]) < SOON
            engine.start()
        assert failed
        process.stdin.close()
    # What a process that lives has made is not swept; this one has ended.
    with contextlib.closing(docker.from_env()) as client:
        abandoned.remove_abandoned(client)
    until(lambda: not left())
    until(lambda: engine.runners() == 0)  # they end a moment after their container is gone
    assert_the_next_run_works()


@pytest.mark.parametrize("way", ["SIGTERM", "SIGKILL"])
def test_what_waited_in_a_pool_is_not_claimed_after_a_restart(engine: SecondEngine, way: str) -> None:
    def idle() -> list[str]:
        with contextlib.closing(docker.from_env()) as client:
            return [each["Id"] for each in client.api.containers(filters={"label": POOL})]

    sandbox = DockerSandbox(IMAGE, pool=1)
    with sandbox.open(None):
        until(lambda: len(idle()) == 1)
    [waiting] = idle()
    engine.stop(way)
    with pytest.raises(SandboxError, match="no Docker engine answers"), sandbox.open(None):
        pass
    engine.start()
    with sandbox.open(None) as session:
        host = session.execute("import socket; print(socket.gethostname())").output.strip()
        assert not waiting.startswith(host)
        until(lambda: len(idle()) == 1)
        assert idle() != [waiting]
    with contextlib.closing(docker.from_env()) as client:
        client.api.remove_container(idle()[0], force=True)
    until(lambda: not left())
