"""A database's files as they are sent into a container that can't have them mounted.

One small file is sent in ``parts`` to the runner, which keeps it in memory and seals it; others as the tar stream of
an ``archive``, which the engine unpacks as root's, read-only. Either way what runs inside can't change what it is to
be measured by. The copy is of one moment: DuckDB's own lock is held meanwhile.
"""

import contextlib
import fcntl
import os
import tarfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

from cataloger_dagster.errors import DatabaseError

_PART = 1 << 20


@contextlib.contextmanager
def opened(paths: Sequence[Path]) -> Iterator[list[BinaryIO]]:
    """Open the files of one database, and keep writers from beginning until the context is left.

    Raises:
        DatabaseError: a file can't be read, or is held by a writer.
    """
    with contextlib.ExitStack() as stack:
        files: list[BinaryIO] = []
        for path in paths:
            try:
                file = stack.enter_context(path.open("rb"))
                # DuckDB's writers hold fcntl's write lock as long as they have the file open, its readers a read lock.
                fcntl.lockf(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except (BlockingIOError, PermissionError) as error:
                if isinstance(error, PermissionError) and error.filename:
                    raise DatabaseError(f"{path} can't be read: permission denied; give this user the right") from None
                raise DatabaseError(
                    f"{path} is held open for writing by another process: let it close the file, or catalog a copy"
                ) from None
            except OSError as error:
                raise DatabaseError(f"{path} can't be read: {error.strerror}; check the path and its rights") from None
            files.append(file)
        yield files


def parts(file: BinaryIO, size: int) -> Iterator[bytes]:
    """Yield the *size* bytes of a file.

    Raises:
        DatabaseError: it became shorter meanwhile.
    """
    while size:
        part = file.read(min(size, _PART))
        if not part:
            raise DatabaseError(f"{file.name} became shorter while it was copied; try again")
        size -= len(part)
        yield part


def archive(files: Sequence[BinaryIO]) -> Iterator[bytes]:
    """Yield the tar stream of *files*, each under its own name, owned by root and read-only.

    Raises:
        DatabaseError: a file became shorter meanwhile.
    """
    for file in files:
        entry = tarfile.TarInfo(Path(file.name).name)
        entry.size = os.fstat(file.fileno()).st_size
        entry.mode = 0o444
        yield entry.tobuf(tarfile.PAX_FORMAT)
        yield from parts(file, entry.size)
        yield bytes(-entry.size % tarfile.BLOCKSIZE)
    yield bytes(2 * tarfile.BLOCKSIZE)
