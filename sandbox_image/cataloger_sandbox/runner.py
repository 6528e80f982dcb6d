"""The supervisor: reads the host's requests, has them run in processes of their own, and replies.

It is the first process of the sandbox, imports nothing slow, runs no code of anybody's, and ends
everything when the host is gone. One request at a time, answered in order:

``execute``  code, timeout                 → output, truncated, error, seconds, state_kept
``start``    function, arguments, timeout  → value null | problem | failure
``call``     function, arguments, timeout  → value | problem | failure
``stop``                                   → value null
``listen``                                 → value, the ``host`` of PostgreSQL's clients in here

``problem`` is the kit's word about the database, ``failure`` our own failure. How processes run what they
are given is in ``worker``, the stream to the host is in ``host``, the connections on it are in ``tunnel``.
"""

import json
import os
import select
import signal
import socket
import struct
import sys
import time
from collections import deque
from contextlib import suppress
from types import FrameType
from typing import Any, NoReturn

from cataloger_sandbox import __version__, processes, syscalls, worker, zygote
from cataloger_sandbox.child import Child
from cataloger_sandbox.host import Host, HostGone
from cataloger_sandbox.output import CHARACTERS, Output
from cataloger_sandbox.tunnel import Tunnel
from cataloger_sandbox.wire import MESSAGE, encode

GRACE = 3.0
"""Seconds that an interrupted cell has to end by itself."""

INTERRUPTS = 3
"""Times that it is interrupted in these seconds: one may fall where Python swallows it."""

LAST = 1.0
"""Seconds in which an interpreter that has let go of its channel ends by itself."""

SETUP = 120.0
"""Seconds that a fresh interpreter has to get ready."""

_BACKGROUND = 4_000  # characters that are shown of what is printed between two cells
_ERRORS = {worker.DONE: None, worker.RAISED: "error", worker.EXITED: "exit"}


class NoRoomError(Exception):
    """No process can be started: the sandbox's limit is reached."""


