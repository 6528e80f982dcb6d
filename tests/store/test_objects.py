"""What a folder and S3 promise alike."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from cataloger_dagster.errors import StoreError
from cataloger_dagster.store.objects import Missing, Objects, Taken


def test_what_was_created_is_read(objects: Objects) -> None:
    objects.create("shop/a.html", b"\x00page\xff")
    assert objects.read("shop/a.html") == b"\x00page\xff"


def test_an_empty_object_is_one(objects: Objects) -> None:
    objects.create("empty", b"")
    assert objects.read("empty") == b""


def test_a_taken_name_stays_as_it_was(objects: Objects) -> None:
    objects.create("shop/a.html", b"first")
    with pytest.raises(Taken, match="already"):
        objects.create("shop/a.html", b"second")
    with pytest.raises(Taken):
        objects.create("shop/a.html", b"first")
    assert objects.read("shop/a.html") == b"first"


def test_what_is_not_there_is_missing(objects: Objects) -> None:
    objects.create("shop/a.html", b"1")
    for key in ("shop/b.html", "other/a.html", "shop", "shop/a.html/b"):
        with pytest.raises(Missing):
            objects.read(key)


def test_keys_ascend_by_their_bytes(objects: Objects) -> None:
    # A folder "a" sorts after "a.html" and before "a0" as a key, though not as a name.
    names = ["a/z", "a.html", "a0", "a/b/c", "a-", "é/1", "b", "_x/1"]
    for name in names:
        objects.create(name, b"")
    expected = sorted(names, key=str.encode)
    assert objects.keys("") == expected
    assert objects.keys("a") == [name for name in expected if name.startswith("a")]
    assert objects.keys("a/") == ["a/b/c", "a/z"]
    assert objects.keys("a/z/") == []
    for after in [*names, "a/", "a/b", "a/b0", "zz", "A"]:
        assert objects.keys("", after) == [name for name in expected if name.encode() > after.encode()]
        assert objects.keys("a/", after) == [name for name in ("a/b/c", "a/z") if name > after]
    assert objects.keys("", limit=3) == expected[:3]
    assert objects.keys("", "a.html", limit=1) == ["a/b/c"]
    assert objects.keys("", limit=0) == []


def test_folders_are_what_comes_before_a_slash(objects: Objects) -> None:
    for name in ("shop/1/a", "shop/2/a", "shop/readme", "_runs/x/1", "top"):
        objects.create(name, b"")
    assert objects.folders("") == ["_runs", "shop"]
    assert objects.folders("shop/") == ["1", "2"]
    assert objects.folders("none/") == []


def test_what_was_deleted_is_gone_with_its_folders_and_can_be_created_again(objects: Objects) -> None:
    objects.create("_runs/shop/1", b"1")
    objects.delete("_runs/shop/1")
    objects.delete("_runs/shop/1")
    objects.delete("never/there")
    assert objects.keys("") == []
    assert objects.folders("") == []
    objects.create("_runs/shop/1", b"2")
    assert objects.read("_runs/shop/1") == b"2"


def test_deleting_leaves_what_is_beside(objects: Objects) -> None:
    objects.create("a/1", b"1")
    objects.create("a/2", b"2")
    objects.delete("a/1")
    assert objects.keys("") == ["a/2"]


@pytest.mark.parametrize("key", ["../x", "a/../x", "/etc/x", "a//b", "", ".hidden", "a/.b", "a/b/", "a\0b", "a\\b"])
def test_a_key_leads_nowhere_else(objects: Objects, key: str) -> None:
    for use in (lambda: objects.create(key, b""), lambda: objects.read(key), lambda: objects.delete(key)):
        with pytest.raises(StoreError, match="plain names"):
            use()


@pytest.mark.parametrize("prefix", ["../", "/", "/etc/", "a/../", ".hidden/", "a//", "./"])
def test_a_prefix_leads_nowhere_else(objects: Objects, prefix: str) -> None:
    objects.create("a/b", b"")
    assert objects.keys(prefix) == []
    assert objects.folders(prefix) == []


def test_the_place_keeps_what_it_promises(objects: Objects) -> None:
    assert objects.check() is None
    assert objects.check() is None
    assert objects.folders("") == []


def test_one_of_eight_writers_of_a_name_wins(raced_objects: Objects) -> None:
    for name in (f"race/{number}" for number in range(10)):
        start = threading.Barrier(8)

        def write(content: bytes, name: str = name, start: threading.Barrier = start) -> bytes | None:
            start.wait()
            try:
                raced_objects.create(name, content)
            except Taken:
                return None
            return content

        with ThreadPoolExecutor(8) as writers:
            results = list(writers.map(write, [f"writer {number}".encode() for number in range(8)]))
        assert [result for result in results if result is not None] == [raced_objects.read(name)]
