"""Logging in to a PostgreSQL server: the client's side of the start-up and authentication messages.

SCRAM is RFC 5802 and 7677, with channel binding of RFC 5929 (``tls-server-end-point``); what PostgreSQL makes
of it, and MD5, is in its manual, "Frontend/Backend Protocol". The way to the server is in ``upstream``.
"""

import asyncio
import hashlib
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field

from scramp import ScramClient, ScramException

from cataloger_dagster.errors import ConfigurationError
from cataloger_dagster.libpq import password_of, user_of
from cataloger_dagster.sandbox.upstream import ChannelBinding, Link, Refused, Upstream
from cataloger_dagster.sandbox.wire import ProtocolError, message, read_message, startup
from cataloger_dagster.urls import ServerURL

PLAIN, BOUND = "SCRAM-SHA-256", "SCRAM-SHA-256-PLUS"
METHODS = frozenset({"password", "md5", "gss", "sspi", "scram-sha-256", "none"})

_MESSAGES = 500  # before the first ReadyForQuery; a server sends some fifteen

_OK, _CLEARTEXT, _MD5, _GSS, _SSPI, _SASL, _SASL_CONTINUE, _SASL_FINAL = 0, 3, 5, 7, 9, 10, 11, 12
_UNSUPPORTED = {2: "Kerberos V5", 6: "SCM credentials", _GSS: "GSSAPI", _SSPI: "SSPI"}


class ServerRefused(Exception):
    """The server itself refuses; ``body`` is its error message, without the password."""

    def __init__(self, body: bytes) -> None:
        super().__init__("the server refuses the login")
        self.body = body


@dataclass(frozen=True)
class Login:
    """Who logs in, and to what; the repr shows no password.

    Attributes:
        server: host and port, for messages.
        remedy: where a password can be given, for the message that there is none.
        options: settings of the connection, as the server's command line has them.
        methods: the ways to authenticate that are allowed, as libpq's ``require_auth`` calls them.
    """

    server: str
    user: str
    database: str
    password: str | None = field(default=None, repr=False)
    remedy: str = "write it in the URL"
    options: str = ""
    channel_binding: ChannelBinding = "prefer"
    methods: frozenset[str] = METHODS


def methods_of(text: str | None) -> frozenset[str]:
    """Return the ways to authenticate that libpq's ``require_auth`` allows: a list, or one of ``!`` exceptions.

    Raises:
        ConfigurationError: there is no such way, or the two kinds of list are mixed.
    """
    if not text:
        return METHODS
    names = [name.strip() for name in text.split(",")]
    plain = frozenset(name.removeprefix("!") for name in names)
    denied = [name.startswith("!") for name in names]
    if not plain <= METHODS or any(denied) != all(denied):
        raise ConfigurationError(
            f"require_auth={text}: it lists some of {', '.join(sorted(METHODS))}, or each with a ! before it"
        )
    return METHODS - plain if denied[0] else plain


def login_of(address: ServerURL, upstream: Upstream) -> Login:
    """Return who logs in to *upstream* by a connection URL.

    Raises:
        ConfigurationError: it names nobody, or makes no sense.
    """
    password = password_of(address)
    login = Login(
        server=upstream.name,
        user=user_of(address),
        database=address.database,
        password=password.value,
        remedy=password.remedy,
        options=address.parameters.get("options", ""),
        channel_binding=upstream.channel_binding,
        methods=methods_of(address.parameters.get("require_auth")),
    )
    if any("\0" in text for text in (login.user, login.database, login.password or "", login.options)):
        raise ConfigurationError("the URL's user, password, database or options hold a NUL character")
    return login


async def log_in(link: Link, login: Login, parameters: Mapping[str, str]) -> None:
    """Begin a connection as *login* with further start-up *parameters*, up to the server's AuthenticationOk.

    Raises:
        ServerRefused: the server says no.
        Refused: it asks for what can't or must not be given, or does not prove who it is.
        ProtocolError, EOFError, OSError: it does not speak the protocol, or hangs up.
    """
    own = {"user": login.user, "database": login.database}
    if login.options:
        own["options"] = login.options
    link.peer.write(startup({**parameters, **own}))
    await link.peer.drained()
    exchange = _Exchange(link, login)
    for _ in range(_MESSAGES):
        kind, body = await read_message(link.peer)
        if kind == b"E":
            raise ServerRefused(without_password(body, login.password))
        if kind in (b"N", b"v"):
            continue
        if kind != b"R" or len(body) < 4:
            raise ProtocolError(f"a message {kind!r} during the authentication")
        if await exchange.answered(struct.unpack(">I", body[:4])[0], body[4:]):
            return
    raise ProtocolError("an authentication without end")


def without_password(body: bytes, password: str | None) -> bytes:
    """Return a server's error or notice with the password masked, should it repeat it."""
    if not password:
        return body
    hidden = password.encode()
    return b"\0".join(field[:1] + field[1:].replace(hidden, b"***") for field in body.split(b"\0"))


