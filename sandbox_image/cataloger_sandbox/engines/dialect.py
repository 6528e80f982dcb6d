"""The rules' SQL, which DuckDB, SQLite and PostgreSQL read alike, put into the dialect of another database.

The rules write one SQL; sqlglot reads it, and writes it for whoever is asked. Where a database takes texts for equal
that differ, each text column is compared by its characters instead, so that two values are two values everywhere.
Which SQL that takes is the engine's to say.
"""

from collections.abc import Callable, Iterator
from typing import Any

from sqlglot import exp, parse_one
from sqlglot.dialects.postgres import Postgres

EQUAL = "cataloger_equal"
"""The function around a column in the rules' SQL that is compared as the database itself compares it."""

Exactly = Callable[[str | None, str, str], str | None]
"""What a column (schema, table, name) is compared by, as SQL of the dialect over ``x``; null for itself."""

_SHOWN = (exp.Alias, exp.Cast, exp.Substring, exp.Length, exp.Paren)


class _Rules(Postgres):
    """The rules' SQL: PostgreSQL's without its own order of nulls, which no rule counts on."""

    NULL_ORDERING = "nulls_are_small"


def read(sql: str) -> Any:
    """Return the rules' *sql* as a tree."""
    return parse_one(sql, read=_Rules)


def written(sql: str, dialect: Any) -> str:
    """Return the rules' *sql* in another dialect, nothing else changed."""
    return str(read(sql).sql(dialect))


def compare_exactly(tree: Any, exactly: Exactly, dialect: Any) -> Any:
    """Return *tree* with each column replaced by what it is compared by, where it is compared."""
    tree = tree.copy()  # a node that stands in two places can be replaced in one alone
    for column in list(tree.find_all(exp.Column)):
        place = None if isinstance(column.this, exp.Star) else _place(column)
        if place is None or _is_free(column):
            continue
        by = exactly(*place, column.name)
        if by is None:
            continue
        new = parse_one(by, read=dialect)
        for x in list(new.find_all(exp.Column)):
            x.replace(column.copy())
        is_output = isinstance(column.parent, exp.Select) and column.arg_key == "expressions"
        column.replace(exp.alias_(new, column.name, quoted=True) if is_output else new)
    for marked in [each for each in tree.find_all(exp.Anonymous) if _is_mark(each)]:
        marked.replace(marked.expressions[0])
    return tree


def _place(column: Any) -> tuple[str | None, str] | None:
    """Return schema and name of the table that *column* is of; null where it is none's, or a subquery's."""
    select = column.parent_select
    while select is not None:
        tables = dict(_sources(select))
        if column.table in tables:
            return tables[column.table]
        if not column.table:
            return next(iter(tables.values())) if len(tables) == 1 else None
        select = select.parent_select
    return None


def _sources(select: Any) -> Iterator[tuple[str, tuple[str | None, str] | None]]:
    """Yield what *select* reads from, by the name it has there; what is no table, or all of one, has no place."""
    for each in [select.args.get("from_") or select.args.get("from"), *(select.args.get("joins") or [])]:
        source = each.this if each is not None else None
        if isinstance(source, exp.Table):
            yield source.alias_or_name, (source.db or None, source.name)
        elif isinstance(source, exp.Subquery):
            inner = source.this
            whole = isinstance(inner, exp.Select) and inner.is_star and len(inner.expressions) == 1
            inside = [place for _, place in _sources(inner)] if whole else []
            yield source.alias_or_name, inside[0] if len(inside) == 1 else None


def _is_free(column: Any) -> bool:
    """Tell whether nothing is compared by *column* where it stands: it is shown, counted, measured, or marked."""
    if isinstance(column.parent, exp.Is | exp.Length | exp.Count):
        return True
    node = column
    while not isinstance(node.parent, exp.Select):
        node = node.parent
        if node is None or _is_mark(node):
            return True
        if not isinstance(node, _SHOWN):
            return any(_is_mark(each) for each in _above(node))
    select = node.parent
    return node.arg_key == "expressions" and select.parent is None and not select.args.get("distinct")


def _above(node: Any) -> Iterator[Any]:
    while node.parent is not None and not isinstance(node.parent, exp.Select):
        node = node.parent
        yield node


def _is_mark(node: Any) -> bool:
    return isinstance(node, exp.Anonymous) and node.name.lower() == EQUAL
