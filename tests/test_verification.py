"""A page that was changed by hand is found out, wherever it was; one whose database moved on is not blamed for it."""

import re
import sqlite3
from collections.abc import Callable

import pytest

from cataloger_dagster.agent.playbook import Playbook
from cataloger_dagster.cataloging import catalog
from cataloger_dagster.databases import Database
from cataloger_dagster.prompts import load
from cataloger_dagster.report.block import read_block
from cataloger_dagster.report.digest import is_as_written
from cataloger_dagster.sandbox.local import LocalSandbox
from cataloger_dagster.verification import Verification, verify


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Database:
    file = tmp_path_factory.mktemp("shop") / "shop.db"
    con = sqlite3.connect(file)
    con.execute("CREATE TABLE customer (id INTEGER PRIMARY KEY, city TEXT)")
    con.executemany("INSERT INTO customer VALUES (?, ?)", [(n, f"town {n % 7}") for n in range(1, 201)])
    con.execute("CREATE TABLE orders (id INTEGER PRIMARY KEY, customer_id INTEGER, amount REAL, made INTEGER)")
    rows = [(n, n % 200 + 1 if n % 50 else 900 + n, n * 1.25 if n % 9 else None, 7) for n in range(1, 601)]
    con.executemany("INSERT INTO orders VALUES (?, ?, ?, ?)", rows)
    con.commit()
    con.close()
    return Database.from_url(f"sqlite://{file}", "shop")


@pytest.fixture(scope="module")
def html(shop: Database) -> str:
    page = catalog(shop, sandbox=LocalSandbox(), model=Playbook(), prompt=load("catalog")).page.html
    assert read_block(page).findings
    assert read_block(page).references
    return page


def wrong(html: str, shop: Database) -> list[Verification]:
    return [item for item in verify(html, shop, LocalSandbox()) if item.standing == "wrong"]


def test_a_page_holds_with_its_findings_and_references(html: str, shop: Database) -> None:
    judged = {item.claim: item.standing for item in verify(html, shop, LocalSandbox())}
    assert set(judged.values()) == {"held"}
    assert judged.keys() >= {"orders.rows", "orders.amount.mean", "orders.made.top_count", "orders.customer_id.orphans"}
    assert any(name.startswith("finding.") for name in judged)


def replaced(pattern: str, new: str) -> Callable[[str], str]:
    return lambda html: re.sub(pattern, new, html, count=1, flags=re.DOTALL)


@pytest.mark.parametrize(
    ("change", "place"),
    [
        (replaced(r'(<data value="[^"]*" data-claim="[^"]*"[^>]*>(?:<a [^>]*>)?)\d', r"\g<1>9"), None),
        (replaced(r'(<tr id="orders\.amount">.*?<td class="n"><a [^>]*>)\d+', r"\g<1>68"), "orders.amount"),
        (replaced(r"(<ol class=\"fi\">.*?<p>[^\d]*<data[^>]*>(?:<a [^>]*>)?)\d", r"\g<1>8"), "finding"),
        (replaced(r"(<dt>Coverage</dt><dd>)2 of 2", r"\g<1>3 of 3"), "the page"),
        (replaced(r'"nulls":66', '"nulls":67'), "orders.amount.nulls"),
        (replaced(r'"top":\[\[7,600\]', '"top":[[7,601]'), "orders.made.top_count"),
        (replaced(r'"orphans":12', '"orphans":11'), "orders.customer_id.orphans"),
        (replaced(r"<pre[^>]*>SELECT", "<pre>SELECT 1,"), "the page"),
    ],
    ids=["prose", "profile", "finding", "head", "nulls in the block", "top in the block", "orphans", "query"],
)
def test_a_value_changed_by_hand_is_found_out(
    html: str, shop: Database, change: Callable[[str], str], place: str | None
) -> None:
    forged = change(html)
    assert forged != html
    found = [item.claim for item in wrong(forged, shop)]
    assert found[-1] == "the page"
    assert place is None or any(claim.startswith(place) for claim in found), found


def test_a_page_of_an_earlier_version_without_a_digest_is_judged_by_its_queries(html: str) -> None:
    without = re.sub(r'"digest":"[0-9a-f]+",', "", html)
    assert without != html
    assert is_as_written(without)
    assert read_block(without).digest is None


def test_tables_that_grew_have_changed_and_are_not_wrong(html: str, shop: Database) -> None:
    con = sqlite3.connect(shop.url.get_secret_value().removeprefix("sqlite://"))
    con.execute("INSERT INTO orders VALUES (9000, 9000, 1.5, 7)")
    con.commit()
    try:
        judged = verify(html, shop, LocalSandbox())
    finally:
        con.execute("DELETE FROM orders WHERE id = 9000")
        con.commit()
        con.close()
    standings = {item.claim: item.standing for item in judged}
    assert set(standings.values()) == {"held", "changed"}
    assert standings["orders.rows"] == standings["orders.customer_id.orphans"] == "changed"
    assert standings["customer.rows"] == "held"
