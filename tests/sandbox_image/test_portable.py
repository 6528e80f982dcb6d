"""The portable engine over Ibis's own connections, against the engines that have SQL of their own, on the same data."""

import gc
import importlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import pytest
from cataloger_sandbox.connect import connect
from cataloger_sandbox.connections import Connections
from cataloger_sandbox.engines import portable_profile
from cataloger_sandbox.engines.base import Limits
from cataloger_sandbox.engines.portable import SELDOM, PortableEngine

from tests.sandbox_image.conftest import Made
from tests.sandbox_image.measured import facts_of

COLUMNS = [
    "id integer PRIMARY KEY",
    "amount double precision",
    "qty integer",
    "city varchar",
    "born date",
    "gone integer",
]
CITIES = ["Zürich", "Bern", "O'Hare", None]
ROWS = [
    (i, None if i % 7 == 0 else i * 0.37, i % 13, CITIES[i % 4], f"20{i % 20:02d}-03-{1 + i % 28:02d}", None)
    for i in range(500)
]
SAME = ("nulls", "distinct", "min", "max", "quantiles", "lengths")


# Ibis 12 calls what DuckDB 1.5 deprecates.
pytestmark = pytest.mark.filterwarnings("ignore:fetch_arrow_table:DeprecationWarning")


@pytest.fixture
def portably(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Return the function that has all that is measured from then on measured through Ibis alone."""

    @contextmanager
    def opened(connection: Mapping[str, Any], several: bool) -> Iterator[Connections]:
        backend = connection["backend"]
        driver = importlib.import_module({"sqlite": "sqlite3"}.get(backend, backend))
        engine = PortableEngine(connect(connection), backend, (driver.Error,))
        yield Connections(engine)
        engine.close()

    return lambda: monkeypatch.setattr("cataloger_sandbox.measure.open_connections", opened)


@pytest.mark.parametrize("engine", ["duckdb", "sqlite"])
def test_its_facts_are_those_of_the_engines_own_sql(
    engine: str, make: Callable[[str], Made], portably: Callable[[], None]
) -> None:
    database = make(engine)
    database.load("orders", COLUMNS, ROWS)
    theirs = facts_of(database).tables[0]
    portably()
    ours = facts_of(database).tables[0]
    assert ours.rows == theirs.rows == 500
    for column, other in zip(ours.columns, theirs.columns, strict=True):
        for name in SAME:
            assert getattr(column, name) == getattr(other, name), f"{column.name}: {name}"
        for name in ("mean", "std"):
            assert (getattr(column, name) or 0) == pytest.approx(getattr(other, name) or 0), f"{column.name}: {name}"
        if column.name in ("qty", "city"):
            assert column.top == other.top
        if column.name in ("amount", "qty"):
            assert column.histogram == other.histogram


def test_what_it_takes_from_a_sample_is_said_and_near(
    make: Callable[[str], Made], portably: Callable[[], None]
) -> None:
    database = make("duckdb")
    database.load("n", ["x double", "few integer"], [(i / 10, i % 5) for i in range(20_000)])
    portably()
    facts = facts_of(database, limits=Limits(exact_rows=10_000, sample_rows=5_000, top_distinct=100))
    x, few = facts.tables[0].columns
    assert (x.distinct, few.distinct) == (20_000, 5)
    assert few.quantiles == {"0.05": 0, "0.25": 1, "0.5": 2, "0.75": 3, "0.95": 4}
    assert few.quantiles_error is None
    assert x.quantiles is not None
    assert x.quantiles_error is not None
    assert abs(float(str(x.quantiles["0.5"])) / 2000 - 0.5) < x.quantiles_error
    assert facts.coverage.sampled[0].table == "n"


def test_a_database_that_lists_no_tables_is_whole(make: Callable[[str], Made], portably: Callable[[], None]) -> None:
    portably()
    assert facts_of(make("duckdb")).tables == []


def test_garbage_is_looked_for_less_often_while_sql_is_made_and_as_usual_before_and_after(
    make: Callable[[str], Made], portably: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    database = make("sqlite")
    database.load("orders", COLUMNS, ROWS)
    portably()
    usual, seen = gc.get_threshold(), []
    scan, tops = portable_profile.scan, portable_profile.tops

    def noted(work: Callable[..., Any]) -> Callable[..., Any]:
        return lambda *args: seen.append(gc.get_threshold()[0]) or work(*args)

    monkeypatch.setattr(portable_profile, "scan", noted(scan))
    monkeypatch.setattr(portable_profile, "tops", noted(tops))
    facts_of(database)
    assert set(seen) == {SELDOM}
    assert gc.get_threshold() == usual
    assert usual[0] < SELDOM


@pytest.mark.parametrize("engine", ["duckdb", "sqlite"])
def test_its_findings_and_the_rows_of_their_evidence_are_those_of_the_engines_own_sql(
    engine: str, make: Callable[[str], Made], portably: Callable[[], None]
) -> None:
    database = make(engine)
    hours = [(o, h, h / 2) for o in ("EWR", "JFK") for h in range(100)]
    database.load("weather", ["origin varchar", "hour_no integer", "temp double precision"], hours)
    flights = [
        (
            i,
            ("EWR", "JFK")[i % 2],
            (i * 3) % 104,
            40 + i % 60 if i % 250 else -9 - i % 7,
            "Late" if i in (7, 8) else ("late", "early")[i % 3 % 2],
        )
        for i in range(1, 1001)
    ]
    names = ["flight_no integer", "origin varchar", "hour_no integer", "quantity integer", "state varchar"]
    database.load("flights", names, flights)
    at_fault = {
        "orphan_foreign_key:flights:hour_no,origin": {row[0] for row in flights if row[2] >= 100},
        "impossible_value:flights:quantity": {row[0] for row in flights if row[3] < 0},
        "case_or_space_variant:flights:state": {7, 8},
    }
    theirs = facts_of(database)
    portably()
    ours = facts_of(database)
    for facts in (theirs, ours):
        assert {each.id: each.rows for each in facts.findings} == {key: len(ids) for key, ids in at_fault.items()}
        (link,) = (each for each in facts.references if each.to[0] == "weather")
        assert (link.from_, link.orphans) == (
            ("flights", ["origin", "hour_no"]),
            len(at_fault["orphan_foreign_key:flights:hour_no,origin"]),
        )
        for finding in facts.findings:
            with database._open() as driver:
                rows = driver.execute(facts.query_by_id[finding.query].sql).fetchall()
            assert {row[1] for row in rows} == at_fault[finding.id]
