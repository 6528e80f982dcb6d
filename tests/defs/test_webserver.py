"""What people do in the UI, through the real webserver's GraphQL with the real daemon behind it."""

import contextlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import docker
import duckdb
import pytest

from cataloger_dagster.report.block import read_block
from tests.messages_server import Body, MessagesServer, Scripted, call, messages_server, uses

ROOT = Path(__file__).parents[2]
NAMES = ["one", "two", "thirds"]
BACKFILLED = NAMES[:2]
SELECTOR = {"repositoryName": "__repository__", "repositoryLocationName": "cataloger"}

pytestmark = [pytest.mark.timeout(300)]


class Webserver:
    """A running webserver, spoken to as the UI does."""

    def __init__(self, port: int, store: Path, model: MessagesServer) -> None:
        self.address, self.store, self.model = f"http://127.0.0.1:{port}/graphql", store, model

    def ask(self, query: str, **variables: Any) -> dict[str, Any]:
        body = json.dumps({"query": query, "variables": variables}).encode()
        request = urllib.request.Request(self.address, body, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=60) as reply:
            answer = json.load(reply)
        assert "errors" not in answer, answer["errors"]
        return answer["data"]

    def has_loaded(self) -> bool:
        found = self.ask("{ repositoriesOrError { ... on RepositoryConnection { nodes { name } } } }")
        return bool(found["repositoriesOrError"].get("nodes"))

    def runs(self) -> list[dict[str, Any]]:
        found = self.ask("{ runsOrError { ... on Runs { results { runId status tags { key value } } } } }")
        return found["runsOrError"]["results"]

    def wait_for(self, runs: int, backfill: str | None = None, seconds: float = 180) -> list[dict[str, Any]]:
        """Wait until there are so many runs, of a *backfill* or at all, and all have ended; return them."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            tag = {"key": "dagster/backfill", "value": backfill}
            found = [run for run in self.runs() if backfill is None or tag in run["tags"]]
            if len(found) >= runs and all(r["status"] in ("SUCCESS", "FAILURE", "CANCELED") for r in found):
                return found
            time.sleep(1)
        raise AssertionError(f"{runs} runs did not end in {seconds} s: {self.runs()}")

    def materialize(self, assets: list[str], partition: str | None, config: dict[str, Any] | None = None) -> str:
        tags = [{"key": "dagster/partition", "value": partition}] if partition else []
        data = self.ask(
            """mutation($p: ExecutionParams!) { launchPipelineExecution(executionParams: $p) {
                 __typename ... on LaunchRunSuccess { run { runId } } ... on PythonError { message } } }""",
            p={
                "mode": "default",
                "runConfigData": config or {},
                "selector": SELECTOR
                | {
                    "pipelineName": "__ASSET_JOB",
                    "assetSelection": [{"path": [a]} for a in assets],
                    "assetCheckSelection": None,
                },
                "executionMetadata": {"tags": tags},
            },
        )["launchPipelineExecution"]
        assert data["__typename"] == "LaunchRunSuccess", data
        return data["run"]["runId"]

    def cancel(self, run: str) -> None:
        told = self.ask("mutation($r: String!) { terminateRun(runId: $r) { __typename } }", r=run)["terminateRun"]
        assert told["__typename"] == "TerminateRunSuccess", told

    def status(self, run: str) -> str:
        return next(each["status"] for each in self.runs() if each["runId"] == run)

    def process(self, run: str) -> int:
        """The pid of a run that has started."""
        found = self.ask(
            """query($r: ID!) { runOrError(runId: $r) { ... on Run {
                 eventConnection { events { ... on MessageEvent { message } } } } } }""",
            r=run,
        )
        messages = [event.get("message", "") for event in found["runOrError"]["eventConnection"]["events"]]
        return next(int(pid) for message in messages for pid in re.findall(r"\(pid: (\d+)\)", message))

    def pages(self, name: str, kind: str) -> list[Path]:
        return sorted(self.store.glob(f"{name}/*/{kind}.html"))


def free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


KILLED = "thirds"
"""The database whose run is killed while it waits for the model's second reply."""
TURNS = [
    uses(call("c1", "execute_python", code="print(len(facts.tables))")),
    uses(call("s1", "submit_html", content='<p><fact-value ref="t3.rows"> rows.</p>')),
]


def is_of_the_killed(body: Body) -> bool:
    return KILLED in json.dumps([body["system"], body["messages"][0]])


