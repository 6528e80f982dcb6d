"""The one way out of a sandbox to PostgreSQL: connections of its clients, passed on to one database of one server.

The relay logs in, so nobody in the sandbox holds a password; whatever a client's first packet says, it gets to
the role and database that were granted. It asks the server for read-only transactions, and for a time limit of
statements, which a client can set off again. Of what a client says after that only statements that read are
passed on (``guard``), whatever the role may do; what it gets is passed on unread. The connections are brought by
``tunnel``.
"""

import asyncio
import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from cataloger_dagster.errors import SandboxError
from cataloger_dagster.sandbox.client_settings import PASSED, SETTINGS, SETTINGS_AS_STATEMENT, encoding_is_read_alike
from cataloger_dagster.sandbox.guard import Guard
from cataloger_dagster.sandbox.judge import Judge
from cataloger_dagster.sandbox.login import Login, ServerRefused, log_in, without_password
from cataloger_dagster.sandbox.upstream import Link, Refused, TLSFailed, Upstream
from cataloger_dagster.sandbox.wire import (
    CANCEL_REQUEST,
    GSS_REQUEST,
    SSL_REQUEST,
    VERSION,
    Boundaries,
    ProtocolError,
    error,
    message,
    negotiation,
    parameters_of,
    read_message,
    read_startup,
    request,
    sqlstate,
)

CHUNK = 1 << 18
"""Most bytes that are read at a time, and about the most that wait to be passed on in one direction."""

_WAITING = 32  # connections that have not said yet what they want
_STARTUP = 10.0
_CANCEL = 5.0
_CANCELLED = 1.0  # what a server needs to end a cancelled query
_FAREWELL = 0.25  # what a server needs to close an idle connection; a busy one does not read
_MESSAGES = 500  # of a server's between its AuthenticationOk and its first ReadyForQuery

_NO_PG_HBA_LINE = "28000"


@dataclass(frozen=True)
class Limits:
    """What one sandbox may use up of the way to its server.

    Attributes:
        connections: at a time.
        down, up: bytes from and to the server, all connections of the session together.
        idle: seconds that a connection may be silent in both directions.
    """

    connections: int = 8
    down: int = 4 << 30
    up: int = 1 << 30
    idle: float = 3600.0


class _Ended(Exception):
    """The relay ends a connection; the message is for the client, with its SQLSTATE."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code


_EXPECTED = (_Ended, ProtocolError, SandboxError, OSError, asyncio.CancelledError)


@dataclass(eq=False)
class _Conversation:
    """A client that is logged in: its way to the server, and when either side last said something."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    link: Link
    key: bytes
    said: float
    guard: Guard
    boundaries: Boundaries = field(default_factory=Boundaries)


