"""Texts: words for nothing, other forms, spellings, slips, quantities and cuts are told; codes and names are not."""

import functools
import random
from time import process_time
from typing import Any

import pytest
from cataloger_sandbox.flaws.values import RULES

from tests.sandbox_image.flaws.looks import kinds, look_of, some, suspects

SIZE = 3000
RATES = [0.001, 0.01, 0.1]
CITIES = [
    "Berlin",
    "Hamburg",
    "Zürich",
    "Paris",
    "Lyon",
    "London",
    "Leeds",
    "Madrid",
    "Rome",
    "Vienna",
    "Graz",
    "Malmö",
]
NAMES = ["Anna", "Hanna", "Maria", "Mario", "Jon", "John", "Eric", "Erik", "Otto", "Nina", "Tina", "Ida", "Ada", "Max"]
SURNAMES = ["Schmidt", "Schmitt", "Meyer", "Meier", "Maier", "Smith", "Smyth", "Jones", "Braun", "Brown", "Koch"]
WORDS = "the parcel came late while our customer wanted another colour and nobody answered when she called".split()  # noqa: SIM905
WORDS += "about returning it so we offered discount which seemed fair enough given how often this happened".split()  # noqa: SIM905


def columns(rng: random.Random) -> dict[str, list[Any]]:
    """Return texts as they are in tables, none of them wrong."""
    n = range(SIZE)
    country = rng.choices(["DE", "GB", "NL", "NA"], [60, 20, 15, 5], k=SIZE)
    postcodes = {
        "DE": lambda: f"{rng.randrange(99999):05}",
        "GB": lambda: f"{rng.choice('ABELNS')}{rng.randrange(1, 30)} {rng.randrange(10)}{rng.choice('ABD')}Q",
        "NL": lambda: f"{rng.randrange(1000, 9999)} {rng.choice('ABC')}{rng.choice('XYZ')}",
        "NA": lambda: f"{rng.randrange(10000, 99999)}",
    }
    return {
        "country": country,
        "postcode": [postcodes[each]() for each in country],
        "tax_number": [f"{c}{rng.randrange(10**8)}" if c != "GB" else f"{rng.randrange(10**6)}/{c}" for c in country],
        "city": rng.choices(CITIES, [1 / (i + 1) for i in range(len(CITIES))], k=SIZE),
        "status": rng.choices(["open", "paid", "shipped", "delivered", "cancelled"], [5, 20, 25, 45, 5], k=SIZE),
        "payment": rng.choices(["card", "none", "invoice", "transfer"], [70, 5, 15, 10], k=SIZE),
        "first_name": [rng.choice(NAMES) for _ in n],
        "full_name": [f"{rng.choice(NAMES)} {rng.choice(SURNAMES)}" for _ in n],
        "sku": [f"{rng.choice(['AB', 'CD', 'EF'])}-{rng.randrange(1000):04}" for _ in n],
        "ean": [f"{rng.randrange(10**12, 10**13)}" for _ in n],
        "phone": [f"+{rng.choice([49, 33, 1])} {rng.randrange(100, 999)} {rng.randrange(10**5, 10**7)}" for _ in n],
        "version": [".".join(str(rng.randrange(12)) for _ in range(rng.choice([2, 3, 3, 3]))) for _ in n],
        "day_text": [f"2024-{rng.randrange(1, 13):02}-{rng.randrange(1, 29):02}" for _ in n],
        "token": [f"{rng.getrandbits(64):016x}" for _ in n],
        "case_token": ["".join(rng.choices("abcXYZ", k=4)) for _ in n],
        "note": [" ".join(rng.choices(WORDS, k=rng.randrange(5, 25))) + "." if rng.random() < 0.4 else None for _ in n],
        "title": [f"{rng.choice(['Blue', 'Red', 'Tall'])} {rng.choice(['chair', 'lamp', 'Sofa'])}" for _ in n],
        "flight": [f"{rng.choice(['LH', 'BA', 'U2'])}{rng.randrange(1, 9999)}" for _ in n],
        "house_number": [str(rng.randrange(1, 300)) for _ in n],
    }


