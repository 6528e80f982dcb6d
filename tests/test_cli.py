"""The command line: what each command prints, where, and with which code it leaves."""

import base64
import contextlib
import gc
import json
import os
import pty
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import click
import duckdb
import pytest

from cataloger_dagster import __version__
from cataloger_dagster.agent import choice as choice_of_model
from cataloger_dagster.cli import cataloger, main
from cataloger_dagster.cli.console import print_table, printable
from cataloger_dagster.cli.reading import moment
from cataloger_dagster.errors import ConfigurationError
from cataloger_dagster.sandbox import choice
from tests.agent.in_process import InProcessSandbox
from tests.services.postgres import Postgres

CANARY = "hunter2canary"


@dataclass
class Done:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


Run = Callable[..., Done]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run ``cataloger`` in an empty folder, offline, with its pages in ``store``."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CATALOGER_MODEL", "offline")
    monkeypatch.setenv("CATALOGER_SANDBOX", "local")
    monkeypatch.setenv("CATALOGER_STORE", "store")

    def call(*arguments: str) -> Done:
        capsys.readouterr()
        with pytest.raises(SystemExit) as left:
            main(arguments)
        said = capsys.readouterr()
        return Done(int(left.value.code or 0), said.out, said.err)

    return call


def make_shop(path: Path, orders: int = 200) -> None:
    """A shop of two tables: declared keys, one break of an inferred one, a constant column."""
    path.unlink(missing_ok=True)
    with duckdb.connect(str(path)) as connection:
        connection.execute("CREATE TABLE customers (id INTEGER PRIMARY KEY, name VARCHAR NOT NULL)")
        connection.execute("INSERT INTO customers SELECT range, 'name ' || range FROM range(50)")
        connection.execute("CREATE TABLE orders (id INTEGER PRIMARY KEY, customer_id INTEGER, shop VARCHAR)")
        connection.execute(f"INSERT INTO orders SELECT range, range % 50, 'x' FROM range({orders})")


def commands(group: click.Group, *path: str) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    for name, command in group.commands.items():
        yield (*path, name), command
        if isinstance(command, click.Group):
            yield from commands(command, *path, name)


EVERY = list(commands(cataloger))


def test_every_command_of_the_design_is_there() -> None:
    names = {" ".join(path) for path, _ in EVERY}
    assert names >= {
        "demo", "catalog", "summarize", "overview", "databases", "check", "history", "show", "verify", "export",
        "partitions sync", "sandbox build", "sandbox sweep", "prompt show", "prompt encode",
    }  # fmt: skip


@pytest.mark.parametrize(("path", "command"), EVERY, ids=[" ".join(path) for path, _ in EVERY])
def test_every_command_has_help_with_examples_and_every_option_its_own(
    path: tuple[str, ...], command: click.Command, run: Run
) -> None:
    done = run(*path, "--help")
    assert done.code == 0
    assert "Examples:" in done.out
    assert f"cataloger {' '.join(path)}" in done.out
    assert all(option.help for option in command.params if isinstance(option, click.Option))
    assert len(command.get_short_help_str(limit=1000)) <= 60


def test_the_first_help_names_every_variable_and_exit_code(run: Run) -> None:
    from cataloger_dagster.settings import VARIABLES

    out = run("--help").out
    assert all(name in out for name in VARIABLES)
    assert "130" in out


