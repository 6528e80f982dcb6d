"""Which engine measures which backend, over how many connections, and for how long these are open."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from typing import Any

from cataloger_sandbox.connect import open_connection
from cataloger_sandbox.connections import Connections
from cataloger_sandbox.engines.base import Engine
from cataloger_sandbox.engines.duck import DuckEngine
from cataloger_sandbox.engines.lite import LiteEngine
from cataloger_sandbox.engines.losses import Losses
from cataloger_sandbox.engines.pg import PgEngine
from cataloger_sandbox.engines.pg_view import View
from cataloger_sandbox.errors import DatabaseProblem

CURSORS = 2
"""Two small tables of a DuckDB file are read at a time: more gain nothing where Python runs one thread at a time."""


@contextmanager
def open_engine(connection: Mapping[str, Any]) -> Iterator[Engine]:
    """Open the database behind *connection* for as long as the engine is in use.

    Raises:
        DatabaseProblem: it can't be opened.
    """
    engines: dict[str, Callable[[Any], Engine]] = {
        "duckdb": DuckEngine,
        "sqlite": LiteEngine,
        "postgres": PgEngine,
        "mysql": _mysql,
    }
    engine = engines[connection["backend"]](open_connection(connection))
    try:
        yield engine
    finally:
        engine.close()


@contextmanager
def open_connections(connection: Mapping[str, Any], several: bool) -> Iterator[Connections]:
    """Open the database behind *connection* so that it can be measured over *several* connections, or over one.

    A server's are opened again when they are lost. PostgreSQL's share a snapshot where it lets them. SQLite's read a
    file that nobody writes; one that was sent is in one connection's memory, and MySQL's can't share a snapshot: these
    stay with one. DuckDB has two cursors, whatever is asked for: a small table is read by one thread.

    Raises:
        DatabaseProblem: it can't be opened.
    """
    with ExitStack() as stack:
        if connection["backend"] == "postgres":
            yield _postgres(stack, connection, several)
        elif connection["backend"] == "sqlite" and connection.get("path") and "name" not in connection:
            yield _sqlite(stack, connection)
        elif connection["backend"] == "duckdb":
            yield _duckdb(stack, connection)
        elif connection["backend"] == "mysql":
            losses = Losses()
            yield Connections(
                stack.enter_context(closing(_mysql(open_connection(connection), losses))), told=losses.told
            )
        else:
            yield Connections(stack.enter_context(open_engine(connection)))


def _duckdb(stack: ExitStack, connection: Mapping[str, Any]) -> Connections:
    engines = [stack.enter_context(closing(DuckEngine(open_connection(connection))))]

    def another() -> DuckEngine:
        engines.append(stack.enter_context(closing(engines[0].another())))
        return engines[-1]

    def end() -> None:
        for engine in engines:
            engine.interrupt()

    return Connections(engines[0], another, end, own=CURSORS)


def _sqlite(stack: ExitStack, connection: Mapping[str, Any]) -> Connections:
    engines: list[LiteEngine] = []

    def another() -> LiteEngine:
        engines.append(stack.enter_context(closing(LiteEngine(open_connection(connection)))))
        return engines[-1]

    def end() -> None:
        for engine in engines:
            engine.interrupt()

    return Connections(another(), another, end)


def _postgres(stack: ExitStack, connection: Mapping[str, Any], several: bool) -> Connections:
    view = View(lambda: open_connection(connection), several)
    engines: list[PgEngine] = []

    def another() -> PgEngine:
        if view.unshared:
            raise DatabaseProblem(f"the server lets no other have the view of the first ({view.unshared})")
        engines.append(stack.enter_context(closing(PgEngine(open_connection(connection), view))))
        return engines[-1]

    def end() -> None:
        view.losses.stop()
        for engine in engines:
            engine.interrupt()

    return Connections(another(), another, end, view.losses.told)


def _mysql(driver: Any, losses: Losses | None = None) -> Engine:
    # Its driver need not be installed, and Ibis takes a second to import, which the others measure without.
    from cataloger_sandbox.engines.mysql import MySQLEngine

    return MySQLEngine(driver, losses)
