"""The seam between the loop and a model: one request in, one reply out, in the Messages wire format.

The Claude model is in ``claude``, the offline one in ``playbook``; when a request is made again is ``outages``'s.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from cataloger_dagster.errors import ModelError

Block = dict[str, Any]
"""A content block as it stands in the Messages wire format."""

Message = dict[str, Any]
"""``{"role": "user" | "assistant", "content": [Block, …]}``."""


@dataclass(frozen=True)
class Usage:
    """Tokens of one or more requests. Total input is ``input + cache_write + cache_read``."""

    input: int = 0
    cache_write: int = 0
    cache_read: int = 0
    output: int = 0

    @property
    def whole_input(self) -> int:
        """All of the input, however it was processed."""
        return self.input + self.cache_write + self.cache_read

    @property
    def first_time(self) -> int:
        """Tokens processed for the first time, which is what ``budget.tokens`` counts."""
        return self.input + self.cache_write + self.output

    def __add__(self, other: "Usage") -> "Usage":
        return Usage(
            self.input + other.input,
            self.cache_write + other.cache_write,
            self.cache_read + other.cache_read,
            self.output + other.output,
        )


@dataclass(frozen=True)
class Reply:
    """A model's reply: its content blocks unchanged (thinking included), why it stopped, what it cost.

    ``detail`` is what the server says about a refusal, or about a conversation that it does not take.
    """

    content: list[Block]
    stop_reason: str | None
    usage: Usage = field(default_factory=Usage)
    detail: str = ""


class Unavailable(ModelError):
    """A request failed in a way that the next may not.

    ``wait`` is how many seconds the server asks to wait, null where it does not say; ``usage`` what it cost.
    """

    def __init__(self, message: str, wait: float | None = None, usage: Usage | None = None) -> None:
        super().__init__(message)
        self.wait = wait
        self.usage = usage or Usage()


class Rejected(ModelError):
    """The server does not take this conversation, and would not if it were sent again; ``too_long`` says why."""

    def __init__(self, message: str, too_long: bool = False) -> None:
        super().__init__(message)
        self.too_long = too_long


class Model(Protocol):
    """Answers one request. ``name`` is what the page says it was written by."""

    name: str

    def reply(self, *, system: str, tools: Sequence[Block], messages: Sequence[Message]) -> Reply:
        """Return the reply to *messages*.

        Raises:
            Unavailable: the server failed in passing.
            Rejected: it does not take these *messages*.
            ModelError: it refused for good: credentials, rights, billing, an unknown model.
        """
