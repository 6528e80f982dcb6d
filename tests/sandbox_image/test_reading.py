"""The rows of a table, read once for all that look at its values, or by each for itself."""

from collections.abc import Callable

import pytest
from cataloger_sandbox.engines.base import Field, Relation, Rows
from cataloger_sandbox.journal import Journal
from cataloger_sandbox.reading import BYTES, CHARACTERS, PLAIN, Reading
from cataloger_sandbox.survey import Profile

from tests.sandbox_image.conftest import Made
from tests.sandbox_image.measured import column_of, facts_of


@pytest.mark.parametrize(("shared", "samples"), [(300, 0), (299, 1)])
def test_a_small_table_is_read_once_and_a_larger_one_by_each_that_looks(
    make: Callable[[str], Made], monkeypatch: pytest.MonkeyPatch, shared: int, samples: int
) -> None:
    database, asked, try_out = make("duckdb"), [], Journal.try_out
    rows = [(i, f"town {i % 9}", f"DE{i % 9}", f"remark {i % 70}") for i in range(300)]
    database.load("log", ["id integer", "town varchar", "code varchar", "remark varchar"], rows)
    monkeypatch.setattr("cataloger_sandbox.reading.SHARED", shared)
    monkeypatch.setattr(Journal, "try_out", lambda self, sql: asked.append(sql) or try_out(self, sql))
    facts_of(database)
    read = [sql for sql in asked if sql.startswith('SELECT "')]
    assert len(read) == 1 + samples
    assert sum("LIMIT" in sql for sql in read) == samples


def test_of_long_texts_so_many_rows_are_read_as_have_room_and_it_is_told(
    database: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetched: list[int] = []
    try_out = Journal.try_out

    def weighed(self: Journal, sql: str) -> Rows:
        rows = try_out(self, sql)
        fetched.append(sum(len(str(value)) for row in rows.rows for value in row))
        return rows

    monkeypatch.setattr(Journal, "try_out", weighed)
    rows = [(i, f"{i} " + "lorem ipsum " * 100, f"note {i % 9}") for i in range(2_000)]
    database.load("docs", ["id integer", "body varchar", "note varchar"], rows)
    assert facts_of(database).coverage.searched == []
    assert max(fetched) > 2_000_000
    fetched.clear()
    monkeypatch.setattr("cataloger_sandbox.reading.BYTES", 500_000)
    facts = facts_of(database)
    [searched] = facts.coverage.searched
    assert (searched.table, searched.of, searched.reason) == ("docs", 2_000, None)
    assert 250 < searched.rows < 550
    assert max(fetched) < 1_400_000  # labels have a sample of their own, of texts that are cut
    assert column_of(facts, "docs", "body").distinct == 2_000


def test_a_text_of_which_nobody_knows_the_length_is_cut_and_counts_as_long(shop: Reading) -> None:
    body, empty = shop.profile.relation.fields[1:]
    assert shop.is_cut(body)
    assert not shop.is_cut(empty)
    assert shop.room([body]) == BYTES // CHARACTERS == (64 << 20) // 2_000
    assert shop.room([empty]) == BYTES // PLAIN


@pytest.fixture
def shop() -> Reading:
    """A table with a text whose lengths could not be measured, and one without a value."""
    names = ("id", "body", "empty")
    fields = [Field(index, name, "text", "text" if index else "number") for index, name in enumerate(names)]
    profile = Profile(Relation("main", "docs", "docs", "table", fields=fields), hidden=False, values=True)
    profile.facts["rows"] = 10
    profile.columns = [{"name": name, "nulls": 10 if name == "empty" else 0, "lengths": None} for name in names]
    return Reading(None, profile)  # type: ignore[arg-type]
