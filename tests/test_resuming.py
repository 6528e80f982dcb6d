"""Runs that are cut off, killed for real, and gone on with: a page in the end, and no reply paid for twice."""

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import docker
import duckdb
import pytest

from cataloger_dagster.agent.model import Block, Message, Rejected, Reply, Unavailable, Usage
from cataloger_dagster.cataloging import catalog, summarize
from cataloger_dagster.cli import main
from cataloger_dagster.databases import Database
from cataloger_dagster.errors import ConfigurationError, ModelError, SandboxError
from cataloger_dagster.owners import OWNER
from cataloger_dagster.prompts import load
from cataloger_dagster.publication import Report, history, publish
from cataloger_dagster.report.block import read_block
from cataloger_dagster.resuming import FRESH, Keeping, model_of, resumable, told_of
from cataloger_dagster.sandbox import choice
from cataloger_dagster.sandbox.docker import DockerSandbox
from cataloger_dagster.sandbox.session import ExecutionResult
from cataloger_dagster.store.snapshots import Store, open_store
from tests.agent.in_process import InProcessSandbox, InProcessSession
from tests.messages_server import Body, MessagesServer, Scripted, call, fails, messages_server, text, uses
from tests.services.ceph import S3

PAGE = '<p>There are <fact-value ref="orders.rows"> orders, <fact-value ref="late"> of them late.</p>'
TURNS = [
    uses(text("I look."), call("c1", "execute_python", code="facts")),
    uses(call("c2", "execute_python", code="fact('late', 'SELECT count(*) FROM orders WHERE amount > 5', 'late')")),
    uses(call("c3", "execute_python", code="import time; time.sleep(0.4); words = 'orders'")),
    uses(call("c4", "execute_python", code=f"page.save({PAGE!r}, 'page.html'); words")),
    uses(call("s1", "submit_html", file="page.html")),
]


def by_history(body: Body) -> Scripted:
    """Answer by what the conversation holds, as a model does: whoever asks again gets the same."""
    time.sleep(0.15)
    return TURNS[min(sum(message["role"] == "assistant" for message in body["messages"]), len(TURNS) - 1)]


@pytest.fixture
def server() -> Iterator[MessagesServer]:
    with messages_server(then=by_history) as served:
        yield served


@pytest.fixture
def database(tmp_path: Path) -> Database:
    with duckdb.connect(str(tmp_path / "shop.duckdb")) as con:
        con.execute("CREATE TABLE orders AS SELECT range AS id, range % 9 AS amount FROM range(150)")
    return Database.from_url(f"duckdb://{tmp_path}/shop.duckdb")


