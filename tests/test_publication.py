"""Reports become snapshots, each one new, and the overview tells of the newest."""

from pathlib import Path

from cataloger_dagster.databases_file import load_databases
from cataloger_dagster.publication import overview, publish
from cataloger_dagster.store.snapshots import open_store
from tests import samples


def test_the_overview_lists_what_is_there_and_what_is_missing(tmp_path: Path):
    file = tmp_path / "databases.yaml"
    file.write_text(
        "databases:\n  flights: {url: duckdb://f.duckdb}\n  new: {url: duckdb://new.duckdb}\n  bad: {urk: 1}\n"
    )
    store = open_store(str(tmp_path / "store"))
    publish(samples.report("<p>Orders of a shop.</p>"), store)
    written = overview(load_databases(file), store)
    assert (written.databases, written.without_page) == (3, 2)
    html = Path(written.address).read_text()
    assert "flights" in html
    assert "Orders of a shop." in html
    assert "urk" in html


def test_three_reports_within_a_second_are_three_snapshots(tmp_path: Path):
    report = samples.report("<p>Orders.</p>")
    store = open_store(str(tmp_path / "store"))
    published = [publish(report, store) for _ in range(3)]
    assert len({item.snapshot for item in published}) == 3
    for item in published:
        assert f'"snapshot":"{item.snapshot}"' in Path(item.address).read_text()
