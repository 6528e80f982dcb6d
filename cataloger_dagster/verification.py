"""Whether a stored page still tells the truth: its queries run once more, its values compared one by one.

A claim *held*; or its table is no longer what it was (*changed*); or the table is the same and the value is
another (*wrong*). How a page is made is ``cataloging``'s.
"""

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from cataloger_dagster.databases import Database
from cataloger_dagster.errors import ReportError
from cataloger_dagster.facts import Scalar, join_reference
from cataloger_dagster.privacy import cleaner
from cataloger_dagster.report.block import Block, read_block
from cataloger_dagster.report.claims import ShownClaim, shown_claims
from cataloger_dagster.report.numbers import as_float, format_value
from cataloger_dagster.sandbox.session import Sandbox

QUERY_SECONDS = 300.0
DISTINCT_ERROR = 0.1
"""How far apart, as a share, two estimates of one column's distinct values may lie if their page does not say it."""

DERIVED = (".before", ".change", "findings.new", "findings.resolved")
"""Endings of claims that compare two snapshots: their query gives the newest value, not the difference."""

Standing = Literal["held", "changed", "wrong"]
Key = tuple[str, str | None, str]
"""Table, column (null for the table's own) and fact."""

_COMPARED = frozenset({"findings.new", "findings.resolved"})
_OUTPUT = re.compile(r"c(\d+)_(\w+)")


@dataclass(frozen=True)
class Verification:
    """What came of one claim: the value on the page, the value now, and in a sentence why it is not held."""

    claim: str
    standing: Standing
    shown: Scalar
    now: Scalar
    reason: str = ""


def verify(html: str, database: Database, sandbox: Sandbox) -> list[Verification]:
    """Run each query of the catalog page *html* once against *database* and judge every value it shows.

    Raises:
        ReportError: it is no catalog page, or another database's.
        DatabaseError: the database can't be opened.
        SandboxError: the sandbox failed.
    """
    block = read_block(html)
    if block.kind != "catalog":
        raise ReportError("this is a summary; verify the catalog that its numbers come from")
    if block.database != database.name:
        raise ReportError(f"this page is about {block.database!r}, not about {database.name!r}")
    wanted = {query for table in block.tables for query in table.queries} | {claim.query for claim in block.claims}
    with sandbox.open(database) as session:
        results = session.call(
            "cataloger_sandbox.claims:rerun",
            {
                "connection": dict(session.connection),
                "queries": [{"id": q.id, "sql": q.sql} for q in block.queries if q.id in wanted],
                "seconds": QUERY_SECONDS,
            },
            QUERY_SECONDS * max(1, len(wanted)),
        )
    rows = {result["id"]: result["row"] for result in results if result["row"] is not None}
    clean = cleaner(database.privacy, database.password)
    return list(_judged(block, shown_claims(html), rows, lambda v: clean(v) if isinstance(v, str) else v))


def _judged(
    block: Block, shown: list[ShownClaim], rows: Mapping[str, Mapping[str, Any]], clean: Any
) -> Iterator[Verification]:
    stored, now = _stored(block), _now(block, rows, clean)

    def same(key: Key, value: Scalar) -> bool:
        return _equal(value, now[key], _distinct_error(block, key)) or _is_estimate_of(block, key, value, now)

    differing = {key for key in now if key in stored and not same(key, stored[key])}
    names: dict[str, Key] = {join_reference([part for part in key if part is not None]): key for key in now}
    claims = {claim.id: claim for claim in block.claims}

    def others_differ(key: Key) -> bool:
        return any(other[0] == key[0] and other != key for other in differing)

    def profile(reference: str, key: Key, value: Scalar) -> Verification:
        if same(key, value):
            return Verification(reference, "held", value, now[key])
        if others_differ(key) and _equal(value, stored.get(key), 1e-9):
            return Verification(reference, "changed", value, now[key], f"table {key[0]} is no longer what it was")
        return Verification(reference, "wrong", value, now[key], "the table is the same, its value is another")

    for reference, key in names.items():
        if key not in stored:
            continue
        claim = claims.get(reference)
        if claim and not _equal(claim.value, stored[key], 1e-9):
            reason = "the page's data block gives two values for it"
            yield Verification(reference, "wrong", claim.value, stored[key], reason)
        else:
            yield profile(reference, key, stored[key])
    for claim in block.claims:
        # What compares with an earlier page, this page's queries can't give.
        if claim.id in names or claim.id.endswith(DERIVED) or claim.id in _COMPARED:
            continue
        fresh = next(iter(rows.get(claim.query, {}).values()), None) if claim.query in rows else None
        if claim.id in _totals(block):
            fresh = _totals(block)[claim.id]
        elif _single(block, claim.query) is False:
            continue
        fresh = clean(fresh)
        if _equal(claim.value, fresh, 1e-9):
            yield Verification(claim.id, "held", claim.value, fresh)
        elif differing or claim.query not in rows:
            yield Verification(claim.id, "changed", claim.value, fresh, "the database is no longer what it was")
        else:
            yield Verification(claim.id, "wrong", claim.value, fresh, "its query gives another value")
    for item in shown:
        if item.id not in claims:
            yield Verification(
                item.id, "wrong", item.text, None, "the page shows it, and its data block does not know it"
            )
        elif not _reads(item, claims[item.id].value):
            yield Verification(
                item.id, "wrong", item.text, claims[item.id].value, "the page shows another value than its data block"
            )


