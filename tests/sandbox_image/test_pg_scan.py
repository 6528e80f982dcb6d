"""What PostgreSQL's scan leaves to others is measured all the same, and exactly: each value against plain SQL."""

import itertools
import re
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import psycopg
import pytest
from cataloger_sandbox.engines.base import Limits, QueryFailed, Rows
from cataloger_sandbox.engines.pg import PgEngine

from cataloger_dagster.facts import Facts
from tests.sandbox_image.conftest import Made, connection_of
from tests.sandbox_image.measured import column_of, facts_of, table_of

pytestmark = pytest.mark.postgres

ROWS = 4_000
LARGE = Limits(exact_rows=1_000, sample_rows=500, top_distinct=50)
"""A table of so few rows is large."""

HUNDRED = "1" * 60 + "." + "7" * 40

NUMBERS = {
    "small": "(i % 7)::int2",
    "whole": "i",
    "few": "CASE WHEN i % 3 > 0 THEN i % 20 END",
    "big": "CASE WHEN i % 2 = 0 THEN 9223372036854775807 - i ELSE -9223372036854775807 + i END",
    "close": "9000000000000000000 + i % 1000",
    "same": "9007199254740993::int8",
    "price": "((i * 37 % 1000) / 100.0)::numeric(12, 2)",
    "digits": f"{HUNDRED} + i",
    "few_digits": f"{HUNDRED} + i % 5",
    "fine": "i * 1e-90::numeric",
    "nan": "CASE WHEN i % 9 = 0 THEN 'NaN'::numeric ELSE i / 8.0 END",
    "few_nan": "CASE WHEN i % 9 = 0 THEN 'NaN'::numeric ELSE i % 8 END",
    "odd": "CASE i % 50 WHEN 0 THEN 'NaN' WHEN 1 THEN 'Infinity' WHEN 2 THEN '-Infinity' ELSE sqrt(i) END::float8",
    "single": "(i % 1000 / 8.0)::float4",
    "never": "NULL::numeric",
    "doubled": "i * 2",
    "domain": "(i % 11)::positive",
}
TEXTS = {
    "few_texts": "(ARRAY['', 'é', 'z', 'Z', 'ä', 'Äpfel', '😀😀'])[1 + i % 7]",
    "texts": "CASE WHEN i % 5 = 0 THEN '' ELSE repeat('ß', i % 30) || i END",
    "fixed": "(i % 300 || 'ü')::char(12)",
    "named": "('n' || i)::name",
    "short": "('v' || i % 4000)::varchar(20)",
    "nothing": "NULL::text",
}
TIMES = {"day": "date '2001-01-01' + i % 30", "at": "timestamp '2020-01-01' + i * interval '1 minute'"}


def load(database: Made, analyzed: bool, collation: str = "") -> None:
    """Fill a table with hostile values, and have the server look at it or not."""
    listed = [f'{sql} AS "{name}"' for name, sql in (NUMBERS | TIMES).items()]
    listed += [f'({sql}){collation if name != "named" else ""} AS "{name}"' for name, sql in TEXTS.items()]
    database.sql(
        "CREATE DOMAIN positive AS integer CHECK (VALUE >= 0)",
        f"CREATE TABLE hostile AS SELECT {', '.join(listed)}, ARRAY[i % 4] AS list "
        f"FROM generate_series(1, {ROWS}) AS i",
        "ALTER TABLE hostile ALTER whole SET NOT NULL, ADD made int8 GENERATED ALWAYS AS (whole * 3) STORED",
        *(["ANALYZE hostile"] if analyzed else []),
    )


def one(database: Made, sql: str) -> tuple[Any, ...]:
    """Return the first row that plain SQL gives."""
    with psycopg.connect(database.url) as con:
        found = con.execute(sql.encode()).fetchone()
    assert found is not None
    return found


