"""What facts look like on a page: a table's profile, findings, changes, the diagram, the list of queries.

The markup itself is in ``templates/elements.html.j2``; here its data is made ready. Which of it stands where is
decided by ``catalog.py`` and ``summary.py``.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from itertools import groupby

from cataloger_sandbox import kinds
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from cataloger_dagster.facts import (
    SEVERITIES,
    Change,
    Claim,
    Column,
    Dependency,
    Facts,
    Finding,
    Reference,
    Table,
)
from cataloger_dagster.report import anchors, numbers
from cataloger_dagster.report.charts import histogram, of_sample
from cataloger_dagster.report.coverage import not_judged, not_listed
from cataloger_dagster.report.detail import Detail
from cataloger_dagster.report.diagram import diagram, related
from cataloger_dagster.report.numbers import (
    as_float,
    count,
    format_decimal,
    format_value,
    is_number,
    share,
    ungrouped,
)
from cataloger_dagster.report.prose import Place, Prose
from cataloger_dagster.report.sentences import Sentences

TOP = 4
# Of more findings of one kind in a row the first are shown, the others folded.
FIRST = 5
# A column of few values is read better as a list than as bars.
FEW = 12
# Of more columns in all, those of each table are folded: the tables and what they are for come first.
OPEN = 500
_DECIMAL = re.compile(r"decimal|numeric", re.IGNORECASE)

KINDS = {kind: named.title for kind, named in kinds.FINDINGS.items()}


@cache
def environment() -> Environment:
    """Return the templates of the package; what they are given is escaped."""
    made = Environment(
        loader=PackageLoader("cataloger_dagster.report", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.globals |= {"anchors": anchors, "style": Markup(style()), "kinds_of": KINDS, "not_judged": not_judged}
    made.globals |= {"not_listed": not_listed}
    made.filters |= {
        "count": count,
        "value": format_value,
        "number": lambda value: format_value(value),
        "day": numbers.day,
        "day_and_time": numbers.day_and_time,
        "duration": numbers.duration,
        "per_cent": numbers.per_cent,
        # A number that nobody measured is marked in the contents too.
        "in_contents": lambda title: Markup(re.sub(r"<(?!/?mark\b)[^>]*>", "", title)),
    }
    return made


@cache
def style() -> str:
    """Return the page's style sheet, as it stands in the page."""
    source, _, _ = PackageLoader("cataloger_dagster.report", "templates").get_source(Environment(), "style.css")
    return source.strip()


def _macro(name: str, *arguments: object) -> Markup:
    return Markup(getattr(environment().get_template("elements.html.j2").module, name)(*arguments))


@dataclass(frozen=True)
class Top:
    """One frequent value: as shown, in full, how often, and how wide its bar is in per cent."""

    text: str
    share: str
    count: str
    width: float


@dataclass(frozen=True)
class Row:
    """One column as the table shows it."""

    column: Column
    id: str
    marks: list[str]
    targets: list[tuple[str | None, str, bool]]
    meaning: Markup | None
    findings: list[Finding]
    nulls: str
    nulls_share: str
    nulls_width: float
    distinct: str
    distinct_note: str
    estimated: str
    chart: Markup
    chart_note: str
    tops: list[Top]
    top_query: str | None
    more: str
    low: str
    high: str
    notes: list[str]


