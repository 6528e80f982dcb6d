"""The SQL of a profile in SQLite. Which parts of it are estimates is decided in ``estimate``.

A column of SQLite holds values of any type whatever it was declared as, so the first pass asks what is in it
(values of all types have one order: numbers, then text, then bytes; the extremes tell what there is). A column of
few values, or of few different ones, is then grouped once and everything else comes from its groups. The others are
measured in whole but for their quantiles and histogram, which are a sample's.
"""

import sqlite3
from collections.abc import Sequence

from cataloger_sandbox.encode import number
from cataloger_sandbox.engines.base import (
    BINS,
    CUT,
    EACH_WHOLE,
    SHARES,
    TOP,
    Facts,
    Field,
    FieldKind,
    Plan,
    Relation,
    Step,
    less,
    literal,
    output,
    quote,
)
from cataloger_sandbox.engines.estimate import is_counted, is_large, sample_share, shares

_NUMBERS = ("integer", "real")
_NEXT = ",\n  "
_ONCE = " MATERIALIZED" if sqlite3.sqlite_version_info >= (3, 35) else ""
_DAY = "[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]*"
_MAX = "1.7976931348623157e308"

_PRIME, _FACTOR, _TERM = 2**31 - 1, 1_640_531_527, 12_345
_SHORT = 48


def path(relation: Relation) -> str:
    """Return the relation's name as SQL, or the query for the part of it that stands for it."""
    return relation.part or quote(relation.name)


def _scan(plan: Plan, fields: Sequence[Field], _facts: Facts) -> str:
    outputs = ["count(*) AS rows"]
    if plan.newest and plan.newest in fields:
        name = quote(plan.newest.name)
        outputs.append(f"max({name}) FILTER (WHERE datetime({name}) <= '{plan.now}') AS newest")
    for column in fields:
        name = quote(column.name)
        outputs.append(f"count(*) - count({name}) AS {output(column, 'nulls')}")
        if plan.relation.is_declared_unique(column):
            outputs.append(f"count({name}) /* unique by a key */ AS {output(column, 'distinct')}")
        outputs.append(f"typeof(min({name})) AS {output(column, 'first')}")
        outputs.append(f"typeof(max({name})) AS {output(column, 'last')}")
        if plan.values:
            outputs.append(f"min({name}) GLOB '{_DAY}' AND max({name}) GLOB '{_DAY}' AS {output(column, 'dated')}")
    return "SELECT " + ",\n  ".join(outputs) + f"\nFROM {path(plan.relation)}"


def kind_of(column: Field, facts: Facts) -> FieldKind:
    """Return what kind of values *column* holds, going by its least and its greatest."""
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
    kind = kind_of(column, facts)
    types = {"number": "'integer', 'real'", "text": "'text'", "time": "'text'", "binary": "'blob'"}[kind]
    return f"typeof({quote(column.name)}) IN ({types})"


def drawn(relation: Relation, outputs: Sequence[str], share: float) -> str:
    """Return the query for *outputs* of a *share* of the rows, spread over the whole table.

    Rows of a table are chosen by their number: the square of a linear function of it, modulo a prime, is below a
    bound. Squares of numbers in any regular order are spread like random ones (H. Weyl, 1916), so that no period of
    the data meets one of the sample.
    """
    listed = f"SELECT {', '.join(outputs)} FROM {path(relation)}"
    if share >= 1:
        return listed
    row = row_number(relation)
    if row is None:
        return f"{listed} WHERE abs(random() % 1000000000) < {round(share * 1e9)}"
    spread = f"({row} % {_PRIME} * {_FACTOR} + {_TERM}) % {_PRIME}"
    return f"{listed} WHERE ({spread}) * ({spread}) % {_PRIME} < {round(share * _PRIME)}"


def _drawn(plan: Plan, outputs: Sequence[str], facts: Facts) -> str:
    """Return the sample ``s``."""
    return f"WITH s AS{_ONCE} ({drawn(plan.relation, outputs, sample_share(plan, facts))})"


def row_number(relation: Relation) -> str | None:
    """Return the name under which the numbers of the rows of *relation* can be asked for; null where there is none."""
    names = {column.name.lower() for column in relation.fields}
    return next((name for name in ("rowid", "_rowid_", "oid") if relation.fixed and name not in names), None)


def _wants_seen(plan: Plan, column: Field, facts: Facts) -> bool:
    return is_large(plan, column, facts) and not plan.relation.is_declared_unique(column)


