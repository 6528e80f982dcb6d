"""The flaws of every kind in DESIGN's table of findings, by what they touch: values, texts, tables.

Sizes, places, typos, formats and codes are drawn; none is written down for a detector to know by heart.
"""

from collections.abc import Callable, Sequence

from benchmarks.score.flaws import structure, texts, values
from benchmarks.score.plants import Bed

# The order is that of planting: what needs a rare place, or a table for itself, comes first.
FLAWS: dict[str, Callable[[Bed, float], None]] = {
    "empty_table": structure.empty_table,
    "duplicate_rows": structure.duplicate_rows,
    "stale_table": structure.stale_table,
    "broken_dependency": structure.broken_dependency,
    "duplicate_key": structure.duplicate_key,
    "orphan_foreign_key": structure.orphan_foreign_key,
    "truncated_text": texts.truncated_text,
    "suspicious_instruction": texts.suspicious_instruction,
    "secret_exposed": texts.secret_exposed,
    "pii_exposed": texts.pii_exposed,
    "mixed_format": texts.mixed_format,
    "rare_category": texts.rare_category,
    "case_or_space_variant": texts.case_or_space_variant,
    "constant_column": structure.constant_column,
    "impossible_value": values.impossible_value,
    "number_as_text": texts.number_as_text,
    "future_date": values.future_date,
    "outlier": values.outlier,
    "sentinel_value": values.sentinel_value,
    "null_burst": structure.null_burst,
}

RATES: dict[str, Sequence[float | None]] = {
    "empty_table": (None,),
    "stale_table": (None,),
    "constant_column": (None,),
    "number_as_text": (None,),
    # By definition: a key is unique but for 1 %, a dependency holds for 95 %, a typo is rare.
    "duplicate_key": (0.0001, 0.001, 0.01),
    "broken_dependency": (0.0001, 0.001, 0.01),
    "rare_category": (0.0001, 0.001, 0.01),
}
"""The rates at which a kind is planted, where not at all; null is a flaw of a whole column or table."""
