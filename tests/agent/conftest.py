"""Fixtures of the agent's tests."""

from pathlib import Path

import pytest

from tests.agent.in_process import InProcessSession


@pytest.fixture
def session(tmp_path: Path) -> InProcessSession:
    return InProcessSession(tmp_path)


@pytest.fixture(autouse=True)
def home(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """No profile of this machine's user reaches a test."""
    monkeypatch.setenv("HOME", str(tmp_path_factory.mktemp("home")))