@functools.cache
def ordinary(column: str) -> dict[str, list[Any]]:
    """Return the same again for all who change *column*: to make them up takes longer than to judge them."""
    return columns(random.Random(column))


@pytest.mark.parametrize("seed", range(3))
def test_ordinary_texts_are_no_flaws(seed: int) -> None:
    assert kinds(columns(random.Random(seed))) == []


def planted(column: str, change: Any, rate: float, extra: int = 2) -> list[tuple[str, str]]:
    rng = random.Random(f"{column}{rate}")
    clean = ordinary(column)
    rows = rng.sample(range(SIZE), round(SIZE * rate) + extra)
    return kinds({column: some(clean[column], rows, change), "country": clean["country"]})


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize(
    ("column", "word"),
    [
        ("city", "N/A"),
        ("full_name", "unknown"),
        ("sku", "null"),
        ("status", "-"),
        ("status", "tbd"),
        ("city", ""),
        ("status", "not stated"),
    ],
)
def test_words_for_nothing_are_sentinels(column: str, word: str, rate: float) -> None:
    assert planted(column, lambda _: word, rate) == [("sentinel_value", column)]


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize(
    ("column", "change"),
    [
        ("day_text", lambda text: f"{text[8:]}/{text[5:7]}/{text[:4]}"),
        ("day_text", lambda text: text.replace("-", "")),
        ("sku", lambda text: text.replace("-", "")),
        ("sku", lambda text: text.replace("-", "--")),
        ("sku", lambda text: text.lower()),
        ("sku", lambda text: text[3:]),
    ],
)
def test_a_minority_in_another_form_is_told(column: str, change: Any, rate: float) -> None:
    assert planted(column, change, rate) == [("mixed_format", column)]


def test_a_form_that_goes_with_a_category_is_no_flaw() -> None:
    rng = random.Random(2)
    country = rng.choices(["DE", "FR"], [92, 8], k=SIZE)
    codes = [f"{c}-{rng.randrange(10**5):05}" if c == "DE" else f"{c}/{rng.randrange(10**5):05}" for c in country]
    assert kinds({"code": codes, "country": country}) == []
    assert kinds({"code": codes}) == [("mixed_format", "code")]


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize(
    ("column", "change"),
    [
        ("city", str.upper),
        ("status", lambda text: f"{text} "),
        ("status", str.capitalize),
        ("full_name", lambda text: f" {text}"),
    ],
)
def test_one_value_in_several_spellings_is_told(column: str, change: Any, rate: float) -> None:
    assert planted(column, change, rate) == [("case_or_space_variant", column)]


def test_an_accent_left_out_is_a_spelling() -> None:
    assert planted("city", lambda text: text.replace("ü", "u").replace("ö", "o"), 0.05) == [
        ("case_or_space_variant", "city")
    ]


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("column", ["city", "status"])
def test_typing_errors_in_a_vocabulary_are_told(column: str, rate: float) -> None:
    def slip(text: str) -> str:
        return text[:2] + text[3] + text[2] + text[4:] if text[2:3] != text[3:4] else text[:2] + text[3:]

    assert (("rare_category", column)) in planted(column, slip, rate)


def test_a_word_typed_to_try_something_out_is_told_in_the_smallest_vocabulary() -> None:
    rng = random.Random(3)
    plans = [rng.choice(["basic", "family", "firm"]) for _ in range(SIZE)]
    assert kinds({"plan": some(plans, [3, 700, 1900], lambda _: "zzz")}) == [("rare_category", "plan")]
    airports = ["".join(rng.choices("ABDEKLMRST", k=3)) for _ in range(60)]
    assert kinds({"origin": some([rng.choice(airports) for _ in range(SIZE)], [3, 700], lambda _: "BAR")}) == []
    splits = rng.choices(["train", "validation", "test"], [80, 12, 8], k=SIZE)
    assert kinds({"split": splits}) == []


