"""What a finding is, and in which order findings are told. No SQL here."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from cataloger_sandbox.names import words
from cataloger_sandbox.survey import Profile, Survey

Severity = Literal["high", "medium", "low", "info"]

_ORDER: Sequence[Severity] = ("high", "medium", "low", "info")


@dataclass(frozen=True)
class Finding:
    """One flaw: ``rows`` are counted, ``query`` is the id of the recorded query that returns them.

    ``detail`` tells two of a kind in the same columns apart; it must last from one snapshot to the next. A finding that
    is ``grouped`` stands for all columns in which it is found. One with ``members`` is the same flaw in several tables,
    and they are the findings of each: place, query and severity are the worst's, the rows those of all.
    """

    kind: str
    table: str
    columns: Sequence[str]
    severity: Severity
    rows: int
    query: str
    sentence: str
    detail: str = ""
    grouped: bool = False
    members: Sequence["Finding"] = ()

    @property
    def like_named(self) -> str:
        """Return its columns in the way in which names are compared: ``ApiKey`` and ``api_key`` are one."""
        return "" if self.grouped else ",".join(sorted("_".join(words(name)) or name.lower() for name in self.columns))

    @property
    def id(self) -> str:
        """Return what names this flaw in every snapshot: ``kind:table:columns``, with the detail where there is one.

        The order of the columns is no part of it: ``(a, b)`` and ``(b, a)`` are one. Which columns a group has may
        change: its detail names it. Nor do tables name the flaw that several have.
        """
        if self.members:
            return f"{self.kind}::{self.like_named}" + (f":{self.detail}" if self.detail else "")
        columns = "" if self.grouped else ",".join(sorted(self.columns))
        return ":".join(part for part in (self.kind, self.table, columns, self.detail) if part)

    def naming(self, consequence: str) -> "Finding":
        """Return the finding with what follows from it."""
        return replace(self, sentence=f"{self.sentence.rstrip('.')}; {consequence}.")

    def dump(self) -> dict[str, Any]:
        """Return the finding in the host's schema."""
        return {
            "id": self.id,
            "kind": self.kind,
            "table": self.table,
            "columns": list(self.columns),
            "severity": self.severity,
            "rows": self.rows,
            "query": self.query,
            "sentence": self.sentence,
            **({"members": [member.dump() for member in self.members]} if self.members else {}),
        }


Family = Callable[[Survey, Profile], Iterable[Finding]]
"""What finds flaws of some kinds in a table of a survey."""


def ranked(findings: Iterable[Finding]) -> list[Finding]:
    """Return *findings*, the gravest first, then those of the most rows."""
    return sorted(findings, key=lambda item: (_ORDER.index(item.severity), -item.rows, item.id))
