"""PostgreSQL servers to relay to: a real one with TLS and every way to log in, and ones that misbehave."""

import contextlib
import datetime
import ipaddress
import os
import shutil
import signal
import socket
import struct
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import psycopg
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from cataloger_dagster.sandbox.conversation import Limits
from cataloger_dagster.sandbox.login import Login
from cataloger_dagster.sandbox.relay import Relay
from cataloger_dagster.sandbox.upstream import Upstream
from cataloger_dagster.sandbox.wire import CANCEL_REQUEST
from tests.sandbox.listener import Listener
from tests.services import postgres as postgresql
from tests.services.missing import missing

EMOJI = "p\U0001f600\u00adss"
PASSWORD = "c4nary-päss:w\\rd"

# In pg_hba.conf the first line that fits counts.
_WAYS_IN = """\
hostssl   all tls   127.0.0.1/32 trust
hostnossl all plain 127.0.0.1/32 trust
host      all scram,emoji 127.0.0.1/32 scram-sha-256
host      all md5   127.0.0.1/32 md5
host      all clear 127.0.0.1/32 password
hostssl   all certified 127.0.0.1/32 cert
host      all gss   127.0.0.1/32 gss
local     all peer               peer map=anybody
local     all clear              password
"""


@dataclass(frozen=True)
class Server:
    """A running server; ``folder`` has its certificate, a stranger's and its Unix socket."""

    upstream: Upstream
    folder: Path
    process: "subprocess.Popen[bytes]"
    admin: str

    @property
    def sockets(self) -> Upstream:
        """The way to it by its Unix socket."""
        return Upstream(str(self.folder), self.upstream.port)

    def execute(self, *statements: str) -> list[tuple[Any, ...]]:
        """Run statements as superuser; return the last one's rows."""
        with psycopg.connect(self.admin, autocommit=True) as connection:
            for statement in statements:
                done = connection.execute(statement.encode())
            return done.fetchall() if done.description else []


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


@contextlib.contextmanager
def tls_server() -> Iterator[Server]:
    """Run a PostgreSQL server with a certificate for ``localhost`` and a role for each way to log in."""
    binaries = postgresql.binaries()
    if binaries is None:
        missing("PostgreSQL", postgresql.REMEDY)
    account = postgresql.server_account()
    with tempfile.TemporaryDirectory(prefix="tls") as made:
        folder = Path(made)
        certificate(folder, "server", "localhost")
        certificate(folder, "stranger", "localhost")
        certificate(folder, "certified")
        data, port = folder / "data", postgresql.free_port()
        options: dict[str, Any] = {"cwd": folder}
        if account is not None:
            for path in (folder, *folder.iterdir()):
                os.chown(path, account.pw_uid, account.pw_gid)
            options |= {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}
        subprocess.run(
            [binaries / "initdb", "-D", data, "-U", "tls", "--auth=trust", "--no-sync", "--locale=C.UTF-8"],
            check=True,
            capture_output=True,
            **options,
        )
        (data / "pg_hba.conf").write_text(_WAYS_IN)
        with (data / "pg_ident.conf").open("a") as file:
            file.write("anybody /^.*$ peer\n")
        settings = ["listen_addresses=127.0.0.1", f"port={port}", f"unix_socket_directories={folder}", "fsync=off"]
        settings += ["ssl=on", f"ssl_cert_file={folder}/server.crt", f"ssl_key_file={folder}/server.key"]
        settings += [f"ssl_ca_file={folder}/certified.crt"]
        process = subprocess.Popen(
            [binaries / "postgres", "-D", data, *(part for each in settings for part in ("-c", each))],
            stderr=subprocess.DEVNULL,
            **options,
        )
        upstream = Upstream("localhost", port, root_certificate=folder / "server.crt")
        server = Server(upstream, folder, process, f"host=127.0.0.1 port={port} user=tls dbname=postgres")
        try:
            end = time.monotonic() + 30
            while True:
                try:
                    server.execute("SELECT 1")
                    break
                except psycopg.OperationalError:
                    assert time.monotonic() < end
                    assert process.poll() is None
                    time.sleep(0.05)
            server.execute(
                "CREATE ROLE plain LOGIN",
                "CREATE ROLE peer LOGIN",
                "CREATE ROLE certified LOGIN",
                "CREATE ROLE gss LOGIN",
                f"CREATE ROLE scram LOGIN PASSWORD '{PASSWORD}'",
                f"CREATE ROLE clear LOGIN PASSWORD '{PASSWORD}'",
                f"CREATE ROLE emoji LOGIN PASSWORD '{EMOJI}'",
                f"SET password_encryption = 'md5'; CREATE ROLE md5 LOGIN PASSWORD '{PASSWORD}'",
                "CREATE DATABASE other",
            )
            yield server
        finally:
            process.send_signal(signal.SIGQUIT)
            process.wait()
            shutil.rmtree(data, ignore_errors=True)


