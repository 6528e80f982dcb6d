"""The claims that an agent made by ``fact()``, run again by our own code before anybody sees their values.

Nothing that the agent's session wrote is trusted but a claim's name, its query and its note. Claims of the
profile are in ``facts``; whether a stored page still holds is ``verification``'s.
"""

from collections.abc import Callable, Mapping
from typing import Any

from cataloger_dagster.errors import DatabaseError
from cataloger_dagster.facts import Claim, Facts, Query, UnknownReference
from cataloger_dagster.sandbox.session import Session

CLAIM_SECONDS = 60.0
"""How long one claim's query may take when we run it."""

ALL_CLAIMS_SECONDS = 600.0
"""How long all of them may take in one go, so that many slow ones don't outlast the budget by hours."""


class Evidence:
    """Reads the claims noted in *session* and measures each over *connection* in an interpreter of its own."""

    def __init__(
        self, session: Session, connection: Mapping[str, Any], facts: Facts, clean: Callable[[str], str]
    ) -> None:
        self._session, self._connection, self._facts, self._clean = session, dict(connection), facts, clean
        self._results: dict[tuple[str, str], dict[str, Any]] = {}
        self._noted: list[dict[str, Any]] = []
        self.queries: list[Query] = []

    def problems(self, html: str) -> list[str]:
        """Measure what was noted since the last look, and return what is wrong with it, for the model to mend.

        What the page *html* does not name is shown nowhere when it is wrong, so there is nothing to mend.
        """
        self._look()
        found = []
        for claim in self._noted:
            if claim["id"] not in html:
                continue
            result = self._results[claim["id"], claim["query"]]
            if result["error"]:
                found.append(f"fact({claim['id']!r}): its query failed when it was run again: {result['error']}")
            elif not self._is_showable(claim["query"]):
                found.append(
                    f"fact({claim['id']!r}): its query holds personal data or a secret, and a page shows every query; "
                    "note one without it (a condition on length, on a part, or on another column)"
                )
            elif self._is_measured(claim["id"]):
                found.append(f"fact({claim['id']!r}): this is the name of a measured fact; give yours another")
        return found

    def claims(self) -> dict[str, Claim]:
        """Return the measured claims by name; their queries are in ``queries``."""
        self.queries = []
        first = 1 + max((int(query.id.removeprefix("q")) for query in self._facts.queries), default=0)
        named = {}
        for claim in self._noted:
            result = self._results[claim["id"], claim["query"]]
            if result["error"] or self._is_measured(claim["id"]) or not self._is_showable(claim["query"]):
                continue
            query = Query(
                id=f"q{first + len(self.queries)}", sql=claim["query"], at=result["at"], seconds=result["seconds"]
            )
            self.queries.append(query)
            value = self._clean(result["value"]) if isinstance(result["value"], str) else result["value"]
            named[claim["id"]] = Claim(
                id=claim["id"], value=value, query=query.id, note=claim.get("note") and self._clean(claim["note"])
            )
        return named

    def final(self) -> dict[str, Claim]:
        """Measure every claim once more, when no process of the agent is left, and return them by name."""
        self._results.clear()
        self._look()
        return self.claims()

    def _look(self) -> None:
        # Without a connection there was nothing to measure, and what stands in the file is made up.
        self._noted = self._session.call("cataloger_sandbox.kit:claims", {}, CLAIM_SECONDS) if self._connection else []
        new = [claim for claim in self._noted if (claim["id"], claim["query"]) not in self._results]
        if not new:
            return
        seconds = min(CLAIM_SECONDS, max(1.0, ALL_CLAIMS_SECONDS / len(new)))
        try:
            results = self._measure(new, seconds)
        except DatabaseError:
            # One query may have ended the connection of all: each by itself, that one alone is lost.
            results = [self._alone(claim, seconds) for claim in new]
        for claim, result in zip(new, results, strict=True):
            self._results[claim["id"], claim["query"]] = result

    def _alone(self, claim: dict[str, Any], seconds: float) -> dict[str, Any]:
        try:
            return self._measure([claim], seconds)[0]
        except DatabaseError as error:
            return {"value": None, "error": str(error)}

    def _measure(self, claims: list[dict[str, Any]], seconds: float) -> list[dict[str, Any]]:
        arguments = {"connection": self._connection, "claims": claims, "seconds": seconds}
        measured: list[dict[str, Any]] = self._session.call(
            "cataloger_sandbox.claims:measure", arguments, seconds * len(claims) + 30
        )
        return measured

    def _is_showable(self, query: str) -> bool:
        """Say whether *query* can stand on the page as it is: masked, nobody could run it again."""
        return self._clean(query) == query

    def _is_measured(self, name: str) -> bool:
        try:
            self._facts.resolve(name)
        except UnknownReference:
            return False
        return True
