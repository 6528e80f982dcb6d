"""Logging in for the sandbox: every way of authentication, and servers that do not prove who they are."""

import base64
import hashlib
import re
import socket
import ssl
import struct
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
import pytest
from cryptography.hazmat.primitives import serialization
from scramp import ScramMechanism

from cataloger_dagster.errors import ConfigurationError
from cataloger_dagster.sandbox.login import METHODS, Login, login_of, methods_of
from cataloger_dagster.sandbox.upstream import ChannelBinding, Upstream
from cataloger_dagster.urls import ServerURL, parse_url
from tests.sandbox.servers import EMOJI, PASSWORD, Server, fake_server, relayed, take_message, take_startup, with_mode

WRONG = "wr0ng-canary"


def who(upstream: Upstream, user: str, password: str | None = None, **more: Any) -> str:
    """Log in through a relay; return the role that the server sees."""
    with relayed(upstream, user, password, **more) as relay, relay.connect() as connection:
        row = connection.execute("SELECT current_user").fetchone()
        assert row
        return str(row[0])


def refusal(upstream: Upstream, user: str, password: str | None = None, **more: Any) -> str:
    """Return what a client is told that can't be logged in; never a password."""
    with pytest.raises(psycopg.OperationalError) as told:
        who(upstream, user, password, **more)
    message = str(told.value)
    assert password is None or password not in message
    return message


@pytest.mark.parametrize("mode", ["disable", "verify-full"])
@pytest.mark.parametrize("user", ["scram", "md5"])
def test_a_role_logs_in_by_scram_and_by_md5(tls_server: Server, user: str, mode: str) -> None:
    assert who(with_mode(tls_server.upstream, mode), user, PASSWORD) == user


def test_a_password_that_saslprep_does_not_take_is_taken_as_it_is(tls_server: Server) -> None:
    assert who(tls_server.upstream, "emoji", EMOJI) == "emoji"


@pytest.mark.parametrize("binding", ["disable", "prefer", "require"])
def test_the_password_is_bound_to_the_tls_connection(tls_server: Server, binding: ChannelBinding) -> None:
    upstream = with_mode(tls_server.upstream, "require", channel_binding=binding)
    assert who(upstream, "scram", PASSWORD) == "scram"


@pytest.mark.parametrize(("user", "mode"), [("scram", "disable"), ("md5", "require"), ("tls", "require")])
def test_what_does_not_bind_is_refused_where_binding_is_required(tls_server: Server, user: str, mode: str) -> None:
    upstream = with_mode(tls_server.upstream, mode, channel_binding="require")
    assert "does not bind the password to the TLS connection" in refusal(upstream, user, PASSWORD)


def test_a_password_in_clear_is_sent_over_tls_or_a_unix_socket_alone(tls_server: Server) -> None:
    assert who(with_mode(tls_server.upstream, "require"), "clear", PASSWORD) == "clear"
    assert who(tls_server.sockets, "clear", PASSWORD) == "clear"
    message = refusal(with_mode(tls_server.upstream, "disable"), "clear", PASSWORD)
    assert re.search(r"localhost:\d+ asks for the password of role 'clear' in clear, .* use TLS", message)


def test_a_role_is_let_in_as_this_user_of_the_machine(tls_server: Server) -> None:
    assert who(tls_server.sockets, "peer") == "peer"


def test_a_role_is_let_in_by_a_certificate(tls_server: Server) -> None:
    own, key = tls_server.folder / "certified.crt", tls_server.folder / "certified.key"
    assert who(with_mode(tls_server.upstream, "verify-full", certificate=own, key=key), "certified") == "certified"
    for mode in ("require", "prefer"):
        message = refusal(with_mode(tls_server.upstream, mode), "certified")
        assert "connection requires a valid client certificate" in message


def test_a_key_that_can_not_be_used_is_told(tls_server: Server, tmp_path: Path) -> None:
    own, key = tls_server.folder / "certified.crt", tmp_path / "locked.key"
    stored = serialization.load_pem_private_key((tls_server.folder / "certified.key").read_bytes(), None)
    locked = serialization.BestAvailableEncryption(b"secret")
    key.write_bytes(stored.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, locked))
    for wrong in (key, tls_server.folder / "stranger.key"):
        message = refusal(with_mode(tls_server.upstream, "prefer", certificate=own, key=wrong), "certified")
        assert "sslrootcert, sslcert or sslkey can't be used" in message


def test_kerberos_is_refused_in_words(tls_server: Server) -> None:
    assert "not supported (GSSAPI): have its administrator" in refusal(tls_server.upstream, "gss", PASSWORD)


