"""The system calls that no process of a sandbox may make, refused by the kernel itself (seccomp).

A network namespace holds back the families of IP, but not every family of sockets: one of AF_VSOCK reaches the host
of a virtual machine from anywhere in it. So only sockets of IP, Unix and netlink can be made; and no io_uring, which
makes sockets that no filter sees. What else may be called is Docker's or bubblewrap's business.

Sources: seccomp(2), bpf(4), and the kernel's audit.h, filter.h, seccomp.h.
"""

import ctypes
import errno
import os
import socket
import struct

_SOCKET = {"x86_64": (0xC000003E, 41), "aarch64": (0xC00000B7, 198)}
"""For each machine its number in an audit record and that of its call ``socket``."""

_FAMILIES = (socket.AF_UNIX, socket.AF_INET, socket.AF_INET6, socket.AF_NETLINK)
_IO_URING_SETUP = 425
_FOREIGN = 0x40000000  # calls of the x32 interface are numbered from here

_PR_SET_SECCOMP, _PR_SET_NO_NEW_PRIVS, _SECCOMP_MODE_FILTER = 22, 38, 2
_LOAD, _EQUAL, _AT_LEAST, _RETURN = 0x20, 0x15, 0x35, 0x06
_ALLOW, _ERRNO = 0x7FFF0000, 0x00050000
_NUMBER_AT, _MACHINE_AT, _FIRST_ARGUMENT_AT = 0, 4, 16


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_char_p))


def restrict() -> bool:
    """Hold this process and all that it forks to the calls that are allowed; say whether the kernel does."""
    machine = _SOCKET.get(os.uname().machine)
    if machine is None:
        return False
    audit, making = machine
    # A jump counts the instructions that it passes over: if true, if false.
    last = len(_FAMILIES) - 1
    program = [
        (_LOAD, 0, 0, _MACHINE_AT),
        (_EQUAL, 1, 0, audit),
        (_RETURN, 0, 0, _ERRNO | errno.EPERM),
        (_LOAD, 0, 0, _NUMBER_AT),
        (_AT_LEAST, 1, 0, _FOREIGN),
        (_EQUAL, 0, 1, _IO_URING_SETUP),
        (_RETURN, 0, 0, _ERRNO | errno.EPERM),
        (_EQUAL, 0, len(_FAMILIES) + 2, making),
        (_LOAD, 0, 0, _FIRST_ARGUMENT_AT),
        *((_EQUAL, last - each + 1, 0, family) for each, family in enumerate(_FAMILIES)),
        (_RETURN, 0, 0, _ERRNO | errno.EAFNOSUPPORT),
        (_RETURN, 0, 0, _ALLOW),
    ]
    packed = b"".join(struct.pack("=HBBI", *instruction) for instruction in program)
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0:
        return False
    told = _Program(len(program), packed)
    return bool(libc.prctl(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, ctypes.byref(told), 0, 0) == 0)
