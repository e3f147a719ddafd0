"""The syscall filter of a sandboxed command, assembled by hand as classic BPF.

What a build, a test or a shell needs stays; what reaches into other processes, mounts, namespaces, the
kernel's keys or rarely used parts of the kernel answers EPERM. A foreign machine's calls kill the process.
"""

from __future__ import annotations

import errno
import struct
from functools import cache

from execpolicy.values import frozen

_LD, _AND, _JEQ, _JGE, _JSET, _RET = 0x20, 0x54, 0x15, 0x35, 0x45, 0x06
_ALLOW, _KILL, _ERRNO = 0x7FFF0000, 0x80000000, 0x00050000
_NR, _ARCH = 0, 4

_AF_UNIX, _AF_INET, _AF_INET6, _AF_NETLINK = 1, 2, 10, 16
_SOCK_STREAM, _SOCK_DGRAM = 1, 2
_PROTOCOLS = (0, 1, 6, 17, 58, 262)  # any, ICMP, TCP, UDP, ICMPv6, MPTCP
_NEW_NAMESPACE = 0x7E020000  # CLONE_NEW{NS,CGROUP,UTS,IPC,USER,PID,NET}
_NEW_TIME = 0x80
_SET_USER_ID = 0o4000  # set-group-id stays: on folders it is harmless and copied by every copy tool
_CREATES = 0o100 | 0o20000000  # O_CREAT, __O_TMPFILE
_TERMINAL_INJECTION = (0x5412, 0x541C, 0x541D)  # TIOCSTI, TIOCLINUX, TIOCCONS
_PERSONALITIES = (0, 0x8, 0x20000, 0x20008, 0x40000, 0xFFFFFFFF)  # Linux, 32 bit, UNAME26, no ASLR, ask

# name: (number on x86_64, number on aarch64); None: the machine has no such call
_REFUSED: dict[str, tuple[int | None, int | None]] = {
    # other processes
    "ptrace": (101, 117),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "process_madvise": (440, 440),
    "kcmp": (312, 272),
    "pidfd_getfd": (438, 438),
    "migrate_pages": (256, 238),
    "move_pages": (279, 239),
    # mounts and namespaces
    "mount": (165, 40),
    "umount2": (166, 39),
    "pivot_root": (155, 41),
    "chroot": (161, 51),
    "open_tree": (428, 428),
    "move_mount": (429, 429),
    "fsopen": (430, 430),
    "fsconfig": (431, 431),
    "fsmount": (432, 432),
    "fspick": (433, 433),
    "mount_setattr": (442, 442),
    "open_tree_attr": (467, 467),
    "setns": (308, 268),
    "open_by_handle_at": (304, 265),
    "fanotify_init": (300, 262),
    "quotactl": (179, 60),
    "quotactl_fd": (443, 443),
    "swapon": (167, 224),
    "swapoff": (168, 225),
    # keys, and parts of the kernel with a long list of holes
    "add_key": (248, 217),
    "request_key": (249, 218),
    "keyctl": (250, 219),
    "bpf": (321, 280),
    "perf_event_open": (298, 241),
    "userfaultfd": (323, 282),
    "io_uring_setup": (425, 425),
    "io_uring_enter": (426, 426),
    "io_uring_register": (427, 427),
    "modify_ldt": (154, None),
    "uselib": (134, None),
    "nfsservctl": (180, 42),
    "lookup_dcookie": (212, 18),
    # the machine itself
    "reboot": (169, 142),
    "kexec_load": (246, 104),
    "kexec_file_load": (320, 294),
    "init_module": (175, 105),
    "finit_module": (313, 273),
    "delete_module": (176, 106),
    "acct": (163, 89),
    "syslog": (103, 116),
    "vhangup": (153, 58),
    "sethostname": (170, 161),
    "setdomainname": (171, 162),
    "settimeofday": (164, 170),
    "clock_settime": (227, 112),
    "adjtimex": (159, 171),
    "clock_adjtime": (305, 266),
    "iopl": (172, None),
    "ioperm": (173, None),
}

# Of the machine, where no namespace gives a command its own: refused only then.
_SHARED: dict[str, tuple[int, int]] = {
    "shmget": (29, 194),
    "shmat": (30, 196),
    "semget": (64, 190),
    "msgget": (68, 186),
    "mq_open": (240, 180),
    "mq_unlink": (241, 181),
}
# May be asked of the caller itself only: zero at this place.
_OF_OTHERS: dict[str, tuple[tuple[int, int], int]] = {
    "setpriority": ((141, 140), 1),
    "prlimit64": ((302, 261), 0),
    "sched_setaffinity": ((203, 122), 0),
    "sched_setparam": ((142, 118), 0),
    "sched_setscheduler": ((144, 119), 0),
    "ioprio_set": ((251, 30), 1),
}


@frozen
class Machine:
    """What differs between machines: the audit word and the numbers of the calls looked into."""

    audit: int
    column: int
    other_numbers: int | None  # from here on: another calling convention of the same machine
    socket: int
    socketpair: int
    clone: int
    clone3: int
    unshare: int
    ioctl: int
    personality: int
    openat2: int
    modes: tuple[tuple[int, int], ...]  # calls that set a mode, and the place of the mode
    opens: tuple[tuple[int, int], ...]  # calls that may create, and the place of the flags before the mode


