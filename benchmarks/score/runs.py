"""One catalog as a user gets it, and the data block out of its page. Nothing else in here knows the product."""

import json
from html.parser import HTMLParser
from typing import Any

from cataloger_dagster.agent.playbook import Playbook
from cataloger_dagster.cataloging import catalog
from cataloger_dagster.databases import Database
from cataloger_dagster.prompts import load
from cataloger_dagster.sandbox.choice import choose


def page_block(url: str, name: str) -> dict[str, Any]:
    """Catalog the database at *url* with the playbook and return its page's data block."""
    report = catalog(
        Database.from_url(url, name),
        sandbox=choose("local", offline=True, image="none"),
        model=Playbook(),
        prompt=load("catalog"),
    )
    if report.outcome.ended != "submitted":
        raise RuntimeError(f"{name}: the page was not submitted: {report.outcome.reason}")
    return read_block(report.page.html)


def read_block(html: str) -> dict[str, Any]:
    """Return the data block of a page."""
    found = _Block()
    found.feed(html)
    block: dict[str, Any] = json.loads(found.text)
    return block


class _Block(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.inside, self.text = False, ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.inside = tag == "script" and ("id", "cataloger") in attrs

    def handle_endtag(self, tag: str) -> None:
        self.inside = self.inside and tag != "script"

    def handle_data(self, data: str) -> None:
        if self.inside:
            self.text += data
