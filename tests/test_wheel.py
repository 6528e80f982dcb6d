"""What is installed: the built wheel works in an environment of its own, and the pins cover what it needs."""

import os
import re
import subprocess
import sys
import sysconfig
import tomllib
import venv
import zipfile
from importlib.metadata import distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from cataloger_dagster import __version__
from cataloger_dagster.bundled import bundled
from cataloger_dagster.errors import ConfigurationError

ROOT = Path(__file__).parent.parent


def run(*command: str | Path, folder: Path, **environ: str) -> str:
    """Run *command* in *folder* with an empty home and environment; return what it prints, or fail with it."""
    done = subprocess.run(
        list(map(str, command)),
        cwd=folder,
        env={"PATH": os.environ["PATH"], "HOME": str(folder), **environ},
        capture_output=True,
        text=True,
        timeout=150,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from the source archive, as it would be for the package index."""
    folder = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", folder, ROOT, folder=folder)
    return next(folder.glob("*.whl"))


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment that has the wheel, and the dependencies of this one without its own copy of the project."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, with_pip=True)
    python = folder / "bin" / "python"
    run(python, "-m", "pip", "install", "--no-index", "--no-deps", wheel, folder=folder)
    packages = run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", folder=folder).strip()
    # A path in a .pth file is searched, but its own .pth files (an editable install's) are not read.
    (Path(packages) / "dependencies.pth").write_text(sysconfig.get_path("purelib"))
    return folder


def test_the_wheel_carries_the_prompts_the_sandbox_image_and_the_types(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    for folder in ("prompts", "sandbox_image"):
        own = {
            str(path.relative_to(ROOT))
            for path in (ROOT / folder).rglob("*")
            if path.is_file() and "__pycache__" not in path.parts
        }
        prefix = "cataloger_dagster/bundled/"
        assert own == {name.removeprefix(prefix) for name in names if name.startswith(f"{prefix}{folder}/")}
    assert "cataloger_dagster/py.typed" in names
    assert not [name for name in names if "__pycache__" in name or name.startswith("tests")]


def test_the_installed_command_starts_and_finds_its_files(installed: Path, tmp_path: Path) -> None:
    assert run(installed / "bin" / "cataloger", "--version", folder=tmp_path).strip() == f"cataloger {__version__}"
    code = (
        "import cataloger_dagster as c\n"
        "from cataloger_dagster.bundled import bundled\n"
        "print(c.__file__, bundled('prompts'), bundled('sandbox_image'), sep='\\n')"
    )
    for path in run(installed / "bin" / "python", "-c", code, folder=tmp_path).splitlines():
        assert Path(path).is_relative_to(installed)
        assert Path(path).exists()


def test_the_installed_package_catalogs_a_database(installed: Path, tmp_path: Path) -> None:
    import duckdb

    with duckdb.connect(str(tmp_path / "shop.duckdb")) as connection:
        connection.execute("CREATE TABLE orders AS SELECT range AS id, range * 2 AS amount FROM range(10)")
    environ = {"CATALOGER_MODEL": "offline", "CATALOGER_STORE": str(tmp_path / "store")}
    page = run(installed / "bin" / "cataloger", "catalog", "shop.duckdb", folder=tmp_path, **environ).strip()
    assert "orders" in Path(page).read_text()


def test_an_installation_without_its_files_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert bundled("sandbox_image") == ROOT / "sandbox_image"
    monkeypatch.setattr("cataloger_dagster.bundled.__file__", str(tmp_path / "package" / "bundled.py"))
    with pytest.raises(ConfigurationError, match="prompts is missing from this installation"):
        bundled("prompts")


def test_the_constraints_are_names_and_versions_of_all_that_is_needed() -> None:
    lines = [line for line in (ROOT / "constraints.txt").read_text().splitlines() if not line.startswith("#")]
    assert all(re.fullmatch(r"[a-z0-9-]+==[0-9][0-9A-Za-z.]*", line) for line in lines)
    pins = dict(line.split("==") for line in lines)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    wanted = [
        *project["project"]["dependencies"],
        *(line for extra in project["project"]["optional-dependencies"].values() for line in extra),
        *(line for group in project["dependency-groups"].values() for line in group),
        *project["build-system"]["requires"],
    ]
    for line in wanted:
        requirement = Requirement(line)
        assert requirement.specifier.contains(pins[canonicalize_name(requirement.name)]), line
    missing = {name for name in closure(map(Requirement, wanted)) if name not in pins}
    assert not missing


def closure(requirements: "map[Requirement]") -> set[str]:
    """Every distribution that *requirements* bring along in this environment."""
    todo = list(requirements)
    seen: set[tuple[str, frozenset[str]]] = set()
    while todo:
        requirement = todo.pop()
        key = (canonicalize_name(requirement.name), frozenset(requirement.extras))
        if key in seen:
            continue
        seen.add(key)
        for line in distribution(requirement.name).requires or []:
            needed = Requirement(line)
            if needed.marker is None or any(needed.marker.evaluate({"extra": e}) for e in ("", *requirement.extras)):
                todo.append(needed)
    return {name for name, _ in seen}
