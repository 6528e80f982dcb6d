"""Fixtures of the agent's tests."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.agent.in_process import InProcessSession


@pytest.fixture
def session(tmp_path: Path) -> Iterator[InProcessSession]:
    opened = InProcessSession(tmp_path)
    yield opened
    opened.stop()


@pytest.fixture(autouse=True)
def home(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """No profile of this machine's user reaches a test."""
    monkeypatch.setenv("HOME", str(tmp_path_factory.mktemp("home")))
