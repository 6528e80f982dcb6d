"""Numbers that nobody measured are marked; names, code and values of the database are none."""

import re
from time import process_time

import pytest
from cataloger_sandbox.numerals import numerals
from selectolax.lexbor import LexborHTMLParser

from cataloger_dagster.report.narrative import problems, read
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
        ("<em>tw</em>o and <em>three</em><b>4</b>", ["tw", "o", "three", "4"]),
        ("<strong>a third</strong> of them, <b>double</b> the rows", ["a third", "double"]),
        ("two <em>thirds</em>, <i>twenty</i>-<i>five</i>", ["two ", "thirds", "twenty", "-", "five"]),
        (
            "rows<b>336776</b>, x<i><b>12</b></i>3, 1<br>2, <b>fif</b><wbr>teen<code>x</code>",
            ["336776", "12", "3", "1", "2", "fif", "teen"],
        ),
        ("<code>a</code>12<code>b</code> <fact-value ref='flights.rows'>7 <b>8</b>%", ["12", "7", "8", "%"]),
        ("between 3 and 04:15:00", ["3", "04:15:00"]),
        ("one row for each order, the second of the year, no one", []),
        ("a two-letter code, three-digit", []),
        ("PostgreSQL 15.4, version 2, v2.1.0, DuckDB 1.5.6, ISO 8601, RFC 5322, UTF-8, ISO 3166-1, 1.2.3", []),
        ("orders2, table_2b, n:1, 1:n, 1111:n, x2.5y, A-1", []),
        ("½ of them, 2½ hours, ¾ %, 1⁄2", ["½", "2½", "¾ %", "1⁄2"]),
        ("10² and 10^6, 1.2×10⁶, 1.5e+16", ["10²", "10^6", "1.2×10⁶", "1.5e+16"]),
        ("¹²³⁴ rows, ₁₂, ⁵⁄₈, ①", ["¹²³⁴", "₁₂", "⁵⁄₈", "①"]),
        ("１２３ rows, 12％, ١٢٫٥٪", ["１２３", "12％", "١٢٫٥٪"]),
        ("H₂O, CO₂, m², rows¹", []),
        ("H<sub>2</sub>O, km<sup>2</sup>", []),
        ("10<sup>6</sup> rows<sup>336776</sup> <sup>7</sup>", ["10", "6", "336776", "7"]),
        ("zero rows, zero per cent, one per cent", ["zero", "zero per cent", "one per cent"]),
        ("half of them, half a dozen, one-half", ["half", "half a dozen", "one-half"]),
        ("the first half of the year, half-open, a half-hourly load", []),
        ("two thirds, a third of them, three quarters", ["two thirds", "a third", "three quarters"]),
        ("a third table, third-party, the last quarter, a quarter", []),
        ("two and a half, a million and a half", ["two and a half", "a million and a half"]),
        ("twice as many, thrice, doubled, tenfold", ["twice", "thrice", "doubled", "tenfold"]),
        ("double the rows; columns that double as keys, type double", ["double"]),
        ("one of the tables, no rows, none, both, a few, a single one, Louis XIV", []),
        ("twenty\nfive per\ncent", ["twenty\nfive per\ncent"]),
        ("<code>½</code> <code>10²</code> <code>1e6</code>", ["½", "10²", "1e6"]),
        ("<code>2013-01-02T10:00</code> <code>(336,776)</code>", ["2013-01-02T10:00", "336,776"]),
        ("<code>> 10</code>, <code>'12'</code>, <code>half</code>", []),
    ],
)
def test_a_number_nobody_measured_is_marked(prose: str, marked: list[str]) -> None:
    html = page(f"<h2>About</h2><p>{prose}</p>")
    section = LexborHTMLParser(html).css_first("#page-about")
    assert section is not None
    assert [node.text() for node in section.css("mark[data-unmeasured]")] == marked
    assert read(f"<p>{prose}</p>", FACTS, {}).unmeasured == len(marked)


