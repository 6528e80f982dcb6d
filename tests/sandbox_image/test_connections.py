"""Measuring over several connections: the same facts of one view of the data, and what becomes of it when one fails."""

import json
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from html import escape
from itertools import pairwise
from time import monotonic, sleep
from typing import Any

import psycopg
import pytest
from cataloger_sandbox.connections import Connections
from cataloger_sandbox.engines import losses, pg_view
from cataloger_sandbox.engines.base import Rows
from cataloger_sandbox.engines.duck import DuckEngine
from cataloger_sandbox.engines.lite import LiteEngine
from cataloger_sandbox.engines.pg import PgEngine
from cataloger_sandbox.errors import DatabaseProblem
from cataloger_sandbox.journal import Journal
from cataloger_sandbox.measure import measure

from cataloger_dagster.export import export
from cataloger_dagster.facts import Facts
from cataloger_dagster.report.catalog import catalog_page
from tests import samples
from tests.sandbox_image.conftest import Made, connection_of
from tests.sandbox_image.measured import check, facts_of, table_of
from tests.services.postgres import Postgres

TABLES = 6
ROWS = 400
ENGINES = ["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)]
FETCH: dict[str, Any] = {"sqlite": LiteEngine, "postgres": PgEngine, "duckdb": DuckEngine}


def fill(made: Made) -> None:
    """Load tables of unequal size with keys, references, dependencies and flaws of several kinds."""
    cities = ["Bonn", "Jena", "Ulm", "Kiel"]
    made.load("cities", ["id integer", "name varchar"], list(enumerate(cities)))
    for number in range(TABLES):
        rows = []
        for i in range(ROWS + 50 * number):
            amount = -999 if i % 40 == 7 else round(10 + (i * 37 % 101) / 10, 2)
            status = "nwe" if i == 11 else ["new", "paid", "sent"][i % 3]
            note = f"write to ann{i}@example.com" if i % 50 == 3 else f"note {i % 9}"
            city = 9 if i == 5 else i % 4
            rows.append((i, city, cities[i % 4], amount, status, None if i % 7 == 0 else note, "web"))
        made.load(
            f"orders_{number}",
            [
                "id integer",
                "city_id integer",
                "city varchar",
                "amount double precision",
                "status varchar",
                "note varchar",
                "source varchar",
            ],
            rows,
        )


def measured(made: Made, connections: int, **more: Any) -> dict[str, Any]:
    """Measure, and return all but the times."""
    raw = measure(made.connection, None, ["*"], [], [], True, connections=connections, **more)
    check(Facts.model_validate(json.loads(json.dumps(raw))))
    for query in raw["queries"]:
        del query["at"], query["seconds"]
    shown = {query["id"]: query["sql"] for query in raw["queries"]}
    for finding in raw["findings"]:
        for part in finding.get("members", [finding]):
            assert f'"{part["table"]}"' in shown[part["query"]]
    for dependency in raw["dependencies"]:
        assert f'"{dependency["table"]}"' in shown[dependency["query"]]
    for table in raw["tables"]:
        assert all(f'"{table["name"]}"' in shown[query] for query in table["queries"])
    return raw


@pytest.fixture(params=ENGINES)
def filled(request: pytest.FixtureRequest, make: Callable[[str], Made]) -> Made:
    made = make(request.param)
    fill(made)
    return made


@pytest.fixture
def shop(make: Callable[[str], Made]) -> Made:
    """A PostgreSQL database."""
    made = make("postgres")
    fill(made)
    return made


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> dict[int, list[str]]:
    """What every engine was asked, by the engine."""
    found: dict[int, list[str]] = {}
    for engine in FETCH.values():

        def fetch(self: Any, sql: str, *args: Any, whole: Any = engine.fetch, **named: Any) -> Rows:
            found.setdefault(id(self), []).append(sql)
            sleep(0.002)  # so that no connection has done all before the others begin
            rows: Rows = whole(self, sql, *args, **named)
            return rows

        monkeypatch.setattr(engine, "fetch", fetch)
    return found


def test_all_is_the_same_over_four_connections_as_over_one(filled: Made, asked: dict[int, list[str]]) -> None:
    one = measured(filled, 1)
    assert len(asked) == 1
    asked.clear()
    four = measured(filled, 4)
    assert len(asked) == 4
    assert all(any("orders_" in sql for sql in queries) for queries in asked.values())
    assert {"constant_column", "sentinel_value", "pii_exposed"} <= {kind["kind"] for kind in one["findings"]}
    assert one["references"]
    assert one["dependencies"]
    assert four == one
    assert one["coverage"]["notes"] == []


def test_there_are_no_more_connections_than_tables(filled: Made, asked: dict[int, list[str]]) -> None:
    measure(filled.connection, None, ["cities", "orders_1"], [], [], True, connections=8)
    assert len(asked) == 2


@pytest.mark.parametrize("connections", [1, 4])
def test_duckdb_has_two_cursors_whatever_is_asked_for_and_the_facts_are_those_of_one(
    make: Callable[[str], Made], monkeypatch: pytest.MonkeyPatch, asked: dict[int, list[str]], connections: int
) -> None:
    made = make("duckdb")
    fill(made)
    two = measured(made, connections)
    assert len(asked) == 2
    assert all(any("orders_" in sql for sql in queries) for queries in asked.values())
    asked.clear()
    monkeypatch.setattr("cataloger_sandbox.engines.open.CURSORS", 1)
    assert measured(made, connections) == two
    assert len(asked) == 1


def test_what_takes_all_threads_or_much_memory_of_duckdb_is_read_while_nothing_else_is(
    make: Callable[[str], Made], monkeypatch: pytest.MonkeyPatch
) -> None:
    made = make("duckdb")
    fill(made)
    made.load("long_texts", ["id integer", "body varchar"], [(i, f"{i} " * 40) for i in range(300)])
    made.sql("CREATE VIEW seen AS SELECT * FROM orders_0")
    monkeypatch.setattr("cataloger_sandbox.engines.duck._GROUP", ROWS + 200)
    monkeypatch.setattr("cataloger_sandbox.engines.duck.LONG_BYTES", 30_000)
    shared = {"cities", *(f"orders_{number}" for number in range(5))}
    fetch, lock = DuckEngine.fetch, threading.Lock()
    running: list[set[str]] = []
    met: list[frozenset[str]] = []

    def watched(self: DuckEngine, sql: str, *args: Any, **named: Any) -> Rows:
        tables = {name for name in (*shared, "orders_5", "long_texts", "seen") if f'"{name}"' in sql}
        with lock:
            running.append(tables)
            met.append(frozenset().union(*running) if len(running) > 1 else frozenset())
        sleep(0.002)
        try:
            rows: Rows = fetch(self, sql, *args, **named)
        finally:
            with lock:
                running.remove(tables)
        return rows

    monkeypatch.setattr(DuckEngine, "fetch", watched)
    measured(made, 1)
    assert any(met)
    assert frozenset().union(*met) <= shared


def test_duckdb_is_confined_once_and_not_for_each_table(
    make: Callable[[str], Made], monkeypatch: pytest.MonkeyPatch
) -> None:
    made = make("duckdb")
    fill(made)
    confined: list[bool] = []
    expect = DuckEngine.expect

    def expected(self: DuckEngine, *args: Any, **named: Any) -> None:
        expect(self, *args, **named)
        confined.append(self._settings.confined)

    monkeypatch.setattr(DuckEngine, "expect", expected)
    measured(made, 1)
    assert confined.count(True) == TABLES + 1  # each is weighed
    assert sum(before != after for before, after in pairwise([False, *confined])) == 2


@pytest.mark.postgres
def test_every_connection_sees_the_data_as_they_were_when_the_first_began(
    shop: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    grow = Connections.grow

    def changed(self: Connections, *args: int) -> None:
        shop.sql(*(f"DELETE FROM orders_{number} WHERE id > 100" for number in range(TABLES)))
        grow(self, *args)

    monkeypatch.setattr(Connections, "grow", changed)
    facts = facts_of(shop, connections=4)
    rows = [table_of(facts, f"orders_{number}").rows for number in range(TABLES)]
    assert rows == [ROWS + 50 * number for number in range(TABLES)]
    assert facts.coverage.notes == []


@pytest.mark.postgres
def test_a_query_is_limited_on_every_connection(shop: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    timeouts: dict[int, set[str]] = {}
    fetch = PgEngine.fetch

    def watched(self: PgEngine, sql: str, *args: Any, **named: Any) -> Rows:
        rows = fetch(self, sql, *args, **named)
        timeouts.setdefault(id(self), set()).add(self._driver.execute("SHOW statement_timeout").fetchone()[0])
        sleep(0.002)
        return rows

    monkeypatch.setattr(PgEngine, "fetch", watched)
    facts_of(shop, seconds=100, connections=3)
    assert len(timeouts) == 3
    assert not any("0" in each for each in timeouts.values())


def victims(self: PgEngine) -> list[int]:
    return [self._driver.info.backend_pid]


def everyone(self: PgEngine) -> list[int]:
    found = self._driver.execute(
        "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
    ).fetchall()
    return [*(pid for (pid,) in found), self._driver.info.backend_pid]


def killing(
    made: Made, monkeypatch: pytest.MonkeyPatch, table: str, whom: Callable[[PgEngine], list[int]], times: int = 1
) -> list[int]:
    """Have the server end connections while *table* is profiled; return who was ended."""
    fetch, ended = PgEngine.fetch, []

    def fatal(self: PgEngine, sql: str, *args: Any, **named: Any) -> Rows:
        if f'"{table}"' in sql and "nulls" in sql and len(ended) < times:
            pids = whom(self)
            ended.append(pids[-1])
            sql = f"SELECT pg_sleep(20), pg_backend_pid() AS nulls /* {table} */"
            killer = threading.Timer(0.3, lambda: made.sql(*(f"SELECT pg_terminate_backend({pid})" for pid in pids)))
            killer.start()
        rows = fetch(self, sql, *args, **named)
        sleep(0.002)
        return rows

    monkeypatch.setattr(PgEngine, "fetch", fatal)
    return ended


@pytest.mark.postgres
@pytest.mark.parametrize("connections", [1, 4])
def test_a_connection_that_is_ended_costs_the_table_at_hand_and_is_told(
    shop: Made, monkeypatch: pytest.MonkeyPatch, connections: int
) -> None:
    whole = measured(shop, 1)
    ended = killing(shop, monkeypatch, "orders_3", victims)
    facts = facts_of(shop, connections=connections)
    assert len(ended) == 1
    [skipped] = [item for item in facts.coverage.skipped if item.column is None]
    assert (skipped.table, skipped.reason) == ("orders_3", "it can't be read: the connection to the server was lost")
    assert facts.coverage.tables == (TABLES, TABLES + 1)
    for table in whole["tables"]:
        if table["name"] != "orders_3":
            assert table_of(facts, table["name"]).rows == table["rows"]
    [note] = facts.coverage.notes
    assert note.startswith("the connection to the server was lost once")
    assert ("of a later state" in note) or connections > 1  # the one that exported the view may be the one that lives


@pytest.mark.postgres
def test_a_connection_other_than_the_first_comes_back_to_the_same_view(
    shop: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetch, engines = PgEngine.fetch, []

    def other(self: PgEngine, sql: str, *args: Any, **named: Any) -> Rows:
        if self not in engines:
            engines.append(self)
            if len(engines) == 2:
                shop.sql("DELETE FROM orders_0 WHERE id > 100", "DELETE FROM orders_5 WHERE id > 100")
                shop.sql(f"SELECT pg_terminate_backend({self._driver.info.backend_pid})")
                sleep(0.2)
        sleep(0.002)
        return fetch(self, sql, *args, **named)

    monkeypatch.setattr(PgEngine, "fetch", other)
    facts = facts_of(shop, connections=2)
    assert len(engines) == 2
    assert facts.coverage.notes == ["the connection to the server was lost once"]
    rows = {table.name: table.rows for table in facts.tables}
    missing = [item.table for item in facts.coverage.skipped if item.column is None]
    assert len(missing) == 1
    for number in {0, 5} - {int(name[-1]) for name in missing}:
        assert rows[f"orders_{number}"] == ROWS + 50 * number


@pytest.mark.postgres
def test_a_server_that_ends_all_connections_costs_the_tables_at_hand(
    shop: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    killing(shop, monkeypatch, "orders_2", everyone)
    facts = facts_of(shop, connections=3)
    missing = {item.table for item in facts.coverage.skipped if item.column is None}
    assert "orders_2" in missing
    assert len(missing) <= 3
    [note] = facts.coverage.notes
    assert "of a later state of the data" in note


@pytest.mark.postgres
@pytest.mark.parametrize("connections", [1, 3])
def test_who_ends_the_connection_again_and_again_is_obeyed(
    shop: Made, monkeypatch: pytest.MonkeyPatch, connections: int
) -> None:
    monkeypatch.setattr(losses, "LOSSES", 1)
    fetch = PgEngine.fetch

    def fatal(self: PgEngine, sql: str, *args: Any, **named: Any) -> Rows:
        if "nulls" in sql:
            shop.sql(f"SELECT pg_terminate_backend({self._driver.info.backend_pid})")
        return fetch(self, sql, *args, **named)

    monkeypatch.setattr(PgEngine, "fetch", fatal)
    with pytest.raises(DatabaseProblem, match="was lost in the middle"):
        facts_of(shop, connections=connections)
    assert connections_to(shop) == 0


@pytest.mark.postgres
def test_a_server_that_does_not_come_back_is_waited_for_and_given_up(
    shop: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    killing(shop, monkeypatch, "orders_3", victims)
    monkeypatch.setattr(losses, "RETURN_SECONDS", 1.0)
    begin = pg_view.View.begin

    def refused(self: pg_view.View, driver: Any) -> None:
        if self.losses.told():
            raise DatabaseProblem("the server is starting")
        begin(self, driver)

    monkeypatch.setattr(pg_view.View, "begin", refused)
    began = monotonic()
    with pytest.raises(DatabaseProblem, match="was lost in the middle"):
        facts_of(shop)
    assert 1.0 < monotonic() - began < 10
    assert connections_to(shop) == 0


def connections_to(made: Made) -> int:
    """Count the other connections to the database, some time after the last was closed."""
    with psycopg.connect(made.url, autocommit=True) as con:
        until = monotonic() + 5
        while True:
            row = con.execute(
                "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
            ).fetchone()
            assert row is not None
            if not row[0] or monotonic() > until:
                return int(row[0])
            sleep(0.05)


@pytest.fixture
def locked(shop: Made, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A table that another session holds locked; nobody waits long for it."""
    monkeypatch.setattr("cataloger_sandbox.connect.LOCK_SECONDS", 1)
    with psycopg.connect(shop.url) as con:
        con.execute("LOCK TABLE orders_2 IN ACCESS EXCLUSIVE MODE")
        yield "orders_2"


@pytest.mark.postgres
@pytest.mark.parametrize("connections", [1, 4])
def test_a_locked_table_costs_itself_alone(shop: Made, locked: str, connections: int) -> None:
    facts = facts_of(shop, connections=connections)
    [skipped] = [item for item in facts.coverage.skipped if item.column is None]
    assert skipped.table == locked
    assert "another session holds it locked" in skipped.reason
    assert facts.coverage.tables == (TABLES, TABLES + 1)


@pytest.mark.parametrize("engine", [*ENGINES, "duckdb"])
def test_an_interrupt_ends_the_queries_of_all_connections(
    make: Callable[[str], Made], monkeypatch: pytest.MonkeyPatch, engine: str
) -> None:
    made = make(engine)
    fill(made)
    running: set[int] = set()
    fetch = FETCH[engine].fetch
    endless = "SELECT count(*) AS rows, 'nulls' FROM " + (
        "generate_series(1, 1000000000000)"
        if engine != "sqlite"
        else "(WITH RECURSIVE t(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM t) SELECT i FROM t)"
    )

    def slow(self: Any, sql: str, *args: Any, **named: Any) -> Rows:
        if "orders_" in sql and "null" in sql:
            running.add(threading.get_ident())
            sql = endless
        rows: Rows = fetch(self, sql, *args, **named)
        return rows

    def interrupted(futures: list[Future[None]]) -> list[Future[None]]:
        while len(running) < (2 if engine == "duckdb" else 3):
            if all(future.done() for future in futures):  # what is asked before
                return futures
            sleep(0.01)
        sleep(0.2)
        raise KeyboardInterrupt

    monkeypatch.setattr(FETCH[engine], "fetch", slow)
    monkeypatch.setattr("cataloger_sandbox.connections.as_completed", interrupted)
    threads = threading.active_count()
    began = monotonic()
    with pytest.raises(KeyboardInterrupt):
        measure(made.connection, None, ["orders_*"], [], [], True, connections=3)
    assert monotonic() - began < 10
    until = monotonic() + 5
    while threading.active_count() > threads:  # timers of queries that have just ended
        assert monotonic() < until
        sleep(0.01)
    if engine == "postgres":
        assert connections_to(made) == 0


@pytest.mark.postgres
def test_a_server_that_exports_no_view_is_measured_over_one_connection_and_it_is_told(
    shop: Made, postgres: Postgres, asked: dict[int, list[str]]
) -> None:
    reader = postgres.new_reader(shop.url)
    whole = measured(shop, 1)
    asked.clear()
    shop.sql("REVOKE EXECUTE ON FUNCTION pg_export_snapshot() FROM PUBLIC")
    facts = facts_of(Made("postgres", connection_of(reader), reader), connections=4)
    assert len(asked) == 1
    [note] = facts.coverage.notes
    assert note.startswith("measured over 1 of 4 connections: the server lets no other have the view of the first (")
    assert "pg_export_snapshot" in note
    page = catalog_page(samples.run(previous=None), facts, None, {}, [])
    assert f"How it was measured: {escape(note)}." in page.html
    assert "- measured over 1 of 4 connections" in export(page.html, "markdown")
    assert [table.rows for table in facts.tables] == [table["rows"] for table in whole["tables"]]


@pytest.mark.postgres
def test_a_role_of_two_connections_is_measured_over_two_and_it_is_told(
    shop: Made, postgres: Postgres, asked: dict[int, list[str]]
) -> None:
    role = postgres.new_role(
        shop.url, "GRANT SELECT ON ALL TABLES IN SCHEMA public TO {role}", options="CONNECTION LIMIT 2"
    )
    facts = facts_of(Made("postgres", connection_of(role), role), connections=4)
    assert len(asked) == 2
    [note] = facts.coverage.notes
    assert note.startswith("measured over 2 of 4 connections: ")
    assert "has no connection left" in note
    assert facts.coverage.tables == (TABLES + 1, TABLES + 1)


class Fake:
    """An engine that is never asked."""


def crew(count: int) -> Connections:
    made = Connections(Fake(), Fake)  # type: ignore[arg-type]
    made.grow(count, count)
    return made


def never(_: object) -> bool:
    return False


def test_the_heaviest_begin_first_and_what_comes_of_them_is_in_their_order() -> None:
    begun: list[int] = []
    gate = threading.Barrier(2, timeout=5)
    lock = threading.Lock()

    def work(_: object, item: int, __: int) -> int:
        gate.wait()
        with lock:
            begun.append(item)
        return item * 10

    assert crew(2).each([1, 5, 3, 2], lambda item: item, work, never) == [10, 50, 30, 20]
    assert sorted(begun[:2]) == [3, 5]


def test_one_connection_takes_them_in_their_order() -> None:
    begun: list[int] = []
    crew(1).each([1, 5, 3], lambda item: item, lambda _, item, __: begun.append(item), never)
    assert begun == [1, 5, 3]


@pytest.mark.parametrize(("connections", "rounds"), [(1, [5, 4, 3, 2, 1]), (2, [3, 2, 2, 1, 1]), (4, [2, 1, 1, 1, 1])])
def test_a_tables_share_of_the_time_is_among_those_that_come_one_after_another(
    connections: int, rounds: list[int]
) -> None:
    told = crew(connections).each(range(5), lambda item: -item, lambda _, __, left: left, never)
    assert told == rounds


def test_what_fails_on_one_connection_ends_the_others() -> None:
    ended = threading.Event()
    made = Connections(Fake(), Fake, ended.set)  # type: ignore[arg-type]
    made.grow(2, 2)

    def work(_: object, item: int, __: int) -> None:
        if item:
            raise DatabaseProblem("gone")
        assert ended.wait(5)

    with pytest.raises(DatabaseProblem, match="gone"):
        made.each([0, 1], lambda item: -item, work, never)


def test_what_is_worked_on_alone_is_first_and_by_the_first() -> None:
    crews = crew(3)
    begun: list[tuple[int, int]] = []

    def work(engine: object, item: int, left: int) -> int:
        if item % 2:
            assert engine is crews.first
            begun.append((item, left))
        else:
            assert len(begun) == 4
        return -item

    assert crews.each(range(8), lambda item: item, work, lambda item: item % 2 == 1) == [-item for item in range(8)]
    assert begun == [(1, 6), (3, 5), (5, 4), (7, 3)]


class Answering:
    """An engine that answers nothing to everything."""

    def spoken(self, sql: str) -> str:
        return sql

    def fetch(self, _: str, __: float | None = None) -> Rows:
        return Rows([], [])


def test_a_tables_queries_have_ids_of_their_own_until_they_are_added() -> None:
    journal = Journal(Answering(), 10.0)  # type: ignore[arg-type]
    _, first = journal.run("SELECT 1")
    other = journal.beside(Answering(), threading.Event())  # type: ignore[arg-type]
    _, second = other.run("SELECT 2")
    assert second != first
    assert journal.take(other) == {second: "q2"}
    assert [(query["id"], query["sql"]) for query in journal.queries] == [("q1", "SELECT 1"), ("q2", "SELECT 2")]
    assert journal.run("SELECT 3")[1] == "q3"
