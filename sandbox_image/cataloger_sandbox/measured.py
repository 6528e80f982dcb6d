"""The facts as an agent reads them: by table, by reference, as frames, and as a digest that fits a prompt.

What the facts hold is described by the host's ``facts`` module, whose JSON arrives here; nothing is measured
here, and no prose is written.
"""

import difflib
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

Raw = dict[str, Any]

DIGEST_CHARACTERS = 10_500
"""The longest digest: it stands in the prompt, and it is what a session prints for ``facts``.

With the system text and the tools that makes a beginning of at most 6,000 tokens, at 3.5 characters a token.
"""

_PART = re.compile(r'"((?:[^"]|"")+)"|(\w+)')
_SEVERITIES = ("high", "medium", "low", "info")


class UnknownReference(LookupError):
    """A reference that names no measured value; the message says what was meant."""


def join_reference(parts: Sequence[str]) -> str:
    """Return the reference of *parts*, each double-quoted where it holds more than letters, digits, underscores."""
    return ".".join(part if re.fullmatch(r"\w+", part) else '"' + part.replace('"', '""') + '"' for part in parts)


def is_speakable(name: str) -> bool:
    """Say whether HTML can carry *name*: a parser drops or changes control characters."""
    return not re.search(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]", name)


def split_reference(reference: str) -> list[str]:
    """Split ``table.column.fact`` into its parts, undoing double quotes.

    Raises:
        UnknownReference: the text is no reference.
    """
    parts: list[str] = []
    position = 0
    while match := _PART.match(reference, position):
        parts.append(match[1].replace('""', '"') if match[1] is not None else match[2])
        position = match.end()
        if position == len(reference):
            return parts
        if reference[position] != ".":
            break
        position += 1
    raise UnknownReference(f'{reference!r} is no reference; write table.fact, table.column.fact or "odd name".rows')


