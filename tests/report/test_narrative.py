"""What a model may write, why the rest is refused, and what becomes of it on the page."""

import re
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from selectolax.lexbor import LexborHTMLParser

from cataloger_dagster.report.catalog import catalog_page
from cataloger_dagster.report.narrative import problems, read
from cataloger_dagster.report.safety import unsafe
from tests import samples

FACTS = samples.flights()
SMALL = FACTS.model_copy(
    update={
        "tables": [FACTS.tables[0].model_copy(update={"columns": [FACTS.tables[0].column_by_name["dest"]]})],
        "references": [],
        "findings": FACTS.findings[1:2],
    }
)
VALUE = '<fact-value ref="flights.rows">'


def page(html: str | None, **named: int | float | str) -> str:
    claims = {name: samples.claim(name, value) for name, value in named.items()}
    return catalog_page(samples.run(previous=None), FACTS, html, claims, []).html


def main(html: str) -> str:
    found = LexborHTMLParser(html).css_first("main")
    assert found is not None
    return found.html or ""


def text(html: str, selector: str) -> str:
    found = LexborHTMLParser(html).css_first(selector)
    assert found is not None, selector
    return re.sub(r"\s+", " ", found.text())


def refused(html: str) -> str:
    return "\n".join(problems(html, FACTS, {}))


def test_the_sample_is_taken() -> None:
    assert problems(samples.NARRATIVE, FACTS, {}) == []


def test_a_value_is_filled_in_and_leads_to_its_query() -> None:
    html = page(f"<p>It has {VALUE} rows.</p>")
    assert (
        '<data value="336776" data-claim="flights.rows" class="n"><a href="#query-q2">336,776</a></data> rows.' in html
    )
    assert '<pre id="query-q2"' in html


@pytest.mark.parametrize(
    "written",
    [
        '<p>a <fact-value ref="flights.rows"> b <fact-value ref="planes.rows"> c</p><p>d</p>',
        '<p>a <fact-value ref="flights.rows"></fact-value> b <fact-value ref="planes.rows"/> c</p><p>d</p>',
        '<p>a <fact-value ref="flights.rows"></fact-value></fact-value> b <fact-value ref=planes.rows/> c</p><p>d</p>',
        "<p>a <fact-value ref=flights.rows> b <fact-value ref=planes.rows> c<p>d",
    ],
)
def test_a_missing_or_extra_end_tag_swallows_nothing(written: str) -> None:
    parts = read(written, FACTS, {}).sections[0].parts
    shown = re.sub(r"<[^>]+>", "", str(parts[0]).replace("</p>", "|"))
    assert shown == "a 336,776 b 3,322 c|d|"


def test_a_thousand_open_fact_elements_are_no_deep_nesting() -> None:
    html = "<p>" + VALUE * 1000 + "end</p><p>after</p>"
    assert problems(html, FACTS, {}) == []
    assert read(html, FACTS, {}).measured == 1000


def test_a_whole_document_gives_its_body() -> None:
    document = (
        '<!DOCTYPE html PUBLIC "-//W3C//DTD HTML 3.2//EN"><html><head><title>t 99</title><style>p{color:red}</style>'
        f"<meta charset=utf-8></head><body><h1>Flights</h1><p>Only {VALUE} this.</p></body></html>"
    )
    assert problems(document, FACTS, {}) == []
    html = page(document)
    assert "color:red" not in html
    assert "<h1>Flights</h1>" not in html
    assert "Only 336,776 this." in text(html, "#page-about")


