"""A Dagster instance on disk, one for all tests of a process."""

import tempfile
from collections.abc import Iterator

import dagster as dg
import pytest


@pytest.fixture(scope="session")
def _instance_of_the_process() -> Iterator[dg.DagsterInstance]:
    # Dagster keeps a weak reference to the instance that was made first: it has to outlive every test.
    with tempfile.TemporaryDirectory() as folder, dg.DagsterInstance.local_temp(folder) as instance:
        yield instance


@pytest.fixture
def instance(_instance_of_the_process: dg.DagsterInstance) -> dg.DagsterInstance:
    """The instance, without partitions."""
    for name in _instance_of_the_process.get_dynamic_partitions("databases"):
        _instance_of_the_process.delete_dynamic_partition("databases", name)
    return _instance_of_the_process
