"""The SQL after which a PostgreSQL role can read what is to be cataloged, and write nothing.

What counts as writing is in ``rights``.
"""

from collections.abc import Iterable, Sequence

from cataloger_sandbox.engines.base import Engine, Relation, literal, quote
from cataloger_sandbox.rights import Rights

READER = "cataloger_reader"
PASSWORD = "choose-a-password"

_NAMES = "SELECT current_database() AS database, array(SELECT rolname::text FROM pg_roles) AS roles"

_OWNERS = """\
SELECT DISTINCT n.nspname AS schema_name, pg_get_userbyid(c.relowner)::text AS owner
FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') ORDER BY 1, 2"""


def remedy(engine: Engine, relations: Iterable[Relation], schemas: Sequence[str] | None, rights: Rights) -> str:
    """Return the SQL for an administrator of the database.

    Where *rights* has only what every role may write, that is taken from PUBLIC; else a new role is made as well,
    for the schemas of *relations* and *schemas*, its password to be chosen.

    Raises:
        QueryFailed: the catalogs can't be read.
    """
    names = engine.fetch(_NAMES).first()
    database = str(names["database"])
    run = f"-- Run as an administrator in database {' '.join(quote(database).split())}"
    shared = [
        "-- What every role may write here is taken from PUBLIC. Roles that are to go on writing need it by name:",
        *rights.revokes,
    ]
    if not rights.own:
        return "\n".join([f"{run}:", *shared])
    assert isinstance(names["roles"], list)
    role = quote(_free(set(map(str, names["roles"]))))
    read = sorted({relation.schema for relation in relations} | set(schemas or ())) or [engine.default_schema]
    listed = ", ".join(map(quote, read))
    lines = [
        f"{run}, with a password of your own, then name the role in the url:",
        f"CREATE ROLE {role} LOGIN PASSWORD {literal(PASSWORD)};",
        f"ALTER ROLE {role} SET default_transaction_read_only = on;",
        f"GRANT CONNECT ON DATABASE {quote(database)} TO {role};",
        f"GRANT USAGE ON SCHEMA {listed} TO {role};",
        f"GRANT SELECT ON ALL TABLES IN SCHEMA {listed} TO {role};",
    ]
    owners: dict[str, list[str]] = {}
    for row in engine.fetch(_OWNERS).dicts():
        if row["schema_name"] in read:
            owners.setdefault(str(row["owner"]), []).append(quote(str(row["schema_name"])))
    lines += [
        f"ALTER DEFAULT PRIVILEGES FOR ROLE {quote(owner)} IN SCHEMA {', '.join(theirs)} "
        f"GRANT SELECT ON TABLES TO {role};"
        for owner, theirs in owners.items()
    ]
    return "\n".join(lines + (shared if rights.revokes else []))


def _free(taken: set[str]) -> str:
    """Return the reader's name, with a number if it is *taken*."""
    numbered = (f"{READER}_{number}" for number in range(2, len(taken) + 3))
    return next(name for name in (READER, *numbered) if name not in taken)
