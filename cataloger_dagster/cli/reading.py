"""The commands that look at databases and pages, from ``databases`` to ``export``, and change nothing."""

import re
from collections import Counter
from dataclasses import asdict
from datetime import UTC, datetime, time
from pathlib import Path
from typing import Any

import click

from cataloger_dagster.cli.console import note, plural, print_json, print_table, printable, progress
from cataloger_dagster.cli.workplace import Workplace
from cataloger_dagster.databases import Database, check_name, is_file
from cataloger_dagster.errors import CatalogerError, ConfigurationError, ReportError, StoreError
from cataloger_dagster.export import FORMATS, Format, change_place, export
from cataloger_dagster.facts import SEVERITIES
from cataloger_dagster.preflight import Verdict, preflight
from cataloger_dagster.publication import StoredPage, stored_page
from cataloger_dagster.report.block import Block, read_block
from cataloger_dagster.report.coverage import not_judged, not_listed
from cataloger_dagster.report.numbers import format_value
from cataloger_dagster.report.overview import is_overview
from cataloger_dagster.report.run import PageKind
from cataloger_dagster.verification import Verification, verify, verify_overview

_json = click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
_at = click.option("--at", metavar="TIME", help="The page of that time: 2026-01-15, 2026-01-15T10:00, or a snapshot.")
_summary = click.option("--summary", is_flag=True, help="The summary instead of the catalog.")


@click.command()
@_json
@click.pass_obj
def databases(workplace: Workplace, as_json: bool) -> int:
    """List the databases, and whether they can be used.

    Opens each one: is it reachable, can its role write, how many tables are there, when was it last catalogued?
    Exits with 1 if an entry is broken, or its database can't be used.

    \b
    Examples:
      cataloger databases
      cataloger databases --json | jq '.[] | select(.error)'
    """
    entries = workplace.databases
    found: list[dict[str, Any]] = []
    sandbox = workplace.sandbox()
    with progress("databases") as step:
        for name in sorted({*entries.entries, *entries.broken}):
            step(name)
            line: dict[str, Any] = {"name": name, "url": None, "usable": False, "error": None}
            try:
                entry = entries.get(name)
                line |= {"url": entry.shown_url, "last_snapshot": _last(workplace, name)}
                verdict = preflight(entry, sandbox)
                line |= asdict(verdict) | {"usable": verdict.read_only or entry.allow_writable_role}
            except CatalogerError as error:
                line["error"] = str(error)
            found.append(line)
    if as_json:
        print_json(found)
    elif not found:
        note(f"No databases: write some into {workplace.settings.databases}, or catalog one by its URL or path.")
    else:
        print_table(
            ["name", "engine", "role", "tables", "views", "last snapshot"],
            [
                [
                    line["name"],
                    line.get("engine"),
                    _standing(line),
                    line.get("tables"),
                    line.get("views"),
                    line.get("last_snapshot"),
                ]
                for line in found
            ],
        )
        for line in found:
            if line["error"]:
                note(f"{printable(line['name'])}: {line['error']}")
    return 0 if all(line["usable"] for line in found) else 1


def _standing(line: dict[str, Any]) -> str:
    if line["error"]:
        return "error"
    if not line["rights"]:
        return "read-only"
    return "can write, allowed" if line["usable"] else "can write, refused"


def _last(workplace: Workplace, name: str) -> str | None:
    newest = workplace.store.newest(name, "catalog")
    return newest[0].name if newest else None


@click.command()
@click.argument("database", metavar="NAME|URL")
@_json
@click.pass_obj
def check(workplace: Workplace, database: str, as_json: bool) -> int:
    """Check one database before it is catalogued.

    Is it reachable, what is there, can its role write?
    Exits with 1 if the role can write and the entry does not allow that, and prints the SQL for a right one.

    \b
    Examples:
      cataloger check shop
      cataloger check "postgres://reader:$PASSWORD@db.internal:5432/shop"
    """
    entry = workplace.find(database)
    with progress(f"check {entry.name}") as step:
        step(f"opening {entry.shown_url}")
        verdict = preflight(entry, workplace.sandbox())
    usable = verdict.read_only or entry.allow_writable_role
    if as_json:
        print_json({"name": entry.name, "url": entry.shown_url, "usable": usable, **asdict(verdict)})
    else:
        _print_verdict(entry, verdict)
    return 0 if usable else 1


