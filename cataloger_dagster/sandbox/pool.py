"""A warm pool: idle containers, held ready for the next runs of any process on the engine.

An idle container has run nothing and knows nobody: its libraries are imported, and it waits for its first host. Its
name says which *plan* (image and limits) it follows and which place in the pool it has. To claim one is to give it
the name that follows from its id: the engine refuses the name that a container already has, so one of many who try
succeeds. It is used once and goes with its run like any other. Whoever opens a session refills the places, in the
background. A container that nobody claims ends by itself. How one is made and spoken to is in ``docker``.
"""

import contextlib
import hashlib
import json
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

import docker

from cataloger_dagster.errors import SandboxError
from cataloger_dagster.sandbox.engine import engine, name_of, refusals, remove

POOL = "dev.cataloger.pool"
"""The label of a container that was made for a pool: its plan, whatever the version of the image."""

IDLE_SECONDS = 1800
"""How long an idle container waits for its host."""

_PAUSE = 0.5  # seconds: who has just claimed a container is not slowed by the making of the next


class Pool:
    """Idle containers after one *plan*: the image's name, and everything else that a container is made with."""

    def __init__(self, size: int, image: str, plan: Mapping[str, Any]) -> None:
        self.size = size
        self._image = image
        self._plan = hashlib.sha256(json.dumps([image, plan], sort_keys=True).encode()).hexdigest()[:12]
        self._filling = threading.Lock()

    @property
    def labels(self) -> dict[str, str]:
        """The labels of a container of the pool."""
        return {POOL: self._plan}

    def claim(self, client: docker.DockerClient) -> str | None:
        """Make an idle container ours and return its new name; null if there is none.

        Raises:
            SandboxError: the engine failed.
        """
        places = self._places(self._version(client))
        for name, identifier in self._idle(client).items():
            if name in places and (claimed := _claim(client, identifier)):
                return claimed
        return None

    def refill(self, make: Callable[[docker.DockerClient, str], None]) -> threading.Thread:
        """Fill the free places in the background, a little later, with what *make* makes under the name it is given.

        Nothing waits for it, and what fails there fails nobody's run: the next one tries again.
        """
        thread = threading.Thread(target=self._refill, args=(make,), name="sandbox pool", daemon=True)
        thread.start()
        return thread

    def _refill(self, make: Callable[[docker.DockerClient, str], None]) -> None:
        if not self._filling.acquire(blocking=False):
            return  # a thread of this process is at it
        try:
            time.sleep(_PAUSE)
            with contextlib.suppress(SandboxError), engine() as client:
                places = self._places(self._version(client))
                idle = self._idle(client)
                for name, identifier in idle.items():
                    if name not in places and (claimed := _claim(client, identifier)):
                        remove(client, claimed)
                for name in places:
                    if name not in idle:
                        make(client, name)
        finally:
            self._filling.release()

    def _idle(self, client: docker.DockerClient) -> dict[str, str]:
        """Return the idle containers of the plan, of whatever version of the image: names and ids."""
        with refusals("look at the pool"):
            found = client.api.containers(all=True, filters={"label": f"{POOL}={self._plan}"})
        named = {name_of(each): str(each["Id"]) for each in found}
        return {name: identifier for name, identifier in named.items() if name.startswith(self._prefix)}

    def _version(self, client: docker.DockerClient) -> str:
        with refusals(f"look at the image {self._image}"):
            try:
                return str(client.images.get(self._image).id).rpartition(":")[2][:12]
            except docker.errors.ImageNotFound:
                raise SandboxError(f"there is no image {self._image}; build it: cataloger sandbox build") from None

    def _places(self, version: str) -> list[str]:
        return [f"{self._prefix}{version}-{place}" for place in range(self.size)]

    @property
    def _prefix(self) -> str:
        return f"cataloger-idle-{self._plan}-"


def _claim(client: docker.DockerClient, identifier: str) -> str | None:
    """Give an idle container the name that follows from its id; null if another was faster, or it has ended."""
    name = f"cataloger-{identifier[:16]}"
    with refusals("claim a sandbox"):
        try:
            client.api.rename(identifier, name)
        except docker.errors.APIError as error:
            if error.status_code not in (400, 404, 409):
                raise
            return None
    return name
