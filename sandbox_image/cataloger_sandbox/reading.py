"""One table's rows as they are read for all that look at its single values: dependencies, semantic types, flaws.

A table of few rows is read once, whole, and its rows are shared. Of a larger one each has a sample of its own: types
need a thousand texts, cut, from all over the table; dependencies some thousands of rows of a few columns, read in
blocks; flaws a hundred thousand rows, each drawn by itself. No rule here.
"""

from collections.abc import Sequence
from functools import cached_property
from math import inf

from cataloger_sandbox.encode import Value
from cataloger_sandbox.engines.base import Field, QueryFailed, Rows
from cataloger_sandbox.survey import Profile, Survey

SHARED = 5_000
"""A table of at most so many rows is read once."""

CHARACTERS = 2_000
"""Of a text so many characters are read."""

BYTES = 64 << 20
"""Of a table's values about so many bytes are read at a time, going by the length of its texts: of fewer rows where
they are long. A value that is no text counts for ``PLAIN``, a character for one."""

PLAIN = 16


class Reading:
    """The rows of the table that *profile* is of; they are kept as long as this is."""

    def __init__(self, survey: Survey, profile: Profile) -> None:
        self._survey = survey
        self.profile = profile

    @cached_property
    def plain(self) -> list[Field]:
        """The columns of single values that can be read and compared."""
        kinds = ("number", "time", "text", "boolean")
        return [item for item in self.profile.relation.fields if item.readable and self._kind(item) in kinds]

    def whole(self, fields: Sequence[Field], most: int) -> dict[str, list[Value]] | None:
        """Return the values of *fields* in all rows, by name; null where these are not shared, or more than *most*."""
        rows = self.profile.rows
        if rows is None or self.profile.relation.kind != "table" or not self.profile.values:
            return None
        if rows > min(most, SHARED, self.room(self._kept)):
            return None
        try:
            return self._shared if self._shared.keys() >= {item.name for item in fields} else None
        except QueryFailed:
            return None

    def drawn(self, fields: Sequence[Field], share: float) -> dict[str, list[Value]]:
        """Return the values of *fields* in a *share* of the rows, by name.

        Raises:
            QueryFailed: they can't be read.
        """
        if share >= 1 and (found := self.whole(fields, SHARED)):
            return found
        outputs = [self._output(item) for item in fields]
        rows = self._survey.journal.try_out(self._survey.engine.drawn(self.profile.relation, outputs, share))
        return _by_name(fields, rows)

    def room(self, fields: Sequence[Field]) -> int:
        """Return of how many rows *fields* can be read at a time."""
        return int(BYTES / max(1.0, sum(map(self._width, fields))))

    @cached_property
    def _kept(self) -> list[Field]:
        """The columns that are read of a table that is read once."""
        others = [
            item
            for item in self.profile.relation.fields
            if item.readable and self._kind(item) == "other" and self.profile.column(item.name).get("min") is not None
        ]
        return sorted([*self.plain, *others], key=lambda item: item.index)

    @cached_property
    def _shared(self) -> dict[str, list[Value]]:
        outputs = [self._output(item) for item in self._kept]
        rows = self._survey.journal.try_out(self._survey.engine.drawn(self.profile.relation, outputs, 1))
        return _by_name(self._kept, rows)

    def _width(self, field: Field) -> float:
        """Return about how many bytes are read of a value of *field*."""
        return max(PLAIN, min(self._length(field, "mean"), CHARACTERS)) if self._kind(field) == "text" else PLAIN

    def _length(self, field: Field, which: str) -> float:
        """Return the length of the texts of *field*: none where there are none, without end where nobody knows."""
        column = self.profile.column(field.name)
        if column["nulls"] == self.profile.rows:
            return 0
        known = (column.get("lengths") or {}).get(which)
        return inf if known is None else float(known)

    def is_cut(self, field: Field) -> bool:
        """Tell whether some values of *field* are longer than what is read of them."""
        return self._kind(field) == "text" and self._length(field, "max") > CHARACTERS

    def _output(self, field: Field) -> str:
        name = self._survey.engine.quote(field.name)
        return f"substr({name}, 1, {CHARACTERS}) AS {name}" if self.is_cut(field) else name

    def _kind(self, field: Field) -> str:
        return self.profile.kinds.get(field.name, field.kind)


def _by_name(fields: Sequence[Field], rows: Rows) -> dict[str, list[Value]]:
    columns = map(list, zip(*rows.rows, strict=True)) if rows.rows else ([] for _ in fields)
    return {item.name: values for item, values in zip(fields, columns, strict=True)}
