"""The SQL of a profile in PostgreSQL. Which parts of it are estimates is decided in ``estimate``.

One scan counts rows and nulls and measures numbers and times; it has parallel workers, as ``count(*)`` has. A column
of few values, or of few different ones, is grouped once and everything else comes from its groups. The other texts and
decimals are measured in a scan of their own. The columns of many values give their quantiles and histogram from a
sample, and their number of distinct values from a HyperLogLog, or exactly where no value came twice in the sample: then
they may be a key.
"""

import re
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
    Plan,
    Relation,
    Step,
    bins,
    less,
    literal,
    may_identify,
    output,
    quote,
)
from cataloger_sandbox.engines.estimate import (
    HLL_MANY,
    filled_rows,
    is_counted,
    is_large,
    is_repeated,
    sample_share,
    shares,
)
from cataloger_sandbox.engines.sketch import hyperloglog

INTEGERS = ("int2", "int4", "int8")
FLOATS = ("float4", "float8")
TIMES = ("date", "timestamp", "timestamptz", "time", "timetz")
TEXTS = ("text", "varchar", "bpchar", "citext", "name")
_DATED = ("date", "timestamp", "timestamptz")
_ORDERED = ("interval", "inet", "cidr", "money", "pg_lsn")
_NEXT = ",\n  "
_PLACE = {"number": "{}::float8".format, "time": "extract(epoch FROM {})::float8".format}
FAR = 1e5
"""Whole numbers that lie further from nothing than so many of their deviations use up a double's digits for what they
have in common: up to there a deviation from doubles is off by no more than one in ten thousand million."""

_PLACES = 2**30

# Sixty-four bits of a value, equal for equal values.
_HASHES = (
    dict.fromkeys(INTEGERS, "hashint8extended({}::int8, 0)")
    | dict.fromkeys(FLOATS, "hashfloat8extended({}::float8, 0)")
    | dict.fromkeys(("text", "varchar", "name"), "hashtextextended({}::text, 0)")
    | {
        "numeric": "hash_numeric_extended({}, 0)",
        "bpchar": "hashbpcharextended({}, 0)",
        "citext": "hashtextextended(lower({}::text), 0)",
        "timestamp": "timestamp_hash_extended({}, 0)",
        "timestamptz": "timestamp_hash_extended({} AT TIME ZONE 'UTC', 0)",
        "time": "time_hash_extended({}, 0)",
        "uuid": "uuid_hash_extended({}, 0)",
        "inet": "hashinetextended({}, 0)",
        "interval": "interval_hash_extended({}, 0)",
    }
)


def path(relation: Relation) -> str:
    """Return the relation's name as SQL, or the query for the part of it that stands for it."""
    return relation.part or f"{quote(relation.schema)}.{quote(relation.name)}"


def _value(column: Field) -> str:
    """Return *column* as SQL that can be grouped: types without equality are compared by their text."""
    name = quote(column.name)
    if not _is_comparable(column):
        return f"{name}::text"
    # An array of a domain's values would come back as one text.
    return f"{name}::{column.base}" if column.domain else name


def _is_comparable(column: Field) -> bool:
    return column.kind not in ("nested", "other") or column.base in (*_ORDERED, "enum", "uuid")


def _finite(column: Field, value: str, word: str = " FILTER (WHERE {})") -> str:
    """Return the condition that keeps NaN and infinities out, in *word*, or nothing where there can't be any."""
    if column.kind == "number" and column.floating:
        if column.base == "numeric" and (column.domain or "(" not in column.type):
            return word.format(f"{value} - {value} = 0")  # before PostgreSQL 14 it can't even be asked for infinity
        # One of fixed precision holds none.
        unlike = ["NaN"] if column.base == "numeric" else ["NaN", "Infinity", "-Infinity"]
        return word.format(f"{value} NOT IN ({', '.join(map(literal, unlike))})")
    return word.format(f"isfinite({value})") if column.base in _DATED else ""


