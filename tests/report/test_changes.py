"""What counts as a change between snapshots, and how grave it is."""

from collections.abc import Sequence
from typing import Any

import pytest

from cataloger_dagster.facts import Change, Coverage, Facts, Finding, Searched, Skipped, Unjudged, Unlisted
from cataloger_dagster.report.block import Block, block_of
from cataloger_dagster.report.changes import changes, claims
from tests import samples

OLD = "2013-10-31T23:59:00.000Z"


def blocks(now: Facts, before: Facts) -> list[Block]:
    return [block_of(samples.run(), now), block_of(samples.run(snapshot=samples.BEFORE), before)]


def edited(facts: Facts, table: str, column: str | None = None, **update: Any) -> Facts:
    tables = []
    for one in facts.tables:
        if one.name == table and column is None:
            one = one.model_copy(update=update)
        elif one.name == table:
            columns = [c.model_copy(update=update) if c.name == column else c for c in one.columns]
            one = one.model_copy(update={"columns": columns})
        tables.append(one)
    return facts.model_copy(update={"tables": tables})


def told(found: list[Change]) -> list[tuple[str, str, str | None, object, object, str]]:
    return [(c.kind, c.table, c.column, c.from_, c.to, c.severity) for c in found]


BASE = samples.flights()


def test_equal_snapshots_differ_in_nothing() -> None:
    assert changes(blocks(BASE, BASE)) == []
    assert changes([block_of(samples.run(), BASE)]) == []
    assert changes([]) == []


def test_a_month_of_flights() -> None:
    found = changes(blocks(BASE, samples.flights(11)))
    assert told(found) == [
        ("finding_new", "weather", None, None, "duplicate_key:weather:origin,time_hour", "medium"),
        ("rows_changed", "flights", None, 308_641, 336_776, "info"),
        ("rows_changed", "weather", None, 23_971, 26_115, "info"),
    ]
    assert {change.since for change in found} == {samples.BEFORE}
    assert found[1].query == "q2"


def test_tables_and_columns_come_and_go() -> None:
    fewer = BASE.model_copy(update={"tables": BASE.tables[:-1]})
    assert told(changes(blocks(fewer, BASE))) == [("table_dropped", "airlines", None, 16, None, "high")]
    assert told(changes(blocks(BASE, fewer))) == [("table_added", "airlines", None, None, 16, "info")]
    narrow = edited(BASE, "planes", columns=BASE.tables[2].columns[:-1])
    assert told(changes(blocks(narrow, BASE))) == [("column_dropped", "planes", "speed", "integer", None, "high")]
    assert told(changes(blocks(BASE, narrow))) == [("column_added", "planes", "speed", None, "integer", "info")]


def test_a_table_that_could_not_be_read_is_not_gone() -> None:
    skipped = Coverage(tables=(4, 5), columns=(25, 27), skipped=[Skipped(table="airlines", reason="no rights")])
    fewer = BASE.model_copy(update={"tables": BASE.tables[:-1], "coverage": skipped})
    assert changes(blocks(fewer, BASE)) == []


def test_a_type_that_changes_is_grave() -> None:
    other = edited(BASE, "planes", "seats", type="varchar")
    assert told(changes(blocks(other, BASE))) == [("type_changed", "planes", "seats", "integer", "varchar", "high")]


@pytest.mark.parametrize(
    ("rows", "severity"),
    [(1_000, "high"), (0, "high"), (3_000, "medium"), (3_300, "low"), (4_000, "info"), (40_000, "medium")],
)
def test_rows_that_vanish_are_graver_than_rows_that_come(rows: int, severity: str) -> None:
    found = changes(blocks(edited(BASE, "planes", rows=rows), BASE))
    assert (found[-1].kind, found[-1].severity) == ("rows_changed", severity)


@pytest.mark.parametrize(
    ("nulls", "severity"),
    [(0, "info"), (71, None), (80, None), (200, "low"), (500, "medium"), (2_500, "high"), (None, None)],
)
def test_nulls_count_by_their_share(nulls: int | None, severity: str | None) -> None:
    found = changes(blocks(edited(BASE, "planes", "year", nulls=nulls), BASE))
    assert [(c.kind, c.column, c.severity) for c in found] == (
        [("nulls_changed", "year", severity)] if severity else []
    )


