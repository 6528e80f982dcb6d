"""A flaw that many tables have is one finding, and no kind floods the list."""

from collections.abc import Callable, Iterable

from cataloger_sandbox.flaws import search
from cataloger_sandbox.flaws.finding import Finding, ranked
from cataloger_sandbox.flaws.search import LISTED, TABLES, gathered, listed, unlisted

from tests.sandbox_image.conftest import Made
from tests.sandbox_image.measured import facts_of, found

KEYS = [f"sk_live_{'0123456789abcdef'[i % 16]}{i:07}Zq8vT2mX4cB6nL1k" for i in range(4)]


def secret(number: int, column: str = "api_key", rows: int = 3) -> Finding:
    sentence = f"{rows} rows of t{number} hold."
    return Finding("secret_exposed", f"t{number}", [column], "high", rows, f"q{number}", sentence)


def ids(findings: Iterable[Finding]) -> list[str]:
    return [finding.id for finding in findings]


def test_like_named_columns_of_many_tables_are_one_finding_that_names_the_worst() -> None:
    flaws = [*(secret(n) for n in range(TABLES)), secret(9, "ApiKey", rows=1_000), secret(0, "token")]
    one, other = ranked(gathered(flaws))
    assert (one.id, one.rows, one.table, one.query) == ("secret_exposed::api_key", 3 * TABLES + 1_000, "t9", "q9")
    assert one.sentence == "In 6 tables, 1,015 rows in all; the worst is t9: 1000 rows of t9 hold."
    assert ids(one.members) == ["secret_exposed:t9:ApiKey", *(f"secret_exposed:t{n}:api_key" for n in range(TABLES))]
    assert other.id == "secret_exposed:t0:token"


def test_the_order_of_columns_names_no_other_flaw() -> None:
    turns = (["b", "a"], ["a", "b"])
    flaws = [Finding("duplicate_key", f"t{n}", turns[n % 2], "high", 2, "q1", "twice.") for n in range(TABLES)]
    assert ids(flaws[:2]) == ["duplicate_key:t0:a,b", "duplicate_key:t1:a,b"]
    assert ids(gathered(flaws)) == ["duplicate_key::a,b"]


def test_few_tables_have_each_their_own() -> None:
    flaws = [secret(n) for n in range(TABLES - 1)]
    assert gathered(flaws) == flaws


def test_other_kinds_and_other_details_are_other_findings() -> None:
    details = ["", "junk"] * 5
    flaws = [Finding("rare_category", f"t{n}", ["a"], "low", 1, "q1", "x.", said) for n, said in enumerate(details)]
    assert set(ids(gathered(flaws))) == {"rare_category::a", "rare_category::a:junk"}


def test_what_many_tables_have_keeps_its_name_while_tables_come_and_go() -> None:
    names = {gathered([secret(n) for n in tables])[0].id for tables in (range(5), range(3, 20), range(40, 46))}
    assert names == {"secret_exposed::api_key"}


def test_tables_without_a_row_are_one_finding_and_repeated_rows_are_each_tables_own() -> None:
    empty = [Finding("empty_table", f"t{n}", [], "low", 0, "q1", f"t{n} has no rows.") for n in range(300)]
    repeated = [Finding("duplicate_rows", f"t{n}", [], "high", 2, "q1", "twice.") for n in range(7)]
    (one, *others) = ranked(gathered([*empty, *repeated]))[::-1]
    assert (one.id, one.rows) == ("empty_table::", 0)
    assert one.sentence == "In 300 tables; one of them is t0: t0 has no rows."
    assert len(others) == 7


def test_beyond_a_bound_of_each_kind_the_rest_is_counted_with_its_names() -> None:
    flaws = [Finding("duplicate_rows", f"t{n:03}", [], "high", 500 - n, "q1", "twice.") for n in range(200)]
    group = gathered(secret(n) for n in range(500))
    kept, left_out = listed(ranked([*flaws, *group]))
    assert ids(kept) == [*ids(group), *(f"duplicate_rows:t{n:03}" for n in range(LISTED))]
    (told,) = unlisted(left_out)
    assert (told["kind"], told["findings"], told["tables"]) == ("duplicate_rows", 160, 160)
    assert told["ids"] == [f"duplicate_rows:t{n:03}" for n in range(LISTED, 200)]


def test_columns_of_a_wide_table_that_are_not_listed_are_counted_too() -> None:
    flaws = [Finding("outlier", "wide", [f"c{i:02}"], "medium", 5, "q1", f"c{i:02} is off.") for i in range(30)]
    kept, left_out = listed(flaws)
    assert len(kept) == 10
    assert ids(left_out) == [f"outlier:wide:c{i:02}" for i in range(10, 30)]


def test_of_a_database_full_of_secrets_each_number_has_its_query(make: Callable[[str], Made], monkeypatch) -> None:
    monkeypatch.setattr(search, "LISTED", 2)
    database = make("duckdb")
    for n in range(6):
        rows = [(i, KEYS[i % 4] if i < 2 + n else f"page {i}", KEYS[0] if i == 7 else f"p. {i}") for i in range(300)]
        database.load(f"shop_{n}", ["id integer", "setting varchar", f"note_{'abcdef'[n]} varchar"], rows)
    facts = facts_of(database)
    group = found(facts)["secret_exposed::setting"]
    assert [(part.table, part.rows) for part in group.members] == [(f"shop_{n}", 2 + n) for n in range(5, -1, -1)]
    assert group.rows == sum(part.rows or 0 for part in group.members)
    [left_out] = [item for item in facts.coverage.unlisted if item.kind == "secret_exposed"]
    assert (left_out.findings, left_out.tables) == (5, 5)
    shown = [part for finding in facts.findings for part in finding.parts]
    with database._open() as driver:
        for part in shown:
            row = driver.execute(facts.query_by_id[part.query].sql).fetchone()
            assert row[0] == part.rows
    evidence = [query.sql for query in facts.queries if "count(*) OVER () AS rows" in query.sql]
    assert len(evidence) == len(shown)
    assert not any(f"note_{letter}" in sql for sql in evidence for letter in "bcdef")
