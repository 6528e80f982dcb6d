"""Hostile values and submissions by the hundred: refused with a reason, or harmless on the page and in its exports.

``benchmarks/hostile.py`` tries as many more as it is told to.
"""

import json
import re

import pytest
from markdown_it import MarkdownIt

from cataloger_dagster.export import export
from cataloger_dagster.report.block import Block, read_block
from cataloger_dagster.report.catalog import catalog_page
from cataloger_dagster.report.narrative import problems
from cataloger_dagster.report.page import Page
from cataloger_dagster.report.safety import unsafe
from tests import hostile, samples
from tests.report.narrated import SMALL

SEED = 20
VALUES = hostile.values(600, SEED)


@pytest.fixture(scope="module")
def page() -> Page[Block]:
    return catalog_page(samples.run(), samples.hostile(VALUES, 20), None, {}, [])


@pytest.mark.parametrize("trick", hostile.HARMFUL)
def test_what_got_through_elsewhere_is_refused_here(trick: str) -> None:
    assert problems(f"<p>Fine.</p>{trick}", SMALL, {}), trick


def test_a_refusal_of_a_trick_names_its_reason() -> None:
    told = "\n".join(reason for trick in hostile.HARMFUL for reason in problems(f"<p>Fine.</p>{trick}", SMALL, {}))
    for reason in (
        "scripts never run",
        "event handler",
        "no frames",
        "no forms",
        "loads nothing",
        "drawings are ours",
        "its own style",
        "the page's head is ours",
    ):
        assert reason in told, reason


def test_submissions_nobody_has_seen_leave_the_page_safe() -> None:
    # Thousands of others are looked at in Chromium: test_in_browser.py.
    for one in (*hostile.OPEN, *hostile.fragments(len(hostile.WHOLE) + 20, SEED)[-20:]):
        assert unsafe(catalog_page(samples.run(previous=None), SMALL, one, {}, []).html) == [], one


def test_hundreds_of_hostile_values_leave_the_page_safe(page: Page[Block]) -> None:
    assert unsafe(page.html) == []


def test_hostile_values_come_back_from_the_block_as_they_were(page: Page[Block]) -> None:
    assert read_block(page.html) == page.block
    assert json.loads(export(page.html, "json"))["tables"][0]["columns"][0]["top"][0][0] == VALUES[0]


def test_hostile_values_are_text_in_markdown_and_nothing_else(page: Page[Block]) -> None:
    tokens = MarkdownIt("commonmark", {"html": True}).enable("table").parse(export(page.html, "markdown"))
    kinds = {token.type for outer in tokens for token in [outer, *(outer.children or [])]}
    assert kinds <= {
        *(f"{name}_{end}" for name in ("heading", "paragraph", "strong", "bullet_list", "list_item") for end in ENDS),
        *(f"{name}_{end}" for name in ("table", "thead", "tbody", "tr", "th", "td") for end in ENDS),
        "inline",
        "fence",
        "softbreak",
        "text",
        "text_special",
    }
    rows = sum(token.type == "tr_open" for token in tokens)
    block = page.block
    assert rows == sum(1 + len(table.columns) for table in block.tables) + 1 + len(block.references)
    sql = block.facts.query_by_id
    fences = [token.content.removesuffix("\n") for token in tokens if token.type == "fence"]
    # What any Markdown is read with: no NUL, one kind of line end.
    asked = (sql[finding.query].sql.replace("\x00", "\ufffd") for finding in block.findings)
    assert fences == ["\n".join(re.split(r"\r\n?|\n", text)) for text in asked]
    assert sum(token.type == "list_item_open" for token in tokens) >= len(block.findings) > 0


def test_hostile_values_are_strings_in_croissant(page: Page[Block]) -> None:
    data = json.loads(export(page.html, "croissant"))
    assert [records["name"] for records in data["recordSet"]] == [table.name for table in page.block.tables]


ENDS = ("open", "close")
