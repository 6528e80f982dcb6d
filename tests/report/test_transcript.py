"""The record of a run as a page: all of it is there, and none of it is more than text."""

from typing import Any

import pytest

from cataloger_dagster.agent.model import Reply, Usage
from cataloger_dagster.agent.tools import Answer, failure
from cataloger_dagster.agent.transcript import Transcript
from cataloger_dagster.report.safety import unsafe
from cataloger_dagster.report.transcript import transcript_page
from cataloger_dagster.sandbox.session import ExecutionResult

HOSTILE = "\n\n\r\n</pre></script><script>alert(1)</script><img src=x onerror=alert(1)> \x00\x07 \ud800 {message} {0}"


def use(identifier: str, name: str, **arguments: Any) -> dict[str, Any]:
    return {"type": "tool_use", "id": identifier, "name": name, "input": arguments}


def recorded(words: str = "hello") -> Transcript:
    transcript = Transcript()
    transcript.start("claude-x", f"system {words}", f"task {words}", {"tokens": 1, "steps": 40, "seconds": 2.0})
    transcript.note("waiting", 1, message=f"overloaded {words}")
    thinks = {"type": "thinking", "thinking": f"hm {words}", "signature": "s"}
    says = {"type": "text", "text": f"I look. {words}"}
    calls = [use("a", "execute_python", code=f"print(1) # {words}"), use("b", "execute_python", code="2")]
    transcript.reply(1, Reply([thinks, says, *calls], "tool_use", Usage(1000, 20, 3, 4)), 1.5)
    output = {"type": "text", "text": f"<output-1>{words}</output-1>"}
    block = {"type": "tool_result", "tool_use_id": "a", "content": [output, {"type": "text", "text": "[budget left]"}]}
    transcript.ran(1, Answer(block, f"1 {words}", cell=ExecutionResult("1", False, None, 0.2, True)))
    transcript.results(1, [block, failure("b", f"Not run. {words}")])
    transcript.note("cache_missed", 2, tokens=1234)
    transcript.reply(2, Reply([use("s", "submit_html", content=f"<p>{words}</p>")], "tool_use", Usage(output=7)), 2.5)
    transcript.ran(2, Answer(failure("s", f"The page is bad {words}"), f"The page is bad {words}"))
    transcript.results(2, [failure("s", "The page is bad")])
    transcript.reply(3, Reply([{"type": "redacted_thinking", "data": "x"}], "refusal", Usage(), words), 0.5)
    transcript.end("refused", f"The model refused to go on ({words}).", 3, Usage(1000, 20, 3, 11))
    return transcript


def page(words: str = "hello") -> str:
    return transcript_page("shop", "catalog", "2026-01-15T10:00:00.123Z", "claude-x", recorded(words).events)


@pytest.mark.parametrize(
    "shown",
    [
        "system hello", "task hello", "Waited for the server: overloaded hello.", "hm hello", "I look. hello",
        "print(1) # hello", "1 hello", "[budget left]", "Not run. hello", "1,234 tokens were processed again",
        "&lt;p&gt;hello&lt;/p&gt;", "The page is bad hello", "The reply ended with refusal. hello", "of 40",
        'href="catalog.html"', "1. 2 cells", "2. a page", "3. words", "claude-x",
    ],
)  # fmt: skip
def test_everything_of_the_run_is_on_the_page(shown: str) -> None:
    assert shown in page()


def test_each_thing_stands_there_once() -> None:
    html = page()
    assert html.count("1 hello") == 1
    assert html.count("&lt;output-1") == 0


def test_what_a_model_or_a_database_wrote_is_text() -> None:
    html = page(HOSTILE)
    assert unsafe(html) == []
    assert "<img" not in html
    assert "alert(1)" in html


def test_a_record_without_an_end_or_a_beginning_is_shown_as_far_as_it_goes() -> None:
    events = [event for event in recorded().events if event["event"] not in ("start", "end")]
    html = transcript_page("shop", "summary", "2026-01-15T10:00:00.123Z", "m", events[:1])
    assert unsafe(html) == []
    assert "Waited" not in html
    assert "I look" in transcript_page("shop", "summary", "2026-01-15T10:00:00.123Z", "m", events)
