"""Asks a process of its own whether statements only read, and remembers what it said.

Statements come from a model's code, and PostgreSQL's parser is a large C program: whatever one of them does to it
ends that process, not ours, and none takes longer or more memory than is set here. The process has no secret. What
it judges by is in ``statements``.
"""

import asyncio
import os
import socket
import struct
import subprocess
import sys
from collections import OrderedDict

from cataloger_dagster.errors import SandboxError
from cataloger_dagster.sandbox.verdict import Refusal, unpack

_PROGRAM = "cataloger_dagster.sandbox.statements"

_SECONDS = 20.0  # for one statement; half a megabyte takes a second
_START_SECONDS = 60.0

_REMEMBERED = 1024
_REMEMBERED_BYTES = 4096  # longest text that is remembered

_PASSED = 256
_PASSED_BYTES = 512

_TOO_MUCH = Refusal("54001", "the statement is too complex to be looked at, and was not run; write a simpler one")


class Judge:
    """Judges the statements of one session; all calls are made in one event loop."""

    def __init__(self) -> None:
        self._known: OrderedDict[bytes, Refusal | None] = OrderedDict()
        self._passed: set[bytes] = set()
        self._turn = asyncio.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._link: socket.socket | None = None
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    def start(self) -> None:
        """Start the process if there is none, without waiting for it."""
        if self._process is not None:
            return
        ours, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", _PROGRAM],
                stdin=theirs.fileno(),
                stdout=subprocess.DEVNULL,
                env={"PYTHONPATH": os.pathsep.join(sys.path)},
                start_new_session=True,  # Ctrl-C is ours; the process ends with the socket
            )
        ours.setblocking(False)
        self._link = ours

    def knows(self, sql: bytes) -> bool:
        """Whether what was said of the text *sql* is remembered."""
        return sql in self._known

    def recall(self, sql: bytes) -> Refusal | None:
        """Return what was said of a text that is known."""
        self._known.move_to_end(sql)
        return self._known[sql]

    def passes(self, messages: bytes) -> bool:
        """Whether the same whole *messages* were let through before, each of their statements for what was said of it.

        What is said of a text never changes, and to look at each message again takes most of a small query's time.
        """
        return messages in self._passed

    def let_pass(self, messages: bytes) -> None:
        """Remember that whole *messages* were let through as they are, if they are short."""
        if len(messages) <= _PASSED_BYTES:
            if len(self._passed) >= _PASSED:
                self._passed.clear()
            self._passed.add(messages)

    async def refusal(self, sql: bytes) -> Refusal | None:
        """Return why the text *sql* is not let through; null if all of its statements only read.

        Raises:
            SandboxError: the process does not start.
        """
        if self.knows(sql):
            return self.recall(sql)
        async with self._turn:
            verdict = await self._asked(sql)
        if len(sql) <= _REMEMBERED_BYTES:
            self._known[sql] = verdict
            if len(self._known) > _REMEMBERED:
                self._known.popitem(last=False)
        return verdict

    def close(self) -> None:
        """End the process."""
        if self._streams is not None:
            self._streams[1].transport.abort()
        elif self._link is not None:
            self._link.close()
        if self._process is not None:
            self._process.kill()
            self._process.wait()
        self._process = self._link = self._streams = None

    async def _asked(self, sql: bytes) -> Refusal | None:
        try:
            reader, writer = await self._ready()
            try:
                async with asyncio.timeout(_SECONDS):
                    writer.write(struct.pack(">I", len(sql)) + sql)
                    return unpack(await _reply(reader))
            except (TimeoutError, EOFError, OSError):
                self.close()
                return _TOO_MUCH
        except BaseException:
            self.close()  # its answer must not be taken for the next one's
            raise

    async def _ready(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if self._streams is None:
            self.start()
            self._streams = await asyncio.open_connection(sock=self._link)
            try:
                async with asyncio.timeout(_START_SECONDS):
                    await _reply(self._streams[0])
            except (TimeoutError, EOFError, OSError):
                raise SandboxError(
                    "the process that looks at statements does not start, so none is sent; see what it wrote above, "
                    "and whether postgast is installed"
                ) from None
        return self._streams


async def _reply(reader: asyncio.StreamReader) -> bytes:
    (length,) = struct.unpack(">I", await reader.readexactly(4))
    return await reader.readexactly(length)
