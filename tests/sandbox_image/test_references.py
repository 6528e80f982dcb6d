"""References and keys that nobody declared: those a data engineer would draw are found, those of chance are not."""

import random
import uuid
from collections.abc import Callable

import pytest
from cataloger_sandbox.names import kinship

from tests.sandbox_image.conftest import Made
from tests.sandbox_image.measured import facts_of, table_of


@pytest.mark.parametrize(
    ("column", "table", "key"),
    [
        ("customer_id", "customers", "id"),
        ("customer_no", "customers", "id"),
        ("order_ref", "orders", "id"),
        ("employee_id", "employees", "emp_id"),
        ("sensor", "sensors", "sensor_id"),
        ("cust", "customers", "id"),
        ("customer_no", "cust", "cust_no"),
        ("shipping_address_id", "addresses", "id"),
        ("created_by", "users", "id"),
        ("author_id", "users", "id"),
        ("sales_rep", "employees", "employee_no"),
        ("owner_id", "clients", "client_id"),
    ],
)
def test_a_name_points_to_the_table_it_means(column: str, table: str, key: str) -> None:
    assert kinship(column, table, key, same=False)


@pytest.mark.parametrize(
    ("column", "table", "key"),
    [
        ("quantity", "orders", "id"),
        ("position", "users", "id"),
        ("sort_by", "users", "id"),
        ("order_by", "orders", "note"),
        ("vendor_id", "users", "id"),
        ("id", "customers", "id"),
        ("created_by", "products", "id"),
        ("box_02_id", "person_02", "id"),
    ],
)
def test_a_name_points_to_nothing_else(column: str, table: str, key: str) -> None:
    assert not kinship(column, table, key, same=False)


def test_references_are_found_under_bad_names_and_with_orphans_and_none_of_chance(make: Callable[[str], Made]) -> None:
    """Numbers from one on are in every table; only names tell which belong together."""
    database, chance = make("duckdb"), random.Random(4)
    people = [str(uuid.UUID(int=chance.getrandbits(128))) for _ in range(60)]
    database.load("users", ["id integer", "login varchar"], [(i, f"user{i}") for i in range(1, 41)])
    database.load("members", ["id uuid", "label varchar"], [(each, f"Label {i}") for i, each in enumerate(people)])
    orders = [
        (i, 1 + i % 40, chance.randint(1, 40), chance.randint(1, 5), chance.choice(people), max(0, i - 3) or None)
        for i in range(1, 301)
    ]
    names = ["id integer", "created_by integer", "rank integer", "priority integer", "payer uuid", "parent_id integer"]
    database.load("orders", names, orders)
    payments = [(i, i if i < 298 else 9000 + i, chance.randint(1, 40)) for i in range(1, 301)]
    database.load("payments", ["id integer", "order_ref integer", "step integer"], payments)
    codes = [a + b for a in "ABCD" for b in "XYZ"]
    database.load("lands", ["iso2 varchar", "label varchar"], [(code, f"Land {code}") for code in codes])
    ships = [(i, chance.choice(codes) if i else "Q0") for i in range(90)]
    database.load("ships", ["imo integer", "flag varchar"], ships)
    found = {(*each.from_[1], each.to[0], *each.to[1]): each.orphans for each in facts_of(database).references}
    assert found == {
        ("created_by", "users", "id"): 0,
        ("payer", "members", "id"): 0,
        ("parent_id", "orders", "id"): 0,
        ("order_ref", "orders", "id"): 3,
        ("flag", "lands", "iso2"): 1,
    }


def test_numbers_far_apart_refer_by_themselves_and_those_of_one_name_in_any_table_do_not(
    make: Callable[[str], Made],
) -> None:
    database, chance = make("duckdb"), random.Random(5)
    numbers = chance.sample(range(100_000, 900_000), 200)
    database.load("plants", ["plant_no integer", "label varchar"], [(n, f"Plant {n}") for n in numbers])
    database.load(
        "hauls",
        ["column0 integer", "year integer", "went integer", "weight integer"],
        [(i, 1990 + i % 20, chance.choice(numbers), chance.randint(100_000, 900_000)) for i in range(1, 401)],
    )
    years = [(i, 1989 + i, chance.randint(1, 9)) for i in range(1, 31)]
    database.load("output", ["column0 integer", "year integer", "tons integer"], years)
    database.load("extra", ["column0 integer", "grade integer"], [(i, i % 7) for i in range(1, 21)])
    assert [(*each.from_, *each.to) for each in facts_of(database).references] == [
        ("hauls", ["went"], "plants", ["plant_no"])
    ]