def answer(body: Body) -> Scripted:
    """Return a cell that takes a minute; for the run that is killed, one that takes no time, and then a page."""
    if not is_of_the_killed(body):
        return uses(call("c1", "execute_python", code="import time; time.sleep(60)"))
    taken = sum(message["role"] == "assistant" for message in body["messages"])
    time.sleep(3 * taken)
    return TURNS[taken]


@pytest.fixture(scope="module")
def model() -> Iterator[MessagesServer]:
    with messages_server(then=answer) as server:
        yield server


@pytest.fixture(scope="module")
def webserver(tmp_path_factory: pytest.TempPathFactory, model: MessagesServer) -> Iterator[Webserver]:
    place = tmp_path_factory.mktemp("dagster")
    entries = ["databases:"]
    for number, name in enumerate(NAMES, 1):
        with duckdb.connect(str(place / f"{name}.duckdb")) as con:
            con.execute(f"CREATE TABLE t{number} AS SELECT range AS id, range % 7 AS kind FROM range({number * 100})")
        entries.append(f"  {name}: {{url: 'duckdb://{name}.duckdb'}}")
    (place / "databases.yaml").write_text("\n".join(entries) + "\n")
    home = place / "home"
    home.mkdir()
    shutil.copy(ROOT / "deploy" / "dagster.yaml", home / "dagster.yaml")
    environment = os.environ | {
        "DAGSTER_HOME": str(home),
        "CATALOGER_DATABASES": str(place / "databases.yaml"),
        "CATALOGER_STORE": str(place / "store"),
        "CATALOGER_MODEL": "offline",
        "ANTHROPIC_BASE_URL": model.url,
        "ANTHROPIC_API_KEY": "not-a-key",
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
    }
    # Two processes that find no storage would both make it, and one of them fails.
    with dg.DagsterInstance.from_config(str(home)):
        pass
    port = free_port()
    # Webserver and daemon would each load the code location in servers of their own, the daemon more than once.
    # That ``workspace.yaml`` loads it is in ``test_loading``.
    served = place / "served"
    (place / "workspace.yaml").write_text(
        f"load_from:\n- grpc_server: {{host: localhost, socket: {served}, location_name: cataloger}}\n"
    )
    log = (place / "log").open("w")
    started: list[subprocess.Popen[bytes]] = []

    def start(*command: str) -> None:
        line = [sys.executable, "-m", *command]
        started.append(
            subprocess.Popen(line, cwd=ROOT, env=environment, stdout=log, stderr=log, start_new_session=True)
        )

    def wait_until(is_so: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 90
        while True:
            assert all(p.poll() is None for p in started), (place / "log").read_text()[-3000:]
            # The webserver answers before it has the code location.
            with contextlib.suppress(OSError):
                if is_so():
                    return
            assert time.monotonic() < deadline, (place / "log").read_text()[-3000:]
            time.sleep(0.5)

    server = Webserver(port, place / "store", model)
    try:
        start("dagster", "api", "grpc", "-m", "cataloger_dagster.definitions", "--socket", str(served))
        wait_until(served.exists)
        start("dagster_webserver", "-w", str(place / "workspace.yaml"), "-h", "127.0.0.1", "-p", str(port))
        start("dagster._daemon", "run", "-w", str(place / "workspace.yaml"))
        wait_until(server.has_loaded)
        yield server
    finally:
        for process in started:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGTERM)
        for process in started:
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
        log.close()


@pytest.fixture(scope="module")
def backfill(webserver: Webserver) -> str:
    """A backfill of two databases, launched: the daemon takes half a minute until it looks for one."""
    # The sensor makes the partitions by itself.
    deadline = time.monotonic() + 90
    keys: list[str] = []
    while sorted(keys) != sorted(NAMES) and time.monotonic() < deadline:
        found = webserver.ask(
            "query($k: AssetKeyInput!) { assetNodeOrError(assetKey: $k) { ... on AssetNode { partitionKeys } } }",
            k={"path": ["catalog"]},
        )
        keys = found["assetNodeOrError"]["partitionKeys"]
        time.sleep(1)
    assert sorted(keys) == sorted(NAMES)

    launched = webserver.ask(
        """mutation($p: LaunchBackfillParams!) { launchPartitionBackfill(backfillParams: $p) {
             __typename ... on LaunchBackfillSuccess { backfillId } ... on PythonError { message } } }""",
        p={"assetSelection": [{"path": ["catalog"]}], "partitionNames": BACKFILLED},
    )["launchPartitionBackfill"]
    assert launched["__typename"] == "LaunchBackfillSuccess", launched
    return launched["backfillId"]


