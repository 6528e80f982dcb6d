"""The score of planted flaws is one that can fall: a wrong number, a missed flaw and a false alarm all cost."""

import copy
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cataloger_sandbox.engines.base import Limits

from benchmarks.score.domains import clean, finance, staff
from benchmarks.score.flaws import FLAWS, RATES
from benchmarks.score.grader import Asked, connect, grade, veiled
from benchmarks.score.judging import Count, judge, labels, references
from benchmarks.score.large import LEAST, large
from benchmarks.score.loading import Place
from benchmarks.score.plants import Bed, Plant, planted
from benchmarks.score.scores import Score
from benchmarks.score.tables import Column, Reference, Table, World

NOW = datetime.fromisoformat("2026-01-15")

EMAILS = Column("email", "varchar", ["a@b.de", "c@d.fr", None], pii="email")
BUYERS = Table("buyer", {"id": Column("id", "integer", [1, 2, 3]), "email": EMAILS}, ("id",))
PRICES = Column("price", "decimal(8,2)", [1.5, 2.5, -99.0, 4.0])
SALES = Table("sale", {"buyer_id": Column("buyer_id", "integer", [1, 1, 3, 9]), "price": PRICES})
WORLD = World({"buyer": BUYERS, "sale": SALES}, (Reference("sale", ("buyer_id",), "buyer", ("id",), declared=False),))
PLANTS = [Plant("orphan_foreign_key", "sale", ("buyer_id",), 0.01, 1, 1),
          Plant("sentinel_value", "sale", ("price",), 0.01, 1, 1)]  # fmt: skip


def column(name: str, kind: str, nulls: int, distinct: int, **more: Any) -> dict[str, Any]:
    known = {"name": name, "type": kind, "nulls": nulls, "distinct": distinct, "distinct_method": "exact", "pii": None}
    return known | more


def finding(kind: str, table: str, name: str, rows: int = 1) -> dict[str, Any]:
    return {"kind": kind, "table": table, "columns": [name], "rows": rows, "sentence": ""}


@pytest.fixture
def block() -> dict[str, Any]:
    """What a page without a fault says of the world above; worked out by hand."""
    thirds = {"min": 1, "max": 3, "mean": 2.0, "std": 1.0, "quantiles": {"0.5": 2}}
    buyers = [column("id", "integer", 0, 3, **thirds),
              column("email", "varchar", 1, 2, min="a@a.aa", max="a@a.aa", pii="email")]  # fmt: skip
    sales = [
        column("buyer_id", "integer", 0, 3, min=1, max=9, mean=3.5, std=3.785938897200183, quantiles={"0.5": 1},
               top=[[1, 2], [3, 1], [9, 1]]),
        column("price", "decimal(8,2)", 0, 4, min="-99.00", max="4.00", mean=-22.75, std=50.84371478691671,
               quantiles={"0.25": "-99.00"}, quantiles_error=0.01),
    ]  # fmt: skip
    return {
        "tables": [{"name": "buyer", "schema": "main", "rows": 3, "columns": buyers},
                   {"name": "sale", "schema": "main", "rows": 4, "columns": sales}],
        "references": [{"from": ["sale", ["buyer_id"]], "to": ["buyer", ["id"]], "declared": False, "orphans": 1}],
        "findings": [finding("orphan_foreign_key", "sale", "buyer_id"), finding("sentinel_value", "sale", "price")],
    }  # fmt: skip


@pytest.fixture
def con(tmp_path: Path) -> Iterator[Asked]:
    _, path = Place("duckdb", tmp_path).load("world", WORLD)
    with closing(connect("duckdb", path)) as connection:
        yield connection


def scored(block: dict[str, Any], con: Asked) -> dict[str, Any]:
    score = Score([judge(block, PLANTS, WORLD, 0.01)], [judge(block | {"findings": []}, (), WORLD)])
    score.references.append(references(block, WORLD))
    score.labels.append(labels(block, WORLD))
    score.grades.append(grade(block, con))
    assert list(score.lines())
    return score.figures() | {"details": list(score.details())}


def test_a_page_without_a_fault_has_the_full_score(block: dict[str, Any], con: Asked):
    figures = scored(block, con)
    assert figures["details"] == []
    assert figures["headline"]["f1"] == figures["references"]["f1"] == figures["personal_data"]["f1"] == 1.0
    assert figures["coverage"] == {"tables": [2, 2], "columns": [4, 4]}
    assert figures["numbers"]["compared"] == 32
    assert figures["numbers"]["masked"] == 2
    assert figures["false_per_100_clean_columns"] == {"clean_twins": 0.0, "untouched_columns": 0.0}