class Supervisor:
    """Serves one host until it closes our input."""

    def __init__(self, host: Host, limits: worker.Limits) -> None:
        self.host, self.limits = host, limits
        self.tunnel = Tunnel(host)
        self.requests: deque[bytes] = deque()
        self.cells: Child | None = None
        self.setup: bytes | None = None
        self.loss = ""
        self.processes: list[Child] = []
        self.number = 0
        self.zygote_pid = 0
        self.zygote: socket.socket | None = None
        self.zygote_ready = False
        self.wakeup, self.waker = os.pipe()
        os.set_blocking(self.wakeup, False)
        os.set_blocking(self.waker, False)

    def serve(self) -> NoReturn:
        """Say hello, then answer requests until the host is gone."""
        processes.set_dumpable(False)
        processes.adopt_orphans()
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, self._terminated)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(self.waker)
        self.zygote = self._fork_zygote()
        try:
            self.host.send(MESSAGE, body=encode({"version": __version__}))
            while True:
                while not self.requests:
                    self._turn(None)
                try:
                    reply = self._answer(self.requests.popleft())
                except NoRoomError as error:
                    reply = encode({"failure": str(error)})
                self.host.send(MESSAGE, body=reply)
        except HostGone:
            self._leave()

    # Requests

    def _answer(self, frame: bytes) -> bytes:
        request = json.loads(frame)
        operation = request["op"]
        if operation == "execute":
            return self._execute(request["code"], request["timeout"])
        if operation == "call":
            return self._call(frame, request)
        if operation == "listen":
            return encode({"value": self.tunnel.listen()})
        self._end_cells()
        self.loss = ""
        if operation == "stop":
            self.setup = None
            return encode({"value": None})
        if operation == "start":
            self.setup = frame
            return self._begin(request["timeout"])
        return encode({"failure": f"no operation {operation!r}"})

    def _call(self, frame: bytes, request: dict[str, Any]) -> bytes:
        # The first calls of a session need less than the zygote imports, and would wait for it longest.
        process = self._fork(worker.CALL, bare=not self.zygote_ready)
        process.send(frame)
        reply = self._message(process, time.monotonic() + request["timeout"])
        if reply is None and not process.gone:
            reply = encode({"failure": f"{request['function']} did not end within {request['timeout']:g} s"})
        if process.pid is not None and process.status is None:
            processes.stop_all(process.pid, spared=set())
            processes.kill({process.pid}, signal.SIGKILL)
        self._bury(process)
        if reply is None:
            reply = encode({"failure": f"{request['function']} {process.ending()}\n{process.output.text()[0]}"})
        return reply

    def _begin(self, timeout: float) -> bytes:
        """Fork the cells' process and give it its variables; return the reply to ``start``."""
        # A kit that is to be called wants what the zygote imports; bare cells need not wait for it.
        self.cells = self._fork(worker.CELLS, bare=self.setup is None and not self.zygote_ready)
        self.cells.send(self.setup or b"null")
        if self.setup is None:
            return encode({"value": None})
        reply = self._message(self.cells, time.monotonic() + timeout)
        if reply is not None and reply.startswith(b'{"value":'):
            self.cells.drain()
            self.cells.output = Output()  # the kit's, and no cell's
            return reply
        cells = self.cells
        late = not cells.gone
        self._end_cells()
        if reply is not None:
            return reply
        why = f"was not ready within {timeout:g} s" if late else cells.ending()
        return encode({"failure": f"the interpreter {why}\n{cells.output.text()[0]}"})

    def _execute(self, code: str, timeout: float) -> bytes:
        background = self._between_cells()
        loss, self.loss = self.loss, ""
        if self.cells is None:
            reply = self._begin(SETUP)
            if self.cells is None:
                return reply
        process = self.cells
        self.number += 1
        process.await_cell(self.number)
        process.send(struct.pack(">I", self.number) + code.encode("utf-8", "replace"))
        began = time.monotonic()
        deadline = began + timeout
        interrupts = left = 0
        while process.outcome is None and not process.gone:
            if time.monotonic() >= deadline:
                if interrupts == INTERRUPTS:
                    break
                interrupts += 1
                deadline = time.monotonic() + GRACE / INTERRUPTS
                left += self._interrupt(process)
            self._turn(deadline)
        timed_out = interrupts > 0
        seconds = time.monotonic() - began
        outcome = process.outcome
        error = "timeout" if timed_out else "died" if outcome is None else _ERRORS[outcome]
        notes = []
        if outcome is None:
            self._lose_cells(f"did not end within {timeout:g} s, nor when interrupted" if timed_out else None)
            notes, self.loss = [self.loss], ""
        else:
            if timed_out:
                notes.append(f"[interrupted after {timeout:g} s; the variables are kept]")
            if self._is_accompanied(process):
                left += self._end(process, 5.0 if timed_out else 0.5)
            if left:
                notes.append(f"[{left} process{'es' if left > 1 else ''} that the cell left running: ended]")
            process.drain()
        before, cut = _before(background, loss)
        output, truncated = process.output.text("\n".join(notes), CHARACTERS - len(before))
        process.output = Output()
        return encode(
            {
                "output": before + output,
                "truncated": truncated or cut,
                "error": error,
                "seconds": seconds,
                "state_kept": outcome is not None and not loss,
            }
        )

    def _is_accompanied(self, process: Child) -> bool:
        """Say whether a cell may have left processes beside its own."""
        if process.pid is None or processes.may_have_children(process.pid, set()):
            return True
        return processes.may_have_children(os.getpid(), {process.pid, self.zygote_pid})

    def _between_cells(self) -> Output:
        """Return what came since the last cell, from threads that it left; the interpreter may have ended, too."""
        process = self.cells
        if process is None:
            return Output()
        self._turn(time.monotonic())
        process.drain()
        background, process.output = process.output, Output()
        if process.gone:
            self._lose_cells(None)
        return background

    def _lose_cells(self, why: str | None) -> None:
        """End the cells' process, and keep what is to be said of it; without a reason *why* it ended by itself."""
        process = self.cells
        assert process is not None
        if process.gone:
            # Its channel tells before its end does, and our own signal must not be taken for its end.
            self._await_end(process, LAST)
        self._end_cells()
        back = "; those of the kit are back in the next cell" if self.setup else ""
        self.loss = f"[the interpreter {why or process.ending()}: the variables of all cells are lost{back}]"

    # Processes

    def _fork(self, kind: bytes, bare: bool = False) -> Child:
        """Begin a process: a fork of the zygote, or of ourselves if it is to be *bare* of imports."""
        for attempt in range(3):
            if attempt == 2 and self.cells is not None:
                self._lose_cells("had to be ended, so many threads or processes had it started")
            with suppress(OSError):
                process = self._fork_of_ourselves(kind) if bare else self._fork_of_zygote(kind)
                if process is not None:
                    return process
            if not bare:  # a cell has killed the zygote, which may take its time to be gone
                self._lose_zygote()
        raise NoRoomError("no process can be started in the sandbox; its limit is reached")

    def _fork_of_ourselves(self, kind: bytes) -> Child:
        process = Child()
        self.processes.append(process)
        try:
            if os.fork() == 0:
                worker.run(kind, process.far_channel, process.far_output, self.limits)
        except OSError:
            process.gone = True
            raise
        finally:
            process.forked()
            if process.gone:
                self._bury(process)
        return process

    def _fork_of_zygote(self, kind: bytes) -> Child | None:
        """Have the zygote fork; null if it is no more, or there is no room for another process."""
        if self.zygote is None:
            self.zygote = self._fork_zygote()
        processes.kill({self.zygote_pid}, signal.SIGCONT)  # a cell may have stopped it
        process = Child()
        self.processes.append(process)
        with suppress(OSError):
            socket.send_fds(self.zygote, [kind], [process.far_channel.fileno(), process.far_output])
        process.forked()
        until = time.monotonic() + SETUP
        while process.pid is None and not process.gone and time.monotonic() < until:
            self._turn(until)
        if process.pid is None:
            self._bury(process)
            return None
        return process

    def _lose_zygote(self) -> None:
        if self.zygote is not None:
            self.zygote.close()
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
                zygote.run(far, lambda kind, channel, output: worker.run(kind, channel, output, limits))
            finally:
                os._exit(1)
        far.close()
        return near

    def _interrupt(self, process: Child) -> int:
        """Interrupt a cell and end the processes it has; return how many these were."""
        for number in (signal.SIGINT, signal.SIGCONT):  # it may have stopped itself
            if process.pid is not None:
                with suppress(OSError):
                    os.killpg(process.pid, number)
        return len(processes.stop_all(process.pid, set(), rounds=3)) if process.pid is not None else 0

    def _end_cells(self) -> None:
        """End the cells' process and all that any cell started."""
        process, self.cells = self.cells, None
        if process is not None:
            self._end(None, 5.0)
            if process.pid is not None and process.status is None:
                # So young that the zygote's fork between us has not ended: not found among our own.
                processes.kill({process.pid}, signal.SIGKILL)
            self._bury(process)

    def _end(self, spared: Child | None, seconds: float) -> int:
        """End every process but ourselves, the zygote and *spared*, whose children are not spared.

        Returns how many there were; waits at most *seconds* for their end.
        """
        kept = {self.zygote_pid}
        found: set[int] = set()
        if spared is not None and spared.pid is not None:
            kept.add(spared.pid)
            found |= processes.stop_all(spared.pid, spared=set())
        found |= processes.stop_all(os.getpid(), kept)
        count = len(found)
        until = time.monotonic() + seconds
        while found and time.monotonic() < until:
            # Of the end of somebody else's child nobody tells us: look again soon.
            self._turn(time.monotonic() + 0.01)
            found = processes.descendants(os.getpid(), kept)
            if spared is not None and spared.pid is not None:
                found |= processes.descendants(spared.pid, set())
            processes.kill(found, signal.SIGKILL)
        if found and os.getpid() == 1 and (spared is None or spared.outcome is None):
            # Something forks faster than we find it: end all at once, the zygote too.
            os.kill(-1, signal.SIGKILL)
        return count

    def _bury(self, process: Child) -> None:
        """Wait for the end of a process that was killed or ended, and let go of it."""
        self._await_end(process, 5.0)
        process.drain()
        self.processes.remove(process)
        process.close()

    def _await_end(self, process: Child, seconds: float) -> None:
        until = time.monotonic() + seconds
        while process.pid is not None and process.status is None and time.monotonic() < until:
            self._turn(until)

    # Events

    def _message(self, process: Child, deadline: float) -> bytes | None:
        """Wait for a message; null when the process is gone or the time is up."""
        while (message := process.message()) is None and not process.gone and time.monotonic() < deadline:
            self._turn(deadline)
        return message

    def _turn(self, deadline: float | None) -> None:
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
        timeout = None if deadline is None else max(0.0, deadline - time.monotonic())
        ready, writable, _ = select.select(readers + clients, writers + takers, [], timeout)
        if self.host.requests in ready:
            for kind, connection, body in self.host.read():
                if kind == MESSAGE:
                    self.requests.append(body)
                else:
                    self.tunnel.take(kind, connection, body)
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

    def _terminated(self, _signal: int, _frame: FrameType | None) -> None:
        self._leave()

    def _leave(self) -> NoReturn:
        """End everything; where we are the first process of a namespace, our own end does."""
        if os.getpid() != 1:
            processes.stop_all(os.getpid(), spared=set())
        os._exit(0)


