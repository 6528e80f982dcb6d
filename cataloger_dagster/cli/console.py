"""What people see: progress on stderr (a live line on a terminal, plain lines in a pipe), tables and JSON on stdout."""

import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from time import monotonic
from typing import Any

import click

from cataloger_dagster.authoring import Progress


@contextmanager
def progress(title: str) -> Iterator[Progress]:
    """Show how a long work goes on: the function yielded takes a message for each step.

    On a terminal the last message stands on one live line with the seconds so far, which is gone in the end; in
    a pipe each message is a line.
    """
    began = monotonic()
    if not sys.stderr.isatty():

        def line(message: str) -> None:
            click.echo(f"[{monotonic() - began:6.1f} s] {title}: {printable(message)}", err=True)

        yield line
        return
    # rich takes a tenth of a second to import, which the commands without progress need not pay.
    from rich.console import Console
    from rich.markup import escape
    from rich.progress import Progress as Live
    from rich.progress import SpinnerColumn, TextColumn, TimeElapsedColumn
    from rich.table import Column

    console = Console(stderr=True)
    text = TextColumn("{task.description}", table_column=Column(no_wrap=True, overflow="ellipsis", ratio=1))
    with Live(SpinnerColumn(), TimeElapsedColumn(), text, console=console, transient=True, expand=True) as live:
        task = live.add_task(escape(title), total=None)

        def update(message: str) -> None:
            live.update(task, description=escape(f"{title}: {printable(message)}"))

        yield update


def note(message: str) -> None:
    """Print a line about the work, not its result."""
    click.echo(message, err=True)


def warn(message: str) -> None:
    """Print what people should know of, though the work goes on."""
    note(f"Warning: {printable(message)}")


def print_json(value: Any) -> None:
    """Print *value* for a program."""
    click.echo(json.dumps(value, indent=2, ensure_ascii=False, default=str))


def print_table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print *rows* under *head*, columns aligned: numbers to the right, text to the left."""
    cells = [[_cell(value) for value in row] for row in rows]
    widths = [max(len(line[place]) for line in [list(head), *cells]) for place in range(len(head))]
    right = [
        bool(rows) and all(isinstance(row[place], int | float) or row[place] is None for row in rows)
        for place in range(len(head))
    ]
    for line in [list(head), *cells]:
        padded = [
            text.rjust(width) if to_right else text.ljust(width)
            for text, width, to_right in zip(line, widths, right, strict=True)
        ]
        click.echo("  ".join(padded).rstrip())


def plural(count: int, noun: str) -> str:
    """Return *count* with its noun: ``1 table``, ``1,234 tables``."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def _cell(value: object) -> str:
    if value is None:
        return "–"
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    return printable(str(value))


def printable(text: str) -> str:
    """Return *text* on one line without control characters: names in a database may hold any."""
    return "".join(character if character.isprintable() else "�" for character in text)
