"""What libpq finds outside of a URL: variables, the service file and the password file."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from cataloger_dagster import libpq
from cataloger_dagster.databases import Database
from cataloger_dagster.databases_file import load_databases
from cataloger_dagster.errors import ConfigurationError
from cataloger_dagster.libpq import complete, password_of, user_of
from cataloger_dagster.urls import ServerURL, parse_url

CANARY = "c4nary-pass"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty home, and a system without service files."""
    monkeypatch.setattr(libpq, "SYSTEM_FOLDER", str(tmp_path / "etc"))
    return tmp_path


def completed(url: str, home: Path, environ: Mapping[str, str] | None = None) -> ServerURL:
    address = parse_url(url)
    assert isinstance(address, ServerURL)
    whole = complete(address, {"HOME": str(home), **(environ or {})}, home)
    # It can be written as a URL and read again.
    assert parse_url(whole.with_secrets()) == whole
    return whole


def parts(address: ServerURL) -> tuple[str, int | None, str | None, str | None, str, dict[str, str]]:
    return (
        address.host, address.port, address.user, address.password, address.database, dict(address.parameters)
    )  # fmt: skip


def service_file(folder: Path, text: str, name: str = ".pg_service.conf") -> Path:
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(text)
    return folder / name


def password_file(folder: Path, text: str, mode: int = 0o600) -> Path:
    path = folder / ".pgpass"
    path.write_text(text)
    path.chmod(mode)
    return path


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("postgres://u:p@h:1/d", ("h", 1, "u", "p", "d", {"sslmode": "require"})),
        ("postgres://h/d?sslmode=disable", ("h", 99, "me", CANARY, "d", {"sslmode": "disable"})),
        ("postgres:///", ("there", 99, "me", CANARY, "mine", {"sslmode": "require"})),
        ("postgres://", ("there", 99, "me", CANARY, "mine", {"sslmode": "require"})),
        ("postgres://?user=u&password=p&host=%2Frun&port=2&dbname=d",
         ("/run", 2, "u", "p", "d", {"sslmode": "require"})),
        ("postgres://[::1]/d", ("::1", 99, "me", CANARY, "d", {"sslmode": "require"})),
        ("postgres://%2Fvar%2Frun:3/d", ("/var/run", 3, "me", CANARY, "d", {"sslmode": "require"})),
    ],
)  # fmt: skip
def test_the_urls_own_parts_win_over_the_variables(
    home: Path, url: str, expected: tuple[str, int | None, str | None, str | None, str, dict[str, str]]
) -> None:
    environ = {
        "PGHOST": "there",
        "PGPORT": "99",
        "PGUSER": "me",
        "PGPASSWORD": CANARY,
        "PGDATABASE": "mine",
        "PGSSLMODE": "require",
    }
    assert parts(completed(url, home, environ)) == expected


def test_every_variable_gives_its_parameter(home: Path) -> None:
    environ = {variable: f"v-{name}" for variable, name in libpq.VARIABLES.items()} | {"PGPORT": "7"}
    whole = completed("postgres:///", home, {**environ, "PGPASSWORD": ""})
    fields = {"host", "port", "user", "password", "dbname"}
    assert dict(whole.parameters) == {name: f"v-{name}" for name in libpq.VARIABLES.values() if name not in fields}
    assert (whole.host, whole.user, whole.database) == ("v-host", "v-user", "v-dbname")


def test_a_service_gives_what_the_url_leaves_out_and_wins_over_the_variables(home: Path) -> None:
    service_file(
        home,
        "# services\n[other]\nhost=wrong\n\n[shop]\n# the shop\nhost=db.internal\nport=6432\nuser=reader\n"
        f"password={CANARY}=x \ndbname=shop\nsslmode=require\n[shop2]\nhost=wrong\n[shop]\nhost=wrong\n",
    )
    expected = ("db.internal", 6432, "reader", f"{CANARY}=x", "shop", {"sslmode": "require"})
    assert parts(completed("postgres:///?service=shop", home)) == expected
    assert (
        parts(completed("postgres://", home, {"PGSERVICE": "shop", "PGHOST": "wrong", "PGUSER": "wrong"})) == expected
    )
    assert completed("postgres://me@h/d?service=shop", home).shown == "postgres://me:***@h:6432/d?sslmode=require"


def test_the_service_file_is_the_named_one_then_the_users_then_the_systems(home: Path) -> None:
    named = service_file(home / "named", "[s]\ndbname=named\n", "services")
    environ = {"PGSERVICE": "s", "PGSYSCONFDIR": str(home / "conf")}
    service_file(home / "conf", "[s]\ndbname=shared\n[t]\ndbname=theirs\n", "pg_service.conf")
    assert completed("postgres://h", home, environ).database == "shared"
    service_file(home, "[s]\ndbname=own\n")
    assert completed("postgres://h", home, environ).database == "own"
    assert completed("postgres://h?service=t", home, environ).database == "theirs"
    assert completed("postgres://h", home, {**environ, "PGSERVICEFILE": str(named)}).database == "named"


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("[other]\nhost=x\n", r"there is no service 'shop' in .*\.pg_service\.conf or .*; add a section \[shop\]"),
        ("[shop]\nhost = x\n", r"\.pg_service\.conf:2: no parameter; write NAME=VALUE"),
        (f"[shop]\n{CANARY}\n", r"\.pg_service\.conf:2: no parameter"),
        ("[shop]\nservice=more\n", r"\.pg_service\.conf:2: no parameter"),
        ("[shop]\nhost=x\n", "the URL names no database; .* or let a service"),
        ("[shop]\ndbname=d\nport=x\n", "port=x: a port is a number"),
    ],
)
def test_a_service_that_makes_no_sense_is_told_with_its_place(home: Path, text: str, fault: str) -> None:
    service_file(home, text)
    with pytest.raises(ConfigurationError, match=fault) as told:
        completed("postgres:///?service=shop", home)
    assert CANARY not in str(told.value)


