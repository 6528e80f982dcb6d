"""The sensor keeps the partitions in step; the schedule requests what is due; definitions validate."""

from datetime import UTC, datetime
from pathlib import Path

import dagster as dg
import pytest

from cataloger_dagster.defs.build import build_definitions
from cataloger_dagster.defs.partitions import sync
from cataloger_dagster.settings import Settings


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "databases.yaml"
    path.write_text(
        "databases:\n  a: {url: duckdb://a.duckdb, schedule: '0 6 * * *'}\n"
        "  b: {url: duckdb://b.duckdb, schedule: '30 6 * * *'}\n  c: {url: duckdb://c.duckdb}\n"
    )
    return path


@pytest.fixture
def definitions(file: Path) -> dg.Definitions:
    return build_definitions(
        Settings.from_environment({"CATALOGER_DATABASES": str(file), "CATALOGER_STORE": str(file.parent / "store")})
    )


def test_the_sensor_adds_and_deletes_partitions(file, definitions, instance):
    sensor = definitions.resolve_sensor_def("databases_in_step")
    resources = definitions.resources

    def tick(instance: dg.DagsterInstance) -> dg.SensorResult:
        context = dg.build_sensor_context(instance=instance, resources={"databases_file": resources["databases_file"]})
        return sensor(context)

    instance.add_dynamic_partitions("databases", ["old", "a"])
    requests = tick(instance).dynamic_partitions_requests
    assert [(type(r).__name__, sorted(r.partition_keys)) for r in requests] == [
        ("AddDynamicPartitionsRequest", ["b", "c"]),
        ("DeleteDynamicPartitionsRequest", ["old"]),
    ]
    sync(instance, ["a", "b", "c"])
    assert sorted(instance.get_dynamic_partitions("databases")) == ["a", "b", "c"]
    assert tick(instance).skip_reason
    file.write_text("databases: {}\n")
    (request,) = tick(instance).dynamic_partitions_requests
    assert sorted(request.partition_keys) == ["a", "b", "c"]


@pytest.mark.parametrize(("minute", "names"), [(0, ["a"]), (30, ["b"]), (15, [])])
def test_the_schedule_requests_each_database_at_its_cron(definitions, instance, minute, names):
    schedule = definitions.resolve_schedule_def("each_database_at_its_cron")
    assert sorted(schedule.cron_schedule) == ["0 6 * * *", "30 6 * * *"]
    sync(instance, ["a", "b", "c"])
    context = dg.build_schedule_context(
        instance=instance,
        scheduled_execution_time=datetime(2026, 1, 15, 6, minute, tzinfo=UTC),
        resources={"databases_file": definitions.resources["databases_file"]},
    )
    answer = schedule(context)
    requests = answer if isinstance(answer, list) else []
    assert [request.partition_key for request in requests] == names
    assert [request.tags["cataloger/scheduled"] for request in requests] == [f"2026-01-15T06:{minute:02d}:00Z"] * len(
        names
    )
    assert isinstance(answer, dg.SkipReason) == (not names)


def test_partitions_are_deleted_only_when_their_entry_is_gone_not_when_it_is_broken(file, definitions, instance):
    file.write_text("databases:\n  a: {url: 'duckdb://${NOT_SET}'}\n")
    sensor = definitions.resolve_sensor_def("databases_in_step")
    sync(instance, ["a"])
    context = dg.build_sensor_context(
        instance=instance, resources={"databases_file": definitions.resources["databases_file"]}
    )
    assert sensor(context).skip_reason


def test_the_definitions_validate(definitions):
    dg.Definitions.validate_loadable(definitions)
