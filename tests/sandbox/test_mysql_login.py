"""Logging in to MySQL and MariaDB: TLS as the URL says, and servers that misbehave or are after the password."""

import os
import re
import socket
import struct
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from cataloger_sandbox import mysql_driver
from cataloger_sandbox.errors import DatabaseProblem
from cataloger_sandbox.mysql_login import open_mysql

from cataloger_dagster.databases import Database
from cataloger_dagster.errors import DatabaseError
from cataloger_dagster.mysql import complete, tls_of
from cataloger_dagster.preflight import look
from cataloger_dagster.sandbox import mysql_relay, mysql_wire
from cataloger_dagster.sandbox.local import LocalSandbox
from cataloger_dagster.urls import ServerURL, parse_url
from tests.sandbox.servers import certificate, exactly, fake_server, said
from tests.services import mariadb as mariadbd
from tests.services.keeper import Keeper
from tests.services.mariadb import MariaDB
from tests.services.missing import missing
from tests.services.postgres import url_with

PASSWORD = "c4nary-hunter2"


@dataclass(frozen=True)
class Server:
    """A server that offers TLS with a certificate for ``localhost``; ``folder`` has the certificates."""

    mariadb: MariaDB
    reader: str
    folder: Path


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    if not mariadbd.available():
        missing("MariaDB", mariadbd.REMEDY)
    with tempfile.TemporaryDirectory(prefix="tls") as made:
        folder = Path(made)
        folder.chmod(0o755)
        for name, hosts in (("server", ["localhost"]), ("stranger", ["localhost"]), ("client", [])):
            certificate(folder, name, *hosts)
        (folder / "server.key").chmod(0o644)
        keeper = Keeper(folder)
        try:
            told = mariadbd.start(
                keeper,
                f"--ssl-cert={folder}/server.crt",
                f"--ssl-key={folder}/server.key",
                f"--ssl-ca={folder}/client.crt",
            )
            mariadb = MariaDB(told["url"])
            database = mariadb.new_database("CREATE TABLE t (a int)", "INSERT INTO t VALUES (1), (2)")
            yield Server(mariadb, mariadb.new_reader(database), folder)
        finally:
            keeper.stop()


def opened(url: str) -> Any:
    address = parse_url(url)
    assert isinstance(address, ServerURL)
    address = complete(address)
    return open_mysql(
        {
            "host": address.host,
            "port": address.port,
            "user": address.user,
            "password": address.password,
            "database": address.database,
            "ssl": tls_of(address),
            "seconds": 5,
        }
    )


def cipher(url: str) -> str:
    driver = opened(url)
    try:
        with driver.cursor() as cursor:
            cursor.execute("SHOW SESSION STATUS LIKE 'Ssl_cipher'")
            return str(cursor.fetchone()[1])
    finally:
        driver.close()


def by_name(url: str) -> str:
    return url.replace("@127.0.0.1:", "@localhost:")


@pytest.mark.parametrize(
    ("query", "encrypted"),
    [
        ("", True),
        ("?ssl-mode=PREFERRED", True),
        ("?ssl-mode=required", True),
        ("?ssl-mode=DISABLED", False),
        ("?ssl-ca={}/server.crt", True),
        ("?ssl-mode=VERIFY_CA&ssl-ca={}/server.crt", True),
        ("?ssl-mode=VERIFY_IDENTITY&ssl-ca={}/server.crt", True),
    ],
)
def test_tls_is_used_as_the_url_says(server: Server, query: str, encrypted: bool) -> None:
    assert bool(cipher(by_name(server.reader) + query.format(server.folder))) is encrypted


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("?ssl-mode=VERIFY_CA", "self-signed certificate"),
        ("?ssl-mode=VERIFY_CA&ssl-ca={}/stranger.crt", "self-signed certificate"),
        ("?ssl-mode=VERIFY_IDENTITY&ssl-ca={}/stranger.crt", "self-signed certificate"),
        ("?ssl-mode=VERIFY_IDENTITY&ssl-ca={}/server.crt", "IP address mismatch"),
    ],
)
def test_a_server_that_is_not_the_one_is_told_with_the_remedy(server: Server, query: str, words: str) -> None:
    with pytest.raises(DatabaseProblem, match=f"(?s)can't be trusted.*{words}.*check ssl-mode and ssl-ca in the URL"):
        opened(server.reader + query.format(server.folder))


def test_the_name_is_looked_at_where_it_is_asked_for_alone(server: Server) -> None:
    assert cipher(f"{server.reader}?ssl-mode=VERIFY_CA&ssl-ca={server.folder}/server.crt")


