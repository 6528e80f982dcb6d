"""Large tables: what is exact stays exact, what is estimated says so and is as near to the truth as it says.

Most tests lower the limits, so that a few thousand rows are large; the truth is plain Python's.
"""

import functools
import math
import random
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from itertools import accumulate
from typing import Any

import pytest
from cataloger_sandbox.claims import rerun
from cataloger_sandbox.engines import estimate
from cataloger_sandbox.engines.base import Limits, QueryFailed, Rows
from cataloger_sandbox.engines.pg import PgEngine

from cataloger_dagster.facts import Column, Facts, column_facts
from tests.sandbox_image.conftest import Made
from tests.sandbox_image.measured import column_of, facts_of, table_of

LIMITS = Limits(exact_rows=2_000, sample_rows=3_000, top_distinct=300)
ROWS = 12_000
SAMPLING = ["duckdb", "sqlite", pytest.param("postgres", marks=pytest.mark.postgres)]

COLUMNS = {
    "id": "integer",
    "clustered": "integer",
    "periodic": "integer",
    "skewed": "double precision",
    "price": "decimal(12,2)",
    "few": "varchar(20)",
    "token": "varchar(40)",
    "seen_at": "timestamp",
    "day": "date",
    "void": "integer",
    "sparse": "integer",
    "mostly": "integer",
}
"""In order, in stretches of the same, coming back after many rows, with a long tail, nearly all the same; and so on."""

BEGIN = datetime(2021, 3, 1, tzinfo=UTC)


@functools.cache
def rows_of(count: int = ROWS) -> tuple[tuple[Any, ...], ...]:
    chance = random.Random(7)
    return tuple(
        (
            number,
            number // 4,
            number * 7919 % 5003,
            round(chance.lognormvariate(3, 2), 4),
            round(chance.uniform(-5000, 5000), 2),
            ["red", "green", "blue", None][number % 4],
            f"{chance.getrandbits(96):024x}",
            f"{BEGIN + timedelta(seconds=37 * number):%Y-%m-%d %H:%M:%S}",
            (BEGIN + timedelta(days=number % 200)).date().isoformat(),
            None,
            number if number % 20 == 0 else None,
            0 if number % 10 else chance.randrange(10**6),
        )
        for number in range(count)
    )


def load(database: Made, table: str = "large", rows: Sequence[Sequence[Any]] | None = None, key: bool = False) -> None:
    declared = {**COLUMNS, "id": "integer PRIMARY KEY"} if key else COLUMNS
    database.load(table, [f"{name} {kind}" for name, kind in declared.items()], rows_of() if rows is None else rows)


@pytest.fixture(params=SAMPLING)
def sampling(request: pytest.FixtureRequest, make: Callable[[str], Made]) -> Made:
    """An empty database of each engine that samples."""
    return make(request.param)


def mean(values: Iterable[float]) -> float:
    listed = list(values)
    return math.fsum(listed) / len(listed)


def deviation(values: Sequence[float]) -> float:
    middle = mean(values)
    return math.sqrt(math.fsum((value - middle) ** 2 for value in values) / (len(values) - 1))


def plain(value: Any) -> Any:
    """Return a value, of a row or of the facts, on a line where both can be compared."""
    if not isinstance(value, str):
        return float(value)
    try:
        return float(value)  # a decimal is a string in the facts
    except ValueError:
        return value.replace(" ", "T")


def check_quantiles(column: Column, values: Sequence[Any], slack: float = 1.0) -> None:
    """Assert that each quantile's rank among all *values* is as near as the column says."""
    error = (column.quantiles_error or 0.0) * slack
    ordered = sorted(plain(value) for value in values)
    assert column.quantiles is not None
    assert set(column.quantiles) == {"0.05", "0.25", "0.5", "0.75", "0.95"}
    for share, value in column.quantiles.items():
        low = bisect_left(ordered, plain(value)) / len(ordered)
        high = bisect_right(ordered, plain(value)) / len(ordered)
        assert low - error <= float(share) <= high + error + 1e-9, (column.name, share, value)


