"""What a run takes and what is left of its budget, told so that the model can plan with it."""

from dataclasses import dataclass
from time import monotonic

from cataloger_dagster.agent.model import Usage

SUBMIT_NOW = (
    "The budget is nearly used up: submit the page now. "
    "Tables and columns you leave out are added from the facts; no page at all is worse than a short one."
)
LAST = "The budget is used up. This is your last reply: submit the page in it."

LEAST_CELL = 10.0
"""How long a cell may always run, in seconds: the last ones build the page."""

CACHEABLE = 4096
"""From how many tokens on every model's server caches; shorter beginnings some don't."""


@dataclass(frozen=True)
class Limits:
    """What a run may take: tokens processed for the first time, steps (one request each), seconds."""

    tokens: int
    steps: int
    seconds: float


class Meter:
    """Counts what a run took against its limits, and what its server should have read from the cache and did not."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.usage = Usage()
        self.steps = 0
        self.missed = 0
        self._cached = 0
        self._asked = self._last = False
        self._began = monotonic()

    def lose(self, usage: Usage) -> None:
        """Count what a request cost that failed."""
        self.usage += usage

    def count(self, usage: Usage, earlier: float = 0.0) -> int:
        """Count one reply, and return how many tokens of it the cache should have held and did not.

        *earlier* are the seconds it took if it was not in this process. The server holds what the request before had
        as its input; a tenth may be missing, since it looks for whole blocks.
        """
        self._last = self._asked or bool(self.spent())
        self.steps += 1
        self.usage += usage
        self._began -= earlier
        took = usage.whole_input
        if not took:  # the server took nothing in, or does not count
            return 0
        missed = self._cached - usage.cache_read if usage.cache_read < 0.9 * self._cached else 0
        self.missed += missed
        self._cached = took if took >= CACHEABLE else 0
        return missed

    def begin_anew(self) -> None:
        """Note that the conversation has another beginning now, which no cache holds."""
        self._cached = 0

    def time_left(self) -> float:
        """Return the seconds left."""
        return self.limits.seconds - (monotonic() - self._began)

    def cell_seconds(self) -> float:
        """Return how long a cell may run."""
        return max(LEAST_CELL, self.time_left())

    def spent(self) -> str:
        """Return which limit is reached, as a sentence; empty while none is."""
        if self.usage.first_time >= self.limits.tokens:
            return f"The budget of {self.limits.tokens:,} tokens is used up."
        if self.steps >= self.limits.steps:
            return f"The budget of {self.limits.steps} steps is used up."
        if self.time_left() <= 0:
            return f"The budget of {self.limits.seconds / 60:g} minutes is used up."
        return ""

    def may_go_on(self) -> bool:
        """Say whether there is another request: while nothing is used up, and one more that asks for the page.

        Tokens and time may be used up all at once, before the page was asked for; steps are counted down.
        """
        return not self.spent() or (self.steps < self.limits.steps and not self._last)

    def note(self) -> str:
        """Return what is left, for the model to read; near the end, with the request for the page."""
        steps = max(0, self.limits.steps - self.steps)
        tokens = max(0, self.limits.tokens - self.usage.first_time)
        seconds = max(0.0, self.time_left())
        note = (
            f"[budget left: {steps} of {self.limits.steps} steps, {tokens:,} of {self.limits.tokens:,} tokens, "
            f"{seconds / 60:.0f} of {self.limits.seconds / 60:g} minutes]"
        )
        near = steps <= 3 or tokens < self.limits.tokens / 5 or seconds < self.limits.seconds / 5
        if not near:
            return note
        self._asked = True
        return f"{note}\n{LAST if self.spent() or steps == 1 else SUBMIT_NOW}"