def _scan(plan: Plan, fields: Sequence[Field], _facts: Facts) -> str:
    """Count the rows and the nulls, and measure what takes little more time than counting.

    Texts and decimals take several times as long as all the rest: they have their turn where they are grouped, or in
    ``_rest``. So have columns that the server's own statistics expect to have few values. Columns that they expect to
    have no nulls have these counted together: none in all is none in each, else ``_nulls`` counts them one by one.
    """
    never = plan.relation.fixed and not plan.relation.parts
    together = [quote(column.name) for column in fields if column.full and not (never and column.nullable is False)]
    none = f"CASE WHEN sum(num_nulls({', '.join(together)})) = 0 THEN 0 END"
    outputs = ["count(*) AS rows"]
    if plan.newest and plan.newest in fields:
        name, now = quote(plan.newest.name), _now(plan, plan.newest)
        outputs.append(f"CASE WHEN max({name}) <= {now} THEN max({name}) END AS newest")
    for column in fields:
        name = quote(column.name)
        measures = {"nulls": none if name in together else f"count(*) - count({name})"}
        if never and column.nullable is False:
            measures["nulls"] = "0 /* declared NOT NULL */"
        if plan.relation.is_declared_unique(column):
            measures["distinct"] = f"count({name}) /* unique by a key */"
        if plan.values and not _waits(plan, column):
            measures |= _aggregates(column, name, "")
        outputs += [f"{sql} AS {output(column, fact)}" for fact, sql in measures.items()]
    return f"SELECT {_NEXT.join(outputs)}\nFROM {path(plan.relation)}"


def _wants_nulls(_plan: Plan, column: Field, facts: Facts) -> bool:
    return column.full and output(column, "nulls") in facts and facts[output(column, "nulls")] is None


def _nulls(plan: Plan, fields: Sequence[Field], _facts: Facts) -> str:
    counts = [f"count(*) - count({quote(column.name)}) AS {output(column, 'nulls')}" for column in fields]
    return f"SELECT {_NEXT.join(counts)}\nFROM {path(plan.relation)}"


def _now(plan: Plan, column: Field) -> str:
    zoned = column.base == "timestamptz"
    return f"timestamptz '{plan.now}+00'" if zoned else f"timestamp '{plan.now}'"


def _waits(plan: Plan, column: Field) -> bool:
    """Tell whether *column* is left out of the scan, but for its nulls."""
    if column.kind == "text" or column.base == "numeric":
        return True
    return column.few and column is not plan.newest and column.base not in FLOATS and column.kind in ("number", "time")


def _aggregates(column: Field, name: str, length: str) -> dict[str, str]:
    """Return what is asked of the values *name*, which are of as many characters as *length* says."""
    if column.kind == "number":
        # Of int8 and float8 the second moment is a double's: exact ones take ten times as long; see ``_again``.
        spread = f"{name}::float8" if column.base == "int8" else name
        mean, std = f"avg({name})", f"stddev_samp({spread})"
        if column.base == "numeric":
            mean, std = _double(mean), _double(std)
        elif column.base != "float8":
            mean, std = f"{mean}::float8", f"{std}::float8"
        return {"min": f"min({name})", "max": f"max({name})", "mean": mean, "std": std}
    if column.kind == "time" or column.base in (*_ORDERED, "enum"):
        return {"min": f"min({name})", "max": f"max({name})"}
    if column.kind == "text":
        return _text_ends(name) | _lengths(length)
    return _lengths(f"octet_length({name})") if column.kind == "binary" else {}


def _double(number: str) -> str:
    """Return a numeric as a double; the cast fails for what is beyond one, and for what is nearly nothing."""
    return f"CASE WHEN abs({number}) >= 1e308 THEN 'Infinity' ELSE round({number}, 300)::float8 END"


def _text_ends(text: str) -> dict[str, str]:
    """Return the least and the greatest *text* by code points, as in other engines: collations are slow, and change."""
    return {end: f'left({end}({text}::text COLLATE "C"), {CUT})' for end in ("min", "max")}


def _lengths(length: str) -> dict[str, str]:
    return {
        "min_length": f"min({length})",
        "max_length": f"max({length})",
        "mean_length": f"avg({length})::float8",
    }


def _wants_rest(plan: Plan, column: Field, facts: Facts) -> bool:
    wanted = _aggregates(column, "", "")
    return plan.values and bool(wanted) and all(output(column, fact) not in facts for fact in wanted)


