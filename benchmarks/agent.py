"""What the agent costs beside the model: scripted conversations over real HTTP, the tokens as a caching server counts.

Run it alone: ``python benchmarks/agent.py [--docker IMAGE] [--kills N]``. The server on loopback speaks the Messages
wire, answers at once, and keeps what it has seen as a cache would: where a request extends the one before, that one
is read (0.1 of a token), and the rest is written (1.25). A token is taken as 3.5 characters of what is sent. Overhead
is the time from the last byte of a reply to the next request, a cell that prints 9 KB included.
"""

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from unittest import mock

import docker
import duckdb

from cataloger_dagster.agent.claude import ClaudeModel
from cataloger_dagster.agent.loop import run_agent
from cataloger_dagster.agent.meter import Limits
from cataloger_dagster.agent.tools import TOOLS, Toolbox
from cataloger_dagster.agent.transcript import Transcript
from cataloger_dagster.cataloging import catalog
from cataloger_dagster.databases import Database
from cataloger_dagster.owners import OWNER
from cataloger_dagster.privacy import Mask
from cataloger_dagster.prompts import Prompt, load
from cataloger_dagster.sandbox.docker import DockerSandbox
from cataloger_dagster.sandbox.local import LocalSandbox
from cataloger_dagster.sandbox.session import Sandbox
from cataloger_dagster.store.snapshots import open_store

sys.path.insert(0, str(Path(__file__).parents[1]))
from tests.messages_server import Body, MessagesServer, Scripted, call, messages_server, text, uses
from tests.test_resuming import TURNS, Start, by_history, check_pages, kill_until_done

CHARACTERS_PER_TOKEN = 3.5
WRITE, READ = 1.25, 0.1
TURN_TOKENS = 3_000
CODE_TOKENS = 300
"""What of a turn is the model's: the code it writes."""

KIT = {"connection": {}, "facts": {}, "history": [], "changes": []}
PROSE = "<p>A shop.</p><h2>What this database is</h2><p>Orders and who placed them.</p>"


def tokens(characters: int) -> int:
    """Return how many tokens so many characters are taken for."""
    return round(characters / CHARACTERS_PER_TOKEN)


def conversation(body: Body) -> str:
    """Return what a request asks to be read, in the order in which a server caches it."""
    parts = [json.dumps(tool) for tool in body["tools"]] + [json.dumps(block) for block in body["system"]]
    return "".join([*parts, *(json.dumps(message, ensure_ascii=False) for message in body["messages"])])


class Caching:
    """Answers a conversation of so many *turns*, and counts its tokens as a server that caches."""

    def __init__(self, turns: int) -> None:
        self.turns = turns
        self.seen = ""
        self.read = self.written = self.uncached = self.fixed = 0
        self.extends = True

    def __call__(self, body: Body) -> Scripted:
        """Return the next reply."""
        asked = conversation(body)
        common = len(self.seen) if asked.startswith(self.seen) else 0
        self.extends = self.extends and common == len(self.seen)
        self.read, self.written = self.read + tokens(common), self.written + tokens(len(asked) - common)
        self.uncached += tokens(len(asked))
        self.fixed = self.fixed or tokens(len(asked))
        self.seen = asked
        usage = {
            "input_tokens": 0,
            "cache_creation_input_tokens": tokens(len(asked) - common),
            "cache_read_input_tokens": tokens(common),
            "output_tokens": CODE_TOKENS,
        }
        turn = sum(message["role"] == "assistant" for message in body["messages"]) + 1
        if turn >= self.turns:
            return uses(call(f"c{turn}", "submit_html", content=PROSE), usage=usage, pieces=2000)
        printed = round((TURN_TOKENS - CODE_TOKENS) * CHARACTERS_PER_TOKEN) - 300  # what stands around it
        code = f"print({turn}, 'x' * {printed})\n" + "# why\n" * round(CODE_TOKENS * CHARACTERS_PER_TOKEN / 6 - 30)
        return uses(text("Next."), call(f"c{turn}", "execute_python", code=code), usage=usage, pieces=2000)


@contextmanager
def serving(answers: Caching) -> Iterator[MessagesServer]:
    """Serve *answers* as the model's server."""
    with messages_server(then=answers) as server:
        variables = {"ANTHROPIC_API_KEY": "sk-ant-benchmark", "ANTHROPIC_BASE_URL": server.url}
        with mock.patch.dict(os.environ, variables):
            yield server


@dataclass(frozen=True)
class Conversation:
    """What a conversation took: as the server saw it, in megabytes that the process grew by, in CPU seconds of ours."""

    answers: Caching
    server: MessagesServer
    grew: float
    cpu: float


def converse(sandbox: Sandbox, turns: int) -> Conversation:
    """Run a conversation."""
    answers, task = Caching(turns), "Write the catalog. " * 900
    with serving(answers) as server, sandbox.open(None) as session:
        session.start("cataloger_sandbox.kit:namespace", KIT)
        before, began = resident(), time.thread_time()
        toolbox = Toolbox(session, lambda _: [], Mask("full"), task)
        limits = Limits(10**9, 1000, 3600)
        outcome = run_agent(ClaudeModel("claude-benchmark"), toolbox, Prompt("You write.", task), limits, Transcript())
        assert outcome.ended == "submitted", outcome.reason
        assert outcome.cache_missed == 0
        return Conversation(answers, server, resident() - before, time.thread_time() - began)


