"""DuckDB's extensions in every sandbox that a model's code may run in."""

import contextlib
from pathlib import Path

import duckdb
from cataloger_sandbox import extensions

from cataloger_dagster.databases import Database
from cataloger_dagster.sandbox.session import Sandbox


def test_a_view_that_needs_an_extension_is_read_and_nothing_else_can_be_loaded(
    confining_sandbox: Sandbox, tmp_path: Path
) -> None:
    path = tmp_path / "places.duckdb"
    with contextlib.closing(duckdb.connect(str(path))) as driver:
        driver.execute(f"LOAD '{extensions._file('inet', duckdb.__version__)}'")
        driver.execute("CREATE TABLE t AS SELECT '10.0.0.7'::INET AS ip")
        driver.execute("CREATE VIEW v AS SELECT host(ip) AS host FROM t")
    with confining_sandbox.open(Database.from_url(f"duckdb://{path}")) as session:
        kit = {"connection": dict(session.connection), "facts": {}, "history": [], "changes": []}
        session.start("cataloger_sandbox.kit:namespace", kit)
        assert session.execute("con.table('v').host.execute().tolist()").output == "['10.0.0.7']\n"
        # It is in the image too, beside the one that was loaded.
        find = "from cataloger_sandbox.extensions import _file\nimport duckdb\n"
        load = "con.raw_sql(f\"LOAD '{_file('spatial', duckdb.__version__)}'\")"
        told = session.execute(find + load)
        assert "Loading external extensions is disabled" in told.output
