"""What a database holds of personal data and secrets, for the host to mask wherever it turns up.

Of columns of such values all of them are handed over, and nothing is judged; of columns of free text the persons named.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from cataloger_sandbox.engines.base import Engine, QueryFailed, Relation
from cataloger_sandbox.engines.open import open_engine
from cataloger_sandbox.semantics.people import names_within, ordinary_words

MOST_OF_A_COLUMN = 50_000
MOST = 300_000
"""So many values are handed over, of one column and in all."""

ROWS_TO_A_VALUE = 4
"""Of a column of more different values so many rows are read for each that is handed over."""

SECONDS = 20.0
"""One column may take so long."""

CUT = 300

MOST_TEXTS = 20_000
TEXT_CUT = 2_000
"""So many texts of a column are searched for names, and so many characters of each."""


def values(
    connection: Mapping[str, Any], columns: Sequence[Mapping[str, Any]], texts: Sequence[Mapping[str, Any]]
) -> dict[str, list[str]]:
    """Return, by kind of personal data, the different values of *columns* as text, as many as the limits allow.

    Each of *columns* has ``schema``, ``table`` (without the schema), ``column`` and ``pii``, and ``many`` where it has
    more different values than are handed over; *texts* are columns of free text, of which the names of persons are
    returned as ``person_name``.

    Raises:
        DatabaseProblem: the database can't be opened.
    """
    found: dict[str, dict[str, None]] = {}
    left = MOST
    with open_engine(connection) as engine:
        for column in columns:
            values = _values(engine, column, CUT, min(MOST_OF_A_COLUMN, left))
            found.setdefault(column["pii"], {}).update(dict.fromkeys(values))
            left -= len(values)
            if left <= 0:
                break
        for column in texts:
            written = _values(engine, column, TEXT_CUT, MOST_TEXTS)
            ordinary = ordinary_words(written)
            names = (text[begin:end] for text in written for begin, end in names_within(text, ordinary))
            found.setdefault("person_name", {}).update(dict.fromkeys(names))
    return {kind: list(values) for kind, values in found.items()}


def _values(engine: Engine, column: Mapping[str, Any], cut: int, most: int) -> list[str]:
    """Return different values of *column*, cut; none where it can't be read: its kind is masked by its shape then."""
    place = ".".join(engine.quote(part) for part in (column["schema"], column["table"]))
    engine.expect(MOST, confined=True)
    try:
        return _asked(engine, place, column, cut, most)
    except QueryFailed as error:
        if error.late:
            return []
    relation = Relation(column["schema"], column["table"], column["table"], "table", fixed=True)
    try:
        return _asked(engine, engine.path(relation), column, cut, most) if engine.narrow(relation) else []
    except QueryFailed:  # it is no table with rowids, or a value does not go into memory
        return []


def _asked(engine: Engine, place: str, column: Mapping[str, Any], cut: int, most: int) -> list[str]:
    name = engine.quote(column["column"])
    source = f"{place}\nWHERE {name} IS NOT NULL"
    if column.get("many"):
        # An engine tells all values apart before it hands over the first ones: too many for its memory.
        source = f"(SELECT {name} FROM {source}\nLIMIT {ROWS_TO_A_VALUE * most}) AS s"
    sql = f"SELECT DISTINCT substr(CAST({name} AS TEXT), 1, {cut}) AS v\nFROM {source}\nLIMIT {most}"
    return [str(row[0]) for row in engine.fetch(sql, SECONDS).rows]
