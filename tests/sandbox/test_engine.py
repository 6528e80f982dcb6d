"""The engine's failures in words for people."""

from collections.abc import Callable

import docker
import pytest

from cataloger_dagster.errors import SandboxError
from cataloger_dagster.sandbox.engine import refusals


def remove() -> None:
    with refusals("remove the sandbox"):
        try:
            raise ConnectionRefusedError(111, "Connection refused")
        except OSError as error:
            raise docker.errors.DockerException("wrapped") from error


def leave() -> None:
    try:
        raise SandboxError("the sandbox has ended: its memory may have been used up")
    finally:
        remove()


@pytest.mark.parametrize("work", [remove, leave])
def test_the_engines_own_reason_is_told_whatever_failed_before(work: Callable[[], None]) -> None:
    with pytest.raises(SandboxError) as told:
        work()
    assert str(told.value) == "Docker can't remove the sandbox: Connection refused"
