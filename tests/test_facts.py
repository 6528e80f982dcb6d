"""References name facts: split and joined without loss, resolved to the value and to the query that gave it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cataloger_dagster.facts import (
    Claim,
    Column,
    Coverage,
    Facts,
    Query,
    Reference,
    Table,
    UnknownReference,
    join_reference,
    references,
    split_reference,
)

FACTS = Facts(
    engine="duckdb 1",
    tables=[
        Table(
            name="orders",
            schema_="main",
            rows=12,
            kind="table",
            keys=[["id"]],
            queries=["q2", "q3"],
            columns=[
                Column(name="id", type="integer", nulls=0, distinct=12, distinct_method="exact"),
                Column(
                    name="amount",
                    type="double",
                    nulls=3,
                    quantiles={"0.05": 1, "0.5": 4},
                    top=[(9.99, 5)],
                    nullable=True,
                ),
            ],
        ),
        Table(name="private.salaries", schema_="private", rows=2, kind="table", keys=[], queries=["q4"], columns=[]),
    ],
    references=[
        Reference(from_=("orders", ["amount"]), to=("private.salaries", ["x"]), declared=False, orphans=7, query="q5")
    ],
    queries=[
        Query(id="q1", sql="SELECT 2 AS tables", at="2026-01-01T00:00:00Z", seconds=0.1),
        Query(
            id="q2", sql="SELECT count(*) AS rows, 0 AS c0_nulls, 3 AS c1_nulls", at="2026-01-01T00:00:00Z", seconds=0.1
        ),
        Query(id="q3", sql="SELECT 4 AS c1_median", at="2026-01-01T00:00:00Z", seconds=0.1),
        Query(id="q4", sql="SELECT 2 AS rows", at="2026-01-01T00:00:00Z", seconds=0.1),
        Query(id="q5", sql="SELECT 7", at="2026-01-01T00:00:00Z", seconds=0.1),
    ],
    coverage=Coverage(tables=(2, 2), columns=(2, 2)),
)


@given(st.lists(st.text(min_size=1), min_size=1, max_size=4))
def test_a_reference_comes_apart_into_the_parts_it_was_joined_of(parts: list[str]):
    assert split_reference(join_reference(parts)) == parts


@pytest.mark.parametrize("text", ["", ".", "a.", ".a", "a..b", 'a."b', "a b", 'a"b"', "a.b c"])
def test_what_is_no_reference_is_said_to_be_none(text: str):
    with pytest.raises(UnknownReference, match="no reference"):
        split_reference(text)


@pytest.mark.parametrize(
    ("reference", "value", "query"),
    [
        ("orders.rows", 12, "q2"),
        ("orders.columns", 2, "q2"),
        ("orders.id.nulls", 0, "q2"),
        ("orders.amount.nulls", 3, "q2"),
        ("orders.amount.median", 4, "q3"),
        ("orders.amount.orphans", 7, "q5"),
        ('"private.salaries".rows', 2, "q4"),
        ("tables", 2, "q1"),
        ("rows", 14, "q1"),
    ],
)
def test_a_reference_resolves_to_the_value_and_the_query_that_gave_it(reference: str, value: int, query: str):
    assert FACTS.resolve(reference) == Claim(id=reference, value=value, query=query)


def test_a_named_claim_resolves_by_its_name():
    late = Claim(id="late.share", value=0.5, query="q9")
    assert FACTS.resolve("late.share", {"late.share": late}) is late


@pytest.mark.parametrize(
    ("reference", "says"),
    [
        ("order.rows", "did you mean 'orders'"),
        ("orders.amuont.nulls", "did you mean 'amount'"),
        ("orders.amount.nuls", "measured: type, nulls"),
        ("orders.amount.max", "was not measured"),
        ("private.salaries.rows", "'private'"),
        ("table", "did you mean 'tables'"),
        ("orders.amount.x.y", "double-quote"),
    ],
)
def test_an_unknown_reference_says_what_was_meant(reference: str, says: str):
    with pytest.raises(UnknownReference, match=says):
        FACTS.resolve(reference)


def test_every_reference_listed_resolves():
    listed = list(references(FACTS))
    assert "orders.amount.q05" in listed
    assert all(FACTS.resolve(reference).value is not None for reference in listed)
