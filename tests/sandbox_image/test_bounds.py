"""Where a search stops at a bound, the coverage says where, and what may be missing for it."""

import random
from collections.abc import Callable

import pytest
from cataloger_sandbox import dependencies, references
from cataloger_sandbox.flaws import exposed

from cataloger_dagster.facts import Unjudged
from tests.sandbox_image.conftest import Made
from tests.sandbox_image.measured import facts_of

ORPHANS = ["orphan_foreign_key"]
BROKEN = ["broken_dependency"]


@pytest.fixture
def shop(make: Callable[[str], Made]) -> Made:
    database, rng = make("duckdb"), random.Random(1)
    database.load("customers", ["customer_id integer"], [(i * 17 + 3,) for i in range(200)])
    places = {"Berlin": ("DE", "Mitte"), "Paris": ("FR", "Ile"), "Lyon": ("FR", "Rhone"), "Rome": ("IT", "Lazio")}
    cities = rng.choices(list(places), k=400)
    rows = [(i, rng.randrange(200) * 17 + 3, city, *places[city]) for i, city in enumerate(cities)]
    columns = ["order_id integer", "customer_id integer", "city varchar", "country varchar", "region varchar"]
    database.load("orders", columns, rows)
    return database


def missing(database: Made) -> list[Unjudged]:
    facts = facts_of(database)
    assert all(item.cut for item in facts.coverage.unjudged)
    assert facts.coverage.unanswered == []
    return facts.coverage.unjudged


def test_a_search_that_reaches_no_bound_says_nothing(shop: Made) -> None:
    assert missing(shop) == []
    facts = facts_of(shop)
    assert [reference.from_ for reference in facts.references] == [("orders", ["customer_id"])]
    assert len(facts.dependencies) > 0


@pytest.mark.parametrize(("bound", "value"), [("SEARCH_SECONDS", -1.0), ("PAIRS", -1)])
def test_references_that_were_not_looked_for_are_told_of_each_table(
    shop: Made, monkeypatch: pytest.MonkeyPatch, bound: str, value: float
) -> None:
    monkeypatch.setattr(references, bound, value)
    [item] = missing(shop)
    assert (item.kinds, sorted(item.tables), item.columns) == (ORPHANS, ["customers", "orders"], [])


def test_where_a_bound_is_reached_in_the_middle_of_a_table_the_other_columns_are_named(
    shop: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(references, "PAIRS", 0)
    [item] = missing(shop)
    assert (item.tables, item.columns) == (["orders"], ["city", "country", "region"])


def test_references_of_several_columns_that_were_not_measured_are_named(
    make: Callable[[str], Made], monkeypatch: pytest.MonkeyPatch
) -> None:
    database = make("duckdb")
    lines = [(order, line) for order in range(1000, 1200) for line in range(1, 4)]
    parcels = [(i, *lines[i * 7 % 600], i % 9) for i in range(300)]
    database.load("order_lines", ["order_no integer", "line_no integer"], lines)
    database.load("parcels", ["parcel integer", "order_no integer", "line_no integer", "weight integer"], parcels)
    assert ("parcels", ["order_no", "line_no"]) in [item.from_ for item in facts_of(database).references]
    monkeypatch.setattr(references, "SEARCH_SECONDS", -1.0)
    found = [item for item in missing(database) if "together" in item.reason]
    assert [(item.kinds, item.tables, item.columns) for item in found] == [
        (ORPHANS, ["parcels"], ["order_no", "line_no"])
    ]
    assert "order_lines" in found[0].reason


@pytest.mark.parametrize(("bound", "value"), [("SEARCH_SECONDS", -1.0), ("PER_TABLE", 0)])
def test_dependencies_that_were_not_counted_are_named(
    shop: Made, monkeypatch: pytest.MonkeyPatch, bound: str, value: float
) -> None:
    every = {name for item in facts_of(shop).dependencies for name in (item.determinant, item.dependent)}
    monkeypatch.setattr(dependencies, bound, value)
    [item] = missing(shop)
    assert (item.kinds, item.tables, set(item.columns)) == (BROKEN, ["orders"], every)


def test_columns_beyond_those_that_are_compared_are_named(shop: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dependencies, "COLUMNS", 3)
    [item] = missing(shop)
    assert (item.kinds, item.tables) == (BROKEN, ["orders"])
    assert "region" in item.columns
    assert "customer_id" not in item.columns


def test_of_many_texts_that_may_hold_a_secret_and_do_not_the_first_are_judged(
    make: Callable[[str], Made], monkeypatch: pytest.MonkeyPatch
) -> None:
    database = make("duckdb")
    texts = [(i, f"password: somewhere on page {i}") for i in range(300)]
    database.load("notes", ["id integer", "text varchar"], texts)
    assert missing(database) == []
    monkeypatch.setattr(exposed, "CANDIDATES", 100)
    [item] = [item for item in missing(database) if item.kinds == ["secret_exposed"]]
    assert (item.tables, item.columns) == (["notes"], ["text"])
