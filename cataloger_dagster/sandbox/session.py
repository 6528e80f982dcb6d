"""The seam between the host and a sandbox: what a session can do, and what a cell's run came to.

How a session is started, and what holds it, is in ``docker`` and ``local``; what runs inside is in
``sandbox_image/``. The sandbox's own failure raises ``SandboxError``; the failure of code that ran in it
is an ``ExecutionResult``.
"""

from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from cataloger_dagster.databases import Database

CellError = Literal["error", "timeout", "exit", "died"]


@dataclass(frozen=True)
class ExecutionResult:
    """What one cell printed and how it ended.

    Attributes:
        output: everything written, in order, with the last expression's value; at most 20,000
            characters, head and tail, the cut named in its place.
        truncated: whether anything was cut from ``output``.
        error: null, or how the code failed: it raised (``error``), ran out of time (``timeout``),
            called ``sys.exit`` (``exit``), or took its interpreter down (``died``).
        seconds: wall time.
        state_kept: whether variables of earlier cells are still there.
    """

    output: str
    truncated: bool
    error: CellError | None
    seconds: float
    state_kept: bool


class Session(Protocol):
    """A live interpreter in a sandbox; not shared between threads."""

    @property
    def connection(self) -> Mapping[str, Any]:
        """How the kit reaches the database from inside: the ``connection`` argument of its functions."""

    def call(self, function: str, arguments: Mapping[str, Any], timeout: float) -> Any:
        """Run ``module:function`` of the kit with keyword *arguments* in a fresh interpreter and return its JSON value.

        The agent's interpreter is not touched, and can't touch this one.

        Raises:
            DatabaseError: the kit says that the database can't be opened or read.
            SandboxError: the function failed otherwise, ran out of *timeout* (seconds), or the sandbox is gone.
        """

    def start(self, function: str, arguments: Mapping[str, Any]) -> None:
        """Begin a fresh interpreter for cells; its variables are the mapping that ``module:function`` returns.

        Every process of the interpreter before is ended first.
        """

    def execute(self, code: str, timeout: float = 120.0) -> ExecutionResult:
        """Run one cell for at most *timeout* seconds.

        Raises:
            SandboxError: the sandbox is gone.
        """

    def stop(self) -> None:
        """End the interpreter of the cells and every process it started; ``call`` and ``start`` still work."""


class Sandbox(Protocol):
    """Opens sessions. ``name`` is ``docker`` or ``local``."""

    name: str

    def open(self, database: Database | None, cells: bool = True) -> AbstractContextManager[Session]:
        """Open a session that can reach *database* (or none) read-only and nothing else; leaving it ends everything.

        Unless *cells* are to run in it, their libraries are imported no earlier than for the first of them.

        Raises:
            DatabaseError: the database's file is missing or its kind is not supported.
            SandboxError: no engine, no image, or the sandbox did not start.
        """
