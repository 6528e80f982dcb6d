"""The in-op checks of a page, named as true sentences, and the verdict on each.

They report; what protects is the validation before storing, which uses the same functions.
"""

import dagster as dg

from cataloger_dagster.publication import Report
from cataloger_dagster.report.coverage import not_judged, not_listed
from cataloger_dagster.report.presence import missing
from cataloger_dagster.report.safety import unsafe

CATALOG_CHECKS = {
    "every_number_is_measured": "No number in the prose is the model's own; each is a fact that our code measured.",
    "every_table_and_column_is_present": "The page has a place for every table and column of the database.",
    "every_rule_was_applied": "Every rule judged every table that was measured: no finding is missing for a failure.",
    "page_is_safe": "The page can run nothing and fetch nothing.",
    "budget_held": "The agent stayed within the tokens, steps and minutes of its limits.",
}
_OF_CATALOGS = {"every_table_and_column_is_present", "every_rule_was_applied"}
SUMMARY_CHECKS = {name: text for name, text in CATALOG_CHECKS.items() if name not in _OF_CATALOGS}


def specs(asset: str, checks: dict[str, str]) -> list[dg.AssetCheckSpec]:
    """Return the specifications of *checks* on *asset*."""
    return [dg.AssetCheckSpec(name, asset=asset, description=text) for name, text in checks.items()]


def verdicts(report: Report) -> list[dg.AssetCheckResult]:
    """Return the result of each check that applies to *report*."""
    page, usage, limits = report.page, report.usage, report.limits
    shown = page.measured + page.unmeasured
    reasons = unsafe(page.html)
    results = [
        dg.AssetCheckResult(
            passed=page.unmeasured == 0,
            check_name="every_number_is_measured",
            severity=dg.AssetCheckSeverity.WARN,
            metadata={
                "measured": page.measured,
                "unmeasured": page.unmeasured,
                "share measured": page.measured / shown if shown else 1.0,
            },
        ),
        dg.AssetCheckResult(passed=not reasons, check_name="page_is_safe", metadata={"reasons": reasons}),
        dg.AssetCheckResult(
            passed=usage.first_time <= limits.tokens
            and report.outcome.steps <= limits.steps
            and report.agent_seconds <= limits.seconds,
            check_name="budget_held",
            severity=dg.AssetCheckSeverity.WARN,
            metadata={
                "tokens": usage.first_time,
                "tokens allowed": limits.tokens,
                "steps": report.outcome.steps,
                "steps allowed": limits.steps,
                "seconds": round(report.agent_seconds, 3),
                "seconds allowed": limits.seconds,
            },
        ),
    ]
    if report.kind == "catalog":
        absent, coverage = missing(page.html, page.block), page.block.coverage
        results += [
            dg.AssetCheckResult(
                passed=not absent,
                check_name="every_table_and_column_is_present",
                metadata={"missing": absent, "coverage": coverage.dump()},
            ),
            dg.AssetCheckResult(
                passed=not coverage.unanswered and all(item.cut for item in coverage.unjudged),
                check_name="every_rule_was_applied",
                severity=dg.AssetCheckSeverity.WARN,
                metadata={
                    "not judged": not_judged(coverage),
                    "no answer": coverage.unanswered,
                    "not listed": not_listed(coverage),
                },
            ),
        ]
    return results