def test_typing_errors_are_told_beside_a_number_and_other_numbers_are_other_things() -> None:
    rng = random.Random(4)
    models = [rng.choice(["Cobas 6000", "Cobas 8000", "Sysmex 10", "Sysmex 20"]) for _ in range(SIZE)]
    assert kinds({"model": models}) == []
    assert kinds({"model": some(models, [3, 700], lambda _: "Cobsa 6000")}) == [("rare_category", "model")]
    planes = [rng.choice(["Airbus A320", "Airbus A321", "Boeing B737"]) for _ in range(SIZE)]
    assert kinds({"model": planes}) == []
    assert kinds({"model": some(planes, [3, 700], lambda _: "Airbsu A321")}) == [("rare_category", "model")]
    (other,) = suspects({"model": some(models, [3, 700], lambda _: "Cobas 6001")})
    assert "typing error" not in other.say(2)


def test_what_comes_as_often_as_one_in_five_is_another_word_and_so_is_a_short_one_beside_the_same() -> None:
    rng = random.Random(5)
    agents = [rng.choice(["online agent", "corporate", "direct"]) for _ in range(SIZE)]
    assert kinds({"agent": some(agents, range(0, SIZE, 11), lambda _: "onlime agent")}) == []
    assert kinds({"agent": some(agents, range(0, SIZE, 60), lambda _: "onlime agent")}) == [("rare_category", "agent")]
    funds = [rng.choice(["State Fund", "Sickness Union", "Private"]) for _ in range(SIZE)]
    (found,) = suspects({"insurer": some(funds, range(0, SIZE, 60), lambda _: "State Fnd")})
    assert "“State Fnd” for “State Fund”" in found.say(50)
    makers = rng.choices(["Mitsubishi Co", "Mitsubishi NA", "Suzuki", "Volvo"], [30, 3, 30, 30], k=SIZE)
    assert kinds({"maker": makers}) == []


def test_typing_errors_are_told_in_names_of_words_with_a_sign_between() -> None:
    rng = random.Random(8)
    firms = [rng.choice(["Power & Water", "Book Cellar", "Rail Connect", "Night Cinema"]) for _ in range(SIZE)]
    assert kinds({"merchant": firms}) == []
    (found,) = suspects({"merchant": some(firms, [3, 700, 1900], lambda _: "Powre & Water")})
    assert "is a typing error away from a frequent one: “Powre & Water” for “Power & Water”" in found.say(3)


def test_a_word_for_nothing_is_a_code_among_codes() -> None:
    rng = random.Random(7)
    teams = ["".join(rng.choices("ABDEKLMRST", k=3)) for _ in range(60)] + ["CL1", "PH4", "WS9"]
    assert kinds({"team": some([rng.choice(teams) for _ in range(SIZE)], range(0, SIZE, 90), lambda _: "TBA")}) == []
    towns = [rng.choice(["Kiel", "Lyon", "Linz", "Oslo", "Paris", "Bern"]) for _ in range(SIZE)]
    assert kinds({"town": some(towns, range(0, SIZE, 90), lambda _: "TBA")}) == [("sentinel_value", "town")]


def test_in_a_list_of_titles_a_word_for_nothing_is_a_title() -> None:
    titles = [f"The {i}th of {chr(97 + i % 26)} man" for i in range(SIZE)]
    once = some(titles, [700], lambda _: "Missing")
    assert kinds({"title": some(once, [1900], lambda _: "Brak")}) == []
    assert kinds({"title": some(titles, range(0, SIZE, 300), lambda _: "Missing")}) == [("sentinel_value", "title")]


