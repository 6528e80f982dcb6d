"""A run that goes on from an earlier try: nothing paid for is asked for again, and the requests are the same bytes."""

import copy
import re
from typing import Any

import pytest

from cataloger_dagster.agent.claude import ClaudeModel
from cataloger_dagster.agent.loop import Outcome, run_agent
from cataloger_dagster.agent.meter import Limits
from cataloger_dagster.agent.tools import Toolbox
from cataloger_dagster.agent.transcript import Event, Transcript
from cataloger_dagster.errors import ModelError
from cataloger_dagster.privacy import Mask
from cataloger_dagster.prompts import Prompt
from tests.agent.in_process import InProcessSession
from tests.messages_server import MessagesServer, Scripted, call, fails, messages_server, text, thinking, uses

PROMPT = Prompt(system="You write pages.", task="Write one.")
ROOMY = Limits(tokens=200_000, steps=40, seconds=600)
SCRIPT = [
    uses(thinking("Hm."), text("I look."), call("c1", "execute_python", code="x = 20\nx + 1")),
    uses(call("c2", "execute_python", code="y = x * 2\nprint(y)"), call("c3", "execute_python", code="1 / 0")),
    Scripted(content=[text("Shall I go on?")]),
    uses(call("s1", "submit_html", content="<script>no</script>")),
    uses(call("c4", "execute_python", code="with open('page.html', 'w') as f: f.write(f'<p>{x + y}</p>')")),
    uses(call("s2", "submit_html", file="page.html")),
]


class Killed(BaseException):
    """Stands for the end of the process."""


def refuse_scripts(html: str) -> list[str]:
    return ["<script> is not allowed"] if "<script" in html else []


class Tries:
    """Several tries at one run, each in a session of its own; ``kept`` is what the store would hold."""

    def __init__(self, server: MessagesServer, session: InProcessSession) -> None:
        self.server, self.session = server, session
        self.kept: list[Event] = []

    def __call__(self, die_at: int | None = None, limits: Limits = ROOMY) -> Outcome:
        seen = 0

        def keep(event: Event) -> None:
            nonlocal seen
            seen += 1
            if seen == die_at:
                raise Killed
            self.kept.append(copy.deepcopy(event))

        self.session.variables.clear()
        self.session.cells.clear()
        (self.session.folder / "page.html").unlink(missing_ok=True)
        self.transcript = Transcript(keep, past=copy.deepcopy(self.kept))
        toolbox = Toolbox(self.session, refuse_scripts, Mask("full"))
        return run_agent(ClaudeModel("claude-test"), toolbox, PROMPT, limits, self.transcript)


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-ant-test")
    with messages_server(*SCRIPT) as server:
        monkeypatch.setenv("ANTHROPIC_BASE_URL", server.url)
        yield server


@pytest.mark.parametrize("die_at", range(1, 19))
def test_killed_at_any_event_the_next_try_asks_for_no_reply_that_was_kept(
    served: MessagesServer, session: InProcessSession, die_at: int
) -> None:
    tries = Tries(served, session)
    with pytest.raises(Killed):
        tries(die_at)
    asked = len(served.requests)
    replies = sum(event["event"] == "reply" for event in tries.kept)
    served.script = [*([SCRIPT[0]] * asked), *SCRIPT[replies:]]  # it goes on where the record ends
    outcome = tries()
    assert (outcome.ended, outcome.html) == ("submitted", "<p>60</p>")
    assert outcome.steps == len(SCRIPT)
    assert outcome.usage.first_time == 15 * len(SCRIPT)
    assert len(served.requests) - len(SCRIPT) == asked - replies <= 1


def test_the_requests_of_two_tries_are_those_of_one(served: MessagesServer, session: InProcessSession) -> None:
    Tries(served, session)()
    whole = [request.body["messages"] for request in served.requests]
    served.requests.clear()
    tries = Tries(served, session)
    with pytest.raises(Killed):
        tries(10)  # the third reply is kept, what it is answered with is not
    tries()
    halves = [request.body["messages"] for request in served.requests]
    assert len(halves) == len(whole)
    assert [_without_time(messages) for messages in halves] == [_without_time(messages) for messages in whole]
    first, second = served.requests[2].raw, served.requests[3].raw
    end = first.rindex(b'],"model":')
    assert second.startswith(first[:end]), "the first request of the second try extends the last of the first"


def test_a_second_and_a_third_try_add_up(served: MessagesServer, session: InProcessSession) -> None:
    tries = Tries(served, session)
    for die_at in (4, 5, 6, 4):
        with pytest.raises(Killed):
            tries(die_at)
        replies = sum(event["event"] == "reply" for event in tries.kept)
        served.script = [*([SCRIPT[0]] * len(served.requests)), *SCRIPT[replies:]]
    assert tries().html == "<p>60</p>"
    names = [event["event"] for event in tries.transcript.events]
    assert names.count("start") == 1
    assert names.count("resumed") == 4
    assert names.count("reply") == len(SCRIPT)
    assert names[-1] == "end"