def _stored(block: Block) -> dict[Key, Scalar]:
    """Return what the block says of each table and column, under the names that queries give their outputs."""
    found: dict[Key, Scalar] = {}
    for table in block.tables:
        found[table.name, None, "rows"] = table.rows
        for column in table.columns:
            for fact in ("nulls", "distinct", "min", "max", "mean", "std"):
                found[table.name, column.name, fact] = getattr(column, fact)
            for share, value in (column.quantiles or {}).items():
                found[table.name, column.name, _quantile(share)] = value
    return {key: value for key, value in found.items() if value is not None}


def _now(block: Block, rows: Mapping[str, Mapping[str, Any]], clean: Any) -> dict[Key, Scalar]:
    """Return what the profile's queries give now, under the same names."""
    found: dict[Key, Scalar] = {}
    for table in block.tables:
        for query in table.queries:
            for output, value in rows.get(query, {}).items():
                if output == "rows":
                    found[table.name, None, "rows"] = value
                elif (match := _OUTPUT.fullmatch(output)) and int(match[1]) < len(table.columns):
                    fact = "median" if match[2] == "q50" else match[2]
                    found[table.name, table.columns[int(match[1])].name, fact] = clean(value)
    return found


def _quantile(share: str) -> str:
    return "median" if float(share) == 0.5 else f"q{float(share) * 100:02g}"


def _distinct_error(block: Block, key: Key) -> float:
    """Return how far apart, as a share, the number of *key* and the same measured again may lie."""
    if key[1] is None or key[2] != "distinct":
        return 1e-9
    column = block.facts.table_by_name[key[0]].column_by_name[key[1]]
    if column.distinct_method != "hll":
        return 1e-9
    return DISTINCT_ERROR if column.distinct_error is None else 2 * column.distinct_error


def _is_estimate_of(block: Block, key: Key, value: Scalar, now: Mapping[Key, Scalar]) -> bool:
    """Say whether *value* is an estimated quantile as good as the one of *now*.

    An error in rank says nothing of how far apart two values lie. So the query gives two more quantiles, between
    which the same one of any other sample lies, as both are within their error.
    """
    table, name, fact = key
    column = block.facts.table_by_name[table].column_by_name[name] if name is not None else None
    if column is None or column.quantiles_error is None or not (fact == "median" or re.fullmatch(r"q\d+", fact)):
        return False
    ends = [now.get((table, name, f"{fact}_{end}")) for end in ("low", "high")]
    if None in ends:
        return False
    low, high, shown = *map(as_float, ends), as_float(value)
    if low is not None and high is not None and shown is not None:
        return low <= shown <= high
    return str(ends[0]) <= str(value) <= str(ends[1])


def _totals(block: Block) -> dict[str, int]:
    facts = block.facts
    return {name: int(facts.resolve(name).value or 0) for name in ("tables", "columns", "rows", "findings")}


def _single(block: Block, query: str) -> bool:
    """Say whether *query* is a claim's own, which gives its value in its first column."""
    return not any(query in table.queries for table in block.tables)


def _equal(left: Scalar, right: Scalar, loose: float) -> bool:
    if isinstance(left, int | float) and isinstance(right, int | float):
        return math.isclose(left, right, rel_tol=loose, abs_tol=1e-12)
    return left == right or (left is not None and right is not None and str(left) == str(right))


def _reads(item: ShownClaim, value: Scalar) -> bool:
    attribute = "" if value is None else ("true" if value else "false") if isinstance(value, bool) else str(value)
    texts = {re.sub(r"\s+", " ", format_value(value, grouped=grouped)) for grouped in (True, False)}
    return item.value == attribute and re.sub(r"\s+", " ", item.text).strip().lstrip("≈ ").strip() in texts
