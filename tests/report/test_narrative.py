"""What a model may write, why the rest is refused, and that nothing harmful gets through."""

import pytest
from hypothesis import given, settings
from markupsafe import Markup

from cataloger_dagster.report.catalog import catalog_page
from cataloger_dagster.report.fact_elements import FactElements
from cataloger_dagster.report.narrative import MAX_BYTES, problems, read
from cataloger_dagster.report.safety import unsafe
from tests import samples
from tests.report.narrated import FACTS, FRAGMENTS, SMALL, VALUE, joined, page, text


def refused(html: str) -> str:
    return "\n".join(problems(html, FACTS, {}))


def test_the_sample_is_taken() -> None:
    assert problems(samples.NARRATIVE, FACTS, {}) == []


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
        ('<p style="background:url(x)">x</p>', "has its own style"),
        ("<style>p{background:url(x)}</style><p>x", "<style> with url() is not allowed"),
        ("<head><style>p{position:fixed}</style></head><p>x", "nothing covers the page"),
        ("<p id=a>x</p><p id=a>y</p>", "given twice"),
        ("<div><a href='#flights'>x<table><a href='#flights'>y</a></table></div>", "read the same"),
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
        "<p>a &lt; b &amp;amp; &lt;b&gt; &amp;lt;</p>",
        '<p title="&quot;&gt;&lt;b&gt; &amp;amp;">x</p>',
        "<table><caption>c</caption><thead><tr><th>a</th></tr></thead><tbody><tr><td>b</td></tr></tbody></table>",
        "<dl><div><dt>a</dt><dd>b</dd></div></dl><details open><summary>s</summary><p>x</p></details>",
        "<ul><li>a<ul><li>b</li></ul></li></ul><pre>SELECT 1</pre><blockquote>q</blockquote><hr>",
    ],
)
def test_plain_structure_is_taken(html: str) -> None:
    assert problems(html, FACTS, {}) == []
    assert unsafe(page(html)) == []


@pytest.mark.parametrize(
    "name",
    ["srcdoc", "formaction", "action", "background", "ping", "srcset", "poster", "xlink:href", "http-equiv", "src"],
)
def test_an_attribute_that_would_load_something_is_refused_wherever_it_stands(name: str) -> None:
    assert f"<p {name}=…> is not allowed; the page loads nothing" in refused(f"<p {name}=x>y</p>")


@pytest.mark.parametrize(
    ("head", "reason"),
    [
        ("<meta name=x onload=y>", "<meta onload=…> is an event handler"),
        ("<title onclick=y>x</title>", "<title onclick=…> is an event handler"),
        ("<meta name=x style=y>", "<meta style=…> is not allowed"),
    ],
)
def test_harm_in_an_element_of_the_head_that_is_passed_over_is_refused(head: str, reason: str) -> None:
    assert reason in refused(f"<head>{head}</head><p>x")


def test_what_was_written_as_text_stays_text() -> None:
    made = page("<p>&lt;script&gt;x&lt;/script&gt; &amp;lt; <code>&lt;b&gt;</code></p><h2>&lt;i&gt;</h2><p>y</p>")
    for shown in ("&lt;script&gt;x&lt;/script&gt; &amp;lt; <code>&lt;b&gt;</code>", "<h2>&lt;i&gt;</h2>"):
        assert shown in made
    assert unsafe(made) == []


def test_characters_that_no_page_can_carry_are_left_out() -> None:
    assert "<p>abc</p>" in page("<h2>A</h2><p>x</p><p>a\x0bb\x00\x7fc\ufdd0</p>")


def test_in_a_draft_an_id_that_is_there_twice_stays_once() -> None:
    made = page("<h2>A</h2><p id=a>x</p><p id=a>y</p>")
    assert unsafe(made) == []
    assert made.count('id="text-a"') == 1


def test_of_attributes_that_stay_only_what_they_may_be_stays() -> None:
    cells = "<td colspan=2 rowspan=3>a<td colspan=1000000000 rowspan=-1>b<th scope=col>c<th scope='x' id=d>d"
    made = page(f"<table><tr>{cells}</table><details open='\" onclick=x'><summary>s</summary>t</details>")
    assert '<td colspan="2" rowspan="3">a</td>' in made
    assert "<td>b</td>" in made
    assert '<th scope="col">c</th>' in made
    assert '<th id="text-d">d</th>' in made
    assert "<details open>" in made
    assert unsafe(made) == []


def test_many_problems_are_told_in_few_lines() -> None:
    html = "".join(f"<p><fact-value ref='t{n}.rows'></p>" for n in range(50))
    found = problems(html, FACTS, {})
    assert len(found) == 21
    assert found[-1] == "and 30 more of the kind"


def test_a_claim_must_not_take_the_name_of_a_fact() -> None:
    found = problems("<p>x</p>", FACTS, {"flights.rows": samples.claim("flights.rows", 1)})
    assert "takes the name of a measured fact" in found[0]


@settings(max_examples=40, deadline=None)
@given(FRAGMENTS)
def test_no_fragment_brings_a_script_a_handler_or_a_reference_to_the_page(parts: list[str]) -> None:
    html = joined(parts)
    problems(html, SMALL, {})
    assert unsafe(catalog_page(samples.run(previous=None), SMALL, html, {}, []).html) == []


def test_prose_that_would_fill_the_page_is_refused_with_the_reason_and_a_draft_of_it_is_left_out() -> None:
    html = "<p>Words.</p>" + '<p>One more: <fact-chart ref="flights.arr_delay"></p>' * 5_000
    [reason] = problems(html, samples.flights(), {})
    assert f"at most {MAX_BYTES:,} are taken" in reason
    assert not read(html, samples.flights(), {}).sections


@pytest.mark.parametrize(
    ("html", "shown"),
    [
        ("<pre>\n\nSELECT\n\nx</pre>", "<pre>SELECT\n\nx</pre>"),
        ("<pre><span>\nx</span></pre>", "<pre>x</pre>"),
        ('<h2>Delays <fact-chart ref="flights.arr_delay"></h2><p>x</p>', "<h2>Delays <svg"),
    ],
)
def test_what_is_harmless_is_taken_and_safe(html: str, shown: str) -> None:
    assert problems(html, FACTS, {}) == []
    made = page(html)
    assert shown in made
    assert unsafe(made) == []


def test_a_draft_with_prose_for_what_is_not_there_keeps_the_prose() -> None:
    html = "<div data-for='nowhere'><p data-for='nothing'>Kept.</p></div>"
    assert "no such table or column" in refused(html)
    made = page(html)
    assert "Kept." in made
    assert unsafe(made) == []


def test_prose_that_the_check_of_the_page_would_refuse_costs_no_page(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FactElements, "write", lambda *_: Markup("<img src=x>"))
    assert "can't stand on a page (<img> is not allowed)" in refused("<p>x</p>")
    assert unsafe(page("<p>x</p>")) == []


def test_the_findings_of_one_table_are_listed_once() -> None:
    html = "<p>See.</p>" + '<fact-findings ref="flights">' * 3
    page = catalog_page(samples.run(), samples.flights(), html, {}, [])
    assert page.html.count('class="fs"') == 1
