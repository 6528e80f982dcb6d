"""The digest of a page, which its data block carries: whether the file is what was written, to the letter.

It is no signature: who changes a page on purpose can put a new one. What such a page says is run again all the same.
"""

import hashlib
import re

_EMPTY = "0" * 64
# Every quote of a value is escaped, in the block and outside: this stands in a page once.
_FIELD = re.compile(r'"digest":"([0-9a-f]{64})"')


def digested(html: str) -> tuple[str, str]:
    """Return a page, whose block has an ``empty()`` digest, with its digest (SHA-256, hexadecimal), and that."""
    digest = _of(html)
    return _FIELD.sub(f'"digest":"{digest}"', html, count=1), digest


def empty() -> str:
    """Return what stands in the place of a digest while it is worked out."""
    return _EMPTY


def is_as_written(html: str) -> bool | None:
    """Say whether a page is what was written; null where it has no digest, as those of other writers."""
    found = _FIELD.search(html)
    return None if found is None else _of(_FIELD.sub(f'"digest":"{_EMPTY}"', html, count=1)) == found[1]


def _of(html: str) -> str:
    return hashlib.sha256(html.encode("utf-8", "surrogatepass")).hexdigest()