def _print_verdict(entry: Database, verdict: Verdict) -> None:
    click.echo(f"{entry.name}: {printable(verdict.engine)}, {entry.shown_url}")
    click.echo(f"{plural(verdict.tables, 'table')}, {plural(verdict.views, 'view')}")
    if verdict.role is None:
        click.echo("Read-only: a file is opened for reading alone.")
        return
    role = f"role {printable(verdict.role)}"
    if verdict.read_only:
        click.echo(f"Read-only: {role} has no right to write.")
    else:
        click.echo(f"Not read-only: {role} has these rights to write:")
        for right in verdict.rights:
            click.echo(f"  {printable(right)}")
    if not verdict.read_only and not entry.allow_writable_role:
        click.echo(f"Cataloger reads with a read-only role. This SQL puts it right:\n\n{verdict.remedy}\n")
        return
    if not verdict.read_only:
        click.echo("Allowed by allow_writable_role; the page will say so.")
    for line in [*verdict.notes, *([verdict.forwarded] if verdict.forwarded else [])]:
        click.echo(f"Note: {printable(line)}")


@click.command()
@click.argument("name", metavar="NAME")
@click.option(
    "-n", "--count", type=click.IntRange(1, 10_000), default=10, show_default=True, help="How many snapshots."
)
@_json
@click.pass_obj
def history(workplace: Workplace, name: str, count: int, as_json: bool) -> None:
    """List the snapshots of one database, newest first.

    \b
    Examples:
      cataloger history shop
      cataloger history shop -n 100 --json
    """
    _known(workplace, name)
    lines = []
    for snapshot in workplace.store.newest(name, "catalog", count):
        block = stored_page(workplace.store, snapshot).block
        lines.append({**_described(block), "page": workplace.store.address(snapshot)})
    if as_json:
        print_json(lines)
        return
    if not lines:
        note(f"No catalog of {name} yet; write one: cataloger catalog {name}")
        return
    heads = ["snapshot", "tables", "rows", "findings", "model", "page"]
    print_table(heads, [[line[head] for head in heads] for line in lines])


def _described(block: Block) -> dict[str, Any]:
    return {
        "snapshot": block.snapshot,
        "tables": len(block.tables),
        "columns": sum(len(table.columns) for table in block.tables),
        "rows": sum(table.rows or 0 for table in block.tables),
        "findings": len(block.findings),
        "model": block.model,
        "narrative": block.narrative,
    }


@click.command()
@click.argument("name", metavar="NAME")
@_at
@_summary
@_json
@click.pass_obj
def show(workplace: Workplace, name: str, at: str | None, summary: bool, as_json: bool) -> None:
    """Show the gist of a page, and where the page is.

    \b
    Examples:
      cataloger show shop
      cataloger show shop --summary
      cataloger show shop --at 2026-01-15
    """
    page, address = _page(workplace, name, at, "summary" if summary else "catalog")
    if as_json:
        print_json({**page.block.dump(), "page": address})
        return
    block = page.block
    click.echo(f"{block.database}, {block.snapshot}: {printable(block.engine)}, written by {printable(block.model)}")
    if block.about:
        click.echo(printable(block.about))
    for line in block.notes:
        click.echo(f"Note: {printable(line)}")
    if block.changes:
        click.echo("\nChanges")
        print_table(
            ["severity", "change", "where", "before", "now"],
            [[c.severity, c.kind, change_place(c), _value(c.from_), _value(c.to)] for c in block.changes],
        )
    if not summary:
        click.echo("\nFindings" if block.findings else "\nNo findings.")
        ranked = sorted(block.findings, key=lambda finding: SEVERITIES.index(finding.severity))
        for finding in ranked:
            click.echo(f"  {finding.severity:6}  {printable(finding.sentence)}")
        for line in [*not_listed(block.coverage), *not_judged(block.coverage)]:
            click.echo(f"  {printable(line)}")
        click.echo("")
        print_table(
            ["table", "kind", "rows", "columns"],
            [[table.name, table.kind, table.rows, len(table.columns)] for table in block.tables],
        )
    click.echo(f"\n{address}")