def test_a_server_that_wants_tls_gets_it_or_says_so(server: Server) -> None:
    database = url_with(server.reader, user="admin", password=server.mariadb.url.split(":")[2].split("@")[0])
    wants = server.mariadb.new_user(database, "GRANT SELECT ON {db}.* TO {user}", "ALTER USER {user} REQUIRE SSL")
    assert cipher(wants)
    with pytest.raises(DatabaseProblem, match=r"refuses user 'reader_.*or it wants TLS"):
        opened(f"{wants}?ssl-mode=DISABLED")
    known = server.mariadb.new_user(database, "GRANT SELECT ON {db}.* TO {user}", "ALTER USER {user} REQUIRE X509")
    assert cipher(f"{known}?ssl-cert={server.folder}/client.crt&ssl-key={server.folder}/client.key")
    with pytest.raises(DatabaseProblem, match="refuses user"):
        opened(known)


def test_a_session_reads_over_tls_that_is_verified_and_is_told_where_it_is_not(server: Server) -> None:
    verified = f"{by_name(server.reader)}?ssl-mode=VERIFY_IDENTITY&ssl-ca={server.folder}/server.crt"
    with LocalSandbox().open(Database.from_url(verified)) as session:
        connection = {"connection": dict(session.connection), "facts": {}, "history": [], "changes": []}
        session.start("cataloger_sandbox.kit:namespace", connection)
        assert session.execute("con.table('t').count().execute()").output == "2\n"
        asked = session.execute("con.raw_sql(\"SHOW SESSION STATUS LIKE 'Ssl_version'\").fetchall()").output
        assert "TLSv1" in asked
        # A row of more than the protocol's longest packet goes through whole.
        sql = "SELECT REPEAT('x', 20000000)"
        assert session.execute(f"len(con.raw_sql({sql!r}).fetchone()[0])").output == "20000000\n"
    refused = f"{server.reader}?ssl-mode=VERIFY_IDENTITY&ssl-ca={server.folder}/server.crt"
    database = Database.from_url(refused)
    with LocalSandbox().open(database) as session, pytest.raises(DatabaseError, match="IP address mismatch") as caught:
        look(database, session)
    assert server.reader.split(":")[2].split("@")[0] not in str(caught.value)


# Servers that are none, or not the right one

_PLUGIN_AUTH, _SECURE, _PROTOCOL = 1 << 19, 1 << 15, 1 << 9


def greeting(plugin: bytes = b"mysql_native_password") -> bytes:
    capabilities = _PLUGIN_AUTH | _SECURE | _PROTOCOL
    body = b"\x0a8.0.1\0" + struct.pack("<I", 7) + b"12345678\0" + struct.pack("<H", capabilities & 0xFFFF)
    body += struct.pack("<BHHB", 45, 2, capabilities >> 16, 21) + bytes(10) + b"123456789012\0" + plugin + b"\0"
    return mysql_wire.packet(0, body)


def take(link: socket.socket) -> bytes:
    return exactly(link, int.from_bytes(exactly(link, 4)[:3], "little"))


def asks_for(plugin: bytes, heard: list[bytes], first: bytes = b"mysql_native_password") -> Callable[[Any], None]:
    """A server without TLS that has whoever logs in change to *plugin*, and keeps what it is told."""

    def talk(link: socket.socket) -> None:
        link.sendall(greeting(first))
        heard.append(take(link))
        if first == plugin:
            link.sendall(mysql_wire.packet(2, b"\x01\x04"))
        else:
            link.sendall(mysql_wire.packet(2, b"\xfe" + plugin + b"\0" + b"12345678901234567890\0"))
        heard.append(take(link))
        link.sendall(mysql_wire.packet(4, b"\x01\x04"))
        heard.append(said(link))

    return talk


def refusal(port: int, seconds: float = 5) -> str:
    """Log in at *port* and return what is told."""
    with pytest.raises(DatabaseProblem) as caught:
        open_mysql(
            {
                "host": "127.0.0.1",
                "port": port,
                "user": "reader",
                "password": PASSWORD,
                "database": "shop",
                "seconds": seconds,
            }
        )
    assert PASSWORD not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    ("first", "plugin"),
    [
        (b"mysql_native_password", b"mysql_clear_password"),
        (b"mysql_native_password", b"sha256_password"),
        (b"mysql_native_password", b"caching_sha2_password"),
        (b"mysql_native_password", b"dialog"),
        (b"mysql_native_password", b"mysql_old_password"),
        (b"caching_sha2_password", b"caching_sha2_password"),
        (b"sha256_password", b"sha256_password"),
        (b"mysql_clear_password", b"mysql_clear_password"),
    ],
)
def test_without_tls_no_server_is_told_the_password_nor_gives_a_key_for_it(first: bytes, plugin: bytes) -> None:
    heard: list[bytes] = []
    with fake_server(asks_for(plugin, heard, first)) as upstream:
        told = refusal(upstream.port)
    assert "sent over TLS alone" in told or "no secret any more" in told
    assert PASSWORD.encode() not in b"".join(heard)
    # Two bytes, 2: the question for a key.
    assert not any(each.endswith((b"\x01\0\0\x03\x02", b"\x01\0\0\x05\x02")) or each == b"\x02" for each in heard)


