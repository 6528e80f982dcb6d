"""Columns are labelled by what their values are: personal data of many countries is found, and nothing else is.

The persons are Faker's, whose names and numbers the labels were not made from, of countries kept for this test.
"""

import random
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest
from cataloger_sandbox.semantics.label import Label, Seen, label
from faker import Faker

LOCALES = ["en_CA", "de_AT", "fr_CA", "es_MX", "no_NO", "ko_KR"]
ROWS = 50

Column = tuple[str, str, Callable[[Any], object], str | None]

PERSONAL: list[Column] = [
    ("customers", "email", lambda f: f.email(), "email"),
    ("tickets", "kontakt", lambda f: f.ascii_email(), "email"),
    ("customers", "phone", lambda f: f.phone_number(), "phone"),
    ("users", "mobileNumber", lambda f: f.phone_number(), "phone"),
    ("customers", "first_name", lambda f: f.first_name(), "person_name"),
    ("customers", "LastName", lambda f: f.last_name(), "person_name"),
    ("customers", "name", lambda f: f.name(), "person_name"),
    ("orders", "customer_name", lambda f: f.name(), "person_name"),
    ("imports", "col_7", lambda f: f.name(), "person_name"),
    ("customers", "address", lambda f: f.address().replace("\n", ", "), "address"),
    ("orders", "ship_to", lambda f: f.street_address(), "address"),
    ("payments", "card_number", lambda f: f.credit_card_number(), "card"),
    ("imports", "value", lambda f: f.credit_card_number("visa"), "card"),
    ("payments", "iban", lambda f: f.iban(), "iban"),
    ("imports", "ref", lambda f: f.iban(), "iban"),
    ("people", "national_id", lambda f: f.ssn(), "national_id"),
    ("log", "client", lambda f: f.ipv4_public(), "ip"),
    ("log", "remote_addr", lambda f: f.ipv6(), "ip"),
    ("people", "dob", lambda f: f.date_of_birth().strftime("%d.%m.%Y"), "date_of_birth"),
]
CLEAN: list[Column] = [
    ("customers", "city", lambda f: f.city(), None),
    ("orders", "place", lambda f: f.city(), None),
    ("companies", "name", lambda f: f.company(), None),
    ("orders", "customer_company", lambda f: f.company(), None),
    ("customers", "country", lambda f: f.country(), None),
    ("people", "job", lambda f: f.job(), None),
    ("orders", "note", lambda f: f.sentence(nb_words=8), None),
    ("products", "name", lambda f: f"{f.color_name()} {f.word().title()}", None),
    ("orders", "order_no", lambda f: f.numerify("%#########"), None),
    ("orders", "order_number", lambda f: f.numerify("%##-###-####"), None),
    ("tokens", "reference", lambda f: f.numerify("%###############"), None),
    ("orders", "session", lambda f: f.uuid4(), None),
    ("sites", "domain", lambda f: f.free_email_domain(), None),
    ("sites", "url", lambda f: f.url(), None),
    ("orders", "day", lambda f: f.date(), None),
    ("software", "version", lambda f: f.numerify("#.#.#.#"), None),
    ("customers", "postcode", lambda f: f.postcode(), None),
    ("products", "sku", lambda f: f.bothify("???-#####"), None),
    ("products", "ean", lambda f: f.ean13(), None),
    ("texts", "word", lambda f: f.word(), None),
]


def seen(table: str, column: str, values: Sequence[object], **known: Any) -> Label | None:
    texts = [str(value) for value in values]
    given = {"kind": "text", "type": "varchar", "rows": len(texts), "nulls": 0, "distinct": len(set(texts))} | known
    return label(Seen(table, column, values=texts, **given))


def labelled(columns: Sequence[Column], seed: int) -> Iterator[tuple[str, str | None, str | None]]:
    """Yield each column of each country with what it is and what it was taken for."""
    for locale in LOCALES:
        faker = Faker(locale)
        faker.seed_instance(seed)
        for table, column, make, expected in columns:
            found = seen(table, column, [make(faker) for _ in range(ROWS)])
            yield f"{locale} {table}.{column}", expected, found and found.pii


