"""How values look in a session: as a model reads them best, with every column and few characters.

Frames keep all their columns on one line a row, and show more rows than by the library's own choice; an Ibis
expression shows its first rows instead of its plan, so that looking at one takes one cell and not two. How much
of a cell's output is kept is not this module's business.
"""

from typing import Any

ROWS = 40
"""The most rows of a frame; of a longer one half as many, from both ends."""

COLUMNS = 60
WIDTH = 80
"""The most characters of one value."""

LOOKED_AT = 10
"""How many rows of an expression are fetched to be shown."""


def settle() -> None:
    """Make the values of this interpreter look so."""
    import ibis.expr.types as types  # slow, and only sessions with cells need it
    import pandas

    for name, value in {
        "display.max_rows": ROWS,
        "display.min_rows": ROWS // 2,
        "display.max_columns": COLUMNS,
        "display.max_colwidth": WIDTH,
        "display.width": 100_000,
        "display.float_format": _number,
    }.items():
        pandas.set_option(name, value)
    for kind in (types.Table, types.Column, types.Scalar):
        kind.__repr__ = _expression


def _number(value: float) -> str:
    """Return *value* short, and never so short that a whole number or an amount loses digits."""
    if value.is_integer() and abs(value) < 1e15:
        return f"{value:.0f}"
    return f"{value:.2f}" if 1e5 <= abs(value) < 1e15 else f"{value:.6g}"


def _expression(expression: Any) -> str:
    """Return what *expression* gives, as a frame of its first rows, or its one value; it is run for that."""
    import ibis.expr.types as types

    if isinstance(expression, types.Scalar):
        return repr(expression.to_pyarrow().as_py())
    table = expression.as_table() if isinstance(expression, types.Column) else expression
    frame = table.limit(LOOKED_AT + 1).to_pyarrow().to_pandas()
    if len(frame) <= LOOKED_AT:
        return str(frame.to_string())
    more = f"[the first {LOOKED_AT} rows; .to_pandas() has all, .count() says how many]"
    return f"{frame.head(LOOKED_AT).to_string()}\n{more}"