def test_over_tls_a_server_that_has_only_a_hash_is_told_the_password() -> None:
    """As MySQL's own accounts want it at the first login."""
    driver = type("D", (), {"_secure": True, "password": b"secret", "salt": b"x" * 20, "server_public_key": None})()
    sent: list[bytes] = []
    driver.write_packet = sent.append
    driver._read_packet = lambda: "ok"
    assert mysql_driver.WAYS["mysql_clear_password"](driver).authenticate(None) == "ok"
    assert sent == [b"secret\0"]


def drips(link: socket.socket) -> None:
    with_time = greeting()
    for at in range(len(with_time)):
        link.sendall(with_time[at : at + 1])
        time.sleep(0.2)


def floods(link: socket.socket) -> None:
    longest = b"\xff\xff\xff\0" + bytes(0xFFFFFF)
    for _ in range(30):
        link.sendall(longest)


def wants_a_file(link: socket.socket) -> None:
    link.sendall(greeting())
    take(link)
    link.sendall(mysql_wire.packet(2, b"\0\0\0\x02\0\0\0"))
    while command := take(link):
        if b"SESSION" not in command:
            link.sendall(mysql_wire.packet(1, b"\0\0\0\x02\0\0\0"))
            continue
        link.sendall(mysql_wire.packet(1, b"\xfb/etc/passwd"))
        assert b"root:" not in said(link)
        return


@pytest.mark.parametrize(
    ("talk", "words"),
    [
        (lambda link: link.recv(1), "does not answer within 1 s"),
        (drips, "does not answer within 1 s"),
        (floods, "more than 1,048,576 bytes at the login|no MySQL|Lost connection"),
        (wants_a_file, "LOAD_LOCAL|does not speak MySQL's protocol"),
        (lambda link: None, "Lost connection"),
        (lambda link: link.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n"), "MySQL|Lost connection|can't be reached"),
        (lambda link: link.sendall(mysql_wire.packet(0, b"")), "does not speak MySQL's protocol"),
        (lambda link: link.sendall(mysql_wire.packet(0, b"\x0a")), "does not speak MySQL's protocol"),
        (lambda link: link.sendall(mysql_wire.packet(0, b"\x0ax\0")), "does not speak MySQL's protocol"),
        (lambda link: link.sendall(greeting().replace(b"8.0.1", b"\xff.0.1")), "does not speak MySQL's protocol"),
        (
            lambda link: link.sendall(mysql_wire.packet(0, b"\xff\x15\x04#28000no " + PASSWORD.encode())),
            "refuses user|no \\*\\*\\*",
        ),
    ],
)
def test_a_server_that_is_none_or_keeps_us_is_given_up_in_time_and_words(talk: Any, words: str) -> None:
    began = time.monotonic()
    with fake_server(talk) as upstream:
        told = refusal(upstream.port, 1)
        assert time.monotonic() - began < 8
    assert re.search(words, told), told
    assert f"127.0.0.1:{upstream.port}" in told


def test_any_bytes_of_a_server_come_to_a_reason_in_words() -> None:
    rest = [greeting(), mysql_wire.packet(2, b"\0\0\0\x02\0\0\0")]
    left = {"seed": 1}

    def talk(link: socket.socket) -> None:
        left["seed"] = left["seed"] * 1103515245 + 12345 & 0x7FFFFFFF
        at = left["seed"]
        broken = bytearray(b"".join(rest))
        for turn in range(1 + at % 4):
            broken[(at >> turn * 5) % len(broken)] = (at >> turn * 3) & 0xFF
        link.sendall(broken + os.urandom(at % 60))

    with fake_server(talk) as upstream:
        for _ in range(20):
            assert f"127.0.0.1:{upstream.port}" in refusal(upstream.port, 0.3)


def test_no_thread_waits_for_a_server_that_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process can't end while one does."""
    monkeypatch.setattr(mysql_relay, "CONNECT_SECONDS", 1)
    with fake_server(lambda link: link.recv(1)) as upstream:
        database = Database.from_url(f"mysql://reader:{PASSWORD}@127.0.0.1:{upstream.port}/shop")
        with LocalSandbox().open(database) as session, pytest.raises(DatabaseError, match="does not answer within 1 s"):
            look(database, session)
        end = time.monotonic() + 5
        while any(each.name.startswith("asyncio") and _works(each) for each in threading.enumerate()):
            assert time.monotonic() < end
            time.sleep(0.05)


def _works(thread: threading.Thread) -> bool:
    frame = sys._current_frames().get(thread.ident or 0)
    return frame is not None and any("mysql_driver" in each.filename for each in traceback.extract_stack(frame))
