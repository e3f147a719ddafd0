"""What a decision may depend on beside the command: passed in, never looked up."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from execpolicy.decision import SandboxMode
from execpolicy.values import field, frozen

FactValue = str | bool | tuple[str, ...]


class Resolver(Protocol):
    """Answers which file a program name stands for. The engine itself touches no files."""

    def program(self, name: str, cwd: str) -> str | None:
        """Absolute path that running `name` in `cwd` would execute; None when nothing is found.

        A name with a slash is looked up relative to `cwd`, any other through PATH.
        """
        ...

    def real(self, path: str) -> str:
        """`path` with symbolic links resolved as far as it exists."""
        ...


@frozen(kw_only=True)
class CheckContext:
    """Where and when a command would run. Paths are absolute."""

    cwd: str
    workspace: str
    home: str = ""
    writable: tuple[str, ...] = ()  # beside the workspace: temp folders, --add-dir
    protected: tuple[str, ...] = ()  # never written: .git, .agent, rule, config and audit folders
    sandbox: SandboxMode = SandboxMode.WORKSPACE_WRITE
    facts: Mapping[str, FactValue] = field(default_factory=dict)  # a missing name is an unknown
    env: Mapping[str, str] | None = None  # None: every `env["X"]` is unknown
    today: str | None = None  # ISO date; None: no rule is taken as expired, exceptions do not apply
    minute: int | None = None  # minutes after midnight, local time
    resolver: Resolver | None = None  # None: a bare name is the program of that name, a path is not
