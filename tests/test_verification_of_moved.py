"""A page whose database moved on: what differs has changed, what is gone is told so, and nothing is wrong."""

import itertools
import re
import shutil
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import duckdb
import psycopg
import pytest
from psycopg import sql

from cataloger_dagster.agent.playbook import Playbook
from cataloger_dagster.cataloging import catalog
from cataloger_dagster.cli import main
from cataloger_dagster.databases import Database
from cataloger_dagster.prompts import load
from cataloger_dagster.sandbox.local import LocalSandbox
from cataloger_dagster.sandbox.session import Sandbox
from cataloger_dagster.urls import FileURL
from cataloger_dagster.verification import Verification, verify
from tests.agent.in_process import InProcessSandbox
from tests.services.mariadb import MariaDB
from tests.services.postgres import Postgres

ENGINES = ["duckdb", "sqlite", pytest.param("postgres", marks=pytest.mark.postgres)]
CUSTOMERS = [(n, f"town {n % 7}") for n in range(1, 201)]
ORDERS = [(n, n % 200 + 1 if n % 50 else 900 + n, n * 1.25 if n % 9 else None, n % 7) for n in range(1, 601)]
TABLES = (
    "CREATE TABLE customer (id integer PRIMARY KEY, city varchar(40))",
    "CREATE TABLE orders (id integer PRIMARY KEY, customer_id integer, amount double precision, made integer)",
    "CREATE TABLE stock (item integer, left_over integer)",
)
VIEW = "CREATE VIEW ratio AS SELECT item, 100 % left_over AS part FROM stock"
SCHEMA = ("CREATE SCHEMA sales", "CREATE TABLE sales.log (id integer PRIMARY KEY, said varchar(40))")


@dataclass
class Shop:
    """A database of one engine as its page found it, the page, and copies that may move on."""

    engine: str
    database: Database
    copy: Callable[[], tuple[Database, Callable[[str], None]]]
    html: str = ""

    def moved(self, *statements: str) -> list[Verification]:
        """Run *statements* on a copy, and judge the page by it."""
        database, run = self.copy()
        for statement in statements:
            run(statement)
        return verify(self.html, database, least(database))


def least(database: Database) -> Sandbox:
    """Return what takes least to reach *database* in: of a file this process."""
    return InProcessSandbox(database.address.path.parent) if isinstance(database.address, FileURL) else LocalSandbox()


def fill(engine: str, run: Callable[[str], None]) -> None:
    for statement in (*TABLES, *(SCHEMA if engine != "sqlite" else ()), VIEW):
        run(statement)
    for table, rows in (("customer", CUSTOMERS), ("orders", ORDERS), ("stock", [(n, n) for n in range(1, 31)])):
        values = ", ".join("(" + ", ".join("NULL" if v is None else repr(v) for v in row) + ")" for row in rows)
        run(f"INSERT INTO {table} VALUES {values}")
    if engine != "sqlite":
        run("INSERT INTO sales.log VALUES (1, 'yes'), (2, 'no')")


def on_file(engine: str, file: Path) -> tuple[Database, Callable[[str], None]]:
    def run(statement: str) -> None:
        if engine == "duckdb":
            with duckdb.connect(str(file)) as duck:
                duck.execute(statement)
        else:
            lite = sqlite3.connect(file)
            lite.execute(statement)
            lite.commit()
            lite.close()

    return Database.from_url(f"{engine}://{file}", "shop"), run


def of_files(engine: str, folder: Path) -> Shop:
    file, numbers = folder / "shop.db", itertools.count()
    database, run = on_file(engine, file)
    fill(engine, run)

    def copy() -> tuple[Database, Callable[[str], None]]:
        other = folder / f"copy-{next(numbers)}" / "shop.db"
        other.parent.mkdir()
        shutil.copy(file, other)
        return on_file(engine, other)

    return Shop(engine, database, copy)


def of_postgres(server: Postgres) -> Shop:
    def on(url: str) -> tuple[Database, Callable[[str], None]]:
        reader = server.new_reader(url)
        role = psycopg.conninfo.conninfo_to_dict(reader)["user"]
        server.execute(url, sql.SQL("GRANT USAGE ON SCHEMA sales TO {0}").format(sql.Identifier(str(role))))
        server.execute(
            url, sql.SQL("GRANT SELECT ON ALL TABLES IN SCHEMA sales TO {0}").format(sql.Identifier(str(role)))
        )
        return Database.from_url(reader, "shop"), lambda statement: server.execute(url, statement)

    url = server.new_database("shop")
    fill("postgres", lambda statement: server.execute(url, statement))
    database, _ = on(url)

    def copy() -> tuple[Database, Callable[[str], None]]:
        other = server.new_database("copy")
        fill("postgres", lambda statement: server.execute(other, statement))
        return on(other)

    return Shop("postgres", database, copy)