def test_a_key_of_two_columns_is_referred_to_under_other_names(make: Callable[[str], Made]) -> None:
    """The order is known by its own reference, the line by its word; a parcel's number is no line's."""
    database, chance = make("duckdb"), random.Random(6)
    database.load("orders", ["order_id integer", "note varchar"], [(i, f"note {i}") for i in range(1, 201)])
    lines = [(order, line, chance.randint(1, 9)) for order in range(1, 201) for line in range(1, 2 + order % 6)]
    database.load("order_lines", ["order_id integer", "line_no integer", "amount integer"], lines)
    returned = [(i, *chance.choice(lines)[:2], chance.randint(1, 3)) for i in range(1, 301)]
    database.load("returned", ["id integer", "order_ref integer", "line integer", "parcel_no integer"], returned)
    found = {(each.from_[0], *each.from_[1]): (each.to, each.orphans) for each in facts_of(database).references}
    assert found[("returned", "order_ref", "line")] == (("order_lines", ["order_id", "line_no"]), 0)
    assert set(found) == {("order_lines", "order_id"), ("returned", "order_ref"), ("returned", "order_ref", "line")}


def test_a_column_that_refers_elsewhere_is_no_part_of_another_reference(make: Callable[[str], Made]) -> None:
    """The hall has its word in common with an order's line, and its numbers too."""
    database, chance = make("duckdb"), random.Random(8)
    database.load("orders", ["order_id integer", "note varchar"], [(i, f"note {i}") for i in range(1, 201)])
    lines = [(order, line, chance.randint(1, 9)) for order in range(1, 201) for line in range(1, 7)]
    database.load("order_lines", ["order_id integer", "line_no integer", "amount integer"], lines)
    database.load("halls", ["hall_id integer primary key", "name varchar"], [(i, f"hall {i}") for i in range(1, 7)])
    returned = [(i, *chance.choice(lines)[:2]) for i in range(1, 301)]
    columns = ["id integer", "order_ref integer", "line_hall integer references halls (hall_id)"]
    database.load("returned", columns, returned)
    found = {(each.from_[0], *each.from_[1]): each.to for each in facts_of(database).references}
    assert found[("returned", "line_hall")] == ("halls", ["hall_id"])
    assert found[("returned", "order_ref")] == ("orders", ["order_id"])
    assert ("returned", "order_ref", "line_hall") not in found


def test_columns_that_differ_together_by_chance_are_no_key(make: Callable[[str], Made]) -> None:
    """A sale of few: any three of its columns tell it from the others, and say nothing of what it is."""
    database, chance = make("duckdb"), random.Random(5)
    sales = [(chance.randint(1, 300), chance.randint(1, 700), chance.randint(1, 90)) for _ in range(500)]
    database.load("sales", ["customer_id integer", "day_id integer", "shop_id integer", "a text", "b text", "c text"],
                  [(*sale, "x", "y", "z") for sale in sales])  # fmt: skip
    offers = [(course, term, chance.randint(1, 9)) for course in range(40) for term in range(3)]
    database.load("offers", ["course_id integer", "term_no integer", "room integer"], offers)
    facts = facts_of(database)
    assert table_of(facts, "sales").keys == []
    assert table_of(facts, "offers").keys == [["course_id", "term_no"]]


def test_what_is_nearly_unique_by_itself_is_no_key_with_another_column(make: Callable[[str], Made]) -> None:
    """Flight numbers that hardly repeat tell the rows apart with any column, and are not said to be broken with one."""
    database, chance = make("duckdb"), random.Random(6)
    numbers = [chance.randrange(100_000) for _ in range(3000)]
    flights = [(f"KW{number}", chance.choice("ABCDEFGHIJ") + "X", chance.randrange(130)) for number in numbers]
    database.load("flights", ["flight_no text", "origin text", "passengers integer"], flights)
    facts = facts_of(database)
    assert table_of(facts, "flights").keys == []
    assert facts.findings == []
