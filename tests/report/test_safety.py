"""The check of a whole page: what our templates write passes, anything else is named."""

import re
import time

import pytest

from cataloger_dagster.report import safety
from cataloger_dagster.report.catalog import catalog_page
from cataloger_dagster.report.overview import Entry, Text, overview_page, read_text
from cataloger_dagster.report.safety import unsafe, unsafe_part
from cataloger_dagster.report.summary import summary_page
from tests import samples

PAGE = catalog_page(samples.run(), samples.flights(), samples.NARRATIVE, {}, [])


def test_our_own_pages_are_safe() -> None:
    history = [PAGE.block]
    assert unsafe(PAGE.html) == []
    assert unsafe(summary_page(samples.run(), samples.flights(), None, {}, [], history).html) == []
    assert unsafe(overview_page(samples.AT, [Entry("flights", PAGE.block, summary=samples.AT), Entry("x")]).html) == []


def test_a_page_of_a_hostile_database_is_safe() -> None:
    facts = samples.hostile()
    nasty = samples.NASTY
    run = samples.run(database=nasty[0], model=nasty[1], notes=nasty, context=nasty[2], run_id=nasty[3])
    page = catalog_page(run, facts, "<p>x</p>", {}, [])
    assert unsafe(page.html) == []
    assert "alert(1)</script>" not in page.html
    entry = Entry("x", page.block, reason=nasty[0], owners=nasty)
    assert unsafe(overview_page(samples.AT, [entry]).html) == []
    for words in nasty:
        text = Text(f"<p>x</p><h2>{words}</h2>{words}", words, words, samples.AT)
        html = overview_page(samples.AT, [entry], text, words).html
        assert unsafe(html) == []
        assert read_text(html) == text


@pytest.mark.parametrize(
    ("added", "reason"),
    [
        ("<script>alert(1)</script>", "a script"),
        ("<script src=x.js></script>", "a script"),
        ('<script type="module">x</script>', "a script"),
        ('<script type="application/json" id="cataloger" src="x">{}</script>', "a script"),
        ('<script type="application/json" id="cataloger">{}</script>', "second data block"),
        ('<script type="application/ld+json">{}</script>', "second data block"),
        ("<p onclick=x>", "event handler"),
        ("<svg onload=x></svg>", "event handler"),
        ("<img src=data:x>", "<img> is not allowed"),
        ('<a href="https://x.test/">x</a>', "leads outside"),
        ('<a href="javascript:x">x</a>', "leads outside"),
        ('<a href="data:text/html,x">x</a>', "leads outside"),
        ('<a href="//x.test/catalog.html">x</a>', "leads outside"),
        ('<a href="../../../etc/catalog.html">x</a>', "leads outside"),
        ('<a href="/etc/passwd">x</a>', "leads outside"),
        ('<svg><a xlink:href="https://x.test">x</a></svg>', "is not allowed"),
        ('<svg><use href="#x"/></svg>', "<use> is not allowed"),
        ("<svg><foreignObject></foreignObject></svg>", "is not allowed"),
        ("<svg><style>a{}</style></svg>", "a style"),
        ("<style>*{display:none}</style>", "a style"),
        ('<i style="background:url(x)"></i>', "style"),
        ('<p style="width:5%">x</p>', "style"),
        ("<form></form>", "<form> is not allowed"),
        ("<iframe srcdoc=x></iframe>", "<iframe> is not allowed"),
        ("<object data=x></object>", "<object> is not allowed"),
        ("<base href=x>", "<base> is not allowed"),
        ("<a href='../%2e%2e/%2E%2e/x/catalog.html'>x</a>", "<a href> leads outside the page"),
        ("<a href='../../shop/%2e./x/catalog.html'>x</a>", "<a href> leads outside the page"),
        ("<meta http-equiv=refresh content=0>", "<meta"),
        ("<link rel=stylesheet href=x>", "<link> is not allowed"),
        ("<math><mi>x</mi></math>", "<math> is not allowed"),
        ("<template><script>x</script></template>", "<template> is not allowed"),
        ("<custom-element></custom-element>", "<custom-element> is not allowed"),
        ("<p><noscript><p title='</noscript><img src=x onerror=x>'></noscript>", "<noscript> is not allowed"),
        ('<script type="application/json" id="cataloger-transcript">{}</script>', "a script"),
        ('<i style="width:5%;color:red"></i>', "one of the page's own"),
        ('<a href="catalog.html?x">x</a>', "leads outside the page"),
        ('<a href="#a b">x</a>', "leads outside the page"),
        ("<p name=body>x</p>", "<p name> is not allowed"),
        ("<p style=color:red>x</p>", "<p style> is not allowed"),
        ("<svg><path d='' fill='url(//x.test)'/></svg>", "<path fill> is not allowed"),
    ],
)
def test_what_is_added_to_a_page_is_named(added: str, reason: str) -> None:
    assert reason in "\n".join(unsafe(PAGE.html.replace("<h2>", f"{added}<h2>", 1)))


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("<!doctype html>", "", "doctype"),
        ("default-src 'none'", "default-src *", "policy"),
        (
            '<meta http-equiv="Content-Security-Policy"',
            '<meta charset="utf-8"><meta http-equiv="Content-Security-Policy"',
            "policy",
        ),
        ("<style>", "<style>@import 'x';", "a style"),
        ("</style>", "i{background:u\\72l(x)}</style>", "a style"),
        ("</style>", "</style><style>*{}</style>", "a style"),
        ("<style>", "<style media=print>", "a style that is not the page's own"),
        ("</style>", "</style><meta http-equiv=refresh content=0>", "<meta http-equiv> is not allowed"),
        ("</style>", "</style><meta name=referrer content=x>", "<meta name> is not allowed"),
        (
            "</style>",
            '</style><meta http-equiv="Content-Security-Policy" content="default-src *">',
            "<meta http-equiv> is not allowed",
        ),
        ("</style>", "</style><base href=//x.test>", "<base> is not allowed"),
        (
            '<script type="application/json" id="cataloger">',
            '<script type="application/json" id="cataloger" src="x">',
            "a script that is not one of",
        ),
        ("<body>", "<body class=x>", "does not begin where ours do"),
        ("<body>", "<body onload=x>", "event handler"),
        ("<html ", "<html onclick=x ", "event handler"),
    ],
)
def test_a_changed_frame_is_named(old: str, new: str, reason: str) -> None:
    assert old in PAGE.html
    assert reason in "\n".join(unsafe(PAGE.html.replace(old, new, 1)))