def _rest(plan: Plan, fields: Sequence[Field], _facts: Facts) -> str:
    """Measure what the scan left to the groups and these did not give.

    A length is asked for in a join that can't be folded into its three uses, and does not hinder parallel workers.
    """
    values, lengths, outputs = [], [], []
    for column in fields:
        value, length = f"v{column.index}", f"l{column.index}"
        values.append(f"{quote(column.name)} AS {value}")
        if column.kind == "text":
            lengths.append(f"length({value}) AS {length}")
        outputs += [f"{sql} AS {output(column, fact)}" for fact, sql in _aggregates(column, value, length).items()]
    joined = f"\nLEFT JOIN LATERAL (SELECT {', '.join(lengths)}) AS x ON true" if lengths else ""
    return f"SELECT {_NEXT.join(outputs)}\nFROM (SELECT {', '.join(values)} FROM {path(plan.relation)}) AS s{joined}"


def _wants_again(plan: Plan, column: Field, facts: Facts) -> bool:
    if not plan.values or column.kind != "number" or output(column, "infinite") in facts:
        return False
    ends = [facts.get(output(column, end)) for end in ("min", "max")]
    if column.floating:
        return any(end in ("NaN", "Infinity", "-Infinity") for end in ends)
    std, far = number(facts.get(output(column, "std"))), max(abs(number(end) or 0) for end in ends)
    if column.base != "int8" or std is None or (ends[0] == ends[1] and std == 0):
        return False
    return far > std * FAR


def _again(plan: Plan, fields: Sequence[Field], _facts: Facts) -> str:
    """Measure again, among the finite values, what others spoil; and exactly what a double is too coarse for."""
    outputs = []
    for column in fields:
        name, finite = quote(column.name), _finite(column, quote(column.name))
        measures = {"std": f"stddev_samp({name})::float8"}
        if column.floating:
            mean, std = f"avg({name}){finite}", f"stddev_samp({name}){finite}"
            if column.base == "numeric":
                mean, std = _double(f"({mean})"), _double(f"({std})")
            measures = {"mean": mean, "std": std, "infinite": f"count({name}) - count({name}){finite}"}
        outputs += [f"{sql} AS {output(column, fact)}" for fact, sql in measures.items()]
    return f"SELECT {_NEXT.join(outputs)}\nFROM {path(plan.relation)}"


def _wants_newest(plan: Plan, column: Field, facts: Facts) -> bool:
    """Tell whether the time that tells how fresh the table is goes beyond now."""
    return column is plan.newest and facts.get("newest") is None and facts.get(output(column, "max")) is not None


def _newest(plan: Plan, fields: Sequence[Field], _facts: Facts) -> str:
    [column] = fields
    name = quote(column.name)
    return f"SELECT max({name}) AS newest\nFROM {path(plan.relation)}\nWHERE {name} <= {_now(plan, column)}"


def drawn(relation: Relation, outputs: Sequence[str], share: float) -> str:
    """Return the query for *outputs* of a *share* of the rows, each drawn by itself, spread over the whole table."""
    listed = f"SELECT {', '.join(outputs)} FROM {path(relation)}"
    if share >= 1:
        return listed
    if relation.fixed and relation.parts:
        # TABLESAMPLE would take the same places of each part, and with them the same things if all are alike.
        place = f"hashtextextended(ctid::text, tableoid::int8) & {_PLACES - 1} < {round(share * _PLACES)}"
        return f"{listed} WHERE {place}"
    if relation.fixed:
        return f"{listed} TABLESAMPLE BERNOULLI ({100 * share:.6f}) REPEATABLE (1)"
    return f"{listed} WHERE random() < {share:.8f}"


def _drawn(plan: Plan, outputs: Sequence[str], facts: Facts) -> str:
    """Return the sample ``s``."""
    return f"WITH s AS ({drawn(plan.relation, outputs, sample_share(plan, facts))})"


def _wants_seen(plan: Plan, column: Field, facts: Facts) -> bool:
    return is_large(plan, column, facts) and not plan.relation.is_declared_unique(column)


def _seen(plan: Plan, fields: Sequence[Field], facts: Facts) -> str:
    """Count the values in the sample that differ, and those that come once."""
    outputs, pieces = [], ["(SELECT count(*) AS sampled FROM s) AS t"]
    for column in fields:
        plain = _is_comparable(column) and column.kind not in ("text", "binary", "nested")
        # The sample is kept while it is looked at: long values by their hash.
        value = _value(column) if plain else f"hashtextextended({quote(column.name)}::text, 0)"
        outputs.append(f"{value} AS c{column.index}")
        groups = f"SELECT count(*) AS n FROM s WHERE c{column.index} IS NOT NULL GROUP BY c{column.index}"
        seen = f"count(*) AS {output(column, 'seen')}, count(*) FILTER (WHERE n = 1) AS {output(column, 'once')}"
        pieces.append(f"(SELECT {seen} FROM ({groups}) AS g) AS t{column.index}")
    return f"{_drawn(plan, outputs, facts)}\nSELECT *\nFROM {_NEXT.join(pieces)}"


