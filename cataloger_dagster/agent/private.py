"""The gate between a run and its model: nothing unmasked goes out, and what comes back is masked before it is seen.

A model that was shown masked text alone writes nothing that must not be seen but by guessing, or from what it read in a
prompt. Its reply is masked all the same as it arrives, so what is recorded, what is run and what is sent back are one.
"""

from collections.abc import Sequence
from dataclasses import replace

from cataloger_dagster.agent.model import Block, Message, Model, Reply
from cataloger_dagster.privacy import Mask

NOTE = "[Personal data or a secret in the next call was masked before it ran; use conditions that need no such value.]"


class PrivateModel:
    """*model*, with *mask* over all that it is sent and all that it replies."""

    def __init__(self, model: Model, mask: Mask) -> None:
        self.name = model.name
        self._model = model
        self._mask = mask
        self._masked: dict[str, str] = {}

    def reply(self, *, system: str, tools: Sequence[Block], messages: Sequence[Message]) -> Reply:
        """Return the reply of the model, masked; see ``Model``."""
        sent = [self._message(message) for message in messages]
        reply = self._model.reply(system=self._text(system), tools=tools, messages=sent)
        return replace(reply, content=self._content(reply.content), detail=self._mask(reply.detail))

    def _message(self, message: Message) -> Message:
        if message["role"] == "assistant":
            return message  # masked when it came; thinking goes back as it was signed
        return {**message, "content": [self._block(block) for block in message["content"]]}

    def _block(self, block: Block) -> Block:
        if block["type"] == "tool_result":
            return {**block, "content": [self._block(item) for item in block["content"]]}
        return {**block, "text": self._text(block["text"])} if block["type"] == "text" else block

    def _text(self, text: str) -> str:
        # A request holds all of the one before: what was masked once is not looked at again.
        if text not in self._masked:
            self._masked[text] = self._mask(text)
        return self._masked[text]

    def _content(self, content: list[Block]) -> list[Block]:
        kept: list[Block] = []
        for block in content:
            if block["type"] == "tool_use":
                masked = {**block, "input": self._arguments(block["input"])}
                kept += [masked] if masked == block else [{"type": "text", "text": NOTE}, masked]
            elif block["type"] == "thinking":
                # It is signed: it can be left out, but not changed.
                kept += [block] if self._mask(block.get("thinking") or "") == (block.get("thinking") or "") else []
            else:
                kept.append({**block, "text": self._mask(block["text"])} if block["type"] == "text" else block)
        return kept

    def _arguments(self, arguments: object) -> object:
        if isinstance(arguments, dict) and isinstance(arguments.get("content"), str):
            arguments = {**arguments, "content": self._mask.page(arguments["content"])}
        return self._mask.data(arguments)