@pytest.mark.parametrize(
    "written",
    [
        '<p title="987654" aria-label="987654">x</p>',
        '<p><abbr title="987654 rows">x</abbr><time datetime="987654">x</time><q cite="987654">x</q></p>',
        '<ol start="987654"><li>x</ol>',
        '<ol type="987654"><li value="987654">x</ol>',
        '<table summary="987654"><tr><td headers="987654" abbr="987654" colspan="987654">x</table>',
        '<details name="987654"><summary>x</summary>y</details>',
        '<p><a href="#987654">x</a> <a href="#flights" title="987654">x</a></p>',
        '<p lang="987654" dir="987654" data-x="987654" data-claim="987654" class="987654">x</p>',
        '<p><ins cite="987654" datetime="987654">x</ins><bdi alt="987654">x</bdi></p>',
        "<template>987654</template><nav>987654</nav><p>x</p>",
        "<table><colgroup span=987654><col span=987654><tr><td>x</table>",
        "<!-- 987654 --><p>x</p>",
        "<head><title>987654</title></head><p>x</p>",
        "<style>p::before{content:'987654'}</style><p>x</p>",
        "<p style=\"--n:'987654'\">x</p>",
        "<p><meter value=987654>x</meter><progress value=987654>x</progress><data value=987654>x</data></p>",
        "<p><img alt=987654><input value=987654><button value=987654>x</button></p>",
        "<svg><title>987654</title><desc>987654</desc><text>987654</text></svg><p>x</p>",
        "<math><mn>987654</mn></math><p>x</p>",
        "<p><ruby>x<rt>987654</rt></ruby></p>",
        "<p><object>987654</object><textarea>987654</textarea></p>",
        "<iframe>987654</iframe><noscript>987654</noscript><p>x</p>",
        "<xmp>987654</xmp><plaintext>987654",
    ],
)
def test_no_way_to_show_a_number_leads_around_its_mark(written: str) -> None:
    html = page(f"<h2>About</h2><p>before</p>{written}")
    tree = LexborHTMLParser(html)
    for mark in tree.css("mark[data-unmeasured]"):
        mark.decompose()
    left = re.sub(r"<script.*?</script>", "", tree.html or "", flags=re.DOTALL)
    assert "987654" not in left


def test_the_number_of_an_item_is_its_place_in_the_list() -> None:
    prose = read("<ol start=7 reversed><li value=9>x<li>y</ol>", FACTS, {})
    assert "<ol reversed" in str(prose.sections[0].parts[0])
    assert not re.search("start|value|[79]", str(prose.sections[0].parts[0]))
    assert prose.unmeasured == 0


def test_a_number_in_a_heading_is_marked_in_the_contents_too() -> None:
    nav = LexborHTMLParser(page("<h2>The 987654 <em>late</em> rows</h2><p>x</p>")).css_first("nav")
    assert nav is not None
    assert [mark.text() for mark in nav.css("mark[data-unmeasured]")] == ["987654"]
    assert nav.css("em") == []


def test_what_finds_no_place_on_the_page_is_not_counted() -> None:
    prose = read("<h1>Ten tables, 12 views</h1><h2>A</h2><p>Of 5.</p><h2>Empty: 9</h2>", FACTS, {})
    assert prose.unmeasured == 1


def test_a_sentence_that_is_quoted_elsewhere_says_which_numbers_nobody_measured() -> None:
    prose = read("<p>Some 12 tables of <fact-value ref='flights.rows'> rows, half of them late.</p>", FACTS, {})
    assert prose.about == "Some 12 (not measured) tables of 336,776 rows, half (not measured) of them late."


@pytest.mark.parametrize("part", ["two ", "a ", "one and a ", "1 ", "1×", "½", " " * 1000 + "two", "1" * 5_000, "e1"])
def test_a_text_of_nothing_but_numbers_is_read_in_time_that_grows_with_its_length(part: str) -> None:
    def seconds(size: int) -> float:
        start = process_time()
        assert sum(1 for _ in numerals(part * (size // len(part)) + ":n")) >= 0
        return process_time() - start

    seconds(10_000)
    assert seconds(160_000) < 80 * seconds(10_000) + 0.2


def test_very_many_numbers_are_refused_in_seconds() -> None:
    began = process_time()
    told = problems("<p>" + "1 2 3 4 5 <b>6</b> " * 50_000 + "</p>", FACTS, {})
    assert any("more than 20,000 numbers that nobody measured" in each for each in told), told
    assert process_time() - began < 30


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
