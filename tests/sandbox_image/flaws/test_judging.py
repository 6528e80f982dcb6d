"""A rule that fails costs what it alone would have found, and the catalog says so."""

import random
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from cataloger_sandbox import measure
from cataloger_sandbox.engines.base import QueryFailed, Rows
from cataloger_sandbox.engines.open import open_engine
from cataloger_sandbox.errors import DatabaseProblem
from cataloger_sandbox.flaws import search, values
from cataloger_sandbox.journal import Journal
from cataloger_sandbox.judging import judged
from cataloger_sandbox.survey import Survey

from cataloger_dagster.facts import Unjudged
from cataloger_dagster.report import elements
from tests.sandbox_image.conftest import Made
from tests.sandbox_image.flaws.looks import some
from tests.sandbox_image.flaws.test_found import NOW, load, orders
from tests.sandbox_image.measured import facts_of, found

RULES = {rule.__name__: [kind] for rule, kind in values.RULES.items()}
FAMILIES = {family.__name__: list(kinds) for family, kinds in search.FAMILIES.items()}


@pytest.fixture
def shop(make: Callable[[str], Made]) -> Made:
    database, clean = make("duckdb"), orders(random.Random(2))
    load(database, clean | {"quantity": some(clean["quantity"], range(200, 210), lambda _: -999)})
    load(database, clean | {"amount": some(clean["amount"], range(9), lambda amount: 1e6 * (1 + amount))}, "returns")
    return database


def failing_for(rule: Callable[..., Iterator[Any]], table: str) -> Callable[..., Iterator[Any]]:
    """Return *rule* with a fault that one table brings out, whose message quotes a value."""

    def failing(*args: Any) -> Iterator[Any]:
        profile = getattr(args[-1], "profile", args[-1])
        if profile.name == table:
            raise ValueError("can't make a number of 'ann@example.com'")
        yield from rule(*args)

    return failing


@pytest.mark.parametrize("part", [0, 1])
def test_a_rule_that_fails_in_one_table_is_named_and_the_others_go_on(
    shop: Made, monkeypatch: pytest.MonkeyPatch, part: int
) -> None:
    broken = sorted(RULES | FAMILIES)[part::2]
    for module, table in ((values, "RULES"), (search, "FAMILIES")):
        changed = {
            failing_for(rule, "orders") if rule.__name__ in broken else rule: kinds
            for rule, kinds in getattr(module, table).items()
        }
        monkeypatch.setattr(module, table, changed)
    facts = facts_of(shop)
    expected = {"outlier:returns:amount", "sentinel_value:orders:quantity"}
    assert ("sentinel_values" in broken) == (part == 0)
    assert found(facts).keys() >= (expected if part == 1 else {"outlier:returns:amount"})
    missing = facts.coverage.unjudged
    assert sorted(item.kinds for item in missing) == sorted((RULES | FAMILIES)[name] for name in broken)
    assert {(*item.tables, item.cut) for item in missing} == {("orders", False)}
    assert all("ValueError, test_judging.py:" in item.reason and "ann" not in item.reason for item in missing)


@pytest.mark.parametrize(
    ("module", "name", "kinds"),
    [
        (values, "look_at", values.KINDS),
        (values, "rhythm", ["stale_table"]),
        (values, "duplicate_rows", ["duplicate_rows"]),
        (values, "repeated_pairs", ["duplicate_key"]),
        (values, "count_all", ["sentinel_value"]),
        (values, "stale_tables", ["stale_table"]),
        (measure, "find_dependencies", ["broken_dependency"]),
    ],
)
def test_whatever_of_the_search_fails_the_catalog_is_written(
    shop: Made, monkeypatch: pytest.MonkeyPatch, module: Any, name: str, kinds: list[str]
) -> None:
    def failing(*_: Any) -> Any:
        raise ZeroDivisionError

    monkeypatch.setattr(module, name, failing)
    facts = facts_of(shop)
    assert list(facts.coverage.unjudged[0].kinds) == list(kinds)
    assert len(facts.tables) == 2


def test_every_kind_that_a_page_has_a_title_for_has_a_rule(shop: Made) -> None:
    assert set(search.KINDS) == set(elements.KINDS)
    assert facts_of(shop).coverage.unjudged == []


def test_a_question_that_takes_too_long_is_told_of_its_rule_and_table_alone(
    shop: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = Journal.try_out

    def late(journal: Journal, sql: str) -> Rows:
        if "count(CASE WHEN" in sql and '"orders"' in sql:
            journal.unanswered.append("took longer than 60 s")
            raise QueryFailed("took longer than 60 s", late=True)
        return answer(journal, sql)

    monkeypatch.setattr(Journal, "try_out", late)
    coverage = facts_of(shop).coverage
    assert coverage.unanswered == []
    assert coverage.unjudged == [
        Unjudged(kinds=["sentinel_value"], tables=["orders"], reason="a question got no answer: took longer than 60 s")
    ]


def test_what_no_time_is_left_for_is_told_once(shop: Made) -> None:
    with open_engine(shop.connection) as engine:
        survey = Survey(engine, Journal(engine, 10.0, all_seconds=0.0), NOW)
        for _ in range(2):
            assert judged(survey, None, ["outlier"], lambda: [survey.journal.count("SELECT 1")]) == [(None, None)]
        assert survey.unjudged == []
        assert set(survey.journal.unanswered) == {"the 0 minutes for measuring are used up"}


def test_a_lost_connection_is_the_databases_failure_and_no_rules(shop: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    def lost(*_: Any) -> Any:
        raise DatabaseProblem("the connection to the server was lost in the middle: try again")

    monkeypatch.setattr(search, "FAMILIES", {lost: ["outlier"]})
    with pytest.raises(DatabaseProblem):
        facts_of(shop)
