"""The pre-flight: what is there, that a table can't be made, and the SQL for a right role."""

import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
from cataloger_sandbox import preflight as module
from cataloger_sandbox.preflight import preflight
from cataloger_sandbox.remedy import PASSWORD, READER
from cataloger_sandbox.rights import Rights
from psycopg import sql

from tests.sandbox_image.conftest import Made, connection_of
from tests.services import postgres as postgresql
from tests.services.missing import missing
from tests.services.postgres import Postgres, url_with

SCHEMA = (
    "REVOKE CREATE ON SCHEMA public FROM PUBLIC",
    "CREATE TABLE orders (id integer PRIMARY KEY, note text)",
    "CREATE TABLE customers (id integer PRIMARY KEY)",
    "CREATE VIEW recent AS SELECT * FROM orders",
    'CREATE SCHEMA "Other"',
    'CREATE TABLE "Other"."odd ""name" (x integer)',
)


@pytest.mark.parametrize("engine", ["duckdb", "sqlite"])
def test_files_have_no_role_and_nothing_to_refuse(engine: str, make: Callable[[str], Made]) -> None:
    database = make(engine)
    database.sql("CREATE TABLE a (x integer)", "CREATE TABLE b (x integer)", "CREATE VIEW c AS SELECT x FROM a")
    told = preflight(database.connection, None)
    assert told["engine"].startswith(engine)
    assert (told["tables"], told["views"]) == (2, 1)
    assert told["rights"] == told["notes"] == []
    assert told["role"] is told["remedy"] is None


def test_a_reader_is_let_through(make: Callable[[str], Made], postgres: Postgres) -> None:
    database = make("postgres")
    database.sql(*SCHEMA)
    reader = connection_of(postgres.new_reader(database.url))
    told = preflight(reader, ["public"])
    assert told["rights"] == []
    assert told["remedy"] is None
    assert told["role"] == reader["user"]
    assert (told["tables"], told["views"]) == (2, 1)
    assert told["engine"].startswith("postgres 1")


# The attempt to make a table -----------------------------------------------------------------------------------------


@pytest.fixture
def blind(monkeypatch: pytest.MonkeyPatch) -> None:
    """A pre-flight that sees no right, so that the attempt alone has to tell."""
    monkeypatch.setattr(module, "read_rights", lambda engine: Rights("somebody"))


@pytest.mark.usefixtures("blind")
def test_a_table_that_could_be_made_is_told_and_not_left(make: Callable[[str], Made], postgres: Postgres) -> None:
    database = make("postgres")
    database.sql(*SCHEMA)
    writer = postgres.new_role(database.url, "GRANT CREATE ON SCHEMA public TO {role}")
    reader = postgres.new_reader(database.url)
    before = catalogs(database.url)
    told = preflight(connection_of(writer), None)
    assert told["rights"] == ["CREATE TABLE in schema public was not refused"]
    assert "CREATE ROLE" in told["remedy"]
    assert preflight(connection_of(reader), None)["rights"] == []
    assert catalogs(database.url) == before
    # A table of that name, whosever it is, is not in the way.
    database.sql(f"CREATE TABLE {module.PROBE} (kept integer)", f"INSERT INTO {module.PROBE} VALUES (1)")
    assert preflight(database.connection, None)["rights"] == ["CREATE TABLE in schema public was not refused"]
    with psycopg.connect(database.url) as driver:
        assert driver.execute(f"SELECT kept FROM {module.PROBE}").fetchall() == [(1,)]


def catalogs(url: str) -> list[Any]:
    """Every relation with its rights."""
    with psycopg.connect(url) as driver:
        return driver.execute("SELECT oid, relname, relacl::text FROM pg_class ORDER BY 1").fetchall()


@pytest.mark.usefixtures("blind")
def test_event_triggers_do_not_disturb_the_attempt(make: Callable[[str], Made], postgres: Postgres) -> None:
    """One that notes down and one that forbids: nothing is left of the first, the second is a refusal."""
    database = make("postgres")
    database.sql(
        *SCHEMA,
        "CREATE TABLE attempts (command text)",
        "CREATE FUNCTION noted() RETURNS event_trigger LANGUAGE plpgsql SECURITY DEFINER AS "
        "$$ BEGIN INSERT INTO public.attempts VALUES (tg_tag); END $$",
        "CREATE EVENT TRIGGER noting ON ddl_command_start EXECUTE FUNCTION noted()",
    )
    writer = connection_of(postgres.new_role(database.url, "GRANT CREATE ON SCHEMA public TO {role}"))
    reader = connection_of(postgres.new_reader(database.url))
    with psycopg.connect(database.url, autocommit=True) as driver:
        driver.execute("DELETE FROM attempts")
        assert preflight(writer, None)["rights"] == ["CREATE TABLE in schema public was not refused"]
        assert preflight(reader, None)["rights"] == []
        assert driver.execute("SELECT * FROM attempts").fetchall() == []
        driver.execute(
            "CREATE OR REPLACE FUNCTION noted() RETURNS event_trigger LANGUAGE plpgsql AS "
            "$$ BEGIN RAISE 'no changes today'; END $$"
        )
        assert preflight(writer, None)["rights"] == []


