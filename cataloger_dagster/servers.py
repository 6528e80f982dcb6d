"""What a server's URL leaves out, filled in as the clients of its kind do; that is in ``libpq`` and ``mysql``."""

from collections.abc import Mapping
from pathlib import Path

from cataloger_dagster import libpq, mysql
from cataloger_dagster.urls import ServerURL


def complete(address: ServerURL, environ: Mapping[str, str], folder: Path | None = None) -> ServerURL:
    """Return *address* with what it leaves out filled in; its relative paths count from *folder*.

    Raises:
        ConfigurationError: it can't be, or it asks for what is not done.
    """
    return mysql.complete(address, folder) if address.backend == "mysql" else libpq.complete(address, environ, folder)


def password_of(address: ServerURL) -> str | None:
    """Return the password to log in with; null without one."""
    return address.password if address.backend == "mysql" else libpq.password_of(address).value


def no_database(address: ServerURL) -> str:
    """Say that *address* names no database, and what to do."""
    return mysql.NO_DATABASE if address.backend == "mysql" else libpq.NO_DATABASE
