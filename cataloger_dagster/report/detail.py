"""How much of what was measured a page shows: all of it, or less and less where it would grow too large to be read.

A page that shows less says so in its appendix. What a data block leaves out, and in which order, is ``block.py``'s.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from cataloger_dagster.facts import Facts

LARGEST = 10_000_000
"""Bytes that a page may have: some 13,000 columns fit. One that is larger at the least detail is written as it is."""


@dataclass(frozen=True)
class Detail:
    """How much a page shows.

    Attributes:
        charts: whether each column has its distribution drawn.
        values: how many of a column's most frequent values stand in its row.
        query: so many characters of a query are shown; null for the whole.
        fields: whether the Croissant description in the page lists every column.
        members: how many of the tables that have one and the same finding are listed with it.
        spread: whether a column's row tells its median, quartiles and mean, or its lengths.
        links: whether each number of a column leads to its query by itself; else its table's number of rows does.
        listed: how many references, and how many places of each kind of exception, are listed by name.
        text: how many characters of a comment are shown.
        block: how many characters the data block may have before it leaves out what is optional.
        steps: in how many steps it may do so: what the page shows is in its block.
    """

    charts: bool = True
    values: int = 4
    query: int | None = None
    fields: bool = True
    members: int = 500
    spread: bool = True
    links: bool = True
    listed: int = 5_000
    text: int = 10_000
    block: int = 5_000_000
    steps: int = 1

    def shown(self, sql: str) -> str:
        """Return what is shown of a query."""
        return sql if self.query is None or len(sql) <= self.query else sql[: self.query].rstrip() + " …"

    def cut(self, text: str) -> str:
        """Return what is shown of a comment."""
        return text if len(text) <= self.text else text[: self.text].rstrip() + " …"

    def left_out(self) -> list[str]:
        """Return in sentences what the page does not show."""
        said = []
        if not self.charts:
            said.append("The columns' distributions are not drawn.")
        if not self.values:
            said.append("The columns' most frequent values are not listed.")
        if self.query is not None:
            said.append(f"Of a query, the first {self.query:,} characters are shown.")
        if self.members < Detail.members:
            said.append(f"Of the tables that have the same finding, the first {self.members:,} are listed with it.")
        if not self.spread:
            said.append("Medians, quartiles and lengths of texts are left out; means stand in the data block alone.")
        if not self.links:
            said.append("The numbers of a table's columns lead to no query of their own: its number of rows does.")
        if self.listed < Detail.listed:
            said.append(f"Of the references, and of each kind of exception, {self.listed:,} are listed.")
        if self.text < Detail.text:
            said.append(f"Of a comment, the first {self.text:,} characters are shown.")
        if not self.fields:
            said.append("The Croissant description in the page names the tables alone.")
        return said


LEVELS = (
    Detail(),
    Detail(query=1_200),
    Detail(query=600, fields=False, values=3, members=200, listed=2_000, steps=2),
    Detail(
        query=300, fields=False, values=2, charts=False, members=50, listed=1_000, text=500, block=4_200_000, steps=2,
    ),
    Detail(
        query=200, fields=False, values=0, charts=False, members=20, listed=500, text=200, block=3_500_000, steps=3,
    ),
    Detail(
        query=60, fields=False, values=0, charts=False, members=5, spread=False, links=False, listed=200, text=100,
        block=0, steps=4,
    ),
)  # fmt: skip
SUMMARY_LEVELS = tuple(
    Detail(query=query, members=members, listed=listed, steps=4)
    for query, members, listed in ((None, 500, 5_000), (1_200, 500, 5_000), (300, 50, 1_000), (60, 5, 200))
)
"""Of a summary, which has no columns; its block may leave out what the catalog's has."""
_COLUMN = (1_500, 1_500, 1_200, 900, 0, 0)
"""What a column is likely to take at each level, in bytes, in the page and in its block, beside the queries."""


def levels(facts: Facts) -> Iterator[Detail]:
    """Yield the levels of detail to try for a page of *facts*, the fullest that is likely to fit first."""
    columns = sum(len(table.columns) for table in facts.tables)
    lengths = [len(query.sql) for query in facts.queries]
    for detail, column in zip(LEVELS, _COLUMN, strict=True):
        shown = sum(min(length, detail.query or length) for length in lengths)
        if columns * column + sum(lengths) + shown <= LARGEST or detail is LEVELS[-1]:
            yield detail
