"""What the zygote imports ahead: what a kind of database needs, and the rest when it is looked for."""

import json
import subprocess
import sys

import pytest

from cataloger_dagster.bundled import bundled

AHEAD = f"""
import json, sys
sys.path.insert(0, {str(bundled("sandbox_image"))!r})
from cataloger_sandbox import zygote
zygote.import_ahead({{backend!r}})
def compilers():
    return sorted(name.rpartition('.')[2] for name in sys.modules if name.startswith(zygote.COMPILERS + '.'))
"""


def printed(backend: str, code: str) -> list[object]:
    """The lines of JSON that *code* prints after the imports for *backend*."""
    done = subprocess.run(
        [sys.executable, "-c", AHEAD.format(backend=backend) + code], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.mark.parametrize("backend", ["duckdb", "sqlite", "postgres", "mysql"])
def test_of_ibis_compilers_the_databases_own_is_imported(backend: str) -> None:
    assert printed(backend, "print(json.dumps(compilers()))") == [sorted(["_compat", "base", backend])]


def test_other_compilers_are_there_when_they_are_looked_for() -> None:
    code = """
import ibis
import ibis.backends.sql.compilers as package
table = ibis.table({"a": "int", "b": "string"}, name="t")
query = table.group_by("b").agg(n=table.a.sum())
print(json.dumps(len(compilers())))
print(json.dumps([hasattr(package, "__wrapped__"), len(compilers())]))
print(json.dumps([ibis.to_sql(query, dialect=each).splitlines()[1].strip() for each in ("duckdb", "mysql", "mssql")]))
from ibis.backends.sql.compilers import TrinoCompiler
from ibis.backends.sql.compilers import *
print(json.dumps([TrinoCompiler.__name__, SnowflakeCompiler.__name__, hasattr(package, "NoCompiler")]))
print(json.dumps(ibis.duckdb.connect().create_table("t", schema=table.schema()).count().execute()))
"""
    assert printed("duckdb", code) == [
        3,
        [False, 3],
        ['"t0"."b",', "`t0`.`b`,", "[t0].[b],"],
        ["TrinoCompiler", "SnowflakeCompiler", False],
        0,
    ]


def test_without_a_database_no_part_of_ibis_is_imported() -> None:
    assert printed("", "print(json.dumps([name for name in sys.modules if name.startswith('ibis')]))") == [[]]


def test_a_warmed_up_interpreter_has_no_database_of_it() -> None:
    code = """
import threading, warnings
before = len(threading.enumerate()), list(warnings.filters)
zygote.warm_up()
import duckdb, ibis
print(json.dumps([(len(threading.enumerate()), list(warnings.filters)) == before, ibis.options.default_backend]))
print(json.dumps(duckdb.sql("SELECT count(*) FROM duckdb_tables()").fetchone()))
"""
    assert printed("duckdb", code) == [[True, None], [0]]
