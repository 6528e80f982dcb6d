"""The settings of the process: every ``CATALOGER_*`` variable, read here and nowhere else.

What belongs to one database is in ``databases``. ``ANTHROPIC_*``, ``AWS_*`` and ``DOCKER_*`` mean what their
own clients say, and are read by them.
"""

import difflib
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Self, TypeVar, get_args

from cataloger_dagster import __version__
from cataloger_dagster.errors import ConfigurationError
from cataloger_dagster.urls import mask_logins

VARIABLES: Mapping[str, str] = {
    "CATALOGER_DATABASES": "path of databases.yaml (default: ./databases.yaml)",
    "CATALOGER_STORE": "s3://bucket/prefix or a folder (default: ./catalogs)",
    "CATALOGER_MODEL": "any model name, or offline for the playbook",
    "CATALOGER_EFFORT": "low, medium, high, xhigh or max: how much a model thinks (default: the model's own)",
    "CATALOGER_SANDBOX": "docker or local",
    "CATALOGER_SANDBOX_IMAGE": "name of the sandbox image (default: cataloger-sandbox:<version>)",
    "CATALOGER_SANDBOX_POOL": "containers held ready for the next runs (default: 0)",
    "CATALOGER_SANDBOX_RUNTIME": "runtime for containers, such as runsc (default: the engine's own)",
    "CATALOGER_UNSAFE_LOCAL": "1 allows a model in a local sandbox without bubblewrap",
    "CATALOGER_PROMPTS": "folder whose prompts replace the built-in ones",
    "CATALOGER_CATALOG_PROMPT": "the catalog prompt itself, as cataloger prompt encode prints it",
    "CATALOGER_SUMMARY_PROMPT": "the summary prompt itself, as cataloger prompt encode prints it",
}
"""Every variable and what it sets, for help and documentation."""

MOST_IDLE = 64
"""The largest pool: each container of it holds about a hundred megabytes."""

Effort = Literal["low", "medium", "high", "xhigh", "max"]

EFFORTS: tuple[Effort, ...] = get_args(Effort)
"""What the Messages API takes; not every model takes all of them."""

SANDBOXES: tuple[Literal["docker", "local"], ...] = ("docker", "local")

T = TypeVar("T", bound=str)

_YES = frozenset({"1", "true", "yes", "on"})
_NO = frozenset({"0", "false", "no", "off"})


@dataclass(frozen=True)
class Settings:
    """What the environment says.

    Attributes:
        databases: path of ``databases.yaml``, absolute.
        databases_named: whether the environment names that path, so that it must be there.
        store: ``s3://bucket/prefix``, or a folder as written.
        model: name of the model; null to choose by the credentials found.
        effort: how much a model thinks; null for its own default.
        sandbox: null to choose by the model.
        sandbox_image: name of the Docker image.
        sandbox_pool: how many containers are held ready for the next runs.
        sandbox_runtime: the engine's runtime for containers; null for its own.
        unsafe_local: whether a model may run in a local sandbox that nothing confines.
        prompts: folder of prompts that replace the built-in ones.
        catalog_prompt: the catalog prompt, base64 as in the variable.
        summary_prompt: the summary prompt, likewise.
    """

    databases: Path
    databases_named: bool = False
    store: str = "./catalogs"
    model: str | None = None
    effort: Effort | None = None
    sandbox: Literal["docker", "local"] | None = None
    sandbox_image: str = f"cataloger-sandbox:{__version__}"
    sandbox_pool: int = 0
    sandbox_runtime: str | None = None
    unsafe_local: bool = False
    prompts: Path | None = None
    catalog_prompt: str | None = None
    summary_prompt: str | None = None

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] | None = None) -> Self:
        """Read *environ* (default: the process's own). An empty variable counts as unset.

        Raises:
            ConfigurationError: a variable holds what it can't mean.
        """
        source = os.environ if environ is None else environ
        given = {name: value for name in VARIABLES if (value := source.get(name, "").strip())}
        prompts = given.get("CATALOGER_PROMPTS")
        return cls(
            databases=Path(given.get("CATALOGER_DATABASES", "databases.yaml")).absolute(),
            databases_named="CATALOGER_DATABASES" in given,
            store=_store(given.get("CATALOGER_STORE", "./catalogs")),
            model=given.get("CATALOGER_MODEL"),
            effort=_effort(given.get("CATALOGER_EFFORT")),
            sandbox=_sandbox(given.get("CATALOGER_SANDBOX")),
            sandbox_image=_image(given.get("CATALOGER_SANDBOX_IMAGE", f"cataloger-sandbox:{__version__}")),
            sandbox_pool=_count("CATALOGER_SANDBOX_POOL", given.get("CATALOGER_SANDBOX_POOL", "0")),
            sandbox_runtime=_runtime(given.get("CATALOGER_SANDBOX_RUNTIME")),
            unsafe_local=_switch("CATALOGER_UNSAFE_LOCAL", given.get("CATALOGER_UNSAFE_LOCAL", "0")),
            prompts=_folder("CATALOGER_PROMPTS", prompts) if prompts else None,
            catalog_prompt=given.get("CATALOGER_CATALOG_PROMPT"),
            summary_prompt=given.get("CATALOGER_SUMMARY_PROMPT"),
        )


def _store(value: str) -> str:
    scheme, separator, rest = value.partition("://")
    if not separator:
        return value
    if scheme != "s3":
        raise ConfigurationError(
            f"CATALOGER_STORE={mask_logins(value)}: no store for {scheme}://; write s3://bucket/prefix or a folder"
        )
    bucket = rest.partition("/")[0]
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]+", bucket):
        raise ConfigurationError(
            f"CATALOGER_STORE={mask_logins(value)}: no bucket's name; write s3://bucket/prefix "
            "(keys and endpoint come from the AWS_* variables)"
        )
    return value


def _effort(value: str | None) -> Effort | None:
    return None if value is None else _one_of("CATALOGER_EFFORT", value.lower(), EFFORTS)


def _sandbox(value: str | None) -> Literal["docker", "local"] | None:
    return None if value is None else _one_of("CATALOGER_SANDBOX", value, SANDBOXES)


def _one_of(name: str, value: str, allowed: Sequence[T]) -> T:
    for one in allowed:
        if value == one:
            return one
    close = difflib.get_close_matches(value, map(str, allowed), n=1)
    hint = f" (did you mean {close[0]}?)" if close else ""
    *others, last = allowed
    raise ConfigurationError(f"{name}={value}: there is no such choice{hint}; it is {', '.join(others)} or {last}")


def _image(value: str) -> str:
    if re.search(r"\s", value) or value.startswith("-"):
        raise ConfigurationError(f"CATALOGER_SANDBOX_IMAGE={value}: no name of an image; write NAME:TAG")
    return value


def _runtime(value: str | None) -> str | None:
    if value is not None and not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]*", value):
        raise ConfigurationError(
            f"CATALOGER_SANDBOX_RUNTIME={value}: no name of a runtime; docker info lists those of the engine"
        )
    return value


def _count(name: str, value: str) -> int:
    if not value.isdecimal() or int(value) > MOST_IDLE:
        raise ConfigurationError(f"{name}={value}: write a number from 0 to {MOST_IDLE}")
    return int(value)


def _switch(name: str, value: str) -> bool:
    if value.lower() in _YES:
        return True
    if value.lower() in _NO:
        return False
    raise ConfigurationError(f"{name}={value}: write 1 or 0")


def _folder(name: str, value: str) -> Path:
    path = Path(value).absolute()
    if not path.is_dir():
        raise ConfigurationError(f"{name}={value}: no such folder")
    return path
