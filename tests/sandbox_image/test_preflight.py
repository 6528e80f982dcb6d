"""The pre-flight: what is there, and what the role could write, by every way PostgreSQL knows."""

from collections.abc import Callable
from typing import Any

import psycopg
import pytest
from cataloger_sandbox.preflight import PASSWORD, READER, preflight

from tests.sandbox_image.conftest import Made, connection_of
from tests.services.postgres import Postgres, url_with

SCHEMA = (
    "CREATE TABLE orders (id integer PRIMARY KEY, note text)",
    "CREATE TABLE customers (id integer PRIMARY KEY)",
    "CREATE VIEW recent AS SELECT * FROM orders",
    'CREATE SCHEMA "Other"',
    'CREATE TABLE "Other"."odd ""name" (x integer)',
)


def rights(postgres: Postgres, database: Made, *grants: str, options: str = "") -> list[str]:
    """Return what a new role with *grants* is said to be able to write."""
    url = postgres.new_role(
        database.url, "GRANT SELECT ON ALL TABLES IN SCHEMA public TO {role}", *grants, options=options
    )
    return list(preflight(connection_of(url), None)["rights"])


@pytest.mark.parametrize("engine", ["duckdb", "sqlite"])
def test_files_have_no_role_and_nothing_to_refuse(engine: str, make: Callable[[str], Made]) -> None:
    database = make(engine)
    database.sql("CREATE TABLE a (x integer)", "CREATE TABLE b (x integer)", "CREATE VIEW c AS SELECT x FROM a")
    told = preflight(database.connection, None)
    assert told["engine"].startswith(engine)
    assert (told["tables"], told["views"]) == (2, 1)
    assert told["rights"] == []
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


def test_every_way_to_write_is_told(make: Callable[[str], Made], postgres: Postgres) -> None:
    database = make("postgres")
    database.sql(*SCHEMA)
    for word in ("INSERT", "UPDATE", "DELETE", "TRUNCATE"):
        assert rights(postgres, database, f"GRANT {word} ON orders TO {{role}}") == [f"{word} on orders"]
    assert rights(postgres, database, "GRANT UPDATE (note) ON orders TO {role}") == ["UPDATE on orders"]
    assert rights(postgres, database, "GRANT INSERT (note) ON orders TO {role}") == ["INSERT on orders"]
    assert rights(postgres, database, "GRANT INSERT ON recent TO {role}") == ["INSERT on recent"]
    assert rights(postgres, database, 'GRANT DELETE ON "Other"."odd ""name" TO {role}') == ['DELETE on Other.odd "name']
    assert rights(postgres, database, "GRANT CREATE ON SCHEMA public TO {role}") == ["CREATE on schema public"]
    name = connection_of(database.url)["database"]
    assert rights(postgres, database, f"GRANT CREATE ON DATABASE {name} TO {{role}}") == [f"CREATE on database {name}"]
    for option in ("CREATEDB", "CREATEROLE", "REPLICATION", "BYPASSRLS", "SUPERUSER"):
        assert rights(postgres, database, options=option) == [option]
    assert "member of pg_write_all_data" in rights(postgres, database, "GRANT pg_write_all_data TO {role}")
    assert rights(postgres, database, "GRANT pg_write_server_files TO {role}") == ["member of pg_write_server_files"]
    assert rights(postgres, database, "GRANT pg_execute_server_program TO {role}") == [
        "member of pg_execute_server_program"
    ]


def test_what_every_role_may_do_is_no_reason(make: Callable[[str], Made], postgres: Postgres) -> None:
    """Temporary tables, and functions anybody may execute, are not counted."""
    database = make("postgres")
    database.sql(*SCHEMA)
    name = connection_of(database.url)["database"]
    assert (
        rights(postgres, database, f"GRANT TEMP ON DATABASE {name} TO {{role}}", "GRANT pg_read_all_data TO {role}")
        == []
    )


def test_rights_through_other_roles_are_told(make: Callable[[str], Made], postgres: Postgres) -> None:
    """A role's rights are also those it inherits, those it can take on, and those of everybody."""
    database = make("postgres")
    database.sql(*SCHEMA)
    writer = connection_of(postgres.new_role(database.url, "GRANT INSERT ON orders TO {role}", name="writer"))["user"]
    maker = connection_of(postgres.new_role(database.url, options="CREATEDB", name="maker"))["user"]
    assert rights(postgres, database, f"GRANT {writer} TO {{role}}") == ["INSERT on orders"]
    assert rights(postgres, database, f"GRANT {writer} TO {{role}}", options="NOINHERIT") == ["INSERT on orders"]
    assert rights(postgres, database, f"GRANT {maker} TO {{role}}") == [f"CREATEDB (by SET ROLE {maker})"]
    database.sql("GRANT DELETE ON customers TO PUBLIC")
    assert rights(postgres, database) == ["DELETE on customers"]


def test_what_a_role_owns_is_told(make: Callable[[str], Made], postgres: Postgres) -> None:
    database = make("postgres")
    database.sql(*SCHEMA)
    told = rights(postgres, database, "ALTER TABLE customers OWNER TO {role}")
    assert "owner of table customers" in told
    assert "INSERT, UPDATE, DELETE, TRUNCATE on customers" in told


def test_the_remedy_makes_a_role_that_passes_and_can_read(make: Callable[[str], Made], postgres: Postgres) -> None:
    database = make("postgres")
    database.sql(
        *SCHEMA,
        "INSERT INTO orders VALUES (1, 'x')",
        "GRANT DELETE ON customers TO PUBLIC",
        "GRANT CREATE ON SCHEMA public TO PUBLIC",
    )
    told = preflight(database.connection, None)
    assert told["rights"] == ["SUPERUSER"]
    writer = postgres.new_role(database.url, "GRANT INSERT ON orders TO {role}")
    told = preflight(connection_of(writer), None)
    assert told["rights"] == ["CREATE on schema public", "DELETE on customers", "INSERT on orders"]
    remedy = told["remedy"]
    assert connection_of(writer)["password"] not in remedy
    name = next(line.split('"')[1] for line in remedy.splitlines() if line.startswith("CREATE ROLE"))
    assert name.startswith(READER)
    try:
        database.sql(remedy)
        reader = connection_of(url_with(database.url, user=name, password=PASSWORD))
        assert preflight(reader, None)["rights"] == []
        with psycopg.connect(url_with(database.url, user=name, password=PASSWORD)) as driver:
            assert driver.execute('SELECT count(*) FROM orders, "Other"."odd ""name"').fetchone() == (0,)
    finally:
        database.sql(f'DROP OWNED BY "{name}"', f'DROP ROLE "{name}"')


def test_nothing_is_left_of_the_attempt_to_create_a_table(make: Callable[[str], Made], postgres: Postgres) -> None:
    database = make("postgres")
    database.sql("CREATE TABLE orders (id integer)")

    def tables() -> list[Any]:
        with psycopg.connect(database.url) as driver:
            return driver.execute("SELECT relname FROM pg_class WHERE relname LIKE 'cataloger%'").fetchall()

    preflight(database.connection, None)
    assert tables() == []
