"""The way to a PostgreSQL server: TLS as ``sslmode`` says, what a URL means, and reasons a client can show."""

import ssl
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
import pytest

from cataloger_dagster.errors import ConfigurationError
from cataloger_dagster.sandbox import upstream as module
from cataloger_dagster.sandbox.upstream import SSLMode, Upstream
from cataloger_dagster.urls import ServerURL, parse_url
from tests.sandbox.servers import Server, fake_server, relayed, said, with_mode
from tests.services.postgres import Postgres


def is_encrypted(upstream: Upstream, user: str, password: str | None = None, **more: Any) -> bool:
    """Connect through a relay and ask the server whether it sees TLS."""
    with relayed(upstream, user, password, **more) as relay, relay.connect() as connection:
        row = connection.execute("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()").fetchone()
        assert row
        return bool(row[0])


@pytest.mark.parametrize("mode", ["allow", "prefer", "require", "verify-ca", "verify-full"])
def test_the_way_to_a_server_with_tls_is_encrypted(tls_server: Server, mode: SSLMode) -> None:
    assert is_encrypted(with_mode(tls_server.upstream, mode), "tls")


@pytest.mark.parametrize("mode", ["disable", "allow", "prefer"])
def test_a_role_that_must_not_use_tls_gets_in_where_none_is_asked_for(tls_server: Server, mode: SSLMode) -> None:
    assert not is_encrypted(with_mode(tls_server.upstream, mode), "plain")


@pytest.mark.parametrize(("mode", "user"), [("disable", "tls"), ("require", "plain")])
def test_the_servers_own_words_say_that_a_role_must_or_must_not_use_tls(
    tls_server: Server, mode: SSLMode, user: str
) -> None:
    with pytest.raises(psycopg.OperationalError, match=r"no pg_hba\.conf entry for host"):
        is_encrypted(with_mode(tls_server.upstream, mode), user)


def test_another_host_is_not_taken_for_the_certificates(tls_server: Server) -> None:
    there = replace(tls_server.upstream, host="127.0.0.1")
    assert is_encrypted(with_mode(there, "verify-ca"), "tls")
    with pytest.raises(psycopg.OperationalError, match=r"127\.0\.0\.1:\d+ can't be reached: its certificate is not"):
        is_encrypted(with_mode(there, "verify-full"), "tls")


def test_an_address_of_its_own_leaves_the_name_to_the_certificate(tls_server: Server) -> None:
    there = with_mode(tls_server.upstream, "verify-full", address="127.0.0.1")
    assert is_encrypted(there, "tls")
    with pytest.raises(psycopg.OperationalError, match="its certificate is not trusted"):
        is_encrypted(replace(there, host="elsewhere.invalid"), "tls")


@pytest.mark.parametrize("mode", ["verify-ca", "verify-full", "require"])
def test_a_strangers_certificate_is_not_trusted(tls_server: Server, mode: SSLMode) -> None:
    stranger = with_mode(tls_server.upstream, mode, root_certificate=tls_server.folder / "stranger.crt")
    with pytest.raises(psycopg.OperationalError, match="its certificate is not trusted"):
        is_encrypted(stranger, "tls")


def test_without_a_root_certificate_verify_asks_the_systems(tls_server: Server) -> None:
    alone = replace(tls_server.upstream, root_certificate=None)
    assert is_encrypted(with_mode(alone, "require"), "tls")
    with pytest.raises(psycopg.OperationalError, match="its certificate is not trusted"):
        is_encrypted(with_mode(alone, "verify-full"), "tls")


def test_a_version_of_tls_that_the_server_lacks_is_told(tls_server: Server) -> None:
    both = ssl.TLSVersion.TLSv1_3
    tls_server.execute("ALTER SYSTEM SET ssl_max_protocol_version = 'TLSv1.2'", "SELECT pg_reload_conf()")
    try:
        with pytest.raises(psycopg.OperationalError, match="TLS failed"):
            is_encrypted(with_mode(tls_server.upstream, "require", versions=(both, both)), "tls")
    finally:
        tls_server.execute("ALTER SYSTEM RESET ssl_max_protocol_version", "SELECT pg_reload_conf()")


def test_a_server_without_tls_is_refused_where_tls_is_asked_for(postgres: Postgres) -> None:
    upstream = Upstream(postgres.host, postgres.port, "require")
    with pytest.raises(psycopg.OperationalError, match=r"does not offer TLS, which sslmode=require asks for"):
        is_encrypted(upstream, "anybody")


def test_a_server_without_tls_is_preferred_to_none(postgres: Postgres) -> None:
    address = parse_url(postgres.new_reader(postgres.new_database()))
    assert isinstance(address, ServerURL)
    assert address.user
    upstream = Upstream.of(address)
    assert upstream.sslmode == "prefer"
    assert not is_encrypted(upstream, address.user, address.password, database=address.database)


