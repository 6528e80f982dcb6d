"""Measuring in tests: run the kit as the host does and check what every result must be."""

import json
import re
from collections.abc import Sequence
from typing import Any

from cataloger_sandbox.engines.base import Limits
from cataloger_sandbox.measure import measure

from cataloger_dagster.facts import Column, Facts, Table
from tests.sandbox_image.conftest import Made


def facts_of(
    made: Made,
    *,
    schemas: Sequence[str] | None = None,
    tables: Sequence[str] = ("*",),
    exclude: Sequence[str] = (),
    hidden: Sequence[str] = (),
    values: bool = True,
    limits: Limits | None = None,
    seconds: float | None = None,
    connections: int = 1,
) -> Facts:
    """Measure a database and return its facts, parsed as the host parses them."""
    raw = measure(
        made.connection, schemas, list(tables), list(exclude), list(hidden), values, limits, seconds, connections
    )
    text = json.dumps(raw, allow_nan=False)  # NaN is no JSON
    text.encode("utf-8")  # nor is half a surrogate pair
    facts = Facts.model_validate(json.loads(text))
    check(facts)
    return facts


def check(facts: Facts) -> None:
    """Assert what holds for the facts of any database."""
    ids = [query.id for query in facts.queries]
    assert len(set(ids)) == len(ids)
    assert all(re.fullmatch(r"q\d+", each) for each in ids)
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", query.at) for query in facts.queries)
    for table in facts.tables:
        assert set(table.queries) <= set(ids)
        assert table.rows is None or table.queries, table.name
        assert len(table.column_by_name) == len(table.columns)
        for column in table.columns:
            assert (column.distinct is None) == (column.distinct_method is None)
            if column.nulls is not None and column.distinct is not None and table.rows is not None:
                assert column.distinct <= table.rows - column.nulls or column.distinct_method == "hll"
            assert (column.distinct_error is not None) == (column.distinct_method == "hll")
            if column.histogram is not None and column.nulls is not None and table.rows is not None:
                assert sum(column.histogram.counts) <= table.rows - column.nulls
            if column.top is not None:
                assert [count for _, count in column.top] == sorted((n for _, n in column.top), reverse=True)
                assert all(len(value) <= 201 for value, _ in column.top if isinstance(value, str))
    for reference in facts.references:
        for name, columns in (reference.from_, reference.to):
            assert set(columns) <= set(facts.table_by_name[name].column_by_name)
        assert reference.query is None or reference.query in ids
    assert len({finding.id for finding in facts.findings}) == len(facts.findings)
    for finding in facts.findings:
        assert finding.query in ids
        assert finding.table in facts.table_by_name
    measured = [table for table in facts.tables if table.rows is not None]
    assert facts.coverage.tables == (len(measured), len(facts.tables))
    missing = {(item.table, item.column) for item in facts.coverage.skipped}
    assert {(table.name, None) for table in facts.tables if table.rows is None} <= missing
    json.dumps(facts.dump(), allow_nan=False)


def table_of(facts: Facts, name: str) -> Table:
    """Return the table *name*."""
    return facts.table_by_name[name]


def column_of(facts: Facts, table: str, name: str) -> Column:
    """Return a column by name."""
    return facts.table_by_name[table].column_by_name[name]


def found(facts: Facts) -> dict[str, Any]:
    """Return the findings by id."""
    return {finding.id: finding for finding in facts.findings}
