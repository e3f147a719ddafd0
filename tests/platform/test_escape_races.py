"""More escapes: races of links, links through /proc, repositories and rules by every name, daemons, devices, leftovers."""

# ruff: noqa: E501 - a probe is one line

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
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


RACES = [
    Probe("link-swapped-while-written", '#py\nimport threading, time\nopen(W + "/a", "w").close()\nos.symlink(O + "/file", W + "/b")\nstop = time.time() + 0.4\ndef swap():\n    while time.time() < stop: sc(316, 276, -100, (W + "/a").encode(), -100, (W + "/b").encode(), 2)\nthreading.Thread(target=swap).start()\nok = 1\nwhile time.time() < stop:\n    try:\n        with open(W + "/a", "a") as f: f.write("x")\n    except OSError: pass\n    if os.path.getsize(O + "/file") != 8: ok = 0\nsys.exit(ok)'),
    Probe("folder-swapped-for-a-link", '#py\nimport threading, time\nos.mkdir(W + "/d")\nos.symlink(O, W + "/l")\nstop = time.time() + 0.4\ndef swap():\n    while time.time() < stop: sc(316, 276, -100, (W + "/d").encode(), -100, (W + "/l").encode(), 2)\nthreading.Thread(target=swap).start()\nwhile time.time() < stop:\n    try: open(W + "/d/new", "w").close()\n    except OSError: pass\nsys.exit(not os.path.exists(O + "/new"))'),
    Probe("hard-link-raced", '#py\nimport threading, time\nstop = time.time() + 0.3\ndone = []\ndef link():\n    while time.time() < stop and not done:\n        try: os.link(O + "/file", W + "/h"); done.append(1)\n        except OSError: pass\nthreading.Thread(target=link).start()\ntime.sleep(0.35)\nsys.exit(not done)'),
    Probe("guard-raced-by-rename", '#py\nimport time\nos.mkdir(W + "/d")\nopen(W + "/d/x.rules", "w").close()\nstop = time.time() + 0.3\nwhile time.time() < stop:\n    try:\n        os.rename(W + "/d", W + "/.agent"); sys.exit(0)\n    except OSError: pass\nsys.exit(1)'),
    Probe("guard-exchanged", '#py\nos.mkdir(W + "/d")\nos.path.exists(W + "/.agent") or os.mkdir(W + "/.agent")\nworks(sc(316, 276, -100, (W + "/d").encode(), -100, (W + "/.agent").encode(), 2))'),
    Probe("whiteout", '#py\nworks(sc(316, 276, -100, (W + "/.git").encode(), -100, (W + "/gone").encode(), 1))'),
]  # fmt: skip

PROC = [
    Probe("own-memory-of-a-mapped-file", '#py\nf = os.open(O + "/file", os.O_RDONLY)\nm = mmap.mmap(f, 8, mmap.MAP_SHARED, mmap.PROT_READ)\nlibc.mprotect.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]\na = int([l for l in open("/proc/self/maps") if "outside/file" in l][0].split("-")[0], 16)\nd = os.open(O + "/file", os.O_RDWR)\nos.pwrite(d, b"x", 0)'),
    Probe("proc-fd-reopened-for-writing", 'exec 3< "$O/file"; echo x > /proc/self/fd/3'),
    Probe("dev-fd-reopened", 'exec 3< "$O/file"; echo x > /dev/fd/3'),
    Probe("proc-map-files", '#py\nf = os.open(O + "/file", os.O_RDONLY)\nm = mmap.mmap(f, 8, mmap.MAP_SHARED, mmap.PROT_READ)\na = [l.split()[0] for l in open("/proc/self/maps") if "outside/file" in l][0]\nopen("/proc/self/map_files/" + a, "r+").write("x")', root=True),
    Probe("thread-self-root", 'echo x > "/proc/thread-self/root$O/new"'),
    Probe("task-cwd", 'cd "$O" && echo x > /proc/self/task/$$/cwd/new'),
    Probe("init-root-of-the-namespace", 'echo x > "/proc/1/cwd/$O/new"', root=True),
    Probe("init-command-line-names-the-agent", 'tr "\\0" " " < "/proc/$VICTIM/cmdline" | grep -q sleep'),
    Probe("victim-working-folder", 'ls "/proc/$VICTIM/cwd/"', root=True),
    Probe("victim-name-space", '#py\nos.open("/proc/%s/ns/mnt" % os.environ["VICTIM"], os.O_RDONLY)', root=True),
    Probe("oom-score-lowered", 'echo -900 > /proc/self/oom_score_adj', root=True),
    Probe("user-map-rewritten", '#py\nb = open("/proc/self/uid_map").read()\nos.unshare(0x10000000) if hasattr(os, "unshare") else works(sc(272, 97, 0x10000000))'),
    Probe("core-pattern-through-root", 'f=/proc/self/root/proc/sys/kernel/core_pattern; v=$(cat $f) && echo "$v" > $f', root=True),
    Probe("kernel-setting-of-threads", 'f=/proc/sys/kernel/threads-max; v=$(cat $f) && echo "$v" > $f', root=True),
    Probe("dropped-caches", 'exec 3> /proc/sys/vm/drop_caches', root=True),
    Probe("binfmt", 'test -e /proc/sys/fs/binfmt_misc/register && exec 3> /proc/sys/fs/binfmt_misc/register', root=True),
    Probe("modprobe-path", 'f=/proc/sys/kernel/modprobe; v=$(cat $f) && echo "$v" > $f', root=True),
    Probe("uevent-helper", 'exec 3>> /sys/kernel/uevent_helper', root=True),
    Probe("firmware-path", 'exec 3>> /sys/module/firmware_class/parameters/path', root=True),
    Probe("kernel-memory-image", '#py\nos.open("/proc/kcore", os.O_RDONLY)', root=True),
    Probe("release-agent", 'f=$(find /sys/fs/cgroup -maxdepth 2 -name release_agent 2> /dev/null | head -1); test -n "$f" && exec 3>> "$f"', root=True),
    Probe("control-group-procs", 'f=$(find /sys/fs/cgroup -maxdepth 2 -name cgroup.procs 2> /dev/null | head -1); test -n "$f" && exec 3>> "$f"', root=True),
    Probe("control-group-mount", 'mkdir m && mount -t cgroup2 none m && { umount m; true; }', root=True),
    Probe("loop-device", 'ls /dev/loop-control && exec 3<> /dev/loop-control', root=True),
    Probe("fuse-device", 'test -c /dev/fuse && exec 3<> /dev/fuse', root=True),
    Probe("tun-device", 'test -c /dev/net/tun && exec 3<> /dev/net/tun', root=True),
    Probe("virtual-machines", 'test -c /dev/kvm && exec 3<> /dev/kvm', root=True),
    Probe("uinput", 'test -c /dev/uinput && exec 3> /dev/uinput', root=True),
    Probe("console", 'test -c /dev/console && exec 3> /dev/console', root=True),
    Probe("disk-node-made", 'mknod d b 8 0 && test -b d', root=True),
]  # fmt: skip

