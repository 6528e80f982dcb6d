"""MySQL and MariaDB as the kit measures them: odd types and names, texts that it takes for equal, a server lost."""

import json
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest
from cataloger_sandbox import claims
from cataloger_sandbox.connect import connect
from cataloger_sandbox.engines import losses
from cataloger_sandbox.engines.mysql import MySQLEngine
from cataloger_sandbox.engines.open import open_engine
from cataloger_sandbox.errors import DatabaseProblem
from cataloger_sandbox.kit import reopen

from cataloger_dagster.facts import Facts
from tests.sandbox_image.conftest import Made
from tests.sandbox_image.measured import column_of, facts_of, table_of
from tests.services.mariadb import MariaDB

ODD = """CREATE TABLE `odd ``one` (
    id int unsigned PRIMARY KEY AUTO_INCREMENT,
    `select` enum('a','B') NOT NULL COMMENT 'one of two', `naïve ü` varchar(80),
    city varchar(20) CHARACTER SET latin1, born date, flag bit(1), tags set('x','y'), doc json, big bigint unsigned,
    y year, t time, spot point, price decimal(12,2), ratio float, bytes blob, at timestamp NULL, UNIQUE (big)
) COMMENT = 'Strange'"""

FLIGHTS = [(i, ("EWR", "JFK")[i % 2], (i * 3) % 104, 40 + i % 60 if i % 250 else -9 - i % 7) for i in range(1, 1001)]


def connection_of(url: str) -> dict[str, Any]:
    """Return the connection of a server's URL."""
    parts = urlsplit(url)
    return {
        "backend": "mysql",
        "host": parts.hostname,
        "port": parts.port,
        "user": unquote(parts.username or ""),
        "password": unquote(parts.password or ""),
        "database": unquote(parts.path[1:]),
    }


@pytest.fixture(scope="module")
def shop(mariadb: MariaDB) -> str:
    """The URL, for its reader, of a database of strange types and names."""
    url = mariadb.new_database(
        ODD,
        "CREATE TABLE orders (id int PRIMARY KEY, odd_id int unsigned, status varchar(12), who varchar(20), "
        "FOREIGN KEY (odd_id) REFERENCES `odd ``one` (id))",
        "CREATE TABLE people (name varchar(20) PRIMARY KEY)",
        "CREATE TABLE visits (name varchar(20), n int, FOREIGN KEY (name) REFERENCES people (name))",
        "CREATE TABLE `empty one` (a int, b text)",
        "CREATE TABLE weather (origin varchar(3), hour_no int, temp double)",
        "CREATE TABLE flights (flight_no int, origin varchar(3), hour_no int, quantity int)",
        "CREATE TABLE gone (a int)",
        "CREATE VIEW broken AS SELECT a FROM gone",
        "DROP TABLE gone",
        "CREATE VIEW statuses AS SELECT status, count(*) AS n FROM orders GROUP BY status",
    )
    mariadb.insert(
        url,
        "odd `one",
        [
            (
                i,
                "aB"[i % 2],
                None if i % 2 else "it's a \\ back`slash",
                ["Zürich", "Bern"][i % 2],
                "0000-00-00" if i % 100 == 0 else f"19{50 + i % 50}-01-{1 + i % 28:02d}",
                i % 2,
                ["x", "x,y"][i % 2],
                json.dumps({"n": i}),
                18446744073709551616 - i,
                1990 + i % 30,
                "25:10:00" if i % 7 == 0 else "10:00:00",
                None,
                i * 1.25,
                i * 0.5,
                b"\xff\x00",
                "2024-01-02 03:04:05",
            )
            for i in range(1, 401)
        ],
    )
    statuses = ["open", "closed", "sent"]
    rows = [(i, 1 + i % 390, "Open" if i in (7, 8) else statuses[i % 3], f"Name{i % 40}") for i in range(1200)]
    mariadb.insert(url, "orders", rows)
    mariadb.execute(url, "INSERT INTO people VALUES ('Ann'), ('Bob')")
    mariadb.insert(url, "visits", [(["ANN", "bob", "Bob"][i % 3], i) for i in range(60)])
    mariadb.insert(url, "weather", [(o, h, h / 2) for o in ("EWR", "JFK") for h in range(100)])
    mariadb.insert(url, "flights", FLIGHTS)
    return mariadb.new_reader(url)


