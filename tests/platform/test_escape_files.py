"""Escapes through files: every probe gets through without the sandbox and not with it."""

# ruff: noqa: E501 - a probe is one line

from __future__ import annotations

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
    root: bool = False  # only root gets through without a sandbox


OUTSIDE = [
    Probe("create", 'echo x > "$O/new"'),
    Probe("append", 'echo x >> "$O/file"'),
    Probe("truncate", ': > "$O/file"'),
    Probe("truncate-call", '#py\nos.truncate(O + "/file", 0)'),
    Probe("open-for-writing", '#py\nos.open(O + "/file", os.O_RDWR)'),
    Probe("delete", 'rm "$O/file"'),
    Probe("make-folder", 'mkdir "$O/new"'),
    Probe("remove-folder", 'rmdir "$O/folder"'),
    Probe("rename", 'mv "$O/file" "$O/new"'),
    Probe("move-in", 'cp file "$O/new"'),
    Probe("move-out", '#py\nos.rename(O + "/file", W + "/taken")'),
    Probe("exchange", '#py\nopen(W + "/mine", "w").close()\nworks(sc(316, 276, -100, (W + "/mine").encode(), -100, (O + "/file").encode(), 2))'),
    Probe("dot-dot", 'echo x > "../outside/new"'),
    Probe("link-to-file", 'ln -s "$O/file" l && echo x > l'),
    Probe("link-to-folder", 'ln -s "$O" l && echo x > l/new'),
    Probe("link-chain", 'ln -s "$O" a && ln -s a b && ln -s b/folder c && echo x > c/../new'),
    Probe("hard-link", 'ln "$O/file" l && echo x > l'),
    Probe("hard-link-through-proc", '#py\nf = os.open(O + "/file", os.O_RDONLY)\nworks(sc(265, 37, -100, f"/proc/self/fd/{f}".encode(), -100, (W + "/l").encode(), 0x400))'),
    Probe("proc-self-root", 'echo x > "/proc/self/root$O/new"'),
    Probe("proc-self-cwd", 'echo x > /proc/self/cwd/../outside/new'),
    Probe("proc-parent-root", 'echo x > "/proc/$PPID/root$O/new"'),
    Probe("proc-init-root", 'echo x > "/proc/1/root$O/new"', root=True),
    Probe("through-descriptor", '#py\nd = os.open(O, os.O_RDONLY)\nopen(f"/proc/self/fd/{d}/new", "w").close()'),
    Probe("reopen-read-descriptor", '#py\nf = os.open(O + "/file", os.O_RDONLY)\nopen(f"/proc/self/fd/{f}", "w").write("x")'),
    Probe("openat-folder", '#py\nd = os.open(O, os.O_PATH)\nos.open("new", os.O_CREAT | os.O_WRONLY, dir_fd=d)'),
    Probe("unnamed-file", '#py\nos.open(O, os.O_TMPFILE | os.O_RDWR, 0o600)'),
    Probe("mode", 'chmod 700 "$O/file"'),
    Probe("owner", '#py\nos.chown(O + "/file", os.getuid(), os.getgid())'),
    Probe("times", 'touch -d 2001-01-01 "$O/file"'),
    Probe("extended-attribute", '#py\nos.setxattr(O + "/file", "user.probe", b"x")'),
    Probe("inode-flags", '#py\nf = os.open(O + "/file", os.O_RDONLY)\nb = bytearray(8)\nfcntl.ioctl(f, 0x80086601, b)\nfcntl.ioctl(f, 0x40086602, bytes(b))'),
    Probe("fifo", 'mkfifo "$O/new"'),
    Probe("copy-range", '#py\ns = os.open(W + "/file", os.O_RDONLY)\nd = os.open(O + "/new", os.O_CREAT | os.O_WRONLY)\nos.copy_file_range(s, d, 1)'),
    Probe("home", 'echo x > "$HOME/.bashrc"'),
    Probe("socket-file", '#py\nos.mknod(O + "/new", 0o140600)'),
    Probe("rename-workspace", 'mv "$W" "$W.away"'),
    Probe("remove-workspace", 'rm -rf "$W"; test ! -e "$W"'),
    Probe("beside-workspace", 'echo x > "$W-2"'),
    Probe("device-node", 'mknod d c 1 1 && test -c d', root=True),
    Probe("set-user-id", 'cp /bin/true t && chmod u+s t && test -u t'),
    Probe("set-user-id-by-number", 'cp /bin/true t && chmod 6755 t && test -u t'),
    Probe("set-user-id-at-creation", '#py\nos.umask(0)\nf = os.open(W + "/t", os.O_CREAT | os.O_WRONLY, 0o4755)\nsys.exit(not os.fstat(f).st_mode & 0o4000)'),
    Probe("set-user-id-by-mknod", '#py\nos.umask(0)\nos.mknod(W + "/t", 0o104755)\nsys.exit(not os.stat(W + "/t").st_mode & 0o4000)'),
    Probe("set-user-id-by-descriptor", '#py\nf = os.open(W + "/t", os.O_CREAT | os.O_WRONLY)\nos.fchmod(f, 0o4755)\nsys.exit(not os.fstat(f).st_mode & 0o4000)'),
    Probe("shared-memory-file", 'cat "$SHM"'),
    Probe("shared-memory-segment", '#py\nsys.exit(libc.shmget(int(os.environ["SHMKEY"]), 0, 0) == -1)'),
    Probe("message-log", '#py\nos.open("/dev/kmsg", os.O_RDONLY)', root=True),
    Probe("raw-memory", '#py\nos.open("/dev/mem", os.O_RDONLY)', root=True),
    Probe("raw-disk", '#py\nos.open("/dev/" + sorted(os.listdir("/sys/block"))[-1], os.O_RDONLY)', root=True),
    Probe("device-through-proc", '#py\nos.open("/proc/1/root/dev/kmsg", os.O_RDONLY)', root=True),
]  # fmt: skip

