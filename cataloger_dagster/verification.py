"""Whether a stored page still tells the truth: its queries run once more, its values compared one by one.

A claim *held*; or its table is no longer what it was (*changed*); or the table is the same and the value is
another (*wrong*). How a page is made is ``cataloging``'s.
"""

import json
import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Literal

from cataloger_dagster.databases import Database
from cataloger_dagster.errors import ReportError
from cataloger_dagster.facts import Finding, Scalar, column_facts, join_reference
from cataloger_dagster.known_values import learn
from cataloger_dagster.privacy import MASKED_QUERY, Mask
from cataloger_dagster.report.block import Block, read_block
from cataloger_dagster.report.claims import ShownClaim, shown_claims
from cataloger_dagster.report.digest import is_as_written
from cataloger_dagster.report.numbers import as_float, format_value
from cataloger_dagster.report.overview import (
    DatabaseData,
    Entry,
    claims,
    database_data,
    overview_page,
    read_data,
    read_text,
)
from cataloger_dagster.report.redrawn import differences, overview_differences
from cataloger_dagster.report.sentences import ROWS, Sentences, claim_id
from cataloger_dagster.sandbox.session import Sandbox

QUERY_SECONDS = 300.0
DISTINCT_ERROR = 0.1
"""How far apart, as a share, two estimates of one column's distinct values may lie if their page does not say it."""

MOST_PLACES = 20
"""How many of the places that were changed by hand are told."""

DERIVED = (".before", ".change", "findings.new", "findings.resolved")
"""Endings of claims that compare two snapshots: their query gives the newest value, not the difference."""

Standing = Literal["held", "changed", "wrong"]
Key = tuple[str, str | None, str]
"""Table, column (null for the table's own) and fact."""

Place = tuple[str, str | None]
"""Table and column; null for the table itself."""

Tables = Mapping[str, Mapping[str, str] | None]
"""The tables that there are, each with its columns' types by name; null where these are not known."""

