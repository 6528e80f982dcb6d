"""The SQL of a profile in DuckDB. Which parts of it are estimates is decided in ``estimate``.

A small table is measured exactly in one scan, and its values are counted in another. Of a large one a sample tells
how many values of each column differ: where these are few, they are grouped and everything comes from the groups,
exactly; grouping is there the cheapest of all measures. The other columns are scanned once, give their quantiles and
histogram from a sample, and their number of distinct values from a set of bits, where whole numbers lie close enough
together, or from a HyperLogLog.
"""

from collections.abc import Sequence

from cataloger_sandbox.encode import number
from cataloger_sandbox.engines.base import (
    BINS,
    CUT,
    EACH_WHOLE,
    QUANTILES,
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
    output,
    quote,
)
from cataloger_sandbox.engines.estimate import filled_rows, likely_distinct, sample_share, shares
from cataloger_sandbox.engines.sketch import hyperloglog

GROUPED = 50_000
"""A column of at most so many different values, going by a sample, has them grouped and counted."""

BITS = 2**27
"""Whole numbers over a range of at most so many are counted in a set of bits, of which each thread keeps one."""

_DATED = ("DATE", "TIMESTAMP")
_PLACES = 2**30
_NEXT = ",\n  "


def path(relation: Relation) -> str:
    """Return the relation's name as SQL, or the query for the part of it, or its pieces, that stands for it."""
    if relation.part or relation.pieces:
        return relation.part or relation.pieces
    return quote(relation.name) if relation.schema == "main" else f"{quote(relation.schema)}.{quote(relation.name)}"


def drawn(relation: Relation, outputs: Sequence[str], share: float) -> str:
    """Return the query for *outputs* of a *share* of the rows, each drawn by itself, spread over the whole table."""
    listed = f"SELECT {', '.join(outputs)} FROM {path(relation)}"
    if share >= 1:
        return listed
    if relation.fixed:
        return f"{listed} WHERE hash(rowid) % {_PLACES} < {round(share * _PLACES)}"
    return f"{listed} WHERE random() < {share:.8f}"


def _scan(plan: Plan, fields: Sequence[Field], _facts: Facts) -> str:
    """Count the rows, and measure the columns of a small table."""
    outputs = ["count(*) AS rows"]
    if plan.newest and plan.newest in fields:
        name = f"c{plan.newest.index}" if plan.small else quote(plan.newest.name)
        bound = f"TIMESTAMPTZ '{plan.now}+00'" if "WITH TIME ZONE" in plan.newest.base else f"TIMESTAMP '{plan.now}'"
        outputs.append(f"max({name}) FILTER (WHERE {name} <= {bound}) AS newest")
    if not plan.small:
        return f"SELECT {_NEXT.join(outputs)}\nFROM {path(plan.relation)}"
    measured, unpacked = _measures(plan, fields) if fields else ([], [])
    listed = ", ".join(f"{quote(column.name)} AS c{column.index}" for column in fields) or "*"
    inner = f"SELECT {_NEXT.join(outputs + measured)}\nFROM (SELECT {listed} FROM {path(plan.relation)})"
    return f"SELECT {_NEXT.join(['*', *unpacked])}\nFROM ({inner})" if unpacked else inner


