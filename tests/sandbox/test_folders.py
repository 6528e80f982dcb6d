"""Private folders go with their owner, and what a killed owner left goes with the next one."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from cataloger_dagster.sandbox.folders import private_folder, remove_abandoned

MAKE_AND_DIE = """
import os, signal, sys
from cataloger_dagster.sandbox.folders import private_folder
with private_folder() as folder:
    (folder / "copy.db").write_text("rows")
    print(folder, flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture
def place(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    short = Path(os.path.realpath("/tmp")) / f"t{os.getpid()}"
    short.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(short))
    yield short
    for left in short.iterdir():
        left.rmdir()
    short.rmdir()


def test_a_folder_is_ours_alone_and_goes_with_its_block(place: Path):
    with private_folder() as folder:
        assert folder.parent == place
        assert folder.stat().st_mode & 0o077 == 0
        assert len(os.fsencode(folder / "db" / ".s.PGSQL.65535")) < 108
    assert not folder.exists()


def test_what_a_killed_process_left_is_removed_by_the_next(place: Path):
    killed = subprocess.run(
        [sys.executable, "-c", MAKE_AND_DIE],
        env=os.environ | {"TMPDIR": str(place), "PYTHONPATH": str(Path(__file__).parents[2])},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert killed.returncode == -signal.SIGKILL
    left = Path(killed.stdout.strip())
    assert (left / "copy.db").exists()
    with private_folder():
        assert not left.exists()


def test_folders_of_the_living_and_of_others_stay(place: Path):
    foreign = place / "cataloger-0123abcd-1-1-x"
    plain = place / "cataloger-work"
    foreign.mkdir()
    plain.mkdir()
    with private_folder() as living:
        remove_abandoned(place)
        assert living.exists()
    assert foreign.exists()
    assert plain.exists()
