"""Every kind of finding and of change has a name in plain words, which all texts use."""

import re
from pathlib import Path
from typing import Any

import pytest
from cataloger_sandbox import kinds
from cataloger_sandbox.flaws.search import KINDS as SEARCHED
from cataloger_sandbox.measured import Facts as KitFacts
from cataloger_sandbox.prose.flaws import MEANT
from cataloger_sandbox.prose.overview import overview
from cataloger_sandbox.prose.summary import summary
from cataloger_sandbox.references import KINDS as REFERRED

from cataloger_dagster.export import export
from cataloger_dagster.facts import Coverage, Unjudged, Unlisted
from cataloger_dagster.report.catalog import catalog_page
from cataloger_dagster.report.coverage import not_judged, not_listed
from tests import samples

RULES = {*SEARCHED, *REFERRED, "broken_dependency"}


def plain(html: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", "", re.sub(r'<fact-value ref="[^"]*"></fact-value>', "N", html)))


def told(findings: list[dict[str, Any]], changes: list[dict[str, Any]]) -> str:
    """The playbook's text over one database of these, without its markup."""
    table = {"name": "orders", "rows": 9, "columns": ["id"]}
    return plain(overview([{"name": "shop", "tables": [table], "findings": findings, "changes": changes}]))


def finding(kind: str, **more: Any) -> dict[str, Any]:
    return {"severity": "high", "kind": kind, "table": "orders", "columns": ["id"], "tables": 1, **more}


def test_every_kind_that_a_rule_finds_has_a_name_and_a_meaning() -> None:
    assert kinds.FINDINGS.keys() == RULES == MEANT.keys()


def test_no_name_is_a_raw_kind_or_another_kinds() -> None:
    for kind, name in kinds.FINDINGS.items():
        assert kind.replace("_", " ") not in (name.one, name.many)
        assert "_" not in name.one + name.many + name.title
        assert name.title[0].isupper()
        assert not re.match(r"an? ", name.many)
        assert re.match(r"an? ", name.one) or name.one == name.many
    assert len({name.one for name in kinds.FINDINGS.values()}) == len(kinds.FINDINGS)
    assert kinds.one("of_later") == kinds.many("of_later") == "of later"


@pytest.mark.parametrize("kind", sorted(kinds.FINDINGS))
def test_the_overview_names_a_finding_in_plain_words(kind: str) -> None:
    text = told([finding(kind)], [])
    assert f"shop has findings of severity high (N); look first at orders.id: {kinds.one(kind)}." in text
    assert kind not in text
    many = told([finding(kind, tables=3, columns=[])], [])
    assert f"look first at orders and other tables: {kinds.one(kind)}." in many


@pytest.mark.parametrize("kind", sorted(kinds.CHANGES))
def test_the_overview_tells_a_change_in_plain_words(kind: str) -> None:
    change = {"severity": "high", "kind": kind, "table": "orders", "column": "id"}
    assert f"shop: orders.id {kinds.changed(kind)}." in told([], [change])
    assert f"shop: orders.id {kinds.changed(kind)}, and there is more on its page." in told([], [change, change])
    assert kind not in told([], [change])


@pytest.mark.parametrize("kind", sorted(kinds.FINDINGS))
def test_the_page_its_export_and_the_summary_name_it_so_too(kind: str) -> None:
    facts = samples.flights()
    one = facts.findings[0].model_copy(update={"kind": kind})
    facts = facts.model_copy(update={"findings": [one]})
    html = catalog_page(samples.run(), facts, None, {}, []).html
    assert kinds.FINDINGS[kind].title in html
    assert kinds.one(kind) in export(html, "markdown")
    change = {"kind": "finding_new", "table": "flights", "column": "tailnum", "from": None, "to": one.id}
    change |= {"since": "x", "severity": "high", "query": None}
    assert f"flights.tailnum: {kinds.one(kind)}, new." in plain(summary(KitFacts(facts.dump()), [change]))


def test_what_was_not_looked_for_or_not_listed_is_named_in_the_plural() -> None:
    coverage = Coverage(
        tables=(1, 1),
        columns=(1, 1),
        unjudged=[Unjudged(kinds=["duplicate_key", "null_burst"], tables=["t"], reason="a fault")],
        unlisted=[Unlisted(kind="secret_exposed", findings=1, tables=1, ids=["x"])],
    )
    assert not_judged(coverage) == ["Repeated keys and bursts of nulls may be missing in t: a fault."]
    assert not_listed(coverage) == ["1 more finding of exposed secrets in 1 table is not listed."]


def test_no_text_spells_a_kind_by_its_underscores() -> None:
    root = Path(kinds.__file__).parents[2]
    sources = [*(root / "cataloger_dagster").rglob("*.py"), *(root / "sandbox_image").rglob("*.py")]
    spelled = re.compile(r"kind\w*(?:\[[^]]*\])?(?:'\])?\.replace\(")
    found = {path.name for path in sources if spelled.search(path.read_text())}
    assert found <= {"kinds.py", "export.py"}  # an export's table of changes has the kinds as they are called
