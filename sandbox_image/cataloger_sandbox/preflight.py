"""The look at a database before anything is spent on it: reachable, what is there, and what the role may write.

DuckDB and SQLite files are opened read-only, so no right to write exists. On PostgreSQL the rights are read
from the server's own catalog, through every role that ours inherits from or can become, and a rolled-back
``CREATE TABLE`` confirms them. Data is never touched. Whether to go on is the host's to say.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from cataloger_sandbox.connect import open_connection
from cataloger_sandbox.engines.base import Engine, QueryFailed, Relation, literal, quote
from cataloger_sandbox.engines.open import open_engine
from cataloger_sandbox.errors import DatabaseProblem

SHOWN = 40
"""So many rights are told one by one."""

READER = "cataloger_reader"
PASSWORD = "choose-a-password"

_ATTRIBUTES = {
    "rolsuper": "SUPERUSER",
    "rolcreatedb": "CREATEDB",
    "rolcreaterole": "CREATEROLE",
    "rolreplication": "REPLICATION",
    "rolbypassrls": "BYPASSRLS",
}
_WRITING_ROLES = (
    "pg_write_all_data",
    "pg_write_server_files",
    "pg_execute_server_program",
    "pg_maintain",
    "pg_create_subscription",
)

# The role itself, and every role it inherits from or can become by SET ROLE.
_ROLES = "SELECT oid, rolname FROM pg_roles WHERE pg_has_role(current_user, oid, 'MEMBER')"

_OURS = "n.nspname NOT LIKE 'pg\\_%' AND n.nspname <> 'information_schema'"

_OWN_ATTRIBUTES = f"""\
SELECT rolname AS role, {", ".join(_ATTRIBUTES)} FROM pg_roles
WHERE oid IN (SELECT oid FROM ({_ROLES}) AS r) ORDER BY rolname <> current_user, rolname"""

_TABLE_RIGHTS = f"""\
SELECT n.nspname AS schema_name, c.relname AS table_name,
  bool_or(has_any_column_privilege(r.oid, c.oid, 'INSERT')) AS "INSERT",
  bool_or(has_any_column_privilege(r.oid, c.oid, 'UPDATE')) AS "UPDATE",
  bool_or(has_table_privilege(r.oid, c.oid, 'DELETE')) AS "DELETE",
  bool_or(has_table_privilege(r.oid, c.oid, 'TRUNCATE')) AS "TRUNCATE",
  has_any_column_privilege('public', c.oid, 'INSERT') OR has_any_column_privilege('public', c.oid, 'UPDATE')
    OR has_table_privilege('public', c.oid, 'DELETE') OR has_table_privilege('public', c.oid, 'TRUNCATE') AS everybody
FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace CROSS JOIN ({_ROLES}) AS r
WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND {_OURS}
GROUP BY c.oid, 1, 2
HAVING bool_or(has_any_column_privilege(r.oid, c.oid, 'INSERT') OR has_any_column_privilege(r.oid, c.oid, 'UPDATE')
  OR has_table_privilege(r.oid, c.oid, 'DELETE') OR has_table_privilege(r.oid, c.oid, 'TRUNCATE'))
ORDER BY 1, 2"""

_SCHEMA_RIGHTS = f"""\
SELECT n.nspname AS schema_name, has_schema_privilege('public', n.oid, 'CREATE') AS everybody
FROM pg_namespace AS n CROSS JOIN ({_ROLES}) AS r
WHERE {_OURS} GROUP BY n.oid, 1 HAVING bool_or(has_schema_privilege(r.oid, n.oid, 'CREATE')) ORDER BY 1"""

_DATABASE_RIGHT = f"""\
SELECT bool_or(has_database_privilege(r.oid, current_database(), 'CREATE')) AS creates,
  has_database_privilege('public', current_database(), 'CREATE') AS everybody, current_database() AS database_name