MACHINES = {
    "x86_64": Machine(
        audit=0xC000003E,
        column=0,
        other_numbers=0x40000000,
        socket=41,
        socketpair=53,
        clone=56,
        clone3=435,
        unshare=272,
        ioctl=16,
        personality=135,
        openat2=437,
        modes=((90, 1), (91, 1), (268, 2), (452, 2), (133, 1), (259, 2), (85, 1)),
        opens=((2, 1), (257, 2)),
    ),
    "aarch64": Machine(
        audit=0xC00000B7,
        column=1,
        other_numbers=None,
        socket=198,
        socketpair=199,
        clone=220,
        clone3=435,
        unshare=97,
        ioctl=29,
        personality=92,
        openat2=437,
        modes=((52, 1), (53, 2), (452, 2), (33, 2)),
        opens=((56, 2),),
    ),
}


def _ins(code: int, k: int, jt: int = 0, jf: int = 0) -> bytes:
    return struct.pack("=HBBI", code, jt, jf, k)


def _arg(place: int) -> bytes:
    # The kernel reads these arguments as 32 bit values: the high half must not decide.
    return _ins(_LD, 16 + 8 * place)


_DENY = _ins(_RET, _ERRNO | errno.EPERM)
_MISSING = _ins(_RET, _ERRNO | errno.ENOSYS)
_PASS = _ins(_RET, _ALLOW)


def _for_call(number: int, body: list[bytes]) -> list[bytes]:
    """`body` for one call; it must end in a return."""
    return [_ins(_JEQ, number, 0, len(body)), *body]


def _one_of(values: tuple[int, ...], yes: bytes, no: bytes) -> list[bytes]:
    """Compare what is loaded: `yes` when it is one of `values`, else `no`."""
    tests = [_ins(_JEQ, value, len(values) - place, 0) for place, value in enumerate(values)]
    return [*tests, no, yes]


def _has_bits(bits: int) -> list[bytes]:
    """Refuse when what is loaded has one of `bits`."""
    return [_ins(_JSET, bits, 0, 1), _DENY, _PASS]


def _socket() -> list[bytes]:
    """IP streams and datagrams, and asking the kernel about routes. No Unix sockets: a path is enough to
    reach a daemon outside, and a filter cannot see the path."""
    protocol = [_arg(2), *_one_of(_PROTOCOLS, _PASS, _DENY)]
    kind = [_arg(1), _ins(_AND, 0xF), _ins(_JEQ, _SOCK_STREAM, 2, 0), _ins(_JEQ, _SOCK_DGRAM, 1, 0), _DENY]
    route = [_arg(2), _ins(_JEQ, 0, 0, 1), _PASS, _DENY]
    return [
        _arg(0),
        _ins(_JEQ, _AF_INET, 3 + len(route), 0),
        _ins(_JEQ, _AF_INET6, 2 + len(route), 0),
        _ins(_JEQ, _AF_NETLINK, 1, 0),
        _DENY,
        *route,
        *kind,
        *protocol,
    ]


@cache
def program(machine: str, *, alone: bool = False, internet: bool = True) -> bytes | None:
    """The filter for `machine` (as `platform.machine()` names it), or None where none is written.

    `alone`: no namespace stands beside it, so it also refuses what of the machine they would keep away;
    without `internet` then every socket but a pair.
    """
    m = MACHINES.get(machine)
    if m is None:
        return None
    code = [_ins(_LD, _ARCH), _ins(_JEQ, m.audit, 1, 0), _ins(_RET, _KILL), _ins(_LD, _NR)]
    if m.other_numbers is not None:
        code += [_ins(_JGE, m.other_numbers, 0, 1), _MISSING]
    for numbers in _REFUSED.values():
        number = numbers[m.column]
        if number is not None:
            code += _for_call(number, [_DENY])
    # clone3 and openat2 keep their flags in memory, where no filter can see them: programs fall back.
    code += _for_call(m.clone3, [_MISSING]) + _for_call(m.openat2, [_MISSING])
    code += _for_call(m.clone, [_arg(0), *_has_bits(_NEW_NAMESPACE)])
    code += _for_call(m.unshare, [_arg(0), *_has_bits(_NEW_NAMESPACE | _NEW_TIME)])
    if alone:
        for numbers in _SHARED.values():
            code += _for_call(numbers[m.column], [_DENY])
        for numbers, place in _OF_OTHERS.values():
            code += _for_call(numbers[m.column], [_arg(place), *_one_of((0,), _PASS, _DENY)])
    code += _for_call(m.socket, [_DENY] if alone and not internet else _socket())
    code += _for_call(m.socketpair, [_arg(0), *_one_of((_AF_UNIX,), _PASS, _DENY)])
    code += _for_call(m.ioctl, [_arg(1), *_one_of(_TERMINAL_INJECTION, _DENY, _PASS)])
    code += _for_call(m.personality, [_arg(0), *_one_of(_PERSONALITIES, _PASS, _DENY)])
    for number, place in m.modes:
        code += _for_call(number, [_arg(place), *_has_bits(_SET_USER_ID)])
    for number, place in m.opens:
        code += _for_call(
            number,
            [_arg(place), _ins(_JSET, _CREATES, 1, 0), _PASS, _arg(place + 1), *_has_bits(_SET_USER_ID)],
        )
    code.append(_PASS)
    return b"".join(code)
