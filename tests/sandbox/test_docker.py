"""The container around a session: what confines it, and that it ends with the process that opened it."""

import contextlib
import gc
import os
import socket
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import docker
import pytest

from cataloger_dagster.databases import Database
from cataloger_dagster.errors import DatabaseError, SandboxError
from cataloger_dagster.owners import OWNER, owner
from cataloger_dagster.sandbox import runner
from cataloger_dagster.sandbox.docker import DockerSandbox
from cataloger_dagster.sandbox.session import Session


@pytest.fixture
def client(docker_sandbox_image: str) -> Iterator[docker.DockerClient]:
    with contextlib.closing(docker.from_env()) as client:
        yield client


@pytest.fixture(scope="module")
def session(docker_sandbox_image: str) -> Iterator[Session]:
    with DockerSandbox(docker_sandbox_image, memory_mb=1024, pids=64).open(None) as session:
        yield session


def of_process(client: docker.DockerClient, process: int) -> list[str]:
    """The containers that a process opened."""
    listed = client.api.containers(all=True, filters={"label": OWNER})
    return [each["Id"] for each in listed if each["Labels"][OWNER].split()[1] == str(process)]


def left(client: docker.DockerClient, before: list[str]) -> set[str]:
    """The containers opened by this process since *before* that are still there when the engine has had its time."""
    deadline = time.monotonic() + 10
    while found := set(of_process(client, os.getpid())) - set(before):
        if time.monotonic() > deadline:
            break
        time.sleep(0.1)  # the engine may be removing one already, of its own accord
    return found


def test_the_engine_is_told_every_limit(
    client: docker.DockerClient, docker_sandbox_image: str, duckdb_file: Path
) -> None:
    before = of_process(client, os.getpid())  # the engine may be removing one still, of the test before
    with DockerSandbox(docker_sandbox_image, memory_mb=768, cpus=1.5, pids=77).open(
        Database.from_url(str(duckdb_file))
    ):
        (container,) = set(of_process(client, os.getpid())) - set(before)
        told = client.api.inspect_container(container)
    host = told["HostConfig"]
    assert host["NetworkMode"] == "none"
    assert host["ReadonlyRootfs"] is True
    assert host["CapDrop"] == ["ALL"]
    assert not host["CapAdd"]
    assert host["SecurityOpt"] == ["no-new-privileges:true"]
    assert host["Privileged"] is False
    assert (host["PidsLimit"], host["NanoCpus"]) == (77, 1_500_000_000)
    assert host["Memory"] == host["MemorySwap"] == 768 << 20
    assert host["LogConfig"]["Type"] == "none"
    assert host["AutoRemove"] is True
    assert host["Tmpfs"]["/work"].startswith("size=192m")
    assert [(mount["Source"], mount["Destination"], mount["RW"]) for mount in told["Mounts"]] == [
        (str(duckdb_file), "/data/shop.duckdb", False)
    ]
    assert told["Config"]["User"] == "10001:10001"
    assert told["Config"]["StdinOnce"] is True
    assert told["Config"]["Labels"][OWNER] == owner()
    assert not left(client, [])


def test_inside_there_is_no_network_no_right_and_nothing_to_write_to(session: Session) -> None:
    code = """
import os, socket
def fails(action, *arguments):
    try: action(*arguments)
    except OSError as error: return error.strerror
    return 'WORKED'
print(os.getuid() != 0, [name for _, name in socket.if_nameindex()])
print(fails(socket.create_connection, ('1.1.1.1', 53), 2))
print([fails(open, place + '/x', 'w') for place in ('/', '/opt/cataloger', '/etc', '/usr')])
print(fails(os.setuid, 0), fails(os.chroot, '/'))
print({line.split()[1] for line in open('/proc/self/status') if line.startswith('CapEff')})
print([fails(open, f'/proc/1/{name}') for name in ('mem', 'environ')], fails(os.listdir, '/proc/1/fd'))
print(fails(os.kill, 1, 9))
"""
    result = session.execute(code)
    assert result.output.splitlines() == [
        "True ['lo']",
        "Network is unreachable",
        "['Read-only file system', 'Read-only file system', 'Read-only file system', 'Read-only file system']",
        "Operation not permitted Operation not permitted",
        "{'0000000000000000'}",
        "['Permission denied', 'Permission denied'] Permission denied",
        "WORKED",  # the first process of a namespace gets no signal from inside it
    ]
    assert session.execute("1").output == "1\n"


