"""A session on a MySQL or MariaDB server, made read-only, and why none can be had. How it is used is not here."""

from collections.abc import Mapping
from typing import Any

from cataloger_sandbox.errors import DatabaseProblem

CONNECT_SECONDS = 40  # longer than the relay waits for the server: its reason is the better one

SOCKET = ".s.PGSQL.5432"
"""The name of the socket in a sandbox's folder, whatever server is behind it."""

_DENIED, _NO_DATABASE, _NO_RIGHT, _TOO_MANY = (1045, 1698), 1049, 1044, (1040, 1203, 1226)


def open_mysql(connection: Mapping[str, Any]) -> Any:
    """Return the driver's own connection of *connection*, read-only, times in UTC.

    ``host`` may be the folder of a Unix socket; ``ssl`` holds the driver's own arguments for TLS, ``seconds`` the time
    that connecting may take.

    Raises:
        DatabaseProblem: it can't be opened.
    """
    try:
        # Need not be installed where there is no such server.
        import pymysql

        from cataloger_sandbox.mysql_driver import WAYS, Driver
    except ImportError as error:
        raise DatabaseProblem(
            "the driver of mysql:// URLs is not installed; install cataloger-dagster[mysql]"
        ) from error

    host = str(connection["host"])
    place = {"unix_socket": f"{host}/{SOCKET}"} if host.startswith("/") else {"host": host}
    try:
        driver = Driver(
            **place,
            port=connection.get("port") or 3306,
            user=connection.get("user"),
            password=connection.get("password") or "",
            database=connection.get("database"),
            charset="utf8mb4",
            connect_timeout=connection.get("seconds") or CONNECT_SECONDS,
            program_name="cataloger",
            autocommit=True,
            auth_plugin_map=dict(WAYS),
            **(connection.get("ssl") or {}),
        )
    except pymysql.Error as error:
        raise DatabaseProblem(_message(connection, error.args[0] if error.args else 0, str(error.args[-1]))) from None
    except (OSError, RuntimeError) as error:  # what a way of logging in needs, a file that the server asks for
        raise DatabaseProblem(_message(connection, 0, str(error))) from None
    return driver


def _message(connection: Mapping[str, Any], code: int, fault: str) -> str:
    user, database = connection.get("user"), connection.get("database")
    host = str(connection["host"])
    place = connection.get("server") or (
        "the server" if host.startswith("/") else f"{host}:{connection.get('port') or 3306}"
    )
    if password := connection.get("password"):
        fault = fault.replace(str(password), "***")
    if fault.startswith(f"{place} "):
        return fault  # the relay's own words
    if code in _DENIED:
        return (
            f"{place} refuses user {user!r} or the password, or it wants TLS: check them in the URL, and from where "
            "the user may log in"
        )
    if code == _NO_DATABASE:
        return f"{place} has no database {database!r}: check the name at the end of the URL"
    if code == _NO_RIGHT:
        return f"user {user!r} may not use {database!r} (or it does not exist): GRANT SELECT, SHOW VIEW on it"
    if code in _TOO_MANY:
        return f"{place} has no connection left: try again later, or raise the limit of user {user!r}"
    if "sent over TLS alone" in fault:
        return (
            f"{place} can't be logged in to: {fault}; set up TLS there and write ?ssl-mode=REQUIRED, or give user "
            f"{user!r} a way to log in that does not tell the password"
        )
    if "SSL" in fault or "certificate" in fault:
        return f"{place} can't be trusted or offers no TLS ({fault}): check ssl-mode and ssl-ca in the URL"
    return f"{place} can't be reached: check host and port in the URL, and that the server runs ({fault})"
