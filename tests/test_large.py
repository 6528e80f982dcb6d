"""A page whose numbers are estimates, verified: what another sample gives is held, what no sample gives is wrong."""

import sqlite3
from pathlib import Path

import pytest

from cataloger_dagster.agent.playbook import Playbook
from cataloger_dagster.cataloging import catalog
from cataloger_dagster.databases import Database
from cataloger_dagster.facts import Column
from cataloger_dagster.prompts import load
from cataloger_dagster.report.block import read_block
from cataloger_dagster.sandbox.choice import choose
from cataloger_dagster.sandbox.session import Sandbox
from cataloger_dagster.verification import Verification, verify

# Without rowids every sample is another one.
LARGE = (
    "CREATE TABLE reading (id INTEGER PRIMARY KEY, value REAL) WITHOUT ROWID",
    "WITH RECURSIVE s (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM s WHERE i < 1010000) "
    "INSERT INTO reading SELECT i, i * 7919 % 1000003 / 8.0 FROM s",
)


@pytest.fixture(scope="module")
def sandbox() -> Sandbox:
    return choose("local", offline=True, image="none")


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Database:
    path = tmp_path_factory.mktemp("large") / "plant.db"
    con = sqlite3.connect(path)
    with con:
        for statement in LARGE:
            con.execute(statement)
    con.close()
    return Database.from_url(f"sqlite://{path}", "plant")


@pytest.fixture(scope="module")
def page(database: Database, sandbox: Sandbox) -> str:
    return catalog(database, sandbox=sandbox, model=Playbook(), prompt=load("catalog")).page.html


def value_of(html: str) -> Column:
    return read_block(html).facts.table_by_name["reading"].column_by_name["value"]


def judged(html: str, database: Database, sandbox: Sandbox) -> dict[str, Verification]:
    return {item.claim: item for item in verify(html, database, sandbox)}


def test_another_sample_is_no_other_truth(page: str, database: Database, sandbox: Sandbox) -> None:
    assert value_of(page).quantiles_error is not None
    standings = judged(page, database, sandbox)
    assert {item.standing for item in standings.values()} == {"held"}
    quantiles = [standings[f"reading.{name}.{fact}"] for name in ("id", "value") for fact in ("q25", "median", "q75")]
    assert [item for item in quantiles if item.shown != item.now]


def test_a_median_that_no_sample_gives_is_wrong(page: str, database: Database, sandbox: Sandbox) -> None:
    """It is off by two per cent of all values, which is three times the error."""
    quantiles = value_of(page).quantiles
    assert quantiles is not None
    true = quantiles["0.5"]
    forged = page.replace(f'"0.5":{true}', f'"0.5":{1_000_003 / 8 * 0.52}').replace(
        f'"reading.value.median","value":{true}', f'"reading.value.median","value":{1_000_003 / 8 * 0.52}'
    )
    assert forged != page
    assert judged(forged, database, sandbox)["reading.value.median"].standing == "wrong"


def test_the_page_says_what_is_of_a_sample(page: str, tmp_path: Path) -> None:
    block = read_block(page)
    [sample] = block.coverage.sampled
    assert (sample.table, sample.of) == ("reading", 1_010_000)
    assert f"of a sample of {sample.rows:,} values" in page
    assert "others each time" in page
    assert value_of(page).distinct == 1_000_003
