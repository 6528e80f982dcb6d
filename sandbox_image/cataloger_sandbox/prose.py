"""The words that a rule can write about a database: true by what was measured, or not written at all.

No number stands in them: a number is a fact element, and the host fills it in. The queries whose answers are
told here are in ``questions``, the markup is in ``elements``.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from typing import Any

from cataloger_sandbox import elements
from cataloger_sandbox.elements import code, fact
from cataloger_sandbox.measured import (
    Column,
    Facts,
    Table,
    is_speakable,
    join_reference,
    ranked_findings,
    ranked_tables,
)
from cataloger_sandbox.questions import Question, answered, is_time, questions, words

ABOUT = "What this database is"
QUESTIONS = "Open questions"
NAMES = 6
"""How many names a sentence lists before it says *others*."""

MOSTLY = 0.9
"""From this share of nulls on a column is called mostly empty."""

_UNITS = {
    "ms": "milliseconds", "millis": "milliseconds", "seconds": "seconds", "secs": "seconds", "sec": "seconds",
    "minutes": "minutes", "mins": "minutes", "hours": "hours", "hrs": "hours", "days": "days", "km": "kilometres",
    "kilometers": "kilometres", "miles": "miles", "meters": "metres", "metres": "metres", "cm": "centimetres",
    "mm": "millimetres", "kg": "kilograms", "grams": "grams", "lbs": "pounds", "pct": "per cent", "percent": "per cent",
    "percentage": "per cent", "usd": "US dollars", "eur": "euros", "gbp": "pounds sterling", "cents": "cents",
    "bytes": "bytes", "kb": "kilobytes", "mb": "megabytes", "gb": "gigabytes", "celsius": "degrees Celsius",
    "fahrenheit": "degrees Fahrenheit", "kwh": "kilowatt-hours", "mph": "miles per hour", "kmh": "kilometres per hour",
}  # fmt: skip
_CALENDAR = {
    "year": (1000, 3000, "Calendar year."),
    "month": (1, 12, "Month of the year."),
    "day": (1, 31, "Day of the month."),
    "hour": (0, 24, "Hour of the day."),
    "minute": (0, 60, "Minute of the hour."),
    "lat": (-90, 90, "Latitude in degrees."),
    "latitude": (-90, 90, "Latitude in degrees."),
    "lon": (-180, 180, "Longitude in degrees, negative west of Greenwich."),
    "lng": (-180, 180, "Longitude in degrees, negative west of Greenwich."),
    "longitude": (-180, 180, "Longitude in degrees, negative west of Greenwich."),
}
_LABELS = ("name", "title", "label", "description")
_MOMENTS = {
    "created": "When the row was made.",
    "inserted": "When the row was made.",
    "updated": "When the row was last changed.",
    "modified": "When the row was last changed.",
    "deleted": "When the row was marked as deleted.",
}
_SEMANTIC = {
    "email": "E-mail address.", "url": "Web address.", "phone": "Telephone number.", "uuid": "UUID.",
    "ip": "IP address.", "iban": "Bank account (IBAN).", "card": "Card number.", "json": "JSON text.",
    "person_name": "Name of a person.", "address": "Postal address.", "country": "Country.", "currency": "Currency.",
    "postcode": "Postcode.",
}  # fmt: skip


def catalog(facts: Facts, noted: Mapping[str, Any]) -> str:
    """Return a whole page about a database: what it is, findings, relations, tables, open questions."""
    return _Catalog(facts, noted).write()


def minimal(facts: Facts) -> str:
    """Return the measured parts of a page alone."""
    parts = [elements.section("about", ABOUT, f"<p>It has {fact('tables')} tables.</p>")]
    if facts.raw.get("findings"):
        parts.append(elements.section("findings", "Findings", elements.findings()))
    return "\n".join([*parts, *(elements.table(name) for name in facts if is_speakable(name))])


def summary(facts: Facts, changes: Sequence[Mapping[str, Any]]) -> str:
    """Return a whole page about what changed since the snapshots before."""
    return _Summary(facts, changes).write()


class _Catalog:
    def __init__(self, facts: Facts, noted: Mapping[str, Any]) -> None:
        self.facts = facts
        self.noted = noted
        self.asked = answered(questions(facts), noted)
        # What HTML can't name is left to the page, which shows every table in any case.
        self.tables = [facts[raw["name"]] for raw in ranked_tables(facts.raw) if is_speakable(raw["name"])]
        self.references: list[dict[str, Any]] = [
            r
            for r in facts.raw.get("references") or []
            if all(
                table in facts and all(map(is_speakable, [table, *columns])) for table, columns in (r["from"], r["to"])
            )
        ]
        self.asked = [
            question for question in self.asked if all(map(is_speakable, [question.table, *question.columns]))
        ]
        self.outgoing: dict[str, list[dict[str, Any]]] = {}
        self.incoming: dict[str, list[dict[str, Any]]] = {}
        first: dict[str, dict[str, Any]] = {}
        for reference in self.references:
            self.outgoing.setdefault(reference["from"][0], []).append(reference)
            self.incoming.setdefault(reference["to"][0], []).append(reference)
            first.setdefault(join_reference([reference["from"][0], *reference["from"][1]]), reference)
        # The reference that ``orphans`` of its column speaks of, where a column has several.
        self.first = {id(reference) for reference in first.values()}
        self.parents = {table.name: self._parents(table) for table in self.tables}
        self.children = {table.name: self._children(table) for table in self.tables}

    def write(self) -> str:
        if not self.tables:
            return elements.section("about", ABOUT, "<p>No table or view is to be seen here.</p>")
        parts = [
            self._lede(),
            elements.section("about", ABOUT, self._about()),
            elements.section("findings", "Findings", self._findings()),
            elements.section("relations", "How the tables relate", elements.relations() if self.references else ""),
            elements.section("tables", "Tables", "\n".join(self._table(table) for table in self.tables)),
            elements.section("questions", QUESTIONS, elements.items(self._open())),
        ]
        return "\n".join(part for part in parts if part)

    # What the database is

    @property
    def centre(self) -> Table:
        return self.tables[0]

    def _lede(self) -> str:
        table = self.centre
        if not table.rows:
            return ""
        if len(self.tables) == 1:
            return f"<p>One table, {code(table.name)}, of {fact(table.name, 'rows')} rows{self._span(table)}.</p>"
        related = self.parents[table.name] or self.children[table.name]
        first = f"{fact(table.name, 'rows')} rows of {code(table.name)}{self._span(table)}"
        if not related:
            largest = f"{code(table.name)}, of {fact(table.name, 'rows')} rows{self._span(table)}"
            return f"<p>{fact('tables')} tables; the largest is {largest}.</p>"
        targets = _listed([code(name) for name in self.parents[table.name]])
        if targets:
            return f"<p>{first}, with the {targets} they refer to.</p>"
        sources = _listed([code(name) for name in self.children[table.name]])
        return f"<p>{first}, with the {sources} that refer to them.</p>"

    def _span(self, table: Table) -> str:
        column = self._time(table)
        if column is None or column.min == column.max:
            return ""
        return f" from {fact(table.name, column.name, 'min')} to {fact(table.name, column.name, 'max')}"

    def _time(self, table: Table) -> Column | None:
        newest = (table.raw.get("newest") or {}).get("column")
        column = table.columns.get(newest) if newest else None
        if column is None or column.min is None or column.max is None or not is_speakable(column.name):
            return None
        return column

    def _about(self) -> str:
        paragraphs = [" ".join(filter(None, [self._about_centre(), self._about_others()]))]
        time = self._time(self.centre)
        if time is not None and time.drawable and (self.centre.rows or 0) >= 100:
            paragraphs.append(
                f"Rows of {code(self.centre.name)} by {code(time.name)}: {elements.chart(self.centre.name, time.name)}"
            )
        watch = elements.items(self._watch())
        return "\n".join([*(f"<p>{text}</p>" for text in paragraphs if text), watch])

    def _about_centre(self) -> str:
        table = self.centre
        sentences = []
        if self.parents[table.name]:
            ends = _by(self.parents[table.name])
            sentences.append(f"The centre is {code(table.name)}. A row there refers to {_listed(ends)}.")
        elif self.children[table.name]:
            ends = _by(self.children[table.name])
            sentences.append(f"The centre is {code(table.name)}: {_listed(ends)} refer{_s(ends)} to it.")
        elif len(self.tables) > 1 and not self.references:
            sentences.append(
                "No table was found to refer to another, neither by a declared key nor by the values of its columns."
            )
        sentences += [
            f"Its newest thirty days hold {elements.value(question.id)} rows."
            for question in self._answers("recent")
            if question.table == table.name and self.noted[question.id]
        ]
        return " ".join(sentences)

    def _about_others(self) -> str:
        sentences = []
        others = [table for table in self.tables if table is not self.centre]
        middle = [t for t in others if self.parents[t.name] and t.rows]
        if len(middle) <= NAMES:
            sentences += [
                f"{code(t.name)} {'in turn ' if t.name in self.parents[self.centre.name] else ''}refers to "
                f"{_listed([code(name) for name in self.parents[t.name]])}."
                for t in middle
            ]
        apart = [
            t for t in others if self.references and not self.parents[t.name] and not self.children[t.name] and t.rows
        ]
        if apart:
            names = [code(t.name) for t in apart]
            sentences.append(
                f"{_listed(names)} stand{_s(names)} apart: nothing was found that connects {_them(names)}."
            )
        views = [code(t.name) for t in others if t.raw.get("kind") == "view"]
        if views:
            sentences.append(f"{_listed(views)} {_are(views)}.")
        empty = [code(t.name) for t in self.tables if t.rows == 0]
        if empty:
            sentences.append(f"{_listed(empty)} hold{_s(empty)} no rows.")
        return " ".join(sentences)

    def _watch(self) -> Iterator[str]:
        """Say what surprises whoever writes the first query."""
        for question in self._answers("empty_together")[:3]:
            if self._all_empty(question):
                names = _listed([code(name) for name in question.columns], most=8)
                place, count = code(question.table), elements.value(question.id)
                yield f"In {place}, {names} are empty together, in {count} of its rows."
        clocks = [question for question in self._answers("no_clock") if self.noted[question.id] == 0]
        for name in dict.fromkeys(question.table for question in clocks):
            columns = [code(q.columns[0]) for q in clocks if q.table == name]
            yield (
                f"{_listed(columns)} of {code(name)} {'is a time' if len(columns) == 1 else 'are times'} of day "
                "written as hours and minutes in one number (HHMM): a difference of two is no length of time."
            )

    def _loss(self, reference: Mapping[str, Any]) -> str:
        (source, columns), (target, _) = reference["from"], reference["to"]
        missing = next((q for q in self._answers("unmatched") if (q.table, list(q.columns)) == (source, columns)), None)
        text = (
            f"Joined to {code(target)} by {code(columns[0])}, {code(source)} loses "
            f"{fact(source, columns[0], 'orphans')} rows to an inner join"
        )
        if missing is None:
            return f"{text}."
        return f"{text}; {elements.value(missing.id)} of the values they name are not in {code(target)}."

    def _first(self, reference: Mapping[str, Any]) -> bool:
        """Say whether this is the reference that ``orphans`` of its column speaks of."""
        return id(reference) in self.first

    # Findings

    def _findings(self) -> str:
        if not self.facts.raw.get("findings"):
            return ""
        broken = [r for r in self.references if r.get("orphans") and len(r["from"][1]) == 1 and self._first(r)]
        lines = [self._loss(reference) for reference in sorted(broken, key=lambda r: -r["orphans"])[:5]]
        covered = {f"{r['from'][0]}:{r['from'][1][0]}" for r in broken[:5]}
        told: dict[str, list[str]] = {}
        for finding in ranked_findings(self.facts.raw):
            orphan = finding["kind"] == "orphan_foreign_key"
            if not (orphan and f"{finding['table']}:{(finding.get('columns') or [''])[0]}" in covered):
                told.setdefault(finding["kind"], []).append(_place(finding))
        lines += [f"{_listed(places)}: {_MEANT[kind]}" for kind, places in told.items() if kind in _MEANT]
        return elements.items(lines) + "\n" + elements.findings()

    # Tables

    def _table(self, table: Table) -> str:
        parts = []
        if purpose := " ".join(self._purpose(table)):
            parts.append(elements.meaning([table.name], purpose))
        for column in filter(lambda column: is_speakable(column.name), table.columns.values()):
            text = " ".join(self._meaning(table, column))
            parts += [elements.meaning([table.name, column.name], text)] if text else []
        return "\n".join([*parts, elements.table(table.name)])

    def _purpose(self, table: Table) -> Iterator[str]:
        if comment := _comment(table.raw):
            yield comment
        if table.rows is None:
            return
        if table.rows == 0:
            yield "It holds no rows."
        elif key := self._grain(table):
            yield (
                f"One row for each {_columns([key[0]])}."
                if len(key) == 1
                else f"One row for each combination of {_listed([code(c) for c in key], most=9)}."
            )
        elif table.raw.get("kind") == "table" and table.rows > 1:
            yield "No key is declared, and none was found in the values."
        if parents := self.parents[table.name]:
            yield f"A row refers to {_listed(_by(parents), most=9)}."
        if children := self.children[table.name]:
            ends = _by(children)
            yield f"{_listed(ends, most=9)} refer{_s(ends)} to it{self._used(table)}."
        for question in self._answers("recent"):
            if question.table == table.name and table is not self.centre:
                yield f"Its newest thirty days hold {elements.value(question.id)} rows."

    def _used(self, table: Table) -> str:
        for question in self._answers("unused"):
            # Several columns may be referred to; of one of them this would be half the truth.
            if question.table == table.name and len(self._targets(table)) == 1:
                unused = self.noted[question.id]
                return (
                    f", but not to {elements.value(question.id)} of its rows" if unused else ", and to each of its rows"
                )
        return ""

    def _targets(self, table: Table) -> set[str]:
        return {"+".join(r["to"][1]) for r in self.incoming.get(table.name, ()) if r["from"][0] != table.name}

    def _grain(self, table: Table) -> list[str]:
        """Return the key that says what a row is: the declared one, else the shortest that was found."""
        declared = table.raw.get("primary_key")
        return declared or min(table.keys, key=len, default=[])

    def _meaning(self, table: Table, column: Column) -> Iterator[str]:
        if comment := _comment(column.raw):
            yield comment
        rows, nulls = table.rows, column.nulls
        if rows and nulls == rows:
            yield "Empty in every row."
            return
        yield from _by_name(column)
        yield from self._role(table, column)
        if rows and nulls and nulls >= MOSTLY * rows:
            yield "Mostly empty: what is computed from it stands for few rows."
        asked = [q for q in self.asked if q.table == table.name and column.name in q.columns]
        for question in sorted(asked, key=lambda question: question.kind != "no_clock"):  # what it is goes first
            yield from self._answer(question, column)

    def _role(self, table: Table, column: Column) -> Iterator[str]:
        if column.name == self._label(table):
            yield f"What the {code(self._grain(table)[0])} of the row stands for."
        for reference in self.outgoing.get(table.name, ()):
            (source, columns), (target, _) = reference["from"], reference["to"]
            if column.name not in columns:
                continue
            others = [code(name) for name in columns if name != column.name]
            if others:
                yield f"With {_listed(others)}, names a row of {code(target)}."
            elif reference.get("orphans") and self._first(reference):
                missing = fact(source, column.name, "orphans")
                yield f"Names a row of {code(target)}; {missing} rows name one that is not there."
            else:
                yield f"Names a row of {code(target)}."

    def _label(self, table: Table) -> str:
        """Return the column that says what a short code, the key of *table*, stands for; empty without one."""
        key = self._grain(table)
        if len(key) != 1 or ((table[key[0]].lengths or {}).get("max") or 99) > 10:
            return ""
        return next((name for name in table.columns if name.lower() in _LABELS and name != key[0]), "")

    def _answer(self, question: Question, column: Column) -> Iterator[str]:
        answer = self.noted[question.id]
        if question.kind == "no_clock" and answer == 0:
            yield "A time of day as hours and minutes in one number (HHMM)."
        elif question.kind == "negative" and answer:
            yield f"Negative in {elements.value(question.id)} rows."
        elif question.kind == "empty_text" and answer:
            yield f"An empty text, not null, in {elements.value(question.id)} rows."
        elif question.kind == "empty_together" and self._all_empty(question):
            others = [code(name) for name in question.columns if name != column.name]
            yield f"Empty in the same rows as {_listed(others)}."

    def _all_empty(self, question: Question) -> bool:
        """Say whether the columns asked about are empty in just the same rows."""
        return bool(self.noted[question.id] == self.facts[question.table][question.columns[0]].nulls)

    # Open questions

    def _open(self) -> list[str]:
        lines = [*self._open_references(), *self._open_tables(), *self._open_columns()]
        return lines[:12]

    def _open_references(self) -> Iterator[str]:
        for reference in sorted(self.references, key=lambda r: -(r.get("orphans") or 0))[:3]:
            (source, columns), (target, _) = reference["from"], reference["to"]
            if reference.get("orphans"):
                values = f"the values of {_columns(columns)} in {code(source)}"
                yield f"Where do {values} come from that {code(target)} does not have?"
        inferred = [r for r in self.references if not r.get("declared") and not r.get("orphans")]
        if inferred:
            ends = [
                f"{code(r['from'][0])}.{code(r['from'][1][0])} to {code(r['to'][0])}"
                for r in inferred
                if len(r["from"][1]) == 1
            ]
            if ends:
                holds = "These references hold in every row and are declared nowhere"
                yield f"{holds}: {_listed(ends)}. Are they meant as keys?"

    def _open_tables(self) -> Iterator[str]:
        empty = [code(t.name) for t in self.tables if t.rows == 0]
        if empty:
            yield f"{_listed(empty)} hold{_s(empty)} no rows: still to come, or no longer used?"
        keyless = [
            code(t.name)
            for t in self.tables
            if (t.rows or 0) > 1 and t.raw.get("kind") == "table" and not self._grain(t)
        ]
        if keyless:
            yield f"What is one row of {_listed(keyless)}? Nothing that was measured tells each row from every other."

    def _open_columns(self) -> Iterator[str]:
        empty, few = [], []
        for table in self.tables:
            for column in table.columns.values() if table.rows else ():
                if not is_speakable(column.name):
                    continue
                name = f"{code(table.name)}.{code(column.name)}"
                if column.nulls == table.rows:
                    empty.append(name)
                elif (column.nulls or 0) >= MOSTLY * (table.rows or 0):
                    few.append(name)
        if empty:
            are, them = ("is", "it") if len(empty) == 1 else ("are", "them")
            yield f"{_listed(empty)} {are} empty in every row: is anything meant to fill {them}?"
        if few:
            are, them = ("is", "it") if len(few) == 1 else ("are", "them")
            yield f"{_listed(few)} {are} mostly empty: what do the few rows have in common that have {them}?"

    # What refers to what

    def _parents(self, table: Table) -> dict[str, list[str]]:
        return _ends((r["to"][0], r["from"][1]) for r in self.outgoing.get(table.name, ()) if r["to"][0] != table.name)

    def _children(self, table: Table) -> dict[str, list[str]]:
        return _ends(
            (r["from"][0], r["from"][1]) for r in self.incoming.get(table.name, ()) if r["from"][0] != table.name
        )

    def _answers(self, kind: str) -> list[Question]:
        return [question for question in self.asked if question.kind == kind]


_MEANT = {
    "orphan_foreign_key": "an inner join on these columns drops rows; a left join keeps them.",
    "duplicate_key": "a join on these columns multiplies rows.",
    "duplicate_rows": "counts and sums are too high until the copies are taken out.",
    "constant_column": "the column tells nothing apart, so a filter or a grouping by it does nothing.",
    "empty_table": "a query that needs rows of it finds nothing.",
    "null_burst": "averages over the stretch without values stand for fewer rows than they seem to.",
    "sentinel_value": "take the value that stands for “missing” out before computing with the column.",
    "outlier": "sums and averages hang on a few rows; look at these first.",
    "impossible_value": "the rows can't be right as they are; leave them out of computations.",
    "future_date": "a filter on “the latest” finds these rows first.",
    "mixed_format": "values have to be brought into one form before they are compared or joined.",
    "case_or_space_variant": "groupings count one thing under several spellings.",
    "rare_category": "groupings show a category that may be a slip of the pen.",
    "number_as_text": "the column sorts and compares as text, and has to be cast before arithmetic.",
    "truncated_text": "the end of the text is lost.",
    "broken_dependency": "a lookup by the one column does not give one value of the other.",
    "stale_table": "what is computed from it describes an earlier time.",
    "pii_exposed": "personal data stands where nobody would look for it.",
    "secret_exposed": "whoever reads the table can use what stands there; have it replaced.",
    "suspicious_instruction": "the text addresses a language model; don't pass it to one unguarded.",
}


class _Summary:
    def __init__(self, facts: Facts, changes: Sequence[Mapping[str, Any]]) -> None:
        self.facts = facts
        self.changes = list(changes)
        # Numbers can be told of the latest pair of snapshots only: the host compares those.
        self.latest = max((change["since"] or "" for change in self.changes), default="")

    def write(self) -> str:
        new = [change for change in self.changes if (change["since"] or "") == self.latest]
        old = [change for change in self.changes if (change["since"] or "") != self.latest]
        if not self.changes:
            return elements.section(
                "changes", "What changed", "<p>Nothing that is compared has changed between these snapshots.</p>"
            )
        parts = [
            self._lede(new),
            elements.section("changes", "What changed", elements.items(self._lines(new))),
            elements.section("needs", "What needs a person", elements.items(self._needed(new))),
            elements.section("before", "Before that", elements.items(self._older(old))),
        ]
        return "\n".join(part for part in parts if part)

    def _lede(self, new: Sequence[Mapping[str, Any]]) -> str:
        if not new:
            return ""
        grave = [change for change in new if change["severity"] in ("high", "medium")]
        tables = _listed([code(name) for name in dict.fromkeys(change["table"] for change in grave or new)])
        if grave:
            return f"<p>Look at {tables} first: what changed there may break what is built on it.</p>"
        return f"<p>Ordinary change in {tables}; nothing that was compared calls for action.</p>"

    def _lines(self, changes: Sequence[Mapping[str, Any]]) -> Iterator[str]:
        for change in changes:
            if text := self._told(change, numbers=True):
                yield text

    def _older(self, changes: Sequence[Mapping[str, Any]]) -> list[str]:
        return [text for change in changes[:30] if (text := self._told(change, numbers=False))]

    def _needed(self, changes: Sequence[Mapping[str, Any]]) -> Iterator[str]:
        for change in changes:
            if change["severity"] in ("high", "medium") and change["kind"] in _NEEDED:
                yield _NEEDED[change["kind"]].format(self._place(change))

    def _told(self, change: Mapping[str, Any], numbers: bool) -> str:
        kind, table, column = change["kind"], change["table"], change["column"]
        place = self._place(change)
        numbers = numbers and is_speakable(table) and is_speakable(column or "")
        if kind == "rows_changed":
            verb = "grew" if (change["to"] or 0) > (change["from"] or 0) else "shrank"
            if not numbers or not self._now(table, "rows"):
                return f"{place} {verb}."
            before, by = fact(table, "rows", "before"), fact(table, "rows", "change")
            return f"{place} {verb} from {before} to {fact(table, 'rows')} rows, by {by}."
        if kind == "nulls_changed" and column:
            if change["from"] == change["to"]:
                return f"{place} is empty in another share of its rows, as their number changed."
            verb = "more" if (change["to"] or 0) > (change["from"] or 0) else "fewer"
            if not numbers or not self._now(table, column, "nulls"):
                return f"{place} has {verb} empty values."
            return (
                f"{place} has {verb} empty values: {fact(table, column, 'nulls')}, "
                f"before {fact(table, column, 'nulls', 'before')}."
            )
        if kind == "table_added":
            rows = f", with {fact(table, 'rows')} rows" if numbers and self._now(table, "rows") else ""
            return f"{place} is new{rows}."
        if kind == "type_changed":
            return f"{place} changed its type, from {code(str(change['from']))} to {code(str(change['to']))}."
        if kind in ("finding_new", "finding_resolved"):
            finding = self._finding(change["to"] if kind == "finding_new" else change["from"])
            name = finding.replace("_", " ") if finding else "a finding"
            return f"{place}: {name}, {'new' if kind == 'finding_new' else 'no longer there'}."
        return f"{place} {_TOLD[kind]}." if kind in _TOLD else f"{place}: {kind.replace('_', ' ')}."

    def _finding(self, identifier: Any) -> str:
        for finding in self.facts.raw.get("findings") or []:
            if finding["id"] == identifier:
                return str(finding["kind"])
        head = str(identifier or "").split(".")[0].split(":")[0]
        return head if head in _MEANT else ""

    def _now(self, *parts: str) -> bool:
        return self.facts.has(join_reference(parts))

    def _place(self, change: Mapping[str, Any]) -> str:
        return code(change["table"]) + (f".{code(change['column'])}" if change["column"] else "")


_TOLD = {
    "table_dropped": "is gone",
    "column_added": "is new",
    "column_dropped": "is gone",
    "distribution_shift": "is distributed otherwise than before",
    "category_added": "has a value it did not have before",
    "category_dropped": "no longer has a value it had",
    "reference_broken": "refers to rows that are not there",
    "freshness_stalled": "got no new rows",
    "slow_trend": "moves slowly in one direction",
}
_NEEDED = {
    "table_dropped": "Was {} dropped on purpose? Queries that name it fail now.",
    "column_dropped": "Was {} dropped on purpose? Queries that name it fail now.",
    "type_changed": "Do the readers of {} cope with its new type?",
    "rows_changed": "Is the size of {} what its owners expect?",
    "nulls_changed": "Why is {} filled less than before?",
    "reference_broken": "Who puts the missing rows that {} refers to in place?",
    "freshness_stalled": "Does whatever loads {} still run?",
    "finding_new": "Who mends what was found in {}?",
}


def _by_name(column: Column) -> Iterator[str]:
    """Yield what a column's name says and its values bear out."""
    parts, name = words(column.name), column.name.lower()
    low, high = column.min, column.max
    number = isinstance(low, int | float) and isinstance(high, int | float)
    if column.semantic_type in _SEMANTIC:
        yield _SEMANTIC[column.semantic_type]
    elif number and name in _CALENDAR and _CALENDAR[name][0] <= low and high <= _CALENDAR[name][1]:
        yield _CALENDAR[name][2]
    elif is_time(column) and (moments := [_MOMENTS[word] for word in _MOMENTS if word in parts]):
        yield moments[0]
    elif number and len(parts) > 1:
        units = [_UNITS[word] for word in re.split(r"[\W_]+", name)[-1:] if word in _UNITS]
        yield from (f"In {unit}, by its name." for unit in units)


