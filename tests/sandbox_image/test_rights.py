"""Every way PostgreSQL knows to let a role write, each with a real role; and what is no way."""

from collections.abc import Callable

import psycopg
import pytest
from cataloger_sandbox.preflight import preflight

from tests.sandbox_image.conftest import connection_of
from tests.services.postgres import Postgres

pytestmark = pytest.mark.postgres

SHOP = (
    "CREATE TABLE orders (id integer PRIMARY KEY, note text)",
    "CREATE TABLE customers (id serial)",
    "CREATE TABLE days (day date) PARTITION BY RANGE (day)",
    "CREATE VIEW recent AS SELECT * FROM orders",
    "CREATE MATERIALIZED VIEW totals AS SELECT count(*) AS n FROM orders",
    "CREATE EXTENSION postgres_fdw",
    "CREATE SERVER elsewhere FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host '127.0.0.1', port '1')",
    "CREATE FOREIGN TABLE remote (x integer) SERVER elsewhere",
    'CREATE SCHEMA "Other"',
    'CREATE TABLE "Other"."odd ""name" (x integer)',
    "CREATE SEQUENCE tickets",
    "CREATE FUNCTION one() RETURNS integer LANGUAGE sql AS 'SELECT 1'",
    "CREATE TYPE mood AS ENUM ('calm')",
    "SELECT lo_create(424242)",
)

Say = Callable[..., list[str]]


@pytest.fixture(scope="module")
def shop(postgres: Postgres) -> str:
    """The superuser's URL of a database with something of everything."""
    url = made(postgres)
    postgres.execute(url, *SHOP)
    return url


def made(postgres: Postgres) -> str:
    """Make an empty database where PUBLIC may not create tables, as it is by default from PostgreSQL 15 on."""
    url = postgres.new_database()
    postgres.execute(url, "REVOKE CREATE ON SCHEMA public FROM PUBLIC")
    return url


def version(postgres: Postgres) -> int:
    with psycopg.connect(postgres.url) as driver:
        return driver.info.server_version // 10000


def role_of(url: str) -> str:
    return str(connection_of(url)["user"])


@pytest.fixture
def said(postgres: Postgres, shop: str) -> Say:
    """What the pre-flight says that a new reader with some grants could write."""

    def found(*grants: str, options: str = "", url: str = shop, read: str = "rights") -> list[str]:
        reader = postgres.new_role(
            url, "GRANT SELECT ON ALL TABLES IN SCHEMA public TO {role}", *grants, options=options
        )
        return list(preflight(connection_of(reader), None)[read])

    return found


def test_a_role_that_may_select_can_write_nothing(said: Say) -> None:
    assert said() == []


@pytest.mark.parametrize("option", ["CREATEDB", "CREATEROLE", "REPLICATION", "BYPASSRLS", "SUPERUSER"])
def test_an_attribute_is_told(said: Say, option: str) -> None:
    assert said(options=option) == [option]


@pytest.mark.parametrize(
    ("grant", "right"),
    [
        ("INSERT ON orders", "INSERT on orders"),
        ("UPDATE ON orders", "UPDATE on orders"),
        ("DELETE ON orders", "DELETE on orders"),
        ("TRUNCATE ON orders", "TRUNCATE on orders"),
        ("TRIGGER ON orders", "TRIGGER on orders"),
        ("DELETE, INSERT ON orders", "INSERT, DELETE on orders"),
        ("INSERT (note) ON orders", "INSERT on orders"),
        ("UPDATE (note) ON orders", "UPDATE on orders"),
        ("INSERT ON recent", "INSERT on recent"),
        ("UPDATE (id) ON recent", "UPDATE on recent"),
        ("INSERT ON days", "INSERT on days"),
        ("INSERT ON remote", "INSERT on remote"),
        ('DELETE ON "Other"."odd ""name"', 'DELETE on Other.odd "name'),
        ("UPDATE ON pg_catalog.pg_class", "UPDATE on pg_catalog.pg_class"),
        ("INSERT ON information_schema.sql_parts", "INSERT on information_schema.sql_parts"),
        ("UPDATE ON SEQUENCE tickets", "UPDATE on sequence tickets"),
        ("CREATE ON SCHEMA public", "CREATE on schema public"),
        ('CREATE ON SCHEMA "Other"', "CREATE on schema Other"),
        ("CREATE ON SCHEMA information_schema", "CREATE on schema information_schema"),
        ("UPDATE ON LARGE OBJECT 424242", "UPDATE on 1 large object"),
    ],
)
def test_a_granted_right_is_told(said: Say, grant: str, right: str) -> None:
    assert said(f"GRANT {grant} TO {{role}}") == [right]


