"""What people and the log are told while a page is written."""

import logging
from typing import Any

import pytest

from cataloger_dagster.agent.meter import Limits
from cataloger_dagster.authoring import Telling

USAGE = {"input": 50, "cache_write": 1_000, "cache_read": 6_000, "output": 9}
CALLS = [{"type": "text", "text": "I look."}, {"type": "tool_use", "id": "a", "name": "execute_python", "input": {}}]
REPLY = {"event": "reply", "step": 2, "content": CALLS, "stop_reason": "tool_use", "usage": USAGE, "seconds": 1.25}
MISSED = {"event": "cache_missed", "step": 3, "tokens": 6_150}


def tell(*events: dict[str, Any]) -> tuple[list[str], list[str]]:
    """Return what is told of *events*, and what is warned of."""
    told: list[str] = []
    warned: list[str] = []
    telling = Telling("shop", Limits(200_000, 40, 1200), told.append, warned.append)
    for event in events:
        telling(event)
    return told, warned


def test_each_step_is_a_line_with_its_tokens_by_kind_and_its_time() -> None:
    ran = {"event": "ran", "step": 2, "id": "a", "output": "x", "error": "timeout", "seconds": 120.0}
    told, warned = tell(REPLY, ran, {"event": "end", "ended": "submitted", "steps": 2, "usage": USAGE})
    assert told == [
        "step 2 of 40: execute_python; 1,050 tokens in, 6,000 from the cache, 9 out; 1.2 s",
        "step 2: ran in 120.0 s, timeout",
        "submitted after 2 steps",
    ]
    assert warned == []


def test_a_cache_that_misses_is_warned_of_once_and_told_again() -> None:
    told, warned = tell(MISSED, MISSED | {"step": 4})
    assert warned == ["step 3: 6,150 tokens were processed again that the cache should have held"]
    assert told == ["step 4: 6,150 tokens were processed again that the cache should have held"]


def test_an_outage_a_full_window_and_a_cell_that_differs_are_warned_of() -> None:
    waiting = {"event": "waiting", "step": 3, "message": "asking again in 2 s", "usage": USAGE}
    told, warned = tell(waiting, {"event": "shortened", "step": 9}, {"event": "differs", "step": 1})
    assert told == []
    assert [message.split(":")[0] for message in warned] == ["asking again in 2 s", "step 9", "step 1"]


def test_each_step_is_a_record_of_the_log_with_its_numbers_and_without_its_text(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.INFO, "cataloger_dagster.authoring"):
        tell(REPLY, MISSED)
    reply, missed = (record.__dict__ | {"level": record.levelno} for record in caplog.records)
    first = {"event": "reply", "step": 2, "seconds": 1.25, "stop_reason": "tool_use", "database": "shop"}
    assert (reply["level"], reply["cataloger"]) == (logging.INFO, first | USAGE)
    assert missed["level"] == logging.WARNING
    assert missed["cataloger"] == {"event": "cache_missed", "step": 3, "database": "shop", "tokens": 6_150}