def test_the_work_folder_has_a_size(session: Session) -> None:
    result = session.execute(
        "with open('big', 'wb') as file:\n    for n in range(300): file.write(bytes(1 << 20))", timeout=60
    )
    assert "No space left on device" in result.output
    assert session.execute("import os; os.remove('big'); 1").output == "1\n"


def test_a_fork_bomb_ends_with_its_cell(session: Session) -> None:
    session.execute("x = 41")
    result = session.execute("import os\nwhile True:\n    try: os.fork()\n    except OSError: pass", timeout=1)
    assert result.error == "timeout"
    assert result.seconds < 10
    session.stop()
    assert (
        session.execute("len([n for n in os.listdir('/proc') if n.isdigit()]) if 'os' in dir() else 1").output == "1\n"
    )
    assert session.execute("import os; len([n for n in os.listdir('/proc') if n.isdigit()])").output in ("3\n", "2\n")


def test_every_process_may_be_killed_and_the_session_goes_on(session: Session) -> None:
    session.call("os:getpid", {}, 30)
    result = session.execute("import os\nos.kill(-1, 9)")
    assert result.error in (None, "died")
    assert session.execute("1 + 1").output == "2\n"
    assert session.call("os:getcwd", {}, 60) == "/work"


def test_a_stopped_zygote_is_no_end(session: Session) -> None:
    session.call("os:getpid", {}, 30)
    session.execute(
        "import os, signal\n"
        "for name in os.listdir('/proc'):\n"
        "    if name.isdigit() and name not in ('1', str(os.getpid())): os.kill(int(name), signal.SIGSTOP)"
    )
    assert session.call("os:getcwd", {}, 60) == "/work"


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit, GeneratorExit])
def test_no_container_outlives_an_error(
    client: docker.DockerClient, docker_sandbox_image: str, error: type[BaseException]
) -> None:
    def failing() -> None:
        with DockerSandbox(docker_sandbox_image).open(None):
            assert of_process(client, os.getpid())
            raise error

    before = of_process(client, os.getpid())
    with pytest.raises(error):
        failing()
    assert not left(client, before)


