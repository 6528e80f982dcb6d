"""What became of a model's words: sections, prose for tables and columns, and the claims that they show.

How it is read from what the model wrote is ``narrative.py``'s; how it stands on a page, ``catalog.py``'s and
``summary.py``'s.
"""

from dataclasses import dataclass, field

from markupsafe import Markup

from cataloger_dagster.facts import Claim


@dataclass(frozen=True)
class Place:
    """Where the page fills in more than a value: ``table``, ``relations`` or ``findings``, and of which table."""

    kind: str
    table: str | None = None


Part = Markup | Place


@dataclass(frozen=True)
class Section:
    """A part of the page under one heading; ``key`` says which of the page's own sections it is, if any."""

    key: str | None
    title: Markup
    parts: list[Part] = field(default_factory=list)
    ids: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Prose:
    """What a model wrote, ready for the page.

    Attributes:
        lede: the sentence before the first heading.
        sections: in the model's order.
        meanings: prose for a column's row, by table and column.
        purposes: prose for the head of a table's section.
        claims: what the prose shows, by reference.
        about: the first sentence on what the database is, as plain text.
        measured: numbers that are claims.
        unmeasured: numbers that nobody measured, each marked.
    """

    lede: Markup | None = None
    sections: list[Section] = field(default_factory=list)
    meanings: dict[tuple[str, str], Markup] = field(default_factory=dict)
    purposes: dict[str, Markup] = field(default_factory=dict)
    claims: dict[str, Claim] = field(default_factory=dict)
    about: str | None = None
    measured: int = 0
    unmeasured: int = 0
