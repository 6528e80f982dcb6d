"""The driver's connection to MySQL or MariaDB: one that ends its login in time, gives no password away, and reads only.

The driver by itself waits for a server as long as that keeps it waiting, reads as much as it is sent, and hands the
password out as soon as it is asked for it in clear. Which connection is to be made is in ``mysql_login``.
"""

import contextlib
import socket
import struct
import threading
from collections.abc import Iterator
from typing import Any

from pymysql import _auth, err
from pymysql.connections import Connection
from pymysql.constants import CR

SESSION_STATEMENT_SECONDS = 300
LOCK_SECONDS = 10

NEEDS_TLS = "it wants the password itself, which is sent over TLS alone"

_MOST = 1 << 20  # bytes of a server's until a session is set up
_NO_PROTOCOL = (ArithmeticError, AssertionError, AttributeError, LookupError, TypeError, ValueError, struct.error)
"""What the driver raises where what it reads makes no sense."""


class Driver(Connection):  # type: ignore[misc]  # pymysql has no types
    """A connection whose ``connect`` takes ``connect_timeout`` seconds at most."""

    _left: int | None = None

    def connect(self, sock: Any = None) -> None:
        """Connect, log in and set the session up.

        Raises:
            pymysql.Error: it is not to be had.
        """
        seconds = float(self.connect_timeout or 1)
        try:
            link = sock or self._dialled(seconds)
        except OSError as error:
            raise err.OperationalError(CR.CR_CONN_HOST_ERROR, error.strerror or str(error)) from error
        late = f"it does not answer within {seconds:g} s; see whether a firewall is in between"
        with ended_after(link, seconds) as ended:
            self._left = _MOST
            try:
                super().connect(link)
                self._set_up()
            except BaseException as error:
                self._force_close()
                if ended.is_set():
                    raise err.OperationalError(CR.CR_SERVER_LOST, late) from error
                if isinstance(error, _NO_PROTOCOL):
                    raise err.OperationalError(CR.CR_MALFORMED_PACKET, "it does not speak MySQL's protocol") from error
                raise
            finally:
                self._left = None

    def _set_up(self) -> None:
        """Set a new session so that it reads, its times are in UTC, and no statement or lock keeps it for long."""
        with self.cursor() as cursor:
            cursor.execute("SET SESSION time_zone = '+00:00'")
            cursor.execute("SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            cursor.execute("SET SESSION TRANSACTION READ ONLY")
            cursor.execute(f"SET SESSION lock_wait_timeout = {LOCK_SECONDS}")
            # Two names for one thing: MariaDB's, in seconds, and MySQL's.
            limit = f"max_statement_time = {SESSION_STATEMENT_SECONDS}"
            if "mariadb" not in str(self.get_server_info()).lower():
                limit = f"max_execution_time = {SESSION_STATEMENT_SECONDS * 1000}"
            cursor.execute(f"SET SESSION {limit}")

    def _dialled(self, seconds: float) -> socket.socket:
        if self.unix_socket:
            link = socket.socket(socket.AF_UNIX)
            try:
                link.settimeout(seconds)
                link.connect(self.unix_socket)
            except BaseException:
                link.close()
                raise
            return link
        link = socket.create_connection((self.host, self.port), seconds)
        link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        link.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        return link

    def _read_bytes(self, num_bytes: int) -> Any:
        if self._left is not None:
            self._left -= num_bytes
            if self._left < 0:
                self._force_close()
                raise err.OperationalError(CR.CR_MALFORMED_PACKET, f"it says more than {_MOST:,} bytes at the login")
        return super()._read_bytes(num_bytes)


class _OverTLSAlone:
    """A way of logging in by which the server learns the password: not where others may read along or pose as it."""

    def __init__(self, driver: Any) -> None:
        self._driver = driver
        if not driver._secure:
            raise err.OperationalError(CR.CR_AUTH_PLUGIN_ERR, NEEDS_TLS)


class _InClear(_OverTLSAlone):
    def authenticate(self, _packet: Any) -> Any:
        self._driver.write_packet(self._driver.password + b"\0")
        return self._driver._read_packet()


class _Hashed:
    """MySQL's usual way: a hash, and where the server does not know that yet, the password itself."""

    def __init__(self, driver: Any) -> None:
        self._driver = driver

    def authenticate(self, packet: Any) -> Any:
        if self._driver._secure:
            return _auth.caching_sha2_password_auth(self._driver, packet)
        # Else the driver would encrypt it with a key of the server's, which without TLS may be anybody's.
        self._driver.server_public_key = b"no key"
        try:
            return _auth.caching_sha2_password_auth(self._driver, packet)
        except (RuntimeError, ValueError):  # without and with the package for encryption
            raise err.OperationalError(CR.CR_AUTH_PLUGIN_ERR, NEEDS_TLS) from None


class _Never:
    def __init__(self, _driver: Any) -> None:
        raise err.OperationalError(CR.CR_AUTH_PLUGIN_ERR, "it wants a hash of the password that is no secret any more")


WAYS = {
    "caching_sha2_password": _Hashed,
    "dialog": _OverTLSAlone,
    "mysql_clear_password": _InClear,
    "mysql_old_password": _Never,
    "sha256_password": _InClear,
}
"""The driver's ``auth_plugin_map``."""


@contextlib.contextmanager
def ended_after(link: socket.socket, seconds: float) -> Iterator[threading.Event]:
    """Shut *link* down if the block lasts longer; the event says so."""
    ended = threading.Event()
    # A second descriptor: TLS takes the first one away.
    with link.dup() as same:

        def end() -> None:
            ended.set()
            with contextlib.suppress(OSError):
                same.shutdown(socket.SHUT_RDWR)

        timer = threading.Timer(seconds, end)
        timer.daemon = True
        timer.start()
        try:
            yield ended
        finally:
            timer.cancel()
            timer.join()
