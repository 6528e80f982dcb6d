"""The IO manager: reports become snapshots of the store, and consumers get the newest pages back.

Nothing is checked or rendered here; a report arrives whole and safe.
"""

from collections.abc import Sequence

import dagster as dg

from cataloger_dagster.defs.metadata import place_metadata, told
from cataloger_dagster.defs.resources import StoreResource
from cataloger_dagster.publication import Report, StoredPage, newest_pages, publish
from cataloger_dagster.report.run import PageKind
from cataloger_dagster.store.snapshots import Store


class HtmlIOManager(dg.IOManager):
    """Writes each report as a new snapshot, never over an old one.

    A plain input is the newest page's HTML; an input with ``metadata={"history": N}`` is a list of the
    newest N pages, newest first.
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    def handle_output(self, context: dg.OutputContext, obj: Report) -> None:
        """Write *obj* and say where it is."""
        with told(context):
            published = publish(obj, self._store)
        context.add_output_metadata(
            {
                "page": place_metadata(published.address),
                "transcript": place_metadata(published.transcript),
                "snapshot": published.snapshot,
            }
        )
        context.log.info(f"The page is at {published.address}")

    def load_input(self, context: dg.InputContext) -> str | Sequence[StoredPage]:
        """Read the newest page of the upstream's partition, or the newest N."""
        kind: PageKind = "summary" if context.asset_key.path[-1] == "summary" else "catalog"
        history = (context.definition_metadata or {}).get("history")
        with told(context):
            pages = newest_pages(self._store, context.partition_key, kind, int(history) if history else 1)
        if not pages and history is None:
            raise dg.Failure(
                f"There is no {kind} page of {context.partition_key!r} in the store yet. Materialize {kind} first."
            )
        return pages if history is not None else pages[0].html


class HtmlIOManagerFactory(dg.ConfigurableIOManagerFactory[HtmlIOManager]):
    """Configures ``HtmlIOManager`` with the store that everything else uses."""

    store: StoreResource

    def create_io_manager(self, context: dg.InitResourceContext) -> HtmlIOManager:
        """Open the store."""
        return HtmlIOManager(self.store.open())