def _values(plan: Plan, fields: Sequence[Field], facts: Facts) -> str:
    """Group each column's values once, and measure them and their bins from the groups."""
    groups, pieces = [], []
    for column in fields:
        name, group = quote(column.name), output(column, "groups")
        groups.append(
            f"{group} AS (SELECT {_value(column)} AS v, count(*) AS n "
            f"FROM {path(plan.relation)} WHERE {name} IS NOT NULL GROUP BY 1)"
        )
        pieces.append(_grouped(plan, column, facts, group))
        if plan.values and (piece := _grouped_bins(column, facts, group)):
            pieces.append(piece)
    numbered = [f"{piece} AS t{i}" for i, piece in enumerate(pieces)]
    return f"WITH {_NEXT.join(groups)}\nSELECT *\nFROM {_NEXT.join(numbered)}"


def _grouped(plan: Plan, column: Field, facts: Facts, group: str) -> str:
    """Return the subquery over a column's distinct values: how many, the most frequent, the quantiles, and the rest."""
    if not plan.values or column.kind in ("nested", "binary"):
        return f"(SELECT count(*) AS {output(column, 'distinct')} FROM {group})"
    outputs = {"distinct": "count(*)"} | (_weighted(column) if output(column, "min") not in facts else {})
    order = 'v COLLATE "C"' if column.kind == "text" or not _is_comparable(column) else "v"
    windows = [f"row_number() OVER (ORDER BY n DESC, {order}) AS r"]
    native = column.kind != "text" and (column.kind != "other" or column.base in (*_ORDERED, "uuid"))
    shown = "v" if native else f"left(v::text, {CUT})"
    if column.kind in ("number", "time"):
        over = _finite(column, "v")
        windows += [f"sum(n){over} OVER (ORDER BY v) AS u", f"sum(n){over} OVER () AS t"]
        also = _finite(column, "v", " AND {}")
        outputs |= {fact: f"min(v) FILTER (WHERE {share}{also})" for fact, share in SHARES.items()}
    outputs |= {
        "top": f"(array_agg({shown}) FILTER (WHERE r = 1))[1]",
        "top_count": "max(n) FILTER (WHERE r = 1)",
        "tops": f"array_agg({shown} ORDER BY r) FILTER (WHERE r <= {TOP})",
        "counts": f"array_agg(n ORDER BY r) FILTER (WHERE r <= {TOP})",
    }
    listed = ", ".join(f"{sql} AS {output(column, fact)}" for fact, sql in outputs.items())
    return f"(SELECT {listed} FROM (SELECT v, n, {', '.join(windows)} FROM {group}) AS w)"


def _weighted(column: Field) -> dict[str, str]:
    """Return what the scan left out of a column, from its distinct values ``v``, each of which comes ``n`` times."""
    if column.kind == "text":
        if column.loose:  # one of those that are equal stands for all
            return {}
        length = "length(v)"
        mean = f"(sum({length} * n) / sum(n))::float8"
        return _text_ends("v") | _lengths(length) | {"mean_length": mean}
    ends = {"min": "min(v)", "max": "max(v)"}
    if column.kind != "number":
        return ends if column.kind == "time" else {}
    finite = _finite(column, "v")
    values, total, squares = f"sum(n){finite}", f"sum(v::numeric * n){finite}", f"sum(v::numeric * v * n){finite}"
    spread = f"sqrt(({values} * {squares} - ({total}) * {total}) / ({values} * (({values}) - 1)))"
    ends |= {"mean": _double(f"({total} / {values})"), "std": f"CASE WHEN {values} > 1 THEN {_double(spread)} END"}
    if column.floating:
        ends["infinite"] = f"(coalesce(sum(n), 0) - coalesce({values}, 0))::bigint"
    return ends


