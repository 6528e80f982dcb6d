"""Snapshots: written once, whole or absent, found from the newest back."""

import random
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest

from cataloger_dagster.errors import ConfigurationError, StoreError
from cataloger_dagster.store.folder import FolderObjects
from cataloger_dagster.store.objects import Missing, Objects, Taken
from cataloger_dagster.store.s3 import S3Objects
from cataloger_dagster.store.snapshots import MILLISECOND, Snapshot, Store, open_store, timestamp
from tests.store.stores import NOW, MemoryObjects, every, requests

COMPANIONS = {"catalog.py": b"code", "catalog.transcript.jsonl": b"{}"}


def page(name: str) -> bytes:
    return f"page of {name}".encode()


def fill(objects: MemoryObjects, times: list[datetime], names: tuple[str, ...] = ("catalog.html",)) -> Store:
    for time in times:
        for name in names:
            objects.objects[f"shop/{timestamp(time)}/{name}"] = b""
    return Store(objects, now=lambda: NOW)


class Failing(MemoryObjects):
    """Fails at the object whose key ends in *at*, once."""

    def __init__(self, at: str, error: BaseException) -> None:
        super().__init__()
        self.at, self.error = at, error

    def create(self, key: str, data: bytes) -> None:
        if key.endswith(self.at):
            raise self.error
        super().create(key, data)


def test_a_snapshot_is_read_as_it_was_written(store: Store) -> None:
    written = store.write("shop", "catalog", NOW, COMPANIONS, page)
    assert written == Snapshot("shop", NOW, "catalog")
    assert store.newest("shop", "catalog") == [written]
    assert store.read(written) == b"page of 2026-01-15T10:00:00.123Z"
    assert store.read(written, "catalog.py") == b"code"
    with pytest.raises(Missing):
        store.read(written, "catalog.csv")
    assert store.address(written).endswith("/shop/2026-01-15T10:00:00.123Z/catalog.html")


def test_a_taken_name_becomes_the_next_free_millisecond(store: Store) -> None:
    written = [store.write("shop", "catalog", NOW, COMPANIONS, page) for _ in range(3)]
    assert [snapshot.time for snapshot in written] == [NOW, NOW + MILLISECOND, NOW + 2 * MILLISECOND]
    assert [store.read(snapshot).decode() for snapshot in written] == [f"page of {each.name}" for each in written]
    assert store.newest("shop", "catalog", 10) == written[::-1]


def test_catalog_and_summary_of_one_run_share_a_name(store: Store) -> None:
    catalog = store.write("shop", "catalog", NOW, COMPANIONS, page)
    summary = store.write("shop", "summary", catalog.name, {"summary.py": b"x"}, page)
    assert summary == Snapshot("shop", NOW, "summary")
    assert store.newest("shop", "summary") == [summary]
    assert store.newest("shop", "catalog") == [catalog]


def test_eight_writers_of_one_name_make_eight_snapshots(raced_objects: Objects) -> None:
    store, start = Store(raced_objects), threading.Barrier(8)

    def write(number: int) -> Snapshot:
        start.wait()
        companions = {name: f"{number}".encode() for name in COMPANIONS}
        return store.write("shop", "catalog", NOW, companions, lambda name: f"{number} {name}".encode())

    with ThreadPoolExecutor(8) as writers:
        written = list(writers.map(write, range(8)))
    assert sorted(snapshot.time for snapshot in written) == [NOW + step * MILLISECOND for step in range(8)]
    assert store.newest("shop", "catalog", 9) == sorted(written, reverse=True)
    for number, snapshot in enumerate(written):
        assert store.read(snapshot) == f"{number} {snapshot.name}".encode()
        assert store.read(snapshot, "catalog.py") == store.read(snapshot, "catalog.transcript.jsonl") == b"%d" % number
    assert len(raced_objects.keys("shop/")) == 24


