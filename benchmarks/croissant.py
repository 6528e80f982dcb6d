"""Croissant descriptions read by their own validator, mlcroissant, in an environment of its own (370 MB: not ours).

Run it with ``make bench``. It makes the environment in a temporary folder, and prints for each description how many
record sets and fields are in it, and how many errors and warnings the validator has. Errors are to be 0; the warnings
name a license, a version and a citation, which are not ours to state.
"""

import json
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

from cataloger_dagster.export import export
from cataloger_dagster.report.catalog import catalog_page

sys.path.insert(0, str(Path(__file__).parents[1]))
from tests import hostile, samples

VALIDATOR = "mlcroissant>=1.1,<2"
READ = """
import sys, json, mlcroissant
dataset = mlcroissant.Dataset(jsonld=sys.argv[1])
issues = dataset.metadata.ctx.issues
sets = dataset.metadata.record_sets
print(json.dumps([len(sets), sum(len(one.fields) for one in sets), len(issues.errors), len(issues.warnings)]))
"""


def main() -> int:
    """Validate everything, print the figures, return the number of descriptions with an error."""
    facts = {
        "flights": samples.flights(),
        "1,000 columns": samples.large(20, 50),
        "hostile names": samples.hostile(hostile.values(200, 1), 20),
    }
    wrong = 0
    with tempfile.TemporaryDirectory() as folder:
        venv.create(folder, with_pip=True)
        python = f"{folder}/bin/python"
        subprocess.run([python, "-m", "pip", "install", "--quiet", VALIDATOR], check=True)
        print("| database | record sets | fields | errors | warnings |\n|---|---:|---:|---:|---:|")
        for name, one in facts.items():
            file = Path(folder) / "croissant.json"
            file.write_text(export(catalog_page(samples.run(), one, None, {}, []).html, "croissant"))
            done = subprocess.run([python, "-c", READ, str(file)], capture_output=True, text=True, check=False)
            if done.returncode:
                print(f"| {name} | refused: {done.stderr.strip().splitlines()[-1]} |")
                wrong += 1
                continue
            figures = json.loads(done.stdout.splitlines()[-1])
            wrong += bool(figures[2])
            print(f"| {name} | {' | '.join(f'{figure:,}' for figure in figures)} |")
    return wrong


if __name__ == "__main__":
    sys.exit(bool(main()))