@pytest.mark.postgres
def test_a_standby_is_looked_at_like_any_server() -> None:
    """Nobody can write to it, but its rights are the primary's, and a role that may write there is refused here."""
    with standby() as url:
        told = preflight(connection_of(url_with(url, user="reader", password="")), None)
        assert (told["tables"], told["rights"], told["remedy"]) == (1, [], None)
        told = preflight(connection_of(url_with(url, user="writer", password="")), None)
        assert told["rights"] == ["INSERT on orders"]
        assert "GRANT SELECT" in told["remedy"]


@contextmanager
def standby() -> Iterator[str]:
    """A server in recovery, with a table and the roles ``reader`` and ``writer``; the superuser's URL."""
    binaries = postgresql.binaries()
    if binaries is None:
        missing("PostgreSQL", postgresql.REMEDY)
    account = postgresql.server_account()
    with tempfile.TemporaryDirectory(prefix="standby") as made:
        folder, port = Path(made), postgresql.free_port()
        options: dict[str, Any] = {"cwd": folder}
        if account is not None:
            shutil.chown(folder, account.pw_uid, account.pw_gid)
            options |= {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}
        data = folder / "data"
        subprocess.run(
            [binaries / "initdb", "-D", data, "-U", "admin", "--auth=trust", "--no-sync", "--locale=C"],
            check=True,
            capture_output=True,
            **options,
        )
        settings = ["listen_addresses=127.0.0.1", f"port={port}", "unix_socket_directories=", "fsync=off"]
        command = [binaries / "postgres", "-D", data, *(part for each in settings for part in ("-c", each))]
        url = f"postgres://admin@127.0.0.1:{port}/postgres"
        for start in ("primary", "standby"):
            server = subprocess.Popen(command, stderr=subprocess.DEVNULL, **options)
            try:
                wait_for(url, server)
                if start == "standby":
                    yield url
                    continue
                with psycopg.connect(url, autocommit=True) as driver:
                    driver.execute("CREATE ROLE reader LOGIN; CREATE ROLE writer LOGIN; CREATE TABLE orders (id int)")
                    driver.execute("REVOKE CREATE ON SCHEMA public FROM PUBLIC")
                    driver.execute("GRANT SELECT ON orders TO reader, writer; GRANT INSERT ON orders TO writer")
            finally:
                server.send_signal(signal.SIGINT)
                server.wait(30)
            (data / "standby.signal").touch()
            if account is not None:
                shutil.chown(data / "standby.signal", account.pw_uid, account.pw_gid)


def wait_for(url: str, server: "subprocess.Popen[bytes]") -> None:
    end = time.monotonic() + 30
    while True:
        try:
            psycopg.connect(url, connect_timeout=5).close()
            return
        except psycopg.OperationalError:
            assert time.monotonic() < end
            assert server.poll() is None
            time.sleep(0.05)


# The SQL for a right role --------------------------------------------------------------------------------------------


@contextmanager
def made_by(remedy: str, url: str) -> Iterator[str]:
    """Run a remedy as the superuser of *url*; the URL of the role it makes."""
    name = next(line.split('"')[1] for line in remedy.splitlines() if line.startswith("CREATE ROLE"))
    assert name.startswith(READER)
    with psycopg.connect(url, autocommit=True) as driver:
        driver.execute(remedy.encode())
        try:
            yield url_with(url, user=name, password=PASSWORD)
        finally:
            driver.execute(sql.SQL("DROP OWNED BY {0}; DROP ROLE {0}").format(sql.Identifier(name)))


