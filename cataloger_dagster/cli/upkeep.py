"""The commands that keep the house: ``partitions``, ``sandbox`` and ``prompt`` with theirs."""

from pathlib import Path

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
    """Make the partitions of the Dagster instance in DAGSTER_HOME equal to the names in databases.yaml.

    The sensor databases_in_step does the same while Dagster runs.

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
@click.pass_obj
def build(workplace: Workplace, base_image: str | None) -> None:
    """Build the sandbox image, named by CATALOGER_SANDBOX_IMAGE, and print its name.

    \b
    Examples:
      cataloger sandbox build
      cataloger sandbox build --base-image registry.internal/python:3.12-slim
    """
    # The Docker SDK takes a third of a second to import.
    from cataloger_dagster.sandbox.image import build as build_image

    image = workplace.settings.sandbox_image
    with progress("sandbox build") as step:
        build_image(image, base_image, step)
    click.echo(image)


@sandbox.command()
@_json
def sweep(as_json: bool) -> None:
    """Remove containers that a killed machine or engine left behind; those of living runs stay.

    \b
    Examples:
      cataloger sandbox sweep
    """
    from cataloger_dagster.sandbox.image import sweep as sweep_containers

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
@click.argument("name", type=click.Choice(["catalog", "summary"]))
@_json
@click.pass_obj
def show(workplace: Workplace, name: str, as_json: bool) -> None:
    """Print the prompt in use: from the environment, from CATALOGER_PROMPTS, or the built-in one.

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
@click.argument("file", type=click.Path(path_type=Path, allow_dash=True))
def encode_command(file: Path) -> None:
    """Check a prompt's YAML and print it as CATALOGER_CATALOG_PROMPT or CATALOGER_SUMMARY_PROMPT takes it.

    \b
    Examples:
      export CATALOGER_CATALOG_PROMPT="$(cataloger prompt encode my-catalog.yaml)"
      cataloger prompt encode - < my-summary.yaml
    """
    try:
        text = click.get_text_stream("stdin").read() if str(file) == "-" else file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{file} can't be read: {error}") from error
    click.echo(encode(text))


COMMANDS = (partitions, sandbox, prompt)
