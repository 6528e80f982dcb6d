"""Secrets are masked always, personal data unless privacy is full, the database's password everywhere."""

import pytest
from cataloger_sandbox.semantics.credentials import SECRETS_IN_SQL
from cataloger_sandbox.semantics.instructions import ORDERS_IN_SQL
from cataloger_sandbox.semantics.personal import PERSONAL_IN_SQL

from cataloger_dagster.facts import Change, Finding, Skipped
from cataloger_dagster.privacy import MASKED_QUERY, Mask, mask
from cataloger_dagster.report.block import block_of
from tests import samples
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


def test_the_days_of_a_column_that_is_nobody_s_stay_though_somebody_was_born_on_one():
    mask_ = Mask("masked")
    mask_.learn({"date_of_birth": ["2001-02-03"]})
    days = {"type": "DATE", "min": "2001-02-03", "top": [("2001-02-03", 3)], "quantiles": {"0.5": "2001-02-03"}}
    column = FACTS.tables[0].columns[1].model_copy(update=days)
    table = FACTS.tables[0].model_copy(update={"columns": [column, column.model_copy(update={"pii": "date_of_birth"})]})
    shown, born = mask_.facts(FACTS.model_copy(update={"tables": [table]})).tables[0].columns
    assert (shown.min, shown.top, shown.quantiles) == (days["min"], days["top"], days["quantiles"])
    assert (born.min, born.quantiles) == ("9999-99-99", None)
    assert mask_("on 2001-02-03") == "on 9999-99-99"


@pytest.mark.parametrize("again", [False, True])
def test_a_finding_and_its_query_name_the_days_of_a_table_without_births(again: bool):
    """A query that was masked for a birthday it happens to name can't be run."""
    mask_ = Mask("masked")
    mask_.learn({"date_of_birth": ["2001-02-03", "1980-04-05"], "person_name": ["Ann Lee"]})
    sql = "SELECT count(*) FROM orders WHERE day BETWEEN '2001-02-03' AND TIMESTAMP '1980-04-05 00:00:00'"
    sentence = "Nulls crowd between 2001-02-03 and 1980-04-05."
    quoted = "The table's texts “Ann Lee, 2001-02-03” and “2001-02-03 on leave” are in two rows."
    texts = "SELECT 1 FROM orders WHERE note IN ('2001-02-03', 'came 2001-02-03', '2001-02-03 gone')"

    def told(born: bool) -> list[str]:
        table = FACTS.tables[0]
        birth = {"pii": "date_of_birth", "type": "DATE"}
        columns = [column.model_copy(update=birth) if born else column for column in table.columns]
        queries = [
            FACTS.queries[0].model_copy(update={"id": f"e{i}", "sql": text}) for i, text in enumerate((sql, texts))
        ]
        findings = [
            Finding(id=f"f{i}", kind="null_burst", table=table.name, columns=["day"], severity="low", rows=2,
                    query=f"e{i}", sentence=text)
            for i, text in enumerate((sentence, quoted))
        ]  # fmt: skip
        changed = {"tables": [table.model_copy(update={"columns": columns})], "queries": queries, "findings": findings}
        facts = FACTS.model_copy(update=changed)
        shown = mask_.block(block_of(samples.run(), facts)) if again else mask_.facts(facts)
        return [query.sql for query in shown.queries] + [finding.sentence for finding in shown.findings]

    hidden = f"{MASKED_QUERY}\nSELECT 1 FROM orders WHERE note IN ('2001-02-03', 'came 9999-99-99', '9999-99-99 gone')"
    persons = "The table's texts “Aaa Aaa, 9999-99-99” and “9999-99-99 on leave” are in two rows."
    assert told(born=False) == [sql, hidden, sentence, persons]
    assert not [text for text in told(born=True) if "2001-02-03" in text or "1980-04-05" in text]


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


def known(*values: str) -> Mask:
    mask = Mask("masked")
    mask.learn({"person_name": values}, own=["orders", "Street"])
    return mask


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("met Zoë O'Brien today", "met Aaa A'Aaaaa today"),
        ("MET ZOË O'BRIEN TODAY", "MET AAA A'AAAAA TODAY"),
        ("'Zoë O''Brien'", "'Aaa A''Aaaaa'"),
        (r"['x\nZoë O\'Brien']", r"['x\nAaa A\'Aaaaa']"),
        ("Zoë O'Brienne", "Zoë O'Brienne"),
        ("1  Zoë O'Br...  3", "1  Aaa A'Aa...  3"),
        ("orders in May on Street 5, Al", "orders in May on Street 5, Al"),
    ],
)
def test_the_values_of_a_database_s_own_columns_are_known_wherever_they_stand(text: str, shown: str):
    assert known("Zoë O'Brien", "May", "Street", "Al")(text) == shown


