"""Every type that an engine has: profiled, or listed with the reason; bytes are never shown."""

from collections.abc import Callable

from cataloger_dagster.facts import Facts
from tests.sandbox_image.conftest import Made
from tests.sandbox_image.measured import column_of, facts_of, table_of

DUCKDB = {
    "tinyint": "1::TINYINT",
    "smallint": "2::SMALLINT",
    "integer": "3::INTEGER",
    "bigint": "4::BIGINT",
    "hugeint": "170141183460469231731687303715884105727::HUGEINT",
    "utinyint": "5::UTINYINT",
    "usmallint": "6::USMALLINT",
    "uinteger": "7::UINTEGER",
    "ubigint": "18446744073709551615::UBIGINT",
    "uhugeint": "340282366920938463463374607431768211455::UHUGEINT",
    "bignum": "123456789012345678901234567890123456789012345::BIGNUM",
    "real": "1.5::FLOAT",
    "double": "2.5::DOUBLE",
    "decimal": "12345678901234567890.12::DECIMAL(38,2)",
    "varchar": "'text'",
    "bool": "true",
    "blob": "'\\xDE\\xAD\\xBE\\xEF'::BLOB",
    "bit": "'10101'::BIT",
    "uuid": "'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'::UUID",
    "date": "DATE '12345-06-07'",
    "infinite_date": "'infinity'::DATE",
    "early": "'0044-03-15 (BC)'::DATE",
    "time": "TIME '10:11:12'",
    "timetz": "'10:11:12+02:00'::TIMETZ",
    "timestamp": "TIMESTAMP '2024-02-29 10:11:12.345'",
    "timestamp_s": "'2024-02-29 10:11:12'::TIMESTAMP_S",
    "timestamp_ms": "'2024-02-29 10:11:12.345'::TIMESTAMP_MS",
    "timestamp_ns": "'2024-02-29 10:11:12.345678901'::TIMESTAMP_NS",
    "timestamptz": "'2024-02-29 10:11:12+02'::TIMESTAMPTZ",
    "interval": "INTERVAL 3 DAYS",
    "enum": "'glad'::mood",
    "list": "[1, 2]",
    "list_of_structs": "[{'a': 1}]",
    "array": "[1.0, 2.0]::FLOAT[2]",
    "struct": "{'a': 1, 'b': 'secret'}",
    "map": "MAP {'k': 1}",
    "union": "union_value(n := 1)",
    "json": "'{\"a\": [1]}'::JSON",
    "empty": "NULL",
}

POSTGRES = {
    "smallint": "1::smallint",
    "integer": "2::integer",
    "bigint": "9007199254740993::bigint",
    "numeric": "12345678901234567890.12::numeric(30,2)",
    "wild": "'Infinity'::numeric",
    "huge": "1e400::numeric",
    "real": "1.5::real",
    "double": "2.5::double precision",
    "money": "12.5::money",
    "varchar": "'text'::varchar(10)",
    "char": "'ab'::char(5)",
    "text": "'text'::text",
    "name": "'n'::name",
    "letter": "'x'::\"char\"",
    "bool": "true",
    "bytea": "'\\xdeadbeef'::bytea",
    "bit": "B'101'::bit(3)",
    "varbit": "B'10101'::varbit",
    "uuid": "'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'::uuid",
    "date": "'12345-06-07'::date",
    "infinite_date": "'-infinity'::date",
    "early": "'0044-03-15 BC'::date",
    "time": "'10:11:12'::time",
    "timetz": "'10:11:12+02'::timetz",
    "timestamp": "'294276-01-01 00:00:00'::timestamp",
    "timestamptz": "'2024-02-29 10:11:12+02'::timestamptz",
    "interval": "'1 year 2 days'::interval",
    "enum": "'glad'::mood",
    "domain": "7::positive",
    "integers": "'{1,2}'::integer[]",
    "json": "'{\"a\": 1}'::json",
    "jsonb": "'{\"a\": 1}'::jsonb",
    "xml": "'<a/>'::xml",
    "inet": "'10.0.0.1'::inet",
    "cidr": "'10.0.0.0/8'::cidr",
    "macaddr": "'08:00:2b:01:02:03'::macaddr",
    "point": "'(1,2)'::point",
    "polygon": "'((0,0),(1,1),(1,0))'::polygon",
    "circle": "'<(0,0),1>'::circle",
    "box": "'(1,1),(0,0)'::box",
    "range": "'[1,5)'::int4range",
    "multirange": "'{[1,5),[7,9)}'::int4multirange",
    "tsvector": "'a b'::tsvector",
    "tsquery": "'a & b'::tsquery",
    "composite": "ROW(1, 'x')::pair",
    "oid": "1::oid",
    "regclass": "'pg_class'::regclass",
    "pg_lsn": "'16/B374D848'::pg_lsn",
    "snapshot": "'10:20:10,14,15'::pg_snapshot",
    "jsonpath": "'$.a'::jsonpath",
    "empty": "NULL::text",
}


