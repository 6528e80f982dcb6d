"""The partitions: one per database of ``databases.yaml``, and how Dagster's set of them follows the file."""

from collections.abc import Iterable

import dagster as dg

from cataloger_dagster.errors import ConfigurationError

databases_partitions = dg.DynamicPartitionsDefinition(name="databases")


def difference(instance: dg.DagsterInstance, names: Iterable[str]) -> tuple[list[str], list[str]]:
    """Return the partitions to add and those to delete, so that *instance* has exactly *names*."""
    wanted, present = set(names), set(instance.get_dynamic_partitions("databases"))
    return sorted(wanted - present), sorted(present - wanted)


def sync(instance: dg.DagsterInstance, names: Iterable[str]) -> tuple[list[str], list[str]]:
    """Make the partitions of *instance* equal to *names*; return what was added and what was deleted."""
    added, deleted = difference(instance, names)
    if added:
        instance.add_dynamic_partitions("databases", added)
    for name in deleted:
        instance.delete_dynamic_partition("databases", name)
    return added, deleted


def sync_home(names: Iterable[str]) -> tuple[list[str], list[str]]:
    """Make the partitions of the instance in ``DAGSTER_HOME`` equal to *names*, like ``sync``.

    Raises:
        ConfigurationError: there is no such instance.
    """
    fault = ""
    try:
        with dg.DagsterInstance.get() as instance:
            return sync(instance, names)
    except dg.DagsterError as error:
        fault = str(error).strip().splitlines()[0].partition(". ")[0]
    raise ConfigurationError(f"{fault}; set DAGSTER_HOME to the folder of the Dagster instance, an absolute path")
