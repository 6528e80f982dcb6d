"""Profiles compared with what plain Python makes of the same rows, on every engine."""

import math
import random
import statistics
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from cataloger_sandbox.claims import rerun
from cataloger_sandbox.engines.pg import PgEngine

from cataloger_dagster.facts import Column, Facts, column_facts
from tests.sandbox_image.conftest import Made
from tests.sandbox_image.measured import column_of, facts_of, table_of

SHARES = {"0.05": 1 / 20, "0.25": 1 / 4, "0.5": 1 / 2, "0.75": 3 / 4, "0.95": 19 / 20}


def rows_of(seed: int, count: int) -> list[tuple[Any, ...]]:
    chance = random.Random(seed)
    words = ["red", "green", "blue", "naïve", "日本", "", "o'clock", "<b>x</b>"]
    return [
        (
            number,
            chance.choice([None, *range(12)]),
            round(chance.lognormvariate(3, 1), 3),
            chance.choice([*words, None]),
            None,
            chance.randrange(-(10**6), 10**6),
        )
        for number in range(count)
    ]


COLUMNS = ["id integer", "few integer", "amount double precision", "word varchar", "void varchar", "wide integer"]
NAMES = ["id", "few", "amount", "word", "void", "wide"]


def compare(column: Column, values: Sequence[Any], engine: str) -> None:
    """Assert that a profile is what Python finds in *values*."""
    filled = sorted(value for value in values if value is not None)
    assert column.nulls == len(values) - len(filled)
    assert column.distinct == len(set(filled))
    assert column.distinct_method == "exact"
    if not filled:
        assert column.min is column.max is column.mean is None
        assert not column.top
        return
    assert (column.min, column.max) == (filled[0], filled[-1])
    counted = sorted(Counter(filled).items(), key=lambda item: (-item[1], item[0]))[:10]
    if len(set(filled)) <= 5000:
        assert column.top == counted
    if isinstance(filled[0], str):
        lengths = [len(value) for value in filled]
        assert column.lengths is not None
        assert (column.lengths.min, column.lengths.max) == (min(lengths), max(lengths))
        assert column.lengths.mean == pytest.approx(statistics.fmean(lengths))
        return
    assert column.mean == pytest.approx(statistics.fmean(filled))
    if len(filled) == 1:
        assert column.std is None
    else:
        assert column.std == pytest.approx(statistics.stdev(filled))
    assert column.quantiles_error is None
    assert column.quantiles == {
        share: filled[math.ceil(round(part * len(filled), 9)) - 1] for share, part in SHARES.items()
    }
    if filled[0] == filled[-1]:
        assert column.histogram is None
        return
    assert column.histogram is not None
    assert (column.histogram.low, column.histogram.high) == (filled[0], filled[-1])
    size = len(column.histogram.counts)
    assert size == (min(20, filled[-1] - filled[0] + 1) if isinstance(filled[0], int) else 20)
    bins = Counter(min(size - 1, int((value - filled[0]) * size / (filled[-1] - filled[0]))) for value in filled)
    differ = sum(abs(bins[index] - count) for index, count in enumerate(column.histogram.counts))
    assert differ <= 4  # a value on the line between two bins may fall either way
    assert sum(column.histogram.counts) == len(filled)


@pytest.mark.parametrize("count", [2, 140, 6000])
def test_every_number_is_what_python_finds_in_the_same_rows(database: Made, count: int) -> None:
    rows = rows_of(count, count)
    database.load("things", COLUMNS, rows)
    facts = facts_of(database)
    assert table_of(facts, "things").rows == count
    for index, name in enumerate(NAMES):
        compare(column_of(facts, "things", name), [row[index] for row in rows], database.engine)


def test_every_fact_comes_back_from_the_tables_own_queries(database: Made) -> None:
    """Running a table's queries again gives each of its facts under its output name."""
    database.load("things", COLUMNS, rows_of(5, 500))
    facts = facts_of(database)
    table = table_of(facts, "things")
    again: dict[str, Any] = {}
    wanted = [{"id": query, "sql": facts.query_by_id[query].sql} for query in table.queries]
    for result in rerun(database.connection, wanted, 30):
        assert result["error"] is None
        again |= result["row"]
    assert again["rows"] == 500
    for index, column in enumerate(table.columns):
        for fact, value in column_facts(column).items():
            if fact != "type" and value is not None:
                measured = again[f"c{index}_{fact}"]
                assert measured == value or measured == pytest.approx(value), (column.name, fact)