def test_findings_are_new_or_resolved() -> None:
    fewer = BASE.model_copy(update={"findings": BASE.findings[1:]})
    key = "orphan_foreign_key:flights:tailnum"
    assert told(changes(blocks(BASE, fewer))) == [("finding_new", "flights", "tailnum", None, key, "high")]
    assert told(changes(blocks(fewer, BASE))) == [("finding_resolved", "flights", "tailnum", key, None, "info")]


@pytest.mark.parametrize(
    "unseen",
    [
        {"unanswered": ["the 20 minutes for measuring are used up"]},
        {"searched": [Searched(table="flights", rows=0, of=336_776, reason="took longer than 60 s")]},
        {"skipped": [Skipped(table="flights", column=None, reason="it can't be read")]},
        {"unjudged": [Unjudged(kinds=["orphan_foreign_key"], tables=["planes", "flights"], reason="a fault")]},
        {"unjudged": [Unjudged(kinds=["orphan_foreign_key"], reason="no time was left")]},
        {"unjudged": [Unjudged(kinds=["orphan_foreign_key"], columns=["tailnum"], reason="a bound", cut=True)]},
    ],
)
def test_a_finding_that_could_not_be_looked_for_is_neither_resolved_nor_new(unseen: dict[str, object]) -> None:
    fewer = BASE.model_copy(
        update={"findings": BASE.findings[1:], "coverage": BASE.coverage.model_copy(update=unseen)},
    )
    before, now = block_of(samples.run(snapshot=samples.BEFORE), BASE), block_of(samples.run(), fewer)
    assert changes([now, before]) == []
    assert claims(before, now)["findings.resolved"].value == 0
    assert changes([before, now]) == []
    assert claims(now, before)["findings.new"].value == 0


def flights_with(*findings: Finding, unjudged: Sequence[Unjudged] = ()) -> Facts:
    coverage = BASE.coverage.model_copy(update={"unjudged": list(unjudged)})
    return BASE.model_copy(update={"findings": [*BASE.findings[1:], *findings], "coverage": coverage})


def test_a_flaw_found_in_columns_in_another_order_is_the_same() -> None:
    there = BASE.findings[0].model_copy(update={"id": "k:flights:carrier,tailnum", "columns": ["carrier", "tailnum"]})
    turned = there.model_copy(update={"id": "k:flights:tailnum,carrier", "columns": ["tailnum", "carrier"]})
    assert changes(blocks(flights_with(there), flights_with(turned))) == []
    assert changes(blocks(flights_with(turned), flights_with(there))) == []


def test_a_flaw_that_another_rule_claims_while_its_own_fails_comes_and_goes_in_silence() -> None:
    own = BASE.findings[0]
    other = own.model_copy(update={"id": "sentinel_value:flights:tailnum", "kind": "sentinel_value"})
    elsewhere = other.model_copy(update={"id": "sentinel_value:flights:carrier", "columns": ["carrier"]})
    failed = [Unjudged(kinds=[own.kind], tables=["flights"], reason="a fault")]
    claimed, told = flights_with(other, elsewhere, unjudged=failed), flights_with(own)
    assert [(c.kind, c.column) for c in changes(blocks(claimed, told))] == [("finding_new", "carrier")]
    assert [(c.kind, c.column) for c in changes(blocks(told, claimed))] == [("finding_resolved", "carrier")]
    judged = flights_with(other)
    assert {c.kind for c in changes(blocks(judged, told))} == {"finding_new", "finding_resolved"}


@pytest.mark.parametrize(
    "seen",
    [
        Unjudged(kinds=["outlier"], tables=["flights"], reason="a fault"),
        Unjudged(kinds=["orphan_foreign_key"], tables=["planes"], reason="a fault"),
        Unjudged(kinds=["orphan_foreign_key"], columns=["carrier"], reason="a bound", cut=True),
    ],
)
def test_a_finding_that_was_looked_for_is_resolved_whatever_else_was_not(seen: Unjudged) -> None:
    coverage = BASE.coverage.model_copy(update={"unjudged": [seen]})
    fewer = BASE.model_copy(update={"findings": BASE.findings[1:], "coverage": coverage})
    assert [change.kind for change in changes(blocks(fewer, BASE))] == ["finding_resolved"]


