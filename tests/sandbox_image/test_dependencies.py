"""Dependencies between a table's columns: those worth knowing are found, those of chance are not."""

import random
from collections.abc import Iterable, Sequence

from cataloger_sandbox.dependencies import Evidence, evidence, worth_knowing
from cataloger_sandbox.engines.base import Limits

from cataloger_dagster.facts import Facts
from tests.sandbox_image.conftest import Made
from tests.sandbox_image.measured import facts_of

LANDS = ["Germany", "France", "Spain", "Italy", "Poland"]
NAMES = ["id", "city", "region", "country", "code", "label", "letter", "state", "amount"]
TYPES = ["integer", "varchar", "varchar", "varchar", "integer", "varchar", "varchar", "varchar", "double precision"]
COLUMNS = [f"{name} {kind}" for name, kind in zip(NAMES, TYPES, strict=True)]


def sales(count: int, moved: Sequence[int] = ()) -> list[tuple[object, ...]]:
    """Sales in 60 cities of 20 regions of 5 countries; of the rows *moved* the country is the next one."""
    chance = random.Random(7)
    rows: list[tuple[object, ...]] = []
    for i in range(count):
        city, product = chance.randrange(60), chance.randrange(40)
        country = LANDS[(city % 20 + (i in moved)) % 5]
        usual = chance.choice(["done"] * 97 + ["open", "void", "lost"])
        words = (f"City {city}", f"Region {city % 20}", country if chance.random() > 0.1 else None)
        rows.append((i, *words, product, f"Product {product}", chance.choice("abcdef"), usual, chance.gauss(50, 9)))
    return rows


def found(facts: Facts) -> dict[tuple[str, str], tuple[int, int]]:
    return {(each.determinant, each.dependent): (each.breaking, each.determinants) for each in facts.dependencies}


def judge(pairs: Iterable[tuple[object, object]]) -> Evidence:
    left, right = zip(*pairs, strict=True)
    return evidence(left, right)


def test_a_tables_dependencies_are_found_and_none_of_chance_or_by_way_of_another(database: Made) -> None:
    database.load("sales", COLUMNS, sales(2000))
    assert found(facts_of(database)) == {
        ("city", "region"): (0, 60),
        ("region", "country"): (0, 20),
        ("code", "label"): (0, 40),
    }


def test_a_dependency_that_breaks_is_counted_over_all_rows(database: Made) -> None:
    database.load("sales", COLUMNS, sales(9000, moved=range(40, 9000, 100)))
    facts = facts_of(database, limits=Limits(exact_rows=1000, sample_rows=500))
    [broken] = [each for each in facts.dependencies if each.breaking]
    moved = [row for row in sales(9000, moved=range(40, 9000, 100)) if row[0] in range(40, 9000, 100)]
    assert (broken.determinant, broken.dependent) == ("region", "country")
    assert broken.breaking == sum(row[3] is not None for row in moved)
    with database._open() as driver:
        [(breaking, rows, *_)] = driver.execute(facts.query_by_id[broken.query].sql).fetchall()
    assert (breaking, rows) == (broken.breaking, broken.rows)


def test_tables_whose_values_are_hidden_and_small_ones_have_no_dependencies(database: Made) -> None:
    database.load("sales", COLUMNS, sales(500))
    database.load("few", COLUMNS, sales(25))
    assert found(facts_of(database, hidden=["sales"])) == {}


def test_a_dependency_that_any_column_would_have_is_none() -> None:
    chance = random.Random(3)
    lopsided = [(i % 50, "usual" if chance.random() < 0.97 else chance.choice("xyz")) for i in range(3000)]
    assert judge(lopsided).breaking < 0.05 * 3000
    assert not judge(lopsided).holds
    pairs = [(i // 2, chance.choice("abc")) for i in range(200)]
    assert not judge(pairs).holds
    assert judge([(i // 2, "abc"[i // 2 % 3]) for i in range(200)]).holds


def test_what_breaks_by_halves_within_some_groups_is_no_dependency() -> None:
    whole = [(i % 97, f"v{i % 97 // 4}") for i in range(5000)]
    scattered = [(a, b if i % 50 else "other") for i, (a, b) in enumerate(whole)]
    halved = [(a, "other" if a < 4 and i // 97 % 2 and i < 4800 else b) for i, (a, b) in enumerate(whole)]
    assert judge(scattered).breaking == 100 >= judge(halved).breaking
    assert judge(scattered).holds
    assert not judge(halved).holds


def test_what_breaks_for_more_than_one_row_in_twenty_is_no_dependency() -> None:
    whole = [(i % 97, f"v{i % 97 // 4}") for i in range(5000)]
    for apart, holds in ((21, True), (19, False)):
        assert judge([(a, b if i % apart else "other") for i, (a, b) in enumerate(whole)]).holds == holds


def test_of_columns_that_determine_each_other_the_one_that_shows_the_breaks_stands_for_both() -> None:
    def of(breaking: int) -> Evidence:
        return Evidence(1000, 50, breaking, 0, 900, 1.0)

    code, name, town = 0, 1, 2
    seen = {(code, name): of(3), (name, code): of(0), (code, town): of(1), (name, town): of(1)}
    assert worth_knowing(seen, identifiers=set()) == [(code, name), (code, town)]
    seen |= {(code, name): of(0), (name, code): of(3)}
    assert worth_knowing(seen, identifiers={code}) == [(name, code), (name, town)]
    seen |= {(name, code): of(0)}
    assert worth_knowing(seen, identifiers={name}) == [(name, code), (name, town)]