def test_personal_data_of_many_countries_is_found() -> None:
    results = list(labelled([*PERSONAL, *CLEAN], seed=20))
    right = sum(expected is not None and expected == found for _, expected, found in results)
    wrong = [each for each in results if each[1] != each[2]]
    f1 = 2 * right / (2 * right + sum((e is not None) + (f is not None) for _, e, f in wrong))
    assert f1 >= 0.97, wrong
    missed = Counter(expected for _, expected, _ in wrong)
    assert all(missed[kind] <= len(LOCALES) * 0.4 for kind in missed), wrong
    assert [each for each in wrong if each[1] is None] == []


INTEGERS: list[tuple[str, str, Callable[[random.Random], int], str | None, str | None]] = [
    ("payments", "cc", lambda r: r.choice([4111111111111111, 5555555555554444, 378282246310005]), "card", "card"),
    ("users", "mobile", lambda r: r.randrange(15100000000, 17999999999), "phone", "phone"),
    ("calls", "phone_count", lambda r: r.randrange(0, 40), None, None),
    ("orders", "token", lambda r: r.randrange(10**15, 10**16), None, None),
    ("orders", "amount_cents", lambda r: r.randrange(10**6, 10**8), None, None),
    ("cars", "model_year", lambda r: r.randrange(1990, 2026), "year", None),
    ("orders", "order_id", lambda r: r.randrange(10**9, 10**10), "identifier", None),
]


@pytest.mark.parametrize(("table", "column", "make", "kind", "pii"), INTEGERS, ids=lambda each: str(each)[:20])
def test_whole_numbers_are_told_apart(
    table: str, column: str, make: Callable[[random.Random], int], kind: str | None, pii: str | None
) -> None:
    values = [make(random.Random(seed)) for seed in range(60)]
    found = seen(table, column, values, kind="number", type="bigint", low=min(values), high=max(values))
    assert (found and found.semantic_type, found and found.pii) == (kind, pii)


TYPES: list[tuple[str, list[str], str | None]] = [
    ("homepage", ["https://a.example/x", "http://b.example", "www.c.example/y?z=1"], "url"),
    ("k", ["6fa459ea-ee8a-3ca4-894e-db77e160355e", "16fd2706-8baf-433b-82eb-8c7fada847da"], "uuid"),
    ("digest", ["d41d8cd98f00b204e9800998ecf8427e", "9e107d9d372bb6826bd81d3542a419d6"], "hash"),
    ("device", ["00:1B:44:11:3A:B7", "00-1B-44-11-3A-B8"], "mac_address"),
    ("payload", ['{"a": 1}', "[1, 2]", '{"b": {"c": null}}'], "json"),
    ("body", ["<a><b>1</b></a>", '<?xml version="1.0"?><r/>', "<x y='1'/>"], "xml"),
    ("where", ["52.5200, 13.4050", "(48.8566, 2.3522)", "POINT(2.3522 48.8566)"], "coordinates"),
    ("share", ["12.5%", "7 %", "100%"], "percentage"),
    ("part", [f"SKU-{number}" for number in range(10000, 10400, 7)], "code"),
    ("value", ["1.12.3.240", "2.0.4.118", "9.30.1.77"], "code"),
    ("seen_at", ["81.2.69.142", "9.9.9.9", "192.0.2.14"], "ip"),
    ("language_code", ["de", "fr", "lzh", "szl", "en", "pt"], "language_code"),
    ("login", [f"md5{number:032x}" for number in range(1, 9)], "secret"),
    ("worth", ["$1,200.50", "12,90 €", "EUR 7.00"], "amount"),
    ("ok", ["yes", "no", "yes"], "boolean"),
    ("land", ["DE", "FR", "US", "BR"], None),
    ("country_code", ["DE", "FR", "US", "BR"], "country_code"),
    ("ccy", ["EUR", "USD", "CHF"], "currency_code"),
    ("locale", ["de-DE", "en_GB", "pt-BR"], "language_code"),
    ("zone", ["Europe/Berlin", "America/New_York", "Asia/Tokyo"], "time_zone"),
    ("seen", ["2024-01-02 10:00:00", "2024-02-03T11:12:13Z"], "timestamp"),
    ("on_day", ["2024-01-02", "3 March 2024", "01.02.2024"], "date"),
    ("clock", ["10:15", "23:59:59", "7:05 pm"], "time"),
    ("quantity", ["1", "2.5", "1,200"], "number"),
    ("isbn", ["9780306406157", "9783161484100", "9780201633610", "9780131103627", "9780262033848"], "isbn"),
    ("bank", ["DEUTDEFF", "BNPAFRPP", "CHASUS33XXX"] * 1, None),
    ("swift_code", ["DEUTDEFF", "BNPAFRPP", "CHASUS33XXX"], "bic"),
    ("agent", ["Mozilla/5.0 (X11; Linux x86_64)", "curl/8.1.2"], "user_agent"),
    ("comment", ["the parcel came a day late but whole", "please call again before you come"], "free_text"),
    ("api_key", ["k9f83hf02nf0293hf0j2", "0fj20jf02jf0f2j0fj2f"], "secret"),
    ("email", ["true", "false", "true"], "boolean"),
    ("mail", [f"{number}" for number in range(50)], "number"),
    ("phone", ["iPhone 12", "Pixel 7", "Galaxy S21"], None),
    ("first_name", ["1001", "1002", "1003"], "number"),
    ("ip", ["10.1", "10.2", "11.0"], "number"),
]


