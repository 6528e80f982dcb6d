"""Keys, references and flaws: those that are there are found, those that are not are not."""

import itertools
from collections.abc import Callable
from typing import Any

import pytest
from cataloger_sandbox import journal
from cataloger_sandbox.errors import DatabaseProblem

from cataloger_dagster.facts import Facts
from tests.sandbox_image.conftest import Made
from tests.sandbox_image.measured import facts_of, found, table_of


def references(facts: Facts) -> dict[tuple[str, str, str, str], tuple[bool, int | None]]:
    return {
        (r.from_[0], ",".join(r.from_[1]), r.to[0], ",".join(r.to[1])): (r.declared, r.orphans)
        for r in facts.references
    }


def rows_at_fault(made: Made, facts: Facts, finding: Any) -> list[tuple[Any, ...]]:
    """Run a finding's evidence as a person would."""
    with made._open() as driver:
        return list(driver.execute(facts.query_by_id[finding.query].sql).fetchall())


def shop(made: Made, orphans: int = 3) -> None:
    """Customers and their orders; the last *orphans* orders name customers that do not exist."""
    made.load(
        "customers",
        ["id integer", "name varchar", "country_code varchar"],
        [(i, f"Name {i % 90}", ["DE", "FR", "XK"][i % 3]) for i in range(1, 101)],
    )
    made.load(
        "countries", ["code varchar", "label varchar"], [(code, f"Land of {code}") for code in ("DE", "FR", "XK", "NL")]
    )
    lines = [(1000 + i, 1 + (i * 7) % 100, (i * 13) % 50) for i in range(500 - orphans)]
    lines += [(5000 + i, 9000 + i, 1) for i in range(orphans)]
    made.load("orders", ["id integer", "customer_id integer", "quantity integer"], lines)


def test_keys_and_references_are_inferred_from_names_and_values(database: Made) -> None:
    shop(database)
    facts = facts_of(database)
    assert table_of(facts, "customers").keys == [["id"]]
    assert table_of(facts, "countries").keys[0] == ["code"]
    assert table_of(facts, "orders").keys == [["id"]]
    assert table_of(facts, "orders").primary_key is None
    assert references(facts) == {
        ("orders", "customer_id", "customers", "id"): (False, 3),
        ("customers", "country_code", "countries", "code"): (False, 0),
    }


def test_orphans_are_found_with_the_rows_at_fault(database: Made) -> None:
    shop(database)
    facts = facts_of(database)
    finding = found(facts)["orphan_foreign_key:orders:customer_id"]
    assert (finding.rows, finding.severity) == (3, "medium")
    rows = rows_at_fault(database, facts, finding)
    assert [row[0] for row in rows] == [3, 3, 3]
    assert {row[2] for row in rows} == {9000, 9001, 9002}
    assert facts.resolve("orders.customer_id.orphans").value == 3
    assert list(found(facts)) == ["orphan_foreign_key:orders:customer_id"]


def test_a_reference_that_holds_for_too_few_rows_is_none(database: Made) -> None:
    shop(database, orphans=150)
    facts = facts_of(database)
    assert ("orders", "customer_id", "customers", "id") not in references(facts)
    assert found(facts) == {}


def test_declared_keys_and_references_are_read(database: Made) -> None:
    database.sql(
        'CREATE TABLE parent (a integer, b integer, "odd name" varchar UNIQUE, PRIMARY KEY (a, b))',
        "CREATE TABLE child (id integer PRIMARY KEY, pa integer, pb integer, "
        "FOREIGN KEY (pa, pb) REFERENCES parent (a, b))",
        "CREATE UNIQUE INDEX child_pair ON child (pa, id)",
        "INSERT INTO parent VALUES (1, 1, 'x'), (1, 2, 'y')",
        "INSERT INTO child VALUES (1, 1, 1), (2, 1, 2), (3, NULL, 1)",
    )
    facts = facts_of(database)
    parent, child = table_of(facts, "parent"), table_of(facts, "child")
    assert parent.primary_key == ["a", "b"]
    assert parent.keys == [["a", "b"], ["odd name"]]
    assert child.primary_key == ["id"]
    assert child.keys == [["id"], ["pa", "id"]]
    assert references(facts) == {("child", "pa,pb", "parent", "a,b"): (True, 0)}
    assert facts.findings == []


