"""SQLite: its catalog and its SQL for profiles.

A column of SQLite holds values of any type whatever it was declared as, so the first pass asks what is in it
(values of all types have one order: numbers, then text, then bytes; the extremes tell what there is), and
the second measures that.
"""

import json
import math
import re
import sqlite3
from collections.abc import Callable, Sequence
from typing import Any

from cataloger_sandbox.encode import Value, encode
from cataloger_sandbox.engines.base import (
    BINS,
    CUT,
    EACH_WHOLE,
    EXACT_ROWS,
    ONE_QUERY,
    SHARES,
    TOP,
    Described,
    Facts,
    Field,
    FieldKind,
    ForeignKey,
    Plan,
    QueryFailed,
    Relation,
    Rows,
    Step,
    counts,
    interrupting,
    literal,
    one_line,
    output,
    quote,
)

_NUMBERS = ("integer", "real")
_NEXT = ",\n  "
_ONCE = " MATERIALIZED" if sqlite3.sqlite_version_info >= (3, 35) else ""
_DAY = "[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]*"
_MAX = "1.7976931348623157e308"

_ASKING = {sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_FUNCTION, sqlite3.SQLITE_RECURSIVE}
_ASKING_PRAGMAS = {"table_info", "table_xinfo", "table_list", "index_list", "index_info", "foreign_key_list"}

_LISTING = """\
SELECT count(*) OVER () AS tables, name, type
FROM sqlite_master WHERE type IN ('table', 'view') AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' ORDER BY name"""

_SHADOWS = "SELECT name FROM pragma_table_list WHERE schema = 'main' AND type = 'shadow' ORDER BY name"

_COLUMNS = """\
SELECT m.name AS table_name, c.name AS column_name, c.type, c."notnull" AS filled, c.pk
FROM sqlite_master AS m, pragma_table_xinfo(m.name) AS c
WHERE m.type IN ('table', 'view') AND c.hidden <> 1{where} ORDER BY m.name, c.cid"""

_INDEXES = """\
SELECT m.name AS table_name, i.name AS index_name, c.name AS column_name
FROM sqlite_master AS m, pragma_index_list(m.name) AS i, pragma_index_info(i.name) AS c
WHERE m.type = 'table' AND i."unique" AND NOT i.partial{where} ORDER BY m.name, i.seq DESC, c.seqno"""

_FOREIGN = """\
SELECT m.name AS table_name, f.id, f."table" AS to_table, f."from" AS column_name, f."to" AS to_column
FROM sqlite_master AS m, pragma_foreign_key_list(m.name) AS f
WHERE m.type = 'table'{where} ORDER BY m.name, f.id DESC, f.seq"""


