"""What this machine says: where programs lie, who asks, which rule files are in force."""

from __future__ import annotations

import os
import stat
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Final

from execpolicy.bundle.load import PolicySource
from execpolicy.decision import Layer, SandboxMode
from execpolicy.engine.context import CheckContext, FactValue
from execpolicy.engine.words import inside

if TYPE_CHECKING:
    from datetime import datetime

    StrPath = str | os.PathLike[str]

MANAGED: Final = "/etc/agent/rules"
HEAD_BYTES: Final = 64 * 1024
DAYS: Final = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")


class MachineResolver:
    """Looks programs up in `PATH` and follows symbolic links; asks the disk once per name."""

    def __init__(self, path: str) -> None:
        self._folders = path.split(os.pathsep) if path else []
        self._programs: dict[tuple[str, str], str | None] = {}
        self._real: dict[str, str] = {}

    def program(self, name: str, cwd: str) -> str | None:
        key = (name, cwd)
        if key not in self._programs:
            self._programs[key] = self._search(name, cwd)
        return self._programs[key]

    def _search(self, name: str, cwd: str) -> str | None:
        if "\0" in name or not name:
            return None
        if "/" in name:
            path = os.path.normpath(os.path.join(cwd, name))
            return path if _runs(path) else None
        for folder in self._folders:
            path = os.path.join(cwd, folder, name)
            if _runs(path):
                return os.path.normpath(path)
        return None

    def real(self, path: str) -> str:
        found = self._real.get(path)
        if found is None:
            try:
                found = os.path.realpath(path)
            except (OSError, ValueError):
                found = os.path.normpath(path)
            self._real[path] = found
        return found


def _runs(path: str) -> bool:
    try:
        mode = os.stat(path).st_mode
    except (OSError, ValueError):
        return False
    return stat.S_ISREG(mode) and os.access(path, os.X_OK)


def context_for(
    cwd: StrPath,
    *,
    workspace: StrPath | None = None,
    agent_home: StrPath | None = None,
    writable: Sequence[StrPath] = (),
    protected: Sequence[StrPath] = (),
    sandbox: SandboxMode = SandboxMode.WORKSPACE_WRITE,
    facts: Mapping[str, FactValue] | None = None,
    environ: Mapping[str, str] | None = None,
    now: datetime | None = None,
) -> CheckContext:
    """The context of a command that would run in `cwd` on this machine, now."""
    env = os.environ if environ is None else environ
    here = os.path.realpath(cwd)
    root = here if workspace is None else os.path.realpath(workspace)
    home = env.get("HOME", "")
    moment = time.localtime() if now is None else now.timetuple()
    return CheckContext(
        cwd=here,
        workspace=root,
        home=home,
        writable=tuple(os.path.realpath(path) for path in writable),
        protected=tuple(dict.fromkeys(_protected(root, agent_home, protected))),
        sandbox=sandbox,
        facts={**machine_facts(root, moment.tm_wday), **(facts or {})},
        env=dict(env),
        today=f"{moment.tm_year:04}-{moment.tm_mon:02}-{moment.tm_mday:02}",
        minute=moment.tm_hour * 60 + moment.tm_min,
        resolver=MachineResolver(env.get("PATH", os.defpath)),
    )


def _protected(workspace: str, agent_home: StrPath | None, more: Iterable[StrPath]) -> Iterable[str]:
    yield os.path.join(workspace, ".git")
    yield os.path.join(workspace, ".agent")
    yield os.path.dirname(MANAGED)
    if agent_home is not None:
        yield os.path.realpath(agent_home)
    for path in more:
        yield os.path.realpath(path)


def machine_facts(workspace: str, weekday: int) -> dict[str, FactValue]:
    """Facts that this machine knows. What it does not know is left out."""
    facts: dict[str, FactValue] = {
        "os": {"darwin": "macos", "win32": "windows"}.get(sys.platform, sys.platform),
        "weekday": DAYS[weekday],
    }
    if hasattr(os, "uname"):
        facts["host"] = os.uname().nodename
    user = _user()
    if user is not None:
        facts["user"] = user
    groups = _groups()
    if groups is not None:
        facts["groups"] = groups
    git = _git_folder(workspace)
    if git is not None:
        branch = _branch(git)
        if branch is not None:
            facts["branch"] = branch
        repo = _repo(git)
        if repo is not None:
            facts["repo"] = repo
    return facts


