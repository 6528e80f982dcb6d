"""databases.yaml: what is read, and that every mistake is named by file, line, value and remedy, without secrets."""

import sqlite3
import traceback
from pathlib import Path

import duckdb
import pytest
from pydantic import SecretStr, ValidationError

from cataloger_dagster.databases import Budget, Database, Databases, check_name
from cataloger_dagster.databases_file import load_databases
from cataloger_dagster.errors import ConfigurationError, DatabaseError
from cataloger_dagster.urls import ServerURL, parse_url

CANARY = "hunter2canary"


def load(tmp_path: Path, text: str, **environ: str) -> Databases:
    file = tmp_path / "databases.yaml"
    file.write_text(text, encoding="utf-8")
    return load_databases(file, environ)


def fault(tmp_path: Path, text: str, **environ: str) -> str:
    """The error of the whole file."""
    with pytest.raises(ConfigurationError) as caught:
        load(tmp_path, text, **environ)
    return str(caught.value)


def entry_fault(tmp_path: Path, settings: str, **environ: str) -> str:
    """The error of one entry called shop, which leaves its neighbour standing."""
    text = f"databases:\n  shop:\n{settings}\n  fine: {{url: 'duckdb://fine.duckdb'}}\n"
    databases = load(tmp_path, text, **environ)
    assert list(databases.entries) == ["fine"]
    return str(databases.broken["shop"])


def test_the_example_of_the_design_is_read_as_written(tmp_path: Path) -> None:
    databases = load(
        tmp_path,
        """
defaults: {schedule: "0 3 * * *", budget: {tokens: 200000, steps: 40, minutes: 20}}
databases:
  flights:
    url: duckdb://data/flights.duckdb          # any ibis connection URL
  shop:
    url: postgres://reader:${SHOP_PASSWORD}@db.internal:5432/shop
    schemas: [public]
    tables: ["*"]            # include globs; default all
    exclude: ["tmp_*"]
    context: "The web shop. orders.status has five values."
    owners: ["team:data"]
    schedule: "0 6 * * *"
    privacy: masked          # schema | masked | full: what the model may see
    hidden: ["salaries"]     # tables whose values are never shown, to the model or on the page
    allow_writable_role: false
    connections: 4
""",
        SHOP_PASSWORD="s3cret",
    )
    assert not databases.broken
    assert databases.keys == ["flights", "shop"]
    flights, shop = databases.get("flights"), databases.get("shop")
    assert flights.path == tmp_path / "data/flights.duckdb"
    assert (flights.backend, flights.schedule, flights.tables, flights.schemas) == ("duckdb", "0 3 * * *", ["*"], None)
    assert isinstance(shop.address, ServerURL)
    assert (shop.address.host, shop.address.port, shop.address.user) == ("db.internal", 5432, "reader")
    assert (shop.address.password, shop.address.database) == ("s3cret", "shop")
    assert (shop.backend, shop.path, shop.schedule) == ("postgres", None, "0 6 * * *")
    assert (shop.exclude, shop.hidden, shop.owners) == (["tmp_*"], ["salaries"], ["team:data"])
    assert (flights.connections, shop.connections) == (1, 4)
    assert shop.shown_url == "postgres://reader:***@db.internal:5432/shop"


@pytest.mark.parametrize("text", ["databases: {}", "databases:", "databases: {}\ndefaults: {privacy: full}"])
def test_no_databases_at_all_is_valid(tmp_path: Path, text: str) -> None:
    assert load(tmp_path, text).keys == []


def test_defaults_fill_what_an_entry_leaves_out_and_budgets_are_merged(tmp_path: Path) -> None:
    databases = load(
        tmp_path,
        """
defaults: {schedule: "@daily", budget: {tokens: 9, minutes: 1.5}, tags: {team: data}, connections: 2}
databases:
  a: {url: "duckdb://a.duckdb", budget: {steps: 3}, schedule: null}
  b: {url: "duckdb://b.duckdb", tags: {}, connections: 3}
""",
    )
    a, b = databases.get("a"), databases.get("b")
    assert a.budget == Budget(tokens=9, steps=3, minutes=1.5)
    assert (a.schedule, a.tags) == (None, {"team": "data"})
    assert (b.schedule, b.tags) == ("@daily", {})
    assert (a.connections, b.connections) == (2, 3)


