"""Everything has its place on the page, in the model's order, whatever the model wrote."""

from selectolax.lexbor import LexborHTMLParser

from tests import samples
from tests.report.narrated import FACTS, page


def test_every_table_and_column_is_there_whatever_the_model_wrote() -> None:
    for html in (None, "<p>x</p>", samples.NARRATIVE, '<fact-table ref="planes"><fact-table ref="planes">'):
        found = page(html)
        for table in FACTS.tables:
            for name in (table.name, *(f"{table.name}.{column.name}" for column in table.columns)):
                assert found.count(f' id="{name}"') == 1, name


def test_the_models_order_is_kept_and_what_it_left_out_is_added_before_its_questions() -> None:
    html = page('<h2>Open questions</h2><p>Why?</p><h2>Tables</h2><fact-table ref="weather">')
    order = [node.attributes["id"] for node in LexborHTMLParser(html).css("main > section")]
    wanted = ["about", "changes", "findings", "relations", "questions", "tables", "appendix"]
    assert order == [f"page-{key}" for key in wanted]
    tables = [node.attributes["id"] for node in LexborHTMLParser(html).css("section.t")]
    assert tables[0] == "weather"
    assert sorted(tables) == sorted(table.name for table in FACTS.tables)