def check_bins(column: Column, values: Sequence[float], slack: float = 1.0) -> None:
    """Assert that the bars have the shape of all *values*: up to any edge the same share, but for the error."""
    histogram = column.histogram
    assert histogram is not None
    low, high, size = min(values), max(values), len(histogram.counts)
    assert (float(histogram.low), float(histogram.high)) == (low, high)  # type: ignore[arg-type]
    bins = Counter(min(size - 1, int((value - low) * size / (high - low))) for value in values)
    total = sum(histogram.counts)
    true = list(accumulate(bins[index] / len(values) for index in range(size)))
    found = list(accumulate(count / total for count in histogram.counts))
    error = (column.quantiles_error or 0.0) * slack + 3 / len(values)
    assert max(abs(a - b) for a, b in zip(true, found, strict=True)) <= error, column.name


def compare(column: Column, values: Sequence[Any], engine: str, slack: float = 1.0) -> None:
    """Assert that a column's whole profile is there, exact or as near to *values* as it says."""
    filled = [value for value in values if value is not None]
    truth = len(set(filled))
    assert column.skipped is None
    assert column.nulls == len(values) - len(filled)
    assert column.distinct is not None
    if column.distinct_method == "exact":
        assert column.distinct == truth, column.name
    else:
        assert engine != "sqlite"
        assert abs(column.distinct - truth) <= (column.distinct_error or 0) * truth, column.name
    if truth <= LIMITS.top_distinct and filled:
        counted = sorted(Counter(filled).items(), key=lambda item: (-item[1], item[0]))[:10]
        assert column.top == counted, column.name
        assert column.distinct_method == "exact"
    else:
        assert not column.top
    if not filled:
        return
    assert (plain(column.min), plain(column.max)) == (plain(min(filled)), plain(max(filled)))
    if isinstance(filled[0], str) and column.name not in ("seen_at", "day"):
        assert column.lengths is not None
        assert column.lengths.mean == pytest.approx(mean(map(len, filled)))
        return
    check_quantiles(column, filled, slack)
    assert column.histogram is not None
    if isinstance(filled[0], str):
        return
    check_bins(column, [float(value) for value in filled], slack)
    assert float(column.mean) == pytest.approx(mean(filled))  # type: ignore[arg-type]
    assert float(column.std) == pytest.approx(deviation(filled))  # type: ignore[arg-type]


def check_all(facts: Facts, table: str, engine: str, slack: float = 1.0, rows: Sequence[Any] | None = None) -> None:
    for index, name in enumerate(COLUMNS):
        values = [row[index] for row in (rows_of() if rows is None else rows)]
        compare(column_of(facts, table, name), values, engine, slack)


def test_every_column_of_a_large_table_has_its_whole_profile(sampling: Made) -> None:
    load(sampling)
    facts = facts_of(sampling, limits=LIMITS)
    check_all(facts, "large", sampling.engine)
    assert facts.coverage.columns == (len(COLUMNS), len(COLUMNS))
    assert facts.coverage.skipped == []
    only_columns_of_many_different_values_are_estimated(facts)
    the_sample_is_named_with_its_size_and_its_error(facts)


def only_columns_of_many_different_values_are_estimated(facts: Facts) -> None:
    """Where few values are or few differ, all are counted: nothing there is of a sample."""
    sampled = {"id", "clustered", "periodic", "skewed", "price", "seen_at"}
    # A tenth of them is random: as many differ as the sample can't tell from more.
    for name in COLUMNS.keys() - {"mostly"}:
        column = column_of(facts, "large", name)
        assert (column.quantiles_error is not None) == (name in sampled), name
        assert (column.histogram is not None and column.histogram.sampled) == (name in sampled), name


def the_sample_is_named_with_its_size_and_its_error(facts: Facts) -> None:
    [sample] = facts.coverage.sampled
    assert (sample.table, sample.of) == ("large", ROWS)
    assert sample.rows == pytest.approx(LIMITS.sample_rows, rel=0.1)
    assert "same rows again" in sample.method
    column = column_of(facts, "large", "skewed")
    assert column.histogram is not None
    assert sum(column.histogram.counts) == sample.rows
    # Dvoretzky, Kiefer, Wolfowitz: beyond it is one sample in a thousand.
    assert 2 * math.exp(-2 * sample.rows * (column.quantiles_error or 0) ** 2) == pytest.approx(0.001, rel=0.1)


