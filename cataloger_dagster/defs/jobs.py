"""The jobs that schedules and people start: one database's pages, and the overview."""

import dagster as dg

catalog_and_summary = dg.define_asset_job(
    "catalog_and_summary",
    selection=["catalog", "summary"],
    description="Catalog one database, then summarize its history.",
)

overview_job = dg.define_asset_job(
    "write_overview", selection=["overview"], description="Write the page over all databases."
)
