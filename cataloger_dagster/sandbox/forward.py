"""The way from a sandbox to one PostgreSQL server: a Unix socket on the host, forwarded to exactly that server.

The socket is mounted into the sandbox, which has no network. The libraries in there use no TLS over a Unix
socket, so it is this side that upgrades the connection, as ``sslmode`` says. Bytes are passed on as they
are: the sandbox logs in with the password it was given.
"""

import asyncio
import contextlib
import socket
import ssl
import struct
import threading
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Literal, Self, cast, get_args

from cataloger_dagster.errors import ConfigurationError
from cataloger_dagster.urls import ServerURL

SSLMode = Literal["disable", "allow", "prefer", "require", "verify-ca", "verify-full"]

_SSL_REQUEST = struct.pack(">II", 8, 80877103)
_CONNECT = 15.0
_CHUNK = 1 << 18


@dataclass(frozen=True)
class Upstream:
    """The server to forward to, and how to secure the way there; ``host`` may be the folder of a Unix socket."""

    host: str
    port: int = 5432
    sslmode: SSLMode = "prefer"
    root_certificate: Path | None = None
    certificate: Path | None = None
    key: Path | None = None

    @classmethod
    def of(cls, address: ServerURL) -> Self:
        """Return the server of a connection URL.

        Raises:
            ConfigurationError: its ``sslmode`` or a certificate's path makes no sense.
        """
        given = address.parameters
        root = given.get("sslrootcert")
        if root == "system":
            mode, root = _mode("verify-full"), None
        else:
            mode = _mode(given.get("sslmode", "prefer"))
        port = given.get("port") or address.port or 5432
        if not str(port).isdecimal() or not 0 < int(port) < 65536:
            raise ConfigurationError(f"port={port}: a port is a number from 1 to 65535")
        return cls(
            host=given.get("host") or address.host.strip("[]") or "localhost",
            port=int(port),
            sslmode=mode,
            root_certificate=_file("sslrootcert", root),
            certificate=_file("sslcert", given.get("sslcert")),
            key=_file("sslkey", given.get("sslkey")),
        )

    @property
    def name(self) -> str:
        """Host and port for people."""
        return f"{self.host}:{self.port}"

    def tls(self) -> ssl.SSLContext:
        """Return what a TLS connection must satisfy."""
        context = ssl.create_default_context(cafile=self.root_certificate)
        # As in libpq, require with a root certificate verifies it.
        verified = self.sslmode.startswith("verify-") or (self.sslmode == "require" and self.root_certificate)
        context.check_hostname = self.sslmode == "verify-full"
        context.verify_mode = ssl.CERT_REQUIRED if verified else ssl.CERT_NONE
        if self.certificate:
            context.load_cert_chain(self.certificate, self.key)
        return context


def _mode(text: str) -> SSLMode:
    for mode in get_args(SSLMode):
        if mode == text:
            return cast(SSLMode, mode)
    raise ConfigurationError(f"sslmode={text}: it is one of {', '.join(get_args(SSLMode))}")


def _file(parameter: str, value: str | None) -> Path | None:
    if value is None:
        return None
    path = Path(value).expanduser()
    if not path.is_file():
        raise ConfigurationError(f"{parameter}={value}: no such file")
    return path


class _Refused(Exception):
    """The way to the server can't be made; the message is for people."""


class Forwarder:
    """Forwards each connection to the Unix socket *path* to *upstream*, from entering the context to leaving it."""

    def __init__(self, path: Path, upstream: Upstream) -> None:
        self._path = path
        self._upstream = upstream
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name=f"forward {upstream.name}", daemon=True)
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.Task[None]] = set()

    def __enter__(self) -> Self:
        self._thread.start()
        try:
            asyncio.run_coroutine_threadsafe(self._listen(), self._loop).result()
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            asyncio.run_coroutine_threadsafe(self._close(), self._loop).result()
        finally:
            self._end()

    def _end(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _listen(self) -> None:
        self._server = await asyncio.start_unix_server(self._serve, self._path)
        self._path.chmod(0o666)

    async def _close(self) -> None:
        if self._server is not None:
            self._server.close()
        for task in self._connections:
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        try:
            await self._forward(reader, writer)
        except asyncio.CancelledError:
            writer.transport.abort()
        except _Refused as refusal:
            with contextlib.suppress(OSError):
                writer.write(_error_response(str(refusal)))
                await writer.drain()
        finally:
            self._connections.discard(task)
            writer.close()

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            far_reader, far_writer = await asyncio.wait_for(self._connect(), _CONNECT)
        except TimeoutError:
            raise _Refused(f"{self._upstream.name} does not answer within {_CONNECT:g} s") from None
        except OSError as error:
            raise _Refused(f"{self._upstream.name} can't be reached: {_reason(error)}") from None
        try:
            async with asyncio.TaskGroup() as both:
                both.create_task(_pass_on(reader, far_writer))
                both.create_task(_pass_on(far_reader, writer))
        finally:
            far_writer.transport.abort()

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        upstream = self._upstream
        if upstream.host.startswith("/"):
            return await asyncio.open_unix_connection(f"{upstream.host}/.s.PGSQL.{upstream.port}")
        loop = asyncio.get_running_loop()
        link = await asyncio.to_thread(socket.create_connection, (upstream.host, upstream.port), _CONNECT)
        try:
            link.setblocking(False)
            if upstream.sslmode in ("disable", "allow"):
                return await asyncio.open_connection(sock=link)
            await loop.sock_sendall(link, _SSL_REQUEST)
            # One byte and no more: what somebody slipped in behind it must not count as said under TLS.
            answer = await loop.sock_recv(link, 1)
            if answer == b"S":
                return await asyncio.open_connection(sock=link, ssl=upstream.tls(), server_hostname=upstream.host)
            if upstream.sslmode != "prefer" or answer != b"N":
                raise _Refused(f"{upstream.name} does not offer TLS, which sslmode={upstream.sslmode} asks for")
            return await asyncio.open_connection(sock=link)
        except BaseException:
            link.close()
            raise


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Pass bytes on until either side ends, then end the other."""
    with contextlib.suppress(OSError):
        while chunk := await reader.read(_CHUNK):
            writer.write(chunk)
            await writer.drain()
    with contextlib.suppress(OSError):
        writer.close()


def _reason(error: OSError) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted ({error.verify_message})"
    if isinstance(error, ssl.SSLError):
        return f"TLS failed ({error.reason or error})"
    return error.strerror or str(error)


def _error_response(message: str) -> bytes:
    """Return PostgreSQL's message of an error that ends a connection, so that any client shows the reason."""
    fields = b"SFATAL\0VFATAL\0C08001\0M" + message.encode() + b"\0\0"
    return b"E" + struct.pack(">I", len(fields) + 4) + fields
