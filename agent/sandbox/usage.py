"""Looks at what a running command takes of the machine, and says when that is more than its limits."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator

from agent.sandbox.spec import Limits

_PAUSE = 0.05  # seconds between looks
_FULL = 0.2  # between looks at every process, which cost more
_SHARE = 20  # these take at most one part in so many of the time
_RESERVE_BYTES = 256 << 20  # a file system is not filled beyond this, or a fiftieth of it
_RESERVE_PART = 50
_NOTEWORTHY_BYTES, _NOTEWORTHY_FILES = 16 << 20, 10_000  # less is not what filled it
_MEMORY_FILES = "/dev/shm"


class Watch:
    """Watches the tree of processes below `pid`, and the file systems of `folders`."""

    def __init__(self, pid: int, limits: Limits, folders: tuple[str, ...]) -> None:
        self._pid = pid
        self._limits = limits
        self._page = os.sysconf("SC_PAGE_SIZE")
        self._before = dict(self._disks(folders))
        self._tasks = _tasks()
        self.pause = _PAUSE  # seconds until the next look
        self._next = 0.0  # when every process is looked at

    def look(self) -> str | None:
        """One line about the limit that is passed; None: all is well. Never raises."""
        most = self._limits.processes
        # A bomb grows faster than it can be walked through: the kernel's own count tells when a part of it will do.
        sudden = most is not None and _tasks() - self._tasks > most
        started = time.monotonic()
        if not sudden and started < self._next:
            return None
        try:
            return self._tree(sudden) or self._disk()
        finally:
            now = time.monotonic()
            self._next = now + max(_FULL, _SHARE * (now - started))

    def _tree(self, sudden: bool) -> str | None:
        most = self._limits.processes
        pids: list[int] = []
        memory = written = 0
        for pid in descendants(self._pid):
            pids.append(pid)
            # The outer halves of the sandbox count too: two or three.
            if most is not None and len(pids) > (most // 4 if sudden else most) + 3:
                return f"it had more than {most} processes at once (sandbox_limits.processes)"
            memory += self._own_memory(pid)
            written += _written(pid)
        if (bytes_ := self._limits.disk_bytes) is not None and written > bytes_:
            return f"it wrote more than {_size(bytes_)} to disk (sandbox_limits.disk_mb)"
        if (bytes_ := self._limits.tree_memory_bytes) is not None and pids:
            files = _memory_files(pids[-1])
            # What children share with their parents was counted several times: look closer before judging.
            if memory + files > bytes_ and sum(map(_exact_memory, pids)) + files > bytes_:
                return f"it used more than {_size(bytes_)} of memory (sandbox_limits.memory_mb)"
        return None

    def _own_memory(self, pid: int) -> int:
        words = _read(f"/proc/{pid}/statm").split()
        return (int(words[1]) - int(words[2])) * self._page if len(words) > 2 else 0

    def _disk(self) -> str | None:
        for folder, before in self._before.items():
            for _, now in self._disks((folder,)):
                if (why := self._filled(folder, before, now)) is not None:
                    return why
        return None

    def _filled(self, folder: str, before: os.statvfs_result, now: os.statvfs_result) -> str | None:
        taken = (before.f_bavail - now.f_bavail) * now.f_frsize
        files = before.f_favail - now.f_favail
        most, most_files = self._limits.disk_bytes, self._limits.new_files
        if most is not None:
            reserve = min(_RESERVE_BYTES, now.f_blocks * now.f_frsize // _RESERVE_PART)
            had, have = before.f_bavail * now.f_frsize, now.f_bavail * now.f_frsize
            if taken > most:
                return (
                    f"it filled the disk of `{folder}` with more than {_size(most)} (sandbox_limits.disk_mb)"
                )
            if taken > _NOTEWORTHY_BYTES and have < reserve <= had:
                return f"the disk of `{folder}` is full but for {_size(have)} (sandbox_limits.disk_mb)"
        if most_files is not None:
            if files > most_files:
                return f"it made more than {most_files} files in `{folder}` (sandbox_limits.new_files)"
            reserve = now.f_files // _RESERVE_PART
            if files > _NOTEWORTHY_FILES and now.f_favail < reserve <= before.f_favail:
                return f"the disk of `{folder}` has room for {now.f_favail} more files (sandbox_limits.new_files)"
        return None

    def _disks(self, folders: tuple[str, ...]) -> Iterator[tuple[str, os.statvfs_result]]:
        """Each file system once."""
        seen: set[int] = set()
        for folder in folders:
            with contextlib.suppress(OSError):
                device = os.stat(folder).st_dev
                if device not in seen:
                    seen.add(device)
                    yield folder, os.statvfs(folder)


def descendants(pid: int) -> Iterator[int]:
    """`pid` and every process below it, as far as they can be seen; nothing where there is no /proc."""
    left = [pid]
    while left:
        parent = left.pop()
        yield parent
        try:
            tasks = os.listdir(f"/proc/{parent}/task")
        except OSError:
            continue
        for task in tasks:
            left += [int(word) for word in _read(f"/proc/{parent}/task/{task}/children").split()]


def _tasks() -> int:
    """Threads of the whole machine."""
    words = _read("/proc/loadavg").split()
    return int(words[3].partition("/")[2]) if len(words) > 3 else 0


def _written(pid: int) -> int:
    """Bytes that reached a disk, those of children that have ended included."""
    for line in _read(f"/proc/{pid}/io").splitlines():
        if line.startswith("write_bytes: "):
            return int(line.removeprefix("write_bytes: "))
    return 0


def _exact_memory(pid: int) -> int:
    for line in _read(f"/proc/{pid}/smaps_rollup").splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) << 10
    return 0


def _memory_files(pid: int) -> int:
    """What lies in the memory file system that the sandbox gives a command."""
    place = f"/proc/{pid}/root{_MEMORY_FILES}"
    try:
        if os.stat(place).st_dev == os.stat(_MEMORY_FILES).st_dev:
            return 0
        found = os.statvfs(place)
    except OSError:
        return 0
    return (found.f_blocks - found.f_bfree) * found.f_frsize


def _read(path: str) -> str:
    try:
        with open(path, encoding="ascii", errors="replace") as file:
            return file.read()
    except OSError:
        return ""


def _size(count: int) -> str:
    return f"{count / (1 << 30):.1f} GB" if count >= 1 << 30 else f"{count / (1 << 20):.0f} MB"