def _measures(plan: Plan, fields: Sequence[Field]) -> tuple[list[str], list[str]]:
    """Return each measure once, over all columns that it is taken of, and the quantiles taken out of their lists.

    A page holds the query of each of its tables, and in a database of hundreds a measure for each column is too long.
    """
    measures = [r'count(*) - count(COLUMNS(*)) AS "\0_nulls"', r'count(DISTINCT COLUMNS(*)) AS "\0_distinct"']
    if not plan.values:
        return measures, []
    kinds: dict[str, list[Field]] = {
        "ordered": [column for column in fields if column.kind in ("number", "time", "other")],
        "floating": [column for column in fields if column.kind == "number" and column.floating],
        "number": [column for column in fields if column.kind == "number" and not column.floating],
        "time": [column for column in fields if column.kind == "time"],
        "text": [column for column in fields if column.kind == "text"],
        "binary": [column for column in fields if column.kind == "binary"],
    }

    def add(of: Sequence[Field], **facts: str) -> None:
        each = f"COLUMNS([{', '.join(literal(f'c{column.index}') for column in of)}])"
        measures.extend(f'{sql.format(each)} AS "\\0_{fact}"' for fact, sql in facts.items() if of)

    quantiles = f"quantile_disc({{0}}, [{', '.join(str(float(share)) for share in QUANTILES)}])"
    finite = " FILTER (WHERE isfinite({0}))"
    add(kinds["ordered"], min="min({0})", max="max({0})")
    add(kinds["number"], mean="avg({0}::DOUBLE)", std="stddev_samp({0}::DOUBLE)")
    add(kinds["floating"], mean=f"avg({{0}}::DOUBLE){finite}", std=f"stddev_samp({{0}}::DOUBLE){finite}")
    add(kinds["floating"], infinite="count({0}) FILTER (WHERE NOT isfinite({0}))", q=f"{quantiles}{finite}")
    add([*kinds["number"], *kinds["time"]], q=quantiles)
    add(kinds["text"], min=f"left(min({{0}}), {CUT})", max=f"left(max({{0}}), {CUT})")
    add(kinds["text"], **_lengths("length({0})"))
    add(kinds["binary"], **_lengths("octet_length({0})"))
    if not kinds["number"] and not kinds["floating"] and not kinds["time"]:
        return measures, []
    lists = r"COLUMNS('^(c\d+)_q$')"
    return measures, [f'list_extract({lists}, {i}) AS "\\1_{fact}"' for i, fact in enumerate(QUANTILES.values(), 1)]


def _aggregates(plan: Plan, column: Field) -> list[str]:
    name = quote(column.name)
    facts = {"nulls": f"count(*) - count({name})"}
    if plan.relation.is_declared_unique(column):
        facts["distinct"] = f"count({name}) /* unique by a key */"
    if plan.values:
        finite = _finite(column, name)
        if column.kind in ("number", "time") or column.kind == "other":
            facts |= {"min": f"min({name})", "max": f"max({name})"}
        if column.kind == "number":
            facts |= {"mean": f"avg({name}::DOUBLE){finite}", "std": f"stddev_samp({name}::DOUBLE){finite}"}
            if column.floating:
                facts["infinite"] = f"count({name}) FILTER (WHERE NOT isfinite({name}))"
        if column.kind == "text":
            facts |= {"min": f"left(min({name}), {CUT})", "max": f"left(max({name}), {CUT})"}
        if column.kind in ("text", "binary"):
            facts |= _lengths(_length(column, name))
    return [f"{sql} AS {output(column, fact)}" for fact, sql in facts.items()]


def _length(column: Field, value: str) -> str:
    return f"length({value})" if column.kind == "text" else f"octet_length({value})"


def _lengths(length: str) -> dict[str, str]:
    return {"min_length": f"min({length})", "max_length": f"max({length})", "mean_length": f"avg({length})"}


def _finite(column: Field, value: str, word: str = " FILTER (WHERE {})") -> str:
    """Return the condition that keeps NaN and infinities out, in *word*, or nothing where there can't be any."""
    return word.format(f"isfinite({value})") if column.floating else ""


def _wants_values(plan: Plan, column: Field, facts: Facts) -> bool:
    return plan.small and plan.values and (_wants_top(plan, column, facts) or _wants_bins(column, facts))


def _wants_top(plan: Plan, column: Field, facts: Facts) -> bool:
    limit, distinct = plan.limits.top_distinct, facts.get(output(column, "distinct"))
    return column.kind not in ("binary", "nested") and isinstance(distinct, int) and 0 < distinct <= limit


def _wants_bins(column: Field, facts: Facts) -> bool:
    low, high = facts.get(output(column, "min")), facts.get(output(column, "max"))
    return column.kind in ("number", "time") and low is not None and low != high


