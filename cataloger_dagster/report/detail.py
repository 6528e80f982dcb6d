"""How much of what was measured a page shows: all of it, or less and less where it would grow too large to be read.

A page that shows less says so in its appendix. What a data block leaves out, and in which order, is ``block.py``'s;
but of findings that very many tables have both list the same.
"""

from collections.abc import Iterable, Iterator, Sequence, Set
from dataclasses import dataclass

from cataloger_dagster.facts import Change, Claim, Facts, Finding, Unlisted

IDS = 4_000
"""Of so many findings of single tables that are not listed the ids are told, so that they are known again."""

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
        members: how many places are listed with the findings that many tables have, with all of them together.
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
    members: int = 4_000
    spread: bool = True
    links: bool = True
    listed: int = 5_000
    text: int = 10_000
    block: int = 5_000_000
    steps: int = 1

    def listing(self, facts: Facts, cited: Set[str]) -> Facts:
        """Return *facts* with so many members of its findings, and without the queries of those left out.

        Those that have the most lose the most; the gravest stay. *cited* are queries that stay in any case.
        """
        sizes = [len(finding.members) for finding in facts.findings if finding.members]
        if sum(sizes) <= self.members:
            return facts
        each = _share(sizes, self.members)
        findings = [_with_members(finding, each) for finding in facts.findings]
        left_out = [part for finding in facts.findings for part in finding.members[each:]]
        used = {part.query for finding in findings for part in (finding, *finding.members)} | cited
        used |= {query for table in facts.tables for query in table.queries}
        used |= {reference.query for reference in facts.references if reference.query}
        used |= {dependency.query for dependency in facts.dependencies}
        dropped = {part.query for part in left_out} - used
        coverage = facts.coverage
        return facts.model_copy(
            update={
                "findings": findings,
                "queries": [query for query in facts.queries if query.id not in dropped],
                "coverage": coverage.model_copy(update={"unlisted": [*coverage.unlisted, *_unlisted(left_out)]}),
            }
        )

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
    Detail(query=600, fields=False, values=3, members=3_000, listed=2_000, steps=2),
    Detail(
        query=300, fields=False, values=2, charts=False, members=2_000, listed=1_000, text=500, block=4_200_000,
        steps=2,
    ),
    Detail(
        query=200, fields=False, values=0, charts=False, members=1_000, listed=500, text=200, block=3_500_000, steps=3,
    ),
    Detail(
        query=60, fields=False, values=0, charts=False, members=200, spread=False, links=False, listed=200, text=100,
        block=0, steps=4,
    ),
)  # fmt: skip
SUMMARY_LEVELS = tuple(
    Detail(query=query, members=members, listed=listed, steps=4)
    for query, members, listed in ((None, 4_000, 5_000), (1_200, 4_000, 5_000), (300, 1_000, 1_000), (60, 200, 200))
)
"""Of a summary, which has no columns; its block may leave out what the catalog's has."""
_COLUMN = (1_500, 1_500, 1_200, 900, 0, 0)
"""What a column is likely to take at each level, in bytes, in the page and in its block, beside the queries."""

_MEMBER = 600
"""What a place of a finding that many tables have is likely to take, beside its query."""


def levels(facts: Facts, cited: Set[str] = frozenset()) -> Iterator[tuple[Detail, Facts]]:
    """Yield the levels of detail to try for a page of *facts*, and what is listed of these, the fullest first.

    Levels that are not likely to fit are passed over. *cited* are queries that something else on the page leads to.
    """
    columns = sum(len(table.columns) for table in facts.tables)
    said = [comment for table in facts.tables for comment in (table.comment, *(each.comment for each in table.columns))]
    comments = [len(comment) for comment in said if comment]
    for detail, column in zip(LEVELS, _COLUMN, strict=True):
        listed = detail.listing(facts, cited)
        members = sum(len(finding.members) for finding in listed.findings)
        lengths = [len(query.sql) for query in listed.queries]
        shown = sum(min(length, detail.query or length) for length in lengths)
        # Cut in their places, whole in the block, and in the Croissant description where that has them.
        told = sum(min(length, detail.text) for length in comments) + sum(comments) * (1 + detail.fields)
        likely = columns * column + members * _MEMBER + sum(lengths) + shown + told
        if likely <= LARGEST or detail is LEVELS[-1]:
            yield detail, listed


def cited_queries(claims: Iterable[Claim], changes: Iterable[Change]) -> set[str]:
    """Return the queries that prose and changes lead to."""
    return {claim.query for claim in claims} | {change.query for change in changes if change.query}


def _with_members(finding: Finding, most: int) -> Finding:
    kept = finding.members[:most]
    tables = {part.table for part in finding.members} - {part.table for part in kept}
    left_out = len(finding.members) - len(kept)
    update = {
        "members": kept,
        "members_left_out": finding.members_left_out + left_out,
        "tables_left_out": finding.tables_left_out + len(tables),
    }
    return finding.model_copy(update=update) if left_out else finding


def _share(sizes: Sequence[int], most: int) -> int:
    """Return how much of each may be taken, at least one, so that of all together at most *most* is."""
    for number, size in enumerate(sorted(sizes)):
        others = len(sizes) - number
        if size * others > most:
            return max(1, most // others)
        most -= size
    return max(sizes, default=1)


def _unlisted(left_out: Sequence[Finding]) -> list[Unlisted]:
    """Return what is not listed, kind by kind."""
    kinds: dict[str, list[Finding]] = {}
    for part in left_out:
        kinds.setdefault(part.kind, []).append(part)
    named = IDS // max(1, len(kinds))
    return [
        Unlisted(
            kind=kind,
            findings=len(parts),
            tables=len({part.table for part in parts}),
            ids=[part.id for part in parts[:named]],
        )
        for kind, parts in kinds.items()
    ]
