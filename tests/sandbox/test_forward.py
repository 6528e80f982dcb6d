"""The way to a PostgreSQL server: TLS as ``sslmode`` says, reasons a client can show, and nothing left open."""

import datetime
import ipaddress
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from cataloger_dagster.errors import ConfigurationError
from cataloger_dagster.sandbox.forward import Forwarder, SSLMode, Upstream
from cataloger_dagster.urls import ServerURL, parse_url
from tests.services import postgres as postgresql
from tests.services.missing import missing
from tests.services.postgres import Postgres


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder with a path short enough for a socket."""
    with tempfile.TemporaryDirectory(prefix="f") as made:
        yield Path(made)


def certificate(folder: Path, name: str, *hosts: str) -> Path:
    """Write a certificate that signs itself, and its key beside it; it is valid for *hosts*."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    alternatives = [
        x509.IPAddress(ipaddress.ip_address(host)) if host[0].isdigit() else x509.DNSName(host) for host in hosts
    ]
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
        .sign(key, hashes.SHA256())
    )
    path = folder / f"{name}.crt"
    path.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    private = folder / f"{name}.key"
    private.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    private.chmod(0o600)
    return path


@pytest.fixture(scope="module")
def tls_server() -> Iterator[Upstream]:
    """A PostgreSQL server with a certificate for ``localhost``: role ``tls`` must use TLS, role ``plain`` must not."""
    binaries = postgresql.binaries()
    if binaries is None:
        missing("PostgreSQL", postgresql.REMEDY)
    account = postgresql.server_account()
    with tempfile.TemporaryDirectory(prefix="tls") as made:
        folder = Path(made)
        certificate(folder, "server", "localhost")
        certificate(folder, "stranger", "localhost")
        data, port = folder / "data", postgresql.free_port()
        options: dict[str, Any] = {"cwd": folder}
        if account is not None:
            for path in (folder, *folder.iterdir()):
                os.chown(path, account.pw_uid, account.pw_gid)
            options |= {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}
        subprocess.run(
            [binaries / "initdb", "-D", data, "-U", "tls", "--auth=trust", "--no-sync", "--locale=C"],
            check=True,
            capture_output=True,
            **options,
        )
        (data / "pg_hba.conf").write_text(
            "hostssl all tls 127.0.0.1/32 trust\nhostnossl all plain 127.0.0.1/32 trust\n"
        )
        settings = ["listen_addresses=127.0.0.1", f"port={port}", "unix_socket_directories=", "fsync=off", "ssl=on"]
        settings += [f"ssl_cert_file={folder}/server.crt", f"ssl_key_file={folder}/server.key"]
        server = subprocess.Popen(
            [binaries / "postgres", "-D", data, *(part for each in settings for part in ("-c", each))],
            stderr=subprocess.DEVNULL,
            **options,
        )
        try:
            end = time.monotonic() + 30
            while True:
                try:
                    with psycopg.connect(f"host=127.0.0.1 port={port} user=tls dbname=postgres") as connection:
                        connection.execute("CREATE ROLE plain LOGIN")
                    break
                except psycopg.OperationalError:
                    assert time.monotonic() < end
                    assert server.poll() is None
                    time.sleep(0.05)
            yield Upstream("localhost", port, root_certificate=folder / "server.crt")
        finally:
            server.send_signal(signal.SIGQUIT)
            server.wait()
            shutil.rmtree(data, ignore_errors=True)


def connect(folder: Path, upstream: Upstream, user: str) -> psycopg.Connection[Any]:
    return psycopg.connect(host=str(folder), port=upstream.port, user=user, dbname="postgres", connect_timeout=20)


def is_encrypted(folder: Path, upstream: Upstream, user: str) -> bool:
    """Connect through a forwarder and ask the server whether it sees TLS."""
    with (
        Forwarder(folder / f".s.PGSQL.{upstream.port}", upstream),
        connect(folder, upstream, user) as connection,
    ):
        row = connection.execute("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()").fetchone()
        assert row
        return bool(row[0])


@pytest.mark.postgres
@pytest.mark.parametrize("mode", ["prefer", "require", "verify-ca", "verify-full"])
def test_the_way_to_a_server_with_tls_is_encrypted(tls_server: Upstream, folder: Path, mode: SSLMode) -> None:
    assert is_encrypted(folder, replace(tls_server, sslmode=mode), "tls")


@pytest.mark.postgres
def test_disable_is_not_encrypted(tls_server: Upstream, folder: Path) -> None:
    assert not is_encrypted(folder, replace(tls_server, sslmode="disable"), "plain")


@pytest.mark.postgres
def test_another_host_is_not_taken_for_the_certificates(tls_server: Upstream, folder: Path) -> None:
    there = replace(tls_server, host="127.0.0.1")
    assert is_encrypted(folder, replace(there, sslmode="verify-ca"), "tls")
    with pytest.raises(psycopg.OperationalError, match=r"127\.0\.0\.1:\d+ can't be reached: its certificate is not"):
        is_encrypted(folder, replace(there, sslmode="verify-full"), "tls")


@pytest.mark.postgres
@pytest.mark.parametrize("mode", ["verify-ca", "verify-full", "require"])
def test_a_strangers_certificate_is_not_trusted(tls_server: Upstream, folder: Path, mode: SSLMode) -> None:
    assert tls_server.root_certificate
    stranger = replace(tls_server, sslmode=mode, root_certificate=tls_server.root_certificate.with_name("stranger.crt"))
    with pytest.raises(psycopg.OperationalError, match="its certificate is not trusted"):
        is_encrypted(folder, stranger, "tls")


