"""The search for flaws: every family in its turn, and the findings ranked."""

from collections.abc import Sequence

from cataloger_sandbox.flaws.finding import Family, Finding, ranked
from cataloger_sandbox.flaws.keys import duplicate_keys, orphans
from cataloger_sandbox.flaws.tables import constant_columns, empty_tables
from cataloger_sandbox.flaws.values import flawed_values
from cataloger_sandbox.survey import Survey

FAMILIES: Sequence[Family] = (empty_tables, constant_columns, duplicate_keys, orphans, flawed_values)


def find_flaws(survey: Survey) -> list[Finding]:
    """Return the findings, the gravest first."""
    return ranked(finding for family in FAMILIES for finding in family(survey))
