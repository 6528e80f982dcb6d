"""The ids of elements on a page, and so the targets of links: references, percent-encoded.

A reference holds letters, digits, underscores and dots, or begins a part with a double quote (``%22``); ids
of the page's own parts have a hyphen after plain letters, so no name in a database can take one.
"""

from urllib.parse import quote

from cataloger_dagster.facts import join_reference

SECTIONS = ("about", "changes", "findings", "relations", "tables", "questions", "appendix")
"""The page's own sections, in the order in which we put them."""


def place(*parts: str) -> str:
    """Return the id of a table or, with two parts, of a column."""
    reference = join_reference(parts)
    # Quoted it is the same reference; as it is, the id is the data block's.
    return _quoted(f'"{reference}"' if reference == "cataloger" else reference)


def section(key: str) -> str:
    """Return the id of one of the page's sections."""
    return f"page-{key}"


def query(key: str) -> str:
    """Return the id of a query's text."""
    return f"query-{key}"


def finding(key: str) -> str:
    """Return the id of a finding."""
    return f"finding-{_quoted(key)}"


def tables(key: str) -> str:
    """Return the id of the list of tables that have a finding."""
    return f"tables-{_quoted(key)}"


def text(key: str) -> str:
    """Return the id for what a model called *key*: prefixed, so it can't take the place of ours."""
    return f"text-{_quoted(key)}"


def _quoted(text: str) -> str:
    # A lone surrogate has no UTF-8, and must not be taken for another one.
    return quote(text, safe="", errors="surrogatepass")