@pytest.mark.postgres
def test_without_a_root_certificate_verify_asks_the_systems(tls_server: Upstream, folder: Path) -> None:
    alone = replace(tls_server, root_certificate=None)
    assert is_encrypted(folder, replace(alone, sslmode="require"), "tls")
    with pytest.raises(psycopg.OperationalError, match="its certificate is not trusted"):
        is_encrypted(folder, replace(alone, sslmode="verify-full"), "tls")


@pytest.mark.postgres
def test_a_statement_is_cancelled_through_tls(tls_server: Upstream, folder: Path) -> None:
    upstream = replace(tls_server, sslmode="require")
    with Forwarder(folder / f".s.PGSQL.{upstream.port}", upstream), connect(folder, upstream, "tls") as connection:
        timer = threading.Timer(0.3, connection.cancel_safe)  # cancel() would keep the forwarder's thread from running
        timer.start()
        began = time.monotonic()
        with pytest.raises(psycopg.errors.QueryCanceled):
            connection.execute("SELECT pg_sleep(30)")
        assert time.monotonic() - began < 5
        timer.join()


def test_a_server_without_tls_is_refused_where_tls_is_asked_for(postgres: Postgres, folder: Path) -> None:
    upstream = Upstream(postgres.host, postgres.port, "require")
    with pytest.raises(psycopg.OperationalError, match=r"does not offer TLS, which sslmode=require asks for"):
        is_encrypted(folder, upstream, "anybody")


def test_a_server_without_tls_is_preferred_to_none(postgres: Postgres, folder: Path) -> None:
    address = parse_url(postgres.new_reader(postgres.new_database()))
    assert isinstance(address, ServerURL)
    upstream = Upstream.of(address)
    assert upstream.sslmode == "prefer"
    with (
        Forwarder(folder / f".s.PGSQL.{upstream.port}", upstream),
        psycopg.connect(
            host=str(folder), port=upstream.port, user=address.user, password=address.password, dbname=address.database
        ) as connection,
    ):
        assert connection.execute("SELECT 1").fetchone() == (1,)


def test_what_is_slipped_in_before_tls_does_not_count(folder: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer() -> None:
            link, _ = listener.accept()
            with link:
                link.recv(8)
                link.sendall(b"SR\0\0\0\x08\0\0\0\0Z\0\0\0\x05I")
                link.recv(1000)

        thread = threading.Thread(target=answer)
        thread.start()
        upstream = Upstream("127.0.0.1", listener.getsockname()[1], "require")
        with pytest.raises(psycopg.OperationalError, match="can't be reached: TLS failed"):
            is_encrypted(folder, upstream, "anybody")
        thread.join()


@pytest.mark.parametrize(
    ("upstream", "reason"),
    [
        (Upstream("127.0.0.1", 1), r"127\.0\.0\.1:1 can't be reached: Connection refused"),
        (Upstream("no-such-host.invalid", 5432), r"no-such-host\.invalid:5432 can't be reached: "),
        (Upstream("/nowhere", 5432), r"/nowhere:5432 can't be reached: No such file"),
    ],
)
def test_a_server_that_is_not_there_is_named_to_the_client(folder: Path, upstream: Upstream, reason: str) -> None:
    with pytest.raises(psycopg.OperationalError, match=reason):
        is_encrypted(folder, upstream, "anybody")


def test_leaving_closes_every_connection_and_thread(postgres: Postgres, folder: Path) -> None:
    address = parse_url(postgres.new_reader(postgres.new_database()))
    assert isinstance(address, ServerURL)
    upstream = Upstream.of(address)
    with Forwarder(folder / f".s.PGSQL.{upstream.port}", upstream):
        connection = psycopg.connect(
            host=str(folder), port=upstream.port, user=address.user, password=address.password, dbname=address.database
        )
    with pytest.raises(psycopg.OperationalError):
        connection.execute("SELECT 1")
    connection.close()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("forward ")]


@pytest.mark.parametrize(
    ("url", "upstream"),
    [
        ("postgres://h/d", Upstream("h", 5432)),
        ("postgres://u:p@h:99/d?sslmode=require", Upstream("h", 99, "require")),
        ("postgres://[::1]:99/d", Upstream("::1", 99)),
        ("postgres:///d?host=/run/postgresql&port=5433", Upstream("/run/postgresql", 5433)),
        ("postgres://h/d?sslrootcert=system", Upstream("h", 5432, "verify-full")),
    ],
)
def test_a_url_names_its_server(url: str, upstream: Upstream) -> None:
    address = parse_url(url)
    assert isinstance(address, ServerURL)
    assert Upstream.of(address) == upstream


@pytest.mark.parametrize(
    ("parameters", "fault"),
    [
        ("sslmode=requrie", "sslmode=requrie: it is one of disable"),
        ("sslrootcert=/nowhere.crt", "sslrootcert=/nowhere.crt: no such file"),
        ("port=x", "port=x"),
    ],
)
def test_a_parameter_that_makes_no_sense_is_named(parameters: str, fault: str) -> None:
    address = parse_url(f"postgres://h/d?{parameters}")
    assert isinstance(address, ServerURL)
    with pytest.raises(ConfigurationError, match=fault):
        Upstream.of(address)
