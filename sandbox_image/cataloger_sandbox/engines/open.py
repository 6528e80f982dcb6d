"""Which engine measures which backend."""

from collections.abc import Mapping
from typing import Any

from cataloger_sandbox.engines.base import Engine
from cataloger_sandbox.engines.duck import DuckEngine


def open_engine(connection: Mapping[str, Any], driver: Any) -> Engine:
    """Return the engine for *driver*, the open connection of *connection*."""
    return DuckEngine(driver)
