"""A database's file that the host sent: in memory, and sealed, so that nobody in here can change it.

Every process has it open under one number. Who runs as we do can't write to it, not even by that; and the number
leads a new process to the file, whatever another has done with its own. Who asks the host for it is ``runner``.
"""

import fcntl
import os

DESCRIPTOR = 60
"""The number under which every process has the file."""

PATH = f"/proc/self/fd/{DESCRIPTOR}"


class SealedFile:
    """A file that is being received; ``size`` is how much of it has come."""

    def __init__(self) -> None:
        self.descriptor = os.memfd_create("database", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        self.size = 0

    def add(self, chunk: bytes) -> None:
        """Write the next bytes."""
        rest = memoryview(chunk)
        while rest:
            rest = rest[os.write(self.descriptor, rest) :]
        self.size += len(chunk)

    def seal(self) -> None:
        """Let nobody write to it any more, ourselves included."""
        seals = fcntl.F_SEAL_WRITE | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_SEAL
        fcntl.fcntl(self.descriptor, fcntl.F_ADD_SEALS, seals)


def keep(descriptor: int) -> None:
    """Have the file under its number in this process, and readable: anyone in here may have changed its mode."""
    if descriptor != DESCRIPTOR:
        os.dup2(descriptor, DESCRIPTOR, inheritable=False)
        os.close(descriptor)
    os.fchmod(DESCRIPTOR, 0o444)