def _values(plan: Plan, fields: Sequence[Field], facts: Facts) -> str:
    """Take each column's most frequent values, by how often they come and then by their order, and its bins.

    All columns are grouped by one aggregation, each a set of groups of its own: a query for each takes longer to plan
    than to run, and is too long for a page of hundreds of tables. Where all values differ, the least come first.
    """
    topped = [column for column in fields if _wants_top(plan, column, facts)]
    differing = [column for column in topped if facts[output(column, "distinct")] == filled_rows(column, facts)]
    repeating = [column for column in topped if column not in differing]
    charted = [column for column in fields if _wants_bins(column, facts)]
    table, sources = path(plan.relation), []
    if repeating:
        sets = ", ".join(f"(c{column.index})" for column in repeating)
        groups = f"SELECT {_numbered(repeating)}, count(*) AS n FROM {table} GROUP BY GROUPING SETS ({sets})"
        sources.append(f"(SELECT {_first('-n', '* EXCLUDE n')}\n  FROM ({groups}))")
    if differing:
        sources.append(f"(SELECT {_first('-1', '*')}\n  FROM (SELECT {_numbered(differing)} FROM {table}))")
    if charted:
        charts = [output for column in charted for output in _bins(plan, column, facts)]
        sources.append(f"(SELECT {', '.join(charts)}\n  FROM {table})")
    if not topped:
        return f"SELECT *\nFROM {_NEXT.join(sources)}"
    taken = [r"COLUMNS('_(?:histogram|bins|low|high)$')"] if charted else []
    taken.append(_taken(topped, "-e[1]", "counts"))
    for value, of in (
        ("e[2]", [column for column in topped if column.kind != "text"]),
        (f"left(e[2], {CUT})", [column for column in topped if column.kind == "text"]),
    ):
        if of:
            taken.append(_taken(of, value, "tops"))
    tops = (
        r"""list_extract(COLUMNS('^(c\d+)_tops$'), 1) AS "\1_top", """
        r"""list_extract(COLUMNS('^(c\d+)_counts$'), 1) AS "\1_top_count" """.rstrip()
    )
    return f"SELECT *, {tops}\nFROM (SELECT {_NEXT.join(taken)}\nFROM {_NEXT.join(sources)})"


def _first(count: str, columns: str) -> str:
    """Return the first values of *columns*, each behind its *count*, which is less the more often it comes."""
    value = f"COLUMNS({columns})"
    return rf'min(({count}, {value}), {TOP}) FILTER (WHERE {value} IS NOT NULL) AS "\0_first"'


def _numbered(fields: Sequence[Field]) -> str:
    return ", ".join(f"{quote(column.name)} AS c{column.index}" for column in fields)


def _taken(fields: Sequence[Field], value: str, fact: str) -> str:
    """Return *value* of each entry ``e`` of the first values of *fields*."""
    numbers = "|".join(str(column.index) for column in fields)
    return f"""list_transform(COLUMNS('^(c(?:{numbers}))_first$'), lambda e: {value}) AS "\\1_{fact}" """.rstrip()


def _bins(plan: Plan, column: Field, facts: Facts) -> list[str]:
    name, count, found = quote(column.name), bins(column, 0, 1e9), []
    # least() passes over nulls, so they are kept out before it.
    kept = f" FILTER (WHERE {name} IS NOT NULL)"
    ends = _ends(column, facts)
    if ends is None:
        kept = f" FILTER (WHERE isfinite({name}))"
        least, most = (
            f"(SELECT {end}({name}) FROM {path(plan.relation)} WHERE isfinite({name}))" for end in ("min", "max")
        )
        found = [f"{least} AS {output(column, 'low')}", f"{most} AS {output(column, 'high')}"]
        ends = _place(column, least), _place(column, most)
    elif column.kind == "number":
        count = bins(column, *(number(facts[output(column, end)]) or 0.0 for end in ("min", "max")))
    a, b = ends
    # The filter comes after the argument, so an infinity must not fail in the cast.
    place = f"floor(({_place(column, name)} - {a}) / (({b} - {a}) / {count}))"
    return [
        f"histogram(TRY_CAST(least({count - 1}, {place}) AS INTEGER)){kept} AS {output(column, 'histogram')}",
        f"{count} AS {output(column, 'bins')}",
        *found,
    ]


