"""Fixtures of the agent's tests."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.agent.in_process import InProcessSession


@pytest.fixture
def session(tmp_path: Path) -> InProcessSession:
    return InProcessSession(tmp_path)


@pytest.fixture(autouse=True)
def no_credentials(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """No key, profile or address of this machine reaches a test."""
    for name in (
        "API_KEY AUTH_TOKEN PROFILE CONFIG_DIR BASE_URL CUSTOM_HEADERS IDENTITY_TOKEN IDENTITY_TOKEN_FILE "
        "FEDERATION_RULE_ID ORGANIZATION_ID SERVICE_ACCOUNT_ID WORKSPACE_ID SCOPE"
    ).split():
        monkeypatch.delenv(f"ANTHROPIC_{name}", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path_factory.mktemp("home")))
    yield