def test_merge_keys_and_aliases_of_yaml_work(tmp_path: Path) -> None:
    databases = load(
        tmp_path,
        """
databases:
  a: &a {url: "duckdb://a.duckdb", hidden: &h [x]}
  b: {<<: *a, url: "duckdb://b.duckdb", exclude: *h}
""",
    )
    b = databases.get("b")
    assert (b.path, b.hidden, b.exclude) == (tmp_path / "b.duckdb", ["x"], ["x"])


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("duckdb://data/x.duckdb", "data/x.duckdb"),
        ("duckdb://x.duckdb", "x.duckdb"),
        ("duckdb:///srv/x.duckdb", "/srv/x.duckdb"),
        ("sqlite://shop.db", "shop.db"),
        ("SQLite:///srv/Shop.db", "/srv/Shop.db"),
        ("duckdb://../up.duckdb", "../up.duckdb"),
        ("duckdb://a%20b%3F%25.duckdb", "a b?%.duckdb"),
        ("duckdb://a b#c.duckdb", "a b#c.duckdb"),
    ],
)
def test_a_relative_path_counts_from_the_files_folder_and_three_slashes_are_absolute(
    tmp_path: Path, url: str, path: str
) -> None:
    database = load(tmp_path, f"databases:\n  x: {{url: '{url}'}}").get("x")
    assert database.path == tmp_path / path


@pytest.mark.parametrize("password", ["p@ss:w/ord?#[%]", "100%", "ä ö", "a${b}", "%41"])
def test_a_variable_in_the_login_counts_as_it_is_whatever_characters_it_has(tmp_path: Path, password: str) -> None:
    for url in (
        "postgres://reader:${PW}@db/shop",
        "postgresql://${U}:${PW}@db:1/shop?sslmode=require",
        "postgres://reader@db/shop?password=${PW}",
    ):
        shop = load(tmp_path, f'databases:\n  shop: {{url: "{url}"}}', PW=password, U="re@der").get("shop")
        assert isinstance(shop.address, ServerURL)
        assert shop.password == password
        assert shop.address.host == "db"
        assert password not in shop.shown_url


def test_a_variable_can_be_the_login_the_host_the_path_or_the_url_itself(tmp_path: Path) -> None:
    databases = load(
        tmp_path,
        """
databases:
  login: {url: "postgres://${LOGIN}@db/shop"}
  whole: {url: "${WHOLE}"}
  host: {url: "postgres://u@${HOST}/shop"}
  folder: {url: "duckdb://${FOLDER}/x.duckdb"}
  text: {url: "duckdb://x", context: "costs $${this}, $5 and ${WORD}"}
""",
        LOGIN=f"u:{CANARY}:@",
        WHOLE=f"postgres://u:{CANARY}@h:1/d",
        HOST="db:99",
        FOLDER="/srv/100%?",
        WORD="yes",
    )
    assert not databases.broken
    login, whole, host = (databases.get(name).address for name in ("login", "whole", "host"))
    assert isinstance(login, ServerURL)
    assert isinstance(whole, ServerURL)
    assert isinstance(host, ServerURL)
    assert (login.user, login.password, whole.password, host.port) == ("u", f"{CANARY}:@", CANARY, 99)
    assert databases.get("folder").path == Path("/srv/100%?/x.duckdb")
    assert databases.get("text").context == "costs ${this}, $5 and yes"


