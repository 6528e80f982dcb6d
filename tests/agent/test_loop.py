"""The loop with its tools, over the real SDK against a scripted server; cells run for real."""

from collections.abc import Callable
from itertools import pairwise

import pytest

from cataloger_dagster.agent import loop
from cataloger_dagster.agent.claude import ClaudeModel
from cataloger_dagster.agent.loop import CUT_OFF, Limits, Outcome, run_agent
from cataloger_dagster.agent.model import Block, Usage
from cataloger_dagster.agent.tools import Toolbox
from cataloger_dagster.agent.transcript import Transcript
from cataloger_dagster.errors import ModelError, SandboxError
from cataloger_dagster.prompts import Prompt
from cataloger_dagster.report.narrative import problems
from tests import samples
from tests.agent.in_process import InProcessSession
from tests.messages_server import Scripted, call, fails, messages_server, text, thinking, uses

PROMPT = Prompt(system="You write pages.", task="Write one.")
ROOMY = Limits(tokens=200_000, steps=40, seconds=600)
PAGE = "<p>It is <fact-value ref='orders.rows'></p>"


def no_scripts(html: str) -> list[str]:
    return ["<script> is not allowed"] if "<script" in html else []


class Run:
    """Runs the agent against a script and keeps what came of it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, session: InProcessSession) -> None:
        self.monkeypatch = monkeypatch
        self.session = session
        self.transcript = Transcript()
        self.clean: Callable[[str], str] = str
        self.accept: Callable[[str], list[str]] = no_scripts

    def __call__(self, *script: Scripted, limits: Limits = ROOMY) -> Outcome:
        self.monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-ant-test")
        toolbox = Toolbox(self.session, self.accept, self.clean)
        with messages_server(*script) as self.server:
            self.monkeypatch.setenv("ANTHROPIC_BASE_URL", self.server.url)
            return run_agent(ClaudeModel("claude-test", first_wait=0.01), toolbox, PROMPT, limits, self.transcript)

    def sent(self, request: int) -> list[Block]:
        """Return the blocks that request number *request* (from 0) added at its end."""
        content: list[Block] = self.server.bodies[request]["messages"][-1]["content"]
        return content


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, session: InProcessSession) -> Run:
    return Run(monkeypatch, session)


def result_text(block: Block) -> str:
    return "\n".join(item["text"] for item in block["content"])


def submits(identifier: str = "s1", content: str = PAGE) -> Scripted:
    return uses(call(identifier, "submit_html", content=content))


def test_a_page_that_is_submitted_ends_the_run(run: Run) -> None:
    outcome = run(uses(call("c1", "execute_python", code="x = 20\nx + 1")), submits())
    assert (outcome.ended, outcome.html, outcome.steps) == ("submitted", PAGE, 2)
    assert outcome.usage == Usage(input=20, output=10)
    assert result_text(run.sent(1)[0]).startswith("21\n")
    assert "is_error" not in run.sent(1)[0]


def test_every_request_extends_the_one_before_byte_for_byte(run: Run) -> None:
    run(
        uses(thinking("Hm."), text("I look."), call("c1", "execute_python", code="print('é', 1)")),
        Scripted(content=[text("Done?")]),
        uses(call("c2", "execute_python", code="1/0"), call("c3", "execute_python", code="2")),
        Scripted(content=[call("c4", "submit_html", content="<p")], stop_reason="max_tokens"),
        submits("s1", "<script>1</script>"),
        submits("s2"),
    )
    raws = [request.raw for request in run.server.requests]
    assert len(raws) == 6
    for before, after in pairwise(raws):
        end = before.rindex(b'],"model":')
        assert after.startswith(before[:end])
        assert after.endswith(before[end:])


def test_thinking_goes_back_unchanged(run: Run) -> None:
    block = thinking("Let me see.", "c2lnbmF0dXJl")
    run(uses(block, call("c1", "execute_python", code="1")), submits())
    assert run.server.bodies[1]["messages"][1]["content"][0] == block


def test_parallel_calls_run_in_order_and_are_answered_in_one_message(run: Run) -> None:
    run(
        uses(
            call("a", "execute_python", code="x = 1"),
            call("b", "execute_python", code="x = x + 1; x"),
            call("c", "execute_python", code="1/0"),
            call("d", "execute_python", code="x * 10"),
        ),
        submits(),
    )
    answers = run.sent(1)
    assert [answer["tool_use_id"] for answer in answers] == ["a", "b", "c", "d"]
    assert result_text(answers[1]).strip() == "2"
    assert answers[2]["is_error"]
    assert "ZeroDivisionError" in result_text(answers[2])
    assert result_text(answers[3]).startswith("20")


def test_a_submission_among_other_calls_is_taken_and_what_follows_is_not_run(run: Run) -> None:
    outcome = run(
        uses(
            call("a", "execute_python", code="before = 1"),
            call("b", "submit_html", content=PAGE),
            call("c", "execute_python", code="after = 1"),
        )
    )
    assert outcome.html == PAGE
    assert run.session.cells == ["before = 1"]


def test_a_refused_submission_among_other_calls_comes_back_and_the_others_are_run(run: Run) -> None:
    outcome = run(
        uses(
            call("a", "submit_html", content="<script>1</script>"),
            call("b", "execute_python", code="'ran'"),
        ),
        submits(),
    )
    refusal, ran = run.sent(1)
    assert refusal["is_error"]
    assert "<script> is not allowed" in result_text(refusal)
    assert "ran" in result_text(ran)
    assert outcome.html == PAGE


@pytest.mark.parametrize(
    ("bad", "told"),
    [
        (call("x", "execute_python"), "takes `code`"),
        (call("x", "execute_python", code=7), "takes `code`"),
        (call("x", "execute_python", code="  "), "takes `code`"),
        (call("x", "execute_python", code="1 +"), "SyntaxError"),
        (call("x", "query", sql="1"), "no tool 'query'"),
        (call("x", "submit_html"), "either `content`"),
        (call("x", "submit_html", content=""), "no markup"),
        (call("x", "submit_html", content="The orders are fine."), "no markup"),
        (call("x", "submit_html", content="<p>", file="a"), "either `content`"),
        (call("x", "submit_html", content=["<p>"]), "either `content`"),
        (call("x", "submit_html", file="nothing.html"), "nothing.html"),
        (call("x", "submit_html", file="../../etc/passwd"), "folder"),
        (call("x", "submit_html", content="<p>" + "x" * 2_000_001), "at most 2,000,000"),
        (call("x", "submit_html", content="<script>alert(1)</script>"), "not allowed"),
        ({"type": "tool_use", "id": "x", "name": "submit_html", "input": "[1]"}, "object"),
    ],
)
def test_a_mistake_of_the_model_is_a_result_it_can_mend(run: Run, bad: Block, told: str) -> None:
    outcome = run(uses(bad, pieces=100_000), submits())
    answer = run.sent(1)[0]
    assert answer["is_error"] is True
    assert told in result_text(answer)
    assert outcome.ended == "submitted"


@pytest.mark.parametrize(
    ("page", "told"),
    [
        ("<p>a</p><script>fetch('//evil')</script>", "scripts never run"),
        ("<p onclick=alert(1)>a</p>", "event handler"),
        ("<p>a</p><img src=https://evil.example/x.png>", "no images"),
        ("<p>a</p><a href=https://evil.example>b</a>", "leads outside"),
        ("<p>a</p><iframe src=x></iframe>", "no frames"),
        ("<p>a</p><style>@import url(//evil)</style>", "own style"),
        ("<p>a</p><base href=//evil>", "nothing from outside"),
        ("<p><fact-value ref='flights.rowz'></p>", "'rowz' was not measured there; measured: rows"),
        ("<p><fact-value ref='flight.rows'></p>", "did you mean 'flights'"),
        ("<p>a</p><fact-everything>", "the fact elements are"),
    ],
)
def test_a_hostile_or_mistaken_page_comes_back_with_the_reason(run: Run, page: str, told: str) -> None:
    facts = samples.flights()
    run.accept = lambda html: problems(html, facts, {})
    good = "<h2>What it is</h2><p><fact-value ref='flights.rows'> flights.</p>"
    outcome = run(submits("a", page), submits("b", good))
    assert run.sent(1)[0]["is_error"] is True
    assert told in result_text(run.sent(1)[0])
    assert outcome.html == good


def test_a_page_built_in_the_session_is_submitted_by_its_file(run: Run) -> None:
    outcome = run(
        uses(
            call(
                "a",
                "execute_python",
                code="from pathlib import Path; Path('page.html').write_text('<p>from a file</p>')",
            )
        ),
        uses(call("b", "submit_html", file="page.html")),
    )
    assert outcome.html == "<p>from a file</p>"


def test_a_turn_without_a_tool_is_asked_to_go_on(run: Run) -> None:
    outcome = run(Scripted(content=[text("I am done.")]), submits())
    assert run.sent(1)[0]["text"].startswith(loop.NUDGE)
    assert outcome.ended == "submitted"


def test_a_model_that_never_submits_has_given_up(run: Run) -> None:
    outcome = run(Scripted(content=[text("I am done.")]))
    assert outcome.ended == "gave_up"
    assert outcome.html is None
    assert outcome.steps == len(run.server.requests) == 4


def test_turns_without_a_tool_count_only_in_a_row(run: Run) -> None:
    says, works = Scripted(content=[text("Hm.")]), uses(call("a", "execute_python", code="1"))
    outcome = run(says, says, says, works, says, says, says, submits())
    assert outcome.ended == "submitted"


@pytest.mark.parametrize("empty", [[], [text("")], [text(" \n")], [thinking("cut", "")]])
def test_an_empty_reply_is_not_sent_back(run: Run, empty: list[Block]) -> None:
    run(Scripted(content=empty), submits())
    assert [message["role"] for message in run.server.bodies[1]["messages"]] == ["user", "user"]


def test_a_call_that_was_cut_off_is_answered_and_never_run(run: Run) -> None:
    cut = {"type": "tool_use", "id": "b", "name": "execute_python", "input": '{"code": "touched = 1'}
    whole = call("a", "execute_python", code="touched = 0")
    outcome = run(Scripted(content=[whole, cut], stop_reason="max_tokens"), submits())
    assert run.session.cells == []
    assert [(block["tool_use_id"], block["is_error"]) for block in run.sent(1)] == [("a", True), ("b", True)]
    assert CUT_OFF in result_text(run.sent(1)[0])
    assert outcome.ended == "submitted"


def test_a_text_that_was_cut_off_is_told_so(run: Run) -> None:
    run(Scripted(content=[text("So long")], stop_reason="max_tokens"), submits())
    assert "cut off" in run.sent(1)[0]["text"]


def test_a_paused_turn_is_sent_back_as_it_is(run: Run) -> None:
    run(Scripted(content=[text("Wait.")], stop_reason="pause_turn"), submits())
    assert run.server.bodies[1]["messages"][-1] == {"role": "assistant", "content": [text("Wait.")]}


def test_a_refusal_ends_the_run_and_says_why(run: Run) -> None:
    details = {"type": "refusal", "category": "cyber", "explanation": "Looks like an exploit."}
    outcome = run(Scripted(content=[text("I")], stop_reason="refusal", stop_details=details))
    assert (outcome.ended, outcome.reason, outcome.html) == ("refused", "Looks like an exploit.", None)


def test_a_call_in_a_refusal_is_not_run(run: Run) -> None:
    run(Scripted(content=[call("a", "execute_python", code="1")], stop_reason="refusal"))
    assert run.session.cells == []


def test_a_full_context_window_ends_the_run_without_running_its_call(run: Run) -> None:
    outcome = run(
        Scripted(content=[call("a", "execute_python", code="1")], stop_reason="model_context_window_exceeded")
    )
    assert outcome.ended == "budget"
    assert "context window" in outcome.reason
    assert run.session.cells == []


def test_an_unknown_stop_reason_runs_nothing_and_goes_on(run: Run) -> None:
    outcome = run(Scripted(content=[call("a", "execute_python", code="1")], stop_reason="new_reason"), submits())
    assert run.session.cells == []
    assert outcome.ended == "submitted"


def test_the_steps_of_the_budget_end_the_run(run: Run) -> None:
    outcome = run(uses(call("a", "execute_python", code="1")), limits=Limits(200_000, 5, 600))
    assert (outcome.ended, outcome.steps, outcome.html) == ("budget", 5, None)
    assert "5 steps" in outcome.reason


def test_the_tokens_of_the_budget_end_the_run_and_cached_ones_do_not_count(run: Run) -> None:
    usage = {"input_tokens": 100, "cache_read_input_tokens": 90_000, "output_tokens": 300}
    outcome = run(uses(call("a", "execute_python", code="1"), usage=usage), limits=Limits(1_000, 40, 600))
    assert (outcome.ended, outcome.steps) == ("budget", 3)
    assert outcome.usage.cache_read == 270_000
    assert "1,000 tokens" in outcome.reason


def test_the_minutes_of_the_budget_end_the_run(run: Run) -> None:
    limits = Limits(200_000, 1000, 0.4)
    outcome = run(uses(call("a", "execute_python", code="import time; time.sleep(0.1)")), limits=limits)
    assert outcome.ended == "budget"
    assert "minutes" in outcome.reason
    assert outcome.steps < 10


def test_a_cell_may_not_run_longer_than_the_budget(run: Run) -> None:
    run(uses(call("a", "execute_python", code="1")), submits(), limits=Limits(200_000, 40, 60))
    assert 1 <= run.session.timeouts[0] <= 60


def test_the_model_is_told_what_is_left_inside_the_last_result(run: Run) -> None:
    run(uses(call("a", "execute_python", code="1"), call("b", "execute_python", code="2")), submits())
    first, last = run.sent(1)
    assert "budget left" not in result_text(first)
    assert "[budget left: 39 of 40 steps, 199,985 of 200,000 tokens" in last["content"][-1]["text"]
    assert loop.SUBMIT_NOW not in result_text(last)


@pytest.mark.parametrize("limits", [Limits(200_000, 4, 600), Limits(18, 40, 600)])
def test_near_the_end_the_page_is_asked_for(run: Run, limits: Limits) -> None:
    run(uses(call("a", "execute_python", code="1")), submits(), limits=limits)
    assert loop.SUBMIT_NOW in result_text(run.sent(1)[0])


def test_a_long_output_is_cut_in_its_middle_and_the_cut_is_named(run: Run) -> None:
    run(uses(call("a", "execute_python", code="print('head' + 'x' * 50_000 + 'tail')")), submits())
    shown = result_text(run.sent(1)[0])
    assert len(shown) <= 20_000
    assert shown.startswith("head")
    assert "tail" in shown
    assert "characters cut" in shown


def test_many_long_reasons_stay_within_a_result(run: Run) -> None:
    run.accept = lambda html: [] if html == PAGE else ["reason " * 20] * 1000
    run(submits("a", "<p>"), submits("b"))
    assert len(result_text(run.sent(1)[0])) <= 20_000


def test_a_lone_surrogate_in_an_output_does_not_end_the_run(run: Run) -> None:
    outcome = run(uses(call("a", "execute_python", code="print('a' + chr(0xd800) + 'b')")), submits())
    assert "a?b" in result_text(run.sent(1)[0])
    assert outcome.ended == "submitted"


def test_outputs_and_reasons_are_masked_before_the_model_or_the_record_sees_them(run: Run) -> None:
    run.clean = lambda text: text.replace("ann@example.org", "***")
    run(
        uses(call("a", "execute_python", code="'ann@' + 'example.org'")),
        uses(call("b", "execute_python", code="raise ValueError('ann@' + 'example.org')")),
        submits(),
    )
    assert "***" in result_text(run.sent(1)[0])
    for place in (run.transcript.lines(), run.transcript.script(), *(r.raw.decode() for r in run.server.requests)):
        assert "ann@example.org" not in place


def test_a_page_is_masked_in_its_text_and_keeps_its_references(run: Run) -> None:
    run.clean = lambda text: text.replace("ann@example.org", "***")
    page = "<p>Write to ann@example.org, <fact-value ref='\"ann@example.org\".rows'>, or < ann@example.org >.</p>"
    html = run(submits("a", page)).html or ""
    assert html == page.replace("to ann@example.org", "to ***").replace("< ann@example.org >", "< *** >")


def test_a_page_is_masked_as_its_reader_sees_it(run: Run) -> None:
    run.clean = lambda text: text.replace("ann@example.org", "***")
    html = run(submits("a", "<p>R&amp;D: ann&#64;example.&#x6f;rg &lt;b&gt;</p><p>A &amp; B</p>")).html or ""
    assert html == "<p>R&amp;D: *** &lt;b&gt;</p><p>A &amp; B</p>"


def test_a_dead_sandbox_fails_the_run(run: Run) -> None:
    run.session.gone = True
    with pytest.raises(SandboxError):
        run(uses(call("a", "execute_python", code="1")))


def test_a_refused_key_fails_the_run(run: Run) -> None:
    with pytest.raises(ModelError, match="ANTHROPIC_API_KEY"):
        run(fails(401, "authentication_error"))


def test_a_broken_stream_in_the_middle_of_a_run_is_mended_unseen(run: Run) -> None:
    works = uses(call("a", "execute_python", code="1"))
    outcome = run(works, Scripted(content=[text("x" * 100)], cut_after=4), fails(529), submits())
    assert outcome.ended == "submitted"
    assert outcome.steps == 2


def test_one_request_a_turn_and_no_others(run: Run) -> None:
    run(uses(call("a", "execute_python", code="1")), submits())
    assert [request.body["messages"][-1]["role"] for request in run.server.requests] == ["user", "user"]
    assert len(run.server.requests) == 2