@pytest.fixture(scope="module")
def facts(shop: str) -> Facts:
    return facts_of(Made("mysql", connection_of(shop)))


def test_types_that_no_other_database_has_are_measured(facts: Facts) -> None:
    assert facts.engine.startswith("mariadb 1")
    odd = table_of(facts, "odd `one")
    assert (odd.rows, odd.comment, odd.primary_key) == (400, "Strange", ["id"])
    assert ["big"] in odd.keys

    def column(name: str) -> Any:
        return column_of(facts, "odd `one", name)

    assert column("big").max == "18446744073709551615"
    assert (column("select").distinct, column("select").nullable, column("select").comment) == (2, False, "one of two")
    assert column("born").min == "0000-00-00"
    assert column("born").histogram is None
    assert [list(each) for each in column("flag").top] == [[0, 200], [1, 200]]
    assert column("y").mean == pytest.approx(sum(1990 + i % 30 for i in range(1, 401)) / 400)
    assert column("t").top[1][0] == "25:10:00"
    assert column("price").mean == pytest.approx(1.25 * 200.5)
    assert column("ratio").quantiles["0.5"] == 100
    assert (column("doc").type, column("doc").distinct, column("doc").top) == ("json", 400, None)
    assert (column("spot").nulls, column("spot").distinct) == (400, None)
    assert (column("bytes").distinct, column("bytes").min) == (1, None)
    assert column("at").min == "2024-01-02T03:04:05"
    assert [value for value, _ in column("naïve ü").top] == ["it's a \\ back`slash"]
    assert [value for value, _ in column("city").top] == ["Bern", "Zürich"]
    assert sum(column("price").histogram.counts) == 400
    skipped = {item.column for item in facts.coverage.skipped if item.table == "odd `one"}
    assert skipped == {"doc", "spot"}


def test_a_broken_view_is_listed_with_the_reason_and_fails_nothing(facts: Facts) -> None:
    assert list(facts.coverage.tables) == [8, 9]
    [broken] = [item for item in facts.coverage.skipped if item.table == "broken"]
    assert "references invalid table" in broken.reason
    assert (table_of(facts, "empty one").rows, table_of(facts, "statuses").kind) == (0, "view")


def test_texts_that_differ_in_case_alone_are_told_apart(facts: Facts) -> None:
    """The server's own collation takes Open for open; what is counted and found must not."""
    status = column_of(facts, "orders", "status")
    assert status.distinct == 4
    assert status.top is not None
    assert {str(value): count for value, count in status.top}["Open"] == 2
    [variant] = [each for each in facts.findings if each.table == "orders"]
    assert (variant.kind, variant.columns, variant.rows) == ("case_or_space_variant", ["status"], 2)


def test_a_reference_holds_where_the_server_says_so(facts: Facts) -> None:
    declared = {tuple(each.from_[1]): each.orphans for each in facts.references if each.declared}
    assert declared == {("odd_id",): 0, ("name",): 0}


def test_every_query_of_a_page_gives_the_same_again(shop: str, facts: Facts) -> None:
    rerun = claims.rerun(connection_of(shop), [{"id": each.id, "sql": each.sql} for each in facts.queries], 20.0)
    assert [each["error"] for each in rerun if each["error"]] == []
    found = next(each for each in facts.findings if each.kind == "case_or_space_variant")
    assert next(each["row"] for each in rerun if each["id"] == found.query)["rows"] == 2
    sql = next(each.sql for each in facts.queries if each.id == found.query)
    assert "`status` COLLATE utf8mb4_nopad_bin" in sql


def test_more_than_a_query_is_none_and_one_that_takes_too_long_is_ended(shop: str) -> None:
    asked = ["DELETE FROM orders", "SELECT 1; SELECT 2", "SELECT sleep(30)", "SELECT 'a' AS x UNION SELECT 'b'"]
    results = claims.measure(connection_of(shop), [{"id": str(i), "query": sql} for i, sql in enumerate(asked)], 0.5)
    assert [each["value"] for each in results] == [None, None, None, "a"]
    assert "it must be one query" in results[0]["error"]
    assert "took longer than 0.5 s" in results[2]["error"]


