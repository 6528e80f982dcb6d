"""What single values show: each table's rows are drawn once, every rule looks at them, and what it suspects is counted.

The rules come in the order of how much they explain: what stands for a missing value is no outlier. All suspects of
a table are counted in one pass over it.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence

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
from cataloger_sandbox.reading import Reading
from cataloger_sandbox.survey import Profile, Survey

RULES: Sequence[Callable[[Look], Iterator[Suspect]]] = (
    sentinel_values,
    impossible_values,
    future_dates,
    outliers,
    mixed_formats,
    numbers_as_text,
    truncated_texts,
    spelling_variants,
    rare_categories,
    null_bursts,
)


def flawed_values(survey: Survey, readings: Iterable[Reading]) -> Iterator[Finding]:
    """Yield the flaws of every table's values and rows, then the tables that lag."""
    rhythms: list[Rhythm] = []
    for reading in readings:
        profile = reading.profile
        look = look_at(survey, reading) if profile.relation.kind == "table" else None
        if look is None:
            continue
        if found := rhythm(look):
            rhythms.append(found)
        yield from duplicate_rows(look)
        yield from repeated_pairs(look)
        yield from _confirmed(survey, profile, [suspect for rule in RULES for suspect in rule(look)])
    yield from stale_tables(survey, rhythms)


def _confirmed(survey: Survey, profile: Profile, suspects: Sequence[Suspect]) -> Iterator[Finding]:
    """Count the rows of the suspects and yield those that stand."""
    for suspect, rows, query in count_all(survey, profile, suspects):
        yield Finding(
            suspect.kind,
            profile.name,
            suspect.columns,
            suspect.severity,
            rows,
            query,
            suspect.say(rows),
            suspect.detail,
        )
