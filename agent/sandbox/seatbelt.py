"""The macOS sandbox: a Seatbelt profile from the same survey, run by sandbox-exec."""

from __future__ import annotations

import os
from collections.abc import Sequence

from agent.sandbox.base import Launch
from agent.sandbox.limits import limited
from agent.sandbox.mounts import Kind, Mount, Survey, survey
from agent.sandbox.spec import Network, SandboxSpec
from execpolicy.values import frozen, replace

SANDBOX_EXEC = "/usr/bin/sandbox-exec"

# The last rule that matches wins: what is refused comes after what it is an exception from.
_GROUND = """\
(version 1)
(deny default)
(allow process-exec)
(allow process-fork)
(allow signal (target same-sandbox))
(allow process-info* (target same-sandbox))
(allow sysctl-read)
(allow file-read*)
(allow file-write-data (require-all (path "/dev/null") (vnode-type CHARACTER-DEVICE)))
(allow file-write* (literal "/dev/zero") (literal "/dev/stdout") (literal "/dev/stderr"))
(allow file-ioctl (literal "/dev/null") (literal "/dev/zero") (literal "/dev/urandom") (literal "/dev/random"))
(allow pseudo-tty)
(allow file-read* file-write* file-ioctl (literal "/dev/ptmx"))
(deny file-read-data (regex #"^/dev/tty"))
(allow file-read* file-write* (require-all (regex #"^/dev/ttys[0-9]+$") (extension "com.apple.sandbox.pty")))
(allow file-ioctl (regex #"^/dev/ttys[0-9]+$"))
(allow ipc-posix-sem)
(allow ipc-posix-shm* (ipc-posix-name-prefix "/psm_") (ipc-posix-name-prefix "/mp-"))
(allow mach-lookup
  (global-name "com.apple.system.opendirectoryd.libinfo")
  (global-name "com.apple.system.notification_center")
  (global-name "com.apple.logd"))
(allow user-preference-read)
"""

# Terminals: only those that it opened itself may be opened, and what it was handed may be asked what it is.
_LAST = """\
(deny file-write-setugid)
"""

_NO_NETWORK = """\
(deny network*)
"""

_NETWORK = """\
(allow network-outbound (remote ip))
(allow network-inbound (local ip))
(allow network-bind (local ip))
(allow system-socket)
(allow mach-lookup
  (global-name "com.apple.dnssd.service")
  (global-name "com.apple.SystemConfiguration.configd")
  (global-name "com.apple.trustd.agent"))
(allow network-outbound (literal "/private/var/run/mDNSResponder"))
"""


def profile(seen: Survey, spec: SandboxSpec) -> str:
    """The profile text. Deeper paths come later, so that the most specific rule is the last that matches."""
    rules = "".join(_rule(mount) + "\n" for mount in seen.mounts)
    # What a rule speaks about, and every folder on the way to it, keeps its name: a rule is about a path.
    rules += "".join(f"(deny file-write-unlink (literal {_quoted(mount.path)}))\n" for mount in seen.mounts)
    # There is no proxy here: a network of named hosts is none.
    return _GROUND + rules + _LAST + (_NETWORK if spec.network is Network.FULL else _NO_NETWORK)


def _rule(mount: Mount) -> str:
    where = f"(subpath {_quoted(mount.path)})"
    match mount.kind:
        case Kind.WRITABLE:
            # It may lie in a hidden folder.
            return f"(allow file-read* file-write* {where})"
        case Kind.READ_ONLY:
            return f"(allow file-read* {where})(deny file-write* {where})"
        case Kind.EMPTY:
            return f"(deny file-write* {where} (regex {_any_case(mount.path)}))"
        case Kind.HIDDEN_FILE | Kind.HIDDEN_FOLDER:
            return f"(deny file-read* file-write* {where})"


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _any_case(path: str) -> str:
    """`path` and what is below it, in whatever case: where case is not told apart, `.GIT` is a repository too.

    Of what exists, the kernel knows the one name.
    """
    spelled = "".join(map(_spellings, path))
    return f'#"^{spelled}(/|$)"'


def _spellings(char: str) -> str:
    if not char.isascii():
        return ".+"  # in another case it may have another length
    if char.isalpha():
        return f"[{char.lower()}{char.upper()}]"
    if char.isalnum() or char in "/_-":
        return char
    return "." if char in '\\^]"' else f"[{char}]"


@frozen
class Seatbelt:
    """`program` is sandbox-exec, or None where there is none."""

    program: str | None
    home: str
    secrets: tuple[str, ...] = ()  # hidden unless a spec names them as readable
    name: str = "seatbelt"

    def why_not(self) -> str | None:
        return None if self.program else f"`{SANDBOX_EXEC}` is missing on this Mac"

    def wrap(self, launch: Launch, spec: SandboxSpec) -> Launch:
        if self.program is None:
            raise ValueError("why_not() names a reason: this back end cannot wrap")
        seen = survey(spec, temp=launch.env.get("TMPDIR"), home=self.home, secrets=self.secrets)
        command = self._command(seen, limited(launch.argv, spec.limits), spec)
        shift = len(command) - len(launch.argv)
        return replace(
            launch,
            argv=tuple(command),
            cwd=os.path.realpath(launch.cwd),
            limits=spec.limits,
            folders=seen.filled,
            handed=tuple((place + shift, data) for place, data in launch.handed),
        )

    def _command(self, seen: Survey, argv: Sequence[str], spec: SandboxSpec) -> list[str]:
        assert self.program is not None
        return [self.program, "-p", profile(seen, spec), "--", *argv]
