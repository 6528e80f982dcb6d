"""Findings that the snapshot before had and this one's sample does not show: their own evidence is asked again.

Of a large table the rules see some rows, another time others, so a rare flaw would come and go though nobody mended
it. It is resolved where its query returns nothing; where it returns rows, the finding stands, with their number now.
How snapshots are compared is ``report.changes``'s.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from cataloger_dagster.facts import Facts, Finding, Query, Unjudged
from cataloger_dagster.privacy import MASKED_QUERY
from cataloger_dagster.report.block import Block
from cataloger_dagster.report.changes import gone
from cataloger_dagster.sandbox.session import Session

MOST = 50
"""So many findings are asked for again."""

SECONDS = 10.0
"""How long one of their queries may take."""

ALL_SECONDS = 120.0
"""How long all of them may take."""

EXACT = frozenset({"empty_table", "constant_column", "orphan_foreign_key", "stale_table"})
"""The kinds that are looked for in all rows of every table."""

# The evidence that a column holds what it should not is every value of it: it can't tell whether it still does.
_OF_THE_COLUMN = re.compile(r"IS NOT NULL\s*$")


def with_recurring(facts: Facts, before: Block, session: Session, connection: Mapping[str, Any]) -> Facts:
    """Return *facts* with the findings of *before* that are not seen in a sample now, and are there all the same.

    What can't be asked again is told as not judged, so that nobody takes it for resolved.

    Raises:
        DatabaseError: the database can't be read any more.
        SandboxError: the sandbox failed.
    """
    unsure = [finding for finding in gone(before, facts) if _may_be_unseen(finding, facts, before)]
    if not unsure:
        return facts
    texts = {query.id: query.sql for query in before.queries}
    asked = [item for item in unsure if not texts.get(item.query, MASKED_QUERY).startswith(MASKED_QUERY)][:MOST]
    seconds = min(SECONDS, ALL_SECONDS / max(1, len(asked)))
    results: Sequence[Mapping[str, Any]] = (
        session.call(
            "cataloger_sandbox.claims:rerun",
            {
                "connection": dict(connection),
                "queries": [{"id": item.id, "sql": texts[item.query]} for item in asked],
                "seconds": seconds,
            },
            seconds * len(asked) + 30,
        )
        if asked
        else []
    )
    answers = {result["id"]: result for result in results}
    findings, queries, unjudged = list(facts.findings), list(facts.queries), list(facts.coverage.unjudged)
    number = max((int(query.id.removeprefix("q")) for query in queries), default=0)
    for item in unsure:
        answer = answers.get(item.id)
        if answer is None or answer["error"] is not None:
            why = "it could not be asked again" if answer is None else f"asked again, it failed: {answer['error']}"
            unjudged.append(
                Unjudged(
                    kinds=[item.kind],
                    tables=[item.table],
                    columns=item.columns,
                    reason=f"the snapshot before had one, by a query that this one's sample does not stand for; {why}",
                )
            )
            continue
        rows = (answer["row"] or {}).get("rows")
        if not isinstance(rows, int) or rows == 0:
            continue
        number += 1
        queries.append(Query(id=f"q{number}", sql=texts[item.query], at=answer["at"], seconds=answer["seconds"]))
        findings.append(
            item.model_copy(
                update={"rows": rows, "query": f"q{number}", "sentence": _sentence(item, rows, facts, before)}
            )
        )
    coverage = facts.coverage.model_copy(update={"unjudged": unjudged})
    return facts.model_copy(update={"findings": findings, "queries": queries, "coverage": coverage})


def _may_be_unseen(finding: Finding, facts: Facts, before: Block) -> bool:
    """Say whether this snapshot's rules may have passed over a finding that is there."""
    now, was = facts.table_by_name.get(finding.table), before.facts.table_by_name.get(finding.table)
    if finding.kind in EXACT or now is None or was is None:
        return False
    types = [
        (table.column_by_name[name].type if name in table.column_by_name else None)
        for table in (was, now)
        for name in finding.columns
    ]
    if None in types or types[: len(finding.columns)] != types[len(finding.columns) :]:
        return False  # it is another column
    sql = next((query.sql for query in before.queries if query.id == finding.query), "")
    if finding.kind in ("pii_exposed", "secret_exposed") and _OF_THE_COLUMN.search(sql):
        return False
    sampled = any(item.table == finding.table and item.reason is None for item in facts.coverage.searched)
    return sampled or finding.kind == "broken_dependency"


def _sentence(finding: Finding, rows: int, facts: Facts, before: Block) -> str:
    now, was = facts.table_by_name[finding.table].rows, before.facts.table_by_name[finding.table].rows
    if (rows, now) == (finding.rows, was):
        return finding.sentence
    place = ".".join([finding.table, ", ".join(finding.columns)]).rstrip(".")
    said = "1 row" if rows == 1 else f"{rows:,} rows"
    are = "is" if rows == 1 else "are"
    return f"{said} of {place} {are} still as an earlier snapshot found; a sample alone did not show it."
