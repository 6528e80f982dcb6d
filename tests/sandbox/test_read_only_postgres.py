"""Attempts to write to a PostgreSQL database from inside, with a right role: each is refused.

Afterwards the server keeps what it kept, catalog for catalog and row for row. The relay refuses, and so does the role:
every attempt is made a second time without the relay, with read-only transactions switched off. What PostgreSQL lets
every role do, the relay alone refuses. The sandboxes are those that a model's code may run in. What a role could write
is ``sandbox_image/test_rights``; what the relay takes for reading, ``test_statements``.
"""

import ast
import subprocess
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql

from cataloger_dagster.databases import Database
from cataloger_dagster.sandbox.session import Sandbox, Session
from tests.services import postgres as postgresql
from tests.services.postgres import Postgres

pytestmark = pytest.mark.postgres

SERVER = (
    "CREATE TABLE orders (id serial PRIMARY KEY, note text)",
    "INSERT INTO orders (note) SELECT 'note ' || n FROM generate_series(1, 3) AS n",
    "CREATE VIEW recent AS SELECT * FROM orders",
    "CREATE MATERIALIZED VIEW totals AS SELECT count(*) AS n FROM orders",
    "CREATE SEQUENCE tickets",
    "CREATE FUNCTION one() RETURNS integer LANGUAGE sql AS 'SELECT 1'",
    "CREATE SCHEMA closed",
    "CREATE TABLE closed.salaries AS SELECT 1 AS x",
    "CREATE EXTENSION dblink",
    "CREATE EXTENSION postgres_fdw",
    "CREATE SERVER elsewhere FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host '127.0.0.1', port '1')",
    "CREATE FOREIGN TABLE remote (x integer) SERVER elsewhere",
    "SELECT lo_from_bytea(424242, 'kept')",
    "REVOKE CREATE ON SCHEMA public FROM PUBLIC",
)

INSIDE = """
import psycopg
from cataloger_sandbox.connect import connect, open_connection
connection = {connection!r}
con = connect(connection)
login = dict(host=connection['host'], port=connection.get('port'), user=connection.get('user'))
login |= dict(password=connection.get('password'), dbname=connection.get('database'))

def tried(statement, *before, **options):
    "Return the class of error that the server gives, or nothing, on a connection of its own."
    driver = psycopg.connect(autocommit=True, **(login | options)) if options else open_connection(connection)
    try:
        for each in before:
            driver.execute(each)
        driver.execute(statement)
    except psycopg.Error as error:
        return error.sqlstate
    finally:
        driver.close()
"""

OFF = "SET SESSION CHARACTERISTICS AS TRANSACTION READ WRITE"
READ_ONLY, FORBIDDEN, SYNTAX, FAILED = "25006", "42501", "42601", "25P02"
"""SQLSTATEs: it is no reading, and the role's rights or the relay's list refuse; no SQL; a failed transaction."""


