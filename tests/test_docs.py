"""The README names every command, key and variable, and no others."""

import re
from pathlib import Path

import click
import pytest

from cataloger_dagster.cli import cataloger
from cataloger_dagster.databases import Budget, Database
from cataloger_dagster.defs.checks import CATALOG_CHECKS
from cataloger_dagster.report.elements import KINDS
from cataloger_dagster.settings import VARIABLES

README = (Path(__file__).parents[1] / "README.md").read_text()
ROOT = Path(__file__).parents[1]


def section(title: str) -> str:
    return README.split(f"\n## {title}\n", 1)[1].split("\n## ", 1)[0]


def commands(group: click.Group, *before: str) -> list[str]:
    found = []
    for name, command in group.commands.items():
        found += commands(command, *before, name) if isinstance(command, click.Group) else [" ".join([*before, name])]
    return found


def test_every_command_is_in_the_readme_and_every_one_there_exists():
    named = set(re.findall(r"`cataloger ([a-z]+(?: (?:sync|build|sweep|show|encode))?)", section("Commands")))
    assert named == set(commands(cataloger))


def test_every_variable_is_in_the_readme_and_every_one_there_exists():
    assert set(re.findall(r"`(CATALOGER_[A-Z_]+)`", section("Variables"))) == set(VARIABLES)
    assert set(re.findall(r"CATALOGER_[A-Z_]+", README)) == set(VARIABLES)


def test_every_key_is_in_the_readme_and_every_one_there_exists():
    first_cells = [
        line.split("|")[1] for line in section("Keys of databases.yaml").splitlines() if line.startswith("| `")
    ]
    named = {key for cell in first_cells for key in re.findall(r"`(\w+)`", cell)}
    assert named == set(Database.model_fields) - {"name"}
    assert all(f"`{key}`" in section("Keys of databases.yaml") for key in Budget.model_fields)


def test_every_kind_of_finding_is_in_the_readme_and_every_one_there_exists():
    cells = [line.split("|")[1] for line in section("What is found").splitlines() if line.startswith("| `")]
    assert {kind for cell in cells for kind in re.findall(r"`(\w+)`", cell)} == set(KINDS)


def test_every_check_is_in_the_readme():
    assert all(f"`{name}`" in README for name in CATALOG_CHECKS)


@pytest.mark.parametrize(
    "path", sorted(set(re.findall(r"`((?:cataloger_dagster|prompts|sandbox_image|deploy|docs)/[^`]*)`", README)))
)
def test_every_path_in_the_readme_is_there(path: str):
    assert (ROOT / path).exists()


def test_the_picture_is_there():
    assert (ROOT / "docs" / "catalog.png").stat().st_size > 20_000


def test_make_targets_in_the_readme_exist():
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"`?make ([a-z]+)`?\n|`make ([a-z]+)`", README)) != set()
    for match in re.findall(r"(?:^|`)make ([a-z]+)(?:`|$)", README, re.MULTILINE):
        assert match in targets