def test_the_listing_comes_first_and_counts_the_tables(database: Made) -> None:
    """queries[0] lists what is there; its first column is the number of tables and views."""
    database.sql("CREATE TABLE a (x integer)", "CREATE TABLE b (y integer)", "CREATE VIEW c AS SELECT x FROM a")
    facts = facts_of(database)
    [result] = rerun(database.connection, [{"id": "q1", "sql": facts.queries[0].sql}], 30)
    assert next(iter(result["row"].values())) == 3
    assert {table.name: table.kind for table in facts.tables} == {"a": "table", "b": "table", "c": "view"}


def test_an_empty_table_has_its_columns_and_no_values(database: Made) -> None:
    database.sql("CREATE TABLE unused (a integer, b varchar(10), c timestamp)")
    facts = facts_of(database)
    table = table_of(facts, "unused")
    assert table.rows == 0
    assert [(column.nulls, column.distinct, column.min, column.top) for column in table.columns] == [
        (0, 0, None, None)
    ] * 3
    assert facts.coverage.columns == (3, 3)


def test_a_database_without_tables_is_measured(database: Made) -> None:
    facts = facts_of(database)
    assert facts.tables == []
    assert facts.coverage.tables == (0, 0)
    assert len(facts.queries) >= 1


HOSTILE = [
    "with space",
    'double"quote',
    "single'quote",
    "dot.ted",
    "日本語 ☃",
    "<script>alert(1)</script>",
    "select",
    "semi;colon--",
    "back\\slash %s {x} ?",
    "UPPER",
    "tab\tnew\nline",
]


def quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def test_any_name_is_only_a_name(database: Made) -> None:
    """Tables and columns with quotes, dots, markup, placeholders and line breaks are measured like others."""
    for name in HOSTILE:
        columns = [f"{quoted(other)} integer" for other in HOSTILE]
        database.load(quoted(name), columns, [tuple(range(len(HOSTILE))), tuple([None] * len(HOSTILE))])
    facts = facts_of(database)
    assert {table.name for table in facts.tables} == set(HOSTILE)
    for table in facts.tables:
        assert table.rows == 2
        assert [column.name for column in table.columns] == HOSTILE
        assert [column.max for column in table.columns] == list(range(len(HOSTILE)))
        assert all(column.nulls == 1 for column in table.columns)
    assert facts.coverage.skipped == []


def test_two_hundred_columns_are_all_profiled(database: Made) -> None:
    columns = [f"column_{index:03d} {'integer' if index % 2 else 'varchar'}" for index in range(200)]
    rows = [tuple(line * index if index % 2 else f"v{line * index}" for index in range(200)) for line in range(50)]
    database.load("wide", columns, rows)
    facts = facts_of(database)
    assert facts.coverage.columns == (200, 200)
    assert column_of(facts, "wide", "column_199").max == 49 * 199
    assert column_of(facts, "wide", "column_198").top[0] == ("v0", 1)  # type: ignore[index]
    assert facts.coverage.skipped == []


def test_long_texts_are_cut(database: Made) -> None:
    database.load("notes", ["body varchar"], [("x" * 5000,), ("y" * 200,)])
    column = column_of(facts_of(database), "notes", "body")
    assert column.min == "x" * 200 + "…"
    assert column.max == "y" * 200
    assert column.top == [("x" * 200 + "…", 1), ("y" * 200, 1)]
    assert column.lengths is not None
    assert column.lengths.max == 5000


def test_whole_numbers_that_json_would_round_are_strings(database: Made) -> None:
    database.load("big", ["n bigint"], [(2**53 + 1,), (-(2**63),), (2**63 - 1,), (5,)])
    column = column_of(facts_of(database), "big", "n")
    assert (column.min, column.max) == (str(-(2**63)), str(2**63 - 1))
    assert (5, 1) in (column.top or [])
    assert (str(2**53 + 1), 1) in (column.top or [])
    assert column.skipped is None


