"""The host's side of the conversation with a runner: frames over a stream, and the ``Session`` they make.

What carries the bytes is given as a ``Stream``: Docker's attach socket or a child process's. The runner is
in ``sandbox_image/``; how one is started is in ``docker`` and ``local``.
"""

import json
import struct
import time
from collections.abc import Mapping
from typing import Any, Protocol

from cataloger_dagster import __version__
from cataloger_dagster.errors import DatabaseError, SandboxError
from cataloger_dagster.sandbox.session import ExecutionResult

LIMIT = 64 << 20
"""Longest frame, in bytes; the runner's own limit is the same."""

START = 120.0
"""Seconds that a sandbox, or a fresh interpreter in it, has to get ready."""

SPARE = 30.0
"""Seconds beyond a request's own time after which the sandbox itself has failed."""

BUILD = "build the sandbox's image anew: cataloger sandbox build"


class Stream(Protocol):
    """Bytes to and from a runner."""

    def send(self, data: bytes, seconds: float) -> None:
        """Send all of *data*; raises ``TimeoutError`` or another ``OSError``."""

    def receive(self, seconds: float) -> bytes:
        """Return the next bytes, empty at the end; raises ``TimeoutError`` or another ``OSError``."""

    def complaint(self) -> str:
        """Return what the runner wrote to its standard error, as far as it is known."""


class RunnerSession:
    """A session with the runner at the other end of *stream*.

    *connection* is how the kit reaches the database in there; *shown* says what people call its paths.
    """

    def __init__(self, stream: Stream, connection: Mapping[str, Any], shown: Mapping[str, str]) -> None:
        self._stream = stream
        self._connection = connection
        self._shown = shown
        self._received = bytearray()
        hello = self._receive(time.monotonic() + START)
        version = hello.get("version")
        if version != __version__:
            raise SandboxError(f"the sandbox is of version {version}, Cataloger of version {__version__}; {BUILD}")

    @property
    def connection(self) -> Mapping[str, Any]:
        """How the kit reaches the database from inside."""
        return self._connection

    def call(self, function: str, arguments: Mapping[str, Any], timeout: float) -> Any:
        """Run ``module:function`` of the kit in a fresh interpreter; see ``Session``."""
        request = {"op": "call", "function": function, "arguments": arguments, "timeout": timeout}
        return self._value(function, self._ask(request, START + timeout))

    def start(self, function: str, arguments: Mapping[str, Any]) -> None:
        """Begin a fresh interpreter for cells; see ``Session``."""
        request = {"op": "start", "function": function, "arguments": arguments, "timeout": START}
        self._value(function, self._ask(request, START))

    def execute(self, code: str, timeout: float = 120.0) -> ExecutionResult:
        """Run one cell; see ``Session``."""
        reply = self._ask({"op": "execute", "code": code, "timeout": timeout}, START + timeout)
        if "output" not in reply:
            self._value("the cells' interpreter", reply)
        return ExecutionResult(**reply)

    def stop(self) -> None:
        """End the interpreter of the cells and every process it started."""
        self._ask({"op": "stop"}, 0)

    def _value(self, function: str, reply: Mapping[str, Any]) -> Any:
        if "problem" in reply:
            problem = str(reply["problem"])
            for inside, outside in self._shown.items():
                problem = problem.replace(inside, outside)
            raise DatabaseError(problem)
        if "value" not in reply:
            raise SandboxError(f"{function} failed in the sandbox:\n{str(reply.get('failure', reply)).strip()}")
        return reply["value"]

    def _ask(self, request: Mapping[str, Any], seconds: float) -> dict[str, Any]:
        # A lone surrogate is no text in any encoding: it goes as a question mark.
        body = json.dumps(request, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")
        if len(body) > LIMIT:
            raise SandboxError(f"a request of {len(body):,} bytes is too long for the sandbox; at most {LIMIT:,}")
        deadline = time.monotonic() + seconds + SPARE
        try:
            self._stream.send(struct.pack(">I", len(body)) + body, deadline - time.monotonic())
        except TimeoutError:
            raise SandboxError("the sandbox does not take a request; see whether its machine is overloaded") from None
        except OSError as error:
            raise self._gone(str(error)) from None
        return self._receive(deadline)

    def _receive(self, deadline: float) -> dict[str, Any]:
        self._fill(4, deadline)
        (length,) = struct.unpack(">I", self._received[:4])
        if length > LIMIT:
            raise SandboxError(f"the sandbox announces a reply of {length:,} bytes; at most {LIMIT:,}")
        self._fill(4 + length, deadline)
        body = bytes(self._received[4 : 4 + length])
        del self._received[: 4 + length]
        try:
            reply = json.loads(body)
        except ValueError:
            reply = None
        if not isinstance(reply, dict):
            raise SandboxError(f"the sandbox does not speak Cataloger's protocol; {BUILD}")
        return reply

    def _fill(self, count: int, deadline: float) -> None:
        while len(self._received) < count:
            try:
                chunk = self._stream.receive(deadline - time.monotonic())
            except TimeoutError:
                raise SandboxError("the sandbox does not answer; see whether its machine is overloaded") from None
            except OSError as error:
                raise self._gone(str(error)) from None
            if not chunk:
                raise self._gone("")
            self._received += chunk

    def _gone(self, reason: str) -> SandboxError:
        told = "; ".join(filter(None, [reason, self._stream.complaint().strip()[-1000:]]))
        return SandboxError(f"the sandbox has ended: {told or 'it says nothing; its memory may have been used up'}")
