"""Containers whose run is no more: one that was killed between making its container and starting it leaves that.

A container that runs ends by itself with its run; see ``docker``. Whose a container is, is in ``owners``.
"""

import time
from dataclasses import dataclass, field

import docker

from cataloger_dagster.errors import SandboxError
from cataloger_dagster.owners import OWNER, is_dead
from cataloger_dagster.sandbox.engine import engine, name_of, refusals

FORGOTTEN = 86_400
"""Seconds after which a container that does not run is nobody's, whoever made it: a run starts its own at once."""


@dataclass
class Removal:
    """The names of the containers that were removed, and of those that could not be, with the engine's reason."""

    removed: list[str] = field(default_factory=list)
    stuck: dict[str, str] = field(default_factory=dict)


def sweep() -> list[str]:
    """Remove what dead runs left, and return the names of the containers.

    Raises:
        SandboxError: no engine answers, or it can't remove one of them.
    """
    with engine() as client, refusals("list containers"):
        done = remove_abandoned(client)
    if done.stuck:
        told = "; ".join(f"{name}: {reason}" for name, reason in done.stuck.items())
        raise SandboxError(f"Docker can't remove what a dead run left: {told}")
    return done.removed


def remove_abandoned(client: docker.DockerClient) -> Removal:
    """Remove the containers whose process has certainly ended, or that never began and were long forgotten."""
    done = Removal()
    for container in client.api.containers(all=True, filters={"label": OWNER}):
        rests = container["State"] in ("created", "exited", "dead")
        forgotten = rests and time.time() - container["Created"] > FORGOTTEN
        if not forgotten and not is_dead(container["Labels"][OWNER]):
            continue
        name = name_of(container)
        try:
            client.api.remove_container(container["Id"], force=True, v=True)
        except docker.errors.APIError as error:
            # It was gone already, or is being removed: by the engine, or by another run that looks now, too.
            if error.status_code not in (404, 409):
                done.stuck[name] = str(error.explanation or error)
                continue
        done.removed.append(name)
    return done
