"""Escapes through processes, namespaces, rarely used system calls, the network and what is inherited."""

# ruff: noqa: E501 - a probe is one line

from __future__ import annotations

import os
import platform
import socket
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from conftest import World


@dataclass(frozen=True)
class Probe:
    """Exit status 0 is an escape."""

    id: str
    code: str
    root: bool = False  # only root gets through without a sandbox, and not on every machine


PROCESSES = [
    Probe("signal", 'kill -0 "$VICTIM"'),
    Probe("environment", 'grep -q VICTIM_SECRET "/proc/$VICTIM/environ"'),
    Probe("command-line", 'cat "/proc/$VICTIM/cmdline"'),
    Probe("descriptors", 'ls "/proc/$VICTIM/fd"'),
    Probe("root-link", 'ls "/proc/$VICTIM/root/"', root=True),
    Probe("memory", '#py\nos.open("/proc/%s/mem" % os.environ["VICTIM"], os.O_RDONLY)', root=True),
    Probe("oom-score", 'echo 1000 > "/proc/$VICTIM/oom_score_adj"'),
    Probe("priority", 'renice -n 5 "$VICTIM"'),
    Probe("limits", 'prlimit --pid "$VICTIM" --core=0:0'),
    Probe("pidfd", '#py\nos.pidfd_open(int(os.environ["VICTIM"]))'),
    Probe("trace-me", '#py\nworks(sc(101, 117, 0, 0, 0, 0))'),
    Probe("trace-child", '#py\np = os.fork()\np or signal.pause()\ne = sc(101, 117, 16, p, 0, 0)\nos.kill(p, 9)\nworks(e)'),
    Probe("trace-outside", '#py\nreached(sc(101, 117, 16, int(os.environ["VICTIM"]), 0, 0) if os.path.exists("/proc/" + os.environ["VICTIM"]) else 1)', root=True),
    Probe("read-memory", '#py\nreached(sc(310, 270, os.getpid(), 0, 0, 0, 0, 0))'),
    Probe("write-memory", '#py\nreached(sc(311, 271, os.getpid(), 0, 0, 0, 0, 0))'),
    Probe("take-descriptor", '#py\nreached(sc(438, 438, os.pidfd_open(os.getpid()), 0, 0))'),
    Probe("compare", '#py\nreached(sc(312, 272, os.getpid(), os.getpid(), 0, 0, 0))'),
    Probe("every-process", 'test "$(ls -d /proc/[0-9]* | wc -l)" -gt 12', root=True),
    Probe("gain-privileges", "grep -q 'NoNewPrivs:.*0' /proc/self/status"),
    Probe("capabilities", "! grep -qE 'CapBnd:.*0000000000000000' /proc/self/status"),
    Probe("secret-variable", 'test -n "$MY_API_KEY"'),
    Probe("parent-environment", 'grep -qz MY_API_KEY "/proc/$PPID/environ" /proc/self/environ'),
]  # fmt: skip

