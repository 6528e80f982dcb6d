"""The resources: each turns its configuration, visible in the launchpad, into a plain object of the core.

Nothing is opened here but clients; sessions are opened by the core and end with it.
"""

from collections.abc import Callable
from enum import Enum
from pathlib import Path

import dagster as dg
from dagster_aws.s3 import S3Resource

from cataloger_dagster.agent.choice import OFFLINE, choose_model
from cataloger_dagster.agent.model import Model
from cataloger_dagster.databases import Databases
from cataloger_dagster.databases_file import load_databases
from cataloger_dagster.prompts import PromptTemplate, load
from cataloger_dagster.report.run import Kind
from cataloger_dagster.sandbox.choice import choose as choose_sandbox
from cataloger_dagster.sandbox.session import Sandbox
from cataloger_dagster.settings import Settings
from cataloger_dagster.store.snapshots import Store, open_store


class SandboxKind(Enum):
    """The sandboxes there are, as the launchpad offers them."""

    docker = "docker"
    local = "local"


class DatabasesResource(dg.ConfigurableResource[Databases]):
    """The entries of ``databases.yaml``, read anew at each use."""

    path: str

    def load(self) -> Databases:
        """Read the file."""
        return load_databases(Path(self.path))


class ModelResource(dg.ConfigurableResource[Model]):
    """Who writes: a model's name, ``offline``, or null for a Claude model where there are credentials.

    ``effort`` is how much it thinks: ``low``, ``medium``, ``high``, ``xhigh``, ``max``, or null for its own default.
    """

    name: str | None = None
    effort: str | None = None

    def choose(self) -> Model:
        """Return the model."""
        return choose_model(self.name, self.effort)


class SandboxResource(dg.ConfigurableResource[Sandbox]):
    """Where the agent's code runs: ``docker``, ``local``, or null to choose by the model."""

    kind: SandboxKind | None = None
    image: str
    pool: int = 0
    runtime: str | None = None
    unsafe_local: bool = False

    def choose(self, model: Model) -> Sandbox:
        """Return the sandbox for *model*."""
        return choose_sandbox(
            self.kind and self.kind.value,
            offline=model.name == OFFLINE,
            image=self.image,
            pool=self.pool,
            runtime=self.runtime,
            unsafe_local=self.unsafe_local,
        )


class PromptsResource(dg.ConfigurableResource[PromptTemplate]):
    """What the model is told: the built-in prompts, a folder's, or base64 text from ``cataloger prompt encode``."""

    folder: str | None = None
    catalog_override: str | None = None
    summary_override: str | None = None

    def load(self, name: Kind) -> PromptTemplate:
        """Read one prompt."""
        override = {"catalog": self.catalog_override, "summary": self.summary_override}.get(name)
        return load(name, Path(self.folder) if self.folder else None, override)


class StoreResource(dg.ConfigurableResource[Store]):
    """Where pages are kept: ``s3://bucket/prefix`` (by the client of *s3*) or a folder."""

    location: str
    s3: S3Resource

    def open(self) -> Store:
        """Open the store; an S3 client is made for an S3 location only."""
        return open_store(self.location, client=self.s3.get_client() if self.location.startswith("s3://") else None)

    def open_to_write(self, warn: Callable[[str], None]) -> Store:
        """Open the store and try it before anything is spent on a page that it can't keep."""
        store = self.open()
        if weakness := store.check():
            warn(weakness)
        return store


def prompts_resource(settings: Settings) -> PromptsResource:
    """Return the prompts that *settings* configure."""
    return PromptsResource(
        folder=str(settings.prompts) if settings.prompts else None,
        catalog_override=settings.catalog_prompt,
        summary_override=settings.summary_prompt,
    )


def store_resource(settings: Settings) -> StoreResource:
    """Return the store that *settings* configure; its S3 client takes the AWS_* variables."""
    return StoreResource(location=settings.store, s3=S3Resource())


def sandbox_resource(settings: Settings) -> SandboxResource:
    """Return the sandbox that *settings* configure."""
    return SandboxResource(
        kind=settings.sandbox and SandboxKind(settings.sandbox),
        image=settings.sandbox_image,
        pool=settings.sandbox_pool,
        runtime=settings.sandbox_runtime,
        unsafe_local=settings.unsafe_local,
    )
