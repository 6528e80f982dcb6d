"""Reports become snapshots, each one new."""

from pathlib import Path

from cataloger_dagster.publication import publish
from cataloger_dagster.store.snapshots import open_store
from tests import samples


def test_three_reports_within_a_second_are_three_snapshots(tmp_path: Path):
    report = samples.report("<p>Orders.</p>")
    store = open_store(str(tmp_path / "store"))
    published = [publish(report, store) for _ in range(3)]
    assert len({item.snapshot for item in published}) == 3
    for item in published:
        assert f'"snapshot":"{item.snapshot}"' in Path(item.address).read_text()