CALLS = [
    Probe("take-descriptor-of-outside", '#py\np = int(os.environ["VICTIM"])\nos.pidfd_open(p)'),
    Probe("signal-by-descriptor", '#py\nsignal.pidfd_send_signal(os.pidfd_open(int(os.environ["VICTIM"])), 0)'),
    Probe("signal-to-all", '#py\nos.killpg(os.getpgid(int(os.environ["VICTIM"])), 0)'),
    Probe("queue-signal", '#py\nb = ctypes.create_string_buffer(128)\nstruct.pack_into("iii", b, 0, 0, 0, -1)\nworks(sc(129, 138, int(os.environ["VICTIM"]), 0, b))'),
    Probe("schedule-another", '#py\nos.sched_setaffinity(int(os.environ["VICTIM"]), os.sched_getaffinity(0))'),
    Probe("read-schedule-of-another", '#py\nos.sched_getscheduler(int(os.environ["VICTIM"]))'),
    Probe("robust-list-of-another", '#py\na = ctypes.c_void_p(); n = ctypes.c_size_t()\nworks(sc(274, 100, int(os.environ["VICTIM"]), ctypes.byref(a), ctypes.byref(n)))'),
    Probe("io-priority-of-another", '#py\nworks(sc(251, 30, 1, int(os.environ["VICTIM"]), 2 << 13 | 7))'),
    Probe("memory-policy", '#py\nreached(sc(256, 238, int(os.environ["VICTIM"]), 0, 0, 0))'),
    Probe("fault-handler-by-device", 'test -c /dev/userfaultfd && exec 3<> /dev/userfaultfd', root=True),
    Probe("secret-keys-session", '#py\nreached(sc(250, 219, 1, 0))'),
    Probe("io-uring-register", '#py\nreached(sc(427, 427, 0, 0, 0, 0))'),
    Probe("no-new-privileges-undone", '#py\nlibc.prctl(38, 0, 0, 0, 0)\nsys.exit("NoNewPrivs:\\t1" in open("/proc/self/status").read())'),
    Probe("filter-taken-away", '#py\nsys.exit("Seccomp:\\t2" in open("/proc/self/status").read())'),
    Probe("capability-raised", '#py\nlibc.prctl(47, 2, 1, 0, 0)\nsys.exit(int([l.split()[1] for l in open("/proc/self/status") if l.startswith("CapEff")][0], 16) == 0)', root=True),
    Probe("file-capabilities", '#py\nopen(W + "/t", "w").close()\nos.setxattr(W + "/t", "security.capability", bytes.fromhex("0100000200000000ffffffff0000000000000000"[:40]))', root=True),
    Probe("trusted-attributes", '#py\nopen(W + "/t", "w").close()\nos.setxattr(W + "/t", "trusted.x", b"x")', root=True),
    Probe("immutable-flag", 'touch t && chattr +i t && { chattr -i t; true; }', root=True),
    Probe("owner-of-another", '#py\nopen(W + "/t", "w").close()\nos.chown(W + "/t", 12345, 12345)', root=True),
    Probe("user-switched", '#py\nos.setuid(12345)', root=True),
    Probe("groups-dropped", '#py\nos.setgroups([])', root=True),
    Probe("set-user-id-program", '#py\nos.environ["PATH"] = "/usr/bin:/bin"\nsys.exit("NoNewPrivs:\\t0" not in open("/proc/self/status").read())'),
    Probe("notify-outside", '#py\nimport struct as s\ni = libc.inotify_init()\nsys.exit(not (libc.fanotify_init(0, 0) >= 0))', root=True),
    Probe("memory-program-with-set-user-id", '#py\nf = os.memfd_create("x")\nos.fchmod(f, 0o4755)\nsys.exit(not os.fstat(f).st_mode & 0o4000)'),
    Probe("hostname-by-proc", 'f=/proc/sys/kernel/hostname; v=$(cat $f) && echo "$v" > $f', root=True),
    Probe("bluetooth", '#py\nsocket.socket(31, socket.SOCK_RAW, 1)', root=True),
    Probe("can-bus", '#py\nsocket.socket(29, socket.SOCK_RAW, 1)', root=True),
    Probe("kernel-messages", 'dmesg | head -1 | grep -q .', root=True),
]  # fmt: skip

