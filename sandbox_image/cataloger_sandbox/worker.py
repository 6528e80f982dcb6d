"""What runs in a forked process: cells, one after another with their variables kept, or one function of the kit.

A cell may do anything to the interpreter it runs in, so what must work after it is held by this module
itself. Starting, timing and ending processes is in ``runner``.
"""

import __future__

import ast
import builtins
import importlib
import io
import json
import linecache
import mmap
import os
import resource
import select
import signal
import socket
import struct
import sys
import traceback
import types
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NoReturn, TextIO

from cataloger_sandbox import processes, sealed
from cataloger_sandbox.errors import DatabaseProblem
from cataloger_sandbox.wire import LIMIT, encode, receive_message, send_message

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop

CELLS = b"cells"
CALL = b"call"

DONE, RAISED, EXITED = range(3)
"""How a cell ended."""

OUTCOME = struct.Struct(">IB")
"""What is said of a finished cell: its number and how it ended."""

PAUSE = 0.1
"""Seconds in which one that is told nothing begins to warm up."""

_NUMBER = struct.Struct(">I")
_OF_THE_SOURCE = (SyntaxError, ValueError, OverflowError, RecursionError, MemoryError, KeyboardInterrupt)
"""What may keep a cell from being run without anything being broken."""

_OURS = __file__.rpartition(os.sep)[0]
_DEPTH = 1000
_RESERVE = 16 << 20  # bytes, never touched
_FEATURES = __future__.annotations.compiler_flag  # the one that is not every Python's by now
_COROUTINE = 0x80  # inspect.CO_COROUTINE: that module is slow to import, and every session would wait for it


class Limits:
    """What a process may use: ``data`` bytes of memory, ``file`` bytes in one file; its folder is ``work``."""

    def __init__(self, work: str, data: int | None = None, file: int | None = None) -> None:
        self.work = work
        self.data = data
        self.file = file


def run(channel: socket.socket, output: int, limits: Limits, warm_up: Callable[[], None] | None = None) -> None:
    """Be a process of the kind that *channel* will tell, at once or much later; does not return.

    It says that it is there and, later, that it has become of that kind: both times by its number. One that is
    told nothing for some time does ``warm_up`` meanwhile, if that is given.
    """
    try:
        _settle(channel, output, limits)
        channel.sendall(_NUMBER.pack(os.getpid()))
        if warm_up is not None and not select.select([channel], [], [], PAUSE)[0]:
            warm_up()
        kind, files, _, _ = socket.recv_fds(channel, 64, 1)
        if not kind:
            os._exit(0)
        channel = _become(kind, channel, files, limits.work)
        channel.sendall(_NUMBER.pack(os.getpid()))
        if kind == CALL:
            _call(channel)
        else:
            _Cells(channel).serve()
    finally:
        os._exit(1)


def _settle(channel: socket.socket, output: int, limits: Limits) -> None:
    """Leave everything of the parent behind but *channel* and *output*."""
    os.setsid()
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.dup2(output, 1)
    os.dup2(output, 2)
    signal.set_wakeup_fd(-1)
    for number in (signal.SIGTERM, signal.SIGCHLD):
        signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    processes.close_all_but({0, 1, 2, channel.fileno()})
    # Where memory ends, this process goes first, and not the one that can tell of it.
    with suppress(OSError):
        score = os.open("/proc/self/oom_score_adj", os.O_WRONLY)
        os.write(score, b"1000")
        os.close(score)
    processes.limit(resource.RLIMIT_CORE, 0)
    if limits.data:
        processes.limit(resource.RLIMIT_DATA, limits.data)
    if limits.file:
        processes.limit(resource.RLIMIT_FSIZE, limits.file)
    os.chdir(limits.work)


def _become(kind: bytes, channel: socket.socket, files: Sequence[int], work: str) -> socket.socket:
    """Be of that *kind*, with the file that the host sent, if it did; return the channel, which may have moved."""
    for file in files:
        if channel.fileno() == sealed.DESCRIPTOR:
            moved = channel.dup()
            channel.close()
            channel = moved
        sealed.keep(file)
    if kind == CALL:
        # Nothing that a cell left in its home is read by the kit.
        os.environ["HOME"] = "/"
    else:
        sys.path.append(work)
        # A cell may look at itself; a call's memory stays closed to it.
        processes.set_dumpable(True)
    _print_to(_stream())
    stdin = io.TextIOWrapper(io.BufferedReader(io.FileIO(0, closefd=False)), encoding="utf-8")
    sys.__dict__.update(stdin=stdin, __stdin__=stdin)
    return channel


