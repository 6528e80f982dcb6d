"""A page that was changed by hand is found out, wherever it was; one whose database moved on is not blamed for it."""

import json
import re
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from markupsafe import escape

from cataloger_dagster.agent.playbook import Playbook
from cataloger_dagster.cataloging import catalog
from cataloger_dagster.databases import Database
from cataloger_dagster.errors import ReportError
from cataloger_dagster.prompts import load
from cataloger_dagster.report.block import Block, read_block
from cataloger_dagster.report.catalog import catalog_page
from cataloger_dagster.report.detail import Detail
from cataloger_dagster.report.digest import is_as_written
from cataloger_dagster.report.overview import Entry, Text, claims, is_overview, overview_page, read_text
from cataloger_dagster.report.run import Run
from cataloger_dagster.report.summary import summary_page
from cataloger_dagster.sandbox.local import LocalSandbox
from cataloger_dagster.urls import FileURL
from cataloger_dagster.verification import Verification, verify, verify_overview
from tests import samples
from tests.agent.in_process import InProcessSandbox


def in_this_process(database: Database) -> InProcessSandbox:
    """Return what a page is written and verified in where the sandbox is not in question."""
    assert isinstance(database.address, FileURL)
    return InProcessSandbox(database.address.path.parent)


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
    page = catalog(shop, sandbox=in_this_process(shop), model=Playbook(), prompt=load("catalog")).page.html
    assert read_block(page).findings
    assert read_block(page).references
    return page


def wrong(html: str, shop: Database) -> list[Verification]:
    return [item for item in verify(html, shop, in_this_process(shop)) if item.standing == "wrong"]


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


def test_a_summary_changed_by_hand_is_found_out_and_one_as_written_is_no_catalog(html: str, shop: Database) -> None:
    run = Run("shop", "2026-01-16T10:00:00.123Z")
    summary = summary_page(run, read_block(html).facts, None, {}, [], [read_block(html)]).html
    with pytest.raises(ReportError, match="this is a summary"):
        verify(summary, shop, in_this_process(shop))
    forged = re.sub(r"600(?=</)", "601", summary, count=1)
    assert forged != summary
    assert [(item.claim, item.standing) for item in verify(forged, shop, in_this_process(shop))] == [
        ("the page", "wrong")
    ]


def test_a_page_without_a_digest_is_judged_by_its_queries_and_its_block(html: str, shop: Database) -> None:
    without = re.sub(r'"digest":"[0-9a-f]+",', "", html)
    assert without != html
    assert is_as_written(without) is None
    assert wrong(without, shop) == []
    forged = re.sub(r'(<tr id="orders\.amount">.*?<td class="n"><a [^>]*>)\d+', r"\g<1>68", without, flags=re.DOTALL)
    assert [item.claim for item in wrong(forged, shop)] == ["orders.amount", "the page"]


@pytest.mark.parametrize("gone", ["DROP TABLE orders", "ALTER TABLE orders DROP COLUMN amount"])
def test_a_table_or_a_column_that_is_gone_makes_nothing_wrong(gone: str, html: str, shop: Database) -> None:
    path = Path(shop.url.get_secret_value().removeprefix("sqlite://"))
    before = path.read_bytes()
    con = sqlite3.connect(path)
    try:
        con.execute(gone)
        con.commit()
        con.close()
        judged = verify(html, shop, in_this_process(shop))
    finally:
        path.write_bytes(before)
    assert not [item for item in judged if item.standing == "wrong"]
    assert [item for item in judged if item.claim.startswith("orders.amount") and item.standing == "changed"]
    if gone.startswith("DROP"):
        [rows] = [item for item in judged if item.claim == "orders.rows"]
        assert (rows.shown, rows.now, rows.reason) == (600, None, "table orders is gone")
        assert [i.standing for i in judged if i.claim == "orders.customer_id.orphans"] == ["changed"]
    others = {item.claim: item.standing for item in judged if re.match(r"customer\.(rows|id|city)", item.claim)}
    assert set(others.values()) == {"held"}, {item.claim: item.standing for item in judged}


