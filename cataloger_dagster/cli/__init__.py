"""The command line: ``cataloger``. Arguments in, one call into the core, results on stdout, the rest on stderr.

``main`` and what is true of every command live here; the commands are in ``writing`` (what makes pages),
``reading`` (what looks at databases and pages) and ``upkeep``. What the commands do is in the core below.
"""

import logging
import os
import signal
import sys
import traceback
from collections.abc import Sequence
from types import FrameType
from typing import NoReturn

import click

from cataloger_dagster import __version__
from cataloger_dagster.cli import reading, upkeep, writing
from cataloger_dagster.cli.workplace import Workplace
from cataloger_dagster.errors import CatalogerError
from cataloger_dagster.settings import VARIABLES

OK, MISTAKE, FAULT, INTERRUPTED, TERMINATED = 0, 2, 3, 130, 143


class _Commands(click.Group):
    """Lists the commands in the order of a first day's use, not of the alphabet."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        return list(self.commands)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        with formatter.section("Environment"):
            formatter.write_dl(list(VARIABLES.items()))
        with formatter.section("Exit codes"):
            formatter.write_dl([
                ("0", "done"),
                ("1", "looked, and found a claim wrong or a database that can't be used"),
                ("2", "a mistake that you can mend; the message says how"),
                ("3", "a fault of Cataloger itself"),
                ("130, 143", "interrupted, terminated"),
            ])  # fmt: skip


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="cataloger", message="%(prog)s %(version)s")
@click.pass_context
def cataloger(context: click.Context) -> None:
    """A readable, trustworthy, always fresh catalog of every database you have.

    \b
    Examples:
      cataloger demo                       real data, two snapshots, no key needed
      cataloger catalog data/shop.duckdb   one database now, by path or URL
      cataloger catalog shop               one database of databases.yaml
    """
    if context.obj is None:
        context.obj = Workplace()


for command in (*writing.COMMANDS, *reading.COMMANDS, *upkeep.COMMANDS):
    cataloger.add_command(command)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and leave the process with its exit code."""
    # What is logged is told on this console already; a program that wants the records adds its own handler.
    logging.getLogger("cataloger_dagster").addHandler(logging.NullHandler())
    told: list[int] = []

    def end(number: int, _frame: FrameType | None) -> NoReturn:
        told.append(number)
        raise KeyboardInterrupt if number == signal.SIGINT else _Terminated

    # A process that is told to end takes its sandbox and half-made files along, as on Ctrl-C.
    before = {signal.SIGTERM: signal.signal(signal.SIGTERM, end)}
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # one begun by nohup or & hears none
        before[signal.SIGINT] = signal.signal(signal.SIGINT, end)
    try:
        code = _code(sys.argv[1:] if arguments is None else list(arguments), told)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    sys.exit(code)


class _Terminated(BaseException):
    """The process was told to end; no handler of errors may stop that."""


def _code(arguments: list[str], told: list[int]) -> int:
    """Run a command and return its exit code; *told* are the signals to end that have come so far."""
    try:
        result = cataloger.main(arguments, prog_name="cataloger", standalone_mode=False)
        sys.stdout.flush()
        return result if isinstance(result, int) else OK
    except CatalogerError as error:
        if told:
            return _ended(told[0])
        click.echo(f"Error: {error}", err=True)
        return MISTAKE
    except click.exceptions.Exit as leave:
        return leave.exit_code
    except (click.Abort, KeyboardInterrupt, _Terminated):
        return _ended(told[0] if told else signal.SIGINT)
    except click.ClickException as error:
        error.show()
        return MISTAKE
    except (SystemExit, BrokenPipeError):
        # The reader of a pipe left (| head), which is its right; Click leaves with 1 then, which is a verdict here.
        # Python would complain once more when it closes the stream at its exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return OK
    except Exception:  # noqa: BLE001 - the last place where a fault can be told apart from a mistake
        # An interrupt in the middle of an import comes out as an error of it: Python wraps what a __set_name__
        # raises, and modules in C report an ImportError.
        if told:
            return _ended(told[0])
        traceback.print_exc()
        click.echo("Error: a fault of Cataloger itself; please report it with the lines above.", err=True)
        return FAULT


def _ended(number: int) -> int:
    click.echo("Interrupted." if number == signal.SIGINT else "Terminated.", err=True)
    return INTERRUPTED if number == signal.SIGINT else TERMINATED