class Start:
    """Starts ``cataloger catalog`` as a process of its own, with a model at a server."""

    def __init__(self, folder: Path, server: MessagesServer) -> None:
        self.folder = folder
        self.processes: list[subprocess.Popen[bytes]] = []
        self.variables = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(Path(__file__).parent.parent),
            "HOME": str(folder),
            "CATALOGER_MODEL": "claude-test",
            "CATALOGER_SANDBOX": "local",
            "CATALOGER_UNSAFE_LOCAL": "1",
            "ANTHROPIC_API_KEY": "sk-ant-test",
            "ANTHROPIC_BASE_URL": server.url,
        }

    def __call__(self, *arguments: str) -> "subprocess.Popen[bytes]":
        process = subprocess.Popen(
            [sys.executable, "-m", "cataloger_dagster.cli", "catalog", "shop.duckdb", "--json", *arguments],
            cwd=self.folder,
            env=self.variables,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        self.processes.append(process)
        return process


@pytest.fixture
def start(tmp_path: Path, server: MessagesServer) -> Iterator[Start]:
    starter = Start(tmp_path, server)
    yield starter
    for process in starter.processes:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def end(process: "subprocess.Popen[bytes]") -> dict[str, Any]:
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err.decode()
    told: dict[str, Any] = json.loads(out)
    return told


def kill_until_done(start: Start, server: MessagesServer, store: Store, seed: int, kills: int) -> dict[str, Any]:
    """Kill the run at *kills* random moments, going on each time, then let it end."""
    chance = random.Random(seed)
    process = start()
    for _ in range(kills):
        target = len(server.requests) + chance.randint(0, 2)
        until = time.monotonic() + 60
        while len(server.requests) < target and process.poll() is None:
            assert time.monotonic() < until
            time.sleep(0.005)
        time.sleep(chance.uniform(0, 0.6))
        if process.poll() is not None:
            break
        process.kill()
        process.wait()
        process = start(*(["--resume"] if resumable(store.runs, "shop") else []))
    return end(process)


def check_pages(store: Store, server: MessagesServer, done: dict[str, Any], kills: int) -> None:
    assert len(TURNS) <= len(server.requests) <= len(TURNS) + kills
    [snapshot] = store.newest("shop", "catalog", 5)
    assert store.address(snapshot) == done["page"]
    page = store.read(snapshot).decode()
    assert 'value="150" data-claim="orders.rows"' in page
    assert read_block(page).narrative == "full"
    assert store.objects.keys("_runs/") == []
    events = [json.loads(line) for line in store.read(snapshot, "catalog.transcript.jsonl").splitlines()]
    assert [event["event"] for event in events].count("reply") == len(TURNS)
    assert done["tokens"] == 15 * len(TURNS)


def test_killed_at_random_moments_there_is_one_page_and_no_reply_is_paid_twice(
    start: Start, server: MessagesServer, database: Database, store: Store
) -> None:
    check_pages(store, server, kill_until_done(start, server, store, seed=0, kills=2), kills=2)


def test_on_s3_a_killed_run_is_gone_on_with(start: Start, server: MessagesServer, database: Database, s3: S3) -> None:
    bucket = s3.new_bucket()
    store = open_store(f"s3://{bucket}/pages", client=s3.plain_client)
    start.variables |= s3.environment | {"CATALOGER_STORE": f"s3://{bucket}/pages"}
    check_pages(store, server, kill_until_done(start, server, store, seed=5, kills=1), kills=1)


class Failing:
    """A model that follows TURNS and fails once, at its reply number *at*."""

    name = "failing"

    def __init__(self, at: int | None = None, error: BaseException | None = None) -> None:
        self.at, self.error = at, error or ModelError("the server is down. Try again later")
        self.asked: list[Sequence[Message]] = []

    def reply(self, *, system: str, tools: Sequence[Block], messages: Sequence[Message]) -> Reply:
        self.asked.append(list(messages))
        turn = sum(message["role"] == "assistant" for message in messages)
        if turn == self.at:
            self.at = None
            raise self.error
        scripted = TURNS[turn]
        return Reply(list(scripted.content), scripted.stop_reason, Usage(input=10, output=5))


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return open_store(str(tmp_path / "catalogs"))


class Told(list[str]):
    """What a run told of its progress."""

    def __call__(self, message: str) -> None:
        self.append(message)


def keep(store: Store, run: str = "run-1", resume: bool = False) -> Keeping:
    return Keeping(store.runs, run, resume)


def go(database: Database, model: Failing, keeping: Keeping | None, told: Told | None = None) -> Report:
    return catalog(
        database,
        sandbox=InProcessSandbox(database.address.path.parent),
        model=model,
        prompt=load("catalog"),
        keeping=keeping,
        progress=told if told is not None else Told(),
    )


def test_after_the_model_s_failure_a_retry_goes_on_with_the_same_facts_and_time(database: Database, store: Store):
    model = Failing(at=3)
    with pytest.raises(ModelError, match="server is down"):
        go(database, model, keep(store))
    [left] = store.runs.unfinished("shop", "catalog")
    assert (left.held, model_of(left)) == (False, "failing")
    assert "was left after 3 replies and 45 tokens" in told_of(left)
    with duckdb.connect(database.url.get_secret_value().removeprefix("duckdb://")) as con:
        con.execute("INSERT INTO orders VALUES (1000, 1)")
    told = Told()
    report = go(database, model, keep(store), told)
    assert len(model.asked) == len(TURNS) + 1, "the one that failed is the only one asked for again"
    assert any("going on with the run of" in message and "3 replies" in message for message in told)
    assert not any("measuring" in message for message in told)
    assert 'value="150" data-claim="orders.rows"' in report.page.html, "what was measured in the first try"
    assert report.usage.first_time == 15 * len(TURNS)
    published = publish(report, store)
    assert store.runs.unfinished("shop", "catalog") == []
    assert store.objects.keys("_runs/") == []
    [block] = history(store, "shop", 5)
    assert block.snapshot == published.snapshot
    assert block.run_id is None


def test_killed_between_the_last_reply_and_the_store_the_page_is_written_without_a_request(
    database: Database, store: Store
):
    model = Failing()
    lost = go(database, model, keep(store))  # and never published
    assert resumable(store.runs, "shop") is not None
    report = go(database, model, keep(store, resume=True))
    assert len(model.asked) == len(TURNS)
    assert report.page.block.claims == lost.page.block.claims
    assert report.at == lost.at


def test_a_run_that_was_not_paid_for_leaves_nothing(database: Database, store: Store):
    with pytest.raises(ModelError):
        go(database, Failing(at=0), keep(store))
    assert store.objects.keys("") == []


def test_a_run_of_which_only_failed_requests_cost_something_stays_and_they_stay_counted(
    database: Database, store: Store
):
    # The stream broke off after the server had read all, and the next time it may be asked is beyond the run's.
    model = Failing(at=0, error=Unavailable("its stream broke off", wait=1e6, usage=Usage(input=70)))
    with pytest.raises(ModelError, match="asks to wait"):
        go(database, model, keep(store, "one"))
    left = resumable(store.runs, "shop")
    assert left is not None
    assert "was left after 0 replies and 70 tokens" in told_of(left)
    publish(go(database, Failing(), keep(store, "two")), store)
    assert resumable(store.runs, "shop") is not None, "another run does not sweep what was paid for"
    report = go(database, model, keep(store, "one", resume=True))
    assert report.usage.first_time == 70 + 15 * len(TURNS)


def test_an_interrupted_run_stays_to_be_gone_on_with(database: Database, store: Store):
    model = Failing(at=2, error=KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        go(database, model, keep(store))
    assert resumable(store.runs, "shop") is not None
    assert go(database, model, keep(store)).outcome.ended == "submitted"


@pytest.mark.parametrize(
    ("change", "told_as"),
    [
        ({"privacy": "full"}, "the database's entry changed"),
        ({"context": "The shop."}, "the database's entry changed"),
    ],
)
def test_under_other_terms_a_run_begins_anew_and_says_why(
    database: Database, store: Store, change: dict[str, Any], told_as: str
):
    model, told = Failing(at=2), Told()
    with pytest.raises(ModelError):
        go(database, model, keep(store))
    other = database.model_copy(update=change)
    with pytest.raises(ConfigurationError, match=f"{told_as}.*without --resume"):
        go(other, model, keep(store, resume=True))
    assert resumable(store.runs, "shop") is not None, "what was paid for under the old terms is still there"
    go(other, model, keep(store), told)
    assert any(message.startswith(f"beginning anew: {told_as}") for message in told)
    assert len(model.asked) == 3 + len(TURNS)


def test_a_run_that_is_too_old_is_not_gone_on_with_and_is_removed_by_the_next(database: Database, store: Store):
    model = Failing(at=2)
    with pytest.raises(ModelError):
        go(database, model, keep(store, "old"))
    key = "_runs/shop/old/catalog.000001.json"
    step = json.loads(store.objects.read(key))
    step["opening"]["at"] = (datetime.now(UTC) - FRESH - timedelta(minutes=1)).isoformat()
    store.objects.delete(key)
    store.objects.create(key, json.dumps(step).encode())
    assert resumable(store.runs, "shop") is None
    with pytest.raises(ConfigurationError, match="older than 24 hours"):
        go(database, model, keep(store, "old", resume=True))
    publish(go(database, model, keep(store, "new")), store)
    assert store.objects.keys("_runs/") == []


def test_other_runs_of_the_database_have_transcripts_of_their_own(database: Database, store: Store):
    first, second = Failing(at=2), Failing()
    with pytest.raises(ModelError):
        go(database, first, keep(store, "one"))
    publish(go(database, second, keep(store, "two")), store)
    assert len(second.asked) == len(TURNS)
    assert [each.run for each in store.runs.unfinished("shop", "catalog")] == ["one"]


class Failable(InProcessSandbox):
    """A sandbox whose sessions die at the cell that holds *word*, as many of them as *times* says."""

    def __init__(self, folder: Path, word: str, times: int) -> None:
        super().__init__(folder)
        self.word, self.times, self.opened = word, times, 0

    @contextmanager
    def open(self, database: Database | None, cells: bool = True) -> Iterator[InProcessSession]:
        self.opened += 1
        with super().open(database, cells) as session:
            whole = session.execute

            def execute(code: str, timeout: float = 120.0) -> ExecutionResult:
                if self.word in code and self.times:
                    self.times -= 1
                    raise SandboxError("the container is gone")
                return whole(code, timeout)

            session.execute = execute  # type: ignore[method-assign]
            yield session


def lose(database: Database, model: Failing, times: int, keeping: Keeping | None) -> tuple[Report, Told, Failable]:
    told, sandbox = Told(), Failable(database.address.path.parent, "time.sleep", times)
    report = catalog(
        database, sandbox=sandbox, model=model, prompt=load("catalog"), keeping=keeping, progress=Told(), warn=told
    )
    return report, told, sandbox


def test_a_lost_sandbox_is_replaced_once_and_no_reply_is_asked_for_again(database: Database, store: Store):
    model = Failing()
    report, told, sandbox = lose(database, model, 1, keep(store))
    assert told == ["the sandbox failed (the container is gone); going on in a fresh one"]
    assert (report.outcome.ended, sandbox.opened) == ("submitted", 2)
    assert len(model.asked) == len(TURNS)
    assert report.usage.first_time == 15 * len(TURNS)
    events = [json.loads(line)["event"] for line in report.transcript.splitlines()]
    assert (events.count("start"), events.count("resumed"), events.count("reply")) == (1, 1, len(TURNS))
    assert 'data-claim="late"' in report.page.html, "what fact() noted before is noted again"
    publish(report, store)
    assert store.objects.keys("_runs/") == []


def test_a_container_killed_in_a_cell_is_replaced_and_no_reply_is_asked_for_again(
    database: Database, store: Store, docker_sandbox_image: str
):
    with contextlib.closing(docker.from_env()) as client:

        def ours() -> list[str]:
            found = client.api.containers(filters={"label": OWNER})
            return [each["Id"] for each in found if int(each["Labels"][OWNER].split()[1]) == os.getpid()]

        killed: list[str] = []

        class Killing(Failing):
            def reply(self, **request: Any) -> Reply:
                reply = super().reply(**request)
                if "time.sleep" in str(reply.content) and not killed:
                    killed.extend(ours())
                    threading.Timer(0.2, client.api.kill, killed).start()
                return reply

        model, told = Killing(), Told()
        report = catalog(
            database,
            sandbox=DockerSandbox(docker_sandbox_image),
            model=model,
            prompt=load("catalog"),
            keeping=keep(store),
            warn=told,
        )
        assert len(killed) == 1
        assert ours() == []
    assert [message for message in told if "going on in a fresh one" in message] == told[:1]
    assert (report.outcome.ended, len(model.asked)) == ("submitted", len(TURNS))
    assert report.page.block.narrative == "full"
    assert 'data-claim="late"' in report.page.html


def test_a_sandbox_lost_twice_fails_the_run_which_can_be_gone_on_with(database: Database, store: Store):
    model = Failing()
    with pytest.raises(SandboxError, match="is gone"):
        lose(database, model, 2, keep(store))
    report, _, _ = lose(database, model, 0, keep(store))
    assert report.outcome.ended == "submitted"
    assert len(model.asked) == len(TURNS)


def test_without_a_store_to_keep_the_run_in_a_lost_sandbox_is_replaced_too(database: Database):
    model = Failing()
    report, _, _ = lose(database, model, 1, None)
    assert report.outcome.ended == "submitted"
    assert len(model.asked) == len(TURNS)


def test_a_conversation_refused_after_paid_steps_is_published_from_the_facts(database: Database, store: Store):
    report = go(database, Failing(at=3, error=Rejected("the server refused 'failing' (400): no thanks")), keep(store))
    assert (report.outcome.ended, report.page.block.narrative) == ("rejected", "partial")
    assert "The text is missing: the server refused" in report.page.html
    publish(report, store)
    assert store.objects.keys("_runs/") == []


def test_a_summary_is_gone_on_with_too_and_begins_anew_when_there_is_a_newer_catalog(database: Database, store: Store):
    publish(go(database, Failing(), None), store)

    class Summarizer(Failing):
        turns = (
            Reply([call("c1", "execute_python", code="print(len(history))")], "tool_use", Usage(input=10, output=5)),
            Reply([call("s1", "submit_html", content="<p>Calm.</p>")], "tool_use", Usage(input=10, output=5)),
        )

        def reply(self, *, system: str, tools: Sequence[Block], messages: Sequence[Message]) -> Reply:
            self.asked.append(list(messages))
            turn = sum(message["role"] == "assistant" for message in messages)
            if turn == self.at:
                self.at = None
                raise self.error
            return self.turns[turn]

    def tell(model: Summarizer, keeping: Keeping) -> Report:
        return summarize(
            database,
            history=history(store, "shop", 10),
            sandbox=InProcessSandbox(database.address.path.parent),
            model=model,
            prompt=load("summary"),
            keeping=keeping,
        )

    model = Summarizer(at=1)
    with pytest.raises(ModelError):
        tell(model, keep(store))
    assert tell(model, keep(store)).outcome.ended == "submitted"
    assert len(model.asked) == 3
    model = Summarizer(at=1)
    with pytest.raises(ModelError):
        tell(model, keep(store, "other"))
    publish(go(database, Failing(), None), store)
    assert tell(model, keep(store, "other")).outcome.ended == "submitted"
    assert len(model.asked) == 4, "the first reply was about another history"


def test_the_command_line_says_what_is_left_and_that_there_is_nothing_to_go_on_with(
    server: MessagesServer,
    database: Database,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
):
    for name, value in Start(tmp_path, server).variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(choice, "choose", lambda *_, **__: InProcessSandbox(tmp_path))

    def run(*arguments: str) -> tuple[Any, str, str]:
        with pytest.raises(SystemExit) as left:
            main(["catalog", "shop.duckdb", "--json", *arguments])
        said = capsys.readouterr()
        return left.value.code, said.out, said.err

    code, _, err = run("--resume")
    assert code == 2
    assert "Error: shop: there is no run to go on with; run it without --resume" in err
    server.then = lambda body: by_history(body) if len(server.requests) < 3 else fails(401, "authentication_error")
    code, _, err = run()
    assert code == 2
    assert "was left after 2 replies and 30 tokens. Go on with it: the same command with --resume." in err
    server.then = by_history
    code, out, err = run("--resume")
    assert code == 0, err
    assert json.loads(out)["tokens"] == 15 * len(TURNS)
    assert len(server.requests) == len(TURNS) + 1