def test_create_on_the_database_is_told(said: Say, shop: str) -> None:
    name = connection_of(shop)["database"]
    assert said(f"GRANT CREATE ON DATABASE {name} TO {{role}}") == [f"CREATE on database {name}"]


def test_a_right_that_came_with_a_later_version_is_told(said: Say, postgres: Postgres, shop: str) -> None:
    number = version(postgres)
    if number >= 15:
        reading = group(postgres, shop)
        for word, told in [
            ("ALTER SYSTEM", [f"ALTER SYSTEM on parameter work_mem (through role {reading})"]),
            ("SET", []),
        ]:
            postgres.execute(shop, f"GRANT {word} ON PARAMETER work_mem TO {reading}")
            assert said(f"GRANT {reading} TO {{role}}") == told
            postgres.execute(shop, f"REVOKE {word} ON PARAMETER work_mem FROM {reading}")
    if number >= 17:
        assert said("GRANT MAINTAIN ON totals TO {role}") == ["MAINTAIN on totals"]


@pytest.mark.parametrize(
    ("grant", "right"),
    [
        ("INSERT, DELETE ON orders", "INSERT, DELETE on orders (every role has it)"),
        ("UPDATE (note) ON orders", "UPDATE on orders (every role has it)"),
        ("UPDATE ON SEQUENCE tickets", "UPDATE on sequence tickets (every role has it)"),
        ('CREATE ON SCHEMA "Other"', "CREATE on schema Other (every role has it)"),
        ("UPDATE ON LARGE OBJECT 424242", "UPDATE on 1 large object (every role has it)"),
    ],
)
def test_what_everybody_may_write_is_told(said: Say, postgres: Postgres, shop: str, grant: str, right: str) -> None:
    postgres.execute(shop, f"GRANT {grant} TO PUBLIC")
    try:
        assert said() == [right]
        assert said(f"GRANT {grant} TO {{role}}") == [right.removesuffix(" (every role has it)")]
    finally:
        postgres.execute(shop, f"REVOKE {grant} FROM PUBLIC")


@pytest.mark.parametrize("name", [
    "pg_write_all_data", "pg_write_server_files", "pg_execute_server_program", "pg_signal_backend", "pg_checkpoint",
    "pg_create_subscription", "pg_maintain", "pg_signal_autovacuum_worker",
])  # fmt: skip
def test_membership_in_a_role_that_acts_on_the_server_is_told(said: Say, postgres: Postgres, name: str) -> None:
    if exists(postgres, name):
        assert said(f"GRANT {name} TO {{role}}") == [f"member of {name}"]


def test_membership_in_any_other_role_of_the_servers_own_is_no_reason(said: Say, postgres: Postgres) -> None:
    """The list of those that count is complete: the others let read, or lend what is told otherwise."""
    with psycopg.connect(postgres.url) as driver:
        names = [row[0] for row in driver.execute("SELECT rolname FROM pg_roles WHERE rolname ~ '^pg_' ORDER BY 1")]
    passing = [name for name in names if name != "pg_database_owner" and not said(f"GRANT {name} TO {{role}}")]
    reading = ["pg_monitor", "pg_read_all_data", "pg_read_all_settings", "pg_read_all_stats", "pg_read_server_files"]
    reading += ["pg_stat_scan_tables", "pg_use_reserved_connections"]
    assert passing == [name for name in reading if name in names]


def exists(postgres: Postgres, role: str) -> bool:
    with psycopg.connect(postgres.url) as driver:
        return driver.execute("SELECT FROM pg_roles WHERE rolname = %s", [role]).fetchone() is not None


@pytest.mark.parametrize(
    ("grant", "owned"),
    [
        ("ALTER TABLE customers OWNER TO {role}", ["sequence customers_id_seq", "table customers"]),
        ("ALTER VIEW recent OWNER TO {role}", ["view recent"]),
        ("ALTER SEQUENCE tickets OWNER TO {role}", ["sequence tickets"]),
        ("ALTER FUNCTION one() OWNER TO {role}", ["function one()"]),
        ("ALTER TYPE mood OWNER TO {role}", ["type mood"]),
        ('ALTER SCHEMA "Other" OWNER TO {role}', ["schema Other"]),
        ("ALTER LARGE OBJECT 424242 OWNER TO {role}", ["large object 424242"]),
        ("ALTER SERVER elsewhere OWNER TO {role}", ["server elsewhere"]),
    ],
)
def test_what_a_role_owns_is_told(said: Say, postgres: Postgres, grant: str, owned: list[str]) -> None:
    url = made(postgres)
    postgres.execute(url, *SHOP)
    assert said(grant, url=url) == [f"owner of {each}" for each in owned]