GIT = [
    Probe("hook", "mkdir -p .git/hooks; echo x > .git/hooks/pre-commit"),
    Probe("hook-made-executable", "chmod +x .git/HEAD"),
    Probe("config", "git config core.fsmonitor /bin/x"),
    Probe("config-by-rename", "echo x > c && mv -f c .git/config"),
    Probe("config-by-hard-link", "ln .git/config c && echo x >> c"),
    Probe("config-by-link", "ln -s .git g && echo x >> g/config"),
    Probe("config-through-proc", "echo x >> /proc/self/cwd/.git/config"),
    Probe("move-away", "mv .git g"),
    Probe("remove-and-make", "rm -rf .git; mkdir .git && echo x > .git/config"),
    Probe("exchange", '#py\nos.mkdir(W + "/g")\nworks(sc(316, 276, -100, (W + "/g").encode(), -100, (W + "/.git").encode(), 2))'),
    Probe("ref", "echo x > .git/refs/heads/evil"),
    Probe("attributes", "mkdir -p .git/info; echo '* filter=x' > .git/info/attributes"),
    Probe("rules-made", "mkdir .agent && echo x > .agent/x.rules"),
    Probe("rules-by-link", 'ln -s "$O" .agent'),
    Probe("rules-by-rename", "mkdir a && mv -T a .agent && echo x > .agent/x"),
]  # fmt: skip

HIDDEN = [
    Probe("read", 'cat "$HOME/.netrc"'),
    Probe("read-in-folder", 'cat "$HOME/.ssh/id"'),
    Probe("list", 'ls "$HOME/.ssh"'),
    Probe("enter", 'cd "$HOME/.ssh"'),
    Probe("mode-then-read", 'chmod 777 "$HOME/.ssh"; cat "$HOME/.ssh/id"'),
    Probe("through-proc", 'cat "/proc/self/root$HOME/.netrc"'),
    Probe("in-workspace", "cat .env"),
    Probe("in-workspace-moved", "mv .env e && cat e"),
    Probe("in-workspace-linked", "ln .env e && cat e"),
    Probe("copied", 'cp -r "$HOME/.ssh" s && cat s/id'),
    Probe("by-handle", '#py\nos.open(H + "/.netrc", os.O_RDONLY | os.O_NOFOLLOW)'),
]


def snapshot(folder: Path) -> list[tuple[str, int, bytes]]:
    """Everything below, but for the workspace itself."""
    rows = []
    for path in sorted(folder.rglob("*")):
        info = path.lstat()
        content = path.read_bytes() if path.is_file() and not path.is_symlink() else b""
        rows.append((str(path.relative_to(folder)), info.st_mode, content))
    return rows


def check(refuses: Callable[..., None], world: World, twin: World, probe: Probe) -> None:
    before = [snapshot(world.outside), snapshot(world.home), snapshot(world.ws / ".git")]
    refuses(world, twin, probe.code, root=probe.root)
    assert [snapshot(world.outside), snapshot(world.home), snapshot(world.ws / ".git")] == before
    assert not (world.ws / ".agent").exists()


@pytest.mark.parametrize("probe", OUTSIDE, ids=lambda probe: probe.id)
def test_nothing_outside_changes(
    refuses: Callable[..., None], world: World, twin: World, probe: Probe
) -> None:
    check(refuses, world, twin, probe)


@pytest.mark.parametrize("probe", GIT, ids=lambda probe: probe.id)
def test_repository_and_rules_stay(
    refuses: Callable[..., None], world: World, twin: World, probe: Probe
) -> None:
    check(refuses, world, twin, probe)


@pytest.mark.parametrize("probe", HIDDEN, ids=lambda probe: probe.id)
def test_hidden_stays_hidden(refuses: Callable[..., None], world: World, twin: World, probe: Probe) -> None:
    check(refuses, world, twin, probe)