def told(facts: Facts, table: str) -> None:
    """Assert that each column is profiled, or says why not, on the page and in the coverage."""
    skipped = {(item.table, item.column) for item in facts.coverage.skipped}
    for column in table_of(facts, table).columns:
        assert column.nulls is not None, (column.name, column.skipped)
        profiled = column.top is not None or column.lengths is not None or column.name == "empty"
        assert profiled or column.skipped, column.name
        assert bool(column.skipped) == ((table, column.name) in skipped)


def typed(make: Callable[[str], Made], engine: str, types: dict[str, str], *before: str) -> Facts:
    database = make(engine)
    values = ", ".join(f'{sql} AS "{name}"' for name, sql in types.items())
    nothing = ", ".join(["NULL"] * len(types))
    database.sql(*before, f"CREATE TABLE types AS SELECT {values}", f"INSERT INTO types SELECT {nothing}")
    facts = facts_of(database)
    assert table_of(facts, "types").rows == 2
    told(facts, "types")
    for column in table_of(facts, "types").columns:
        if column.name == "union":
            continue  # DuckDB: a union of no value is a value
        empty = column.name == "empty"
        assert column.nulls == (2 if empty else 1)
        assert column.distinct == (0 if empty else 1), column.name
    return facts


def test_every_type_of_duckdb_is_told(make: Callable[[str], Made]) -> None:
    facts = typed(make, "duckdb", DUCKDB, "CREATE TYPE mood AS ENUM ('sad', 'glad')")
    values = {column.name: column for column in table_of(facts, "types").columns}
    assert values["hugeint"].max == "170141183460469231731687303715884105727"
    assert values["ubigint"].max == "18446744073709551615"
    assert values["decimal"].max == "12345678901234567890.12"
    assert values["decimal"].top == [("12345678901234567890.12", 1)]
    assert values["date"].max == "12345-06-07"
    assert values["infinite_date"].max == "Infinity"
    assert values["early"].min == "-0043-03-15"
    assert values["timestamp"].min == "2024-02-29T10:11:12.345"
    assert values["timestamptz"].min == "2024-02-29T08:11:12Z"
    assert values["timestamptz"].top == [("2024-02-29T08:11:12Z", 1)]
    assert values["timetz"].min == "10:11:12+02:00"
    assert values["uuid"].top == [("a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", 1)]
    assert values["enum"].top == [("glad", 1)]
    assert values["bool"].top == [(True, 1)]
    assert values["interval"].top == [("3 days", 1)]
    assert values["blob"].lengths is not None
    assert values["blob"].lengths.max == 4
    assert values["blob"].min is values["blob"].top is None
    assert "secret" not in facts.model_dump_json(include={"tables"})


def test_every_type_of_postgresql_is_told(make: Callable[[str], Made], postgres: object) -> None:
    facts = typed(
        make,
        "postgres",
        POSTGRES,
        "CREATE TYPE mood AS ENUM ('sad', 'glad')",
        "CREATE DOMAIN positive AS integer CHECK (VALUE > 0)",
        "CREATE TYPE pair AS (a integer, b text)",
    )
    values = {column.name: column for column in table_of(facts, "types").columns}
    assert values["bigint"].max == "9007199254740993"
    assert values["numeric"].max == "12345678901234567890.12"
    assert values["wild"].max == "Infinity"
    assert values["domain"].type == "positive"
    assert values["domain"].max == 7
    assert values["date"].max == "12345-06-07"
    assert values["infinite_date"].max == "-Infinity"
    assert values["early"].min == "-0043-03-15"
    assert values["timestamp"].max == "294276-01-01T00:00:00"
    assert values["timestamptz"].top == [("2024-02-29T08:11:12Z", 1)]
    assert values["uuid"].top == [("a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", 1)]
    assert values["interval"].min == "1 year 2 days"
    assert values["inet"].top == [("10.0.0.1", 1)]
    assert values["point"].top == [("(1,2)", 1)]
    assert values["bytea"].lengths is not None
    assert values["bytea"].lengths.max == 4
    assert values["bytea"].top is None
    assert "dead" not in facts.model_dump_json(include={"tables"}).lower()


