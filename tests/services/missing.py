"""What happens when a service a test needs is not there."""

import os
from typing import NoReturn

import pytest


def missing(service: str, remedy: str) -> NoReturn:
    """Skip the test in sight; fail it where every service is required (``CATALOGER_REQUIRE_SERVICES=1``: CI)."""
    reason = f"no {service} here: {remedy}"
    if os.environ.get("CATALOGER_REQUIRE_SERVICES") == "1":
        pytest.fail(f"{reason} (CATALOGER_REQUIRE_SERVICES=1)", pytrace=False)
    pytest.skip(reason)