def _seen(plan: Plan, fields: Sequence[Field], facts: Facts) -> str:
    """Count the values in the sample that differ, and those that come once."""
    outputs, pieces = [], ["(SELECT count(*) AS sampled FROM s)"]
    for column in fields:
        name, value = quote(column.name), f"c{column.index}"
        if kind_of(column, facts) in ("text", "binary") or _mixed(column, facts):
            # The sample is kept while it is looked at: long values by their ends and length.
            ends = f"substr({name}, 1, {_SHORT}) || substr({name}, -{_SHORT}) || length({name})"
            outputs.append(f"CASE WHEN length({name}) > {2 * _SHORT} THEN {ends} ELSE {name} END AS {value}")
        else:
            outputs.append(f"{name} AS {value}")
        groups = f"SELECT count(*) AS n FROM s WHERE {value} IS NOT NULL GROUP BY {value}"
        seen = f"count(*) AS {output(column, 'seen')}, count(*) FILTER (WHERE n = 1) AS {output(column, 'once')}"
        pieces.append(f"(SELECT {seen} FROM ({groups}))")
    return f"{_drawn(plan, outputs, facts)}\nSELECT *\nFROM {_NEXT.join(pieces)}"


def _wants_groups(plan: Plan, column: Field, facts: Facts) -> bool:
    return facts.get(output(column, "first")) is not None and is_counted(plan, column, facts)


def _profile(plan: Plan, fields: Sequence[Field], facts: Facts) -> str:
    """Group each column's values once, and measure them and their bins from the groups."""
    table = path(plan.relation)
    groups, pieces = [], []
    for column in fields:
        name = quote(column.name)
        kind = kind_of(column, facts)
        mixed = _mixed(column, facts)
        if not plan.values:
            pieces.append(f"({_distinct(plan, [column], facts)})")
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
            types = {"distinct": f"count(DISTINCT {name})", **_types(name)}
            listed = ", ".join(f"{sql} AS {output(column, fact)}" for fact, sql in types.items())
            pieces.append(f"(SELECT {listed} FROM {table})")
    with_ = f"WITH {_NEXT.join(groups)}\n" if groups else ""
    return f"{with_}SELECT *\nFROM {_NEXT.join(pieces)}"


def _bins(column: Field, kind: FieldKind, group: str) -> str:
    """Return the subquery that counts a column's grouped values in bins of equal width, ends at infinity left out."""
    value = "v" if kind == "number" else "julianday(v)"
    whole = "typeof(lo) = 'integer' AND typeof(hi) = 'integer'"
    size = f"CASE WHEN hi - lo < {EACH_WHOLE} AND {whole} THEN hi - lo + 1 ELSE {BINS} END"
    ends = f"SELECT min({value}) AS lo, max({value}) AS hi FROM {group} WHERE {value} BETWEEN -{_MAX} AND {_MAX}"
    return _binned(column, value, f"{group}, (SELECT lo, hi, {size} AS k FROM ({ends}))")