@pytest.mark.parametrize(("column", "values", "kind"), TYPES)
def test_values_tell_the_type_whatever_the_name(column: str, values: list[str], kind: str | None) -> None:
    found = seen("things", column, values)
    if kind is None:
        assert found is None or found.pii is None
    else:
        assert found is not None
        assert found.semantic_type == kind
        assert 0 < found.confidence < 1


def test_where_no_value_may_be_seen_the_name_alone_counts_for_little() -> None:
    unseen = [
        ("people", "email", "text"),
        ("people", "first_name", "text"),
        ("people", "birth_date", "time"),
        ("people", "height", "number"),
    ]
    found = [label(Seen(table, column, kind, "", None)) for table, column, kind in unseen]  # type: ignore[arg-type]
    assert [each and each.pii for each in found] == ["email", "person_name", "date_of_birth", None]
    assert all(each.confidence < 0.5 for each in found if each)


BLIND = ["nl_NL", "tr_TR", "ro_RO", "el_GR", "he_IL", "en_IN", "ru_RU", "ja_JP"]


@pytest.mark.parametrize("locale", BLIND)
def test_persons_and_telephones_are_found_where_no_name_tells_of_them(locale: str) -> None:
    faker = Faker(locale)
    faker.seed_instance(30)
    makes: list[tuple[str, Callable[[], str]]] = [
        ("person_name", faker.name),
        ("person_name", lambda: f"{faker.first_name()} {faker.last_name()}"),
        ("person_name", lambda: f"{faker.last_name()}, {faker.first_name()}"),
        ("phone", faker.phone_number),
        ("address", lambda: faker.address().replace("\n", ", ")),
    ]
    found = [seen("t", "value", [make() for _ in range(120)]) for _, make in makes]
    assert [each and each.pii for each in found] == [kind for kind, _ in makes]


