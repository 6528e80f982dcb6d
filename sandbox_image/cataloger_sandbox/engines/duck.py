"""DuckDB: its catalog and its SQL for profiles."""

import contextlib
import re
from collections.abc import Callable, Sequence
from typing import Any

import duckdb

from cataloger_sandbox.encode import Value, encode, iso, number
from cataloger_sandbox.engines.base import (
    CUT,
    ONE_QUERY,
    QUANTILES,
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
    bins,
    counts,
    interrupting,
    literal,
    not_exists,
    one_line,
    output,
    quote,
)
from cataloger_sandbox.engines.estimate import around

QUANTILES_ERROR = 0.01
"""By how much the rank of an estimated quantile may be off.

DuckDB's t-digest was off by 0.002 at most on sorted, hashed, skewed and mostly-zero columns of three million
rows. Its ``reservoir_quantile`` is not used: on sorted columns it only sees the first rows.
"""

DISTINCT_ERROR = 0.05
"""By what share DuckDB's HyperLogLog may be off; it was by so much, even at twenty values."""

_INTEGERS = {"TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT"} | {
    "UTINYINT",
    "USMALLINT",
    "UINTEGER",
    "UBIGINT",
    "UHUGEINT",
}
_PLAIN = {*_INTEGERS, "FLOAT", "DOUBLE", "VARCHAR", "BOOLEAN", "BLOB", '"NULL"', "JSON"}
_NEXT = ",\n  "
_DATED = ("DATE", "TIMESTAMP")

_LISTING = """\
SELECT count(*) OVER () AS tables, sum(column_count) OVER () AS columns,
  schema_name, table_name, kind, comment, estimate
FROM (SELECT schema_name, table_name, 'table' AS kind, comment, estimated_size AS estimate, column_count
      FROM duckdb_tables() WHERE database_name = current_database() AND NOT internal AND NOT temporary
      UNION ALL
      SELECT schema_name, view_name, 'view', comment, NULL, column_count
      FROM duckdb_views() WHERE database_name = current_database() AND NOT internal AND NOT temporary){where}
ORDER BY schema_name, table_name"""

_COLUMNS = """\
SELECT schema_name, table_name, column_name, data_type, is_nullable, comment
FROM duckdb_columns() WHERE database_name = current_database() AND NOT internal{where}
ORDER BY schema_name, table_name, column_index"""

_CONSTRAINTS = """\
SELECT schema_name, table_name, constraint_type, constraint_column_names, referenced_table, referenced_column_names
FROM duckdb_constraints() WHERE database_name = current_database()
  AND constraint_type IN ('PRIMARY KEY', 'UNIQUE', 'FOREIGN KEY'){where}
ORDER BY schema_name, table_name, constraint_index"""

_INDEXES = """\
SELECT schema_name, table_name, sql FROM duckdb_indexes() WHERE database_name = current_database() AND is_unique{where}
ORDER BY schema_name, table_name, index_name"""


