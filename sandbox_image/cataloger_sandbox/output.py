"""What code printed, bounded: the head and the tail are kept, and the cut between them is named."""

import re

CHARACTERS = 20_000
"""Longest output of one cell, the note about the cut included."""

_HALF = CHARACTERS // 2
_BYTES = 4 * _HALF + 4  # a character takes four bytes at most; one may be cut in two
_CONTINUATION = bytes(range(0x80, 0xC0))  # bytes of UTF-8 that begin no character
# ECMA-48: control sequences; strings (titles, links), to the end of their line at most; the shorter ones. The first
# two may begin with a character of their own, too.
_ESCAPES = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]"
    r"|(?:\x1b[]PX^_]|[\x90\x98\x9d-\x9f])[^\x07\x1b\x9c\n]*(?:\x07|\x1b\\|\x9c)?"
    r"|\x1b[ -/]*[0-~]"
)


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

        Colours and other terminal escapes are left out, and of a line that is written again and again all but the last.
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
    text = _ESCAPES.sub("", data.decode("utf-8", "replace"))
    return "\n".join(map(_last_written, text.split("\n"))) if "\r" in text else text


def _last_written(line: str) -> str:
    """Return what a progress bar or a counter wrote last on its line."""
    written = line.rstrip("\r")
    return written.rpartition("\r")[2] + line[len(written) :]
