"""The floors of the house: imports point down only, each SDK stays in its room, every module says what lives in it."""

import ast
import functools
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parent.parent
PACKAGE = "cataloger_dagster"

FLOORS = {
    "__init__": 0,
    "errors": 0,
    "facts": 0,
    "urls": 0,
    "libpq": 0,
    "mysql": 0,
    "servers": 0,
    "yaml_source": 0,
    "databases": 0,
    "databases_file": 0,
    "settings": 0,
    "bundled": 0,
    "owners": 0,
    "privacy": 0,
    "report": 0,
    "evidence": 1,
    "recurrence": 1,
    "known_values": 1,
    "export": 1,
    "agent": 1,
    "sandbox": 1,
    "store": 1,
    "prompts": 1,
    "preflight": 2,
    "publication": 2,
    "cataloging": 2,
    "overview": 2,
    "resuming": 2,
    "authoring": 2,
    "verification": 2,
    "defs": 3,
    "demo": 3,
    "definitions": 4,
    "cli": 4,
    "service": 4,
}

ROOMS = {
    "dagster": {"defs", "definitions"},
    "docker": {"sandbox"},
    "anthropic": {"agent"},
    "httpx2": {"agent"},
    "boto3": {"store"},
    "botocore": {"store"},
}
"""Which parts of the package may import an SDK; a name stands for every module that begins with it."""

HEAVY = {"anthropic", "boto3", "botocore", "dagster", "docker", "duckdb", "ibis", "pandas"}


def files(*folders: str) -> list[Path]:
    found = [path for folder in folders for path in sorted((ROOT / folder).rglob("*.py"))]
    assert found
    return found


def named(path: Path) -> str:
    return str(path.relative_to(ROOT))


def part(path: Path) -> str:
    """The module or subpackage of the package that a file belongs to."""
    return path.relative_to(ROOT / PACKAGE).parts[0].removesuffix(".py")


@functools.cache
def imports(path: Path) -> tuple[tuple[str, int], ...]:
    """Every module that a file imports, in functions too, with its line."""
    return tuple(_imports(path))


def _imports(path: Path) -> Iterator[tuple[str, int]]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"), str(path))):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{named(path)}:{node.lineno}: a relative import"
            assert node.module
            yield node.module, node.lineno
            if node.module == PACKAGE:
                yield from ((f"{PACKAGE}.{alias.name}", node.lineno) for alias in node.names)


def typing_only(path: Path) -> set[int]:
    """The lines of a file that only a type checker reads."""
    return {
        line
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        for line in range(node.lineno, (node.end_lineno or node.lineno) + 1)
    }


def target(module: str) -> str | None:
    """The part of the package that an imported module belongs to."""
    parts = module.split(".")
    if parts[0] != PACKAGE or len(parts) == 1 or parts[1] == "__version__":
        return None
    return parts[1]


def in_room(root: str, room: str) -> bool:
    return root == room or root.startswith(f"{room}_")


@pytest.mark.parametrize("path", files(PACKAGE), ids=named)
def test_imports_point_down_only(path: Path) -> None:
    assert part(path) in FLOORS, f"give {part(path)} a floor"
    for module, line in imports(path):
        to = target(module)
        if to is not None:
            assert to in FLOORS, f"{named(path)}:{line}: {module} has no floor"
            assert FLOORS[to] <= FLOORS[part(path)], f"{named(path)}:{line}: {module} stands on a higher floor"


def test_no_two_parts_import_each_other() -> None:
    below: dict[str, set[str]] = {}
    for path in files(PACKAGE):
        below.setdefault(part(path), set()).update(
            to for module, _ in imports(path) if (to := target(module)) is not None and to != part(path)
        )
    open_parts: list[str] = []
    done: set[str] = set()

    def visit(name: str) -> None:
        assert name not in open_parts, f"a circle: {' → '.join([*open_parts[open_parts.index(name) :], name])}"
        if name in done:
            return
        open_parts.append(name)
        for to in sorted(below.get(name, ())):
            visit(to)
        done.add(open_parts.pop())

    for name in sorted(below):
        visit(name)


@pytest.mark.parametrize("path", files(PACKAGE), ids=named)
def test_each_sdk_stays_in_its_room(path: Path) -> None:
    for module, line in imports(path):
        for room, allowed in ROOMS.items():
            if in_room(module.split(".")[0], room):
                assert part(path) in allowed, f"{named(path)}:{line}: {module} is imported in {allowed} alone"