def test_the_owner_of_the_database_is_told(said: Say, postgres: Postgres) -> None:
    url = made(postgres)
    name = connection_of(url)["database"]
    assert said(f"ALTER DATABASE {name} OWNER TO {{role}}", url=url) == [f"owner of database {name}"]


def test_of_many_rights_some_are_named_and_the_others_counted(said: Say, postgres: Postgres) -> None:
    url = made(postgres)
    postgres.execute(url, *(f"CREATE TABLE t{number} (x integer)" for number in range(45)))
    told = said("GRANT INSERT ON ALL TABLES IN SCHEMA public TO {role}", url=url)
    assert (len(told), told[-1]) == (41, "the like on 5 more tables")
    told = said(*(f"ALTER TABLE t{number} OWNER TO {{role}}" for number in range(45)), url=url)
    assert (len(told), told[-1]) == (41, "owner of 5 more objects")


def test_a_right_inherited_through_several_roles_is_told_with_the_one_that_has_it(
    said: Say, postgres: Postgres, shop: str
) -> None:
    writer = group(postgres, shop, "GRANT INSERT ON orders TO {role}")
    between = group(postgres, shop, f"GRANT {writer} TO {{role}}")
    assert said(f"GRANT {between} TO {{role}}") == [f"INSERT on orders (through role {writer})"]
    # Not inherited, it is a SET ROLE away.
    assert said(f"GRANT {between} TO {{role}}", options="NOINHERIT") == [f"INSERT on orders (through role {writer})"]
    assert said(f"GRANT {between} TO {{role}}", "GRANT INSERT ON orders TO {role}") == ["INSERT on orders"]
    maker = group(postgres, shop, options="CREATEDB")
    assert said(f"GRANT {maker} TO {{role}}") == [f"CREATEDB (by SET ROLE {maker})"]
    chief = group(postgres, shop, options="SUPERUSER")
    assert said(f"GRANT {chief} TO {{role}}", "GRANT INSERT ON orders TO {role}") == [
        f"SUPERUSER (by SET ROLE {chief})"
    ]
    owner = group(postgres, shop, "ALTER SEQUENCE tickets OWNER TO {role}")
    try:
        assert said(f"GRANT {owner} TO {{role}}") == [f"owner of sequence tickets (through role {owner})"]
    finally:
        postgres.execute(shop, "ALTER SEQUENCE tickets OWNER TO CURRENT_USER")
    signaller = group(postgres, shop, "GRANT pg_signal_backend TO {role}")
    assert said(f"GRANT {signaller} TO {{role}}") == ["member of pg_signal_backend"]
    reading = group(postgres, shop, "GRANT SELECT ON orders TO {role}")
    assert said(f"GRANT {reading} TO {{role}}") == []


def group(postgres: Postgres, url: str, *grants: str, options: str = "") -> str:
    return role_of(postgres.new_role(url, *grants, options=options, name="group"))


@pytest.mark.parametrize(
    ("inherit", "set_role", "admin", "write", "create"),
    [
        (True, True, False, True, True),
        (True, False, False, True, False),
        (False, True, False, True, True),
        (False, False, False, False, False),
        (False, False, True, True, True),
    ],
)
def test_a_membership_counts_as_its_options_say(
    said: Say, postgres: Postgres, shop: str, inherit: bool, set_role: bool, admin: bool, write: bool, create: bool
) -> None:
    """From PostgreSQL 16 on: privileges are inherited or not, attributes need SET ROLE, ADMIN can get itself both."""
    if version(postgres) < 16:
        pytest.skip("memberships have options from PostgreSQL 16 on")
    writer = group(postgres, shop, "GRANT INSERT ON orders TO {role}", options="CREATEDB")
    options = f"INHERIT {inherit}, SET {set_role}, ADMIN {admin}"
    told = said(f"GRANT {writer} TO {{role}} WITH {options}")
    assert (f"INSERT on orders (through role {writer})" in told) is write
    assert (f"CREATEDB (by SET ROLE {writer})" in told) is create
    # A role that is inherited alone can't be taken, so neither can one behind it that asks for SET ROLE.
    behind = group(postgres, shop, f"GRANT {writer} TO {{role}} WITH INHERIT FALSE, SET TRUE")
    assert said(f"GRANT {behind} TO {{role}} WITH INHERIT TRUE, SET FALSE") == []


def test_who_may_grant_a_role_changes_its_members(said: Say, postgres: Postgres, shop: str) -> None:
    reading = group(postgres, shop)
    right = f"ADMIN OPTION on role {reading}, so it can change who is a member"
    assert said(f"GRANT {reading} TO {{role}} WITH ADMIN OPTION") == [right]