class DuckEngine:
    """An open DuckDB file, in one transaction."""

    rows_first = True

    def __init__(self, driver: Any) -> None:
        self._driver = driver
        driver.execute("SET TimeZone = 'UTC'")
        driver.execute("SET enable_progress_bar = false")
        driver.execute("BEGIN TRANSACTION READ ONLY")
        self.label = f"duckdb {duckdb.__version__}"
        self.default_schema = "main"
        self.steps: Sequence[Step] = (
            Step(lambda *_: True, _scan, 40, "its profile", first=True, minimal=_counts),
            Step(_wants_values, _values, 40, "its top values and histogram"),
        )

    def fetch(self, sql: str, seconds: float | None = None, limit: int | None = None) -> Rows:
        """Run *sql* and return its rows, encoded; see ``Engine``."""
        try:
            with interrupting(self._driver.interrupt, seconds):
                if limit is not None:
                    _check(sql)
                relation = self._driver.sql(sql)
                if relation is None:
                    return Rows([], [])
                names = list(relation.columns)
                types = [str(kind) for kind in relation.types]
                if any(_cast(kind) for kind in types):
                    # Dates past 9999, infinities and the like have no Python value: they leave as text.
                    outputs = ", ".join(f"a{i}{_cast(kind)}" for i, kind in enumerate(types))
                    inputs = ", ".join(f"a{i}" for i in range(len(types)))
                    relation = self._driver.sql(f"SELECT {outputs} FROM ({sql.rstrip().rstrip(';')}\n) AS q({inputs})")
                rows = relation.fetchall() if limit is None else relation.fetchmany(limit)
        except duckdb.InterruptException as error:
            self._begin_again()
            raise QueryFailed(f"took longer than {seconds:g} s", late=True) from error
        except (duckdb.Error, RuntimeError, ValueError, OverflowError) as error:
            self._begin_again()
            raise QueryFailed(one_line(error)) from error
        return Rows(names, [[_encode(value, kind) for value, kind in zip(row, types, strict=True)] for row in rows])

    def _begin_again(self) -> None:
        """Leave the transaction that an error ended; the file can't have changed, as nobody writes while we read."""
        with contextlib.suppress(duckdb.Error):
            self._driver.execute("ROLLBACK")
        self._driver.execute("BEGIN TRANSACTION READ ONLY")

    def catalog(
        self, run: Callable[[str], Rows], schemas: Sequence[str] | None
    ) -> tuple[list[Relation], list[ForeignKey], list[tuple[str, str]]]:
        """Read what is there; see ``Engine``."""
        chosen = f"schema_name IN ({', '.join(map(literal, schemas)) or 'NULL'})" if schemas is not None else ""
        where = f"\n  AND {chosen}" if chosen else ""
        relations: dict[tuple[str, str], Relation] = {}
        for row in run(_LISTING.format(where=f"\nWHERE {chosen}" if chosen else "")).dicts():
            schema, name = str(row["schema_name"]), str(row["table_name"])
            relations[schema, name] = Relation(
                schema=schema,
                name=name,
                canonical=name if schema == self.default_schema else f"{schema}.{name}",
                kind="view" if row["kind"] == "view" else "table",
                comment=_text(row["comment"]),
                estimate=row["estimate"] if isinstance(row["estimate"], int) else None,
            )
        for row in run(_COLUMNS.format(where=where)).dicts():
            relation = relations.get((str(row["schema_name"]), str(row["table_name"])))
            if relation is None:
                continue
            kind = str(row["data_type"])
            relation.fields.append(
                Field(
                    index=len(relation.fields),
                    name=str(row["column_name"]),
                    type=kind.lower() if len(kind) < 200 else kind[:200].lower() + "…",
                    kind=_kind(kind),
                    nullable=bool(row["is_nullable"]) if relation.kind == "table" else None,
                    comment=_text(row["comment"]),
                    floating=kind in ("FLOAT", "DOUBLE"),
                    integer=kind in _INTEGERS,
                    base=kind,
                )
            )
        foreign: list[ForeignKey] = []
        for row in run(_CONSTRAINTS.format(where=where)).dicts():
            relation = relations.get((str(row["schema_name"]), str(row["table_name"])))
            columns = row["constraint_column_names"]
            if relation is None or not isinstance(columns, list):
                continue
            if row["constraint_type"] == "PRIMARY KEY":
                relation.primary_key = columns
            elif row["constraint_type"] == "UNIQUE":
                relation.unique.append(columns)
            elif target := relations.get((relation.schema, str(row["referenced_table"]))):
                to_columns = row["referenced_column_names"]
                if isinstance(to_columns, list):
                    foreign.append(ForeignKey(relation.canonical, columns, target.canonical, to_columns))
        for row in run(_INDEXES.format(where=where)).dicts():
            relation = relations.get((str(row["schema_name"]), str(row["table_name"])))
            if relation is not None and (indexed := _indexed(str(row["sql"]), relation)):
                relation.unique.append(indexed)
        return list(relations.values()), foreign, []

    def describe(self, column: Field, facts: Facts) -> Described:  # noqa: ARG002
        """Say what *column* holds."""
        return Described(column.kind, column.type)

    def quantiles_error(self, plan: Plan, column: Field, facts: Facts) -> float | None:  # noqa: ARG002
        """Return the rank error of quantiles; see ``Engine``."""
        return None if plan.small else QUANTILES_ERROR

    def distinct_error(self, plan: Plan, column: Field, facts: Facts) -> float | None:
        """Return the error of the number of distinct values, which is counted with the top values; see ``Engine``."""
        counted = facts.get(output(column, "counts")) is not None or plan.relation.is_declared_unique(column)
        return None if plan.small or counted else DISTINCT_ERROR

    def sampling(self, relation: Relation) -> str:  # noqa: ARG002
        """Return nothing: every row is read."""
        return ""

    def sample(self, relation: Relation, outputs: Sequence[str], share: float) -> str:
        """Return the query for some of the rows, by whole blocks of them; see ``Engine``."""
        listed = f"SELECT {', '.join(outputs)}\nFROM {_path(relation)}"
        return listed if share >= 1 else f"{listed} TABLESAMPLE system({100 * share:.6f}%) REPEATABLE (1)"

    def spread(self, relation: Relation, rows: int, count: int) -> str:
        """Return what to read some rows from; see ``Engine``."""
        path = _path(relation)
        if rows <= count or relation.kind == "view" or any(c.name.lower() == "rowid" for c in relation.fields):
            return path
        # Blocks of 2,048 rows are what is read; of forty of them, each gives some rows.
        share = min(1.0, 40 * 2048 / rows)
        blocks = f" TABLESAMPLE SYSTEM ({100 * share:.6f} PERCENT) REPEATABLE (1)" if share < 1 else ""
        return f"{path}{blocks}\nWHERE rowid % {max(1, round(rows * share / count))} = 0"

    def quote(self, name: str) -> str:
        """Return *name* as an identifier."""
        return quote(name)

    def path(self, relation: Relation) -> str:
        """Return the relation's name as SQL."""
        return _path(relation)

    def missing(self, columns: Sequence[str], table: str, keys: Sequence[str]) -> str:
        """Return the condition of an orphan; see ``Engine``."""
        return not_exists(columns, table, keys)

    def close(self) -> None:
        """Close the connection."""
        self._driver.close()


