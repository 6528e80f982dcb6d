"""A table's rows as the rules see them, made of lists: no database is asked."""

import datetime as dt
import decimal
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from cataloger_sandbox.encode import encode
from cataloger_sandbox.engines.base import Field, FieldKind, Relation, quote
from cataloger_sandbox.flaws.look import Column, Look, Suspect
from cataloger_sandbox.flaws.values import RULES
from cataloger_sandbox.survey import Profile, Survey

NOW = dt.datetime(2026, 6, 15, 12, tzinfo=dt.UTC)
_KINDS: Mapping[type, FieldKind] = {
    bool: "boolean",
    int: "number",
    float: "number",
    decimal.Decimal: "number",
    str: "text",
    dt.datetime: "time",
    dt.date: "time",
}


class Quoting:
    """The part of an engine that rules need."""

    quote = staticmethod(quote)


def look_of(columns: Mapping[str, Sequence[Any]], table: str = "orders") -> Look:
    """Return the look at a table with these values by column."""
    relation = Relation("main", table, table, "table")
    profile = Profile(relation, hidden=False, values=True)
    survey = Survey(Quoting(), None, NOW, profiles={table: profile})  # type: ignore[arg-type]
    size = len(next(iter(columns.values())))
    profile.facts["rows"] = size
    looked = {}
    for index, (name, values) in enumerate(columns.items()):
        sort = type(next(value for value in values if value is not None))
        field = Field(
            index,
            name,
            "",
            _KINDS[sort],
            integer=sort is int,
            floating=sort is float,
            base="DATE" if sort is dt.date else "",
        )
        relation.fields.append(field)
        profile.kinds[name] = field.kind
        filled = [value for value in values if value is not None]
        facts: dict[str, Any] = {"name": name, "nulls": size - len(filled), "distinct": len(set(filled))}
        facts["distinct_method"] = "exact"
        if sort is str:
            lengths = [len(value) for value in filled]
            facts["lengths"] = {"min": min(lengths), "max": max(lengths), "mean": sum(lengths) / len(lengths)}
        profile.columns.append(facts)
        if facts["distinct"] == size and field.integer:
            profile.unique.add(name)
        looked[name] = Column(field, field.kind, f"t.{quote(name)}", facts, [encode(value) for value in values])
    return Look(survey, profile, 1.0, size, looked)


def suspects(columns: Mapping[str, Sequence[Any]], table: str = "orders") -> list[Suspect]:
    """Return what all rules suspect, one after the other."""
    look = look_of(columns, table)
    return [suspect for rule in RULES for suspect in rule(look)]


def kinds(columns: Mapping[str, Sequence[Any]], table: str = "orders") -> list[tuple[str, str]]:
    """Return the kinds of what is suspected, each with its columns."""
    return [(suspect.kind, ",".join(suspect.columns)) for suspect in suspects(columns, table)]


def some(values: Sequence[Any], rows: Sequence[int], change: Callable[[Any], Any]) -> list[Any]:
    """Return *values* with *change* applied to those of *rows*."""
    chosen = set(rows)
    return [change(value) if index in chosen else value for index, value in enumerate(values)]


def steps(first: dt.datetime, size: int, seconds: float) -> Iterator[dt.datetime]:
    """Yield times at even distances."""
    for index in range(size):
        yield first + dt.timedelta(seconds=index * seconds)
