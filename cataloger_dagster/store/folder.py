"""Objects as files of a folder.

A file appears whole under its name, and once: it is written to a hidden file beside, brought to the disk,
then linked (``link(2)`` refuses a name that is taken). A writer that is killed leaves a hidden file that
nobody reads.
"""

import contextlib
import errno
import os
import secrets
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from cataloger_dagster.errors import StoreError
from cataloger_dagster.store.objects import Missing, Taken, checked

NO_LINKS = {errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK}
REASONS = {
    errno.ENOSPC: "the disk is full; free some space, or set CATALOGER_STORE to another place",
    errno.EDQUOT: "the disk quota is used up; free some space, or set CATALOGER_STORE to another place",
    errno.EFBIG: "a file may not become that large here; raise the limit (ulimit -f)",
    errno.EROFS: "the file system is read-only; set CATALOGER_STORE to a folder that can be written",
    errno.EACCES: "permission denied; give this account the right, or set CATALOGER_STORE to another place",
    errno.EPERM: "permission denied; give this account the right, or set CATALOGER_STORE to another place",
    errno.ENOTDIR: "a file stands where a folder should be; move it away, or set CATALOGER_STORE to a folder",
    errno.ENOENT: "no folder can be made there; set CATALOGER_STORE to another place",
    errno.ENAMETOOLONG: "the name is too long for this file system",
}


class FolderObjects:
    """Objects below *root*, which is made when the first one is created."""

    def __init__(self, root: Path) -> None:
        self.root = root.absolute()

    def create(self, key: str, data: bytes) -> None:
        """Write a hidden file beside the place, then link it there."""
        path = self.root / checked(key)
        hidden = path.with_name(f".{path.name}.{secrets.token_hex(8)}.tmp")
        with self._told(key):
            descriptor = self._open_new(hidden)
            try:
                with os.fdopen(descriptor, "wb") as file:
                    file.write(data)
                    file.flush()
                    os.fsync(file.fileno())
                self._link(hidden, path)
            finally:
                hidden.unlink(missing_ok=True)
            for parent in path.relative_to(self.root).parents:
                self._sync(self.root / parent)

    def read(self, key: str) -> bytes:
        """Read a file."""
        with self._told(key):
            try:
                return (self.root / checked(key)).read_bytes()
            except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
                raise Missing(f"{self.address(key)}: there is no such file in the store") from None

    def keys(self, prefix: str, after: str = "", limit: int | None = None) -> list[str]:
        """Walk the folders in the order of the keys, no further than *limit*."""
        with self._told(prefix):
            return list(islice(self._walk(prefix[: prefix.rfind("/") + 1], prefix, after), limit))

    def folders(self, prefix: str) -> list[str]:
        """List the folders that hold a file, at any depth."""
        with self._told(prefix):
            names = [name[:-1] for name in self._entries(prefix) if name.endswith("/")]
            return [name for name in names if any(True for _ in self._walk(f"{prefix}{name}/", "", ""))]

    def delete(self, key: str) -> None:
        """Remove a file, and the folders that it leaves empty."""
        path = self.root / checked(key)
        with self._told(key):
            path.unlink(missing_ok=True)
            for parent in path.relative_to(self.root).parents[:-1]:
                try:
                    (self.root / parent).rmdir()
                except OSError:
                    break  # somebody else's file is in it

    def address(self, key: str) -> str:
        """Return the file's path."""
        return str(self.root / key)

    def check(self) -> str | None:
        """Make, link and remove hidden files: that they can't be is told before a run is paid for, not after."""
        probe = self.root / f".{secrets.token_hex(8)}.tmp"
        link = probe.with_suffix(".link")
        new = not os.path.lexists(self.root)
        with self._told("its folder"):
            os.close(self._open_new(probe))
            try:
                self._link(probe, link)
            finally:
                probe.unlink(missing_ok=True)
                link.unlink(missing_ok=True)
        if new:
            with contextlib.suppress(OSError):
                self.root.rmdir()  # nothing stays of a run that fails
        return None

    def _open_new(self, path: Path) -> int:
        """Open a new file, making its folder; again if another's ``delete`` just removed that."""
        for _ in range(20):
            path.parent.mkdir(parents=True, exist_ok=True)
            with contextlib.suppress(FileNotFoundError):
                # Not tempfile: its files can be read by their owner alone, and pages are for the team.
                return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
        raise StoreError(f"{path.parent}: the folder disappears as soon as it is made")

    def _link(self, hidden: Path, path: Path) -> None:
        try:
            os.link(hidden, path)
        except FileExistsError:
            raise Taken(f"{path}: there is such a file already") from None
        except OSError as error:
            if error.errno not in NO_LINKS:
                raise
            raise StoreError(
                f"{self.root}: this file system has no hard links ({error.strerror}), so two runs could overwrite "
                "each other's pages; set CATALOGER_STORE to a folder on another one, or to s3://bucket/prefix"
            ) from None

    def _sync(self, folder: Path) -> None:
        """Bring a folder's entries to the disk too."""
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def _walk(self, folder: str, prefix: str, after: str) -> Iterator[str]:
        """Yield the keys below *folder* (empty, or ending in a slash) that begin with *prefix* and follow *after*."""
        for name in self._entries(folder):
            key = folder + name
            if name.endswith("/"):
                related = key.startswith(prefix) or prefix.startswith(key)
                if related and (key > after or after.startswith(key)):
                    yield from self._walk(key, prefix, after)
            elif key.startswith(prefix) and key > after:
                yield key

    def _entries(self, folder: str) -> list[str]:
        """List a folder in the order of keys: a folder counts with its slash, hidden files not at all."""
        if folder and any(not part or part.startswith(".") for part in folder[:-1].split("/")):
            return []  # no key begins like that, and the way might lead out
        try:
            with os.scandir(self.root / folder) as entries:
                names = [f"{each.name}/" if each.is_dir() else each.name for each in entries if each.name[0] != "."]
        except (FileNotFoundError, NotADirectoryError):
            return []
        return sorted(names, key=os.fsencode)

    @contextlib.contextmanager
    def _told(self, key: str) -> Iterator[None]:
        """Tell people what the operating system said."""
        try:
            yield
        except OSError as error:
            reason = REASONS.get(error.errno or 0, error.strerror or str(error))
            raise StoreError(f"the store {self.root} failed at {error.filename or key}: {reason}") from error
