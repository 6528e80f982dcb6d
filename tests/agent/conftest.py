"""Fixtures of the agent's tests."""

import functools
from collections.abc import Iterator
from pathlib import Path

import httpcore2
import pytest

from cataloger_dagster.agent import outages
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


@pytest.fixture(scope="package", autouse=True)
def authorities() -> Iterator[None]:
    """All clients share one list of certificate authorities: each would read its own, longer than most tests take."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(httpcore2, "default_ssl_context", functools.cache(httpcore2.default_ssl_context))
        yield


@pytest.fixture(autouse=True)
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pauses between requests are a hundredth of what they are."""
    monkeypatch.setattr(outages, "FIRST_WAIT", 0.01)
    monkeypatch.setattr(outages, "LONGEST_WAIT", 0.6)
