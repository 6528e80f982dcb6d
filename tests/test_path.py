"""The whole path, from a database to a stored page: three engines, both sandboxes, both kinds of store."""

import json
import sqlite3
from collections.abc import Callable
from pathlib import Path

import duckdb
import pytest

from cataloger_dagster.agent.playbook import Playbook
from cataloger_dagster.cataloging import catalog, summarize
from cataloger_dagster.databases import Database
from cataloger_dagster.prompts import load
from cataloger_dagster.publication import history, newest_pages, publish
from cataloger_dagster.report.safety import unsafe
from cataloger_dagster.sandbox.choice import choose
from cataloger_dagster.sandbox.session import Sandbox
from cataloger_dagster.store.snapshots import Store, open_store
from cataloger_dagster.urls import FileURL
from cataloger_dagster.verification import verify
from tests.agent.in_process import InProcessSandbox

TABLES = (
    "CREATE TABLE customer (id INTEGER PRIMARY KEY, name VARCHAR(80), country VARCHAR(2))",
    'CREATE TABLE "order lines" (id INTEGER PRIMARY KEY, customer_id INTEGER, "a.b ""c""" DOUBLE PRECISION, note TEXT)',
    "CREATE TABLE unused (id INTEGER)",
)
ROWS = (
    *(f"INSERT INTO customer VALUES ({n}, 'name {n}', '{'de' if n % 2 else 'fr'}')" for n in range(1, 41)),
    *(
        f'INSERT INTO "order lines" VALUES ({n}, {n % 42 + 1}, {n / 4}, '
        f"{'NULL' if n % 5 == 0 else chr(39) + '<script>alert(' + str(n) + ')</script>' + chr(39)})"
        for n in range(1, 201)
    ),
)
GROWTH = "INSERT INTO customer VALUES (999, 'name 999', 'fr')"


class Engine:
    """A database of one engine with the tables above, and a way to write to it that the catalog does not have."""

    def __init__(self, database: Database, execute: Callable[..., None]) -> None:
        self.database, self.execute = database, execute
        execute(*TABLES, *ROWS)


@pytest.fixture(params=["duckdb", "sqlite", "postgres"])
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Engine:
    if request.param == "duckdb":

        def in_duckdb(*statements: str) -> None:
            with duckdb.connect(str(tmp_path / "shop.duckdb")) as con:
                for statement in statements:
                    con.execute(statement)

        return Engine(Database.from_url(f"duckdb://{tmp_path}/shop.duckdb", "shop"), in_duckdb)
    if request.param == "sqlite":

        def in_sqlite(*statements: str) -> None:
            con = sqlite3.connect(tmp_path / "shop.db")
            with con:
                for statement in statements:
                    con.execute(statement)
            con.close()

        return Engine(Database.from_url(f"sqlite://{tmp_path}/shop.db", "shop"), in_sqlite)
    server = request.getfixturevalue("postgres")
    url = server.new_database("shop")
    reader = server.new_role(url, "ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO {role}")
    return Engine(Database.from_url(reader, "shop"), lambda *statements: server.execute(url, *statements))


@pytest.fixture(params=["local sandbox and folder", "Docker sandbox and S3"])
def workshop(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Sandbox, Store]:
    if request.param.startswith("local"):
        return choose("local", offline=True, image="none"), open_store(str(tmp_path / "store"))
    s3 = request.getfixturevalue("s3")
    for name, value in s3.environment.items():
        monkeypatch.setenv(name, value)
    image = request.getfixturevalue("docker_sandbox_image")
    return choose("docker", offline=True, image=image), open_store(f"s3://{s3.new_bucket()}/pages")


def beforehand(engine: Engine, sandbox: Sandbox, folder: Path) -> Sandbox:
    """Return what a page is written in that is not itself in question: of a file in this process, which takes least."""
    return InProcessSandbox(folder) if isinstance(engine.database.address, FileURL) else sandbox


def test_a_database_becomes_pages_that_are_true(engine: Engine, workshop: tuple[Sandbox, Store], tmp_path: Path):
    sandbox, store = workshop

    def write(sandbox: Sandbox) -> None:
        report = catalog(
            engine.database,
            sandbox=sandbox,
            model=Playbook(),
            prompt=load("catalog"),
            history=history(store, "shop", 1),
        )
        assert report.outcome.ended == "submitted", report.outcome.reason
        publish(report, store)

    write(beforehand(engine, sandbox, tmp_path))
    engine.execute(GROWTH)
    write(sandbox)
    newest, first = newest_pages(store, "shop", "catalog", 5)
    assert newest.snapshot > first.snapshot
    assert unsafe(newest.html) == []
    tables = {table.name: table for table in newest.block.tables}
    assert {name: table.rows for name, table in tables.items()} == {"customer": 41, "order lines": 200, "unused": 0}
    assert [column.name for column in tables["order lines"].columns] == ["id", "customer_id", 'a.b "c"', "note"]
    assert tables["order lines"].columns[3].nulls == 40
    assert tables["customer"].keys[0] == ["id"]
    kinds = {(finding.kind, finding.table) for finding in newest.block.findings}
    assert ("empty_table", "unused") in kinds
    assert [(change.kind, change.table, change.from_, change.to) for change in newest.block.changes][:1] == [
        ("rows_changed", "customer", 40, 41)
    ]
    assert newest.block.coverage.tables == (3, 3)
    assert newest.block.unmeasured == 0

    summary = summarize(
        engine.database,
        history=history(store, "shop", 10),
        sandbox=sandbox,
        model=Playbook(),
        prompt=load("summary"),
    )
    publish(summary, store)
    (page,) = newest_pages(store, "shop", "summary")
    assert page.block.kind == "summary"
    assert ("rows_changed", "customer") in {(change.kind, change.table) for change in page.block.changes}

    snapshot = store.newest("shop", "catalog")[0]
    lines = store.read(snapshot, "catalog.transcript.jsonl").decode().splitlines()
    assert json.loads(lines[-1])["ended"] == "submitted"
    compile(store.read(snapshot, "catalog.py"), "catalog.py", "exec")


def test_verify_tells_held_changed_and_wrong_apart(engine: Engine, tmp_path: Path):
    sandbox = choose("local", offline=True, image="none")
    written_in = beforehand(engine, sandbox, tmp_path)
    html = catalog(engine.database, sandbox=written_in, model=Playbook(), prompt=load("catalog")).page.html
    standings = verify(html, engine.database, sandbox)
    assert len(standings) > 20
    assert {item.standing for item in standings} == {"held"}, [i for i in standings if i.standing != "held"][:5]

    forged = html.replace('"nulls":40', '"nulls":41').replace('<data value="200"', '<data value="201"')
    assert forged != html
    judged = verify(forged, engine.database, sandbox)
    assert any("note.nulls" in item.claim for item in judged if item.standing == "wrong")
    assert not [item for item in judged if item.standing == "changed"]

    engine.execute(GROWTH)
    after = verify(html, engine.database, sandbox)
    assert {item.standing for item in after} == {"held", "changed"}
    changed = {item.claim for item in after if item.standing == "changed"}
    assert "customer.rows" in changed
    assert not {claim for claim in changed if claim.startswith('"order lines"')}
