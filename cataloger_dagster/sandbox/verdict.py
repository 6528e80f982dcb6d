"""What is said of a statement that is not let through, and its form between the two processes that talk of it."""

import json
from dataclasses import asdict, dataclass

STATEMENT_LIMIT = 1 << 19
"""Longest message with a statement that is looked at, in bytes; none that is longer is let through."""


@dataclass(frozen=True)
class Refusal:
    """Why a text is not let through.

    Attributes:
        code: an SQLSTATE.
        text: for the person or the model that wrote it.
        place: the character in the text that it is about, from 1; null for none.
        hint: what more is to know.
    """

    code: str
    text: str
    place: int | None = None
    hint: str | None = None


def pack(refusal: Refusal | None) -> bytes:
    """Return a verdict as bytes: null if the statement is let through."""
    return json.dumps(refusal and asdict(refusal)).encode()


def unpack(body: bytes) -> Refusal | None:
    """Return the verdict that ``pack`` made bytes of."""
    told = json.loads(body)
    return None if told is None else Refusal(**told)
