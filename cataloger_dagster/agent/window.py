"""Making room in a conversation that has outgrown the model's context window.

Old results are shortened in one step, so that the server caches the shorter beginning once and reads it from
then on. It follows from the messages alone: a run that goes on from its record shortens the same.
"""

from cataloger_dagster.agent.model import Block, Message
from cataloger_dagster.agent.tools import shorten, with_note

KEPT_WHOLE = (4, 1)
"""How many of the last messages of results stay whole: as many of them as leaves enough room."""

SHORT = 600
"""How many characters of an older result stay."""

WORTHWHILE = 0.2
"""Which share of the results must go for another try to be worth its cost."""

NOTE = (
    "[The conversation had outgrown your context window: all but the newest results were shortened to their beginnings "
    "and ends. Variables are kept; print again what you need, and less of it.]"
)


def shortened(messages: list[Message]) -> list[Message] | None:
    """Return *messages* with their older results shortened, or null where that would gain too little."""
    places = [place for place, message in enumerate(messages) if _results(message)]
    whole = sum(_size(messages[place]) for place in places)
    for kept in KEPT_WHOLE:
        old = set(places[:-kept])
        smaller = [_short(message) if place in old else message for place, message in enumerate(messages)]
        if whole and sum(_size(smaller[place]) for place in places) <= whole * (1 - WORTHWHILE):
            last = places[-1]
            smaller[last] = {**smaller[last], "content": with_note(smaller[last]["content"], NOTE)}
            return smaller
    return None


def _results(message: Message) -> bool:
    return any(block["type"] == "tool_result" for block in message["content"])


def _short(message: Message) -> Message:
    return {**message, "content": [_short_block(block) for block in message["content"]]}


def _short_block(block: Block) -> Block:
    if block["type"] != "tool_result":
        return block
    return {**block, "content": [{**item, "text": shorten(item["text"], SHORT)} for item in block["content"]]}


def _size(message: Message) -> int:
    return sum(
        len(item["text"]) for block in message["content"] if block["type"] == "tool_result" for item in block["content"]
    )
