"""The sensor that keeps the partitions in step with ``databases.yaml``, and the one that keeps the overview fresh."""

from pathlib import Path

import dagster as dg

from cataloger_dagster.defs.partitions import databases_partitions, difference
from cataloger_dagster.defs.resources import DatabasesResource


@dg.sensor(
    name="databases_in_step",
    description="Adds a partition for each new entry of databases.yaml and deletes those of entries that are gone.",
    minimum_interval_seconds=30,
    default_status=dg.DefaultSensorStatus.RUNNING,
)
def databases_in_step(context: dg.SensorEvaluationContext, databases_file: DatabasesResource) -> dg.SensorResult:
    """Compare the file with the instance's partitions."""
    if not Path(databases_file.path).exists():
        # Somebody may be replacing the file: what is not there says nothing of which partitions should go.
        return dg.SensorResult(skip_reason=f"There is no {databases_file.path}.")
    added, deleted = difference(context.instance, databases_file.load().keys)
    requests: list[dg.AddDynamicPartitionsRequest | dg.DeleteDynamicPartitionsRequest] = []
    if added:
        requests.append(databases_partitions.build_add_request(added))
    if deleted:
        requests.append(databases_partitions.build_delete_request(deleted))
    if not requests:
        return dg.SensorResult(skip_reason="The partitions are the entries of databases.yaml.")
    return dg.SensorResult(dynamic_partitions_requests=requests)


overview_stays_fresh = dg.AutomationConditionSensorDefinition(
    "overview_stays_fresh",
    target=dg.AssetSelection.assets("overview"),
    description="Writes the overview anew after each catalog or summary.",
    default_status=dg.DefaultSensorStatus.RUNNING,
)