@pytest.mark.parametrize(
    ("html", "reason"),
    [
        ("", "empty"),
        ("  \n", "empty"),
        ("<p> </p>", "no text"),
        ("Just words.", "no markup"),
        ("# Flights\n\nMarkdown", "no markup"),
        ("```html\n<p>x</p>\n```", "fence"),
        ("<p>x</p><script>alert(1)</script>", "<script> is not allowed"),
        ("<html><head><script src=x></script></head><body><p>x", "<script> is not allowed"),
        ("<p onclick=x>y</p>", "event handler"),
        ("<body onload=x><p>y</p>", "event handler"),
        ("<p>a</p><svg><path d=''/></svg>", "<svg> is not allowed"),
        ("<p><svg onload=x></svg></p>", "event handler"),
        ("<p>a <img src='https://x.test/a.png'></p>", "<img> is not allowed"),
        ('<p><a href="https://x.test">x</a></p>', "leads outside"),
        ('<p><a href="javascript:alert(1)">x</a></p>', "leads outside"),
        ('<p><a href=" JaVaScRiPt:alert(1)">x</a></p>', "leads outside"),
        ('<p><a href="data:text/html,x">x</a></p>', "leads outside"),
        ('<p><a href="//x.test/">x</a></p>', "leads outside"),
        ('<p><a href="#nowhere">x</a></p>', "no such place"),
        ("<form><input></form><p>x", "no forms"),
        ("<iframe srcdoc='x'></iframe><p>x", "no frames"),
        ("<frameset><frame src=x></frameset>", "no frames"),
        ("<p>x</p><object data=x></object>", "<object> is not allowed"),
        ("<head><meta http-equiv=refresh content='0;url=x'></head><p>x", "<meta> is not allowed"),
        ("<head><base href=//x></head><p>x", "<base> is not allowed"),
        ("<head><link rel=stylesheet href=x></head><p>x", "<link> is not allowed"),
        ("<p>x</p><style>@import url(x)</style>", "<style> is not allowed"),
        ('<p style="background:url(x)">x</p>', "refers to something outside"),
        ("<p>x</p><math><mtext>y</mtext></math>", "<math> is not allowed"),
        ("<table><tr><td><blink>x</blink></td></tr></table>", "<blink> is not allowed"),
        ("<p><data value=5>5</data></p>", "fact-value"),
        ("<p>x <fact-number ref='a'></p>", "the fact elements are"),
        ("<p>x <fact-value></p>", "lacks its ref"),
        ('<p><fact-value ref="flihgts.rows"></p>', "did you mean 'flights'"),
        ('<p><fact-value ref="flights.dep_tim.nulls"></p>', "did you mean 'dep_time'"),
        ('<p><fact-value ref="flights.carrier.mean"></p>', "was not measured"),
        ('<fact-table ref="flight">', "did you mean flights"),
        ('<p>x</p><fact-chart ref="flights.dep_tme">', "did you mean flights.dep_time"),
        ('<p>x</p><fact-findings ref="nothing">', "no such table"),
        ('<p data-for="flights.nothing">x</p>', "no such table or column"),
        ("<div>" * 300 + "x", "nested more than"),
        ("<p>x" * 70_000, "tags"),
        ("<p>" + "x" * 2_100_000, "characters"),
        ("<p>" + "".join(f"<b id=b{n}>" for n in range(3000)) + "<p>x" * 3000, "formatting"),
    ],
)
def test_what_is_not_wanted_is_refused_with_its_reason(html: str, reason: str) -> None:
    assert reason in refused(html)


@pytest.mark.parametrize(
    "html",
    [
        '<p class="big" title="x" lang="en" role="note" data-x="1">fine</p>',
        '<section id="a"><h2>A</h2><p><a href="#a">here</a> <a href="#flights.dep_time">column</a></p></section>',
        '<p><a href="#findings">f</a> <a href="#q2">q</a> <a href="#top">t</a></p>',
        "<!-- a comment --><p>x</p>",
        "<table><caption>c</caption><thead><tr><th>a</th></tr></thead><tbody><tr><td>b</td></tr></tbody></table>",
        "<dl><div><dt>a</dt><dd>b</dd></div></dl><details open><summary>s</summary><p>x</p></details>",
        "<ul><li>a<ul><li>b</li></ul></li></ul><pre>SELECT 1</pre><blockquote>q</blockquote><hr>",
    ],
)
def test_plain_structure_is_taken(html: str) -> None:
    assert problems(html, FACTS, {}) == []
    assert unsafe(page(html)) == []


def test_many_problems_are_told_in_few_lines() -> None:
    html = "".join(f"<p><fact-value ref='t{n}.rows'></p>" for n in range(50))
    found = problems(html, FACTS, {})
    assert len(found) == 21
    assert found[-1] == "and 30 more of the kind"


def test_a_claim_must_not_take_the_name_of_a_fact() -> None:
    found = problems("<p>x</p>", FACTS, {"flights.rows": samples.claim("flights.rows", 1)})
    assert "takes the name of a measured fact" in found[0]


def test_a_claim_that_failed_later_is_marked_and_the_page_made_all_the_same() -> None:
    html = page('<p>In all <fact-value ref="late">.</p><script>x</script>')
    assert "<mark data-unmeasured>late (not measured)</mark>" in html
    assert unsafe(html) == []


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


def test_identifiers_and_years_are_not_grouped_by_thousands() -> None:
    named = {"first_year": 1956, "order_id": 1234567, "late": 1234567}
    html = page("".join(f'<p><fact-value ref="{name}"></p>' for name in [*named, "planes.year.min"]), **named)
    shown = [node.text() for node in LexborHTMLParser(html).css("main p data")]
    assert shown == ["1956", "1234567", "1,234,567", "1956"]


