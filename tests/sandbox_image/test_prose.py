"""The words that a rule writes: taken by the report, without a number of their own, and true."""

import re
from typing import Any

import pytest
from cataloger_sandbox import measured
from cataloger_sandbox.prose import catalog as drafts
from cataloger_sandbox.prose import summary as summaries
from cataloger_sandbox.questions import questions

from cataloger_dagster.facts import Facts, Finding, Reference
from cataloger_dagster.report.block import block_of
from cataloger_dagster.report.changes import changes, claims
from cataloger_dagster.report.narrative import problems, read
from tests import samples


def kit_facts(facts: Facts) -> measured.Facts:
    return measured.Facts(facts.dump())


def catalog(facts: Facts, answers: dict[str, Any] | None = None) -> str:
    noted = answers or {}
    html = drafts.catalog(kit_facts(facts), noted)
    named = {name: samples.claim(name, value) for name, value in noted.items()}
    assert problems(html, facts, named) == []
    assert read(html, facts, named).unmeasured == 0
    return html


def answers(facts: Facts, answer: Any = 3) -> dict[str, Any]:
    return {question.id: answer for question in questions(kit_facts(facts))}


def plain(html: str) -> str:
    text = re.sub(r'<fact-value ref="([^"]*)"></fact-value>', r"[\1]", html)
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", "", text))


def changed(facts: Facts, **fields: Any) -> Facts:
    return facts.model_copy(update=fields)


@pytest.mark.parametrize(
    "facts",
    [
        samples.flights(),
        samples.hostile(),
        samples.large(60, 12),
        changed(samples.flights(), references=[], findings=[]),
        changed(samples.flights(), tables=samples.flights().tables[:1], references=[]),
    ],
    ids=["flights", "hostile", "large", "unrelated", "single"],
)
@pytest.mark.parametrize("answered", [True, False], ids=["answered", "unanswered"])
def test_a_draft_is_taken_and_types_no_number(facts: Facts, answered: bool) -> None:
    html = catalog(facts, answers(facts) if answered else {})
    assert len(html) < 2_000_000


def test_numbers_in_names_are_no_numbers_of_the_draft() -> None:
    first, second = samples.flights().tables[2].columns[:2]
    columns = [first.model_copy(update={"name": "no 1"}), second.model_copy(update={"name": "2024", "nulls": 3_300})]
    update = {"name": "Sales 2023 (v 2)", "columns": columns, "keys": [["no 1"]], "primary_key": ["no 1"]}
    table = samples.flights().tables[2].model_copy(update=update)
    html = catalog(changed(samples.flights(), tables=[table], references=[], findings=[]))
    assert "<code>no 1</code>" in html


def test_a_draft_of_five_hundred_tables_is_made_in_seconds_and_fits() -> None:
    facts = kit_facts(samples.large(500, 20))
    assert len(drafts.catalog(facts, {})) < 2_000_000


def test_the_draft_says_what_the_database_is() -> None:
    text = plain(catalog(samples.flights()))
    assert text.strip().startswith(
        "[flights.rows] rows of flights from [flights.time_hour.min] to [flights.time_hour.max], "
        "with the airlines, airports, planes and weather they refer to."
    )
    assert "The centre is flights. A row there refers to airlines (by carrier), airports (by origin and dest)" in text
    assert "weather in turn refers to airports." in text


def test_the_draft_says_what_a_row_is_and_what_hangs_on_it() -> None:
    html = catalog(samples.flights())
    text = plain(html)
    assert "One row for each combination of year, month, day, carrier, flight and origin." in text
    assert '<p data-for="planes">One row for each <code>tailnum</code>.' in html
    assert "No key is declared, and none was found in the values." in text
    assert "flights (by tailnum) refers to it." in text
    assert "Airports of the United States and their places." in text


def test_a_column_gets_a_meaning_only_where_a_rule_knows_one() -> None:
    html = catalog(samples.flights(), answers(samples.flights(), 0))
    assert '<p data-for="flights.tailnum">Names a row of <code>planes</code>; <fact-value' in html
    assert '<p data-for="airlines.name">What the <code>carrier</code> of the row stands for.</p>' in html
    assert "Mostly empty" in html.split('data-for="planes.speed"')[1].split("</p>")[0]
    assert "HHMM" in html.split('data-for="flights.dep_time"')[1].split("</p>")[0]
    assert "Month of the year" in html.split('data-for="flights.month"')[1].split("</p>")[0]
    assert 'data-for="planes.manufacturer"' not in html
    assert 'data-for="planes.seats"' not in html


def test_an_answer_decides_what_is_said() -> None:
    facts = samples.flights()
    assert "HHMM" not in catalog(facts, answers(facts, 5))
    assert "HHMM" in catalog(facts, answers(facts, 0))
    assert "HHMM" not in catalog(facts)
    assert "[airlines.unused]" in plain(catalog(facts, answers(facts, 5)))
    assert "and to each of its rows" in plain(catalog(facts, answers(facts, 0)))


def test_empty_and_unreadable_tables_are_called_so() -> None:
    tables = samples.flights().tables
    facts = changed(
        samples.flights(),
        tables=[
            tables[0],
            tables[2].model_copy(update={"rows": 0}),
            tables[3].model_copy(update={"rows": None, "columns": []}),
            tables[4].model_copy(update={"kind": "view"}),
        ],
        references=[],
        findings=[],
    )
    text = plain(catalog(facts))
    assert "planes holds no rows." in text
    assert "airlines is a view." in text
    assert "planes hold no rows: still to come" not in text


