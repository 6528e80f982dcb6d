"""Claims and page queries run again: read-only, one statement, for a limited time, errors as text."""

import time
from pathlib import Path

import pytest
from cataloger_sandbox import claims

from tests.sandbox_image.conftest import Made
from tests.sandbox_image.measured import facts_of

ENDLESS = {
    "duckdb": "SELECT sum(a.range * b.range) FROM range(10000000) a, range(10000000) b",
    "sqlite": "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n",
    "postgres": "SELECT pg_sleep(60)",
}


def value(database: Made, query: str, seconds: float = 20) -> tuple[object, str | None]:
    [result] = claims.measure(database.connection, [{"id": "it", "query": query, "note": None}], seconds)
    assert (result["id"], result["query"]) == ("it", query)
    return result["value"], result["error"]


def test_a_claims_value_is_the_first_of_the_first_row(database: Made) -> None:
    database.load("t", ["x integer", "d varchar"], [(3, "c"), (1, "a" * 500)])
    assert value(database, "SELECT x, d FROM t ORDER BY x DESC") == (3, None)
    assert value(database, "SELECT sum(x) FROM t; ") == (4, None)
    assert value(database, "SELECT d FROM t ORDER BY x -- the longest") == ("a" * 200 + "…", None)
    assert value(database, "SELECT NULL") == (None, None)
    assert value(database, "SELECT x FROM t WHERE x > 100") == (None, "the query returned no row")


def test_values_are_encoded_as_in_the_facts(database: Made) -> None:
    if database.engine == "sqlite":
        assert value(database, "SELECT 9e999") == ("Infinity", None)
        assert value(database, "SELECT 9007199254740993") == ("9007199254740993", None)
        return
    assert value(database, "SELECT 9007199254740993::bigint") == ("9007199254740993", None)
    assert value(database, "SELECT 1.50::decimal(10,2)") == ("1.50", None)
    assert value(database, "SELECT 'NaN'::float") == ("NaN", None)
    assert value(database, "SELECT '12345-06-07'::date") == ("12345-06-07", None)
    assert value(database, "SELECT '2024-01-01 10:00:00'::timestamp") == ("2024-01-01T10:00:00", None)


def test_mistakes_come_back_as_text_and_do_not_stop_the_rest(database: Made) -> None:
    database.load("t", ["x integer"], [(1,)])
    results = claims.measure(
        database.connection,
        [
            {"id": "a", "query": "SELECT nonsense FROM t", "note": None},
            {"id": "b", "query": "SELEC", "note": None},
            {"id": "c", "query": "", "note": None},
            {"id": "d", "query": "SELECT count(*) FROM t", "note": None},
        ],
        20,
    )
    assert [result["value"] for result in results] == [None, None, None, 1]
    assert [bool(result["error"]) for result in results] == [True, True, True, False]
    assert "nonsense" in results[0]["error"]


@pytest.mark.parametrize("statement", ["DELETE FROM t", "DROP TABLE t", "CREATE TABLE u (x integer)"])
def test_what_writes_is_refused(database: Made, statement: str) -> None:
    database.load("t", ["x integer"], [(1,)])
    for query in (statement, f"SELECT 1; {statement}"):
        _, error = value(database, query)
        assert error
    assert value(database, "SELECT count(*) FROM t") == (1, None)


def test_two_statements_are_refused(database: Made) -> None:
    assert value(database, "SELECT 1; SELECT 2")[1]


LINGERING = {
    "duckdb": [
        "CREATE TEMP TABLE t AS SELECT 99 AS x",
        "CREATE TEMP MACRO count(x) AS 99",
        "SET VARIABLE x = 1",
        "COMMIT",
        "EXPLAIN SELECT 1",
    ],
    "sqlite": [
        "CREATE TEMP TABLE t AS SELECT 99 AS x",
        "ATTACH DATABASE 'other.db' AS other",
        "PRAGMA query_only = OFF",
        "COMMIT",
    ],
    "postgres": [
        "CREATE TEMP TABLE t AS SELECT 99 AS x",
        "SELECT set_config('search_path', 'elsewhere', false)",
        "SET search_path = elsewhere",
        "COMMIT",
    ],
}


def test_a_claim_leaves_nothing_behind_that_the_next_one_would_read(database: Made) -> None:
    database.load("t", ["x integer"], [(1,), (2,)])
    if database.engine == "postgres":
        database.sql("CREATE SCHEMA elsewhere", "CREATE TABLE elsewhere.t (x integer)")
    lingering = LINGERING[database.engine]
    queries = [*lingering, "SELECT count(*) FROM t", "-- how many\n/* rows */ SELECT count(*) FROM t"]
    results = claims.measure(database.connection, [{"id": "it", "query": query} for query in queries], 20)
    assert [result["value"] for result in results[-2:]] == [2, 2]
    refused = [result for result in results[:-2] if "set_config" not in result["query"]]
    assert all("must be one query" in result["error"] for result in refused)
    assert not list(Path().glob("other.db"))


def test_a_query_that_does_not_end_is_ended(database: Made) -> None:
    began = time.monotonic()
    found, error = value(database, ENDLESS[database.engine], seconds=1)
    assert found is None
    assert error is not None
    assert "longer than 1 s" in error
    assert time.monotonic() - began < 15
    assert value(database, "SELECT 1") == (1, None)


def test_a_pages_queries_give_their_first_row_by_name(database: Made) -> None:
    database.load("t", ["x integer", "label varchar"], [(1, "a"), (2, "b"), (2, "b")])
    facts = facts_of(database)
    results = claims.rerun(database.connection, [{"id": q.id, "sql": q.sql} for q in facts.queries], 20)
    assert [result["error"] for result in results] == [None] * len(results)
    row = next(result["row"] for result in results if result["id"] == facts.tables[0].queries[0])
    assert row["rows"] == 3
    merged = {name: value for result in results for name, value in (result["row"] or {}).items()}
    assert (merged["c0_max"], merged["c1_top"], merged["c1_top_count"]) == (2, "b", 2)
    results = claims.rerun(
        database.connection, [{"id": "q1", "sql": "SELECT x FROM t WHERE x > 9"}, {"id": "q2", "sql": "SELECT no"}], 20
    )
    assert (results[0]["id"], results[0]["row"], results[0]["error"]) == ("q1", None, None)
    assert results[1]["row"] is None
    assert results[1]["error"]
