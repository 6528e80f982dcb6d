"""What a column means, where its comment, its name with its values, its references or an answer tell."""

import re
from collections.abc import Iterator

from cataloger_sandbox import elements
from cataloger_sandbox.elements import code, fact
from cataloger_sandbox.measured import Column, Table
from cataloger_sandbox.prose.known import Known, grain, is_mostly_empty
from cataloger_sandbox.prose.phrases import comment, names
from cataloger_sandbox.questions import Question, is_time, words

_UNITS = {
    "ms": "milliseconds", "millis": "milliseconds", "seconds": "seconds", "secs": "seconds", "sec": "seconds",
    "minutes": "minutes", "mins": "minutes", "hours": "hours", "hrs": "hours", "days": "days", "km": "kilometres",
    "kilometers": "kilometres", "miles": "miles", "meters": "metres", "metres": "metres", "cm": "centimetres",
    "mm": "millimetres", "kg": "kilograms", "grams": "grams", "lbs": "pounds", "pct": "per cent", "percent": "per cent",
    "percentage": "per cent", "usd": "US dollars", "eur": "euros", "gbp": "pounds sterling", "cents": "cents",
    "bytes": "bytes", "kb": "kilobytes", "mb": "megabytes", "gb": "gigabytes", "celsius": "degrees Celsius",
    "fahrenheit": "degrees Fahrenheit", "kwh": "kilowatt-hours", "mph": "miles per hour", "kmh": "kilometres per hour",
}  # fmt: skip
_CALENDAR = {
    "year": (1000, 3000, "Calendar year."),
    "month": (1, 12, "Month of the year."),
    "day": (1, 31, "Day of the month."),
    "hour": (0, 24, "Hour of the day."),
    "minute": (0, 60, "Minute of the hour."),
    "lat": (-90, 90, "Latitude in degrees."),
    "latitude": (-90, 90, "Latitude in degrees."),
    "lon": (-180, 180, "Longitude in degrees, negative west of Greenwich."),
    "lng": (-180, 180, "Longitude in degrees, negative west of Greenwich."),
    "longitude": (-180, 180, "Longitude in degrees, negative west of Greenwich."),
}
_LABELS = ("name", "title", "label", "description")
_MOMENTS = {
    "created": "When the row was made.",
    "inserted": "When the row was made.",
    "updated": "When the row was last changed.",
    "modified": "When the row was last changed.",
    "deleted": "When the row was marked as deleted.",
}
_SEMANTIC = {
    "email": "E-mail address.", "url": "Web address.", "phone": "Telephone number.", "uuid": "UUID.",
    "ip": "IP address.", "iban": "Bank account (IBAN).", "card": "Card number.", "json": "JSON text.",
    "person_name": "Name of a person.", "address": "Postal address.", "country": "Country.", "currency": "Currency.",
    "postcode": "Postcode.",
}  # fmt: skip


def meaning(known: Known, table: Table, column: Column) -> Iterator[str]:
    """Yield what can be said of *column*, sentence by sentence; nothing where no rule knows anything."""
    if said := comment(column.raw):
        yield said
    if table.rows and column.nulls == table.rows:
        yield "Empty in every row."
        return
    yield from _by_name(column)
    yield from _role(known, table, column)
    if is_mostly_empty(table, column):
        yield "Mostly empty: what is computed from it stands for few rows."
    asked = [q for q in known.asked if q.table == table.name and column.name in q.columns]
    for question in sorted(asked, key=lambda question: question.kind != "no_clock"):  # what it is goes first
        yield from _answer(known, question, column)


def _by_name(column: Column) -> Iterator[str]:
    """Yield what a column's name says and its values bear out."""
    parts, name = words(column.name), column.name.lower()
    low, high = column.min, column.max
    number = isinstance(low, int | float) and isinstance(high, int | float)
    if column.semantic_type in _SEMANTIC:
        yield _SEMANTIC[column.semantic_type]
    elif number and name in _CALENDAR and _CALENDAR[name][0] <= low and high <= _CALENDAR[name][1]:
        yield _CALENDAR[name][2]
    elif is_time(column) and (moments := [_MOMENTS[word] for word in _MOMENTS if word in parts]):
        yield moments[0]
    elif number and len(parts) > 1:
        units = [_UNITS[word] for word in re.split(r"[\W_]+", name)[-1:] if word in _UNITS]
        yield from (f"In {unit}, by its name." for unit in units)


def _role(known: Known, table: Table, column: Column) -> Iterator[str]:
    if column.name == _label(table):
        yield f"What the {code(grain(table)[0])} of the row stands for."
    for reference in known.outgoing.get(table.name, ()):
        (source, columns), (target, _) = reference["from"], reference["to"]
        if column.name not in columns:
            continue
        others = [name for name in columns if name != column.name]
        if others:
            yield f"With {names(others)}, names a row of {code(target)}."
        elif reference.get("orphans") and known.is_first(reference):
            missing = fact(source, column.name, "orphans")
            yield f"Names a row of {code(target)}; {missing} rows name one that is not there."
        else:
            yield f"Names a row of {code(target)}."


def _label(table: Table) -> str:
    """Return the column that says what a short code, the key of *table*, stands for; empty without one."""
    key = grain(table)
    if len(key) != 1 or ((table[key[0]].lengths or {}).get("max") or 99) > 10:
        return ""
    return next((name for name in table.columns if name.lower() in _LABELS and name != key[0]), "")


def _answer(known: Known, question: Question, column: Column) -> Iterator[str]:
    answer = known.noted[question.id]
    if question.kind == "no_clock" and answer == 0:
        yield "A time of day as hours and minutes in one number (HHMM)."
    elif question.kind == "negative" and answer:
        yield f"Negative in {elements.value(question.id)} rows."
    elif question.kind == "empty_text" and answer:
        yield f"An empty text, not null, in {elements.value(question.id)} rows."
    elif question.kind == "empty_together" and known.are_empty_together(question):
        others = names(name for name in question.columns if name != column.name)
        yield f"Empty in the same rows as {others}."