def _grouped_bins(column: Field, facts: Facts, group: str) -> str | None:
    """Return the subquery that counts a column's grouped values in bins of equal width between the finite ends."""
    low, high = (output(column, end) for end in ("min", "max"))
    if column.kind not in ("number", "time") or column.base == "timetz" or (low in facts and facts[low] == facts[high]):
        return None
    place = _PLACE[column.kind]
    # A numeric may be beyond what can be placed.
    end = "CASE WHEN abs({0}) < 1e308 THEN {0}::float8 END".format if column.base == "numeric" else place
    size = f"CASE WHEN hi - lo < {EACH_WHOLE} THEN (hi - lo)::int + 1 ELSE {BINS} END" if column.integer else str(BINS)
    finite = _finite(column, "v", "WHERE {} ")
    # Materialized: where the planner knows nothing of a table or view it expects one finite value, and would look for
    # both ends again for each of them.
    ends = f"WITH e AS MATERIALIZED (SELECT min(v) AS first, max(v) AS last FROM {group} {finite})"
    sized = (
        f"({ends} SELECT *, {size} AS k FROM (SELECT *, {end('first')} AS lo, {end('last')} AS hi FROM e) AS p) AS z"
    )
    placed = (
        f"SELECT least(k - 1, floor(({place('v')} - lo) / (hi - lo) * k))::int AS b, sum(n) AS n, k, first, last "
        f"FROM {group}, {sized} WHERE hi > lo{_finite(column, 'v', ' AND {}')} GROUP BY 1, 3, 4, 5"
    )
    named = {"histogram": "json_object_agg(b, n)", "bins": "max(k)", "low": "max(first)", "high": "max(last)"}
    listed = ", ".join(f"{sql} AS {output(column, fact)}" for fact, sql in named.items())
    return f"(SELECT {listed} FROM ({placed}) AS h)"


def _bins(column: Field, facts: Facts, source: str, whole: str) -> str | None:
    """Return the subquery that counts the values ``v`` of *source* in bins of equal width.

    The least and the greatest finite ``v`` are looked for in *whole* if they are not known.
    """
    low, high = facts.get(output(column, "min")), facts.get(output(column, "max"))
    if column.kind not in ("number", "time") or low is None or low == high or column.base == "timetz":
        return None
    first, last = number(low), number(high)
    count = bins(column, 0, 1e9)
    place = _PLACE[column.kind]
    finite, found = _finite(column, "v", " AND {}"), ""
    if column.kind == "number" and first is not None and last is not None:
        count = bins(column, first, last)
        a, b = f"{first!r}::float8", f"{last!r}::float8"
    elif column.kind == "time" and all(re.match(r"\d{4}-|\d\d:", str(end)) for end in (low, high)):
        a, b = (place(f"{literal(str(end))}::{column.base}") for end in (low, high))
    else:  # infinite, or of a year that PostgreSQL writes in a way of its own
        a, b = (f"(SELECT {place(f'{end}(v)')} FROM {whole} WHERE v IS NOT NULL{finite})" for end in ("min", "max"))
    if any("Infinity" in str(end) or end == "NaN" for end in (low, high)):
        ends = f"(SELECT {{}}(v) FROM {whole} WHERE v IS NOT NULL{finite})"
        found = f", {ends.format('min')} AS {output(column, 'low')}, {ends.format('max')} AS {output(column, 'high')}"
    step = f"floor(({place('v')} - {a}) / nullif({b} - {a}, 0) * {count})"
    inner = (
        f"SELECT least({count - 1}, {step})::int AS b, count(*) AS n FROM {source} "
        f"WHERE v IS NOT NULL{finite} GROUP BY 1"
    )
    return (
        f"(SELECT json_object_agg(b, n) AS {output(column, 'histogram')}, {count} AS {output(column, 'bins')}{found} "
        f"FROM ({inner}) AS h WHERE b IS NOT NULL)"
    )


def _wants_sampled(plan: Plan, column: Field, facts: Facts) -> bool:
    return plan.values and column.kind in ("number", "time") and _is_estimated(plan, column, facts)