def test_a_database_without_tables_has_a_page() -> None:
    facts = changed(samples.flights(), tables=[], references=[], findings=[])
    assert "No table or view is to be seen here." in catalog(facts)


def test_the_least_page_is_taken_too() -> None:
    for facts in (samples.flights(), samples.hostile(), changed(samples.flights(), tables=[], findings=[])):
        html = drafts.minimal(kit_facts(facts))
        assert problems(html, facts, {}) == []


@pytest.mark.parametrize("number", ["16 rows", "half", "twelve", "½"])
def test_a_comment_with_a_number_is_left_to_the_page(number: str) -> None:
    def text(comment: str) -> str:
        tables = [samples.flights().tables[4].model_copy(update={"comment": comment})]
        return catalog(changed(samples.flights(), tables=tables, references=[], findings=[]))

    assert "carriers" not in text(f"{number} of <b>carriers</b>")
    assert "carriers" in text("all of the carriers")


def test_questions_have_names_that_are_free_and_can_be_cited() -> None:
    for facts in (samples.flights(), samples.hostile(), samples.large(60, 12)):
        asked = questions(kit_facts(facts))
        assert len(asked) <= 40
        assert len({question.id for question in asked}) == len(asked)
        for question in asked:
            assert re.fullmatch(r"\w+(\.\w+)*", question.id)
            assert not kit_facts(facts).has(question.id)


def test_a_table_too_large_for_a_cell_is_not_asked() -> None:
    tables = [table.model_copy(update={"rows": 10**9}) for table in samples.flights().tables]
    assert questions(kit_facts(changed(samples.flights(), tables=tables))) == []


def blocks(now: Facts, *before: Facts) -> list[Any]:
    names = ["2014-01-01T00:00:00.000Z", "2013-12-01T00:00:00.000Z", "2013-11-01T00:00:00.000Z"]
    return [block_of(samples.run(snapshot=name), facts) for name, facts in zip(names, [now, *before], strict=False)]


def summary(*snapshots: Facts) -> str:
    history = blocks(*snapshots)
    facts = snapshots[0]
    found = changes(history)
    named = claims(history[1], facts) if len(history) > 1 else {}
    html = summaries.summary(kit_facts(facts), [change.dump() for change in found])
    assert problems(html, facts, named) == []
    assert read(html, facts, named).unmeasured == 0
    return html


def test_a_summary_tells_what_changed_with_measured_numbers() -> None:
    text = plain(summary(samples.flights(), samples.flights(11)))
    assert "flights grew from [flights.rows.before] to [flights.rows] rows, by [flights.rows.change]." in text
    assert "a repeated key, new." in text


def test_a_summary_of_dropped_added_and_retyped_things_is_taken() -> None:
    new, old = samples.flights(), samples.flights(11)
    flights = old.tables[0]
    retyped = [flights.columns[0].model_copy(update={"type": "text"}), *flights.columns[2:]]
    before = changed(
        old,
        tables=[
            flights.model_copy(update={"columns": retyped}),
            *old.tables[1:4],
            samples.hostile().tables[0],
        ],
    )
    text = plain(summary(new, before))
    assert "airlines is new, with [airlines.rows] rows." in text
    assert "changed its type, from text to integer." in text
    assert "is gone" in text
    assert "dropped on purpose?" in text
    plain(summary(before, new))


def test_older_changes_are_told_without_numbers() -> None:
    html = summary(samples.flights(), samples.flights(11), samples.flights())
    assert "Before that" in html
    older = plain(html.split("Before that")[1])
    assert "flights shrank." in older
    assert "[" not in older


def test_a_summary_without_changes_says_so() -> None:
    assert "Nothing that is compared has changed" in summary(samples.flights(), samples.flights())
    assert "Nothing" in summary(samples.flights())


def test_a_hostile_summary_is_taken() -> None:
    old = changed(samples.hostile(), findings=[], tables=samples.hostile().tables[:3])
    summary(samples.hostile(), old)
    summary(old, samples.hostile())


def test_each_of_many_broken_references_is_told_once_the_worst_by_what_they_lose() -> None:
    tables = range(1, 8)
    references = [
        Reference(from_=(f"table_{t}", ["column_1"]), to=("table_0", ["column_0"]), declared=True, orphans=t)
        for t in tables
    ]
    findings = [
        Finding(
            id=f"f{t}",
            kind="orphan_foreign_key",
            table=f"table_{t}",
            columns=["column_1"],
            severity="high",
            rows=t,
            query="q1",
            sentence="Some rows refer to nothing.",
        )
        for t in tables
    ]
    html = catalog(changed(samples.large(8, 3), references=references, findings=findings))
    lost = re.findall(r"<code>(table_\d)</code> loses", html)
    assert lost == ["table_7", "table_6", "table_5", "table_4", "table_3"]
    [rest] = re.findall(r"<li>([^<]*(?:<code>table_[12]</code>[^<]*<code>[^<]*</code>[^<]*)+): an inner join", html)
    assert re.findall(r"table_\d", rest) == ["table_2", "table_1"]
