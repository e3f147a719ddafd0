"""The sandbox of Windows: a restricted token of low integrity in a job, started by a launcher of its own.

By explicit word only, since a token does less than the sandboxes of Linux and macOS; `WEAKER` says what.
"""

from __future__ import annotations

import json
import ntpath
import os

from agent.sandbox.base import Launch
from agent.sandbox.spec import Network, SandboxSpec
from execpolicy.decision import SandboxMode
from execpolicy.values import frozen, replace

_GUARDED = (".git", ".agent")
_MOST_LINE = 32_767  # characters of a command line, the end included
WEAKER = (
    "it has not been run on Windows itself in our own tests",
    "a command can use the network as the user can: no token forbids it",
    "a command can read what the user can, but for keys that could be labelled as unreadable",
    "what grants writing to everybody of low integrity stays writable: AppData\\LocalLow, some pipes and devices",
    "labels of low integrity stay on the workspace after the run, so that other programs of low integrity may write it",
    "services and pipes of the machine can be talked to where they let the user",
)


def quoted(words: tuple[str, ...]) -> str:
    """One command line that a program of Microsoft's C run-time splits into `words` again.

    Raises ValueError for a word with a zero character, and for a line that is too long to start.
    """
    line = " ".join(map(_quoted, words))
    if "\0" in line:
        raise ValueError("a word of the command holds a zero character")
    if len(line.encode("utf-16-le", "surrogatepass")) // 2 >= _MOST_LINE:
        raise ValueError(f"the command is longer than {_MOST_LINE} characters")
    return line


def _quoted(word: str) -> str:
    """Backslashes are literal unless a quote follows them: then each counts half."""
    if word and not any(letter in word for letter in ' \t\n\v"'):
        return word
    out, slashes = ['"'], 0
    for letter in word:
        if letter == "\\":
            slashes += 1
            continue
        out.append("\\" * (2 * slashes + 1 if letter == '"' else slashes) + letter)
        slashes = 0
    return "".join((*out, "\\" * (2 * slashes), '"'))


@frozen
class RestrictedToken:
    """`python` runs the launcher; `home` is the user's."""

    python: str
    home: str
    secrets: tuple[str, ...] = ()
    name: str = "restricted-token"

    @property
    def weaker(self) -> tuple[str, ...]:
        return WEAKER

    def why_not(self) -> str | None:
        return None

    def wrap(self, launch: Launch, spec: SandboxSpec) -> Launch:
        """The launcher with a plan. Its exit status is the command's; 125: it could not confine."""
        launcher = os.path.join(os.path.dirname(__file__), "winlaunch.py")
        words = (self.python, "-I", "-S", launcher, json.dumps(plan(launch, spec, self.secrets)))
        return replace(launch, argv=words, limits=spec.limits)


def plan(launch: Launch, spec: SandboxSpec, secrets: tuple[str, ...] = ()) -> dict[str, object]:
    """What the launcher labels and starts."""
    limits = spec.limits
    writes = spec.mode is not SandboxMode.READ_ONLY
    temp = launch.env.get("TEMP") or launch.env.get("TMP")
    roots = [spec.workspace, *spec.writable] if writes else []
    if temp and writes and not spec.exclude_tmpdir:
        roots.append(temp)
    protected = [ntpath.join(spec.workspace, name) for name in _GUARDED] + list(spec.protected)
    hidden = [path for path in (*spec.hidden, *secrets) if not _within(path, spec.readable)]
    return {
        "line": quoted(launch.argv),
        "cwd": launch.cwd,
        "env": launch.env,
        "writable": list(dict.fromkeys(map(ntpath.normpath, roots))),
        # What lies in nothing writable needs no label: it is of the user's own level anyway.
        "protected": [
            path for path in dict.fromkeys(map(ntpath.normpath, protected)) if _within(path, roots)
        ],
        "hidden": list(dict.fromkeys(map(ntpath.normpath, hidden))),
        "limits": {
            "processes": limits.processes or 0,
            "memory": limits.tree_memory_bytes or 0,
            "cpu": limits.cpu_seconds or 0,
        },
        "network": spec.network is Network.FULL,
    }


def _within(path: str, folders: tuple[str, ...] | list[str]) -> bool:
    real = ntpath.normcase(ntpath.normpath(path))
    return any(
        real == one or real.startswith(one.rstrip("\\") + "\\")
        for one in (ntpath.normcase(ntpath.normpath(folder)) for folder in folders)
    )
