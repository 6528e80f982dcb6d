"""Which engine measures which backend."""

from collections.abc import Callable, Mapping
from typing import Any

from cataloger_sandbox.engines.base import Engine
from cataloger_sandbox.engines.duck import DuckEngine
from cataloger_sandbox.engines.lite import LiteEngine
from cataloger_sandbox.engines.pg import PgEngine


def open_engine(connection: Mapping[str, Any], driver: Any) -> Engine:
    """Return the engine for *driver*, the open connection of *connection*."""
    engines: dict[str, Callable[[Any], Engine]] = {"duckdb": DuckEngine, "sqlite": LiteEngine, "postgres": PgEngine}
    return engines[connection["backend"]](driver)