@dataclass
class View:
    """Everything a page shows of one snapshot: the facts, the prose, and what was found where.

    Attributes:
        fresh: ids of the findings that the snapshot before did not have, with the number of tables they came in.
        whole: the findings by the ids of what single tables have of them.
        compared: whether there was a snapshot before.
        detail: how much of the facts the page shows.
        drawn: ids of the findings that have a place on the page, and of the queries that stand there.
        folded: whether each table's columns are folded, for there are very many.
    """

    facts: Facts
    prose: Prose
    changes: Sequence[Change] = ()
    compared: bool = False
    detail: Detail = field(default_factory=Detail)
    fresh: dict[str, int] = field(default_factory=dict)
    whole: dict[str, Finding] = field(default_factory=dict)
    by_column: dict[tuple[str, str], list[Finding]] = field(default_factory=lambda: defaultdict(list))
    by_table: dict[str, list[Finding]] = field(default_factory=lambda: defaultdict(list))
    dependencies: dict[str, list[Dependency]] = field(default_factory=lambda: defaultdict(list))
    outgoing: dict[tuple[str, str], list[Reference]] = field(default_factory=lambda: defaultdict(list))
    incoming: dict[str, list[Reference]] = field(default_factory=lambda: defaultdict(list))
    ungrouped: frozenset[tuple[str, str]] = frozenset()
    drawn: set[str] = field(default_factory=set)
    folded: bool = False

    def __post_init__(self) -> None:
        self.ungrouped = ungrouped(self.facts)
        self.folded = sum(len(table.columns) for table in self.facts.tables) > OPEN
        self.sentences = Sentences(self.facts)
        self.listed = {finding.id for finding in self.facts.findings}
        for change in self.changes:
            if change.kind == "finding_new":
                self.fresh[str(change.to)] = change.tables or 1
        for finding in self.facts.findings:
            for part in finding.parts:
                self.whole[part.id] = finding
                self.by_table[part.table].append(part)
                for column in part.columns:
                    self.by_column[part.table, column].append(part)
        for dependency in self.facts.dependencies:
            self.dependencies[dependency.table].append(dependency)
        for reference in self.facts.references:
            self.incoming[reference.to[0]].append(reference)
            for column in reference.from_[1]:
                self.outgoing[reference.from_[0], column].append(reference)

    def place(self, table: str, columns: Sequence[str] = ()) -> str | None:
        """Return the id of a table's or of its first column's place on the page, or null where it has none."""
        known = self.facts.table_by_name.get(table)
        if known is None or (columns and columns[0] not in known.column_by_name):
            return None
        return anchors.place(table, *columns[:1])

    def sentence(self, finding: Finding) -> Markup:
        """Return a finding's sentence with its numbers as claims."""
        return self.sentences.written(finding, self.query_of(finding))

    def target(self, finding: Finding) -> str | None:
        """Return the id of a finding's place on the page: that of the whole, if many tables have it; null without."""
        whole = self.whole.get(finding.id, finding)
        return anchors.finding(whole.id) if whole.id in self.listed else None

    def query_of(self, finding: Finding) -> str | None:
        """Return the id on the page of the query behind a finding's numbers: of many tables', the list of theirs."""
        return anchors.tables(finding.id) if finding.members else self.query(finding.query)

    def age(self, finding: Finding) -> tuple[bool, str]:
        """Return whether a finding, or a part of it, is new, and since when it is known, in words."""
        new = max(self.fresh.get(finding.id, 0), sum(part.id in self.fresh for part in finding.members))
        if new:
            return True, "new" if new >= finding.spread else f"new in {count(new, 'table')}"
        if finding.first_seen:
            return False, f"since {numbers.day(finding.first_seen)}"
        return False, "seen before" if self.compared else ""

    def is_new(self, key: str) -> bool:
        """Say whether this is the first time that an element with the id *key* is drawn."""
        fresh = key not in self.drawn
        self.drawn.add(key)
        return fresh

    def query(self, key: str | None) -> str | None:
        """Return the id of a query's text on the page, or null where there is none."""
        return anchors.query(key) if key and key in self.facts.query_by_id else None


def place(view: View, where: Place) -> Markup:
    """Return what a place of the prose is filled with."""
    if where.kind == "table" and where.table is not None:
        return table_section(view, view.facts.table_by_name[where.table])
    if where.kind == "findings":
        return findings(view, where.table)
    return relations(view)


def table_section(view: View, table: Table) -> Markup:
    """Return a table's whole profile: its head and a row for each of its columns."""
    skipped = next((s.reason for s in view.facts.coverage.skipped if s.table == table.name and s.column is None), None)
    sampled = next((s for s in view.facts.coverage.sampled if s.table == table.name), None)
    keys = [key for key in table.keys if key != table.primary_key]
    grain = table.primary_key or (table.keys[0] if table.keys else None)
    rows = [_row(view, table, column, index) for index, column in enumerate(table.columns)]
    others = keys if table.primary_key else keys[1:]
    return _macro("table_section", view, table, rows, grain, _evidence(view, table, grain), others, skipped, sampled)


def _evidence(view: View, table: Table, key: Sequence[str] | None) -> str | None:
    """Return the query that counts the combinations of *key*; of one column, its distinct values are counted."""
    if key is None or not table.queries:
        return None
    if len(key) == 1:
        index = next((n for n, column in enumerate(table.columns) if column.name == key[0]), None)
        wanted = f" AS c{index}_distinct"
    else:
        wanted = " AS combinations"
    sql = view.facts.query_by_id
    # A count that is made afterwards is the exact one.
    return next((q for q in reversed(table.queries) if q in sql and wanted in sql[q].sql), table.queries[0])


