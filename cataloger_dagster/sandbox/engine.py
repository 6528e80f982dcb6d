"""The Docker engine, as ``docker`` and ``image`` reach it, with its failures in words for people."""

import contextlib
import http.client
import os
import socket
from collections.abc import Iterator, Mapping
from typing import Any

import docker
from docker.utils import parse_host

from cataloger_dagster.errors import CatalogerError, SandboxError

NO_ENGINE = (
    "start Docker (or set DOCKER_HOST); without it, CATALOGER_SANDBOX=local runs a model under bubblewrap, "
    "and CATALOGER_MODEL=offline needs no model"
)


@contextlib.contextmanager
def engine(timeout: int = 120) -> Iterator[docker.DockerClient]:
    """Yield a client of the engine that the ``DOCKER_*`` variables name.

    Raises:
        SandboxError: no engine answers.
    """
    try:
        client = docker.from_env(version=_version(timeout), timeout=timeout)
    except (docker.errors.DockerException, OSError) as error:
        raise SandboxError(f"no Docker engine answers ({_cause(error)}); {NO_ENGINE}") from None
    try:
        yield client
    finally:
        client.close()


def _version(timeout: int) -> str | None:
    """Return the version of its interface that an engine on this machine speaks; null leaves the question to the SDK.

    The SDK asks for more than that, which takes the engine some milliseconds; and it leaves its socket open where
    nobody listens.

    Raises:
        OSError: nobody listens.
        DockerException: ``DOCKER_HOST`` is no address.
    """
    scheme, _, path = str(parse_host(os.environ.get("DOCKER_HOST"))).partition("://")
    if scheme != "http+unix":
        return None
    with socket.socket(socket.AF_UNIX) as link:
        link.settimeout(timeout)
        link.connect(path)
        asked = http.client.HTTPConnection("localhost")
        asked.sock = link
        with contextlib.suppress(http.client.HTTPException):
            asked.request("GET", "/_ping", headers={"Connection": "close"})
            return asked.getresponse().headers["Api-Version"]
    return None


@contextlib.contextmanager
def refusals(doing: str) -> Iterator[None]:
    """Turn the engine's failures while *doing* something into ours.

    Raises:
        SandboxError: the engine refused, or did not answer.
    """
    try:
        yield
    except docker.errors.APIError as error:
        raise SandboxError(f"Docker can't {doing}: {error.explanation or error}") from None
    except (docker.errors.DockerException, OSError) as error:  # requests' errors are OSErrors
        raise SandboxError(f"Docker can't {doing}: {_cause(error)}") from None


@contextlib.contextmanager
def removed(client: docker.DockerClient, name: str) -> Iterator[None]:
    """Remove a container when the block is left; see ``remove``.

    An error that leaves the block says more than that the engine, gone by then, does not remove it either.

    Raises:
        SandboxError: the block ended well, and the engine refused or did not answer.
    """
    try:
        yield
    except BaseException:
        with contextlib.suppress(SandboxError):
            remove(client, name)
        raise
    remove(client, name)


def name_of(listed: Mapping[str, Any]) -> str:
    """Return the name of a container as the engine lists it: where it is half made or half removed, part of its id."""
    return str(next(iter(listed["Names"] or ()), listed["Id"][:12])).removeprefix("/")


def remove(client: docker.DockerClient, name: str) -> None:
    """Remove a container, unless it was never made, is gone, or is being removed by the engine already.

    Raises:
        SandboxError: the engine refused, or did not answer.
    """
    with refusals(f"remove the sandbox {name}"):
        try:
            client.api.remove_container(name, force=True, v=True)
        except docker.errors.APIError as error:
            if error.status_code not in (404, 409):
                raise


def _cause(error: BaseException) -> str:
    """Return the reason at the bottom of the libraries' wrappings."""
    # Below that may be an error of ours, during whose handling the engine failed.
    while (inner := error.__cause__ or error.__context__) and not isinstance(inner, CatalogerError):
        error = inner
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error)[-300:]
