"""Private folders on the host: sockets, copies of SQLite databases, work folders of unconfined sessions.

A process that is killed can't remove its own, and a copied database must not lie about. So each is named after the
process that made it, and whoever makes one removes those of dead processes first.
"""

import contextlib
import hashlib
import os
import re
import shutil
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path

from cataloger_dagster.owners import started

_NAME = re.compile(r"cataloger-([0-9a-f]{8})-(\d+)-(\d+)-\w+")


@contextlib.contextmanager
def private_folder() -> Iterator[Path]:
    """Yield a new folder of ours alone, with a path short enough for a socket in it, and remove it."""
    base = tempfile.gettempdir()
    place = Path(base if len(os.fsencode(base)) < 40 else "/tmp")
    remove_abandoned(place)
    prefix = f"cataloger-{_host()}-{os.getpid()}-{started(os.getpid())}-"
    with tempfile.TemporaryDirectory(prefix=prefix, dir=place, ignore_cleanup_errors=True) as folder:
        yield Path(folder)


def remove_abandoned(place: Path) -> None:
    """Remove the folders in *place* that processes of ours on this machine left when they were killed."""
    for folder in place.glob("cataloger-*"):
        name = _NAME.fullmatch(folder.name)
        if name is None or name[1] != _host() or started(int(name[2])) == name[3]:
            continue
        with contextlib.suppress(OSError):  # another run may be removing it, too
            # Anybody may make a folder of this name in /tmp; what is not ours stays.
            if folder.lstat().st_uid == os.getuid():
                shutil.rmtree(folder)


def _host() -> str:
    # Not the name itself: the path of a socket may have 107 bytes in all.
    return hashlib.sha256(socket.gethostname().encode()).hexdigest()[:8]