def _binned(column: Field, value: str, source: str) -> str:
    """Return the subquery that puts each ``v`` of *source*, which counts for ``n``, in one of ``k`` bins."""
    placed = (
        f"SELECT min(k - 1, CAST(({value} - lo) * 1.0 * k / (hi - lo) AS INTEGER)) AS b, sum(n) AS s, k "
        f"FROM {source} WHERE hi > lo AND hi - lo <= {_MAX} AND {value} BETWEEN -{_MAX} AND {_MAX} GROUP BY 1"
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


def _is_estimated(plan: Plan, column: Field, facts: Facts) -> bool:
    grouped = is_counted(plan, column, facts) and facts.get(output(column, "distinct")) is not None
    return is_large(plan, column, facts) and not grouped and facts.get(output(column, "first")) not in (None, "null")


def _wants_whole(plan: Plan, column: Field, facts: Facts) -> bool:
    return plan.values and _is_estimated(plan, column, facts)


def _whole(plan: Plan, fields: Sequence[Field], facts: Facts) -> str:
    """Measure what one pass over all rows can."""
    outputs = []
    for column in fields:
        name, kind = quote(column.name), kind_of(column, facts)
        only = f" FILTER (WHERE {_only(column, facts)})" if _mixed(column, facts) else ""
        if kind in ("number", "time"):
            measures = {"min": f"min({name}){only}", "max": f"max({name}){only}"}
            if kind == "number":
                measures["mean"] = f"avg({name}){only}"
        else:
            measures = {
                "min_length": f"min(length({name})){only}",
                "max_length": f"max(length({name})){only}",
                "mean_length": f"avg(length({name})){only}",
            }
        if kind == "text":
            measures |= {
                "min": f"substr(min({name}){only}, 1, {CUT})",
                "max": f"substr(max({name}){only}, 1, {CUT})",
            }
        if only:
            measures |= _types(name)
        outputs += [f"{sql} AS {output(column, fact)}" for fact, sql in measures.items()]
    return f"SELECT {_NEXT.join(outputs)}\nFROM {path(plan.relation)}"


def _types(name: str) -> dict[str, str]:
    return {
        "numbers": f"sum(typeof({name}) IN ('integer', 'real'))",
        "texts": f"sum(typeof({name}) = 'text')",
        "blobs": f"sum(typeof({name}) = 'blob')",
    }


def _wants_finite(plan: Plan, column: Field, facts: Facts) -> bool:
    ends = (facts.get(output(column, "min")), facts.get(output(column, "max")))
    return plan.values and kind_of(column, facts) == "number" and any("Infinity" in str(end) for end in ends)


def _finite(plan: Plan, fields: Sequence[Field], facts: Facts) -> str:
    """Measure again, among the finite values alone, what an infinity spoils."""
    pieces = []
    for column in fields:
        name, table = quote(column.name), path(plan.relation)
        finite = f"typeof({name}) IN ('integer', 'real') AND {name} BETWEEN -{_MAX} AND {_MAX}"
        kept = {"mean": "avg(v)", "low": "min(v)", "high": "max(v)"}
        source = f"SELECT {name} AS v FROM {table} WHERE {finite}"
        if not _is_estimated(plan, column, facts):
            measures = _measures("number")
            kept |= {fact: measures[fact] for fact in ("mean", "std", *SHARES)}
            windows = (
                "sum(n) OVER (ORDER BY v) AS u, sum(n) OVER () AS t, sum(1.0 * v * n) OVER () / sum(n) OVER () AS m"
            )
            grouped = f"SELECT {name} AS v, count(*) AS n FROM {table} WHERE {finite} GROUP BY 1"
            source = f"SELECT v, n, {windows} FROM ({grouped})"
        listed = ", ".join(f"{sql} AS {output(column, fact)}" for fact, sql in kept.items())
        pieces.append(f"(SELECT {listed} FROM ({source}))")
        pieces.append(
            f"(SELECT count(*) AS {output(column, 'infinite')} FROM {table} "
            f"WHERE typeof({name}) = 'real' AND NOT {name} BETWEEN -{_MAX} AND {_MAX})"
        )
    return "SELECT *\nFROM " + ",\n  ".join(pieces)


def _measured(column: Field, facts: Facts) -> str:
    """Return the condition that keeps the values that are measured: of one kind, and finite."""
    parts = [_only(column, facts) if _mixed(column, facts) else f"{quote(column.name)} IS NOT NULL"]
    if facts.get(output(column, "infinite")):
        parts.append(f"{quote(column.name)} BETWEEN -{_MAX} AND {_MAX}")
    return " AND ".join(parts)


def _wants_spread(plan: Plan, column: Field, facts: Facts) -> bool:
    known = number(facts.get(output(column, "mean"))) is not None
    return plan.values and known and kind_of(column, facts) == "number" and _is_estimated(plan, column, facts)


def _spread(plan: Plan, fields: Sequence[Field], facts: Facts) -> str:
    """Measure standard deviations by the distances from the mean, which is known by now.

    The corrected two-pass algorithm: the sum of the distances, which should be nothing, takes the rounding of the
    mean back out (T. Chan, G. Golub, R. LeVeque, Algorithms for computing the sample variance, The American
    Statistician 37, 1983).
    """
    inner, outputs = [], []
    for column in fields:
        i, only = column.index, f" FILTER (WHERE {_measured(column, facts)})"
        distance = f"({quote(column.name)} - {number(facts[output(column, 'mean')])!r})"
        inner += [
            f"count({quote(column.name)}){only} AS n{i}",
            f"sum({distance}){only} AS s{i}",
            f"sum({distance} * {distance}){only} AS q{i}",
        ]
        outputs.append(f"sqrt(max(0.0, q{i} - s{i} * s{i} / n{i}) / (n{i} - 1)) AS {output(column, 'std')}")
    return f"SELECT {', '.join(outputs)}\nFROM (SELECT {_NEXT.join(inner)}\n  FROM {path(plan.relation)})"


def _wants_sampled(plan: Plan, column: Field, facts: Facts) -> bool:
    return plan.values and kind_of(column, facts) in ("number", "time") and _is_estimated(plan, column, facts)


def _sampled(plan: Plan, fields: Sequence[Field], facts: Facts) -> str:
    """Measure the quantiles and count the bins of a sample."""
    outputs, pieces = [], ["(SELECT count(*) AS sampled FROM s)"]
    for column in fields:
        value = f"c{column.index}"
        outputs.append(f"CASE WHEN {_measured(column, facts)} THEN {quote(column.name)} END AS {value}")
        listed = ", ".join(
            f"min(v) FILTER (WHERE u >= {share} * t) AS {output(column, fact)}"
            for fact, share in shares(plan, column, facts).items()
        )
        numbered = (
            f"SELECT {value} AS v, row_number() OVER (ORDER BY {value}) AS u, count(*) OVER () AS t "
            f"FROM s WHERE {value} IS NOT NULL"
        )
        pieces.append(f"(SELECT count(*) AS {output(column, 'sampled')}, {listed} FROM ({numbered}))")
        if piece := _sampled_bins(column, facts):
            pieces.append(piece)
    return f"{_drawn(plan, outputs, facts)}\nSELECT *\nFROM {_NEXT.join(pieces)}"


def _sampled_bins(column: Field, facts: Facts) -> str | None:
    """Return the subquery that counts a sample's values in bins between the ends of the whole column."""
    infinite = facts.get(output(column, "infinite"))
    low, high = (facts.get(output(column, end)) for end in (("low", "high") if infinite else ("min", "max")))
    if low is None or high is None or low == high:
        return None
    if kind_of(column, facts) == "time":
        value, count = "julianday(v)", BINS
        lo, hi = (f"julianday({literal(str(end))})" for end in (low, high))
    else:
        value, first, last = "v", number(low), number(high)
        if first is None or last is None:
            return None
        whole = isinstance(low, int) and isinstance(high, int) and last - first < EACH_WHOLE
        count = int(last - first) + 1 if whole else BINS
        lo, hi = repr(first), repr(last)
    source = f"(SELECT c{column.index} AS v, 1 AS n FROM s WHERE c{column.index} IS NOT NULL)"
    return _binned(column, value, f"{source}, (SELECT {lo} AS lo, {hi} AS hi, {count} AS k)")


def _wants_distinct(plan: Plan, column: Field, facts: Facts) -> bool:
    counted = facts.get(output(column, "distinct")) is not None or column.index in plan.long
    return not counted and _is_estimated(plan, column, facts)


def _distinct(plan: Plan, fields: Sequence[Field], _facts: Facts) -> str:
    """Count distinct values by sorting: a set of them, which DISTINCT keeps, is several times slower when large."""
    [column] = fields
    name = quote(column.name)
    groups = f"SELECT {name} FROM {path(plan.relation)} WHERE {name} IS NOT NULL GROUP BY 1"
    return f"SELECT count(*) AS {output(column, 'distinct')} FROM ({groups})"


def note(column: Field, facts: Facts, kind: FieldKind) -> str | None:
    """Say what *column* holds beside the values of its *kind*, or nothing."""
    if _mixed(column, facts) and facts.get(output(column, "numbers")) is not None:
        parts = [
            f"{facts.get(output(column, fact)):,} {word}"
            for fact, word in (("numbers", "numbers"), ("texts", "texts"), ("blobs", "byte strings"))
            if facts.get(output(column, fact))
        ]
        measured = {"number": "numbers", "text": "texts", "time": "texts", "binary": "byte strings"}[kind]
        found = ", ".join(parts)
        return f"values of different types ({found}): range, mean, quantiles and top values are of the {measured}"
    return None


STEPS: Sequence[Step] = (
    Step(lambda *_: True, _scan, 100, "its profile", first=True, instead=less(path)),
    Step(_wants_seen, _seen, 40, "how many of its values differ"),
    Step(_wants_groups, _profile, 15, "its profile"),
    Step(_wants_whole, _whole, 100, "its range and mean"),
    Step(_wants_finite, _finite, 20, "its mean and quantiles"),
    Step(_wants_spread, _spread, 100, "its standard deviation"),
    Step(_wants_sampled, _sampled, 20, "its quantiles and histogram"),
    Step(_wants_distinct, _distinct, 1, "its number of distinct values"),
)
