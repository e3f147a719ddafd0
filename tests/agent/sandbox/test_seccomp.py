"""The filter programs, run by a small machine of the same kind as the kernel's."""

from __future__ import annotations

import errno
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.sandbox.seccomp import MACHINES, program

ALLOW, KILL = 0x7FFF0000, 0x80000000
EPERM, ENOSYS = 0x00050000 | errno.EPERM, 0x00050000 | errno.ENOSYS
AUDIT = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}


def execute(code: bytes, arch: int, number: int, args: tuple[int, ...] = ()) -> int:
    """Classic BPF over one `struct seccomp_data`; only what the filters use."""
    data = struct.pack("=IIQ6Q", number, arch, 0, *(list(args) + [0] * 6)[:6])
    program_ = [struct.unpack_from("=HBBI", code, at) for at in range(0, len(code), 8)]
    at, acc = 0, 0
    while True:
        op, jt, jf, k = program_[at]
        at += 1
        match op:
            case 0x20:
                (acc,) = struct.unpack_from("=I", data, k)
            case 0x54:
                acc &= k
            case 0x15:
                at += jt if acc == k else jf
            case 0x35:
                at += jt if acc >= k else jf
            case 0x45:
                at += jt if acc & k else jf
            case 0x06:
                return k
            case _:
                raise AssertionError(f"no such instruction {op:#x}")


# (name, x86_64, aarch64, arguments, action)
ROWS = [
    ("read", 0, 63, (0,), ALLOW),
    ("execve", 59, 221, (), ALLOW),
    ("ptrace", 101, 117, (), EPERM),
    ("keyctl", 250, 219, (), EPERM),
    ("io_uring_setup", 425, 425, (), EPERM),
    ("mount", 165, 40, (), EPERM),
    ("setns", 308, 268, (), EPERM),
    ("bpf", 321, 280, (), EPERM),
    ("clone3", 435, 435, (), ENOSYS),
    ("openat2", 437, 437, (), ENOSYS),
    ("clone-thread", 56, 220, (0x3D0F00,), ALLOW),
    ("clone-fork", 56, 220, (0x1200011,), ALLOW),
    ("clone-user", 56, 220, (0x10000011,), EPERM),
    ("clone-net", 56, 220, (0x40000011,), EPERM),
    ("clone-mount", 56, 220, (0x20011,), EPERM),
    ("clone-flags-above-32-bits-do-not-hide", 56, 220, (0xFFFFFFFF10000011,), EPERM),
    ("unshare-files", 272, 97, (0x400,), ALLOW),
    ("unshare-user", 272, 97, (0x10000000,), EPERM),
    ("unshare-time", 272, 97, (0x80,), EPERM),
    ("socket-tcp", 41, 198, (2, 1 | 0x80000, 6), ALLOW),
    ("socket-udp6", 41, 198, (10, 2 | 0x800, 0), ALLOW),
    ("socket-mptcp", 41, 198, (2, 1, 262), ALLOW),
    ("socket-raw", 41, 198, (2, 3, 1), EPERM),
    ("socket-sctp", 41, 198, (2, 1, 132), EPERM),
    ("socket-unix", 41, 198, (1, 1, 0), EPERM),
    ("socket-unix-with-high-bits", 41, 198, (0xFFFFFFFF00000001, 1, 0), EPERM),
    ("socket-route", 41, 198, (16, 3, 0), ALLOW),
    ("socket-netlink-events", 41, 198, (16, 3, 15), EPERM),
    ("socket-packet", 41, 198, (17, 3, 3), EPERM),
    ("socket-crypto", 41, 198, (38, 5, 0), EPERM),
    ("socket-vm", 41, 198, (40, 1, 0), EPERM),
    ("socketpair-unix", 53, 199, (1, 1, 0), ALLOW),
    ("socketpair-tipc", 53, 199, (30, 1, 0), EPERM),
    ("ioctl-window-size", 16, 29, (0, 0x5413), ALLOW),
    ("ioctl-push-back", 16, 29, (0, 0x5412), EPERM),
    ("ioctl-push-back-with-high-bits", 16, 29, (0, 0xFF00005412), EPERM),
    ("ioctl-console-paste", 16, 29, (0, 0x541C), EPERM),
    ("personality-ask", 135, 92, (0xFFFFFFFF,), ALLOW),
    ("personality-executable", 135, 92, (0x400000,), EPERM),
    ("fchmod", 91, 52, (3, 0o755), ALLOW),
    ("fchmod-user-id", 91, 52, (3, 0o4755), EPERM),
    ("fchmodat2-user-id", 452, 452, (-100 & 0xFFFFFFFF, 0, 0o6755), EPERM),
    ("mknodat-user-id", 259, 33, (-100 & 0xFFFFFFFF, 0, 0o104755), EPERM),
    ("openat-create", 257, 56, (-100 & 0xFFFFFFFF, 0, 0o101, 0o644), ALLOW),
    ("openat-create-user-id", 257, 56, (-100 & 0xFFFFFFFF, 0, 0o101, 0o4755), EPERM),
    ("openat-unnamed-user-id", 257, 56, (-100 & 0xFFFFFFFF, 0, 0o20200002, 0o4755), EPERM),
    ("openat-read-with-left-over-mode", 257, 56, (-100 & 0xFFFFFFFF, 0, 0, 0o4755), ALLOW),
]


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0])
def test_call(machine: str, row: tuple[str, int, int, tuple[int, ...], int]) -> None:
    _, x86, arm, args, want = row
    code = program(machine)
    assert code is not None
    assert execute(code, AUDIT[machine], x86 if machine == "x86_64" else arm, args) == want


@pytest.mark.parametrize(
    ("number", "want"), [(0x40000000, ENOSYS), (0x40000000 | 41, ENOSYS), (0xFFFFFFFF, ENOSYS)]
)
def test_x32_is_not_there(number: int, want: int) -> None:
    code = program("x86_64")
    assert code is not None
    assert execute(code, AUDIT["x86_64"], number) == want


@given(st.sampled_from(sorted(MACHINES)), st.integers(0, 2**32 - 1), st.integers(0, 600))
def test_a_foreign_machine_is_killed(machine: str, arch: int, number: int) -> None:
    code = program(machine)
    assert code is not None
    if arch != AUDIT[machine]:
        assert execute(code, arch, number) == KILL


@given(
    st.sampled_from(sorted(MACHINES)),
    st.integers(0, 2**32 - 1),
    st.lists(st.integers(0, 2**64 - 1), max_size=6),
)
def test_every_call_ends_in_a_known_action(machine: str, number: int, args: list[int]) -> None:
    code = program(machine)
    assert code is not None
    assert execute(code, AUDIT[machine], number, tuple(args)) in (ALLOW, EPERM, ENOSYS)


def test_an_unknown_machine_has_no_filter() -> None:
    assert program("riscv64") is None


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
def test_the_kernel_takes_it(machine: str) -> None:
    code = program(machine)
    assert code is not None
    assert len(code) % 8 == 0
    assert len(code) // 8 < 4096