def check(database: Made, facts: Facts, table: str = "hostile") -> None:
    """Compare everything that the scan measures or leaves to others with plain SQL."""
    for name in [*NUMBERS, "made"]:
        column = column_of(facts, table, name)
        finite = f"\"{name}\"::text NOT IN ('NaN', 'Infinity', '-Infinity')"
        low, high, filled, mean, std, odd = one(
            database,
            f'SELECT min("{name}")::text, max("{name}")::text, count("{name}"), '
            f'avg("{name}"::numeric) FILTER (WHERE {finite}), stddev_samp("{name}"::numeric) FILTER (WHERE {finite}), '
            f"count(*) FILTER (WHERE NOT {finite}) FROM {table}",
        )
        assert column.nulls == ROWS - filled, name
        if not filled:
            assert column.min is column.max is column.mean is column.std is None
            continue
        for shown, truth in ((column.min, low), (column.max, high)):
            same = shown == truth or (truth != "NaN" and Decimal(str(shown)) == Decimal(truth))
            assert same, (name, shown, truth)
        assert column.mean == pytest.approx(float(mean), rel=1e-12), name
        assert column.std == pytest.approx(float(std), rel=1e-9), name
        assert (f"{odd} values are NaN or infinite" in str(column.skipped)) == (odd > 0), name
    for name in TEXTS:
        column = column_of(facts, table, name)
        text = f'"{name}"::text COLLATE "C"'
        truth = one(
            database,
            f'SELECT min({text}), max({text}), min(length("{name}"::text)), max(length("{name}"::text)), '
            f'avg(length("{name}"::text)), count(*) - count("{name}") FROM {table}',
        )
        lengths = column.lengths
        assert (column.min, column.max, column.nulls) == (*truth[:2], truth[5]), name
        if lengths is None:
            assert truth[2] is None
        else:
            assert (lengths.min, lengths.max) == truth[2:4]
            assert lengths.mean == pytest.approx(float(truth[4]), rel=1e-12), name
    for name in TIMES:
        low, high = one(database, f'SELECT min("{name}"), max("{name}") FROM {table}')
        assert (column_of(facts, table, name).min, column_of(facts, table, name).max) == (
            low.isoformat(),
            high.isoformat(),
        )


@pytest.mark.parametrize(("analyzed", "large"), [*itertools.product((False, True), repeat=2)])
def test_every_value_is_what_plain_sql_says(
    make: Callable[[str], Made], postgres: object, analyzed: bool, large: bool
) -> None:
    database = make("postgres")
    load(database, analyzed)
    facts = facts_of(database, limits=LARGE if large else None)
    assert table_of(facts, "hostile").rows == ROWS
    check(database, facts)
    assert column_of(facts, "hostile", "list").distinct == 4
    few = column_of(facts, "hostile", "few").histogram
    assert few is not None
    assert (few.low, few.high) == (0, 19)
    with psycopg.connect(database.url) as con:
        truth = con.execute("SELECT count(*) FROM hostile WHERE few IS NOT NULL GROUP BY few ORDER BY few").fetchall()
    assert few.counts == [count for (count,) in truth]


def test_of_a_table_that_nobody_analyzed_the_ends_are_not_looked_for_again_for_each_value(
    make: Callable[[str], Made], postgres: object
) -> None:
    database = make("postgres")
    database.sql("CREATE TABLE fresh AS SELECT i / 7.0 AS exact, sqrt(i) AS near FROM generate_series(1, 300) AS i")
    facts = facts_of(database)
    assert column_of(facts, "fresh", "exact").histogram is not None

    def aggregates(plan: dict[str, Any]) -> list[float]:
        found = [plan["Actual Loops"]] if plan["Node Type"] == "Aggregate" else []
        return found + [loops for part in plan.get("Plans", ()) for loops in aggregates(part)]

    loops: list[float] = []
    with psycopg.connect(database.url) as con:
        for key in table_of(facts, "fresh").queries:
            [[[explained]]] = con.execute(f"EXPLAIN (ANALYZE, FORMAT JSON) {facts.query_by_id[key].sql}".encode())
            loops += aggregates(explained["Plan"])
    assert len(loops) > 5
    assert set(loops) == {1}


@pytest.mark.parametrize("large", [False, True])
def test_views_and_partitions_are_measured_alike(make: Callable[[str], Made], postgres: object, large: bool) -> None:
    database = make("postgres")
    load(database, analyzed=True)
    database.sql(
        "CREATE VIEW seen AS SELECT * FROM hostile",
        "CREATE TABLE parted (LIKE hostile INCLUDING ALL) PARTITION BY HASH (whole)",
        *(f"CREATE TABLE p{i} PARTITION OF parted FOR VALUES WITH (MODULUS 3, REMAINDER {i})" for i in range(3)),
    )
    listed = ", ".join(f'"{name}"' for name in [*NUMBERS, *TIMES, *TEXTS, "list"])
    database.sql(f"INSERT INTO parted ({listed}) SELECT {listed} FROM hostile", "ANALYZE parted")
    facts = facts_of(database, limits=LARGE if large else None)
    check(database, facts, "seen")
    check(database, facts, "parted")


