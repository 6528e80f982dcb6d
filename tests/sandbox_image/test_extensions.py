"""DuckDB's extensions: what a file needs of them is read, and they open no way out of the database."""

import contextlib
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pytest
from cataloger_sandbox import extensions
from cataloger_sandbox.connect import open_connection
from cataloger_sandbox.measure import measure

Make = Callable[..., Path]


KNOWN_BY = {"host": "inet", "st_area": "spatial", "stem": "fts"}


def loaded(driver: Any) -> set[str]:
    """The extensions that *driver* has, by their functions: to list them it would have to look into a folder."""
    functions = driver.execute("SELECT DISTINCT lower(function_name) FROM duckdb_functions()").fetchall()
    return {KNOWN_BY[name] for (name,) in functions if name in KNOWN_BY}


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """Make a file with extensions loaded by their makers' way, and statements."""

    def made(*statements: str, extension: str) -> Path:
        path = tmp_path / f"{extension}.duckdb"
        with contextlib.closing(duckdb.connect(str(path))) as driver:
            driver.execute(f"LOAD '{extensions._file(extension, duckdb.__version__)}'")
            for statement in statements:
                driver.execute(statement)
        return path

    return made


def connection_of(path: Path) -> dict[str, Any]:
    return {"backend": "duckdb", "path": str(path)}


NEEDING: dict[str, tuple[tuple[str, ...], Any]] = {
    "inet": (
        (
            "CREATE TABLE t AS SELECT '10.0.0.7/8'::INET AS ip",
            "CREATE VIEW v AS SELECT host(ip), ip <<= '10.0.0.0/8'::INET FROM t",
        ),
        ("10.0.0.7", True),
    ),
    "spatial": (
        (
            "CREATE TABLE t AS SELECT ST_Point(1, 2) AS place, ST_Extent(ST_Point(1, 2)) AS box",
            "CREATE VIEW v AS SELECT ST_AsText(place), ST_Area(ST_MakeEnvelope(0, 0, 2, 3)) FROM t",
        ),
        ("POINT (1 2)", 6.0),
    ),
    "fts": (
        (
            "CREATE TABLE t AS SELECT 1 AS id, 'the quick brown foxes' AS body",
            "PRAGMA create_fts_index('t', 'id', 'body')",
            "CREATE VIEW v AS SELECT id, fts_main_t.match_bm25(id, 'fox') > 0 FROM t",
        ),
        (1, True),
    ),
}


