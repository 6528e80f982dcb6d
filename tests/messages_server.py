"""A Messages server on loopback that answers from a script: real HTTP, plain and streamed.

It records every request. A script is a list of ``Scripted`` answers, one for each request; when it has run out,
the last one is given again, or ``then`` is asked for the next.
"""

import json
import socket
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from time import monotonic
from typing import Any

Body = dict[str, Any]


@dataclass(frozen=True)
class Scripted:
    """One answer.

    Attributes:
        content: content blocks of the reply.
        stop_reason: why it ends.
        usage: token counts under their wire names.
        stop_details: what a refusal says.
        status: anything but 200 sends ``error`` as a JSON error instead.
        error: the ``error`` object of an error answer.
        headers: further headers.
        drop: close the connection without an answer.
        cut_after: break the stream after so many events: in the middle of one, or ``cleanly``, between two.
        error_after: send ``error`` as an event after so many events of the stream.
        pings_after: send pings and nothing else after so many events, until the client leaves.
        silent_after: send nothing at all any more after so many events, until the client leaves.
        lean: leave out what servers that only speak the protocol leave out: cache counts and stop details.
        pieces: how long the pieces are that texts and arguments are streamed in.
    """

    content: Sequence[Body] = ()
    stop_reason: str | None = "end_turn"
    usage: Mapping[str, int] = field(default_factory=lambda: {"input_tokens": 10, "output_tokens": 5})
    stop_details: Body | None = None
    status: int = 200
    error: Body | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    drop: bool = False
    cut_after: int | None = None
    cleanly: bool = False
    error_after: int | None = None
    pings_after: int | None = None
    silent_after: int | None = None
    lean: bool = False
    pieces: int = 40


@dataclass
class Received:
    """One request as it came: its path, its headers (lower case), the bytes of its body, and the body parsed.

    ``received`` and ``answered`` are when it had come whole, and when its answer was sent, by the monotonic clock.
    """

    path: str
    headers: dict[str, str]
    raw: bytes
    body: Body
    received: float
    answered: float = 0.0


class MessagesServer:
    """Holds the script and what was received; ``url`` is for ANTHROPIC_BASE_URL.

    ``models`` is the status with which it answers what asks for a model, or what it says as if it were JSON; ``looks``
    are the paths and headers of those requests.
    """

    def __init__(self, script: Sequence[Scripted], then: Callable[[Body], Scripted] | None = None) -> None:
        self.script = list(script)
        self.then = then
        self.requests: list[Received] = []
        self.models: int | bytes = 404
        self.looks: list[tuple[str, dict[str, str]]] = []
        self.url = ""
        self._lock = threading.Lock()

    def answer(self, received: Received) -> Scripted:
        """Record a request and return what it is answered with."""
        with self._lock:
            self.requests.append(received)
            if len(self.requests) <= len(self.script):
                return self.script[len(self.requests) - 1]
        return self.then(received.body) if self.then else self.script[-1]

    @property
    def bodies(self) -> list[Body]:
        """The bodies of the requests so far."""
        return [request.body for request in self.requests]


@contextmanager
def messages_server(*script: Scripted, then: Callable[[Body], Scripted] | None = None) -> Iterator[MessagesServer]:
    """Serve *script* on a free port of the loopback interface."""
    state = MessagesServer(script, then)

    class Handler(_Handler):
        server_state = state

    server = _Server(("127.0.0.1", 0), Handler)
    state.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield state
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def text(words: str) -> Body:
    """Return a text block."""
    return {"type": "text", "text": words}


def thinking(words: str, signature: str = "c2lnbmVk") -> Body:
    """Return a thinking block."""
    return {"type": "thinking", "thinking": words, "signature": signature}


def call(identifier: str, name: str, **arguments: Any) -> Body:
    """Return a tool call."""
    return {"type": "tool_use", "id": identifier, "name": name, "input": arguments}


def uses(*calls: Body, **options: Any) -> Scripted:
    """Return a reply that asks for *calls*."""
    return Scripted(content=calls, stop_reason="tool_use", **options)