def test_a_collation_that_takes_texts_for_equal_loses_none(make: Callable[[str], Made], postgres: object) -> None:
    """Of equal texts the groups have one; its case and length are not those of the others."""
    database = make("postgres")
    try:
        database.sql("CREATE COLLATION loose (provider = icu, locale = 'und-u-ks-level1', deterministic = false)")
    except psycopg.Error:
        pytest.skip("a server without ICU")
    database.sql(
        "CREATE TABLE t AS SELECT (ARRAY['ae', 'AE', 'æ', 'Ae'])[1 + i % 4] COLLATE loose AS x "
        "FROM generate_series(1, 400) AS i",
        "ANALYZE t",
    )
    column = column_of(facts_of(database), "t", "x")
    assert (column.min, column.max) == ("AE", "æ")
    assert column.lengths is not None
    assert (column.lengths.min, column.lengths.max, column.lengths.mean) == (1, 2, 1.75)


def test_the_order_of_texts_is_no_collations(make: Callable[[str], Made], postgres: object) -> None:
    database = make("postgres")
    try:
        database.sql("CREATE COLLATION words (provider = icu, locale = 'en')")
    except psycopg.Error:
        pytest.skip("a server without ICU")
    database.sql("CREATE TABLE t AS SELECT unnest(ARRAY['b', 'B', 'a', 'é', 'z']) COLLATE words AS x")
    for limits in (None, Limits(exact_rows=2, sample_rows=2, top_distinct=1)):
        column = column_of(facts_of(database, limits=limits), "t", "x")
        assert (column.min, column.max) == ("B", "é")


def test_columns_declared_not_null_are_not_counted_unless_a_child_may_break_it(
    make: Callable[[str], Made], postgres: object
) -> None:
    database = make("postgres")
    database.sql(
        "CREATE TABLE plain (id int NOT NULL, x int)",
        "INSERT INTO plain VALUES (1, NULL), (2, 3)",
        "CREATE TABLE parent (id int)",
        "CREATE TABLE child () INHERITS (parent)",
        "INSERT INTO child VALUES (NULL), (1)",
    )
    with psycopg.connect(database.url, autocommit=True) as con:
        bent = con.info.server_version < 180000  # since then a parent's constraint is its children's
        if bent:
            con.execute("ALTER TABLE ONLY parent ALTER id SET NOT NULL")
    facts = facts_of(database)
    assert [column.nulls for column in table_of(facts, "plain").columns] == [0, 1]
    asked = next(query.sql for query in facts.queries if query.id == table_of(facts, "plain").queries[0])
    assert 'count("id")' not in asked
    assert column_of(facts, "parent", "id").nulls == 1


@pytest.mark.parametrize("kind", ["date", "timestamp", "timestamptz"])
def test_the_newest_time_is_none_of_the_future(make: Callable[[str], Made], postgres: object, kind: str) -> None:
    database = make("postgres")
    database.sql(
        f"CREATE TABLE t (id int, updated_at {kind})",
        "INSERT INTO t VALUES (1, '2019-05-06'), (2, '2020-01-02'), (3, '2999-01-01'), (4, 'infinity')",
    )
    newest = table_of(facts_of(database), "t").newest
    assert newest is not None
    assert newest.value.startswith("2020-01-02")
    database.sql("DELETE FROM t WHERE id > 2")
    newest = table_of(facts_of(database), "t").newest
    assert newest is not None
    assert newest.value.startswith("2020-01-02")


def test_a_value_measured_again_leads_to_the_query_that_gave_it(make: Callable[[str], Made], postgres: object) -> None:
    database = make("postgres")
    database.sql("CREATE TABLE t AS SELECT unnest(ARRAY['NaN', 1, 2]::float8[]) AS x")
    facts = facts_of(database)
    claim = facts.resolve("t.x.mean")
    assert claim.value == 1.5
    with psycopg.connect(database.url) as con:
        cursor = con.execute(facts.query_by_id[claim.query].sql.encode())
        [row] = cursor.fetchall()
        assert dict(zip([item.name for item in cursor.description or ()], row, strict=True))["c0_mean"] == 1.5
    assert "count(*) AS rows" in facts.query_by_id[facts.resolve("t.rows").query].sql


