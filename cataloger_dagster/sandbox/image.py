"""The sandbox's image: built from ``sandbox_image/``, marked with what it was built from."""

import hashlib
import io
import tarfile
from collections.abc import Callable
from pathlib import Path

import docker

from cataloger_dagster.bundled import bundled
from cataloger_dagster.errors import ConfigurationError, SandboxError
from cataloger_dagster.sandbox.engine import engine, refusals

SOURCE = "dev.cataloger.source"
"""The label that holds the hash of the source."""

_WHEELS = ("wheels/README", b"Wheels of a wheelhouse stand here.\n")
"""What is always there: the Dockerfile can't copy a folder that may be missing."""


def build(
    image: str,
    base_image: str | None = None,
    log: Callable[[str], None] | None = None,
    wheelhouse: Path | None = None,
) -> None:
    """Build *image*, on *base_image* if given, telling *log*, if given, each line of the build.

    With a *wheelhouse*, a folder of wheels, the libraries come from there alone and no package index is asked.

    Raises:
        SandboxError: no engine, or the build failed.
        ConfigurationError: the wheelhouse is no folder with wheels.
    """
    said: list[str] = []
    files = _source_files()
    context = _context([*files, _WHEELS, *(_wheels(wheelhouse) if wheelhouse else [])])
    with engine(timeout=1800) as client, refusals(f"build the image {image}"):
        steps = client.api.build(
            fileobj=context,
            custom_context=True,
            tag=image,
            rm=True,
            forcerm=True,
            buildargs={"BASE_IMAGE": base_image} if base_image else None,
            labels={SOURCE: _hash(files)},
            decode=True,
        )
        for step in steps:
            if "error" in step:
                reason = step["error"].strip()
                if "FROM" in "".join(said[-1:]):
                    base = base_image or "the Dockerfile's own"
                    reason += f"; its base image ({base}) can't be had here: name another with --base-image"
                raise SandboxError("\n".join([f"Docker can't build the image {image}: {reason}", *said[-15:]]))
            for line in str(step.get("stream") or step.get("status") or "").splitlines():
                if line.strip():
                    said.append(line)
                    if log:
                        log(line)


def _wheels(folder: Path) -> list[tuple[str, bytes]]:
    wheels = sorted(folder.glob("*.whl")) if folder.is_dir() else []
    if not wheels:
        raise ConfigurationError(
            f"{folder}: there are no wheels in it; fill it where there is a network and a Python like the base "
            f"image's: pip download --only-binary=:all: -d {folder} -r {bundled('sandbox_image') / 'requirements.txt'}"
        )
    return [(f"wheels/{wheel.name}", wheel.read_bytes()) for wheel in wheels]


def exists(image: str) -> bool:
    """Say whether the engine has *image*."""
    return _source(image) is not None


def is_current(image: str) -> bool:
    """Say whether the engine has *image*, built from the source as it is now."""
    return _source(image) == source_hash()


def _source(image: str) -> str | None:
    with engine() as client, refusals(f"look at the image {image}"):
        try:
            labels = client.images.get(image).labels
        except docker.errors.ImageNotFound:
            return None
        return str(labels.get(SOURCE, ""))


def source_hash() -> str:
    """Return the hash of every file that goes into the image."""
    return _hash(_source_files())


def _source_files() -> list[tuple[str, bytes]]:
    folder = bundled("sandbox_image")
    files = {path.relative_to(folder): path for path in folder.rglob("*") if path.is_file()}
    return sorted(
        (name.as_posix(), path.read_bytes()) for name, path in files.items() if "__pycache__" not in name.parts
    )


def _hash(files: list[tuple[str, bytes]]) -> str:
    digest = hashlib.sha256()
    for name, content in files:
        digest.update(f"{name}\0{len(content)}\0".encode() + content)
    return digest.hexdigest()


def _context(files: list[tuple[str, bytes]]) -> io.BytesIO:
    """Return the build's context: the same bytes for the same source, so that the engine's cache holds."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for name, content in files:
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            entry.mode = 0o644
            archive.addfile(entry, io.BytesIO(content))
    packed.seek(0)
    return packed