def fails(status: int, kind: str = "api_error", message: str = "scripted", **options: Any) -> Scripted:
    """Return an error answer of *status*."""
    return Scripted(status=status, error={"type": kind, "message": message}, **options)


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Stay quiet where a client has closed the connection: clients do."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    server_state: MessagesServer
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.server_state.looks.append((self.path, {name.lower(): value for name, value in self.headers.items()}))
        models = self.server_state.models
        if isinstance(models, bytes):
            self._say(200, models, {})
        elif models == 200:
            name = self.path.rpartition("/")[2]
            model = {"type": "model", "id": name, "display_name": name, "created_at": "2026-01-01T00:00:00Z"}
            self._json(200, model, {})
        else:
            kind = "authentication_error" if models == 401 else "api_error"
            self._json(models, {"type": "error", "error": {"type": kind, "message": "no"}}, {})

    def do_POST(self) -> None:
        raw = self.rfile.read(int(self.headers.get("content-length", 0)))
        at = monotonic()
        headers = {name.lower(): value for name, value in self.headers.items()}
        received = Received(self.path, headers, raw, json.loads(raw), at)
        scripted = self.server_state.answer(received)
        if scripted.drop:
            self.connection.shutdown(socket.SHUT_RDWR)
            self.close_connection = True
        elif scripted.status != 200:
            self._json(scripted.status, {"type": "error", "error": scripted.error}, scripted.headers)
        elif received.body.get("stream"):
            self._stream(scripted, received.body["model"])
        else:
            self._json(200, _message(scripted, received.body["model"]), scripted.headers)
        received.answered = monotonic()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name is the base class's
        """Stay quiet."""

    def _json(self, status: int, body: Body, headers: Mapping[str, str]) -> None:
        self._say(status, json.dumps(body).encode(), headers)

    def _say(self, status: int, data: bytes, headers: Mapping[str, str]) -> None:
        self.send_response(status)
        for name, value in {"content-type": "application/json", "request-id": "req_scripted", **headers}.items():
            self.send_header(name, value)
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def _stream(self, scripted: Scripted, model: str) -> None:
        self.send_response(200)
        headers = {"content-type": "text/event-stream; charset=utf-8", "request-id": "req_scripted"}
        for name, value in {**headers, **scripted.headers}.items():
            self.send_header(name, value)
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        for number, event in enumerate(_events(scripted, model)):
            if number == scripted.cut_after and scripted.cleanly:
                break
            if number == scripted.cut_after:
                # The connection breaks in the middle of a chunk: no last chunk, no message_stop.
                self.wfile.write(b"40\r\nevent: content_block_d")
                self.wfile.flush()
                self.connection.shutdown(socket.SHUT_RDWR)
                self.close_connection = True
                return
            if number in (scripted.pings_after, scripted.silent_after):
                self._hang(pings=number == scripted.pings_after)
                return
            if number == scripted.error_after:
                self._chunk({"type": "error", "error": scripted.error})
                break
            self._chunk(event)
        self.wfile.write(b"0\r\n\r\n")

    def _hang(self, pings: bool) -> None:
        self.close_connection = True
        self.connection.settimeout(0.05)
        while True:
            if pings:
                self._chunk({"type": "ping"})
            with suppress(TimeoutError):
                if not self.connection.recv(1):
                    return

    def _chunk(self, event: Body) -> None:
        data = f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode()
        self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))


def _message(scripted: Scripted, model: str) -> Body:
    if scripted.lean:
        whole = _message(replace(scripted, lean=False), model)
        usage = {name: whole["usage"][name] for name in ("input_tokens", "output_tokens")}
        return {**{name: value for name, value in whole.items() if name != "stop_details"}, "usage": usage}
    return {
        "id": "msg_scripted",
        "type": "message",
        "role": "assistant",
        "model": model,
        "content": list(scripted.content),
        "stop_reason": scripted.stop_reason,
        "stop_sequence": None,
        "stop_details": scripted.stop_details,
        "usage": {"cache_creation_input_tokens": 0, "cache_read_input_tokens": 0, **scripted.usage},
    }


def _events(scripted: Scripted, model: str) -> Iterator[Body]:
    whole = _message(scripted, model)
    usage = {**whole["usage"], "output_tokens": 1}
    yield {"type": "message_start", "message": {**whole, "content": [], "stop_reason": None, "usage": usage}}
    yield {"type": "ping"}
    for index, block in enumerate(scripted.content):
        yield from ({"index": index, **event} for event in _block_events(block, scripted.pieces))
    yield {
        "type": "message_delta",
        "delta": {name: whole[name] for name in ("stop_reason", "stop_sequence", "stop_details") if name in whole},
        "usage": {"output_tokens": whole["usage"]["output_tokens"]},
    }
    yield {"type": "message_stop"}


def _block_events(block: Body, size: int) -> Iterator[Body]:
    def pieces(words: str) -> Iterator[str]:
        return (words[at : at + size] for at in range(0, len(words), size))

    def delta(kind: str, **value: str) -> Body:
        return {"type": "content_block_delta", "delta": {"type": kind, **value}}

    if block["type"] == "text":
        yield {"type": "content_block_start", "content_block": {"type": "text", "text": ""}}
        yield from (delta("text_delta", text=piece) for piece in pieces(block["text"]))
    elif block["type"] == "thinking":
        yield {"type": "content_block_start", "content_block": {"type": "thinking", "thinking": "", "signature": ""}}
        yield from (delta("thinking_delta", thinking=piece) for piece in pieces(block["thinking"]))
        if block["signature"]:
            yield delta("signature_delta", signature=block["signature"])
    elif block["type"] == "tool_use":
        # `input` may be a text: arguments that were cut off are no whole JSON.
        arguments = block["input"] if isinstance(block["input"], str) else json.dumps(block["input"])
        yield {"type": "content_block_start", "content_block": {**block, "input": {}}}
        yield from (delta("input_json_delta", partial_json=piece) for piece in pieces(arguments))
    else:
        yield {"type": "content_block_start", "content_block": block}
    yield {"type": "content_block_stop"}
