"""What the commands work with: settings, and the objects of the core that they configure, each made when asked for.

Nothing here prints but what has to be said aloud of a choice that the user did not make.
"""

from dataclasses import dataclass, field
from functools import cached_property

import click

from cataloger_dagster.agent.choice import OFFLINE, choose_model
from cataloger_dagster.agent.model import Model
from cataloger_dagster.databases import Database, Databases, check_name, is_file
from cataloger_dagster.databases_file import load_databases
from cataloger_dagster.errors import ConfigurationError
from cataloger_dagster.prompts import PromptTemplate, load
from cataloger_dagster.sandbox.session import Sandbox
from cataloger_dagster.settings import Settings
from cataloger_dagster.store.snapshots import Store, open_store


@dataclass
class Workplace:
    """The settings of the environment, and what they lead to."""

    settings: Settings = field(default_factory=Settings.from_environment)

    @cached_property
    def databases(self) -> Databases:
        """The entries of ``databases.yaml``; none where the file is not there and nobody named one."""
        path = self.settings.databases
        if not path.exists() and not self.settings.databases_named:
            return Databases(path, {}, {})
        return load_databases(path)

    @cached_property
    def store(self) -> Store:
        """Where the pages are kept."""
        return open_store(self.settings.store)

    def warn_of_store(self) -> None:
        """Say what the store does not keep of what snapshots promise, before something is written."""
        weakness = self.store.check()
        if weakness:
            click.echo(f"Warning: {weakness}", err=True)

    def find(self, name_or_url: str, name: str | None = None) -> Database:
        """Return the entry of ``databases.yaml`` with this name, or the database at this URL or path.

        Raises:
            ConfigurationError: there is neither, or *name* is given for an entry, which has one.
        """
        if "://" in name_or_url or (name_or_url not in self.databases.entries and is_file(name_or_url)):
            return Database.from_url(name_or_url, name)
        if name is not None:
            raise ConfigurationError("--name goes with a URL; an entry of databases.yaml has its own name")
        if ":" in name_or_url.rpartition("@")[0]:
            place = name_or_url.rpartition("@")[2]
            raise ConfigurationError(f"***@{place}: no URL; write postgres://USER:PASSWORD@HOST:5432/DATABASE")
        if _looks_like_path(name_or_url):
            raise ConfigurationError(f"{name_or_url}: no such file")
        if not self.databases.keys and not self.settings.databases.exists():
            check_name(name_or_url)
            raise ConfigurationError(
                f"no database {name_or_url!r}: there is no {self.settings.databases}; "
                "name a database by its URL or path, or write the file (cataloger demo writes one to begin with)"
            )
        return self.databases.get(name_or_url)

    def find_stored(self, name_or_url: str) -> Database:
        """Return a database whose pages are wanted, not its tables: one that was catalogued by URL will do.

        Raises:
            ConfigurationError: it is neither in ``databases.yaml`` nor in the store.
        """
        if name_or_url not in self.databases.entries and name_or_url in self.store.databases():
            return _without_address(name_or_url)
        return self.find(name_or_url)

    def all_databases(self) -> Databases:
        """Return the entries of ``databases.yaml``; without the file, whatever has pages in the store."""
        databases = self.databases
        if databases.keys:
            return databases
        return Databases(databases.file, {name: _without_address(name) for name in self.store.databases()}, {})

    def model(self, name: str | None = None) -> Model:
        """Return the model called *name*, else the one of the settings, else what the credentials allow."""
        wanted = name or self.settings.model
        model = choose_model(wanted, self.settings.effort)
        if wanted is None:
            why = "no Claude credentials found" if model.name == OFFLINE else "credentials found"
            click.echo(f"Model: {model.name} ({why}; CATALOGER_MODEL chooses).", err=True)
        return model

    def sandbox(self, model: Model | None = None) -> Sandbox:
        """Return the sandbox for *model*; without one, only our own code will run in it."""
        # The Docker SDK takes a third of a second to import, which --help need not pay.
        from cataloger_dagster.sandbox.choice import choose

        settings = self.settings
        sandbox = choose(
            settings.sandbox,
            offline=model is None or model.name == OFFLINE,
            image=settings.sandbox_image,
            pool=settings.sandbox_pool,
            runtime=settings.sandbox_runtime,
            unsafe_local=settings.unsafe_local,
        )
        if settings.sandbox is None and model is not None:
            why = "the playbook's code is Cataloger's own" if sandbox.name == "local" else "a model writes the code"
            click.echo(f"Sandbox: {sandbox.name} ({why}; CATALOGER_SANDBOX chooses).", err=True)
        return sandbox

    def prompt(self, name: str) -> PromptTemplate:
        """Return the prompt *name*, as the settings override it."""
        override = {"catalog": self.settings.catalog_prompt, "summary": self.settings.summary_prompt}.get(name)
        return load(name, self.settings.prompts, override)


def _looks_like_path(text: str) -> bool:
    return "/" in text or text.endswith((".duckdb", ".ddb", ".db", ".sqlite", ".sqlite3"))


def _without_address(name: str) -> Database:
    """Return an entry for a database known by its pages alone; the URL only fills the place."""
    return Database.from_url(f"duckdb://{name}", name)
