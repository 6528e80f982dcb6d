"""The Croissant description as Croissant's own validator reads it, in an environment of its own: it is 370 MB."""

import json
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from cataloger_dagster.export import export
from cataloger_dagster.report.block import block_of
from cataloger_dagster.report.catalog import catalog_page
from cataloger_dagster.report.croissant import croissant
from tests import hostile, samples
from tests.services.missing import missing

REMEDY = (
    "python -m venv FOLDER && FOLDER/bin/pip install 'mlcroissant>=1.1,<2', and "
    "CATALOGER_TEST_CROISSANT=FOLDER/bin/python, as .ci/run does"
)
FACTS = {
    "flights": samples.flights(),
    "nasty": samples.hostile(),
    "hostile": samples.hostile(hostile.values(100, 1), 10),
}
READ = """
import json, sys, mlcroissant
told = {}
for name, text in json.load(sys.stdin).items():
    try:
        dataset = mlcroissant.Dataset(jsonld=text)
    except mlcroissant.ValidationError as error:
        told[name] = {"errors": [str(error)]}
        continue
    sets = dataset.metadata.record_sets
    told[name] = {
        "errors": list(dataset.metadata.ctx.issues.errors),
        "tables": [one.name for one in sets],
        "columns": [[field.name for field in one.fields] for one in sets],
    }
json.dump(told, sys.stdout)
"""


@pytest.fixture(scope="module")
def read() -> dict[str, dict[str, Any]]:
    """What the validator says of each description, and of one that is spoilt."""
    python = os.environ.get("CATALOGER_TEST_CROISSANT")
    if python is None:
        missing("mlcroissant", REMEDY)
    told = {name: export(catalog_page(samples.run(), f, None, {}, []).html, "croissant") for name, f in FACTS.items()}
    # What a page of very many columns carries: its tables alone.
    told["tables alone"] = croissant(block_of(samples.run(), samples.flights()), fields=False)
    spoilt = json.loads(told["flights"])
    del spoilt["recordSet"][0]["field"][0]["name"]
    spoilt["recordSet"][1]["@type"] = "cr:NoSuchThing"
    return validated(Path(python), {**told, "spoilt": json.dumps(spoilt)})


def validated(python: Path, descriptions: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    each = {name: json.loads(text) for name, text in descriptions.items()}
    done = subprocess.run([python, "-c", READ], input=json.dumps(each), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    result: dict[str, dict[str, Any]] = json.loads(done.stdout)
    return result


@pytest.mark.parametrize("name", FACTS)
def test_the_validator_accepts_the_description_and_finds_every_table_and_column(
    read: dict[str, dict[str, Any]], name: str
) -> None:
    tables = FACTS[name].tables
    assert read[name]["errors"] == []
    assert len(read[name]["tables"]) == len(tables)
    assert [len(columns) for columns in read[name]["columns"]] == [len(table.columns) for table in tables]


def test_a_description_of_tables_alone_is_accepted_too(read: dict[str, dict[str, Any]]) -> None:
    assert read["tables alone"]["errors"] == []
    assert read["tables alone"]["columns"] == [[]] * 5


def test_hostile_names_come_out_as_they_are(read: dict[str, dict[str, Any]]) -> None:
    assert read["nasty"]["tables"] == [table.name for table in FACTS["nasty"].tables]


def test_the_validator_sees_what_is_wrong(read: dict[str, dict[str, Any]]) -> None:
    assert read["spoilt"]["errors"]