def _check(sql: str) -> None:
    """Refuse what is more than a question: a temporary table or macro would stand in for ours in later ones.

    Raises:
        QueryFailed: it is not one query.
    """
    if [statement.type for statement in duckdb.extract_statements(sql)] != [duckdb.StatementType.SELECT]:
        raise QueryFailed(ONE_QUERY)


def _path(relation: Relation) -> str:
    return quote(relation.name) if relation.schema == "main" else f"{quote(relation.schema)}.{quote(relation.name)}"


def _kind(kind: str) -> FieldKind:
    if kind.endswith("]") or kind.startswith(("STRUCT", "MAP", "UNION")) or kind in ("JSON", "VARIANT"):
        return "nested"
    if kind in _INTEGERS or kind in ("FLOAT", "DOUBLE") or kind.startswith("DECIMAL"):
        return "number"
    if kind.startswith(("DATE", "TIMESTAMP", "TIME")):
        return "time"
    if kind.startswith("ENUM"):
        return "other"
    return {"VARCHAR": "text", "BOOLEAN": "boolean", "BLOB": "binary"}.get(kind, "other")  # type: ignore[return-value]


def _indexed(sql: str, relation: Relation) -> list[str]:
    """Return the columns of a unique index, or nothing where it covers expressions."""
    inside = sql[sql.rfind(" ON ") :].partition("(")[2].rpartition(")")[0]
    names = {column.name for column in relation.fields}
    parts = [part.strip() for part in re.findall(r'(?:"(?:[^"]|"")*"|[^,"])+', inside)]
    columns = [part[1:-1].replace('""', '"') if part.startswith('"') else part for part in parts]
    return columns if columns and all(column in names for column in columns) else []


def _cast(kind: str) -> str:
    """Return the cast under which a result of type *kind* leaves the database."""
    if kind.endswith("[]"):
        return "" if kind[:-2] in _PLAIN else "::VARCHAR[]" if not kind[:-2].endswith("]") else "::VARCHAR"
    if kind in _PLAIN or kind.startswith(("DECIMAL", "MAP(INTEGER")):
        return ""
    return "::VARCHAR"


