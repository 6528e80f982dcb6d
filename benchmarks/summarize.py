"""A large table's profile and whole catalog in DuckDB, against DuckDB's own SUMMARIZE: processor time and memory.

Run it alone: ``python benchmarks/summarize.py [--rows 10000000] [--file FOLDER/kept.duckdb]``. It needs 400 MB on disk.
Each runs in a process of its own, one after another, and its processor time counts that of its children: seconds
depend on the machine, ratios do not.

SUMMARIZE gives of each column the ends, mean, deviation, quartiles, the number of distinct values (a sketch of 64
registers) and the share of nulls. Ours has exact distinct values where they are few or may be a key, exact top values,
histograms, lengths, five quantiles with their error, keys, references and dependencies beside.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import duckdb

TABLE = """
CREATE TABLE orders AS SELECT i AS id, (hash(i) % 1000003)::INTEGER AS customer_id,
  ['new', 'paid', 'sent', 'done', 'void'][1 + (hash(i + 1) % 5)::INT] AS status,
  round(exp(2 + (hash(i + 7) % 65536) / 20000.0), 2)::DECIMAL(12, 2) AS amount,
  (hash(i * 3) % 1048576) / 1000.0::DOUBLE AS score,
  TIMESTAMP '2020-01-01' + to_seconds(i * 13) AS placed_at, md5(i::VARCHAR) AS token,
  CASE WHEN i % 3 > 0 THEN (hash(i + 11) % 1024)::INTEGER END AS quantity,
  'City ' || (hash(i + 13) % 3000) AS city, 'Region ' || (hash(i + 13) % 3000 % 20) AS region,
  hash(i + 17) % 10 = 0 AS gift,
  CASE WHEN hash(i + 19) % 2 = 0 THEN DATE '2020-01-01' + (hash(i + 23) % 2000)::INT END AS due
FROM range({rows}) AS t(i)
"""

SUMMARIZE = """
import sys, duckdb
duckdb.connect(sys.argv[1], read_only=True).execute("SUMMARIZE orders").fetchall()
"""

PROFILE = """
import sys
from cataloger_sandbox.measure import measure
measure({"backend": "duckdb", "path": sys.argv[1]}, None, ["*"], [], [], True)
"""

CATALOG = """
import sys
from cataloger_dagster.cli import main
main(["catalog", f"duckdb://{sys.argv[1]}", "--model", "offline"])
"""


def run(code: str, path: Path, folder: Path) -> tuple[float, float]:
    """Return the processor seconds of a fresh process that runs *code*, and its largest process's peak in MB."""
    counting = (
        "import atexit, resource\n"
        "def told():\n"
        "    both = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]\n"
        "    seconds = sum(each.ru_utime + each.ru_stime for each in both)\n"
        "    print('MEASURED', seconds, max(each.ru_maxrss for each in both) / 1024)\n"
        "atexit.register(told)\n"
    )
    environment = {**os.environ, "CATALOGER_STORE": str(folder / "store")}
    command = [sys.executable, "-c", counting + code, str(path)]
    done = subprocess.run(command, env=environment, cwd=folder, capture_output=True, text=True, check=True)
    [line] = [line for line in done.stdout.splitlines() if line.startswith("MEASURED")]
    _, seconds, megabytes = line.split()
    return float(seconds), float(megabytes)


def main(arguments: Sequence[str] | None = None) -> None:
    """Make the data, run everything, print the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--file", type=Path, help="the file to make, and to keep for the next run")
    chosen = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        path = (chosen.file or folder / "large.duckdb").absolute()
        if not path.exists():
            with duckdb.connect(str(path)) as con:
                con.execute(TABLE.format(rows=chosen.rows))
        print(f"{f'DuckDB, {chosen.rows:,} rows x 12 columns':44} {'CPU s':>8} {'ratio':>7} {'peak MB':>8}")
        least = 0.0
        for title, code in (("SUMMARIZE", SUMMARIZE), ("every fact of ours", PROFILE), ("cataloger catalog", CATALOG)):
            seconds, megabytes = run(code, path, folder)
            least = least or seconds
            print(f"{title:44} {seconds:8.2f} {seconds / least:7.2f} {megabytes:8.0f}", flush=True)


if __name__ == "__main__":
    main()
