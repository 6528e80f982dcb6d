"""A database of many small tables, catalogued, against DuckDB's own SUMMARIZE of each of them: time, memory, the page.

Run it alone: ``python benchmarks/many.py [--tables 500] [--rows 1000] [--file FOLDER/kept.duckdb]``. Tables of twenty
mixed columns; each line is a process of its own, and its processor time counts that of its children. The budget is
120 seconds and a page of 10 MB for 500 tables of 1,000 rows on an idle machine with two cores.
"""

import argparse
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import duckdb

from benchmarks.summarize import CATALOG, run

THINGS = ("order", "item", "event", "person", "account", "visit", "box", "lead", "task", "test")
AREAS = ("sales", "stock", "people", "finance", "web", "ship", "crm", "ops", "risk", "lab")

TABLE = """
CREATE TABLE {name} AS SELECT i AS id, (hash(i + {n}) % {rows})::INTEGER AS {other}_id,
  ['new', 'paid', 'sent', 'done'][1 + (hash(i * 3 + {n}) % 4)::INT] AS status,
  round(exp((hash(i + 7 + {n}) % 65536) / 20000.0), 2)::DECIMAL(12, 2) AS amount,
  (hash(i * 5 + {n}) % 1048576) / 1000.0::DOUBLE AS score, TIMESTAMP '2024-01-01' + to_seconds(i * 3701) AS created_at,
  md5(concat(i, '{name}')) AS token, CASE WHEN i % 3 > 0 THEN (hash(i + 11 + {n}) % 100)::INTEGER END AS quantity,
  'City ' || (hash(i + 13 + {n}) % 60) AS city, 'Region ' || (hash(i + 13 + {n}) % 60 % 12) AS region,
  hash(i + 17 + {n}) % 10 = 0 AS active,
  CASE WHEN hash(i + 19 + {n}) % 2 = 0 THEN DATE '2024-01-01' + (hash(i + 23 + {n}) % 400)::INT END AS due_date,
  'user' || (hash(i + 7 * {n}) % 1000) || '@example.com' AS email,
  ['de', 'fr', 'en', 'es'][1 + (hash(i + 29 + {n}) % 4)::INT] AS lang,
  (hash(i + 31 + {n}) % 5)::INTEGER AS priority, (hash(i + 37 + {n}) % 10000) / 10000.0 AS rate,
  'note ' || (hash(i + 41 + {n}) % 500) AS note, (hash(i + 43 + {n}) % 100000)::BIGINT AS bytes,
  DATE '2023-01-01' + (hash(i + 47 + {n}) % 365)::INT AS start_date, chr((65 + hash(i + 53 + {n}) % 6)::INT) AS grade
FROM range({rows}) AS t(i)
"""

SUMMARIES = """
import sys, duckdb
con = duckdb.connect(sys.argv[1], read_only=True)
for name, in con.execute("SELECT table_name FROM duckdb_tables()").fetchall():
    con.execute(f'SUMMARIZE "{name}"').fetchall()
"""


def made(path: Path, tables: int, rows: int) -> None:
    """Make the database."""
    with duckdb.connect(str(path)) as con:
        con.execute("BEGIN")
        for n in range(tables):
            kind = f"{AREAS[n % 10]}_{THINGS[n % 10]}"
            name, other = (f"{kind}_{number:02d}" for number in (n // 10, max(0, n // 10 - 1)))
            con.execute(TABLE.format(n=n, name=name, other=other, rows=rows))
        con.execute("COMMIT")


def main(arguments: Sequence[str] | None = None) -> None:
    """Make the data, run both, print the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--tables", type=int, default=500)
    parser.add_argument("--rows", type=int, default=1_000)
    parser.add_argument("--file", type=Path, help="the file to make, and to keep for the next run")
    chosen = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        path = (chosen.file or folder / "many.duckdb").absolute()
        if not path.exists():
            made(path, chosen.tables, chosen.rows)
        title = f"DuckDB, {chosen.tables:,} tables of {chosen.rows:,} rows x 20 columns"
        print(f"{title:50} {'seconds':>8} {'CPU s':>8} {'ratio':>7} {'peak MB':>8}")
        least = 0.0
        for line, code in (("SUMMARIZE of each table", SUMMARIES), ("cataloger catalog", CATALOG)):
            began = time.perf_counter()
            seconds, megabytes = run(code, path, folder)
            least = least or seconds
            wall = time.perf_counter() - began
            print(f"{line:50} {wall:8.1f} {seconds:8.2f} {seconds / least:7.2f} {megabytes:8.0f}", flush=True)
        [page] = (folder / "store").rglob("catalog.html")
        print(f"its page: {page.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
