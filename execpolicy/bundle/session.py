"""What a session may touch and what is known of it: one making of it for the agent and for `policy check`."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from execpolicy.bundle.machine import context_for
from execpolicy.decision import SandboxMode, Verdict
from execpolicy.engine.check import check, check_argv, check_tool
from execpolicy.engine.context import CheckContext, FactValue
from execpolicy.engine.fold import stricter
from execpolicy.engine.policy import Policy
from execpolicy.engine.words import inside
from execpolicy.values import field, frozen

SHELL: Final = "exec_command"  # the tool that runs commands
_TEMPORARY: Final = ("/tmp", "/var/tmp")
_NAMED: Final = ("TMPDIR", "TEMP", "TMP")


@frozen(kw_only=True)
class Session:
    """Paths are absolute."""

    folder: str  # where it works
    workspace: str
    agent_home: str
    sandbox: SandboxMode = SandboxMode.WORKSPACE_WRITE
    network: bool = False
    writable: tuple[str, ...] = ()  # beside the workspace and the temporary folders
    exclude_slash_tmp: bool = False  # `/tmp` and `/var/tmp` are not writable
    exclude_tmpdir: bool = False  # nor is what TMPDIR names
    rule_files: tuple[str, ...] = ()
    facts: Mapping[str, FactValue] = field(default_factory=dict)  # of the run: `interactive`, `model`, ...


def temp_folders(environ: Mapping[str, str]) -> tuple[str, ...]:
    """The folders for temporary files, that of the user included."""
    return tuple(dict.fromkeys(os.path.realpath(path) for path in (*_TEMPORARY, *_own_folder(environ))))


def _own_folder(environ: Mapping[str, str]) -> Iterator[str]:
    for name in _NAMED:
        path = environ.get(name)
        if path and os.path.isdir(path) and os.access(path, os.W_OK | os.X_OK):
            yield path
            return


def writable_places(session: Session, environ: Mapping[str, str]) -> tuple[str, ...]:
    """What the sandbox lets a command write beside the workspace."""
    system = tuple(map(os.path.realpath, _TEMPORARY))
    own = tuple(map(os.path.realpath, _own_folder(environ)))
    if session.exclude_tmpdir:
        own = ()
    if session.exclude_slash_tmp:
        own = tuple(path for path in own if path not in system)
        system = ()
    return tuple(dict.fromkeys((*session.writable, *system, *own)))


def rule_places(session: Session, environ: Mapping[str, str]) -> tuple[str, ...]:
    """The rule files, and the folders they stand in unless work has to be possible there."""
    roots = (session.workspace, session.folder, *session.writable, *temp_folders(environ))
    places: dict[str, None] = {}
    for path in session.rule_files:
        for one in dict.fromkeys((os.path.abspath(path), os.path.realpath(path))):
            places[one] = None
            folder = os.path.dirname(one)
            if not any(inside(root, folder) for root in roots):
                places[folder] = None
    return tuple(places)


def program_places(session: Session, environ: Mapping[str, str]) -> tuple[str, ...]:
    """Folders of `PATH` that lie in a temporary folder: protected, so that what is found there stays what it was.

    A virtual environment is protected whole. What lies in the workspace is not: work has to be possible there.
    """
    roots = temp_folders(environ)
    work = (session.workspace, session.folder, *session.writable)
    places: dict[str, None] = {}
    for name in environ.get("PATH", "").split(os.pathsep):
        folder = os.path.realpath(name) if os.path.isabs(name) and os.path.isdir(name) else ""
        if not folder or folder in roots or not any(inside(folder, root) for root in roots):
            continue
        around = os.path.dirname(folder)
        whole = around if os.path.isfile(os.path.join(around, "pyvenv.cfg")) else folder
        if not any(inside(one, whole) or inside(whole, one) for one in work):
            places[whole] = None
    return tuple(places)


def protected_places(session: Session, environ: Mapping[str, str]) -> tuple[str, ...]:
    """What no command of the session may write, beside `.git`, `.agent` and the agent's own state."""
    return tuple(dict.fromkeys((*rule_places(session, environ), *program_places(session, environ))))


def context_in(session: Session, folder: str, environ: Mapping[str, str]) -> CheckContext:
    """The facts of the moment for a command in `folder`; `environ` is what the command will see."""
    return context_for(
        folder,
        workspace=session.workspace,
        agent_home=session.agent_home,
        writable=writable_places(session, os.environ),
        protected=protected_places(session, os.environ),
        sandbox=session.sandbox,
        facts={
            "agent": "agent",
            "network": "allow" if session.network else "deny",
            **session.facts,
            "cwd": folder,
            "workspace": session.workspace,
            "sandbox": session.sandbox.value,
        },
        environ=environ,
    )


def check_call(asked: str | Sequence[str], policy: Policy, context: CheckContext) -> Verdict:
    """The verdict over a script or the words of a command that the agent's shell tool would run."""
    found = check(asked, policy, context) if isinstance(asked, str) else check_argv(asked, policy, context)
    return with_tool_rules(found, asked, policy, context)


def with_tool_rules(
    verdict: Verdict, asked: str | Sequence[str], policy: Policy, context: CheckContext
) -> Verdict:
    """`verdict`, made stricter by what rules about the shell tool say."""
    if not policy.index.tools:
        return verdict
    if isinstance(asked, str):
        script = asked
    else:
        import shlex

        script = shlex.join(asked)
    arguments = {"cmd": script, "workdir": context.cwd}
    return stricter(verdict, check_tool(None, SHELL, arguments, policy, context), context.sandbox)
