"""The engine's failures in words for people."""

import socket
import threading
from collections.abc import Callable
from pathlib import Path
from typing import cast

import docker
import pytest

from cataloger_dagster.errors import SandboxError
from cataloger_dagster.sandbox.engine import engine, refusals, removed


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


class Gone:
    """An engine that does not answer any more, as a client of it."""

    @property
    def api(self) -> "Gone":
        return self

    def remove_container(self, *_: object, **__: object) -> None:
        raise docker.errors.DockerException("Connection refused")


def test_why_a_session_ended_is_told_and_not_that_its_container_can_not_be_removed_either() -> None:
    client = cast("docker.DockerClient", Gone())
    with pytest.raises(SandboxError, match=r"^the sandbox has ended$"), removed(client, "x"):
        raise SandboxError("the sandbox has ended")
    with pytest.raises(SandboxError, match="can't remove the sandbox x"), removed(client, "x"):
        pass


@pytest.mark.parametrize(
    ("answers", "asked", "version"),
    [
        (["Api-Version: 1.43\r\n\r\n"], ["GET /_ping"], "1.43"),
        (["\r\n", '\r\n{"ApiVersion": "1.42"}'], ["GET /_ping", "GET /version"], "1.42"),
    ],
)
def test_the_engines_version_is_asked_for_in_the_cheapest_way_it_knows(
    answers: list[str], asked: list[str], version: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard = []

    def serve(listener: socket.socket) -> None:
        for answer in answers:
            link, _ = listener.accept()
            with link:
                heard.append(link.recv(4096).decode().partition(" HTTP")[0])
                link.sendall(f"HTTP/1.1 200 OK\r\nConnection: close\r\n{answer}".encode())

    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/engine")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(f"{tmp_path}/engine")
        listener.listen()
        thread = threading.Thread(target=serve, args=[listener])
        thread.start()
        with engine(timeout=10) as client:
            assert client.api.api_version == version
        thread.join()
    assert heard == asked
