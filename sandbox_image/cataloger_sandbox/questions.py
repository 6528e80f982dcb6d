"""Questions that the facts raise and do not answer, as queries that run on every engine.

Which they are follows from the facts alone, so the same facts raise the same questions. What the answers mean
is said in ``prose``; they are asked with ``fact()``.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from cataloger_sandbox.measured import Column, Facts, Table, ranked_tables

MOST = 40
LARGEST = 20_000_000
"""Rows of a table beyond which a question might take longer than a cell."""

FEW = 10
"""Columns that are empty together in fewer rows than these may be so by chance."""

_SIGNED = {"delay", "late", "lateness", "balance", "amount", "profit", "margin", "delta", "diff", "change", "quantity"}
_TIME_TYPE = re.compile(r"^(timestamp|datetime|date\b)", re.IGNORECASE)
_WHOLE_TYPE = re.compile(r"int|serial|double|float|real|numeric|decimal|number", re.IGNORECASE)


@dataclass(frozen=True)
class Question:
    """A query for one value: ``id`` is the name its answer gets, ``kind`` what is asked of which columns."""

    id: str
    kind: str
    table: str
    columns: tuple[str, ...]
    sql: str
    note: str


def questions(facts: Facts) -> list[Question]:
    """Return the questions that *facts* raise, the most telling first, at most forty."""
    found: dict[str, Question] = {}
    raised = [*_about_references(facts), *_about_tables(facts)]
    for question in raised[: MOST * 5]:
        identifier, number = question.id, 1
        while identifier in found or facts.has(identifier):
            number += 1
            identifier = f"{question.id}_{number}"
        found[identifier] = replace(question, id=identifier, sql=_spoken(facts, question.sql))
        if len(found) == MOST:
            break
    return list(found.values())


def _spoken(facts: Facts, sql: str) -> str:
    """Return a question's SQL as the database reads it that the facts are of."""
    if not str(facts.raw.get("engine")).startswith(("mysql", "mariadb")):
        return sql
    from cataloger_sandbox.engines import dialect  # takes half a second, which the others do without

    return dialect.written(sql, "mysql")


def words(name: str) -> set[str]:
    """Return the words that make up a name: ``dep_delay`` and ``depDelay`` are two."""
    return {word for word in re.split(r"[\W_]+", re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()) if word}


def is_time(column: Column) -> bool:
    """Say whether a column holds dates or times of a calendar, by its type or, in text, by its values."""
    return bool(_TIME_TYPE.match(column.type)) or bool(_date(column.min) and _date(column.max))


def _about_references(facts: Facts) -> Iterator[Question]:
    parents: dict[tuple[str, str], list[tuple[Table, str]]] = {}
    broken: list[tuple[int, Question]] = []
    for reference in facts.raw.get("references") or []:
        (source, columns), (target, keys) = reference["from"], reference["to"]
        if source not in facts or target not in facts or len(columns) != 1:
            continue
        child, parent, column, key = facts[source], facts[target], columns[0], keys[0]
        if not _small(child) or not _small(parent):
            continue
        if source != target:
            parents.setdefault((target, key), []).append((child, column))
        if reference.get("orphans"):
            sql = (
                f"SELECT count(*) FROM (SELECT DISTINCT {_quote(column)} AS k FROM {_path(child)} "
                f"WHERE {_quote(column)} IS NOT NULL) c LEFT JOIN (SELECT DISTINCT {_quote(key)} AS k "
                f"FROM {_path(parent)}) p ON p.k = c.k WHERE p.k IS NULL"
            )
            note = f"distinct values of {source}.{column} that {target}.{key} does not have"
            broken.append((reference["orphans"], _question(child, (column,), "unmatched", sql, note)))
    yield from (question for _, question in sorted(broken, key=lambda pair: -pair[0]))
    for (target, key), children in parents.items():
        parent = facts[target]
        used = " UNION ".join(f"SELECT {_quote(column)} AS k FROM {_path(child)}" for child, column in children)
        sql = f"SELECT count(*) FROM {_path(parent)} p LEFT JOIN ({used}) c ON c.k = p.{_quote(key)} WHERE c.k IS NULL"
        yield _question(parent, (key,), "unused", sql, f"rows of {target} that no other table refers to by {key}")


