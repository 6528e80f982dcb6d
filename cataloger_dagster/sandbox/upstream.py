"""The way from this machine to one PostgreSQL server: TCP or a Unix socket, and TLS as libpq's ``sslmode`` says.

What a connection URL means for that is read here. Logging in is in ``login``.
"""

import asyncio
import contextlib
import difflib
import os
import socket
import ssl
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Self, cast, get_args

from cataloger_dagster.errors import ConfigurationError
from cataloger_dagster.libpq import DEFAULT_SOCKETS
from cataloger_dagster.sandbox.peer import Peer
from cataloger_dagster.sandbox.wire import SSL_REQUEST, request
from cataloger_dagster.urls import ServerURL

SSLMode = Literal["disable", "allow", "prefer", "require", "verify-ca", "verify-full"]
ChannelBinding = Literal["disable", "prefer", "require"]

CONNECT_SECONDS = 10.0
LONGEST_CONNECT_SECONDS = 30.0
"""So long ``connect_timeout`` can be at most: the kit waits a little longer."""

_CHUNK = 1 << 18
_HONOURED = frozenset({
    "channel_binding", "connect_timeout", "dbname", "host", "hostaddr", "options", "passfile", "password", "port",
    "require_auth", "ssl_max_protocol_version", "ssl_min_protocol_version", "sslcert", "sslkey", "sslmode",
    "sslpassword", "sslrootcert", "user",
})  # fmt: skip
# Nothing depends on these: the sandbox names its own application and encoding, and ``schema`` is Ibis's.
_IGNORED = frozenset({
    "application_name", "client_encoding", "fallback_application_name", "gssdelegation", "gsslib", "keepalives",
    "keepalives_count", "keepalives_idle", "keepalives_interval", "krbsrvname", "load_balance_hosts",
    "max_protocol_version", "min_protocol_version", "schema", "sslcompression", "sslsni", "tcp_user_timeout",
})  # fmt: skip
_ONLY: Mapping[str, frozenset[str]] = {
    "gssencmode": frozenset({"disable", "prefer"}),
    "target_session_attrs": frozenset({"any"}),
    "sslnegotiation": frozenset({"postgres"}),
    "sslcertmode": frozenset({"allow"}),
}
"""Parameters that can ask for what is not done here, with the values that do not."""


class Refused(Exception):
    """The way to the server can't be made, or is not safe; the message is for people."""


class TLSFailed(Refused):
    """The server is there, and TLS with it is not to be had."""


@dataclass(frozen=True)
class Link:
    """An open connection to the server.

    Attributes:
        tls: what TLS knows of the other side; null without TLS.
        private: whether nobody between the two ends can read along.
    """

    peer: Peer
    tls: ssl.SSLObject | None
    private: bool


