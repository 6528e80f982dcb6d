"""The playbook, a model like any other: it works through the tools, on any database, the same way every time."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import duckdb
import pytest

from cataloger_dagster.agent.loop import Outcome, run_agent
from cataloger_dagster.agent.meter import Limits
from cataloger_dagster.agent.model import Message, Reply
from cataloger_dagster.agent.playbook import Playbook
from cataloger_dagster.agent.tools import TOOLS, Toolbox
from cataloger_dagster.agent.transcript import Transcript
from cataloger_dagster.databases import Database
from cataloger_dagster.facts import Claim, Facts
from cataloger_dagster.privacy import Mask
from cataloger_dagster.prompts import Prompt, load, marker
from cataloger_dagster.report.narrative import problems, read
from cataloger_dagster.sandbox.local import LocalSandbox
from cataloger_dagster.sandbox.session import Session
from tests.agent.databases import TABLES, fill, make_duckdb, make_sqlite
from tests.agent.in_process import InProcessSession
from tests.services.postgres import Postgres

LIMITS = Limits(tokens=1000, steps=40, seconds=300)
CATALOG = Prompt(system="", task=marker("catalog"))
SUMMARY = Prompt(system="", task=marker("summary"))


class Recorded:
    """A model that keeps what another was asked and what it said."""

    def __init__(self) -> None:
        self.name = "recorded"
        self.model = Playbook()
        self.asked: list[list[Message]] = []
        self.said: list[Reply] = []

    def reply(self, *, system: str, tools: Sequence[Any], messages: Sequence[Message]) -> Reply:
        self.asked.append(list(messages))
        self.said.append(self.model.reply(system=system, tools=tools, messages=messages))
        return self.said[-1]


class Written:
    """What came of one run of the playbook."""

    def __init__(self, session: Session, facts: Facts, refuse: Callable[[str], list[str]] | None = None) -> None:
        self.session = session
        self.facts = facts
        self.model = Recorded()
        self.transcript = Transcript()
        self.refused: list[str] = []
        self._refuse = refuse

    def run(self, prompt: Prompt = CATALOG) -> Outcome:
        connection = dict(self.session.connection)
        self.session.start(
            "cataloger_sandbox.kit:namespace",
            {"connection": connection, "facts": self.facts.dump(), "history": [], "changes": []},
        )
        self.outcome = run_agent(
            self.model, Toolbox(self.session, self._accept, Mask("full")), prompt, LIMITS, self.transcript
        )
        return self.outcome

    def _accept(self, html: str) -> list[str]:
        noted = self.session.call("cataloger_sandbox.kit:claims", {}, 30)
        self.named = {claim["id"]: Claim(id=claim["id"], value=1, query="q0") for claim in noted}
        found = (self._refuse(html) if self._refuse else []) + problems(html, self.facts, self.named)
        self.refused += found
        return found


def measured(session: Session) -> Facts:
    return Facts.model_validate(
        session.call(
            "cataloger_sandbox.measure:measure",
            {
                "connection": dict(session.connection),
                "schemas": None,
                "tables": ["*"],
                "exclude": [],
                "hidden": [],
                "values": True,
            },
            120,
        )
    )


@pytest.fixture(params=["duckdb", "sqlite", "postgres"])
def connection(request: pytest.FixtureRequest, tmp_path: Path) -> dict[str, object]:
    if request.param == "duckdb":
        return make_duckdb(tmp_path / "odd.duckdb")
    if request.param == "sqlite":
        return make_sqlite(tmp_path / "odd.sqlite")
    server: Postgres = request.getfixturevalue("postgres")
    url = server.new_database("playbook")
    server.execute(url, *(part for part in TABLES.split(";\n") if part.strip()), *fill())
    parts = urlsplit(server.new_reader(url))
    return {
        "backend": "postgres",
        "host": parts.hostname,
        "port": parts.port,
        "user": unquote(parts.username or ""),
        "password": unquote(parts.password or ""),
        "database": parts.path.lstrip("/"),
    }


@pytest.fixture
def written(connection: dict[str, object], tmp_path: Path) -> Iterator[Written]:
    work = tmp_path / "work"
    work.mkdir()
    session = InProcessSession(work, connection)
    yield Written(session, measured(session))
    session.stop()


def test_a_database_nobody_tuned_for_gets_a_page_at_the_first_try(written: Written) -> None:
    outcome = written.run()
    assert (outcome.ended, outcome.steps, written.refused) == ("submitted", 4, [])
    assert outcome.html is not None
    prose = read(outcome.html, written.facts, written.named)
    assert prose.unmeasured == 0
    assert prose.measured >= 8
    assert set(written.named) >= {"orders.dep_time.no_clock", "orders.amount.negative", "customers.note.empty_text"}
    assert "orders.shipped_at.empty_together" in written.named
    cells = [event for event in written.transcript.events if event["event"] == "ran" and "error" in event]
    assert [cell["error"] for cell in cells] == [None, None, None]
    assert "not answered" not in cells[1]["output"]


def test_what_the_answers_say_is_on_the_page(written: Written) -> None:
    html = written.run().html or ""
    assert "HHMM" in html
    assert '<fact-value ref="orders.amount.negative">' in html
    assert "empty together" in html
    assert "<code>void</code> holds no rows." in html
    assert "<script" not in html


def test_the_same_facts_give_the_same_page(written: Written) -> None:
    first = written.run().html
    assert written.run().html == first


def test_every_step_follows_from_the_messages_alone(written: Written) -> None:
    written.run()
    for asked, said in zip(written.model.asked, written.model.said, strict=True):
        assert Playbook().reply(system="other", tools=TOOLS, messages=asked) == said


@pytest.fixture
def session(session: InProcessSession, tmp_path: Path) -> InProcessSession:
    session.connection = make_duckdb(tmp_path / "odd.duckdb")
    return session


def test_an_empty_database_gets_a_page(session: InProcessSession, tmp_path: Path) -> None:
    duckdb.connect(str(tmp_path / "empty.duckdb")).close()
    session.connection = {"backend": "duckdb", "path": str(tmp_path / "empty.duckdb")}
    written = Written(session, measured(session))
    assert written.run().ended == "submitted"
    assert written.refused == []


def test_without_a_connection_the_page_is_written_from_the_facts(session: InProcessSession) -> None:
    facts = measured(session)
    session.connection = {}
    written = Written(session, facts)
    assert written.run().ended == "submitted"
    assert written.named == {}


def test_where_the_database_fails_the_page_is_written_all_the_same(session: InProcessSession) -> None:
    written = Written(session, measured(session))
    start = session.start

    def broken(function: str, arguments: Any) -> None:
        start(function, arguments)
        session.variables["con"].con.close()

    session.start = broken  # type: ignore[method-assign]
    assert written.run().ended == "submitted"
    assert "#> not answered" in written.transcript.script()


def test_a_refused_draft_is_followed_by_the_least_page(session: InProcessSession) -> None:
    written = Written(
        session, measured(session), lambda html: ["no questions today"] if "Open questions" in html else []
    )
    outcome = written.run()
    assert (outcome.ended, outcome.steps) == ("submitted", 8)
    assert "Open questions" not in (outcome.html or "")
    assert "no questions today" in written.transcript.lines()


def test_a_draft_refused_for_an_answer_is_written_without_the_answers(session: InProcessSession) -> None:
    named = "orders.amount.negative"
    outcome = Written(session, measured(session), lambda html: ["not that answer"] if named in html else []).run()
    assert (outcome.ended, outcome.steps) == ("submitted", 6)
    assert "Open questions" in (outcome.html or "")


def test_a_playbook_whose_pages_are_all_refused_gives_up(session: InProcessSession) -> None:
    outcome = Written(session, measured(session), lambda html: ["never"]).run()
    assert (outcome.ended, outcome.html) == ("gave_up", None)


def test_it_costs_no_tokens(session: InProcessSession) -> None:
    assert Written(session, measured(session)).run().usage.first_time == 0


def test_the_task_is_told_by_its_marker_whatever_the_prompt_says(session: InProcessSession) -> None:
    facts = measured(session)
    session.connection = {}
    html = Written(session, facts).run(SUMMARY).html
    assert "Nothing that is compared has changed" in (html or "")
    budget = {"tokens": 1, "steps": 1, "seconds": 1}
    for name in ("catalog", "summary"):
        prompt = load(name).render(name="n", engine="e", digest="", snapshots=[], changes=[], budget=budget)
        message = {"role": "user", "content": [{"type": "text", "text": prompt.task}]}
        first = Playbook().reply(system=prompt.system, tools=TOOLS, messages=[message]).content[1]["input"]["code"]
        assert ("history" in first) == (name == "summary")


@pytest.fixture
def local(tmp_path: Path) -> Iterator[Session]:
    make_duckdb(tmp_path / "odd.duckdb")
    with LocalSandbox().open(Database.from_url(f"duckdb://{tmp_path}/odd.duckdb", "odd")) as opened:
        yield opened


def test_it_works_in_a_real_sandbox(local: Session) -> None:
    written = Written(local, measured(local))
    outcome = written.run()
    assert (outcome.ended, outcome.steps, written.refused) == ("submitted", 4, [])
    assert "orders.amount.negative" in written.named
    assert "#> not answered" not in written.transcript.script()
