"""What a run's mask learns from the database itself: the values of its columns of personal data and of secrets.

They are read before the agent starts, held in memory for as long as the run lasts, and stored nowhere.
"""

from cataloger_dagster.databases import Database
from cataloger_dagster.facts import Facts, Table
from cataloger_dagster.privacy import Mask
from cataloger_dagster.sandbox.session import Session

READ_SECONDS = 120.0
MOST = 50_000
"""A column of more different values is not handed over whole (``cataloger_sandbox.semantics.collect``)."""


def learn(mask: Mask, facts: Facts, database: Database, session: Session) -> None:
    """Let *mask* know what the columns of *facts* hold that are personal or secret, where their values may be read.

    Raises:
        DatabaseError: the database can't be opened.
        SandboxError: the sandbox failed.
    """
    if database.privacy == "schema":
        return
    personal = [
        (table, column)
        for table in facts.tables
        if not table.hidden and table.rows
        for column in table.columns
        if column.semantic_type == "secret" or (column.pii and mask.privacy != "full")
    ]
    if not personal:
        return
    own = {name for table in facts.tables for name in (table.name, *(column.name for column in table.columns))}
    wanted = [
        {"schema": table.schema_ or "", "table": _plain(table), "column": column.name, "pii": column.pii or "secret"}
        for table, column in personal
    ]
    values = session.call(
        "cataloger_sandbox.semantics.collect:values",
        {"connection": dict(session.connection), "columns": wanted},
        READ_SECONDS + 20.0 * len(wanted),
    )
    many = any(column.pii == "person_name" and (column.distinct or 0) > MOST for _, column in personal)
    mask.learn(values, own, names=many)


def _plain(table: Table) -> str:
    return table.name.removeprefix(f"{table.schema_}.")
