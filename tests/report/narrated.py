"""The flights database, its page as a given text tells it, and hostile texts to try."""

import re

from hypothesis import strategies as st
from selectolax.lexbor import LexborHTMLParser

from cataloger_dagster.report.catalog import catalog_page
from tests import samples

FACTS = samples.flights()
SMALL = FACTS.model_copy(
    update={
        "tables": [FACTS.tables[0].model_copy(update={"columns": [FACTS.tables[0].column_by_name["dest"]]})],
        "references": [],
        "findings": FACTS.findings[1:2],
    }
)
VALUE = '<fact-value ref="flights.rows">'


def page(html: str | None, **named: int | float | str) -> str:
    claims = {name: samples.claim(name, value) for name, value in named.items()}
    return catalog_page(samples.run(previous=None), FACTS, html, claims, []).html


def main(html: str) -> str:
    found = LexborHTMLParser(html).css_first("main")
    assert found is not None
    return found.html or ""


def text(html: str, selector: str) -> str:
    found = LexborHTMLParser(html).css_first(selector)
    assert found is not None, selector
    return re.sub(r"\s+", " ", found.text())


FRAGMENTS = st.lists(
    st.one_of(
        st.sampled_from(
            """<script> </script> <script>alert(1) <img/src=x/onerror=alert(1)> <svg><script> <svg/onload=a> </svg>
            <math> <mtext> <style> </style> <title> </title> <textarea> </textarea> <noscript> <template> </template>
            <plaintext> <xmp> <iframe> <table> <tr> <td> </table> <caption> <p> </p> <b> </b> <a/href="javascript:x">
            <a/href="#flights"> </a> <li> <ul> </ul> <h1> <h2> </h2> <pre> </pre> <details> <summary> <select> <option>
            <fact-table/ref="flights"> <fact-value/ref="flights.rows"> </fact-value> <fact-findings> <fact-relations>
            <p/data-for="flights.dest"> <div/data-for="flights"> <form> </form> <body/onload=x> <html/onclick=x>
            <frameset> <base/href=x> <meta/http-equiv=refresh> <code> </code> <data/data-claim=x> <mark> &lt;script&gt;
            <!-- --> --!> <![CDATA[ ]]> <? \x00 </ < " ' > = <dl> <dt> <dd> <blockquote> <figure> <hr> <br> <tbody> <th>
            """.split()  # noqa: SIM905
        ),
        st.text(max_size=8),
    ),
    max_size=25,
)


def joined(parts: list[str]) -> str:
    """The parts as one text; the first slash in a start tag stands for a space."""
    return "".join(part.replace("/", " ", 1) if part[:1] == "<" and part[1:2].isalpha() else part for part in parts)
