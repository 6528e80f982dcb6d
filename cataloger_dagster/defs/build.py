"""Puts the definitions together from settings: assets with their owners and code versions, resources, triggers."""

from collections.abc import Mapping

import dagster as dg

from cataloger_dagster.databases import Databases
from cataloger_dagster.databases_file import load_databases
from cataloger_dagster.defs.assets import catalog, overview, summary
from cataloger_dagster.defs.io_manager import HtmlIOManagerFactory
from cataloger_dagster.defs.jobs import catalog_and_summary, overview_job
from cataloger_dagster.defs.resources import (
    DatabasesResource,
    ModelResource,
    prompts_resource,
    sandbox_resource,
    store_resource,
)
from cataloger_dagster.defs.schedules import build_schedule
from cataloger_dagster.defs.sensors import databases_in_step, overview_stays_fresh
from cataloger_dagster.report.run import Kind
from cataloger_dagster.settings import Settings

PROMPTS: tuple[Kind, ...] = ("catalog", "summary", "overview")


def build_definitions(settings: Settings) -> dg.Definitions:
    """Return the definitions for *settings*; a fresh clone, which has no ``databases.yaml`` yet, has no partitions.

    Raises:
        ConfigurationError: ``databases.yaml`` as a whole can't be read; broken entries fail alone, at their run.
    """
    missing = not settings.databases.exists() and not settings.databases_named
    databases = Databases(settings.databases, {}, {}) if missing else load_databases(settings.databases)
    prompts, store = prompts_resource(settings), store_resource(settings)
    hashes: dict[str, str] = {name: prompts.load(name).hash for name in PROMPTS}
    return dg.Definitions(
        assets=[
            asset.map_asset_specs(lambda spec: _described(spec, databases, hashes))
            for asset in (catalog, summary, overview)
        ],
        jobs=[catalog_and_summary, overview_job],
        schedules=[build_schedule(databases)],
        sensors=[databases_in_step, overview_stays_fresh],
        resources={
            "databases_file": DatabasesResource(path=str(settings.databases)),
            "model": ModelResource(name=settings.model, effort=settings.effort),
            "sandbox": sandbox_resource(settings),
            "prompts": prompts,
            "store": store,
            "html": HtmlIOManagerFactory(store=store),
        },
        # One agent a run: a process per step would only add its start-up (9 s against 2.3 s a partition).
        executor=dg.in_process_executor,
    )


def _described(spec: dg.AssetSpec, databases: Databases, hashes: Mapping[str, str]) -> dg.AssetSpec:
    """Return *spec* with the owners and tags of all entries, and its prompt's hash as code version."""
    owners = sorted({owner for entry in databases.entries.values() for owner in entry.owners})
    tags = {key: value for entry in databases.entries.values() for key, value in entry.tags.items()}
    described = spec.merge_attributes(owners=owners, tags=tags)
    code_version = hashes.get(spec.key.path[-1])
    return described.replace_attributes(code_version=code_version) if code_version else described