def test_writers_with_and_without_companions_do_not_mix(raced_objects: Objects) -> None:
    store, start = Store(raced_objects), threading.Barrier(6)

    def write(number: int) -> tuple[Snapshot, dict[str, bytes]]:
        start.wait()
        companions = dict.fromkeys(list(COMPANIONS)[: number % 3], b"%d" % number)
        return store.write("shop", "catalog", NOW, companions, lambda name: b"%d" % number), companions

    with ThreadPoolExecutor(6) as writers:
        results = list(writers.map(write, range(6)))
    for number, (snapshot, companions) in enumerate(results):
        keys = raced_objects.keys(snapshot.key(""))
        assert keys == sorted(snapshot.key(name) for name in [*companions, "catalog.html"])
        assert {raced_objects.read(key) for key in keys} == {b"%d" % number}


def test_a_name_is_utc_in_milliseconds(store: Store) -> None:
    berlin = datetime(2026, 1, 15, 11, 0, 0, 123999, tzinfo=timezone(timedelta(hours=1)))
    assert store.write("shop", "catalog", berlin, {}, page).name == "2026-01-15T10:00:00.123Z"


def test_a_time_without_a_zone_or_a_wrong_name_is_refused() -> None:
    store = Store(MemoryObjects())
    for at in (datetime(2026, 1, 15), "yesterday", "2026-13-45T00:00:00.000Z", "2026-01-15T10:00:00Z"):  # noqa: DTZ001
        with pytest.raises(ConfigurationError):
            store.write("shop", "catalog", at, {}, page)


@pytest.mark.parametrize("name", ["../z", "a/b", "", "_overview", ".x", "a" * 101, "a,b"])
def test_a_malformed_database_reaches_no_object(name: str) -> None:
    objects = MemoryObjects()
    for use in (
        lambda: Store(objects).write(name, "catalog", NOW, {}, page),
        lambda: Store(objects).newest(name, "catalog"),
        lambda: Store(objects).at(name, "catalog", NOW),
    ):
        with pytest.raises(ConfigurationError):
            use()
    assert objects.objects == {}
    assert objects.listings == 0


def test_a_companion_bears_the_name_of_its_kind() -> None:
    for name in ("summary.py", "notes.txt", "catalog.html"):
        with pytest.raises(ValueError, match="no companion"):
            Store(MemoryObjects()).write("shop", "catalog", NOW, {name: b""}, page)


def test_the_page_comes_last() -> None:
    objects = MemoryObjects()
    seen: list[list[str]] = []

    def look(name: str) -> bytes:
        seen.append([key.rpartition("/")[2] for key in objects.keys("")])
        return b""

    Store(objects).write("shop", "catalog", NOW, COMPANIONS, look)
    assert seen == [["catalog.py", "catalog.transcript.jsonl"]]


@pytest.mark.parametrize("at", ["catalog.py", "catalog.transcript.jsonl", "catalog.html"])
@pytest.mark.parametrize("error", [StoreError("the disk is full"), KeyboardInterrupt()])
def test_where_writing_fails_nothing_stays(at: str, error: BaseException) -> None:
    objects = Failing(at, error)
    with pytest.raises(type(error)):
        Store(objects).write("shop", "catalog", NOW, COMPANIONS, page)
    assert objects.objects == {}


def test_where_the_page_can_not_be_made_nothing_stays(store: Store) -> None:
    def fail(name: str) -> bytes:
        raise StoreError(f"no page for {name}")

    with pytest.raises(StoreError, match="no page for"):
        store.write("shop", "catalog", NOW, COMPANIONS, fail)
    assert store.objects.keys("") == []


def test_what_a_killed_run_left_is_no_snapshot_and_joins_none(store: Store) -> None:
    left = Snapshot("shop", NOW, "catalog")
    store.objects.create(left.key("catalog.transcript.jsonl"), b"left over")
    assert store.newest("shop", "catalog") == []
    assert store.at("shop", "catalog", NOW) is None
    assert store.databases() == ["shop"]
    written = store.write("shop", "catalog", NOW, {"catalog.py": b"new"}, page)
    assert written.time == NOW + MILLISECOND
    assert store.newest("shop", "catalog", 2) == [written]