def test_numbers_of_which_some_have_a_letter_are_no_quantities() -> None:
    families = [str(1 + i // 5) for i in range(SIZE)]
    assert kinds({"family": some(families, [900, 901], lambda value: value + "A")}) == []
    assert kinds({"family": some(families, [900, 901], lambda _: "unsure")}) == [("number_as_text", "family")]


def test_the_case_of_a_letter_tells_a_symbol_from_another() -> None:
    rng = random.Random(6)
    units = [rng.choice(["s", "m", "kg", "K", "mol", "cd", "Hz", "N", "Pa", "J", "W", "C", "V"]) for _ in range(SIZE)]
    assert kinds({"unit": some(units, range(0, SIZE, 100), lambda _: "S")}) == []
    sexes = [rng.choice(["m", "f"]) for _ in range(SIZE)]
    assert kinds({"sex": some(sexes, [5, 6], lambda value: value.upper())}) == [("case_or_space_variant", "sex")]


def test_a_value_far_below_all_others_of_a_small_vocabulary_is_told() -> None:
    rng = random.Random(3)
    status = some(rng.choices(["open", "paid", "shipped", "returned"], k=SIZE), [7], lambda _: "migration")
    assert kinds({"status": status}) == [("rare_category", "status")]


@pytest.mark.parametrize("write", ["{:.2f}".format, "{:,.1f}".format, lambda v: str(int(v)), "${:.2f}".format])
def test_quantities_kept_as_text_are_told(write: Any) -> None:
    rng = random.Random(4)
    assert kinds({"weight_text": [write(rng.expovariate(0.001)) for _ in range(SIZE)]}) == [
        ("number_as_text", "weight_text")
    ]


@pytest.mark.parametrize("rate", [0.01, 0.1])
def test_texts_cut_at_one_length_are_told(rate: float) -> None:
    rng = random.Random(f"cut{rate}")
    texts = [" ".join(rng.choices(WORDS, k=rng.randrange(3, 40))) for _ in range(SIZE)]
    limit = sorted(map(len, texts), reverse=True)[round(SIZE * rate)]
    (found,) = suspects({"description": [text[:limit] for text in texts]})
    assert (found.kind, found.where) == ("truncated_text", f'length(t."description") = {limit}')


def test_a_few_texts_cut_within_a_word_are_told() -> None:
    rng = random.Random(8)
    texts = [" ".join(rng.choices(WORDS, k=rng.randrange(3, 40))) for _ in range(SIZE)]
    cut = [index for index, text in enumerate(texts) if len(text) > 61 and text[59:61].isalpha()][:30]
    assert kinds({"description": some(texts, cut, lambda text: text[:60])}) == [("truncated_text", "description")]


def test_a_person_s_value_stands_in_no_sentence_and_no_query() -> None:

    rng = random.Random(9)
    names = some(columns(rng)["full_name"], range(60), str.upper)
    look = look_of({"full_name": names})
    look.columns["full_name"].profile["pii"] = "person_name"
    (found,) = [suspect for rule in RULES for suspect in rule(look)]
    assert found.kind == "case_or_space_variant"
    assert not any(name.upper() in found.where + found.say(3) for name in SURNAMES)


@pytest.mark.parametrize(
    ("usual", "rare"),
    [
        ("master", "master+"),
        ("Korea, South", "Korea, North"),
        ("American crow", "American coot"),
        ("Skywest", "Sunwest"),
    ],
)
def test_words_that_differ_by_a_sign_or_by_two_letters_of_a_short_word_are_both_meant(usual: str, rare: str) -> None:
    rng = random.Random(usual)
    values = rng.choices([usual, "something else", "another thing", rare], weights=[50, 30, 20, 4], k=SIZE)
    assert kinds({"label": values}) == []


def test_of_many_quantities_each_takes_as_long_as_of_few() -> None:
    def seconds(count: int) -> float:
        amounts = [f"{n / 4}" for n in range(count)] + ["n/a"]
        began = process_time()
        assert ("number_as_text", "amount") in kinds({"amount": amounts})
        return process_time() - began

    assert seconds(20_000) < 100 * seconds(1_000)
