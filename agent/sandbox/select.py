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
) -> Sandbox:
    """The sandbox for `mode`. Full access is the one mode without any.

    A program found below a folder of `untrusted` (the workspace) is not taken. Raises SandboxUnavailable
    where this machine cannot confine a command: nothing ever runs unconfined because of that.
    """
    if mode is SandboxMode.FULL_ACCESS:
        return Unconfined()
    lookup = which or _trusted(untrusted)
    folder = home or os.path.expanduser("~")
    if platform.startswith("linux"):
        bubblewrap = Bubblewrap(lookup("bwrap"), machine.machine(), folder, default_hidden(folder))
        trouble = bubblewrap.trouble()
        if trouble is not None:
            raise SandboxUnavailable(trouble[0], help=trouble[1])
        return bubblewrap
    if platform == "darwin":
        program = SANDBOX_EXEC if which is None and os.access(SANDBOX_EXEC, os.X_OK) else None
        seatbelt = Seatbelt(which("sandbox-exec") if which else program, folder, default_hidden(folder))
        reason = seatbelt.why_not()
        if reason is not None:
            raise SandboxUnavailable(reason, help="choose `--sandbox full-access` to run without a sandbox")
        return seatbelt
    raise SandboxUnavailable(
        f"there is no sandbox for `{platform}` yet",
        help="choose `--sandbox full-access` to run commands without a sandbox, or use Linux (WSL 2) or macOS",
    )


def _trusted(untrusted: tuple[str, ...]) -> Which:
    bad = (*(folder for folder in untrusted if folder != "/"), tempfile.gettempdir(), "/tmp", "/var/tmp")
    return lambda program: find(program, os.environ.get("PATH", os.defpath), bad)
