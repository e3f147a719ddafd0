"""Whether a sandbox kept a command from something, as far as its own words tell."""

from __future__ import annotations

import re
import signal
from typing import Final

from agent.tools.base import Ran

_BLOCKED: Final = -signal.SIGSYS if hasattr(signal, "SIGSYS") else None
_MOST: Final = 300  # characters of a line that are kept
_SAID: Final = re.compile(
    r"^.*(?:Read-only file system|EROFS|Operation not permitted|EPERM|Network is unreachable|ENETUNREACH"
    r"|Temporary failure in name resolution|Could not resolve host|Name or service not known"
    r"|EAI_AGAIN|ENOTFOUND|blocked by the sandbox).*$",
    re.MULTILINE,
)
_PATH: Final = re.compile(r"['\"‘“`]?(/[^\s'\"’”`:]+)")


def sign_of_denial(ran: Ran) -> tuple[str, str] | None:
    """The line that tells, and the path that it names, if any. None: nothing tells.

    A command that succeeded was kept from nothing that mattered to it; one that was not confined, from nothing.
    """
    if not ran.confined or ran.exit_code in (0, None) or ran.timed_out:
        return None
    if ran.signal is not None and -ran.signal == _BLOCKED:
        return "killed by SIGSYS: a system call that the sandbox does not let through", ""
    said = _SAID.search(ran.output)
    if said is None:
        return None
    line = said[0].strip()[:_MOST]
    path = _PATH.search(line)
    return line, path[1] if path else ""