class _Exchange:
    """One authentication: what the server has asked for so far, and proven."""

    def __init__(self, link: Link, login: Login) -> None:
        self._link = link
        self._login = login
        self._scram: ScramClient | None = None
        self._method: str | None = None
        self._open = False  # whether the server still has to prove that it knows the password

    async def answered(self, kind: int, body: bytes) -> bool:
        """Answer the server's message; true if it was the last one."""
        login = self._login
        match kind:
            case 0:
                self._finish()
                return True
            case 3:
                self._begin("password")
                if not self._link.private:
                    raise Refused(
                        f"{login.server} asks for the password of role {login.user!r} in clear, over a connection "
                        "that is not encrypted: use TLS (sslmode=verify-full), or have the server use SCRAM"
                    )
                self._send(self._password().encode() + b"\0")
            case 5 if len(body) == 4:
                self._begin("md5")
                self._send(_md5(login.user, self._password(), body))
            case 10:
                self._begin("scram-sha-256")
                self._first(body)
            case 11 if self._scram is not None and self._open:
                await self._continue(body)
            case 12 if self._scram is not None and self._open:
                self._final(body)
            case _:
                name = _UNSUPPORTED.get(kind, f"number {kind}")
                raise Refused(
                    f"{login.server} asks role {login.user!r} for an authentication that is not supported "
                    f"({name}): have its administrator let the role in by password (scram-sha-256 in pg_hba.conf)"
                )
        await self._link.peer.drained()
        return False

    def _begin(self, method: str) -> None:
        if self._method is not None:
            raise ProtocolError("a second authentication")
        self._method = method
        self._allow(method)

    def _allow(self, method: str) -> None:
        login = self._login
        if method not in login.methods:
            raise Refused(f"{login.server} authenticates by {method!r}, which require_auth does not allow")
        if login.channel_binding == "require" and method != "scram-sha-256":
            raise self._unbound()

    def _unbound(self) -> Refused:
        return Refused(
            f"{self._login.server} does not bind the password to the TLS connection, which channel_binding=require "
            "asks for: it takes TLS and a password stored by SCRAM"
        )

    def _finish(self) -> None:
        if self._open:
            raise Refused(f"{self._login.server} did not prove that it knows the password: it may be an impostor")
        if self._method is None:
            self._allow("none")

    def _password(self) -> str:
        if self._login.password is None:
            raise Refused(
                f"{self._login.server} asks for the password of role {self._login.user!r}, and there is none: "
                f"{self._login.remedy}"
            )
        return self._login.password

    def _send(self, body: bytes) -> None:
        self._link.peer.write(message(b"p", body))

    def _first(self, body: bytes) -> None:
        offered = [name.decode("ascii", "replace") for name in body.split(b"\0") if name]
        known = [name for name in (PLAIN, BOUND) if name in offered]
        binding = self._login.channel_binding
        # Offered without TLS, binding can only be somebody between us and the server.
        if not known or (BOUND in known and self._link.tls is None):
            raise Refused(f"{self._login.server} offers {', '.join(offered) or 'nothing'}, and {PLAIN} is needed")
        bound = binding != "disable" and self._link.tls is not None
        if binding == "require" and (not bound or BOUND not in known):
            raise self._unbound()
        password = self._password()
        try:
            self._scram = _client(known, password, self._link if bound else None)
        except ScramException as error:
            raise self._broken(error) from None
        self._open = True
        first = self._scram.get_client_first().encode()
        self._send(self._scram.mechanism_name.encode() + struct.pack(">xI", len(first)) + first)

    async def _continue(self, body: bytes) -> None:
        assert self._scram is not None
        try:
            self._scram.set_server_first(body.decode("ascii"))
            # The hashing that a server asks for may take seconds: not in the loop of the other connections.
            self._send((await asyncio.to_thread(self._scram.get_client_final)).encode())
        except (ScramException, UnicodeDecodeError) as error:
            raise self._broken(error) from None

    def _final(self, body: bytes) -> None:
        assert self._scram is not None
        try:
            self._scram.set_server_final(body.decode("ascii"))
        except (ScramException, UnicodeDecodeError) as error:
            raise self._broken(error) from None
        self._open = False

    def _broken(self, error: Exception) -> Refused:
        return Refused(
            f"{self._login.server} does not keep to SCRAM ({error}): it may be an impostor that does not know the "
            f"password of role {self._login.user!r}"
        )


def _client(mechanisms: list[str], password: str, bound: Link | None) -> ScramClient:
    binding = None if bound is None else ("tls-server-end-point", bound.tls)
    # PostgreSQL takes the name from the start-up packet and none from here.
    try:
        return ScramClient(mechanisms, "*", password, channel_binding=binding)
    except ScramException:
        client = ScramClient(mechanisms, "*", "*", channel_binding=binding)
    # No valid text by SASLprep (RFC 4013): PostgreSQL and libpq take such a password as it is.
    client.password = password.encode()
    return client


def _md5(user: str, password: str, salt: bytes) -> bytes:
    inner = hashlib.md5(password.encode() + user.encode(), usedforsecurity=False).hexdigest()
    return b"md5" + hashlib.md5(inner.encode() + salt, usedforsecurity=False).hexdigest().encode() + b"\0"
