"""Processes as Linux shows them: who descends from whom, what may look into whom, how one ends them all.

What runs in a process is in ``worker``; who decides about its end is in ``runner``.
"""

import ctypes
import os
import resource
import signal
import time
from contextlib import suppress

_libc = ctypes.CDLL(None, use_errno=True)
_PR_SET_DUMPABLE = 4
_PR_SET_CHILD_SUBREAPER = 36


def adopt_orphans() -> None:
    """Become the parent of every orphan among our descendants, so that none escapes."""
    _libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def set_dumpable(dumpable: bool) -> None:
    """Say whether other processes of this user may read this one's memory and descriptors."""
    _libc.prctl(_PR_SET_DUMPABLE, int(dumpable), 0, 0, 0)


def close_all_but(kept: set[int]) -> None:
    """Close every descriptor of this process but those *kept*."""
    for descriptor in [int(entry.name) for entry in os.scandir("/proc/self/fd")]:
        if descriptor not in kept:
            with suppress(OSError):  # the folder's own, closed by now
                os.close(descriptor)


def limit(what: int, value: int) -> None:
    """Lower a resource limit of this process for good; one that is lower already stays."""
    _, hard = resource.getrlimit(what)
    if hard != resource.RLIM_INFINITY:
        value = min(value, hard)
    resource.setrlimit(what, (value, value))


def may_have_children(process: int, known: set[int]) -> bool:
    """Say whether *process* may have children but those *known*, without a look at every process of the machine."""
    try:
        for thread in os.scandir(f"/proc/{process}/task"):
            descriptor = os.open(f"{thread.path}/children", os.O_RDONLY)
            try:
                listed = os.read(descriptor, 4096)
            finally:
                os.close(descriptor)
            if not known.issuperset(map(int, listed.split())):
                return True
    except OSError:  # a thread has ended and left its children to another, or the kernel has no such file
        return True
    return False


def descendants(of: int, spared: set[int]) -> set[int]:
    """Return the living descendants of process *of*, without those in *spared* and theirs."""
    children: dict[int, list[int]] = {}
    for entry in os.scandir("/proc"):
        name = entry.name
        if not name.isdigit():
            continue
        try:
            descriptor = os.open(f"/proc/{name}/stat", os.O_RDONLY)
            try:
                stat = os.read(descriptor, 4096)
            finally:
                os.close(descriptor)
        except OSError:  # it has ended
            continue
        # The program's name stands in brackets and may hold anything, brackets included.
        state, parent = stat.rpartition(b")")[2].split()[:2]
        if state not in (b"Z", b"X"):
            children.setdefault(int(parent), []).append(int(name))
    found: set[int] = set()
    waiting = [of]
    while waiting:
        new = [pid for pid in children.get(waiting.pop(), ()) if pid not in spared and pid not in found]
        found.update(new)
        waiting += new
    return found


def kill(pids: set[int], signal_number: int) -> None:
    """Send a signal to each process that is still there and ours."""
    for pid in pids:
        try:
            os.kill(pid, signal_number)
        except OSError:
            continue


def stop_child(pid: int, seconds: float) -> None:
    """Stop a child of this process and wait, at most *seconds*, until none of its threads runs."""
    kill({pid}, signal.SIGSTOP)
    looks = os.WSTOPPED | os.WEXITED | os.WNOHANG | os.WNOWAIT
    until = time.monotonic() + seconds
    with suppress(ChildProcessError):
        while os.waitid(os.P_PID, pid, looks) is None and time.monotonic() < until:
            time.sleep(0.0005)


def stop_all(of: int, spared: set[int], rounds: int = 200) -> set[int]:
    """Stop, then kill the descendants of *of*; return those that were found.

    Each is stopped before any is killed: a program that forks as fast as it is killed would outrun us,
    and a stopped one does not fork.
    """
    found: set[int] = set()
    for _ in range(rounds):
        new = descendants(of, spared) - found
        if not new:
            break
        kill(new, signal.SIGSTOP)
        found |= new
    kill(found, signal.SIGKILL)
    return found