def findings(view: View, table: str | None = None) -> Markup:
    """Return the findings, gravest first; of one table only: a short list that leads to the whole one."""
    found = view.by_table[table] if table is not None else view.facts.findings
    most: dict[tuple[str, str], int] = {}
    for finding in found:
        kind = (finding.severity, finding.kind)
        most[kind] = max(most.get(kind, 0), finding.rows or 0)
    ordered = sorted(
        found,
        key=lambda f: (SEVERITIES.index(f.severity), -most[f.severity, f.kind], f.kind, -(f.rows or 0)),
    )
    if table is not None:
        return _macro("findings_short", view, ordered, KINDS)
    return _macro("findings", view, _folded(ordered), KINDS)


def _folded(ordered: Sequence[Finding]) -> list[tuple[list[Finding], list[Finding]]]:
    """Return the findings in runs of one severity and kind, and of a long run the first apart from the rest."""
    runs = [list(run) for _, run in groupby(ordered, lambda finding: (finding.severity, finding.kind))]
    return [(run[:FIRST], run[FIRST:]) if len(run) > FIRST + 2 else (run, []) for run in runs]


def relations(view: View) -> Markup:
    """Return the diagram of references and the same as a list."""
    drawn = set(related(view.facts))
    alone = [table.name for table in view.facts.tables if table.name not in drawn]
    return _macro("relations", view, diagram(view.facts, anchors.place), alone)


def changes(view: View, found: Sequence[Change], known: Mapping[str, Finding]) -> Markup:
    """Return what changed, as a list of sentences; *known* are findings by id, of this snapshot and earlier ones."""
    return _macro("changes", view, found, known, KINDS)


def queries(view: View, cited: Iterable[Claim]) -> Markup:
    """Return every query, folded, each a target of the values it gave; *cited* are values of the prose."""
    return _macro("queries", view, _subjects(view.facts, cited))


def _subjects(facts: Facts, cited: Iterable[Claim]) -> dict[str, str]:
    """Return what each query measured, by its id."""
    subjects: dict[str, str] = {}
    for table in facts.tables:
        for key in table.queries:
            subjects.setdefault(key, f"profile of {table.name}")
    for reference in facts.references:
        if reference.query:
            subjects.setdefault(reference.query, f"{reference.from_[0]} against {reference.to[0]}")
    for found in facts.dependencies:
        subjects.setdefault(found.query, f"whether {found.determinant} determines {found.dependent} in {found.table}")
    for part in (part for finding in facts.findings for part in finding.parts):
        subjects.setdefault(part.query, f"{kinds.one(part.kind)}: {finding_place(part)}")
    for claim in cited:
        subjects.setdefault(claim.query, f"a value of the prose: {claim.id}")
    # What is left was asked by our own code: before the first profile what there is, later some rows to look at.
    for query in facts.queries:
        if query.id in subjects:
            break
        subjects[query.id] = "tables, columns and keys"
    return {query.id: subjects.get(query.id, "rows that rules looked at") for query in facts.queries}


def finding_place(finding: Finding) -> str:
    """Return where a finding is, as text."""
    return f"{finding.table}.{', '.join(finding.columns)}" if finding.columns else finding.table


def _row(view: View, table: Table, column: Column, index: int) -> Row:
    key = (table.name, column.name)
    grouped = key not in view.ungrouped
    rows = table.rows
    values = (rows or 0) - (column.nulls or 0)
    marks = []
    if table.primary_key and column.name in table.primary_key:
        marks.append("key" if len(table.primary_key) == 1 else "part of key")
    elif [column.name] in table.keys:
        marks.append("unique")
    targets = [
        (view.place(*r.to), r.to[0] + "." + ", ".join(r.to[1]), r.declared)
        for r in view.outgoing[key]
        if len(r.from_[1]) == 1 or r.from_[1][0] == column.name
    ]
    chart, tops, more = _values(view.detail, column, values, grouped)
    low, high, notes = _range(column, grouped, view.detail.spread)
    nulls, nulls_share, nulls_width = _nulls(column, rows)
    distinct = "" if column.distinct is None else f"{column.distinct:,}"
    estimated = _estimated(column)
    note = ""
    if not estimated and column.distinct is not None and values > 1:
        note = "all differ" if column.distinct == values else "constant" if column.distinct == 1 else ""
    return Row(
        column=column,
        id=anchors.place(*key),
        marks=marks,
        targets=targets,
        meaning=view.prose.meanings.get(key),
        findings=view.by_column[key],
        nulls=nulls,
        nulls_share=nulls_share,
        nulls_width=nulls_width,
        distinct=distinct,
        distinct_note=note,
        estimated=estimated,
        chart=chart,
        chart_note=of_sample(column) if chart else "",
        tops=tops,
        top_query=_top_query(view, table, index) if tops else None,
        more=more,
        low=low,
        high=high,
        notes=notes,
    )