def _stream(descriptor: int = 1) -> TextIO:
    """Return a text stream over *descriptor*.

    It holds nothing back, so that what others write there keeps its place.
    """
    raw: Any = io.FileIO(descriptor, "wb", closefd=False)
    return io.TextIOWrapper(raw, encoding="utf-8", errors="backslashreplace", write_through=True)


def _print_to(stream: TextIO) -> None:
    """Make *stream* the standard output and error."""
    sys.__dict__.update(stdout=stream, stderr=stream, __stdout__=stream, __stderr__=stream)


def _call(channel: socket.socket) -> None:
    """Run one function of the kit, report, and end."""
    message = receive_message(channel)
    if message is not None:
        send_message(channel, _report(json.loads(message), keep=None))
    os._exit(0)


def _report(request: Any, keep: dict[str, Any] | None) -> bytes:
    """Run ``module:function`` of *request* and return what to tell the host.

    Its value is told, or put into the variables *keep*.
    """
    try:
        module, _, function = request["function"].partition(":")
        value = getattr(importlib.import_module(module), function)(**request["arguments"])
        if keep is None:
            body = encode({"value": value})
        else:
            keep.update(value)
            body = encode({"value": None})
    except DatabaseProblem as problem:
        return encode({"problem": str(problem)})
    except MemoryError:
        return encode({"failure": "MemoryError: the sandbox's memory is used up"})
    except BaseException as error:  # also a SystemExit: whatever ends the function is told
        return encode({"failure": _traceback(error, _OURS + os.sep + "worker.py")})
    if len(body) > LIMIT:
        return encode({"failure": f"the value of {request['function']} takes {len(body):,} bytes; at most {LIMIT:,}"})
    return body


