"""A table that takes too long gets its share of the time and no more: what is known of it says so, the others go on."""

import re
from collections.abc import Callable
from time import perf_counter

import pytest
from cataloger_sandbox.engines.base import QueryFailed, Rows
from cataloger_sandbox.engines.duck import DuckEngine
from cataloger_sandbox.engines.lite import LiteEngine
from cataloger_sandbox.engines.pg import PgEngine
from cataloger_sandbox.journal import Journal

from cataloger_dagster.facts import Facts
from cataloger_dagster.report.catalog import catalog_page
from cataloger_dagster.report.safety import unsafe
from tests import samples
from tests.sandbox_image.conftest import Made
from tests.sandbox_image.measured import column_of, facts_of, table_of

ROWS = 3_000
SLOW = {"duckdb": DuckEngine, "sqlite": LiteEngine, "postgres": PgEngine}


@pytest.fixture
def slow(database: Made, monkeypatch: pytest.MonkeyPatch) -> Made:
    """A database with one table of which all that is more than a count or a sample takes too long."""
    rows = [(i, i % 100, f"person{i}@example.com", f"note {i % 7}") for i in range(ROWS)]
    database.load("heavy", ["id integer", "amount integer", "contact varchar", "note varchar"], rows)
    database.load("light", ["id integer", "status varchar"], [(i, ["new", "paid"][i % 2]) for i in range(200)])
    engine = SLOW[database.engine]
    fetch = engine.fetch

    def slowly(self: object, sql: str, seconds: float | None = None, limit: int | None = None) -> Rows:
        whole = '"heavy"' in sql and " AS part" not in sql and "count(*) AS rows\nFROM" not in sql
        if whole and ("nulls" in sql or "distinct" in sql):
            raise QueryFailed(f"took longer than {seconds:g} s", late=True)
        return fetch(self, sql, seconds, limit)  # type: ignore[arg-type]

    monkeypatch.setattr(engine, "fetch", slowly)
    monkeypatch.setattr("cataloger_sandbox.steps.PART_ROWS", 1_000)
    return database


def test_a_table_beyond_its_time_is_counted_and_sampled_and_says_so(slow: Made) -> None:
    facts = facts_of(slow, seconds=600)
    table, amount = table_of(facts, "heavy"), column_of(facts, "heavy", "amount")
    assert table.rows == ROWS
    [sample] = [item for item in facts.coverage.sampled if item.table == "heavy"]
    assert sample.of == ROWS
    assert 800 < sample.rows < 1_200
    assert "took longer than its share" in sample.method
    [skipped] = [item for item in facts.coverage.skipped if item.table == "heavy"]
    assert "not all of it can be read in time" in skipped.reason
    assert amount.quantiles_error is not None
    assert 0.04 < amount.quantiles_error < 0.08
    assert amount.quantiles is not None
    assert abs(float(str(amount.quantiles["0.5"])) - 49.5) <= 100 * amount.quantiles_error
    assert amount.histogram is not None
    assert amount.histogram.sampled
    exact = (amount.nulls, amount.distinct, amount.distinct_method, amount.min, amount.max, amount.mean, amount.top)
    assert set(exact) == {None}
    assert table.keys == []
    assert not [item for item in facts.findings if item.table == "heavy"]
    assert _shown_by(facts, "heavy", "c1_median")


def test_what_a_sampled_table_holds_is_labelled_all_the_same(slow: Made) -> None:
    assert column_of(facts_of(slow, seconds=600), "heavy", "contact").pii == "email"


def test_the_tables_beside_a_slow_one_are_measured_in_whole(slow: Made) -> None:
    facts = facts_of(slow, seconds=600)
    assert column_of(facts, "light", "status").top == [("new", 100), ("paid", 100)]
    assert table_of(facts, "light").keys == [["id"]]
    assert facts.coverage.tables == (2, 2)
    assert facts.coverage.columns == (2, 6)


@pytest.mark.postgres
def test_a_view_that_sleeps_costs_its_share_of_the_time_and_no_other_table(
    make: Callable[[str], Made], monkeypatch: pytest.MonkeyPatch
) -> None:
    database = make("postgres")
    monkeypatch.setattr("cataloger_sandbox.journal.TABLE_SECONDS", 2.0)
    database.load("orders", ["id integer", "status varchar"], [(i, f"s{i % 3}") for i in range(300)])
    database.sql(
        "CREATE VIEW a_sleeping AS SELECT id, status FROM orders WHERE pg_sleep(0.05) IS NOT NULL",
    )
    began = perf_counter()
    facts = facts_of(database, seconds=16)
    assert perf_counter() - began < 25
    reasons = {item.table: item.reason for item in facts.coverage.skipped}
    assert table_of(facts, "a_sleeping").rows is None
    assert "not all of it can be read in time: took longer than" in reasons["a_sleeping"]
    assert column_of(facts, "orders", "status").top == [("s0", 100), ("s1", 100), ("s2", 100)]


@pytest.mark.parametrize(("tables", "seconds"), [(1, 600), (2, 300), (4, 150), (500, 150)])
def test_a_table_gets_at_most_a_quarter_of_the_time_for_profiles(
    make: Callable[[str], Made], tables: int, seconds: float
) -> None:
    allowed: list[float | None] = []

    class Engine:
        def spoken(self, sql: str) -> str:
            return sql

        def fetch(self, sql: str, seconds: float | None = None) -> Rows:
            allowed.append(seconds)
            return Rows([], [])

    journal = Journal(Engine(), 1_000.0, 1_200.0)  # type: ignore[arg-type]
    journal.share(tables)
    journal.run("SELECT 1")
    journal.share(None)
    journal.run("SELECT 1")
    assert [round(one or 0) for one in allowed] == [seconds, 1_000]


def _shown_by(facts: Facts, table: str, output: str) -> bool:
    queries = [facts.query_by_id[key].sql for key in table_of(facts, table).queries]
    return any("AS part" in sql and (output in sql or "COLUMNS" in sql) for sql in queries)


def test_the_page_of_a_sampled_table_says_what_is_of_the_sample_and_what_is_missing(slow: Made) -> None:
    facts = facts_of(slow, seconds=600)
    page = catalog_page(samples.run(previous=None), facts, None, {}, [])
    assert unsafe(page.html) == []
    words = " ".join(re.sub(r"<[^>]*>", " ", page.html[page.html.index("<body") :]).split())
    begin = words.index("heavy 3,000 rows")
    text = words[begin : words.index("light 200 rows")]
    [sample] = [item for item in facts.coverage.sampled if item.table == "heavy"]
    assert "Not measured: not all of it can be read in time" in text
    assert f"{sample.rows:,} of {ROWS:,} rows, for what is marked ≈ or of a sample" in text
    assert "median ≈" in text
    assert "0 nulls" not in text
    assert f"{sample.rows:,} of {ROWS:,} rows stand for all: {sample.method}" in words
