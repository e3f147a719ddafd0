"""Picks the back end that confines a command on this machine, or says why none will do."""

from __future__ import annotations

import os
import platform as machine
import sys
import tempfile
from collections.abc import Callable

from agent.errors import SandboxUnavailable
from agent.sandbox.base import Sandbox
from agent.sandbox.bwrap import Bubblewrap, find
from agent.sandbox.seatbelt import SANDBOX_EXEC, Seatbelt
from agent.sandbox.secrets import default_hidden
from agent.sandbox.unconfined import Unconfined
from execpolicy.decision import SandboxMode

Which = Callable[[str], str | None]


def select(
    mode: SandboxMode,
    *,
    platform: str = sys.platform,
    which: Which | None = None,
    home: str | None = None,
    untrusted: tuple[str, ...] = (),
    fallback: str = "",
) -> Sandbox:
    """The sandbox for `mode`. Full access is the one mode without any.

    A program found below a folder of `untrusted` (the workspace, what is writable beside it) or of temporary files is
    not taken. `fallback` names the weaker sandbox that may be used where the strong one cannot be built. Raises
    SandboxUnavailable where this machine cannot confine a command: nothing ever runs unconfined because of that.
    """
    if mode is SandboxMode.FULL_ACCESS:
        return Unconfined()
    unfit = writable_by_commands(untrusted)
    lookup = which or (lambda program: find(program, os.environ.get("PATH", os.defpath), unfit))
    folder = home or os.path.expanduser("~")
    if platform.startswith("linux"):
        bubblewrap = Bubblewrap(lookup("bwrap"), machine.machine(), folder, default_hidden(folder))
        trouble = bubblewrap.trouble()
        if trouble is None:
            return bubblewrap
        return _weaker(trouble, fallback, folder, unfit)
    if platform == "darwin":
        program = SANDBOX_EXEC if which is None and os.access(SANDBOX_EXEC, os.X_OK) else None
        seatbelt = Seatbelt(which("sandbox-exec") if which else program, folder, default_hidden(folder))
        reason = seatbelt.why_not()
        if reason is not None:
            raise SandboxUnavailable(reason, help="choose `--sandbox full-access` to run without a sandbox")
        return seatbelt
    if platform == "win32":
        from agent.sandbox.windows import RestrictedToken

        if fallback == "restricted-token":
            return RestrictedToken(os.path.realpath(sys.executable), folder, default_hidden(folder))
        raise SandboxUnavailable(
            "the only sandbox for `win32` is a weak one: reads and the network stay as the user's",
            help='take it by `-c sandbox_fallback="restricted-token"`, use WSL 2, which has the Linux one, or'
            " choose `--sandbox full-access` to run commands without a sandbox",
        )
    raise SandboxUnavailable(
        f"there is no sandbox for `{platform}` yet",
        help="choose `--sandbox full-access` to run commands without a sandbox, or use Linux (WSL 2) or macOS",
    )


def _weaker(trouble: tuple[str, str], fallback: str, home: str, untrusted: tuple[str, ...]) -> Sandbox:
    """What stands in where bubblewrap cannot: only by its name."""
    from agent.sandbox import landlock

    weak = landlock.fallback(home, machine.machine(), default_hidden(home), untrusted)
    missing = weak.trouble()
    if fallback != weak.name:
        word = "" if missing else '; or take a weaker sandbox by `-c sandbox_fallback="landlock"`'
        raise SandboxUnavailable(trouble[0], help=trouble[1] + word)
    if missing is not None:
        raise SandboxUnavailable(f"{trouble[0]}, and {missing[0]}", help=f"{trouble[1]}; {missing[1]}")
    return weak


def weaknesses(sandbox: Sandbox) -> tuple[str, ...]:
    """What has to be told at every start about a sandbox that is weaker than it could be."""
    found: tuple[str, ...] = getattr(sandbox, "weaker", ())
    return found


def writable_by_commands(untrusted: tuple[str, ...]) -> tuple[str, ...]:
    """Where no program of a sandbox may lie: `untrusted`, and what every command may write."""
    return tuple(
        folder for folder in (*untrusted, tempfile.gettempdir(), "/tmp", "/var/tmp") if folder != "/"
    )
