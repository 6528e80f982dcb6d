"""The supervisor's processes: what is not a cell's is never told as one that a cell left."""

import os
import signal
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from cataloger_sandbox import processes
from cataloger_sandbox.family import Family
from cataloger_sandbox.host import Host
from cataloger_sandbox.worker import Limits


def forked(body: Callable[[], None]) -> int:
    pid = os.fork()
    if pid == 0:
        try:
            body()
        finally:
            os._exit(1)
    return pid


@pytest.fixture
def family(tmp_path: Path) -> Iterator[Family]:
    requests, host = os.pipe()
    taken, replies = os.pipe()
    before = signal.getsignal(signal.SIGCHLD)
    family = Family(Host(requests, replies), Limits(str(tmp_path), None, None))
    family.begin(ahead=False)
    yield family
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, before)
    for descriptor in (requests, host, taken, replies, family.wakeup, family.waker):
        os.close(descriptor)


def lingering_zygote(family: Family) -> int:
    """Give the family a zygote that has closed its channel, as one that was killed does, and is not gone yet."""
    near, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)

    def body() -> None:
        processes.close_all_but({0, 1, 2})
        time.sleep(60)

    pid = forked(body)
    far.close()
    family.zygote, family.zygote_pid = near, pid
    return pid


def test_a_zygote_that_is_dying_is_no_process_that_a_cell_left(family: Family, monkeypatch: pytest.MonkeyPatch) -> None:
    pid = lingering_zygote(family)
    with monkeypatch.context() as patch:
        patch.setattr(processes, "kill", lambda pids, number: None)  # it takes its time
        while family.zygote is not None:
            family.turn(time.monotonic() + 1)
        assert family.end(None, 0.05) == 0
        assert os.waitpid(pid, os.WNOHANG) == (0, 0)
    stray = forked(lambda: time.sleep(60))
    assert family.end(None, 5) == 1
    os.kill(pid, signal.SIGKILL)
    while family.lost_zygotes:
        family.turn(time.monotonic() + 1)
    for gone in (pid, stray):
        with pytest.raises(ProcessLookupError):
            os.kill(gone, 0)


def test_a_zygote_that_has_let_go_of_its_channel_is_ended(family: Family) -> None:
    pid = lingering_zygote(family)
    while family.zygote is not None or family.lost_zygotes:
        family.turn(time.monotonic() + 1)
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_an_end_that_is_told_before_the_channel_s_leaves_no_number_to_spare(family: Family) -> None:
    pid = lingering_zygote(family)
    os.kill(pid, signal.SIGKILL)
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    family.turn(time.monotonic() + 1)
    assert (family.zygote, family.zygote_pid, family.lost_zygotes) == (None, 0, set())
