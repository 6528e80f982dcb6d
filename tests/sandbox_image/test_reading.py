"""The rows of a table, read once for all that look at its values, or by each for itself."""

from collections.abc import Callable

import pytest
from cataloger_sandbox.journal import Journal

from tests.sandbox_image.conftest import Made
from tests.sandbox_image.measured import facts_of


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
