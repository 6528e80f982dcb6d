"""What a PostgreSQL role could write, read from the server's own catalogs (versions 12 to 18).

A role's rights are its own, those of every role that it inherits from, can become, or can make itself a member
of, and those of PUBLIC. They are taken from the access lists themselves, so each is told with whom it was granted
to. What lets the role do more than read, but change no table and nothing in the catalogs, is a note. The SQL for a
right role is in ``remedy``; whether to go on is the host's to say.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from cataloger_sandbox.encode import Value
from cataloger_sandbox.engines.base import Engine, literal, quote

SHOWN = 40
"""So many rights of a kind are told one by one."""

NAMED = 5
"""So many names stand in a note."""

PUBLIC = 0
"""The grantee that means everybody, in an access list."""

_ATTRIBUTES = {
    "rolsuper": "SUPERUSER",
    "rolcreatedb": "CREATEDB",
    "rolcreaterole": "CREATEROLE",
    "rolreplication": "REPLICATION",
    "rolbypassrls": "BYPASSRLS",
}

# Of the roles that come with PostgreSQL, those that only let read. Any other one, a later version's too, counts.
_READING_ROLES = (
    "pg_database_owner",  # what its member may is told as ownership of the database
    "pg_monitor",
    "pg_read_all_data",
    "pg_read_all_settings",
    "pg_read_all_stats",
    "pg_read_server_files",
    "pg_stat_scan_tables",
    "pg_use_reserved_connections",
)

_TABLE_WORDS = ("INSERT", "UPDATE", "DELETE", "TRUNCATE", "TRIGGER", "MAINTAIN")

# Extensions whose functions act beyond the transaction, as those who may execute them.
_REACHING_OUT = ("dblink", "http", "pg_cron", "pg_net")

# A role is taken if SET ROLE leads to it, had if its rights are inherited. Whoever may grant a role can grant it to
# itself. Before PostgreSQL 16 a member can always SET ROLE.
_ROLES = f"""\
WITH RECURSIVE reached (oid, taken) AS (
  SELECT oid, true FROM pg_roles WHERE rolname = session_user
  UNION
  SELECT m.roleid, m.admin_option OR (r.taken AND {{can_set}})
  FROM reached AS r JOIN pg_auth_members AS m ON m.member = r.oid
  WHERE m.admin_option OR {{inherits}} OR (r.taken AND {{can_set}})
)
SELECT p.oid, p.rolname AS role, p.rolname = session_user AS own, bool_or(r.taken) AS taken,
  EXISTS (SELECT FROM pg_auth_members AS m WHERE m.roleid = p.oid AND m.admin_option
    AND m.member IN (SELECT oid FROM reached)) AS grants, {", ".join(f"p.{name}" for name in _ATTRIBUTES)}
FROM reached AS r JOIN pg_roles AS p ON p.oid = r.oid
GROUP BY p.oid, p.rolname, {", ".join(f"p.{name}" for name in _ATTRIBUTES)} ORDER BY p.rolname <> session_user, 2"""

_PERMANENT = "n.nspname !~ '^pg_(temp|toast)'"

# What an owner has is told as ownership. An update of pg_settings is a SET.
_TABLES = f"""\
SELECT n.nspname AS schema_name, c.relname AS name, c.relkind = 'S' AS sequence, a.privilege_type AS word, a.grantee
FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace CROSS JOIN LATERAL aclexplode(c.relacl) AS a
WHERE a.grantee IN ({{grantees}}) AND a.grantee <> c.relowner AND {_PERMANENT}
  AND c.oid <> 'pg_catalog.pg_settings'::regclass
  AND a.privilege_type IN ({", ".join(map(literal, _TABLE_WORDS))})
UNION
SELECT n.nspname, c.relname, false, a.privilege_type, a.grantee
FROM pg_attribute AS t JOIN pg_class AS c ON c.oid = t.attrelid JOIN pg_namespace AS n ON n.oid = c.relnamespace
CROSS JOIN LATERAL aclexplode(t.attacl) AS a
WHERE t.attacl IS NOT NULL AND NOT t.attisdropped AND a.grantee IN ({{grantees}}) AND a.grantee <> c.relowner
  AND {_PERMANENT} AND a.privilege_type IN ('INSERT', 'UPDATE')
