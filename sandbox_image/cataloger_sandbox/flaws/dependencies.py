"""Dependencies between columns that break for a few rows: a city that is in two countries."""

from collections.abc import Iterator, Sequence

from cataloger_sandbox.flaws.finding import Finding
from cataloger_sandbox.flaws.phrases import verb
from cataloger_sandbox.names import is_identifier
from cataloger_sandbox.survey import Dependency, Profile, Survey

ALIKE = 0.5
"""Dependencies with a column in common that break in about as many rows break in the same ones."""


def broken_dependencies(survey: Survey, profile: Profile) -> Iterator[Finding]:
    """Yield a table's dependencies that break; of several that the same rows break, the one that breaks most clearly.

    A wrong region breaks what the city says of it, and what it says of the country: the first is told. That a number
    which names nothing goes with something else, as a length does with what counts as short, is no rule to break.
    """
    told: list[Dependency] = []
    own = [item for item in survey.dependencies if item.table == profile.name and item.breaking]
    broken = [item for item in own if not _is_measured(survey, profile, item)]
    for item in sorted(broken, key=lambda item: (_is_led_astray(item, broken), -item.breaking, item.determinants)):
        if any(_is_same(item, other) for other in told):
            continue
        told.append(item)
        sentence = (
            f"Rows of {item.table} with the same {item.determinant} have the same {item.dependent}, "
            f"but {item.breaking:,} of {item.rows:,} {verb(item.breaking, 'has', 'have')} another."
        )
        columns = [item.determinant, item.dependent]
        query = survey.journal.record(item.evidence)
        yield Finding("broken_dependency", item.table, columns, "medium", item.breaking, query, sentence)


def _is_measured(survey: Survey, profile: Profile, item: Dependency) -> bool:
    """Tell whether the determinant is a number that names nothing: neither by its name nor as a reference."""
    if profile.kinds.get(item.determinant) != "number":
        return False
    refers = any(link.source is profile and item.determinant in link.columns for link in survey.links)
    return not refers and not is_identifier(item.determinant, profile.relation.name)


def _is_led_astray(item: Dependency, broken: Sequence[Dependency]) -> bool:
    """Tell whether a dependency breaks since its determinant is wrong itself, as another tells that determines it.

    What follows from a wrong value breaks in no more rows than have it.
    """
    return any(
        other.dependent == item.determinant and other.breaking >= item.breaking and _is_same(item, other)
        for other in broken
    )


def _is_same(item: Dependency, other: Dependency) -> bool:
    shared = {item.determinant, item.dependent} & {other.determinant, other.dependent}
    if len(shared) != 1:
        return bool(shared)  # the other way round it is the same flaw, however many rows each counts
    return min(item.breaking, other.breaking) >= ALIKE * max(item.breaking, other.breaking)