@pytest.fixture(scope="module", params=ENGINES)
def shop(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Shop:
    engine = request.param
    made = (
        of_postgres(request.getfixturevalue("postgres"))
        if engine == "postgres"
        else of_files(engine, tmp_path_factory.mktemp(engine))
    )
    made.html = catalog(made.database, sandbox=least(made.database), model=Playbook(), prompt=load("catalog")).page.html
    return made


Cases = dict[str, tuple[tuple[str, ...], dict[str, str | None]]]

GONE: Cases = {
    "nothing": ((), {}),
    "grown": (("INSERT INTO orders VALUES (9000, 9000, 1.5, 3)",), {"orders.rows": None}),
    "shrunk": (("DELETE FROM orders WHERE id > 300",), {"orders.rows": None, "orders.customer_id.orphans": None}),
    "emptied": (("DELETE FROM orders",), {"orders.rows": None, "orders.amount.max": None}),
    "one value": (("UPDATE orders SET amount = 3000000 WHERE id = 7",), {"orders.amount.max": None}),
    "dropped": (
        ("DROP TABLE orders",),
        {"orders.rows": "table orders is gone", "orders.customer_id.orphans": "table orders is gone"},
    ),
    "what is referred to dropped": (
        ("DROP TABLE customer",),
        {"customer.city.top": "table customer is gone", "orders.customer_id.orphans": "table customer is gone"},
    ),
    "renamed": (
        ("ALTER TABLE orders RENAME TO sold",),
        {"orders.made.max": "table orders is gone; sold, which is new, has the same columns"},
    ),
    "column dropped": (
        ("ALTER TABLE orders DROP COLUMN amount",),
        {"orders.amount.nulls": "column amount is gone from table orders"},
    ),
    "column renamed": (
        ("ALTER TABLE orders RENAME COLUMN amount TO total",),
        {"orders.amount.mean": "column amount is gone from table orders; total is new there"},
    ),
    "key renamed": (
        ("ALTER TABLE orders RENAME COLUMN customer_id TO buyer",),
        {
            "orders.customer_id.distinct": "column customer_id is gone from table orders; buyer is new there",
            "orders.customer_id.orphans": "column customer_id is gone from table orders; buyer is new there",
            'finding."orphan_foreign_key:orders:customer_id".rows': (
                "column customer_id is gone from table orders; buyer is new there"
            ),
        },
    ),
    "column added": (("ALTER TABLE orders ADD COLUMN more integer",), {}),
    "view dropped": (("DROP VIEW ratio",), {"ratio.rows": "view ratio is gone"}),
    "view of fewer columns": (
        ("DROP VIEW ratio", "CREATE VIEW ratio AS SELECT item FROM stock"),
        {"ratio.part.max": "column part is gone from view ratio"},
    ),
    "view and table gone": (
        ("DROP VIEW ratio", "DROP TABLE stock"),
        {"ratio.rows": "view ratio is gone", "stock.rows": "table stock is gone"},
    ),
}
NO_SQLITE: Cases = {
    "retyped to text": (
        ("ALTER TABLE orders ALTER COLUMN made TYPE varchar",),
        {"orders.made.type": "the column is of another type now"},
    ),
    "retyped with the same values": (
        ("ALTER TABLE orders ALTER COLUMN made TYPE double precision",),
        {"orders.made.type": "the column is of another type now"},
    ),
    "retyped and rounded": (
        ("ALTER TABLE orders ALTER COLUMN amount TYPE integer",),
        {"orders.amount.type": "the column is of another type now", "orders.amount.min": None},
    ),
    "schema gone": (("DROP SCHEMA sales CASCADE",), {'"sales.log".rows': "table sales.log is gone"}),
}


@pytest.mark.parametrize("case", [*GONE, *NO_SQLITE])
def test_what_moved_on_has_changed_and_is_told_in_plain_words(shop: Shop, case: str) -> None:
    statements, expected = {**GONE, **NO_SQLITE}[case]
    if case in NO_SQLITE and shop.engine == "sqlite":
        statements, expected = (), {}
    judged = {item.claim: item for item in shop.moved(*statements)}
    assert not [item for item in judged.values() if item.standing == "wrong"]
    changed = {name for name, item in judged.items() if item.standing == "changed"}
    assert changed >= expected.keys()
    for name, reason in expected.items():
        if reason is not None:
            assert judged[name].reason == reason
    # What else changed is of the same tables, or of a finding or question about them and others.
    tables = {name.split(".")[0] for name in expected if name[0] != '"'} | {'"sales'}
    assert all(name.split(".")[0] in tables | {"finding"} for name in changed - {"customer.unused"}), changed
    untouched = {"customer", "orders", "stock", "ratio"} - tables
    for table in untouched:
        assert judged[f"{table}.rows"].standing == "held"
    if not expected:
        assert changed == set()


def test_of_a_column_that_is_gone_no_fact_holds(shop: Shop) -> None:
    judged = shop.moved("ALTER TABLE orders DROP COLUMN made")
    standings = {item.standing for item in judged if item.claim.startswith("orders.made.")}
    assert standings == {"changed"}
    assert all(item.now is None for item in judged if item.claim.startswith("orders.made."))


def test_a_view_that_can_not_be_read_any_more_says_why(shop: Shop) -> None:
    broken = {
        "duckdb": ("CREATE OR REPLACE VIEW ratio AS SELECT item, left_over AS part FROM stock", "DROP TABLE stock"),
        "sqlite": ("DROP TABLE stock",),
        "postgres": ("INSERT INTO stock VALUES (0, 0)",),
    }[shop.engine]
    said = {"duckdb": "stock does not exist", "sqlite": "no such table", "postgres": "division by zero"}[shop.engine]
    judged = {item.claim: item for item in shop.moved(*broken)}
    assert judged["ratio.rows"].standing == "changed"
    assert judged["ratio.rows"].now is None
    assert judged["ratio.rows"].reason.startswith("its query can't be run now: ")
    assert said in judged["ratio.rows"].reason
    assert not [item for item in judged.values() if item.standing == "wrong"]


def test_a_value_changed_by_hand_is_wrong_though_other_tables_moved_on(shop: Shop) -> None:
    forged = shop.html.replace('"nulls":66', '"nulls":67', 1)
    assert forged != shop.html
    shop = Shop(shop.engine, shop.database, shop.copy, forged)
    for statements in ((), ("DROP VIEW ratio", "DROP TABLE stock"), ("ALTER TABLE customer DROP COLUMN city",)):
        wrong = {item.claim for item in shop.moved(*statements) if item.standing == "wrong"}
        assert {"orders.amount.nulls", "the page"} <= wrong


def test_the_command_tells_what_is_gone_once_and_exits_with_0(
    shop: Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CATALOGER_MODEL", "offline")
    monkeypatch.setenv("CATALOGER_SANDBOX", "local")
    database, run = shop.copy()
    run("DROP TABLE orders")
    page = tmp_path / "catalog.html"
    page.write_text(shop.html)
    with pytest.raises(SystemExit) as left:
        main(["verify", str(page), "--url", database.url.get_secret_value()])
    said = capsys.readouterr().out
    assert left.value.code == 0, said
    (line,) = [line for line in said.splitlines() if "table orders is gone" in line]
    assert re.fullmatch(r"changed  orders\.rows and \d\d more: table orders is gone", line)
    assert re.search(r"shop: \d+ held, \d+ changed, 0 wrong", said)


def test_on_mariadb_too_what_is_gone_is_told_so(mariadb: MariaDB) -> None:
    url = mariadb.new_database()
    fill("sqlite", lambda statement: mariadb.execute(url, statement))
    database = Database.from_url(mariadb.new_reader(url), "shop")
    html = catalog(database, sandbox=LocalSandbox(), model=Playbook(), prompt=load("catalog")).page.html
    assert {item.standing for item in verify(html, database, LocalSandbox())} == {"held"}
    mariadb.execute(
        url,
        "DROP TABLE customer",
        "ALTER TABLE orders RENAME COLUMN amount TO total",
        "ALTER TABLE stock MODIFY item varchar(20)",
    )
    judged = {item.claim: item for item in verify(html, database, LocalSandbox())}
    assert {item.standing for item in judged.values()} == {"held", "changed"}
    assert judged["customer.rows"].reason == "table customer is gone"
    assert judged["orders.amount.max"].reason == "column amount is gone from table orders; total is new there"
    assert judged["stock.item.type"].reason == "the column is of another type now"
    assert judged["stock.rows"].standing == "held"
