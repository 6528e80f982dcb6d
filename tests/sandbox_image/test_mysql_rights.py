"""The pre-flight of MySQL and MariaDB: who can write is refused, and the SQL it gives makes a user who can't."""

import re
import secrets
from typing import Any

import pytest
from cataloger_sandbox.engines.base import Native, QueryFailed, Rows
from cataloger_sandbox.engines.open import open_engine
from cataloger_sandbox.mysql_rights import read_user_rights
from cataloger_sandbox.preflight import preflight

from tests.sandbox_image.test_mysql import connection_of
from tests.services.mariadb import MariaDB
from tests.services.postgres import url_with


@pytest.fixture(scope="module")
def url(mariadb: MariaDB) -> str:
    return mariadb.new_database(
        "CREATE TABLE t_1 (a int PRIMARY KEY) ENGINE = InnoDB",
        "INSERT INTO t_1 VALUES (1), (2)",
        "CREATE TABLE loose (a int) ENGINE = Aria",
        "CREATE FUNCTION gone() RETURNS int MODIFIES SQL DATA BEGIN DELETE FROM t_1; RETURN 1; END",
        name="a_b%c",
    )


@pytest.mark.parametrize(
    ("grants", "found"),
    [
        (["GRANT SELECT ON {db}.* TO {user}"], []),
        (["GRANT SELECT, SHOW VIEW ON {db}.* TO {user}", "GRANT PROCESS, SHOW DATABASES ON *.* TO {user}"], []),
        (["GRANT SELECT, INSERT ON {db}.* TO {user}"], ["INSERT on"]),
        (["GRANT ALL ON {db}.* TO {user}"], ["ALL PRIVILEGES on"]),
        (["GRANT SELECT, UPDATE (a) ON {db}.t_1 TO {user}"], ["UPDATE on"]),
        (["GRANT SELECT ON {db}.* TO {user}", "GRANT FILE ON *.* TO {user}"], ["FILE on"]),
        (["GRANT SELECT ON {db}.* TO {user} WITH GRANT OPTION"], ["GRANT OPTION on"]),
        (["GRANT SELECT ON {db}.* TO {user}", "GRANT EXECUTE ON FUNCTION {db}.gone TO {user}"], ["EXECUTE on"]),
        (["GRANT SELECT, LOCK TABLES ON {db}.* TO {user}"], ["LOCK TABLES on"]),
    ],
)
def test_every_right_beyond_reading_is_told(mariadb: MariaDB, url: str, grants: list[str], found: list[str]) -> None:
    told = preflight(connection_of(mariadb.new_user(url, *grants)), None)
    assert [right[: len(each)] for right, each in zip(told["rights"], found, strict=True)] == found
    assert (told["remedy"] is None) == (not found)
    assert told["engine"].startswith("mariadb 1")
    assert "no parser looks at the rest" in told["forwarded"]


def test_a_right_by_a_role_counts_though_the_role_is_not_taken(mariadb: MariaDB, url: str) -> None:
    names = [f"role_{secrets.token_hex(4)}" for _ in range(3)]
    writing, between, reading = names
    try:
        mariadb.execute(
            url,
            *(f"CREATE ROLE {name}" for name in names),
            f"GRANT DELETE ON t_1 TO {writing}",
            f"GRANT {writing} TO {between}",
            f"GRANT SELECT ON t_1 TO {reading}",
        )
        writer = mariadb.new_user(url, "GRANT SELECT ON {db}.* TO {user}", f"GRANT {between} TO {{user}}")
        reader = mariadb.new_user(url, "GRANT SELECT ON {db}.* TO {user}", f"GRANT {reading} TO {{user}}")
        [right] = preflight(connection_of(writer), None)["rights"]
        assert right.startswith("DELETE on")
        assert f"by role `{between}`" in right
        assert preflight(connection_of(reader), None)["rights"] == []
    finally:
        mariadb.execute(url, *(f"DROP ROLE {name}" for name in names))