def test_the_version_is_the_packages(run: Run) -> None:
    assert run("--version").out == f"cataloger {__version__}\n"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["catalgo"], "No such command 'catalgo'"),
        (["catalog"], "Missing argument 'NAME|URL'"),
        (["catalog", "nosuch"], "there is no "),
        (["catalog", "../z"], "../z: no such file"),
        (["catalog", "a,b"], "'a,b' is no name of a database"),
        (["catalog", ""], "'' is no name of a database"),
        (["catalog", "x" * 300], "too long for a name: 300 characters"),
        (["catalog", "no.duckdb"], "no.duckdb: no such file"),
        (["catalog", "duckdb://no/x.duckdb"], "its folder"),
        (["catalog", f"postgres:/u:{CANARY}@h/d"], "***@h/d: no URL; write postgres://"),
        (["catalog", "trino://h/d"], "no backend for trino:// URLs yet"),
        (["catalog", "shop.duckdb", "--name", "a b"], "'a b' is no name of a database"),
        (["check", f"postgres://u:{CANARY}@h:x/d"], "host and port can't be read"),
        (["check", f"postgres://u:{CANARY}@127.0.0.1:1/d"], "127.0.0.1"),
        (["catalog", "a\0b"], "is no name of a database"),
        (["verify", "x" * 300], "too long for a name"),
        (["history", "nosuch"], "no database 'nosuch'"),
        (["show", "nosuch"], "no database 'nosuch'"),
        (["verify", "no/page.html"], "no/page.html: no such file"),
        (["verify", "x", "--url", "shop.duckdb"], "no catalog of x in the store; write one: cataloger catalog"),
        (["export", "shop"], "Missing option '--format'"),
        (["prompt", "encode", "no.yaml"], "no.yaml"),
        (["partitions", "sync"], "databases.yaml: no such file"),
    ],
)
def test_a_mistake_is_told_on_stderr_with_code_2_and_no_stack(run: Run, arguments: list[str], words: str) -> None:
    make_shop(Path("shop.duckdb"))
    done = run(*arguments)
    assert done.code == 2
    assert done.out == ""
    assert words in done.err
    assert "Traceback" not in done.err
    assert CANARY not in done.err
    assert not Path("store").exists()


