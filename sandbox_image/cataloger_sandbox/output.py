"""What code printed, bounded: the head and the tail are kept, and the cut between them is named."""

import re

CHARACTERS = 20_000
"""Longest output of one cell, the note about the cut included."""

_HALF = CHARACTERS // 2
_BYTES = 4 * _HALF + 4  # a character takes four bytes at most; one may be cut in two
_CONTINUATION = bytes(range(0x80, 0xC0))  # bytes of UTF-8 that begin no character
# ECMA-48: control sequences; strings (titles, links), to the end of their line at most; the shorter ones.
_ESCAPES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|[]PX^_][^\x07\x1b\n]*(?:\x07|\x1b\\)?|[ -/]*[0-~])")


class Output:
    """Collects bytes of any amount in bounded memory."""

    def __init__(self) -> None:
        self._head = bytearray()
        self._tail = bytearray()
        self._bytes = 0
        self._characters = 0

    def add(self, chunk: bytes) -> None:
        """Take the next bytes."""
        self._bytes += len(chunk)
        self._characters += len(chunk.translate(None, _CONTINUATION))
        room = _BYTES - len(self._head)
        if room > 0:
            self._head += chunk[:room]
            chunk = chunk[room:]
        self._tail += chunk[-_BYTES:]
        if len(self._tail) > 16 * _BYTES:
            del self._tail[:-_BYTES]

    def text(self, note: str = "", most: int = CHARACTERS) -> tuple[str, bool]:
        """Return the text, ending with *note*, in *most* characters, and whether anything was cut from it.

        Colours and other terminal escapes are left out.
        """
        whole = self._bytes <= len(self._head) + len(self._tail)
        head = _plain(self._head + self._tail if whole else self._head)
        tail = head if whole else _plain(self._tail)
        if note:
            end = "" if not tail or tail.endswith("\n") else "\n"
            tail += end + note + "\n"
        if whole:
            head = tail
        if whole and len(head) <= most:
            return head, False
        total = len(head) if whole else self._characters + len(note)
        mark = f"\n[… {total - most:,} characters left out …]\n"
        kept = most - most // 2 - len(mark)
        return head[: most // 2] + mark + tail[-kept:], True


def _plain(data: bytes | bytearray) -> str:
    return _ESCAPES.sub("", data.decode("utf-8", "replace"))