def test_a_run_that_is_cancelled_in_its_set_up_or_in_a_cell_leaves_no_container(
    webserver: Webserver, backfill: str, docker_sandbox_image: str
):
    images = {moment: f"cataloger-cancelled:{uuid.uuid4().hex}" for moment in ("set-up", "cell")}
    with contextlib.closing(docker.from_env()) as client:

        def container(moment: str) -> bool:
            # A run's container is known from those of others by its image's name.
            return images[moment] in [each["Image"] for each in client.api.containers(all=True)]

        try:
            runs = {}
            for (moment, image), partition in zip(images.items(), NAMES, strict=False):
                client.images.get(docker_sandbox_image).tag(image)
                sandbox = {"config": {"kind": "docker", "image": image}}
                resources = {"sandbox": sandbox, "model": {"config": {"name": "claude-test"}}}
                runs[moment] = webserver.materialize(["catalog"], partition, {"resources": resources})
            deadline = time.monotonic() + 240
            waiting = set(runs)
            while waiting:
                assert time.monotonic() < deadline, waiting
                if "set-up" in waiting and container("set-up"):
                    webserver.cancel(runs["set-up"])
                    waiting.discard("set-up")
                if "cell" in waiting and webserver.model.requests:
                    assert container("cell")
                    time.sleep(1)  # the cell takes a minute: it has begun, and goes on
                    webserver.cancel(runs["cell"])
                    waiting.discard("cell")
                time.sleep(0.02)
            for moment, run in runs.items():
                while webserver.status(run) != "CANCELED" or container(moment):
                    assert time.monotonic() < deadline, (moment, webserver.status(run))
                    time.sleep(0.1)
        finally:
            for image in images.values():
                client.images.remove(image, force=True)


def test_partitions_backfill_summary_and_overview_from_the_ui(webserver: Webserver, backfill: str):
    runs = webserver.wait_for(len(BACKFILLED), backfill)
    assert [run["status"] for run in runs] == ["SUCCESS"] * len(BACKFILLED)
    for number, name in enumerate(BACKFILLED, 1):
        (page,) = webserver.pages(name, "catalog")
        assert read_block(page.read_text()).tables[0].rows == number * 100

    asked = [
        webserver.materialize(assets, partition)
        for assets, partition in ((["summary"], "one"), (["catalog", "summary"], "two"), (["overview"], None))
    ]
    webserver.wait_for(len(BACKFILLED) + len(asked))
    assert {webserver.status(run) for run in asked} == {"SUCCESS"}, webserver.runs()
    (summary,) = webserver.pages("one", "summary")
    assert read_block(summary.read_text()).database == "one"
    assert webserver.pages("two", "summary")[-1].parent == webserver.pages("two", "catalog")[-1].parent
    overviews = list(webserver.store.glob("_overview/*/overview.html"))
    assert overviews
    assert all(name in max(overviews).read_text() for name in NAMES)


def test_a_run_whose_process_is_killed_is_started_again_and_pays_for_no_reply_twice(
    webserver: Webserver, docker_sandbox_image: str
):
    def asked() -> int:
        return sum(is_of_the_killed(body) for body in webserver.model.bodies)

    sandbox = {"config": {"kind": "docker", "image": docker_sandbox_image}}
    resources = {"sandbox": sandbox, "model": {"config": {"name": "claude-test"}}}
    killed = webserver.materialize(["catalog"], KILLED, {"resources": resources})
    deadline = time.monotonic() + 240
    while asked() < 2:
        assert time.monotonic() < deadline, webserver.runs()
        time.sleep(0.05)
    os.kill(webserver.process(killed), signal.SIGKILL)
    again: list[dict[str, Any]] = []
    while not again or again[0]["status"] not in ("SUCCESS", "FAILURE"):
        assert time.monotonic() < deadline, webserver.runs()
        time.sleep(0.5)
        parent = {"key": "dagster/parent_run_id", "value": killed}
        again = [run for run in webserver.runs() if parent in run["tags"]]
    assert (again[0]["status"], webserver.status(killed)) == ("SUCCESS", "FAILURE")
    assert asked() == len(TURNS) + 1, "the one in flight alone is asked for again"
    written = [read_block(page.read_text()) for page in webserver.pages(KILLED, "catalog")]
    assert again[0]["runId"] in [block.run_id for block in written]
    assert not (webserver.store / "_runs" / KILLED).exists()
