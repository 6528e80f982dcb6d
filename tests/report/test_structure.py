"""What was written is brought into an order that a browser reads back the same."""

import re

from hypothesis import example, given, settings
from selectolax.lexbor import LexborHTMLParser

from cataloger_dagster.report.narrative import read
from tests.report.narrated import FACTS, FRAGMENTS, joined, page


def test_a_block_in_the_middle_of_a_paragraph_cuts_it_in_two() -> None:
    html = page('<h2>About</h2><p>before <fact-table ref="airlines"> after</p><p><b>x <fact-relations> y</b></p>')
    about = LexborHTMLParser(html).css_first("#page-about")
    assert about is not None
    assert about.css_first("p") is not None
    shown = re.sub(r"\s+", " ", about.text())
    assert shown.index("before") < shown.index("airlines") < shown.index("after")


@settings(max_examples=150, deadline=None)
@given(FRAGMENTS)
@example(["<math>", "<td>", "cell"])
@example(["<math>", "<tr>", "<td>", "<svg>", "<th>"])
def test_what_is_written_is_read_back_the_same(parts: list[str]) -> None:
    html = joined(parts)
    prose = read(html, FACTS, {})
    chunks = [part for section in prose.sections for part in section.parts if isinstance(part, str)]
    for chunk in [*chunks, *prose.meanings.values(), *prose.purposes.values()]:
        parsed = LexborHTMLParser(f"<!doctype html><body>{chunk}").body
        assert parsed is not None
        again = LexborHTMLParser("<!doctype html>" + (parsed.html or "")).body
        assert again is not None
        assert _balanced(chunk, parsed.html or "")


def _balanced(written: str, read_back: str) -> bool:
    """Every tag that was written is there, in the same order, and no other."""
    tags = re.compile(r"</?([a-z][a-z0-9-]*)")
    wanted = [tag[0] for tag in tags.finditer(written)]
    found = [tag[0] for tag in tags.finditer(read_back.removeprefix("<body>").removesuffix("</body>"))]
    return wanted == found
