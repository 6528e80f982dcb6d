"""Prose goes to its column, its table or its section."""

from itertools import pairwise

from selectolax.lexbor import LexborHTMLParser

from cataloger_dagster.report.narrative import read
from tests import samples
from tests.report.narrated import FACTS, VALUE, main, page, text


def test_meaning_moves_to_its_column_and_purpose_to_its_table() -> None:
    html = page(
        '<h2>Tables</h2><ul><li data-for="flights.dest">Where to.</li></ul>'
        '<table><tr data-for="planes.seats"><td>seats</td><td>How many seats.</td></tr></table>'
        '<h3>airlines</h3><p>Who flies.</p><p data-for="weather">The sky.</p>'
    )
    assert "Where to." in text(html, '[id="flights.dest"] .m')
    assert text(html, '[id="planes.seats"] .m') == "How many seats."
    assert "Who flies." in text(html, "#airlines")
    assert "The sky." in text(html, "#weather")
    assert main(html).count("Where to.") == 1
    assert "<ul></ul>" not in html
    assert len(LexborHTMLParser(html).css("h3")) == len(FACTS.tables) + 2


def test_headings_descend_without_a_gap() -> None:
    html = page("<h1>T</h1><h2>About</h2><h5>a</h5><p>x</p><h6>b</h6><p>x</p><h3>c</h3><p>x</p>")
    levels = [int(node.tag[1]) for node in LexborHTMLParser(html).css("h1,h2,h3,h4,h5,h6") if node.tag]
    in_main = levels[levels.index(1) :]
    assert all(after <= before + 1 for before, after in pairwise(in_main))


def test_the_first_sentence_is_what_the_overview_says() -> None:
    assert read(samples.NARRATIVE, FACTS, {}).about == (
        "Every departure from New York's airports, with the aircraft, the carriers, the airports and the weather."
    )
    assert read(f"<h2>About</h2><p>One of {VALUE} e.g. rows. Two.</p>", FACTS, {}).about == "One of 336,776 e.g. rows."