def _comment(raw: Mapping[str, Any]) -> str:
    """Return the comment that the database keeps, if it is short and without a number nobody measured."""
    text = re.sub(r"\s+", " ", raw.get("comment") or "").strip()
    if not text or len(text) > 300 or re.search(r"\d", text):
        return ""
    return escape(text if text[-1] in ".!?" else f"{text}.")


def _place(finding: Mapping[str, Any]) -> str:
    columns = finding.get("columns") or []
    table = code(finding["table"])
    if not columns:
        return table
    return f"{table}.{code(columns[0])}" if len(columns) == 1 else f"{table} ({_columns(columns)})"


def _ends(pairs: Iterator[tuple[str, list[str]]]) -> dict[str, list[str]]:
    ends: dict[str, list[str]] = {}
    for name, columns in pairs:
        ends.setdefault(name, []).append(" + ".join(code(column) for column in columns))
    return ends


def _by(ends: Mapping[str, Sequence[str]]) -> list[str]:
    """Return the tables at the other end of references, each with the columns that lead there."""
    return [f"{code(name)} (by {_listed(columns)})" for name, columns in ends.items()]


def _columns(columns: Sequence[str]) -> str:
    return _listed([code(column) for column in columns])


def _listed(parts: Sequence[str], most: int = NAMES) -> str:
    shown = list(dict.fromkeys(parts))
    if len(shown) > most:
        return f"{', '.join(shown[: most - 1])} and others"
    return f"{', '.join(shown[:-1])} and {shown[-1]}" if len(shown) > 1 else "".join(shown)


def _s(parts: Sequence[str]) -> str:
    return "s" if len(set(parts)) == 1 else ""


def _them(parts: Sequence[str]) -> str:
    return "it with another" if len(set(parts)) == 1 else "them with each other or the rest"


def _are(parts: Sequence[str]) -> str:
    return "is a view" if len(set(parts)) == 1 else "are views"
