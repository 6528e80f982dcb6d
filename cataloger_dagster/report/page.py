"""The finished page, as it goes to the store: its HTML, its data block and the count of its numbers."""

from dataclasses import dataclass
from typing import Generic, TypeVar

from cataloger_dagster.report.block import Block

B = TypeVar("B", bound=Block | None, covariant=True)


@dataclass(frozen=True)
class Page(Generic[B]):
    """A complete HTML page.

    Attributes:
        block: the data block it carries; an overview, which is of no one database, has none.
        measured: numbers in the prose that are claims.
        unmeasured: numbers in the prose that nobody measured; each is marked on the page.
    """

    html: str
    block: B
    measured: int = 0
    unmeasured: int = 0
