"""Which sandbox a run gets, from plain arguments. What each one is, is in ``docker`` and ``local``."""

from typing import Literal

from cataloger_dagster.errors import ConfigurationError
from cataloger_dagster.sandbox.local import LocalSandbox
from cataloger_dagster.sandbox.session import Sandbox


def choose(
    name: Literal["docker", "local"] | None,
    *,
    offline: bool,
    image: str,
    pool: int = 0,
    runtime: str | None = None,
    unsafe_local: bool = False,
) -> Sandbox:
    """Return the sandbox called *name*; without one, ``local`` for the playbook and ``docker`` for every model.

    Args:
        name: the sandbox asked for, or null.
        offline: whether the code comes from the playbook, that is from us.
        image: the image of a container.
        pool: how many containers are held ready for the next runs.
        runtime: the engine's runtime for containers, or null for its own.
        unsafe_local: whether a model may run in a local sandbox that nothing confines.

    Raises:
        ConfigurationError: a model would run where nothing confines its code.
    """
    if name == "docker" or (name is None and not offline):
        # Its SDK takes half a second to import, and the playbook does without.
        from cataloger_dagster.sandbox.docker import DockerSandbox

        return DockerSandbox(image, pool=pool, runtime=runtime)
    local = LocalSandbox()
    if offline or local.isolated or unsafe_local:
        return local
    raise ConfigurationError(
        "CATALOGER_SANDBOX=local: a model's code may run here under bubblewrap alone, which is not installed or may "
        "not make namespaces; install it (apt-get install bubblewrap), use CATALOGER_SANDBOX=docker, or take the "
        "risk with CATALOGER_UNSAFE_LOCAL=1"
    )
