"""The playbook, a model that needs no server: it works through the same tools, by rule.

Its next step follows from the messages alone, so a run replayed from its record goes the same way. The words
it writes are made in the session, by the kit's ``prose``; here are only the cells that ask for them.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from cataloger_dagster.agent.model import Block, Message, Reply
from cataloger_dagster.prompts import marker

FILE = "page.html"


@dataclass(frozen=True)
class _Step:
    say: str
    tool: str
    argument: str
    value: str


def _cell(say: str, code: str) -> _Step:
    return _Step(say, "execute_python", "code", code.strip())


_SUBMIT = _Step("The page is written; I hand it in.", "submit_html", "file", FILE)

_CATALOG = [
    _cell("First, what was measured.", "facts"),
    _cell(
        "The facts raise questions that they do not answer. I ask the database, and note each answer as evidence.",
        """
import time
from cataloger_sandbox.questions import questions

began = time.monotonic()
for question in questions(facts):
    if con is None or time.monotonic() - began > 60:
        break
    try:
        print(fact(question.id, question.sql, question.note), "=", question.note)
    except Exception as error:
        print("not answered:", question.note, "-", type(error).__name__, str(error).splitlines()[:1])
""",
    ),
    _cell("Now the page, from the facts and these answers.", f"page.save(page.draft(), {FILE!r})"),
    _SUBMIT,
]
_SUMMARY = [
    _cell("First, which snapshots there are, and what changed between them.", "print(history)\nchanges"),
    _cell("Now the page, from these changes.", f"page.save(page.summary(), {FILE!r})"),
    _SUBMIT,
]
_OVERVIEW = [
    _cell("First, what there is, and what was found in it.", "print(databases)\ndatabases.findings"),
    _cell("Now the text over all of them.", f"page.save(page.overview(), {FILE!r})"),
    _SUBMIT,
]
_UNCITED = [
    _cell(
        "It was refused, perhaps for an answer that must not be shown. I write it without them.",
        f"page.save(page.draft(noted=False), {FILE!r})",
    ),
    _SUBMIT,
]
_REFUSED = [
    _cell(
        "It was refused. I fall back to what was measured, without words about it.",
        f"page.save(page.minimal(), {FILE!r})",
    ),
    _SUBMIT,
]


class Playbook:
    """Writes a catalog, a summary or an overview by rule; deterministic, and free."""

    name = "offline"

    def reply(self, *, system: str, tools: Sequence[Block], messages: Sequence[Message]) -> Reply:  # noqa: ARG002
        """Return the next step; when even the least page is refused, say so and stop."""
        taken = sum(message["role"] == "assistant" for message in messages)
        steps = _steps(messages)
        if taken >= len(steps):
            said: Block = {"type": "text", "text": "Every page was refused; there is nothing else I can write."}
            return Reply([said], "end_turn")
        step = steps[taken]
        call: Block = {
            "type": "tool_use",
            "id": f"call_{taken + 1}",
            "name": step.tool,
            "input": {step.argument: step.value},
        }
        return Reply([{"type": "text", "text": step.say}, call], "tool_use")


def _steps(messages: Sequence[Message]) -> list[_Step]:
    """Return the steps for the task that the first message names; the way back is there for when it is needed."""
    first = "".join(block.get("text", "") for block in messages[0]["content"])
    if first.startswith(marker("overview")):
        return _OVERVIEW  # nothing was measured for it: there is no lesser page to fall back to
    own = _SUMMARY if first.startswith(marker("summary")) else [*_CATALOG, *_UNCITED]
    return [*own, *_REFUSED]
