"""One table's rows as the rules see them: all of a table's, or a sample's of a large one. No rule here.

What one rule explains, the next does not see again: the more specific come first and ``take`` what is theirs.
"""

import dataclasses
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any

import numpy as np

from cataloger_sandbox.encode import Value
from cataloger_sandbox.engines.base import Field, FieldKind, QueryFailed, literal
from cataloger_sandbox.flaws.finding import Severity
from cataloger_sandbox.flaws.tails import ALPHA
from cataloger_sandbox.names import is_identifier, words
from cataloger_sandbox.reading import Reading
from cataloger_sandbox.survey import Profile, Survey

CELLS = 600_000
"""So many values of a table are looked at, at most."""

DAY = 86_400.0
_FIRST = datetime(1970, 1, 1)  # noqa: DTZ001 - compared with times that have no zone


@dataclass
class Column:
    """One column's values, in the order of the rows; ``profile`` is its profile in the host's schema."""

    field: Field
    kind: FieldKind
    sql: str
    profile: dict[str, Any]
    values: Sequence[Value]
    taken: set[Value] = dataclasses.field(default_factory=set)

    @property
    def name(self) -> str:
        """Return its name."""
        return self.field.name

    @cached_property
    def words(self) -> set[str]:
        """Return the words of its name."""
        return set(words(self.name))

    @property
    def quotable(self) -> bool:
        """Tell whether a value may stand in a sentence or a query: not where it is a person's."""
        return not self.profile.get("pii")

    @cached_property
    def counts(self) -> "Counter[Any]":
        """Return how often each value comes, nulls aside."""
        counted = Counter(self.values)
        counted.pop(None, None)
        return counted

    @property
    def free(self) -> dict[Any, int]:
        """Return how often each value comes that no rule has explained."""
        return {value: count for value, count in self.counts.items() if value not in self.taken}

    @cached_property
    def filled(self) -> int:
        """Return how many of the rows have a value."""
        return sum(self.counts.values())

    @cached_property
    def numbers(self) -> Any:
        """Return the values as floats by row; seconds since 1970 of times; NaN for what is none."""
        known: dict[Value, float] = dict(zip(self.counts, self._converted, strict=True))
        known[None] = np.nan
        return np.array([known[value] for value in self.values], dtype=float)

    @cached_property
    def _converted(self) -> list[float]:
        """The values of ``counts`` as numbers."""
        return list(map(_seconds if self.kind == "time" else _number, self.counts))

    @cached_property
    def _sorted(self) -> tuple[list[Any], Any, Any]:
        numbers, counts = np.array(self._converted, dtype=float), np.array([*self.counts.values()], dtype=float)
        order = np.argsort(numbers, kind="stable")
        order = order[np.isfinite(numbers[order])]
        values = list(self.counts)
        return [values[index] for index in order.tolist()], numbers[order], counts[order]

    def ordered(self) -> tuple[list[Any], Any, Any]:
        """Return the values that no rule has explained, as such, as numbers, and how often each comes, ascending."""
        values, numbers, counts = self._sorted
        if not self.taken:
            return values, numbers, counts
        free = np.array([value not in self.taken for value in values], dtype=bool)
        return [value for value in values if value not in self.taken], numbers[free], counts[free]

    def take(self, values: Iterable[Value]) -> None:
        """Keep *values* from the rules that come after."""
        self.taken.update(values)


@dataclass
class Look:
    """A table's rows, by column; ``share`` of the table's rows were drawn."""

    survey: Survey
    profile: Profile
    share: float
    size: int
    columns: dict[str, Column]

    @property
    def rows(self) -> int:
        """Return how many rows the table has."""
        return self.profile.rows or 0

    @property
    def whole(self) -> bool:
        """Tell whether every row of the table is looked at."""
        return self.share >= 1

    def of_kind(self, *kinds: FieldKind) -> list[Column]:
        """Return the columns of these kinds that have a value."""
        return [column for column in self.columns.values() if column.kind in kinds and column.filled]

    def names(self, column: Column) -> bool:
        """Tell whether *column* names things, of this table or another, so that its numbers are no quantities."""
        refers = any(column.name in link.columns for link in self.survey.links if link.source is self.profile)
        return (
            refers
            or column.name in self.profile.unique
            or column.name in self.profile.broken
            or is_identifier(column.name, self.profile.relation.name)
        )

    @cached_property
    def alpha(self) -> float:
        """Return the chance of a false finding that one column of this database may take."""
        return ALPHA / max(1, sum(len(profile.columns) for profile in self.survey.profiles.values()))


@dataclass(frozen=True)
class Suspect:
    """What a rule holds for a flaw: ``where`` is the SQL condition of the rows ``t`` at fault, which are yet to count.

    Attributes:
        say: the sentence, given the number of rows.
        detail: what tells it from others of its kind in the same columns.
        order: the SQL to show the rows by.
        most: the share of the table's rows beyond which it is no flaw.
    """

    kind: str
    columns: Sequence[str]
    severity: Severity
    where: str
    say: Callable[[int], str]
    detail: str = ""
    order: str = ""
    most: float = 1.0


def look_at(survey: Survey, reading: Reading) -> Look | None:
    """Draw a table's rows and note how many; null where there is nothing to see, or they can't be read."""
    profile = reading.profile
    rows = profile.rows or 0
    fields = reading.plain
    if not fields or not rows or not profile.values:
        return None
    wanted = min(survey.limits.sample_rows, CELLS // len(fields), reading.room(fields))
    share = min(1.0, wanted / rows) if rows > wanted * 1.2 else 1.0
    try:
        found = reading.drawn(fields, share)
    except QueryFailed as error:
        profile.searched, profile.unsearched = 0, str(error)
        return None
    size = len(next(iter(found.values())))
    if share < 1:
        profile.searched = size
    columns = {
        item.name: Column(
            item,
            profile.kinds[item.name],
            f"t.{survey.engine.quote(item.name)}",
            profile.column(item.name),
            found[item.name],
        )
        for item in fields
    }
    return Look(survey, profile, share, size, columns)


def sql_value(column: Column, value: Value) -> str:
    """Return a value of *column* that was fetched as SQL; exact decimals and large integers come as text."""
    if isinstance(value, str) and not (column.kind == "number" and np.isfinite(_number(value))):
        return literal(value)
    return str(value) if isinstance(value, str) else repr(value)


def is_one_of(column: Column, values: Iterable[Value]) -> str:
    """Return the condition that *column* has one of *values*."""
    listed = sorted({sql_value(column, value) for value in values})
    if column.field.floating and len(listed) == 1 and "." in listed[0]:
        # A number of single precision is not equal to the decimal it is shown as.
        number = float(listed[0])
        slack = abs(number) * 1e-6
        return f"{column.sql} BETWEEN {number - slack!r} AND {number + slack!r}"
    return f"{column.sql} = {listed[0]}" if len(listed) == 1 else f"{column.sql} IN ({', '.join(listed)})"


def _number(value: Value) -> float:
    if isinstance(value, bool | int | float):
        return float(value)
    try:
        return float(str(value))
    except ValueError:
        return float("nan")


def _seconds(value: Value) -> float:
    try:
        found = datetime.fromisoformat(str(value))
    except ValueError:
        return float("nan")
    if found.tzinfo is None:
        return (found - _FIRST).total_seconds()
    return found.timestamp()
