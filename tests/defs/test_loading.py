"""The code location loads as Dagster's own commands load it, from the repository as it stands."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent


@pytest.mark.parametrize(
    ("command", "says"),
    [
        (["dagster", "definitions", "validate", "-w", "workspace.yaml"], "All code locations passed validation"),
        (["dg", "check", "defs", "--use-active-venv"], "All definitions loaded successfully"),
    ],
)
def test_the_definitions_pass_dagster_s_own_check(command: list[str], says: str, tmp_path: Path):
    done = subprocess.run(
        [BIN / command[0], *command[1:]],
        cwd=ROOT,
        env=os.environ
        | {"DAGSTER_HOME": str(tmp_path), "VIRTUAL_ENV": str(BIN.parent), "PATH": f"{BIN}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        timeout=170,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert says in done.stdout + done.stderr


def test_loading_the_code_location_imports_no_model_no_database_driver_and_no_object_store():
    # They take seconds, and every run's process loads the location again.
    code = (
        "import sys, cataloger_dagster.definitions\n"
        "print([name for name in ('anthropic', 'ibis', 'duckdb', 'pandas') if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=170, check=True
    )
    assert done.stdout.strip() == "[]"
