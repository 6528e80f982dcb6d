"""What comes of a run when the model, the database or the privacy setting is not the ordinary one."""

import html
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import duckdb
import pytest

from cataloger_dagster import cataloging
from cataloger_dagster.agent.model import Block, Message, Reply, Usage
from cataloger_dagster.cataloging import catalog, summarize
from cataloger_dagster.databases import Budget, Database
from cataloger_dagster.errors import DatabaseError, ModelError, ReportError
from cataloger_dagster.preflight import preflight
from cataloger_dagster.prompts import load
from cataloger_dagster.publication import Report, newest_pages, publish
from cataloger_dagster.report.block import Block as PageBlock
from cataloger_dagster.report.catalog import catalog_page
from cataloger_dagster.report.presence import missing as missing_parts
from cataloger_dagster.report.safety import unsafe
from cataloger_dagster.sandbox.local import LocalSandbox
from cataloger_dagster.sandbox.session import Sandbox
from cataloger_dagster.store.snapshots import open_store
from cataloger_dagster.urls import FileURL
from tests.agent.in_process import InProcessSandbox
from tests.services.missing import missing
from tests.services.postgres import Postgres


class ScriptedModel:
    """A model that makes the given calls, one a turn, and then says nothing more of use."""

    name = "scripted"

    def __init__(self, *calls: tuple[str, dict[str, Any]], tokens: int = 10) -> None:
        self.calls, self.tokens = calls, tokens
        self.seen: list[str] = []

    def reply(self, *, system: str, tools: Sequence[Block], messages: Sequence[Message]) -> Reply:
        self.seen.append(repr((system, messages)))
        turn = sum(message["role"] == "assistant" for message in messages)
        usage = Usage(input=self.tokens, output=self.tokens)
        if turn >= len(self.calls):
            return Reply([{"type": "text", "text": "I am done."}], "end_turn", usage)
        name, arguments = self.calls[turn]
        return Reply([{"type": "tool_use", "id": f"call-{turn}", "name": name, "input": arguments}], "tool_use", usage)


def submit(html: str) -> tuple[str, dict[str, Any]]:
    return ("submit_html", {"content": html})


def cell(code: str) -> tuple[str, dict[str, Any]]:
    return ("execute_python", {"code": code})


@pytest.fixture
def database(tmp_path: Path) -> Database:
    with duckdb.connect(str(tmp_path / "shop.duckdb")) as con:
        con.execute("CREATE TABLE orders (id INTEGER PRIMARY KEY, mail VARCHAR, amount INTEGER)")
        con.execute("INSERT INTO orders SELECT range, 'ann' || range || '@canary.example', range % 9 FROM range(150)")
        con.execute("CREATE TABLE salaries AS SELECT range + 7340000 AS pay FROM range(5)")
    return Database.from_url(f"duckdb://{tmp_path}/shop.duckdb")


def run(
    database: Database, model: ScriptedModel, sandbox: Sandbox | None = None, history: Sequence[PageBlock] = ()
) -> Report:
    """Catalog *database* in *sandbox*, or in this process: most of what comes of a run does not depend on which."""
    if sandbox is None:
        assert isinstance(database.address, FileURL)
        sandbox = InProcessSandbox(database.address.path.parent)
    return catalog(database, sandbox=sandbox, model=model, prompt=load("catalog"), history=history)


def test_facts_fill_the_model_s_page_and_its_claims_are_measured_by_us(database: Database):
    report = run(
        database,
        ScriptedModel(
            cell("fact('orders.late', 'SELECT count(*) FROM orders WHERE amount > 5', 'late ones')"),
            submit('<p>There are <fact-value ref="orders.rows"> orders, <fact-value ref="orders.late"> late.</p>'),
        ),
    )
    assert report.outcome.ended == "submitted"
    assert 'value="150" data-claim="orders.rows"' in report.page.html
    late = sum(n % 9 > 5 for n in range(150))
    assert f'value="{late}" data-claim="orders.late"' in report.page.html
    claims = {claim.id: claim for claim in report.page.block.claims}
    queries = {query.id: query for query in report.page.block.queries}
    assert queries[claims["orders.late"].query].sql == "SELECT count(*) FROM orders WHERE amount > 5"