@pytest.mark.parametrize(
    ("settings", "line", "words"),
    [
        ("    url: 'duckdb://x'\n    schedul: '@daily'", 4, "schedul: unknown key; did you mean 'schedule'?"),
        ("    url: 'duckdb://x'\n    budget: {token: 3}", 4, "token: unknown key; did you mean 'tokens'?"),
        ("    url: 'duckdb://x'\n    name: y", 4, "an entry's name is its key"),
        ("    tables: ['*']", 2, "url: it is missing; write it, like url: duckdb://"),
        ("    url: 3", 3, "a number where a connection URL is due"),
        (
            "    url: trino://h/d",
            3,
            "no backend for trino:// URLs yet; Cataloger reads duckdb://, sqlite://, postgres:// and mysql://",
        ),
        ("    url: snowflake://h/d", 3, "snowflake:// is not supported: it is a service on the internet"),
        ("    url: mysql://h", 3, "names no database; write mysql://"),
        ("    url: mysql://%2Frun%2Fmysqld/d", 3, "takes no Unix socket"),
        ("    url: mysql://h/d?compress=1", 3, "compress is not honoured"),
        ("    url: mysql://h/d?ssl-mode=maybe", 3, "ssl-mode is none of DISABLED, PREFERRED"),
        ("    url: mysql://h/d?ssl-mode=required&ssl-ca=ca.pem", 3, "does not look at ssl-ca"),
        ("    url: mysql://h/d?ssl-ca=none.pem", 3, "none.pem can't be read"),
        ("    url: postgress://h/d", 3, "did you mean postgres://?"),
        ("    url: nosuch://h/d", 3, "no backend for the URL's scheme"),
        ("    url: data/x.duckdb", 3, "write duckdb://data/x.duckdb"),
        ("    url: 'duckdb://'", 3, "names no file"),
        ("    url: 'duckdb://:memory:'", 3, "names no file"),
        ("    url: 'duckdb://x?threads=4'", 3, "takes no parameters"),
        ("    url: 'duckdb://md:x'", 3, "MotherDuck is not supported"),
        ("    url: 'postgres://h'", 3, "names no database"),
        ("    url: 'postgres://h/d/s'", 3, "schemas: [name]"),
        ("    url: 'postgres://h:x/d'", 3, "host and port can't be read"),
        ("    url: 'postgres://h:99999/d'", 3, "host and port can't be read"),
        ("    url: 'postgres://h/d?x'", 3, "parameters can't be read"),
        ("    url: 'duckdb://x'\n    schedule: 0 25 * * *", 4, "'0 25 * * *': no valid cron expression"),
        ("    url: 'duckdb://x'\n    schedule: '* * * * * *'", 4, "6 fields"),
        ("    url: 'duckdb://x'\n    schedule: 0 0 31 2 *", 4, "write five fields, like"),
        ("    url: 'duckdb://x'\n    schedule: nightly", 4, "'nightly': no valid cron expression"),
        ("    url: 'duckdb://x'\n    tables: '*'", 4, "'*': a list is due, like [a, b]"),
        ("    url: 'duckdb://x'\n    tables: []", 4, "the list is empty"),
        ("    url: 'duckdb://x'\n    hidden:\n      - a\n      - 7", 6, "7: text is due; put it in quotes"),
        ("    url: 'duckdb://x'\n    context: 2026-01-01", 4, "text is due"),
        ("    url: 'duckdb://x'\n    exclude:", 4, "nothing: a list is due"),
        ("    url: 'duckdb://x'\n    budget: 100", 4, "100: a mapping is due"),
        ("    url: 'duckdb://x'\n    budget: {steps: 0}", 4, "0: it must be greater than 0"),
        ("    url: 'duckdb://x'\n    budget: {steps: 1.5}", 4, "1.5: a whole number is due"),
        ("    url: 'duckdb://x'\n    budget: {minutes: .inf}", 4, "finite number"),
        ("    url: 'duckdb://x'\n    privacy: hidden", 4, "'hidden': it must be 'schema', 'masked' or 'full'"),
        ("    url: 'duckdb://x'\n    allow_writable_role: 'yes'", 4, "'yes': true or false is due"),
        ("    url: 'duckdb://x'\n    connections: 0", 4, "0: from 1 to 8 connections"),
        ("    url: 'duckdb://x'\n    connections: 9", 4, "9: from 1 to 8 connections"),
        ("    url: 'duckdb://x'\n    connections: two", 4, "'two': a whole number is due"),
        ("    url: 'duckdb://x'\n    owners: [me]", 4, "'me': an owner is an e-mail address or team:NAME"),
        ("    url: 'duckdb://x'\n    tags: {cost center: a}", 4, "a tag's name takes letters"),
        ("    url: 'duckdb://x'\n    tags: {a: b c}", 4, "'b c': a tag's value takes letters"),
        ("    url: 'duckdb://x'\n    tables: ['${NO}']", 4, "the environment variable NO is not set"),
        ("    url: 'duckdb://${EMPTY}/x'", 3, "EMPTY is empty"),
        ("    url: 'duckdb://${a-b}/x'", 3, "write ${NAME}"),
        ("    url: 'duckdb://${a'", 3, "write ${NAME}"),
        ("    url: 'duckdb://x'\n    url: 'duckdb://y'", 4, "url: the key stands twice"),
        ("    url: 'duckdb://x'\n    budget: {steps: 1, steps: 2}", 4, "steps: the key stands twice"),
        ("    - url", 2, "a list where settings are due"),
        ("", 2, "nothing where settings are due"),
    ],
)
def test_a_mistake_in_an_entry_breaks_that_entry_and_names_line_value_and_remedy(
    tmp_path: Path, settings: str, line: int, words: str
) -> None:
    message = entry_fault(tmp_path, settings, EMPTY="")
    assert words in message
    assert message.startswith(f"{tmp_path / 'databases.yaml'}:{line}: databases.shop")


