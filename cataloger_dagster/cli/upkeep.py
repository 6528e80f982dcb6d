"""The commands that keep the house: ``partitions``, ``sandbox`` and ``prompt`` with theirs."""

from pathlib import Path
from typing import TextIO

import click

from cataloger_dagster.cli.console import note, plural, print_json, progress
from cataloger_dagster.cli.workplace import Workplace
from cataloger_dagster.errors import ConfigurationError
from cataloger_dagster.prompts import encode

_json = click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")


@click.group()
def partitions() -> None:
    """Dagster's partitions, one for each database.

    \b
    Examples:
      cataloger partitions sync
    """


@partitions.command()
@_json
@click.pass_obj
def sync(workplace: Workplace, as_json: bool) -> None:
    """Make the partitions equal to databases.yaml.

    They are those of the Dagster instance in DAGSTER_HOME. The sensor databases_in_step does the same while Dagster
    runs.

    \b
    Examples:
      DAGSTER_HOME=~/dagster cataloger partitions sync
    """
    # Dagster takes seconds to import, and the core runs without it.
    from cataloger_dagster.defs.partitions import sync_home

    if not workplace.settings.databases.exists():
        raise ConfigurationError(f"{workplace.settings.databases}: no such file; set CATALOGER_DATABASES to yours")
    added, deleted = sync_home(workplace.databases.keys)
    if as_json:
        print_json({"added": added, "deleted": deleted})
        return
    for name in added:
        click.echo(f"+ {name}")
    for name in deleted:
        click.echo(f"- {name}")
    note(f"{plural(len(added), 'partition')} added, {len(deleted)} deleted.")


@click.group()
def sandbox() -> None:
    """The Docker sandbox: its image and what it may have left.

    \b
    Examples:
      cataloger sandbox build
      cataloger sandbox sweep
    """


@sandbox.command()
@click.option("--base-image", metavar="NAME", help="Image to build on, instead of the Dockerfile's own.")
@click.option(
    "--wheelhouse",
    metavar="FOLDER",
    type=click.Path(path_type=Path),
    help="Folder of wheels to install from; no package index is asked then.",
)
@click.pass_obj
def build(workplace: Workplace, base_image: str | None, wheelhouse: Path | None) -> None:
    """Build the sandbox image, and print its name.

    CATALOGER_SANDBOX_IMAGE names it.

    \b
    Examples:
      cataloger sandbox build
      cataloger sandbox build --base-image registry.internal/python:3.12-slim
      cataloger sandbox build --base-image python:3.12-slim --wheelhouse ./wheels
    """
    # The Docker SDK takes a third of a second to import.
    from cataloger_dagster.sandbox.image import build as build_image

    image = workplace.settings.sandbox_image
    with progress("sandbox build") as step:
        build_image(image, base_image, step, wheelhouse)
    click.echo(image)


@sandbox.command()
@_json
def sweep(as_json: bool) -> None:
    """Remove containers that killed runs left behind.

    Those of living runs stay.

    \b
    Examples:
      cataloger sandbox sweep
    """
    from cataloger_dagster.sandbox.abandoned import sweep as sweep_containers

    removed = sweep_containers()
    if as_json:
        print_json({"removed": removed})
        return
    for name in removed:
        click.echo(name)
    note(f"{plural(len(removed), 'container')} removed.")


@click.group()
def prompt() -> None:
    """What the model is told.

    \b
    Examples:
      cataloger prompt show catalog
      cataloger prompt encode my-catalog.yaml
    """


@prompt.command()
@click.argument("name", type=click.Choice(["catalog", "summary", "overview"]))
@_json
@click.pass_obj
def show(workplace: Workplace, name: str, as_json: bool) -> None:
    """Print the prompt in use.

    It comes from the environment, from the folder CATALOGER_PROMPTS, or is the built-in one.

    \b
    Examples:
      cataloger prompt show catalog > my-catalog.yaml
      cataloger prompt show summary --json
    """
    template = workplace.prompt(name)
    if as_json:
        print_json({"name": template.name, "source": template.source, "hash": template.hash, "text": template.text})
        return
    note(f"From {template.source}, hash {template.hash}.")
    click.echo(template.text.rstrip("\n"))


@prompt.command(name="encode")
@click.argument("file", type=click.File(encoding="utf-8"))
def encode_command(file: TextIO) -> None:
    """Print a prompt's YAML as the environment takes it.

    Checks it, and prints the line for CATALOGER_CATALOG_PROMPT or CATALOGER_SUMMARY_PROMPT.

    \b
    Examples:
      export CATALOGER_CATALOG_PROMPT="$(cataloger prompt encode my-catalog.yaml)"
      cataloger prompt encode - < my-summary.yaml
    """
    try:
        text = file.read()
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"{file.name} is not UTF-8 text (byte {error.start}); save it as UTF-8") from error
    click.echo(encode(text))


COMMANDS = (partitions, sandbox, prompt)