KERNEL = [
    Probe("kernel-setting", 'v=$(cat /proc/sys/vm/swappiness) && echo "$v" > /proc/sys/vm/swappiness', root=True),
    Probe("core-pattern", 'v=$(cat /proc/sys/kernel/core_pattern) && echo "$v" > /proc/sys/kernel/core_pattern', root=True),
    Probe("pid-max", 'v=$(cat /proc/sys/kernel/pid_max) && echo "$v" > /proc/sys/kernel/pid_max', root=True),
    Probe("sysrq", "exec 3> /proc/sysrq-trigger", root=True),
    Probe("interrupts", 'f=/proc/irq/default_smp_affinity; v=$(cat $f) && echo "$v" > $f', root=True),
    Probe("pressure-trigger", "exec 3>> /proc/pressure/cpu", root=True),
    Probe("sysfs", 'f=/sys/kernel/mm/transparent_hugepage/enabled; test -w $f && echo madvise > /dev/null && exec 3>> $f', root=True),
    Probe("control-group", "mkdir /sys/fs/cgroup/agent-probe && rmdir /sys/fs/cgroup/agent-probe", root=True),
    Probe("mount-memory", 'mkdir m && mount -t tmpfs x m && { umount m; true; }', root=True),
    Probe("mount-bind", 'mount --bind "$W" "$O/folder" && { umount "$O/folder"; true; }', root=True),
    Probe("mount-call", '#py\nreached(sc(165, 40, 0, 0, 0, 0, 0))', root=True),
    Probe("remount-writable", '#py\nworks(0 if sc(165, 40, 0, O.encode(), 0, 0x1020, 0) == 0 or not os.statvfs(O).f_flag & 1 else 1)'),
    Probe("unmount-guard", '#py\nreached(sc(166, 39, 0, 2))', root=True),
    Probe("user-namespace", "unshare -U true"),
    Probe("user-and-mount-namespace", "unshare -Urm true"),
    Probe("net-namespace", "unshare -Un true"),
    Probe("clone-namespace", '#py\ne = sc(56, 220, 0x10000000 | 17, 0, 0, 0, 0)\nworks(e)'),
    Probe("clone3-namespace", '#py\nb = ctypes.create_string_buffer(struct.pack("8Q", 0x10000000, 0, 0, 0, 17, 0, 0, 0))\nworks(sc(435, 435, b, 64))'),
    Probe("nested-bubblewrap", "bwrap --ro-bind / / true"),
    Probe("enter-namespace", '#py\nf = os.open("/proc/self/ns/mnt", os.O_RDONLY)\nreached(sc(308, 268, f, 0x40000000))', root=True),
    Probe("change-root", '#py\nos.chroot(W)', root=True),
    Probe("pivot-root", '#py\nreached(sc(155, 41, 0, 0))', root=True),
    Probe("new-mount-api", '#py\nreached(sc(430, 430, 0, 0))', root=True),
    Probe("open-tree", '#py\nworks(sc(428, 428, -100, b"/", 0))'),
    Probe("mount-attributes", '#py\nreached(sc(442, 442, -100, b"/", 0, 0, 0))'),
    Probe("open-by-handle", '#py\nreached(sc(304, 265, -100, 0, 0))', root=True),
    Probe("fanotify", '#py\nreached(sc(300, 262, 0, 0))', root=True),
    Probe("add-key", '#py\nreached(sc(248, 217, b"user", b"probe", b"x", 1, -3 & 0xFFFFFFFF))'),
    Probe("read-keys", '#py\nreached(sc(250, 219, 0, -3 & 0xFFFFFFFF, 1))'),
    Probe("request-key", '#py\nreached(sc(249, 218, b"user", b"probe", 0, 0))'),
    Probe("io-uring", '#py\nb = ctypes.create_string_buffer(128)\nworks(sc(425, 425, 1, b))'),
    Probe("io-uring-enter", '#py\nreached(sc(426, 426, 0, 0, 0, 0, 0, 0))'),
    Probe("bpf", '#py\nreached(sc(321, 280, 0, 0, 0))', root=True),
    Probe("user-faults", '#py\nworks(sc(323, 282, 1))'),
    Probe("performance-events", '#py\nreached(sc(298, 241, 0, 0, 0, 0, 0))'),
    Probe("executable-data", '#py\nworks(sc(135, 92, 0x0400000))'),
    Probe("host-name", '#py\nsocket.sethostname(socket.gethostname())', root=True),
    Probe("load-module", '#py\nreached(sc(175, 105, 0, 0, 0))', root=True),
    Probe("load-kernel", '#py\nreached(sc(246, 104, 0, 17, 0, 0))', root=True),
    Probe("reboot", '#py\nreached(sc(169, 142, 0, 0, 0, 0))', root=True),
    Probe("clock", '#py\nreached(sc(227, 112, 0, 0))', root=True),
    Probe("kernel-log", '#py\nworks(sc(103, 116, 10, 0, 0) if True else 0)', root=True),
    Probe("swap", '#py\nreached(sc(167, 224, 0, 0))', root=True),
    Probe("quota", '#py\nreached(sc(179, 60, 0x80000100, 0, 0, 0))', root=True),
    Probe("migrate-pages", '#py\nreached(sc(256, 238, 0, 0, 0, 0))'),
    Probe("terminal-injection", '#py\nimport pty\np, m = pty.fork()\nif not p:\n    try: fcntl.ioctl(0, 0x5412, b"x")\n    except OSError: os._exit(1)\n    os._exit(0)\nsys.exit(os.waitpid(p, 0)[1] != 0)', root=True),
]  # fmt: skip