def resident() -> float:
    """Return the memory of this process, in megabytes."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


def conversations(sandboxes: list[Sandbox]) -> None:
    """Print what conversations of 10, 20 and 40 turns take."""
    converse(sandboxes[0], 3)  # what is imported and opened once
    print(f"turns of {TURN_TOKENS:,} tokens, beyond the fixed prefix where not said otherwise")
    print("turns requests   bytes sent  read share  equivalents  without cache  extends  grew")
    for turns in (10, 20, 40):
        done = converse(sandboxes[0], turns)
        answers, server = done.answers, done.server
        sent = sum(len(request.raw) for request in server.requests)
        fixed = WRITE * answers.fixed + READ * answers.fixed * (turns - 1)
        beyond = WRITE * answers.written + READ * answers.read - fixed
        share = answers.read / (answers.read + answers.written)
        print(
            f"{turns:5} {len(server.requests):8} {sent:12,} {share:11.1%} {beyond:12,.0f} "
            f"{answers.uncached - answers.fixed * turns:14,} {answers.extends!s:>8} {done.grew:4.0f} MB"
        )
    for sandbox in sandboxes:
        done = converse(sandbox, 20)
        gaps = [1000 * (after.received - before.answered) for before, after in pairwise(done.server.requests)]
        print(
            f"overhead of a turn, {sandbox.name}: median {statistics.median(gaps):.1f} ms, "
            f"worst {max(gaps):.1f} ms; {1000 * done.cpu / 20:.1f} ms of our processor time"
        )


def tables(folder: Path, count: int) -> Database:
    """Return a database of so many tables, ten columns each."""
    file = folder / f"shop{count}.duckdb"
    with duckdb.connect(str(file)) as con:
        for number in range(count):
            con.execute(
                f"CREATE TABLE sales_{number:03} AS SELECT range AS id, range % 7 AS status, range % 90 AS buyer, DATE "
                " '2025-01-01' + CAST(range % 300 AS INTEGER) AS placed_on, range * 1.25 AS amount, "
                "CASE WHEN range % 9 = 0 THEN NULL ELSE 'c' || range % 4 END AS carrier, 'note ' || range AS note, "
                "range % 2 = 0 AS is_paid, range / 3.0 AS weight, 'EUR' AS currency FROM range(200)"
            )
    return Database.from_url(f"duckdb://{file}")


class Writer(Caching):
    """Looks at the facts, lets the session build a page around the same prose, and submits its file."""

    def __call__(self, body: Body) -> Scripted:
        """Return the next reply."""
        super().__call__(body)
        turn = sum(message["role"] == "assistant" for message in body["messages"])
        return [
            uses(call("c1", "execute_python", code="facts")),
            uses(call("c2", "execute_python", code=f"page.save({PROSE!r})")),
            uses(call("s", "submit_html", file="page.html")),
        ][turn]


def sizes(folder: Path) -> None:
    """Print the fixed prefix, and what a page of many tables costs against one of few."""
    print("tables  fixed prefix, tokens  written by the model, characters  tables on the page  page")
    for count in (10, 500):
        with serving(writer := Writer(3)) as server:
            report = catalog(
                tables(folder, count), sandbox=LocalSandbox(), model=ClaudeModel("claude-x"), prompt=load("catalog")
            )
        assert report.outcome.ended == "submitted", report.outcome.reason
        replies = [message for message in server.bodies[-1]["messages"] if message["role"] == "assistant"]
        said = sum(len(json.dumps(message["content"])) for message in replies)
        shown = report.page.html.count('class="t"')
        print(f"{count:6} {writer.fixed:21,} {said:33,} {shown:19} {len(report.page.html) / 1e6:4.1f} MB")
    system = tokens(len(load("catalog").render(name="x", engine="duckdb", digest="", budget=_BUDGET).system))
    print(f"of the fixed prefix: tools {tokens(len(json.dumps(TOOLS)))}, system {system}")


_BUDGET = {"tokens": 200_000, "steps": 40, "seconds": 1200}


def kills(count: int, image: str | None) -> None:
    """Kill runs at moments of fixed seeds, go on with each, and print what is left."""
    client = docker.from_env() if image else None
    asked = pages = 0
    for seed in range(count):
        with tempfile.TemporaryDirectory() as name, messages_server(then=by_history) as server:
            folder = Path(name)
            with duckdb.connect(str(folder / "shop.duckdb")) as con:
                con.execute("CREATE TABLE orders AS SELECT range AS id, range % 9 AS amount FROM range(150)")
            start = Start(folder, server)
            if image:
                start.variables |= {"CATALOGER_SANDBOX": "docker", "CATALOGER_SANDBOX_IMAGE": image}
            store = open_store(str(folder / "catalogs"))
            check_pages(store, server, kill_until_done(start, server, store, seed, kills=1), kills=1)
            marks = [f" {process.pid} " for process in start.processes]
        asked, pages = asked + len(server.requests), pages + 1
        if client:
            time.sleep(0.5)  # a container ends after its host
            left = client.containers.list(filters={"label": OWNER})
            assert not [each for each in left if any(mark in each.labels[OWNER] for mark in marks)]
    most = count * (len(TURNS) + 1)
    print(f"{count} kills: {pages} pages, {asked} requests for {count * len(TURNS)} replies (at most {most} allowed)")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--docker", metavar="IMAGE", help="also measure in Docker, in this sandbox image")
    parser.add_argument("--kills", type=int, default=0, help="how many runs to kill and go on with")
    options = parser.parse_args()
    sandboxes: list[Sandbox] = [LocalSandbox()]
    if options.docker:
        sandboxes.append(DockerSandbox(options.docker))
    with tempfile.TemporaryDirectory() as folder:
        conversations(sandboxes)
        sizes(Path(folder))
    if options.kills:
        kills(options.kills, options.docker)


if __name__ == "__main__":
    sys.exit(main())