class Server:
    """A database on the server in a session with ``tried``, the reader's login, and what is stored there."""

    def __init__(self, session: Session, admin: psycopg.Connection[Any], reader: str, files: Path) -> None:
        self.session = session
        self.admin = admin
        self.reader = reader
        self.role = psycopg.conninfo.conninfo_to_dict(reader)["user"]
        self.files = files
        done = session.execute(INSIDE.format(connection=dict(session.connection)), 60)
        assert done.error is None, done.output
        # The connection behind con, which stays.
        found = admin.execute("SELECT pid FROM pg_stat_activity WHERE usename = %s", [self.role])
        self._kept = [row[0] for row in found]
        self.before = self.stored()

    def tried(self, *arguments: str, **options: str) -> str:
        """The SQLSTATE that an attempt from inside gets; empty if it gets none."""
        listed = ", ".join([*map(repr, arguments), *(f"{name}={value!r}" for name, value in options.items())])
        done = self.session.execute(f"print(tried({listed}) or '')", 60)
        assert done.error is None, done.output
        return done.output.strip()

    def tried_without_the_relay(self, statement: str) -> str:
        """The SQLSTATE that the role gets on its own connection where it may write; empty if it gets none."""
        with psycopg.connect(self.reader, autocommit=True) as driver:
            driver.execute(OFF)
            try:
                driver.execute(statement.encode())
            except psycopg.Error as error:
                return error.sqlstate or ""
        return ""

    def stored(self) -> Mapping[str, Any]:
        """All that the server keeps of the database and of the role, once the attempt's connection is over."""
        until = time.monotonic() + 20
        # A temporary table is dropped when its connection has ended, as the server sees it.
        going = """SELECT 1 FROM pg_stat_activity WHERE usename = %s AND pid <> ALL (%s)
            UNION ALL SELECT 1 FROM pg_class WHERE relpersistence = 't'"""
        while self.admin.execute(going, [self.role, self._kept]).fetchone():
            assert time.monotonic() < until
            time.sleep(0.02)
        with self.admin.transaction():
            self.admin.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            found = {name: self.admin.execute(query).fetchall() for name, query in self._queries().items()}
        return found | {name: versions for name, *versions in found.pop("catalogs")}

    def _queries(self) -> Mapping[str, sql.Composed | sql.SQL]:
        # Every table of every schema, the catalogs too. What the whole server shares is others' business as well, and
        # vacuuming and statistics write of their own accord.
        names = self.admin.execute(
            "SELECT n.nspname, c.relname FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace "
            "WHERE c.relkind IN ('r', 'm', 'S') AND NOT c.relisshared AND n.nspname !~ '^pg_(toast|temp)' "
            "AND c.relname NOT IN ('pg_class', 'pg_namespace', 'pg_statistic') ORDER BY 1, 2"
        ).fetchall()
        rows = "SELECT t::text FROM (SELECT * FROM {}) AS t ORDER BY 1"
        # Whoever writes a row writes its transaction's number into it, which takes no time to read.
        versions = "SELECT {} AS name, count(*), sum(xmin::text::bigint) FROM {}"
        own = [name for name in names if name[0] not in ("pg_catalog", "information_schema")]
        queries: dict[str, sql.Composed | sql.SQL] = {
            ".".join(name): sql.SQL(rows).format(sql.Identifier(*name))
            for name in [*own, ("pg_catalog", "pg_largeobject")]
        }
        queries["catalogs"] = sql.SQL(" UNION ALL ").join(
            sql.SQL(versions).format(sql.Literal(name[1]), sql.Identifier(*name)) for name in names if name not in own
        ) + sql.SQL(" ORDER BY 1")
        role = sql.Literal(self.role)
        queries["pg_class"] = sql.SQL(
            "SELECT oid, relname, relnamespace, relowner, relkind, relnatts, relhastriggers, relacl::text, "
            "reloptions::text, pg_relation_filenode(oid) FROM pg_class ORDER BY 1"
        )
        queries["pg_namespace"] = sql.SQL(
            "SELECT nspname, nspowner, nspacl::text FROM pg_namespace WHERE nspname !~ '^pg_(toast|temp)' ORDER BY 1"
        )
        queries["role"] = sql.SQL("SELECT a::text FROM pg_authid AS a WHERE rolname = {}").format(role)
        queries["memberships"] = sql.SQL(
            "SELECT m::text FROM pg_auth_members AS m WHERE {0}::regrole IN (roleid, member, grantor) ORDER BY 1"
        ).format(role)
        queries["settings"] = sql.SQL(
            "SELECT s::text FROM pg_db_role_setting AS s WHERE setrole = {0}::regrole OR setdatabase = "
            "(SELECT oid FROM pg_database WHERE datname = current_database()) ORDER BY 1"
        ).format(role)
        queries["database"] = sql.SQL(
            "SELECT datdba, datacl::text, datconnlimit FROM pg_database WHERE datname = current_database()"
        )
        queries["dependencies"] = sql.SQL(
            "SELECT s::text FROM pg_shdepend AS s WHERE refobjid = {0}::regrole OR dbid = "
            "(SELECT oid FROM pg_database WHERE datname = current_database()) ORDER BY 1"
        ).format(role)
        queries["prepared"] = sql.SQL("SELECT gid FROM pg_prepared_xacts WHERE database = current_database()")
        queries["notifications"] = sql.SQL("SELECT pg_notification_queue_usage()")
        queries["locks"] = sql.SQL("SELECT 1 FROM pg_locks WHERE locktype = 'advisory'")
        queries["default privileges"] = sql.SQL("SELECT a::text FROM pg_default_acl AS a ORDER BY 1")
        queries["large objects"] = sql.SQL("SELECT l::text FROM pg_largeobject_metadata AS l ORDER BY 1")
        queries["slots"] = sql.SQL("SELECT slot_name FROM pg_replication_slots")
        queries["configuration"] = sql.SQL("SELECT f::text FROM pg_file_settings AS f ORDER BY 1")
        return queries