class Facts:
    """Everything that was measured before the session began.

    ``facts`` alone prints a digest. ``facts["orders"]`` is one table; ``facts.value("orders.amount.nulls")`` one
    value; ``facts.table("orders")`` a frame of a table's columns; ``facts.tables``, ``facts.references``,
    ``facts.dependencies`` and ``facts.findings`` are frames; ``facts.search("amount")`` finds names; ``facts.raw`` is
    all of it as JSON.
    """

    def __init__(self, raw: Raw) -> None:
        self.raw = raw
        self._tables = {table["name"]: Table(table, self) for table in raw.get("tables") or []}

    def __repr__(self) -> str:
        return digest(self.raw)

    def __getitem__(self, name: str) -> "Table":
        try:
            return self._tables[name]
        except KeyError:
            raise KeyError(f"there is no table {name!r}{_meant(name, list(self._tables))}") from None

    def __contains__(self, name: object) -> bool:
        return name in self._tables

    def __iter__(self) -> Iterator[str]:
        return iter(self._tables)

    def __len__(self) -> int:
        return len(self._tables)

    def value(self, reference: str) -> Any:
        """Return the measured value that *reference* names.

        Raises:
            UnknownReference: there is none; the message says what is there.
        """
        parts = split_reference(reference)
        if len(parts) == 1:
            totals = self._totals()
            if parts[0] not in totals:
                raise UnknownReference(f"{reference}: no total has this name; there are {', '.join(totals)}")
            return totals[parts[0]]
        if parts[0] not in self._tables:
            raise UnknownReference(f"{reference}: there is no table {parts[0]!r}{_meant(parts[0], list(self))}")
        table = self._tables[parts[0]]
        if len(parts) == 2:
            values = table.values()
        elif len(parts) == 3:
            if parts[1] not in table.columns:
                known = list(table.columns)
                raise UnknownReference(f"{reference}: no column {parts[1]!r}{_meant(parts[1], known)}")
            values = table.columns[parts[1]].values()
        else:
            raise UnknownReference(f"{reference}: write table.fact or table.column.fact")
        if values.get(parts[-1]) is None:
            measured = ", ".join(name for name, value in values.items() if value is not None)
            raise UnknownReference(f"{reference}: {parts[-1]!r} was not measured there; measured: {measured}")
        return values[parts[-1]]

    def has(self, reference: str) -> bool:
        """Say whether *reference* names a measured value."""
        try:
            self.value(reference)
        except UnknownReference:
            return False
        return True

    def _totals(self) -> dict[str, int]:
        return {
            "tables": len(self._tables),
            "columns": sum(len(table.columns) for table in self._tables.values()),
            "rows": sum(table.rows or 0 for table in self._tables.values()),
            "findings": len(self.raw.get("findings") or []),
        }

    def table(self, name: str) -> Any:
        """Return a frame with a row for each column of the table *name*."""
        import pandas

        return pandas.DataFrame([{"column": c.name, **c.values()} for c in self[name].columns.values()])

    @property
    def tables(self) -> Any:
        """A frame with a row for each table."""
        import pandas

        names = ["name", "schema", "kind", "rows", "columns", "keys", "newest"]
        rows = [
            {**{key: table.raw.get(key) for key in names}, **table.values(), "name": table.name}
            for table in self._tables.values()
        ]
        return pandas.DataFrame(rows, columns=names)

    @property
    def references(self) -> Any:
        """A frame with a row for each reference between tables."""
        import pandas

        names = ["table", "columns", "to_table", "to_columns", "declared", "orphans"]
        rows = [
            [r["from"][0], r["from"][1], r["to"][0], r["to"][1], r.get("declared"), r.get("orphans")]
            for r in self.raw.get("references") or []
        ]
        return pandas.DataFrame(rows, columns=names)

    @property
    def dependencies(self) -> Any:
        """A frame with a row for each column that determines another of its table, but for the rows that break it."""
        import pandas

        names = ["table", "determinant", "dependent", "rows", "breaking"]
        rows = [[dependency.get(name) for name in names] for dependency in self.raw.get("dependencies") or []]
        return pandas.DataFrame(rows, columns=names)

    @property
    def findings(self) -> Any:
        """A frame with a row for each finding, the gravest first; what many ``tables`` have is one, at its worst."""
        import pandas

        names = ["severity", "kind", "table", "columns", "rows", "sentence", "id"]
        rows = [
            [*(finding.get(name) for name in names), len(finding.get("members") or [1])]
            for finding in ranked_findings(self.raw)
        ]
        return pandas.DataFrame(rows, columns=[*names, "tables"])

    def search(self, text: str) -> list[str]:
        """Return the references of tables and columns whose name holds *text*."""
        wanted = text.lower()
        found = [join_reference([name]) for name in self._tables if wanted in name.lower()]
        for table in self._tables.values():
            found += [join_reference([table.name, name]) for name in table.columns if wanted in name.lower()]
        return found


class Table:
    """One table's facts; ``columns`` maps names to columns, ``raw`` is its JSON."""

    def __init__(self, raw: Raw, facts: Facts) -> None:
        self.raw = raw
        self.name: str = raw["name"]
        self.rows: int | None = raw.get("rows")
        self.keys: list[list[str]] = raw.get("keys") or []
        self.columns = {column["name"]: Column(column, self, facts) for column in raw.get("columns") or []}
        self._facts = facts

    @property
    def qualified(self) -> bool:
        """Say whether the name begins with the schema's: every table's does outside the default schema."""
        schema, default = self.raw.get("schema"), self._facts.raw.get("default_schema")
        return bool(schema) and schema != default and self.name.startswith(f"{schema}.")

    def __repr__(self) -> str:
        return "\n".join(_table_lines(self.raw, _role_by_column(self._facts.raw)))

    def __getitem__(self, name: str) -> "Column":
        try:
            return self.columns[name]
        except KeyError:
            raise KeyError(f"{self.name} has no column {name!r}{_meant(name, list(self.columns))}") from None

    def values(self) -> Raw:
        """Return the table's own facts by name."""
        newest = self.raw.get("newest")
        return {"rows": self.rows, "columns": len(self.columns), "newest": newest["value"] if newest else None}