ORDER BY 1, 2"""

_SCHEMAS = f"""\
SELECT n.nspname AS name, a.grantee
FROM pg_namespace AS n CROSS JOIN LATERAL aclexplode(n.nspacl) AS a
WHERE a.privilege_type = 'CREATE' AND a.grantee IN ({{grantees}}) AND a.grantee <> n.nspowner AND {_PERMANENT}
ORDER BY 1"""

_DATABASE = """\
SELECT d.datname AS name, a.grantee FROM pg_database AS d CROSS JOIN LATERAL aclexplode(d.datacl) AS a
WHERE d.datname = current_database() AND a.privilege_type = 'CREATE' AND a.grantee IN ({grantees})
  AND a.grantee <> d.datdba"""

_LARGE_OBJECTS = """\
SELECT count(DISTINCT m.oid) AS objects, array_agg(DISTINCT a.grantee::bigint) AS grantees
FROM pg_largeobject_metadata AS m CROSS JOIN LATERAL aclexplode(m.lomacl) AS a
WHERE a.privilege_type = 'UPDATE' AND a.grantee IN ({grantees}) AND a.grantee <> m.lomowner"""

_PARAMETERS = """\
SELECT p.parname AS name, a.grantee FROM pg_parameter_acl AS p CROSS JOIN LATERAL aclexplode(p.paracl) AS a
WHERE a.privilege_type = 'ALTER SYSTEM' AND a.grantee IN ({grantees}) ORDER BY 1"""

# A role's default privileges and its logins at foreign servers are listed as its own, and are no objects.
_OWNED = f"""\
SELECT count(*) OVER () AS objects, pg_describe_object(d.classid, d.objid, 0) AS object, d.refobjid AS owner
FROM pg_shdepend AS d WHERE d.refclassid = 'pg_authid'::regclass AND d.deptype = 'o'
  AND d.dbid IN (0, (SELECT oid FROM pg_database WHERE datname = current_database()))
  AND d.classid NOT IN ('pg_default_acl'::regclass, 'pg_user_mapping'::regclass)
  AND d.refobjid IN ({{grantees}}) ORDER BY 2 LIMIT {SHOWN}"""

_SEQUENCES = f"""\
SELECT DISTINCT n.nspname AS schema_name, c.relname AS name
FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace CROSS JOIN LATERAL aclexplode(c.relacl) AS a
WHERE c.relkind = 'S' AND a.privilege_type = 'USAGE' AND a.grantee IN ({{grantees}}) AND a.grantee <> c.relowner
  AND {_PERMANENT} ORDER BY 1, 2"""

# Functions of others that can be called and act with more than the caller's rights, or beyond the transaction.
_FUNCTIONS = f"""\
SELECT DISTINCT n.nspname AS schema_name, f.proname AS name, f.prosecdef AS definer,
  NOT l.lanpltrusted AND l.lanname NOT IN ('internal', 'c') AS untrusted, e.extname AS extension
FROM pg_proc AS f JOIN pg_namespace AS n ON n.oid = f.pronamespace JOIN pg_language AS l ON l.oid = f.prolang
CROSS JOIN LATERAL aclexplode(coalesce(f.proacl, acldefault('f', f.proowner))) AS a
CROSS JOIN LATERAL aclexplode(coalesce(n.nspacl, acldefault('n', n.nspowner))) AS s
LEFT JOIN pg_depend AS d ON d.classid = 'pg_proc'::regclass AND d.objid = f.oid AND d.deptype = 'e'
LEFT JOIN pg_extension AS e ON e.oid = d.refobjid
WHERE a.grantee IN ({{grantees}}) AND s.privilege_type = 'USAGE' AND s.grantee IN ({{grantees}})
  AND n.nspname NOT IN ('pg_catalog', 'information_schema')
  AND f.prorettype NOT IN ('trigger'::regtype, 'event_trigger'::regtype)
  AND (f.prosecdef OR NOT l.lanpltrusted AND l.lanname NOT IN ('internal', 'c')
    OR e.extname IN ({", ".join(map(literal, _REACHING_OUT))}))