class LiteEngine:
    """An open SQLite file, in one transaction."""

    exact_only = True
    quantiles_error: float | None = None
    default_schema = "main"

    def __init__(self, driver: sqlite3.Connection) -> None:
        self._driver = driver
        driver.text_factory = lambda data: data.decode("utf-8", "replace")
        try:
            driver.execute("SELECT sqrt(1)")
        except sqlite3.Error:  # built without the mathematical functions
            driver.create_function("sqrt", 1, lambda x: math.sqrt(x) if x is not None else None, deterministic=True)
        driver.execute("BEGIN")
        self.label = f"sqlite {sqlite3.sqlite_version}"
        self.steps: Sequence[Step] = (
            Step(lambda *_: True, _scan, 100, "its profile", first=True, minimal=_counts),
            Step(_wants_profile, _profile, 15, "its profile"),
            Step(_wants_finite, _finite, 20, "its mean and quantiles"),
        )

    def fetch(self, sql: str, seconds: float | None = None, limit: int | None = None) -> Rows:
        """Run *sql* and return its rows, encoded; see ``Engine``."""
        try:
            with interrupting(self._driver.interrupt, seconds):
                if limit is not None:
                    self._driver.set_authorizer(_allow)
                cursor = self._driver.execute(sql)
                rows = cursor.fetchall() if limit is None else cursor.fetchmany(limit)
                names = [item[0] for item in cursor.description or ()]
                cursor.close()
        except (sqlite3.Error, sqlite3.Warning, ValueError, OverflowError) as error:
            if "not authorized" in str(error):
                raise QueryFailed(ONE_QUERY) from error
            if "interrupted" in str(error):
                raise QueryFailed(f"took longer than {seconds:g} s", late=True) from error
            raise QueryFailed(one_line(error)) from error
        finally:
            self._driver.set_authorizer(None)
        return Rows(names, [[_encode(value, name) for value, name in zip(row, names, strict=True)] for row in rows])

    def catalog(
        self, run: Callable[[str], Rows], schemas: Sequence[str] | None
    ) -> tuple[list[Relation], list[ForeignKey], list[tuple[str, str]]]:
        """Read what is there; see ``Engine``."""
        listed = run(_LISTING).dicts()
        if schemas is not None and self.default_schema not in schemas:
            return [], [], []
        try:
            shadows = {str(row["name"]) for row in self.fetch(_SHADOWS).dicts()}
        except QueryFailed:  # before SQLite 3.37
            shadows = set()
        relations: dict[str, Relation] = {}
        left_out: list[tuple[str, str]] = []
        for row in listed:
            name = str(row["name"])
            if name in shadows:
                left_out.append((name, "it only stores the index of a virtual table"))
            else:
                kind = "view" if row["type"] == "view" else "table"
                relations[name] = Relation("main", name, name, kind)  # type: ignore[arg-type]
        keyed: dict[str, list[tuple[int, str]]] = {}
        for row in _each(run, _COLUMNS, relations.values(), blame=True):
            relation = relations.get(str(row["table_name"]))
            if relation is None:
                continue
            if row["pk"]:
                keyed.setdefault(relation.name, []).append((int(str(row["pk"])), str(row["column_name"])))
            relation.fields.append(_field(relation, row))
        for name, columns in keyed.items():
            relations[name].primary_key = [column for _, column in sorted(columns)]
        indexes: dict[tuple[str, str], list[Value]] = {}
        for row in _each(run, _INDEXES, relations.values()):
            indexes.setdefault((str(row["table_name"]), str(row["index_name"])), []).append(row["column_name"])
        for (name, _), indexed in indexes.items():
            if name in relations and all(isinstance(column, str) for column in indexed):
                relations[name].unique.append([str(column) for column in indexed])
        return list(relations.values()), _foreign_keys(run, relations), left_out

    def describe(self, column: Field, facts: Facts) -> Described:
        """Say what *column* holds."""
        kind = _kind(column, facts)
        first, last = facts.get(output(column, "first")), facts.get(output(column, "last"))
        declared, found = column.type, {str(item) for item in (first, last) if item and item != "null"}
        if not found or (declared and found <= _expected(column)):
            shown = declared or (" or ".join(sorted(found)) or "any")
        elif not declared:
            shown = " or ".join(sorted(found))
        elif found & _expected(column):
            shown = f"{declared} (also {' and '.join(sorted(found - _expected(column)))})"
        else:
            shown = f"{declared} (holds {' and '.join(sorted(found))})"
        return Described(kind, shown, _note(column, facts, kind))

    def quote(self, name: str) -> str:
        """Return *name* as an identifier."""
        return quote(name)

    def path(self, relation: Relation) -> str:
        """Return the relation's name as SQL."""
        return quote(relation.name)

    def missing(self, columns: Sequence[str], table: str, keys: Sequence[str]) -> str:
        """Return the condition of an orphan; see ``Engine``."""
        # NOT EXISTS reads the whole table for every row, and so does NOT IN, which looks for nulls among the
        # keys; IN under CASE, where null and false are one, looks into the index that is made for the query.
        filled = " AND ".join(f"{key} IS NOT NULL" for key in keys)
        mine, theirs = ", ".join(columns), ", ".join(keys)
        mine = f"({mine})" if len(columns) > 1 else mine
        return f"CASE WHEN {mine} IN (SELECT {theirs} FROM {table} WHERE {filled}) THEN 0 ELSE 1 END"

    def close(self) -> None:
        """Close the connection."""
        self._driver.close()


