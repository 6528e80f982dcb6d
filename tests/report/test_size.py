"""Submissions made to cost much: refused by what they hold, in a time and memory that grow no faster than they do."""

import resource
import subprocess
import sys
from pathlib import Path

import pytest

from cataloger_dagster.agent.tools import Toolbox
from cataloger_dagster.privacy import Mask
from cataloger_dagster.report.narrative import problems
from cataloger_dagster.report.stylesheet import MAX_DEPTH, covers, fetches
from cataloger_dagster.report.tree import MAX_ATTRIBUTES
from cataloger_dagster.sandbox.session import Session
from tests.report.narrated import SMALL

# Seconds are enough for all of these. Each took minutes, or fell over, where its cost grew as the square of its size.
CPU_SECONDS, BYTES = 40, 2_000_000_000

COSTLY = {
    "tags that nobody closes": "<b>" * 60_001,
    "attributes": "<p " + " ".join(f"a{n}" for n in range(100_000)) + ">x",
    "attributes after a comment's end": "<!-- '--><p a='>' " + " ".join(f"a{n}" for n in range(20_000)) + ">x",
    "comments that nobody ends": "<p>x</p>" + "<!--" * 100_000,
    "empty lines": "\n " * 150_000 + "<p>",
    "numbers": "<p>" + "1 " * 25_000,
    "ampersands": "<p>" + "&" * 350_000,
    "braces": "<style>" + "{" * 150_000 + "</style><p>x",
    "rules in rules": "<style>" + "a{" * 8_000 + "</style><p>x",
    "one long id": f'<p id="{"x" * 300_000}">x</p>',
    "one long reference": f'<p><fact-value ref="{"x." * 100_000}"></p>',
}


class Untouched:
    """Stands for what no page that is too large may reach."""

    def __getattr__(self, name: str) -> None:
        raise AssertionError(f"{name} was asked for")


@pytest.mark.parametrize(
    "content",
    [
        "<p>" + "x" * 100_000_000,
        "<div>" * 1_000_000,
        "<p " + "abcd=1 " * 1_000_000 + ">x",
        f'<p title="{"x" * 50_000_000}">x',
        f'<p id="{"x" * 5_000_000}">x',
    ],
    ids=["text", "tags", "attributes", "attribute", "id"],
)
def test_what_is_too_large_is_refused_before_anything_reads_it(content: str) -> None:
    untouched: Session | Mask = Untouched()  # type: ignore[assignment]
    box = Toolbox(untouched, lambda _: pytest.fail("it was read"), Mask("masked"))  # type: ignore[arg-type]
    box._mask.page = untouched  # type: ignore[method-assign, assignment]
    answer = box.run({"id": "x", "name": "submit_html", "input": {"content": content}}, 1)
    assert answer.page is None
    assert f"It has {len(content):,} characters; at most 2,000,000 are taken." in answer.output


@pytest.mark.parametrize(
    ("html", "reason"),
    [
        (COSTLY["tags that nobody closes"], "at most 60,000 are taken"),
        (COSTLY["attributes"], f"more than {MAX_ATTRIBUTES} attributes"),
        (COSTLY["attributes after a comment's end"], f"more than {MAX_ATTRIBUTES} attributes"),
        (COSTLY["numbers"], "more than 20,000 numbers"),
        (COSTLY["braces"], "<style> of 150,000 characters"),
        (COSTLY["rules in rules"], f"nested more than {MAX_DEPTH} deep"),
        ("<p " + " ".join(f"a{n}='>'" for n in range(MAX_ATTRIBUTES + 1)) + ">x", "attributes"),
    ],
)
def test_what_there_is_too_much_of_is_named(html: str, reason: str) -> None:
    assert reason in "\n".join(problems(html, SMALL, {}))


def test_an_element_may_have_many_attributes_and_a_text_many_words() -> None:
    html = "<p " + " ".join(f"a{n}" for n in range(MAX_ATTRIBUTES)) + ">x" + " a = 'b'" * 500
    assert problems(html, SMALL, {}) == []


def test_a_style_sheet_of_many_levels_is_no_fault_of_ours() -> None:
    for css in ("{" * 5_000, "a(" * 5_000, "a{" * 5_000):
        assert fetches(css)
    assert covers("a{" * 5_000)


def test_what_costs_much_costs_no_more_than_its_size() -> None:
    ran = subprocess.run(
        [sys.executable, "-c", "from tests.report import test_size; test_size.cost()"],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert ran.stdout.split("\n")[:-1] == list(COSTLY)


def cost() -> None:
    """Submit what costs much, under limits of this process's own, and print what came back."""
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS))
    resource.setrlimit(resource.RLIMIT_AS, (BYTES, BYTES))
    box = Toolbox(Untouched(), lambda page: problems(page, SMALL, {}), Mask("masked"))  # type: ignore[arg-type]
    for name, content in COSTLY.items():
        box.run({"id": "x", "name": "submit_html", "input": {"content": content}}, 1)
        sys.stdout.write(f"{name}\n")
