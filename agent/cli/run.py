"""The commands that run a model: interactive, `exec`, `resume`, `fork`. Thin."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from agent.cli.options import Ephemeral, Prompt, Shared, Wanted, WorktreeOption

if TYPE_CHECKING:
    from agent.cli.frontends import Begin, Task
    from agent.config.model import Settings

SessionId = Annotated[
    str | None, typer.Argument(metavar="ID", help="The session: its id, the start of it, or its name.")
]
Version = Annotated[bool, typer.Option("--version", "-V", help="Show the version and exit.")]
Last = Annotated[bool, typer.Option("--last", help="The session last used in this folder.")]
Everywhere = Annotated[bool, typer.Option("--all", help="Not of this folder alone: of any.")]


def interactive(
    prompt: Prompt = None,
    *,
    shared: Shared,
    ephemeral: Ephemeral = False,
    worktree: WorktreeOption = False,
    version: Version = False,
) -> None:
    """A coding agent whose every action passes a policy.

    Works on PROMPT, asks where the policy says so, and then waits for the next task.
    """
    if version:
        from agent import __version__

        typer.echo(f"agent {__version__}")
        return
    from agent.cli.frontends import Begin

    settings = shared.settings(interactive=True, ephemeral=ephemeral)
    _converse(settings, Begin(worktree=worktree), prompt, shared.images)


def resume(
    session: SessionId = None,
    prompt: Prompt = None,
    *,
    last: Last = False,
    everywhere: Everywhere = False,
    shared: Shared,
) -> None:
    """Go on with a stored session. Without ID you choose one of this folder; without a terminal it is the last."""
    settings = shared.settings(interactive=True)
    if session is None and not last and _at_a_terminal():
        session = _chosen(settings, everywhere=everywhere)
        everywhere = False
    begin, prompt = _begin(settings, session, prompt, last=last, everywhere=everywhere)
    _converse(settings, begin, prompt, shared.images)


def fork(
    session: SessionId = None,
    prompt: Prompt = None,
    *,
    last: Last = False,
    everywhere: Everywhere = False,
    shared: Shared,
    ephemeral: Ephemeral = False,
) -> None:
    """Begin a new session with all that a stored one holds. The stored one stays as it is."""
    settings = shared.settings(interactive=True, ephemeral=ephemeral)
    if session is None and not last and _at_a_terminal():
        session = _chosen(settings, everywhere=everywhere)
        everywhere = False
    begin, prompt = _begin(settings, session, prompt, last=last, everywhere=everywhere, fork=True)
    _converse(settings, begin, prompt, shared.images)


def exec_task(
    prompt: Prompt = None,
    *,
    shared: Shared,
    ephemeral: Ephemeral = False,
    worktree: WorktreeOption = False,
    wanted: Wanted,
) -> None:
    """Run one task without asking anybody. An action that would need a yes is refused.

    PROMPT is an argument, standard input (`-` or none), or both. `agent exec resume ID` goes on with a
    stored session, `agent exec fork ID` with a copy of it.
    """
    from agent.cli.frontends import Begin

    settings = shared.settings(interactive=False, ephemeral=ephemeral, fail_on=wanted.fail_on)
    _execute(settings, Begin(worktree=worktree), wanted.task(prompt, shared.images))


def exec_resume(
    session: SessionId = None,
    prompt: Prompt = None,
    *,
    last: Last = False,
    everywhere: Everywhere = False,
    shared: Shared,
    wanted: Wanted,
) -> None:
    """Go on with a stored session, without asking anybody."""
    settings = shared.settings(interactive=False, fail_on=wanted.fail_on)
    begin, prompt = _begin(settings, session, prompt, last=last, everywhere=everywhere)
    _execute(settings, begin, wanted.task(prompt, shared.images))


def exec_fork(
    session: SessionId = None,
    prompt: Prompt = None,
    *,
    last: Last = False,
    everywhere: Everywhere = False,
    shared: Shared,
    ephemeral: Ephemeral = False,
    wanted: Wanted,
) -> None:
    """Begin a new session with all that a stored one holds, without asking anybody."""
    settings = shared.settings(interactive=False, ephemeral=ephemeral, fail_on=wanted.fail_on)
    begin, prompt = _begin(settings, session, prompt, last=last, everywhere=everywhere, fork=True)
    _execute(settings, begin, wanted.task(prompt, shared.images))


def _at_a_terminal() -> bool:
    import sys

    return sys.stdin is not None and sys.stdin.isatty() and sys.stdout.isatty()


def _chosen(settings: Settings, *, everywhere: bool) -> str | None:
    """The id of the session that a person chooses; None where there is nothing to choose."""
    import sys

    from agent.sessions.store import SessionStore
    from agent.tui.picker import pick

    if not settings.database.exists():
        return None
    with SessionStore.open(settings.database) as store:
        found = store.list(None if everywhere else str(settings.cwd))
    if len(found) < 2:
        return found[0].thread_id if found else None

    def ask(prompt: str) -> str | None:
        try:
            return input(prompt)
        except EOFError:
            return None

    chosen = pick(found, ask, sys.stdout.write, folders=everywhere)
    if chosen is None:
        raise typer.Exit(0)
    return chosen.thread_id


def _begin(
    settings: Settings,
    session: str | None,
    prompt: str | None,
    *,
    last: bool,
    everywhere: bool,
    fork: bool = False,
) -> tuple[Begin, str | None]:
    """The stored session to begin with, and the prompt: with `--last` that is the first word."""
    from agent.cli.frontends import Begin
    from agent.errors import UsageError

    if everywhere and not last:
        raise UsageError("`--all` says where `--last` looks", "give `--last --all`, or the id of a session")
    if last:
        if session is not None and prompt is not None:
            raise UsageError("`--last` and a session id do not go together", "give one of them")
        session, prompt = None, session
    return Begin(stored_session(settings, session, everywhere=everywhere), fork=fork), prompt


def stored_session(settings: Settings, named: str | None, *, everywhere: bool = False) -> str:
    """The id of the session meant: `named`, or the last of this folder, or of all."""
    from agent.errors import SessionError
    from agent.sessions.store import SessionStore

    if not settings.database.exists():
        raise SessionError("no session is stored yet", "begin one: `agent PROMPT`")
    with SessionStore.open(settings.database) as store:
        if named is not None:
            return store.find(named).thread_id
        latest = store.latest(None if everywhere else str(settings.cwd))
        if latest is None:
            raise SessionError(
                f"no session of the folder `{settings.cwd}`", "`agent sessions list` shows those of others"
            )
        return latest.thread_id


def _converse(settings: Settings, begin: Begin, prompt: str | None, images: tuple[str, ...]) -> None:
    from agent.cli.frontends import converse

    raise typer.Exit(converse(settings, begin, prompt, images))


def _execute(settings: Settings, begin: Begin, task: Task) -> None:
    from agent.cli.frontends import execute

    raise typer.Exit(execute(settings, begin, task))