@pytest.mark.parametrize("user", ["scram", "md5", "clear"])
def test_a_wrong_password_is_refused_in_the_servers_words(tls_server: Server, user: str) -> None:
    message = refusal(with_mode(tls_server.upstream, "require"), user, WRONG)
    assert f'password authentication failed for user "{user}"' in message


def test_an_unknown_database_is_refused_in_the_servers_words(tls_server: Server) -> None:
    assert 'database "absent" does not exist' in refusal(tls_server.upstream, "tls", database="absent")


def test_without_a_password_the_remedy_is_named(tls_server: Server) -> None:
    message = refusal(tls_server.upstream, "scram", remedy="write it somewhere")
    assert re.search(r"localhost:\d+ asks for the password of role 'scram', and there is none: write it some", message)


@pytest.mark.parametrize(
    ("text", "user", "allowed"),
    [
        ("scram-sha-256", "scram", True),
        ("scram-sha-256,md5", "md5", True),
        ("!md5", "md5", False),
        ("scram-sha-256", "md5", False),
        ("scram-sha-256", "tls", False),
        ("none", "tls", True),
        ("!password", "clear", False),
    ],
)
def test_only_the_required_ways_of_authentication_are_used(
    tls_server: Server, text: str, user: str, allowed: bool
) -> None:
    upstream = with_mode(tls_server.upstream, "require")
    if allowed:
        assert who(upstream, user, PASSWORD, methods=methods_of(text)) == user
    else:
        assert "which require_auth does not allow" in refusal(upstream, user, PASSWORD, methods=methods_of(text))


def test_a_list_of_ways_that_makes_no_sense_is_told() -> None:
    assert methods_of(None) == METHODS
    for text in ("scram", "md5,!password"):
        with pytest.raises(ConfigurationError, match=f"require_auth={text}"):
            methods_of(text)


def test_no_repr_shows_a_password() -> None:
    address = parse_url(f"postgres://reader:{PASSWORD.replace(':', '%3A').replace(chr(92), '%5C')}@h/d")
    assert isinstance(address, ServerURL)
    login = login_of(address, Upstream("h"))
    assert login.password == PASSWORD
    assert PASSWORD not in repr(login)
    assert "c4nary" not in repr(login)


def test_a_nul_character_is_no_part_of_a_login() -> None:
    address = parse_url("postgres://reader%00replication%00true:x@h/d")
    assert isinstance(address, ServerURL)
    with pytest.raises(ConfigurationError, match="NUL"):
        login_of(address, Upstream("h"))


# Servers that misbehave.


def asked(link: socket.socket, kind: int, body: bytes = b"") -> None:
    link.sendall(b"R" + struct.pack(">II", 8 + len(body), kind) + body)


def greet(link: socket.socket) -> None:
    asked(link, 0)
    link.sendall(b"K\0\0\0\x0c\0\0\0\1\0\0\0\2" + b"Z\0\0\0\x05I")
    take_message(link)


def scram_server(link: socket.socket, *, password: str = PASSWORD, skip: bool = False) -> None:
    """Let a client in by SCRAM; with the wrong *password* it can't prove itself, with *skip* it does not try."""
    take_startup(link)
    asked(link, 10, b"SCRAM-SHA-256\0\0")
    mechanism = ScramMechanism()
    stored = mechanism.make_auth_info(password)
    server = mechanism.make_server(lambda name: stored)
    _, first = take_message(link)
    server.set_client_first(first.split(b"\0", 1)[1][4:].decode())
    asked(link, 11, server.get_server_first().encode())
    _, final = take_message(link)
    if skip:
        greet(link)
    if password != PASSWORD:
        asked(link, 12, b"v=" + base64.b64encode(hashlib.sha256(b"nothing").digest()))
    else:
        server.set_client_final(final.decode())
        asked(link, 12, server.get_server_final().encode())
    greet(link)


def test_a_server_proves_that_it_knows_the_password() -> None:
    with fake_server(scram_server) as upstream, relayed(upstream, "reader", PASSWORD) as relay:
        relay.connect().close()


@pytest.mark.parametrize("wrong", [{"password": "another"}, {"skip": True}])
def test_a_server_that_does_not_prove_itself_is_taken_for_an_impostor(wrong: dict[str, Any]) -> None:
    with fake_server(lambda link: scram_server(link, **wrong)) as upstream:
        assert "impostor" in refusal(upstream, "reader", PASSWORD)