TYPE = "type"

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

    Of a summary that was changed by hand it says so, and runs nothing: its numbers come from catalogs.

    Raises:
        ReportError: it is another database's page, or a summary as it was written.
        DatabaseError: the database can't be opened.
        SandboxError: the sandbox failed.
    """
    block = read_block(html)
    if block.database != database.name:
        raise ReportError(f"this page is about {block.database!r}, not about {database.name!r}")
    if block.kind != "catalog" and is_as_written(html) is False:
        return [Verification("the page", "wrong", None, None, "it was changed after it was written")]
    if block.kind != "catalog":
        raise ReportError("this is a summary; verify the catalog that its numbers come from")
    wanted = {query for table in block.tables for query in table.queries} | {claim.query for claim in block.claims}
    wanted |= {part.query for finding in block.findings for part in finding.parts} | {
        r.query for r in block.references if r.query
    }
    runnable = [q for q in block.queries if q.id in wanted and not q.sql.startswith(MASKED_QUERY)]
    mask = Mask(database.privacy, database.password)
    with sandbox.open(database, cells=False) as session:
        learn(mask, block.facts, database, session)
        found = session.call(
            "cataloger_sandbox.claims:look_again",
            {
                "connection": dict(session.connection),
                "queries": [{"id": q.id, "sql": q.sql} for q in runnable],
                "seconds": QUERY_SECONDS,
                "schemas": sorted({table.schema_ for table in block.tables if table.schema_}),
            },
            QUERY_SECONDS * max(1, len(wanted)),
        )
    # A query that ran and gave no row found nothing: of what is counted by its rows, that is none.
    rows = {result["id"]: result["row"] or {} for result in found["results"] if result["error"] is None}
    failed = {result["id"]: mask(result["error"]) for result in found["results"] if result["error"] is not None}
    judge = _Judge(block, rows, failed, found["tables"], mask)
    return [
        *judge.profile(),
        *judge.unanswered(),
        *judge.counted(),
        *judge.claimed(),
        *judge.shown(shown_claims(html)),
        *_untouched(html, block),
    ]


def verify_overview(html: str, stored: Callable[[str, str], Block | None]) -> list[Verification]:
    """Judge every number of the overview *html* by the pages that it was made of.

    *stored* returns the data block of a database's catalog of one snapshot; null where that is in the store no more.

    Raises:
        ReportError: it is no overview.
    """
    data = read_data(html)
    entries: list[Entry] = []
    judged: list[Verification] = []
    for line in data.databases:
        block = stored(line.name, line.snapshot) if line.snapshot else None
        entries.append(Entry(line.name, block, line.reason))
        judged += _of_database(line, block)
    gone = {line.name for line in data.databases if line.snapshot} - {e.name for e in entries if e.block}
    named = claims(entries)
    for claim in data.claims:
        now = named[claim.id].value if claim.id in named else None
        reason = "the pages that it was made of give another"
        judged.append(_judged(claim.id, claim.value, now, bool(gone), reason))
    values = {claim.id: claim.value for claim in data.claims}
    for item in shown_claims(html):
        if item.id not in values or not _reads(item, values[item.id]):
            reason = "the page shows another value than its data block"
            judged.append(Verification(item.id, "wrong", item.text, values.get(item.id), reason))
    drawn = overview_page(data.at, entries, read_text(html), data.fault).html
    if not gone:
        for found in islice(overview_differences(html, drawn), MOST_PLACES):
            reason = "the page shows another text than the pages that it was made of give"
            judged.append(Verification(found.place, "wrong", found.shown, found.drawn, reason))
    if is_as_written(html) is False:
        judged.append(Verification("the page", "wrong", None, None, "it was changed after it was written"))
    return judged


def _of_database(line: DatabaseData, block: Block | None) -> Iterator[Verification]:
    """Judge what an overview's data says of one database by that database's own page."""
    if not line.snapshot:
        return
    again = database_data(Entry(line.name, block)) if block else {}
    for name in ("tables", "rows", "findings", "changes"):
        shown, now = getattr(line, name), again.get(name)
        if isinstance(shown, dict):
            shown, now = json.dumps(shown), json.dumps(now) if block else None
        yield _judged(f"{line.name}: {name}", shown, now, block is None, "its page gives another")


def _judged(name: str, shown: Scalar, now: Scalar, gone: bool, reason: str) -> Verification:
    if shown == now:
        return Verification(name, "held", shown, now)
    if gone:
        return Verification(name, "changed", shown, None, "a page that it was made of is in the store no more")
    return Verification(name, "wrong", shown, now, reason)


class _Judge:
    """Compares what the *block* of a page says with what there is now.

    *rows* are the first rows of its queries, by id; *failed* says why some could not be run; *tables* are those that
    there are, with their columns' types, null where that is not known.
    """

    def __init__(
        self,
        block: Block,
        rows: Mapping[str, Mapping[str, Scalar]],
        failed: Mapping[str, str],
        tables: Tables | None,
        mask: Mask,
    ) -> None:
        self._block, self._rows, self._failed, self._mask = block, rows, failed, mask
        self._gone = {} if tables is None else _gone(block, tables)
        self._stored = _stored(block)
        # SQLite takes the quoted name of a column that is gone for a text, and gives facts of that.
        answered = {key: value for key, value in _now(block, rows, mask).items() if not self._is_gone(*key[:2])}
        self._now = answered | (_types(block, tables) if tables is not None else {})
        self._claims = {claim.id: claim for claim in block.claims}
        self._differing = {key for key in self._now if key in self._stored and not self._same(key, self._stored[key])}
        self._orphans = {join_reference([r.from_[0], *r.from_[1], "orphans"]): r for r in reversed(block.references)}
        self._names = {join_reference([part for part in key if part is not None]): key for key in self._now}

    def profile(self) -> Iterator[Verification]:
        """Judge the facts of every table and column."""
        for reference, key in self._names.items():
            if key not in self._stored:
                continue
            claim, stored = self._claims.get(reference), self._stored[key]
            if claim and not _equal(claim.value, stored, 1e-9):
                reason = "the page's data block gives two values for it"
                yield Verification(reference, "wrong", claim.value, stored, reason)
            elif self._same(key, stored):
                yield Verification(reference, "held", stored, self._now[key])
            elif key[2] == TYPE:
                yield Verification(reference, "changed", stored, self._now[key], "the column is of another type now")
            elif self._has_moved(key[0], but=key):
                reason = f"table {key[0]} is no longer what it was"
                yield Verification(reference, "changed", stored, self._now[key], reason)
            else:
                reason = "the table is the same, its value is another"
                yield Verification(reference, "wrong", stored, self._now[key], reason)

    def unanswered(self) -> Iterator[Verification]:
        """Judge what can't be asked any more, as of a table that is gone."""
        for table in self._block.tables:
            failure = next((self._failed[query] for query in table.queries if query in self._failed), None)
            for key in self._stored:
                if key[0] != table.name or key in self._now:
                    continue
                reason = self._is_gone(*key[:2]) or (failure and _not_run(failure))
                if reason and key[2] != TYPE:
                    name = join_reference([part for part in key if part is not None])
                    yield Verification(name, "changed", self._stored[key], None, reason)
        for name, value, query, places in self._counts():
            if value is not None and (reason := self._unasked(query, places)):
                yield Verification(name, "changed", value, None, reason)

    def _counts(self) -> Iterator[tuple[str, Scalar, str, list[Place]]]:
        """Yield what references and findings count, with its query and the columns it is about."""
        for name, reference in self._orphans.items():
            ends = (reference.from_, reference.to)
            yield name, reference.orphans, reference.query or "", [(table, c) for table, cs in ends for c in cs]
        for part in (part for finding in self._block.findings for part in finding.parts):
            yield claim_id(part, ROWS), part.rows, part.query, _places(part)

    def _unasked(self, query: str, places: Sequence[Place]) -> str:
        """Return why what *query* counts of *places* can't be asked any more; empty where it can."""
        gone = next((reason for place in places if (reason := self._is_gone(*place))), "")
        return gone or (_not_run(self._failed[query]) if query in self._failed else "")

    def _is_gone(self, table: str, column: str | None) -> str:
        """Return how it is told that a table, or its column, is gone; empty where it is not."""
        return self._gone.get((table, None)) or self._gone.get((table, column)) or ""

    def _has_moved(self, table: str, but: Key | None = None) -> bool:
        """Say whether *table* is no longer what it was, by more than the fact *but*."""
        return any(key[0] == table and key != but for key in self._differing) or any(t == table for t, _ in self._gone)

    def counted(self) -> Iterator[Verification]:
        """Judge what references and findings count."""
        for name, reference in self._orphans.items():
            places = [(table, column) for table, columns in (reference.from_, reference.to) for column in columns]
            if self._unasked(reference.query or "", places):
                continue
            if reference.orphans is not None and (row := self._rows.get(reference.query or "")) is not None:
                tables = {reference.from_[0], reference.to[0]}
                yield self._count(name, reference.orphans, row.get("orphans", _first(row)), tables)
        for finding in self._block.findings:
            now = {part.id: self._rows_now(part) for part in finding.parts}
            for part in finding.parts:
                if part.rows is not None and now[part.id] is not None:
                    yield self._count(claim_id(part, ROWS), part.rows, now[part.id], {part.table})
            if finding.members:
                yield from self._gathered(finding, list(now.values()))

    def _rows_now(self, finding: Finding) -> Scalar:
        """Return the number of rows that a finding's query gives; null where it can't be told."""
        row = None if self._unasked(finding.query, _places(finding)) else self._rows.get(finding.query)
        return None if row is None or (row and ROWS not in row) else row.get(ROWS, 0)

    def _gathered(self, finding: Finding, now: Sequence[Scalar]) -> Iterator[Verification]:
        """Judge what is said of many tables together: how many they are, and the sum of their rows."""
        tables = len({part.table for part in finding.members}) + finding.tables_left_out
        rows = sum(part.rows or 0 for part in finding.members)
        if finding.members_left_out:
            # What the others have is not in the block: at least this much it must be.
            rows = max(rows, finding.rows or 0)
        told = re.match(r"In ([\d,]+) tables", finding.sentence)
        for key, shown, summed in (
            ("tables", told and int(told[1].replace(",", "")), tables),
            (ROWS, finding.rows, rows),
        ):
            if shown != summed:
                reason = "it is not what the page's data block gives table by table"
                yield Verification(claim_id(finding, key), "wrong", shown, summed, reason)
        if finding.rows == rows and not finding.members_left_out and all(isinstance(value, int) for value in now):
            yield self._count(
                claim_id(finding, ROWS), rows, sum(int(str(value)) for value in now), {p.table for p in finding.members}
            )

    def _count(self, name: str, stored: int, now: Scalar, tables: set[str]) -> Verification:
        if _equal(stored, now, 1e-9):
            return Verification(name, "held", stored, now)
        # What is counted across tables may move with any of them, and what a finding compares with may be another.
        moved = bool(self._differing or self._gone)
        if any(self._has_moved(table) for table in tables) or (moved and not self._is_profiled(tables)):
            return Verification(name, "changed", stored, now, "the rows it counts are no longer what they were")
        return Verification(name, "wrong", stored, now, "its query gives another number")

    def _is_profiled(self, tables: set[str]) -> bool:
        return tables <= {key[0] for key in self._now}

    def claimed(self) -> Iterator[Verification]:
        """Judge the claims that are no fact of a profile: of ``fact()``, and totals."""
        totals = _totals(self._block)
        sentences = {claim.id: claim for claim in Sentences(self._block.facts).claims()}
        for claim in self._block.claims:
            # What compares with an earlier page, this page's queries can't give.
            if claim.id in self._names or claim.id.endswith(DERIVED) or claim.id in _COMPARED:
                continue
            if claim.id in self._orphans and _equal(claim.value, self._orphans[claim.id].orphans, 1e-9):
                continue
            if claim.id in sentences:
                if not _equal(claim.value, sentences[claim.id].value, 1e-9):
                    reason = "the page's data block gives two values for it"
                    yield Verification(claim.id, "wrong", claim.value, sentences[claim.id].value, reason)
                continue
            fresh = _first(self._rows[claim.query]) if claim.query in self._rows else None
            if claim.id in totals:
                fresh = totals[claim.id]
            elif not _is_its_own(self._block, claim.query):
                continue
            fresh = self._mask.data(fresh)
            if _equal(claim.value, fresh, 1e-9):
                yield Verification(claim.id, "held", claim.value, fresh)
            elif claim.query in self._failed:
                yield Verification(claim.id, "changed", claim.value, None, _not_run(self._failed[claim.query]))
            elif self._differing or self._gone or claim.query not in self._rows:
                yield Verification(claim.id, "changed", claim.value, fresh, "the database is no longer what it was")
            else:
                yield Verification(claim.id, "wrong", claim.value, fresh, "its query gives another value")

    def shown(self, shown: Iterable[ShownClaim]) -> Iterator[Verification]:
        """Judge what the page shows: only what its data block has."""
        for item in shown:
            claim = self._claims.get(item.id)
            if claim is None:
                reason = "the page shows it, and its data block does not know it"
                yield Verification(item.id, "wrong", item.text, None, reason)
            elif not _reads(item, claim.value):
                reason = "the page shows another value than its data block"
                yield Verification(item.id, "wrong", item.text, claim.value, reason)

    def _same(self, key: Key, value: Scalar) -> bool:
        now = self._now[key]
        return _equal(value, now, _distinct_error(self._block, key)) or _is_estimate_of(
            self._block, key, value, self._now
        )


