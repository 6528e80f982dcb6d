"""An engine that does not see our files: reached over TCP, or over its socket from a file system of our own."""

import asyncio
import contextlib
import hashlib
import os
import shutil
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import docker
import duckdb
import pytest

from cataloger_dagster.databases import Database
from cataloger_dagster.errors import DatabaseError
from cataloger_dagster.owners import OWNER
from cataloger_dagster.sandbox import docker as docker_module
from cataloger_dagster.sandbox.docker import DockerSandbox
from cataloger_dagster.sandbox.session import Session
from tests.newer_duckdb import make_newer
from tests.sandbox.servers import certificate
from tests.services.missing import missing
from tests.services.postgres import Postgres

ENGINE = os.environ.get("DOCKER_HOST", "unix:///var/run/docker.sock").removeprefix("unix://")


@pytest.fixture
def engine(docker_sandbox_image: str) -> Iterator[docker.DockerClient]:
    """A client of the engine by its own socket."""
    with contextlib.closing(docker.from_env()) as client:
        yield client


@pytest.fixture
def remote(
    request: pytest.FixtureRequest, engine: docker.DockerClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[None]:
    """The same engine as if it were on another machine: by TCP or TLS, through a proxy that passes bytes on."""
    context = None
    if getattr(request, "param", "tcp") == "tls":
        keys = tmp_path / "keys"
        keys.mkdir()
        certificate(keys, "engine", "127.0.0.1")
        for name, of in (("ca.pem", "engine.crt"), ("cert.pem", "engine.crt"), ("key.pem", "engine.key")):
            shutil.copy(keys / of, keys / name)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(keys / "engine.crt", keys / "engine.key")
        for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):  # they would come before Docker's own
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv("DOCKER_TLS_VERIFY", "1")
        monkeypatch.setenv("DOCKER_CERT_PATH", str(keys))
    if not ENGINE.startswith("/"):
        missing("Docker engine on a Unix socket", "unset DOCKER_HOST")

    async def pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while chunk := await reader.read(1 << 18):
                writer.write(chunk)
                await writer.drain()
        with contextlib.suppress(OSError):
            writer.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_unix_connection(ENGINE)
        try:
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.gather(pass_on(reader, far_writer), pass_on(far_reader, writer))
        finally:
            writer.transport.abort()
            far_writer.transport.abort()

    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        started = asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
        server = asyncio.run_coroutine_threadsafe(started, loop).result()
        monkeypatch.setenv("DOCKER_HOST", f"tcp://127.0.0.1:{server.sockets[0].getsockname()[1]}")
        yield
        asyncio.run_coroutine_threadsafe(ended(server), loop).result()
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


async def ended(server: asyncio.Server) -> None:
    """Close *server* and all its connections."""
    server.close()
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)
    await asyncio.sleep(0.05)  # for the transports to close


def mounts(engine: docker.DockerClient) -> list[dict[str, Any]]:
    """What the container of this process has mounted."""
    (container,) = [
        each["Id"]
        for each in engine.api.containers(filters={"label": OWNER})
        if each["Labels"][OWNER].split()[1] == str(os.getpid())
    ]
    told = engine.api.inspect_container(container)
    assert not told["HostConfig"]["Binds"]
    return list(told["Mounts"])


def is_there(engine: docker.DockerClient, volume: str) -> bool:
    """Whether the engine has *volume*."""
    return any(each.name == volume for each in engine.volumes.list())


def count(session: Session) -> str:
    """The rows of ``orders``, as a cell and a call of the kit see the database."""
    session.start("cataloger_sandbox.kit:namespace", {
        "connection": dict(session.connection), "facts": {}, "history": [], "changes": [],
    })  # fmt: skip
    result = session.execute("print(con.table('orders').count().execute())")
    assert result.error is None, result.output
    return result.output.strip()


@pytest.mark.parametrize("remote", ["tcp", "tls"], indirect=True)
def test_a_duckdb_file_is_sent_with_its_log(
    remote: None, engine: docker.DockerClient, docker_sandbox_image: str, tmp_path: Path
) -> None:
    path = tmp_path / "logged.duckdb"
    with contextlib.closing(duckdb.connect(path)) as connection:
        connection.execute("PRAGMA disable_checkpoint_on_shutdown")
        connection.execute("SET checkpoint_threshold='1GB'")
        connection.execute("CREATE TABLE orders AS SELECT range AS id FROM range(7)")
    path.chmod(0o600)  # we read it, and nobody else
    with DockerSandbox(docker_sandbox_image).open(Database.from_url(f"duckdb://{path}")) as session:
        (volume,) = mounts(engine)
        assert (volume["Type"], volume["Destination"]) == ("volume", "/data")
        assert is_there(engine, volume["Name"])
        assert count(session) == "7"
        listed = session.execute("import os; sorted(os.listdir('/data'))").output
        assert listed == "['logged.duckdb', 'logged.duckdb.wal']\n"
    until = time.monotonic() + 20  # the engine removes it after the container, whose end it saw itself
    while is_there(engine, volume["Name"]):
        assert time.monotonic() < until
        time.sleep(0.05)


