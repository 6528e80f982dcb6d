"""The supervisor's processes: what is not a cell's is never told as one that a cell left.

Each runs in an interpreter of its own: a supervisor ends whatever descends from its process.
"""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]

FAMILY = """
import os, signal, socket, time
from cataloger_sandbox import processes
from cataloger_sandbox.family import Family
from cataloger_sandbox.host import Host
from cataloger_sandbox.worker import Limits

def forked(closing):
    pid = os.fork()
    if pid == 0:
        if closing:
            processes.close_all_but({0, 1, 2})
        time.sleep(60)
        os._exit(1)
    return pid

requests, host = os.pipe()
taken, replies = os.pipe()
family = Family(Host(requests, replies), Limits(".", None, None))
family.begin(ahead=False)

# A zygote that has closed its channel, as one does that was killed, and is not gone yet.
family.zygote, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
family.zygote_pid = pid = forked(closing=True)
far.close()

def turn():
    family.turn(time.monotonic() + 1)
"""


def run(code: str) -> list[str]:
    """Return what *code* prints, line by line, with a ``family`` whose zygote ``pid`` is dying."""
    done = subprocess.run(
        [sys.executable, "-c", FAMILY + code],
        env={"PYTHONPATH": str(ROOT / "sandbox_image")},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_a_zygote_that_is_dying_is_no_process_that_a_cell_left() -> None:
    code = """
kill, processes.kill = processes.kill, lambda pids, number: None  # it takes its time
while family.zygote is not None:
    turn()
print(family.end(None, 0.05))
processes.kill = kill
print(os.waitpid(pid, os.WNOHANG))
stray = forked(closing=False)
print(family.end(None, 5), processes.descendants(os.getpid(), set()) == {pid})
os.kill(pid, signal.SIGKILL)
while pid in family._ours:
    turn()
print(processes.descendants(os.getpid(), set()))
"""
    assert run(code) == ["0", "(0, 0)", "1 True", "set()"]


def test_a_zygote_that_has_let_go_of_its_channel_is_ended() -> None:
    code = """
while family.zygote is not None or pid in family._ours:
    turn()
print(processes.descendants(os.getpid(), set()))
"""
    assert run(code) == ["set()"]


def test_an_end_that_is_told_before_the_channel_s_leaves_no_number_to_spare() -> None:
    code = """
os.kill(pid, signal.SIGKILL)
os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
turn()
print(family.zygote, pid in family._ours)
"""
    assert run(code) == ["None False"]