FROM ({_ROLES}) AS r"""

_OWNED = f"""\
SELECT count(*) OVER () AS objects, pg_describe_object(d.classid, d.objid, 0) AS object
FROM pg_shdepend AS d WHERE d.refclassid = 'pg_authid'::regclass AND d.deptype = 'o'
  AND d.dbid IN (0, (SELECT oid FROM pg_database WHERE datname = current_database()))
  AND d.refobjid IN (SELECT oid FROM ({_ROLES}) AS r) ORDER BY 2 LIMIT {SHOWN}"""

_OWNERS = f"""\
SELECT DISTINCT n.nspname AS schema_name, pg_get_userbyid(c.relowner)::text AS owner
FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND {_OURS} ORDER BY 1, 2"""


def preflight(connection: Mapping[str, Any], schemas: Sequence[str] | None) -> dict[str, Any]:
    """Open the database, count what is in *schemas* (null for all), and read what its role could write.

    Returns:
        ``engine``, ``tables``, ``views``, ``role``; ``rights``, each as text, empty for a read-only role; and
        ``remedy``, SQL that makes a read-only role, where there are any.

    Raises:
        DatabaseProblem: it can't be opened or listed.
    """
    engine = open_engine(connection, open_connection(connection))
    try:
        try:
            relations, _, _ = engine.catalog(engine.fetch, schemas)
            role: str | None = None
            rights: list[str] = []
            remedy: str | None = None
            if connection["backend"] == "postgres":
                role, rights, remedy = _postgres(engine, relations, schemas)
                rights += _probe(connection, engine.default_schema, rights)
        except QueryFailed as error:
            raise DatabaseProblem(f"the database's own catalog can't be read: {error}") from error
        return {
            "engine": engine.label,
            "tables": sum(relation.kind == "table" for relation in relations),
            "views": sum(relation.kind == "view" for relation in relations),
            "rights": rights,
            "role": role,
            "remedy": remedy if rights else None,
        }
    finally:
        engine.close()


def _postgres(
    engine: Engine, relations: Sequence[Relation], schemas: Sequence[str] | None
) -> tuple[str, list[str], str]:
    """Return the role, what it could write, and the SQL for a right one."""
    role = str(engine.fetch("SELECT current_user").rows[0][0])
    rights: list[str] = []
    public: list[str] = []
    roles = engine.fetch(_OWN_ATTRIBUTES).dicts()
    superuser = any(row["role"] == role and row["rolsuper"] for row in roles)
    if superuser:
        rights.append("SUPERUSER")  # whatever else is granted says nothing more
    else:
        for row in roles:
            through = "" if row["role"] == role else f" (by SET ROLE {row['role']})"
            rights += [word + through for name, word in _ATTRIBUTES.items() if row[name]]
            if row["role"] in _WRITING_ROLES:
                rights.append(f"member of {row['role']}")
        database = engine.fetch(_DATABASE_RIGHT).first()
        if database["creates"]:
            rights.append(f"CREATE on database {database['database_name']}")
            if database["everybody"]:
                public.append(f"REVOKE CREATE ON DATABASE {quote(str(database['database_name']))} FROM PUBLIC;")
        for row in engine.fetch(_SCHEMA_RIGHTS).dicts():
            rights.append(f"CREATE on schema {row['schema_name']}")
            if row["everybody"]:
                public.append(f"REVOKE CREATE ON SCHEMA {quote(str(row['schema_name']))} FROM PUBLIC;")
        rights += _table_rights(engine, public)
        owned = engine.fetch(_OWNED).dicts()
        rights += [f"owner of {row['object']}" for row in owned]
        if owned and int(str(owned[0]["objects"])) > len(owned):
            rights.append(f"owner of {int(str(owned[0]['objects'])) - len(owned):,} more objects")
    return role, rights, _remedy(engine, relations, schemas, public)


def _table_rights(engine: Engine, public: list[str]) -> list[str]:
    rights = []
    rows = engine.fetch(_TABLE_RIGHTS).dicts()
    for row in rows:
        schema, name = str(row["schema_name"]), str(row["table_name"])
        words = [word for word in ("INSERT", "UPDATE", "DELETE", "TRUNCATE") if row[word]]
        shown = name if schema == engine.default_schema else f"{schema}.{name}"
        rights.append(f"{', '.join(words)} on {shown}")
        if row["everybody"]:
            public.append(f"REVOKE INSERT, UPDATE, DELETE, TRUNCATE ON {quote(schema)}.{quote(name)} FROM PUBLIC;")
    if len(rights) > SHOWN:
        rights = [*rights[:SHOWN], f"the like on {len(rights) - SHOWN:,} more tables"]
    return rights


def _probe(connection: Mapping[str, Any], schema: str, rights: Sequence[str]) -> list[str]:
    """Try to create a table, roll back, and return what that says beyond *rights*."""
    import psycopg

    driver = open_connection(connection)
    try:
        driver.execute("BEGIN READ WRITE")
        driver.execute(f"CREATE TABLE {quote(schema)}.cataloger_probe ()")
    except psycopg.Error:
        return []
    finally:
        if not driver.closed:
            driver.execute("ROLLBACK")
        driver.close()
    return [] if rights else [f"CREATE TABLE in schema {schema} was not refused"]


def _remedy(engine: Engine, relations: Sequence[Relation], schemas: Sequence[str] | None, public: Sequence[str]) -> str:
    """Return the SQL that makes a role which can read and nothing else."""
    taken = {str(row["rolname"]) for row in engine.fetch("SELECT rolname FROM pg_roles").dicts()}
    name = next(
        candidate
        for candidate in (READER, *(f"{READER}_{number}" for number in range(2, len(taken) + 3)))
        if candidate not in taken
    )
    database = str(engine.fetch("SELECT current_database()").rows[0][0])
    read = sorted({relation.schema for relation in relations} | set(schemas or ())) or [engine.default_schema]
    role = quote(name)
    listed = ", ".join(quote(schema) for schema in read)
    lines = [
        f"-- Run as an administrator in database {' '.join(quote(database).split())}, with a password of your own:",
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
    for owner, theirs in owners.items():
        lines.append(
            f"ALTER DEFAULT PRIVILEGES FOR ROLE {quote(owner)} IN SCHEMA {', '.join(theirs)} "
            f"GRANT SELECT ON TABLES TO {role};"
        )
    if public:
        lines += ["-- What every role may write here, this one included:", *public]
    return "\n".join(lines)