@pytest.mark.parametrize("light", [True, False])
def test_a_file_that_was_sent_can_be_changed_by_nobody_inside(
    light: bool, remote: None, docker_sandbox_image: str, duckdb_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not light:
        monkeypatch.setattr(docker_module, "LIGHT_BYTES", 0)
    with DockerSandbox(docker_sandbox_image).open(Database.from_url(f"duckdb://{duckdb_file}")) as session:
        path = session.connection["path"]
        assert path == ("/proc/self/fd/60" if light else "/data/shop.duckdb")
        printed = session.execute(CHANGES.format(path=path, of_folder=not light)).output
        assert printed.count("Operation not permitted" if light else "Permission denied") >= 3
        assert "WORKED" not in printed
        assert count(session) == "3"
        assert session.execute(f"open({path!r}, 'rb').read().count(b'DUCK')").output == "1\n"


CHANGES = """
import fcntl, mmap, os
def attempt(name, action):
    try: action()
    except OSError as error: print(name, error.strerror)
    else: print(name, 'WORKED')
def written(mode):
    with open({path!r}, mode, buffering=0) as file:
        file.seek(0)
        file.write(b'x')
def mapped():
    with open({path!r}, 'r+b') as file:
        mmap.mmap(file.fileno(), 0)[0:1] = b'x'
attempt('write', lambda: written('r+b'))
attempt('truncate', lambda: written('w+b'))
attempt('append', lambda: written('ab'))
attempt('cut', lambda: os.truncate({path!r}, 1))
attempt('map', mapped)
attempt('remove', lambda: os.remove({path!r}))
attempt('rename', lambda: os.rename({path!r}, 'x'))
if {of_folder}:
    attempt('mode', lambda: os.chmod({path!r}, 0o666))
    attempt('make', lambda: open('/data/x', 'w'))
    attempt('folder', lambda: os.mkdir('/data/x'))
    attempt('move', lambda: os.rename('/data', '/work/x'))
else:
    attempt('own', lambda: os.write(60, b'x'))
    attempt('unseal', lambda: fcntl.fcntl(60, fcntl.F_ADD_SEALS, 0))
"""


def test_what_a_cell_does_with_its_own_way_to_the_file_is_its_own_loss(
    remote: None, docker_sandbox_image: str, duckdb_file: Path
) -> None:
    code = """
import os
os.chmod('/proc/self/fd/60', 0)
with open('/work/other.duckdb', 'wb') as other: other.write(b'nothing')
os.dup2(os.open('/work/other.duckdb', os.O_RDWR), 60)
open('/proc/self/fd/60', 'rb').read()
"""
    with DockerSandbox(docker_sandbox_image).open(Database.from_url(f"duckdb://{duckdb_file}")) as session:
        assert session.execute(code).output.endswith("b'nothing'\n")
        arguments = {"connection": dict(session.connection), "schemas": None}
        told = session.call("cataloger_sandbox.preflight:preflight", arguments, 60)
        assert told["tables"] == 1, told
        assert count(session) == "3"


@pytest.mark.parametrize("size", [1, 3 << 20])
def test_a_small_file_arrives_whole(size: int, remote: None, docker_sandbox_image: str, tmp_path: Path) -> None:
    path = tmp_path / "blob.duckdb"
    path.write_bytes(os.urandom(size))
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    with DockerSandbox(docker_sandbox_image).open(Database.from_url(f"duckdb://{path}")) as session:
        code = f"import hashlib; print(hashlib.sha256(open({session.connection['path']!r}, 'rb').read()).hexdigest())"
        assert session.execute(code).output == f"{digest}\n"


@pytest.mark.parametrize("remote", ["tcp", "tls"], indirect=True)
def test_a_sqlite_snapshot_is_sent(
    remote: None, engine: docker.DockerClient, docker_sandbox_image: str, sqlite_file: Path
) -> None:
    with DockerSandbox(docker_sandbox_image).open(Database.from_url(f"sqlite://{sqlite_file}")) as session:
        assert mounts(engine) == []
        assert count(session) == "3"


@pytest.mark.parametrize("remote", ["tcp", "tls"], indirect=True)
def test_a_postgres_server_is_reached(
    remote: None, engine: docker.DockerClient, docker_sandbox_image: str, postgres: Postgres
) -> None:
    admin = postgres.new_database()
    postgres.execute(admin, "CREATE TABLE orders AS SELECT generate_series(1, 500000) AS id")
    with DockerSandbox(docker_sandbox_image).open(Database.from_url(postgres.new_reader(admin))) as session:
        assert mounts(engine) == []
        assert count(session) == "500000"
        assert session.execute("len(con.table('orders').execute())").output == "500000\n"
        assert (
            session.execute("con.con.execute('SELECT length(%s)', ['x' * 3_000_000]).fetchone()").output
            == "(3000000,)\n"
        )


@pytest.mark.parametrize("sent", [True, False])
def test_a_file_that_another_process_writes_is_named(
    sent: bool, request: pytest.FixtureRequest, docker_sandbox_image: str, duckdb_file: Path
) -> None:
    if sent:
        request.getfixturevalue("remote")
    program = "import duckdb, sys; c = duckdb.connect(sys.argv[1]); print('open', flush=True); sys.stdin.read()"
    writer = subprocess.Popen(
        [sys.executable, "-c", program, str(duckdb_file)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    with writer:
        assert writer.stdout
        assert writer.stdout.readline() == b"open\n"
        database = Database.from_url(f"duckdb://{duckdb_file}")
        with (
            pytest.raises(DatabaseError, match=rf"{duckdb_file} is held open for writing by .*: let it close"),
            DockerSandbox(docker_sandbox_image).open(database) as session,
        ):
            count(session)


@pytest.mark.parametrize("sent", [True, False])
def test_a_file_of_a_newer_duckdb_is_named(
    sent: bool, request: pytest.FixtureRequest, docker_sandbox_image: str, duckdb_file: Path
) -> None:
    if sent:
        request.getfixturevalue("remote")
    make_newer(duckdb_file)
    with (
        DockerSandbox(docker_sandbox_image).open(Database.from_url(f"duckdb://{duckdb_file}")) as session,
        pytest.raises(DatabaseError, match=rf"{duckdb_file} was written by a newer DuckDB than .*EXPORT DATABASE"),
    ):
        count(session)


def test_a_file_that_became_shorter_is_not_taken_for_whole(
    remote: None, docker_sandbox_image: str, duckdb_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.fstat

    def longer(descriptor: int) -> os.stat_result:
        told = list(real(descriptor))
        told[6] += 1 << 20
        return os.stat_result(told)

    monkeypatch.setattr("cataloger_dagster.sandbox.archive.os.fstat", longer)
    with pytest.raises(DatabaseError, match="became shorter while it was copied"):
        DockerSandbox(docker_sandbox_image).open(Database.from_url(f"duckdb://{duckdb_file}")).__enter__()


OWN_FILES = """
import sys
from pathlib import Path
from typing import Any
import duckdb
from cataloger_dagster.databases import Database
from cataloger_dagster.sandbox.docker import DockerSandbox
image, path = sys.argv[1:]
with duckdb.connect(path) as connection:
    connection.execute("CREATE TABLE orders AS SELECT range AS id FROM range(11)")
with DockerSandbox(image).open(Database.from_url(f"duckdb://{path}")) as session:
    code = "from cataloger_sandbox.connect import connect\\n"
    code += f"connect({dict(session.connection)}).table('orders').count().execute()"
    print(session.execute(code).output, end="")
"""


@pytest.mark.skipif(os.getuid() != 0, reason="only root may have a file system of its own")
@pytest.mark.parametrize("decoy", [False, True])
def test_in_a_container_ourselves_our_own_file_is_read(
    decoy: bool, engine: docker.DockerClient, docker_sandbox_image: str, tmp_path: Path
) -> None:
    if shutil.which("unshare") is None:
        missing("unshare", "apt-get install util-linux")
    own = tmp_path / "own"
    own.mkdir()
    path = own / "shop.duckdb"
    if decoy:  # what the engine has by our path
        with contextlib.closing(duckdb.connect(path)) as connection:
            connection.execute("CREATE TABLE orders AS SELECT range AS id FROM range(5)")
    mount = 'mount -t tmpfs own "$1" && shift && exec "$@"'
    command = ["unshare", "--mount", "--propagation", "private", "sh", "-c", mount, "sh", str(own)]
    program = [sys.executable, "-c", OWN_FILES, docker_sandbox_image, str(path)]
    done = subprocess.run([*command, *program], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("11\n", "")
