"""A profile in Ibis expressions, for databases that have no SQL of profiles of their own here. No SQL at all.

One scan measures what needs no grouping, the distinct values included, which are counted one by one always. Quantiles
come from the values grouped and counted, which needs window functions and nothing else, or from a sample where too
many differ. Top values and bins are a row each: lists are not to be had everywhere. ``folded`` makes them lists.
"""

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from fractions import Fraction
from typing import Any

import ibis

from cataloger_sandbox.encode import Value, number
from cataloger_sandbox.engines.base import (
    BINS,
    CUT,
    QUANTILES,
    TOP,
    Facts,
    Field,
    FieldKind,
    Plan,
    Relation,
    Rows,
    bins,
    output,
)
from cataloger_sandbox.engines.estimate import filled_rows, is_large, sample_share, shares

Measures = dict[str, Any]
"""Ibis expressions by output name."""

Can = Callable[[FieldKind, str, Any], bool]
"""Tells whether the backend has what an expression needs, by the kind of the column and the fact's name."""

OPAQUE = "opaque"
"""The base of a column whose values are neither compared nor shown."""

MOST_ROWS = 100
"""No query here gives more rows than so many: a column's bins or its top values."""

TYPES: Mapping[FieldKind, str] = {
    "time": "timestamp",
    "text": "string",
    "boolean": "boolean",
    "binary": "binary",
    "nested": "string",
    "other": "string",
}
"""What a column counts as in an expression: near enough, as its values are only compared and counted."""

_IN_ROWS = re.compile(r"(c\d+)_(tops|counts|bin|size|bins)")


def table_of(relation: Relation) -> Any:
    """Return *relation* as an Ibis table."""
    types = {column.name: _type(column) for column in relation.fields}
    return ibis.table(types, name=relation.name, database=relation.schema or None)


def _type(column: Field) -> str:
    if column.kind != "number":
        return TYPES[column.kind]
    return "int64" if column.integer else "float64" if column.floating else "decimal"


def scan(plan: Plan, fields: Sequence[Field], can: Can) -> Any:
    """Return the query for what one pass over all rows can measure."""
    table = table_of(plan.relation)
    outputs: Measures = {"rows": table.count()}
    if plan.newest and plan.newest in fields:
        time = table[plan.newest.name]
        outputs["newest"] = time.max(where=time <= ibis.timestamp(plan.now))
    for column in fields:
        value = table[column.name]
        outputs[output(column, "nulls")] = table.count() - value.count()
        if plan.relation.is_declared_unique(column):
            outputs[output(column, "distinct")] = value.count()
        elif column.base != OPAQUE:
            outputs[output(column, "distinct")] = value.nunique()
        if plan.values:
            outputs |= _able(column, _aggregates(column, value), can)
    return table.aggregate(**outputs)


def _able(column: Field, measures: Measures, can: Can) -> Measures:
    return {output(column, fact): each for fact, each in measures.items() if can(column.kind, fact, each)}


def _aggregates(column: Field, value: Any) -> Measures:
    if column.kind == "number":
        # The mean of whole numbers is a decimal of four places in MySQL.
        broad = value.cast("float64")
        return {"min": value.min(), "max": value.max(), "mean": broad.mean(), "std": broad.std(how="sample")}
    if column.kind == "time":
        return {"min": value.min(), "max": value.max()}
    if column.kind == "text":
        length = value.length()
        return {
            "min": value.min().left(CUT),
            "max": value.max().left(CUT),
            "min_length": length.min(),
            "max_length": length.max(),
            "mean_length": length.cast("float64").mean(),
        }
    return {}


def has_quantiles(plan: Plan, column: Field) -> bool:
    """Tell whether the values of *column* have quantiles and bins."""
    return plan.values and column.kind in ("number", "time")


def is_counted(plan: Plan, column: Field, facts: Facts) -> bool:
    """Tell whether the values of *column* are grouped: they are few, or few of them differ."""
    if filled_rows(column, facts) is None:
        return False
    differ = facts.get(output(column, "distinct"))
    return not is_large(plan, column, facts) or (isinstance(differ, int) and differ <= plan.limits.top_distinct)


def quantiles(plan: Plan, fields: Sequence[Field], can: Can) -> Any:
    """Return the query for the quantiles of all values, by counting."""
    pieces = []
    for column in fields:
        grouped = _grouped(plan.relation, column)
        counted = grouped.mutate(
            u=grouped.n.sum().over(ibis.cumulative_window(order_by=grouped.v)),
            t=grouped.n.sum().over(ibis.window()),
        )
        measures = {}
        for share, name in QUANTILES.items():
            part = Fraction(share)
            reached = counted.u * part.denominator >= counted.t * part.numerator
            measures[name] = counted.v.min(where=reached)
        pieces.append(counted.aggregate(**_able(column, measures, can)))
    return _beside(pieces)