def test_what_failed_requests_cost_stays_counted_when_the_run_is_gone_on_with(
    served: MessagesServer, session: InProcessSession
) -> None:
    def broken(tokens: int) -> Scripted:
        return Scripted(content=[text("x" * 100)], cut_after=4, usage={"input_tokens": tokens, "output_tokens": 9})

    wait = fails(429, "rate_limit_error", headers={"retry-after": "3600"})
    # Before a reply, before the end of a try, and before the end of a try without any reply.
    served.script = [broken(1_000), SCRIPT[0], broken(200), wait, broken(40), wait, *SCRIPT[1:]]
    tries = Tries(served, session)
    for _ in range(2):
        with pytest.raises(ModelError, match="asks to wait"):
            tries()
    outcome = tries()
    assert outcome.html == "<p>60</p>"
    assert outcome.usage.input == 1_240 + 10 * len(SCRIPT)
    ends = [event["usage"]["input"] for event in tries.transcript.events if event["event"] == "end"]
    assert ends == [outcome.usage.input]


FULL = fails(400, "invalid_request_error", "prompt is too long: 200001 tokens > 200000 maximum")


@pytest.mark.parametrize("die_at", [*range(17, 29), None])
def test_a_conversation_that_was_shortened_is_shortened_again_the_same_way(
    served: MessagesServer, session: InProcessSession, die_at: int | None
) -> None:
    cells = [uses(call(f"c{n}", "execute_python", code=f"print('{n}', 'x' * 9000)")) for n in range(8)]
    script = [*cells, FULL, *cells[:1], uses(call("s", "submit_html", content="<p>x</p>"))]
    served.script = script
    Tries(served, session)()
    whole = [request.body["messages"] for request in served.requests]
    served.requests.clear()
    tries = Tries(served, session)
    if die_at:
        with pytest.raises(Killed):
            tries(die_at)
        replies = sum(event["event"] == "reply" for event in tries.kept)
        served.script = [*script[: len(served.requests)], *script[replies:]]
    assert tries().html == "<p>x</p>"
    assert len(served.requests) - len(script) <= 1
    assert _without_time(served.requests[-1].body["messages"]) == _without_time(whole[-1])
    assert [event["event"] for event in tries.kept].count("shortened") == 1


def _without_time(messages: Any) -> str:
    return re.sub(r"\d+ of 10 minutes", "", str(messages))


def test_cells_are_run_again_and_what_differs_is_noted_and_told_to_the_model(
    served: MessagesServer, session: InProcessSession
) -> None:
    marker = session.folder / "seen"
    served.script = [
        uses(
            call(
                "c1",
                "execute_python",
                code="import os; print(os.path.exists('seen')); os.makedirs('seen', exist_ok=True)",
            )
        ),
        uses(call("c2", "execute_python", code="2")),
        uses(call("c3", "execute_python", code="3")),
        uses(call("s", "submit_html", content="<p>x</p>")),
    ]
    tries = Tries(served, session)
    with pytest.raises(Killed):
        tries(6)  # after the second reply
    assert marker.exists()
    tries()
    differs = [event for event in tries.transcript.events if event["event"] == "differs"]
    assert [(event["step"], event["output"]) for event in differs] == [(1, "True")]
    sent = [request.body["messages"][-1]["content"] for request in served.requests]
    assert "cells were run again" not in str(sent[1])
    assert "printed something else than you were shown: 1." in str(sent[2])
    assert served.requests[-1].body["messages"][2]["content"] == sent[1], "what was sent once is sent so again"


def test_time_of_earlier_replies_counts_and_the_time_between_does_not(
    served: MessagesServer, session: InProcessSession
) -> None:
    tries = Tries(served, session)
    with pytest.raises(Killed):
        tries(9)
    for event in tries.kept:
        if event["event"] == "reply":
            event["seconds"] = 300.0
    outcome = tries(limits=Limits(tokens=200_000, steps=40, seconds=500))
    assert outcome.ended == "budget"
    assert "minutes is used up" in outcome.reason
    assert outcome.steps == sum(event["event"] == "reply" for event in tries.kept)


def test_a_spent_budget_does_not_throw_away_a_page_that_was_paid_for(
    served: MessagesServer, session: InProcessSession
) -> None:
    tries = Tries(served, session)
    with pytest.raises(Killed):
        tries(18)
    assert tries.kept[-1]["event"] == "reply"
    for event in tries.kept:
        if event["event"] == "reply":
            event["seconds"] = 300.0
    assert tries().html == "<p>60</p>"