@dataclass(frozen=True)
class Upstream:
    """One server, and how to secure the way there.

    Attributes:
        host: its name, for people and for its certificate, or the folder of a Unix socket.
        address: the IP address to connect to instead of looking the name up, or null.
        seconds: time for the whole of connecting and logging in.
        versions: the lowest and the highest version of TLS.
    """

    host: str
    port: int = 5432
    sslmode: SSLMode = "prefer"
    root_certificate: Path | None = None
    certificate: Path | None = None
    key: Path | None = None
    address: str | None = None
    channel_binding: ChannelBinding = "prefer"
    seconds: float = CONNECT_SECONDS
    versions: tuple[ssl.TLSVersion, ssl.TLSVersion] = (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.MAXIMUM_SUPPORTED)

    @classmethod
    def of(cls, address: ServerURL) -> Self:
        """Return the server of a connection URL.

        Raises:
            ConfigurationError: a parameter is unknown, not supported, or makes no sense.
        """
        given = address.parameters
        _check(given)
        port = given.get("port") or address.port or 5432
        if not str(port).isdecimal() or not 0 < int(port) < 65536:
            raise ConfigurationError(f"port={port}: a port is a number from 1 to 65535")
        host = given.get("host") or address.host.strip("[]")
        if "," in host:
            raise ConfigurationError(f"{host}: several hosts are not supported; name the one to read from")
        if not host and not given.get("hostaddr"):
            host = DEFAULT_SOCKETS if Path(DEFAULT_SOCKETS, f".s.PGSQL.{port}").exists() else "localhost"
        root = given.get("sslrootcert") or None
        return cls(
            host=host or given["hostaddr"],
            port=int(port),
            sslmode=_sslmode(given.get("sslmode") or None, root),
            root_certificate=None if root == "system" else _file("sslrootcert", root),
            certificate=_file("sslcert", given.get("sslcert")),
            key=_file("sslkey", given.get("sslkey")),
            address=given.get("hostaddr") or None,
            channel_binding=cast(
                ChannelBinding,
                _one_of("channel_binding", given.get("channel_binding") or "prefer", ChannelBinding),
            ),
            seconds=_seconds(given.get("connect_timeout")),
            versions=(
                _version("ssl_min_protocol_version", given.get("ssl_min_protocol_version"), ssl.TLSVersion.TLSv1_2),
                _version(
                    "ssl_max_protocol_version",
                    given.get("ssl_max_protocol_version"),
                    ssl.TLSVersion.MAXIMUM_SUPPORTED,
                ),
            ),
        )

    @property
    def name(self) -> str:
        """Host and port for people."""
        return f"{self.host}:{self.port}"

    @property
    def local(self) -> bool:
        """Whether the server is reached by a Unix socket, where there is no TLS, whatever ``sslmode`` says."""
        return self.host.startswith("/") and self.address is None

    @property
    def attempts(self) -> tuple[bool, ...]:
        """Whether to use TLS: at first, and once more if the server does not let us in that way."""
        if self.local or self.sslmode == "disable":
            return (False,)
        return {"allow": (False, True), "prefer": (True, False)}.get(self.sslmode, (True,))

    def context(self) -> ssl.SSLContext:
        """Return what a TLS connection must satisfy.

        Raises:
            Refused: a certificate or key can't be used.
        """
        try:
            return self._context()
        except OSError as error:
            reason = getattr(error, "reason", None) or _reason(error)
            raise Refused(
                f"{self.name}: sslrootcert, sslcert or sslkey can't be used ({reason}); "
                "they are in PEM format, and the key has no password"
            ) from None

    def _context(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        # As in libpq, require with a root certificate verifies it.
        if self.sslmode.startswith("verify-") or (self.sslmode == "require" and self.root_certificate):
            context.verify_mode = ssl.CERT_REQUIRED
            if self.root_certificate:
                context.load_verify_locations(self.root_certificate)
            else:
                context.load_default_certs()
            context.check_hostname = self.sslmode == "verify-full"
        context.minimum_version, context.maximum_version = self.versions
        if self.certificate:
            context.load_cert_chain(self.certificate, self.key, password="")  # or OpenSSL asks the terminal
        return context

    @contextlib.asynccontextmanager
    async def open(self, tls: bool) -> AsyncIterator[Link]:
        """Connect to the server, encrypted if *tls*; leaving closes the connection at once.

        With ``sslmode=prefer`` a server without TLS is taken as it is.

        Raises:
            Refused: it can't be reached, has no TLS, or its certificate is not to be trusted.
        """
        try:
            link = await self._connect(tls)
        except ssl.SSLError as error:
            raise TLSFailed(f"{self.name} can't be reached: {_tls_reason(error)}") from None
        except OSError as error:
            raise Refused(f"{self.name} can't be reached: {_reason(error)}") from None
        try:
            yield link
        finally:
            link.peer.abort()

    async def _connect(self, tls: bool) -> Link:
        loop = asyncio.get_running_loop()
        connected = await self._dial()
        try:
            wrapped: dict[str, object] = {}
            if tls:
                await loop.sock_sendall(connected, request(SSL_REQUEST))
                # One byte and no more: what somebody slipped in behind it must not count as said under TLS.
                answer = await loop.sock_recv(connected, 1)
                if answer == b"S":
                    wrapped = {"ssl": self.context(), "server_hostname": self.host}
                elif answer == b"":
                    raise Refused(f"{self.name} hangs up when it is asked for TLS; see whether PostgreSQL runs there")
                elif self.sslmode != "prefer" or answer != b"N":
                    raise Refused(
                        f"{self.name} does not offer TLS, which sslmode={self.sslmode} asks for; "
                        "set ssl=on there, or sslmode=disable if the way to it is safe"
                    )
            peer = Peer(_CHUNK)
            await loop.create_connection(lambda: peer, sock=connected, **wrapped)  # type: ignore[call-overload]
        except BaseException:
            connected.close()
            raise
        inside = peer.transport.get_extra_info("ssl_object")
        return Link(peer, inside, private=inside is not None or self.local)

    async def _dial(self) -> socket.socket:
        """Return a connected socket; of several addresses of a name, the first that answers."""
        loop = asyncio.get_running_loop()
        if self.local:
            places = [(socket.AF_UNIX, f"{self.host}/.s.PGSQL.{self.port}")]
        else:
            found = await loop.getaddrinfo(self.address or self.host, self.port, type=socket.SOCK_STREAM)
            places = [(family, place) for family, _, _, _, place in found]  # type: ignore[misc]
        fault: OSError = OSError("it has no address")
        for family, place in places:
            link = socket.socket(family, socket.SOCK_STREAM)
            try:
                link.setblocking(False)
                await loop.sock_connect(link, place)
                if family != socket.AF_UNIX:
                    link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                    link.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            except OSError as error:
                link.close()
                fault = error
            except BaseException:
                link.close()
                raise
            else:
                return link
        raise fault


def _check(given: Mapping[str, str]) -> None:
    for name, value in given.items():
        if name in _ONLY and value not in _ONLY[name]:
            raise ConfigurationError(f"{name}={value}: not supported here; leave it out")
        if name not in _HONOURED and name not in _IGNORED and name not in _ONLY:
            close = difflib.get_close_matches(name, _HONOURED, n=1, cutoff=0.75)
            hint = f"; did you mean {close[0]}?" if close else "; leave it out"
            raise ConfigurationError(f"the URL's parameter {name!r} is not supported here{hint}")
    if given.get("sslpassword"):
        raise ConfigurationError("sslpassword is not supported here; give sslkey a key without a password")


def _one_of(name: str, value: str, choices: object) -> str:
    if value not in get_args(choices):
        raise ConfigurationError(f"{name}={value}: it is one of {', '.join(get_args(choices))}")
    return value


def _sslmode(value: str | None, root: str | None) -> SSLMode:
    mode = _one_of("sslmode", value or ("verify-full" if root == "system" else "prefer"), SSLMode)
    if root == "system" and mode != "verify-full":
        # As in libpq: anybody can have a certificate of a public authority, so the name must be checked.
        raise ConfigurationError(f"sslmode={mode}: sslrootcert=system takes sslmode=verify-full alone")
    return cast(SSLMode, mode)


def _seconds(value: str | None) -> float:
    if not value:
        return CONNECT_SECONDS
    if not value.isdecimal():
        raise ConfigurationError(f"connect_timeout={value}: it is a number of seconds")
    return min(float(value) or LONGEST_CONNECT_SECONDS, LONGEST_CONNECT_SECONDS)


def _version(name: str, value: str | None, default: ssl.TLSVersion) -> ssl.TLSVersion:
    known = {"TLSv1.2": ssl.TLSVersion.TLSv1_2, "TLSv1.3": ssl.TLSVersion.TLSv1_3}
    if value and value not in known:
        raise ConfigurationError(f"{name}={value}: it is one of {', '.join(known)}")
    return known[value] if value else default


def _file(parameter: str, value: str | None) -> Path | None:
    if not value:
        return None
    path = Path(value).expanduser()
    if not path.is_file():
        raise ConfigurationError(f"{parameter}={value}: no such file")
    return path


def _reason(error: OSError) -> str:
    # The loop puts words of its own into strerror; a resolver's numbers are negative.
    return os.strerror(error.errno) if error.errno and error.errno > 0 else error.strerror or str(error)


def _tls_reason(error: ssl.SSLError) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted ({error.verify_message}); name its authority's with sslrootcert"
    return f"TLS failed ({error.reason or error})"