def test_a_character_that_no_page_can_carry_is_a_sign_on_it() -> None:
    table = samples.flights().tables[0].model_copy(update={"comment": "a\x00b\x0bc\ud800d"})
    facts = samples.flights().model_copy(update={"tables": [table], "references": [], "findings": []})
    html = catalog_page(samples.run(previous=None), facts, None, {}, []).html
    assert "a\ufffdb\ufffdc\ufffdd" in html
    assert unsafe(html) == []
    assert html.encode()


def test_a_style_sheet_elsewhere_than_in_the_head_is_named() -> None:
    head, style, rest = re.split(r"(<style>.*?</style>)", PAGE.html, maxsplit=1, flags=re.DOTALL)
    moved = head + rest.replace("<h2>", f"{style}<h2>", 1)
    assert "a style that is not the page's own" in unsafe(moved)


def test_a_page_too_large_to_be_looked_at_is_refused_unread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(safety, "MAX_CHARACTERS", len(PAGE.html))
    assert unsafe(PAGE.html) == []
    [reason] = unsafe(PAGE.html + " ")
    assert reason.endswith(f"characters; at most {len(PAGE.html):,} are allowed")


def test_many_reasons_are_told_in_few() -> None:
    added = "".join(f"<p a{n}>x</p>" for n in range(100))
    assert len(unsafe(PAGE.html.replace("<h2>", f"{added}<h2>", 1))) == safety.MAX_REASONS


@pytest.mark.parametrize(
    ("markup", "reason"),
    [
        ("<p>x</p>", ""),
        ("<p onclick=x>y</p>", "event handler"),
        ("<div><a href='#a'>x<table><a href='#b'>y</a></table></div>", "two parsers read it differently"),
    ],
)
def test_a_part_of_a_page_is_looked_at_like_the_whole(markup: str, reason: str) -> None:
    found = "\n".join(unsafe_part(markup))
    assert reason in found
    assert bool(found) == bool(reason)


def test_nothing_is_no_page() -> None:
    assert unsafe("")
    assert unsafe("<p>x</p>")


@pytest.mark.parametrize(
    "added",
    [
        "<p id=flights>x</p>",
        "<div><a href='#a'>x<table><a href='#b'>y</a></table></div>",
        "<svg><title><p>x</title></svg>",
        "<p>x<!-- a comment --></p>",
    ],
)
def test_what_two_parsers_read_differently_or_finds_a_name_taken_is_named(added: str) -> None:
    assert unsafe(PAGE.html.replace("<h2>", f"{added}<h2>", 1))


def test_a_page_of_ten_megabytes_is_checked_in_seconds() -> None:
    body = PAGE.html.split("<main")[1].split("</main>")[0]
    again = re.sub(r' id="[^"]*"', "", body)
    html = PAGE.html.replace("</main>", f"<section{again}" * (10_000_000 // len(again)) + "</main>")
    started = time.process_time()
    assert unsafe(html) == []
    assert time.process_time() - started < 10


def test_a_table_called_like_the_data_block_leaves_it_its_id() -> None:
    table = samples.flights().tables[0].model_copy(update={"name": "cataloger"})
    html = catalog_page(samples.run(), samples.flights().model_copy(update={"tables": [table]}), None, {}, []).html
    assert unsafe(html) == []
    assert html.count('id="cataloger"') == 1
    assert 'id="%22cataloger%22"' in html