@pytest.mark.filterwarnings("ignore:The 'future.infer_string'")  # ibis's, of pandas
def test_a_session_queries_through_ibis(shop: str) -> None:
    con = connect(connection_of(shop))
    try:
        assert con.table("orders").count().execute() == 1200
        assert con.sql("SELECT status, count(*) AS n FROM orders GROUP BY 1").execute()["n"].sum() == 1200
    finally:
        con.disconnect()


@pytest.mark.filterwarnings("ignore:The 'future.infer_string'")  # ibis's, of pandas
def test_a_script_that_is_run_again_opens_the_same_kind_of_server(shop: str) -> None:
    con = reopen(shop)["con"]
    try:
        assert (con.name, con.table("orders").count().execute()) == ("mysql", 1200)
    finally:
        con.disconnect()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"password": "wrong-secret"}, "refuses user"),
        ({"database": "nowhere"}, "may not use 'nowhere'"),
        ({"port": 1}, "can't be reached"),
    ],
)
def test_why_a_server_can_not_be_used_is_said(shop: str, change: dict[str, Any], said: str) -> None:
    with pytest.raises(DatabaseProblem, match=said) as caught, open_engine(connection_of(shop) | change):
        pass
    assert "wrong-secret" not in str(caught.value)


def test_a_server_that_is_lost_on_the_way_is_our_failure(mariadb: MariaDB, shop: str) -> None:
    with open_engine(connection_of(shop)) as engine:
        [[number]] = engine.fetch("SELECT connection_id() AS n").rows
        mariadb.execute(mariadb.url, f"KILL {number}")
        with pytest.raises(DatabaseProblem, match="was lost in the middle"):
            engine.fetch("SELECT 1")


def killing(mariadb: MariaDB, monkeypatch: pytest.MonkeyPatch, table: str, times: int) -> list[int]:
    """Have the server end the connection, so many times, while *table* is profiled; return which were ended."""
    rows, ended = MySQLEngine.rows, []

    def fatal(self: MySQLEngine, sql: str, *args: Any) -> Any:
        if f"`{table}`" in sql and "nulls" in sql and len(ended) < times:
            ended.append(self._driver.thread_id())
            mariadb.execute(mariadb.url, f"KILL {ended[-1]}")
        return rows(self, sql, *args)

    monkeypatch.setattr(MySQLEngine, "rows", fatal)
    return ended


def test_a_connection_that_is_ended_costs_the_table_at_hand_and_is_told(
    mariadb: MariaDB, shop: str, facts: Facts, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended = killing(mariadb, monkeypatch, "weather", 1)
    found = facts_of(Made("mysql", connection_of(shop), shop))
    assert len(ended) == 1
    reasons = {item.table: item.reason for item in found.coverage.skipped if item.column is None}
    assert reasons.pop("weather") == "it can't be read: the connection to the server was lost"
    assert reasons.keys() == {item.table for item in facts.coverage.skipped if item.column is None}
    assert found.coverage.notes == [
        "the connection to the server was lost once; what was measured after that is of a later state of the data"
    ]
    others = {table.name: table.rows for table in facts.tables if table.name != "weather"}
    assert {table.name: table.rows for table in found.tables if table.name != "weather"} == others


def test_who_ends_the_connection_again_and_again_is_obeyed(
    mariadb: MariaDB, shop: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(losses, "LOSSES", 1)
    for table in ("flights", "weather"):
        killing(mariadb, monkeypatch, table, 1)
    with pytest.raises(DatabaseProblem, match="was lost in the middle"):
        facts_of(Made("mysql", connection_of(shop), shop))


def test_the_rows_of_a_findings_evidence_are_those_at_fault(mariadb: MariaDB, shop: str, facts: Facts) -> None:
    at_fault = {
        "orphan_foreign_key:flights:hour_no,origin": {row[0] for row in FLIGHTS if row[2] >= 100},
        "impossible_value:flights:quantity": {row[0] for row in FLIGHTS if row[3] < 0},
        "case_or_space_variant:orders:status": {7, 8},
    }
    found = {each.id: each for each in facts.findings}
    for key, ids in at_fault.items():
        (rows,) = mariadb.execute(shop, facts.query_by_id[found[key].query].sql)
        assert (found[key].rows, {row[1] for row in rows}) == (len(ids), ids)
