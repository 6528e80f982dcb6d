"""What a table is for: its comment, what one row is, what refers to it."""

from collections.abc import Iterator

from cataloger_sandbox import elements
from cataloger_sandbox.elements import code
from cataloger_sandbox.measured import Table, is_speakable
from cataloger_sandbox.prose.column import meaning
from cataloger_sandbox.prose.known import Known, grain
from cataloger_sandbox.prose.phrases import comment, led_by, listed, names, verb_s


def section(known: Known, table: Table) -> str:
    """Return a table's profile after the words on the table and on its columns that move into it."""
    parts = []
    if purpose := " ".join(_purpose(known, table)):
        parts.append(elements.meaning([table.name], purpose))
    for column in filter(lambda column: is_speakable(column.name), table.columns.values()):
        text = " ".join(meaning(known, table, column))
        parts += [elements.meaning([table.name, column.name], text)] if text else []
    return "\n".join([*parts, elements.table(table.name)])


def _purpose(known: Known, table: Table) -> Iterator[str]:
    if said := comment(table.raw):
        yield said
    if table.rows is None:
        return
    if table.rows == 0:
        yield "It holds no rows."
    elif key := grain(table):
        yield (
            f"One row for each {code(key[0])}."
            if len(key) == 1
            else f"One row for each combination of {names(key, most=9)}."
        )
    elif table.raw.get("kind") == "table" and table.rows > 1:
        yield "No key is declared, and none was found in the values."
    if parents := known.parents[table.name]:
        yield f"A row refers to {listed(led_by(parents), most=9)}."
    if children := known.children[table.name]:
        ends = led_by(children)
        yield f"{listed(ends, most=9)} refer{verb_s(ends)} to it{_used(known, table)}."
    for question in known.answers("recent"):
        if question.table == table.name and table is not known.centre:
            yield f"The month up to its newest time holds {elements.value(question.id)} rows."


def _used(known: Known, table: Table) -> str:
    for question in known.answers("unused"):
        # Several columns may be referred to; of one of them this would be half the truth.
        if question.table == table.name and len(_targets(known, table)) == 1:
            unused = known.noted[question.id]
            return f", but not to {elements.value(question.id)} of its rows" if unused else ", and to each of its rows"
    return ""


def _targets(known: Known, table: Table) -> set[str]:
    return {"+".join(r["to"][1]) for r in known.incoming.get(table.name, ()) if r["from"][0] != table.name}