@dataclass(frozen=True)
class Relayed:
    """A relay that listens in ``folder``."""

    relay: Relay
    folder: Path

    def connect(self, **parameters: Any) -> psycopg.Connection[Any]:
        """Connect as a client in a sandbox would, naming nobody."""
        return psycopg.connect(host=str(self.folder), connect_timeout=20, autocommit=True, **parameters)

    def socket(self) -> socket.socket:
        """Connect without saying anything."""
        link = socket.socket(socket.AF_UNIX)
        link.settimeout(20)
        try:
            link.connect(str(self.folder / ".s.PGSQL.5432"))
        except OSError:
            link.close()
            raise
        return link


@contextlib.contextmanager
def relayed(
    upstream: Upstream,
    user: str = "tls",
    password: str | None = None,
    *,
    database: str = "postgres",
    limits: Limits | None = None,
    **more: Any,
) -> Iterator[Relayed]:
    """Relay to *upstream* from a folder with a path short enough for a socket."""
    login = Login(upstream.name, user, database, password, channel_binding=upstream.channel_binding, **more)
    relay = Relay(upstream, login, limits)
    with tempfile.TemporaryDirectory(prefix="r") as made, Listener(relay, Path(made) / ".s.PGSQL.5432"):
        yield Relayed(relay, Path(made))


@contextlib.contextmanager
def fake_server(talk: Callable[[socket.socket], None]) -> Iterator[Upstream]:
    """Run a server that serves every connection by *talk*, each in a thread; without TLS."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threads: list[threading.Thread] = []

        def serve(link: socket.socket) -> None:
            link.settimeout(20)
            with link, contextlib.suppress(OSError):
                talk(link)

        def accept() -> None:
            with contextlib.suppress(OSError):
                while True:
                    thread = threading.Thread(target=serve, args=[listener.accept()[0]])
                    thread.start()
                    threads.append(thread)

        accepting = threading.Thread(target=accept)
        accepting.start()
        try:
            yield Upstream("127.0.0.1", listener.getsockname()[1], "disable", seconds=5)
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            accepting.join()
            for thread in threads:
                thread.join()


def said(link: socket.socket) -> bytes:
    """Return everything that the other side says until it hangs up."""
    text = b""
    with contextlib.suppress(ConnectionResetError):
        while chunk := link.recv(1 << 16):
            text += chunk
    return text


def exactly(link: socket.socket, count: int) -> bytes:
    """Return the next *count* bytes."""
    text = b""
    while len(text) < count:
        chunk = link.recv(count - len(text))
        if not chunk:
            raise ConnectionResetError
        text += chunk
    return text


def take_startup(link: socket.socket) -> bytes:
    """Return the body of a start-up packet; a request to cancel ends the connection, as a server does."""
    length, code = struct.unpack(">II", exactly(link, 8))
    body = exactly(link, length - 8)
    if code == CANCEL_REQUEST:
        raise ConnectionResetError
    return body


def take_message(link: socket.socket) -> tuple[bytes, bytes]:
    """Return the kind and body of a message."""
    kind, length = struct.unpack(">cI", exactly(link, 5))
    return kind, exactly(link, length - 4)


def with_mode(upstream: Upstream, mode: Any, **more: Any) -> Upstream:
    """The same server under another ``sslmode``."""
    return replace(upstream, sslmode=mode, **more)