def _ends(column: Field, facts: Facts) -> tuple[str, str] | None:
    """Return where a column's least and greatest value lie, as SQL; null where one is infinite or not plain."""
    low, high = (facts.get(output(column, end)) for end in ("min", "max"))
    if column.kind == "number":
        first, last = number(low), number(high)
        return None if first is None or last is None else (f"{first!r}::DOUBLE", f"{last!r}::DOUBLE")
    if not all(str(end)[:1].isdigit() for end in (low, high)):
        return None
    plain = [literal(str(end).replace("T", " ").replace("Z", "+00")) for end in (low, high)]
    return _place(column, f"{plain[0]}::{column.base}"), _place(column, f"{plain[1]}::{column.base}")


def _wants_seen(plan: Plan, column: Field, facts: Facts) -> bool:  # noqa: ARG001
    return not plan.small


def _seen(plan: Plan, fields: Sequence[Field], facts: Facts) -> str:
    """Count the values in the sample that differ, and those that come once."""
    outputs, pieces = [], ["(SELECT count(*) AS sampled FROM s)"]
    for column in fields:
        plain = column.kind in ("number", "time", "boolean")
        # The sample is kept while it is looked at: long values by their hash.
        outputs.append(f"{quote(column.name) if plain else _hashed(column)} AS c{column.index}")
        groups = f"SELECT count(*) AS n FROM s WHERE c{column.index} IS NOT NULL GROUP BY c{column.index}"
        seen = f"count(*) AS {output(column, 'seen')}, count(*) FILTER (WHERE n = 1) AS {output(column, 'once')}"
        pieces.append(f"(SELECT {seen} FROM ({groups}))")
    return f"{_sample(plan, outputs, facts)}\nSELECT *\nFROM {_NEXT.join(pieces)}"


def _hashed(column: Field) -> str:
    """Return 63 bits of a value, equal for equal values; null for null, which DuckDB would hash too."""
    name = quote(column.name)
    return f"CASE WHEN {name} IS NOT NULL THEN (hash({name}) >> 1)::BIGINT END"


def _sample(plan: Plan, outputs: Sequence[str], facts: Facts) -> str:
    return f"WITH s AS MATERIALIZED ({drawn(plan.relation, outputs, sample_share(plan, facts))})"


def _is_grouped(plan: Plan, column: Field, facts: Facts) -> bool:
    likely = None if column.index in plan.long else likely_distinct(plan, column, facts)
    return not plan.small and likely is not None and likely <= min(GROUPED, plan.limits.exact_rows)


def _grouped(plan: Plan, fields: Sequence[Field], _facts: Facts) -> str:
    """Group each column's values once, and measure them and their bins from the groups."""
    table = path(plan.relation)
    groups, pieces = [], []
    for column in fields:
        name, group = quote(column.name), output(column, "groups")
        # Nulls are one group more, so that they are counted by the same pass.
        groups.append(f"{group} AS MATERIALIZED (SELECT {name} AS v, count(*) AS n FROM {table} GROUP BY 1)")
        pieces.append(_from_groups(plan, column, group))
        if plan.values and column.kind in ("number", "time"):
            ends = f"SELECT {_place(column, 'min(v)')} AS lo, {_place(column, 'max(v)')} AS hi FROM {group}"
            pieces.append(_binned(column, group, f"{ends}{_bounded(column, 'v', ' WHERE {}')}", "n", group))
    return f"WITH {_NEXT.join(groups)}\nSELECT *\nFROM {_NEXT.join(pieces)}"