def _grouped(relation: Relation, column: Field) -> Any:
    """Return the different values ``v`` of *column*, each with its count ``n``."""
    table = table_of(relation)
    filled = table.filter(table[column.name].notnull())
    return filled.group_by(v=filled[column.name]).aggregate(n=filled.count())


def has_top(plan: Plan, column: Field, facts: Facts) -> bool:
    """Tell whether some values of *column* are worth calling its most frequent."""
    differ, filled = facts.get(output(column, "distinct")), filled_rows(column, facts)
    if not plan.values or column.kind in ("binary", "nested") or not isinstance(differ, int) or not filled:
        return False
    return differ <= min(plan.limits.top_distinct, max(TOP, filled - 1))


def tops(plan: Plan, column: Field) -> Any:
    """Return the query for the most frequent values of *column*."""
    grouped = _grouped(plan.relation, column)
    ordered = grouped.order_by([ibis.desc("n"), "v"]).limit(TOP)
    shown = ordered.v.left(CUT) if column.kind == "text" else ordered.v
    return ordered.select(**{output(column, "tops"): shown, output(column, "counts"): ordered.n})


def edges(column: Field, facts: Facts) -> list[Any]:
    """Return where the bins of *column* meet, as values that Ibis compares; nothing where there are no bins."""
    low, high = (facts.get(output(column, end)) for end in ("min", "max"))
    if column.kind == "time":
        try:
            first, last = (datetime.fromisoformat(str(end)).replace(tzinfo=None) for end in (low, high))
        except ValueError:  # a day that is none, such as MySQL's 0000-00-00
            return []
        width = (last - first) / BINS
        return [ibis.timestamp(first + width * index) for index in range(1, BINS)] if width else []
    least, most = number(low), number(high)
    if least is None or most is None or not most > least:
        return []
    count = bins(column, least, most)
    if column.integer and count == most - least + 1:
        return [int(least) + index for index in range(1, count)]
    return [least + (most - least) * index / count for index in range(1, count)]


def histogram(plan: Plan, column: Field, facts: Facts) -> Any:
    """Return the query that counts the values of *column* in bins of equal width between its known ends."""
    table = table_of(plan.relation)
    value = table[column.name]
    kept = table.filter(value.notnull())
    if not is_counted(plan, column, facts):
        kept = kept.filter(ibis.random() < sample_share(plan, facts))
    return _in_bins(column, kept[column.name], edges(column, facts), kept)


def _in_bins(column: Field, value: Any, meet: Sequence[Any], table: Any) -> Any:
    place = ibis.cases(*((value < edge, index) for index, edge in enumerate(meet)), else_=len(meet))
    counted = table.group_by(**{output(column, "bin"): place}).aggregate(**{output(column, "size"): table.count()})
    return counted.mutate(**{output(column, "bins"): ibis.literal(len(meet) + 1)}).order_by(output(column, "bin"))


def sampled(plan: Plan, fields: Sequence[Field], facts: Facts, can: Can) -> Any:
    """Return the query for the quantiles of a sample."""
    [column] = fields
    table = table_of(plan.relation)
    drawn = table.filter(table[column.name].notnull() & (ibis.random() < sample_share(plan, facts)))
    drawn = drawn.select(v=drawn[column.name])
    numbered = drawn.mutate(
        u=ibis.row_number().over(ibis.window(order_by=drawn.v)) + 1, t=drawn.v.count().over(ibis.window())
    )
    measures = {
        name: numbered.v.min(where=numbered.u >= numbered.t * share)
        for name, share in shares(plan, column, facts).items()
    }
    count = numbered.count()
    return numbered.aggregate(sampled=count, **{output(column, "sampled"): count}, **_able(column, measures, can))


def _beside(pieces: Sequence[Any]) -> Any:
    """Return tables of one row as one."""
    joined = pieces[0]
    for piece in pieces[1:]:
        joined = joined.cross_join(piece)
    return joined


def folded(names: Sequence[str], rows: Iterable[Sequence[Value]]) -> Rows:
    """Return rows with those that are a column's top values or bins made one, of lists."""
    found = [_IN_ROWS.fullmatch(name) for name in names]
    listed = [list(row) for row in rows]
    if not names or not all(found):
        return Rows(list(names), listed)
    columns = dict(zip(names, zip(*listed, strict=True), strict=True)) if listed else {}
    facts: dict[str, Value] = {}
    for name, match in zip(names, found, strict=True):
        assert match is not None
        if match[2] in ("tops", "counts"):
            facts[name] = list(columns.get(name, ()))
        elif match[2] == "bin":
            sizes = columns.get(f"{match[1]}_size", ())
            counts = {str(place): size for place, size in zip(columns.get(name, ()), sizes, strict=True)}
            facts |= {f"{match[1]}_histogram": json.dumps(counts)}
        elif match[2] == "bins":
            facts[name] = next(iter(columns.get(name, ())), None)
    return Rows(list(facts), [list(facts.values())])