@pytest.mark.parametrize(
    ("table", "name", "changes"),
    [
        (0, "id", {"nulls": 1}),
        (0, "id", {"distinct": 2}),
        (0, "email", {"max": "aa@a.aa"}),
        (1, "buyer_id", {"mean": 3.50001}),
        (1, "buyer_id", {"std": 3.79}),
        (1, "buyer_id", {"quantiles": {"0.5": 4}}),
        (1, "buyer_id", {"top": [[1, 2], [3, 2], [9, 1]]}),
        (1, "price", {"max": "4.01"}),
        (1, "price", {"quantiles": {"0.25": "4.00"}}),
        (1, "price", {"distinct_method": "hll", "distinct": 5, "distinct_error": 0.2}),
    ],
)
def test_a_wrong_number_is_seen(table: int, name: str, changes: dict[str, Any], block: dict[str, Any], con: Asked):
    (chosen,) = [each for each in block["tables"][table]["columns"] if each["name"] == name]
    chosen |= changes
    assert f"{block['tables'][table]['name']}.{name}" in {
        wrong["place"] for wrong in scored(block, con)["numbers"]["wrong"]
    }


def test_a_wrong_count_of_rows_or_orphans_is_seen(block: dict[str, Any], con: Asked):
    block["tables"][0]["rows"], block["references"][0]["orphans"] = 4, 0
    assert len(scored(block, con)["numbers"]["wrong"]) == 2


def test_a_text_may_be_masked_in_part_and_cut_and_nothing_else():
    assert veiled("Call 999 now", "Call 123 now")
    assert veiled("Call 999…", "Call 123 now")
    assert not veiled("Call 999 new", "Call 123 now")
    assert not veiled("Call 999", "Call 123 now")


def test_an_estimate_may_be_as_wrong_as_it_says(block: dict[str, Any], con: Asked):
    block["tables"][1]["columns"][1] |= {"distinct_method": "hll", "distinct": 5, "distinct_error": 0.25}
    assert scored(block, con)["numbers"]["wrong"] == []


@pytest.mark.parametrize("sql", ["SELECT * FROM sale WHERE price > 99", "SELECT nothing FROM nowhere"])
def test_evidence_that_shows_nothing_is_seen(sql: str, block: dict[str, Any], con: Asked):
    block["queries"] = [{"id": "q1", "sql": "SELECT * FROM sale WHERE price < 0"}, {"id": "q2", "sql": sql}]
    block["findings"][0]["query"] = "q1"
    assert scored(block, con)["numbers"]["wrong"] == []
    block["findings"][1]["query"] = "q2"
    assert [wrong["fact"] for wrong in scored(block, con)["numbers"]["wrong"]] == ["sentinel_value query"]


def test_a_left_out_column_is_seen(block: dict[str, Any], con: Asked):
    block["tables"][0]["columns"].pop()
    assert scored(block, con)["coverage"]["columns"] == [3, 4]


@pytest.mark.parametrize(
    "changed",
    [{"kind": "outlier"}, {"table": "buyer"}, {"columns": ["price", "buyer_id"]}, {"rows": 2}, {"rows": None}],
)
def test_a_finding_of_something_else_is_a_miss_and_a_false_alarm(
    changed: dict[str, Any], block: dict[str, Any], con: Asked
):
    block["findings"][1] |= changed
    count = scored(block, con)["headline"]
    assert (count["hits"], count["misses"], count["false"]) == (1, 1, 1)


def test_a_missing_finding_costs_recall_and_one_too_many_precision(block: dict[str, Any], con: Asked):
    missing = copy.deepcopy(block)
    del missing["findings"][0]
    assert scored(missing, con)["headline"]["recall"] == 0.5
    rates = scored(missing, con)["by_kind_and_rate"]
    assert rates["orphan_foreign_key"]["1 %"] == Count(misses=1).figures()
    assert rates["sentinel_value"]["1 %"] == Count(hits=1).figures()
    block["findings"].append(finding("outlier", "buyer", "id"))
    figures = scored(block, con)
    assert figures["headline"]["precision"] == pytest.approx(2 / 3)
    assert figures["by_kind"]["outlier"]["false"] == 1
    assert figures["by_kind_and_rate"]["outlier"] == {"1 %": Count(false=1).figures()}
    assert figures["false_per_100_clean_columns"]["untouched_columns"] == 50.0
    repeated = block | {"findings": [*block["findings"], block["findings"][0]]}
    assert scored(repeated, con)["headline"]["precision"] == 0.5


def test_a_wrong_reference_and_a_wrong_label_are_seen(block: dict[str, Any], con: Asked):
    block["references"][0]["to"] = ["sale", ["buyer_id"]]
    block["tables"][0]["columns"][1]["pii"], block["tables"][1]["columns"][0]["pii"] = "phone", "national_id"
    figures = scored(block, con)
    assert (figures["references"]["misses"], figures["references"]["false"]) == (1, 1)
    assert (figures["personal_data"]["misses"], figures["personal_data"]["false"]) == (1, 2)


