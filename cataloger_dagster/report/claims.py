"""What a page shows as claims, read back from its HTML: the other half of how ``elements`` writes them.

Only elements of our own making are read, so the parser of the standard library serves; hostile markup
never reaches a stored page.
"""

from dataclasses import dataclass
from html.parser import HTMLParser


@dataclass(frozen=True)
class ShownClaim:
    """One ``<data data-claim>``: the claim's id, its machine-readable value, and the text that readers see."""

    id: str
    value: str
    text: str


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[ShownClaim] = []
        self._open: tuple[str, str] | None = None
        self._text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag == "data" and given.get("data-claim"):
            self._open, self._text = (given["data-claim"] or "", given.get("value") or ""), ""

    def handle_data(self, data: str) -> None:
        if self._open:
            self._text += data

    def handle_endtag(self, tag: str) -> None:
        if tag == "data" and self._open:
            self.found.append(ShownClaim(*self._open, self._text))
            self._open = None


def shown_claims(html: str) -> list[ShownClaim]:
    """Return every claim that *html* shows, in the order of the page."""
    reader = _Reader()
    reader.feed(html)
    reader.close()
    return reader.found
