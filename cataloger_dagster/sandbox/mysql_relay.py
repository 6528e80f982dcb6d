"""The one way out of a sandbox to MySQL or MariaDB: connections of its clients, passed on to one server.

The relay logs in, so nobody in the sandbox holds a password, and no client gets to be another user. It makes each
session read-only, and passes on what reads by its first words (``mysql_statements``), so no client takes that back.
What a query does inside is not seen here, as it is for PostgreSQL: that nothing is written rests on the user's rights
too, which the pre-flight looks at, and the page says so. The connections are brought by ``tunnel`` or come to the
socket of ``doorway``.
"""

import asyncio
import contextlib
import socket
from typing import Any

import pymysql
from cataloger_sandbox.errors import DatabaseProblem
from cataloger_sandbox.mysql_driver import ended_after
from cataloger_sandbox.mysql_login import open_mysql

from cataloger_dagster.mysql import tls_of
from cataloger_dagster.sandbox import mysql_wire
from cataloger_dagster.sandbox.bridge import plain
from cataloger_dagster.sandbox.conversation import CHUNK, Limits, Traffic
from cataloger_dagster.sandbox.mysql_statements import refusal
from cataloger_dagster.sandbox.peer import Peer
from cataloger_dagster.urls import ServerURL

CONNECT_SECONDS = 15
_ANSWER = 10.0  # seconds for a client to answer the greeting
_CLOSING = 5.0
_KILLING = 5.0
_LONGEST_ANSWER = 1 << 16


class MySQLRelay:
    """Passes a sandbox's connections on to the server of *address*; all calls are made in one event loop."""

    def __init__(self, address: ServerURL, limits: Limits | None = None) -> None:
        self.name = f"{address.host}:{address.port}"
        self.limits = limits or Limits()
        self.traffic = Traffic()
        self._way = {
            "host": address.host,
            "port": address.port,
            "user": address.user,
            "password": address.password,
            "database": address.database,
            "server": self.name,
            "ssl": tls_of(address),
            "seconds": CONNECT_SECONDS,
        }
        self._tasks: set[asyncio.Task[object]] = set()
        self._live = 0

    async def serve(self, client: Peer) -> None:
        """Serve one connection of a client until either side ends it; *client* is closed then."""
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            await self._serve(client)
            await client.close(_CLOSING)
        except (OSError, EOFError, TimeoutError):
            pass  # one of the two is gone
        finally:
            client.abort()
            self._tasks.discard(task)

    async def close(self) -> None:
        """End every connection, and the queries that run on them."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, client: Peer) -> None:
        if told := self._used_up():
            client.write(mysql_wire.error(0, told, greeted=False))
            return
        self._live += 1
        try:
            try:
                driver = await self._logged_in()
            except DatabaseProblem as problem:
                client.write(mysql_wire.error(0, str(problem), greeted=False))
                return
            try:
                await self._let_in(driver, client)
            finally:
                driver._force_close()  # says nothing to a server that is not listening
        finally:
            self._live -= 1

    def _used_up(self) -> str | None:
        """Say what keeps the sandbox from having one more connection.

        A connection over whose bytes the limit is reached ends without a word: whatever comes next may be the middle
        of an answer.
        """
        if self._live >= self.limits.connections:
            return f"the sandbox has {self._live} connections to the database already, and may have no more; close one"
        for passed, limit, what in (
            (self.traffic.down, self.limits.down, "read"),
            (self.traffic.up, self.limits.up, "sent"),
        ):
            if passed > limit:
                return (
                    f"the sandbox has {what} {limit:,} bytes, as much as one session may; aggregate in SQL, or read "
                    "a sample"
                )
        return None

    async def _logged_in(self) -> Any:
        """Return a connection of the driver's, whose login is over.

        Raises:
            DatabaseProblem: there is none to be had.
        """
        opening = asyncio.get_running_loop().run_in_executor(None, open_mysql, self._way)
        try:
            return await asyncio.shield(opening)
        except asyncio.CancelledError:
            opening.add_done_callback(_closed)
            raise

    async def _let_in(self, driver: Any, client: Peer) -> None:
        """Greet the client in the server's name, and pass on what both say."""
        client.write(mysql_wire.greeting(driver.server_version, driver.thread_id(), driver.client_flag))
        async with asyncio.timeout(_ANSWER):
            head = await client.exactly(4)
            length = int.from_bytes(head[:3], "little")
            if length > _LONGEST_ANSWER:
                return
            claimed = mysql_wire.capabilities_of(await client.exactly(length))
        if (claimed ^ driver.client_flag) & mysql_wire.FORM:
            told = "this way to the server takes the kit's own driver (pymysql) alone"
            client.write(mysql_wire.error(head[3] + 1, told))
            return
        client.write(mysql_wire.ok(head[3] + 1))
        # Of the driver no more is wanted than its socket, which it has no word to hand over by.
        link = driver._sock
        link.setblocking(False)
        with plain(link) as near:
            near.setblocking(False)
            loop = asyncio.get_running_loop()
            connect = loop.create_unix_connection if near.family == socket.AF_UNIX else loop.create_connection
            _, server = await connect(lambda: Peer(CHUNK), sock=near)
            talk = _Talk(client, server, self.limits, self.traffic)
            try:
                await talk.pass_on()
            finally:
                server.abort()
                if talk.waits:
                    await self._end(driver.thread_id())

    async def _end(self, thread: int) -> None:
        """Have the server end what still runs for a client that is gone."""

        def kill() -> None:
            with contextlib.suppress(DatabaseProblem, pymysql.Error):  # it may have ended by now
                driver = open_mysql(self._way)
                try:
                    with ended_after(driver._sock, _KILLING):
                        driver.kill(thread)
                finally:
                    driver._force_close()

        with contextlib.suppress(OSError, asyncio.CancelledError):
            await asyncio.shield(asyncio.get_running_loop().run_in_executor(None, kill))