def test_tables_that_grew_have_changed_and_are_not_wrong(html: str, shop: Database) -> None:
    con = sqlite3.connect(shop.url.get_secret_value().removeprefix("sqlite://"))
    con.execute("INSERT INTO orders VALUES (9000, 9000, 1.5, 7)")
    con.commit()
    try:
        judged = verify(html, shop, in_this_process(shop))
    finally:
        con.execute("DELETE FROM orders WHERE id = 9000")
        con.commit()
        con.close()
    standings = {item.claim: item.standing for item in judged}
    assert set(standings.values()) == {"held", "changed"}
    assert standings["orders.rows"] == standings["orders.customer_id.orphans"] == "changed"
    assert standings["customer.rows"] == "held"


@pytest.fixture(scope="module")
def vaults(tmp_path_factory: pytest.TempPathFactory) -> Database:
    file = tmp_path_factory.mktemp("vaults") / "vaults.db"
    con = sqlite3.connect(file)
    for n in range(6):
        con.execute(f"CREATE TABLE vault_{n} (id INTEGER PRIMARY KEY, setting TEXT)")
        keys = [f"sk_live_{'0123456789abcdef'[i % 16]}{i:07}Zq8vT2mX4cB6nL1k" for i in range(2 + n)]
        con.executemany(
            f"INSERT INTO vault_{n} VALUES (?, ?)", enumerate([*keys, *(f"see page {i}" for i in range(300))])
        )
    con.commit()
    con.close()
    return Database.from_url(f"sqlite://{file}", "vaults")


@pytest.fixture(scope="module")
def gathered(vaults: Database) -> str:
    return catalog(vaults, sandbox=in_this_process(vaults), model=Playbook(), prompt=load("catalog")).page.html


def test_the_numbers_of_a_finding_of_many_tables_hold(gathered: str, vaults: Database) -> None:
    (whole,) = read_block(gathered).findings
    assert (whole.rows, len(whole.members)) == (27, 6)
    judged = {item.claim: item.standing for item in verify(gathered, vaults, in_this_process(vaults))}
    assert set(judged.values()) == {"held"}
    names = ['finding."secret_exposed::setting".rows', *(f'finding."{part.id}".rows' for part in whole.members)]
    assert judged.keys() >= set(names)
    assert all(f'data-claim="{escape(name)}"' in gathered for name in names)


@pytest.mark.parametrize(
    ("change", "place"),
    [
        (replaced(r'"rows":27', '"rows":28'), 'finding."secret_exposed::setting".rows'),
        (replaced(r'("rows":)7(,"query":"q\d+","sentence":"7 rows of vault_5)', r"\g<1>6\2"), "vault_5:setting"),
        (replaced(r'"sentence":"In 6 tables', '"sentence":"In 7 tables'), 'finding."secret_exposed::setting".tables'),
        (replaced(r"(<td class=\"n\"><data[^>]*><a [^>]*>)7(</a></data></td></tr>)", r"\g<1>8\2"), "vault_5:setting"),
    ],
    ids=["the sum", "one table's rows", "the number of tables", "one table's rows as shown"],
)
def test_a_number_of_many_tables_that_was_changed_is_found_out(
    gathered: str, vaults: Database, change: Callable[[str], str], place: str
) -> None:
    forged = change(gathered)
    assert forged != gathered
    assert any(place in item.claim for item in wrong(forged, vaults)), wrong(forged, vaults)


def test_of_a_finding_whose_tables_are_not_all_listed_what_is_listed_holds(gathered: str, vaults: Database) -> None:
    block = read_block(gathered)
    listed = Detail(members=2).listing(block.facts, set())
    run = Run(database="vaults", snapshot=block.snapshot)
    html = catalog_page(run, listed, None, {}, []).html
    (whole,) = read_block(html).findings
    assert (whole.rows, len(whole.members), whole.members_left_out) == (27, 2, 4)
    judged = {item.claim: item.standing for item in verify(html, vaults, in_this_process(vaults))}
    assert set(judged.values()) == {"held"}
    assert judged.keys() >= {f'finding."{part.id}".rows' for part in whole.members}
    assert wrong(html.replace('"sentence":"In 6 tables', '"sentence":"In 7 tables'), vaults)