def _before(background: Output, loss: str) -> tuple[str, bool]:
    """Return what a result shows ahead of its own cell's output, and whether anything was cut from it."""
    text, cut = background.text(most=_BACKGROUND)
    lines = ["[output of earlier cells' background work]", text.rstrip("\n")] if text else []
    if loss:
        lines.append(loss)
    if lines:
        lines.append("[output of this cell]")
    return "".join(f"{line}\n" for line in lines), cut


def main(settings: str) -> NoReturn:
    """Serve the host on standard input and output.

    *settings* is JSON: ``work``, the folder of every process; ``data`` and ``file``, bytes of memory and in
    one file; ``packages``, folders to import from.
    """
    # Before numpy: its threads would not survive a fork.
    os.environ["OPENBLAS_NUM_THREADS"] = "1"
    # Before pyarrow: its own allocators reserve more than they use, which the memory limit counts.
    os.environ["ARROW_DEFAULT_MEMORY_POOL"] = "system"
    requests, replies = os.dup(0), os.dup(1)
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 0)
    os.dup2(null, 1)
    os.close(null)
    sys.argv = [""]
    syscalls.restrict()
    given = json.loads(settings)
    sys.path += given.get("packages", [])
    limits = worker.Limits(given["work"], given.get("data"), given.get("file"))
    Supervisor(Host(requests, replies), limits).serve()
