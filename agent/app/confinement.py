"""What of the confinement has to be known before a model is asked: that it can be built, and what is weaker."""

from __future__ import annotations

import os
from collections.abc import Iterator

from agent.config.model import Settings
from agent.errors import SandboxUnavailable
from agent.protocol.events import Warned
from agent.sandbox.base import Launch, Sandbox
from agent.sandbox.limits import chosen
from agent.sandbox.select import weaknesses
from agent.sandbox.spec import Limits, SandboxSpec
from execpolicy.decision import SandboxMode

_SHARED = ("/tmp", "/var/tmp", "/dev/shm")


def limits_of(settings: Settings) -> Limits:
    """How much of the machine each command may use."""
    return chosen(
        processes=settings.limit_processes,
        memory_mb=settings.limit_memory_mb,
        cpu_seconds=settings.limit_cpu_seconds,
        open_files=settings.limit_open_files,
        file_mb=settings.limit_file_mb,
        disk_mb=settings.limit_disk_mb,
        new_files=settings.limit_new_files,
    )


def try_out(settings: Settings, sandbox: Sandbox, spec: SandboxSpec) -> tuple[Warned, ...]:
    """Settle what a command of the session would be confined to, and what to say of it before the first turn.

    A workspace that no command can be confined to is told as well: one can still talk, and choose another.
    """
    try:
        sandbox.wrap(Launch(argv=("true",), cwd=str(settings.cwd), env=dict(os.environ)), spec)
    except SandboxUnavailable as error:
        return (Warned(f"{error}; until then every command is refused", error.help),)
    return tuple(_about(sandbox, spec))


def _about(sandbox: Sandbox, spec: SandboxSpec) -> Iterator[Warned]:
    weaker = weaknesses(sandbox)
    if weaker:
        yield Warned(
            f"commands run in a weaker sandbox, {sandbox.name}: {'; '.join(weaker)}",
            "`agent doctor` says how to get the strong one",
        )
    if spec.mode is SandboxMode.WORKSPACE_WRITE and os.path.realpath(spec.workspace) in _SHARED:
        yield Warned(
            f"the workspace `{spec.workspace}` is shared with everything on this machine",
            "work in a folder of its own: `--cd DIR`",
        )
    temp = os.environ.get("TMPDIR")
    if temp and not os.path.isdir(temp):
        yield Warned(f"`TMPDIR` names `{temp}`, which is not a folder: commands get another one")
