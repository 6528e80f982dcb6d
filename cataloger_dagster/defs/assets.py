"""The assets: catalog and summary per database, overview over all. Each body is a look-up, one call, one result.

The two with checks yield their result: of a returned one with check outputs beside it, Dagster would take the
annotation to mean that there is no value to store.
"""

from collections.abc import Iterator

import dagster as dg

from cataloger_dagster import cataloging, publication
from cataloger_dagster import overview as overviews
from cataloger_dagster.defs.checks import CATALOG_CHECKS, SUMMARY_CHECKS, specs, verdicts
from cataloger_dagster.defs.metadata import overview_metadata, report_metadata, told
from cataloger_dagster.defs.partitions import databases_partitions
from cataloger_dagster.defs.resources import (
    DatabasesResource,
    ModelResource,
    PromptsResource,
    SandboxResource,
    StoreResource,
)
from cataloger_dagster.publication import Report, StoredPage
from cataloger_dagster.resuming import Keeping

HISTORY = 10


@dg.asset(
    partitions_def=databases_partitions,
    group_name="cataloger",
    kinds={"anthropic", "docker", "html"},
    check_specs=specs("catalog", CATALOG_CHECKS),
    io_manager_key="html",
    description="One self-contained page about one database: what was measured, what it means, what is wrong with it.",
)
def catalog(
    context: dg.AssetExecutionContext,
    databases_file: DatabasesResource,
    sandbox: SandboxResource,
    model: ModelResource,
    prompts: PromptsResource,
    store: StoreResource,
) -> Iterator[dg.MaterializeResult[Report]]:
    """Catalog the partition's database."""
    with told(context):
        database, writer = databases_file.load().get(context.partition_key), model.choose()
        kept = store.open_to_write(context.log.warning)
        report = cataloging.catalog(
            database,
            sandbox=sandbox.choose(writer),
            model=writer,
            prompt=prompts.load("catalog"),
            history=publication.history(kept, database.name, 1),
            run_id=context.run.run_id,
            scheduled=context.run.tags.get("cataloger/scheduled"),
            keeping=Keeping(kept.runs, context.run.root_run_id or context.run.run_id),
            progress=context.log.info,
            warn=context.log.warning,
        )
    yield dg.MaterializeResult(value=report, metadata=report_metadata(report), check_results=verdicts(report))


@dg.asset(
    partitions_def=databases_partitions,
    group_name="cataloger",
    kinds={"anthropic", "docker", "html"},
    check_specs=specs("summary", SUMMARY_CHECKS),
    io_manager_key="html",
    ins={"catalog": dg.AssetIn(metadata={"history": HISTORY})},
    description="What changed in one database over its last snapshots, what is drifting and what needs a person.",
)
def summary(
    context: dg.AssetExecutionContext,
    catalog: list[StoredPage],
    databases_file: DatabasesResource,
    sandbox: SandboxResource,
    model: ModelResource,
    prompts: PromptsResource,
    store: StoreResource,
) -> Iterator[dg.MaterializeResult[Report]]:
    """Summarize the partition's history."""
    with told(context):
        database, writer = databases_file.load().get(context.partition_key), model.choose()
        kept = store.open_to_write(context.log.warning)
        report = cataloging.summarize(
            database,
            history=[page.block for page in catalog],
            sandbox=sandbox.choose(writer),
            model=writer,
            prompt=prompts.load("summary"),
            run_id=context.run.run_id,
            scheduled=context.run.tags.get("cataloger/scheduled"),
            keeping=Keeping(kept.runs, context.run.root_run_id or context.run.run_id),
            progress=context.log.info,
            warn=context.log.warning,
        )
    yield dg.MaterializeResult(value=report, metadata=report_metadata(report), check_results=verdicts(report))


@dg.asset(
    group_name="cataloger",
    kinds={"anthropic", "docker", "html"},
    deps=["catalog", "summary"],
    automation_condition=dg.AutomationCondition.eager().without(~dg.AutomationCondition.any_deps_missing()),
    description="All databases on one page: what needs somebody, what changed, what they have in common.",
)
def overview(
    context: dg.AssetExecutionContext,
    databases_file: DatabasesResource,
    sandbox: SandboxResource,
    model: ModelResource,
    prompts: PromptsResource,
    store: StoreResource,
) -> dg.MaterializeResult[None]:
    """Write the overview from the newest page of each database."""
    with told(context):
        kept = store.open()
        written = overviews.overview(
            databases_file.load(),
            kept,
            choose=lambda: ((writer := model.choose()), sandbox.choose(writer)),
            prompt=prompts.load("overview"),
            keeping=Keeping(kept.runs, context.run.root_run_id or context.run.run_id),
            progress=context.log.info,
            warn=context.log.warning,
        )
    return dg.MaterializeResult(metadata=overview_metadata(written))
