"""Waiting out what passes: overload, rate limits, a server that can't be reached.

A request is made again until it is answered or the run's own time is up. A failure or two is a matter of seconds;
after ``OUTAGE`` in a row it is an outage, and one request a minute looks whether it is over.
"""

import random
import time
from collections.abc import Callable
from itertools import count
from typing import Literal

from cataloger_dagster.agent.model import Reply, Unavailable, Usage
from cataloger_dagster.errors import ModelError

FIRST_WAIT = 1.0
"""The first pause between two requests, in seconds; it doubles."""

OUTAGE = 6
"""From how many failures in a row on the pauses are ``LONGEST_WAIT``."""

LONGEST_WAIT = 60.0


def persist(
    ask: Callable[[], Reply],
    seconds_left: Callable[[], float],
    note: Callable[[Literal["waiting", "failed"], str, Usage], None],
) -> Reply:
    """Return what *ask* returns, asking again while it raises ``Unavailable`` and there are *seconds_left*.

    *note* gets each failed request: whether another follows, a sentence, and what the failed one cost all the same.

    Raises:
        ModelError: the server failed for good, or for longer than there is time to wait.
    """
    for failures in count(1):
        try:
            return ask()
        except Unavailable as failure:
            wait, left = pause(failures) if failure.wait is None else failure.wait, seconds_left()
            if wait >= left:
                given_up = _given_up(failure, failures, max(0.0, left))
                note("failed", given_up, failure.usage)
                raise ModelError(given_up) from failure
            said = f"{failure}; asking again in {wait:.0f} s, for at most {left / 60:.0f} more minutes"
            note("waiting", said, failure.usage)
            time.sleep(wait)
    raise AssertionError("unreachable: counting does not end")


def pause(failures: int) -> float:
    """Return how many seconds to wait after so many *failures* in a row where the server does not say."""
    wait: float = LONGEST_WAIT if failures >= OUTAGE else min(LONGEST_WAIT, FIRST_WAIT * 2 ** (failures - 1))
    return wait * random.uniform(0.75, 1.0)  # many runs start at one cron: spread them


def _given_up(failure: Unavailable, failures: int, left: float) -> str:
    if failure.wait is not None:
        return f"{failure} and asks to wait {failure.wait:.0f} s, but the run has {left:.0f} s left. Go on after that"
    return f"{failure}, {failures} times in a row, and the run has no time left to wait. Try again later"
