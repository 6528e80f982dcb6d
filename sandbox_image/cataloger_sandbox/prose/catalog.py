"""A whole page about a database, in the order in which it is read."""

from collections.abc import Mapping
from typing import Any

from cataloger_sandbox import elements
from cataloger_sandbox.elements import fact
from cataloger_sandbox.measured import Facts, is_speakable
from cataloger_sandbox.prose import table
from cataloger_sandbox.prose.database import about, lede
from cataloger_sandbox.prose.flaws import findings
from cataloger_sandbox.prose.known import Known
from cataloger_sandbox.prose.open_questions import open_questions

ABOUT = "What this database is"
QUESTIONS = "Open questions"


def catalog(facts: Facts, noted: Mapping[str, Any]) -> str:
    """Return a whole page about a database: what it is, findings, relations, tables, open questions."""
    known = Known(facts, noted)
    if not known.tables:
        return elements.section("about", ABOUT, "<p>No table or view is to be seen here.</p>")
    parts = [
        lede(known),
        elements.section("about", ABOUT, about(known)),
        elements.section("findings", "Findings", findings(known)),
        elements.section("relations", "How the tables relate", elements.relations() if known.references else ""),
        elements.section("tables", "Tables", "\n".join(table.section(known, one) for one in known.tables)),
        elements.section("questions", QUESTIONS, elements.items(open_questions(known))),
    ]
    return "\n".join(part for part in parts if part)


def minimal(facts: Facts) -> str:
    """Return the measured parts of a page alone."""
    parts = [elements.section("about", ABOUT, f"<p>It has {fact('tables')} tables.</p>")]
    if facts.raw.get("findings"):
        parts.append(elements.section("findings", "Findings", elements.findings()))
    return "\n".join([*parts, *(elements.table(name) for name in facts if is_speakable(name))])
