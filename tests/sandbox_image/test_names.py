"""What names suggest: that a word within another is not that word."""

import pytest
from cataloger_sandbox.names import freshness


@pytest.mark.parametrize(
    "name",
    ["updated_at", "lastUpdate", "dateModified", "created_at", "createdAt", "dateadded", "added_on", "ts", "event_ts",
     "order_date", "orderdate", "calendar_date", "vendor_date", "sender_at", "context_time", "validated_at",
     "LastLogin"],
)  # fmt: skip
def test_a_time_that_rows_are_written_at_is_told_by_its_name(name: str) -> None:
    assert freshness(name) >= 3


@pytest.mark.parametrize(
    "name",
    ["ip_address", "home_address", "client_addr", "last_name", "candidate", "sentiment", "gender", "catalog", "credit",
     "payload", "exchange"],
)  # fmt: skip
def test_a_word_within_another_tells_nothing(name: str) -> None:
    assert freshness(name) == 1


@pytest.mark.parametrize(
    "name", ["period_end", "enddate", "ended_at", "due_date", "valid_to", "birth_date", "deleted_at", "next_visit"]
)
def test_a_time_to_come_or_of_a_person_is_not_the_tables(name: str) -> None:
    assert freshness(name) == 0
