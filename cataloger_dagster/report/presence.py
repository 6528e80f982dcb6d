"""Whether a page has a place for everything that is in a database, read from the finished HTML alone."""

from html.parser import HTMLParser

from cataloger_dagster.facts import join_reference
from cataloger_dagster.report import anchors
from cataloger_dagster.report.block import Block


class _Ids(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: set[str] = set()

    def handle_starttag(self, _tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found |= {value for name, value in attrs if name == "id" and value}


def missing(html: str, block: Block) -> list[str]:
    """Return the references of the tables and columns of *block* that *html* has no element for."""
    reader = _Ids()
    reader.feed(html)
    reader.close()
    wanted = [(table.name,) for table in block.tables]
    columns = [(table.name, column.name) for table in block.tables for column in table.columns]
    return [join_reference(parts) for parts in [*wanted, *columns] if anchors.place(*parts) not in reader.found]
