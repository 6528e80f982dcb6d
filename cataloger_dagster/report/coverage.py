"""What was not looked for and what is not listed, in sentences: for the page, its exports and the command line.

What the coverage holds is ``facts``'s; how sentences stand on a page, the templates'.
"""

from collections.abc import Sequence

from cataloger_sandbox import kinds

from cataloger_dagster.facts import Coverage, Unjudged
from cataloger_dagster.report.numbers import count

NAMED = 4
"""So many tables, columns or kinds of one sentence are named; the data block has all."""


def not_judged(coverage: Coverage) -> list[str]:
    """Return, a sentence each, which findings may be missing where, and why."""
    return [f"{_kinds(item)} in {_places(item)}: {item.reason}." for item in coverage.unjudged]


def not_listed(coverage: Coverage) -> list[str]:
    """Return, a sentence each, how many findings of which kind are not listed."""
    return [
        f"{count(item.findings, 'more finding')} of {kinds.many(item.kind)} "
        f"in {count(item.tables, 'table')} {'is' if item.findings == 1 else 'are'} not listed."
        for item in coverage.unlisted
    ]


def _kinds(item: Unjudged) -> str:
    return _listed([kinds.many(kind) for kind in item.kinds], "kind").capitalize() + " may be missing"


def _places(item: Unjudged) -> str:
    tables = _listed(item.tables, "table") if item.tables else "all tables"
    return f"{tables} ({_listed(item.columns, 'column')})" if item.columns else tables


def _listed(names: Sequence[str], noun: str) -> str:
    more = len(names) - NAMED
    shown = names if more <= 1 else names[:NAMED]
    if more > 1:
        return f"{', '.join(shown)} and {more:,} more {noun}s"
    return " and ".join([*([", ".join(shown[:-1])] if len(shown) > 1 else []), *shown[-1:]])