def test_a_role_that_puts_on_another_at_its_login_is_told_for_what_it_is(postgres: Postgres, shop: str) -> None:
    """``ALTER ROLE … SET role`` shows a reader, and RESET ROLE is all it takes to be the writer again."""
    reading = group(postgres, shop, "GRANT SELECT ON ALL TABLES IN SCHEMA public TO {role}")
    for options, grant, right in [("", "GRANT INSERT ON orders TO {role}", "INSERT on orders"), ("SUPERUSER", "", "")]:
        url = postgres.new_role(
            shop, f"GRANT {reading} TO {{role}}", f"ALTER ROLE {{role}} SET role TO {reading}", *filter(None, [grant]),
            options=options,
        )  # fmt: skip
        with psycopg.connect(url) as driver:
            assert driver.execute("SELECT current_user").fetchone() == (reading,)
        told = preflight(connection_of(url), None)
        assert (told["role"], told["rights"]) == (role_of(url), [right or options])


def test_what_every_role_may_do_is_no_reason(said: Say, postgres: Postgres, shop: str) -> None:
    """Temporary tables, and functions that anybody may execute, are not counted."""
    name = connection_of(shop)["database"]
    assert said(f"GRANT TEMP ON DATABASE {name} TO {{role}}", "GRANT REFERENCES ON orders TO {role}") == []
    assert said("ALTER DEFAULT PRIVILEGES FOR ROLE {role} GRANT SELECT ON TABLES TO PUBLIC") == []
    assert said("CREATE USER MAPPING FOR {role} SERVER elsewhere OPTIONS (user 'x', password 'y')") == []


def test_notes_tell_what_is_more_than_reading_and_no_reason(said: Say, postgres: Postgres) -> None:
    url = made(postgres)
    closing = "REVOKE EXECUTE ON FUNCTION pg_catalog.lo_creat(integer), pg_catalog.lo_create(oid), "
    closing += "pg_catalog.lo_from_bytea(oid, bytea) FROM PUBLIC;"
    assert said(url=url, read="notes") == [
        f"It may make large objects, as every role may unless that is taken from PUBLIC: {closing}"
    ]
    postgres.execute(
        url,
        closing,
        "CREATE SEQUENCE tickets",
        "CREATE FUNCTION wipe() RETURNS void LANGUAGE sql SECURITY DEFINER AS 'SELECT'",
        "CREATE FUNCTION not_for_everybody() RETURNS void LANGUAGE sql SECURITY DEFINER AS 'SELECT'",
        "REVOKE EXECUTE ON FUNCTION not_for_everybody() FROM PUBLIC",
        "CREATE FUNCTION fires() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS 'BEGIN RETURN new; END'",
        "CREATE SCHEMA closed",
        "CREATE FUNCTION closed.wipe() RETURNS void LANGUAGE sql SECURITY DEFINER AS 'SELECT'",
    )
    wiping = "It may call functions that act with their owners' rights (SECURITY DEFINER): wipe."
    assert said(url=url, read="notes") == [wiping]
    assert said(url=url) == []
    postgres.execute(url, "DROP FUNCTION wipe()")
    assert said("GRANT USAGE ON SEQUENCE tickets TO {role}", url=url, read="notes") == [
        "It may draw numbers from sequences, which leaves gaps: USAGE on tickets."
    ]
    assert said("GRANT USAGE ON SEQUENCE tickets TO {role}", url=url) == []
    assert said("GRANT pg_read_server_files TO {role}", url=url, read="notes") == [
        "It may read any file that the server can: it is a member of pg_read_server_files."
    ]
    postgres.execute(
        url,
        "CREATE EXTENSION dblink",
        "CREATE EXTENSION postgres_fdw",
        "CREATE SERVER elsewhere FOREIGN DATA WRAPPER postgres_fdw",
    )
    reaching = "It may call functions that act beyond its session: those of dblink."
    assert said(url=url, read="notes") == [reaching]
    login = "CREATE USER MAPPING FOR {role} SERVER elsewhere OPTIONS (user 'x', password 'y')"
    assert said(login, "GRANT USAGE ON FOREIGN SERVER elsewhere TO {role}", url=url, read="notes") == [
        reaching,
        "By dblink it reaches what the logins stored for it may do at elsewhere.",
    ]


def test_before_postgresql_15_everybody_may_create_in_public(said: Say, postgres: Postgres) -> None:
    url = postgres.new_database()
    if version(postgres) >= 15:
        assert said(url=url) == []
    else:
        assert said(url=url) == ["CREATE on schema public (every role has it, by default before PostgreSQL 15)"]