def test_an_estimate_is_never_shown_as_exact() -> None:
    html = page('<p><fact-value ref="flights.time_hour.distinct"> <fact-value ref="flights.dest.distinct"></p>')
    shown = [node.text() for node in LexborHTMLParser(html).css("main p data")]
    assert shown == ["≈ 6,920", "105"]
    assert "HyperLogLog" in html


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


def test_every_table_and_column_is_there_whatever_the_model_wrote() -> None:
    for html in (None, "<p>x</p>", samples.NARRATIVE, '<fact-table ref="planes"><fact-table ref="planes">'):
        found = page(html)
        for table in FACTS.tables:
            for name in (table.name, *(f"{table.name}.{column.name}" for column in table.columns)):
                assert found.count(f' id="{name}"') == 1, name


def test_the_models_order_is_kept_and_what_it_left_out_is_added_before_its_questions() -> None:
    html = page('<h2>Open questions</h2><p>Why?</p><h2>Tables</h2><fact-table ref="weather">')
    order = [node.attributes["id"] for node in LexborHTMLParser(html).css("main > section")]
    wanted = ["about", "changes", "findings", "relations", "questions", "tables", "appendix"]
    assert order == [f"page-{key}" for key in wanted]
    tables = [node.attributes["id"] for node in LexborHTMLParser(html).css("section.t")]
    assert tables[0] == "weather"
    assert sorted(tables) == sorted(table.name for table in FACTS.tables)


def test_a_block_in_the_middle_of_a_paragraph_cuts_it_in_two() -> None:
    html = page('<h2>About</h2><p>before <fact-table ref="airlines"> after</p><p><b>x <fact-relations> y</b></p>')
    about = LexborHTMLParser(html).css_first("#page-about")
    assert about is not None
    assert about.css_first("p") is not None
    shown = re.sub(r"\s+", " ", about.text())
    assert shown.index("before") < shown.index("airlines") < shown.index("after")


def test_ids_of_the_model_take_no_place_of_ours() -> None:
    html = page('<h2 id="page-main">A</h2><p id="flights">x <a href="#flights">own</a></p><p id="cataloger">y</p>')
    ids = re.findall(r' id="([^"]*)"', html)
    assert len(ids) == len(set(ids))
    assert 'href="#text-flights"' in html
    assert '<p id="text-cataloger">' in html


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


FRAGMENTS = st.lists(
    st.one_of(
        st.sampled_from(
            """<script> </script> <script>alert(1) <img/src=x/onerror=alert(1)> <svg><script> <svg/onload=a> </svg>
            <math> <mtext> <style> </style> <title> </title> <textarea> </textarea> <noscript> <template> </template>
            <plaintext> <xmp> <iframe> <table> <tr> <td> </table> <caption> <p> </p> <b> </b> <a/href="javascript:x">
            <a/href="#flights"> </a> <li> <ul> </ul> <h1> <h2> </h2> <pre> </pre> <details> <summary> <select> <option>
            <fact-table/ref="flights"> <fact-value/ref="flights.rows"> </fact-value> <fact-findings> <fact-relations>
            <p/data-for="flights.dest"> <div/data-for="flights"> <form> </form> <body/onload=x> <html/onclick=x>
            <frameset> <base/href=x> <meta/http-equiv=refresh> <code> </code> <data/data-claim=x> <mark> &lt;script&gt;
            <!-- --> --!> <![CDATA[ ]]> <? \x00 </ < " ' > = <dl> <dt> <dd> <blockquote> <figure> <hr> <br> <tbody> <th>
            """.split()  # noqa: SIM905
        ),
        st.text(max_size=8),
    ),
    max_size=25,
)


def _joined(parts: list[str]) -> str:
    """The parts as one text; the first slash in a start tag stands for a space."""
    return "".join(part.replace("/", " ", 1) if part[:1] == "<" and part[1:2].isalpha() else part for part in parts)


@settings(max_examples=120, deadline=None)
@given(FRAGMENTS)
def test_no_fragment_brings_a_script_a_handler_or_a_reference_to_the_page(parts: list[str]) -> None:
    html = _joined(parts)
    problems(html, SMALL, {})
    assert unsafe(catalog_page(samples.run(previous=None), SMALL, html, {}, []).html) == []


@settings(max_examples=150, deadline=None)
@given(FRAGMENTS)
def test_what_is_written_is_read_back_the_same(parts: list[str]) -> None:
    html = _joined(parts)
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
