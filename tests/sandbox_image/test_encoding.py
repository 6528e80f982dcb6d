"""A column of values encoded at once."""

import math
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from cataloger_sandbox.encode import encode, encode_column, encode_rows

COLUMNS: dict[str, list[Any]] = {
    "nothing": [None, None],
    "truths": [True, None, False],
    "small numbers": [1, None, -(2**53)],
    "a number too large for JSON": [1, 2**53 + 1],
    "floats": [0.5, None, 1e300],
    "floats without an end": [0.5, math.inf, -math.inf],
    "texts": ["a", None, "é"],
    "half of a surrogate pair": ["a", "\ud800"],
    "decimals of two scales": [Decimal("1.0"), Decimal("1.00")],
    "numbers of two types that are equal": [1, 1.0, True],
    "days and bytes": [date(2026, 1, 31), b"x"],
}


@pytest.mark.parametrize("values", COLUMNS.values(), ids=COLUMNS)
def test_a_column_is_encoded_as_its_values_are_one_by_one(values: list[Any]) -> None:
    one_by_one = [encode(value) for value in values]
    found = encode_column(values)
    assert found == one_by_one
    assert list(map(type, found)) == list(map(type, one_by_one))


def test_rows_stay_rows() -> None:
    assert encode_rows([(1, Decimal("2.50")), (3, None)]) == [[1, "2.50"], [3, None]]
    assert encode_rows([]) == []