def test_every_fault_of_an_entry_is_told_at_once(tmp_path: Path) -> None:
    message = entry_fault(tmp_path, "    url: x\n    tables: 1\n    privacy: 2")
    assert [line.split(":")[1] for line in message.splitlines()] == ["3", "4", "5"]


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("databases: {}\ndatabase: {}", 2, "unknown key; did you mean 'databases'?"),
        ("defaults: {}", 1, "databases is missing"),
        ("- a", 1, "a list where a mapping is due"),
        ("hello", 1, "text where a mapping is due"),
        ("databases: [a]", 1, "a list where a mapping is due; write databases: {}"),
        ("databases: {}\ndatabases: {}", 2, "the key stands twice"),
        ("databases:\n  a: {url: 'x'", 2, "no valid YAML"),
        ("databases:\n\ta: 1", 2, "no valid YAML"),
        ("databases: {}\n---\ndatabases: {}", 2, "no valid YAML"),
        ("databases:\n  ? [a]\n  : 1", 2, "a key is a list"),
        ("databases: &a\n  x: *a", 1, "an alias holds itself"),
        ("databases:\n  x: {context: 2026-13-45}", 2, "put it in quotes"),
        ("defaults: {url: 'duckdb://x'}\ndatabases: {}", 1, "url belongs to one database"),
        ("databases: {}\ndefaults: {schedule: x}", 2, "no valid cron expression"),
        ("defaults:\n  budget: {step: 1}\ndatabases: {}", 2, "did you mean 'steps'?"),
        ("defaults:\n  hidden: [a]\n  hidden: [b]\ndatabases: {}", 3, "the key stands twice"),
    ],
)
def test_a_mistake_in_the_file_as_a_whole_names_its_line(tmp_path: Path, text: str, line: int, words: str) -> None:
    message = fault(tmp_path, text)
    assert words in message
    assert message.startswith(f"{tmp_path / 'databases.yaml'}:{line}: ")


def test_a_file_that_is_missing_empty_or_no_text_says_so(tmp_path: Path) -> None:
    assert "is empty; write databases: {}" in fault(tmp_path, "# nothing\n")
    (tmp_path / "latin.yaml").write_bytes(b"databases: \xff")
    for path, words in [("no.yaml", "no such file"), (".", "is a folder"), ("latin.yaml", "not UTF-8")]:
        with pytest.raises(ConfigurationError, match=words):
            load_databases(tmp_path / path, {})


def test_a_database_named_twice_is_broken_and_the_others_go_on(tmp_path: Path) -> None:
    databases = load(
        tmp_path,
        "databases:\n  a: {url: 'duckdb://1'}\n  a: {url: 'duckdb://2'}\n  b: {url: 'duckdb://3'}\n",
    )
    assert list(databases.entries) == ["b"]
    assert ":3: databases.a: the key stands twice" in str(databases.broken["a"])
    assert databases.keys == ["a", "b"]


def test_a_key_keeps_the_form_in_which_it_is_written(tmp_path: Path) -> None:
    databases = load(tmp_path, "databases:\n  2024: {url: 'duckdb://1'}\n  on: {url: 'duckdb://2'}\n")
    assert databases.keys == ["2024", "on"]


