"""Dependencies between columns that break for a few rows: a city that is in two countries."""

from collections.abc import Iterator

from cataloger_sandbox.flaws.finding import Finding
from cataloger_sandbox.flaws.phrases import verb
from cataloger_sandbox.survey import Dependency, Profile, Survey

ALIKE = 0.5
"""Dependencies with a column in common that break in about as many rows break in the same ones."""


def broken_dependencies(survey: Survey, profile: Profile) -> Iterator[Finding]:
    """Yield a table's dependencies that break; of several that the same rows break, the one that breaks most."""
    told: list[Dependency] = []
    broken = [item for item in survey.dependencies if item.table == profile.name and item.breaking]
    for item in sorted(broken, key=lambda item: (-item.breaking, item.determinants)):
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


def _is_same(item: Dependency, other: Dependency) -> bool:
    if not {item.determinant, item.dependent} & {other.determinant, other.dependent}:
        return False
    return min(item.breaking, other.breaking) >= ALIKE * max(item.breaking, other.breaking)