def _untouched(html: str, block: Block) -> Iterator[Verification]:
    """Judge the file itself: whether it is what was written, and if not, where its profiles and findings differ."""
    as_written = is_as_written(html)
    if as_written:
        return
    told = 0
    for found in islice(differences(html, block), MOST_PLACES):
        told += 1
        reason = "the page shows another text than its data block gives"
        yield Verification(found.place, "wrong", found.shown, found.drawn, reason)
    where = f", in {told} of its places" if told else ""
    if as_written is False or told:
        yield Verification("the page", "wrong", None, None, f"it was changed after it was written{where}")


def _stored(block: Block) -> dict[Key, Scalar]:
    """Return what the block says of each table and column, under the names that queries give their outputs."""
    found: dict[Key, Scalar] = {}
    sampled = {sample.table for sample in block.coverage.sampled}
    for table in block.tables:
        found[table.name, None, "rows"] = table.rows
        for column in table.columns:
            for fact, value in column_facts(column).items():
                # Of a sample, the most frequent values are those of this sample.
                if not (fact.startswith("top") and table.name in sampled):
                    found[table.name, column.name, fact] = value
    return {key: value for key, value in found.items() if value is not None}


def _now(block: Block, rows: Mapping[str, Mapping[str, Scalar]], mask: Mask) -> dict[Key, Scalar]:
    """Return what the profile's queries give now, under the same names."""
    found: dict[Key, Scalar] = {}
    for table in block.tables:
        for query in table.queries:
            for output, value in rows.get(query, {}).items():
                if output == "rows":
                    found.setdefault((table.name, None, "rows"), value)  # what follows may be of a sample
                elif (match := _OUTPUT.fullmatch(output)) and int(match[1]) < len(table.columns):
                    fact = "median" if match[2] == "q50" else match[2]
                    column = table.columns[int(match[1])]
                    shown = mask.value(column, value) if fact in ("min", "max") else mask.data(value)
                    found[table.name, column.name, fact] = shown
    return found


