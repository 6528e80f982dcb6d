"""What nothing that was measured can tell, as questions to the owners."""

from collections.abc import Iterator

from cataloger_sandbox.elements import code
from cataloger_sandbox.measured import is_speakable
from cataloger_sandbox.prose.known import Known, grain, is_mostly_empty
from cataloger_sandbox.prose.phrases import listed, names, verb_s

MOST = 12


def open_questions(known: Known) -> list[str]:
    """Return the questions, each a line."""
    lines = [*_of_references(known), *_of_tables(known), *_of_columns(known)]
    return lines[:MOST]


def _of_references(known: Known) -> Iterator[str]:
    for reference in sorted(known.references, key=lambda r: -(r.get("orphans") or 0))[:3]:
        (source, columns), (target, _) = reference["from"], reference["to"]
        if reference.get("orphans"):
            values = f"the values of {names(columns)} in {code(source)}"
            yield f"Where do {values} come from that {code(target)} does not have?"
    inferred = [r for r in known.references if not r.get("declared") and not r.get("orphans")]
    if inferred:
        ends = [
            f"{code(r['from'][0])}.{code(r['from'][1][0])} to {code(r['to'][0])}"
            for r in inferred
            if len(r["from"][1]) == 1
        ]
        if ends:
            holds = "These references hold in every row and are declared nowhere"
            yield f"{holds}: {listed(ends)}. Are they meant as keys?"


def _of_tables(known: Known) -> Iterator[str]:
    empty = [t.name for t in known.tables if t.rows == 0]
    if empty:
        yield f"{names(empty)} hold{verb_s(empty)} no rows: still to come, or no longer used?"
    keyless = [t.name for t in known.tables if (t.rows or 0) > 1 and t.raw.get("kind") == "table" and not grain(t)]
    if keyless:
        yield f"What is one row of {names(keyless)}? Nothing that was measured tells each row from every other."


def _of_columns(known: Known) -> Iterator[str]:
    empty, few = [], []
    for table in known.tables:
        for column in table.columns.values() if table.rows else ():
            if not is_speakable(column.name):
                continue
            name = f"{code(table.name)}.{code(column.name)}"
            if column.nulls == table.rows:
                empty.append(name)
            elif is_mostly_empty(table, column):
                few.append(name)
    if empty:
        are, them = ("is", "it") if len(empty) == 1 else ("are", "them")
        yield f"{listed(empty)} {are} empty in every row: is anything meant to fill {them}?"
    if few:
        are, them = ("is", "it") if len(few) == 1 else ("are", "them")
        yield f"{listed(few)} {are} mostly empty: what do the few rows have in common that have {them}?"
