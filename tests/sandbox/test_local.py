"""A session in a child process: what bubblewrap keeps from it, and that it ends with its host."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from cataloger_dagster.databases import Database
from cataloger_dagster.errors import DatabaseError, SandboxError
from cataloger_dagster.sandbox import local, runner
from cataloger_dagster.sandbox.local import LocalSandbox, isolated
from cataloger_dagster.sandbox.session import Session
from tests.services.missing import missing

KIT = {"facts": {}, "history": [], "changes": []}


@pytest.fixture(scope="module")
def confined() -> Iterator[Session]:
    if not isolated():
        missing("bubblewrap", "apt-get install bubblewrap")
    with LocalSandbox(memory_mb=640, work_mb=64, isolated=True).open(None) as session:
        yield session


def test_inside_there_is_no_network_no_home_and_nothing_to_write_to(confined: Session) -> None:
    code = f"""
import os, socket
def fails(action, *arguments):
    try: action(*arguments)
    except OSError as error: return error.strerror
    return 'WORKED'
print(os.getuid(), [name for _, name in socket.if_nameindex()])
print(fails(socket.create_connection, ('1.1.1.1', 53), 2))
print([fails(open, place + '/x', 'w') for place in ('/', '/usr', '/etc', '/dev')])
print([os.path.exists(path) for path in ('/home', '/root/.ssh', '/root/.bashrc', '/var', '{__file__}')])
print({{line.split()[1] for line in open('/proc/self/status') if line.startswith('CapEff')}})
print(len([name for name in os.listdir('/proc') if name.isdigit()]) < 6, fails(open, '/proc/1/mem'))
print(fails(os.kill, 1, 9))
"""
    assert confined.execute(code).output.splitlines() == [
        "10001 ['lo']",
        "Network is unreachable",
        "['Read-only file system', 'Read-only file system', 'Read-only file system', 'Read-only file system']",
        "[False, False, False, False, False]",
        "{'0000000000000000'}",
        "True Permission denied",
        "WORKED",  # the first process of a namespace gets no signal from inside it
    ]
    assert confined.execute("1").output == "1\n"


def test_no_signal_is_held_back_inside_though_one_is_while_it_is_begun(confined: Session) -> None:
    assert not signal.pthread_sigmask(signal.SIG_BLOCK, ())
    code = "print({line.split()[1] for line in open('/proc/self/status') if line.startswith('SigBlk')})"
    assert confined.execute(code).output == "{'0000000000000000'}\n"


def test_of_the_kernels_files_none_can_be_written_and_those_of_the_machine_not_read(confined: Session) -> None:
    """For the kernel the child of root is root: a capability is not what keeps it from the machine's settings."""
    code = """
import os, stat
opened, read = [], []
for place, below, files in os.walk('/proc'):
    if place == '/proc':
        below[:] = [name for name in below if not name.isdigit()]
    for path in (os.path.join(place, name) for name in files):
        for flags, found in ((os.O_WRONLY, opened), (os.O_RDONLY, read)):
            try:
                if not stat.S_ISREG(os.lstat(path).st_mode): continue
                os.close(os.open(path, flags | os.O_NONBLOCK))
                found.append(path)
            except OSError:
                pass
opened, sorted({'/proc/keys', '/proc/kallsyms', '/proc/timer_list', '/proc/kpagecount', '/proc/slabinfo'} & set(read))
"""
    assert confined.execute(code, 60).output == "([], [])\n"
    assert confined.execute("len(open('/proc/sys/kernel/core_pattern').read()) > 0").output == "True\n"


def test_no_key_of_the_session_that_opened_it_is_read(tmp_path: Path) -> None:
    if not isolated():
        missing("bubblewrap", "apt-get install bubblewrap")
    program = """
import ctypes, os
from cataloger_dagster.sandbox.local import LocalSandbox
libc = ctypes.CDLL(None, use_errno=True)
new_session, user, session = 1, b"user", -3
assert libc.syscall(250, new_session, None) > 0 and libc.syscall(248, user, b"planted", b"canary", 6, session) > 0
assert libc.syscall(250, 10, session, user, b"planted", 0) > 0
with LocalSandbox(isolated=True).open(None) as opened:
    code = "import ctypes; ctypes.CDLL(None).syscall(250, 10, -3, b'user', b'planted', 0)"
    print(opened.execute(code).output)
"""
    if os.uname().machine != "x86_64":
        pytest.skip("the numbers are those of x86_64")
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    if "AssertionError" in done.stderr:
        pytest.skip("this machine's kernel keeps no keys for us")
    assert done.stdout.strip() == "-1", done.stderr


def test_no_address_of_this_machine_answers(confined: Session) -> None:
    abstract = f"\0cataloger-test-{os.getpid()}"
    with (
        socket.create_server(("0.0.0.0", 0)) as server,
        socket.create_server(("::", 0), family=socket.AF_INET6) as six,
        socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as local,
    ):
        local.bind(abstract)
        local.listen()
        targets = [("127.0.0.1", server.getsockname()[1]), ("::1", six.getsockname()[1]), ("169.254.169.254", 80)]
        code = f"""
import socket
answered = []
for target in {[*targets, abstract]!r}:
    family = socket.AF_UNIX if isinstance(target, str) else socket.AF_INET6 if ':' in target[0] else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_STREAM) as s: s.settimeout(2); s.connect(target)
        answered.append(target)
    except TimeoutError: answered.append('time')
    except OSError: pass
answered
"""
        assert confined.execute(code).output == "[]\n"