def test_what_follows_an_escaped_line_s_end_is_masked_too():
    assert known("Ann Lee")(r"['x\nAnn Lee\t4111111111111111']") == r"['x\nAaa Aaa\t9999999999999999']"


def test_a_page_is_masked_across_tags_and_in_attributes():
    source = "<p title='ann@x.example'>a<b>nn</b>@x&#46;example, <fact-value ref=\"ann@x.example\"> &lt;1&gt;</p>"
    shown = '<p title="aaa@a.aaaaaaa">a<b>aa</b>@a.aaaaaaa, <fact-value ref="ann@x.example"> &lt;1&gt;</p>'
    assert Mask("masked").page(source) == shown


def test_masking_twice_changes_nothing_more():
    mask = known("Ann Lee")
    once = mask("Ann Lee, ann@x.example, +44 20 7946 0958, card 4111 1111 1111 1111, 81.2.69.142")
    assert mask(once) == once


def test_numbers_of_a_column_of_personal_data_are_masked_and_what_is_computed_of_them_is_left_out():
    column = FACTS.tables[0].columns[1].model_copy(update={"pii": "phone", "min": 4479111, "max": 4479999, "mean": 7.5})
    table = FACTS.tables[0].model_copy(update={"columns": [column]})
    facts = FACTS.model_copy(update={"tables": [table]})
    shown, whole = (Mask(privacy).facts(facts).tables[0].columns[0] for privacy in ("masked", "full"))
    assert (shown.min, shown.max, shown.mean, shown.histogram) == ("9999999", "9999999", None, None)
    assert (whole.min, whole.mean) == (4479111, 7.5)


def test_a_query_that_quotes_a_value_says_that_it_was_masked():
    query = FACTS.queries[0].model_copy(update={"sql": "SELECT 1 WHERE mail = 'ann@x.example'"})
    facts = Mask("masked").facts(FACTS.model_copy(update={"queries": [query, *FACTS.queries[1:]]}))
    assert facts.queries[0].sql == f"{MASKED_QUERY}\nSELECT 1 WHERE mail = 'aaa@a.aaaaaaa'"
    assert facts.queries[1:] == FACTS.queries[1:]


def test_where_more_texts_are_than_could_be_searched_persons_are_masked_in_any_text() -> None:
    mask_ = Mask("masked")
    said = "we called Anna Schmidt about the Blue Hotel"
    assert mask_(said) == said
    mask_.learn({}, named=True)
    assert mask_(said) == "we called Aaaa Aaaaaaa about the Blue Hotel"


@pytest.mark.parametrize("patterns", [SECRETS_IN_SQL, PERSONAL_IN_SQL, ORDERS_IN_SQL])
def test_the_patterns_of_our_own_queries_are_no_secrets_so_they_can_be_run_again(patterns: dict[str, str]) -> None:
    for written in [*patterns.values(), "|".join(patterns.values())]:
        sql = f"SELECT count(*) OVER () AS rows, t.id\nFROM notes AS t\nWHERE t.text REGEXP '{written}'"
        assert Mask("masked", None)(sql) == sql


@pytest.mark.parametrize("mask_", [Mask("schema"), Mask("masked", hidden=["fli*"])])
def test_of_a_page_written_when_values_could_be_shown_the_concealed_tables_keep_counts_alone(mask_: Mask):
    facts = samples.flights()
    finding = facts.findings[0].model_copy(update={"table": "flights", "sentence": "-999 stands for missing."})
    elsewhere = finding.model_copy(update={"table": "planes", "sentence": "At most 1 is meant."})
    grouped = elsewhere.model_copy(update={"sentence": "In 2 tables 999 is meant.", "members": [elsewhere, finding]})
    change = Change(
        kind="category_added",
        table="flights",
        column="carrier",
        from_=None,
        to="XQ",
        since="x",
        severity="low",
        query="",
    )
    facts = facts.model_copy(update={"findings": [finding, grouped]})
    block = block_of(samples.run(), facts, changes=[change], claims=[samples.claim("top", 1)], about="XQ is rare.")
    shown = mask_.block(block)
    flights, plain = (next(table for table in each.tables if table.name == "flights") for each in (shown, block))
    assert (plain.newest is None, flights.newest) == (False, None)
    assert flights.rows == plain.rows
    assert [(c.nulls, c.distinct) for c in flights.columns] == [(c.nulls, c.distinct) for c in plain.columns]
    assert not any(c.min or c.max or c.top or c.quantiles or c.histogram or c.mean for c in flights.columns)
    assert "999" not in "".join(part.sentence for each in shown.findings for part in [each, *each.members])
    assert (shown.findings[1].members[0] == elsewhere) == (mask_.privacy != "schema")
    assert (shown.changes[0].to, shown.claims, shown.about) == (None, [], None)
    others = [table for table in shown.tables if table.name != "flights"]
    assert any(c.top for table in others for c in table.columns) == (mask_.privacy != "schema")
    assert mask_.block(shown) == shown