def _encode(value: Any, kind: str) -> Value:
    if isinstance(value, str) and kind.startswith(("DATE", "TIME")):
        return iso(value)
    if isinstance(value, list) and kind.startswith(("DATE", "TIME", "DECIMAL")):
        return [_encode(item, kind[:-2]) for item in value]
    return encode(value)


def _text(value: Value) -> str | None:
    return str(value) if value else None


def _counts(plan: Plan, fields: Sequence[Field], _facts: Facts) -> str:
    return counts(_path(plan.relation), fields)


def _scan(plan: Plan, fields: Sequence[Field], _facts: Facts) -> str:
    outputs = ["count(*) AS rows"]
    unpacked: list[str] = []
    if plan.newest and plan.newest in fields:
        name = quote(plan.newest.name)
        bound = f"TIMESTAMPTZ '{plan.now}+00'" if "WITH TIME ZONE" in plan.newest.base else f"TIMESTAMP '{plan.now}'"
        outputs.append(f"max({name}) FILTER (WHERE {name} <= {bound}) AS newest")
    for column in fields:
        outputs += _aggregates(plan, column)
        if plan.values and _has_quantiles(plan, column):
            packed = output(column, "q")
            unpacked += [f"{packed}[{i}] AS {output(column, fact)}" for i, fact in enumerate(_asked(plan), start=1)]
    inner = f"SELECT {_NEXT.join(outputs)}\nFROM {_path(plan.relation)}"
    if not unpacked:
        return inner
    return f"SELECT *, {', '.join(unpacked)}\nFROM ({inner})"


def _has_quantiles(plan: Plan, column: Field) -> bool:
    # A sketch takes no time of day.
    return column.kind == "number" or (column.kind == "time" and (plan.small or column.base.startswith(_DATED)))


def _aggregates(plan: Plan, column: Field) -> list[str]:
    name = quote(column.name)
    facts = {"nulls": f"count(*) - count({name})"}
    facts["distinct"] = f"count(DISTINCT {name})" if plan.small else f"approx_count_distinct({name})"
    if plan.relation.is_declared_unique(column):
        facts["distinct"] = f"count({name}) /* unique by a key */"
    if plan.values:
        if column.kind in ("number", "time") or column.kind == "other":
            facts |= {"min": f"min({name})", "max": f"max({name})"}
        if column.kind == "number":
            finite = f" FILTER (WHERE isfinite({name}))" if column.floating else ""
            facts |= {"mean": f"avg({name}::DOUBLE){finite}", "std": f"stddev_samp({name}::DOUBLE){finite}"}
            if column.floating:
                facts["infinite"] = f"count({name}) FILTER (WHERE NOT isfinite({name}))"
        if column.kind == "text":
            facts |= {"min": f"left(min({name}), {CUT})", "max": f"left(max({name}), {CUT})"}
        if column.kind in ("text", "binary"):
            length = f"length({name})" if column.kind == "text" else f"octet_length({name})"
            facts |= {
                "min_length": f"min({length})",
                "max_length": f"max({length})",
                "mean_length": f"avg({length})",
            }
        if _has_quantiles(plan, column):
            facts["q"] = _quantiles(plan, column, name)
    return [f"{sql} AS {output(column, fact)}" for fact, sql in facts.items()]


def _quantiles(plan: Plan, column: Field, name: str) -> str:
    function = "quantile_disc" if plan.small else "approx_quantile"
    finite = ""
    if column.floating or (not plan.small and column.kind == "time"):
        finite = f" FILTER (WHERE isfinite({name}))"
    return f"{function}({name}, [{', '.join(map(str, _asked(plan).values()))}]){finite}"


def _asked(plan: Plan) -> dict[str, float]:
    """Return the quantiles to ask for, by output name; of a sketch also those between which another's would lie."""
    if plan.small:
        return {name: float(share) for share, name in QUANTILES.items()}
    return around(2 * QUANTILES_ERROR)


