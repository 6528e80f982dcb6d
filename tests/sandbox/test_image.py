"""The sandbox's image: what goes into it, when it is stale, and that a failed build says why."""

import os
import shutil
import tarfile
import zipfile
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from cataloger_dagster.bundled import bundled
from cataloger_dagster.errors import ConfigurationError, SandboxError
from cataloger_dagster.sandbox import image
from cataloger_dagster.sandbox.engine import engine
from tests.services.missing import missing

ROOT = Path(__file__).parents[2]


def requirements(path: Path) -> dict[str, str]:
    """The pinned names of a file, with their versions."""
    lines = [line.partition("#")[0].strip() for line in path.read_text().splitlines()]
    pinned = [Requirement(line) for line in lines if line]
    return {canonicalize_name(each.name): str(each.specifier) for each in pinned}


def test_the_image_has_the_versions_that_the_tests_have() -> None:
    inside, outside = requirements(ROOT / "sandbox_image/requirements.txt"), requirements(ROOT / "constraints.txt")
    assert inside["duckdb"].startswith("==1.")
    assert {name: version for name, version in inside.items() if outside.get(name) != version} == {}


def test_the_hash_follows_the_source_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(image, "bundled", lambda name: tmp_path)
    (tmp_path / "runner.py").write_text("one")
    first = image.source_hash()
    (tmp_path / "__pycache__").mkdir()
    (tmp_path / "__pycache__" / "runner.cpython-311.pyc").write_bytes(b"compiled")
    assert image.source_hash() == first
    (tmp_path / "runner.py").write_text("two")
    assert image.source_hash() != first


def test_the_context_is_the_same_bytes_for_the_same_source() -> None:
    files = image._source_files()
    assert image._context(files).read() == image._context(files).read()
    with tarfile.open(fileobj=image._context(files)) as archive:
        names = archive.getnames()
    assert {"Dockerfile", "requirements.txt", "__main__.py", "cataloger_sandbox/runner.py"} <= set(names)
    assert not [name for name in names if "__pycache__" in name]


def test_a_wheelhouse_without_wheels_says_how_to_fill_it(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "missing"):
        with pytest.raises(ConfigurationError, match=r"no wheels in it; fill it .*: pip download .* -d"):
            image.build("cataloger-test-none:1", wheelhouse=folder)


def test_an_image_is_built_from_a_wheelhouse_without_an_index(
    docker_sandbox_image: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, wheels = tmp_path / "source", tmp_path / "wheels"
    shutil.copytree(bundled("sandbox_image"), source)
    wheels.mkdir()
    (source / "requirements.txt").write_text("told-only-here==1.0\n")
    with zipfile.ZipFile(wheels / "told_only_here-1.0-py3-none-any.whl", "w") as wheel:
        folder = "told_only_here-1.0.dist-info"
        wheel.writestr("told_only_here.py", "WORD = 'from the wheelhouse'\n")
        wheel.writestr(f"{folder}/METADATA", "Metadata-Version: 2.1\nName: told-only-here\nVersion: 1.0\n")
        wheel.writestr(f"{folder}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{folder}/RECORD", "")
    monkeypatch.setattr(image, "bundled", lambda name: source)
    base = os.environ.get("CATALOGER_TEST_BASE_IMAGE")
    if base is None:
        missing("base image", "CATALOGER_TEST_BASE_IMAGE=NAME")
    name = f"cataloger-test-wheelhouse:{os.getpid()}"
    said: list[str] = []
    with engine() as client:
        try:
            image.build(name, base, said.append, wheels)
            program = ["-c", "import told_only_here; print(told_only_here.WORD)"]
            out = client.containers.run(
                name, program, entrypoint="/opt/venv/bin/python", network_mode="none", remove=True
            )
            assert out == b"from the wheelhouse\n"
        finally:
            client.images.remove(name, force=True)
    assert not any("Looking in indexes" in line for line in said)


def test_the_dockerfile_names_no_place_to_install_from() -> None:
    text = (bundled("sandbox_image") / "Dockerfile").read_text()
    assert "ARG BASE_IMAGE=python:3.12-slim\n" in text
    assert "://" not in text
    assert "index-url" not in text


def test_a_built_image_is_current_and_another_is_missing(docker_sandbox_image: str) -> None:
    assert image.exists(docker_sandbox_image)
    assert not image.exists("cataloger-none:1")
    assert not image.is_current("cataloger-none:1")


def test_an_image_of_an_older_source_is_stale(docker_sandbox_image: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(image, "_hash", lambda files: "another")
    assert image.exists(docker_sandbox_image)
    assert not image.is_current(docker_sandbox_image)


def test_a_build_tells_each_line_and_a_failed_one_says_why(
    docker_sandbox_image: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(image, "bundled", lambda name: tmp_path)
    (tmp_path / "Dockerfile").write_text(f"ARG BASE_IMAGE=none\nFROM {docker_sandbox_image}\nRUN echo told; exit 3\n")
    said: list[str] = []
    with pytest.raises(SandboxError, match=r"(?s)can't build the image cataloger-test-broken:1: .*code: 3.*told"):
        image.build("cataloger-test-broken:1", log=said.append)
    assert "told" in said
    assert not image.exists("cataloger-test-broken:1")


def test_a_base_image_that_is_not_there_is_named(docker_sandbox_image: str) -> None:
    with pytest.raises(SandboxError, match=r"base image \(cataloger-no-such-base:1\) can't be had here"):
        image.build("cataloger-test-broken:1", "cataloger-no-such-base:1")
