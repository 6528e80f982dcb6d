"""How values and counts stand in a finding's sentence."""

import re
from collections.abc import Iterable
from decimal import Decimal

from cataloger_sandbox.encode import Value
from cataloger_sandbox.flaws.look import Column, Look

VALUES = 5
WIDTH = 40


def amount(number: float) -> str:
    """Return a number with six digits, or as many as it has before the point."""
    return f"{number:,.0f}" if 1e6 <= abs(number) < 1e15 else f"{number:,.6g}"


def shown(value: Value) -> str:
    """Return a value of the database, short and on one line; a text in quotation marks."""
    if isinstance(value, float):
        return amount(value)
    if isinstance(value, str):
        line = " ".join(value.split(" ")).replace("\n", " ").replace("\r", " ").replace("\t", " ")
        return f"“{line[:WIDTH]}{'…' if len(line) > WIDTH else ''}”"
    return str(value)


def plain(column: Column, value: Value) -> str:
    """Return a value of *column* as it stands in a sentence: numbers and times without quotation marks."""
    if column.kind == "time":
        return str(value)[:16].replace("T", " ")
    if column.kind == "number" and isinstance(value, str):
        return _decimal(value) if re.fullmatch(r"-?\d+\.\d+", value) else value
    return shown(value)


def _decimal(text: str) -> str:
    """Return a decimal, which is a text, as other numbers are written: grouped, without zeros that fill its scale."""
    return f"{Decimal(text):,f}".rstrip("0").rstrip(".")


def listed(column: Column, values: Iterable[Value]) -> str:
    """Return the first of *values* with "and", and how many more there are; nothing of a person's."""
    each = [plain(column, value) for value in values]
    if not column.quotable:
        return "a value" if len(each) == 1 else f"{len(each):,} values"
    if len(each) > VALUES:
        return f"{', '.join(each[:VALUES])} and {len(each) - VALUES:,} more"
    return f"{', '.join(each[:-1])} and {each[-1]}" if len(each) > 1 else "".join(each)


def counted(rows: int, look: Look) -> str:
    """Return how many rows of all these are."""
    return f"{rows:,} of {look.rows:,} rows"


def verb(rows: int, one: str, many: str) -> str:
    """Return the form of a verb that goes with so many rows."""
    return one if rows == 1 else many


def per_cent(share: float) -> str:
    """Return a share in per cent, with as many places as tell it from nothing."""
    percent = 100 * share
    return f"{percent:.0f} %" if percent >= 10 else f"{percent:.2g} %" if percent else "0 %"
