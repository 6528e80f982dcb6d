"""The Docker engine, as both ``docker`` and ``image`` reach it, with its failures in words for people."""

import contextlib
from collections.abc import Iterator

import docker
import requests

from cataloger_dagster.errors import SandboxError

NO_ENGINE = (
    "start Docker (or set DOCKER_HOST); without Docker, CATALOGER_MODEL=offline needs none, "
    "and CATALOGER_SANDBOX=local runs under bubblewrap"
)


@contextlib.contextmanager
def engine(timeout: int = 120) -> Iterator[docker.DockerClient]:
    """Yield a client of the engine that the ``DOCKER_*`` variables name.

    Raises:
        SandboxError: no engine answers, or it refuses what is asked of it.
    """
    try:
        client = docker.from_env(timeout=timeout)
    except (docker.errors.DockerException, requests.RequestException) as error:
        raise SandboxError(f"no Docker engine answers ({_cause(error)}); {NO_ENGINE}") from None
    try:
        yield client
    except docker.errors.APIError as error:
        raise SandboxError(f"Docker refuses: {error.explanation or error}") from None
    except (docker.errors.DockerException, requests.RequestException) as error:
        raise SandboxError(f"the Docker engine fails ({_cause(error)})") from None
    finally:
        client.close()


def _cause(error: BaseException) -> str:
    """Return the reason at the bottom of the libraries' wrappings."""
    while isinstance(error.args[-1] if error.args else None, BaseException):
        error = error.args[-1]
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error)[-300:]
