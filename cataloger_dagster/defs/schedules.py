"""The schedule that requests each database at its own cron, read from ``databases.yaml`` at each tick.

It ticks whenever any entry's cron does, as the file stood when the code location was loaded, so that a
tick missed by a stopped daemon is caught up; an entry with a new cron needs the location reloaded.
"""

from datetime import datetime

import dagster as dg
from croniter import croniter

from cataloger_dagster.databases import Databases
from cataloger_dagster.defs.jobs import catalog_and_summary
from cataloger_dagster.defs.resources import DatabasesResource

FALLBACK_CRON = "0 3 * * *"


def due(databases: Databases, at: datetime) -> list[str]:
    """Return the names of the entries whose cron fires at *at*."""
    return sorted(
        entry.name for entry in databases.entries.values() if entry.schedule and croniter.match(entry.schedule, at)
    )


def build_schedule(databases: Databases) -> dg.ScheduleDefinition:
    """Return the schedule of the job ``catalog_and_summary`` over *databases*."""
    crons = sorted({entry.schedule for entry in databases.entries.values() if entry.schedule})

    @dg.schedule(
        name="each_database_at_its_cron",
        cron_schedule=crons or [FALLBACK_CRON],
        job_name=catalog_and_summary.name,
        execution_timezone="UTC",
        description="Requests the catalog and summary of each database whose schedule in databases.yaml is due.",
    )
    def each_database_at_its_cron(
        context: dg.ScheduleEvaluationContext, databases_file: DatabasesResource
    ) -> list[dg.RunRequest] | dg.SkipReason:
        at = context.scheduled_execution_time
        names = due(databases_file.load(), at)
        if not names:
            return dg.SkipReason(f"No database of databases.yaml is due at {at:%Y-%m-%d %H:%M} UTC.")
        present = set(context.instance.get_dynamic_partitions("databases"))
        time = f"{at:%Y-%m-%dT%H:%M:%SZ}"
        return [
            dg.RunRequest(run_key=f"{name}@{time}", partition_key=name, tags={"cataloger/scheduled": time})
            for name in names
            if name in present
        ]

    return each_database_at_its_cron