def _from_groups(plan: Plan, column: Field, group: str) -> str:
    """Return the subquery over a column's distinct values, each with its count ``n``."""
    outputs = {"nulls": "coalesce(sum(n) FILTER (WHERE v IS NULL), 0)::BIGINT", "distinct": "count(v)"}
    windows: list[str] = []
    if plan.values:
        finite = _finite(column, "v")
        if column.kind in ("number", "time", "other"):
            outputs |= {"min": "min(v)", "max": "max(v)"}
        if column.kind in ("number", "time"):
            counted = f"n) FILTER (WHERE v IS NOT NULL{_finite(column, 'v', ' AND {}')})"
            windows += [f"sum({counted} OVER (ORDER BY v) AS u", f"sum({counted} OVER () AS t"]
            also = _finite(column, "v", " AND {}")
            outputs |= {fact: f"min(v) FILTER (WHERE {share}{also})" for fact, share in SHARES.items()}
        if column.kind == "number":
            windows.append(f"sum(v::DOUBLE * n){finite} OVER () / sum({counted} OVER () AS m")
            outputs["mean"] = "max(m)"
            outputs["std"] = f"CASE WHEN max(t) > 1 THEN sqrt(sum(n * (v - m) ^ 2){finite} / (max(t) - 1)) END"
            if column.floating:
                outputs["infinite"] = "coalesce(sum(n) FILTER (WHERE NOT isfinite(v)), 0)::BIGINT"
        if column.kind == "text":
            outputs |= {"min": f"left(min(v), {CUT})", "max": f"left(max(v), {CUT})"}
        if column.kind in ("text", "binary"):
            length = _length(column, "v")
            outputs |= _lengths(length) | {"mean_length": f"sum(n * {length}) / sum(n) FILTER (WHERE v IS NOT NULL)"}
        if column.kind not in ("binary", "nested"):
            windows.append("row_number() OVER (ORDER BY v IS NULL, n DESC, v) AS r")
            shown = f"left(v, {CUT})" if column.kind == "text" else "v"
            first = f"FILTER (WHERE r <= {TOP} AND v IS NOT NULL)"
            outputs |= {
                "top": f"max({shown}) FILTER (WHERE r = 1)",
                "top_count": "max(n) FILTER (WHERE r = 1 AND v IS NOT NULL)",
                "tops": f"list({shown} ORDER BY r) {first}",
                "counts": f"list(n ORDER BY r) {first}",
            }
    listed = ", ".join(f"{sql} AS {output(column, fact)}" for fact, sql in outputs.items())
    return f"(SELECT {listed} FROM (SELECT {', '.join(['v', 'n', *windows])} FROM {group}))"


def _place(column: Field, value: str) -> str:
    """Return where a value lies on the line that is cut into bins."""
    return f"{value}::DOUBLE" if column.kind == "number" else f"epoch({value})"


def _bounded(column: Field, value: str, word: str) -> str:
    """Return the condition under which a value has a bin, in *word*."""
    if column.floating or column.base.startswith(_DATED):
        return word.format(f"isfinite({value})")
    return word.format(f"{value} IS NOT NULL")


def _binned(column: Field, source: str, ends: str, weight: str, whole: str | None) -> str:
    """Return the subquery that counts the values ``v`` of *source* in bins of equal width.

    Args:
        ends: the query for the ends of the line, ``lo`` and ``hi``.
        weight: how many values a row of *source* stands for.
        whole: where the least and the greatest finite ``v`` are looked for if there may be infinite ones.
    """
    size = (
        f"CASE WHEN hi - lo < {EACH_WHOLE} THEN (hi - lo)::BIGINT + 1 ELSE {BINS} END" if column.integer else f"{BINS}"
    )
    step = f"floor(({_place(column, 'v')} - lo) / ((hi - lo) / k))"
    counted = (
        f"SELECT TRY_CAST(least(k - 1, {step}) AS INTEGER) AS b, sum({weight})::BIGINT AS s, k FROM {source}, "
        f"(SELECT lo, hi, {size} AS k FROM ({ends})) WHERE hi > lo AND {_bounded(column, 'v', '{}')} GROUP BY b, k"
    )
    found = ""
    if whole is not None and (column.floating or column.base.startswith(_DATED)):
        for end, function in (("low", "min"), ("high", "max")):
            least = f"(SELECT {function}(v) FROM {whole} WHERE isfinite(v))"
            found += f", {least} AS {output(column, end)}"
    return (
        f"(SELECT map_from_entries(list((b, s))) AS {output(column, 'histogram')}, "
        f"max(k) AS {output(column, 'bins')}{found} FROM ({counted}) WHERE b IS NOT NULL)"
    )


def _wants_whole(plan: Plan, column: Field, facts: Facts) -> bool:
    return not plan.small and not _is_grouped(plan, column, facts)


def _whole(plan: Plan, fields: Sequence[Field], _facts: Facts) -> str:
    """Measure what one pass over all rows can."""
    outputs = [each for column in fields for each in _aggregates(plan, column)]
    return f"SELECT {_NEXT.join(outputs)}\nFROM {path(plan.relation)}"


