"""The supervisor: reads the host's requests, has them run in processes of their own, and replies.

It is the first process of the sandbox, imports nothing slow, runs no code of anybody's, and ends
everything when the host is gone. One request at a time, answered in order:

``hello``                                  → version
``execute``  code, timeout                 → output, truncated, error, seconds, state_kept
``start``    function, arguments, timeout  → value null | problem | failure
``call``     function, arguments, timeout  → value | problem | failure
``stop``                                   → value null
``listen``   folder                        → value, the ``host`` of PostgreSQL's clients in here
``receive``  size; the file's bytes follow  → value, the path of the file in here

``problem`` is the kit's word about the database, ``failure`` our own failure. How processes run what they
are given is in ``worker``, how they are begun, waited for and ended in ``family``.
"""

import json
import os
import signal
import struct
import sys
import time
from typing import Any, NoReturn

from cataloger_sandbox import __version__, processes, sealed, syscalls, tunnel, worker
from cataloger_sandbox.child import Child
from cataloger_sandbox.family import SETUP, Family
from cataloger_sandbox.host import Host, HostGone
from cataloger_sandbox.output import CHARACTERS, Output
from cataloger_sandbox.wire import MESSAGE, encode

GRACE = 3.0
"""Seconds that an interrupted cell has to end by itself."""

INTERRUPTS = 3
"""Times that it is interrupted in these seconds: one may fall where Python swallows it."""

LAST = 1.0
"""Seconds in which an interpreter that has let go of its channel ends by itself."""

_BACKGROUND = 4_000  # characters that are shown of what is printed between two cells
_ERRORS = {worker.DONE: None, worker.RAISED: "error", worker.EXITED: "exit"}


class NoRoomError(Exception):
    """No process can be started: the sandbox's limit is reached."""


class Supervisor:
    """Serves one host until it closes our input."""

    def __init__(
        self,
        host: Host,
        limits: worker.Limits,
        idle: float | None = None,
        backend: str | None = None,
        ahead: bool = True,
    ) -> None:
        self.host, self.idle, self.ahead = host, idle, ahead
        self.family = Family(host, limits, backend)
        self.cells: Child | None = None
        self.setup: bytes | None = None
        self.loss = ""
        self.number = 0

    def serve(self) -> NoReturn:
        """Answer requests until the host is gone, or has not come in the time there is to be idle."""
        processes.set_dumpable(False)
        processes.adopt_orphans()
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        # The first process of a namespace gets no signal from inside it but those that it handles.
        signal.signal(signal.SIGTERM, signal.SIG_IGN if os.getpid() == 1 else lambda *_: _leave())
        until = None if self.idle is None else time.monotonic() + self.idle
        try:
            self.family.begin(self.ahead)
            while True:
                request = self.family.request(until)
                if request is None:
                    _leave()
                until = None
                try:
                    reply = self._answer(request)
                except NoRoomError as error:
                    reply = encode({"failure": str(error)})
                self.host.send(MESSAGE, body=reply)
        except HostGone:
            _leave()

    # Requests

    def _answer(self, frame: bytes) -> bytes:
        request = json.loads(frame)
        operation = request["op"]
        if operation == "hello":
            return encode({"version": __version__})
        if operation == "execute":
            return self._execute(request["code"], request["timeout"])
        if operation == "call":
            return self._call(frame, request)
        if operation == "listen":
            return encode({"value": self._way(request.get("folder"))})
        if operation == "receive":
            self.family.receive(request["size"])
            return encode({"value": sealed.PATH})
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
        """Run a function of the kit's, while threads that cells left running stand still: they could end it."""
        cells = self.cells
        if cells is None or cells.pid is None:
            return self._call_alone(frame, request)
        processes.stop_child(cells.pid, LAST)
        try:
            if self.family.is_accompanied(cells):
                self.family.end(cells, 0.5)
            return self._call_alone(frame, request)
        finally:
            if cells.status is None:
                processes.kill({cells.pid}, signal.SIGCONT)

    def _call_alone(self, frame: bytes, request: dict[str, Any]) -> bytes:
        # The first calls of a session need less than the zygote imports, and would wait for it longest.
        process = self._fork(worker.CALL, bare=not self.family.zygote_ready)
        process.send(frame)
        reply = self.family.message(process, time.monotonic() + request["timeout"])
        if reply is None and not process.gone:
            reply = encode({"failure": f"{request['function']} did not end within {request['timeout']:g} s"})
        if process.pid is not None and process.status is None:
            processes.stop_all(process.pid, spared=set())
            processes.kill({process.pid}, signal.SIGKILL)
        self.family.bury(process)
        if reply is None:
            reply = encode({"failure": f"{request['function']} {process.ending()}\n{process.output.text()[0]}"})
        return reply

    def _begin(self, timeout: float) -> bytes:
        """Fork the cells' process and give it its variables; return the reply to ``start``."""
        # A kit that is to be called wants what the zygote imports; bare cells need not wait for it.
        self.cells = self._fork(worker.CELLS, bare=self.setup is None and not self.family.zygote_ready)
        self.cells.send(self.setup or b"null")
        if self.setup is None:
            return encode({"value": None})
        reply = self.family.message(self.cells, time.monotonic() + timeout)
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
                left += self.family.interrupt(process)
            self.family.turn(deadline)
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
            if self.family.is_accompanied(process):
                left += self.family.end(process, 5.0 if timed_out else 0.5)
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

    def _between_cells(self) -> Output:
        """Return what came since the last cell, from threads that it left; the interpreter may have ended, too."""
        process = self.cells
        if process is None:
            return Output()
        self.family.turn(time.monotonic())
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
            self.family.await_end(process, LAST)
        self._end_cells()
        back = "; those of the kit are back in the next cell" if self.setup else ""
        self.loss = f"[the interpreter {why or process.ending()}: the variables of all cells are lost{back}]"

    def _way(self, folder: str | None) -> str:
        """Return the ``host`` by which the server is reached: *folder* if a socket in it answers, or the tunnel's."""
        return folder if folder is not None and tunnel.answers(folder) else self.family.tunnel.listen()

    # Processes

    def _fork(self, kind: bytes, bare: bool = False) -> Child:
        """Begin a process: a fork of the zygote, or of ourselves if it is to be *bare* of imports."""
        for attempt in range(3):
            if attempt == 2 and self.cells is not None:
                self._lose_cells("had to be ended, so many threads or processes had it started")
            process = self.family.fork(kind, bare)
            if process is not None:
                return process
        raise NoRoomError("no process can be started in the sandbox; its limit is reached")

    def _end_cells(self) -> None:
        """End the cells' process and all that any cell started."""
        process, self.cells = self.cells, None
        if process is not None:
            self.family.end(None, 5.0)
            if process.pid is not None and process.status is None:
                # So young that the zygote's fork between us has not ended: not found among our own.
                processes.kill({process.pid}, signal.SIGKILL)
            self.family.bury(process)


def _leave() -> NoReturn:
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

    *settings* is JSON: ``work``, the folder of every process; ``data`` and ``file``, bytes of memory and in one
    file; ``packages``, folders to import from; ``idle``, the seconds in which the first request has to come;
    ``silence``, the seconds after which a host that says nothing is gone; ``backend``, the kind of database to be
    ready for: empty for none, null for any; ``ahead``, whether to get ready before anything needs it.
    """
    # Who begins this may have held them back until it was begun.
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT, signal.SIGTERM})
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
    idle = given.get("idle")
    host = Host(requests, replies, given.get("silence"), late=idle is not None)
    Supervisor(host, limits, idle, given.get("backend"), given.get("ahead", True)).serve()
