"""What a client may say to the server: messages with statements that only read, and those that carry such out.

For a message that is not let through the server is sent one that it can't read, so it answers with an error and
keeps the protocol's state itself: the transaction that fails, the messages up to Sync that are passed over. That
error is changed on its way back into the one that says why. Which statements read is the ``judge``'s to say.
"""

import re
import secrets
import struct
from collections import OrderedDict

from cataloger_dagster.sandbox.judge import Judge
from cataloger_dagster.sandbox.verdict import STATEMENT_LIMIT, Refusal
from cataloger_dagster.sandbox.wire import MESSAGE_LIMIT, Boundaries, ProtocolError, error, message

_QUERY, _PARSE, _FUNCTION_CALL = b"Q", b"P", b"F"
_JUDGED = frozenset({_QUERY, _PARSE, _FUNCTION_CALL})
_CARRIED = frozenset({b"B", b"C", b"D", b"E", b"H", b"S", b"X", b"c", b"d", b"f"})
"""Bind, Close, Describe, Execute, Flush, Sync, Terminate, and the three of COPY, which a server expects of none."""

_HEAD = struct.Struct(">cI")
_REFUSED = 256  # that the server has not answered yet; of those that it passes over it answers none

EXPORT = b"SELECT pg_export_snapshot()"
"""This statement, to the letter, is let through as often as a connection may export a snapshot.

The server keeps a small file for each until the transaction ends; no client is to fill its disk with them.
"""

_ENOUGH = Refusal("42501", "another snapshot of this connection is refused, and was not exported")

_BY_NUMBER = Refusal("42501", "a function that is called by its number is refused, and was not run; call it in SQL")
_TOO_LONG = Refusal(
    "54000",
    f"a statement of more than {STATEMENT_LIMIT:,} bytes is refused, and was not run; write a shorter one, or send its "
    "values as parameters",
)


