"""A session without a sandbox: cells run for real in this process, in a folder of the test's."""

import ast
import contextlib
import io
import json
import tempfile
import traceback
from collections.abc import Iterator, Mapping
from importlib import import_module
from pathlib import Path
from time import monotonic
from typing import Any

from cataloger_dagster.databases import Database
from cataloger_dagster.errors import SandboxError
from cataloger_dagster.sandbox.session import CellError, ExecutionResult
from cataloger_dagster.urls import ServerURL


class InProcessSession:
    """Runs cells with ``exec``; ``gone`` makes it fail as a dead sandbox does."""

    def __init__(self, folder: Path, connection: Mapping[str, Any] | None = None) -> None:
        self.folder = folder
        self.connection: Mapping[str, Any] = connection or {}
        self.variables: dict[str, Any] = {}
        self.cells: list[str] = []
        self.timeouts: list[float] = []
        self.gone = False

    def call(self, function: str, arguments: Mapping[str, Any], timeout: float) -> Any:
        """Run a function of the kit, its value passed through JSON as over the wire."""
        with contextlib.chdir(self.folder):
            return json.loads(json.dumps(_found(function)(**json.loads(json.dumps(dict(arguments))))))

    def start(self, function: str, arguments: Mapping[str, Any]) -> None:
        self.stop()
        with contextlib.chdir(self.folder):
            self.variables = dict(_found(function)(**json.loads(json.dumps(dict(arguments)))))

    def execute(self, code: str, timeout: float = 120.0) -> ExecutionResult:
        if self.gone:
            raise SandboxError("the sandbox is gone")
        self.cells.append(code)
        self.timeouts.append(timeout)
        began = monotonic()
        out = io.StringIO()
        error: CellError | None = None
        with contextlib.chdir(self.folder), contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
            try:
                tree = ast.parse(code)
                last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
                exec(compile(tree, "<cell>", "exec"), self.variables)
                if isinstance(last, ast.Expr):
                    value = eval(compile(ast.Expression(last.value), "<cell>", "eval"), self.variables)
                    if value is not None:
                        print(repr(value))  # noqa: T201 - into the captured output
            except Exception:  # noqa: BLE001 - whatever a cell raises is its result
                error = "error"
                traceback.print_exc()
        return ExecutionResult(out.getvalue(), False, error, monotonic() - began, True)

    def stop(self) -> None:
        con = self.variables.get("con")
        if con is not None:
            con.con.close()
        self.variables = {}


class InProcessSandbox:
    """Opens such sessions, each in a folder of its own below *folder*: for what does not depend on confinement."""

    name = "local"

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @contextlib.contextmanager
    def open(self, database: Database | None, cells: bool = True) -> Iterator[InProcessSession]:
        connection = {}
        if database is not None:
            assert not isinstance(database.address, ServerURL)
            connection = {"backend": database.address.backend, "path": str(database.address.path)}
        session = InProcessSession(Path(tempfile.mkdtemp(dir=self.folder)), connection)
        try:
            yield session
        finally:
            session.stop()


def _found(function: str) -> Any:
    module, name = function.split(":")
    return getattr(import_module(module), name)