def test_without_cells_no_process_gets_ready_for_them_and_one_that_comes_is_run(duckdb_file: Path) -> None:
    if not isolated():
        missing("bubblewrap", "apt-get install bubblewrap")
    running = ("glob:glob", {"pathname": "/proc/[0-9]*"}, 30)
    with LocalSandbox(isolated=True).open(Database.from_url(f"duckdb://{duckdb_file}")) as session:
        assert len(session.call(*running)) > 2
    with LocalSandbox(isolated=True).open(Database.from_url(f"duckdb://{duckdb_file}"), cells=False) as session:
        assert len(session.call(*running)) == 2  # the first, and the call's own
        session.start("cataloger_sandbox.kit:namespace", KIT | {"connection": dict(session.connection)})
        assert session.execute("con.list_tables()").output == "['orders']\n"


def test_the_work_folder_has_a_size(confined: Session) -> None:
    code = "with open('big{n}', 'wb') as file:\n    for n in range(40): file.write(bytes(1 << 20))"
    assert confined.execute(code.format(n=1)).error is None
    assert "No space left on device" in confined.execute(code.replace("{n}", "2")).output
    confined.execute("import os\nfor name in os.listdir('.'): os.remove(name)")


def test_of_the_database_its_file_alone_is_there(duckdb_file: Path) -> None:
    if not isolated():
        missing("bubblewrap", "apt-get install bubblewrap")
    with LocalSandbox(isolated=True).open(Database.from_url(f"duckdb://{duckdb_file}")) as session:
        assert session.execute("import os; os.listdir('/data')").output == "['shop.duckdb']\n"
        assert session.execute(f"os.path.exists({str(duckdb_file.parent)!r})").output == "False\n"
        assert "Read-only file system" in session.execute("open('/data/shop.duckdb', 'r+b')").output


def test_one_file_in_a_plain_work_folder_has_a_limit() -> None:
    with LocalSandbox(work_mb=8, isolated=False).open(None) as session:
        result = session.execute("open('big', 'wb').write(bytes(9 << 20))")
        assert "File too large" in result.output or result.output == f"{8 << 20}\n"
        assert session.execute("import os; os.path.getsize('big') <= 8 << 20").output == "True\n"


@pytest.mark.parametrize("script", ["exit 1", "echo 'bwrap: No permissions to create new namespace' >&2; exit 1", ""])
def test_a_bubblewrap_that_does_not_work_is_none(script: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    if script:
        program = tmp_path / "bwrap"
        program.write_text(f"#!/bin/sh\n[ $1 = --help ] && exit 0\n{script}\n")
        program.chmod(0o755)
    assert not isolated()
    sandbox = LocalSandbox()
    assert not sandbox.isolated
    with sandbox.open(None) as session:
        assert session.execute("1").output == "1\n"


def test_a_bubblewrap_that_fails_later_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "bwrap"
    program.write_text(
        "#!/bin/sh\n[ $1 = --help ] && exit 0\necho 'bwrap: setting up uid map: Permission denied' >&2\n"
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SandboxError, match="setting up uid map: Permission denied"):
        LocalSandbox(isolated=True).open(None).__enter__()


def test_without_bubblewrap_an_isolated_session_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(SandboxError, match="install bubblewrap"):
        LocalSandbox(isolated=True).open(None).__enter__()


PROGRAM = """
import sys
from cataloger_dagster.sandbox.local import LocalSandbox
with LocalSandbox(isolated=sys.argv[1] == "True").open(None) as session:
    print("ready", flush=True)
    session.execute("import os; os.system('sleep 618.5 & setsid sleep 618.5')", 100)
"""


def sleepers() -> list[str]:
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if path.read_bytes() == b"sleep\x00618.5\x00":
                found.append(path.parent.name)
        except OSError:
            continue
    return found


@pytest.mark.parametrize("confined_child", [True, False])
def test_every_process_goes_with_the_one_that_opened_it(confined_child: bool) -> None:
    if confined_child and not isolated():
        missing("bubblewrap", "apt-get install bubblewrap")
    process = subprocess.Popen([sys.executable, "-c", PROGRAM, str(confined_child)], stdout=subprocess.PIPE)
    with process:
        assert process.stdout
        assert process.stdout.readline() == b"ready\n"
        end = time.monotonic() + 10
        while len(sleepers()) < 2:
            assert time.monotonic() < end
            time.sleep(0.02)
        process.send_signal(signal.SIGKILL)
        killed = time.monotonic()
        process.wait(10)
    while sleepers():
        assert time.monotonic() - killed < 2
        time.sleep(0.02)


def test_a_runner_of_another_version_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, "__version__", "9.9.9")
    with pytest.raises(SandboxError, match=r"version 0\S+, Cataloger of version 9\.9\.9"):
        LocalSandbox(isolated=False).open(None).__enter__()


def test_a_session_that_was_left_is_gone() -> None:
    with LocalSandbox(isolated=False).open(None) as session:
        pass
    with pytest.raises(SandboxError, match=r"has ended.*it was left"):
        session.execute("1")


def test_a_missing_file_is_a_database_error(tmp_path: Path) -> None:
    with pytest.raises(DatabaseError, match="no such file"):
        LocalSandbox(isolated=False).open(Database.from_url(f"duckdb://{tmp_path}/none.duckdb")).__enter__()


def test_packages_outside_the_interpreters_folders_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "site" / "planted"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("def answer(): return 42\n")
    monkeypatch.syspath_prepend(tmp_path / "site")
    monkeypatch.setattr(local, "_PACKAGES", ("planted",))
    with LocalSandbox(isolated=isolated()).open(None) as session:
        assert session.call("planted:answer", {}, 60) == 42


def test_root_or_not_is_the_same_inside(confined: Session) -> None:
    assert os.getuid() != 10001
    assert confined.execute("import os; os.getuid(), os.getgid()").output == "(10001, 10001)\n"