def test_a_service_file_that_is_not_there_or_no_text_is_told(home: Path) -> None:
    with pytest.raises(ConfigurationError, match="PGSERVICEFILE=/nowhere/x: no such file"):
        completed("postgres:///?service=shop", home, {"PGSERVICEFILE": "/nowhere/x"})
    (home / ".pg_service.conf").write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigurationError, match="can't be read: it is not in UTF-8"):
        completed("postgres:///?service=shop", home)


@pytest.mark.parametrize(
    ("line", "password"),
    [
        ("h:5432:d:u:secret", "secret"),
        ("*:*:*:*:secret", "secret"),
        (r"h:5432:d:u:se\:cr\\et", r"se:cr\et"),
        ("#h:5432:d:u:no\nh:5432:d:u:secret\n*:*:*:*:late", "secret"),
        ("h:5433:d:u:secret", None),
        ("other:*:*:*:secret", None),
        ("h:*:*:other:secret", None),
        ("h:*:other:u:secret", None),
        ("h:5432:d", None),
        ("", None),
        ("h:5432:d:u:", ""),
    ],
)
def test_the_password_file_is_read_as_libpq_reads_it(home: Path, line: str, password: str | None) -> None:
    password_file(home, f"{line}\n")
    address = completed("postgres://u@h/d", home)
    found = password_of(address)
    assert found.value == password
    if password is None:
        assert "has no line for h:5432:d:u; write it in the URL" in found.remedy
    assert "secret" not in repr(found)
    assert "pgpass" not in address.shown


def test_a_unix_socket_is_called_localhost_in_the_password_file(home: Path) -> None:
    password_file(home, "localhost:*:*:*:local\n/elsewhere:*:*:*:other\n")
    assert password_of(completed("postgres:///d", home)).value == "local"
    assert password_of(completed("postgres://%2Fvar%2Frun%2Fpostgresql/d", home)).value == "local"
    assert password_of(completed("postgres://%2Felsewhere/d", home)).value == "other"


def test_a_password_of_the_url_or_the_environment_wins_over_the_file(home: Path) -> None:
    password_file(home, "*:*:*:*:file\n")
    assert password_of(completed("postgres://u:url@h/d", home)).value == "url"
    assert password_of(completed("postgres://u@h/d", home, {"PGPASSWORD": "variable"})).value == "variable"
    other = home / "others"
    other.write_text("*:*:*:*:named\n")
    other.chmod(0o600)
    assert password_of(completed("postgres://u@h/d", home, {"PGPASSFILE": str(other)})).value == "named"
    assert password_of(completed("postgres://u@h/d?passfile=others", home)).value == "named"


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660])
def test_a_password_file_that_others_may_read_is_ignored_and_named(home: Path, mode: int) -> None:
    path = password_file(home, "*:*:*:*:secret\n", mode)
    found = password_of(completed("postgres://u@h/d", home))
    assert found.value is None
    assert f"{path} is ignored, because others may read it (mode {mode:04o}): chmod 600 {path}" in found.remedy


def test_a_password_file_that_is_none_is_named(home: Path) -> None:
    (home / ".pgpass").mkdir()
    assert "is no plain file" in password_of(completed("postgres://u@h/d", home)).remedy
    missing = completed("postgres://u@h/d", home, {"PGPASSFILE": "/nowhere/x"})
    assert "/nowhere/x can't be read (No such file" in password_of(missing).remedy
    (home / ".pgpass").rmdir()
    assert password_of(completed("postgres://u@h/d", home)).remedy.startswith("write it in the URL, in PGPASSWORD")


def test_certificates_lie_where_libpq_looks_for_them(home: Path) -> None:
    own = home / ".postgresql"
    own.mkdir()
    for name in ("root.crt", "postgresql.crt", "postgresql.key"):
        (own / name).touch()
    assert dict(completed("postgres://h/d", home).parameters) == {
        "sslrootcert": str(own / "root.crt"),
        "sslcert": str(own / "postgresql.crt"),
        "sslkey": str(own / "postgresql.key"),
    }
    assert completed("postgres://h/d?sslrootcert=system", home).parameters["sslrootcert"] == "system"
    assert completed("postgres://h/d?sslrootcert=~/ca.crt", home).parameters["sslrootcert"] == f"{home}/ca.crt"
    assert completed("postgres://h/d?sslrootcert=ca.crt", home).parameters["sslrootcert"] == f"{home}/ca.crt"


def test_without_a_user_it_is_this_processs(home: Path) -> None:
    assert user_of(completed("postgres://u@h/d", home)) == "u"
    assert user_of(completed("postgres://h/d", home))


def test_a_database_is_completed_at_the_door(home: Path) -> None:
    service_file(home, f"[shop]\nhost=db.internal\nuser=reader\ndbname=shop\npassword={CANARY}\n")
    environ = {"HOME": str(home), "PGSSLMODE": "verify-full"}
    database = Database.from_url("postgres:///?service=shop", environ=environ)
    assert (database.name, database.password) == ("shop", CANARY)
    assert database.shown_url == "postgres://reader:***@db.internal/shop?sslmode=verify-full"
    assert CANARY not in repr(database) + repr(database.address)
    file = home / "databases.yaml"
    file.write_text("databases:\n  a:\n    url: postgres:///?service=shop\n  b:\n    url: postgres:///?service=sop\n")
    databases = load_databases(file, environ)
    assert databases.get("a").shown_url == database.shown_url
    with pytest.raises(ConfigurationError, match=r"databases\.yaml:5: databases\.b\.url: there is no service 'sop'"):
        databases.get("b")
