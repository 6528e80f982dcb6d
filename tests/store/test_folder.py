"""The folder's own ways to fail, and its crash safety."""

import errno
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from cataloger_dagster.errors import StoreError
from cataloger_dagster.store.folder import FolderObjects
from cataloger_dagster.store.snapshots import Store
from tests.store.stores import NOW

ROOT = Path(__file__).parents[2]
BIG = 64 << 20


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of one megabyte."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "none", place], capture_output=True)
    if mounted.returncode:
        pytest.skip("mounting a small file system takes root: run as root, or see the file size limit's test")
    yield place
    subprocess.run(["umount", place], check=True)


def files(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_on_a_full_disk_nothing_half_written_stays(small_disk: Path) -> None:
    store = Store(FolderObjects(small_disk / "catalogs"))
    with pytest.raises(StoreError, match="the disk is full; free some space"):
        store.write("shop", "catalog", NOW, {"catalog.py": b"code"}, lambda _: bytes(BIG))
    assert files(small_disk) == []
    assert store.write("shop", "catalog", NOW, {"catalog.py": b"code"}, lambda _: b"small").time == NOW


def test_beyond_the_file_size_limit_nothing_half_written_stays(tmp_path: Path) -> None:
    """In a process of its own, for the limit stays with a process."""
    program = f"""
import resource
from datetime import UTC, datetime
from cataloger_dagster.store.snapshots import open_store
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
open_store({str(tmp_path)!r}).write("shop", "catalog", datetime.now(UTC), {{"catalog.py": b""}}, lambda _: bytes(10**6))
"""
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True)
    assert "StoreError: the store" in done.stderr
    assert "may not become that large" in done.stderr
    assert files(tmp_path) == []


@pytest.mark.parametrize("number", [errno.EACCES, errno.EROFS, errno.ENOSPC, errno.EDQUOT, errno.EIO])
def test_what_the_system_refuses_is_told_with_place_and_remedy(
    number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> int:
        raise OSError(number, os.strerror(number), "there")

    objects = FolderObjects(tmp_path)
    objects.create("a/1", b"1")
    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(StoreError, match=f"the store {tmp_path} failed at there: ") as told:
        objects.create("a/2", b"2")
    assert number == errno.EIO or "CATALOGER_STORE" in str(told.value)
    assert objects.keys("") == ["a/1"]


def test_without_permission_the_error_names_folder_and_remedy(tmp_path: Path) -> None:
    """As another account where we are root, for whom nothing is forbidden."""
    folder = tmp_path / "catalogs"
    folder.mkdir()
    folder.chmod(0o555)
    for parent in tmp_path.parents[:2]:
        parent.chmod(0o755)
    tmp_path.chmod(0o755)
    child = os.fork()
    if child == 0:
        told = 1
        try:
            if os.getuid() == 0:
                os.setgroups([])
                os.setgid(65534)
                os.setuid(65534)
            FolderObjects(folder).create("shop/a", b"")
        except StoreError as error:
            told = (
                0 if "permission denied; give this account the right" in str(error) and str(folder) in str(error) else 2
            )
        finally:
            os._exit(told)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_a_file_in_the_folders_place_is_told(tmp_path: Path) -> None:
    (tmp_path / "catalogs").write_text("a file")
    objects = FolderObjects(tmp_path / "catalogs")
    with pytest.raises(StoreError, match="a file stands where a folder should be"):
        objects.create("shop/a", b"")


def test_a_file_system_without_links_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_links(*_: object) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", no_links)
    with pytest.raises(StoreError, match="this file system has no hard links"):
        FolderObjects(tmp_path).create("shop/a", b"")
    assert files(tmp_path) == []


def test_a_writer_killed_in_the_middle_leaves_no_snapshot(tmp_path: Path) -> None:
    """Killed while its page goes to the disk, several times at different moments."""
    program = f"""
from datetime import UTC, datetime
from cataloger_dagster.store.snapshots import open_store
store = open_store({str(tmp_path)!r})
print("ready", flush=True)
while True:
    store.write("shop", "catalog", datetime.now(UTC), {{"catalog.py": b"1" * 100_000}}, lambda _: b"x" * {BIG >> 5})
"""
    for delay in (0.0, 0.01, 0.02, 0.05, 0.1):
        writer = subprocess.Popen([sys.executable, "-c", program], cwd=ROOT, stdout=subprocess.PIPE)
        assert writer.stdout is not None
        writer.stdout.readline()
        time.sleep(delay)
        writer.send_signal(signal.SIGKILL)
        writer.wait()
        writer.stdout.close()
    store = Store(FolderObjects(tmp_path))
    for snapshot in store.newest("shop", "catalog", 1000):
        assert len(store.read(snapshot)) == BIG >> 5
        assert len(store.read(snapshot, "catalog.py")) == 100_000
    assert all("/." not in f"/{key}" for key in store.objects.keys(""))


def test_what_a_killed_writer_left_is_read_by_nobody(tmp_path: Path) -> None:
    objects = FolderObjects(tmp_path)
    (tmp_path / "shop" / "2026-01-15T10:00:00.123Z").mkdir(parents=True)
    (tmp_path / "shop" / "2026-01-15T10:00:00.123Z" / ".catalog.html.abc.tmp").write_bytes(b"half")
    assert objects.keys("") == []
    assert objects.folders("") == []
    assert Store(objects).write("shop", "catalog", NOW, {}, lambda _: b"whole").time == NOW


def test_hidden_folders_and_what_lies_beside_the_store_are_not_listed(tmp_path: Path) -> None:
    for place in ("outside/x", "catalogs/.git/x", "catalogs/shop/x"):
        (tmp_path / place).parent.mkdir(parents=True)
        (tmp_path / place).write_text("")
    objects = FolderObjects(tmp_path / "catalogs")
    assert objects.keys("") == ["shop/x"]
    assert objects.folders("") == ["shop"]
    for prefix in ("../", "../outside/", ".git/", f"{tmp_path}/outside/"):
        assert objects.keys(prefix) == objects.folders(prefix) == []


def test_a_page_can_be_read_by_the_team(tmp_path: Path) -> None:
    before = os.umask(0o022)
    try:
        FolderObjects(tmp_path).create("shop/a", b"")
    finally:
        os.umask(before)
    assert (tmp_path / "shop" / "a").stat().st_mode & 0o777 == 0o644


def test_a_file_beside_a_folder_hides_nothing(tmp_path: Path) -> None:
    (tmp_path / "readme").write_text("hello")
    objects = FolderObjects(tmp_path)
    objects.create("shop/a", b"")
    assert objects.keys("readme/") == []
    assert objects.keys("") == ["readme", "shop/a"]


@pytest.mark.parametrize("place", ["/proc/catalogs", "file/catalogs"])
def test_a_place_that_cant_be_written_is_told_before_anything_is_kept_there(tmp_path: Path, place: str) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match="set CATALOGER_STORE to"):
        FolderObjects(tmp_path / place).check()


def test_trying_the_place_leaves_nothing_there(tmp_path: Path) -> None:
    assert FolderObjects(tmp_path / "new").check() is None
    assert FolderObjects(tmp_path).check() is None
    assert list(tmp_path.iterdir()) == []
