"""The system calls that no process of a sandbox may make, refused by the kernel itself (seccomp).

Each of them reaches something that the sandbox's walls leave open:

- sockets but those of IP, Unix and netlink: one of AF_VSOCK reaches the host of a virtual machine from anywhere in it;
- io_uring, which makes sockets that no filter sees;
- the kernel's keys: the session that Cataloger itself runs in may hold some;
- memory, queues and semaphores of System V, which stay when their process is gone and count against the sandbox;
- limits and priorities of other processes: the supervisor and the kit's own would lose theirs to a cell.

What else may be called is Docker's or bubblewrap's business.

Sources: seccomp(2), bpf(4), the kernel's audit.h, filter.h, seccomp.h, and its tables of system calls.
"""

import ctypes
import errno
import os
import socket
import struct
from dataclasses import dataclass


@dataclass(frozen=True)
class _Machine:
    """Numbers of one kind of machine: its own in an audit record, those of its system calls.

    Attributes:
        never: calls that are refused.
        own: calls that are let through where the arguments at these places are 0, the caller's own.
    """

    audit: int
    socket: int
    never: tuple[int, ...]
    own: dict[int, tuple[int, ...]]


_IO_URING_SETUP = 425
_MACHINES = {
    "x86_64": _Machine(
        audit=0xC000003E,
        socket=41,
        # shmget, semget, msgget, add_key, request_key, keyctl, ioprio_set
        never=(_IO_URING_SETUP, 29, 64, 68, 248, 249, 250, 251),
        # setpriority, sched_setparam, sched_setscheduler, sched_setaffinity, prlimit64, sched_setattr
        own={141: (0, 1), 142: (0,), 144: (0,), 203: (0,), 302: (0,), 314: (0,)},
    ),
    "aarch64": _Machine(
        audit=0xC00000B7,
        socket=198,
        never=(_IO_URING_SETUP, 194, 190, 186, 217, 218, 219, 30),
        own={140: (0, 1), 118: (0,), 119: (0,), 122: (0,), 261: (0,), 274: (0,)},
    ),
}

_FAMILIES = (socket.AF_UNIX, socket.AF_INET, socket.AF_INET6, socket.AF_NETLINK)
_FOREIGN = 0x40000000  # calls of the x32 interface are numbered from here

_PR_SET_SECCOMP, _PR_SET_NO_NEW_PRIVS, _SECCOMP_MODE_FILTER = 22, 38, 2
_LOAD, _EQUAL, _AT_LEAST, _RETURN = 0x20, 0x15, 0x35, 0x06
_ALLOW, _ERRNO = 0x7FFF0000, 0x00050000
_NUMBER_AT, _MACHINE_AT, _ARGUMENTS_AT = 0, 4, 16
_REFUSE = (_RETURN, 0, 0, _ERRNO | errno.EPERM)

_Instruction = tuple[int, int, int, int]


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_char_p))


def restrict() -> bool:
    """Hold this process and all that it forks to the calls that are allowed; say whether the kernel does."""
    machine = _MACHINES.get(os.uname().machine)
    if machine is None:
        return False
    program = _filter(machine)
    packed = b"".join(struct.pack("=HBBI", *instruction) for instruction in program)
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0:
        return False
    told = _Program(len(program), packed)
    return bool(libc.prctl(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, ctypes.byref(told), 0, 0) == 0)


def _filter(machine: _Machine) -> list[_Instruction]:
    # A jump counts the instructions that it passes over: if true, if false.
    program: list[_Instruction] = [
        (_LOAD, 0, 0, _MACHINE_AT),
        (_EQUAL, 1, 0, machine.audit),
        _REFUSE,
        (_LOAD, 0, 0, _NUMBER_AT),
        (_AT_LEAST, 0, 1, _FOREIGN),
        _REFUSE,
    ]
    for call in machine.never:
        program += [(_EQUAL, 0, 1, call), _REFUSE]
    for call, arguments in machine.own.items():
        looks = [each for place in arguments for each in (_argument(place), (_EQUAL, 1, 0, 0), _REFUSE)]
        program += [(_EQUAL, 0, len(looks) + 1, call), *looks, (_RETURN, 0, 0, _ALLOW)]
    last = len(_FAMILIES) - 1
    return [
        *program,
        (_EQUAL, 0, len(_FAMILIES) + 2, machine.socket),
        _argument(0),
        *((_EQUAL, last - each + 1, 0, family) for each, family in enumerate(_FAMILIES)),
        (_RETURN, 0, 0, _ERRNO | errno.EAFNOSUPPORT),
        (_RETURN, 0, 0, _ALLOW),
    ]


def _argument(place: int) -> _Instruction:
    """Return the loading of a call's argument: of its lower half, as the kernel takes numbers of this kind."""
    return (_LOAD, 0, 0, _ARGUMENTS_AT + 8 * place)
