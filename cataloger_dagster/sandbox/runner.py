"""The host's side of the conversation with a runner: requests and replies, and the ``Session`` they make.

What carries them is ``stream``; what the runner does with them is in ``sandbox_image/``; how one is started is in
``docker`` and ``local``.
"""

import json
import os
from collections.abc import Iterable, Mapping
from typing import Any, BinaryIO

from cataloger_dagster import __version__
from cataloger_dagster.errors import DatabaseError, SandboxError
from cataloger_dagster.sandbox.archive import parts
from cataloger_dagster.sandbox.frames import LIMIT
from cataloger_dagster.sandbox.grant import Grant
from cataloger_dagster.sandbox.session import ExecutionResult
from cataloger_dagster.sandbox.stream import Stream

START = 120.0
"""Seconds that a sandbox, or a fresh interpreter in it, has to get ready."""

SPARE = 30.0
"""Seconds beyond a request's own time after which the sandbox itself has failed."""

BUILD = "build the sandbox's image anew: cataloger sandbox build"

_FOREIGN = f"the sandbox does not speak Cataloger's protocol; {BUILD}"


class RunnerSession:
    """A session with the runner at the other end of *stream*, which can reach no database yet."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._connection: Mapping[str, Any] = {}
        self._shown: Mapping[str, str] = {}
        hello = self._ask({"op": "hello"}, START)
        version = hello.get("version")
        if version != __version__:
            raise SandboxError(f"the sandbox is of version {version}, Cataloger of version {__version__}; {BUILD}")

    @property
    def connection(self) -> Mapping[str, Any]:
        """How the kit reaches the database from inside."""
        return self._connection

    def grant(self, granted: Grant, folder: str | None, sent: BinaryIO | None = None) -> None:
        """Let the session reach what is *granted*.

        Its files are in *folder* inside, or where they are outside; or its one file, *sent*, is to be sent first.

        Raises:
            DatabaseError: the file became shorter meanwhile.
        """
        connection = granted.connection
        if granted.server is not None:
            door = granted.door
            self._stream.serve(granted.server, None if door is None else door.listener)
            request = {"op": "listen", "folder": None if door is None else folder or str(door.folder)}
            connection = {**connection, "host": self._value("the way to the server", self._ask(request, START))}
        elif sent is not None:
            size = os.fstat(sent.fileno()).st_size
            reply = self._ask({"op": "receive", "size": size}, START, parts(sent, size))
            path = str(self._value("the copy of the database", reply))
            connection = {**connection, "path": path, "name": granted.files[0].name}
            self._shown = {path: str(granted.original)}
        elif granted.files:
            connection = {**connection, "path": granted.path(folder)}
            self._shown = granted.shown(folder)
        self._connection = connection

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
        try:
            return ExecutionResult(**reply)
        except TypeError:
            raise SandboxError(_FOREIGN) from None

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

    def _ask(self, request: Mapping[str, Any], seconds: float, file: Iterable[bytes] = ()) -> dict[str, Any]:
        # A lone surrogate is no text in any encoding: it goes as a question mark.
        body = json.dumps(request, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")
        if len(body) > LIMIT:
            raise SandboxError(f"a request of {len(body):,} bytes is too long for the sandbox; at most {LIMIT:,}")
        return self._parsed(self._stream.ask(body, seconds + SPARE, file))

    def _parsed(self, body: bytes) -> dict[str, Any]:
        try:
            reply = json.loads(body)
        except (ValueError, RecursionError):
            reply = None
        if not isinstance(reply, dict):
            raise SandboxError(_FOREIGN)
        return reply
