"""A rare flaw that a sample passed over is not called resolved while its own query still returns rows."""

import sqlite3
from collections.abc import Iterator
from typing import Any

import pytest

from cataloger_dagster.agent.playbook import Playbook
from cataloger_dagster.cataloging import catalog
from cataloger_dagster.databases import Database
from cataloger_dagster.facts import Facts, Searched
from cataloger_dagster.privacy import MASKED_QUERY
from cataloger_dagster.prompts import load
from cataloger_dagster.recurrence import with_recurring
from cataloger_dagster.report.block import Block, block_of
from cataloger_dagster.report.changes import changes
from cataloger_dagster.sandbox.local import LocalSandbox
from cataloger_dagster.sandbox.session import Session
from cataloger_dagster.urls import FileURL
from tests import samples
from tests.agent.in_process import InProcessSandbox

KEY = "outlier:orders:amount"


def here(database: Database) -> InProcessSandbox:
    """Return what takes least to catalog a file in: this process."""
    assert isinstance(database.address, FileURL)
    return InProcessSandbox(database.address.path.parent)


def written(path: Any, beyond: int) -> Database:
    """A database whose orders' amounts are beyond all others in some rows."""
    with sqlite3.connect(path) as con:
        con.execute("CREATE TABLE orders (id INTEGER PRIMARY KEY, amount REAL, city TEXT)")
        rows = [(n, 1e7 + n if n < beyond else 10 + n * 7919 % 1000 / 10, f"town {n % 7}") for n in range(900)]
        con.executemany("INSERT INTO orders VALUES (?, ?, ?)", rows)
    return Database.from_url(f"sqlite://{path}", "shop")


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Database:
    return written(tmp_path_factory.mktemp("shop") / "shop.db", beyond=3)


@pytest.fixture(scope="module")
def before(shop: Database) -> Block:
    block = catalog(shop, sandbox=here(shop), model=Playbook(), prompt=load("catalog")).page.block
    assert [(finding.id, finding.rows) for finding in block.findings] == [(KEY, 3)]
    return block


@pytest.fixture(scope="module")
def session(shop: Database) -> Iterator[Session]:
    with LocalSandbox().open(shop, cells=False) as opened:
        yield opened


def unseen(before: Block, sampled: bool = True, rows: int = 900) -> Facts:
    """What a sample of the same database shows: not the few rows."""
    searched = [Searched(table="orders", rows=400, of=rows)] if sampled else []
    coverage = before.coverage.model_copy(update={"searched": searched})
    tables = [table.model_copy(update={"rows": rows}) for table in before.tables]
    return before.facts.model_copy(update={"findings": [], "coverage": coverage, "tables": tables})


def kinds(facts: Facts, before: Block) -> list[str]:
    return [change.kind for change in changes([block_of(samples.run(), facts), before]) if "finding" in change.kind]


def test_a_finding_whose_query_still_returns_rows_stands(before: Block, session: Session) -> None:
    facts = with_recurring(unseen(before), before, session, session.connection)
    [finding] = facts.findings
    assert (finding.id, finding.rows, finding.sentence) == (KEY, 3, before.findings[0].sentence)
    query = facts.query_by_id[finding.query]
    assert query.sql == before.facts.query_by_id[before.findings[0].query].sql
    assert len({query.id for query in facts.queries}) == len(facts.queries) == len(before.queries) + 1
    assert kinds(facts, before) == []


def test_where_the_table_is_another_the_sentence_says_no_more_than_was_counted(before: Block, session: Session) -> None:
    facts = with_recurring(unseen(before, rows=950), before, session, session.connection)
    expected = "3 rows of orders.amount are still as an earlier snapshot found; a sample alone did not show it."
    assert [finding.sentence for finding in facts.findings] == [expected]


def test_where_every_row_was_looked_at_nothing_is_asked(before: Block, session: Session) -> None:
    facts = unseen(before, sampled=False)
    assert with_recurring(facts, before, session, session.connection) is facts
    assert kinds(facts, before) == ["finding_resolved"]


def test_a_finding_whose_query_returns_nothing_is_resolved(before: Block, tmp_path: Any) -> None:
    database = written(tmp_path / "mended.db", beyond=0)
    with here(database).open(database, cells=False) as mended:
        facts = with_recurring(unseen(before), before, mended, mended.connection)
    assert (facts.findings, facts.coverage.unjudged) == ([], [])
    assert kinds(facts, before) == ["finding_resolved"]


@pytest.mark.parametrize("sql", [f"{MASKED_QUERY}\nSELECT 1", "SELECT count(*) OVER () AS rows FROM gone"])
def test_what_cannot_be_asked_again_is_not_judged_and_so_not_resolved(
    before: Block, session: Session, sql: str
) -> None:
    key = before.findings[0].query
    queries = [query.model_copy(update={"sql": sql}) if query.id == key else query for query in before.queries]
    other = before.model_copy(update={"queries": queries})
    facts = with_recurring(unseen(before), other, session, session.connection)
    [item] = facts.coverage.unjudged
    assert (item.kinds, item.tables, item.columns) == (["outlier"], ["orders"], ["amount"])
    assert facts.findings == []
    assert kinds(facts, other) == []


def test_of_another_column_under_its_name_nothing_is_asked(before: Block, session: Session) -> None:
    facts = unseen(before)
    columns = [
        column.model_copy(update={"type": "text"}) if column.name == "amount" else column
        for column in facts.tables[0].columns
    ]
    facts = facts.model_copy(update={"tables": [facts.tables[0].model_copy(update={"columns": columns})]})
    assert with_recurring(facts, before, session, session.connection) is facts


def test_a_catalog_asks_again_before_it_calls_anything_resolved(
    shop: Database, before: Block, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cataloger_dagster.cataloging._measure", lambda *_: unseen(before))
    page = catalog(shop, sandbox=here(shop), model=Playbook(), prompt=load("catalog"), history=[before]).page
    assert [finding.id for finding in page.block.findings] == [KEY]
    assert [change for change in page.block.changes if "finding" in change.kind] == []
    assert "seen before" in page.html
