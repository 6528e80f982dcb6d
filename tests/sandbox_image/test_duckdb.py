"""DuckDB's engine by itself: queries over few rows are planned once and by one thread, and give what others give."""

import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pytest
from cataloger_sandbox.dependencies import evidence, repeating
from cataloger_sandbox.engines.base import QueryFailed, Rows
from cataloger_sandbox.engines.duck import PIECES, DuckEngine

from tests.sandbox_image.conftest import Made
from tests.sandbox_image.measured import facts_of
from tests.sandbox_image.test_types import DUCKDB

VALUES = [
    "SELECT date '12000-01-01', 'infinity'::date, '-infinity'::date, date '9999-12-31', '0044-01-01 (BC)'::date",
    "SELECT date '2024-02-29', NULL::date, timestamp '2020-01-01 10:00:00.12', timestamp '2020-01-01'",
    "SELECT 'infinity'::timestamp, timestamp '9999-12-31 23:59:59.999999', timestamp '12000-01-01 00:00:00.5'",
    "SELECT 1.50::decimal(12,2), 1e20::decimal(38,4), 0.0000001::decimal(20,10), -0.05::decimal(5,2), 0::decimal(3,3)",
    "SELECT 'NaN'::double, '-infinity'::double, 1e300, 1.1::float, NULL::double, 12345678901234567890::ubigint",
    "SELECT [1.50::decimal(3,2), NULL], [date '12000-01-01', NULL], ['infinity'::date]",
    "SELECT [timestamp '2020-01-01 01:02:03.40', NULL], []::timestamp[], NULL::date[]",
    "SELECT histogram(x::INTEGER) FROM range(3) AS t(x)",
    "SELECT x::date FROM (VALUES ('2020-01-01'), (NULL), ('infinity'), ('2020-01-01')) AS t(x)",
    "SELECT 1 WHERE false",
]


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[DuckEngine]:
    path = tmp_path / "types.duckdb"
    with duckdb.connect(str(path)) as con:
        con.execute("CREATE TYPE mood AS ENUM ('sad', 'glad')")
        listed = ", ".join(f'{sql} AS "{name}"' for name, sql in DUCKDB.items())
        con.execute(f"CREATE TABLE every AS SELECT {listed}")
    found = DuckEngine(duckdb.connect(str(path), read_only=True))
    yield found
    found.close()


@pytest.mark.parametrize("sql", [*VALUES, *(f'SELECT "{name}", ["{name}"] FROM every' for name in DUCKDB)])
def test_a_value_of_a_small_table_is_what_it_is_of_a_large_one(engine: DuckEngine, sql: str) -> None:
    engine.expect(None)
    rows = engine.fetch(sql)
    engine.expect(10)
    assert engine.fetch(sql) == rows


def test_few_rows_get_one_thread_and_many_all_of_them(engine: DuckEngine) -> None:
    def threads() -> object:
        return engine.fetch("SELECT current_setting('threads')").rows[0][0]

    all_of_them = threads()
    assert isinstance(all_of_them, int)
    for rows, used in ((1_000, 1), (None, all_of_them), (122_880, 1), (122_881, all_of_them)):
        engine.expect(rows)
        assert threads() == used


