"""The one way out of a sandbox to PostgreSQL: connections of its clients, passed on to one database of one server.

The relay logs in, so nobody in the sandbox holds a password; whatever a client's first packet says, it gets to
the role and database that were granted. It asks the server for read-only transactions, and for a time limit of
statements, which a client can set off again. Of what a client says after that only statements that read are
passed on (``guard``), whatever the role may do. What passes then is in ``conversation``. The connections are
brought by ``tunnel`` or come to the socket of ``doorway``.
"""

import asyncio
import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import replace

from cataloger_dagster.errors import SandboxError
from cataloger_dagster.sandbox.client_settings import (
    PASSED,
    SETTINGS,
    SETTINGS_AS_STATEMENT,
    encoding_is_read_alike,
    is_undone,
)
from cataloger_dagster.sandbox.conversation import Conversation, Ended, Limits, Traffic
from cataloger_dagster.sandbox.judge import Judge
from cataloger_dagster.sandbox.login import Login, ServerRefused, log_in, without_password
from cataloger_dagster.sandbox.peer import Peer
from cataloger_dagster.sandbox.upstream import Link, Refused, TLSFailed, Upstream
from cataloger_dagster.sandbox.wire import (
    CANCEL_REQUEST,
    GSS_REQUEST,
    SSL_REQUEST,
    VERSION,
    ProtocolError,
    error,
    message,
    negotiation,
    parameters_of,
    read_message,
    read_startup,
    sqlstate,
)

_WAITING = 32  # connections that have not said yet what they want
_STARTUP = 10.0
_CLOSING = 5.0
_MESSAGES = 500  # of a server's between its AuthenticationOk and its first ReadyForQuery
_SEEN = 0.5  # what it takes at most to see that a client is gone
_LOOK_AGAIN = 0.02

_NO_PG_HBA_LINE = "28000"