@pytest.mark.parametrize("name", ["../z", "a,b", "", "x" * 101, "x" * 300, "_runs", ".a", "a b", "a/b", "a\n", "é"])
def test_a_malformed_key_is_refused_everywhere(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        check_name(name)
    assert len(str(caught.value)) < 250
    databases = load(tmp_path, f"databases:\n  {name!r}: {{url: 'duckdb://1'}}\n  b: {{url: 'duckdb://3'}}\n")
    with pytest.raises(ConfigurationError):
        databases.get(name)
    assert databases.keys == ["b"]


@pytest.mark.parametrize("name", ["a", "9", "x" * 100, "a..b", "A-b_c.d"])
def test_a_well_formed_name_passes(name: str) -> None:
    check_name(name)


def test_an_unknown_key_is_told_with_the_nearest_one(tmp_path: Path) -> None:
    databases = load(tmp_path, "databases:\n  flights: {url: 'duckdb://1'}\n  shop: {url: 3}\n")
    with pytest.raises(ConfigurationError, match="did you mean 'flights'") as caught:
        databases.get("flight")
    assert "it has flights, shop" in str(caught.value)
    with pytest.raises(ConfigurationError, match="a number where a connection URL"):
        databases.get("shop")


SPOTS = [
    f"url: postgres://u:{CANARY}@h:x/d",
    f"url: postgres://u:{CANARY}/x@h/d",
    f"url: postgres://u:{CANARY}#x@h/d",
    f"url: postgres://u:{CANARY}?x@h/d",
    f"url: postgres://u:[{CANARY}@[h/d",
    f"url: postgres://u:{CANARY}@h",
    f"url: postgres://u:{CANARY}@h/d/e",
    f"url: postgres://u:{CANARY}\u2100@h:y/d",
    f"url: mysql://u:{CANARY}@h:x/d",
    f"url: mysql://u:{CANARY}@h/d?{CANARY}={CANARY}",
    f"url: u:{CANARY}@h/d",
    f"url: host=h password={CANARY}",
    f"url: [postgres://u:{CANARY}@h/d]",
    f"url: {{password: {CANARY}}}",
    f"urll: postgres://u:{CANARY}@h/d",
    f"url: 'duckdb://x'\n    password: {CANARY}",
    f"url: 'duckdb://x'\n    budget: {{password: {CANARY}}}",
    f"url: 'duckdb://x'\n    budget: postgres://u:{CANARY}@h/d",
    f"url: 'duckdb://x'\n    schedule: postgres://u:{CANARY}@h/d",
    f"url: 'duckdb://x'\n    privacy: password={CANARY}",
    f"url: 'duckdb://x'\n    owners: ['postgres://u:{CANARY}@h/d']",
    f"url: 'postgres://u:${{{CANARY}!}}@h/d'",
    "url: 'postgres://u:${PW}@h:x/d'",
    "url: 'postgres://u:${PW}@h'",
    "url: '${PW}'",
    "url: 'x${PW}://h/d'",
    "url: 'postgres://h:${PW}/d'",
    "url: 'duckdb://x'\n    schedule: ${PW}",
    "url: 'duckdb://x'\n    privacy: ${PW}",
    "url: 'duckdb://x'\n    owners: ['${PW}']",
    "url: 'duckdb://x'\n    tags: {a: 'b ${PW}'}",
    "url: 'postgres://u:${PW}@h/d'\n    schedule: x",
    f"url: 'postgres://u:{CANARY}@h/d'\n    url: 'postgres://u:{CANARY}@h/d'",
    f"url: 'postgres://u:{CANARY}@h/d'\n    bad: [",
    f"url: *{CANARY}",
    f"url: !{CANARY} x",
    f"url: 'postgres://u:{CANARY}@h/d",
    f'url: "postgres://u:{CANARY}\\q@h/d"',
    f"url: 'postgres://u:{CANARY}@h/d' {CANARY}",
    f"url: postgres://u:{CANARY}@h/d\n  {CANARY}",
]


@pytest.mark.parametrize("spot", SPOTS)
def test_no_error_shows_a_password_wherever_it_stands(tmp_path: Path, spot: str) -> None:
    text = f"databases:\n  shop:\n    {spot}\n"
    errors: list[BaseException] = []
    try:
        errors += load(tmp_path, text, PW=CANARY).broken.values()
    except ConfigurationError as error:
        errors.append(error)
    assert errors
    assert not [said for said in map(everything_said, errors) if CANARY in said]


def everything_said(error: BaseException) -> str:
    """An error's text, repr and traceback, with those of all it was raised from or during."""
    said, seen = [], error
    while seen is not None:
        said += [str(seen), repr(seen), *traceback.format_exception(seen, chain=True), *map(repr, seen.args)]
        seen = seen.__cause__ or seen.__context__  # type: ignore[assignment]
    return "\n".join(said)


def test_neither_repr_nor_dump_nor_a_validation_error_of_a_database_shows_its_password() -> None:
    url = f"postgres://reader:{CANARY}@db/shop?sslpassword={CANARY}&options={CANARY}&sslmode=require"
    database = Database.from_url(url, "shop")
    assert database.shown_url == "postgres://reader:***@db/shop?sslpassword=***&options=***&sslmode=require"
    assert isinstance(database.address, ServerURL)
    assert database.address.password == CANARY
    said = [repr(database), str(database), repr(database.address), database.model_dump_json(), database.shown_url]
    for wrong in ({"name": "x", "url": f"x://{CANARY}@h"}, {"name": 3, "url": url}, {"url": url, "bad": url}):
        with pytest.raises(ValidationError) as caught:
            Database.model_validate(wrong)
        said.append(everything_said(caught.value))
    with pytest.raises(ConfigurationError) as refused:
        Database.from_url(f"postgres://reader:{CANARY}/@db/shop")
    said.append(everything_said(refused.value))
    assert not [text for text in said if CANARY in text]


@pytest.mark.parametrize(
    "url",
    [
        f"snowflake://u:{CANARY}@account/db",
        f"bigquery://project/{CANARY}",
        f"databricks://token:{CANARY}@host/db",
        f"duckdb://md:shop?motherduck_token={CANARY}",
        f"duckdb://md:{CANARY}",
        f"motherduck://{CANARY}",
        f"md://{CANARY}",
    ],
)
def test_a_service_on_the_internet_is_refused_for_want_of_a_list_of_hosts(url: str) -> None:
    with pytest.raises(ConfigurationError) as told:
        parse_url(url)
    assert CANARY not in str(told.value)
    if "?" not in url:
        assert "there is no list yet of the hosts it would have to reach" in str(told.value)


def test_a_missing_driver_is_named_with_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cataloger_dagster.urls.DRIVERS", {"postgres": ("no_such_driver", "psycopg[binary]")})
    with pytest.raises(ConfigurationError, match=r"driver of postgres:// URLs is not installed; install psycopg"):
        parse_url("postgres://h/d")


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("duckdb:///srv/My Flights (2013).duckdb", "My-Flights-2013"),
        ("sqlite://shop.v2.db", "shop.v2"),
        ("postgres://u:p@h/web_shop", "web_shop"),
        ("duckdb://___.duckdb", "duckdb"),
        (f"duckdb://{'x' * 300}.duckdb", "x" * 100),
    ],
)
def test_a_database_named_by_its_url_gets_the_name_of_its_file_or_database(url: str, name: str) -> None:
    assert Database.from_url(url).name == name
    assert Database.from_url(url, "other").name == "other"


