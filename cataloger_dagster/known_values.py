"""What a run's mask learns from the database itself: its personal data and secrets, and the persons its texts name.

They are read before the agent starts, held in memory for as long as the run lasts, and stored nowhere.
"""

from cataloger_dagster.databases import Database
from cataloger_dagster.facts import Column, Facts, Table
from cataloger_dagster.privacy import Mask
from cataloger_dagster.sandbox.session import Session

READ_SECONDS = 120.0
MOST, MOST_TEXTS = 50_000, 20_000
"""A column of more different values, or texts, is not handed over whole (``cataloger_sandbox.semantics.collect``)."""


def learn(mask: Mask, facts: Facts, database: Database, session: Session) -> None:
    """Let *mask* know what the columns of *facts* hold that are personal or secret, where their values may be read.

    Raises:
        DatabaseError: the database can't be opened.
        SandboxError: the sandbox failed.
    """
    if database.privacy == "schema":
        return
    readable = [
        (table, column) for table in facts.tables if not table.hidden and table.rows for column in table.columns
    ]
    private = mask.privacy != "full"
    personal = [each for each in readable if each[1].semantic_type == "secret" or (each[1].pii and private)]
    texts = [each for each in readable if each[1].semantic_type == "free_text" and not each[1].pii and private]
    if not personal and not texts:
        return
    own = {name for table in facts.tables for name in (table.name, *(column.name for column in table.columns))}
    values = session.call(
        "cataloger_sandbox.semantics.collect:values",
        {
            "connection": dict(session.connection),
            "columns": [_place(table, column, MOST) for table, column in personal],
            "texts": [_place(table, column, MOST_TEXTS) for table, column in texts],
        },
        READ_SECONDS + 20.0 * (len(personal) + len(texts)),
    )
    many = any(column.pii == "person_name" and _has_more(column, MOST) for _, column in personal)
    long = any(_has_more(column, MOST_TEXTS) for _, column in texts)
    mask.learn(values, own, names=many, named=long)


def _has_more(column: Column, most: int) -> bool:
    """Say whether *column* may have more than *most* different values; of a table measured in part nobody knows."""
    return column.distinct is None or column.distinct > most


def _place(table: Table, column: Column, most: int) -> dict[str, str | bool]:
    return {
        "schema": table.schema_ or "",
        "table": table.name.removeprefix(f"{table.schema_}."),
        "column": column.name,
        "pii": column.pii or "secret",
        "many": _has_more(column, most),
    }
