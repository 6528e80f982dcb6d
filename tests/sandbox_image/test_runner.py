"""The runner in a plain child process: what a cell's code may do to it, and what the host sees of that."""

import contextlib
import json
import re
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cataloger_dagster.bundled import bundled
from cataloger_dagster.errors import DatabaseError, SandboxError
from cataloger_dagster.sandbox.frames import Kind, pack
from cataloger_dagster.sandbox.local import LocalSandbox
from cataloger_dagster.sandbox.session import Session

LIMIT = 20_000


@pytest.fixture(scope="module")
def runner() -> Iterator[Session]:
    with LocalSandbox(isolated=False, memory_mb=1024).open(None) as session:
        yield session


@pytest.fixture
def session(runner: Session) -> Iterator[Session]:
    """A session whose interpreter is fresh, and has ``x`` at 41."""
    runner.stop()
    runner.execute("x = 41")
    yield runner
    runner.stop()


def is_alive(session: Session) -> bool:
    """Whether the session works, with its variables kept."""
    return session.execute("x + 1").output == "42\n"


def processes(marker: str) -> list[int]:
    """The processes of this machine whose command line holds *marker*."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if marker.encode() in path.read_bytes():
                found.append(int(path.parent.name))
        except OSError:
            continue
    return found


def wait_until_gone(marker: str, seconds: float = 5) -> None:
    end = time.monotonic() + seconds
    while processes(marker):
        assert time.monotonic() < end, processes(marker)
        time.sleep(0.02)


def test_variables_stay_and_the_last_expression_is_shown(session: Session) -> None:
    assert session.execute("y = x + 1").output == ""
    assert session.execute("print('a')\n{'y': y}").output == "a\n{'y': 42}\n"
    assert session.execute("_").output == "{'y': 42}\n"
    assert session.execute("None").output == ""


def test_all_streams_keep_their_order(session: Session) -> None:
    result = session.execute(
        "import os, subprocess, sys\n"
        "print('1', end='')\n"
        "os.write(1, b'2')\n"
        "print('3', end='', file=sys.stderr)\n"
        "subprocess.run(['printf', '4'])\n"
        "os.write(2, b'5')\n"
        "sys.__stdout__.write('6')\n"
        "code = os.system('printf 7 >&2')\n"
        "8"
    )
    assert result.output == "12345678\n"


def test_a_traceback_is_short_and_has_the_cells_own_lines(session: Session) -> None:
    session.execute("def half(n):\n    return 1 / n")
    result = session.execute("def go():\n    return half(0)\ngo()")
    assert result.error == "error"
    assert "return 1 / n" in result.output
    assert "return half(0)" in result.output
    assert result.output.endswith("ZeroDivisionError: division by zero\n")
    assert "worker.py" not in result.output
    assert "\x1b" not in result.output
    assert len(result.output) < 700
    assert result.state_kept


def test_a_deep_traceback_is_cut_in_the_middle(session: Session) -> None:
    source = "".join(f"def f{n}(): f{n + 1}()\n" for n in range(40)) + "def f40(): 1 / 0\nf0()"
    output = session.execute(source).output
    assert "frames left out" in output
    assert "in f40" in output
    assert "in f0\n" in output
    assert "in f20" not in output


def test_an_error_raised_from_another_shows_both(session: Session) -> None:
    output = session.execute("try:\n    1 / 0\nexcept ZeroDivisionError as e:\n    raise KeyError('k') from e").output
    assert "ZeroDivisionError" in output
    assert "direct cause" in output
    assert "KeyError: 'k'" in output


def test_a_syntax_error_points_at_its_line(session: Session) -> None:
    result = session.execute("a = 1\nb = = 2")
    assert result.error == "error"
    assert "line 2" in result.output
    assert "SyntaxError" in result.output
    assert "worker.py" not in result.output
    assert is_alive(session)


@pytest.mark.parametrize(
    "code",
    ["while True: pass", "import time; time.sleep(60)", "import subprocess; subprocess.run(['sleep', '60'])"],
)
def test_a_timeout_interrupts_and_keeps_the_variables(session: Session, code: str) -> None:
    result = session.execute(code, timeout=0.5)
    assert result.error == "timeout"
    assert result.seconds < 2
    assert result.state_kept
    assert "interrupted after 0.5 s" in result.output
    assert is_alive(session)


def test_a_duckdb_query_is_interrupted(session: Session) -> None:
    session.execute("import duckdb")
    result = session.execute(
        "duckdb.sql('select sum(a.range * b.range % 7) from range(10000000) a, range(100000) b').fetchall()", timeout=1
    )
    assert result.error == "timeout"
    assert result.state_kept
    assert is_alive(session)


def test_code_that_ignores_the_interrupt_is_ended(session: Session) -> None:
    result = session.execute(
        "import time\nwhile True:\n    try: time.sleep(1)\n    except BaseException: pass", timeout=0.5
    )
    assert result.error == "timeout"
    assert result.seconds < 6
    assert not result.state_kept
    assert "the variables of all cells are lost" in result.output
    assert "NameError" in session.execute("x").output


def test_a_flood_is_cut_to_head_and_tail(session: Session) -> None:
    result = session.execute(
        "import sys\nprint('first')\nline = 'é' * 1023 + chr(10)\n"
        "for i in range(20_000): n = sys.stdout.write(line)\nprint('last')",
        timeout=60,
    )
    assert result.error is None
    assert result.truncated
    assert len(result.output) <= LIMIT
    assert result.output.startswith("first\n")
    assert result.output.endswith("last\n")
    cut = re.search(r"\n\[… ([\d,]+) characters left out …\]\n", result.output)
    assert cut
    assert int(cut[1].replace(",", "")) == 20_000 * 1024 + 11 - LIMIT
    assert is_alive(session)


def test_output_at_the_limit_is_whole_and_one_more_character_is_cut(session: Session) -> None:
    whole = session.execute(f"print('😀' * {LIMIT - 1})")
    assert whole.output == "😀" * (LIMIT - 1) + "\n"
    assert not whole.truncated
    cut = session.execute(f"print('😀' * {LIMIT})")
    assert cut.truncated
    assert len(cut.output) <= LIMIT
    assert "�" not in cut.output


def test_a_traceback_after_a_flood_is_in_the_tail(session: Session) -> None:
    result = session.execute("print('x' * 100_000)\n1 / 0")
    assert result.output.endswith("ZeroDivisionError: division by zero\n")


def test_terminal_escapes_are_left_out(session: Session) -> None:
    result = session.execute(r"print('\x1b[31mred\x1b[0m \x1b]0;title\x07plain')")
    assert result.output == "red plain\n"


def test_a_memory_bomb_is_a_memory_error(session: Session) -> None:
    result = session.execute("kept = []\nwhile True: kept.append(bytearray(50 << 20))", timeout=30)
    assert result.error == "error"
    assert "MemoryError" in result.output
    assert session.execute("del kept").error is None
    assert is_alive(session)


def test_pandas_and_duckdb_run_within_the_memory_limit(session: Session) -> None:
    result = session.execute(
        "import duckdb\nlen(duckdb.sql('select range a, range::varchar b from range(1000000)').df())", timeout=60
    )
    assert result.output == "1000000\n"


@pytest.mark.parametrize("code", ["import sys; sys.exit(2)", "raise SystemExit"])
def test_exit_ends_the_cell_alone(session: Session, code: str) -> None:
    result = session.execute(code)
    assert result.error == "exit"
    assert "the session goes on" in result.output
    assert is_alive(session)


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("import os; os._exit(3)", "exit code 3"),
        ("import ctypes; ctypes.string_at(0)", "SIGSEGV"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", "was killed"),
        ("import os; os.closerange(0, 100)", "exit code"),
    ],
)
def test_an_interpreter_that_dies_is_replaced_and_that_is_said(session: Session, code: str, said: str) -> None:
    result = session.execute(f"print('before')\n{code}")
    assert result.error == "died"
    assert not result.state_kept
    assert result.output.startswith("before\n")
    assert said in result.output
    assert "the variables of all cells are lost" in result.output
    assert session.execute("1 + 1").output == "2\n"
    assert "NameError" in session.execute("x").output


def test_after_a_death_the_kits_variables_are_back(session: Session) -> None:
    session.start("builtins:dict", {"con": "a connection"})
    session.execute("mine = 1")
    result = session.execute("import os; os._exit(1)")
    assert "those of the kit are back" in result.output
    assert session.execute("con").output == "'a connection'\n"
    assert "NameError" in session.execute("mine").output


def test_a_forged_frame_is_no_reply(session: Session) -> None:
    result = session.execute(
        "import json, os, struct\n"
        "reply = {'output': 'FORGED', 'truncated': False, 'error': None, 'seconds': 0, 'state_kept': True}\n"
        "body = json.dumps(reply).encode()\n"
        "frame = struct.pack('>BII', 0, 0, len(body)) + body\n"
        "for descriptor in range(3, 64):\n"
        "    for data in (frame, b'x', b'12345', struct.pack('>IB', 10 ** 9, 0)):\n"
        "        try: os.write(descriptor, data)\n"
        "        except OSError: pass\n"
        "print('done')"
    )
    assert result.output.endswith("done\n")  # what it wrote to its own output is output
    assert result.error is None
    assert result.seconds > 0
    assert is_alive(session)
    assert session.call("os:getcwd", {}, 30).startswith("/")


def test_lone_surrogates_are_harmless(session: Session) -> None:
    assert session.execute(r"print('é☃😀'); print('\udc80'); print('after')").output == "é☃😀\n\\udc80\nafter\n"
    assert session.execute("print('a\udc80b')").output == "a?b\n"
    assert session.call("builtins:dict", {"value": "a\udc80b"}, 30) == {"value": "a?b"}
    assert session.call("codecs:decode", {"obj": "\\udc80", "encoding": "unicode_escape"}, 30) == "?"
    assert is_alive(session)


def test_a_cell_may_await(session: Session) -> None:
    result = session.execute("import asyncio\nv = await asyncio.sleep(0.01, 'awaited')\nv")
    assert result.output == "'awaited'\n"
    assert session.execute("async def f(): return 'ran'\nasyncio.run(f())").output == "'ran'\n"
    assert session.execute("await asyncio.sleep(0, 7)").output == "7\n"
    assert session.execute("await asyncio.sleep(60)", timeout=0.3).error == "timeout"
    assert session.execute("await asyncio.sleep(0, 8)").output == "8\n"


def test_a_fork_in_a_cell_leaves_one_interpreter(session: Session) -> None:
    result = session.execute("import os\npid = os.fork()\nprint('child' if pid == 0 else 'parent')\nif pid: os.wait();")
    # Two processes write at once: their lines may run into each other, but nothing is lost.
    assert sorted(result.output.replace("\n", "")) == sorted("childparent")
    assert result.error is None
    assert is_alive(session)


def test_a_child_in_the_background_does_not_hold_the_cell(session: Session) -> None:
    result = session.execute("import subprocess\nchild = subprocess.Popen(['sleep', '613.25'])\nprint('ok')")
    assert result.output == "ok\n[1 process that the cell left running: ended]\n"
    assert result.seconds < 2
    assert not processes("613.25")
    assert session.execute("child.wait()").output == "-9\n"
    assert is_alive(session)


def test_children_that_hide_in_sessions_of_their_own_end_with_their_cell(session: Session) -> None:
    result = session.execute(
        "import os, subprocess, time\n"
        "code = subprocess.call('setsid sleep 614.25 & setsid -f sleep 614.25', shell=True)\n"
        "ps = lambda: subprocess.run(['ps', '-eo', 'args'], capture_output=True, text=True).stdout.splitlines()\n"
        "while ps().count('sleep 614.25') < 2: time.sleep(0.02)"
    )
    assert result.output == "[2 processes that the cell left running: ended]\n"
    assert not processes("614.25")
    assert is_alive(session)


def test_stop_ends_what_a_thread_starts_after_its_cell(session: Session) -> None:
    session.execute("import os, threading\nthreading.Timer(0.05, os.system, ['setsid sleep 619.25']).start()")
    end = time.monotonic() + 10
    while not processes("619.25"):
        assert time.monotonic() < end
        time.sleep(0.02)
    session.stop()
    assert not processes("619.25")


def test_a_timed_out_cells_children_end_with_it(session: Session) -> None:
    result = session.execute(
        "import subprocess\nsubprocess.Popen(['setsid', 'sleep', '615.25'])\nwhile True: pass", timeout=0.7
    )
    assert result.state_kept
    assert not processes("615.25")
    assert is_alive(session)


def test_input_reads_nothing(session: Session) -> None:
    assert "EOFError" in session.execute("input('name? ')").output
    assert session.execute("import sys; sys.stdin.read()").output == "''\n"


def test_what_a_thread_prints_between_two_cells_is_told_apart(session: Session) -> None:
    session.execute("import threading\nt = threading.Timer(0.05, print, ['late'])\nt.start()")
    time.sleep(0.3)
    told = "[output of earlier cells' background work]\nlate\n[output of this cell]\nnext\n"
    assert session.execute("print('next')").output == told
    assert session.execute("print('after')").output == "after\n"


def test_an_interpreter_that_dies_between_two_cells_is_told_of(session: Session) -> None:
    session.execute("import os, threading\nthreading.Timer(0.05, os._exit, [7]).start()")
    time.sleep(0.5)
    result = session.execute("print('fresh')\nx")
    assert not result.state_kept
    lost = "[the interpreter ended with exit code 7: the variables of all cells are lost]"
    assert result.output.startswith(f"{lost}\n[output of this cell]\nfresh\n")
    assert "NameError" in result.output
    assert session.execute("1").output == "1\n"


def test_a_semicolon_holds_the_value_back(session: Session) -> None:
    for code in ("x;", "x ; # what\n", "(x);\n# '\n", "'é' * x; "):
        assert session.execute(code).output == ""
    assert session.execute("x # not; this").output == "41\n"
    assert session.execute("print(';'); x").output == ";\n41\n"


def test_what_a_cell_breaks_of_its_interpreter_is_mended(session: Session) -> None:
    session.execute("import builtins; builtins.print = builtins.len = builtins.repr = None")
    session.execute("import io, sys; sys.stdout = io.StringIO(); sys.stderr = None")
    session.execute("import sys; sys.stdout.close()")
    session.execute("import os; os.close(1); os.close(2)")
    assert session.execute("print(len('abc'))\nrepr(x)").output == "3\n'41'\n"


def test_a_broken_repr_is_the_cells_error(session: Session) -> None:
    result = session.execute("class A:\n    def __repr__(self): raise ValueError('bad')\nA()")
    assert result.error == "error"
    assert result.output.endswith("ValueError: bad\n")
    assert is_alive(session)


def test_endless_recursion_is_a_short_error(session: Session) -> None:
    result = session.execute("def f(): return f()\nf()")
    assert "RecursionError" in result.output
    assert len(result.output) < 3000
    assert is_alive(session)


def test_a_megabyte_of_source_runs(session: Session) -> None:
    assert session.execute("q = '" + "a" * 1_000_000 + "'\nlen(q)").output == "1000000\n"


def test_a_call_runs_in_a_process_of_its_own(session: Session) -> None:
    mine = session.execute("import os\nos.getpid()").output
    first, second = (session.call("os:getpid", {}, 30) for _ in range(2))
    assert len({int(mine), first, second}) == 3
    assert is_alive(session)


def test_a_call_and_the_cells_share_the_work_folder(session: Session) -> None:
    session.execute("open('note.txt', 'w').write('hello')")
    assert session.call("os:listdir", {"path": "."}, 30) == ["note.txt"]
    session.execute("import os; os.remove('note.txt')")


def test_a_call_imports_nothing_from_the_work_folder(session: Session) -> None:
    session.execute("open('planted.py', 'w').write('def run(): return 1')")
    with pytest.raises(SandboxError, match="No module named 'planted'"):
        session.call("planted:run", {}, 30)
    assert session.execute("import planted; planted.run()").output == "1\n"


def test_a_failed_call_tells_why(session: Session) -> None:
    with pytest.raises(SandboxError, match=r"json:loads failed in the sandbox:\nTraceback[\s\S]*JSONDecodeError"):
        session.call("json:loads", {"s": "{"}, 30)
    with pytest.raises(SandboxError, match="os:_exit ended with exit code 4"):
        session.call("os:_exit", {"status": 4}, 30)
    with pytest.raises(SandboxError, match=r"subprocess:call did not end within 0\.5 s"):
        session.call("subprocess:call", {"args": ["sleep", "617.25"]}, 0.5)
    assert not processes("617.25")
    assert is_alive(session)


def test_a_calls_value_may_be_large_but_not_too_large(session: Session) -> None:
    assert len(session.call("textwrap:indent", {"text": "x" * 10_000_000, "prefix": "  "}, 60)) == 10_000_002
    with pytest.raises(SandboxError, match="at most 67,108,864"):
        session.call("textwrap:indent", {"text": "x\n" * 1_000_000, "prefix": " " * 70}, 60)
    with pytest.raises(SandboxError, match="too long for the sandbox"):
        session.call("textwrap:indent", {"text": "x" * (65 << 20), "prefix": ""}, 60)
    assert is_alive(session)


def test_the_kits_problem_with_a_database_is_a_database_error(session: Session) -> None:
    connection = {"connection": {"backend": "duckdb", "path": "/nowhere.duckdb"}}
    with pytest.raises(DatabaseError, match=r"/nowhere\.duckdb does not exist"):
        session.call("cataloger_sandbox.connect:connect", connection, 30)
    with pytest.raises(DatabaseError, match=r"/nowhere\.duckdb does not exist"):
        session.start("cataloger_sandbox.connect:connect", connection)


def test_start_gives_the_cells_their_variables(session: Session) -> None:
    session.start("builtins:dict", {"facts": {"rows": 3}, "name": "flights"})
    assert session.execute("facts['rows'], name").output == "(3, 'flights')\n"
    assert "NameError" in session.execute("x").output


def test_a_failed_start_tells_why_and_leaves_no_interpreter(session: Session) -> None:
    with pytest.raises(SandboxError, match="JSONDecodeError"):
        session.start("json:loads", {"s": "{"})
    with pytest.raises(SandboxError, match="JSONDecodeError"):
        session.execute("1")
    session.stop()
    assert session.execute("1").output == "1\n"


def test_a_runner_whose_input_ends_ends_everything_even_in_mid_cell() -> None:
    ours, theirs = socket.socketpair()
    with theirs:
        child = subprocess.Popen(
            [sys.executable, "-I", "-B", str(bundled("sandbox_image")), '{"work": "/tmp"}'],
            stdin=theirs.fileno(),
            stdout=theirs.fileno(),
        )
    with ours:
        code = (
            "import os, subprocess, time\n"
            "subprocess.Popen(['setsid', 'sleep', '616.25'])\n"
            "if os.fork() == 0: os.setsid()\n"
            "os.system('sleep 616.25')"
        )
        body = json.dumps({"op": "execute", "timeout": 60, "code": code})
        ours.sendall(pack(Kind.MESSAGE, 0, body.encode()))
        end = time.monotonic() + 10
        while len(processes("616.25")) < 3:
            assert time.monotonic() < end
            time.sleep(0.02)
    assert child.wait(5) == 0
    wait_until_gone("616.25")


def test_an_oversized_frame_ends_the_runner() -> None:
    ours, theirs = socket.socketpair()
    with theirs:
        child = subprocess.Popen(
            [sys.executable, "-I", "-B", str(bundled("sandbox_image")), '{"work": "/tmp"}'],
            stdin=theirs.fileno(),
            stdout=theirs.fileno(),
        )
    with ours:
        ours.sendall(struct.pack(">BII", Kind.MESSAGE, 0, (64 << 20) + 1))
        assert child.wait(5) == 0


def test_a_runner_that_nobody_comes_to_ends_by_itself_and_one_that_has_a_host_does_not() -> None:
    settings = '{"work": "/tmp", "idle": 0.5}'
    for comes in (False, True):
        ours, theirs = socket.socketpair()
        with theirs:
            child = subprocess.Popen(
                [sys.executable, "-I", "-B", str(bundled("sandbox_image")), settings],
                stdin=theirs.fileno(),
                stdout=theirs.fileno(),
            )
        with ours:
            if comes:
                ours.sendall(pack(Kind.MESSAGE, 0, b'{"op": "hello"}'))
                assert b"version" in ours.recv(1000)
                with pytest.raises(subprocess.TimeoutExpired):
                    child.wait(1.5)
            else:
                assert child.wait(30) == 0
        assert child.wait(30) == 0


@pytest.mark.parametrize("moment", ["before its first word", "after it", "in a cell"])
def test_a_runner_that_hears_nothing_of_its_host_ends_though_its_input_is_open(moment: str) -> None:
    ours, theirs = socket.socketpair()
    with theirs:
        child = subprocess.Popen(
            [sys.executable, "-I", "-B", str(bundled("sandbox_image")), '{"work": "/tmp", "silence": 1}'],
            stdin=theirs.fileno(),
            stdout=theirs.fileno(),
            stderr=subprocess.PIPE,
        )
    with child, ours:
        if moment != "before its first word":
            ours.sendall(pack(Kind.MESSAGE, 0, b'{"op": "hello"}'))
            assert b"version" in ours.recv(1000)
            if moment == "in a cell":
                cell = {"op": "execute", "code": "import time; time.sleep(60)", "timeout": 90}
                ours.sendall(pack(Kind.MESSAGE, 0, json.dumps(cell).encode()))
            for _ in range(8):
                time.sleep(0.25)
                ours.sendall(pack(Kind.ALIVE, 0, b""))
            assert child.poll() is None
        assert child.wait(30) == 0
        assert child.stderr
        assert child.stderr.read() == b"no word of its host has come for 1 s\n"


def test_a_runner_that_waits_for_somebody_has_an_interpreter_at_hand_and_no_other_beside_a_cell() -> None:
    ours, theirs = socket.socketpair()
    with theirs:
        child = subprocess.Popen(
            [
                sys.executable,
                "-I",
                "-B",
                str(bundled("sandbox_image")),
                '{"work": "/tmp", "idle": 60, "backend": "duckdb"}',
            ],
            stdin=theirs.fileno(),
            stdout=theirs.fileno(),
        )

    def ask(**request: object) -> dict[str, Any]:
        ours.sendall(pack(Kind.MESSAGE, 0, json.dumps(request).encode()))
        head = ours.recv(9, socket.MSG_WAITALL)
        return dict(json.loads(ours.recv(struct.unpack(">BII", head)[2], socket.MSG_WAITALL)))

    with child, ours:
        until = time.monotonic() + 60
        waiting: set[int] = set()
        # The zygote, and what it has forked for whoever comes; what forked that is gone soon.
        while len(waiting) != 2 or waiting != descendants(child.pid):
            assert time.monotonic() < until
            waiting = descendants(child.pid)
            time.sleep(0.3)
        ask(op="hello")
        reply = ask(op="execute", timeout=60, code="import os; os.getpid()")
        assert int(str(reply["output"])) in waiting, "it was there before it was asked for"
        ask(op="execute", timeout=60, code="import time; time.sleep(0.3)")
        assert descendants(child.pid) == waiting, "and nothing is prepared beside a cell"
        ask(op="stop")
        reply = ask(op="execute", timeout=60, code="import os; os.getpid()")
        assert int(str(reply["output"])) not in waiting
    assert child.wait(30) == 0


def descendants(parent: int) -> set[int]:
    """The processes below *parent*."""
    found: set[int] = set()
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            if int(path.read_text().rpartition(")")[2].split()[1]) in {parent, *found}:
                found.add(int(path.parent.name))
    return found