def _value(value: Any) -> str | None:
    return None if value is None else format_value(value, width=40)


@click.command(name="verify")
@click.argument("page", metavar="NAME|PAGE")
@click.option("--url", metavar="URL", help="Where the page's database is, if databases.yaml does not say.")
@_at
@_json
@click.pass_obj
def verify_command(workplace: Workplace, page: str, url: str | None, at: str | None, as_json: bool) -> int:
    """Judge every value on a page: does it still hold?

    Runs the queries of a catalog once more, and says of each value: held, changed or wrong. PAGE is the path of a
    page; NAME means the newest page of that database. An overview is judged by the pages that it was made of. Exits
    with 1 only if a value is wrong: the table is what it was, and the value is not.

    \b
    Examples:
      cataloger verify shop
      cataloger verify catalogs/shop/2026-01-15T10:00:00.123Z/catalog.html
      cataloger verify shop --json | jq '.[] | select(.standing == "wrong")'
    """
    html = _file(page)
    if html is None:
        return _verify(workplace, _page(workplace, page, at, "catalog", url)[0].html, url, as_json)
    if at is not None:
        raise ConfigurationError("--at goes with a NAME; a page has its time")
    try:
        return _verify(workplace, html, url, as_json)
    except ReportError as error:
        raise ReportError(f"{page}: {error}") from error


def _verify(workplace: Workplace, html: str, url: str | None, as_json: bool) -> int:
    """Judge a page, print what came of it, and return the command's exit code."""
    if is_overview(html):
        return _verified("overview", verify_overview(html, lambda *place: _stored(workplace, *place)), as_json)
    name = read_block(html).database
    if url is None and name not in workplace.databases.keys:
        file = workplace.settings.databases
        lacks = f"{file} has no database {name!r}" if file.exists() else f"there is no {file} that names {name!r}"
        raise ConfigurationError(f"{lacks}; say where it is: --url URL")
    entry = Database.from_url(url, name) if url else workplace.databases.get(name)
    with progress(f"verify {name}") as step:
        step("running the page's queries")
        judged = verify(html, entry, workplace.sandbox())
    # A total, such as "rows", is a sum over the page.
    if judged and not any(claim.standing == "held" and "." in claim.claim for claim in judged):
        note(f"Nothing of what the page tells holds: is {entry.shown_url} its database?")
    return _verified(name, judged, as_json)


def _stored(workplace: Workplace, name: str, snapshot: str) -> Block | None:
    """Return the data block of a database's catalog of one snapshot, or null if there is none."""
    found = workplace.store.at(name, "catalog", snapshot)
    return stored_page(workplace.store, found).block if found is not None and found.name == snapshot else None


def _verified(name: str, judged: list[Verification], as_json: bool) -> int:
    """Print what came of a page, and return the command's exit code."""
    counts = Counter(claim.standing for claim in judged)
    if as_json:
        print_json([asdict(claim) for claim in judged])
    else:
        _print_claims(judged)
        click.echo(f"{name}: {counts['held']:,} held, {counts['changed']:,} changed, {counts['wrong']:,} wrong")
    return 1 if counts["wrong"] else 0