def _wants_sampled(plan: Plan, column: Field, facts: Facts) -> bool:
    return plan.values and column.kind in ("number", "time") and _wants_whole(plan, column, facts)


def _sampled(plan: Plan, fields: Sequence[Field], facts: Facts) -> str:
    """Measure the quantiles and count the bins of a sample."""
    outputs, pieces = [], ["(SELECT count(*) AS sampled FROM s)"]
    for column in fields:
        name, source = quote(column.name), f"(SELECT c{column.index} AS v FROM s)"
        outputs.append(f"{name} AS c{column.index}")
        asked = shares(plan, column, facts)
        listed = ", ".join(f"q[{i}] AS {output(column, fact)}" for i, fact in enumerate(asked, start=1))
        pieces.append(
            f"(SELECT n AS {output(column, 'sampled')}, {listed} FROM (SELECT count(*) AS n, "
            f"quantile_disc(v, [{', '.join(map(str, asked.values()))}]) AS q "
            f"FROM {source} WHERE v IS NOT NULL{_finite(column, 'v', ' AND {}')}))"
        )
        ends = _ends(column, facts)
        if ends is not None:
            pieces.append(_binned(column, source, f"SELECT {ends[0]} AS lo, {ends[1]} AS hi", "1", None))
            continue
        least, most = (_place(column, f"{end}({name})") for end in ("min", "max"))
        asked_of = f"FROM {path(plan.relation)}{_bounded(column, name, ' WHERE {}')}"
        whole = f"(SELECT {name} AS v FROM {path(plan.relation)})"
        pieces.append(_binned(column, source, f"SELECT {least} AS lo, {most} AS hi {asked_of}", "1", whole))
    return f"{_sample(plan, outputs, facts)}\nSELECT *\nFROM {_NEXT.join(pieces)}"


def _span(plan: Plan, column: Field, facts: Facts) -> tuple[int, int] | None:
    """Return the ends of whole numbers that lie close enough together for a set of bits; null where they do not."""
    low, high = facts.get(output(column, "min")), facts.get(output(column, "max"))
    if not column.integer or not isinstance(low, int) or not isinstance(high, int) or high - low >= BITS:
        return None
    return None if plan.relation.is_declared_unique(column) else (low, high)


def _wants_bits(plan: Plan, column: Field, facts: Facts) -> bool:
    return _wants_whole(plan, column, facts) and _span(plan, column, facts) is not None


def _bits(plan: Plan, fields: Sequence[Field], facts: Facts) -> str:
    """Count distinct whole numbers exactly: each is a bit of a set."""
    outputs = []
    for column in fields:
        low, high = _span(plan, column, facts) or (0, 0)
        bits = f"bitstring_agg({quote(column.name)}::BIGINT, {low}, {high})"
        outputs.append(f"bit_count({bits}) AS {output(column, 'distinct')}")
    return f"SELECT {_NEXT.join(outputs)}\nFROM {path(plan.relation)}"


def _wants_sketch(plan: Plan, column: Field, facts: Facts) -> bool:
    return _wants_whole(plan, column, facts) and facts.get(output(column, "distinct")) is None


def _sketch(plan: Plan, fields: Sequence[Field], facts: Facts) -> str:
    """Estimate the number of distinct values; see ``sketch``."""
    [column] = fields
    distinct, kept = output(column, "distinct"), output(column, "kept")
    return hyperloglog(_hashed(column), path(plan.relation), filled_rows(column, facts), distinct, kept)


STEPS: Sequence[Step] = (
    Step(lambda *_: True, _scan, 40, "its profile", first=True, instead=less(path)),
    Step(_wants_values, _values, 40, "its top values and histogram"),
    Step(_wants_seen, _seen, 40, "how many of its values differ"),
    Step(_is_grouped, _grouped, 15, "its profile"),
    Step(_wants_whole, _whole, 40, "its profile", instead=less(path)),
    Step(_wants_sampled, _sampled, 20, "its quantiles and histogram"),
    Step(_wants_bits, _bits, 10, "its number of distinct values"),
    Step(_wants_sketch, _sketch, 1, "its number of distinct values"),
)
