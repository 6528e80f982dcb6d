"""Every row of ``rows`` in every kind of sandbox: what comes of it, and that the session goes on."""

import re
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from cataloger_dagster.errors import SandboxError
from cataloger_dagster.sandbox.docker import DockerSandbox
from cataloger_dagster.sandbox.local import LocalSandbox, isolated
from cataloger_dagster.sandbox.session import Sandbox, Session
from tests.sandbox.rows import BEYOND, ROWS, Kind, Row
from tests.services.missing import missing


@pytest.fixture(scope="module")
def opened(request: pytest.FixtureRequest) -> Iterator[Callable[[Kind], Session]]:
    """The function that returns the session of a kind, opened when it is first asked for."""
    sessions: dict[Kind, Session] = {}

    def sandbox(kind: Kind) -> Sandbox:
        if kind == "docker":
            return DockerSandbox(request.getfixturevalue("docker_sandbox_image"), memory_mb=640, pids=128)
        if kind == "bubblewrap" and not isolated():
            missing("bubblewrap", "apt-get install bubblewrap")
        return LocalSandbox(memory_mb=400, work_mb=64, isolated=kind == "bubblewrap")

    with ExitStack() as stack:

        def session(kind: Kind) -> Session:
            if kind not in sessions:
                sessions[kind] = stack.enter_context(sandbox(kind).open(None))
            return sessions[kind]

        yield session


CASES = [
    pytest.param(kind, row, marks=[pytest.mark.docker] if kind == "docker" else [], id=f"{kind}: {row.name}")
    for kind, rows in ROWS.items()
    for row in rows
    if kind not in row.weaker
]


@pytest.mark.parametrize(("kind", "row"), CASES)
def test_what_code_does_to_a_session(opened: Callable[[Kind], Session], kind: Kind, row: Row) -> None:
    session = opened(kind)
    session.stop()
    session.execute("x = 41")
    began = time.monotonic()
    result = session.execute(row.code, row.timeout)
    assert time.monotonic() - began < row.most, result
    assert result.error == row.error, result
    assert row.kept is None or result.state_kept == row.kept, result
    assert len(result.output) <= 20_000
    if row.exact is not None:
        assert result.output == row.exact
    at = 0
    for pattern in row.shows:
        found = re.compile(pattern).search(result.output, at)
        assert found, (pattern, result.output)
        at = found.end()
    for pattern in row.hides:
        assert not re.search(pattern, result.output), result.output

    if row.then:
        code, output = row.then
        later = session.execute(code)
        assert later.error is None, later
        assert output is None or later.output == output
    alive = session.execute("print('alive')\nx + 1")
    assert "alive\n" in alive.output
    if result.state_kept:
        assert "42\n" in alive.output, alive
    else:
        assert "NameError: name 'x' is not defined" in alive.output
    if row in BEYOND:
        # A call needs another process, and may take the cells' place for it; then the next cell says so.
        assert session.call("os:getcwd", {}, 60).startswith("/")
        assert "42\n" in session.execute("6 * 7").output


@pytest.mark.parametrize(
    "code",
    [
        "import io\nio.StringIO = None",
        "import signal\nsignal.signal = None",
        "import resource\nresource.setrlimit(resource.RLIMIT_NOFILE, (0, 0))",
        "import sys\nsys.addaudithook(lambda event, _: 1 / 0 if event == 'compile' else None)",
    ],
)
def test_an_interpreter_that_a_cell_has_broken_gives_way_to_a_fresh_one(
    opened: Callable[[Kind], Session], code: str
) -> None:
    session = opened("plain")
    session.stop()
    assert session.execute(code).error is None
    told = session.execute("1 + 1")
    assert (told.error, told.state_kept) == ("died", False)
    assert "a cell has broken what the interpreter itself works with]\n[the interpreter ended" in told.output
    assert session.execute("1 + 1").output == "2\n"


def test_without_confinement_a_killed_runner_ends_the_session_and_what_it_ran() -> None:
    with LocalSandbox(isolated=False).open(None) as session:
        pid = int(session.execute("import os\nos.getpid()").output)
        with pytest.raises(SandboxError, match="the sandbox has ended"):
            session.execute("import os\nos.kill(os.getppid(), 9)\nwhile os.getppid() != 1: pass")
        deadline = time.monotonic() + 10
        while is_running(pid):
            assert time.monotonic() < deadline
            time.sleep(0.02)


def is_running(pid: int) -> bool:
    """Whether process *pid* is there, and more than its exit code."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except FileNotFoundError:
        return False