def _allow(action: int, argument: str | None, *_: str | None) -> int:
    """Let a query read and nothing else: a temporary table would stand in for a real one in later queries."""
    asks = action in _ASKING or (action == sqlite3.SQLITE_PRAGMA and argument in _ASKING_PRAGMAS)
    # SQLite says so of itself when a query first names a pragma as a table; the file can't be written anyway.
    declares = action == sqlite3.SQLITE_UPDATE and argument == "sqlite_master"
    return sqlite3.SQLITE_OK if asks or declares else sqlite3.SQLITE_DENY


def _each(run: Callable[[str], Rows], sql: str, relations: Any, blame: bool = False) -> list[dict[str, Value]]:
    """Run *sql* for all tables at once, or, where one of them breaks it, table by table."""
    try:
        return run(sql.format(where="")).dicts()
    except QueryFailed:
        rows: list[dict[str, Value]] = []
        for relation in relations:
            try:
                rows += run(sql.format(where=f" AND m.name = {literal(relation.name)}")).dicts()
            except QueryFailed as error:
                if blame:
                    relation.unreadable = f"it can't be read: {error}"
        return rows


def _field(relation: Relation, row: dict[str, Value]) -> Field:
    declared = str(row["type"] or "")
    affinity = _affinity(declared)
    kinds: dict[str, FieldKind] = {"integer": "number", "real": "number", "text": "text", "blob": "binary"}
    timed = bool(re.search(r"date|time", declared, re.IGNORECASE))
    return Field(
        index=len(relation.fields),
        name=str(row["column_name"]),
        type=declared.lower(),
        kind="time" if timed else kinds.get(affinity, "number" if declared else "other"),
        nullable=None if relation.kind == "view" else not row["filled"] and not row["pk"],
        integer=affinity == "integer",
        base=affinity,
    )


def _affinity(declared: str) -> str:
    """Return the affinity of a declared type, by SQLite's own rules."""
    upper = declared.upper()
    if "INT" in upper:
        return "integer"
    if any(word in upper for word in ("CHAR", "CLOB", "TEXT")):
        return "text"
    if "BLOB" in upper or not upper:
        return "blob"
    if any(word in upper for word in ("REAL", "FLOA", "DOUB")):
        return "real"
    return "numeric"


def _expected(column: Field) -> set[str]:
    if column.kind == "time":
        return {"integer", "real", "text"}
    return {
        "integer": {"integer"},
        "real": {"real"},
        "numeric": {"integer", "real"},
        "text": {"text"},
        "blob": {"blob"},
    }[column.base]


def _foreign_keys(run: Callable[[str], Rows], relations: dict[str, Relation]) -> list[ForeignKey]:
    by_lower = {name.lower(): relation for name, relation in relations.items()}
    grouped: dict[tuple[str, int], list[dict[str, Value]]] = {}
    for row in _each(run, _FOREIGN, relations.values()):
        grouped.setdefault((str(row["table_name"]), int(str(row["id"]))), []).append(row)
    keys = []
    for (name, _), rows in grouped.items():
        source, target = relations.get(name), by_lower.get(str(rows[0]["to_table"]).lower())
        if source is None or target is None:
            continue
        named = [str(row["to_column"]) for row in rows if row["to_column"]]
        to_columns = _spelled(named, target) if named else target.primary_key or []
        columns = _spelled([str(row["column_name"]) for row in rows], source)
        if columns and len(columns) == len(to_columns):
            keys.append(ForeignKey(source.canonical, columns, target.canonical, to_columns))
    return keys


