"""Ibis's backend for MySQL and MariaDB on a driver of Python alone, where nothing can be made or set.

Ibis imports ``MySQLdb``, which needs a C compiler; ``pymysql`` stands in for it.
"""

from functools import cache
from typing import Any

import pymysql
from ibis.expr.schema import Schema
from pymysql.constants import FIELD_TYPE


def reading_backend(driver: Any) -> Any:
    """Return the Ibis backend on a connection of ``pymysql``; ``con.sql`` works on a read-only one too."""
    return _backend().from_connection(driver)


@cache
def _backend() -> Any:
    pymysql.install_as_MySQLdb()
    from ibis.backends.mysql import Backend  # not before: it imports MySQLdb

    class ReadingBackend(Backend):  # type: ignore[misc]  # ibis has no types
        """The backend of ``con``."""

        @property
        def con(self) -> Any:
            # An interrupted query ends its connection, as the protocol has no other way out of one.
            if not self._driver.open:
                self._driver.connect()
            return self._driver

        @con.setter
        def con(self, driver: Any) -> None:
            self._driver = driver

        @property
        def version(self) -> str:
            return str(self.con.get_server_info())

        def _post_connect(self) -> None:
            """Leave the session as it is: its time zone is set, by a name that every server knows."""

        def _get_schema_using_query(self, query: str) -> Schema:
            # The driver tells less of a column's type than the one that ibis expects.
            with self.con.cursor() as cursor:
                cursor.execute(f"SELECT * FROM ({query.rstrip().rstrip(';')}\n) AS q LIMIT 0")
                kinds = [(item[0], _type(item)) for item in cursor.description]
            return Schema(dict(kinds))

    return ReadingBackend


def _type(described: Any) -> Any:
    """Return the Ibis type of a column by what the driver says of it."""
    kind = FIELD_TYPE
    code = described[1]
    if code in (kind.DECIMAL, kind.NEWDECIMAL):
        return "decimal"
    names = {
        kind.TINY: "int8",
        kind.SHORT: "int16",
        kind.LONG: "int32",
        kind.INT24: "int32",
        kind.LONGLONG: "int64",
        kind.YEAR: "int32",
        kind.FLOAT: "float32",
        kind.DOUBLE: "float64",
        kind.DATE: "date",
        kind.TIME: "time",
        kind.DATETIME: "timestamp",
        kind.TIMESTAMP: "timestamp",
        kind.BIT: "binary",
        kind.JSON: "json",
    }
    return names.get(code, "string")