def test_an_overview_changed_by_hand_is_found_out() -> None:
    block = catalog_page(samples.run(), samples.flights(), None, {}, []).block
    text = Text('<p><fact-value ref="flights.rows"> of <fact-value ref="total.rows">.</p>', "m", "x", samples.AT)
    html = overview_page(samples.AT, [Entry("flights", block), Entry("total", reason="Gone.")], text).html
    rows = f"{sum(table.rows or 0 for table in block.tables):,}"

    def standings(page: str, stored: Block | None = block) -> set[str]:
        return {item.standing for item in verify_overview(page, lambda *_: stored)}

    assert standings(html) == {"held"}
    assert standings(html, None) == {"held", "changed"} or standings(html, None) == {"changed"}
    told = {item.claim for item in verify_overview(html.replace(rows, "9,999"), lambda *_: block)}
    assert {"flights.rows", "total.rows", "flights: rows", "all databases: rows", "the page"} <= told
    assert "wrong" in standings(html.replace(rows, "9,999"))
    assert "wrong" in standings(html.replace("Gone.", "Here."))


def reshaped(html: str, change: Callable[[dict[str, Any]], object]) -> str:
    """The overview with its data changed."""
    found = re.search(r'(id="cataloger-overview">)(.*?)(</script)', html, re.DOTALL)
    assert found
    data = json.loads(found[2])
    change(data)
    return html[: found.start(2)] + json.dumps(data).replace("<", "\\u003c") + html[found.end(2) :]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda data: data.clear(), "format None"),
        (lambda data: data.update(format=2), "format 2, this version reads format 1; update cataloger"),
        (lambda data: data.pop("databases"), "databases: Field required"),
        (lambda data: data.update(at="yesterday"), "at: Value error"),
        (lambda data: data.update(at="2026-01-15T10:00:00"), "it has no time zone"),
        (lambda data: data["text"].update(at="x"), "text.at: Value error"),
        (lambda data: data["text"].update(html=1), "text.html: "),
        (lambda data: data["databases"][0].update(rows="many"), "databases.0.rows: "),
        (lambda data: data["databases"][0].update(snapshot="../x"), "databases.0.snapshot: "),
        (lambda data: data["claims"][0].pop("value"), "claims.0.value: Field required"),
    ],
)
def test_an_overview_whose_data_was_mangled_is_told_so(change: Callable[[dict[str, Any]], object], says: str) -> None:
    block = catalog_page(samples.run(), samples.flights(), None, {}, []).block
    text = Text('<p><fact-value ref="flights.rows">.</p>', "m", "x", samples.AT)
    html = overview_page(samples.AT, [Entry("flights", block)], text).html
    assert {item.standing for item in verify_overview(reshaped(html, dict), lambda *_: block)} <= {"held", "wrong"}
    with pytest.raises(ReportError) as caught:
        verify_overview(reshaped(html, change), lambda *_: block)
    assert says in str(caught.value)


def test_an_overview_that_was_cut_is_told_so_and_a_text_that_was_mangled_is_none() -> None:
    text = Text("<p>x</p>", "m", "x", samples.AT)
    html = overview_page(samples.AT, [Entry("flights", reason="Gone.")], text).html
    for size in (html.index('id="cataloger-overview"') + 60, html.index("<h1>") + 60):
        assert is_overview(html[:size])
        with pytest.raises(ReportError, match="cut short"):
            verify_overview(html[:size], lambda *_: None)
    assert read_text(html) == text
    assert read_text(reshaped(html, lambda data: data["text"].update(at="x"))) is None


def test_a_database_called_total_leaves_the_sums_theirs() -> None:
    block = catalog_page(samples.run(), samples.flights(), None, {}, []).block
    named = claims([Entry("total", block), Entry("shop", block)])
    assert named["total.rows"].value == 2 * int(str(named["_total.rows"].value))
