"""Links lead to what the model meant, and its ids take no place of ours."""

import re

from tests.report.narrated import page


def test_ids_of_the_model_take_no_place_of_ours() -> None:
    html = page('<h2 id="page-main">A</h2><p id="flights">x <a href="#flights">own</a></p><p id="cataloger">y</p>')
    ids = re.findall(r' id="([^"]*)"', html)
    assert len(ids) == len(set(ids))
    assert 'href="#text-flights"' in html
    assert '<p id="text-cataloger">' in html