def test_without_a_large_column_nothing_is_sampled(sampling: Made) -> None:
    sampling.load("large", ["a integer", "b varchar(9)"], [(i % 250, f"v{i % 7}") for i in range(9_000)])
    facts = facts_of(sampling, limits=LIMITS)
    assert facts.coverage.sampled == []
    assert [column.distinct for column in table_of(facts, "large").columns] == [250, 7]


def test_a_periodic_table_is_not_aliased_by_its_sample(sampling: Made) -> None:
    """Whatever the period of the data, the sample has of every phase its share."""
    periods = (3_000, 2_048, 3_600, 3_650)
    rows = [tuple(number % period for period in periods) for number in range(ROWS)]
    sampling.load("large", [f"p{period} integer" for period in periods], rows)
    limits = Limits(exact_rows=1_000, sample_rows=3_000, top_distinct=300)
    facts = facts_of(sampling, limits=limits)
    for index, period in enumerate(periods):
        column = column_of(facts, "large", f"p{period}")
        assert column.quantiles_error is not None
        values = [row[index] for row in rows]
        check_quantiles(column, values)
        check_bins(column, values)


def test_the_hash_of_rowids_spreads_any_regular_order_like_chance() -> None:
    """Every thousandth row, every 65536th, those of a far beginning: the sample's ranks stay within the bound."""
    prime, factor, term = 2**31 - 1, 1_640_531_527, 12_345
    count = 400_000
    for step, start in ((1, 1), (1_000, 7), (65_536, 0), (2**20 + 1, 10**15)):
        chosen = [
            index
            for index in range(count)
            if ((start + step * index) % prime * factor + term) % prime
            * (((start + step * index) % prime * factor + term) % prime) % prime < prime // 4
        ]  # fmt: skip
        error = estimate.rank_error(len(chosen))
        for period in (1, 2, 7, 24, 64, 365, 1_000):
            seen = (
                Counter(index % period for index in chosen) if period > 1 else Counter(i * 100 // count for i in chosen)
            )
            size = period if period > 1 else 100
            shares = accumulate(seen[phase] / len(chosen) for phase in range(size))
            # As many rows of the table are of each phase, but for one.
            off = max(abs(share - (phase + 1) / size) for phase, share in enumerate(shares))
            assert off <= error + size / count, (step, start, period)


def test_a_declared_key_is_exact_without_a_query_of_its_own(sampling: Made) -> None:
    load(sampling, key=True)
    facts = facts_of(sampling, limits=LIMITS)
    column = column_of(facts, "large", "id")
    assert (column.distinct, column.distinct_method) == (ROWS, "exact")
    table = table_of(facts, "large")
    naming = [key for key in table.queries if "c0_distinct" in facts.query_by_id[key].sql]
    assert len(naming) == 1
    assert "c1_nulls" in facts.query_by_id[naming[0]].sql
    check_all(facts, "large", sampling.engine)


def test_a_likely_key_is_counted_and_a_broken_one_is_a_finding(sampling: Made) -> None:
    """The number of a key's values decides what it is: it is never an estimate."""
    rows = [
        (number, number if number != 77 else 78, f"c{number}", f"k{number if number != 99 else 98}", number / 8)
        for number in range(ROWS)
    ]
    columns = ["id integer", "order_id integer", "code varchar(9)", "order_key varchar(9)", "part double precision"]
    sampling.load("large", columns, rows)
    facts = facts_of(sampling, limits=LIMITS)
    assert column_of(facts, "large", "id").distinct == ROWS
    assert column_of(facts, "large", "code").distinct == ROWS
    for name in ("order_id", "order_key"):
        assert column_of(facts, "large", name).distinct == ROWS - 1
        assert column_of(facts, "large", name).distinct_method == "exact"
    assert {finding.id for finding in facts.findings} >= {"duplicate_key:large:order_id"}
    assert ["id"] in table_of(facts, "large").keys
    assert ["part"] not in table_of(facts, "large").keys


def test_an_estimate_makes_no_key(make: Callable[[str], Made], postgres: object) -> None:
    """A HyperLogLog that says as many values as rows proves nothing."""
    database = make("postgres")
    database.load("large", ["ratio double precision"], [(number / 7,) for number in range(ROWS)])
    facts = facts_of(database, limits=LIMITS)
    column = column_of(facts, "large", "ratio")
    assert column.distinct_method == "hll"
    assert table_of(facts, "large").keys == []


def test_every_estimate_comes_back_from_the_tables_own_queries(sampling: Made) -> None:
    """Run again on the same rows, each query gives each fact under its output name, sampled ones too."""
    load(sampling)
    facts = facts_of(sampling, limits=LIMITS)
    table = table_of(facts, "large")
    again: dict[str, Any] = {}
    for result in rerun(
        sampling.connection, [{"id": key, "sql": facts.query_by_id[key].sql} for key in table.queries], 30
    ):
        assert result["error"] is None
        again |= result["row"]
    for index, column in enumerate(table.columns):
        for fact, value in column_facts(column).items():
            if fact != "type" and value is not None:
                measured = again[f"c{index}_{fact}"]
                assert measured == value or measured == pytest.approx(value), (column.name, fact)
                claim = facts.resolve(f"large.{column.name}.{fact}")
                assert f"c{index}_{fact}" in facts.query_by_id[claim.query].sql
        if column.quantiles_error is not None:
            low, middle, high = (plain(again[f"c{index}_q25{end}"]) for end in ("_low", "", "_high"))
            assert low < middle < high


def test_a_view_over_a_large_table_is_sampled_by_chance(sampling: Made) -> None:
    load(sampling)
    sampling.sql("CREATE VIEW seen AS SELECT * FROM large")
    facts = facts_of(sampling, tables=["seen"], limits=LIMITS)
    # Another sample each time: twice the error is exceeded once in ten million million runs.
    check_all(facts, "seen", sampling.engine, slack=2.0)
    [sample] = facts.coverage.sampled
    assert "others each time" in sample.method


def test_a_table_without_rowids_is_sampled_by_chance(make: Callable[[str], Made]) -> None:
    database = make("sqlite")
    rows = [(number, number * 7919 % 5003 / 4) for number in range(ROWS)]
    database.load("other", ["id integer PRIMARY KEY", "x real"], rows)
    database.sql(
        "CREATE TABLE bare (id integer PRIMARY KEY, x real) WITHOUT ROWID",
        "INSERT INTO bare SELECT * FROM other",
        'CREATE TABLE shadowed (rowid real, "_ROWID_" integer, oid text)',
        "INSERT INTO shadowed SELECT x, id, 'o' FROM other",
        "CREATE TABLE renamed (rowid real, id integer)",
        "INSERT INTO renamed SELECT x, id FROM other",
    )
    facts = facts_of(database, limits=LIMITS)
    methods = {sample.table: "others each time" in sample.method for sample in facts.coverage.sampled}
    assert methods == {"other": False, "bare": True, "shadowed": True, "renamed": False}
    for table, name in (("bare", "x"), ("shadowed", "rowid"), ("renamed", "rowid"), ("other", "x")):
        check_quantiles(column_of(facts, table, name), [x for _, x in rows], slack=2.0)


def test_partitions_materialized_views_and_children_are_sampled_as_one(
    make: Callable[[str], Made], postgres: object
) -> None:
    database = make("postgres")
    load(database, "plain")
    columns = ", ".join(f"{name} {kind}" for name, kind in COLUMNS.items())
    database.sql(
        f"CREATE TABLE parted ({columns}) PARTITION BY RANGE (id)",
        f"CREATE TABLE parted_1 PARTITION OF parted FOR VALUES FROM (0) TO ({ROWS // 3})",
        f"CREATE TABLE parted_2 PARTITION OF parted FOR VALUES FROM ({ROWS // 3}) TO ({ROWS})",
        "INSERT INTO parted SELECT * FROM plain",
        "CREATE MATERIALIZED VIEW kept AS SELECT * FROM plain",
        f"CREATE TABLE parent ({columns}, PRIMARY KEY (id))",
        "CREATE TABLE child () INHERITS (parent)",
        "INSERT INTO parent SELECT * FROM plain",
        "INSERT INTO child SELECT * FROM plain",
    )
    facts = facts_of(database, limits=LIMITS)
    methods = {sample.table: "TABLESAMPLE" in sample.method for sample in facts.coverage.sampled}
    assert methods == {"plain": True, "parted": False, "kept": True, "parent": False, "child": True}
    assert all("same rows again" in sample.method for sample in facts.coverage.sampled)
    for table in ("parted", "kept"):
        check_all(facts, table, "postgres")
    # A parent's key keeps its own rows apart, not its children's.
    check_all(facts, "parent", "postgres", rows=rows_of() * 2)
    assert table_of(facts, "parent").keys == []


def test_partitions_that_are_alike_are_not_sampled_at_the_same_places(
    make: Callable[[str], Made], postgres: object
) -> None:
    """Sixty days of the same two hundred things in one order: a sample is of them all, not sixty times of the same."""
    database = make("postgres")
    database.sql(
        "CREATE TABLE parted (day integer, price double precision) PARTITION BY LIST (day)",
        *(f"CREATE TABLE day_{day} PARTITION OF parted FOR VALUES IN ({day})" for day in range(60)),
        "INSERT INTO parted SELECT d, t * 100 + d / 100.0 FROM generate_series(0, 59) AS d, "
        "generate_series(0, 199) AS t ORDER BY d, t",
    )
    column = column_of(facts_of(database, tables=["parted"], limits=LIMITS), "parted", "price")
    values = [t * 100 + d / 100 for d in range(60) for t in range(200)]
    assert column.quantiles_error is not None
    check_quantiles(column, values)
    check_bins(column, values)


def test_a_partition_elsewhere_is_sampled_like_the_rest(make: Callable[[str], Made], postgres: object) -> None:
    """TABLESAMPLE would take a foreign partition whole; file_fdw is PostgreSQL's own."""
    database = make("postgres")
    rows = [(number, number % 3_001 / 2) for number in range(ROWS)]
    database.load("plain", ["id integer", "x double precision"], rows)
    database.sql(
        "CREATE EXTENSION file_fdw",
        "CREATE SERVER files FOREIGN DATA WRAPPER file_fdw",
        "CREATE TABLE parted (id integer, x double precision) PARTITION BY RANGE (id)",
        f"CREATE TABLE near PARTITION OF parted FOR VALUES FROM (0) TO ({ROWS // 2})",
        f"CREATE FOREIGN TABLE far PARTITION OF parted FOR VALUES FROM ({ROWS // 2}) TO ({ROWS}) SERVER files "
        f"OPTIONS (program 'seq {ROWS // 2} {ROWS - 1} | sed \"s/.*/&,&/\"', format 'csv')",
        f"INSERT INTO parted SELECT * FROM plain WHERE id < {ROWS // 2}",
    )
    facts = facts_of(database, tables=["parted"], limits=LIMITS)
    column = column_of(facts, "parted", "id")
    check_quantiles(column, range(ROWS), slack=2.0)
    [sample] = facts.coverage.sampled
    assert "random()" in sample.method


def test_nan_and_infinity_are_left_out_and_counted(sampling: Made) -> None:
    chance = random.Random(3)
    values = [chance.gauss(0, 1000) for _ in range(ROWS)]
    odd = [float("inf"), float("-inf")] * 60
    if sampling.engine == "postgres":
        odd += [float("nan")] * 60
    sampling.load("large", ["x double precision"], [(value,) for value in values + odd])
    column = column_of(facts_of(sampling, limits=LIMITS), "large", "x")
    assert f"{len(odd)} values are NaN or infinite" in str(column.skipped)
    assert (column.min, column.max) == ("-Infinity", "NaN" if sampling.engine == "postgres" else "Infinity")
    assert column.mean == pytest.approx(mean(values))
    assert column.std == pytest.approx(deviation(values))
    check_quantiles(column, values)
    check_bins(column, values)


def test_a_deviation_far_from_zero_is_not_lost_in_rounding(make: Callable[[str], Made]) -> None:
    """The squares of such values alone need more digits than a float has."""
    database = make("sqlite")
    values = [1e9 + number % 5_000 / 1024 for number in range(ROWS)]
    database.load("large", ["x real"], [(value,) for value in values])
    column = column_of(facts_of(database, limits=LIMITS), "large", "x")
    assert column.std == pytest.approx(deviation(values), rel=1e-9)


def test_a_large_column_of_mixed_types_is_measured_by_its_kind(make: Callable[[str], Made]) -> None:
    database = make("sqlite")
    rows: list[tuple[Any, ...]] = [(number * 7919 % 6_007,) for number in range(ROWS)]
    database.load("large", ["x integer"], [*rows, ("n/a",), ("n/a",), (b"\x00",)])
    column = column_of(facts_of(database, limits=LIMITS), "large", "x")
    assert "12,000 numbers, 2 texts, 1 byte strings" in str(column.skipped)
    assert column.distinct == 6_007 + 2
    assert column.max == 6_006
    check_quantiles(column, [value for (value,) in rows])


def test_times_beyond_the_calendar_have_bins_too(make: Callable[[str], Made], postgres: object) -> None:
    database = make("postgres")
    database.sql(
        "CREATE TABLE large AS SELECT CASE WHEN i = 1 THEN '-infinity' WHEN i = 2 THEN '0044-03-15 BC' "
        f"ELSE timestamp '2020-01-01' + i * interval '1 minute' END AS at FROM generate_series(1, {ROWS}) AS i"
    )
    column = column_of(facts_of(database, limits=LIMITS), "large", "at")
    assert column.skipped is None
    assert column.min == "-Infinity"
    assert column.quantiles_error is not None
    assert column.histogram is not None
    assert column.histogram.low == "-0043-03-15T00:00:00"
    assert sum(column.histogram.counts) > 3_000


TYPES = {
    "uuid": "md5(i::text)::uuid",
    "numeric": "i::numeric / 7",
    "float4": "i::float4",
    "bpchar": "i::char(8)",
    "timestamptz": "timestamptz '2020-01-01' + i * interval '1 s'",
    "time": "time '00:00' + i * interval '1 s'",
    "timetz": "(time '00:00' + i * interval '1 s')::timetz",
    "interval": "i * interval '1 s'",
    "inet": "'10.0.0.0'::inet + i",
    "money": "i::int::money",
    "bytea": "decode(md5(i::text), 'hex')",
    "jsonb": "jsonb_build_object('i', i)",
    "json": "json_build_object('i', i)",
    "array": "ARRAY[i, i + 1]",
    "range": "int4range(i, i + 5)",
    "domain": "i::positive",
    "long": "repeat(md5(i::text), 20)",
    "date": "date '1600-01-01' + i",
}


def test_a_large_column_of_any_type_has_its_distinct_values(make: Callable[[str], Made], postgres: object) -> None:
    database = make("postgres")
    listed = ", ".join(f'{sql} AS "{name}"' for name, sql in TYPES.items())
    source = f"generate_series(1, {ROWS // 6}) AS i, generate_series(1, 2) AS again"
    database.sql("CREATE DOMAIN positive AS integer CHECK (VALUE > 0)")
    database.sql(f"CREATE TABLE large AS SELECT {listed} FROM {source}")
    facts = facts_of(database, limits=LIMITS)
    for column in table_of(facts, "large").columns:
        assert column.skipped is None or "nested" in column.skipped, column.skipped
        assert column.distinct_method == "hll", column.name
        assert abs(column.distinct - ROWS // 6) <= column.distinct_error * ROWS / 6, column.name  # type: ignore[operator]


def test_hidden_large_tables_give_counts_only(sampling: Made) -> None:
    load(sampling)
    facts = facts_of(sampling, hidden=["large"], limits=LIMITS)
    rows = rows_of()
    for index, column in enumerate(table_of(facts, "large").columns):
        truth = len({row[index] for row in rows} - {None})
        assert abs((column.distinct or 0) - truth) <= (column.distinct_error or 0) * truth
        assert column.min is column.top is column.quantiles is column.histogram is column.lengths is None
    assert facts.coverage.sampled == []
    sent = str(rerun(sampling.connection, [{"id": q.id, "sql": q.sql} for q in facts.queries], 30))
    assert str(rows[5][6]) not in sent


def test_what_runs_out_of_time_says_so_and_loses_nothing_else(
    make: Callable[[str], Made], monkeypatch: pytest.MonkeyPatch, postgres: object
) -> None:
    """One column's groups and another's count take too long: both are estimated, the others are not touched."""
    database = make("postgres")
    load(database)
    fetch = PgEngine.fetch

    def impatient(self: PgEngine, sql: str, seconds: float | None = None, limit: int | None = None) -> Rows:
        if "c5_groups AS" in sql or 'count(DISTINCT "id")' in sql:
            raise QueryFailed("took longer than 300 s", late=True)
        return fetch(self, sql, seconds, limit)

    monkeypatch.setattr(PgEngine, "fetch", impatient)
    facts = facts_of(database, limits=LIMITS)
    late = {"few", "id"}
    rows = rows_of()
    for index, name in enumerate(COLUMNS):
        column, values = column_of(facts, "large", name), [row[index] for row in rows]
        if name not in late:
            compare(column, values, "postgres")
            continue
        assert "took longer than 300 s" in str(column.skipped)
        assert column.distinct_method == "hll"
        truth = len(set(values) - {None})
        assert abs((column.distinct or 0) - truth) <= max(0.5, (column.distinct_error or 0) * truth)
        assert column.nulls == values.count(None)
        assert column.top is None
    check_quantiles(column_of(facts, "large", "id"), [row[0] for row in rows])


@pytest.mark.parametrize("distinct", [300, 5_000, 40_000, 52_000, 100_000, 500_000])
@pytest.mark.parametrize("engine", ["duckdb", pytest.param("postgres", marks=pytest.mark.postgres)])
def test_the_sketch_in_sql_is_as_near_as_it_says(make: Callable[[str], Made], engine: str, distinct: int) -> None:
    """Few values, those where the estimators change, and those of which a sixteenth is taken."""
    database = make(engine)
    database.sql(
        f"CREATE TABLE large AS SELECT sqrt(s.i) AS x FROM generate_series(1, {distinct}) AS s(i), "
        "generate_series(1, 2) AS again(i)"
    )
    limits = Limits(exact_rows=1, sample_rows=80_000, top_distinct=1)
    column = column_of(facts_of(database, limits=limits), "large", "x")
    assert column.distinct_method == "hll"
    assert column.distinct_error is not None
    assert column.distinct_error < 0.08
    assert abs((column.distinct or 0) - distinct) <= column.distinct_error * distinct


LARGE = {
    "duckdb": (
        "CREATE TABLE large AS SELECT i AS id, i * 7919 % 1000003 AS spread, 'c' || i % 20 AS country, "
        "(i % 1000) / 8 AS part FROM range(1010000) AS t(i)",
    ),
    "sqlite": (
        "CREATE TABLE large (id integer, spread integer, country text, part real)",
        "WITH RECURSIVE s (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM s WHERE i < 1009999) "
        "INSERT INTO large SELECT i, i * 7919 % 1000003, 'c' || (i % 20), i % 1000 / 8.0 FROM s",
    ),
    "postgres": (
        "CREATE TABLE large AS SELECT i AS id, i * 7919::bigint % 1000003 AS spread, 'c' || i % 20 AS country, "
        "i % 1000 / 8.0::float8 AS part FROM generate_series(0, 1009999) AS i",
    ),
}


def test_beyond_a_million_rows_the_limits_are_what_they_are(sampling: Made) -> None:
    sampling.sql(*LARGE[sampling.engine])
    facts = facts_of(sampling)
    table = table_of(facts, "large")
    columns = table.column_by_name
    assert table.rows == 1_010_000
    assert table.keys == [["id"]]
    assert (columns["id"].distinct, columns["id"].distinct_method) == (1_010_000, "exact")
    assert columns["spread"].distinct_method == ("hll" if sampling.engine == "postgres" else "exact")
    assert columns["spread"].distinct == pytest.approx(1_000_003, rel=columns["spread"].distinct_error or 1e-9)
    assert (columns["country"].distinct, columns["country"].distinct_method) == (20, "exact")
    assert columns["country"].top is not None
    assert columns["country"].top[0] == ("c0", 50_500)
    assert (columns["part"].quantiles_error, columns["part"].distinct) == (None, 1_000)
    assert columns["part"].quantiles is not None
    assert columns["part"].quantiles["0.5"] == 499 / 8
    [sample] = facts.coverage.sampled
    assert sample.rows == pytest.approx(100_000, rel=0.02)
    for name in ("id", "spread"):
        check_quantiles(columns[name], range(1_010_000) if name == "id" else range(1_000_003), slack=1.05)
        assert columns[name].quantiles_error == pytest.approx(0.0062, abs=0.0002)
    assert columns["id"].std == pytest.approx(1_010_000 / math.sqrt(12))