def test_an_interrupt_before_the_container_starts_leaves_none(
    client: docker.DockerClient, docker_sandbox_image: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(self: object, name: str) -> None:
        raise KeyboardInterrupt

    before = of_process(client, os.getpid())
    monkeypatch.setattr(docker.APIClient, "start", interrupted)
    with pytest.raises(KeyboardInterrupt), DockerSandbox(docker_sandbox_image).open(None):
        pass
    assert not left(client, before)


class Way:
    """A socket at *path* that leads to the engine, until it is cut: what a client sees of an engine that goes down."""

    def __init__(self, path: Path, engine: str) -> None:
        self._engine = engine
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen()
        self._links: list[socket.socket] = [self._listener]
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                far = socket.socket(socket.AF_UNIX)
                far.connect(self._engine)
                self._links += [near, far]
                for one, other in ((near, far), (far, near)):
                    threading.Thread(target=self._carry, args=[one, other], daemon=True).start()

    def _carry(self, one: socket.socket, other: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while chunk := one.recv(1 << 16):
                other.sendall(chunk)
        with contextlib.suppress(OSError):
            other.shutdown(socket.SHUT_WR)

    def cut(self) -> None:
        for link in self._links:
            with contextlib.suppress(OSError):
                link.shutdown(socket.SHUT_RDWR)
            link.close()


@pytest.mark.parametrize("comes_back", [True, False])
def test_an_engine_that_goes_down_in_a_cell_ends_the_session_in_words_and_leaves_no_container(
    comes_back: bool,
    client: docker.DockerClient,
    docker_sandbox_image: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    engine = client.api.base_url
    host = os.environ.get("DOCKER_HOST", "unix:///var/run/docker.sock")
    if not engine.startswith("http+docker://local") or not host.startswith("unix://"):
        pytest.skip("the engine is not on a socket of this machine")
    before = of_process(client, os.getpid())
    path = tmp_path / "s"
    ways = [Way(path, host.removeprefix("unix://"))]
    monkeypatch.setenv("DOCKER_HOST", f"unix://{path}")

    def fall() -> None:
        ways[0].cut()
        path.unlink()
        if comes_back:
            ways.append(Way(path, host.removeprefix("unix://")))

    def run() -> None:
        with DockerSandbox(docker_sandbox_image).open(None) as session:
            assert set(of_process(client, os.getpid())) - set(before)
            threading.Timer(0.5, fall).start()
            session.execute("import time\ntime.sleep(60)", 90)

    began = time.monotonic()
    with pytest.raises(SandboxError, match=r"the sandbox has ended"):
        run()
    assert time.monotonic() - began < 30
    # The SDK leaves a socket open at which nobody listens any more.
    with warnings.catch_warnings(action="ignore", category=ResourceWarning):
        gc.collect()
    assert not left(client, before)
    if comes_back:
        with DockerSandbox(docker_sandbox_image).open(None) as session:
            assert session.execute("1 + 1").output == "2\n"
    ways[-1].cut()


def test_a_missing_image_says_how_to_build_it(docker_sandbox_image: str) -> None:
    with pytest.raises(SandboxError, match="no image cataloger-none:1; build it: cataloger sandbox build"):
        DockerSandbox("cataloger-none:1").open(None).__enter__()


def test_an_image_of_another_version_says_how_to_build_it(
    docker_sandbox_image: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner, "__version__", "9.9.9")
    with pytest.raises(SandboxError, match=r"version 0\S+, Cataloger of version 9\.9\.9.*cataloger sandbox build"):
        DockerSandbox(docker_sandbox_image).open(None).__enter__()


def test_an_image_that_is_no_sandbox_says_so(client: docker.DockerClient, docker_sandbox_image: str) -> None:
    container = client.api.create_container(docker_sandbox_image)["Id"]
    try:
        client.api.commit(container, "cataloger-no-sandbox", "test", conf={"Entrypoint": ["/bin/cat"]})
        with pytest.raises(SandboxError, match=r"(?s)has ended.*No such file.*cataloger-no-sandbox:test"):
            DockerSandbox("cataloger-no-sandbox:test").open(None).__enter__()
    finally:
        client.api.remove_container(container)
        client.api.remove_image("cataloger-no-sandbox:test", force=True)


def test_no_engine_says_how_to_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere/docker.sock")
    with pytest.raises(SandboxError, match=r"no Docker engine answers \(No such file.*CATALOGER_SANDBOX=local"):
        DockerSandbox("any").open(None).__enter__()
    gc.collect()  # a socket left open is an error


def test_a_missing_file_is_a_database_error(docker_sandbox_image: str, tmp_path: Path) -> None:
    with pytest.raises(DatabaseError, match="no such file"):
        DockerSandbox(docker_sandbox_image).open(Database.from_url(f"duckdb://{tmp_path}/none.duckdb")).__enter__()


def owned_by(uid: int, mode: int) -> Callable[[Path], None]:
    def change(path: Path) -> None:
        os.chown(path, uid, uid)
        path.chmod(mode)

    return change


@pytest.mark.skipif(os.getuid() != 0, reason="only root may give files away")
def test_a_file_for_a_group_is_read_and_one_for_root_alone_says_what_to_do(
    docker_sandbox_image: str, duckdb_file: Path
) -> None:
    database = Database.from_url(f"duckdb://{duckdb_file}")
    connection = {"backend": "duckdb", "path": "/data/shop.duckdb"}
    connect = f"from cataloger_sandbox.connect import connect\nconnect({connection}).list_tables()"
    owned_by(4321, 0o640)(duckdb_file)
    with DockerSandbox(docker_sandbox_image).open(database) as session:
        assert session.execute(connect).output.endswith("['orders']\n")
    owned_by(0, 0o600)(duckdb_file)
    with pytest.raises(DatabaseError, match=r"mode 0600.*chmod o\+r"):
        DockerSandbox(docker_sandbox_image).open(database).__enter__()
