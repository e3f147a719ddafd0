"""Resource limits of a command, set by a shell that then becomes the command."""

from __future__ import annotations

from agent.sandbox.spec import Limits

_SHELL = "/bin/sh"
# When memory runs out, the kernel takes a command before it takes the agent.
_FIRST_TO_GO = 500
_BLOCK = 512  # of `ulimit -f` in a POSIX shell


def limited(argv: tuple[str, ...], limits: Limits) -> tuple[str, ...]:
    """`argv` with `limits`; a program that is missing ends with 127, as in any shell."""
    lines = [f"echo {_FIRST_TO_GO} > /proc/self/oom_score_adj", "ulimit -c 0"]
    if limits.processes is not None:
        # bash and ksh say -u, dash says -p.
        lines.append(f"ulimit -u {limits.processes} || ulimit -p {limits.processes}")
    if limits.memory_bytes is not None:
        lines.append(f"ulimit -v {max(1, limits.memory_bytes // 1024)} || exit 126")
    if limits.cpu_seconds is not None:
        lines.append(f"ulimit -t {limits.cpu_seconds} || exit 126")
    if limits.file_bytes is not None:
        lines.append(f"ulimit -f {max(1, limits.file_bytes // _BLOCK)} || exit 126")
    script = "{ " + "; ".join(lines) + '; } 2>/dev/null; exec "$@"'
    return (_SHELL, "-c", script, "sh", *argv)