def _about_tables(facts: Facts) -> list[Question]:
    """Take turns between the tables, the central ones first, so that no wide table uses up the room."""
    queues = [list(_about_table(facts[raw["name"]])) for raw in ranked_tables(facts.raw)[:MOST]]
    turns: list[Question] = []
    while any(queues):
        turns += [queue.pop(0) for queue in queues if queue]
    return turns


def _about_table(table: Table) -> Iterator[Question]:
    if not table.rows or not _small(table) or table.raw.get("kind") == "view":
        return
    yield from _recent(table)
    by_column = [question for column in table.columns.values() for question in _about_column(table, column)]
    together = list(_empty_together(table))
    # Each kind gets its turn: a table of many clocks still says what is empty together.
    while by_column or together:
        yield from [*together[:1], *by_column[:2]]
        together, by_column = together[1:], by_column[2:]


def _recent(table: Table) -> Iterator[Question]:
    newest = table.raw.get("newest")
    if not newest or newest["column"] not in table.columns or (table.rows or 0) < 1000:
        return
    column = table.columns[newest["column"]]
    last, first = _date(newest["value"]), _date(column.min)
    if last is None or first is None or last - first < timedelta(days=90):
        return
    since = (last - timedelta(days=30)).strftime("%Y-%m-%d")
    sql = f"SELECT count(*) FROM {_path(table)} WHERE {_quote(column.name)} > '{since}'"
    note = f"rows of the 30 days up to the newest {column.name}"
    yield _question(table, (column.name,), "recent", sql, note)


def _empty_together(table: Table) -> Iterator[Question]:
    groups: dict[int, list[str]] = {}
    for column in table.columns.values():
        nulls = int(column.nulls or 0)
        if nulls >= FEW and nulls != table.rows:
            groups.setdefault(nulls, []).append(column.name)
    for names in groups.values():
        if 2 <= len(names) <= 8:
            empty = " AND ".join(f"{_quote(name)} IS NULL" for name in names)
            sql = f"SELECT count(*) FROM {_path(table)} WHERE {empty}"
            yield _question(table, tuple(names), "empty_together", sql, f"rows without any of {', '.join(names)}")


def _about_column(table: Table, column: Column) -> Iterator[Question]:
    name, low, high = column.name, column.min, column.max
    place, quoted = _path(table), _quote(column.name)
    number = isinstance(low, int | float) and isinstance(high, int | float) and bool(_WHOLE_TYPE.search(column.type))
    if number and "time" in words(name) and low >= 0 and 1000 < high <= 2400:
        sql = f"SELECT count(*) FROM {place} WHERE CAST({quoted} AS INTEGER) % 100 >= 60"
        yield _question(table, (name,), "no_clock", sql, f"rows where {name} is no time of day written as HHMM")
    elif number and low < 0 < high and words(name) & _SIGNED:
        sql = f"SELECT count(*) FROM {place} WHERE {quoted} < 0"
        yield _question(table, (name,), "negative", sql, f"rows where {name} is below zero")
    if column.lengths and column.lengths.get("min") == 0:
        sql = f"SELECT count(*) FROM {place} WHERE {quoted} = ''"
        yield _question(table, (name,), "empty_text", sql, f"rows where {name} is an empty text, not null")


def _question(table: Table, columns: Sequence[str], kind: str, sql: str, note: str) -> Question:
    named = columns[:1] if kind != "recent" and kind != "unused" else ()
    identifier = ".".join([*(_slug(part) for part in (table.name, *named)), kind])
    return Question(identifier, kind, table.name, tuple(columns), sql, note)


def _small(table: Table) -> bool:
    return table.rows is not None and table.rows <= LARGEST


def _path(table: Table) -> str:
    schema = table.raw.get("schema")
    if not schema:
        return _quote(table.name)
    return f"{_quote(schema)}.{_quote(table.name.removeprefix(f'{schema}.') if table.qualified else table.name)}"


def _quote(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _slug(name: str) -> str:
    return re.sub(r"\W+", "_", name).strip("_") or "x"


def _date(value: object) -> datetime | None:
    if not isinstance(value, str):
        return None
    try:
        return datetime.fromisoformat(value).replace(tzinfo=None)
    except ValueError:
        return None


def answered(asked: Iterable[Question], noted: object) -> list[Question]:
    """Return those of *asked* that *noted*, a mapping by id, holds an answer to."""
    return [question for question in asked if question.id in noted]  # type: ignore[operator]