@pytest.mark.parametrize("extension", NEEDING)
def test_views_and_types_of_an_extension_are_read(extension: str, make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    statements, wanted = NEEDING[extension]
    path = make(*statements, extension=extension)
    with contextlib.closing(open_connection(connection_of(path))) as driver:
        assert loaded(driver) == {extension}
        assert driver.execute("FROM v").fetchall() == [wanted]
    monkeypatch.setattr(extensions, "_file", lambda name, version: None)
    with contextlib.closing(open_connection(connection_of(path))) as driver:
        with pytest.raises(duckdb.Error, match=f"exists in the {extension} extension"):
            driver.execute("FROM v")
        assert driver.execute("FROM t").fetchall()


def test_addresses_are_measured_as_what_they_are(make: Make) -> None:
    path = make("CREATE TABLE t AS SELECT ('10.0.0.' || range % 9)::INET AS ip FROM range(200)", extension="inet")
    facts = measure(connection_of(path), None, ["*"], [], [], True)
    [column] = facts["tables"][0]["columns"]
    assert (column["type"], column["distinct"], column["min"]) == ("inet", 9, "10.0.0.0")


def test_an_extension_of_another_version_is_left_alone() -> None:
    assert extensions._file("inet", duckdb.__version__)
    assert extensions._file("inet", "1.0.0") is None
    assert extensions._file("nonesuch", duckdb.__version__) is None


def test_an_extension_that_is_damaged_costs_what_needs_it_and_no_more(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    statements, _ = NEEDING["inet"]
    path = make(*statements, "CREATE TABLE plain AS SELECT 1 AS id", extension="inet")
    damaged = tmp_path / "inet.duckdb_extension"
    damaged.write_bytes(b"no extension" * 100)
    monkeypatch.setattr(extensions, "_file", lambda name, version: damaged)
    facts = measure(connection_of(path), None, ["*"], [], [], True)
    assert {table["name"] for table in facts["tables"] if table["rows"]} == {"t", "plain"}
    [skipped] = [item for item in facts["coverage"]["skipped"] if item["column"] is None]
    assert skipped["table"] == "v"
    assert "inet" in skipped["reason"]


def test_nothing_is_loaded_that_a_file_does_not_need(tmp_path: Path) -> None:
    path = tmp_path / "plain.duckdb"
    with contextlib.closing(duckdb.connect(str(path))) as driver:
        driver.execute("CREATE TABLE hosts AS SELECT 1 AS host, 'text' AS network, 'x' AS first")
        driver.execute("CREATE VIEW v AS SELECT host, network FROM hosts")
    with contextlib.closing(open_connection(connection_of(path))) as driver:
        assert not loaded(driver)


def test_extensions_read_and_write_no_file(make: Make, tmp_path: Path) -> None:
    place = tmp_path / "secret.geojson"
    feature = {
        "type": "Feature",
        "properties": {"word": "a secret"},
        "geometry": {"type": "Point", "coordinates": [1, 2]},
    }
    place.write_text(json.dumps({"type": "FeatureCollection", "features": [feature]}))
    path = make(
        "CREATE TABLE t AS SELECT ST_Point(1, 2) AS place",
        f"CREATE VIEW hostile AS SELECT * FROM ST_Read('{place}')",
        "CREATE VIEW v AS SELECT ST_X(place) AS x FROM t",
        extension="spatial",
    )
    refused = [
        *(f"FROM {function}('{place}')" for function in ("ST_Read", "ST_Read_Meta", "ST_ReadOSM", "ST_ReadSHP")),
        *(f"FROM ST_Read('/vsi{how}/{place}')" for how in ("zip", "gzip", "stdin", "sparse", "curl", "subfile/0_9,")),
        f"FROM ST_Read('GeoJSON:{place}')",
        f"FROM ST_Read('file://{place}')",
        """FROM ST_Read('{"type": "Point", "coordinates": [1, 2]}')""",
        "FROM hostile",
        f"COPY t TO '{tmp_path}/made' (FORMAT gdal, DRIVER 'GeoJSON')",
        f"COPY t TO '/vsizip/{tmp_path}/made.zip/x' (FORMAT gdal, DRIVER 'GeoJSON')",
        f"LOAD '{extensions._file('inet', duckdb.__version__)}'",
        "LOAD inet",
        "INSTALL inet",
        "SET enable_external_access = true",
        f"SET allowed_paths = ['{place}']",
    ]
    before = {each: each.stat().st_mtime_ns for each in tmp_path.iterdir()}
    with contextlib.closing(open_connection(connection_of(path))) as driver:
        assert driver.execute("FROM v").fetchall() == [(1.0,)]
        for statement in refused:
            with pytest.raises(duckdb.Error) as told:
                driver.execute(statement).fetchall()
            assert "a secret" not in str(told.value)
    facts = measure(connection_of(path), None, ["*"], [], [], True)
    assert "a secret" not in json.dumps(facts, default=str)
    assert {each["name"] for each in facts["tables"] if each["rows"] is not None} >= {"t", "v"}
    assert {each: each.stat().st_mtime_ns for each in tmp_path.iterdir()} == before


def test_a_file_of_many_tables_is_looked_through_in_no_time(tmp_path: Path) -> None:
    path = tmp_path / "many.duckdb"
    with contextlib.closing(duckdb.connect(str(path))) as driver:
        columns = ", ".join(f"column_{number} VARCHAR" for number in range(50))
        for number in range(300):
            driver.execute(f"CREATE TABLE table_{number} ({columns})")
    with contextlib.closing(duckdb.connect(str(path), read_only=True)) as driver:
        driver.execute("SELECT count(*) FROM duckdb_tables()").fetchall()
        began = time.process_time()
        extensions.load_needed(driver, duckdb.__version__)
        assert time.process_time() - began < 1