def test_sqlite_columns_are_told_by_what_they_hold(make: Callable[[str], Made]) -> None:
    """Text in an integer column is said, and the numbers are measured without it."""
    database = make("sqlite")
    database.load(
        "loose",
        ["n integer", "label text", "raw blob", "anything", "day date", "flag boolean", "price decimal(10,2)", "void"],
        [
            (1, "a", b"\x00\x01\x02", 5, "2024-01-31", 1, 9.5, None),
            (2, "b", b"\xde\xad", "five", "2024-02-01", 0, 10, None),
            ("many", "c", None, 7.5, "2024-03-01", 1, 11.25, None),
            (3, b"\xff", b"", None, None, None, None, None),
        ],
    )
    facts = facts_of(database)
    told_columns = {column.name: column for column in table_of(facts, "loose").columns}
    n = told_columns["n"]
    assert n.type == "integer (also text)"
    assert (n.min, n.max, n.mean, n.distinct, n.nulls) == (1, 3, 2.0, 4, 0)
    assert n.skipped is not None
    assert "1 texts" in n.skipped
    assert "3 numbers" in n.skipped
    assert told_columns["label"].type == "text (also blob)"
    assert (told_columns["label"].min, told_columns["label"].max) == ("a", "c")
    assert told_columns["raw"].lengths is not None
    assert told_columns["raw"].lengths.max == 3
    assert told_columns["raw"].top is None
    assert told_columns["anything"].type == "integer or text"
    assert told_columns["anything"].max == 7.5
    assert (told_columns["day"].min, told_columns["day"].max) == ("2024-01-31", "2024-03-01")
    assert told_columns["day"].histogram is not None
    assert told_columns["price"].max == 11.25
    assert told_columns["void"].distinct == 0
    assert told_columns["void"].nulls == 4


def test_text_that_is_no_unicode_does_not_end_the_reading(make: Callable[[str], Made]) -> None:
    database = make("sqlite")
    database.sql("CREATE TABLE t (x text)", "INSERT INTO t VALUES (CAST(x'ff41' AS text))")
    assert column_of(facts_of(database), "t", "x").top == [("\ufffdA", 1)]


def test_days_and_times_have_quantiles_and_a_histogram(database: Made) -> None:
    days = [(f"2024-01-{day:02d}", f"2024-01-{day:02d} 12:00:00") for day in range(1, 32)]
    database.load("log", ["day date", "at_time timestamp"], days)
    facts = facts_of(database)
    day = column_of(facts, "log", "day")
    assert day.quantiles == {
        "0.05": "2024-01-02",
        "0.25": "2024-01-08",
        "0.5": "2024-01-16",
        "0.75": "2024-01-24",
        "0.95": "2024-01-30",
    }
    assert day.histogram is not None
    assert len(day.histogram.counts) == 20
    assert sum(day.histogram.counts) == 31
    assert (day.histogram.low, day.histogram.high) == ("2024-01-01", "2024-01-31")


def test_infinite_days_are_told_and_left_out_of_the_histogram(make: Callable[[str], Made], postgres: object) -> None:
    for engine in ("duckdb", "postgres"):
        database = make(engine)
        database.sql(
            "CREATE TABLE plan (until date)",
            "INSERT INTO plan VALUES ('infinity'), ('-infinity'), ('2024-01-01'), ('2024-01-11'), ('2024-01-21')",
        )
        column = column_of(facts_of(database), "plan", "until")
        assert (column.min, column.max) == ("-Infinity", "Infinity")
        assert column.histogram is not None
        assert (column.histogram.low, column.histogram.high) == ("2024-01-01", "2024-01-21")
        assert sum(column.histogram.counts) == 3


def test_values_whose_squares_no_double_holds_keep_their_nulls_and_range(database: Made) -> None:
    database.load("t", ["id integer", "x double precision"], [(1, 1e200), (2, -2.5e302), (3, None), (4, 7.0)])
    column = column_of(facts_of(database), "t", "x")
    assert (column.nulls, column.min, column.max) == (1, -2.5e302, 1e200)
    assert column.std is None
    assert column.skipped is not None