NETWORK = [
    Probe("tcp", '#py\nsocket.create_connection(("127.0.0.1", int(os.environ["PORT"])), 3)'),
    Probe("tcp6", '#py\nsocket.create_connection(("::1", int(os.environ["PORT6"])), 3)'),
    Probe("tcp-mapped-address", '#py\nsocket.create_connection(("::ffff:127.0.0.1", int(os.environ["PORT"])), 3)'),
    Probe("tcp-any-address", '#py\nsocket.create_connection(("0.0.0.0", int(os.environ["PORT"])), 3)'),
    Probe("bash-tcp", 'exec 3<> "/dev/tcp/127.0.0.1/$PORT"'),
    Probe("udp", '#py\ns = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\ns.settimeout(1)\ns.sendto(b"x", ("127.0.0.1", int(os.environ["UDP"])))\ns.recv(1)'),
    Probe("dns-question", '#py\ns = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\ns.settimeout(1)\ns.connect(("127.0.0.1", int(os.environ["UDP"])))\ns.send(b"\\x12\\x34\\x01\\x00\\x00\\x01" + bytes(6) + b"\\x07example\\x03com\\x00\\x00\\x01\\x00\\x01")\ns.recv(512)'),
    Probe("fast-open", '#py\ns = socket.socket()\ns.sendto(b"x", 0x20000000, ("127.0.0.1", int(os.environ["PORT"])))'),
    Probe("abstract-socket", '#py\nsocket.socket(socket.AF_UNIX).connect("\\0" + os.environ["ABSTRACT"])'),
    Probe("socket-by-path", '#py\nsocket.socket(socket.AF_UNIX).connect(os.environ["TMPSOCK"])'),
    Probe("socket-by-proc-path", '#py\nsocket.socket(socket.AF_UNIX).connect("/proc/self/root" + os.environ["TMPSOCK"])'),
    Probe("unix-datagram", '#py\nsocket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)'),
    Probe("raw-socket", '#py\nsocket.socket(socket.AF_INET, socket.SOCK_RAW, 1)', root=True),
    Probe("packet-socket", '#py\nsocket.socket(17, socket.SOCK_RAW, 3)', root=True),
    Probe("kernel-crypto", '#py\nsocket.socket(38, socket.SOCK_SEQPACKET)', root=True),
    Probe("virtual-machine-socket", '#py\nsocket.socket(40, socket.SOCK_STREAM)', root=True),
    Probe("netlink-diagnosis", '#py\nsocket.socket(16, socket.SOCK_RAW, 4)'),
    Probe("netlink-events", '#py\nsocket.socket(16, socket.SOCK_RAW, 15)'),
    Probe("netlink-audit", '#py\nsocket.socket(16, socket.SOCK_RAW, 9)', root=True),
    Probe("other-interfaces", '#py\nsys.exit(len(socket.if_nameindex()) < 2)', root=True),
    Probe("route", '#py\nsys.exit(len(open("/proc/net/route").readlines()) < 2)', root=True),
]  # fmt: skip


@pytest.mark.parametrize("probe", PROCESSES, ids=lambda probe: probe.id)
def test_no_other_process(refuses: Callable[..., None], world: World, twin: World, probe: Probe) -> None:
    refuses(world, twin, probe.code, root=probe.root)


