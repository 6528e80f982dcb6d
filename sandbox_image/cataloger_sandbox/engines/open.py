"""Which engine measures which backend, and for how long it is open."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from cataloger_sandbox.connect import open_connection
from cataloger_sandbox.engines.base import Engine
from cataloger_sandbox.engines.duck import DuckEngine
from cataloger_sandbox.engines.lite import LiteEngine
from cataloger_sandbox.engines.pg import PgEngine


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


def _mysql(driver: Any) -> Engine:
    # Its driver need not be installed, and Ibis takes a second to import, which the others measure without.
    from cataloger_sandbox.engines.mysql import MySQLEngine

    return MySQLEngine(driver)
