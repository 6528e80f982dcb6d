"""The supervisor's processes: how they are begun, waited for and ended, the host being heard meanwhile.

One of them is the zygote, which the others are forks of. What they are told to run is ``runner``'s.
"""

import os
import select
import signal
import socket
import time
from collections import deque
from contextlib import suppress
from typing import Any

from cataloger_sandbox import processes, worker, zygote
from cataloger_sandbox.child import Child
from cataloger_sandbox.host import Host
from cataloger_sandbox.sealed import SealedFile
from cataloger_sandbox.tunnel import Tunnel
from cataloger_sandbox.wire import ALIVE, DATA, MESSAGE

SETUP = 120.0
"""Seconds that a fresh interpreter has to get ready."""


class Family:
    """The processes of one supervisor; whatever waits here may raise ``HostGone``."""

    def __init__(self, host: Host, limits: worker.Limits, backend: str | None = None) -> None:
        self.host, self.limits, self.backend = host, limits, backend
        self.tunnel = Tunnel(host)
        self.requests: deque[bytes] = deque()
        self.processes: list[Child] = []
        self.zygote_pid = 0
        self.zygote: socket.socket | None = None
        self.zygote_ready = False
        self.lost_zygotes: set[int] = set()
        self.spare: Child | None = None
        self.file: SealedFile | None = None
        self.wakeup, self.waker = os.pipe()
        os.set_blocking(self.wakeup, False)
        os.set_blocking(self.waker, False)

    def begin(self, ahead: bool) -> None:
        """Learn of every end from now on; begin the zygote *ahead* of the first process that is to be its fork."""
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(self.waker)
        if ahead:
            self.zygote = self._fork_zygote()

    def receive(self, size: int) -> None:
        """Take a file of *size* bytes from the host, for every process that begins from now on."""
        file = self._begun_file()
        while file.size < size:
            self.turn(None)
        file.seal()

    def fork(self, kind: bytes, bare: bool) -> Child | None:
        """Begin a process: a fork of the zygote, or of ourselves if it is to be *bare* of imports; null if it fails."""
        with suppress(OSError):
            spare, self.spare = self.spare, None
            process = None if spare is None else self._settled(spare, kind)
            if process is None:  # there was none, or memory ended it
                process = self._fork_of_ourselves(kind) if bare else self._fork_of_zygote(kind)
            if process is not None:
                return process
        if not bare:  # a cell has killed the zygote, which may take its time to be gone
            self._lose_zygote()
        return None

    def _fork_of_ourselves(self, kind: bytes) -> Child:
        process = Child()
        self.processes.append(process)
        try:
            process.become(kind, self._file)
            if os.fork() == 0:
                worker.run(process.far_channel, process.far_output, self.limits)
        except OSError:
            process.gone = True
            raise
        finally:
            process.forked()
            if process.gone:
                self.bury(process)
        return process

    def _fork_of_zygote(self, kind: bytes) -> Child | None:
        """Have the zygote fork; null if it is no more, or there is no room for another process."""
        return self._settled(self._begun_by_zygote(), kind)

    def _begun_by_zygote(self) -> Child:
        if self.zygote is None:
            self.zygote = self._fork_zygote()
        processes.kill({self.zygote_pid}, signal.SIGCONT)  # a cell may have stopped it
        process = Child()
        self.processes.append(process)
        with suppress(OSError):
            socket.send_fds(self.zygote, [b"fork"], [process.far_channel.fileno(), process.far_output])
        process.forked()
        return process

    def _settled(self, process: Child, kind: bytes) -> Child | None:
        """Have the process be of that *kind*; null, and it is buried, if it ends before it is."""
        if process.pid is not None:
            processes.kill({process.pid}, signal.SIGCONT)
        with suppress(OSError):
            process.become(kind, self._file)
        until = time.monotonic() + SETUP
        while not process.is_settled and not process.gone and time.monotonic() < until:
            self.turn(until)
        if process.is_settled:
            return process
        if process.pid is not None:
            processes.kill({process.pid}, signal.SIGKILL)
        self.bury(process)
        return None

    def _prepare(self) -> None:
        """Have a process at hand for the first that is to begin, and wait until its number is known.

        No cell has run by then, and none runs beside it: the first process to begin is this one.
        """
        self.spare = process = self._begun_by_zygote()
        until = time.monotonic() + SETUP
        while process.pid is None and not process.gone and time.monotonic() < until:
            self.turn(until)

    @property
    def _ours(self) -> set[int]:
        """The processes that no cell began and none needs."""
        spare = None if self.spare is None else self.spare.pid
        return {self.zygote_pid, *self.lost_zygotes, *(() if spare is None else (spare,))}

    @property
    def _file(self) -> int | None:
        return None if self.file is None else self.file.descriptor

    def _begun_file(self) -> SealedFile:
        # Its first bytes may be read together with the request that announces them.
        if self.file is None:
            self.file = SealedFile()
        return self.file

    def _lose_zygote(self) -> None:
        """Let go of the zygote; its channel tells of its end before it is gone, and no cell left it running."""
        if self.zygote is not None:
            self.zygote.close()
        if self.zygote_pid:
            processes.kill({self.zygote_pid}, signal.SIGKILL)
            self.lost_zygotes.add(self.zygote_pid)
        self.zygote, self.zygote_pid, self.zygote_ready = None, 0, False

    def _fork_zygote(self) -> socket.socket:
        near, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.zygote_ready = False
        self.zygote_pid = os.fork()
        if self.zygote_pid == 0:
            try:
                signal.set_wakeup_fd(-1)
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                signal.signal(signal.SIGTERM, signal.SIG_DFL)
                processes.close_all_but({0, 1, 2, far.fileno()})
                limits = self.limits
                zygote.run(
                    far, self.backend, lambda channel, output: worker.run(channel, output, limits, zygote.warm_up)
                )
            finally:
                os._exit(1)
        far.close()
        return near

    def interrupt(self, process: Child) -> int:
        """Interrupt a cell and end the processes it has; return how many these were."""
        for number in (signal.SIGINT, signal.SIGCONT):  # it may have stopped itself
            if process.pid is not None:
                with suppress(OSError):
                    os.killpg(process.pid, number)
        return len(processes.stop_all(process.pid, set(), rounds=3)) if process.pid is not None else 0

    def end(self, spared: Child | None, seconds: float) -> int:
        """End every process but ourselves, the zygote and *spared*, whose children are not spared.

        Returns how many there were; waits at most *seconds* for their end.
        """
        kept = self._ours
        found: set[int] = set()
        if spared is not None and spared.pid is not None:
            kept.add(spared.pid)
            found |= processes.stop_all(spared.pid, spared=set())
        found |= processes.stop_all(os.getpid(), kept)
        count = len(found)
        until = time.monotonic() + seconds
        while found and time.monotonic() < until:
            # Of the end of somebody else's child nobody tells us: look again soon.
            self.turn(time.monotonic() + 0.01)
            found = processes.descendants(os.getpid(), kept)
            if spared is not None and spared.pid is not None:
                found |= processes.descendants(spared.pid, set())
            processes.kill(found, signal.SIGKILL)
        if found and os.getpid() == 1 and (spared is None or spared.outcome is None):
            # Something forks faster than we find it: end all at once, the zygote too.
            os.kill(-1, signal.SIGKILL)
        return count

    def bury(self, process: Child) -> None:
        """Wait for the end of a process that was killed or ended, and let go of it."""
        self.await_end(process, 5.0)
        process.drain()
        self.processes.remove(process)
        process.close()

    def await_end(self, process: Child, seconds: float) -> None:
        """Wait at most *seconds* until the process has ended."""
        until = time.monotonic() + seconds
        while process.pid is not None and process.status is None and time.monotonic() < until:
            self.turn(until)

    def is_accompanied(self, process: Child) -> bool:
        """Say whether a cell may have left processes beside its own."""
        if process.pid is None or processes.may_have_children(process.pid, set()):
            return True
        return processes.may_have_children(os.getpid(), {process.pid, *self._ours})

    # Events

    def request(self, deadline: float | None) -> bytes | None:
        """Wait for a request of the host's, at most until *deadline*; null when the time is up.

        Where there is a deadline nobody has come yet, and a process is prepared for who will.
        """
        while not self.requests:
            if deadline is not None and time.monotonic() >= deadline:
                return None
            if deadline is not None and self.spare is None and self.zygote_ready:
                self._prepare()
            else:
                self.turn(deadline)
        return self.requests.popleft()

    def message(self, process: Child, deadline: float) -> bytes | None:
        """Wait for a message; null when the process is gone or the time is up."""
        while (message := process.message()) is None and not process.gone and time.monotonic() < deadline:
            self.turn(deadline)
        return message

    def turn(self, deadline: float | None) -> None:
        """Wait for something to happen, at most until *deadline*, and take note of it."""
        readers: list[Any] = [self.host.requests, self.wakeup]
        writers: list[Any] = []
        if self.zygote is not None:
            readers.append(self.zygote)
        for process in self.processes:
            if process.output_open:
                readers.append(process.output_end)
            if not process.gone:
                readers.append(process.channel)
                if process.outgoing:
                    process.write()
                    if process.outgoing:
                        writers.append(process.channel)
        if self.host.is_waiting:
            writers.append(self.host.replies)
        clients, takers = self.tunnel.readers(), self.tunnel.writers()
        limits = [each for each in (deadline, self.host.until) if each is not None]
        timeout = max(0.0, min(limits) - time.monotonic()) if limits else None
        ready, writable, _ = select.select(readers + clients, writers + takers, [], timeout)
        if self.host.requests in ready:
            for kind, connection, body in self.host.read():
                if kind == MESSAGE:
                    self.requests.append(body)
                elif kind == DATA and connection == 0:
                    self._begun_file().add(body)
                elif kind != ALIVE:
                    self.tunnel.take(kind, connection, body)
        else:
            self.host.listen()
        if self.host.replies in writable:
            self.host.write()
        if clients or takers:
            self.tunnel.pass_on(
                [each for each in clients if each in ready], [each for each in takers if each in writable]
            )
        if self.wakeup in ready:
            self._reap()
        if self.zygote in ready:
            self._hear_zygote()
        for process in self.processes:
            if process.channel in ready:
                process.read()
            if process.output_end in ready:
                process.drain()

    def _reap(self) -> None:
        try:
            while os.read(self.wakeup, 4096):
                pass
        except BlockingIOError:
            pass
        try:
            while True:
                pid, status = os.waitpid(-1, os.WNOHANG)
                if pid == 0:
                    return
                self.lost_zygotes.discard(pid)
                if pid == self.zygote_pid:
                    self.zygote_pid = 0  # no more ours to signal
                    self._lose_zygote()
                for process in self.processes:
                    if process.pid == pid:
                        process.read()  # what it said at the end
                        process.status = status
                        process.gone = True
        except ChildProcessError:
            return

    def _hear_zygote(self) -> None:
        assert self.zygote is not None
        try:
            said = self.zygote.recv(64)
        except OSError:
            said = b""
        if said == zygote.READY:
            self.zygote_ready = True
        elif not said:
            self._lose_zygote()