def test_nan_and_infinity_are_strings_and_left_out_of_the_mean(database: Made) -> None:
    values = [1.0, 2.0, 3.0, math.inf, -math.inf]
    if database.engine != "sqlite":  # SQLite stores NaN as null
        values.append(math.nan)
    database.load("readings", ["x double precision"], [(value,) for value in values])
    column = column_of(facts_of(database), "readings", "x")
    assert column.min == "-Infinity"
    assert column.max == ("Infinity" if database.engine == "sqlite" else "NaN")
    assert column.mean == pytest.approx(2.0)
    assert column.std == pytest.approx(1.0)
    assert column.quantiles is not None
    assert column.quantiles["0.5"] == 2.0
    assert column.histogram is not None
    assert (column.histogram.low, column.histogram.high) == (1.0, 3.0)
    assert sum(column.histogram.counts) == 3
    assert column.skipped is not None
    assert "infinite" in column.skipped
    assert ("Infinity", 1) in (column.top or [])


def test_a_view_that_fails_is_listed_with_the_reason(database: Made) -> None:
    database.sql("CREATE TABLE good (x integer)", "CREATE TABLE gone (y varchar)", "INSERT INTO gone VALUES ('a')")
    if database.engine == "postgres" or database.engine == "duckdb":
        database.sql("CREATE VIEW broken AS SELECT y::integer AS z FROM gone")
    else:
        database.sql("CREATE VIEW broken AS SELECT y AS z FROM gone", "DROP TABLE gone")
    facts = facts_of(database)
    assert table_of(facts, "good").rows == 0
    broken = table_of(facts, "broken")
    reasons = {(item.table, item.column): item.reason for item in facts.coverage.skipped}
    if database.engine == "sqlite":
        assert broken.rows is None
        assert "gone" in reasons["broken", None]
    else:
        assert broken.rows == 1  # counting does not need the value
        assert broken.columns[0].nulls is None
        assert "integer" in reasons["broken", "z"].lower() or "INT32" in reasons["broken", "z"]


def test_a_column_that_fails_leaves_the_others_measured(database: Made) -> None:
    if database.engine == "sqlite":
        pytest.skip("SQLite has no value that fails in an aggregate")
    database.sql(
        "CREATE TABLE source (a integer, b varchar)",
        "INSERT INTO source VALUES (1, 'x'), (2, '7')",
        "CREATE VIEW mixed AS SELECT a, CAST(b AS integer) AS failing, a * 10 AS c FROM source",
    )
    facts = facts_of(database)
    table = table_of(facts, "mixed")
    assert table.rows == 2
    assert [column.nulls for column in table.columns] == [0, None, 0]
    assert table.columns[2].max == 20
    assert table.columns[1].skipped is not None
    assert facts.coverage.columns == (4, 5)


def test_hidden_tables_give_counts_only(database: Made) -> None:
    """No value of a hidden table is in the facts, in a finding or in what an evidence query returns."""
    secret = 987654
    database.load(
        "salaries", ["id integer", "pay integer", "name varchar"], [(i, secret, "Zaphod") for i in range(150)]
    )
    facts = facts_of(database, hidden=["sal*"])
    table = table_of(facts, "salaries")
    assert table.hidden
    assert (table.rows, table.columns[1].distinct, table.columns[1].nulls) == (150, 1, 0)
    dumped = facts.model_dump_json()
    assert str(secret) not in dumped
    assert "Zaphod" not in dumped
    queries = [{"id": query.id, "sql": query.sql} for query in facts.queries]
    results = str(rerun(database.connection, queries, 30))
    assert str(secret) not in results
    assert "Zaphod" not in results
    assert {finding.columns[0] for finding in facts.findings} == {"pay", "name"}


