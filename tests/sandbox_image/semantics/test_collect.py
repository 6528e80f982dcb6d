"""What is handed over of a database's personal data: all of few values, some of many, read in bounded memory."""

from collections.abc import Callable
from typing import Any

import pytest
from cataloger_sandbox.engines.base import QueryFailed, Rows
from cataloger_sandbox.engines.duck import DuckEngine
from cataloger_sandbox.semantics import collect

from cataloger_dagster.facts import Column
from cataloger_dagster.known_values import _has_more
from tests.sandbox_image.conftest import Made


@pytest.mark.parametrize(("many", "found"), [(False, {"a", "z"}), (True, {"a"})])
def test_of_a_column_of_too_many_values_so_many_rows_are_read_and_of_another_all(
    database: Made, monkeypatch: pytest.MonkeyPatch, many: bool, found: set[str]
) -> None:
    database.load("people", ["name varchar"], [*[("a",)] * 40, (None,), ("z",)])
    monkeypatch.setattr(collect, "MOST_OF_A_COLUMN", 5)
    schema = {"duckdb": "main", "sqlite": "main", "postgres": "public"}[database.engine]
    column = {"schema": schema, "table": "people", "column": "name", "pii": "person_name", "many": many}
    assert set(collect.values(database.connection, [column], [])["person_name"]) == found


def test_texts_that_do_not_go_into_memory_are_read_in_pieces(
    make: Callable[[str], Made], monkeypatch: pytest.MonkeyPatch
) -> None:
    database = make("duckdb")
    database.load("notes", ["note varchar"], [("Mrs Smith rang",), (None,), ("nobody",), ("Mrs Jones came",)])
    database.sql("CREATE VIEW seen AS SELECT note FROM notes")
    fetch = DuckEngine.fetch

    def short_of_memory(self: DuckEngine, sql: str, *args: Any, **named: Any) -> Rows:
        if "DISTINCT" in sql and "UNION ALL" not in sql:
            raise QueryFailed("Out of Memory Error: could not allocate block")
        return fetch(self, sql, *args, **named)

    column = {"schema": "main", "table": "notes", "column": "note"}
    [whole] = collect.values(database.connection, [], [column]).values()
    monkeypatch.setattr(DuckEngine, "fetch", short_of_memory)
    assert set(collect.values(database.connection, [], [column])["person_name"]) == set(whole)
    assert set(whole) == {"Mrs Smith", "Mrs Jones"}
    assert collect.values(database.connection, [], [column | {"table": "seen"}]) == {"person_name": []}


@pytest.mark.parametrize(("distinct", "more"), [(None, True), (50_001, True), (50_000, False)])
def test_a_column_whose_different_values_nobody_counted_may_have_any_number(distinct: int | None, more: bool) -> None:
    assert _has_more(Column(name="a", type="text", distinct=distinct), 50_000) is more
