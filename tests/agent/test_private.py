"""The gate between a run and its model: what passes unchanged, what is masked, what is left out."""

from collections.abc import Sequence

import pytest

from cataloger_dagster.agent.model import Block, Message, Reply
from cataloger_dagster.agent.private import NOTE, PrivateModel
from cataloger_dagster.privacy import Mask
from tests.messages_server import call, text, thinking

REDACTED = {"type": "redacted_thinking", "data": "ZW5jcnlwdGVk"}


class Says:
    """A model that says *content*, and keeps what it was sent."""

    name = "says"

    def __init__(self, *content: Block) -> None:
        self.content = list(content)
        self.sent: list[Message] = []

    def reply(self, *, system: str, tools: Sequence[Block], messages: Sequence[Message]) -> Reply:
        self.sent = list(messages)
        return Reply(self.content, "tool_use")


def passed(*content: Block) -> list[Block]:
    """Return what of a reply comes through."""
    return PrivateModel(Says(*content), Mask("masked")).reply(system="S", tools=[], messages=[]).content


def test_a_reply_without_personal_data_passes_unchanged() -> None:
    content = [thinking("Let me count."), REDACTED, text("I look."), call("a", "execute_python", code="1 + 1")]
    assert passed(*content) == content


@pytest.mark.parametrize("code", ["# ann@example.org", "con.sql(\"SELECT 1 WHERE mail = 'ann@example.org'\")"])
def test_a_call_that_names_personal_data_is_masked_and_the_model_told(code: str) -> None:
    note, masked = passed(call("a", "execute_python", code=code))
    assert note == text(NOTE)
    assert masked == call("a", "execute_python", code=code.replace("ann@example.org", "aaa@aaaaaaa.aaa"))


def test_signed_thinking_that_names_personal_data_is_left_out_and_never_changed() -> None:
    assert passed(thinking("It is ann@example.org."), text("Ask ann@example.org.")) == [text("Ask aaa@aaaaaaa.aaa.")]


def test_what_is_sent_is_masked_and_what_the_model_said_goes_back_as_it_came() -> None:
    model = Says(text("Good."))
    said = {"role": "assistant", "content": [thinking("Hm."), call("a", "execute_python", code="1")]}
    result = {"type": "tool_result", "tool_use_id": "a", "content": [text("ann@example.org")]}
    task = {"role": "user", "content": [text("About ann@example.org.")]}
    PrivateModel(model, Mask("masked")).reply(
        system="S", tools=[], messages=[task, said, {"role": "user", "content": [result]}]
    )
    assert model.sent[0]["content"] == [text("About aaa@aaaaaaa.aaa.")]
    assert model.sent[1] == said
    assert model.sent[2]["content"] == [result | {"content": [text("aaa@aaaaaaa.aaa")]}]
