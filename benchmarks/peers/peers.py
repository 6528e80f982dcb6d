"""The peers' sessions, measured: run by ``benchmarks/sandbox.py`` in an environment of their own.

Each at its best: an image with all it would install, a network where it wants one, its stateful form.
``python peers.py PEER IMAGE`` measures what each line of its input asks for (``once``, ``idle``, ``together``,
``pool``), once, and answers with a line of JSON: the figures by their names.
"""

import contextlib
import json
import logging
import socket
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from measures import Open, attempted, idle, once, opened, together

IMAGE = sys.argv[2]
QUERY = """
import ibis
con = ibis.duckdb.connect("/sandbox/flights.duckdb", read_only=True)
print(con.table("flights").count().execute())
"""
ANSWER = "1000"


def free_port() -> int:
    """Return a port of loopback that nobody listens on now."""
    with socket.socket() as link:
        link.bind(("127.0.0.1", 0))
        return int(link.getsockname()[1])


class _Kernel:
    """ipykernel in a container that shares the host's network, driven by jupyter_client."""

    def __init__(self, folder: str) -> None:
        from jupyter_client import BlockingKernelClient
        from jupyter_client.connect import write_connection_file

        self.container = f"peer-{uuid.uuid4().hex[:12]}"
        file, _ = write_connection_file(str(Path(folder) / "kernel.json"))
        Path(file).chmod(0o644)
        command = ["docker", "run", "--rm", "--detach", "--name", self.container, "--network", "host"]
        command += ["--volume", f"{folder}:/connection:ro", IMAGE]
        command += ["python", "-m", "ipykernel_launcher", "-f", "/connection/kernel.json"]
        subprocess.run(command, check=True, capture_output=True)
        self._client = BlockingKernelClient(connection_file=file)
        self._client.load_connection_file()
        # Without heartbeats: a kernel that needs longer than one to start is taken for dead.
        self._client.start_channels(hb=False)
        self._client.wait_for_ready(timeout=60)

    def run(self, code: str) -> str:
        printed: list[str] = []

        def keep(message: dict) -> None:
            if message["msg_type"] == "stream":
                printed.append(message["content"]["text"])

        self._client.execute_interactive(code, output_hook=keep, timeout=60)
        return "".join(printed)

    def reset(self) -> None:
        # The kernel is the container's first process: to restart one is to restart the other.
        subprocess.run(["docker", "restart", "--time", "0", self.container], check=True, capture_output=True)
        self._client.wait_for_ready(timeout=60)

    def close(self) -> None:
        self._client.stop_channels()
        subprocess.run(["docker", "rm", "--force", self.container], check=True, capture_output=True)


@contextlib.contextmanager
def ipykernel() -> Iterator[_Kernel]:
    """Open ipykernel's session."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        kernel = _Kernel(folder)
        try:
            yield kernel
        finally:
            kernel.close()


class _Smolagents:
    """The DockerExecutor of smolagents."""

    def __init__(self) -> None:
        from smolagents.monitoring import AgentLogger, LogLevel
        from smolagents.remote_executors import DockerExecutor

        self._executor = DockerExecutor(
            [], AgentLogger(level=LogLevel.OFF), port=free_port(), image_name=IMAGE, build_new_image=False
        )
        self.container = self._executor.container.id

    def run(self, code: str) -> str:
        return str(self._executor.run_code_raise_errors(code).logs)

    def reset(self) -> None:
        raise NotImplementedError

    def close(self) -> None:
        self._executor.container.remove(force=True)  # its own cleanup waits ten seconds for a signal nobody handles


@contextlib.contextmanager
def smolagents() -> Iterator[_Smolagents]:
    """Open smolagents' session."""
    session = _Smolagents()
    try:
        yield session
    finally:
        session.close()


class _Llm:
    """The InteractiveSandboxSession of llm-sandbox."""

    def __init__(self) -> None:
        from llm_sandbox import InteractiveSandboxSession

        self._session = InteractiveSandboxSession(image=IMAGE, skip_environment_setup=True, keep_template=True)
        self._session.open()
        self.container = self._session.container.id

    def run(self, code: str) -> str:
        return str(self._session.run(code).stdout)

    def reset(self) -> None:
        raise NotImplementedError

    def close(self) -> None:
        self._session.container.remove(force=True)  # its own way waits ten seconds, as smolagents' does


@contextlib.contextmanager
def llm_sandbox() -> Iterator[_Llm]:
    """Open llm-sandbox's session."""
    session = _Llm()
    try:
        yield session
    finally:
        session.close()


@contextlib.contextmanager
def pooled() -> Iterator[Open]:
    """Hold llm-sandbox's pool of one container, and yield what claims it; its cells keep no state, nor is it new."""
    from llm_sandbox import SandboxBackend, SandboxSession
    from llm_sandbox.pool import PoolConfig, create_pool_manager

    config = PoolConfig(max_pool_size=1, min_pool_size=1)
    with create_pool_manager(
        backend=SandboxBackend.DOCKER, config=config, image=IMAGE, skip_environment_setup=True
    ) as pool:

        @contextlib.contextmanager
        def claim() -> Iterator[_Pooled]:
            with SandboxSession(pool=pool) as session:
                yield _Pooled(session)

        yield claim


class _Pooled:
    """A session of llm-sandbox's pool."""

    container = None

    def __init__(self, session: Any) -> None:
        self._session = session

    def run(self, code: str) -> str:
        return str(self._session.run(code).stdout)

    def reset(self) -> None:
        raise NotImplementedError


PEERS: dict[str, tuple[Open, bool]] = {
    "ipykernel": (ipykernel, True),
    "smolagents": (smolagents, False),
    "llm-sandbox": (llm_sandbox, False),
}


def figures(asked: str, opener: Open, resets: bool, claim: Open | None) -> Iterator[tuple[str, float]]:
    """Yield what is *asked* for of one peer; nothing of a pool where it has none to *claim* from."""
    if asked == "once":
        yield from once(opener, QUERY, ANSWER, resets)
    elif asked == "idle":
        yield from idle(opener)
    elif asked == "together":
        yield from together(opener)
    elif claim is not None:
        yield from opened(claim, "warm, first cell answered", "print(1 + 1)", "2")
        yield from opened(claim, "warm, file sent, first Ibis query", QUERY, ANSWER)


def main(name: str) -> None:
    """Answer until nothing more is asked."""
    opener, resets = PEERS[name]
    told = sys.stdout
    with contextlib.redirect_stdout(sys.stderr), contextlib.ExitStack() as stack:
        claim: Open | None = None
        for line in sys.stdin:
            asked = line.strip()
            if asked == "pool" and name == "llm-sandbox" and claim is None:
                claim = stack.enter_context(pooled())
            print(
                json.dumps(attempted(f"{name}, {asked}", figures(asked, opener, resets, claim))), file=told, flush=True
            )


if __name__ == "__main__":
    logging.disable(logging.WARNING)
    main(sys.argv[1])