def test_a_path_alone_names_a_file_whose_first_bytes_tell_its_kind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    duckdb.connect("one.db").close()
    with sqlite3.connect("two.db") as connection:
        connection.execute("CREATE TABLE t (a)")
    connection.close()
    Path("text.db").write_text("x" * 100)
    Path("empty.db").touch()
    assert Database.from_url("one.db").shown_url == f"duckdb://{tmp_path}/one.db"
    assert Database.from_url(str(tmp_path / "two.db")).backend == "sqlite"
    for path, words in [
        ("text.db", "neither a DuckDB nor a SQLite"),
        ("empty.db", "empty file"),
        ("no.db", "no.db: no such file"),
    ]:
        with pytest.raises(ConfigurationError, match=words):
            Database.from_url(path)


def test_a_missing_file_is_told_when_it_is_used_with_the_part_that_is_missing(tmp_path: Path) -> None:
    (tmp_path / "there.duckdb").touch()
    cases = {
        "no.duckdb": f"{tmp_path}/no.duckdb: no such file; correct the url of 'x'",
        "no/x.duckdb": f"its folder {tmp_path}/no does not exist",
        "": "is no file",
    }
    for path, words in cases.items():
        database = load(tmp_path, f"databases:\n  x: {{url: 'duckdb://{tmp_path}/{path}'}}").get("x")
        with pytest.raises(DatabaseError) as caught:
            database.require_file()
        assert words in str(caught.value)
    load(tmp_path, "databases:\n  x: {url: 'duckdb://there.duckdb'}").get("x").require_file()
    Database.from_url("postgres://h/d").require_file()


def test_a_relative_path_with_a_slash_too_many_gets_the_remedy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("shop.db").touch()
    with pytest.raises(DatabaseError, match=r"two slashes: sqlite://shop.db"):
        Database.from_url("sqlite:///shop.db").require_file()


def test_a_database_can_be_made_directly_and_stays_as_it_is() -> None:
    database = Database(name="x", url=SecretStr("duckdb:///srv/x.duckdb"))
    assert database.path == Path("/srv/x.duckdb")
    assert database == Database(name="x", url=SecretStr("duckdb:///srv/x.duckdb"))
    with pytest.raises(ValidationError):
        database.name = "y"  # type: ignore[misc]
