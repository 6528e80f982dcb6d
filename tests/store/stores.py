"""What the store's tests share: objects in memory that behave, and a count of what S3 was asked."""

from bisect import bisect_right
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

from cataloger_dagster.store.objects import Missing, Taken
from cataloger_dagster.store.s3 import S3Objects

NOW = datetime(2026, 1, 15, 10, 0, 0, 123000, tzinfo=UTC)


class MemoryObjects:
    """Objects in a dictionary, listed a thousand at a time as S3 does; ``listings`` counts the requests."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.listings = 0
        self._sorted: list[str] | None = None

    def create(self, key: str, data: bytes) -> None:
        if key in self.objects:
            raise Taken(key)
        self.objects[key] = data
        self._sorted = None

    def read(self, key: str) -> bytes:
        if key not in self.objects:
            raise Missing(key)
        return self.objects[key]

    def keys(self, prefix: str, after: str = "", limit: int | None = None) -> list[str]:
        if self._sorted is None:
            self._sorted = sorted(self.objects)
        first = bisect_right(self._sorted, max(after, prefix[:-1] if prefix else ""))
        found: list[str] = []
        for key in self._sorted[first:]:
            if len(found) == limit or not (key.startswith(prefix) or key < prefix):
                break
            if key.startswith(prefix):
                found.append(key)
        self.listings += max(1, -(-len(found) // 1000))
        return found

    def folders(self, prefix: str) -> list[str]:
        rests = (key.removeprefix(prefix) for key in self.objects if key.startswith(prefix))
        return sorted({rest.partition("/")[0] for rest in rests if "/" in rest})

    def delete(self, key: str) -> None:
        self.objects.pop(key, None)
        self._sorted = None

    def address(self, key: str) -> str:
        return f"memory:{key}"

    def check(self) -> str | None:
        return None


@contextmanager
def requests(objects: S3Objects) -> Iterator[list[str]]:
    """Note the operations that the client sends."""
    sent: list[str] = []

    def note(model: Any, **_: Any) -> None:
        sent.append(model.name)

    events = objects._client.meta.events
    events.register("before-call.s3", note)
    yield sent
    events.unregister("before-call.s3", note)


def every(step: timedelta, count: int, last: datetime = NOW) -> list[datetime]:
    """The times of *count* snapshots at a distance of *step*, the newest last."""
    return [last - step * back for back in reversed(range(count))]