ORDER BY 1, 2"""

_FOREIGN_SERVERS = """\
SELECT DISTINCT s.srvname AS name FROM pg_foreign_server AS s JOIN pg_user_mappings AS m ON m.srvid = s.oid
CROSS JOIN LATERAL aclexplode(coalesce(s.srvacl, acldefault('S', s.srvowner))) AS a
WHERE m.umuser IN ({grantees}) AND a.grantee IN ({grantees}) ORDER BY 1"""

LARGE_OBJECT_MAKERS = ("lo_creat(integer)", "lo_create(oid)", "lo_from_bytea(oid, bytea)")
"""The functions that make a large object, which every role may execute unless somebody took that from PUBLIC."""

_MAKES_LARGE_OBJECTS = f"""\
SELECT count(*) AS functions FROM pg_proc AS f
CROSS JOIN LATERAL aclexplode(coalesce(f.proacl, acldefault('f', f.proowner))) AS a
WHERE a.grantee IN ({{grantees}})
  AND f.oid IN ({", ".join(f"'pg_catalog.{name}'::regprocedure" for name in LARGE_OBJECT_MAKERS)})"""


@dataclass(frozen=True)
class Rights:
    """What a role could write.

    Attributes:
        role: the name that it logs in by.
        found: each right as text; empty for a read-only role.
        revokes: SQL that takes from PUBLIC what every role may write.
        own: whether any right is the role's, not everybody's.
        notes: what it may do beyond reading that is no reason to refuse it.
    """

    role: str
    found: list[str] = field(default_factory=list)
    revokes: list[str] = field(default_factory=list)
    own: bool = False
    notes: list[str] = field(default_factory=list)


def read_rights(engine: Engine) -> Rights:
    """Read what the role that *engine* is logged in as could write.

    Raises:
        QueryFailed: the catalogs can't be read.
    """
    return _Reading(engine).rights()


class _Reading:
    """One reading of the catalogs: the roles that are reached, and what is granted to them."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._version = int(str(engine.fetch("SHOW server_version_num").rows[0][0]))
        options = {"can_set": "m.set_option", "inherits": "m.inherit_option"}
        if self._version < 160000:
            options = dict.fromkeys(options, "true")
        self._roles = engine.fetch(_ROLES.format(**options)).dicts()
        self._names = {int(str(row["oid"])): str(row["role"]) for row in self._roles}
        self._role = next(str(row["role"]) for row in self._roles if row["own"])
        self._found: list[str] = []
        self._revokes: list[str] = []
        self._own = False

    def rights(self) -> Rights:
        superuser = next((row for row in self._roles if row["rolsuper"] and row["taken"]), None)
        if superuser is not None:  # whatever else is granted says nothing more
            return Rights(self._role, ["SUPERUSER" + self._become(superuser)], own=True)
        self._of_roles()
        self._of_places()
        self._of_tables()
        self._of_objects()
        return Rights(self._role, self._found, self._revokes, self._own, self._notes())

    def _of_roles(self) -> None:
        for row in self._roles:
            name = str(row["role"])
            if row["taken"]:
                self._tell(word + self._become(row) for column, word in _ATTRIBUTES.items() if row[column])
            if name.startswith("pg_") and name not in _READING_ROLES:
                self._tell([f"member of {name}"])
            if row["grants"]:
                self._tell([f"ADMIN OPTION on role {name}, so it can change who is a member"])

    def _of_places(self) -> None:
        for row in self._fetch(_DATABASE):
            self._grant(f"CREATE on database {row['name']}", f"CREATE ON DATABASE {quote(str(row['name']))}", row)
        for (name,), rows in _grouped(self._fetch(_SCHEMAS), "name").items():
            everybody = any(row["grantee"] == PUBLIC for row in rows)
            usual = everybody and name == "public" and self._version < 150000
            self._say(
                f"CREATE on schema {name}",
                rows,
                public=" (every role has it, by default before PostgreSQL 15)" if usual else None,
            )
            if everybody:
                self._revokes.append(f"REVOKE CREATE ON SCHEMA {quote(name)} FROM PUBLIC;")
        if self._version >= 150000:
            for row in self._fetch(_PARAMETERS):
                self._grant(f"ALTER SYSTEM on parameter {row['name']}", f"ALTER SYSTEM ON PARAMETER {row['name']}", row)

    def _of_tables(self) -> None:
        before = len(self._found)
        everybody: dict[str, list[tuple[str, list[str]]]] = {}
        for (schema, name), rows in _grouped(self._fetch(_TABLES), "schema_name", "name").items():
            sequence = bool(rows[0]["sequence"])
            granted = {str(row["word"]) for row in rows}
            words = [word for word in _TABLE_WORDS if word in granted]
            shown = name if schema == self._engine.default_schema else f"{schema}.{name}"
            self._say(f"{', '.join(words)} on {'sequence ' if sequence else ''}{shown}", rows)
            open_to_all = [word for word in _TABLE_WORDS if _has(rows, PUBLIC, word)]
            if open_to_all and sequence:
                self._revokes.append(f"REVOKE UPDATE ON SEQUENCE {quote(schema)}.{quote(name)} FROM PUBLIC;")
            elif open_to_all:
                everybody.setdefault(schema, []).append((name, open_to_all))
        if more := self._found[before + SHOWN :]:
            self._found[before + SHOWN :] = [f"the like on {len(more):,} more tables"]
        self._revokes += _table_revokes(everybody)

    def _of_objects(self) -> None:
        row = self._fetch(_LARGE_OBJECTS)[0]
        if row["objects"]:
            objects = int(str(row["objects"]))
            assert isinstance(row["grantees"], list)
            grantees = [{"grantee": grantee} for grantee in row["grantees"]]
            self._say(f"UPDATE on {objects:,} large object{'s' if objects > 1 else ''}", grantees)
        owned = self._fetch(_OWNED)
        for row in owned:
            self._tell([f"owner of {row['object']}{self._through(row['owner'])}"])
        if owned and int(str(owned[0]["objects"])) > len(owned):
            self._tell([f"owner of {int(str(owned[0]['objects'])) - len(owned):,} more objects"])

    def _notes(self) -> list[str]:
        notes = []
        if "pg_read_server_files" in self._names.values():
            notes.append("It may read any file that the server can: it is a member of pg_read_server_files.")
        if sequences := self._shown(self._fetch(_SEQUENCES)):
            notes.append(f"It may draw numbers from sequences, which leaves gaps: USAGE on {sequences}.")
        functions = self._fetch(_FUNCTIONS)
        if named := self._shown([row for row in functions if row["definer"]]):
            notes.append(f"It may call functions that act with their owners' rights (SECURITY DEFINER): {named}.")
        if named := self._shown([row for row in functions if row["untrusted"]]):
            notes.append(f"It may call functions in an untrusted language: {named}.")
        reaching = sorted({str(row["extension"]) for row in functions if row["extension"] in _REACHING_OUT})
        if reaching:
            notes.append(f"It may call functions that act beyond its session: those of {', '.join(reaching)}.")
        servers = [str(row["name"]) for row in self._fetch(_FOREIGN_SERVERS)]
        if "dblink" in reaching and servers:
            notes.append(f"By dblink it reaches what the logins stored for it may do at {_list(servers)}.")
        if self._fetch(_MAKES_LARGE_OBJECTS)[0]["functions"]:
            makers = ", ".join(f"pg_catalog.{name}" for name in LARGE_OBJECT_MAKERS)
            notes.append(
                "It may make large objects, as every role may unless that is taken from PUBLIC: "
                f"REVOKE EXECUTE ON FUNCTION {makers} FROM PUBLIC;"
            )
        return notes

    def _fetch(self, sql: str) -> list[dict[str, Value]]:
        grantees = ", ".join(map(str, [PUBLIC, *self._names]))
        return self._engine.fetch(sql.format(grantees=grantees)).dicts()

    def _tell(self, rights: Iterable[str]) -> None:
        for right in rights:
            self._found.append(right)
            self._own = True

    def _grant(self, right: str, revoke: str, row: Mapping[str, Value]) -> None:
        self._say(right, [row])
        if row["grantee"] == PUBLIC:
            self._revokes.append(f"REVOKE {revoke} FROM PUBLIC;")

    def _say(self, right: str, rows: Sequence[Mapping[str, Value]], public: str | None = None) -> None:
        """Tell a right with the grantee it comes from, the nearest where there are several."""
        grantees = [int(str(row["grantee"])) for row in rows]
        self._own = self._own or any(grantee != PUBLIC for grantee in grantees)
        ways = {self._through(grantee, public) for grantee in grantees}
        self._found.append(right + ("" if "" in ways else min(ways)))

    def _through(self, grantee: Value, public: str | None = None) -> str:
        if grantee == PUBLIC:
            return public or " (every role has it)"
        name = self._names[int(str(grantee))]
        return "" if name == self._role else f" (through role {name})"

    def _become(self, row: Mapping[str, Value]) -> str:
        return "" if row["own"] else f" (by SET ROLE {row['role']})"

    def _shown(self, rows: Sequence[Mapping[str, Value]]) -> str:
        default = self._engine.default_schema
        named = [(str(row["schema_name"]), str(row["name"])) for row in rows]
        return _list(list(dict.fromkeys(name if schema == default else f"{schema}.{name}" for schema, name in named)))