def _estimated(column: Column) -> str:
    """Say by how much the number of distinct values may be off, or nothing where it is exact."""
    if column.distinct_method != "hll":
        return ""
    return "estimated" + (f", off by up to {numbers.per_cent(column.distinct_error)}" if column.distinct_error else "")


def _top_query(view: View, table: Table, index: int) -> str | None:
    """Return the query that counted a column's frequent values: the one with such an output, else the profile's."""
    # Several columns may be named by their numbers, with what is measured of all of them apart.
    named, counted = re.compile(rf"\bc{index}(?:_top)?\b"), re.compile(r"_tops?\b")
    for key in table.queries:
        query = view.facts.query_by_id.get(key)
        if query and named.search(query.sql) and counted.search(query.sql):
            return key
    return table.queries[0] if table.queries else None


def _nulls(column: Column, rows: int | None) -> tuple[str, str, float]:
    if column.nulls is None:
        return "", "", 0.0
    if column.nulls == 0:
        return "none", "", 0.0
    if not rows:
        return f"{column.nulls:,}", "", 0.0
    return f"{column.nulls:,}", share(column.nulls, rows), round(max(100 * column.nulls / rows, 2.0), 1)


def _values(detail: Detail, column: Column, values: int, grouped: bool) -> tuple[Markup, list[Top], str]:
    """Return the chart of a column, or else its most frequent values and how many more there are."""
    top = (column.top or []) if detail.values else []
    few = column.distinct is not None and column.distinct <= FEW
    if not (few and top):
        chart = histogram(column) if detail.charts else Markup("")
        if chart:
            return chart, [], ""
    most = min(TOP, detail.values)
    if not top or (top[0][1] <= 1 and values > TOP):
        # Where nothing repeats, the first values are no more typical than any other.
        return Markup(""), [], ""
    shown = top if column.distinct == len(top) == most + 1 else top[:most]
    tops = [
        Top(
            text="(empty)"
            if value == ""
            else format_value(value, grouped=grouped and not isinstance(value, str), width=40),
            share=share(n, values),
            count=f"{n:,}",
            width=round(max(100 * n / values, 1.0), 1) if values else 0.0,
        )
        for value, n in shown
    ]
    rest = (column.distinct or 0) - len(shown)
    estimated = "about " if column.distinct_method == "hll" else ""
    return Markup(""), tops, f"and {estimated}{rest:,} more" if rest > 0 else ""


def _range(column: Column, grouped: bool, spread: bool) -> tuple[str, str, list[str]]:
    """Return a column's ends and what is said of the *spread* between; of text the lengths say more than the ends."""
    notes: list[str] = []
    written = format_decimal if _DECIMAL.match(column.type) else format_value
    ends = [column.min, column.max]
    ordered = all(is_number(end) or as_float(end) is not None for end in ends if end is not None)
    if ordered and column.min is not None and column.max is not None:
        low, high = (written(end, grouped=grouped) for end in ends)
    else:
        low = high = ""
    quantiles = (column.quantiles or {}) if spread else {}
    median = quantiles.get("0.5")
    about = "≈ " if column.quantiles_error is not None else ""
    if median is not None and ((low and low != high) or column.min is None):
        middle = f"median {about}{written(median, grouped=grouped)}"
        first, third = quantiles.get("0.25"), quantiles.get("0.75")
        if first is not None and third is not None and first != third:
            quartiles = [f"{about}{written(end, grouped=grouped)}" for end in (first, third)]
            half = f"half in {' to '.join(quartiles)}"
            notes += [f"{middle}, {half}"] if len(middle) + len(half) <= 34 else [middle, half]
        else:
            notes.append(middle)
    if spread and low and low != high and column.mean is not None and grouped:
        deviation = f" ± {format_value(column.std)}" if column.std is not None else ""
        notes.append(f"mean {format_value(column.mean)}{deviation}")
    if spread and column.lengths and not low:
        least, most = column.lengths.min, column.lengths.max
        notes.append(count(most, "character") if least == most else f"{least:,} to {most:,} characters")
    return low, high, notes
