"""The record of a run: complete, in order, and a script that can be run again."""

import ast
import json
import os
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cataloger_dagster.agent.loop import run_agent
from cataloger_dagster.agent.meter import Limits
from cataloger_dagster.agent.model import Reply, Usage
from cataloger_dagster.agent.tools import Answer, Toolbox
from cataloger_dagster.agent.transcript import Transcript
from cataloger_dagster.privacy import Mask
from cataloger_dagster.prompts import Prompt
from cataloger_dagster.sandbox.session import ExecutionResult
from tests.agent.databases import make_sqlite
from tests.agent.in_process import InProcessSession


class Says:
    """A model that says what it was told to say."""

    name = "says"

    def __init__(self, *replies: Reply) -> None:
        self.replies = list(replies)

    def reply(self, **_: Any) -> Reply:
        return self.replies.pop(0)


def cells(*codes: str) -> Reply:
    calls = [
        {"type": "tool_use", "id": f"c{number}", "name": "execute_python", "input": {"code": code}}
        for number, code in enumerate(codes)
    ]
    return Reply(calls, "tool_use", Usage(input=10, output=5))


def submit(html: str = "<p>page</p>") -> Reply:
    return Reply([{"type": "tool_use", "id": "s", "name": "submit_html", "input": {"content": html}}], "tool_use")


def recorded(session: InProcessSession, *replies: Reply, transcript: Transcript | None = None) -> Transcript:
    transcript = transcript or Transcript()
    toolbox = Toolbox(session, lambda html: ["no"] if "bad" in html else [], Mask("full"))
    run_agent(Says(*replies), toolbox, Prompt("the system", "the task"), Limits(1000, 10, 60), transcript)
    return transcript


def ran(code: str, output: str = "", error: Any = None) -> Transcript:
    """Record one cell as if it had run."""
    transcript = Transcript()
    transcript.reply(1, cells(code), 0.1)
    block = {"type": "tool_result", "tool_use_id": "c0", "content": [{"type": "text", "text": output}]}
    transcript.ran(1, Answer(block, output, cell=ExecutionResult(output, False, error, 0.2, True)))
    return transcript


def test_the_record_holds_everything_that_passed_in_order(session: InProcessSession) -> None:
    transcript = recorded(session, cells("x = 1", "x + 1"), submit("<p>bad"), Reply([], "end_turn"), submit())
    events = [json.loads(line) for line in transcript.lines().splitlines()]
    assert [event["event"] for event in events] == [
        "start", "reply", "ran", "ran", "results", "reply", "ran", "results", "reply", "results", "reply", "ran", "end",
    ]  # fmt: skip
    assert (events[0]["model"], events[0]["system"], events[0]["task"]) == ("says", "the system", "the task")
    assert events[0]["limits"] == {"tokens": 1000, "steps": 10, "seconds": 60}
    assert events[1]["usage"] == {"input": 10, "cache_write": 0, "cache_read": 0, "output": 5}
    assert events[3]["output"] == "2"
    assert events[6]["output"].startswith("The page was not taken")
    assert events[-1] | {"at": ""} == {
        "event": "end", "at": "", "ended": "submitted", "reason": "", "steps": 4,
        "usage": {"input": 10, "cache_write": 0, "cache_read": 0, "output": 5},
    }  # fmt: skip
    assert all(event["at"].endswith("Z") for event in events)


def test_the_messages_of_a_run_can_be_made_again_from_its_record(session: InProcessSession) -> None:
    asked: list[Any] = []

    class Listens(Says):
        def reply(self, **request: Any) -> Reply:
            asked.append(json.loads(json.dumps(request["messages"])))
            return super().reply()

    transcript = Transcript()
    toolbox = Toolbox(session, lambda html: [], Mask("full"))
    run_agent(Listens(cells("1"), cells("2"), submit()), toolbox, Prompt("s", "t"), Limits(1000, 10, 60), transcript)
    events = [json.loads(line) for line in transcript.lines().splitlines()]
    messages = [{"role": "user", "content": [{"type": "text", "text": events[0]["task"]}]}]
    for event in events:
        if event["event"] in ("reply", "results"):
            role = "assistant" if event["event"] == "reply" else "user"
            messages.append({"role": role, "content": event["content"]})
    assert messages[: len(asked[-1])] == asked[-1]


def test_each_event_is_handed_on_as_it_happens(session: InProcessSession) -> None:
    seen: list[str] = []
    transcript = recorded(
        session, cells("1"), submit(), transcript=Transcript(lambda event: seen.append(event["event"]))
    )
    assert seen == [event["event"] for event in transcript.events]


def test_the_script_has_the_cells_with_their_outputs_as_comments(session: InProcessSession) -> None:
    script = recorded(session, cells("x = 20\nprint('a')\nx + 1", "y = '''two\nlines'''"), submit()).script()
    assert "# %% [1]\nx = 20\nprint('a')\nx + 1\n#> a\n#> 21\n" in script
    assert "# %% [2]\ny = '''two\nlines'''\n#> [no output]\n" in script
    assert "<p>page</p>" not in script


def test_the_script_runs_again_on_the_database(session: InProcessSession, tmp_path: Path) -> None:
    connection = make_sqlite(tmp_path / "odd.sqlite")
    session.connection = connection
    session.start(
        "cataloger_sandbox.kit:namespace", {"connection": connection, "facts": {}, "history": [], "changes": []}
    )
    transcript = recorded(
        session,
        cells(
            "found = fact('orders.count', 'SELECT count(*) FROM orders')", "print('so', found)\n1/0", "print(found + 1)"
        ),
        submit(),
    )
    script = tmp_path / "catalog.py"
    script.write_text(transcript.script())
    command = [sys.executable, str(script), f"sqlite://{connection['path']}"]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=environment, check=False)
    assert (done.returncode, done.stdout) == (0, "so 2000\n2001\n"), done.stderr


@pytest.mark.parametrize(
    ("code", "error"),
    [
        ("1 +", "error"),
        ("while True: pass", "timeout"),
        ("import os; os._exit(1)", "died"),
        ("from __future__ import annotations", None),
        ("return 1", "error"),
        ("await thing()", None),
        ("x = 1\0", "error"),
    ],
)
def test_a_cell_that_can_not_be_run_again_is_a_comment(code: str, error: str | None) -> None:
    script = ran(code, error=error).script()
    ast.parse(script)
    body = script.split("# %% [1]\n")[1]
    assert all(not line or line.startswith("#") for line in body.splitlines())


def test_a_cell_that_failed_does_not_end_the_script_and_keeps_its_strings() -> None:
    code = 'x = """a\n  b"""\nraise ValueError(x)'
    script = ran(code, "Traceback", "error").script()
    variables: dict[str, Any] = {}
    exec(script.split("# %% [1]\n")[1], {"contextlib": __import__("contextlib")}, variables)
    assert variables["x"] == "a\n  b"


@settings(max_examples=50, deadline=None)
@given(st.text(), st.text(), st.sampled_from([None, "error", "timeout", "exit", "died"]))
def test_whatever_was_run_and_printed_the_script_is_python(code: str, output: str, error: Any) -> None:
    transcript = ran(code, output, error)
    with warnings.catch_warnings(action="ignore"):  # of what the code is: a number that is called, say
        compile(transcript.script(), "catalog.py", "exec")
    assert json.loads(transcript.lines().splitlines()[-1])["output"] == output