def echo_password(link: socket.socket) -> None:
    take_startup(link)
    asked(link, 3)
    _, body = take_message(link)
    fields = b"SFATAL\0C28P01\0Mwrong: " + body + b"DDid you mean " + body + b"\0"
    link.sendall(b"E" + struct.pack(">I", 4 + len(fields)) + fields)


def test_a_password_that_a_server_repeats_is_masked(monkeypatch: pytest.MonkeyPatch) -> None:
    # Only where it may be sent in clear at all can a server know it.
    monkeypatch.setattr(Upstream, "local", property(lambda self: self.host == "127.0.0.1"))
    monkeypatch.setattr(Upstream, "_dial", plain_dial)
    with fake_server(echo_password) as upstream:
        message = refusal(upstream, "reader", PASSWORD)
    assert "wrong: ***" in message
    assert "Did you mean ***" in message


async def plain_dial(upstream: Upstream) -> socket.socket:
    link = socket.create_connection((upstream.host, upstream.port))
    link.setblocking(False)
    return link


def offer(names: bytes) -> Any:
    def talk(link: socket.socket) -> None:
        take_startup(link)
        asked(link, 10, names + b"\0\0")
        take_message(link)

    return talk


def say(text: bytes) -> Any:
    def talk(link: socket.socket) -> None:
        take_startup(link)
        link.sendall(text)
        take_message(link)

    return talk


def notices(link: socket.socket) -> None:
    take_startup(link)
    while True:
        link.sendall(b"N\0\0\0\x05\0")


def hundred_times(link: socket.socket) -> None:
    take_startup(link)
    for _ in range(100):
        asked(link, 5, b"salt")
        take_message(link)


@pytest.mark.parametrize(
    ("talk", "words"),
    [
        (offer(PASSWORD.encode()), r"offers \*\*\*, and SCRAM-SHA-256 is needed|offers .*, and SCRAM-SHA-256"),
        (offer(b"SCRAM-SHA-256-PLUS"), "offers SCRAM-SHA-256-PLUS, and"),
        (offer(b"SCRAM-SHA-256\0SCRAM-SHA-256-PLUS"), "offers SCRAM-SHA-256, SCRAM-SHA-256-PLUS, and"),
        (say(b"R\0\0\0\x08\0\0\0\x0b"), "not supported"),
        (say(b"R\0\0\0\x08\0\0\0\x0c"), "not supported"),
        (say(b"R\0\0\0\x08\0\0\0\x63"), r"not supported \(number 99\)"),
        (say(b"R\0\0\0\x04"), "does not speak PostgreSQL's protocol"),
        (say(b"Z\0\0\0\x05I"), "does not speak PostgreSQL's protocol"),
        (say(b"HTTP/1.1 400 Bad Request\r\n\r\n"), "does not speak PostgreSQL's protocol"),
        (say(b"E\x7f\xff\xff\xffendless"), "does not speak PostgreSQL's protocol"),
        (say(b"E\0\0\0\1"), "does not speak PostgreSQL's protocol"),
        (say(b"R\0\0\0\x08\0\0\0\0" + b"Z\xff\xff\xff\xff"), "does not speak PostgreSQL's protocol"),
        (notices, "does not speak PostgreSQL's protocol"),
        (hundred_times, "does not speak PostgreSQL's protocol"),
        (take_startup, "hangs up during the login|Connection reset"),
        (lambda link: None, "hangs up during the login|Connection reset"),
    ],
)
def test_a_server_that_does_not_speak_the_protocol_is_told(talk: Any, words: str) -> None:
    with fake_server(talk) as upstream:
        assert re.search(words, refusal(upstream, "reader", PASSWORD))


def test_a_server_that_says_nothing_is_given_up_in_time() -> None:
    with fake_server(lambda link: link.recv(1) and link.recv(1000) and link.recv(1)) as upstream:
        message = refusal(replace(upstream, seconds=0.3), "reader", PASSWORD)
    assert "does not answer within 0.3 s; see whether it runs" in message


def test_a_login_is_made_of_a_url() -> None:
    address = parse_url("postgres://r:p@h/d?options=-c%20a%3Db&require_auth=md5&channel_binding=disable")
    assert isinstance(address, ServerURL)
    login = login_of(address, Upstream.of(address))
    assert login == Login("h:5432", "r", "d", "p", "", "-c a=b", "disable", frozenset({"md5"}))


def test_tls_is_what_it_says(tls_server: Server) -> None:
    context = with_mode(tls_server.upstream, "verify-full").context()
    assert context.verify_mode == ssl.CERT_REQUIRED
    assert context.check_hostname
    assert with_mode(tls_server.upstream, "prefer").context().verify_mode == ssl.CERT_NONE