class Relay:
    """Passes a sandbox's connections on to *upstream*, logged in as *login*; all calls are made in one event loop.

    ``traffic`` is what has passed so far.
    """

    def __init__(self, upstream: Upstream, login: Login, limits: Limits | None = None) -> None:
        self.upstream = upstream
        self.login = login
        self.limits = limits or Limits()
        self.traffic = Traffic()
        self._settings = SETTINGS
        self._judge = Judge()
        self._waiting = 0
        self._live = 0
        self._leaving = 0  # of those that live
        self._talks: dict[bytes, Conversation] = {}
        self._tasks: set[asyncio.Task[object]] = set()

    async def serve(self, client: Peer) -> None:
        """Serve one connection of a client until either side ends it; *client* is closed then.

        It may have come by a socket or by anything else. A cancelled call has first ended what the client had
        running on the server.
        """
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            await self._serve(client)
            await client.close(_CLOSING)
        except (Refused, ServerRefused, Ended, ProtocolError) as fault:
            client.write(self._farewell(fault))
            await client.close(_CLOSING)
        except OSError:
            pass  # the client is gone
        finally:
            client.abort()
            self._tasks.discard(task)

    async def close(self) -> None:
        """End every connection, and the queries that run on them."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._judge.close()

    async def _serve(self, client: Peer) -> None:
        if self._waiting >= _WAITING:
            client.abort()
            return
        self._waiting += 1
        try:
            try:
                async with asyncio.timeout(_STARTUP):
                    code, body = await _first_packet(client)
            except (TimeoutError, EOFError):
                client.abort()
                return
            if code == CANCEL_REQUEST:
                await self._cancel(body)
                return
        finally:
            self._waiting -= 1
        wanted, refused = _wanted(code, body)
        # Those of a process that was just ended must not keep the next one out.
        until = asyncio.get_running_loop().time() + _SEEN
        while self._live >= self.limits.connections:
            if not self._leaving and asyncio.get_running_loop().time() > until:
                break
            await asyncio.sleep(_LOOK_AGAIN)
        if self._live >= self.limits.connections:
            raise Ended(
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
                        client.write(b"" if refused is None else negotiation(refused))
                        key = await self._greet(client, link.peer)
                await self._converse(Conversation(client, link, key, self._judge, self.limits, self.traffic))
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

    async def _greet(self, client: Peer, server: Peer) -> bytes:
        """Pass on what the server says until it is ready for a query; return the connection's process id and key."""
        key, setting = b"", False
        statuses: dict[bytes, bytes] = {}
        client.write(message(b"R", b"\0\0\0\0"))
        for _ in range(_MESSAGES):
            kind, body = await read_message(server)
            if kind == b"K":
                key = body
            if kind == b"S":
                statuses[body.partition(b"\0")[0]] = body
            if kind == b"Z" and not self._settings and not setting:
                setting = True
                server.write(message(b"Q", SETTINGS_AS_STATEMENT.encode() + b"\0"))
                continue
            if setting and kind not in (b"E", b"Z"):
                continue  # what the statement came to is not for the client
            if kind in (b"E", b"N"):
                body = without_password(body, self.login.password)
            client.write(message(kind, body))
            await client.drained()
            if kind == b"Z":
                if undone := is_undone(statuses.values()):
                    raise Refused(
                        f"{self.upstream.name} does not take {undone} = on, which keeps a connection from writing; "
                        "see whether a pooler is in between, and use a port without one"
                    )
                return key
            if kind == b"E":
                raise ServerRefused(b"")
        raise ProtocolError("a greeting without end")

    async def _converse(self, talk: Conversation) -> None:
        if talk.key:
            self._talks[talk.key] = talk
        try:
            await talk.pass_on()
        except (Ended, ProtocolError, SandboxError) as fault:
            # Before the server is seen to; within a message nothing can be said.
            if talk.boundaries.between:
                talk.client.write(self._farewell(fault))
            else:
                talk.client.abort()
        finally:
            self._leaving += 1
            try:
                await talk.leave(self.upstream)
            finally:
                self._leaving -= 1
                self._talks.pop(talk.key, None)

    async def _cancel(self, key: bytes) -> None:
        """Forward a client's request to cancel, if it is about a connection of ours."""
        talk = self._talks.get(key)
        if talk is not None:
            await talk.cancel(self.upstream)

    def _farewell(self, fault: Exception) -> bytes:
        """Return what a client is told at the end of its connection."""
        password, server = self.login.password, self.upstream.name
        match fault:
            case ServerRefused():
                return message(b"E", fault.body) if fault.body else b""
            case Ended():
                code, text = fault.code, str(fault)
            case SandboxError():
                code, text = "58000", str(fault)
            case ProtocolError():
                code, text = "08P01", f"the relay to {server} was sent {fault}"
            case _:
                code, text = "08001", str(fault)
        # A server's words may be in it.
        return error(code, text.replace(password, "***") if password else text)


async def _first_packet(client: Peer) -> tuple[int, bytes]:
    """Return a client's first packet that is no question for encryption; those are answered with no, each once."""
    for _ in range(3):
        code, body = await read_startup(client)
        if code not in (SSL_REQUEST, GSS_REQUEST):
            return code, body
        client.write(b"N")
        await client.drained()
    raise ProtocolError("nothing but questions for encryption")


def _wanted(code: int, body: bytes) -> tuple[dict[str, str], list[str] | None]:
    """Return the start-up parameters to pass on; and what of the protocol is refused, null if nothing is."""
    if code >> 16 != 3:
        raise ProtocolError(f"a first packet of version {code >> 16}.{code & 0xFFFF}; this is PostgreSQL's, 3.0")
    given = parameters_of(body)
    if given.get("replication", "false").lower() not in ("false", "off", "no", "0"):
        raise Ended("0A000", "a sandbox gets no replication connection; leave replication out")
    wanted = {PASSED[name.lower()]: value for name, value in given.items() if name.lower() in PASSED}
    encoding = wanted.setdefault("client_encoding", "UTF8")
    if not encoding_is_read_alike(encoding):
        raise Ended("22023", f"the client encoding {encoding} is refused; use UTF8")
    later = [name for name in given if name.startswith("_pq_.")]
    return wanted, later if later or code != VERSION else None
