"""How a made database is written to DuckDB, SQLite and PostgreSQL, constraints included, with the bare drivers."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import date, datetime
from pathlib import Path
from typing import Any

import duckdb
import psycopg
import pyarrow as pa

from benchmarks.score.tables import Column, Table, World

ENGINES = ("duckdb", "sqlite", "postgres")
_TYPES = {
    "postgres": {"double": "double precision"},
    "sqlite": {"varchar": "TEXT", "double": "REAL", "boolean": "BOOLEAN"},
}


class Place:
    """Where made databases go: a folder of files, or a server on which each is a database with a reader of its own."""

    def __init__(self, engine: str, folder: Path, server: Any = None) -> None:
        self.engine, self.folder, self.server = engine, folder, server

    def load(self, name: str, world: World) -> tuple[str, str]:
        """Write a database; return its URL as the product gets it, and as the grader does."""
        path = self.folder / f"{name}.{'duckdb' if self.engine == 'duckdb' else 'db'}"
        if self.engine == "duckdb":
            with duckdb.connect(str(path)) as con:
                for table in _parents_first(world):
                    con.execute(_create(world, table, self.engine))
                    con.register("made", _arrow(table))
                    con.execute(f'INSERT INTO "{table.name}" SELECT * FROM made')
                    con.unregister("made")
            return f"duckdb://{path}", str(path)
        if self.engine == "sqlite":
            with closing(sqlite3.connect(path)) as lite, lite:
                for table in _parents_first(world):
                    lite.execute(_create(world, table, self.engine))
                    marks = ", ".join("?" * len(table.columns))
                    lite.executemany(f'INSERT INTO "{table.name}" VALUES ({marks})', _rows(table))
            return f"sqlite://{path}", str(path)
        url = self.server.new_database(name)
        with psycopg.connect(url) as server:
            for table in _parents_first(world):
                server.execute(_create(world, table, self.engine).encode())
                names = ", ".join(f'"{column}"' for column in table.columns)
                with server.cursor().copy(f'COPY "{table.name}" ({names}) FROM STDIN'.encode()) as copy:
                    for row in zip(*(column.values for column in table.columns.values()), strict=True):
                        copy.write_row(row)
        return self.server.new_reader(url), url


@contextmanager
def place(engine: str, folder: Path) -> Iterator[Place]:
    """Yield where databases of the engine go; a PostgreSQL server is started for as long."""
    if engine != "postgres":
        yield Place(engine, folder)
        return
    from tests.services.postgres import Postgres
    from tests.services.shared import shared

    with shared("postgres", seconds=60) as told:
        server = Postgres(told["url"])
        try:
            yield Place(engine, folder, server)
        finally:
            server.drop_all()


def _parents_first(world: World) -> Iterator[Table]:
    done: set[str] = set()
    while len(done) < len(world.tables):
        for table in world.tables.values():
            needs = {r.to for r in world.references if r.declared and r.table == table.name} - {table.name}
            if table.name not in done and needs <= done:
                done.add(table.name)
                yield table


def _create(world: World, table: Table, engine: str) -> str:
    types = _TYPES.get(engine, {})
    parts = [f'"{column.name}" {types.get(column.type, column.type)}' for column in table.columns.values()]
    if table.declared and table.key:
        parts.append(f"PRIMARY KEY ({_names(table.key)})")
    for reference in world.references:
        if reference.declared and reference.table == table.name and world.tables[reference.to].declared:
            to = f'"{reference.to}" ({_names(reference.to_columns)})'
            parts.append(f"FOREIGN KEY ({_names(reference.columns)}) REFERENCES {to}")
    return f'CREATE TABLE "{table.name}" (\n  ' + ",\n  ".join(parts) + "\n)"


def _names(columns: tuple[str, ...]) -> str:
    return ", ".join(f'"{name}"' for name in columns)


def _arrow(table: Table) -> pa.Table:
    return pa.table({column.name: pa.array(column.values, _arrow_type(column)) for column in table.columns.values()})


def _arrow_type(column: Column) -> pa.DataType:
    types = {"integer": pa.int32(), "bigint": pa.int64(), "varchar": pa.string(), "boolean": pa.bool_()}
    times = {"date": pa.date32(), "timestamp": pa.timestamp("us")}
    return (types | times).get(column.type, pa.float64())


def _rows(table: Table) -> Iterator[tuple[Any, ...]]:
    columns = [column.values for column in table.columns.values()]
    for row in zip(*columns, strict=True):
        yield tuple(_lite(value) for value in row)


def _lite(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat(" ")
    return value.isoformat() if isinstance(value, date) else value