class _Cells:
    """Runs cells in one namespace."""

    def __init__(self, channel: socket.socket) -> None:
        self.channel = channel
        self.pid = os.getpid()
        self.in_cell = False
        self.is_prepared = False
        self.main = types.ModuleType("__main__")
        self.variables = self.main.__dict__
        self.variables["__builtins__"] = builtins
        self.loop: AbstractEventLoop | None = None
        self.features = 0  # of Python's future, as flags of the compiler
        # What a cell can break and the next one needs.
        self.builtins = dict(builtins.__dict__)
        self.terminal = os.dup(1)
        self.stream = _stream(self.terminal)
        self.dup2, self.getpid, self.end = os.dup2, os.getpid, os._exit
        self.untrace = sys.settrace, sys.setprofile
        self.reserve: mmap.mmap | None = None

    def serve(self) -> None:
        """Begin as the first message says, then run a cell for each message."""
        message = receive_message(self.channel)
        if message is None:
            os._exit(0)
        request = json.loads(message)
        sys.modules["__main__"] = self.main
        if request is not None:
            send_message(self.channel, _report(request, self.variables))
        number = 0
        while (message := receive_message(self.channel)) is not None:
            (number,) = struct.unpack(">I", message[:4])
            ending = self.cell(number, message[4:].decode("utf-8", "replace"))
            if self.getpid() != self.pid:
                self.end(0)  # a child that the cell forked has come out at its end
            self.channel.sendall(OUTCOME.pack(number, ending))
        os._exit(0)

    def cell(self, number: int, source: str) -> int:
        """Run one cell and say how it ended; what it did is on descriptor 1."""
        try:
            self.in_cell, self.is_prepared = True, False
            try:
                try:
                    self.mend()
                    self.run(f"<cell {number}>", source)
                finally:
                    self.let_go_of_reserve()
                ending = DONE
            except SystemExit as stop:
                self.stream.write(f"[sys.exit({'' if stop.code is None else repr(stop.code)}): the session goes on]\n")
                ending = EXITED
            except BaseException as error:  # whatever a cell raises is its result
                if not self.is_prepared and not isinstance(error, _OF_THE_SOURCE):
                    self.give_up(error)
                self.stream.write(_traceback(error, _OURS))
                ending = RAISED
            self.in_cell = False
        except BaseException as error:  # an interrupt while the error was written, an error that can't be written
            self.in_cell = False
            ending = RAISED
            if not isinstance(error, KeyboardInterrupt | MemoryError | RecursionError):
                self.give_up(error)
            self.stream.write(f"{type(error).__name__} while the cell's error was written\n")
        return ending

    def give_up(self, error: BaseException) -> NoReturn:
        """End this process: it can run no cell any more, and the next one is to have another."""
        try:
            name = type(error).__name__
            self.stream.write(f"[{name}: {error} - a cell has broken what the interpreter itself works with]\n")
        finally:
            self.end(1)

    def mend(self) -> None:
        """Put right what earlier cells broke of the process."""
        self.dup2(self.terminal, 1)
        self.dup2(self.terminal, 2)
        # Memory to tell of a lack of memory.
        with suppress(OSError):
            self.reserve = mmap.mmap(-1, _RESERVE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        _print_to(_stream())
        signal.signal(signal.SIGINT, self.interrupted)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGINT])
        sys.setrecursionlimit(max(_DEPTH, sys.getrecursionlimit()))

    def let_go_of_reserve(self) -> None:
        """Make room to tell how the cell ended, and to begin the next."""
        if self.reserve is not None:
            self.reserve.close()
            self.reserve = None

    def run(self, name: str, source: str) -> None:
        """Run *source* and display the value of its last expression, unless a semicolon follows it."""
        source = source.removeprefix("\ufeff")
        lines = io.StringIO(source, newline=None).readlines()
        linecache.cache[name] = (len(source), None, lines, name)
        flags = self.features | ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
        tree = compile(source, name, "exec", flags | ast.PyCF_ONLY_AST, dont_inherit=True)
        assert isinstance(tree, ast.Module)
        last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
        parts = [compile(tree, name, "exec", flags, dont_inherit=True)]
        self.features |= parts[0].co_flags & _FEATURES  # from here on, as at Python's own prompt
        if isinstance(last, ast.Expr):
            value = ast.Expression(last.value)
            parts.append(compile(value, name, "eval", flags | self.features, dont_inherit=True))
        self.is_prepared = True
        try:
            value = self.evaluate(parts)
        finally:
            # What is needed to tell the result.
            for untrace in self.untrace:
                untrace(None)
            builtins.__dict__.update(self.builtins)
        if isinstance(last, ast.Expr) and value is not None:
            self.variables["_"] = value
            if not _is_muted(lines, last):
                self.stream.write(repr(value) + "\n")

    def evaluate(self, parts: list[types.CodeType]) -> Any:
        """Run the *parts* of a cell, to the end of what they await, and return the last one's value."""
        if not any(part.co_flags & _COROUTINE for part in parts):
            return [eval(part, self.variables) for part in parts][-1]
        import asyncio  # slow, and few cells await

        if self.loop is None or self.loop.is_closed():
            self.loop = asyncio.new_event_loop()
        task = self.loop.create_task(self.awaited(parts))
        try:
            return self.loop.run_until_complete(task)
        finally:
            task.cancel()  # an interrupted cell must not go on in the next one that awaits

    async def awaited(self, parts: list[types.CodeType]) -> Any:
        """Run the *parts* of a cell with the event loop running."""
        value = None
        for part in parts:
            value = eval(part, self.variables)
            if part.co_flags & _COROUTINE:
                value = await value
        return value

    def interrupted(self, _signal: int, _frame: types.FrameType | None) -> None:
        """End the running cell, and nothing but a cell."""
        if self.in_cell and self.getpid() == self.pid:
            raise KeyboardInterrupt


def _is_muted(lines: list[str], last: ast.Expr) -> bool:
    """Say whether a semicolon follows the *last* expression of *lines*."""
    assert last.end_lineno is not None
    assert last.end_col_offset is not None
    first = lines[last.end_lineno - 1].encode()[last.end_col_offset :].decode()
    return any(";" in line.partition("#")[0] for line in (first, *lines[last.end_lineno :]))


class _ShortStack(traceback.StackSummary):
    """A stack whose middle is left out when it is long."""

    def format(self, **kwargs: Any) -> list[str]:
        lines = super().format(**kwargs)
        if len(lines) <= 14:
            return lines
        return [*lines[:4], f"  [… {len(lines) - 12} frames left out …]\n", *lines[-8:]]


def _traceback(error: BaseException, ours: str) -> str:
    """Return a short traceback without frames of files under *ours*, nor those that led to the cell."""
    frames = error.__traceback__
    while frames is not None and not frames.tb_frame.f_code.co_filename.startswith("<cell "):
        frames = frames.tb_next
    if frames is None and not isinstance(error, SyntaxError):
        frames = error.__traceback__
    told = traceback.TracebackException(type(error), error, frames, compact=True)
    _shorten(told, ours)
    return "".join(told.format())


def _shorten(told: traceback.TracebackException, ours: str) -> None:
    told.stack = _ShortStack(frame for frame in told.stack if not frame.filename.startswith(ours))
    for chained in (told.__cause__, told.__context__, *(getattr(told, "exceptions", None) or ())):
        if chained is not None:
            _shorten(chained, ours)