@pytest.mark.parametrize(
    ("page", "reason"),
    [
        ('<p><fact-value ref="orders.nulls_"></p>', "orders.nulls_"),
        ('<p><fact-value ref="order.rows"></p>', "orders"),
        ("<p>x</p><script>alert(1)</script>", "script"),
        ('<p onclick="x()">x</p>', "onclick"),
        ('<p><img src="https://evil.example/x.png"></p>', "img"),
        ("no markup at all", "markup"),
        ("", "submit_html"),
    ],
)
def test_a_bad_page_goes_back_with_the_reason_and_the_mended_one_is_taken(database: Database, page: str, reason: str):
    model = ScriptedModel(submit(page), submit("<p>All is well.</p>"))
    report = run(database, model)
    assert report.outcome.ended == "submitted"
    assert reason in model.seen[1]
    assert "All is well." in report.page.html


def test_a_model_that_never_submits_still_leaves_a_page_marked_partial(database: Database):
    report = run(database, ScriptedModel(cell("facts")))
    assert report.page.block.narrative == "partial"
    assert {table.name for table in report.page.block.tables} == {"orders", "salaries"}
    assert "The text is missing" in report.page.html


def test_a_model_over_budget_leaves_a_page_and_the_counts(database: Database):
    small = database.model_copy(update={"budget": Budget(tokens=100, steps=50, minutes=5)})
    report = run(small, ScriptedModel(*[cell("1")] * 40, tokens=30))
    assert report.outcome.ended == "budget"
    assert report.usage.first_time == 180, "the second reply spent it all at once; one more was asked for the page"
    assert report.page.block.narrative == "partial"


def test_a_model_s_failure_stores_nothing(database: Database):
    class Refused(ScriptedModel):
        def reply(self, **_: Any) -> Reply:
            raise ModelError("401: the key is wrong. Set ANTHROPIC_API_KEY.")

    with pytest.raises(ModelError, match="ANTHROPIC_API_KEY"):
        run(database, Refused())


def test_a_model_that_refuses_leaves_a_page_from_the_facts(database: Database, tmp_path: Path):
    class Refusing(ScriptedModel):
        def reply(self, **request: Any) -> Reply:
            reply = super().reply(**request)
            if len(self.seen) == 1:
                return reply
            return replace(reply, content=[], stop_reason="refusal", detail="cyber: these look like somebody's keys")

    report = run(database, Refusing(cell("facts")))
    assert (report.outcome.ended, report.outcome.steps) == ("refused", 2)
    store = open_store(str(tmp_path / "catalogs"))
    publish(report, store)
    [stored] = newest_pages(store, "shop", "catalog")
    assert stored.block.narrative == "partial"
    assert [(table.name, table.rows) for table in stored.block.tables] == [("orders", 150), ("salaries", 5)]
    assert "The model refused to go on (cyber: these look like somebody's keys)" in html.unescape(stored.html)
    assert missing_parts(stored.html, stored.block) == []
    assert unsafe(stored.html) == []


def test_numbers_the_model_made_up_are_marked_and_counted(database: Database):
    report = run(database, ScriptedModel(submit("<p>There are 98765 orders.</p>")))
    assert "<mark data-unmeasured>98765</mark>" in report.page.html.replace('=""', "")
    assert report.page.unmeasured == 1


def test_a_claim_whose_query_holds_personal_data_goes_back(database: Database):
    query = "SELECT count(*) FROM orders WHERE mail = \\'' + 'ann7' + '@canary.example' + '\\'"
    model = ScriptedModel(
        cell(f"fact('orders.anns', '{query}')"),
        submit('<p>Ann has <fact-value ref="orders.anns">.</p>'),
        cell("fact('orders.anns', 'SELECT count(*) FROM orders WHERE length(mail) = 19')"),
        submit('<p>Ann has <fact-value ref="orders.anns">.</p>'),
    )
    report = run(database, model)
    assert "holds personal data" in model.seen[2]
    assert report.outcome.ended == "submitted"
    assert "ann7@" not in report.page.html
    assert "length(mail)" in report.page.html


