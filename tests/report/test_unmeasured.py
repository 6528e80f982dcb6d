"""Numbers that nobody measured are marked; names, code and values of the database are none."""

import pytest
from selectolax.lexbor import LexborHTMLParser

from cataloger_dagster.report.narrative import read
from tests.report.narrated import FACTS, page


@pytest.mark.parametrize(
    ("prose", "marked"),
    [
        ("There are 123456 rows.", ["123456"]),
        ("There are 1,234,567.89 of them, 12% more.", ["1,234,567.89", "12%"]),
        ("From 2013-01-02T10:00 on", ["2013-01-02T10:00"]),
        ("−5 to 7, or 3 – 4", ["−5", "7", "3", "4"]),
        ("12M rows, 3rd place", ["12", "3"]),
        ("१२३ rows", ["१२३"]),
        ("<b>12</b>34", ["12", "34"]),
        ("12<b>34</b>", ["12", "34"]),
        ("<code>123456</code> rows", ["123456"]),
        ("<code>123 rows</code>", ["123"]),
        ("<a href='#flights'>99</a>", ["99"]),
        ("&#49;&#50;", ["12"]),
        ("the A320-232, utf8, HHMM, q1, x_2", []),
        ("<code>status = 4</code>, <code>04G</code>, <code>WHERE x > 10</code>", []),
        ("carrier <code>2013</code> is a value of a column", []),
        ("no numbers", []),
        (
            "Twelve per cent of them, twenty-five rows, two hundred and six more.",
            ["Twelve per cent", "twenty-five", "two hundred and six"],
        ),
        ("a hundred, dozens, one million", ["a hundred", "dozens", "one million"]),
        ("12 % of 3.5 percent", ["12 %", "3.5 percent"]),
        ("on 31 December 2013, in March 2014", ["31 December 2013", "2014"]),
        ("from 5–7 and 2013-01-02/2013-02-03", ["5–7", "2013-01-02/2013-02-03"]),
        ("<em>tw</em>o and <em>three</em><b>4</b>", ["three", "4"]),
        ("between 3 and 04:15:00", ["3", "04:15:00"]),
        ("one row for each order, the second of the year, no one", []),
        ("a two-letter code, three-digit", []),
        ("PostgreSQL 15.4, version 2, v2.1.0, DuckDB 1.5.6, ISO 8601, RFC 5322, UTF-8, ISO 3166-1, 1.2.3", []),
        ("orders2, table_2b, n:1, 1:n, x2.5y, A-1", []),
    ],
)
def test_a_number_nobody_measured_is_marked(prose: str, marked: list[str]) -> None:
    html = page(f"<h2>About</h2><p>{prose}</p>")
    section = LexborHTMLParser(html).css_first("#page-about")
    assert section is not None
    assert [node.text() for node in section.css("mark[data-unmeasured]")] == marked
    assert read(f"<p>{prose}</p>", FACTS, {}).unmeasured == len(marked)


def test_numbers_in_headings_cells_and_meanings_are_marked_too() -> None:
    prose = read(
        "<h2>5</h2><table><tr><td>6</td></tr></table><p data-for='flights.dest'>7</p><dl><dt>8<dd>9", FACTS, {}
    )
    assert prose.unmeasured == 5


def test_the_name_of_a_column_is_no_number() -> None:
    table = FACTS.tables[0]
    odd = table.model_copy(update={"columns": [table.columns[0].model_copy(update={"name": "2013_sales"})]})
    facts = FACTS.model_copy(update={"tables": [odd]})
    assert read("<p>see 2013_sales</p>", facts, {}).unmeasured == 0