def test_the_remedy_makes_a_user_who_passes_and_can_change_nothing(mariadb: MariaDB, url: str) -> None:
    writer = mariadb.new_user(url, "GRANT ALL ON {db}.* TO {user}")
    remedy = preflight(connection_of(writer), None)["remedy"]
    name, password = f"reader_{secrets.token_hex(4)}", secrets.token_hex(8)
    own = remedy.replace("cataloger_reader", name).replace("choose-a-password", password)
    mariadb.execute(url, *(re.sub("^--.*\n", "", each).strip() for each in own.split(";") if each.strip()))
    reader = url_with(url, user=name, password=password)
    try:
        assert preflight(connection_of(reader), None)["rights"] == []
        attempts = [
            *("INSERT INTO t_1 VALUES (3)", "UPDATE t_1 SET a = 9", "DELETE FROM t_1", "TRUNCATE t_1"),
            *("CREATE TABLE made (a int)", "DROP TABLE t_1", "ALTER TABLE t_1 ADD b int", "CREATE INDEX i ON t_1 (a)"),
            *("INSERT INTO loose VALUES (1)", "CREATE USER mallory", "GRANT ALL ON *.* TO CURRENT_USER()"),
            *(
                "SELECT a FROM t_1 INTO OUTFILE '/tmp/cataloger-stolen'",
                "SELECT load_file('/etc/passwd') + (SELECT 1/0)",
            ),
            *("LOAD DATA INFILE '/etc/passwd' INTO TABLE t_1", "LOAD DATA LOCAL INFILE '/etc/passwd' INTO TABLE t_1"),
            *(
                "SELECT gone()",
                "SET GLOBAL max_connections = 1",
                "LOCK TABLES t_1 WRITE",
                "SELECT a FROM t_1 FOR UPDATE",
            ),
        ]
        # The last words of a session that tries it all: the read-only transaction switched off, then each way to write.
        with open_engine(connection_of(reader)) as engine:
            engine.fetch(Native("ROLLBACK"))
            engine.fetch(Native("SET SESSION TRANSACTION READ WRITE"))
            refused = [each for each in attempts if _is_refused(engine, each)]
        harmless = {attempts[12], attempts[-1]}  # the one gives null, the other a lock that ends with the session
        assert set(attempts) - set(refused) <= harmless
        assert mariadb.execute(url, "SELECT a FROM t_1", "SELECT a FROM loose", "SHOW TABLES LIKE 'made'") == [
            [(1,), (2,)],
            [],
            [],
        ]
        with open_engine(connection_of(reader)) as engine:
            assert engine.fetch(Native("SELECT load_file('/etc/passwd') AS x")).rows == [[None]]
    finally:
        mariadb.execute(url, f"DROP USER '{name}'@'%'")


def _is_refused(engine: Any, sql: str) -> bool:
    try:
        engine.fetch(Native(sql))
    except QueryFailed:
        return True
    return False


class Granting:
    """A server of MySQL's that says what it is told to: what a session is asked and answered there."""

    def __init__(self, *lines: str) -> None:
        self.lines = lines

    def fetch(self, sql: str) -> Rows:
        if "VERSION()" in sql:
            return Rows(["a", "b"], [["reader@%", "8.4.3"]])
        return Rows(["Grants"], [[line] for line in self.lines])


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("GRANT USAGE ON *.* TO `r`@`%`", []),
        (
            "GRANT SELECT, INSERT, APPLICATION_PASSWORD_ADMIN ON *.* TO `r`@`%`",
            ["INSERT", "APPLICATION_PASSWORD_ADMIN"],
        ),
        ("GRANT SELECT ON `a ON b TO ``c`.`INSERT` TO `r`@`%`", []),
        ("GRANT SELECT (`INSERT`, b), UPDATE (`c`) ON `d`.`t` TO `r`@`%`", ["UPDATE"]),
        ("GRANT PROXY ON ''@'' TO 'r'@'%'", ["PROXY"]),
        ("REVOKE INSERT ON `d`.* FROM `r`@`%`", []),
        ("ALLOW `r`@`%` TO DO ANYTHING", ["a right that is not known here"]),
    ],
)
def test_a_grant_is_read_whatever_its_names_are(line: str, found: list[str]) -> None:
    rights = read_user_rights(Granting(line)).found  # type: ignore[arg-type]
    assert [right[: len(each)] for right, each in zip(rights, found, strict=True)] == found