def _user() -> str | None:
    """By the number that the kernel knows: an environment variable proves nothing."""
    try:
        import pwd

        return pwd.getpwuid(os.geteuid()).pw_name
    except (ImportError, KeyError):
        return None


def _groups() -> tuple[str, ...] | None:
    try:
        import grp

        return tuple(sorted({grp.getgrgid(number).gr_name for number in os.getgroups()}))
    except (ImportError, KeyError, OSError):
        return None


def _head(path: str) -> str | None:
    try:
        with open(path, "rb") as stream:
            return stream.read(HEAD_BYTES).decode("utf-8", "replace")
    except OSError:
        return None


def _upwards(folder: str) -> Iterator[str]:
    """`folder` and every folder around it."""
    while True:
        yield folder
        above = os.path.dirname(folder)
        if above == folder:
            return
        folder = above


def _git_folder(workspace: str) -> str | None:
    for folder in _upwards(workspace):
        git = os.path.join(folder, ".git")
        if os.path.isdir(git):
            return git
        if os.path.isfile(git):
            text = _head(git) or ""
            named = text.removeprefix("gitdir:").strip()
            return os.path.join(folder, named) if text.startswith("gitdir:") else None
    return None


def _branch(git: str) -> str | None:
    text = (_head(os.path.join(git, "HEAD")) or "").strip()
    return text.removeprefix("ref: refs/heads/") if text.startswith("ref: refs/heads/") else None


def _repo(git: str) -> tuple[str, ...] | None:
    """The names that `origin` goes by: its URL, host/owner/name, owner/name."""
    common = (_head(os.path.join(git, "commondir")) or "").strip()
    text = _head(os.path.join(git, common, "config"))
    if text is None:
        return None
    section, url = "", ""
    for line in text.splitlines():
        line = line.strip()
        if line.startswith("["):
            section = line
        elif section == '[remote "origin"]' and line.partition("=")[0].strip() == "url":
            url = line.partition("=")[2].strip()
    if not url:
        return None
    short = url.partition("://")[2] or url
    short = short.rpartition("@")[2].replace(":", "/").removesuffix("/").removesuffix(".git")
    return tuple(dict.fromkeys((url, short, short.partition("/")[2] or short)))


def workspace_of(cwd: StrPath, agent_home: StrPath) -> str:
    """The root of the repository around `cwd`, else `cwd`: what the agent takes for its workspace.

    A repository that holds the user's home or the agent's state is not taken whole.
    """
    here = os.fspath(cwd)
    homes = (os.fspath(agent_home), os.path.expanduser("~"))
    for folder in _upwards(here):
        if os.path.exists(os.path.join(folder, ".git")):
            whole = folder != here and any(inside(home, folder) for home in homes)
            return here if whole else folder
    return here


def is_trusted(workspace: StrPath, agent_home: StrPath) -> bool:
    """Whether the user's settings name this workspace as trusted."""
    path = os.path.join(agent_home, "config.toml")
    if not os.path.isfile(path):  # a pipe would be waited for
        return False
    import tomllib

    try:
        with open(path, "rb") as file:
            projects = tomllib.load(file).get("projects")
        entry = projects.get(os.fspath(workspace)) if isinstance(projects, dict) else None
    except (OSError, ValueError):
        return False
    return isinstance(entry, dict) and entry.get("trust_level") == "trusted"


def layer_sources(
    agent_home: StrPath,
    workspace: StrPath,
    extra: Sequence[StrPath] = (),
    *,
    trusted: bool = False,
    managed: StrPath = MANAGED,
) -> list[PolicySource]:
    """The rule files in force: managed, user, the project's when it is trusted, then those named by hand."""
    sources = [PolicySource(path, Layer.MANAGED) for path in rule_files(managed)]
    sources += [PolicySource(path, Layer.USER) for path in rule_files(os.path.join(agent_home, "rules"))]
    if trusted:
        project = rule_files(os.path.join(workspace, ".agent", "rules"))
        sources += [PolicySource(path, Layer.PROJECT) for path in project]
    return sources + [PolicySource(path, Layer.SESSION) for path in extra]


def rule_files(folder: StrPath) -> list[str]:
    """The `*.rules` of a folder by name, symbolic links followed; the loader tells what cannot be read."""
    try:
        names = sorted(name for name in os.listdir(folder) if name.endswith(".rules") and name != ".rules")
    except OSError:
        return []
    paths = (os.path.join(folder, name) for name in names)
    return [path for path in paths if not os.path.isdir(path)]