class _Talk:
    """A client that was let in, and the server; ``waits`` says whether the server has yet to answer."""

    def __init__(self, client: Peer, server: Peer, limits: Limits, traffic: Traffic) -> None:
        self._client, self._server = client, server
        self._limits, self._traffic = limits, traffic
        self._commands = mysql_wire.Commands(refusal)
        self._loop = asyncio.get_running_loop()
        self._over = self._loop.create_future()
        self._said = self._loop.time()
        self.waits = False

    async def pass_on(self) -> None:
        """Pass on what both sides say, until one of them ends it or has had as much as it may."""
        client, server = self._client, self._server
        client.feed_from(server)
        server.feed_from(client)
        client.hear(self._up, self._ended)
        server.hear(self._down, self._ended)
        silence = self._loop.create_task(self._silence())
        try:
            await self._over
        finally:
            silence.cancel()
            client.ignore()
            server.ignore()

    async def _silence(self) -> None:
        while (left := self._said + self._limits.idle - self._loop.time()) > 0:
            await asyncio.sleep(left)
        self._ended(None)

    def _up(self, chunk: bytes) -> None:
        self._said = self._loop.time()
        self._traffic.up += len(chunk)
        if self._traffic.up > self._limits.up:
            self._ended(None)
            return
        for piece in self._commands.take(chunk):
            if isinstance(piece, bytes):
                self.waits = self._commands.asks
                self._server.write(piece)
            else:
                self._client.write(mysql_wire.error(piece.number + 1, piece.reason))

    def _down(self, chunk: bytes) -> None:
        self._said = self._loop.time()
        self._traffic.down += len(chunk)
        if self._traffic.down > self._limits.down:
            self._ended(None)
            return
        self.waits = False
        self._client.write(chunk)

    def _ended(self, fault: Exception | None) -> None:
        if self._over.done():
            return
        if fault is None:
            self._over.set_result(None)
        else:
            self._over.set_exception(fault)


def _closed(opening: "asyncio.Future[Any]") -> None:
    if not opening.cancelled() and opening.exception() is None:
        opening.result()._force_close()
