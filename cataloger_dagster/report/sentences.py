"""The sentences of findings: every number in one is a claim, and leads to the finding's evidence query.

Our own code measured these numbers and wrote the sentences; where a list of findings stands is ``elements.py``'s.
"""

import re
from collections.abc import Iterator, Sequence, Set

from cataloger_sandbox.numerals import numerals
from markupsafe import Markup

from cataloger_dagster.facts import Claim, Facts, Finding, Scalar, join_reference
from cataloger_dagster.report.numbers import MINUS, format_value

ROWS = "rows"
"""The last part of the claim's name that is the number of a finding's rows; other numbers are counted from 1."""

# What is quoted is a value of the database, however much it looks like a number.
_QUOTED = re.compile(r"'[^']*'|\"[^\"]*\"|“[^”]*”|‘[^’]*’|`[^`]*`")


class Sentences:
    """Writes the sentences of findings, and knows the claims in them."""

    def __init__(self, facts: Facts) -> None:
        self._names: Set[str] = {name for t in facts.tables for name in (t.name, *t.column_by_name)}
        self._facts = facts

    def claims(self) -> list[Claim]:
        """Return every number in the sentences of all findings, once each."""
        each = [part for finding in self._facts.findings for part in (finding, *finding.members)]
        found = {claim.id: claim for item in each for _, claim in self._parts(item) if claim is not None}
        members = [part for finding in self._facts.findings for part in finding.members]
        return list((found | {claim.id: claim for claim in map(_rows, members)}).values())

    def rows(self, member: Finding, evidence: str | None) -> Markup:
        """Return the number of rows of one table's part in a finding as a claim that leads to *evidence*."""
        return _marked(format_value(member.rows), _rows(member), evidence)

    def written(self, finding: Finding, evidence: str | None) -> Markup:
        """Return a finding's sentence, each number in it a claim that leads to *evidence*, an id on the page."""
        words: list[Markup] = []
        for text, claim in self._parts(finding):
            if claim is None:
                words.append(Markup("{}").format(text))
                continue
            words.append(_marked(text, claim, evidence))
        return Markup("").join(words)

    def _parts(self, finding: Finding) -> Iterator[tuple[str, Claim | None]]:
        text, start, number = finding.sentence, 0, 0
        quoted = [match.span() for match in _QUOTED.finditer(text)]
        told = False
        for first, last in numerals(text, self._names):
            # Our sentences write what they count in digits; "a letter or two" is no count.
            if _within(first, quoted) or not any(char.isdigit() for char in text[first:last]):
                continue
            value = _value(text[first:last])
            # The first number that is the finding's own is it; a second one of the same size may be another.
            if value == finding.rows and not told:
                key, told = ROWS, True
            else:
                number += 1
                key = str(number)
            if first > start:
                yield text[start:first], None
            yield text[first:last], Claim(id=claim_id(finding, key), value=value, query=finding.query)
            start = last
        if start < len(text):
            yield text[start:], None


def _rows(finding: Finding) -> Claim:
    return Claim(id=claim_id(finding, ROWS), value=finding.rows, query=finding.query)


def _marked(text: str, claim: Claim, evidence: str | None) -> Markup:
    shown = Markup('<a href="#{}">{}</a>').format(evidence, text) if evidence else Markup("{}").format(text)
    return Markup('<data value="{}" data-claim="{}" class="n">{}</data>').format(claim.value, claim.id, shown)


def claim_id(finding: Finding, key: str) -> str:
    """Return the name of the claim called *key* in a finding's sentence."""
    return join_reference(["finding", finding.id, key])


def _within(position: int, spans: Sequence[tuple[int, int]]) -> bool:
    return any(first <= position < last for first, last in spans)


def _value(text: str) -> Scalar:
    """Return the number that *text* is, if a number is written so; else the text."""
    for kind in (int, float):
        try:
            value = kind(text.replace(",", "").replace(MINUS, "-"))
        except ValueError:
            continue
        if text in (format_value(value), format_value(value, grouped=False)):
            return value
    return text
