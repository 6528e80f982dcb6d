"""Claims are measured by us: again at the end, from what is noted then, and only where they can be shown."""

from collections.abc import Mapping
from typing import Any

from cataloger_dagster.errors import DatabaseError
from cataloger_dagster.evidence import Evidence
from cataloger_dagster.privacy import Mask
from cataloger_dagster.sandbox.session import ExecutionResult
from tests.test_facts import FACTS


class Noted:
    """A session in which claims stand noted, over a database that gives each query its value of the moment."""

    connection: Mapping[str, Any] = {"backend": "duckdb"}

    def __init__(self, **claims: str) -> None:
        self.claims = claims
        self.values: dict[str, Any] = {}
        self.measured: list[str] = []

    def call(self, function: str, arguments: Mapping[str, Any], timeout: float) -> Any:
        if function.endswith("kit:claims"):
            return [{"id": name, "query": query, "note": None} for name, query in self.claims.items()]
        assert function.endswith("claims:measure")
        self.measured += [claim["id"] for claim in arguments["claims"]]
        return [
            {
                "id": claim["id"],
                "query": claim["query"],
                "value": self.values.get(claim["query"]),
                "at": "2026-01-15T10:00:00.123Z",
                "seconds": 0.1,
                "error": None if claim["query"] in self.values else "no such table",
            }
            for claim in arguments["claims"]
        ]

    def start(self, function: str, arguments: Mapping[str, Any]) -> None:
        raise AssertionError

    def execute(self, code: str, timeout: float = 120.0) -> ExecutionResult:
        raise AssertionError

    def stop(self) -> None:
        raise AssertionError


def evidence_of(session: Noted) -> Evidence:
    return Evidence(session, session.connection, FACTS, Mask("masked"))


def cited(*names: str) -> str:
    return "".join(f'<fact-value ref="{name}">' for name in names)


def test_a_claim_is_measured_once_while_it_stands_and_once_more_at_the_end():
    session = Noted(late="SELECT 1")
    session.values["SELECT 1"] = 1
    evidence = evidence_of(session)
    assert evidence.problems(cited("late")) == []
    assert evidence.problems(cited("late")) == []
    assert evidence.claims()["late"].value == 1
    session.values["SELECT 1"] = 2
    assert evidence.final()["late"].value == 2
    assert session.measured == ["late", "late"]


def test_what_was_noted_after_the_page_was_taken_counts_as_it_stands_at_the_end():
    session = Noted(late="SELECT 1")
    session.values |= {"SELECT 1": 1, "SELECT 99": 99}
    evidence = evidence_of(session)
    assert evidence.problems(cited("late")) == []
    session.claims["late"] = "SELECT 99"
    final = evidence.final()
    assert final["late"].value == 99
    assert {query.id: query.sql for query in evidence.queries}[final["late"].query] == "SELECT 99"


def test_a_claim_that_fails_or_can_not_be_shown_is_told_and_left_out():
    session = Noted(gone="SELECT no", ann="SELECT 'ann@x.example'", fine="SELECT 3")
    session.values |= {"SELECT 3": 3, "SELECT 'ann@x.example'": "ann@x.example"}
    evidence = evidence_of(session)
    gone, ann = evidence.problems(cited("gone", "ann", "fine"))
    assert "no such table" in gone
    assert "personal data" in ann
    assert "@" not in ann
    assert set(evidence.final()) == {"fine"}


def test_what_is_wrong_with_a_claim_that_the_page_does_not_name_keeps_no_page_back():
    session = Noted(gone="SELECT no", ann="SELECT 'ann@x.example'")
    evidence = evidence_of(session)
    assert evidence.problems(cited("gone"))
    assert evidence.problems("<p>Nothing.</p>") == []
    assert evidence.final() == {}


def test_a_claim_that_ends_the_connection_is_lost_alone():
    class Ended(Noted):
        def call(self, function: str, arguments: Mapping[str, Any], timeout: float) -> Any:
            if any("terminate" in claim["query"] for claim in arguments.get("claims", ())):
                raise DatabaseError("the server closed the connection")
            return super().call(function, arguments, timeout)

    session = Ended(late="SELECT 1", last="SELECT pg_terminate_backend(pg_backend_pid())")
    session.values["SELECT 1"] = 1
    evidence = evidence_of(session)
    assert {name: claim.value for name, claim in evidence.final().items()} == {"late": 1}
    (problem,) = evidence.problems(cited("last"))
    assert "the server closed the connection" in problem
