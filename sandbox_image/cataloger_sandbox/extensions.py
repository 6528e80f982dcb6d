"""DuckDB's extensions that a file's tables and views may need: which it does, and loading them.

They are installed as packages (``duckdb-extension-…``), signed by DuckDB's makers, each for one version of DuckDB.
Only what a file needs is loaded: to load one takes a tenth of a second. What reads or writes files or a network is
none of them, or is shut with everything else that reaches out of the database; see ``connect``.
"""

import contextlib
import importlib.util
import re
from pathlib import Path
from typing import Any

_NEEDED = {
    "inet": r"\binet\b|<<=|>>=|\b(host|family|netmask|network|broadcast|html_(un)?escape)\"?\s*\(",
    "spatial": r"\bst_\w+\"?\s*\(|\b(box_2df?|point_[234]d|linestring_2d|polygon_2d)\b",
    "fts": r"\bfts_\w+\"?\.|\bstem\"?\s*\(",
}
"""By what a table's or view's statement tells that it may need one: a type, a function, a schema."""

_STATEMENTS = "SELECT sql FROM duckdb_tables() UNION ALL SELECT sql FROM duckdb_views() WHERE NOT internal"


def load_needed(driver: Any, version: str) -> None:
    """Load what the tables and views of the connection *driver* may need, as far as it is installed for *version*.

    One that can't be loaded is as one that is not installed: what needs it says so where it is read.
    """
    import duckdb  # no other database needs it

    told = "\n".join(sql for (sql,) in driver.execute(_STATEMENTS).fetchall() if sql)
    for name, signs in _NEEDED.items():
        if re.search(signs, told, re.IGNORECASE) and (file := _file(name, version)):
            with contextlib.suppress(duckdb.Error):
                driver.execute("LOAD '{}'".format(str(file).replace("'", "''")))


def _file(name: str, version: str) -> Path | None:
    package = importlib.util.find_spec(f"duckdb_extension_{name}")
    if package is None or package.origin is None:
        return None
    file = Path(package.origin).parent / "extensions" / f"v{version}" / f"{name}.duckdb_extension"
    return file if file.exists() else None
