"""What a finding means for whoever queries the tables."""

from collections.abc import Mapping
from typing import Any

from cataloger_sandbox import elements
from cataloger_sandbox.elements import code, fact
from cataloger_sandbox.measured import ranked_findings
from cataloger_sandbox.prose.known import Known
from cataloger_sandbox.prose.phrases import listed, names

MEANT = {
    "orphan_foreign_key": "an inner join on these columns drops rows; a left join keeps them.",
    "duplicate_key": "a join on these columns multiplies rows.",
    "duplicate_rows": "counts and sums are too high until the copies are taken out.",
    "constant_column": "the column tells nothing apart, so a filter or a grouping by it does nothing.",
    "empty_table": "a query that needs rows of it finds nothing.",
    "null_burst": "averages over the stretch without values stand for fewer rows than they seem to.",
    "sentinel_value": "take the value that stands for “missing” out before computing with the column.",
    "outlier": "sums and averages hang on a few rows; look at these first.",
    "impossible_value": "the rows can't be right as they are; leave them out of computations.",
    "future_date": "a filter on “the latest” finds these rows first.",
    "mixed_format": "values have to be brought into one form before they are compared or joined.",
    "case_or_space_variant": "groupings count one thing under several spellings.",
    "rare_category": "groupings show a category that may be a slip of the pen.",
    "number_as_text": "the column sorts and compares as text, and has to be cast before arithmetic.",
    "truncated_text": "the end of the text is lost.",
    "broken_dependency": "a lookup by the one column does not give one value of the other.",
    "stale_table": "what is computed from it describes an earlier time.",
    "pii_exposed": "personal data stands where nobody would look for it.",
    "secret_exposed": "whoever reads the table can use what stands there; have it replaced.",
    "suspicious_instruction": "the text addresses a language model; don't pass it to one unguarded.",
}


def findings(known: Known) -> str:
    """Return what the findings mean, kind by kind, and the findings; nothing where there are none."""
    if not known.facts.raw.get("findings"):
        return ""
    broken = [r for r in known.references if r.get("orphans") and len(r["from"][1]) == 1 and known.is_first(r)]
    worst = sorted(broken, key=lambda r: -r["orphans"])[:5]
    lines = [_loss(known, reference) for reference in worst]
    covered = {f"{r['from'][0]}:{r['from'][1][0]}" for r in worst}
    told: dict[str, list[str]] = {}
    for finding in ranked_findings(known.facts.raw):
        orphan = finding["kind"] == "orphan_foreign_key"
        if not (orphan and f"{finding['table']}:{(finding.get('columns') or [''])[0]}" in covered):
            told.setdefault(finding["kind"], []).append(_place(finding))
    lines += [f"{listed(places)}: {MEANT[kind]}" for kind, places in told.items() if kind in MEANT]
    return elements.items(lines) + "\n" + elements.findings()


def _loss(known: Known, reference: Mapping[str, Any]) -> str:
    (source, columns), (target, _) = reference["from"], reference["to"]
    missing = next((q for q in known.answers("unmatched") if (q.table, list(q.columns)) == (source, columns)), None)
    text = (
        f"Joined to {code(target)} by {code(columns[0])}, {code(source)} loses "
        f"{fact(source, columns[0], 'orphans')} rows to an inner join"
    )
    if missing is None:
        return f"{text}."
    return f"{text}; {elements.value(missing.id)} of the values they name are not in {code(target)}."


def _place(finding: Mapping[str, Any]) -> str:
    columns = finding.get("columns") or []
    table = code(finding["table"])
    others = " and other tables" if finding.get("members") else ""
    if not columns:
        return table + others
    return (f"{table}.{code(columns[0])}" if len(columns) == 1 else f"{table} ({names(columns)})") + others
