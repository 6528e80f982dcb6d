"""What single values show: each table's rows are drawn once, every rule looks at them, and what it suspects is counted.

The rules come in the order of how much they explain: what stands for a missing value is no outlier. All suspects of
a table are counted in one pass over it.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence

from cataloger_sandbox.flaws.categories import rare_categories, spelling_variants
from cataloger_sandbox.flaws.evidence import count_all
from cataloger_sandbox.flaws.finding import Finding
from cataloger_sandbox.flaws.look import Look, Suspect, look_at
from cataloger_sandbox.flaws.missing import null_bursts
from cataloger_sandbox.flaws.numbers import impossible_values, outliers
from cataloger_sandbox.flaws.rows import duplicate_rows, repeated_pairs
from cataloger_sandbox.flaws.sentinels import sentinel_values
from cataloger_sandbox.flaws.texts import mixed_formats, numbers_as_text, truncated_texts
from cataloger_sandbox.flaws.times import Rhythm, future_dates, rhythm, stale_tables
from cataloger_sandbox.judging import judged
from cataloger_sandbox.reading import Reading
from cataloger_sandbox.survey import Profile, Survey

RULES: Mapping[Callable[[Look], Iterator[Suspect]], str] = {
    sentinel_values: "sentinel_value",
    impossible_values: "impossible_value",
    future_dates: "future_date",
    outliers: "outlier",
    mixed_formats: "mixed_format",
    numbers_as_text: "number_as_text",
    truncated_texts: "truncated_text",
    spelling_variants: "case_or_space_variant",
    rare_categories: "rare_category",
    null_bursts: "null_burst",
}
"""The rules in their order, and the kind of what each suspects."""

KINDS = ("duplicate_rows", "duplicate_key", *RULES.values())
"""The kinds that show in a table's rows."""


def flawed_values(survey: Survey, reading: Reading) -> tuple[list[Finding], list[Rhythm]]:
    """Return the flaws of a table's values and rows, and its rhythm, if it has one."""
    findings: list[Finding] = []
    rhythms: list[Rhythm] = []
    profile = reading.profile
    if profile.relation.kind != "table":
        return findings, rhythms
    for look in judged(survey, profile, KINDS, looks, survey, reading):
        rhythms += judged(survey, profile, ["stale_table"], rhythms_of, look)
        findings += judged(survey, profile, ["duplicate_rows"], duplicate_rows, look)
        findings += judged(survey, profile, ["duplicate_key"], repeated_pairs, look)
        suspects = [s for rule, kind in RULES.items() for s in judged(survey, profile, [kind], rule, look)]
        findings += _confirmed(survey, profile, suspects)
    return findings, rhythms


def lagging(survey: Survey, rhythms: Sequence[Rhythm]) -> list[Finding]:
    """Return the tables that lag behind their own *rhythms*."""
    return judged(survey, None, ["stale_table"], stale_tables, survey, rhythms)


def looks(survey: Survey, reading: Reading) -> Iterator[Look]:
    """Yield what there is to see of a table, if anything."""
    if look := look_at(survey, reading):
        yield look


def rhythms_of(look: Look) -> Iterator[Rhythm]:
    """Yield a table's rhythm, if it has one."""
    if found := rhythm(look):
        yield found


def _confirmed(survey: Survey, profile: Profile, suspects: Sequence[Suspect]) -> Iterator[Finding]:
    """Count the rows of the suspects and yield those that stand."""
    kinds = list(dict.fromkeys(suspect.kind for suspect in suspects))
    for suspect, rows, query in judged(survey, profile, kinds, count_all, survey, profile, suspects):
        yield from judged(survey, profile, [suspect.kind], _finding, profile, suspect, rows, query)


def _finding(profile: Profile, suspect: Suspect, rows: int, query: str) -> Iterator[Finding]:
    said = suspect.say(rows)
    yield Finding(suspect.kind, profile.name, suspect.columns, suspect.severity, rows, query, said, suspect.detail)
