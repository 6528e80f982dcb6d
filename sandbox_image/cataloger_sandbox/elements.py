"""The markup of a page's fact elements and of names, escaped. The host fills in what was measured."""

from collections.abc import Iterable, Sequence
from html import escape

from cataloger_sandbox.measured import join_reference


def value(reference: str) -> str:
    """Return the element for one value."""
    return f'<fact-value ref="{escape(reference)}"></fact-value>'


def fact(*parts: str) -> str:
    """Return the element for the value that *parts* make the reference of."""
    return value(join_reference(parts))


def table(name: str) -> str:
    """Return the element for a table's whole profile."""
    return f'<fact-table ref="{attribute(name)}"></fact-table>'


def chart(name: str, column: str) -> str:
    """Return the element for a column's distribution."""
    return f'<fact-chart ref="{attribute(name, column)}"></fact-chart>'


def findings(name: str | None = None) -> str:
    """Return the element for the findings, of one table or of all."""
    return f'<fact-findings ref="{attribute(name)}"></fact-findings>' if name else "<fact-findings></fact-findings>"


def relations() -> str:
    """Return the element for the diagram of references."""
    return "<fact-relations></fact-relations>"


def meaning(parts: Sequence[str], html: str) -> str:
    """Return *html* as an element that moves to the table or column that *parts* name."""
    return f'<p data-for="{attribute(*parts)}">{html}</p>'


def code(text: str) -> str:
    """Return a name as code."""
    return f"<code>{escape(text)}</code>"


def section(part: str, title: str, html: str) -> str:
    """Return a section with a heading; nothing without content."""
    return f'<section data-part="{part}">\n<h2>{title}</h2>\n{html}\n</section>' if html.strip() else ""


def items(lines: Iterable[str]) -> str:
    """Return a list; nothing without lines."""
    listed = "\n".join(f"<li>{line}</li>" for line in lines)
    return f"<ul>\n{listed}\n</ul>" if listed else ""


def attribute(*parts: str) -> str:
    """Return the reference of *parts* as an attribute's value."""
    return escape(join_reference(parts))