class Guard:
    """Stands in one client's way to the server.

    ``question`` is a text that the *judge* has not seen yet: what the client says meanwhile waits for its ``answer``.
    """

    def __init__(self, judge: Judge, snapshots: int = 0) -> None:
        self.question: bytes | None = None
        self._judge = judge
        self._asked = (b"", b"", 0)  # the kind of the message in question, the statement's name, bytes of all of it
        self._held = bytearray()
        self._needed = 0  # bytes held at which there is something to do
        self._left = 0  # bytes of a message that has begun and is not held
        self._dropped = False  # whether they are thrown away
        self._mark = f"cataloger_refused_{secrets.token_hex(8)}_"
        self._marked = re.compile(rf"{self._mark}(\d+)".encode())
        self._number = 0
        self._refused: OrderedDict[int, Refusal] = OrderedDict()
        self._answer = b""  # a server's error that is not whole
        self._may_export, self._snapshots = snapshots > 0, snapshots  # how many may still be exported

    def up(self, chunk: bytes) -> bytes:
        """Return what the server is sent for the next bytes from the client.

        Raises:
            ProtocolError: a client never says so.
        """
        if self._held:
            self._held += chunk
            if self.question is not None or len(self._held) < self._needed:
                return b""
            chunk = self._release()
        elif not self._left and self._judge.passes(chunk):
            return chunk
        is_whole = not self._left
        passed = self._let_through(chunk)
        if is_whole and passed is chunk and not self._left and EXPORT not in chunk:
            self._judge.let_pass(chunk)
        return passed

    def answer(self, refusal: Refusal | None) -> bytes:
        """Return what the server is sent now that the question is answered, by null if the statement only reads.

        Raises:
            ProtocolError: what came behind it, a client never says.
        """
        kind, name, length = self._asked
        held, self.question = self._release(), None
        first = held[:length] if refusal is None else self._replaced(kind, name, refusal)
        return first + self._let_through(held[length:])

    def _release(self) -> bytes:
        held = bytes(self._held)
        self._held.clear()
        return held

    def _let_through(self, data: bytes) -> bytes:
        """Return what of *data* is passed on; hold what can't be decided yet."""
        parts: list[bytes] = []
        begin = place = 0  # of what passes unchanged, of what is looked at
        end = len(data)
        while place < end:
            if self._left:
                part = min(self._left, end - place)
                self._left -= part
                place += part
                if self._dropped:
                    begin = place
                continue
            if end - place < 5:
                self._needed = 5
                break
            kind, length = _HEAD.unpack_from(data, place)
            after = place + 1 + length
            if length < 4:
                raise ProtocolError(f"a message of {length} bytes")
            if kind in _CARRIED:
                self._left, self._dropped = 1 + length, False
            elif kind not in _JUDGED:
                raise ProtocolError(f"a message {kind!r}, which no client sends after the login")
            elif length > STATEMENT_LIMIT:
                parts += [data[begin:place], self._replaced(kind, b"", _TOO_LONG)]
                begin = place
                self._left, self._dropped = 1 + length, True
            elif after > end:
                self._needed = 1 + length
                break
            else:
                name, sql = _statement(kind, data[place + 5 : after])
                exports = kind == _QUERY and sql == EXPORT and self._may_export
                if sql is not None and not exports and not self._judge.knows(sql):
                    self.question, self._asked = sql, (kind, name, 1 + length)
                    break
                if exports:
                    refusal = None if self._snapshots else _ENOUGH
                    self._snapshots = max(0, self._snapshots - 1)
                else:
                    refusal = _BY_NUMBER if sql is None else self._judge.recall(sql)
                if refusal is not None:
                    parts += [data[begin:place], self._replaced(kind, name, refusal)]
                    begin = after
                place = after
        self._held += data[place:]
        if parts or begin or place < end:
            return b"".join([*parts, data[begin:place]])
        return data

    @property
    def waits(self) -> bool:
        """Whether an error of the server's may have to be changed."""
        return bool(self._refused or self._answer)

    def down(self, chunk: bytes, boundaries: Boundaries) -> bytes:
        """Return the next bytes from the server, the errors in it changed; *boundaries* has followed those before.

        Raises:
            ProtocolError: a length is impossible.
        """
        chunk, self._answer = self._answer + boundaries.release() + chunk, b""
        parts, begin, place, end = [], 0, boundaries.left, len(chunk)
        while place + 5 <= end:
            kind, length = _HEAD.unpack_from(chunk, place)
            if length < 4:
                raise ProtocolError(f"a message of {length} bytes")
            after = place + 1 + length
            if kind == b"E" and length <= MESSAGE_LIMIT:
                if after > end:
                    self._answer, chunk = chunk[place:], chunk[:place]
                    break
                if (changed := self._changed(chunk[place + 5 : after])) is not None:
                    parts += [chunk[begin:place], changed]
                    begin = after
            place = after
        return b"".join([*parts, chunk[begin:]])

    def _replaced(self, kind: bytes, name: bytes, refusal: Refusal) -> bytes:
        """Return a message in place of one that is refused: what it says is no SQL."""
        self._number += 1
        self._refused[self._number] = refusal
        if len(self._refused) > _REFUSED:
            self._refused.popitem(last=False)
        unreadable = f"{self._mark}{self._number}\0".encode()
        if kind == _PARSE:
            return message(kind, name + b"\0" + unreadable + b"\0\0")
        return message(_QUERY, unreadable)

    def _changed(self, body: bytes) -> bytes | None:
        """Return the error that says why, if *body* is the server's error about what was sent instead."""
        found = self._marked.search(body)
        refusal = self._refused.pop(int(found[1]), None) if found else None
        if refusal is None:
            return None
        return error(refusal.code, refusal.text, "ERROR", hint=refusal.hint, place=refusal.place)


def _statement(kind: bytes, body: bytes) -> tuple[bytes, bytes | None]:
    """Return the name and the text of the statement in a message; null if it is a function's number."""
    if kind == _FUNCTION_CALL:
        return b"", None
    name, rest = (b"", body) if kind == _QUERY else _text(body)
    return name, _text(rest)[0]


def _text(body: bytes) -> tuple[bytes, bytes]:
    text, end, rest = body.partition(b"\0")
    if not end:
        raise ProtocolError("a statement without its end")
    return text, rest