def test_a_declared_reference_that_sqlite_never_enforced_is_found(make: Callable[[str], Made]) -> None:
    database = make("sqlite")
    database.sql(
        "CREATE TABLE parent (id integer PRIMARY KEY)",
        "CREATE TABLE child (id integer PRIMARY KEY, p integer REFERENCES Parent)",
        "INSERT INTO parent VALUES (1), (2)",
        "INSERT INTO child VALUES (1, 1), (2, 2), (3, 77), (4, NULL)",
    )
    facts = facts_of(database)
    assert references(facts) == {("child", "p", "parent", "id"): (True, 1)}
    finding = found(facts)["orphan_foreign_key:child:p"]
    assert (finding.rows, finding.severity) == (1, "high")
    assert [row[2] for row in rows_at_fault(database, facts, finding)] == [77]


def test_a_reference_of_two_columns_and_its_orphans_are_found(database: Made) -> None:
    database.load(
        "weather",
        ["origin varchar", "hour_no integer", "temp double precision"],
        [(o, h, h / 2) for o in ("EWR", "JFK") for h in range(100)],
    )
    flights = [(("EWR", "JFK")[i % 2], (i * 3) % 104, i // 7) for i in range(1000)]
    database.load("flights", ["origin varchar", "hour_no integer", "flight integer"], flights)
    facts = facts_of(database)
    assert ["origin", "hour_no"] in table_of(facts, "weather").keys
    outside = sum((i * 3) % 104 >= 100 for i in range(1000))
    assert references(facts)["flights", "origin,hour_no", "weather", "origin,hour_no"] == (False, outside)
    finding = found(facts)["orphan_foreign_key:flights:hour_no,origin"]
    assert finding.rows == outside
    rows = [row[1:] for row in rows_at_fault(database, facts, finding)]
    assert sorted(rows) == sorted(flight for flight in flights if flight[1] >= 100)


def test_texts_are_linked_by_their_values(database: Made) -> None:
    """A column that is named otherwise still points to the key that holds its values."""
    codes = [f"{a}{b}X" for a in "ABCDEFGH" for b in "KLMNOP"]
    database.load(
        "airports", ["faa varchar", "town varchar"], [(code, f"Town {i % 9}") for i, code in enumerate(codes)]
    )
    database.load(
        "flights",
        ["dest varchar", "mood varchar"],
        [(codes[i % 40], ["good", "bad", "ugly"][i % 3]) for i in range(400)],
    )
    assert references(facts_of(database)) == {("flights", "dest", "airports", "faa"): (False, 0)}


def test_many_orphans_are_told_where_another_column_refers_to_the_same_key(database: Made) -> None:
    """Of a column by itself one in ten that is not there would say that it is about something else."""
    airports = ["".join(chosen) for chosen in itertools.product("BDK", "AEI", "LMN")]
    database.load("airports", ["code varchar", "label varchar"], [(code, f"Of {code}") for code in airports])
    rows = [(i, airports[i % 27], f"X{i:02}" if i < 60 else airports[i * 7 % 26]) for i in range(600)]
    database.load("flights", ["id integer", "origin varchar", "destination varchar"], rows)
    database.load("tours", ["id integer", "stop varchar"], [(i, each) for i, _, each in rows])
    facts = facts_of(database)
    assert references(facts) == {
        ("flights", "origin", "airports", "code"): (False, 0),
        ("flights", "destination", "airports", "code"): (False, 60),
    }
    assert [finding.id for finding in facts.findings] == ["orphan_foreign_key:flights:destination"]


def test_numbers_that_happen_to_be_included_are_no_reference(database: Made) -> None:
    database.load("customers", ["id integer"], [(i,) for i in range(1, 101)])
    database.load(
        "lines",
        ["id integer", "quantity integer", "month integer", "score integer"],
        [(i, i % 5 + 1, i % 12 + 1, i % 90 + 1) for i in range(1, 301)],
    )
    assert references(facts_of(database)) == {}


def test_empty_tables_neither_refer_nor_are_referred_to(database: Made) -> None:
    database.load("customers", ["id integer"], [])
    database.load("orders", ["id integer", "customer_id integer"], [(i, i) for i in range(1, 20)])
    database.load("returns", ["id integer", "order_id integer"], [])
    facts = facts_of(database)
    assert references(facts) == {}
    assert list(found(facts)) == ["empty_table:customers", "empty_table:returns"]
    assert found(facts)["empty_table:customers"].rows == 0


def test_a_key_broken_by_a_few_rows_is_found(database: Made) -> None:
    rows = [(i, f"n{i % 50}") for i in range(300)] + [(7, "again"), (8, "again")]
    database.load("items", ["item_id integer", "label varchar"], rows)
    facts = facts_of(database)
    finding = found(facts)["duplicate_key:items:item_id"]
    assert (finding.rows, finding.severity) == (4, "high")
    assert sorted(row[1] for row in rows_at_fault(database, facts, finding)) == [7, 7, 8, 8]
    assert table_of(facts, "items").keys == []


def test_a_column_that_was_never_a_key_is_no_broken_one(database: Made) -> None:
    """Many repeats, amounts that are nearly all different, and a reference that seldom repeats are no flaws."""
    database.load("customers", ["id integer", "code varchar"], [(i, f"c{i // 3}") for i in range(1, 3001)])
    database.load(
        "orders",
        ["id integer", "customer_id integer", "amount double precision"],
        [(i, 10 * i if i < 298 else 10, i / 7 if i < 298 else 1.0) for i in range(1, 300)],
    )
    assert found(facts_of(database)) == {}


def test_how_many_people_there_are_is_no_key_of_a_table_of_that_name(database: Made) -> None:
    counted = [(f"Place {i}", 100_000 + 37 * (i if i > 1 else 0)) for i in range(400)]
    database.load("population", ["place varchar", "population integer"], counted)
    assert facts_of(database).findings == []


def test_constants_are_found_from_a_hundred_rows_on(database: Made) -> None:
    rows = [(i, 2013, None, "a" if i else None, i % 2, True) for i in range(100)]
    names = ["id integer", "year integer", "gone varchar", "mostly varchar", "two integer", "on_sale boolean"]
    database.load("enough", names, rows)
    database.load("few", ["id integer", "year integer"], [(i, 2013) for i in range(99)])
    facts = facts_of(database)
    assert sorted(found(facts)) == [f"constant_column:enough:{name}" for name in ("gone", "on_sale", "year")]
    shown = rows_at_fault(database, facts, found(facts)["constant_column:enough:on_sale"])
    assert shown == [(100, 1, 1 if database.engine == "sqlite" else "true")]
    finding = found(facts)["constant_column:enough:year"]
    assert (finding.rows, finding.severity) == (100, "low")
    assert rows_at_fault(database, facts, finding) == [(100, 1, 2013)]


def test_findings_keep_their_ids_from_one_time_to_the_next(database: Made) -> None:
    shop(database)
    before = {(item.id, item.rows) for item in facts_of(database).findings}
    database.sql("INSERT INTO orders VALUES (8000, 9999, 1)")
    after = {(item.id, item.rows) for item in facts_of(database).findings}
    assert before == {("orphan_foreign_key:orders:customer_id", 3)}
    assert after == {("orphan_foreign_key:orders:customer_id", 4)}


def test_other_schemas_are_told_by_their_name(make: Callable[[str], Made], postgres: object) -> None:
    for engine in ("duckdb", "postgres"):
        database = make(engine)
        database.sql(
            "CREATE SCHEMA sales",
            'CREATE SCHEMA "Odd.One"',
            "CREATE TABLE customers (id integer PRIMARY KEY)",
            "CREATE TABLE sales.orders (id integer PRIMARY KEY, customer_id integer)",
            'CREATE TABLE "Odd.One".orders (id integer)',
            'CREATE TABLE "sales.orders" (x integer)',
            "INSERT INTO customers VALUES (1), (2)",
            "INSERT INTO sales.orders VALUES (1, 1), (2, 2), (3, 2)",
        )
        facts = facts_of(database)
        default = facts.default_schema
        assert default == ("main" if engine == "duckdb" else "public")
        # Two tables would be called sales.orders: the one of the default schema gives way.
        assert {table.name for table in facts.tables} == {
            "customers",
            "sales.orders",
            "Odd.One.orders",
            f"{default}.sales.orders",
        }
        assert table_of(facts, "sales.orders").rows == 3
        assert table_of(facts, "sales.orders").schema_ == "sales"
        assert references(facts) == {("sales.orders", "customer_id", "customers", "id"): (False, 0)}
        assert [table.name for table in facts_of(database, schemas=["sales"]).tables] == ["sales.orders"]
        assert [table.name for table in facts_of(database, tables=["sales.*"], exclude=["*customers"]).tables] == [
            "sales.orders"
        ]
        assert facts_of(database, schemas=[]).tables == []


def test_comments_are_read(make: Callable[[str], Made], postgres: object) -> None:
    for engine in ("duckdb", "postgres"):
        database = make(engine)
        database.sql(
            "CREATE TABLE t (x integer)",
            "COMMENT ON TABLE t IS 'One row a day'",
            "COMMENT ON COLUMN t.x IS 'The day''s sum'",
        )
        table = table_of(facts_of(database), "t")
        assert (table.comment, table.columns[0].comment) == ("One row a day", "The day's sum")


@pytest.mark.postgres
def test_rights_and_partitions_of_postgresql_are_told(make: Callable[[str], Made], postgres: Any) -> None:
    """What the role may not read is there, with the reason; a partition is a part of its table."""
    from tests.sandbox_image.conftest import connection_of

    database = make("postgres")
    database.sql(
        "CREATE TABLE open (a integer, b integer)",
        "INSERT INTO open VALUES (1, 2)",
        "CREATE TABLE closed (a integer)",
        "CREATE SCHEMA shut",
        "CREATE TABLE shut.away (a integer)",
        "CREATE TABLE half (a integer, secret integer)",
        "INSERT INTO half VALUES (1, 42424242)",
        "CREATE TABLE days (day date, n integer) PARTITION BY RANGE (day)",
        "CREATE TABLE days_2024 PARTITION OF days FOR VALUES FROM ('2024-01-01') TO ('2025-01-01')",
        "INSERT INTO days VALUES ('2024-05-05', 1)",
        "CREATE MATERIALIZED VIEW summed AS SELECT sum(n) AS s FROM days",
    )
    reader = postgres.new_role(
        database.url, "GRANT SELECT ON open, days, summed TO {role}", "GRANT SELECT (a) ON half TO {role}"
    )
    facts = facts_of(Made("postgres", connection_of(reader), reader))
    assert {table.name: table.rows for table in facts.tables} == {
        "open": 1,
        "closed": None,
        "shut.away": None,
        "half": 1,
        "days": 1,
        "summed": 1,
    }
    assert table_of(facts, "summed").kind == "view"
    assert [column.nulls for column in table_of(facts, "half").columns] == [0, None]
    reasons = {(item.table, item.column): item.reason for item in facts.coverage.skipped}
    assert "SELECT" in reasons["closed", None]
    assert "USAGE" in reasons["shut.away", None]
    assert "SELECT" in reasons["half", "secret"]
    assert "partition" in reasons["days_2024", None]
    assert [column.name for column in table_of(facts, "closed").columns] == ["a"]


def test_at_whatever_query_the_time_is_up_what_was_measured_stays_and_the_rest_says_so(
    database: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop(database)
    whole = facts_of(database)
    left_out, refused = set(), []
    for queries in range(1, 60):
        clock = itertools.count()

        def time_of_a_query(clock: Any = clock, queries: int = queries) -> float:
            # Each look at the clock is a second later, until so many looks: then the time is up.
            now = next(clock)
            return float(now) if now < 3 * queries else 1e9

        monkeypatch.setattr(journal, "perf_counter", time_of_a_query)
        try:
            facts = facts_of(database, seconds=1200)
        except DatabaseProblem as error:
            refused.append(str(error))
            continue
        assert {table.name for table in facts.tables} == {"customers", "countries", "orders"}
        for skip in facts.coverage.skipped:
            assert "the 20 minutes for measuring are used up" in skip.reason
            left_out.add((skip.table, skip.column is None))
        if len(facts.queries) == len(whole.queries) and not facts.coverage.skipped and facts.findings == whole.findings:
            break
    else:
        raise AssertionError("the time was never enough")
    assert all("20 minutes for measuring are used up" in each for each in refused)
    assert ("orders", True) in left_out
    assert any(not of_table for _, of_table in left_out)