def test_each_pair_of_snapshots_is_compared_and_the_newest_comes_first() -> None:
    now, before = blocks(BASE, samples.flights(11))
    oldest = block_of(samples.run(snapshot=OLD), edited(samples.flights(11), "planes", rows=3_000))
    found = changes([now, before, oldest])
    assert [change.since for change in found] == [samples.BEFORE] * 3 + [OLD]


def test_prose_may_cite_the_difference() -> None:
    before = block_of(samples.run(snapshot=samples.BEFORE), samples.flights(11))
    named = claims(before, BASE)
    assert named["flights.rows.before"].value == 308_641
    assert named["flights.rows.change"].value == 28_135
    assert named["flights.rows.change"].query == "q2"
    assert named["airlines.rows.change"].value == 0
    assert named["flights.dep_time.nulls.change"].value == 1_025
    assert named["findings.new"].value == 1
    assert all(BASE.resolve(name, named).value == claim.value for name, claim in named.items())


def secrets(tables: list[int], unlisted: list[str] | None = None, beyond: int = 0) -> Facts:
    """Facts whose tables have a secret each; five tables or more have it as one finding."""
    parts = [
        Finding(
            id=f"secret_exposed:t{n}:api_key",
            kind="secret_exposed",
            table=f"t{n}",
            columns=["api_key"],
            severity="high",
            rows=3,
            query="q1",
            sentence="3 rows.",
        )
        for n in tables
    ]
    whole = {"id": "secret_exposed::api_key", "rows": 3 * len(parts), "members": parts}
    found = [parts[0].model_copy(update=whole)] if len(parts) >= 5 else parts
    ids = unlisted or []
    left = [Unlisted(kind="secret_exposed", findings=len(ids) + beyond, tables=9, ids=ids)] if ids else []
    return BASE.model_copy(update={"findings": found, "coverage": BASE.coverage.model_copy(update={"unlisted": left})})


def steps(now: Facts, before: Facts) -> list[tuple[str, str, object, int | None]]:
    return [(c.kind, c.table, c.to or c.from_, c.tables) for c in changes(blocks(now, before))]


GROUP = "secret_exposed::api_key"


@pytest.mark.parametrize(
    ("before", "now", "expected"),
    [
        (range(9), range(9), []),
        (range(4), range(4), []),
        ([], range(9), [("finding_new", "t0", GROUP, 9)]),
        (range(9), [], [("finding_resolved", "t0", GROUP, 9)]),
        # A table joins or leaves: the finding lasts.
        (range(8), range(9), [("finding_new", "t8", "secret_exposed:t8:api_key", None)]),
        (range(9), range(8), [("finding_resolved", "t8", "secret_exposed:t8:api_key", None)]),
        (range(8), range(20), [("finding_new", "t8", GROUP, 12)]),
        (range(20), range(8), [("finding_resolved", "t8", GROUP, 12)]),
        # So it does where it comes to be told as one, and table by table again.
        (range(4), range(5), [("finding_new", "t4", "secret_exposed:t4:api_key", None)]),
        (range(5), range(4), [("finding_resolved", "t4", "secret_exposed:t4:api_key", None)]),
    ],
)
def test_what_many_tables_have_is_compared_table_by_table(before: range, now: range, expected: list[object]) -> None:
    assert steps(secrets(list(now)), secrets(list(before))) == expected
    named = claims(blocks(BASE, secrets(list(before)))[1], secrets(list(now)))
    assert named["findings.new"].value == sum(step[0] == "finding_new" for step in expected)  # type: ignore[index]


def test_what_is_not_listed_is_neither_new_nor_resolved() -> None:
    left = ["secret_exposed:t3:api_key"]
    assert steps(secrets([0, 1, 2], left), secrets([0, 1, 2, 3])) == []
    assert steps(secrets([0, 1, 2, 3]), secrets([0, 1, 2], left)) == []
    assert [step[1] for step in steps(secrets([0, 1, 2], left), secrets([0, 1, 2, 3, 4]))] == ["t4"]
    # Where not even the names of all of them are known, nobody can tell.
    assert steps(secrets([0, 1, 2], left, beyond=1), secrets([0, 1, 2, 3, 4])) == []