@pytest.fixture(scope="module")
def server(
    confining_sandbox: Sandbox, postgres: Postgres, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    admin = postgres.new_database()
    postgres.execute(admin, *SERVER)
    reader = postgres.new_reader(admin)
    friend = psycopg.conninfo.conninfo_to_dict(reader)["user"] + "_friend"
    postgres.execute(admin, f"CREATE ROLE {friend}")
    files = tmp_path_factory.mktemp("server")
    files.chmod(0o777)
    before = dumped(admin)
    with confining_sandbox.open(Database.from_url(reader)) as session:
        with psycopg.connect(admin, autocommit=True) as driver:
            yield Server(session, driver, reader, files)
        counted = counts(session, admin)
    assert dumped(admin) == before
    assert counted == {("orders", 3, 0, 0, 3), ("salaries", 1, 0, 0, 1), ("totals", 1, 0, 0, 1)}
    assert list(files.iterdir()) == []
    postgres.execute(admin, f"DROP ROLE {friend}")


def dumped(url: str) -> str:
    """The whole database as pg_dump writes it, its large objects included."""
    folder = postgresql.binaries()
    assert folder is not None
    done = subprocess.run([folder / "pg_dump", "--blobs", url], capture_output=True, text=True, check=True)
    # A key of each dump's own keeps psql from running what a hostile server slips in.
    return "\n".join(line for line in done.stdout.splitlines() if not line.startswith(("\\restrict", "\\unrestrict")))


def counts(session: Session, url: str) -> set[tuple[Any, ...]]:
    """Every table with how many rows were ever inserted, updated and deleted, and are there."""
    session.stop()
    with psycopg.connect(url) as driver:
        return set(
            driver.execute(
                "SELECT relname, n_tup_ins, n_tup_upd, n_tup_del, n_live_tup FROM pg_stat_user_tables"
            ).fetchall()
        )


STATEMENTS = [
    # Rows
    "INSERT INTO orders (note) VALUES ('mine')",
    "INSERT INTO orders (id, note) VALUES (4, 'mine')",
    "INSERT INTO recent VALUES (4, 'mine')",
    "UPDATE orders SET note = 'mine'",
    "DELETE FROM orders",
    "TRUNCATE orders",
    "COPY orders FROM STDIN",
    "WITH gone AS (DELETE FROM orders RETURNING *) SELECT * FROM gone",
    "EXPLAIN ANALYZE DELETE FROM orders",
    "SELECT * FROM orders FOR UPDATE",
    "SELECT * INTO mine FROM orders",
    "DO $$ BEGIN DELETE FROM orders; END $$",
    "DO $$ BEGIN EXECUTE 'DELETE FROM ' || 'orders'; END $$",
    "INSERT INTO remote VALUES (1)",
    "SELECT * FROM closed.salaries",
    "DELETE FROM closed.salaries",
    "UPDATE pg_catalog.pg_class SET relname = 'mine' WHERE relname = 'orders'",
    "REFRESH MATERIALIZED VIEW totals",
    # Schema
    "CREATE TABLE mine (x integer)",
    "CREATE TABLE closed.mine (x integer)",
    "CREATE VIEW mine AS SELECT 1",
    "CREATE SCHEMA mine",
    "CREATE SEQUENCE mine",
    "CREATE FUNCTION mine() RETURNS integer LANGUAGE sql AS 'SELECT 1'",
    "CREATE TYPE mine AS ENUM ('a')",
    "CREATE DATABASE mine",
    "CREATE ROLE mine",
    "CREATE EXTENSION hstore",
    "CREATE PUBLICATION mine",
    "CREATE SERVER mine FOREIGN DATA WRAPPER postgres_fdw",
    "CREATE USER MAPPING FOR CURRENT_USER SERVER elsewhere",
    "CREATE TABLESPACE mine LOCATION '/tmp'",
    "CREATE EVENT TRIGGER mine ON ddl_command_start EXECUTE FUNCTION one()",
    "CREATE TRIGGER mine BEFORE UPDATE ON orders EXECUTE FUNCTION suppress_redundant_updates_trigger()",
    "CREATE RULE mine AS ON INSERT TO orders DO INSTEAD NOTHING",
    "CREATE POLICY mine ON orders",
    "CREATE STATISTICS mine ON id, note FROM orders",
    "CREATE INDEX mine ON orders (note)",
    "ALTER TABLE orders ADD COLUMN mine integer",
    "ALTER TABLE orders DISABLE ROW LEVEL SECURITY",
    "ALTER FUNCTION one() SECURITY DEFINER",
    "ALTER SYSTEM SET work_mem = '1GB'",
    "ALTER ROLE CURRENT_USER CREATEDB",
    "DROP TABLE orders",
    "DROP SCHEMA closed CASCADE",
    "COMMENT ON TABLE orders IS 'mine'",
    "GRANT pg_write_all_data TO CURRENT_USER",
    "REINDEX TABLE orders",
    "CLUSTER orders USING orders_pkey",
    # Functions and files
    "SELECT nextval('tickets')",
    "SELECT setval('orders_id_seq', 1)",
    "SELECT lo_put(424242, 0, 'mine')",
    "SELECT lo_unlink(424242)",
    "SELECT lowrite(lo_open(424242, 131072), 'mine')",
    "SELECT lo_import('/etc/passwd')",
    "SELECT lo_export(424242, '{files}/mine')",
    "COPY orders TO '{files}/mine'",
    "COPY orders TO PROGRAM 'touch {files}/mine'",
    "COPY orders FROM PROGRAM 'touch {files}/mine'",
    "SELECT pg_read_file('PG_VERSION')",
    "SELECT pg_ls_dir('/')",
    "SELECT pg_reload_conf()",
    "SELECT pg_rotate_logfile()",
    "SELECT pg_switch_wal()",
    "SELECT pg_create_restore_point('mine')",
    "SELECT pg_create_physical_replication_slot('mine')",
    "SELECT pg_replication_origin_create('mine')",
    "SELECT pg_promote()",
    "SELECT pg_stat_reset()",
    "SELECT pg_terminate_backend({admin})",
    "SELECT pg_cancel_backend({admin})",
    "CHECKPOINT",
    "LOAD 'plugins/mine'",
    # Another role
    "SET ROLE {owner}",
    "SET SESSION AUTHORIZATION {owner}",
    "SET session_replication_role = replica",
    "SELECT set_config('session_preload_libraries', 'mine', false)",
]


@pytest.mark.parametrize("statement", STATEMENTS)
def test_postgresql_refuses_every_statement_that_writes(server: Server, statement: str) -> None:
    """And the role's own rights refuse them too, whether transactions are read-only or not."""
    told = {"files": server.files, "admin": server.admin.info.backend_pid, "owner": server.admin.info.user}
    asked = statement.format(**told)
    assert server.tried(asked) in (READ_ONLY, FORBIDDEN)
    assert server.tried_without_the_relay(asked) == FORBIDDEN
    assert server.stored() == server.before


@pytest.mark.parametrize(
    ("statement", "sqlstate"),
    [
        ("LOCK TABLE orders IN SHARE MODE", FORBIDDEN),
        ("LOCK TABLE orders IN ACCESS EXCLUSIVE MODE", FORBIDDEN),
        ("PREPARE TRANSACTION 'mine'", "55000"),  # max_prepared_transactions is 0, as by default
        ("SELECT query_to_xml('DELETE FROM orders', true, true, '')", "0A000"),
        ("SELECT dblink_exec('host={host} port={port} dbname=postgres user={user}', 'CREATE ROLE mine')", "2F003"),
        ("SELECT dblink_connect('elsewhere')", "42704"),
        ("SELECT * FROM remote", "42704"),
    ],
)
def test_postgresql_refuses_what_asks_for_a_transaction_or_more_than_a_right(
    server: Server, statement: str, sqlstate: str
) -> None:
    asked = statement.format(**server.admin.info.get_parameters())
    assert server.tried(asked) in (READ_ONLY, FORBIDDEN, "42704")
    assert server.tried_without_the_relay(f"BEGIN READ WRITE; {asked}") == sqlstate
    assert server.stored() == server.before


@pytest.mark.parametrize(
    "way",
    [
        ("SET default_transaction_read_only = off",),
        ("SET SESSION CHARACTERISTICS AS TRANSACTION READ WRITE",),
        ("BEGIN READ WRITE",),
        ("BEGIN", "SET TRANSACTION READ WRITE"),
        ("BEGIN", "SET LOCAL transaction_read_only = off"),
        ("SELECT set_config('default_transaction_read_only', 'off', false)",),
        ("UPDATE pg_settings SET setting = 'off' WHERE name = 'default_transaction_read_only'",),
        ("RESET default_transaction_read_only",),
        ("RESET ALL",),
        ("DISCARD ALL",),
    ],
)
def test_a_role_that_may_not_write_gains_nothing_by_switching_read_only_off(
    server: Server, way: tuple[str, ...]
) -> None:
    for statement in (
        "INSERT INTO orders (note) VALUES ('mine')",
        "CREATE TABLE mine (x integer)",
        "DROP TABLE orders",
    ):
        assert server.tried(statement, *way) in (READ_ONLY, FORBIDDEN)
    assert server.stored() == server.before


@pytest.mark.parametrize(
    "options",
    [
        {"options": "-c default_transaction_read_only=off"},
        {"application_name": "mine"},
        {"dbname": "postgres"},
        {"dbname": "template1"},
    ],
)
def test_another_connection_may_write_no_more(server: Server, options: dict[str, str]) -> None:
    for before in ((), (OFF,), ("BEGIN READ WRITE",)):
        assert server.tried("CREATE TABLE mine (x integer)", *before, **options) == READ_ONLY
    assert server.stored() == server.before


ANYBODY = [
    "ALTER ROLE CURRENT_USER PASSWORD 'mine'",
    "ALTER ROLE CURRENT_USER SET work_mem = '8MB'",
    "ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO PUBLIC",
    "DROP OWNED BY CURRENT_USER",
    "REVOKE SELECT ON orders FROM CURRENT_USER",
    "GRANT {role} TO {role}_friend",
    "SELECT lo_create(0)",
    "SELECT lo_creat(131072)",
    "SELECT lo_from_bytea(0, 'mine')",
    "PREPARE TRANSACTION 'mine'",
    "NOTIFY mine, 'x'",
    "LISTEN mine",
    "SELECT pg_notify('mine', 'x')",
    "SELECT pg_advisory_lock(1)",
    "SELECT pg_try_advisory_lock_shared(1, 1)",
    "SELECT pg_logical_emit_message(false, 'mine', 'x')",
    "SELECT pg_export_snapshot()",
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = current_user AND pid <> pg_backend_pid()",
    "SELECT query_to_xml('SELECT lo_create(0)', true, true, '')",
    "SELECT * FROM ts_stat('SELECT to_tsvector(lo_create(0)::text)')",
    "SELECT ts_rewrite('a'::tsquery, 'SELECT lo_create(0)::text::tsquery, null::tsquery')",
    "CREATE TEMP TABLE mine AS SELECT 1 AS x",
    "VACUUM orders",
    "ANALYZE orders",
]
"""What PostgreSQL lets every role do."""

FORMS = [
    "{0}",
    "SELECT 1; {0}",
    "/* a /* nested */ comment */ {0} -- and one more",
    "PREPARE mine AS {0}",
    "DO $a$ BEGIN EXECUTE $b${0}$b$; END $a$",
    "EXPLAIN ANALYZE {0}",
    "COPY ({0}) TO STDOUT",
    "DECLARE mine CURSOR WITH HOLD FOR {0}",
    "WITH x AS (WITH y AS ({0}) SELECT * FROM y) SELECT * FROM x",
]

WAYS = [
    "SET default_transaction_read_only = off",
    "SET SESSION default_transaction_read_only TO DEFAULT",
    "SET SESSION CHARACTERISTICS AS TRANSACTION READ WRITE",
    "SELECT set_config('default_transaction_read_only', 'off', false)",
    'SELECT pg_catalog."set_config"($$default_transaction_read_only$$, $$off$$, false)',
    "SELECT U&\"set\\005fconfig\"('default_transaction_read_only', 'off', false)",
    "SELECT set_config(name, 'off', false) FROM pg_settings WHERE name = 'default_transaction_read_only'",
    "DO $$ BEGIN PERFORM set_config('default_transaction_read_only', 'off', false); END $$",
    "SELECT query_to_xml($$SELECT set_config('default_transaction_read_only', 'off', false)$$, true, true, '')",
    "PREPARE mine AS SELECT set_config('default_transaction_read_only', $1, false)",
    "EXECUTE mine ('off')",
    "RESET ALL",
    "DISCARD ALL",
    "BEGIN READ WRITE",
    "BEGIN; SET TRANSACTION READ WRITE",
    "BEGIN; SET LOCAL transaction_read_only = off",
    "COMMIT AND CHAIN",
]

EVERY_WAY = """
import itertools
def outcome(run):
    try:
        run()
    except psycopg.errors.FeatureNotSupported:
        return None
    except psycopg.Error as error:
        return error.sqlstate
    return ''

def all_ways(statement):
    "Return what got through, and every class of error."
    told, through = set(), []
    for way in {ways!r}:
        driver = open_connection(connection)
        outcome(lambda: driver.execute(way))
        for form in {forms!r}:
            asked = form.format(statement)
            runs = dict(
                simple=lambda: driver.execute(asked),
                prepared=lambda: driver.execute(asked, prepare=True),
                binary=lambda: driver.cursor(binary=True).execute(asked),
                raw=lambda: psycopg.RawCursor(driver).execute(asked, []),
            )
            for name, run in runs.items():
                code = outcome(run)
                told.add(code)
                if code == '':
                    through.append((way, asked, name))
        driver.close()
    return through, sorted(filter(None, told))
"""


@pytest.mark.parametrize("statement", ANYBODY)
def test_what_postgresql_lets_every_role_do_is_refused_in_every_form_and_after_every_way_to_switch_read_only_off(
    server: Server, statement: str
) -> None:
    asked = statement.format(role=server.role)
    done = server.session.execute(EVERY_WAY.format(ways=WAYS, forms=FORMS) + f"\nprint(all_ways({asked!r}))", 120)
    assert done.error is None, done.output
    through, told = ast.literal_eval(done.output)
    assert through == []
    assert set(told) <= {READ_ONLY, FORBIDDEN, SYNTAX, FAILED}
    assert server.stored() == server.before


BY_HAND = r"""
import socket, struct
host = connection['host']
place = f"{host}/.s.PGSQL.{connection.get('port') or 5432}"
hand = socket.socket(socket.AF_UNIX)
hand.connect('\0' + place[1:] if host.startswith('@') else place)
hand.settimeout(20)
hand.sendall(struct.pack('>II', 19, 3 << 16) + b'user\0mine\0\0')

def message(kind, body):
    return kind + struct.pack('>I', len(body) + 4) + body

def exactly(count):
    text = b''
    while len(text) < count:
        text += hand.recv(count - len(text)) or exit('hung up')
    return text

def answers():
    found = []
    while not found or found[-1][0] != b'Z':
        kind, length = struct.unpack('>cI', exactly(5))
        found.append((kind, exactly(length - 4)))
    return b''.join(kind for kind, _ in found if kind not in b'SKRN').decode() + found[-1][1].decode()

query = lambda sql: message(b'Q', sql.encode() + b'\0')
parse = lambda sql: message(b'P', b'\0' + sql.encode() + b'\0\0\0')
run = message(b'B', b'\0\0' + b'\0\0' * 3) + message(b'E', b'\0' + bytes(4))
sync = message(b'S', b'')
create = "SELECT lo_create(0)"
answers()
pipelines = [
    query("SET default_transaction_read_only = off") + query(create),
    query("BEGIN READ WRITE") + query(create) + query("COMMIT"),
    parse("BEGIN READ WRITE") + run + parse(create) + run + parse("COMMIT") + run + sync,
    parse("SELECT 1") + run + parse(create) + run + parse("ALTER ROLE CURRENT_USER PASSWORD 'mine'") + run + sync,
    query("BEGIN") + parse(create) + run + sync + query("COMMIT"),
    message(b'F', struct.pack('>IHHHIIH', 957, 1, 1, 1, 4, 131072, 1)),
]
for pipeline in pipelines:
    hand.sendall(pipeline)
    print(*(answers() for _ in range(pipeline.count(b'Q\0\0') + pipeline.count(sync) + (pipeline[:1] == b'F'))))
hand.sendall(b''.join(bytes([each]) for each in query(create)))
print(answers())
hand.close()
"""


def test_a_client_written_by_hand_writes_no_more(server: Server) -> None:
    done = server.session.execute(BY_HAND, 60)
    assert done.error is None, done.output
    assert done.output.splitlines() == ["EZI EZI", "EZI EZI CZI", "EZI", "12DCEZI", "CZT EZE CZI", "EZI", "EZI"]
    assert server.stored() == server.before


READING = """
import ibis
assert 'orders' in con.list_tables()
assert con.table('orders').count().execute() == 3
assert con.sql('SELECT id, note FROM orders WHERE id < 3').filter(ibis._.id > 1).execute().shape == (1, 2)
typed = con.sql("SELECT 1.5::numeric(4, 2) AS n, 'a' AS t, now() AS at, ARRAY[1] AS l, NULL::jsonb AS j;").schema()
assert str(typed.types[0]) == 'decimal(4, 2)' and [str(each) for each in typed.types[1:]] == \
    ['string', "timestamp('UTC', 6)", 'array<int32>', 'jsonb'], typed
assert con.get_schema('orders') == con.table('orders').schema()
orders = con.table('orders')
joined = orders.join(orders.view(), 'id')
assert joined.count().to_pandas() == 3
assert len(orders.mutate(n=ibis.row_number().over(order_by='id')).order_by('n').to_pyarrow()) == 3
assert con.raw_sql('SELECT 1').fetchone()[0] == 1
driver = open_connection(connection)
with driver.transaction(), driver.cursor('named') as cursor:
    assert len(cursor.execute('SELECT * FROM orders').fetchmany(2)) == 2
with driver.cursor().copy('COPY (SELECT * FROM orders) TO STDOUT') as copy:
    assert len(list(copy.rows())) == 3
with driver.pipeline():
    found = [driver.execute('SELECT %s::int', [n]) for n in range(20)]
assert [each.fetchone()[0] for each in found] == list(range(20))
assert psycopg.types.TypeInfo.fetch(driver, 'text').oid == 25
driver.execute('SET search_path = closed, public; SET LOCAL jit = off')
driver.close()
"""


def test_what_ibis_and_psycopg_send_to_read_is_let_through(server: Server) -> None:
    done = server.session.execute(READING, 60)
    assert done.error is None, done.output
    assert server.stored() == server.before