def _gone(block: Block, tables: Tables) -> dict[Place, str]:
    """Return what of *block* is not among *tables* any more, and how that is told."""
    found: dict[Place, str] = {}
    known = {table.name for table in block.tables}
    for table in block.tables:
        names = [column.name for column in table.columns]
        if table.name not in tables:
            alike = [name for name, there in tables.items() if name not in known and there and list(there) == names]
            guess = f"; {alike[0]}, which is new, has the same columns" if len(alike) == 1 and names else ""
            found[table.name, None] = f"{table.kind} {table.name} is gone{guess}"
        elif (there := tables[table.name]) is not None:
            new = [name for name in there if name not in names]
            gone = [name for name in names if name not in there]
            for name in gone:
                guess = f"; {new[0]} is new there" if len(gone) == len(new) == 1 else ""
                found[table.name, name] = f"column {name} is gone from {table.kind} {table.name}{guess}"
    return found


def _types(block: Block, tables: Tables) -> dict[Key, Scalar]:
    """Return the types of the columns that are still there."""
    if block.engine.startswith("sqlite"):  # a column's type there is what its values are
        return {}
    return {
        (table.name, column.name, TYPE): there[column.name]
        for table in block.tables
        if (there := tables.get(table.name))
        for column in table.columns
        if column.name in there
    }


def _places(finding: Finding) -> list[Place]:
    return [(finding.table, column) for column in finding.columns] or [(finding.table, None)]


def _not_run(failure: str) -> str:
    return f"its query can't be run now: {failure}"


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


def _is_its_own(block: Block, query: str) -> bool:
    """Say whether *query* is a claim's own, which gives its value in its first column."""
    return not any(query in table.queries for table in block.tables)


def _first(row: Mapping[str, Scalar]) -> Scalar:
    return next(iter(row.values()), None)


def _equal(left: Scalar, right: Scalar, loose: float) -> bool:
    if isinstance(left, int | float) and isinstance(right, int | float):
        return math.isclose(left, right, rel_tol=loose, abs_tol=1e-12)
    return left == right or (left is not None and right is not None and str(left) == str(right))


def _reads(item: ShownClaim, value: Scalar) -> bool:
    attribute = "" if value is None else ("true" if value else "false") if isinstance(value, bool) else str(value)
    texts = {re.sub(r"\s+", " ", format_value(value, grouped=grouped)) for grouped in (True, False)}
    return item.value == attribute and re.sub(r"\s+", " ", item.text).strip().lstrip("≈ ").strip() in texts