@pytest.mark.postgres
def test_what_is_slipped_in_before_tls_does_not_count() -> None:
    def talk(link: Any) -> None:
        link.recv(8)
        link.sendall(b"SR\0\0\0\x08\0\0\0\0Z\0\0\0\x05I")
        said(link)

    with (
        fake_server(talk) as upstream,
        pytest.raises(psycopg.OperationalError, match="can't be reached: TLS failed"),
    ):
        is_encrypted(with_mode(upstream, "require"), "anybody")


def test_a_server_that_hangs_up_when_asked_for_tls_is_told() -> None:
    with (
        fake_server(lambda link: None) as upstream,
        pytest.raises(psycopg.OperationalError, match=r"hangs up when it is asked for TLS|Connection reset"),
    ):
        is_encrypted(with_mode(upstream, "prefer"), "anybody")


@pytest.mark.parametrize(
    ("upstream", "reason"),
    [
        (Upstream("127.0.0.1", 1), r"127\.0\.0\.1:1 can't be reached: Connection refused"),
        (Upstream("no-such-host.invalid", 5432), r"no-such-host\.invalid:5432 can't be reached: "),
        (Upstream("/nowhere", 5432), r"/nowhere:5432 can't be reached: No such file"),
    ],
)
def test_a_server_that_is_not_there_is_named_to_the_client(upstream: Upstream, reason: str) -> None:
    with pytest.raises(psycopg.OperationalError, match=reason):
        is_encrypted(upstream, "anybody")


@pytest.mark.parametrize(
    ("url", "upstream"),
    [
        ("postgres://h/d", Upstream("h", 5432)),
        ("postgres://u:p@h:99/d?sslmode=require", Upstream("h", 99, "require")),
        ("postgres://[::1]:99/d", Upstream("::1", 99)),
        ("postgres:///d", Upstream("localhost", 5432)),
        ("postgres:///d?host=/run/postgresql&port=5433", Upstream("/run/postgresql", 5433)),
        ("postgres://%2Frun%2Fpostgresql/d", Upstream("/run/postgresql", 5432)),
        ("postgres://h/d?sslrootcert=system", Upstream("h", 5432, "verify-full")),
        ("postgres://h/d?hostaddr=10.0.0.1", Upstream("h", 5432, address="10.0.0.1")),
        ("postgres:///d?hostaddr=10.0.0.1", Upstream("10.0.0.1", 5432, address="10.0.0.1")),
        ("postgres://h/d?connect_timeout=3", Upstream("h", 5432, seconds=3)),
        ("postgres://h/d?connect_timeout=0&channel_binding=require",
         Upstream("h", 5432, seconds=30, channel_binding="require")),
        ("postgres://h/d?ssl_min_protocol_version=TLSv1.3",
         Upstream("h", 5432, versions=(ssl.TLSVersion.TLSv1_3, ssl.TLSVersion.MAXIMUM_SUPPORTED))),
    ],
)  # fmt: skip
def test_a_url_names_its_server(url: str, upstream: Upstream, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "DEFAULT_SOCKETS", "/nowhere")
    address = parse_url(url)
    assert isinstance(address, ServerURL)
    assert Upstream.of(address) == upstream


def test_without_a_host_the_machines_own_socket_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "DEFAULT_SOCKETS", str(tmp_path))
    (tmp_path / ".s.PGSQL.5432").touch()
    address = parse_url("postgres:///d")
    assert isinstance(address, ServerURL)
    assert Upstream.of(address).host == str(tmp_path)


@pytest.mark.parametrize(
    ("parameters", "fault"),
    [
        ("sslmode=requrie", "sslmode=requrie: it is one of disable"),
        ("sslmod=require", "'sslmod' is not supported here; did you mean sslmode"),
        ("sslrootcert=/nowhere.crt", "sslrootcert=/nowhere.crt: no such file"),
        ("sslrootcert=system&sslmode=require", "sslrootcert=system takes sslmode=verify-full alone"),
        ("port=x", "port=x"),
        ("host=a,b", "a,b: several hosts are not supported"),
        ("channel_binding=on", "channel_binding=on: it is one of disable, prefer, require"),
        ("connect_timeout=soon", "connect_timeout=soon"),
        ("ssl_min_protocol_version=TLSv1", "ssl_min_protocol_version=TLSv1: it is one of TLSv1.2, TLSv1.3"),
        ("gssencmode=require", "gssencmode=require: not supported here; leave it out"),
        ("target_session_attrs=read-write", "target_session_attrs=read-write: not supported"),
        ("sslnegotiation=direct", "sslnegotiation=direct: not supported"),
        ("requirepeer=postgres", "'requirepeer' is not supported here; leave it out"),
        ("sslcrl=/x", "'sslcrl' is not supported"),
    ],
)
def test_a_parameter_that_makes_no_sense_or_is_not_kept_is_named(parameters: str, fault: str) -> None:
    address = parse_url(f"postgres://h/d?{parameters}")
    assert isinstance(address, ServerURL)
    with pytest.raises(ConfigurationError, match=fault):
        Upstream.of(address)