def test_strange_objects_between_snapshots_are_passed_over(store: Store) -> None:
    for key in ("shop/readme", "shop/notes/catalog.html", "shop/2026-99-99T00:00:00.000Z/catalog.html", "zzz"):
        store.objects.create(key, b"")
    written = store.write("shop", "catalog", NOW, {}, page)
    assert store.newest("shop", "catalog", 5) == [written]
    assert store.databases() == ["shop"]


def test_the_snapshot_at_a_time_is_the_newest_then(store: Store) -> None:
    first = store.write("shop", "catalog", NOW, {}, page)
    second = store.write("shop", "catalog", NOW + timedelta(days=100), {}, page)
    assert store.at("shop", "catalog", NOW - MILLISECOND) is None
    assert store.at("shop", "catalog", first.name) == first
    assert store.at("shop", "catalog", second.time - MILLISECOND) == first
    assert store.at("shop", "catalog", second.time) == second
    assert store.at("shop", "catalog", datetime(2999, 1, 1, tzinfo=UTC)) == second
    assert store.at("shop", "summary", second.time) is None
    assert store.at("other", "catalog", second.time) is None


def test_the_overview_stands_apart_from_the_databases(store: Store) -> None:
    assert store.newest_overview() is None
    first = store.write_overview(NOW, {}, page)
    second = store.write_overview(NOW, {}, page)
    assert store.newest_overview() == second == Snapshot("_overview", first.time + MILLISECOND, "overview")
    assert store.read(second) == page(second.name)
    assert store.databases() == []


def test_the_databases_are_those_with_pages(store: Store) -> None:
    for name in ("shop", "flights", "shop.eu"):
        store.write(name, "catalog", NOW, {}, page)
    store.objects.create("_runs/other/1", b"")
    assert store.databases() == ["flights", "shop", "shop.eu"]
    # A name that begins like another is another.
    assert store.newest("shop", "catalog", 5) == [Snapshot("shop", NOW, "catalog")]


def test_a_future_snapshot_is_the_newest(store: Store) -> None:
    future = store.write("shop", "catalog", datetime(2999, 1, 1, tzinfo=UTC), {}, page)
    store.write("shop", "catalog", NOW, {}, page)
    assert store.newest("shop", "catalog") == [future]


STEPS = [timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1), timedelta(days=1), timedelta(days=30)]


@pytest.mark.parametrize("step", STEPS, ids=str)
@pytest.mark.parametrize("wanted", [1, 10, 100])
def test_ten_thousand_snapshots_cost_what_ten_cost(step: timedelta, wanted: int) -> None:
    """At most five listings, however many snapshots there are and however far apart."""
    for count in (10, 10_000):
        objects, times = MemoryObjects(), [time for time in every(step, count) if time.year >= 1970]
        store = fill(objects, times, ("catalog.html", "catalog.py", "catalog.transcript.jsonl"))
        found = store.newest("shop", "catalog", wanted)
        assert [snapshot.time for snapshot in found] == times[::-1][:wanted]
        assert objects.listings <= 5, f"{count} snapshots took {objects.listings} listings"


def test_a_crowd_long_ago_takes_few_listings() -> None:
    objects = MemoryObjects()
    times = every(MILLISECOND, 10_000, last=NOW - timedelta(days=1000))
    store = fill(objects, times)
    assert [snapshot.time for snapshot in store.newest("shop", "catalog", 3)] == times[:-4:-1]
    assert objects.listings < 45


def test_a_crowd_of_leftovers_hides_no_snapshot() -> None:
    objects = MemoryObjects()
    store = fill(objects, [NOW - timedelta(days=1)])
    fill(objects, every(MILLISECOND, 5000), ("catalog.transcript.jsonl",))
    assert [each.time for each in store.newest("shop", "catalog")] == [NOW - timedelta(days=1)]


