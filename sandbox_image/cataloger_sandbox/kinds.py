"""What the kinds of findings and of changes are called in every text: pages, their exports, the playbook's words.

What each kind is, the rules in ``flaws`` and ``references`` say; of changes, the host's ``report.changes``.
"""

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Kind:
    """The names of one kind of finding, as noun phrases: of ``one``, of ``many``."""

    one: str
    many: str

    @property
    def title(self) -> str:
        """The name at the head of a finding, without an article."""
        bare = re.sub(r"^an? ", "", self.one)
        return bare[:1].upper() + bare[1:]


FINDINGS = {
    "null_burst": Kind("a burst of nulls", "bursts of nulls"),
    "sentinel_value": Kind("a value that stands for a missing one", "values that stand for missing ones"),
    "constant_column": Kind("a column of one value", "columns of one value"),
    "duplicate_key": Kind("a repeated key", "repeated keys"),
    "duplicate_rows": Kind("repeated rows", "repeated rows"),
    "orphan_foreign_key": Kind("references without a match", "references without a match"),
    "outlier": Kind("values far out of range", "values far out of range"),
    "impossible_value": Kind("impossible values", "impossible values"),
    "future_date": Kind("dates in the future", "dates in the future"),
    "mixed_format": Kind("mixed formats", "mixed formats"),
    "case_or_space_variant": Kind("a value in several spellings", "values in several spellings"),
    "rare_category": Kind("rare, probably mistyped values", "rare, probably mistyped values"),
    "number_as_text": Kind("numbers kept as text", "numbers kept as text"),
    "truncated_text": Kind("texts cut short", "texts cut short"),
    "broken_dependency": Kind("a broken dependency", "broken dependencies"),
    "stale_table": Kind("a table behind its own rhythm", "tables behind their own rhythm"),
    "empty_table": Kind("a table without rows", "tables without rows"),
    "pii_exposed": Kind("exposed personal data", "exposed personal data"),
    "secret_exposed": Kind("an exposed secret", "exposed secrets"),
    "suspicious_instruction": Kind("a text that addresses a model", "texts that address a model"),
}

CHANGES = {
    "table_added": "is new",
    "table_dropped": "is gone",
    "column_added": "is new",
    "column_dropped": "is gone",
    "type_changed": "changed its type",
    "rows_changed": "has another number of rows",
    "nulls_changed": "has another number of empty values",
    "distribution_shift": "is distributed otherwise than before",
    "category_added": "has a value it did not have before",
    "category_dropped": "no longer has a value it had",
    "reference_broken": "refers to rows that are not there",
    "freshness_stalled": "got no new rows",
    "finding_new": "has a finding it did not have before",
    "finding_resolved": "no longer has a finding it had",
    "slow_trend": "moves slowly in one direction",
}
"""What is said of the table or column of each change."""


def one(kind: str) -> str:
    """Return what one finding of *kind* is called, with its article; of a kind of a later version, its plain name."""
    return FINDINGS[kind].one if kind in FINDINGS else kind.replace("_", " ")


def many(kind: str) -> str:
    """Return what findings of *kind* are called."""
    return FINDINGS[kind].many if kind in FINDINGS else kind.replace("_", " ")


def changed(kind: str) -> str:
    """Return what is said of the place of a change of *kind*."""
    return CHANGES.get(kind, f"changed: {kind.replace('_', ' ')}")
