"""What a database is: its centre, what refers to what, and what surprises whoever writes the first query."""

from collections.abc import Iterator

from cataloger_sandbox import elements
from cataloger_sandbox.elements import code, fact
from cataloger_sandbox.measured import Table
from cataloger_sandbox.prose.known import Known, time_column
from cataloger_sandbox.prose.phrases import NAMES, led_by, listed, names, verb_s


def lede(known: Known) -> str:
    """Return the sentence before the first heading; nothing where the central table has no rows."""
    table = known.centre
    if not table.rows:
        return ""
    if len(known.tables) == 1:
        return f"<p>One table, {code(table.name)}, of {fact(table.name, 'rows')} rows{_span(table)}.</p>"
    related = known.parents[table.name] or known.children[table.name]
    first = f"{fact(table.name, 'rows')} rows of {code(table.name)}{_span(table)}"
    if not related:
        largest = f"{code(table.name)}, of {fact(table.name, 'rows')} rows{_span(table)}"
        return f"<p>{fact('tables')} tables; the largest is {largest}.</p>"
    targets = names(known.parents[table.name])
    if targets:
        return f"<p>{first}, with the {targets} they refer to.</p>"
    sources = names(known.children[table.name])
    return f"<p>{first}, with the {sources} that refer to them.</p>"


def _span(table: Table) -> str:
    column = time_column(table)
    if column is None or column.min == column.max:
        return ""
    return f" from {fact(table.name, column.name, 'min')} to {fact(table.name, column.name, 'max')}"


def about(known: Known) -> str:
    """Return what stands under the heading on what the database is."""
    paragraphs = [" ".join(filter(None, [_about_centre(known), _about_others(known)]))]
    time = time_column(known.centre)
    if time is not None and time.drawable and (known.centre.rows or 0) >= 100:
        paragraphs.append(
            f"Rows of {code(known.centre.name)} by {code(time.name)}: {elements.chart(known.centre.name, time.name)}"
        )
    watch = elements.items(_watch(known))
    return "\n".join([*(f"<p>{text}</p>" for text in paragraphs if text), watch])


def _about_centre(known: Known) -> str:
    table = known.centre
    sentences = []
    if known.parents[table.name]:
        ends = led_by(known.parents[table.name])
        sentences.append(f"The centre is {code(table.name)}. A row there refers to {listed(ends)}.")
    elif known.children[table.name]:
        ends = led_by(known.children[table.name])
        sentences.append(f"The centre is {code(table.name)}: {listed(ends)} refer{verb_s(ends)} to it.")
    elif len(known.tables) > 1 and not known.references:
        sentences.append(
            "No table was found to refer to another, neither by a declared key nor by the values of its columns."
        )
    sentences += [
        f"The month up to its newest time holds {elements.value(question.id)} rows."
        for question in known.answers("recent")
        if question.table == table.name and known.noted[question.id]
    ]
    return " ".join(sentences)


def _about_others(known: Known) -> str:
    sentences = []
    others = [table for table in known.tables if table is not known.centre]
    middle = [t for t in others if known.parents[t.name] and t.rows]
    if len(middle) <= NAMES:
        sentences += [
            f"{code(t.name)} {'in turn ' if t.name in known.parents[known.centre.name] else ''}refers to "
            f"{names(known.parents[t.name])}."
            for t in middle
        ]
    apart = [
        t.name
        for t in others
        if known.references and not known.parents[t.name] and not known.children[t.name] and t.rows
    ]
    if apart:
        them = "it with another" if len(apart) == 1 else "them with each other or the rest"
        sentences.append(f"{names(apart)} stand{verb_s(apart)} apart: nothing was found that connects {them}.")
    views = [t.name for t in others if t.raw.get("kind") == "view"]
    if views:
        sentences.append(f"{names(views)} {'is a view' if len(views) == 1 else 'are views'}.")
    empty = [t.name for t in known.tables if t.rows == 0]
    if empty:
        sentences.append(f"{names(empty)} hold{verb_s(empty)} no rows.")
    return " ".join(sentences)


def _watch(known: Known) -> Iterator[str]:
    """Say what surprises whoever writes the first query."""
    for question in known.answers("empty_together")[:3]:
        if known.are_empty_together(question):
            columns, count = names(question.columns, most=8), elements.value(question.id)
            yield f"In {code(question.table)}, {columns} are empty together, in {count} of its rows."
    clocks = [question for question in known.answers("no_clock") if known.noted[question.id] == 0]
    for name in dict.fromkeys(question.table for question in clocks):
        times = [q.columns[0] for q in clocks if q.table == name]
        yield (
            f"{names(times)} of {code(name)} {'is a time' if len(times) == 1 else 'are times'} of day "
            "written as hours and minutes in one number (HHMM): their difference is no length of time."
        )