def _table_revokes(everybody: Mapping[str, Sequence[tuple[str, Sequence[str]]]]) -> list[str]:
    """Return what takes from PUBLIC its rights on tables: one statement for many of a schema."""
    revokes = []
    for schema, tables in everybody.items():
        if len(tables) > NAMED:
            words = [word for word in _TABLE_WORDS if any(word in theirs for _, theirs in tables)]
            revokes.append(f"REVOKE {', '.join(words)} ON ALL TABLES IN SCHEMA {quote(schema)} FROM PUBLIC;")
            continue
        revokes += [
            f"REVOKE {', '.join(words)} ON {quote(schema)}.{quote(name)} FROM PUBLIC;" for name, words in tables
        ]
    return revokes


def _grouped(rows: Iterable[dict[str, Value]], *keys: str) -> dict[tuple[str, ...], list[dict[str, Value]]]:
    groups: dict[tuple[str, ...], list[dict[str, Value]]] = {}
    for row in rows:
        groups.setdefault(tuple(str(row[key]) for key in keys), []).append(row)
    return groups


def _has(rows: Iterable[Mapping[str, Value]], grantee: int, word: str) -> bool:
    return any(row["grantee"] == grantee and row["word"] == word for row in rows)


def _list(names: Sequence[str]) -> str:
    more = f" and {len(names) - NAMED:,} more" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + more
