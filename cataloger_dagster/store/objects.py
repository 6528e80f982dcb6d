"""The seam below the store: named bytes that are created once. A folder and an S3 bucket offer the same.

What the names mean (databases, snapshots, pages) is in ``snapshots``.
"""

from collections.abc import Iterable
from typing import Protocol

from cataloger_dagster.errors import StoreError


class Taken(StoreError):
    """An object of this name is there already. It is never replaced."""


class Missing(StoreError):
    """No object has this name."""


class Objects(Protocol):
    """Objects with keys like ``shop/2026-01-15T10:00:00.123Z/catalog.html``: parts between slashes, none hidden.

    Every method raises ``StoreError`` where the place can't be read or written, with the place and the remedy.
    """

    def create(self, key: str, data: bytes) -> None:
        """Store *data* under *key*, whole or not at all. Of many who try at once, one succeeds.

        Raises:
            Taken: there is one already.
        """

    def read(self, key: str) -> bytes:
        """Return what was stored.

        Raises:
            Missing: there is none.
        """

    def keys(self, prefix: str, after: str = "", limit: int | None = None) -> list[str]:
        """List keys that begin with *prefix* and come after *after*, ascending by their bytes, at most *limit*."""

    def folders(self, prefix: str) -> list[str]:
        """List what stands between *prefix* (empty, or ending in a slash) and the next slash, in the keys' order."""

    def delete(self, key: str) -> None:
        """Remove an object; there may be none."""

    def address(self, key: str) -> str:
        """Say where the object is, for people: a path, or ``s3://…``."""

    def check(self) -> str | None:
        """Try whether the place keeps what ``create`` promises; return what it does not keep, for people.

        Raises:
            StoreError: it can't be written at all.
        """


def checked(key: str) -> str:
    """Return *key* if its parts are plain names: none empty, none hidden, none leading out.

    Raises:
        StoreError: it is not.
    """
    parts: Iterable[str] = key.split("/")
    if any(not part or part.startswith(".") or "\0" in part or "\\" in part for part in parts):
        raise StoreError(f"{key!r} can't be a name in the store: its parts must be plain names")
    return key