def test_e_mail_addresses_reach_neither_the_model_nor_any_record(database: Database):
    model = ScriptedModel(
        cell(
            "print(con.table('orders').limit(3).execute().to_string())\n"
            "raise ValueError(con.table('orders').mail.max().execute())"
        ),
        submit("<p>Orders.</p>"),
    )
    report = run(database, model)
    everything = "".join([*model.seen, report.page.html, report.script, report.transcript])
    assert "@canary.example" not in everything
    assert "aaa9@aaaaaa.aaaaaaa" in model.seen[1]


@pytest.mark.parametrize("change", [{"privacy": "schema"}, {"hidden": ["salaries"]}])
def test_values_that_must_not_be_seen_are_out_of_reach(database: Database, change: dict[str, Any]):
    model = ScriptedModel(
        cell("print(con)\nopen('claims.jsonl', 'a').close()\nfacts"),
        cell("fact('pay', 'SELECT max(pay) FROM salaries')"),
        submit("<p>Nothing to see.</p>"),
    )
    report = run(database.model_copy(update=change), model)
    everything = "".join([*model.seen, report.page.html, report.script, report.transcript])
    assert "7340" not in everything
    assert {table.name: table.rows for table in report.page.block.tables} == {"orders": 150, "salaries": 5}


@pytest.mark.parametrize("change", [{"privacy": "schema"}, {"hidden": ["salaries"]}])
def test_values_that_earlier_pages_show_are_out_of_reach_once_they_must_not_be_seen(
    database: Database, change: dict[str, Any]
):
    with duckdb.connect(database.url.get_secret_value().removeprefix("duckdb://")) as con:
        con.execute("CREATE TABLE notes AS SELECT 7340000 AS pay, 'kind7340' AS kind FROM range(300)")
        con.execute("INSERT INTO notes SELECT 1, 'other' FROM range(3)")
    cite = "fact('top_pay', 'SELECT max(pay) FROM salaries')"
    pay = '<p>At most <fact-value ref="top_pay">, at least <fact-value ref="salaries.pay.min">.</p>'
    before = run(database, ScriptedModel(cell(cite), submit(pay))).page.block
    assert "7340004" in str(before.dump()), "as a control: the page that is there shows it"
    with duckdb.connect(database.url.get_secret_value().removeprefix("duckdb://")) as con:
        con.execute("DELETE FROM salaries WHERE pay > 7340002")
        con.execute("DELETE FROM notes WHERE pay > 1")
    tight = database.model_copy(update=change if "privacy" in change else {"hidden": ["salaries", "notes"]})
    again = ScriptedModel(cell("changes"), cell("facts"), submit("<p>Nothing to see.</p>"))
    report = run(tight, again, history=[before])
    show = "import json; print(json.dumps(history.blocks)); print(history.columns, history.findings, changes)"
    teller = ScriptedModel(cell(show), submit("<p>Nothing to see.</p>"))
    sandbox = InProcessSandbox(Path(database.url.get_secret_value().removeprefix("duckdb://")).parent)
    told = summarize(tight, history=[report.page.block, before], sandbox=sandbox, model=teller, prompt=load("summary"))
    alone = summarize(tight, history=[before], sandbox=sandbox, model=teller, prompt=load("summary"))
    for each in (report, told, alone):
        assert "7340" not in "".join([each.page.html, each.script, each.transcript])
    assert "7340" not in "".join([*again.seen, *teller.seen])
    rows = {
        change.table: (change.from_, change.to) for change in told.page.block.changes if change.kind == "rows_changed"
    }
    assert rows["salaries"] == (5, 3), "counts are told all the same"


LOOK = """
import os
tops = ("/data", "/work", "/sandbox", "/tmp", "/run")
files = [name for top in tops for _, _, names in os.walk(top) for name in names if name.endswith(".duckdb")]
ways = [line for line in open("/proc/net/unix") if "cataloger" in line]
print("within reach:", files, ways)
"""


@pytest.mark.parametrize(
    ("kind", "change"),
    [("duckdb", {"privacy": "schema"}), ("duckdb", {}), ("postgres", {"hidden": ["salaries"]}), ("postgres", {})],
)
def test_where_values_must_not_be_seen_the_agent_s_code_finds_no_way_to_the_database(
    database: Database, kind: str, change: dict[str, Any], request: pytest.FixtureRequest
):
    if not LocalSandbox().isolated:
        missing("bubblewrap", "apt-get install bubblewrap")
    if kind == "postgres":
        server: Postgres = request.getfixturevalue("postgres")
        url = server.new_database()
        server.execute(url, "CREATE TABLE salaries AS SELECT generate_series(1, 5) AS pay")
        database = Database.from_url(server.new_reader(url), "shop")
    model = ScriptedModel(cell(LOOK), submit("<p>Nothing to see.</p>"))
    report = run(database.model_copy(update=change), model, LocalSandbox())
    assert report.outcome.ended == "submitted"
    assert ("within reach: [] []" in model.seen[1]) == bool(change), "as a control: without a change there is a way"


