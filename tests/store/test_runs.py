"""Runs in progress: steps written once by whoever holds the lease, taken over from the dead alone."""

import contextlib
import json
import multiprocessing
import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from cataloger_dagster import owners
from cataloger_dagster.errors import StoreError
from cataloger_dagster.store.folder import FolderObjects
from cataloger_dagster.store.objects import Objects, Taken
from cataloger_dagster.store.runs import DEAD, Busy, RunInProgress, Runs
from tests.store.stores import MemoryObjects

NONE = timedelta(0)


class Clock:
    """A clock that tests put forward."""

    def __init__(self) -> None:
        self.time = datetime(2026, 1, 15, 10, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.time


def leave_lease(objects: Objects, mark: str, at: datetime, number: int = 1) -> None:
    """Leave a lease as somebody else does."""
    told = json.dumps({"owner": mark, "at": at.isoformat()}).encode()
    objects.create(f"_runs/shop/run-1/catalog.lease.{number:06}.json", told)


def write_until_refused(run: RunInProgress) -> None:
    until = time.monotonic() + 30
    while time.monotonic() < until:
        time.sleep(0.01)
        run.write({})


def test_steps_come_back_in_their_order_and_numbers_go_on(objects: Objects) -> None:
    runs = Runs(objects)
    with runs.take("shop", "catalog", "run-1") as run:
        assert run.steps == ()
        for number in range(12):
            run.write({"number": number})
    with runs.take("shop", "catalog", "run-1") as run:
        assert [step["number"] for step in run.steps] == list(range(12))
        run.write({"number": 12})
    assert objects.keys("_runs/")[-1] == "_runs/shop/run-1/catalog.000013.json"
    assert [len(each.steps) for each in runs.unfinished("shop", "catalog")] == [13]
    runs.remove("shop", "catalog", "run-1")
    assert objects.keys("_runs/") == []
    assert runs.unfinished("shop", "catalog") == []


def test_runs_kinds_and_databases_are_apart() -> None:
    objects = MemoryObjects()
    runs = Runs(objects)
    for database, kind, name in [("shop", "catalog", "a"), ("shop", "summary", "a"), ("shop", "catalog", "b")]:
        with runs.take(database, kind, name) as run:  # type: ignore[arg-type]
            run.write({"of": f"{database} {kind} {name}"})
    with runs.take("shop2", "catalog", "a") as run:
        assert run.steps == ()
    assert [each.run for each in runs.unfinished("shop", "catalog")] == ["a", "b"]
    runs.remove("shop", "catalog", "a")
    assert [each.run for each in runs.unfinished("shop", "summary")] == ["a"]


def test_a_torn_step_counts_as_never_written() -> None:
    objects = MemoryObjects()
    with Runs(objects).take("shop", "catalog", "run-1") as run:
        run.write({"number": 1})
        run.write({"number": 2})
    objects.objects["_runs/shop/run-1/catalog.000003.json"] = b'{"number": 3, "ev'
    with Runs(objects).take("shop", "catalog", "run-1") as run:
        assert [step["number"] for step in run.steps] == [1, 2]
        run.write({"number": 4})
    with Runs(objects).take("shop", "catalog", "run-1") as run:
        assert [step["number"] for step in run.steps] == [1, 2, 4]


def test_who_lives_keeps_the_run_and_is_named() -> None:
    objects = MemoryObjects()
    with Runs(objects).take("shop", "catalog", "run-1"):
        assert objects.keys("_runs/") == ["_runs/shop/run-1/catalog.lease.000001.json"]
        with pytest.raises(Busy, match=f"process {os.getpid()} on .* is at this run; wait for it, or end it"):
            Runs(objects).take("shop", "catalog", "run-1", patience=NONE)
    assert objects.keys("_runs/") == []


def test_of_a_dead_process_of_this_machine_the_run_is_taken_at_once(tmp_path: Path) -> None:
    def hold() -> None:
        with Runs(FolderObjects(tmp_path)).take("shop", "catalog", "run-1") as run:
            run.write({"number": 1})
            os._exit(9)

    process = multiprocessing.get_context("fork").Process(target=hold)
    process.start()
    process.join()
    assert process.exitcode == 9
    [left] = Runs(FolderObjects(tmp_path)).unfinished("shop", "catalog")
    assert not left.held
    with Runs(FolderObjects(tmp_path)).take("shop", "catalog", "run-1", patience=NONE) as run:
        assert [step["number"] for step in run.steps] == [1]


def test_of_another_machine_the_run_is_taken_when_its_lease_has_run_out() -> None:
    objects, clock = MemoryObjects(), Clock()
    leave_lease(objects, "elsewhere 4711 12345", clock.time)
    with pytest.raises(Busy, match="process 4711 on elsewhere"):
        Runs(objects, clock).take("shop", "catalog", "run-1", patience=NONE)
    clock.time += DEAD + timedelta(seconds=1)
    with Runs(objects, clock).take("shop", "catalog", "run-1", patience=NONE):
        assert objects.keys("_runs/") == [
            "_runs/shop/run-1/catalog.lease.000001.json",
            "_runs/shop/run-1/catalog.lease.000002.json",
        ]


def test_a_lease_is_renewed_while_its_holder_lives() -> None:
    objects = MemoryObjects()
    with Runs(objects, beat=0.01).take("shop", "catalog", "run-1"):
        until = time.monotonic() + 30
        while objects.keys("_runs/")[-1] < "_runs/shop/run-1/catalog.lease.000005.json":
            assert time.monotonic() < until
            time.sleep(0.01)
        assert len(objects.keys("_runs/")) <= 2
    assert objects.keys("_runs/") == []
    assert not [thread for thread in threading.enumerate() if thread.name == "lease of shop"]


def test_who_comes_back_after_the_run_was_taken_over_writes_no_more() -> None:
    objects, clock = MemoryObjects(), Clock()
    with Runs(objects, clock).take("shop", "catalog", "run-1") as sleeper:
        sleeper.write({"number": 1})
        # Another machine's process, for which ours was silent too long.
        leave_lease(objects, "elsewhere 4711 12345", clock.time, number=2)
        objects.create("_runs/shop/run-1/catalog.000002.json", b"{}")
        with pytest.raises(Busy, match="taken this run over"):
            sleeper.write({"number": 2})


def test_a_lost_lease_is_noticed_before_anything_is_written() -> None:
    objects = MemoryObjects()
    with Runs(objects, beat=0.01).take("shop", "catalog", "run-1") as sleeper:
        for number in range(1000):  # whichever number its next beat has
            with contextlib.suppress(Taken):
                leave_lease(objects, "elsewhere 4711 12345", datetime.now(UTC), number=number)
        with pytest.raises(Busy, match="taken this run over"):
            write_until_refused(sleeper)
    assert any("lease" in key for key in objects.keys("_runs/")), "the lease of another is not ours to remove"


@pytest.mark.parametrize("number", [2, 7])
def test_who_comes_back_after_the_run_was_taken_over_removes_nothing_of_it(number: int) -> None:
    objects, clock = MemoryObjects(), Clock()
    taken = f"_runs/shop/run-1/catalog.lease.{number:06}.json"
    with Runs(objects, clock).take("shop", "catalog", "run-1") as sleeper:
        sleeper.write({"number": 1})
        # Another machine's process took it over, and has renewed its lease since then or not.
        leave_lease(objects, "elsewhere 4711 12345", clock.time, number=number)
        objects.create("_runs/shop/run-1/catalog.000002.json", b"{}")
        with pytest.raises(Busy, match="taken this run over"):
            sleeper.clear()
    left = objects.keys("_runs/")
    assert left[:2] == ["_runs/shop/run-1/catalog.000001.json", "_runs/shop/run-1/catalog.000002.json"]
    assert taken in left


def test_who_comes_back_and_does_not_know_leaves_the_lease_of_another() -> None:
    objects, clock = MemoryObjects(), Clock()
    with Runs(objects, clock).take("shop", "catalog", "run-1"):
        leave_lease(objects, "elsewhere 4711 12345", clock.time, number=2)
    assert objects.keys("_runs/") == ["_runs/shop/run-1/catalog.lease.000002.json"]


def test_of_many_who_take_a_dead_run_one_gets_it(raced_objects: Objects) -> None:
    leave_lease(raced_objects, "elsewhere 4711 12345", datetime.now(UTC) - timedelta(hours=1))
    start = threading.Barrier(8)
    won = []

    def take() -> None:
        start.wait()
        with contextlib.suppress(Busy):
            won.append(Runs(raced_objects).take("shop", "catalog", "run-1", patience=NONE))

    with ThreadPoolExecutor(8) as pool:
        for each in [pool.submit(take) for _ in range(8)]:
            each.result()
    assert len(won) == 1


@pytest.mark.parametrize("name", ["", "../x", "a/b", ".hidden"])
def test_a_name_that_leads_elsewhere_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="can't be"):
        Runs(FolderObjects(tmp_path)).take("shop", "catalog", name)
    assert not list(tmp_path.iterdir())


def test_the_mark_of_a_process_is_its_own() -> None:
    host, process, _ = owners.owner().rsplit(" ", 2)
    assert host
    assert int(process) == os.getpid()