def _spelled(columns: list[str], relation: Relation) -> list[str]:
    """Return *columns* as the table spells them (SQLite does not tell cases apart), or nothing if one is missing."""
    spelled = {column.name.lower(): column.name for column in relation.fields}
    if any(column.lower() not in spelled for column in columns):
        return []
    return [spelled[column.lower()] for column in columns]


def _encode(value: Any, name: str) -> Value:
    if isinstance(value, str) and re.fullmatch(r"c\d+_(?:tops|counts)", name):
        # SQLite writes infinity in a way of its own.
        listed = json.loads(re.sub(r"(?<=\d,)(-?)Inf(?=\])", r"\1Infinity", value))
        return [encode(item) for _, item in sorted(listed, key=lambda pair: int(pair[0]))]
    return encode(value)


def _counts(plan: Plan, fields: Sequence[Field], _facts: Facts) -> str:
    return counts(quote(plan.relation.name), fields)


def _scan(plan: Plan, fields: Sequence[Field], _facts: Facts) -> str:
    outputs = ["count(*) AS rows"]
    if plan.newest and plan.newest in fields:
        name = quote(plan.newest.name)
        outputs.append(f"max({name}) FILTER (WHERE datetime({name}) <= '{plan.now}') AS newest")
    for column in fields:
        name = quote(column.name)
        outputs.append(f"count(*) - count({name}) AS {output(column, 'nulls')}")
        outputs.append(f"typeof(min({name})) AS {output(column, 'first')}")
        outputs.append(f"typeof(max({name})) AS {output(column, 'last')}")
        if plan.values:
            outputs.append(f"min({name}) GLOB '{_DAY}' AND max({name}) GLOB '{_DAY}' AS {output(column, 'dated')}")
    return "SELECT " + ",\n  ".join(outputs) + f"\nFROM {quote(plan.relation.name)}"


def _kind(column: Field, facts: Facts) -> FieldKind:
    first, last = facts.get(output(column, "first")), facts.get(output(column, "last"))
    if first is None or first == "null":
        return column.kind
    if last in _NUMBERS:
        return "number"
    if first == "blob":
        return "binary"
    if first == "text":
        return "time" if facts.get(output(column, "dated")) == 1 else "text"
    # Numbers with text or bytes among them: what it was declared as is what counts.
    return "number" if column.base in ("integer", "real", "numeric", "blob") or last == "blob" else "text"


def _mixed(column: Field, facts: Facts) -> bool:
    first, last = facts.get(output(column, "first")), facts.get(output(column, "last"))
    return first != last and not (first in _NUMBERS and last in _NUMBERS)


def _only(column: Field, facts: Facts) -> str:
    """Return the condition under which values of a mixed column are of the kind that is measured."""
    kind = _kind(column, facts)
    types = {"number": "'integer', 'real'", "text": "'text'", "time": "'text'", "binary": "'blob'"}[kind]
    return f"typeof({quote(column.name)}) IN ({types})"


def _small(facts: Facts) -> bool:
    return int(str(facts.get("rows") or 0)) <= EXACT_ROWS


def _wants_profile(plan: Plan, column: Field, facts: Facts) -> bool:
    first = facts.get(output(column, "first"))
    return first is not None and (_small(facts) or (plan.values and first != "null"))


