"""Which sandbox is chosen: local for the playbook, Docker for a model, and no model where nothing confines it."""

import pytest

from cataloger_dagster.errors import ConfigurationError
from cataloger_dagster.sandbox import local
from cataloger_dagster.sandbox.choice import choose


@pytest.mark.parametrize(
    ("name", "offline", "chosen"),
    [
        (None, True, "local"),
        (None, False, "docker"),
        ("docker", True, "docker"),
        ("docker", False, "docker"),
        ("local", True, "local"),
    ],
)
@pytest.mark.parametrize("confined", [True, False])
def test_the_choice(name: str, offline: bool, chosen: str, confined: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local, "isolated", lambda: confined)
    assert choose(name, offline=offline, image="some-image:1").name == chosen  # type: ignore[arg-type]


def test_a_model_runs_locally_under_bubblewrap(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local, "isolated", lambda: True)
    sandbox = choose("local", offline=False, image="some-image:1")
    assert isinstance(sandbox, local.LocalSandbox)
    assert sandbox.isolated


def test_a_model_does_not_run_unconfined_unless_somebody_takes_the_risk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local, "isolated", lambda: False)
    with pytest.raises(ConfigurationError, match=r"bubblewrap.*CATALOGER_SANDBOX=docker.*CATALOGER_UNSAFE_LOCAL=1"):
        choose("local", offline=False, image="some-image:1")
    sandbox = choose("local", offline=False, image="some-image:1", unsafe_local=True)
    assert isinstance(sandbox, local.LocalSandbox)
    assert not sandbox.isolated
