"""The kit: what an agent's session holds, and what the host reads of it afterwards."""

import json
import os
import re
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from cataloger_sandbox import kit
from cataloger_sandbox.measured import UnknownReference

from cataloger_dagster.facts import references
from tests import samples


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The session's folder."""
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)
    return work


@pytest.fixture
def shop(tmp_path: Path) -> dict[str, Any]:
    """A connection to a small database."""
    path = tmp_path / "shop.sqlite"
    with sqlite3.connect(path) as con:
        con.execute('CREATE TABLE orders (id INTEGER, amount REAL, "odd name" TEXT)')
        con.executemany("INSERT INTO orders VALUES (?, ?, ?)", [(1, 2.5, "a"), (2, None, "b"), (3, 7.5, "50%")])
    con.close()
    return {"backend": "sqlite", "path": str(path)}


def start(connection: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    return kit.namespace(connection or {}, more.get("facts", {}), more.get("history", []), more.get("changes", []))


def flights() -> dict[str, Any]:
    return samples.flights().dump()


def test_the_session_holds_its_six_variables(shop: dict[str, Any]) -> None:
    assert set(start(shop)) == {"con", "facts", "fact", "history", "changes", "page"}


def test_without_a_connection_con_is_null_and_fact_says_so() -> None:
    session = start(facts=flights())
    assert session["con"] is None
    with pytest.raises(RuntimeError, match="no database is connected"):
        session["fact"]("x", "SELECT 1")


def test_fact_runs_the_query_now_and_notes_it(shop: dict[str, Any]) -> None:
    fact = start(shop)["fact"]
    assert fact("orders.paid", "SELECT count(amount) FROM orders;", "with an amount") == 2
    assert fact("odd", """SELECT count(*) FROM orders WHERE "odd name" LIKE '%0%%'""") == 1
    assert kit.claims() == [
        {"id": "orders.paid", "query": "SELECT count(amount) FROM orders", "note": "with an amount"},
        {"id": "odd", "query": """SELECT count(*) FROM orders WHERE "odd name" LIKE '%0%%'""", "note": None},
    ]


def test_fact_takes_an_ibis_expression(shop: dict[str, Any]) -> None:
    session = start(shop)
    assert session["fact"]("most", session["con"].table("orders").amount.max()) == 7.5
    assert "max(" in kit.claims()[0]["query"].lower()


def test_the_same_id_again_replaces_the_claim(shop: dict[str, Any]) -> None:
    fact = start(shop)["fact"]
    fact("n", "SELECT 1")
    assert fact("n", "SELECT 2") == 2
    assert [claim["query"] for claim in kit.claims()] == ["SELECT 2"]


@pytest.mark.parametrize("bad", ["", "late rows", "a-b", "a..b", ".a", "a.", '"a"', "a/b", "<b>", 7, "x" * 201])
def test_an_id_with_other_characters_is_refused(shop: dict[str, Any], bad: Any) -> None:
    with pytest.raises(ValueError, match=r"letters, digits, underscores and dots"):
        start(shop)["fact"](bad, "SELECT 1")
    assert kit.claims() == []


@pytest.mark.parametrize("taken", ["flights.rows", "flights.dep_time.nulls", "flights.tailnum.orphans", "tables"])
def test_the_name_of_a_measured_fact_is_refused(shop: dict[str, Any], taken: str) -> None:
    with pytest.raises(ValueError, match="measured already"):
        start(shop, facts=flights())["fact"](taken, "SELECT 1")


@pytest.mark.parametrize(
    ("sql", "told"),
    [
        ("SELECT nothing FROM orders", "nothing"),
        ("SELECT id FROM orders WHERE id > 9", "no row"),
        ("SELECT amount FROM orders WHERE id = 2", "null"),
        ("DELETE FROM orders", "readonly|read-only|not authorized|query_only|write"),
        ("  ;", "0 characters"),
        ("SELECT '" + "x" * 20_000 + "'", "20,009 characters"),
    ],
)
def test_a_query_that_gives_no_value_raises_and_is_not_noted(shop: dict[str, Any], sql: str, told: str) -> None:
    with pytest.raises(Exception, match=told):
        start(shop)["fact"]("x", sql)
    assert kit.claims() == []


def test_the_session_goes_on_after_a_query_that_failed(shop: dict[str, Any]) -> None:
    fact = start(shop)["fact"]
    with pytest.raises(sqlite3.OperationalError):
        fact("x", "SELEC 1")
    assert fact("x", "SELECT 1") == 1


def test_a_fresh_interpreter_knows_what_was_noted_before(shop: dict[str, Any]) -> None:
    start(shop, facts=flights())["fact"]("orders.count", "SELECT count(*) FROM orders")
    again = start(shop, facts=flights())
    assert 'ref="orders.count"' in again["page"].value("orders.count")


def test_nothing_but_claims_is_read_from_the_claims_file(folder: Path) -> None:
    lines = [
        '{"id": "good", "query": "SELECT 1", "value": 42, "note": 7}',
        '{"id": "no query"}',
        '{"id": "bad id", "query": "SELECT 1"}',
        '{"id": ["list"], "query": "SELECT 1"}',
        '["a list"]',
        "null",
        "{",
        "[" * 200_000,
        '{"id": "long", "query": "' + "x" * 30_000 + '"}',
    ]
    (folder / kit.CLAIMS).write_text("\n".join(lines))
    assert kit.claims() == [{"id": "good", "query": "SELECT 1", "note": None}]


def test_a_claims_file_that_is_none_gives_no_claims(folder: Path, tmp_path: Path) -> None:
    assert kit.claims() == []
    secret = tmp_path / "secret"
    secret.write_text('{"id": "a", "query": "b"}')
    (folder / kit.CLAIMS).symlink_to(secret)
    assert kit.claims() == []


def test_a_session_that_changes_its_folder_still_notes_where_the_host_reads(shop: dict[str, Any]) -> None:
    fact, work = start(shop)["fact"], Path.cwd()
    os.chdir("/")
    fact("x", "SELECT 1")
    os.chdir(work)
    assert len(kit.claims()) == 1


def test_a_file_of_the_folder_is_read(folder: Path) -> None:
    (folder / "page.html").write_bytes("<p>é</p>".encode() + b"\xff")
    assert kit.read_file("page.html", 100) == {"text": "<p>é</p>\ufffd", "problem": None}
    assert kit.read_file(str(folder / "page.html"), 100)["problem"] is None


@pytest.mark.parametrize(
    ("path", "told"),
    [
        ("missing.html", "no such file"),
        ("../outside.html", "folder"),
        ("/etc/passwd", "folder"),
        ("link.html", "folder"),
        ("sub", "no regular file"),
        ("pipe", "no regular file"),
        ("long.html", "longer than 100"),
        ("x\0y", "null"),
        ("a" * 5000, "long"),
    ],
)
def test_what_is_no_page_of_the_folder_is_told_and_not_raised(folder: Path, path: str, told: str) -> None:
    (folder.parent / "outside.html").write_text("<p>")
    (folder / "link.html").symlink_to(folder.parent / "outside.html")
    (folder / "sub").mkdir()
    os.mkfifo(folder / "pipe")
    (folder / "long.html").write_text("x" * 101)
    read = kit.read_file(path, 100)
    assert read["text"] is None
    assert told in (read["problem"] or "").lower()


@pytest.mark.parametrize("facts", [samples.flights(), samples.hostile()], ids=["flights", "hostile"])
def test_a_reference_means_the_same_here_and_on_the_host(facts: Any) -> None:
    here = start(facts=facts.dump())["facts"]
    known = [*references(facts), "tables", "columns", "rows", "findings"]
    assert len(known) > 100
    for reference in known:
        assert here.value(reference) == facts.resolve(reference).value
        assert here.has(reference)


@pytest.mark.parametrize(
    ("reference", "told"),
    [
        ("flight.rows", "did you mean 'flights'"),
        ("flights.depp_time.nulls", "did you mean 'dep_time'"),
        ("flights.dep_time.orphans", "measured: type, nulls"),
        ("flights.dep_time.nulls.x", "write table.fact"),
        ("flights", "no total"),
        ("flights rows", "no reference"),
    ],
)
def test_an_unknown_reference_says_what_was_meant(reference: str, told: str) -> None:
    with pytest.raises(UnknownReference, match=told):
        start(facts=flights())["facts"].value(reference)


def test_facts_are_friendly_to_look_through() -> None:
    facts = start(facts=flights())["facts"]
    assert "tailnum" in repr(facts["flights"])
    assert "~> planes.tailnum" in repr(facts["flights"]["tailnum"])
    assert facts["flights"]["tailnum"].nulls == 2512
    assert facts["flights"]["tailnum"].nothing is None
    assert list(facts.table("planes")["column"]) == ["tailnum", "year", "manufacturer", "seats", "speed"]
    assert next(iter(facts.tables["rows"])) == 336_776
    assert set(facts.findings["severity"]) == {"high", "medium", "low"}
    assert len(facts.references) == 6
    assert list(facts.dependencies.columns) == ["table", "determinant", "dependent", "rows", "breaking"]
    assert facts.search("TAIL") == ["flights.tailnum", "planes.tailnum"]
    assert list(facts) == ["flights", "weather", "planes", "airports", "airlines"]
    with pytest.raises(KeyError, match="did you mean 'flights'"):
        facts["flight"]
    with pytest.raises(KeyError, match="did you mean 'tailnum'"):
        facts["flights"]["tailnumber"]


def test_facts_without_a_single_table_are_still_facts() -> None:
    session = start(facts={"engine": "sqlite 3", "tables": [], "references": [], "findings": [], "queries": []})
    assert "0 tables" in repr(session["facts"])
    assert len(session["facts"].tables) == len(session["facts"].findings) == len(session["facts"].references) == 0
    assert "No table" in session["page"].draft()


@pytest.mark.parametrize(("tables", "columns"), [(5, 20), (500, 20), (3, 400), (5000, 2)])
def test_the_digest_fits_whatever_the_size(tables: int, columns: int) -> None:
    text = kit.digest(samples.large(tables, columns).dump())
    assert len(text) <= 10_500
    assert f"{tables:,} tables" in text
    assert "table_0" in text


def test_the_digest_names_each_of_five_hundred_tables() -> None:
    text = kit.digest(samples.large(500, 20).dump())
    assert {f"table_{number}" for number in range(500)} <= set(re.findall(r"\w+", text))
    assert "column_7" in text


def test_the_digest_tells_the_central_table_first_and_whole() -> None:
    text = kit.digest(flights())
    tables = text[text.index("Tables") :]
    assert tables.splitlines()[1].startswith("flights (336,776 rows)")
    assert "tailnum varchar: ~> planes.tailnum, 2,512 null" in tables
    assert "50,094 orphans" in text
    assert text.index("high orphan_foreign_key") < text.index("low constant_column")


def test_the_digest_keeps_hostile_text_in_its_line() -> None:
    text = kit.digest(samples.hostile().dump())
    assert "\u2028" not in text
    assert "\x00" not in text
    assert len(text) <= 10_500


def test_history_shows_earlier_snapshots_as_frames() -> None:
    now = {"snapshot": "2014-01-01T00:00:00.000Z", **flights()}
    before = {"snapshot": "2013-12-01T00:00:00.000Z", **samples.flights(11).dump()}
    session = start(facts=flights(), history=[now, before])
    history = session["history"]
    tables = history.tables
    assert list(tables[tables.name == "flights"]["rows"]) == [336_776, 308_641]
    assert set(history.columns[history.columns.name == "dep_time"]["nulls"]) == {8255, 7230}
    assert len(history.findings) == 7
    assert "2 snapshots, newest first" in repr(history)


def test_without_history_the_frames_are_empty_and_have_their_columns() -> None:
    session = start()
    assert list(session["history"].tables.columns) == ["snapshot", "name", "kind", "rows", "columns"]
    assert "no earlier snapshot" in repr(session["history"])
    assert list(session["changes"].columns)[:4] == ["severity", "kind", "table", "column"]


def test_changes_are_a_frame() -> None:
    change = {
        "kind": "rows_changed",
        "table": "t",
        "column": None,
        "from": 1,
        "to": 2,
        "since": "s",
        "severity": "info",
    }
    frame = start(changes=[change])["changes"]
    assert frame.iloc[0]["kind"] == "rows_changed"
    assert frame.iloc[0]["to"] == 2


def test_page_helpers_escape_names_and_know_them() -> None:
    session = start(facts=samples.hostile().dump())
    page, name = session["page"], samples.NASTY[1]
    assert page.value(name, name, "nulls") == page.value(page.ref(name, name, "nulls"))
    for made in (page.table(name), page.value(name, "rows"), page.meaning(name, name, "x"), page.code(name)):
        assert "<img" not in made
    for call in (
        lambda: page.table("missing"),
        lambda: page.value("missing", "rows"),
        lambda: page.meaning(name, "missing", "x"),
        lambda: page.chart(name, "missing"),
        lambda: page.findings("missing"),
    ):
        with pytest.raises(LookupError):
            call()


def test_page_knows_what_fact_noted_and_what_the_host_compares(shop: dict[str, Any]) -> None:
    session = start(shop, facts=flights())
    with pytest.raises(UnknownReference):
        session["page"].value("orders.paid")
    session["fact"]("orders.paid", "SELECT 1")
    assert 'ref="orders.paid"' in session["page"].value("orders.paid")
    assert 'ref="flights.rows.change"' in session["page"].value("flights", "rows", "change")


def test_page_save_writes_the_file_that_is_submitted(folder: Path) -> None:
    said = start()["page"].save("<p>é\ud800</p>")
    assert "submit_html(file='page.html')" in said
    assert (folder / "page.html").read_text() == "<p>é?</p>"


def test_a_script_opens_the_session_again_from_a_page_and_a_url(shop: dict[str, Any], tmp_path: Path) -> None:
    block = {"format": 1, "database": "shop", **flights()}
    page = tmp_path / "catalog.html"
    text = json.dumps(block).replace("<", "\\u003c")
    page.write_text(f'<!doctype html><script type="application/json" id="cataloger">{text}</script>')
    session = kit.reopen(f"sqlite://{shop['path']}", str(page))
    assert session["facts"].value("flights.rows") == 336_776
    assert session["fact"]("orders.count", "SELECT count(*) FROM orders") == 3
    page.write_text("<p>")
    with pytest.raises(ValueError, match="no page of Cataloger's"):
        kit.reopen(None, str(page))


def test_a_url_of_a_server_becomes_a_connection() -> None:
    assert kit._connection("postgres://reader:p%40ss@db.internal:5433/shop") == {
        "backend": "postgres",
        "host": "db.internal",
        "port": 5433,
        "user": "reader",
        "password": "p@ss",
        "database": "shop",
    }
