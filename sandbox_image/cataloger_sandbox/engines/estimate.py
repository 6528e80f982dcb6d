"""What is estimated of a large table, by which method, and by how much each estimate may be off. No SQL here.

A column of many values is judged by a sample of its table's rows: where few values differ, all of them are counted
after all, and everything is exact; else its quantiles and its histogram are the sample's, and its distinct values
are counted one by one or by a sketch.
"""

import math

from cataloger_sandbox.engines.base import QUANTILES, Facts, Field, Plan, output

CONFIDENCE = 0.999
"""In so many of all samples the errors stated here hold."""

_DEVIATIONS = 3.29
"""The normal deviations on both sides of the mean that hold ``CONFIDENCE`` of all cases."""

HLL_BITS = 14
"""A HyperLogLog has two to this power of registers, the least whose error a reader would not mind."""

HLL_DEVIATION = 0.013
"""The relative standard error of one with so many registers.

1.04 / sqrt(registers) is 0.008 (Flajolet et al. 2007); near the size at which counting empty registers gives way to
the harmonic mean it is two thirds more, as simulated.
"""

HLL_SWITCH = 3.2
"""Up to so many values to a register the empty registers are counted instead.

The paper's 2.5 is where the harmonic mean is 2 % too high with as many registers as these; here it is 0.5 %.
"""

HLL_KEEP_BITS = 4
"""Of many values a HyperLogLog takes those alone whose hash ends in so many zero bits: a sixteenth, for a third of
the time. Which they are is the hash's choice, so all rows of one value are in or out."""

HLL_MANY = 50_000
"""So many different values in the sample are many."""


def rank_error(size: int) -> float:
    """Return by how much the rank of any quantile of a random sample of *size* values may be off, as a share.

    The Dvoretzky-Kiefer-Wolfowitz inequality with Massart's constant: the empirical distribution is nowhere further
    from the true one than e, except with a probability of 2 exp(-2 n e^2) (P. Massart, The tight constant in the
    Dvoretzky-Kiefer-Wolfowitz inequality, Annals of Probability 18, 1990). Drawn without replacement, as ours, a
    sample is no worse.
    """
    return math.sqrt(math.log(2 / (1 - CONFIDENCE)) / (2 * size)) if size else 1.0


def hll_error(distinct: int, kept: int) -> float:
    """Return by what share *distinct*, which a HyperLogLog over one in *kept* values gave, may be off.

    The deviations of the sketch (P. Flajolet, E. Fusy, O. Gandouet, F. Meunier, HyperLogLog: the analysis of a
    near-optimal cardinality estimation algorithm, AofA 2007) and of the number of values that are kept, which is
    binomial.
    """
    return _DEVIATIONS * math.sqrt(HLL_DEVIATION**2 + (kept - 1) / max(distinct, 1))


def sample_share(plan: Plan, facts: Facts) -> float:
    """Return which share of the table's rows is drawn."""
    return min(1.0, plan.limits.sample_rows / max(1, _whole(facts.get("rows"))))


def is_large(plan: Plan, column: Field, facts: Facts) -> bool:
    """Tell whether *column* has more values, or longer ones, than are counted for their own sake."""
    filled = filled_rows(column, facts)
    return filled is not None and (filled > plan.limits.exact_rows or column.index in plan.long)


def is_counted(plan: Plan, column: Field, facts: Facts) -> bool:
    """Tell whether the values of *column* are grouped and counted: they are few, or few of them differ.

    Those seen once in the sample stand for as many unseen ones as the sample is smaller than the table, at most.
    """
    if filled_rows(column, facts) is None or column.index in plan.long:
        return False
    if not is_large(plan, column, facts):
        return True
    seen, once = facts.get(output(column, "seen")), facts.get(output(column, "once"))
    if not isinstance(seen, int) or not isinstance(once, int) or seen == 0:
        return False
    return seen <= plan.limits.top_distinct or seen + once / sample_share(plan, facts) <= plan.limits.exact_rows


def likely_distinct(plan: Plan, column: Field, facts: Facts) -> float | None:
    """Return about how many values of *column* differ, going by the sample; null where none was drawn.

    Those seen once stand for the geometric mean of the fewest and the most that there may be of their like (the
    estimator GEE of M. Charikar, S. Chaudhuri, R. Motwani, V. Narasayya, Towards estimation error guarantees for
    distinct values, PODS 2000): near enough to choose a method by, and never shown.
    """
    seen, once = facts.get(output(column, "seen")), facts.get(output(column, "once"))
    if not isinstance(seen, int) or not isinstance(once, int):
        return None
    return seen - once + once / math.sqrt(sample_share(plan, facts))


def is_repeated(column: Field, facts: Facts) -> bool:
    """Tell whether the sample has a value of *column* twice, or is not known."""
    seen, once = facts.get(output(column, "seen")), facts.get(output(column, "once"))
    return not seen or seen != once


def filled_rows(column: Field, facts: Facts) -> int | None:
    """Return how many rows have a value in *column*; null where that was not measured."""
    nulls = facts.get(output(column, "nulls"))
    return _whole(facts.get("rows")) - nulls if isinstance(nulls, int) else None


def shares(plan: Plan, column: Field, facts: Facts) -> dict[str, float]:
    """Return the quantiles to ask a sample for, by output name: share of the values.

    Beside each stand the two between which the same quantile of any other sample lies, as both are off by the rank
    error at most: whoever draws another compares with them.
    """
    size = (filled_rows(column, facts) or 0) * sample_share(plan, facts)
    apart = 2.1 * rank_error(int(size))  # a little more than twice: a sample may turn out smaller than expected
    return around(apart)


def around(apart: float) -> dict[str, float]:
    """Return the quantiles by output name, each with those that lie *apart* below and above it."""
    found: dict[str, float] = {}
    for share, name in QUANTILES.items():
        found[name] = float(share)
        found[f"{name}_low"] = round(max(0.0, float(share) - apart), 5)
        found[f"{name}_high"] = round(min(1.0, float(share) + apart), 5)
    return found


def sample_error(column: Field, facts: Facts) -> float | None:
    """Return the rank error of *column*'s quantiles where they are a sample's, else null."""
    size = facts.get(output(column, "sampled"))
    return round(rank_error(size), 4) if isinstance(size, int) else None


def sketch_error(column: Field, facts: Facts) -> float | None:
    """Return by what share *column*'s number of distinct values may be off where it is a HyperLogLog's, else null."""
    kept, distinct = facts.get(output(column, "kept")), facts.get(output(column, "distinct"))
    if not isinstance(kept, int) or not isinstance(distinct, int):
        return None
    return round(hll_error(distinct, kept), 4)


def _whole(value: object) -> int:
    return int(str(value or 0))