def test_what_is_not_in_python_is_asked_again_as_text(engine: DuckEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    class Counting:
        def __init__(self, driver: duckdb.DuckDBPyConnection) -> None:
            self._driver = driver
            self.asked: list[str] = []

        def __getattr__(self, name: str) -> object:
            return getattr(self._driver, name)

        def execute(self, sql: str) -> object:
            self.asked.append(sql)
            return self._driver.execute(sql)

    counting = Counting(engine._driver)
    monkeypatch.setattr(engine, "_driver", counting)
    engine.expect(10)
    for sql, runs in (("SELECT date '2020-01-01', 1.5", 1), ("SELECT 'infinity'::date", 2), ("SELECT uuid()", 2)):
        counting.asked.clear()
        engine.fetch(sql)
        assert len([one for one in counting.asked if "SET" not in one]) == runs, sql


def test_large_and_small_tables_of_one_database_are_told_apart(
    make: Callable[[str], Made], monkeypatch: pytest.MonkeyPatch
) -> None:
    database, expected = make("duckdb"), []
    database.load("a_small", ["id integer"], [(i,) for i in range(200)])
    database.load("large", ["id integer"], [(i,) for i in range(900)])
    expect = DuckEngine.expect

    def noted(self: DuckEngine, rows: int | None, confined: bool = False) -> None:
        expected.append(rows)
        expect(self, rows, confined)

    monkeypatch.setattr(DuckEngine, "expect", noted)
    facts_of(database)
    assert {200, 900} <= set(expected)


def limit(engine: DuckEngine) -> object:
    return engine.fetch("SELECT current_setting('memory_limit')").rows[0][0]


def test_what_may_be_long_is_read_in_little_memory_but_where_there_are_too_many_rows(engine: DuckEngine) -> None:
    usual = limit(engine)
    for rows, confined in ((10, True), (PIECES * 2048, True), (PIECES * 2048 + 1, False), (None, False)):
        engine.expect(rows, confined=True)
        assert (limit(engine) != usual) == confined
        engine.expect(rows)
        assert limit(engine) == usual


def test_a_table_that_is_read_in_pieces_has_the_same_facts_and_findings(
    make: Callable[[str], Made], monkeypatch: pytest.MonkeyPatch
) -> None:
    database = make("duckdb")
    rows = [
        (i, "lorem ipsum " * 250 + str(i % 400), f"note {i % 5}", -999 if i % 60 == 3 else i % 50) for i in range(900)
    ]
    database.load("docs", ["id integer", "body varchar", "note varchar", "amount integer"], rows)
    database.load("other", ["id integer", "doc_id integer"], [(i, i % 700) for i in range(900)])
    database.sql("DELETE FROM docs WHERE id BETWEEN 300 AND 650")
    monkeypatch.setattr("cataloger_sandbox.engines.duck.LONG_BYTES", 64)
    monkeypatch.setattr("cataloger_sandbox.steps.LONG_BYTES", 100_000)
    whole = facts_of(database)
    fetch = DuckEngine.fetch

    def short_of_memory(self: DuckEngine, sql: str, *args: Any, **named: Any) -> Rows:
        if "AS b1" in sql and "UNION ALL" not in sql:
            raise QueryFailed("Out of Memory Error: could not allocate block")
        return fetch(self, sql, *args, **named)

    monkeypatch.setattr(DuckEngine, "fetch", short_of_memory)
    pieces = facts_of(database)
    assert any("rowid BETWEEN 5 AND 9\nUNION ALL" in query.sql for query in pieces.queries)
    assert pieces.tables == whole.tables
    assert pieces.findings == whole.findings
    assert pieces.references == whole.references
    assert whole.findings


def test_pairs_of_columns_are_ruled_out_by_what_all_evidence_would_say() -> None:
    chance = random.Random(3)
    for size in (0, 1, 5, 250, 1_250):
        columns = [
            [chance.choice([None, chance.randrange(min(size, kinds))]) for _ in range(size)]
            for kinds in (1, 3, 40, 2_000)
        ]
        columns.append([None] * size)
        pairs = [(left, right) for left in columns for right in columns]
        found = [evidence(*pair) for pair in pairs]
        numbered = np.array(
            [[[-1 if value is None else value for value in side] for side in pair] for pair in pairs], dtype=np.int64
        )
        rows, groups, breaking = repeating(numbered[:, 0], numbered[:, 1])
        assert rows.tolist() == [each.rows for each in found]
        assert groups.tolist() == [each.groups for each in found]
        assert breaking.tolist() == [each.breaking for each in found]