def test_a_page_that_is_not_safe_is_never_handed_over(database: Database, monkeypatch: pytest.MonkeyPatch):
    def spoiled(*arguments: Any) -> Any:
        page = catalog_page(*arguments)
        return replace(page, html=page.html.replace("<main", "<script>alert(1)</script><main", 1))

    monkeypatch.setattr(cataloging, "catalog_page", spoiled)
    with pytest.raises(ReportError, match="not safe and was not stored"):
        run(database, ScriptedModel(submit("<p>Orders.</p>")))


def test_a_database_without_tables_gets_a_page_that_says_so(tmp_path: Path):
    duckdb.connect(str(tmp_path / "empty.duckdb")).close()
    report = run(Database.from_url(f"duckdb://{tmp_path}/empty.duckdb"), ScriptedModel(submit("<p>Empty.</p>")))
    assert report.page.block.coverage.tables == (0, 0)
    assert "no tables" in report.page.html.lower()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda path: None, "no such file"),
        (lambda path: path.write_bytes(b"not a database" * 100), "database"),
        (lambda path: path.write_bytes(b""), "empty"),
        (lambda path: path.mkdir(), "no file"),
    ],
)
def test_what_is_no_database_is_named_with_its_remedy(tmp_path: Path, make: Any, message: str):
    path = tmp_path / "x.duckdb"
    make(path)
    with pytest.raises(DatabaseError, match=message) as error:
        run(Database.from_url(f"duckdb://{path}"), ScriptedModel(), LocalSandbox())
    assert "x.duckdb" in str(error.value)


def test_a_role_that_can_write_is_refused_with_the_sql_for_a_right_one(postgres: Any):
    url = postgres.new_database("shop")
    postgres.execute(url, "CREATE TABLE orders (id INTEGER)")
    writer = postgres.new_role(url, "GRANT SELECT, INSERT ON orders TO {role}", name="writer")
    database = Database.from_url(writer, "shop")
    verdict = preflight(database, LocalSandbox())
    assert not verdict.read_only
    with pytest.raises(DatabaseError, match="INSERT") as error:
        run(database, ScriptedModel(), LocalSandbox())
    assert "GRANT SELECT" in str(error.value)
    assert database.password not in str(error.value)

    allowed = database.model_copy(update={"allow_writable_role": True})
    report = run(allowed, ScriptedModel(submit("<p>Orders.</p>")), LocalSandbox())
    warning = f"The role {database.address.user!r} that this was measured with can write: INSERT on orders."
    assert list(report.page.block.notes) == [warning]
    assert "can write: INSERT on orders." in report.page.html
    assert database.password not in report.page.html + report.transcript + report.script


def test_no_process_of_the_agent_is_left_when_its_claims_are_measured_for_good(database: Database):
    order: list[str] = []

    class Watched:
        """A real session whose calls are noted down."""

        def __init__(self, session: Any) -> None:
            self._session = session

        def __getattr__(self, name: str) -> Any:
            if name == "stop":
                order.append(name)
            return getattr(self._session, name)

        def call(self, function: str, arguments: Any, timeout: float) -> Any:
            order.append(function.rpartition(".")[2])
            return self._session.call(function, arguments, timeout)

    class WatchedSandbox(LocalSandbox):
        @contextmanager
        def open(self, database: Database | None, cells: bool = True) -> Iterator[Any]:
            with super().open(database, cells) as session:
                yield Watched(session)

    model = ScriptedModel(cell("fact('late', 'SELECT 1')"), submit('<p><fact-value ref="late"></p>'))
    catalog(database, sandbox=WatchedSandbox(), model=model, prompt=load("catalog"))
    assert order[-3:] == ["stop", "kit:claims", "claims:measure"]
