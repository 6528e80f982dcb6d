"""Persons named within texts: found by given name and surname, and told from ordinary words."""

import pytest
from cataloger_sandbox.semantics.people import names_within, ordinary_words
from faker import Faker

TEXTS = [
    "Will call Anna Kowalczykowa about May invoices; she may agree, and we will see.",
    "Frau Öztürk and Dr. Nakamura will visit the hotel in Santa Clara in May.",
    "Ordered by Jean-Luc van den Berg. The Hotel Victoria was full, as hotels are in the summer.",
    "ANNA SCHMIDT wants her money back; The Customer will not wait",
    "Maria da Silva Costa; John F. Carter, and O'Neill",
]


def named(text: str, ordinary: frozenset[str] | None) -> list[str]:
    return [text[begin:end] for begin, end in names_within(text, ordinary)]


def test_persons_are_found_in_texts_and_ordinary_words_are_not_persons() -> None:
    ordinary = ordinary_words([*TEXTS, "the customer asked", "a hotel", "may i", "she will"])
    assert {"will", "may", "hotel", "customer"} <= ordinary
    assert not {"anna", "berg", "costa"} & ordinary
    assert [named(text, ordinary) for text in TEXTS] == [
        ["Anna Kowalczykowa"],
        ["Frau Öztürk", "Dr. Nakamura", "Santa Clara"],
        ["Jean-Luc van den Berg"],
        ["ANNA SCHMIDT"],
        ["Maria da Silva Costa", "John F. Carter"],
    ]


def test_without_the_texts_around_it_a_surname_must_be_listed() -> None:
    assert named("we called Anna Schmidt, not Anna Qwertz", None) == ["Anna Schmidt"]
    assert named("we called anna schmidt", None) == []


@pytest.mark.parametrize("country", ["en_GB", "fr_FR", "pl_PL", "cs_CZ", "sv_SE"])
def test_most_persons_of_a_country_are_found_whole(country: str) -> None:
    faker = Faker(country)
    faker.seed_instance(7)
    persons = [f"{faker.first_name()} {faker.last_name()}" for _ in range(200)]
    found = sum(named(f"we called {person} about it", frozenset()) == [person] for person in persons)
    assert found >= 0.85 * len(persons)