GIVEN = ["Anna", "Oscar", "Emma", "Hugo", "Klara", "Nils", "Greta", "Ivar", "Malin", "Sven", "Olga", "Lars"]
PLACES = ["Oslo", "Bergen", "Paris", "Roma", "Vienna", "Sydney", "Austin", "Victoria", "Madison", "Florence"]
THINGS = ["Chair", "Table", "Sofa", "Lamp", "Desk", "Shelf", "Bed", "Mirror", "Cabinet"]
FRIENDS: dict[str, Callable[[Any], object]] = {
    "chairs called after persons": lambda f: f"{f.random_element(GIVEN)} {f.random_element(THINGS)}",
    "things called after persons": lambda f: f"{f.first_name()} {f.word().title()}",
    "chairs called after places": lambda f: f"{f.random_element(PLACES)} {f.random_element(THINGS)}",
    "ten digits in American groups": lambda f: f.numerify("%##-###-####"),
    "ten digits in other groups": lambda f: f.numerify("##-####-####"),
    "nine digits": lambda f: f.numerify("### ### ###"),
    "numbers of years": lambda f: f"{f.random_int(2019, 2025)}-{f.random_int(1, 12):02}-{f.random_int(1000, 9999)}",
    "years in brackets": lambda f: f"({f.random_int(1900, 1999)}) {f.random_int(10, 99)}-{f.random_int(100, 999)}",
    "accounts in brackets": lambda f: f"({f.random_int(10**5, 10**8):,})",
    "numbers with signs": lambda f: f"{f.random_element('+-')}{f.random_int(10**6, 10**9)}",
    "numbers that count up": lambda f: str(13000000000 + f.random_int(0, 10**7)),
    "switches": lambda f: f"{f.random_int(1, 40)} way {f.random_element(['valve', 'switch', 'splitter'])}",
    "belts": lambda f: f"{f.random_element(['Drive', 'Flat', 'Circle'])} Belt {f.random_int(10, 60)}",
    "drives": lambda f: f"USB {f.random_int(2, 3)} Drive {f.random_element([16, 32, 64, 128])} GB",
    "rings": lambda f: f"Ring {f.random_int(10, 24)} mm {f.random_element(['gold', 'silver'])}",
    "citations": lambda f: f"{f.last_name()}, J. {f.random_int(1, 90)}, {f.random_int(1950, 2020)}",
    "days in towns": lambda f: f"{f.city()}, {f.month_name()} {f.random_int(1, 28)}, {f.random_int(1990, 2025)}",
    "goods of a place": lambda f: f"{f.word().title()} {f.random_int(1, 40)}, {f.color_name()}, {f.postcode()}",
    "goods in Chinese": lambda f: f.random_element(["食品", "服装", "王府井", "金属", "石油", "高铁", "白酒", "钱包"]),
    "firms": lambda f: f.company(),
    "jobs": lambda f: f.job(),
}  # fmt: skip


@pytest.mark.parametrize("friend", FRIENDS)
def test_what_only_looks_like_a_person_or_a_number_of_one_is_none(friend: str) -> None:
    faker = Faker("en_US")
    faker.seed_instance(31)
    values = [FRIENDS[friend](faker) for _ in range(300)]
    columns = [("shop", "catalogue"), ("t", "value"), ("imports", "col3"), ("products", "name")]
    assert [(found := seen(table, column, values)) and found.pii for table, column in columns] == [None] * 4


def test_texts_without_spaces_are_free_text_and_countries_are_told_by_most_of_their_names() -> None:
    for locale in ("ja_JP", "zh_CN", "el_GR"):
        faker = Faker(locale)
        faker.seed_instance(32)
        text = seen("t", "col3", [faker.paragraph(nb_sentences=3) for _ in range(60)])
        land = seen("t", "col3", [faker.country() for _ in range(200)])
        assert (text and text.semantic_type, land and land.semantic_type) == ("free_text", "country")


def test_given_names_alone_are_persons_where_the_column_is_not_called_name() -> None:
    faker = Faker("en_US")
    faker.seed_instance(33)
    given = [faker.first_name() for _ in range(200)]
    found = [seen(table, column, given) for table, column in (("t", "col3"), ("storms", "name"))]
    assert [each and each.pii for each in found] == ["person_name", None]


def test_a_number_of_a_site_that_is_in_a_countrys_plan_by_chance_is_no_telephones() -> None:
    assert seen("readings", "site", ["37-063-0015"] * 50) != Label("phone", 0.9)
    assert (found := seen("readings", "station_id", ["0211 555 0101", "0211 555 0102"] * 9)) is None or not found.pii