def _wants_values(plan: Plan, column: Field, facts: Facts) -> bool:
    return plan.values and (_wants_top(plan, column, facts) or _wants_bins(column, facts))


def _wants_top(plan: Plan, column: Field, facts: Facts) -> bool:
    limit, distinct = plan.limits.top_distinct, facts.get(output(column, "distinct"))
    # A sketch may be off by some percent: what is near the limit is counted, and judged after.
    return column.kind not in ("binary", "nested") and isinstance(distinct, int) and 0 < distinct <= limit * 1.1


def _wants_bins(column: Field, facts: Facts) -> bool:
    low, high = facts.get(output(column, "min")), facts.get(output(column, "max"))
    return column.kind in ("number", "time") and low is not None and low != high


def _values(plan: Plan, fields: Sequence[Field], facts: Facts) -> str:
    outputs: list[str] = []
    sources: list[str] = []
    charts: list[str] = []
    for column in fields:
        name = quote(column.name)
        if _wants_top(plan, column, facts):
            value = f"left(v, {CUT})" if column.kind == "text" else "v"
            tops, counts = output(column, "tops"), output(column, "counts")
            outputs += [
                f"{tops}[1] AS {output(column, 'top')}",
                f"{counts}[1] AS {output(column, 'top_count')}",
            ]
            sources.append(
                f"(SELECT count(*) AS {output(column, 'distinct')}, "
                f"list({value} ORDER BY n DESC, v)[:{TOP}] AS {tops}, list(n ORDER BY n DESC, v)[:{TOP}] AS {counts} "
                f"FROM (SELECT {name} AS v, count(*) AS n FROM {_path(plan.relation)} "
                f"WHERE {name} IS NOT NULL GROUP BY 1))"
            )
        if _wants_bins(column, facts):
            charts += _bins(plan, column, facts)
    if charts:
        sources.append(f"(SELECT {', '.join(charts)} FROM {_path(plan.relation)})")
    return f"SELECT {', '.join(['*', *outputs])}\nFROM {_NEXT.join(sources)}"


def _bins(plan: Plan, column: Field, facts: Facts) -> list[str]:
    name = quote(column.name)
    low, high = facts[output(column, "min")], facts[output(column, "max")]
    found: list[str] = []
    # least() passes over nulls, so they are kept out before it.
    finite = f" FILTER (WHERE {name} IS NOT NULL)"
    if column.kind == "number":
        first, last = number(low), number(high)
        count = bins(column, first, last) if first is not None and last is not None else bins(column, 0, 1e9)
        if first is None or last is None:
            finite = f" FILTER (WHERE isfinite({name}))"
            bounds = f"(SELECT {{}}({name}) FROM {_path(plan.relation)} WHERE isfinite({name}))"
            a, b = bounds.format("min"), bounds.format("max")
            found = [f"{a} AS {output(column, 'low')}", f"{b} AS {output(column, 'high')}"]
        else:
            a, b = f"{first!r}::DOUBLE", f"{last!r}::DOUBLE"
        source = f"{name}::DOUBLE"
    else:
        count = bins(column, 0, 1e9)
        bounded = all(str(end)[:1].isdigit() for end in (low, high))
        if bounded:
            ends = [f"{literal(str(end).replace('T', ' ').replace('Z', '+00'))}::{column.base}" for end in (low, high)]
        else:
            finite = f" FILTER (WHERE isfinite({name}))"
            bounds = f"(SELECT {{}}({name}) FROM {_path(plan.relation)} WHERE isfinite({name}))"
            ends = [bounds.format("min"), bounds.format("max")]
            found = [f"{ends[0]} AS {output(column, 'low')}", f"{ends[1]} AS {output(column, 'high')}"]
        a, b, source = f"epoch({ends[0]})", f"epoch({ends[1]})", f"epoch({name})"
    # The filter comes after the argument, so an infinity must not fail in the cast.
    bin_ = f"TRY_CAST(least({count - 1}, floor(({source} - {a}) / (({b} - {a}) / {count}))) AS INTEGER)"
    return [
        f"histogram({bin_}){finite} AS {output(column, 'histogram')}",
        f"{count} AS {output(column, 'bins')}",
        *found,
    ]
