"""The look at a database before anything is spent on it: reachable, what is there, and what the role may write.

DuckDB and SQLite files are opened read-only, so no right to write exists. On PostgreSQL the role's rights are
read (``rights``), and where they allow nothing, a rolled-back ``CREATE TABLE`` confirms it; those of a user of MySQL
are read alone (``mysql_rights``). Data is never touched. Whether to go on is the host's to say.
"""

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from cataloger_sandbox.connect import open_connection
from cataloger_sandbox.engines.base import QueryFailed, quote
from cataloger_sandbox.engines.open import open_engine
from cataloger_sandbox.errors import DatabaseProblem
from cataloger_sandbox.mysql_rights import FORWARDED, read_user_rights, user_remedy
from cataloger_sandbox.remedy import remedy
from cataloger_sandbox.rights import read_rights

PROBE = "cataloger_probe"


def preflight(connection: Mapping[str, Any], schemas: Sequence[str] | None) -> dict[str, Any]:
    """Open the database, count what is in *schemas* (null for all), and read what its role could write.

    Returns:
        ``engine``, ``tables``, ``views``, ``role``; ``rights``, each as text, empty for a read-only role;
        ``notes``, what the role may do beyond reading that does not count; ``forwarded``, what it means that no
        parser looks at statements on the way, where that is so; and ``remedy``, SQL that makes a read-only role,
        where there are any rights.

    Raises:
        DatabaseProblem: it can't be opened or listed.
    """
    with open_engine(connection) as engine:
        try:
            relations, _, _ = engine.catalog(engine.fetch, schemas)
            told: dict[str, Any] = {
                "engine": engine.label,
                "tables": sum(relation.kind == "table" for relation in relations),
                "views": sum(relation.kind == "view" for relation in relations),
                "role": None,
                "rights": [],
                "notes": [],
                "remedy": None,
                "forwarded": None,
            }
            if connection["backend"] == "postgres":
                rights = read_rights(engine)
                if not rights.found and _table_can_be_made(connection, engine.default_schema):
                    found = [f"CREATE TABLE in schema {engine.default_schema} was not refused"]
                    rights = replace(rights, found=found, own=True)
                told |= {"role": rights.role, "rights": rights.found, "notes": rights.notes}
                told["remedy"] = remedy(engine, relations, schemas, rights) if rights.found else None
            if connection["backend"] == "mysql":
                # No statement that makes a table can be taken back there: what the server says is all there is.
                user = read_user_rights(engine)
                told |= {"role": user.user, "rights": user.found, "notes": user.notes}
                told["remedy"] = user_remedy(engine, relations, schemas) if user.found else None
                told["forwarded"] = FORWARDED
            return told
        except QueryFailed as error:
            raise DatabaseProblem(f"the database's own catalog can't be read: {error}") from error


def _table_can_be_made(connection: Mapping[str, Any], schema: str) -> bool:
    """Try it, in a transaction that is rolled back.

    In one message and in these words: the host's guard knows them, and lets no other statement through that writes.
    """
    import psycopg

    driver = open_connection(connection)
    try:
        driver.execute(f"BEGIN READ WRITE; CREATE TABLE {quote(schema)}.{PROBE} (); ROLLBACK")
    except psycopg.errors.DuplicateTable:
        return True  # the server looks at the right first
    except psycopg.Error:
        return False  # refused; or a standby, which refuses everybody
    finally:
        with contextlib.suppress(psycopg.Error):  # a lost connection is rolled back by the server
            driver.execute("ROLLBACK")
        driver.close()
    return True