def _profile(plan: Plan, fields: Sequence[Field], facts: Facts) -> str:
    """Group each column's values once, and measure them and their bins from the groups."""
    if not _small(facts):
        return _large(plan, fields, facts)
    table = quote(plan.relation.name)
    groups, pieces = [], []
    for column in fields:
        name = quote(column.name)
        kind = _kind(column, facts)
        mixed = _mixed(column, facts)
        if not plan.values:
            pieces.append(f"(SELECT count(DISTINCT {name}) AS {output(column, 'distinct')} FROM {table})")
            continue
        group = output(column, "groups")
        only = _only(column, facts) if mixed else f"{name} IS NOT NULL"
        groups.append(f"{group} AS{_ONCE} (SELECT {name} AS v, count(*) AS n FROM {table} WHERE {only} GROUP BY 1)")
        outputs = ({} if mixed else {"distinct": "count(*)"}) | _measures(kind)
        windows = []
        if kind in ("number", "time"):
            windows += ["sum(n) OVER (ORDER BY v) AS u", "sum(n) OVER () AS t"]
        if kind == "number":
            windows.append("sum(1.0 * v * n) OVER () / sum(n) OVER () AS m")
        if kind != "binary":
            windows.append("row_number() OVER (ORDER BY n DESC, v) AS r")
        listed = ", ".join(f"{sql} AS {output(column, fact)}" for fact, sql in outputs.items())
        pieces.append(f"(SELECT {listed} FROM (SELECT {', '.join(['v', 'n', *windows])} FROM {group}))")
        if kind in ("number", "time"):
            pieces.append(_bins(column, kind, group))
        if mixed:
            counts = {
                "distinct": f"count(DISTINCT {name})",
                "numbers": f"sum(typeof({name}) IN ('integer', 'real'))",
                "texts": f"sum(typeof({name}) = 'text')",
                "blobs": f"sum(typeof({name}) = 'blob')",
            }
            listed = ", ".join(f"{sql} AS {output(column, fact)}" for fact, sql in counts.items())
            pieces.append(f"(SELECT {listed} FROM {table})")
    with_ = f"WITH {_NEXT.join(groups)}\n" if groups else ""
    return f"{with_}SELECT *\nFROM {_NEXT.join(pieces)}"


def _bins(column: Field, kind: FieldKind, group: str) -> str:
    """Return the subquery that counts a column's grouped values in bins of equal width, ends at infinity left out."""
    value = "v" if kind == "number" else "julianday(v)"
    whole = "typeof(lo) = 'integer' AND typeof(hi) = 'integer'"
    size = f"CASE WHEN hi - lo < {EACH_WHOLE} AND {whole} THEN hi - lo + 1 ELSE {BINS} END"
    inside = f"{value} BETWEEN -{_MAX} AND {_MAX}"
    ends = f"SELECT min({value}) AS lo, max({value}) AS hi FROM {group} WHERE {inside}"
    placed = (
        f"SELECT min(k - 1, CAST(({value} - lo) * 1.0 * k / (hi - lo) AS INTEGER)) AS b, sum(n) AS s, k "
        f"FROM {group}, (SELECT lo, hi, {size} AS k FROM ({ends})) "
        f"WHERE hi > lo AND hi - lo <= {_MAX} AND {inside} GROUP BY 1"
    )
    counted = f"json_group_object(b, s) AS {output(column, 'histogram')}, max(k) AS {output(column, 'bins')}"
    return f"(SELECT {counted} FROM ({placed}))"


def _measures(kind: FieldKind) -> dict[str, str]:
    """Return what is asked of a column's distinct values ``v``, each with its count ``n``."""
    outputs: dict[str, str] = {}
    if kind in ("number", "time"):
        outputs |= {"min": "min(v)", "max": "max(v)"}
    if kind == "number":
        outputs["mean"] = "max(m)"
        outputs["std"] = "CASE WHEN max(t) > 1 THEN sqrt(sum(n * (v - m) * (v - m)) / (max(t) - 1)) END"
    if kind in ("number", "time"):
        outputs |= {fact: f"min(v) FILTER (WHERE {share})" for fact, share in SHARES.items()}
    if kind == "text":
        outputs |= {"min": f"substr(min(v), 1, {CUT})", "max": f"substr(max(v), 1, {CUT})"}
    if kind in ("text", "binary"):
        outputs |= {
            "min_length": "min(length(v))",
            "max_length": "max(length(v))",
            "mean_length": "1.0 * sum(n * length(v)) / sum(n)",
        }
    if kind != "binary":
        value = f"substr(v, 1, {CUT})" if kind == "text" else "v"
        outputs |= {
            "top": f"max({value}) FILTER (WHERE r = 1)",
            "top_count": "max(n) FILTER (WHERE r = 1)",
            "tops": f"json_group_array(json_array(r, {value})) FILTER (WHERE r <= {TOP})",
            "counts": f"json_group_array(json_array(r, n)) FILTER (WHERE r <= {TOP})",
        }
    return outputs