def _sampled(plan: Plan, fields: Sequence[Field], facts: Facts) -> str:
    """Measure the quantiles and count the bins of a sample."""
    outputs, pieces = [], ["(SELECT count(*) AS sampled FROM s)"]
    for column in fields:
        value, source = _value(column), f"(SELECT c{column.index} AS v FROM s) AS x"
        outputs.append(f"{value} AS c{column.index}")
        asked = shares(plan, column, facts)
        listed = ", ".join(f"q[{i}] AS {output(column, fact)}" for i, fact in enumerate(asked, start=1))
        array = f"ARRAY[{', '.join(map(str, asked.values()))}]"
        finite = _finite(column, "v", " AND {}")
        pieces.append(
            f"(SELECT n AS {output(column, 'sampled')}, {listed} "
            f"FROM (SELECT count(*) AS n, percentile_disc({array}) WITHIN GROUP (ORDER BY v) AS q "
            f"FROM {source} WHERE v IS NOT NULL{finite}) AS g)"
        )
        whole = f"(SELECT {value} AS v FROM {path(plan.relation)}) AS w"
        if piece := _bins(column, facts, source, whole):
            pieces.append(piece)
    numbered = [f"{piece} AS t{i}" for i, piece in enumerate(pieces)]
    return f"{_drawn(plan, outputs, facts)}\nSELECT *\nFROM {_NEXT.join(numbered)}"


def _is_estimated(plan: Plan, column: Field, facts: Facts) -> bool:
    grouped = is_counted(plan, column, facts) and facts.get(output(column, "distinct")) is not None
    return is_large(plan, column, facts) and not grouped


def _wants_estimate(plan: Plan, column: Field, facts: Facts) -> bool:
    return facts.get(output(column, "distinct")) is None and _is_estimated(plan, column, facts)


def _hashed(column: Field) -> str:
    name = quote(column.name)
    value = f"{name}::{column.base}" if column.domain else name
    return _HASHES.get(column.base, "hashtextextended({}::text, 0)").format(value)


def _wants_unique(plan: Plan, column: Field, facts: Facts) -> bool:
    return column.kind == "text" and _wants_distinct(plan, column, facts)


def _unique(plan: Plan, fields: Sequence[Field], _facts: Facts) -> str:
    """Tell that all texts differ where all their hashes do, as numbers are sorted much faster than texts."""
    [column] = fields
    name = quote(column.name)
    return (
        f"SELECT CASE WHEN count(DISTINCT {_hashed(column)}) = count({name}) THEN count({name}) END "
        f"AS {output(column, 'distinct')}\nFROM {path(plan.relation)}"
    )


def _wants_distinct(plan: Plan, column: Field, facts: Facts) -> bool:
    may = may_identify(column, column.kind, facts) and not is_repeated(column, facts)
    return may and _wants_estimate(plan, column, facts)


def _distinct(plan: Plan, fields: Sequence[Field], _facts: Facts) -> str:
    """Count distinct values one by one: numbers are faster sorted, texts hashed."""
    [column] = fields
    name, counted = quote(column.name), output(column, "distinct")
    if column.kind != "text":
        return f"SELECT count(DISTINCT {name}) AS {counted}\nFROM {path(plan.relation)}"
    groups = f"SELECT {name} FROM {path(plan.relation)} WHERE {name} IS NOT NULL GROUP BY 1"
    return f"SELECT count(*) AS {counted}\nFROM ({groups}) AS g"


def _hll(plan: Plan, fields: Sequence[Field], facts: Facts) -> str:
    """Estimate the number of distinct values; see ``sketch``."""
    [column] = fields
    seen = facts.get(output(column, "seen"))
    return hyperloglog(
        _hashed(column),
        path(plan.relation),
        filled_rows(column, facts),
        output(column, "distinct"),
        output(column, "kept"),
        skip=isinstance(seen, int) and seen >= HLL_MANY,
    )


STEPS: Sequence[Step] = (
    Step(lambda *_: True, _scan, 40, "its profile", first=True, instead=less(path)),
    Step(_wants_nulls, _nulls, 40, "its nulls"),
    Step(_wants_seen, _seen, 40, "how many of its values differ"),
    Step(is_counted, _values, 10, "its distinct values, quantiles, top values and histogram"),
    Step(_wants_rest, _rest, 40, "its profile", instead=less(path)),
    Step(_wants_again, _again, 40, "its mean and deviation"),
    Step(_wants_newest, _newest, 1, "its newest time"),
    Step(_wants_sampled, _sampled, 20, "its quantiles and histogram"),
    Step(_wants_unique, _unique, 1, "its exact number of distinct values"),
    Step(_wants_distinct, _distinct, 1, "its exact number of distinct values"),
    Step(_wants_estimate, _hll, 1, "its number of distinct values"),
)