class Column:
    """One column's facts; ``raw`` is its JSON."""

    def __init__(self, raw: Raw, table: Table, facts: Facts) -> None:
        self.raw = raw
        self.name: str = raw["name"]
        self.type: str = raw.get("type") or ""
        self.table = table
        self._facts = facts

    def __repr__(self) -> str:
        return _column_line(
            self.raw, self.table.rows, _role_by_column(self._facts.raw).get((self.table.name, self.name))
        )

    @property
    def drawable(self) -> bool:
        """Say whether there is a distribution to draw: bins, or top values."""
        return bool(self.raw.get("top")) or any((self.raw.get("histogram") or {}).get("counts") or [])

    def __getattr__(self, name: str) -> Any:
        # What was not measured is null, not an error: a profile has many holes.
        if name.startswith("_"):
            raise AttributeError(name)
        return self.raw.get(name)

    def values(self) -> Raw:
        """Return the column's facts by the names that references use (null where not measured)."""
        raw = self.raw
        values: Raw = {name: raw.get(name) for name in ("type", "nulls", "distinct", "min", "max", "mean", "std")}
        for share, value in (raw.get("quantiles") or {}).items():
            values["median" if float(share) == 0.5 else f"q{float(share) * 100:02g}"] = value
        if raw.get("top"):
            values["top"], values["top_count"] = raw["top"][0]
        if raw.get("lengths"):
            values |= {f"{name}_length": raw["lengths"][name] for name in ("min", "max", "mean")}
        for reference in self._facts.raw.get("references") or []:
            if list(reference["from"]) == [self.table.name, [self.name]]:
                values["orphans"] = reference.get("orphans")
                break
        return values


