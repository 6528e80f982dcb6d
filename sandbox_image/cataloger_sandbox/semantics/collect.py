"""The values of columns that hold personal data or secrets, for the host to mask wherever they turn up. Nothing is judged."""

from collections.abc import Mapping, Sequence
from typing import Any

from cataloger_sandbox.engines.base import QueryFailed
from cataloger_sandbox.engines.open import open_engine

MOST_OF_A_COLUMN = 50_000
MOST = 300_000
"""So many values are handed over, of one column and in all."""

SECONDS = 20.0
"""One column may take so long."""

CUT = 300


def values(connection: Mapping[str, Any], columns: Sequence[Mapping[str, str]]) -> dict[str, list[str]]:
    """Return, by kind of personal data, the different values of *columns* as text, as many as the limits allow.

    Each of *columns* has ``schema``, ``table`` (without the schema), ``column`` and ``pii``.

    Raises:
        DatabaseProblem: the database can't be opened.
    """
    found: dict[str, dict[str, None]] = {}
    left = MOST
    with open_engine(connection) as engine:
        for column in columns:
            name = engine.quote(column["column"])
            place = ".".join(engine.quote(part) for part in (column["schema"], column["table"]))
            text = f"substr(CAST({name} AS TEXT), 1, {CUT})"
            limit = min(MOST_OF_A_COLUMN, left)
            sql = f"SELECT DISTINCT {text} AS v\nFROM {place}\nWHERE {name} IS NOT NULL\nLIMIT {limit}"
            try:
                rows = engine.fetch(sql, SECONDS).rows
            except QueryFailed:
                continue  # its kind is masked by its shape all the same
            texts = [str(row[0]) for row in rows]
            found.setdefault(column["pii"], {}).update(dict.fromkeys(texts))
            left -= len(texts)
            if left <= 0:
                break
    return {kind: list(texts) for kind, texts in found.items()}
