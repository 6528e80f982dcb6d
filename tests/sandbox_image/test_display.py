"""What a model sees of a frame, and of an expression it did not run."""

from collections.abc import Iterator
from typing import Any

import ibis
import ibis.expr.types as types
import pandas
import pytest
from cataloger_sandbox import display


@pytest.fixture
def con() -> Iterator[Any]:
    kept = [(kind, kind.__dict__.get("__repr__")) for kind in (types.Table, types.Column, types.Scalar)]
    display.settle()
    con = ibis.duckdb.connect()
    con.raw_sql("CREATE TABLE orders AS SELECT range AS id, range % 7 AS status FROM range(500)")
    yield con
    con.disconnect()
    pandas.reset_option("display")
    for kind, was in kept:
        if was is None:
            del kind.__repr__
        else:
            kind.__repr__ = was


@pytest.mark.usefixtures("con")
def test_a_wide_frame_shows_every_column_and_a_row_a_line() -> None:
    shown = repr(pandas.DataFrame({f"column_{n}": [n, n + 1] for n in range(50)}))
    assert all(f"column_{n}" in shown for n in range(50))
    assert len(shown.splitlines()) == 3


@pytest.mark.usefixtures("con")
def test_a_long_frame_shows_both_ends_and_its_size_and_long_values_are_cut() -> None:
    lines = repr(pandas.DataFrame({"id": range(1000), "note": ["word " * 50] * 1000})).splitlines()
    assert lines[1].lstrip().startswith("0 ")
    assert lines[-1] == "[1000 rows x 2 columns]"
    assert len(lines) == 1 + 20 + 1 + 2
    assert max(map(len, lines)) < 120


@pytest.mark.usefixtures("con")
@pytest.mark.parametrize(
    ("value", "shown"),
    [(1234567.0, "1234567"), (1234567.891, "1234567.89"), (1 / 3, "0.333333"), (1e300, "1e+300"), (2.5e-9, "2.5e-09")],
)
def test_numbers_are_short_and_keep_what_counts(value: float, shown: str) -> None:
    assert repr(pandas.DataFrame({"x": [value]})).split()[-1] == shown


def test_an_expression_shows_its_first_rows_without_being_run_by_hand(con: Any) -> None:
    lines = repr(con.table("orders").order_by("id")).splitlines()
    assert lines[0].split() == ["id", "status"]
    assert lines[10].split() == ["9", "9", "2"]
    assert lines[11].startswith("[the first 10 rows;")
    assert len(lines) == 12


def test_a_small_result_is_whole_and_a_single_value_is_itself(con: Any) -> None:
    orders = con.table("orders")
    assert len(repr(orders.group_by("status").agg(n=orders.count())).splitlines()) == 8
    assert (repr(orders.count()), str(orders.id.max())) == ("500", "499")
    assert repr(orders.status.name("s")).splitlines()[0].strip() == "s"


def test_an_expression_that_can_not_be_run_says_why(con: Any) -> None:
    with pytest.raises(Exception, match="nope"):
        repr(con.table("orders").select("nope"))