def test_a_fault_of_ours_leaves_with_code_3_and_its_stack(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cataloger_dagster.cli.workplace.load_databases", lambda _: 1 / 0)
    Path("databases.yaml").touch()
    done = run("databases")
    assert done.code == 3
    assert "ZeroDivisionError" in done.err
    assert "please report it" in done.err


def test_a_catalog_is_written_and_its_page_alone_printed(run: Run) -> None:
    make_shop(Path("shop.duckdb"))
    done = run("catalog", "shop.duckdb")
    assert done.code == 0, done.err
    page = Path(done.out.rstrip("\n"))
    assert page.parts[-4:-2] == ("store", "shop")
    assert 'id="cataloger"' in page.read_text()
    assert "shop: 2 tables, 250 rows" in done.err
    assert all(line.startswith(("[", "shop:")) for line in done.err.splitlines())


def test_three_ways_to_name_a_database_and_json_for_programs(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choice, "choose", lambda *_, **__: InProcessSandbox(Path.cwd()))
    make_shop(Path("shop.duckdb"))
    Path("databases.yaml").write_text("databases:\n  web: {url: 'duckdb://shop.duckdb', exclude: [customers]}\n")
    by_entry = run("catalog", "web", "--json").json
    by_url = run("catalog", "duckdb://shop.duckdb", "--table", "cust*", "--json").json
    by_path = run("catalog", "./shop.duckdb", "--name", "other", "--model", "offline", "--json").json
    assert [(told["database"], told["tables"], told["columns"]) for told in (by_entry, by_url, by_path)] == [
        ("web", 1, 3), ("shop", 1, 2), ("other", 2, 5),
    ]  # fmt: skip
    assert {"kind": "catalog", "model": "offline", "narrative": "full", "tokens": 0}.items() <= by_entry.items()
    assert Path(by_path["page"]).is_file()
    refused = run("catalog", "web", "--name", "other")
    assert refused.code == 2
    assert "--name goes with a URL" in refused.err


@pytest.fixture(scope="module")
def catalogued(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a shop that was catalogued with 200 orders and with 300, and summarized.

    How its pages came about is no matter here: the playbook's code runs in this process.
    """
    folder = tmp_path_factory.mktemp("catalogued")
    environ = {"CATALOGER_MODEL": "offline", "CATALOGER_SANDBOX": "local", "CATALOGER_STORE": "store"}
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr(choice, "choose", lambda *_, **__: InProcessSandbox(folder))
        for name, value in environ.items():
            patch.setenv(name, value)
        for arguments in (["catalog", "shop.duckdb"], ["catalog", "shop.duckdb"], ["summarize", "shop"]):
            make_shop(Path("shop.duckdb"), orders=300 if list(folder.glob("store/*/*")) else 200)
            with pytest.raises(SystemExit) as left:
                main(arguments)
            assert left.value.code == 0
    return folder


@pytest.fixture
def pages(catalogued: Path, monkeypatch: pytest.MonkeyPatch, run: Run) -> list[str]:
    """The two catalogs' pages, with the current folder set to where they were written."""
    assert run
    monkeypatch.chdir(catalogued)
    return sorted(map(str, catalogued.glob("store/shop/*/catalog.html")))


def test_snapshots_are_listed_newest_first(run: Run, pages: list[str]) -> None:
    listed = run("history", "shop", "--json").json
    assert [(line["rows"], line["page"]) for line in listed] == [(350, pages[1]), (250, pages[0])]
    assert [line.split()[2] for line in run("history", "shop").out.splitlines()] == ["rows", "350", "250"]
    assert len(run("history", "shop", "-n", "1", "--json").json) == 1


def test_the_gist_of_a_page_is_shown_as_of_any_time(run: Run, pages: list[str]) -> None:
    shown = run("show", "shop").out
    assert "orders" in shown
    assert shown.rstrip().endswith(pages[1])
    assert run("show", "shop", "--at", Path(pages[0]).parent.name).out.rstrip().endswith(pages[0])
    assert run("show", "shop", "--json").json["tables"][1]["rows"] == 300
    early = run("show", "shop", "--at", "2001-01-01")
    assert (early.code, "no catalog of shop at 2001-01-01" in early.err) == (2, True)


def test_a_summary_is_shown_and_an_overview_needs_no_databases_yaml(run: Run, pages: list[str]) -> None:
    assert "rows_changed" in run("show", "shop", "--summary").out
    assert run("show", "shop", "--summary", "--json").json["kind"] == "summary"
    overview = Path(run("overview").out.strip())
    assert "shop" in overview.read_text()
    assert len(pages) == 2
    held = run("verify", str(overview))
    assert (held.code, " 0 changed, 0 wrong" in held.out) == (0, True), held.out
    overview.write_text(overview.read_text().replace("shop", "shep", 1))
    wrong = run("verify", str(overview))
    assert wrong.code == 1
    assert "the page: it was changed after it was written" in wrong.out


def test_a_page_is_exported_in_each_form(run: Run, pages: list[str]) -> None:
    assert pages
    block = run("export", "shop", "--format", "json").json
    assert block["database"] == "shop"
    croissant = run("export", "shop", "--format", "croissant").json
    assert {"orders", "customers"} <= {record["name"] for record in croissant["recordSet"]}
    assert run("export", "shop", "--format", "markdown", "-o", "shop.md").out == ""
    assert "| customer\\_id |" in Path("shop.md").read_text()
    unwritable = run("export", "shop", "--format", "markdown", "-o", "no/shop.md")
    assert (unwritable.code, "no/shop.md can't be written" in unwritable.err) == (2, True)


def test_a_true_page_is_verified_and_an_outdated_one_is_no_failure(run: Run, pages: list[str]) -> None:
    held = run("verify", pages[1], "--url", "duckdb://shop.duckdb")
    assert held.code == 0, held.out
    assert " 0 changed, 0 wrong" in held.out
    changed = run("verify", pages[0], "--url", "shop.duckdb", "--json")
    assert changed.code == 0
    assert {"held", "changed"} == {claim["standing"] for claim in changed.json}
    unknown = run("verify", "shop")
    assert (unknown.code, "say where it is: --url URL" in unknown.err) == (2, True)


def test_an_overview_is_written_where_the_model_can_not_be_had(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_shop(tmp_path / "shop.duckdb")
    assert run("catalog", "shop.duckdb").code == 0
    for name in ("ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(choice_of_model, "has_credentials", lambda: False)
    done = run("overview", "--model", "claude-x", "--json")
    told = "The text could not be written: the model 'claude-x' needs credentials"
    assert done.code == 0
    assert done.json["text"] == "missing"
    assert done.json["fault"].startswith(told)
    assert told in done.err
    html = Path(done.json["page"]).read_text()
    assert "The text could not be written: the model" in html
    assert "shop" in html


@pytest.mark.parametrize(
    ("name", "make", "says"),
    [
        ("none.html", lambda page: "hello", "is it a page that cataloger wrote?"),
        ("empty.html", lambda page: "", "is it a page that cataloger wrote?"),
        ("cut.html", lambda page: page[:20_000], "the file is cut short"),
        ("cut.html", lambda page: page[: page.index('"tables":[') + 400] + "</script>", "the file may be cut short"),
        ("later.html", lambda page: page.replace('"format":1', '"format":2'), "has format 2"),
        ("other.html", lambda page: page.replace('"rows":', '"rowz":'), "was it changed by hand?"),
        ("named.html", lambda page: page.replace('"database":"shop"', '"database":"../x"'), "no name of a database"),
        ("fake.html", lambda page: '<script id="cataloger-overview">{"format": 1}</script>', "cut short"),
    ],
)  # fmt: skip
def test_what_is_no_page_is_told_so_by_its_name(
    run: Run, pages: list[str], tmp_path: Path, name: str, make: Callable[[str], str], says: str
) -> None:
    (tmp_path / name).write_text(make(Path(pages[-1]).read_text()))
    done = run("verify", str(tmp_path / name), "--url", pages_database(pages))
    assert (done.code, done.out) == (2, "")
    assert says in done.err
    assert "Traceback" not in done.err
    assert name in done.err or "no name" in says


def pages_database(pages: list[str]) -> str:
    """The database that the pages are of."""
    return str(Path(pages[0]).parents[3] / "shop.duckdb")


def test_a_page_of_another_database_or_none_ends_in_words(
    run: Run, pages: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = pages[-1]
    monkeypatch.chdir(tmp_path)
    with duckdb.connect("else.duckdb") as connection:
        connection.execute("CREATE TABLE t (i INTEGER)")
    done = run("verify", page, "--url", "else.duckdb")
    assert done.code == 0
    assert "table orders is gone" in done.out
    assert "0 wrong" in done.out
    assert "is duckdb://" in done.err
    assert "else.duckdb its database?" in done.err
    assert "its database?" not in run("verify", page, "--url", pages_database(pages)).err
    (tmp_path / "text.duckdb").write_text("no database")
    (tmp_path / "lite.db").touch()
    for url, says in {
        "gone.duckdb": "gone.duckdb: no such file",
        "duckdb://gone.duckdb": "gone.duckdb: no such file",
        "text.duckdb": "neither a DuckDB nor a SQLite file",
        "lite.db": "an empty file is no database",
        "sqlite://else.duckdb": "is no SQLite database",
        "postgres://reader:x@127.0.0.1:1/shop": "can't be reached",
        "foo://x": "no backend for the URL's scheme",
    }.items():
        done = run("verify", page, "--url", url)
        assert (done.code, done.out) == (2, ""), url
        assert says in done.err
    done = run("verify", page)
    assert done.code == 2
    assert "databases.yaml that names 'shop'; say where it is: --url URL" in done.err


def test_a_stored_page_that_is_none_is_told_by_its_address(run: Run, tmp_path: Path) -> None:
    stored = tmp_path / "store" / "shop" / "2026-01-15T10:00:00.123Z" / "catalog.html"
    stored.parent.mkdir(parents=True)
    for content, says in ((b"\xff\xfe\x00", "it is no text, so no page"), (b"hello", "no data block")):
        stored.write_bytes(content)
        for command in (["export", "shop", "--format", "json"], ["show", "shop"], ["verify", "shop"]):
            done = run(*command)
            assert (done.code, done.out) == (2, ""), command
            assert f"{stored}: " in done.err
            assert says in done.err


def test_a_page_with_a_false_number_makes_verify_leave_with_1(run: Run, pages: list[str], tmp_path: Path) -> None:
    forged = tmp_path / "forged.html"
    forged.write_text(Path(pages[1]).read_text().replace('"rows":300', '"rows":301'))
    done = run("verify", str(forged), "--url", "shop.duckdb")
    assert done.code == 1
    assert "wrong    orders.rows" in done.out


def test_databases_tells_of_each_entry_and_leaves_with_1_if_one_cant_be_used(run: Run) -> None:
    make_shop(Path("shop.duckdb"))
    Path("text.duckdb").write_text("no database " * 100)
    Path("databases.yaml").write_text(
        "databases:\n  shop: {url: 'duckdb://shop.duckdb'}\n  gone: {url: 'duckdb://gone.duckdb'}\n"
        f"  text: {{url: 'duckdb://text.duckdb'}}\n  broken: {{url: 'trino://u:{CANARY}@h/d'}}\n"
    )
    done = run("databases", "--json")
    assert done.code == 1
    lines = {line["name"]: line for line in done.json}
    assert (lines["shop"]["usable"], lines["shop"]["tables"], lines["shop"]["error"]) == (True, 2, None)
    assert "gone.duckdb" in lines["gone"]["error"]
    assert "text.duckdb" in lines["text"]["error"]
    assert ":5: databases.broken.url" in lines["broken"]["error"]
    assert CANARY not in done.out + done.err


def test_databases_are_a_table_for_people(
    run: Run, pages: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "databases.yaml"
    file.write_text(f"databases:\n  shop: {{url: 'duckdb://{Path.cwd()}/shop.duckdb'}}\n  broken: {{url: 3}}\n")
    monkeypatch.setenv("CATALOGER_DATABASES", str(file))
    table = run("databases")
    assert [line.split()[0] for line in table.out.splitlines()] == ["name", "broken", "shop"]
    assert "read-only" in table.out
    assert Path(pages[1]).parent.name in table.out


def test_without_databases_the_list_is_empty_and_says_how_to_begin(run: Run) -> None:
    done = run("databases")
    assert (done.code, done.out) == (0, "")
    assert "catalog one by its URL or path" in done.err


def test_a_file_that_the_environment_names_must_be_there(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CATALOGER_DATABASES", "conf/none.yaml")
    done = run("databases")
    assert done.code == 2
    assert "conf/none.yaml: no such file" in done.err


def test_check_prints_the_verdict(run: Run) -> None:
    make_shop(Path("shop.duckdb"))
    done = run("check", "shop.duckdb")
    assert done.code == 0, done.err
    assert done.out.splitlines()[1:] == ["2 tables, 0 views", "Read-only: a file is opened for reading alone."]


def test_check_lets_a_reader_through_and_says_what_else_it_may(run: Run, postgres: Postgres) -> None:
    url = postgres.new_database("shop")
    postgres.execute(url, "CREATE TABLE orders (id integer)")
    reader = postgres.new_reader(url)
    done = run("check", reader)
    assert done.code == 0, done.err
    lines = done.out.splitlines()
    assert lines[1:3] == ["1 table, 0 views", f"Read-only: role {urlsplit(reader).username} has no right to write."]
    assert lines[3].startswith("Note: It may make large objects, as every role may")
    assert len(lines) == 4
    assert run("check", reader, "--json").json["notes"] == [lines[3].removeprefix("Note: ")]


def test_check_says_how_to_close_what_every_role_may_write(run: Run, postgres: Postgres) -> None:
    """As before PostgreSQL 15, where that is the default: no new role is needed."""
    url = postgres.new_database("shop")
    postgres.execute(url, "GRANT CREATE ON SCHEMA public TO PUBLIC")
    reader = postgres.new_reader(url)
    done = run("check", reader)
    assert done.code == 1, done.err
    assert done.out.splitlines()[2:4] == [
        f"Not read-only: role {urlsplit(reader).username} has these rights to write:",
        "  CREATE on schema public (every role has it)",
    ]
    assert 'REVOKE CREATE ON SCHEMA "public" FROM PUBLIC;' in done.out
    assert "CREATE ROLE" not in done.out


def test_check_refuses_a_role_that_can_write_with_the_sql_for_one_that_cant(run: Run, postgres: Postgres) -> None:
    url = postgres.url
    done = run("check", url)
    assert done.code == 1, done.err
    assert "Not read-only: role admin has these rights to write:\n  SUPERUSER\n" in done.out
    assert "This SQL puts it right:" in done.out
    assert "CREATE ROLE" in done.out
    assert run("check", url, "--json").json["usable"] is False
    refused = run("catalog", url)
    assert refused.code == 2
    assert not Path("store").exists()


def test_partitions_follow_databases_yaml(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = tmp_path / "dagster"
    home.mkdir()
    (home / "dagster.yaml").touch()
    monkeypatch.setenv("DAGSTER_HOME", str(home))
    file = Path("databases.yaml")
    file.write_text("databases:\n  a: {url: 'duckdb://a'}\n  b: {url: 3}\n  '../z': {url: 'duckdb://z'}\n")
    assert run("partitions", "sync", "--json").json == {"added": ["a", "b"], "deleted": []}
    file.write_text("databases:\n  a: {url: 'duckdb://a'}\n")
    done = run("partitions", "sync")
    assert (done.code, done.out) == (0, "- b\n")
    monkeypatch.delenv("DAGSTER_HOME")
    assert "set DAGSTER_HOME" in run("partitions", "sync").err


def test_a_prompt_can_be_shown_changed_encoded_and_used(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    built_in = run("prompt", "show", "catalog")
    assert "system:" in built_in.out
    mine = Path("mine.yaml")
    mine.write_text(built_in.out.replace("system: |", "system: |\n  Write in haiku.", 1))
    encoded = run("prompt", "encode", "mine.yaml").out.strip()
    assert "haiku" in base64.b64decode(encoded).decode()
    monkeypatch.setenv("CATALOGER_CATALOG_PROMPT", encoded)
    shown = run("prompt", "show", "catalog", "--json").json
    assert "haiku" in shown["text"]
    mine.write_text("system: {")
    assert run("prompt", "encode", "mine.yaml").code == 2


@pytest.mark.docker
def test_sweep_lists_what_it_removed(run: Run, docker_sandbox_image: str) -> None:
    assert docker_sandbox_image
    done = run("sandbox", "sweep", "--json")
    assert done.code == 0, done.err
    assert isinstance(done.json["removed"], list)


def test_no_docker_is_an_error_that_says_how_to_go_on(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "unix:///no/such/socket")
    monkeypatch.setenv("CATALOGER_SANDBOX", "docker")
    make_shop(Path("shop.duckdb"))
    for arguments in (["catalog", "shop.duckdb"], ["sandbox", "build"], ["sandbox", "sweep"]):
        done = run(*arguments)
        assert done.code == 2
        assert "Docker" in done.err
    gc.collect()  # a socket left open is an error


def test_a_store_that_cant_be_written_is_told(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    make_shop(Path("shop.duckdb"))
    Path("taken").touch()
    monkeypatch.setenv("CATALOGER_STORE", "taken/store")
    done = run("catalog", "shop.duckdb")
    assert (done.code, done.out) == (2, "")
    assert "taken" in done.err


def test_a_choice_that_nobody_made_is_said_aloud(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    make_shop(Path("shop.duckdb"))
    monkeypatch.delenv("CATALOGER_MODEL")
    monkeypatch.delenv("CATALOGER_SANDBOX")
    monkeypatch.setenv("HOME", str(Path.cwd()))
    done = run("catalog", "shop.duckdb")
    assert done.code == 0, done.err
    assert "Model: offline (no Claude credentials found; CATALOGER_MODEL chooses)" in done.err
    assert "Sandbox: local (the playbook's code is Cataloger's own" in done.err


@pytest.fixture
def alone(tmp_path: Path) -> Iterator[Callable[..., "subprocess.Popen[bytes]"]]:
    """Start ``cataloger`` as a process of its own in an empty folder."""
    started: list[subprocess.Popen[bytes]] = []

    def start(*arguments: str, **streams: Any) -> "subprocess.Popen[bytes]":
        environ = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "TERM": "xterm", "CATALOGER_MODEL": "offline"}
        streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **streams}
        command = [sys.executable, "-W", "error", "-m", "cataloger_dagster.cli", *arguments]
        environ["PYTHONPATH"] = str(Path(__file__).parent.parent)
        process = subprocess.Popen(command, cwd=tmp_path, env=environ, start_new_session=True, **streams)
        started.append(process)
        return process

    yield start
    for process in started:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


@pytest.mark.parametrize(
    ("sent", "code", "last"), [(signal.SIGINT, 130, "Interrupted."), (signal.SIGTERM, 143, "Terminated.")]
)
def test_an_ended_run_says_so_and_leaves_nothing_behind(
    alone: Callable[..., "subprocess.Popen[bytes]"], tmp_path: Path, sent: signal.Signals, code: int, last: str
) -> None:
    make_shop(tmp_path / "shop.duckdb")
    process = alone("catalog", "shop.duckdb")
    assert process.stderr
    while b"opening" not in process.stderr.readline():
        assert process.poll() is None
    process.send_signal(sent)
    out, err = process.communicate(timeout=30)
    assert (process.returncode, out) == (code, b""), err.decode()
    assert err.decode().rstrip().endswith(last)
    assert b"Traceback" not in err
    assert not list(tmp_path.glob("catalogs/**/*.html"))
    for _ in range(50):
        if not group_lives(process.pid):
            return
        time.sleep(0.1)
    raise AssertionError("a process of the sandbox is left")


@pytest.mark.parametrize(
    ("sent", "code", "last"), [(signal.SIGINT, 130, "Interrupted."), (signal.SIGTERM, 143, "Terminated.")]
)
@pytest.mark.parametrize("error", [ImportError, ConfigurationError])
def test_an_end_that_comes_out_as_an_error_is_an_end(
    run: Run, monkeypatch: pytest.MonkeyPatch, error: type[Exception], sent: signal.Signals, code: int, last: str
) -> None:
    def interrupted(*_: object) -> None:
        try:
            signal.raise_signal(sent)
        except BaseException as end:  # as a module in C does whose import is interrupted
            raise error(repr(end)) from end

    make_shop(Path("shop.duckdb"))
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    monkeypatch.setattr("cataloger_dagster.cataloging.look", interrupted)
    done = run("catalog", "shop.duckdb")
    assert (done.code, done.out, done.err.splitlines()[-1]) == (code, "", last)
    assert "Traceback" not in done.err
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before


def test_a_command_that_was_begun_deaf_to_interrupts_stays_so(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> None:
        signal.raise_signal(signal.SIGINT)
        raise ConfigurationError("it went on")

    make_shop(Path("shop.duckdb"))
    monkeypatch.setattr("cataloger_dagster.cataloging.look", interrupted)
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        done = run("catalog", "shop.duckdb")
    finally:
        signal.signal(signal.SIGINT, before)
    assert (done.code, done.err.splitlines()[-1]) == (2, "Error: it went on")


def group_lives(group: int) -> bool:
    """Whether a process of the group is running; one that waits to be reaped is not."""
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            fields = stat.read_text().rpartition(")")[2].split()
            if int(fields[2]) == group and fields[0] != "Z":
                return True
    return False


def test_a_reader_that_leaves_early_is_no_error(alone: Callable[..., "subprocess.Popen[bytes]"]) -> None:
    process = alone("prompt", "show", "catalog")
    assert process.stdout
    process.stdout.close()
    assert process.stderr
    err = process.stderr.read()
    assert (process.wait(30), b"Traceback" in err, b"BrokenPipe" in err) == (0, False, False)


def test_a_terminal_gets_a_live_line_that_is_gone_in_the_end(
    alone: Callable[..., "subprocess.Popen[bytes]"], tmp_path: Path
) -> None:
    make_shop(tmp_path / "shop.duckdb")
    terminal, its_end = pty.openpty()
    process = alone("catalog", "shop.duckdb", stderr=its_end)
    os.close(its_end)
    said = b""
    with contextlib.suppress(OSError):  # a terminal without a process gives EIO
        while select.select([terminal], [], [], 30)[0]:
            if not (piece := os.read(terminal, 4096)):
                break
            said += piece
    os.close(terminal)
    assert process.stdout
    out = process.stdout.read()
    assert process.wait(30) == 0
    assert Path(out.decode().strip()).is_file()
    assert b"catalog shop: " in said
    assert b"\x1b[2K" in said
    assert b"\x1b" not in out
    assert b"[   " not in said


def test_a_table_is_aligned_and_shows_no_control_characters(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(["name", "rows"], [["a\x1b[31m\n", 1234], ["bb", None]])
    assert capsys.readouterr().out.splitlines() == ["name      rows", "a�[31m�  1,234", "bb           –"]
    assert printable("é漢") == "é漢"


@pytest.mark.parametrize(
    ("text", "time"),
    [
        ("2026-01-15", "2026-01-15T23:59:59.999999+00:00"),
        ("2026-01-15T10:00", "2026-01-15T10:00:00+00:00"),
        ("2026-01-15T10:00:00.123Z", "2026-01-15T10:00:00.123000+00:00"),
        ("2026-01-15T10:00+02:00", "2026-01-15T10:00:00+02:00"),
    ],
)
def test_a_time_is_read_as_people_write_it(text: str, time: str) -> None:
    assert moment(text).isoformat() == time


def test_what_is_no_time_is_told() -> None:
    with pytest.raises(ConfigurationError, match="write 2026-01-15"):
        moment("yesterday")
