"""Secrets are masked always, e-mail addresses unless privacy is full, the database's password everywhere."""

import pytest

from cataloger_dagster.facts import Skipped
from cataloger_dagster.privacy import Mask, mask
from tests.test_facts import FACTS

SECRETS = [
    "AKIAIOSFODNN7EXAMPLE",
    "sk-ant-api03-abcdefghijklmnop",
    "sk_live_4eC39HqLyjWDarjtT1zdp7dc",
    "ghp_16C7e42F292c6912E7710c838347Ae178B4a",
    "xoxb-17653672481-19874698323-pdFZKVeTuE8sk7oOHcbrzqgy",
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.dBjftJeZ4CVP",
    "$2b$12$KIXQK8J1cJ5mQ0z8Y0gT8uUuPZk3YQxX1y9m7hZ5r0J8b1n2c3d4e",
    "-----BEGIN RSA PRIVATE KEY-----\nMIIEowIBAAKCAQEA\n-----END RSA PRIVATE KEY-----",
]


@pytest.mark.parametrize("privacy", ["schema", "masked", "full"])
@pytest.mark.parametrize("secret", SECRETS)
def test_a_secret_is_masked_at_every_level(secret: str, privacy):
    cleaned = Mask(privacy)(f"before {secret} after")
    assert secret not in cleaned
    assert cleaned.startswith("before ")


def test_e_mail_addresses_are_masked_unless_all_may_be_seen():
    text = "write to Ann.Lee+x@mail.example.org today, 3 pm"
    assert Mask("masked")(text) == "write to Aaa.Aaa+a@aaaa.aaaaaaa.aaa today, 3 pm"
    assert Mask("full")(text) == text


@pytest.mark.parametrize("text", ["order 12345 of 2026-01-15", "12.50 EUR", "flights.dep_time", "a@b", "sk-short"])
def test_ordinary_text_stays_as_it_is(text: str):
    assert Mask("masked")(text) == text


def test_the_database_s_password_never_shows():
    assert Mask("full", "hunter22")("FATAL: password hunter22 refused") == "FATAL: password ******** refused"


def test_mask_keeps_the_shape():
    assert mask("Ab 12-é") == "Aa 99-a"


def test_values_in_facts_are_masked_and_numbers_stay():
    column = FACTS.tables[0].columns[1].model_copy(update={"top": [("ann@x.example", 3), (7, 1)], "max": "z@x.example"})
    table = FACTS.tables[0].model_copy(update={"columns": [column]})
    cleaned = Mask("masked").facts(FACTS.model_copy(update={"tables": [table]}))
    assert cleaned.tables[0].columns[0].top == [("aaa@a.aaaaaaa", 3), (7, 1)]
    assert cleaned.tables[0].columns[0].max == "a@a.aaaaaaa"
    assert cleaned.tables[0].columns[0].nulls == 3


def test_what_an_engine_complains_of_is_masked():
    complaint = "Could not convert string 'ann@x.example' to INT32"
    column = FACTS.tables[0].columns[1].model_copy(update={"skipped": complaint})
    table = FACTS.tables[0].model_copy(update={"columns": [column]})
    skipped = [Skipped(table="orders", column="mail", reason=complaint)]
    coverage = FACTS.coverage.model_copy(update={"skipped": skipped})
    facts = FACTS.model_copy(update={"tables": [table], "coverage": coverage})
    cleaned = Mask("masked").facts(facts)
    assert "ann@" not in str(cleaned.dump())
    assert cleaned.coverage.skipped[0].reason.startswith("Could not convert")
