"""What a style sheet fetches and what it covers is told, however it is written; plain style is not."""

import pytest

from cataloger_dagster.report.stylesheet import covers, fetches


def test_plain_style_fetches_and_covers_nothing() -> None:
    css = "/* x */ :root{--a:1px} @media print{p{color:rgb(1,2,3);width:calc(1px + var(--a))}} @page{margin:1mm}"
    assert fetches(css) == []
    assert covers(css) == []


@pytest.mark.parametrize(
    "name", ["url", "src", "image", "image-set", "-webkit-image-set", "cross-fade", "element", "expression"]
)
def test_a_function_that_fetches_is_told_wherever_it_stands(name: str) -> None:
    for css in (
        f"p{{background:{name}('x')}}",
        f"p{{background:{name.upper()}('x')}}",
        f"@media print{{p{{background:{name}('x')}}}}",
        f"p{{--a:calc(1px + {name}('x'))}}",
        f"p{{--a:[{name}('x')]}}",
        f"@supports (background:{name}('x')){{p{{color:red}}}}",
    ):
        assert f"{name}()" in fetches(css), css


@pytest.mark.parametrize(
    ("css", "told"),
    [
        ("p{background:url(x)}", "url()"),
        ("p{background:u\\72l(x)}", "url()"),
        ("p{background:url(x", "url()"),
        ("@import 'x';", "@import"),
        ("@font-face{font-family:a}", "@font-face"),
        ("@media print{@namespace x}", "@namespace"),
        ("@\\69mport 'x';", "@import"),
    ],
)
def test_what_is_written_in_another_way_is_told_as_what_it_is(css: str, told: str) -> None:
    assert told in fetches(css)


def test_what_no_parser_reads_is_told() -> None:
    assert fetches("p{color:red}}x")
    assert fetches("p{background:url(a b'c)}")


@pytest.mark.parametrize(
    "name", ["position", "z-index", "inset", "float", "transform", "behavior", "-moz-binding", "content"]
)
def test_a_declaration_that_covers_is_told_wherever_it_stands(name: str) -> None:
    for css in (f"p{{{name}:x}}", f"p{{{name.upper()}:x}}", f"@media print{{p{{{name}:x}}}}", f"p{{a{{{name}:x}}}}"):
        assert covers(css) == [name], css