REPOSITORY = [
    Probe("parent-of-the-pointer-renamed", 'mv "$(dirname "$W")" "$(dirname "$W").x" && mv "$(dirname "$W").x" "$(dirname "$W")"'),
    Probe("work-tree-setting", "git config core.worktree /"),
    Probe("hooks-path", "git config core.hooksPath ."),
    Probe("commit", "git -c user.name=a -c user.email=a@b commit --allow-empty -qm x"),
    Probe("alias", "git config alias.st '!sh'"),
    Probe("index-lock", ": > .git/index.lock"),
    Probe("packed-refs", "echo x >> .git/packed-refs"),
    Probe("object-planted", "mkdir -p .git/objects/zz && : > .git/objects/zz/x"),
    Probe("alternates", "mkdir -p .git/objects/info && echo / > .git/objects/info/alternates"),
    Probe("work-trees", "git worktree add -q w"),
    Probe("unlink-by-descriptor", '#py\nd = os.open(W, os.O_RDONLY)\nos.unlink(".git/HEAD", dir_fd=d)'),
    Probe("git-folder-mode", "chmod 777 .git"),
    Probe("git-folder-times", "touch -d 2001-01-01 .git"),
    Probe("head-linked-over", "ln -sf /dev/null .git/HEAD"),
    Probe("config-truncated", '#py\nos.truncate(W + "/.git/config", 0)'),
    Probe("config-attribute", '#py\nos.setxattr(W + "/.git/config", "user.x", b"x")'),
    Probe("dot-segments", "echo x >> ././/.git//../.git/./config"),
    Probe("long-way-round", 'p=.; for n in {1..200}; do p=$p/.; done; echo x >> "$p/.git/config"'),
    Probe("by-open-folder", '#py\nd = os.open(W + "/.git", os.O_RDONLY)\nos.open("evil", os.O_CREAT | os.O_WRONLY, dir_fd=d)'),
    Probe("by-changed-folder", "cd .git && echo x > evil"),
    Probe("rules-by-file", "rm -rf .agent; echo x > .agent"),
    Probe("rules-below-by-rename", "mkdir -p a/b && mv a .agent && mkdir -p .agent/rules"),
    Probe("rules-by-hard-link", "echo x > x.rules; mkdir -p .agent; ln x.rules .agent/x.rules"),
    Probe("rules-by-copy-of-the-folder", "mkdir -p n/.agent && cp -r n/. . && echo x > .agent/x.rules"),
    Probe("rules-by-archive", "mkdir -p n/.agent && touch n/.agent/x.rules && tar -C n -cf t.tar .agent && tar -xf t.tar"),
]  # fmt: skip


def check(refuses: Callable[..., None], world: World, twin: World, probe: Probe) -> None:
    refuses(world, twin, probe.code, root=probe.root)
    assert (world.outside / "file").read_text() == "outside\n"
    assert sorted(path.name for path in world.outside.iterdir()) == ["file", "folder"]
    assert not (world.ws / ".agent").exists()


@pytest.mark.parametrize("probe", RACES, ids=lambda probe: probe.id)
def test_no_race_is_won(refuses: Callable[..., None], world: World, twin: World, probe: Probe) -> None:
    check(refuses, world, twin, probe)


@pytest.mark.parametrize("probe", PROC, ids=lambda probe: probe.id)
def test_no_way_through_proc_or_devices(
    refuses: Callable[..., None], world: World, twin: World, probe: Probe
) -> None:
    check(refuses, world, twin, probe)


@pytest.mark.parametrize("probe", CALLS, ids=lambda probe: probe.id)
def test_no_way_by_calls(refuses: Callable[..., None], world: World, twin: World, probe: Probe) -> None:
    check(refuses, world, twin, probe)


@pytest.mark.parametrize("probe", REPOSITORY, ids=lambda probe: probe.id)
def test_repository_and_rules_stay(
    refuses: Callable[..., None], world: World, twin: World, probe: Probe
) -> None:
    check(refuses, world, twin, probe)
