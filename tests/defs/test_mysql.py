"""MySQL and MariaDB from end to end: the asset's page, its mark, what it exports, and its verification."""

from pathlib import Path
from urllib.parse import unquote, urlsplit

import dagster as dg
import pytest

from cataloger_dagster.databases import Database
from cataloger_dagster.defs.build import build_definitions
from cataloger_dagster.export import export
from cataloger_dagster.preflight import look
from cataloger_dagster.report.block import read_block
from cataloger_dagster.report.safety import unsafe
from cataloger_dagster.sandbox.docker import DockerSandbox
from cataloger_dagster.sandbox.local import LocalSandbox
from cataloger_dagster.settings import Settings
from cataloger_dagster.verification import verify
from tests.services.mariadb import MariaDB


@pytest.fixture(scope="module")
def admin(mariadb: MariaDB) -> str:
    """The URL, for who may do all, of a shop with an orphan and one status of another case."""
    url = mariadb.new_database(
        "CREATE TABLE customers (id int PRIMARY KEY, city varchar(20))",
        "CREATE TABLE orders (id int PRIMARY KEY, customer_id int, status varchar(9), amount decimal(9,2), made date)",
        name="shop",
    )
    mariadb.insert(url, "customers", [(n, f"town {n % 7}") for n in range(200)])
    status = {5: "OPEN", 6: "OPEN"}
    rows = [
        (n, n % 201, status.get(n, ["open", "sent"][n % 2]), n * 1.25, f"2024-01-{1 + n % 28:02d}") for n in range(1000)
    ]
    mariadb.insert(url, "orders", rows)
    return url


def test_an_asset_catalogs_a_server_and_its_page_holds(
    mariadb: MariaDB, admin: str, tmp_path: Path, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The whole way at once, as each part of it needs the page of the one before."""
    reader = mariadb.new_reader(admin)
    password = unquote(urlsplit(reader).password or "")
    (tmp_path / "databases.yaml").write_text("databases:\n  shop: {url: '${SHOP}'}\n")
    environment = {
        "CATALOGER_DATABASES": str(tmp_path / "databases.yaml"),
        "CATALOGER_STORE": str(tmp_path / "store"),
        "CATALOGER_MODEL": "offline",
    }
    monkeypatch.setenv("SHOP", reader)
    instance.add_dynamic_partitions("databases", ["shop"])
    job = build_definitions(Settings.from_environment(environment)).resolve_implicit_global_asset_job_def()
    result = job.execute_in_process(asset_selection=[dg.AssetKey("catalog")], partition_key="shop", instance=instance)
    assert result.success
    assert all(evaluation.passed for evaluation in result.get_asset_check_evaluations())
    [snapshot] = (tmp_path / "store" / "shop").iterdir()
    assert not [path.name for path in snapshot.iterdir() if password in path.read_text()]
    html = (snapshot / "catalog.html").read_text()
    assert unsafe(html) == []
    block = read_block(html)
    assert block.engine.startswith("mariadb 1")
    assert "no parser looks at the rest" in block.notes[0]
    assert {finding.kind for finding in block.findings} >= {"orphan_foreign_key", "case_or_space_variant"}
    assert "-- " not in block.queries[0].sql
    assert "mariadb 1" in export(html, "markdown")
    database = Database.from_url(reader, "shop")
    assert {item.standing for item in verify(html, database, LocalSandbox())} == {"held"}
    mariadb.execute(admin, "UPDATE orders SET amount = amount + 1 WHERE id = 999")
    judged = {item.claim: item.standing for item in verify(html, database, LocalSandbox())}
    assert judged["orders.rows"] == "held"
    assert judged["orders.amount.max"] != "held"


def test_a_container_reads_a_server_through_the_same_way(
    mariadb: MariaDB, admin: str, docker_sandbox_image: str
) -> None:
    reader = mariadb.new_reader(admin)
    database = Database.from_url(reader)
    with DockerSandbox(docker_sandbox_image).open(database) as session:
        assert look(database, session).read_only
        arguments = {"connection": dict(session.connection), "facts": {}, "history": [], "changes": []}
        session.start("cataloger_sandbox.kit:namespace", arguments)
        assert session.execute("con.table('customers').count().execute()").output == "200\n"
        assert "a sandbox may only read" in session.execute("con.raw_sql('DELETE FROM customers')").output
