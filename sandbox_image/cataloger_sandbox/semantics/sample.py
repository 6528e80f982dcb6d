"""The sample of a table's values that its columns are labelled by: one query a table, a bounded number of cut texts."""

import re
from collections.abc import Mapping, Sequence

from cataloger_sandbox.encode import Value, number
from cataloger_sandbox.engines.base import Field, FieldKind, QueryFailed
from cataloger_sandbox.reading import Reading
from cataloger_sandbox.semantics.hints import hints
from cataloger_sandbox.semantics.label import Label, Seen, label
from cataloger_sandbox.semantics.values import LONG
from cataloger_sandbox.survey import Profile, Survey

ROWS = 1_000
"""About so many rows are read, spread over the table."""


WIDTH = 64
"""Columns in one query: of texts that are cut it returns 64 MB at most."""

_LONG_NUMBER = 1e11
_ISSUED = frozenset({"card", "phone", "national_id"})


def label_columns(survey: Survey, reading: Reading) -> None:
    """Give every column of a table its ``semantic_type``, ``pii`` and ``semantic_confidence``."""
    profile = reading.profile
    keyed = {name for link in survey.links if link.source is profile for name in link.columns}
    rows = profile.rows if profile.part is None else profile.counted
    sample = _sample(survey, reading) if profile.values and rows else {}
    for field in profile.relation.fields:
        column = profile.column(field.name)
        seen = _seen(profile, field, sample, field.name in keyed or [field.name] in profile.keys)
        found = label(seen) if rows or not profile.values else None
        column |= described(found)


def described(found: Label | None) -> dict[str, object]:
    """Return a label in the host's schema."""
    return {
        "semantic_type": found and found.semantic_type,
        "pii": found and found.pii,
        "semantic_confidence": found and found.confidence,
    }


def _seen(profile: Profile, field: Field, sample: Mapping[str, list[str]], key: bool) -> Seen:
    column = profile.column(field.name)
    return Seen(
        table=profile.name,
        column=field.name,
        kind=profile.kinds.get(field.name, field.kind),
        type=re.sub(r" \((also|holds) .*", "", str(column["type"])),
        values=sample.get(field.name, []) if profile.values else None,
        rows=profile.rows,
        nulls=column["nulls"],
        distinct=column["distinct"],
        low=column.get("min"),
        high=column.get("max"),
        key=key,
    )


def _sample(survey: Survey, reading: Reading) -> dict[str, list[str]]:
    """Return values of the columns that are labelled by values, as text, cut; without those that can't be read."""
    profile = reading.profile
    wanted = [field for field in profile.relation.fields if field.readable and _is_wanted(profile, field)]
    shared = reading.whole(wanted, ROWS) if wanted else None
    found = {name: texts for name, values in (shared or {}).items() if (texts := _texts(values)) is not None}
    wanted = [field for field in wanted if field.name not in found]
    for start in range(0, len(wanted), WIDTH):
        found |= _values(survey, profile, wanted[start : start + WIDTH])
    return found


def _texts(values: Sequence[Value]) -> list[str] | None:
    """Return *values* as a database writes them as text, cut; null where engines differ in how."""
    filled = [value for value in values if value is not None]
    if not all(type(value) in (int, str) for value in filled):
        return None
    return [str(value)[:LONG] for value in filled]


def _values(survey: Survey, profile: Profile, fields: Sequence[Field]) -> dict[str, list[str]]:
    engine = survey.engine
    outputs = [f"substr(CAST({engine.quote(field.name)} AS TEXT), 1, {LONG}) AS v{field.index}" for field in fields]
    source = engine.spread(profile.relation, profile.rows or profile.counted or 0, ROWS)
    try:
        rows, _ = survey.journal.run(f"SELECT {', '.join(outputs)}\nFROM {source}\nLIMIT {2 * ROWS}")
    except QueryFailed:
        if len(fields) == 1:
            return {}
        middle = len(fields) // 2
        return _values(survey, profile, fields[:middle]) | _values(survey, profile, fields[middle:])
    columns = zip(*rows.rows, strict=True) if rows.rows else ([] for _ in fields)
    return {
        field.name: [value for value in values if isinstance(value, str)]
        for field, values in zip(fields, columns, strict=True)
    }


def _is_wanted(profile: Profile, field: Field) -> bool:
    kind: FieldKind = profile.kinds.get(field.name, field.kind)
    if profile.rows is not None and profile.column(field.name)["nulls"] == profile.rows:
        return False
    if kind == "number":
        if profile.part is not None:
            return True
        high = number(profile.column(field.name).get("max"))
        return bool(_ISSUED & hints(field.name)) or (high is not None and high >= _LONG_NUMBER)
    return kind == "text"
