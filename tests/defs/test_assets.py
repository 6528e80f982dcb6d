"""The assets run in process: pages in the store, checks that carry verdicts, metadata, and clear failures."""

import sqlite3
from pathlib import Path

import dagster as dg
import duckdb
import pytest

from cataloger_dagster.agent.model import Model
from cataloger_dagster.defs import build
from cataloger_dagster.defs.build import build_definitions
from cataloger_dagster.defs.resources import ModelResource, SandboxResource
from cataloger_dagster.errors import ModelError
from cataloger_dagster.report.block import read_block
from cataloger_dagster.report.safety import unsafe
from cataloger_dagster.sandbox.session import Sandbox
from cataloger_dagster.settings import Settings
from tests.agent.in_process import InProcessSandbox
from tests.messages_server import Body, Scripted, call, fails, messages_server, uses


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A folder with a DuckDB and a SQLite database and the databases.yaml that names them, one entry broken."""
    with duckdb.connect(str(tmp_path / "shop.duckdb")) as con:
        con.execute("CREATE TABLE customers (id INTEGER PRIMARY KEY, name VARCHAR)")
        con.execute("INSERT INTO customers SELECT range, 'name ' || range FROM range(200)")
        con.execute("CREATE TABLE orders (id INTEGER PRIMARY KEY, customer_id INTEGER, amount DECIMAL(9,2))")
        con.execute("INSERT INTO orders SELECT range, range % 210, range * 1.5 FROM range(1000)")
    with sqlite3.connect(tmp_path / "notes.db") as notes:
        notes.execute("CREATE TABLE note (id INTEGER PRIMARY KEY, body TEXT)")
        notes.executemany("INSERT INTO note (body) VALUES (?)", [("a",), ("b",)])
    notes.close()
    (tmp_path / "databases.yaml").write_text(
        "databases:\n"
        "  shop: {url: duckdb://shop.duckdb, owners: ['team:data'], schedule: '0 6 * * *'}\n"
        "  notes: {url: sqlite://notes.db, schedule: '0 3 * * *'}\n"
        "  gone: {url: duckdb://gone.duckdb}\n"
        "  broken: {url: 'duckdb://${NOT_SET_ANYWHERE}'}\n"
    )
    return tmp_path


@pytest.fixture
def sandboxed(place: Path) -> dg.Definitions:
    """The definitions as they are."""
    environment = {
        "CATALOGER_DATABASES": str(place / "databases.yaml"),
        "CATALOGER_STORE": str(place / "store"),
        "CATALOGER_MODEL": "offline",
    }
    return build_definitions(Settings.from_environment(environment))


class InProcessResource(SandboxResource):
    """No sandbox: for what an asset makes of what the core returns."""

    folder: str

    def choose(self, model: Model) -> Sandbox:
        return InProcessSandbox(Path(self.folder))


@pytest.fixture
def definitions(place: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> dg.Definitions:
    """The definitions with cells that run in this process."""
    monkeypatch.setattr(build, "sandbox_resource", lambda _: InProcessResource(image="none", folder=str(place)))
    found: dg.Definitions = request.getfixturevalue("sandboxed")
    return found


def materialize(
    definitions: dg.Definitions, instance: dg.DagsterInstance, names: list[str], partition: str | None
) -> dg.ExecuteInProcessResult:
    if partition is not None:
        instance.add_dynamic_partitions("databases", [partition])
    job = definitions.resolve_implicit_global_asset_job_def()
    return job.execute_in_process(
        asset_selection=[dg.AssetKey(name) for name in names],
        partition_key=partition,
        instance=instance,
        raise_on_error=False,
    )


@pytest.mark.parametrize("partition", ["shop", "notes"])
def test_catalog_and_summary_of_one_run_share_a_snapshot(place, sandboxed, partition, instance):
    result = materialize(sandboxed, instance, ["catalog", "summary"], partition)
    assert result.success
    verdicts = {evaluation.check_name for evaluation in result.get_asset_check_evaluations()}
    snapshots = list((place / "store" / partition).iterdir())
    assert len(snapshots) == 1
    assert {path.name for path in snapshots[0].iterdir()} == {
        "catalog.html",
        "catalog.py",
        "catalog.transcript.html",
        "catalog.transcript.jsonl",
        "summary.html",
        "summary.py",
        "summary.transcript.html",
        "summary.transcript.jsonl",
    }
    block = read_block((snapshots[0] / "catalog.html").read_text())
    assert (block.database, block.snapshot) == (partition, snapshots[0].name)
    assert verdicts == {
        "every_number_is_measured",
        "every_table_and_column_is_present",
        "every_rule_was_applied",
        "page_is_safe",
        "budget_held",
    }


def test_checks_pass_and_metadata_is_plottable(place, definitions, instance):
    result = materialize(definitions, instance, ["catalog"], "shop")
    assert all(evaluation.passed for evaluation in result.get_asset_check_evaluations())
    assert len(result.get_asset_check_evaluations()) == 5
    (event,) = result.asset_materializations_for_node("catalog")
    assert event.metadata["tables"].value == 2
    assert event.metadata["rows"].value == 1200
    assert event.metadata["columns"].value == 5
    assert event.metadata["model"].value == "offline"
    assert event.metadata["tokens"].value == 0
    assert Path(event.metadata["page"].value).is_file()
    assert unsafe(Path(event.metadata["transcript"].value).read_text()) == []
    assert "shop" in event.metadata["preview"].value


def test_each_materialization_is_a_snapshot_of_its_own(place, definitions, instance):
    for _ in range(3):
        assert materialize(definitions, instance, ["catalog"], "notes").success
    assert len(list((place / "store" / "notes").iterdir())) == 3


@pytest.mark.parametrize(
    ("partition", "says"),
    [
        ("../z", "is no name of a database: it takes letters"),
        ("a,b", "is no name of a database: it takes letters"),
        ("x" * 300, "too long for a name: 300 characters, at most 100"),
        ("missing", "databases.yaml (it has broken, gone, notes, shop)"),
    ],
)
def test_a_key_that_is_no_entry_fails_with_its_name(place, definitions, partition, says, instance):
    result = materialize(definitions, instance, ["catalog"], partition)
    assert not result.success
    message = next(e for e in result.all_events if e.is_step_failure).step_failure_data.error.message
    assert partition[:50] in message
    assert says in message
    assert not (place / "store").exists() or not any((place / "store").iterdir())


def test_a_broken_entry_and_a_missing_file_fail_alone(place, sandboxed, instance):
    broken = materialize(sandboxed, instance, ["catalog"], "broken")
    gone = materialize(sandboxed, instance, ["catalog"], "gone")
    shop = materialize(sandboxed, instance, ["catalog"], "shop")
    assert not broken.success
    assert "NOT_SET_ANYWHERE" in str(broken.all_events)
    assert not gone.success
    assert "gone.duckdb" in str(gone.all_events)
    assert shop.success


def test_overview_lists_databases_with_and_without_pages(place, definitions, instance):
    assert materialize(definitions, instance, ["catalog"], "shop").success
    result = materialize(definitions, instance, ["overview"], None)
    assert result.success
    (page,) = (place / "store" / "_overview").glob("*/overview.html")
    text = page.read_text()
    assert "shop" in text
    assert "gone" in text


def test_the_overview_does_not_wait_for_a_key(place, definitions, instance, monkeypatch):
    assert materialize(definitions, instance, ["catalog"], "shop").success

    def refused(*_):
        raise ModelError("the key is refused")

    monkeypatch.setattr(ModelResource, "choose", refused)
    result = materialize(definitions, instance, ["overview"], None)
    assert result.success
    (page,) = (place / "store" / "_overview").glob("*/overview.html")
    assert "The text could not be written: the key is refused" in page.read_text()
    metadata = result.asset_materializations_for_node("overview")[0].metadata
    assert metadata["fault"].value == "The text could not be written: the key is refused"
    assert metadata["text"].value == "missing"
    assert not materialize(definitions, instance, ["catalog"], "shop").success


def test_summary_without_a_catalog_says_what_to_do(definitions, instance):
    result = materialize(definitions, instance, ["summary"], "shop")
    assert not result.success
    assert "atalog" in next(e for e in result.all_events if e.is_step_failure).step_failure_data.error.message


def test_a_plain_consumer_gets_the_newest_page(place, definitions, instance):
    @dg.asset(partitions_def=dg.DynamicPartitionsDefinition(name="databases"))
    def title(catalog: str) -> str:
        return catalog[: catalog.index("</title>")].rsplit(">", 1)[1]

    assert materialize(definitions, instance, ["catalog"], "shop").success
    merged = dg.Definitions.merge(definitions, dg.Definitions(assets=[title]))
    result = merged.resolve_implicit_global_asset_job_def().execute_in_process(
        asset_selection=[title.key], partition_key="shop", instance=instance
    )
    assert "shop" in result.output_for_node("title")


def catalog_job() -> dg.JobDefinition:
    """The schedule's job as Dagster's own processes make it, from the environment."""
    return build_definitions(Settings.from_environment()).resolve_job_def("catalog_and_summary")


def test_a_run_executed_again_goes_on_from_the_failed_one_and_pays_for_no_reply_twice(place, instance, monkeypatch):
    turns = [
        uses(call("c1", "execute_python", code="print(len(facts.tables))")),
        uses(call("c2", "execute_python", code="1 + 1")),
        uses(call("s1", "submit_html", content='<p><fact-value ref="orders.rows"> orders.</p>')),
    ]

    def answer(body: Body) -> Scripted:
        taken = sum(message["role"] == "assistant" for message in body["messages"])
        return fails(401, "authentication_error") if len(server.requests) == 3 else turns[taken]

    instance.add_dynamic_partitions("databases", ["shop"])
    with messages_server(then=answer) as server:
        for name, value in {
            "CATALOGER_DATABASES": str(place / "databases.yaml"),
            "CATALOGER_STORE": str(place / "store"),
            "CATALOGER_MODEL": "claude-test",
            "CATALOGER_SANDBOX": "local",
            "CATALOGER_UNSAFE_LOCAL": "1",
            "ANTHROPIC_API_KEY": "sk-ant-test",
            "ANTHROPIC_BASE_URL": server.url,
        }.items():
            monkeypatch.setenv(name, value)
        job = dg.reconstructable(catalog_job)
        tags = {"dagster/partition": "shop"}
        with dg.execute_job(job, instance, tags=tags, asset_selection=[dg.AssetKey("catalog")]) as first:
            assert not first.success
            assert (place / "store" / "_runs" / "shop" / first.run_id).is_dir()
        options = dg.ReexecutionOptions.from_failure(first.run_id, instance)
        with dg.execute_job(job, instance, tags=tags, reexecution_options=options) as second:
            assert second.success
    assert second.run_id != first.run_id
    messages = [entry.user_message for entry in instance.all_logs(first.run_id)]
    assert any(message.startswith("step 1 of 40: execute_python; 10 tokens in") for message in messages)
    assert any(message.startswith("step 1: ran in") for message in messages), "each step is a line in the UI"
    assert len(server.requests) == len(turns) + 1, "the refused one alone is asked for again"
    (page,) = (place / "store" / "shop").glob("*/catalog.html")
    assert 'value="1000" data-claim="orders.rows"' in page.read_text()
    assert read_block(page.read_text()).run_id == second.run_id
    assert not (place / "store" / "_runs").exists()