def test_what_nobody_could_see_counts_nowhere_else(block: dict[str, Any]):
    hidden = Plant("truncated_text", "buyer", ("email",), 0.01, 1, 1, visible=False)
    score = Score([judge(block, [*PLANTS, hidden], WORLD, 0.01)])
    assert score.headline.recall == 1.0
    assert score.invisible == (0, 1)


@pytest.fixture(scope="module")
def world() -> World:
    return clean(7, 2000, NOW)


@pytest.fixture(scope="module")
def beds(world: World) -> dict[float, Bed]:
    return {rate: planted(world, FLAWS, RATES, rate, FLAWS, 1, np.random.default_rng(3), NOW) for rate in (0.01, 0.1)}


def test_a_seed_gives_the_same_data_and_another_seed_others(world: World, beds: dict[float, Bed]):
    assert clean(7, 2000, NOW) == world
    assert finance.make(np.random.default_rng(8), 2000, NOW) != finance.make(np.random.default_rng(9), 2000, NOW)
    again = planted(world, FLAWS, RATES, 0.01, FLAWS, 1, np.random.default_rng(3), NOW)
    assert (again.plants, again.world) == (beds[0.01].plants, beds[0.01].world)


def test_every_kind_is_planted_and_nothing_else_is_touched(world: World, beds: dict[float, Bed]):
    assert {plant.kind for bed in beds.values() for plant in bed.plants} == set(FLAWS)
    for bed in beds.values():
        for table in world.tables.values():
            now = bed.world.tables[table.name]
            for name in table.columns:
                if (table.name, name) not in bed.used:
                    assert now.columns[name].values == table.columns[name].values, f"{table.name}.{name}"
        changed = {plant.table for plant in bed.plants}
        assert all(bed.world.tables[name] != world.tables[name] for name in changed)


def test_clean_data_keep_their_keys_references_and_dependencies(world: World):
    for table in world.tables.values():
        keys = list(zip(*(table.columns[name].values for name in table.key), strict=True))
        assert len(set(keys)) == len(keys)
        for first, second in table.dependencies:
            pairs = set(zip(table.columns[first].values, table.columns[second].values, strict=True))
            assert len(pairs) == len({left for left, _ in pairs})
    for reference in world.references:
        children = set(zip(*(world.tables[reference.table].columns[c].values for c in reference.columns), strict=True))
        parents = set(zip(*(world.tables[reference.to].columns[c].values for c in reference.to_columns), strict=True))
        assert {child for child in children if None not in child} <= parents


def test_orphans_are_planted_where_any_database_takes_them(world: World):
    """Two rows of a declared key that point to nobody could meet."""
    beds = [
        planted(world, FLAWS, RATES, 0.1, ["orphan_foreign_key"], 20, np.random.default_rng(i), NOW) for i in (1, 2)
    ]
    for bed in beds:
        places = {(plant.table, plant.columns[0]) for plant in bed.plants}
        assert len(places) > 5
        assert not [
            place for place in places if place[1] in world.tables[place[0]].key and world.tables[place[0]].declared
        ]


@pytest.mark.parametrize("kind", ["outlier", "sentinel_value"])
@pytest.mark.parametrize("seed", [1, 2])
def test_what_is_planted_fits_the_columns_type(kind: str, seed: int):
    """A salary a thousand times too large does not fit where the database keeps eight digits before the point."""
    tables, _ = staff.make(np.random.default_rng(seed), 10_000, NOW)
    world = World({table.name: table for table in tables}, ())
    world = planted(world, FLAWS, RATES, 0.01, [kind], 40, np.random.default_rng(seed), NOW).world
    columns = [column for table in world.tables.values() for column in table.columns.values()]
    decimals = [column for column in columns if column.type.startswith("decimal")]
    assert decimals
    for column in decimals:
        digits, places = (int(number) for number in column.type[8:-1].split(","))
        assert max(abs(value) for value in column.values if value is not None) < 10 ** (digits - places), column.name


def test_a_large_table_is_larger_than_what_is_counted_exactly_and_one_seed_gives_one_table() -> None:
    assert Limits().exact_rows < LEAST
    one, same, other = large(1, 500, NOW), large(1, 500, NOW), large(2, 500, NOW)
    assert one == same != other
    table = one.tables["events"]
    assert table.rows == 500
    assert len(set(table.columns["event_no"].values)) == 500
    assert max(table.columns["placed_at"].values) <= NOW
    assert None in table.columns["quantity"].values
