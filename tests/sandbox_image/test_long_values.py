"""Values of megabytes: they are never grouped or held together, the page says so, and the rest is as exact as ever."""

import json
import random
import subprocess
import sys
from collections.abc import Callable

import pytest

from cataloger_dagster.facts import Facts
from tests.sandbox_image.conftest import Made
from tests.sandbox_image.measured import check, column_of, facts_of

MEGABYTES = 100
VALUES = 5
SECRET = "password: hunter2Secret9!"

FRESH = """
import json, re, sys
from cataloger_sandbox.measure import measure
facts = measure(json.loads(sys.argv[1]), None, ["*"], [], [], True)
[kilobytes] = re.findall(r"VmHWM:\\s+(\\d+) kB", open("/proc/self/status").read())
print(json.dumps([facts, int(kilobytes) / 1024]))
"""

PEAK = {"duckdb": 620, "sqlite": 300, "postgres": 150}
"""Megabytes. DuckDB holds up to two thousand values of a column at once, on each thread; a server holds its own."""


def load(database: Made) -> None:
    """Make a table of a few texts with so many megabytes in all, one of them with a secret at its beginning."""
    size = MEGABYTES * 1_000_000 // VALUES // 12
    text = {
        "duckdb": f"repeat('lorem {{0}} ipsum ', {size})",
        "postgres": f"repeat('lorem {{0}} ipsum ', {size})",
        "sqlite": f"replace(hex(zeroblob({size // 2})), '0', 'lorem {{0}} ipsum ')",
    }[database.engine]
    database.sql(
        "CREATE TABLE docs (id integer, body text, note text)",
        *(f"INSERT INTO docs SELECT {i}, {text.format(i)}, 'note {i % 2}'" for i in range(VALUES - 1)),
        f"INSERT INTO docs SELECT {VALUES - 1}, '{SECRET} ' || {text.format(9)}, NULL",
    )


def measured_alone(database: Made) -> tuple[Facts, float]:
    """Measure in a fresh process; return the facts and the most memory that it took, in megabytes."""
    command = [sys.executable, "-c", FRESH, json.dumps(database.connection)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=True)
    raw, megabytes = json.loads(done.stdout)
    facts = Facts.model_validate(raw)
    check(facts)
    return facts, megabytes


def test_a_few_texts_of_megabytes_are_measured_in_bounded_memory_and_said_to_be_long(database: Made) -> None:
    load(database)
    facts, megabytes = measured_alone(database)
    assert megabytes < PEAK[database.engine]
    body, note = column_of(facts, "docs", "body"), column_of(facts, "docs", "note")
    assert (body.nulls, body.top) == (0, None)
    assert body.distinct_method != "exact"
    assert body.lengths is not None
    assert body.lengths.max > MEGABYTES * 1_000_000 // VALUES
    assert body.skipped is not None
    assert "are long" in body.skipped
    assert [(item.table, item.column) for item in facts.coverage.skipped] == [("docs", "body")]
    assert (note.nulls, note.distinct, note.distinct_method) == (1, 2, "exact")
    assert note.top == [("note 0", 2), ("note 1", 2)]
    [finding] = [item for item in facts.findings if item.kind == "secret_exposed"]
    assert (finding.columns, finding.rows) == (["body"], 1)


def test_duckdb_holds_some_of_many_long_values_at_a_time(make: Callable[[str], Made]) -> None:
    database = make("duckdb")
    database.sql(
        "CREATE TABLE docs (id integer, body text, raw blob)",
        *(
            f"INSERT INTO docs SELECT {i}, repeat('lorem {i} ipsum ', 1000000), repeat('abcdefgh', 1100000)::blob"
            for i in range(9)
        ),
        f"INSERT INTO docs SELECT 9, '{SECRET} ' || repeat('lorem', 3000000), NULL",
    )
    facts, megabytes = measured_alone(database)
    assert megabytes < 620, megabytes
    assert [(item.table, item.column) for item in facts.coverage.skipped] == [("docs", "body"), ("docs", "raw")]
    body, raw = column_of(facts, "docs", "body"), column_of(facts, "docs", "raw")
    assert (body.nulls, raw.nulls) == (0, 1)
    assert raw.lengths is not None
    assert raw.lengths.max == 8_800_000
    [finding] = [item for item in facts.findings if item.kind == "secret_exposed"]
    assert (finding.columns, finding.rows) == (["body"], 1)


def test_long_values_of_little_weight_are_grouped_like_others(database: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("steps", "engines.duck", "engines.lite", "engines.pg"):
        monkeypatch.setattr(f"cataloger_sandbox.{module}.LONG_BYTES", 50_000)
    chance = random.Random(5)
    bodies = [chance.randbytes(1_500).hex() for _ in range(40)]
    rows = [(i // 2, bodies[i % 40], "y" * 90 + str(i % 7)) for i in range(60)]
    database.load("docs", ["lot integer", "long varchar", "short varchar"], rows)
    heavy = facts_of(database)
    assert _noted(heavy) == ["long"]
    assert any("too long to compare" in item.reason for item in heavy.coverage.unjudged)
    monkeypatch.setattr("cataloger_sandbox.steps.LONG_BYTES", 200_000)
    light = facts_of(database)
    assert _noted(light) == []
    assert column_of(light, "docs", "long").distinct == 40


def _noted(facts: Facts) -> list[str | None]:
    return [item.column for item in facts.coverage.skipped if "are long" in item.reason]


def test_a_secret_beyond_what_is_searched_of_a_text_is_not_looked_for(
    database: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cataloger_sandbox.flaws.exposed.CHARACTERS", 300)
    words = "the parcel was left with the neighbour " * 6
    rows = [
        (i, f"{words}{i}" if i > 3 else f"{SECRET} {words * 3}{i}" if i > 1 else f"{words * 3}{SECRET}")
        for i in range(150)
    ]
    database.load("docs", ["id integer", "body varchar"], rows)
    facts = facts_of(database)
    [finding] = [item for item in facts.findings if item.kind == "secret_exposed"]
    assert finding.rows == 2
    assert any("first 300 characters" in item.reason for item in facts.coverage.unjudged)
