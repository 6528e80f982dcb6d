"""The kit: the variables of an agent's session, and what the host asks about it afterwards.

What the facts look like is in ``measured``, the page's elements are in ``page``. What ``fact()`` notes is a
claim of the agent's: the host runs its query again before anything of it is shown.
"""

import json
import os
import re
import stat
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from cataloger_sandbox import display
from cataloger_sandbox.connect import connect
from cataloger_sandbox.encode import encode
from cataloger_sandbox.measured import DIGEST_CHARACTERS, Facts
from cataloger_sandbox.measured import digest as _digest
from cataloger_sandbox.page import Page

CLAIMS = "claims.jsonl"
"""The file of the working folder in which ``fact()`` notes its claims."""

MOST_CLAIMS = 500
CLAIMS_BYTES = 4_000_000
QUERY_CHARACTERS = 20_000


def namespace(
    connection: Mapping[str, Any],
    facts: Mapping[str, Any],
    history: Sequence[Mapping[str, Any]],
    changes: Sequence[Mapping[str, Any]],
    databases: Sequence[Mapping[str, Any]] | None = None,
    known: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Return the variables of an agent's session.

    *databases* is what is told of each where a text is over all of them, *known* the numbers that it may show.

    Raises:
        DatabaseProblem: the database can't be opened.
    """
    display.settle()
    con = connect(connection) if connection else None
    measured = Facts(dict(facts))
    notebook = Notebook(con, measured, Path.cwd() / CLAIMS)
    if databases is not None:
        return {"databases": Databases(databases), "page": Page(measured, known or {}, changes, databases)}
    return {
        "con": con,
        "facts": measured,
        "fact": notebook.fact,
        "history": History(history),
        "changes": _changes(changes),
        "page": Page(measured, notebook.values, changes),
    }


def digest(facts: Mapping[str, Any], limit: int = DIGEST_CHARACTERS) -> str:
    """Return the facts as text of at most *limit* characters, the most telling first."""
    return _digest(facts, limit)


class Notebook:
    """Runs queries for one value and notes them as evidence."""

    def __init__(self, con: Any, facts: Facts, file: Path) -> None:
        # An interpreter that died is followed by a fresh one, which knows what was noted before.
        self.values: dict[str, Any] = {claim["id"]: claim.get("value") for claim in _noted()}
        self._con = con
        self._facts = facts
        self._file = file

    def fact(self, id: str, query: Any, note: str | None = None) -> Any:  # noqa: A002 - agents know it by this name
        """Run *query* (SQL, or an Ibis expression) now, note it under *id*, and return its value.

        The value is the first column of the first row. *id* is letters, digits, underscores and dots, such as
        ``orders.late``; a page shows it as ``<fact-value ref="orders.late">``. The same id again replaces the claim.
        """
        if not isinstance(id, str) or not _is_id(id):
            raise ValueError(f"fact id {id!r}: use letters, digits, underscores and dots, such as orders.late_rows")
        if self._facts.has(id):
            raise ValueError(f"fact id {id!r} is measured already: cite it as it is, or choose another id")
        if self._con is None:
            raise RuntimeError("no database is connected in this session; cite what is in facts")
        sql = (query if isinstance(query, str) else str(self._con.compile(query))).strip().rstrip(";")
        if not sql or len(sql) > QUERY_CHARACTERS:
            raise ValueError(f"fact {id}: the query has {len(sql):,} characters; 1 to {QUERY_CHARACTERS:,} are taken")
        if id not in self.values and len(self.values) >= MOST_CLAIMS:
            raise ValueError(f"fact {id}: {MOST_CLAIMS} facts are noted already; that is all a page may have")
        value = _one(self._con, id, sql)
        with self._file.open("a", encoding="utf-8", errors="replace") as file:
            claim = {"id": id, "query": sql, "note": None if note is None else str(note), "value": encode(value)}
            file.write(json.dumps(claim) + "\n")
        self.values[id] = value
        return value


def _one(con: Any, identifier: str, sql: str) -> Any:
    cursor = con.con.cursor()
    try:
        cursor.execute(sql)
        row = cursor.fetchone()
    finally:
        cursor.close()
    if row is None:
        raise ValueError(f"fact {identifier}: the query returned no row")
    if row[0] is None:
        raise ValueError(f"fact {identifier}: the query returned null, which is nothing to cite")
    return row[0]


def claims() -> list[dict[str, Any]]:
    """Return the claims that ``fact()`` noted, the last for each id; what is no claim in the file is passed over."""
    return [{name: claim[name] for name in ("id", "query", "note")} for claim in _noted()]


def _noted() -> list[dict[str, Any]]:
    noted: dict[str, dict[str, Any]] = {}
    for line in (_read(CLAIMS, CLAIMS_BYTES).get("text") or "").splitlines():
        try:
            claim = json.loads(line)
            identifier, query, note = claim["id"], claim["query"], claim.get("note")
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            continue
        if not isinstance(identifier, str) or not isinstance(query, str) or not _is_id(identifier):
            continue
        if len(query) <= QUERY_CHARACTERS:
            noted[identifier] = {**claim, "note": note if isinstance(note, str) else None}
    return list(noted.values())[:MOST_CLAIMS]


def _is_id(text: str) -> bool:
    return len(text) <= 200 and bool(re.fullmatch(r"\w+(\.\w+)*", text))


def read_file(path: str, limit: int) -> dict[str, str | None]:
    """Return ``{"text", "problem"}``: a file of the working folder, or why it is not read.

    A missing file is a slip of the agent's, so it is told and not raised.
    """
    return _read(path, limit)


def _read(path: str, limit: int) -> dict[str, str | None]:
    folder = Path.cwd().resolve()
    try:
        place = (folder / path).resolve()
        if not place.is_relative_to(folder):
            return _problem(f"{path}: only files in the session's folder can be submitted")
        # Not blocking: what looks like a file may be a pipe nobody writes to.
        descriptor = os.open(place, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except FileNotFoundError:
        return _problem(f"{path}: there is no such file in the session's folder")
    except (OSError, ValueError) as error:
        return _problem(f"{path}: {getattr(error, 'strerror', None) or error}")
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        return _problem(f"{path} is no regular file")
    with os.fdopen(descriptor, "rb") as file:
        data = file.read(4 * limit + 1)
    text = data.decode("utf-8", "replace")
    if len(text) > limit:
        return _problem(f"{path} is longer than {limit:,} characters; make it shorter")
    return {"text": text, "problem": None}


def _problem(text: str) -> dict[str, str | None]:
    return {"text": None, "problem": text}


class History:
    """Earlier snapshots, newest first, as frames: ``tables``, ``columns`` and ``findings``, each with its snapshot.

    ``snapshots`` are their times, ``blocks`` all that they hold.
    """

    def __init__(self, blocks: Sequence[Mapping[str, Any]]) -> None:
        self.blocks = list(blocks)
        self.snapshots: list[str] = [block["snapshot"] for block in blocks]

    def __repr__(self) -> str:
        if not self.blocks:
            return "no earlier snapshot; history.tables, history.columns and history.findings are empty"
        return (
            f"{len(self.blocks)} snapshots, newest first: {', '.join(self.snapshots[:10])}; "
            "frames: history.tables, history.columns, history.findings"
        )

    def __len__(self) -> int:
        return len(self.blocks)

    @property
    def tables(self) -> Any:
        """A frame with a row for each table of each snapshot."""
        names = ["snapshot", "name", "kind", "rows", "columns"]
        rows = [
            [block["snapshot"], table["name"], table.get("kind"), table.get("rows"), len(table.get("columns") or [])]
            for block, table in self._tables()
        ]
        return _frame(rows, names)

    @property
    def columns(self) -> Any:
        """A frame with a row for each column of each snapshot."""
        facts = ["type", "nulls", "distinct", "min", "max", "mean", "std"]
        rows = [
            [block["snapshot"], table["name"], column["name"], *(column.get(name) for name in facts)]
            for block, table in self._tables()
            for column in table.get("columns") or []
        ]
        return _frame(rows, ["snapshot", "table", "name", *facts])

    @property
    def findings(self) -> Any:
        """A frame with a row for each finding of each snapshot."""
        names = ["id", "kind", "table", "columns", "severity", "rows", "sentence"]
        rows = [
            [block["snapshot"], *(finding.get(name) for name in names)]
            for block in self.blocks
            for finding in block.get("findings") or []
        ]
        return _frame(rows, ["snapshot", *names])

    def _tables(self) -> list[tuple[Mapping[str, Any], Mapping[str, Any]]]:
        return [(block, table) for block in self.blocks for table in block.get("tables") or []]


class Databases:
    """All databases as their newest pages tell of them: frames ``tables``, ``findings`` and ``changes``, each with its
    database. ``databases["shop"]`` is all that is told of one.
    """

    def __init__(self, databases: Sequence[Mapping[str, Any]]) -> None:
        self.all = list(databases)

    def __repr__(self) -> str:
        lines = [
            f"{each['name']}: {each['reason']}"
            if "tables" not in each
            else f"{each['name']} ({each['engine']}): {len(each['tables'])} tables, {len(each['findings'])} findings"
            for each in self.all
        ]
        shown = "\n".join(lines[:200])
        return f"{shown}\nframes: databases.tables, databases.findings, databases.changes"

    def __getitem__(self, name: str) -> Mapping[str, Any]:
        for each in self.all:
            if each["name"] == name:
                return each
        raise KeyError(f"there is no database {name!r}; there are {', '.join(each['name'] for each in self.all)}")

    @property
    def tables(self) -> Any:
        """A frame with a row for each table of each database."""
        return self._framed("tables", ["name", "rows", "columns"])

    @property
    def findings(self) -> Any:
        """A frame with a row for each finding of each database, the gravest of each first."""
        return self._framed("findings", ["severity", "kind", "table", "columns", "tables", "rows", "sentence"])

    @property
    def changes(self) -> Any:
        """A frame with a row for each change since the snapshot before, the gravest of each database first."""
        return self._framed("changes", ["severity", "kind", "table", "column"])

    def _framed(self, part: str, names: list[str]) -> Any:
        rows = [[each["name"], *map(item.get, names)] for each in self.all for item in each.get(part) or []]
        return _frame(rows, ["database", *names])


def _changes(changes: Sequence[Mapping[str, Any]]) -> Any:
    names = ["severity", "kind", "table", "column", "from", "to", "since", "query"]
    return _frame([[change.get(name) for name in names] for change in changes], names)


def _frame(rows: list[list[Any]], names: list[str]) -> Any:
    import pandas  # takes half a second, and the host's calls do not need it

    return pandas.DataFrame(rows, columns=names, dtype=None if rows else object)


def reopen(url: str | None = None, page: str | None = None) -> dict[str, Any]:
    """Return a session's variables outside of a sandbox, for a script that is run again.

    *url* is the database's, as in ``databases.yaml``; *page* the HTML page whose facts the session had.
    """
    block: dict[str, Any] = {}
    if page:
        found = re.search(
            r'<script[^>]*\bid="?cataloger"?[^>]*>(.*?)</script', Path(page).read_text(encoding="utf-8"), re.DOTALL
        )
        if not found:
            raise ValueError(f"{page} holds no facts: it is no page of Cataloger's")
        block = json.loads(found[1])
    return namespace(_connection(url) if url else {}, block, [], block.get("changes") or [])


def _connection(url: str) -> dict[str, Any]:
    parts = urlsplit(url)
    if parts.scheme in ("duckdb", "sqlite"):
        return {"backend": parts.scheme, "path": unquote(url.partition("://")[2].partition("?")[0])}
    mysql = parts.scheme in ("mysql", "mariadb")
    return {
        "backend": "mysql" if mysql else "postgres",
        "host": unquote(parts.hostname or "localhost"),
        "port": parts.port or (3306 if mysql else 5432),
        "user": unquote(parts.username or "") or None,
        "password": unquote(parts.password or "") or None,
        "database": unquote(parts.path.lstrip("/")) or None,
    }