def digest(facts: Mapping[str, Any], limit: int = DIGEST_CHARACTERS) -> str:
    """Return the facts as text of at most *limit* characters, the most telling first.

    Findings and references stand whole as far as a third of the room allows, then tables: the central ones with
    every column, the next with their columns' names, the rest by name.
    """
    tables = ranked_tables(facts)
    roles = _role_by_column(facts)
    rows = sum(table.get("rows") or 0 for table in tables)
    columns = sum(len(table.get("columns") or []) for table in tables)
    engine = _shown(facts.get("engine") or "database", 60)
    head = [f"{engine}: {len(tables):,} tables, {columns:,} columns, {rows:,} rows in all"]
    coverage = facts.get("coverage") or {}
    for skip in (coverage.get("skipped") or [])[:10]:
        place = _shown(join_reference([part for part in (skip["table"], skip.get("column")) if part]), 120)
        head.append(f"not measured: {place}: {_shown(skip['reason'], 120)}")
    head += [
        f"not judged: {', '.join(item['kinds'][:3])} in {_shown(', '.join(item['tables'][:5]) or 'all tables', 120)}"
        for item in (coverage.get("unjudged") or [])[:10]
    ]
    head += [
        f"not listed: {item['findings']:,} more findings of {item['kind']} in {item['tables']:,} tables"
        for item in coverage.get("unlisted") or []
    ]
    head += [
        f"sampled: {_shown(sample['table'], 80)}: {sample['rows']:,} rows"
        for sample in (coverage.get("sampled") or [])[:10]
    ]
    parts = [*head, ""]
    room = limit - sum(len(part) + 1 for part in parts) - 400
    findings = [_finding_line(finding) for finding in ranked_findings(facts)]
    references = [_reference_line(reference) for reference in facts.get("references") or []]
    parts += _section("Findings, the gravest first:", findings, room // 4, "facts.findings")
    parts += _section("References (-> declared, ~> inferred):", references, room // 4, "facts.references")
    parts.append("Tables, the central ones first:")
    room = limit - sum(len(part) + 1 for part in parts) - 200
    return "\n".join([*parts, *_tables_within(tables, roles, room)])


def ranked_tables(facts: Mapping[str, Any]) -> list[Raw]:
    """Return the tables, those first that more of the database hangs on: references, rows, findings."""
    partners: dict[str, set[str]] = {}
    ends: dict[str, set[str]] = {}
    for reference in facts.get("references") or []:
        source, target = reference["from"][0], reference["to"][0]
        if source != target:
            partners.setdefault(source, set()).add(target)
            partners.setdefault(target, set()).add(source)
            ends.setdefault(source, set()).add("from")
            ends.setdefault(target, set()).add("to")
    # What is referred to and refers on, an order between customers and lines, is nearer the middle than either.
    degree = {name: len(others) + (0.7 if len(ends[name]) == 2 else 0) for name, others in partners.items()}
    for finding in facts.get("findings") or []:
        degree[finding["table"]] = degree.get(finding["table"], 0) + 0.1
    tables: list[Raw] = list(facts.get("tables") or [])
    return sorted(
        tables,
        key=lambda table: (-degree.get(table["name"], 0) - math.log10((table.get("rows") or 0) + 1), table["name"]),
    )


def ranked_findings(facts: Mapping[str, Any]) -> list[Raw]:
    """Return the findings, the gravest first."""
    findings: list[Raw] = list(facts.get("findings") or [])
    return sorted(findings, key=lambda f: (_SEVERITIES.index(f.get("severity") or "info"), -(f.get("rows") or 0)))


def _section(title: str, lines: list[str], room: int, whole: str) -> list[str]:
    if not lines:
        return []
    kept: list[str] = []
    for line in lines:
        room -= len(line) + 1
        if room < 0:
            kept.append(f"… and {len(lines) - len(kept)} more in {whole}")
            break
        kept.append(line)
    return [title, *kept, ""]


def _tables_within(tables: list[Raw], roles: Mapping[tuple[str, str], str], room: int) -> list[str]:
    """Describe tables as closely as *room* allows: each in a line if that is possible, else by name at least."""
    short = [_short_line(table) for table in tables]
    least = sum(len(line) + 1 for line in short)
    if least > room:
        return _names_within(tables, roles, room)
    spare = room - least
    lines: list[str] = []
    for table, line in zip(tables, short, strict=True):
        full = "\n".join(_table_lines(table, roles))
        names = f"{line}: {', '.join(_shown(c['name'], 60) for c in table.get('columns') or [])}"
        chosen = next((form for form in (full, names) if len(form) - len(line) <= spare), line)
        spare -= len(chosen) - len(line)
        lines.append(chosen)
    return lines


def _names_within(tables: list[Raw], roles: Mapping[tuple[str, str], str], room: int) -> list[str]:
    """Describe the first tables in the *room* that the names of all leave, and name the others."""
    names = [_shown(join_reference([table["name"]]), 80) for table in tables]
    spare = max(0, room - sum(len(name) + 2 for name in names))
    lines: list[str] = []
    for table in tables:
        full = "\n".join(_table_lines(table, roles))
        if len(full) > spare:
            break
        spare -= len(full)
        lines.append(full)
    rest = names[len(lines) :]
    listed, more = ", ".join(rest), f" … and more, {len(tables):,} in all: facts.tables"
    room -= sum(len(line) + 1 for line in lines)
    return [*lines, listed if len(listed) <= room else listed[: max(0, room - len(more))] + more]


def _short_line(table: Raw) -> str:
    kind = "" if table.get("kind", "table") == "table" else f", {table['kind']}"
    rows = "not measured" if table.get("rows") is None else f"{table['rows']:,} rows"
    return f"{join_reference([_shown(table['name'], 80)])} ({rows}{kind})"


def _table_lines(table: Raw, roles: Mapping[tuple[str, str], str]) -> list[str]:
    notes = [f"key {' + '.join(_shown(part, 60) for part in key)}" for key in (table.get("keys") or [])[:2]]
    if newest := table.get("newest"):
        notes.append(f"newest {_shown(newest['column'], 60)} {_shown(newest['value'], 40)}")
    if table.get("comment"):
        notes.append(f"comment {_shown(table['comment'], 120)!r}")
    head = _short_line(table) + (f": {'; '.join(notes)}" if notes else "")
    columns = table.get("columns") or []
    return [head, *(f"  {_column_line(c, table.get('rows'), roles.get((table['name'], c['name'])))}" for c in columns)]


def _column_line(column: Raw, rows: int | None, role: str | None) -> str:
    notes = [role] if role else []
    nulls, distinct = column.get("nulls"), column.get("distinct")
    if nulls:
        notes.append("all null" if nulls == rows else f"{nulls:,} null")
    if distinct is not None:
        notes.append(f"{'about ' if column.get('distinct_method') == 'hll' else ''}{distinct:,} distinct")
    top = column.get("top") or []
    if column.get("min") is not None and column.get("mean") is not None:
        notes.append(f"{_shown(column['min'])} … {_shown(column['max'])}, mean {_shown(column['mean'])}")
    elif top and (distinct or 0) <= 50:
        notes.append("top " + ", ".join(f"{_shown(value)!s} ({count:,})" for value, count in top[:4]))
    elif column.get("min") is not None:
        notes.append(f"{_shown(column['min'])} … {_shown(column['max'])}")
    notes += [f"{name} {_shown(column[name])}" for name in ("semantic_type", "pii") if column.get(name)]
    if column.get("comment"):
        notes.append(f"comment {_shown(column['comment'], 100)!r}")
    if column.get("skipped"):
        notes.append(f"skipped: {_shown(column['skipped'], 80)}")
    return f"{_shown(column['name'], 80)} {_shown(column.get('type') or '?', 60)}: {', '.join(notes)}".rstrip(": ")


def _finding_line(finding: Raw) -> str:
    place = ".".join([finding["table"], *(finding.get("columns") or [])[:3]])
    return f"{finding.get('severity')} {finding['kind']} {_shown(place, 120)}: {_shown(finding.get('sentence'), 200)}"


def _reference_line(reference: Raw) -> str:
    (table, columns), (target, target_columns) = reference["from"], reference["to"]
    arrow = "->" if reference.get("declared") else "~>"
    orphans = f", {reference['orphans']:,} orphans" if reference.get("orphans") else ""
    ends = [_shown(f"{name}({', '.join(parts)})", 120) for name, parts in ((table, columns), (target, target_columns))]
    return f"{ends[0]} {arrow} {ends[1]}{orphans}"


def _role_by_column(facts: Mapping[str, Any]) -> dict[tuple[str, str], str]:
    roles: dict[tuple[str, str], str] = {}
    for table in facts.get("tables") or []:
        for key in table.get("keys") or []:
            if len(key) == 1:
                roles[table["name"], key[0]] = "key"
    for reference in facts.get("references") or []:
        (table, columns), (target, target_columns) = reference["from"], reference["to"]
        if len(columns) == 1:
            roles[table, columns[0]] = f"{'->' if reference.get('declared') else '~>'} {target}.{target_columns[0]}"
    return roles


def _shown(value: Any, width: int = 40) -> str:
    """Return a value of the database in one short line: it may hold anything."""
    if isinstance(value, float):
        return f"{value:.6g}"
    text = re.sub(r"[\s\x00-\x1f\x7f-\x9f\u2028\u2029]+", " ", str(value))
    return text if len(text) <= width else text[: width - 1] + "…"


def _meant(name: str, known: Sequence[str]) -> str:
    close = difflib.get_close_matches(name, known, n=3)
    return f"; did you mean {', '.join(map(repr, close))}?" if close else ""
