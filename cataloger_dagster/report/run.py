"""What a page says about its own making: which kind it is, and the run. Facts, prose and markup are not here."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

PageKind = Literal["catalog", "summary"]
"""The pages of one database."""

Kind = PageKind | Literal["overview"]
"""What a model writes, the page over all databases included."""

Narrative = Literal["full", "partial"]
"""Whether the model's text is there, or the model ended before its page was taken."""


@dataclass(frozen=True)
class Run:
    """One run for one database.

    Attributes:
        snapshot: the time of the snapshot, as the store names it (``2026-01-15T10:00:00.123Z``).
        scheduled: the time the run was meant for, if a schedule asked for it.
        model: who wrote the prose: a model's name, or ``offline``.
        narrative: ``partial`` when the model ended before its page was taken.
        usage: tokens by kind (``input``, ``cache_read``, ``output``).
        previous: the snapshot before, with which changes were counted.
        notes: what a reader must know of the run, such as rights that its role should not have.
        context: what the owners say of the database in ``databases.yaml``.
    """

    database: str
    snapshot: str
    scheduled: str | None = None
    model: str = "offline"
    narrative: Narrative = "full"
    usage: Mapping[str, int] = field(default_factory=dict)
    steps: int = 0
    seconds: float = 0.0
    run_id: str | None = None
    previous: str | None = None
    notes: tuple[str, ...] = ()
    context: str | None = None

    @property
    def tokens(self) -> int:
        """What was processed for the first time: all but what was read from the cache."""
        return sum(tokens for kind, tokens in self.usage.items() if kind != "cache_read")