@pytest.mark.parametrize("probe", KERNEL, ids=lambda probe: probe.id)
def test_no_kernel(refuses: Callable[..., None], world: World, twin: World, probe: Probe) -> None:
    refuses(world, twin, probe.code, root=probe.root)


@pytest.mark.parametrize("probe", NETWORK, ids=lambda probe: probe.id)
def test_no_network(refuses: Callable[..., None], world: World, twin: World, probe: Probe) -> None:
    refuses(world, twin, probe.code, root=probe.root)


def test_calls_of_another_machine_kill(world: World, twin: World) -> None:
    if platform.machine() != "x86_64":
        pytest.skip("only x86-64 has a second calling convention in the same process")
    # mov eax, 20 (getpid of i386); int 0x80; ret
    code = (
        '#py\nm = mmap.mmap(-1, 4096, prot=7)\nm.write(b"\\xb8\\x14\\x00\\x00\\x00\\xcd\\x80\\xc3")\n'
        "a = ctypes.addressof(ctypes.c_char.from_buffer(m))\n"
        "sys.exit(ctypes.CFUNCTYPE(ctypes.c_int)(a)() <= 0)"
    )
    if twin.bare(code) != 0:
        pytest.skip("this kernel has no 32 bit calls")
    assert world.confined(code).exit_code == 128 + 31  # SIGSYS


def test_nothing_is_inherited(world: World) -> None:
    """A file, a folder and a connection left open and inheritable are not there in the child."""
    file = os.open(world.outside / "file", os.O_RDWR)
    folder = os.open(world.outside, os.O_RDONLY)
    left, right = socket.socketpair()
    for descriptor in (file, folder, left.fileno()):
        os.set_inheritable(descriptor, True)
    code = """#py
listed = os.listdir('/proc/self/fd')  # and one more, for the listing itself
sys.exit(not [f for f in listed if int(f) > 2 and os.path.exists(f'/proc/self/fd/{f}')])
"""
    try:
        assert world.bare(code) == 0
        assert world.confined(code).exit_code == 1
    finally:
        os.close(file)
        os.close(folder)
        left.close()
        right.close()


def test_what_daemonised_dies(world: World) -> None:
    marker = f"{os.getpid()}.{time.time_ns() % 10**6}"
    seen = world.confined(
        f"(setsid nohup sleep 300.{marker} > /dev/null 2>&1 &); (setsid sleep 300.{marker} &)"
    )
    assert seen.exit_code == 0
    assert seen.seconds < 5
    for _ in range(100):
        found = subprocess.run(
            ["pgrep", "-f", f"sleep 300.{marker}"], capture_output=True, check=False
        ).stdout
        if not found:
            return
        time.sleep(0.02)
    pytest.fail(f"still running: {found!r}")


def test_time_out_ends_all(world: World) -> None:
    marker = f"{os.getpid()}.{time.time_ns() % 10**6}"
    code = f"trap '' TERM HUP; (setsid sleep 301.{marker} &); while :; do sleep 301.{marker}; done"
    seen = world.confined(code, timeout=0.5)
    assert seen.timed_out
    assert seen.seconds < 4
    time.sleep(0.1)
    assert not subprocess.run(["pgrep", "-f", f"sleep 301.{marker}"], capture_output=True, check=False).stdout


def test_read_only_changes_nothing(world: World) -> None:
    from execpolicy.decision import SandboxMode

    world.mode = SandboxMode.READ_ONLY
    for place in ("$W/new", "/tmp/agent-probe-new", "/var/tmp/agent-probe-new", "$HOME/new"):
        assert world.confined(f'echo x > "{place}"').exit_code != 0, place
    assert world.confined('f=$(mktemp) && echo x > "$f" && cat "$f"').exit_code == 0
    assert not Path("/tmp/agent-probe-new").exists()