def test_nulls_that_the_statistics_missed_are_counted(make: Callable[[str], Made], postgres: object) -> None:
    database = make("postgres")
    database.sql(
        "CREATE TABLE t (a int, b text, c int, d int, e int NOT NULL) WITH (autovacuum_enabled = off)",
        "INSERT INTO t SELECT i, i, i, nullif(i % 3, 0), i FROM generate_series(1, 3000) AS i",
        "ANALYZE t",
        "CREATE VIEW v AS SELECT * FROM t",
    )
    facts = facts_of(database)
    asked = [query.sql for query in facts.queries if query.id in table_of(facts, "t").queries]
    assert 'num_nulls("a", "b", "c")' in asked[0]
    assert [column.nulls for column in table_of(facts, "t").columns] == [0, 0, 0, 1000, 0]
    database.sql("UPDATE t SET b = NULL WHERE a <= 2", "UPDATE t SET a = NULL WHERE c = 7")
    for table in ("t", "v"):
        facts = facts_of(database, limits=LARGE)
        assert [column.nulls for column in table_of(facts, table).columns] == [1, 2, 0, 1000, 0]
    assert column_of(facts, "t", "b").distinct == 2998
    assert column_of(facts, "t", "a").mean == pytest.approx((3000 * 3001 / 2 - 7) / 2999)


def test_statistics_that_may_not_be_read_or_are_old_cost_no_fact(make: Callable[[str], Made], postgres: Any) -> None:
    database = make("postgres")
    database.sql(
        "CREATE TABLE t AS SELECT 1 AS x, 'a' AS y FROM generate_series(1, 4000)",
        "ANALYZE t",
        "ALTER TABLE t SET (autovacuum_enabled = off)",
        "UPDATE t SET x = c.n, y = c.n FROM (SELECT ctid AS c, row_number() OVER () AS n FROM t) AS c WHERE ctid = c.c",
    )
    column = column_of(facts_of(database, limits=LARGE), "t", "x")
    assert (column.min, column.max, column.mean, column.distinct) == (1, 4000, 2000.5, 4000)
    database.sql("REVOKE SELECT ON pg_stats FROM PUBLIC")
    reader = postgres.new_reader(database.url)
    connection = Made("postgres", connection_of(reader), reader)
    column = column_of(facts_of(connection, limits=LARGE), "t", "x")
    assert (column.min, column.max, column.mean, column.distinct) == (1, 4000, 2000.5, 4000)


def test_what_is_measured_apart_may_run_out_of_time(
    make: Callable[[str], Made], monkeypatch: pytest.MonkeyPatch, postgres: object
) -> None:
    database = make("postgres")
    load(database, analyzed=True)
    fetch = PgEngine.fetch

    def impatient(self: PgEngine, sql: str, seconds: float | None = None, limit: int | None = None) -> Rows:
        again = sql.startswith(("SELECT count(*) AS rows, ", "SELECT count(*) AS rows\nFROM"))
        if again or "LEFT JOIN LATERAL" in sql:
            raise QueryFailed("took longer than 300 s", late=True)
        return fetch(self, sql, seconds, limit)

    monkeypatch.setattr(PgEngine, "fetch", impatient)
    facts = facts_of(database, limits=LARGE)
    assert table_of(facts, "hostile").rows == ROWS
    late = column_of(facts, "hostile", "texts")
    assert late.min is late.lengths is None
    assert "took longer than 300 s" in str(late.skipped)
    assert column_of(facts, "hostile", "few_texts").max == "😀😀"
    assert column_of(facts, "hostile", "whole").mean == (ROWS + 1) / 2


def test_the_scans_have_parallel_workers_and_ask_for_a_length_once(
    make: Callable[[str], Made], postgres: object
) -> None:
    database = make("postgres")
    database.sql(
        "CREATE TABLE wide AS SELECT i AS id, i % 5 AS few, md5(i::text) AS token, i / 7.0 AS amount, "
        "timestamp '2020-01-01' + i * interval '1 s' AS at FROM generate_series(1, 20000) AS i",
        "ANALYZE wide",
    )
    facts = facts_of(database, limits=LARGE)
    asked = [query.sql for query in facts.queries if query.id in table_of(facts, "wide").queries]
    [scan] = [sql for sql in asked if "_nulls" in sql]
    [rest] = [sql for sql in asked if "LATERAL" in sql]
    assert not re.search(r'(min|avg|length)\("(few|token|amount)"', scan)
    with psycopg.connect(database.url) as con:
        con.execute("SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0; SET min_parallel_table_scan_size = 0")
        for sql in (scan, rest):
            plan = "\n".join(line for (line,) in con.execute(f"EXPLAIN (VERBOSE) {sql}".encode()))
            assert "Partial Aggregate" in plan
            assert "Parallel Seq Scan" in plan
        # The workers' scan computes it; all above refers to what it computed.
        assert re.search(r"Output: .*[ ,]length\(wide\.token\)", plan.split("Parallel Seq Scan")[1])
        assert "min((length(wide.token)))" in plan
