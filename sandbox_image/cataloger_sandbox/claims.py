"""Queries that others wrote, run by our code: the claims of an agent, and those of a page being verified.

Each runs read-only, alone, as one statement, for a limited time; what fails is told as text. What comes of
the values (held, changed, wrong) is the host's to say.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from time import perf_counter
from typing import Any

from cataloger_sandbox.encode import scalar
from cataloger_sandbox.engines.base import Engine, QueryFailed, tell_apart
from cataloger_sandbox.engines.open import open_engine
from cataloger_sandbox.journal import timestamp


def measure(connection: Mapping[str, Any], claims: Sequence[Mapping[str, Any]], seconds: float) -> list[dict[str, Any]]:
    """Run each claim's query for at most *seconds* and return its value: the first column of the first row.

    Raises:
        DatabaseProblem: the database can't be opened.
    """
    results = []
    with open_engine(connection) as engine:
        for claim in claims:
            at, began = datetime.now(UTC), perf_counter()
            value, error = None, None
            try:
                rows = engine.fetch(str(claim["query"]), seconds, limit=1)
                if not rows.rows or not rows.columns:
                    error = "the query returned no row"
                else:
                    value = scalar(rows.rows[0][0])
            except QueryFailed as failure:
                error = str(failure)
            results.append(
                {
                    "id": claim["id"],
                    "query": claim["query"],
                    "value": value,
                    "at": timestamp(at),
                    "seconds": round(perf_counter() - began, 4),
                    "error": error,
                }
            )
    return results


def rerun(connection: Mapping[str, Any], queries: Sequence[Mapping[str, Any]], seconds: float) -> list[dict[str, Any]]:
    """Run each query for at most *seconds* and return its first row by column name, values as the facts have them.

    Raises:
        DatabaseProblem: the database can't be opened.
    """
    with open_engine(connection) as engine:
        return _rerun(engine, queries, seconds)


def look_again(
    connection: Mapping[str, Any], queries: Sequence[Mapping[str, Any]], seconds: float, schemas: Sequence[str]
) -> dict[str, Any]:
    """Do as ``rerun``, and return as ``tables`` what there is in *schemas* now: by table its columns and their types.

    Null are the ``tables`` where the database's own catalog can't be read, and a table whose columns can't be.

    Raises:
        DatabaseProblem: the database can't be opened.
    """
    with open_engine(connection) as engine:
        try:
            relations, _, left_out = engine.catalog(lambda sql: engine.fetch(engine.spoken(sql), seconds), schemas)
        except QueryFailed:
            tables = None
        else:
            tell_apart(relations)
            tables = {name: None for name, _ in left_out} | {
                each.canonical: {field.name: field.type for field in each.fields} or None for each in relations
            }
        return {"results": _rerun(engine, queries, seconds), "tables": tables}


def _rerun(engine: Engine, queries: Sequence[Mapping[str, Any]], seconds: float) -> list[dict[str, Any]]:
    results = []
    for query in queries:
        at, began, row, error = datetime.now(UTC), perf_counter(), None, None
        try:
            rows = engine.fetch(str(query["sql"]), seconds, limit=1)
            row = {name: scalar(value) for name, value in rows.first().items()} if rows.rows else None
        except QueryFailed as failure:
            error = str(failure)
        taken = round(perf_counter() - began, 4)
        results.append({"id": query["id"], "row": row, "error": error, "at": timestamp(at), "seconds": taken})
    return results
