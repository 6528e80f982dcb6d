"""A thread in which a relay works, and a Unix socket where clients outside of any sandbox find it."""

import asyncio
import threading
from pathlib import Path
from types import TracebackType
from typing import Self

import uvloop

from cataloger_dagster.sandbox.conversation import CHUNK
from cataloger_dagster.sandbox.mysql_relay import MySQLRelay
from cataloger_dagster.sandbox.peer import Peer
from cataloger_dagster.sandbox.relay import Relay


class Listener:
    """Runs *relay* in a thread of its own from entering the context to leaving it, and listens at the socket *path*.

    Without *path* nothing listens: connections are brought to ``relay.serve`` in ``loop``, by
    ``asyncio.run_coroutine_threadsafe``.
    """

    def __init__(self, relay: Relay | MySQLRelay, path: Path | None = None) -> None:
        self.relay = relay
        self.loop = uvloop.new_event_loop()
        self._path = path
        self._thread = threading.Thread(target=self.loop.run_forever, name="relay", daemon=True)
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    def __enter__(self) -> Self:
        self._thread.start()
        try:
            asyncio.run_coroutine_threadsafe(self._listen(), self.loop).result()
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            asyncio.run_coroutine_threadsafe(self._close(), self.loop).result()
        finally:
            self._end()

    def _end(self) -> None:
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join()
        self.loop.close()

    async def _listen(self) -> None:
        if self._path is not None:
            self._server = await self.loop.create_unix_server(lambda: Peer(CHUNK, self._begin), self._path)
            self._path.chmod(0o666)

    def _begin(self, client: Peer) -> None:
        task = self.loop.create_task(self.relay.serve(client))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _close(self) -> None:
        if self._server is not None:
            self._server.close()
        await self.relay.close()
