"""The Makefile: every target prepares its own environment, once."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
TARGETS = {"venv", "demo", "test", "dev", "lint", "bench"}


def make(folder: Path, *arguments: str, path: str | None = None) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [shutil.which("make") or "make", "--no-print-directory", *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        env={"PATH": os.environ["PATH"] if path is None else path, "HOME": str(folder)},
        timeout=60,
    )


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """What a fresh clone has that make looks at."""
    folder = tmp_path / "clone"
    shutil.copytree(ROOT / ".ci", folder / ".ci")
    for name in ("Makefile", "pyproject.toml", "constraints.txt"):
        shutil.copy(ROOT / name, folder)
    return folder


@pytest.fixture
def tools(tmp_path: Path) -> Path:
    """A path with the shell's tools and no Python."""
    folder = tmp_path / "tools"
    folder.mkdir()
    for name in ("bash", "env", "sh", "dirname", "touch", "sed", "expand"):
        (folder / name).symlink_to(shutil.which(name) or name)
    return folder


def program(folder: Path, name: str, text: str) -> None:
    path = folder / name
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)


def test_help_lists_every_target(clone: Path) -> None:
    listed = dict(line.split(maxsplit=1) for line in make(clone).stdout.splitlines())
    assert set(listed) == TARGETS | {"help"}
    assert all(listed.values())


@pytest.mark.parametrize("target", sorted(TARGETS))
def test_a_target_prepares_the_environment_first_and_only_once(clone: Path, target: str) -> None:
    first = make(clone, "--dry-run", target).stdout.splitlines()
    assert first[0] == ".ci/venv"
    (clone / ".venv").mkdir()
    (clone / ".venv" / ".ready").touch()
    assert ".ci/venv" not in make(clone, "--dry-run", target).stdout
    later = (clone / ".venv" / ".ready").stat().st_mtime + 10
    for pinned in ("pyproject.toml", "constraints.txt"):
        os.utime(clone / pinned, (later, later))
        assert make(clone, "--dry-run", target).stdout.startswith(".ci/venv")
        os.utime(clone / pinned, (0, 0))


def test_without_a_python_of_3_11_the_error_says_so(clone: Path, tools: Path) -> None:
    program(tools, "python3", "exit 1")  # what an older one answers to the question for its version
    done = make(clone, "venv", path=str(tools))
    assert done.returncode != 0
    assert "no Python of 3.11 or later here: install one, or name it: make venv PYTHON=/path/to/python" in done.stderr
    assert not (clone / ".venv" / ".ready").exists()


def test_without_the_venv_module_the_error_names_the_package(clone: Path, tools: Path) -> None:
    program(tools, "python3", 'case "$1" in -c) exit 0;; *) exit 1;; esac')
    done = make(clone, "venv", path=str(tools))
    assert done.returncode != 0
    assert "apt-get install python3-venv" in done.stderr


def test_uv_is_used_where_there_is_one(clone: Path, tools: Path) -> None:
    program(tools, "uv", f'echo "$@" >> {clone}/asked; [ "$1" = pip ] || {shutil.which("mkdir")} -p .venv')
    assert make(clone, "venv", path=str(tools)).returncode == 0
    made, installed = (clone / "asked").read_text().splitlines()
    assert made.startswith("venv ")
    assert "--constraint constraints.txt --editable .[demo,mysql] --group dev" in installed
    assert (clone / ".venv" / ".ready").exists()


def test_where_uv_fails_pip_takes_over(clone: Path, tools: Path) -> None:
    program(tools, "uv", "exit 1")
    program(tools, "python3", "exit 1")
    assert "no Python of 3.11 or later" in make(clone, "venv", path=str(tools)).stderr


def test_no_script_names_this_machine() -> None:
    """Scripts hold no address but loopback's and no folder of a developer."""
    for script in (ROOT / "Makefile", *(ROOT / ".ci").iterdir()):
        assert not re.search(r"https?://|/home/|/root/|/work/", script.read_text()), script