def test_the_remedy_makes_a_role_that_passes_and_can_read(make: Callable[[str], Made], postgres: Postgres) -> None:
    database = make("postgres")
    database.sql(
        *SCHEMA,
        "INSERT INTO orders VALUES (1, 'x')",
        "GRANT DELETE ON customers TO PUBLIC",
        "GRANT CREATE ON SCHEMA public TO PUBLIC",
        "GRANT UPDATE (note) ON orders TO PUBLIC",
        "CREATE SEQUENCE tickets",
        "GRANT UPDATE ON SEQUENCE tickets TO PUBLIC",
        f"GRANT CREATE ON DATABASE {connection_of(database.url)['database']} TO PUBLIC",
    )
    told = preflight(database.connection, None)
    assert told["rights"] == ["SUPERUSER"]
    writer = postgres.new_role(database.url, "GRANT INSERT ON orders TO {role}")
    told = preflight(connection_of(writer), None)
    assert [right.split(" (")[0] for right in told["rights"]] == [
        f"CREATE on database {connection_of(database.url)['database']}",
        "CREATE on schema public",
        "DELETE on customers",
        "INSERT, UPDATE on orders",
        "UPDATE on sequence tickets",
    ]
    assert connection_of(writer)["password"] not in told["remedy"]
    with made_by(told["remedy"], database.url) as reader:
        assert preflight(connection_of(reader), None)["rights"] == []
        with psycopg.connect(reader) as driver:
            assert driver.execute('SELECT count(*) FROM orders, "Other"."odd ""name"').fetchone() == (0,)
            assert driver.execute("SHOW transaction_read_only").fetchone() == ("on",)


ODD = ['it\'s "odd"', "ünïcode 数据", "a;--b", "two\nlines", "%s {role} $1", "\\ back"]


def test_the_remedy_copes_with_any_name(postgres: Postgres) -> None:
    """Of the database, of schemas, of tables and of their owners."""
    url = postgres.new_database(ODD[3] + ODD[0] + ODD[1])
    owner = postgres.new_role(url, f"GRANT CREATE ON DATABASE {name_of(url)} TO {{role}}", name=ODD[0] + ODD[2])
    for name in ODD:
        table = f"{quoted(name)}.{quoted(name)}"
        postgres.execute(owner, f"CREATE SCHEMA {quoted(name)}", f"CREATE TABLE {table} (x integer)")
        postgres.execute(
            owner, f"GRANT INSERT ON {table} TO PUBLIC", f"GRANT CREATE ON SCHEMA {quoted(name)} TO PUBLIC"
        )
    told = preflight(connection_of(owner), [*ODD, "public"])
    with made_by(told["remedy"], url) as reader:
        told = preflight(connection_of(reader), ODD)
        assert (told["rights"], told["tables"]) == ([], len(ODD))
        later = f"{quoted(ODD[1])}.later"
        postgres.execute(owner, f"CREATE TABLE {later} (x integer)")
        postgres.execute(reader, f"SELECT * FROM {later}", *(f"SELECT * FROM {quoted(n)}.{quoted(n)}" for n in ODD))


def quoted(name: str) -> str:
    return sql.Identifier(name).as_string()


def name_of(url: str) -> str:
    return quoted(connection_of(url)["database"])


def test_the_remedy_grants_the_schemas_of_the_entry_and_no_others(
    make: Callable[[str], Made], postgres: Postgres
) -> None:
    database = make("postgres")
    database.sql(*SCHEMA, "CREATE SCHEMA third", "CREATE TABLE third.t (x integer)")
    told = preflight(database.connection, ["Other", "third"])
    with made_by(told["remedy"], database.url) as reader:
        postgres.execute(reader, 'SELECT * FROM third.t, "Other"."odd ""name"')
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            postgres.execute(reader, "SELECT * FROM orders")


def test_where_only_public_is_at_fault_the_remedy_takes_from_public_and_makes_no_role(
    make: Callable[[str], Made], postgres: Postgres
) -> None:
    """As before PostgreSQL 15, where everybody may create tables in ``public`` from the beginning."""
    database = make("postgres")
    database.sql(*SCHEMA, "GRANT CREATE ON SCHEMA public TO PUBLIC")
    database.sql(
        *(f"CREATE TABLE t{n} (x integer)" for n in range(9)), "GRANT INSERT ON ALL TABLES IN SCHEMA public TO PUBLIC"
    )
    reader = connection_of(postgres.new_reader(database.url))
    told = preflight(reader, None)
    assert len(told["rights"]) == 13
    assert told["remedy"].splitlines()[1:] == [
        "-- What every role may write here is taken from PUBLIC. Roles that are to go on writing need it by name:",
        'REVOKE CREATE ON SCHEMA "public" FROM PUBLIC;',
        'REVOKE INSERT ON ALL TABLES IN SCHEMA "public" FROM PUBLIC;',
    ]
    database.sql(told["remedy"])
    assert preflight(reader, None)["rights"] == []