def _print_claims(judged: list[Verification]) -> None:
    """Print each claim that did not hold, the wrong ones first; those that can't be asked for one reason together."""
    unasked: dict[str, list[Verification]] = {}
    for claim in judged:
        if claim.standing == "changed" and claim.now is None:
            unasked.setdefault(claim.reason, []).append(claim)
    for claim in sorted(judged, key=lambda claim: claim.standing, reverse=True):
        together = unasked.get(claim.reason, []) if claim.standing == "changed" and claim.now is None else []
        if claim.standing == "held" or (len(together) > 1 and claim is not together[0]):
            continue
        said = printable(claim.reason)
        if claim.now is not None:
            said = f"{printable(f'{_value(claim.shown)} → {_value(claim.now)}')} ({said})"
        elif claim.shown is not None and len(together) < 2:
            said = f"{printable(str(_value(claim.shown)))} ({said})"
        more = f" and {len(together) - 1:,} more" if len(together) > 1 else ""
        click.echo(f"{claim.standing:7}  {printable(claim.claim)}{more}: {said}")


@click.command(name="export")
@click.argument("name", metavar="NAME")
@click.option("--format", "form", type=click.Choice(FORMATS), required=True, help="What to make of the page.")
@_at
@_summary
@click.option("-o", "--output", type=click.Path(dir_okay=False, path_type=Path), help="File to write, not stdout.")
@click.pass_obj
def export_command(
    workplace: Workplace, name: str, form: Format, at: str | None, summary: bool, output: Path | None
) -> None:
    """Print a page as JSON, Markdown or Croissant.

    JSON is the page's data, Markdown is for people, Croissant for catalogs of data sets.

    \b
    Examples:
      cataloger export shop --format markdown -o shop.md
      cataloger export shop --format json | jq '.tables[].name'
    """
    page, _ = _page(workplace, name, at, "summary" if summary else "catalog")
    text = export(page.html, form)
    if output is None:
        click.echo(text)
        return
    try:
        output.write_text(f"{text}\n", encoding="utf-8")
    except OSError as error:
        raise ConfigurationError(f"{output} can't be written: {error.strerror or error}") from error


def _file(page: str) -> str | None:
    """Return the text of a page given by its path; null where *page* is no path."""
    if not is_file(page):
        if page.endswith(".html") or "/" in page:
            raise ConfigurationError(f"{page}: no such file")
        return None
    try:
        return Path(page).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{page} can't be read as a page: {error}") from error


def _known(workplace: Workplace, name: str) -> None:
    """Check that *name* is a database with pages in the store, or one that may get some."""
    check_name(name)
    if name not in workplace.databases.keys and name not in workplace.store.databases():
        workplace.find(name)


def _page(
    workplace: Workplace, name: str, at: str | None, kind: PageKind, url: str | None = None
) -> tuple[StoredPage, str]:
    """Return a stored page of the database *name*, which is at *url* if that is given, and the page's address."""
    if url is None:
        _known(workplace, name)
    else:
        check_name(name)
    store = workplace.store
    snapshot = next(iter(store.newest(name, kind)), None) if at is None else store.at(name, kind, moment(at))
    if snapshot is None:
        before = "" if at is None else f" at {at} or before"
        verb = "catalog" if kind == "catalog" else "summarize"
        what = name if url is None else f"{Database.from_url(url, name).shown_url} --name {name}"
        raise StoreError(f"no {kind} of {name}{before} in the store; write one: cataloger {verb} {what}")
    return stored_page(store, snapshot), store.address(snapshot)


def moment(text: str) -> datetime:
    """Return the time that a person wrote; a day means its end, a time without a zone is UTC.

    Raises:
        ConfigurationError: it is no time.
    """
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        fault = f"--at {text!r} is no time; write 2026-01-15, 2026-01-15T10:00 or a snapshot as history lists them"
    else:
        if re.fullmatch(r"\d{4}-\d{2}-\d{2}", text):
            found = datetime.combine(found.date(), time.max)
        return found.replace(tzinfo=UTC) if found.tzinfo is None else found
    raise ConfigurationError(fault)


COMMANDS = (databases, check, history, show, verify_command, export_command)
