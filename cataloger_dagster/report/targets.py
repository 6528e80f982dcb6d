"""What a reference or a link that a model wrote leads to: tables, columns and places on the page."""

import difflib
from collections.abc import Set
from urllib.parse import unquote

from cataloger_dagster.facts import Facts, UnknownReference, split_reference
from cataloger_dagster.report import anchors


class Targets:
    """Finds what is meant among *facts* and the *ids* that the model gave; says in *problems* what is not there."""

    def __init__(self, facts: Facts, ids: Set[str], problems: list[str]) -> None:
        self._facts, self._ids, self._problems = facts, ids, problems

    def find(self, reference: str) -> tuple[str, ...] | None:
        """Return the table, or table and column, that *reference* names; a plain name need not be quoted."""
        if reference in self._facts.table_by_name:
            return (reference,)
        try:
            parts = split_reference(reference)
        except UnknownReference:
            return None
        table = self._facts.table_by_name.get(parts[0])
        if table is None or len(parts) > 2 or (len(parts) == 2 and parts[1] not in table.column_by_name):
            return None
        return tuple(parts)

    def plain(self, written: str) -> str:
        """Return a reference without what does not belong to it."""
        # <fact-value ref=orders.rows/>: without quotes the slash is part of the value.
        return written if written in self._facts.table_by_name else written.strip().removesuffix("/")

    def miss(self, element: str, reference: str, kind: str) -> None:
        """Say that there is no *kind* called *reference*, asked for in an *element*, and what may have been meant."""
        if not reference:
            self._problems.append(f"<{element}> lacks its ref attribute: the name of a {kind}")
            return
        known: list[str] = list(self._facts.table_by_name)
        if kind == "column":
            known = [f"{t.name}.{c}" for t in self._facts.tables for c in t.column_by_name]
        close = difflib.get_close_matches(reference, known, n=3)
        meant = f"; did you mean {', '.join(close)}?" if close else ""
        self._problems.append(f'<{element} ref="{shortened(reference)}">: there is no such {kind}{meant}')

    def link(self, href: str) -> str | None:
        """Return the link on the finished page for what a model wrote as one, or null if it leads nowhere."""
        href = href.strip()
        if not href.startswith("#"):
            self._problems.append(
                f'<a href="{shortened(href)}"> leads outside; link to places on this page only (href="#orders")'
            )
            return None
        target = self._anchor(unquote(href[1:]))
        if target is None:
            self._problems.append(f'<a href="{shortened(href)}">: there is no such place on the page')
        return target and f"#{target}"

    def _anchor(self, name: str) -> str | None:
        if name in self._ids:
            return anchors.text(name)
        if found := self.find(name):
            return anchors.place(*found)
        plain = name.removeprefix("page-")
        if plain in anchors.SECTIONS:
            return anchors.section(plain)
        if plain in ("", "top"):
            return "page-top"
        if name.removeprefix("query-") in self._facts.query_by_id:
            return anchors.query(name.removeprefix("query-"))
        key = name.removeprefix("finding-")
        known = (f for f in self._facts.findings if f.id == key or any(part.id == key for part in f.members))
        return next((anchors.finding(finding.id) for finding in known), None)


def shortened(text: str) -> str:
    """Return *text* as a message shows it."""
    return text if len(text) <= 60 else text[:57] + "…"