def _large(plan: Plan, fields: Sequence[Field], facts: Facts) -> str:
    """Measure what one pass can: distinct values and quantiles of so many rows are left out."""
    outputs = []
    for column in fields:
        name, kind = quote(column.name), _kind(column, facts)
        only = f" FILTER (WHERE {_only(column, facts)})" if _mixed(column, facts) else ""
        if kind in ("number", "time"):
            measures = {"min": f"min({name}){only}", "max": f"max({name}){only}"}
            if kind == "number":
                measures["mean"] = f"avg({name}){only}"
        elif kind == "text":
            measures = {
                "min": f"substr(min({name}){only}, 1, {CUT})",
                "max": f"substr(max({name}){only}, 1, {CUT})",
                "min_length": f"min(length({name})){only}",
                "max_length": f"max(length({name})){only}",
                "mean_length": f"avg(length({name})){only}",
            }
        else:
            measures = {
                "min_length": f"min(length({name})){only}",
                "max_length": f"max(length({name})){only}",
                "mean_length": f"avg(length({name})){only}",
            }
        outputs += [f"{sql} AS {output(column, fact)}" for fact, sql in measures.items()]
    return "SELECT " + ",\n  ".join(outputs) + f"\nFROM {quote(plan.relation.name)}"


def _wants_finite(plan: Plan, column: Field, facts: Facts) -> bool:
    ends = (facts.get(output(column, "min")), facts.get(output(column, "max")))
    return plan.values and _kind(column, facts) == "number" and any("Infinity" in str(end) for end in ends)


def _finite(plan: Plan, fields: Sequence[Field], facts: Facts) -> str:
    """Measure again, among the finite values alone, what an infinity spoils."""
    pieces = []
    for column in fields:
        name = quote(column.name)
        measures = _measures("number")
        kept = {fact: measures[fact] for fact in ("mean", "std", *SHARES)} if _small(facts) else {"mean": "max(m)"}
        kept |= {"low": "min(v)", "high": "max(v)"}
        listed = ", ".join(f"{sql} AS {output(column, fact)}" for fact, sql in kept.items())
        finite = f"typeof({name}) IN ('integer', 'real') AND {name} BETWEEN -{_MAX} AND {_MAX}"
        windows = "sum(n) OVER (ORDER BY v) AS u, sum(n) OVER () AS t, sum(1.0 * v * n) OVER () / sum(n) OVER () AS m"
        grouped = f"SELECT {name} AS v, count(*) AS n FROM {quote(plan.relation.name)} WHERE {finite} GROUP BY 1"
        pieces.append(f"(SELECT {listed} FROM (SELECT v, n, {windows} FROM ({grouped})))")
        pieces.append(
            f"(SELECT count(*) AS {output(column, 'infinite')} FROM {quote(plan.relation.name)} "
            f"WHERE typeof({name}) = 'real' AND NOT {name} BETWEEN -{_MAX} AND {_MAX})"
        )
    return "SELECT *\nFROM " + ",\n  ".join(pieces)


def _note(column: Field, facts: Facts, kind: FieldKind) -> str | None:
    if _mixed(column, facts) and facts.get(output(column, "numbers")) is not None:
        parts = [
            f"{facts.get(output(column, fact)):,} {word}"
            for fact, word in (("numbers", "numbers"), ("texts", "texts"), ("blobs", "byte strings"))
            if facts.get(output(column, fact))
        ]
        measured = {"number": "numbers", "text": "texts", "time": "texts", "binary": "byte strings"}[kind]
        found = ", ".join(parts)
        return f"values of different types ({found}): range, mean, quantiles and top values are of the {measured}"
    if not _small(facts):
        return f"more than {EXACT_ROWS:,} rows: distinct values, quantiles and top values are not counted"
    return None