def test_without_values_no_table_shows_any(database: Made) -> None:
    database.load(
        "people",
        ["id integer", "name varchar", "seen timestamp"],
        [(i, "Zaphod", "2024-01-01 00:00:00") for i in range(5)],
    )
    facts = facts_of(database, values=False)
    table = table_of(facts, "people")
    assert not table.hidden
    assert table.rows == 5
    assert table.newest is None
    assert [column.distinct for column in table.columns] == [5, 1, 1]
    assert all(c.min is c.top is c.quantiles is c.histogram is c.lengths is None for c in table.columns)
    assert "Zaphod" not in facts.model_dump_json()


def test_globs_choose_the_tables(database: Made) -> None:
    database.sql(*(f"CREATE TABLE {name} (x integer)" for name in ("orders", "order_items", "tmp_a", "customers")))
    assert [t.name for t in facts_of(database, tables=["order*", "tmp_*"], exclude=["tmp_*"]).tables] == [
        "order_items",
        "orders",
    ]


def test_the_newest_time_is_the_last_that_has_come(database: Made) -> None:
    """Dates in the future, like a plan's, do not make a table look fresh."""
    rows = [(1, "1990-01-01", "2024-05-01 10:00:00"), (2, "1991-01-01", "2999-01-01 00:00:00")]
    database.load("people", ["id integer", "birth_date date", "created_at timestamp"], rows)
    newest = table_of(facts_of(database), "people").newest
    assert newest is not None
    assert newest.column == "created_at"
    assert newest.value.replace("T", " ") == "2024-05-01 10:00:00"


def test_a_column_declared_a_time_tells_the_newest_before_a_text_of_a_telling_name(database: Made) -> None:
    rows = [("2024-05-01 10:00:00", "10.0.0.1", "Ada", "x"), ("2024-05-02 11:00:00", "10.0.0.2", "Bob", "y")]
    names = ["booked timestamp", "added_address text", "last_update text", "created text"]
    database.load("bookings", names, rows)
    newest = table_of(facts_of(database), "bookings").newest
    assert newest is not None
    assert (newest.column, newest.value.replace("T", " ")) == ("booked", "2024-05-02 11:00:00")


def test_the_same_database_gives_the_same_facts(database: Made) -> None:
    database.load("things", COLUMNS, rows_of(1, 300))

    def still(facts: Facts) -> dict[str, Any]:
        return facts.model_dump(exclude={"queries"})

    assert still(facts_of(database)) == still(facts_of(database))


def test_a_table_dropped_in_the_middle_is_listed_with_the_reason(
    make: Callable[[str], Made], monkeypatch: pytest.MonkeyPatch, postgres: object
) -> None:
    """Another session drops a table between the listing and its turn: the others are measured."""
    database = make("postgres")
    database.load("kept", ["x integer"], [(1,)])
    database.load("doomed", ["x integer"], [(1,)])
    listing = PgEngine.catalog

    def listing_then_drop(self: PgEngine, *arguments: Any) -> Any:
        listed = listing(self, *arguments)
        database.sql("DROP TABLE doomed")
        return listed

    monkeypatch.setattr(PgEngine, "catalog", listing_then_drop)
    facts = facts_of(database)
    assert {table.name: table.rows for table in facts.tables} == {"doomed": None, "kept": 1}
    assert [column.name for column in table_of(facts, "doomed").columns] == ["x"]
    assert [(item.table, "doomed" in item.reason) for item in facts.coverage.skipped] == [("doomed", True)]


def test_one_moment_is_measured_while_others_write(
    make: Callable[[str], Made], monkeypatch: pytest.MonkeyPatch, postgres: object
) -> None:
    """Rows that come while we measure are not in any count: all tables are of one moment."""
    database = make("postgres")
    database.load("first", ["x integer"], [(1,)])
    database.load("second", ["x integer"], [(1,)])
    listing = PgEngine.catalog

    def listing_then_insert(self: PgEngine, *arguments: Any) -> Any:
        listed = listing(self, *arguments)
        database.sql("INSERT INTO first VALUES (2)", "INSERT INTO second VALUES (2)")
        return listed

    monkeypatch.setattr(PgEngine, "catalog", listing_then_insert)
    assert {table.name: table.rows for table in facts_of(database).tables} == {"first": 1, "second": 1}