class Relay:
    """Passes a sandbox's connections on to *upstream*, logged in as *login*; all calls are made in one event loop.

    ``down`` and ``up`` are the bytes that have passed so far, from and to the server.
    """

    def __init__(self, upstream: Upstream, login: Login, limits: Limits | None = None) -> None:
        self.upstream = upstream
        self.login = login
        self.limits = limits or Limits()
        self.down = 0
        self.up = 0
        self._settings = SETTINGS
        self._judge = Judge()
        self._waiting = 0
        self._live = 0
        self._talks: dict[bytes, _Conversation] = {}
        self._tasks: set[asyncio.Task[object]] = set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection of a client until either side ends it; *writer* is closed then.

        The two may be a socket's or anything else's. How much *reader* may hold (its ``limit``) bounds the
        memory of a connection, as ``CHUNK`` does in the other direction. A cancelled call has first ended what
        the client had running on the server.
        """
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            await self._serve(reader, writer)
            await _close(writer)
        except (Refused, ServerRefused, _Ended, ProtocolError) as fault:
            writer.write(self._farewell(fault))
            await _close(writer)
        except OSError:
            pass  # the client is gone
        finally:
            writer.transport.abort()
            self._tasks.discard(task)

    async def close(self) -> None:
        """End every connection, and the queries that run on them."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._judge.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._waiting >= _WAITING:
            writer.transport.abort()
            return
        self._waiting += 1
        try:
            try:
                async with asyncio.timeout(_STARTUP):
                    code, body = await _first_packet(reader, writer)
            except (TimeoutError, EOFError):
                writer.transport.abort()
                return
            if code == CANCEL_REQUEST:
                await self._cancel(body)
                return
        finally:
            self._waiting -= 1
        wanted, refused = _wanted(code, body)
        if self._live >= self.limits.connections:
            raise _Ended(
                "53300",
                f"the sandbox has {self._live} connections to the database already, and may have no more; "
                "close one, or use the one there is",
            )
        self._live += 1
        try:
            self._judge.start()  # while the server is logged in to
            async with contextlib.AsyncExitStack() as stack:
                with self._login_faults():
                    async with asyncio.timeout(self.upstream.seconds):
                        link = await self._logged_in(stack, wanted)
                        writer.write(b"" if refused is None else negotiation(refused))
                        key = await self._greet(writer, link)
                now = asyncio.get_running_loop().time()
                await self._converse(_Conversation(reader, writer, link, key, now, Guard(self._judge)))
        finally:
            self._live -= 1

    @contextlib.contextmanager
    def _login_faults(self) -> Iterator[None]:
        """Say in words why the server can't be logged in to."""
        server = self.upstream.name
        try:
            yield
        except TimeoutError:
            raise Refused(
                f"{server} does not answer within {self.upstream.seconds:g} s; "
                "see whether it runs, and whether a firewall is in between"
            ) from None
        except (EOFError, OSError):
            raise Refused(
                f"{server} hangs up during the login; see whether PostgreSQL runs there, and its log"
            ) from None
        except ProtocolError as fault:
            raise Refused(
                f"{server} does not speak PostgreSQL's protocol: it sends {fault}; check host and port"
            ) from None

    async def _logged_in(self, stack: contextlib.AsyncExitStack, parameters: Mapping[str, str]) -> Link:
        """Return an authenticated connection to the server, which *stack* closes."""
        try:
            return await self._attempts(stack, parameters)
        except ServerRefused as refusal:
            # A pooler's words for a setting that it does not know.
            if not self._settings or b"startup parameter" not in refusal.body:
                raise
            self._settings = ""
        return await self._attempts(stack, parameters)

    async def _attempts(self, stack: contextlib.AsyncExitStack, parameters: Mapping[str, str]) -> Link:
        given = self.login.options
        login = replace(self.login, options=f"{given} {self._settings}".strip())
        attempts = self.upstream.attempts
        first: TLSFailed | ServerRefused | None = None
        for number, tls in enumerate(attempts, 1):
            async with contextlib.AsyncExitStack() as attempt:
                try:
                    link = await attempt.enter_async_context(self.upstream.open(tls))
                    await log_in(link, login, parameters)
                except (TLSFailed, ServerRefused) as fault:
                    # As in libpq: prefer and allow are about what pg_hba.conf lets in, too.
                    if isinstance(fault, ServerRefused) and sqlstate(fault.body) != _NO_PG_HBA_LINE:
                        raise
                    first = first or fault
                    if number == len(attempts):
                        raise first from None
                    continue
                await stack.enter_async_context(attempt.pop_all())
                return link
        raise AssertionError("the last attempt returns or raises")

    async def _greet(self, writer: asyncio.StreamWriter, link: Link) -> bytes:
        """Pass on what the server says until it is ready for a query; return the connection's process id and key."""
        key, setting = b"", False
        writer.write(message(b"R", b"\0\0\0\0"))
        for _ in range(_MESSAGES):
            kind, body = await read_message(link.reader)
            if kind == b"K":
                key = body
            if kind == b"Z" and not self._settings and not setting:
                setting = True
                link.writer.write(message(b"Q", SETTINGS_AS_STATEMENT.encode() + b"\0"))
                continue
            if setting and kind not in (b"E", b"Z"):
                continue  # what the statement came to is not for the client
            if kind in (b"E", b"N"):
                body = without_password(body, self.login.password)
            writer.write(message(kind, body))
            await writer.drain()
            if kind == b"Z":
                return key
            if kind == b"E":
                raise ServerRefused(b"")
        raise ProtocolError("a greeting without end")

    async def _converse(self, talk: _Conversation) -> None:
        if talk.key:
            self._talks[talk.key] = talk
        parts = [
            asyncio.ensure_future(each) for each in (self._pass_up(talk), self._pass_down(talk), self._silence(talk))
        ]
        try:
            await asyncio.wait(parts, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for part in parts:
                part.cancel()
            outcomes = await asyncio.gather(*parts, return_exceptions=True)
            self._tell(talk, outcomes)
            await self._leave(talk)
            self._talks.pop(talk.key, None)
        for outcome in outcomes:
            if isinstance(outcome, BaseException) and not isinstance(outcome, _EXPECTED):
                raise outcome

    def _tell(self, talk: _Conversation, outcomes: Sequence[BaseException | None]) -> None:
        """Tell the client why its connection ends, before the server is seen to."""
        for outcome in outcomes:
            if isinstance(outcome, _Ended | ProtocolError | SandboxError):
                if talk.boundaries.between:
                    talk.writer.write(self._farewell(outcome))
                else:
                    talk.writer.transport.abort()  # within a message nothing can be said

    async def _pass_up(self, talk: _Conversation) -> None:
        loop = asyncio.get_running_loop()
        reader, writer = talk.reader, talk.link.writer
        while chunk := await reader.read(CHUNK):
            talk.said = loop.time()
            self.up += len(chunk)
            if self.up > self.limits.up:
                raise _Ended("53400", _used_up("sent", self.limits.up, "to"))
            writer.write(await talk.guard.up(chunk))
            await writer.drain()

    async def _pass_down(self, talk: _Conversation) -> None:
        loop = asyncio.get_running_loop()
        reader, writer, boundaries = talk.link.reader, talk.writer, talk.boundaries
        while chunk := await reader.read(CHUNK):
            talk.said = loop.time()
            if talk.guard.waits:
                chunk = talk.guard.down(chunk, boundaries)
            before = boundaries.left
            chunk, last = boundaries.follow(chunk)
            # A message that has begun is passed on whole, so it counts as a whole when it begins.
            self.down += len(chunk) - before + boundaries.left
            if self.down > self.limits.down and last >= before:
                writer.write(chunk[:last])
                boundaries.left = 0
                raise _Ended("53400", _used_up("read", self.limits.down, "from"))
            writer.write(chunk)
            await writer.drain()

    async def _silence(self, talk: _Conversation) -> None:
        loop = asyncio.get_running_loop()
        while (left := talk.said + self.limits.idle - loop.time()) > 0:
            await asyncio.sleep(left)
        raise _Ended("57P05", f"nothing was said for {self.limits.idle:g} s; connect anew")

    async def _leave(self, talk: _Conversation) -> None:
        """Say goodbye to the server; where it does not listen, for it runs a query, have it cancel that."""
        with contextlib.suppress(OSError, EOFError):
            if talk.link.reader.at_eof():
                return
            talk.link.writer.write(message(b"X", b""))
            if await _ends(talk.link.reader, _FAREWELL) or not talk.key:
                return
            await self._forward_cancel(talk.key, talk.link)
            await _ends(talk.link.reader, _CANCELLED)

    async def _cancel(self, key: bytes) -> None:
        """Forward a client's request to cancel, if it is about a connection of ours."""
        talk = self._talks.get(key)
        if talk is not None:
            async with talk.guard.looking:  # what is still looked at would be run after the cancel
                pass
            await self._forward_cancel(key, talk.link)

    def _farewell(self, fault: Exception) -> bytes:
        """Return what a client is told at the end of its connection."""
        password, server = self.login.password, self.upstream.name
        match fault:
            case ServerRefused():
                return message(b"E", fault.body) if fault.body else b""
            case _Ended():
                code, text = fault.code, str(fault)
            case SandboxError():
                code, text = "58000", str(fault)
            case ProtocolError():
                code, text = "08P01", f"the relay to {server} was sent {fault}"
            case _:
                code, text = "08001", str(fault)
        # A server's words may be in it.
        return error(code, text.replace(password, "***") if password else text)

    async def _forward_cancel(self, key: bytes, link: Link) -> None:
        with contextlib.suppress(Refused, OSError, TimeoutError):
            async with asyncio.timeout(_CANCEL), self.upstream.open(link.tls is not None) as other:
                other.writer.write(request(CANCEL_REQUEST, key))
                await other.writer.drain()
                await _ends(other.reader, _CANCEL)


async def _close(writer: asyncio.StreamWriter) -> None:
    """Close once everything is sent, unless the other side does not take it."""
    with contextlib.suppress(OSError, TimeoutError):
        async with asyncio.timeout(_CANCEL):
            writer.close()
            await writer.wait_closed()


async def _first_packet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> tuple[int, bytes]:
    """Return a client's first packet that is no question for encryption; those are answered with no, each once."""
    for _ in range(3):
        code, body = await read_startup(reader)
        if code not in (SSL_REQUEST, GSS_REQUEST):
            return code, body
        writer.write(b"N")
        await writer.drain()
    raise ProtocolError("nothing but questions for encryption")


def _wanted(code: int, body: bytes) -> tuple[dict[str, str], list[str] | None]:
    """Return the start-up parameters to pass on; and what of the protocol is refused, null if nothing is."""
    if code >> 16 != 3:
        raise ProtocolError(f"a first packet of version {code >> 16}.{code & 0xFFFF}; this is PostgreSQL's, 3.0")
    given = parameters_of(body)
    if given.get("replication", "false").lower() not in ("false", "off", "no", "0"):
        raise _Ended("0A000", "a sandbox gets no replication connection; leave replication out")
    wanted = {PASSED[name.lower()]: value for name, value in given.items() if name.lower() in PASSED}
    encoding = wanted.setdefault("client_encoding", "UTF8")
    if not encoding_is_read_alike(encoding):
        raise _Ended("22023", f"the client encoding {encoding} is refused; use UTF8")
    later = [name for name in given if name.startswith("_pq_.")]
    return wanted, later if later or code != VERSION else None


async def _ends(reader: asyncio.StreamReader, seconds: float) -> bool:
    """Read on until the other side closes; false if it does not within *seconds*."""
    try:
        async with asyncio.timeout(seconds):
            while await reader.read(CHUNK):
                pass
    except TimeoutError:
        return False
    except OSError:
        pass
    return True


def _used_up(verb: str, limit: int, direction: str) -> str:
    return (
        f"the sandbox has {verb} {limit:,} bytes {direction} the database, as much as one session may; "
        "aggregate in SQL, or read a sample"
    )