@pytest.mark.parametrize("path", files("sandbox_image"), ids=named)
def test_what_runs_in_the_sandbox_knows_nothing_of_the_host(path: Path) -> None:
    for module, line in imports(path):
        root = module.split(".")[0]
        assert root != PACKAGE, f"{named(path)}:{line}: {module}"
        assert not any(in_room(root, room) for room in ROOMS), f"{named(path)}:{line}: {module}"


@pytest.mark.parametrize("path", files("benchmarks/score"), ids=named)
def test_what_judges_a_page_shares_no_code_with_what_made_it(path: Path) -> None:
    for module, line in imports(path):
        root = module.split(".")[0]
        assert root not in {"cataloger_sandbox", "ibis", "importlib"}, f"{named(path)}:{line}: {module}"
        assert root != PACKAGE or path.name == "runs.py", f"{named(path)}:{line}: {module}; runs.py makes the pages"


def test_the_grader_asks_the_database_by_itself() -> None:
    drivers = {"duckdb", "psycopg", "sqlite3"}
    roots = {module.split(".")[0] for module, _ in imports(ROOT / "benchmarks/score/grader.py")}
    assert roots >= drivers
    assert roots - drivers <= sys.stdlib_module_names


@pytest.mark.parametrize("path", files(PACKAGE, "sandbox_image", "tests"), ids=named)
def test_every_module_says_what_lives_in_it(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert not text.strip() or ast.get_docstring(ast.parse(text)), f"{named(path)} has no docstring"


@pytest.mark.parametrize("path", files(PACKAGE, "sandbox_image"), ids=named)
def test_modules_are_called_by_what_they_hold(path: Path) -> None:
    assert path.stem.lower() not in {"utils", "util", "helpers", "helper", "manager", "common"}


@pytest.mark.parametrize("path", [path for path in files(PACKAGE) if part(path) in ROOMS["dagster"]], ids=named)
def test_annotations_are_real_where_dagster_reads_them(path: Path) -> None:
    assert not [line for module, line in imports(path) if module == "__future__"]


@pytest.mark.parametrize("path", files(PACKAGE), ids=named)
def test_the_environments_own_settings_are_read_in_one_place(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    read = [
        node.lineno
        for node in ast.walk(tree)
        if isinstance(node, ast.Subscript | ast.Call)
        and "environ" in ast.unparse(node.value if isinstance(node, ast.Subscript) else node.func)
        and any(
            isinstance(inner, ast.Constant) and isinstance(inner.value, str) and inner.value.startswith("CATALOGER_")
            for inner in ast.walk(node)
        )
    ]
    assert not read or part(path) == "settings", f"{named(path)}:{read[0]} reads CATALOGER_*; settings does that"


def test_everything_imported_is_declared() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    listed = [*project["dependencies"], *project["optional-dependencies"]["mysql"]]
    declared = {canonicalize_name(Requirement(line).name) for line in listed}
    owners = packages_distributions()
    for path in files(PACKAGE):
        typing = typing_only(path)
        for module, line in imports(path):
            root = module.split(".")[0]
            if line in typing or root in sys.stdlib_module_names or root in (PACKAGE, "cataloger_sandbox"):
                continue
            distributions = {canonicalize_name(name) for name in owners.get(root, [])}
            assert distributions & declared, f"{named(path)}:{line}: {root} is no declared dependency"


def python(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60)


def test_the_command_line_starts_without_anything_heavy() -> None:
    done = python(f"import sys, cataloger_dagster.cli; print({HEAVY!r} & set(sys.modules))")
    assert done.stdout.strip() == "set()", done.stdout + done.stderr


def test_the_core_runs_where_dagster_is_not_installed() -> None:
    modules = [
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        for path in files(PACKAGE)
        if part(path) not in ROOMS["dagster"]
    ]
    done = python(
        "import importlib, sys\n"
        "class Absent:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name.split('.')[0] == 'dagster' or name.startswith('dagster_'):\n"
        "            raise ModuleNotFoundError(name)\n"
        "sys.meta_path.insert(0, Absent())\n"
        f"for name in {modules!r}: importlib.import_module(name)\n"
        "print('fine')"
    )
    assert done.stdout.strip() == "fine", done.stderr


def test_the_readme_shows_the_floors_as_they_are() -> None:
    lines = re.findall(r"^(\d)  (\w.*)$", (ROOT / "README.md").read_text(), re.MULTILINE)
    shown = {part.split()[0]: int(number) for number, parts in lines for part in parts.split(" · ")}
    assert len(shown) > 10
    assert {part: FLOORS.get(part) for part in shown} == shown
