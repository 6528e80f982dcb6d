"""The jobs that schedules and people start: one database's pages, and the overview."""

import dagster as dg

from cataloger_dagster.defs.partitions import databases_partitions

catalog_and_summary = dg.define_asset_job(
    "catalog_and_summary",
    selection=["catalog", "summary"],
    partitions_def=databases_partitions,
    description="Catalog one database, then summarize its history.",
)

overview_job = dg.define_asset_job(
    "write_overview", selection=["overview"], description="Write the page over all databases."
)
