"""Resource limits of a command, set by a shell that then becomes the command."""

from __future__ import annotations

import os

from agent.sandbox.spec import Limits

_SHELL = "/bin/sh"
# When memory runs out, the kernel takes a command before it takes the agent.
_FIRST_TO_GO = 500
_THREADS = 4  # the kernel counts threads where the limit is one of processes
_BLOCK = 512  # of `ulimit -f` in a POSIX shell


def limited(argv: tuple[str, ...], limits: Limits) -> tuple[str, ...]:
    """`argv` with `limits`; a program that is missing ends with 127, as in any shell."""
    lines = [f"echo {_FIRST_TO_GO} > /proc/self/oom_score_adj", "ulimit -c 0"]
    if limits.processes is not None:
        # bash and ksh say -u, dash says -p.
        threads = limits.processes * _THREADS
        lines.append(f"ulimit -u {threads} || ulimit -p {threads}")
    if limits.memory_bytes is not None:
        lines.append(f"ulimit -v {max(1, limits.memory_bytes // 1024)} || exit 126")
    if limits.cpu_seconds is not None:
        lines.append(f"ulimit -t {limits.cpu_seconds} || exit 126")
    if limits.file_bytes is not None:
        lines.append(f"ulimit -f {max(1, limits.file_bytes // _BLOCK)} || exit 126")
    if limits.open_files is not None:
        lines.append(f"ulimit -Hn {limits.open_files} || ulimit -n {limits.open_files}")
    script = "{ " + "; ".join(lines) + '; } 2>/dev/null; exec "$@"'
    return (_SHELL, "-c", script, "sh", *argv)


def chosen(
    *,
    processes: int,
    memory_mb: int,
    cpu_seconds: int,
    open_files: int,
    file_mb: int,
    disk_mb: int,
    new_files: int,
) -> Limits:
    """The limits that settings name: 0 is none, and of memory -1 is three quarters of the machine's."""
    memory = _most_memory() * 3 // 4 if memory_mb < 0 else memory_mb << 20
    return Limits(
        processes=processes or None,
        cpu_seconds=cpu_seconds or None,
        file_bytes=(file_mb << 20) or None,
        open_files=open_files or None,
        tree_memory_bytes=memory or None,
        disk_bytes=(disk_mb << 20) or None,
        new_files=new_files or None,
    )


def _most_memory() -> int:
    """What the machine, or the container that it is, has. 0: unknown."""
    try:
        found = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError):
        return 0
    for place in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        try:
            with open(place, encoding="ascii") as file:
                word = file.read().strip()
        except OSError:
            continue
        if word.isdigit():
            found = min(found, int(word))
    return max(0, found)