def test_whatever_is_in_the_store_the_newest_are_found() -> None:
    """Against a plain search, over stores of every density, with leftovers, summaries and wrong clocks."""
    chance = random.Random(7)
    for _ in range(25):
        objects = MemoryObjects()
        store = Store(objects, now=lambda: NOW)
        for _ in range(chance.randrange(4)):
            step = MILLISECOND * 10 ** chance.randrange(9)
            last = NOW + MILLISECOND * chance.choice([0, 0, -1, 1]) * chance.randrange(10 ** chance.randrange(1, 12))
            for time in every(step, chance.choice([1, 7, 300, 2500]), last):
                for name in ("catalog.html", "catalog.py", "summary.html"):
                    if chance.random() < 0.9 and time.year > 1970:
                        objects.objects[f"shop/{timestamp(time)}/{name}"] = b""
        pages = sorted((key.split("/")[1] for key in objects.objects if key.endswith("/catalog.html")), reverse=True)
        for count in (1, 3, 400):
            assert [each.name for each in store.newest("shop", "catalog", count)] == pages[:count]
        for _ in range(3):
            then = timestamp(NOW - MILLISECOND * chance.randrange(10 ** chance.randrange(1, 12)))
            found = store.at("shop", "catalog", then)
            assert (found.name if found else None) == next((name for name in pages if name <= then), None)


def test_twelve_hundred_snapshots_in_s3_cost_what_ten_cost(s3_objects: S3Objects) -> None:
    """On the real S3, by the requests the client sends; twelve hundred are more than a listing."""
    step = timedelta(hours=1)
    counts = {}
    for name, count in (("few", 10), ("many", 1_200)):
        keys = [f"{name}/{timestamp(time)}/catalog.html" for time in every(step, count)]

        def put(key: str) -> None:
            s3_objects._client.put_object(Bucket=s3_objects.bucket, Key=s3_objects.prefix + key, Body=b"")

        with ThreadPoolExecutor(10) as writers:
            list(writers.map(put, keys))
        store = Store(s3_objects, now=lambda: NOW)
        with requests(s3_objects) as sent:
            found = store.newest(name, "catalog", 5)
        assert [each.time for each in found] == every(step, 5)[::-1]
        counts[name] = len(sent)
    assert counts == {"few": 1, "many": 1}


def test_a_location_is_a_folder_or_a_bucket(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert open_store("catalogs").objects.address("a") == str(tmp_path / "catalogs/a")
    assert open_store("catalogs", Path("/base")).objects.address("a") == "/base/catalogs/a"
    assert open_store("/elsewhere", Path("/base")).objects.address("a") == "/elsewhere/a"
    assert open_store("~/pages").objects.address("a") == str(tmp_path / "home/pages/a")
    assert open_store("s3://bucket/some/prefix/").objects.address("a") == "s3://bucket/some/prefix/a"
    assert open_store("s3://bucket").objects.address("a") == "s3://bucket/a"
    for location in ("gs://bucket", "s3://", "s3:///prefix"):
        with pytest.raises(ConfigurationError, match="s3://bucket/prefix or a folder"):
            open_store(location)


def test_a_store_that_is_not_there_is_empty(tmp_path: Path) -> None:
    store = Store(FolderObjects(tmp_path / "none"))
    assert store.databases() == []
    assert store.newest("shop", "catalog") == []
    assert store.newest_overview() is None
    assert list(tmp_path.iterdir()) == []


def test_taken_and_missing_are_errors_for_people() -> None:
    assert issubclass(Taken, StoreError)
    assert issubclass(Missing, StoreError)


def test_a_page_is_asked_for_once_per_name() -> None:
    asked: list[str] = []

    def note(name: str) -> bytes:
        asked.append(name)
        return b""

    store = Store(MemoryObjects())
    store.write("shop", "catalog", NOW, {}, note)
    store.write("shop", "catalog", NOW, {}, note)
    assert asked == ["2026-01-15T10:00:00.123Z", "2026-01-15T10:00:00.124Z"]
