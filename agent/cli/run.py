"""The commands that run a model: interactive, `exec`, `resume`, `exec resume`. Thin."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from agent.cli.options import (
    AddDir,
    AsJson,
    BaseUrl,
    Ephemeral,
    FailOn,
    FailOnOption,
    Folder,
    LastMessage,
    Model,
    Override,
    Policy,
    Prompt,
    SandboxOption,
    Shared,
    SkipGit,
)

if TYPE_CHECKING:
    from agent.config.model import Settings

SessionId = Annotated[
    str | None, typer.Argument(metavar="ID", help="The session: its id or the start of it.")
]
Version = Annotated[bool, typer.Option("--version", "-V", help="Show the version and exit.")]
Last = Annotated[bool, typer.Option("--last", help="The session last used in this folder.")]


def interactive(
    prompt: Prompt = None,
    policy: Policy = None,
    cd: Folder = None,
    model: Model = None,
    base_url: BaseUrl = None,
    sandbox: SandboxOption = None,
    add_dir: AddDir = None,
    config: Override = None,
    ephemeral: Ephemeral = False,
    version: Version = False,
) -> None:
    """A coding agent whose every action passes a policy.

    Works on PROMPT, asks where the policy says so, and then waits for the next task.
    """
    if version:
        from agent import __version__

        typer.echo(f"agent {__version__}")
        return
    shared = Shared(
        policy=policy,
        cd=cd,
        model=model,
        base_url=base_url,
        sandbox=sandbox,
        add_dir=add_dir,
        config=config,
        ephemeral=ephemeral,
    )
    _converse(shared.settings(interactive=True), None, prompt)


def resume(
    session: SessionId = None,
    prompt: Prompt = None,
    last: Last = False,
    policy: Policy = None,
    cd: Folder = None,
    model: Model = None,
    base_url: BaseUrl = None,
    sandbox: SandboxOption = None,
    add_dir: AddDir = None,
    config: Override = None,
) -> None:
    """Go on with a stored session. Without ID: the one last used in this folder."""
    shared = Shared(
        policy=policy, cd=cd, model=model, base_url=base_url, sandbox=sandbox, add_dir=add_dir, config=config
    )
    settings = shared.settings(interactive=True)
    session, prompt = _named(session, prompt, last=last)
    _converse(settings, stored_session(settings, session), prompt)


def exec_task(
    prompt: Prompt = None,
    policy: Policy = None,
    cd: Folder = None,
    model: Model = None,
    base_url: BaseUrl = None,
    sandbox: SandboxOption = None,
    add_dir: AddDir = None,
    config: Override = None,
    ephemeral: Ephemeral = False,
    json: AsJson = False,
    last_message: LastMessage = None,
    fail_on: FailOnOption = FailOn.NEVER,
    skip_git_repo_check: SkipGit = False,
) -> None:
    """Run one task without asking anybody. An action that would need a yes is refused.

    PROMPT is an argument, standard input (`-` or none), or both. `agent exec resume ID` goes on with a
    stored session.
    """
    shared = Shared(
        policy=policy,
        cd=cd,
        model=model,
        base_url=base_url,
        sandbox=sandbox,
        add_dir=add_dir,
        config=config,
        ephemeral=ephemeral,
    )
    _execute(shared.settings(interactive=False), None, prompt, last_message, fail_on, as_json=json)


def exec_resume(
    session: SessionId = None,
    prompt: Prompt = None,
    last: Last = False,
    policy: Policy = None,
    cd: Folder = None,
    model: Model = None,
    base_url: BaseUrl = None,
    sandbox: SandboxOption = None,
    add_dir: AddDir = None,
    config: Override = None,
    json: AsJson = False,
    last_message: LastMessage = None,
    fail_on: FailOnOption = FailOn.NEVER,
    skip_git_repo_check: SkipGit = False,
) -> None:
    """Go on with a stored session, without asking anybody."""
    shared = Shared(
        policy=policy, cd=cd, model=model, base_url=base_url, sandbox=sandbox, add_dir=add_dir, config=config
    )
    settings = shared.settings(interactive=False)
    session, prompt = _named(session, prompt, last=last)
    thread_id = stored_session(settings, session)
    _execute(settings, thread_id, prompt, last_message, fail_on, as_json=json)


def stored_session(settings: Settings, named: str | None) -> str:
    """The id of the session meant: `named`, or the last of this folder."""
    from agent.errors import SessionError
    from agent.sessions.store import SessionStore

    if not settings.database.exists():
        raise SessionError("no session is stored yet", "begin one: `agent PROMPT`")
    with SessionStore.open(settings.database) as store:
        if named is not None:
            return store.find(named).thread_id
        latest = store.latest(str(settings.cwd))
        if latest is None:
            raise SessionError(
                f"no session of the folder `{settings.cwd}`", "`agent sessions list` shows those of others"
            )
        return latest.thread_id


def _named(session: str | None, prompt: str | None, *, last: bool) -> tuple[str | None, str | None]:
    """With `--last` the first word is the prompt."""
    from agent.errors import UsageError

    if not last:
        return session, prompt
    if session is not None and prompt is not None:
        raise UsageError("`--last` and a session id do not go together", "give one of them")
    return None, session


def _converse(settings: Settings, thread_id: str | None, prompt: str | None) -> None:
    from agent.cli.frontends import converse

    raise typer.Exit(converse(settings, thread_id, prompt))


def _execute(
    settings: Settings,
    thread_id: str | None,
    prompt: str | None,
    last_message: str | None,
    fail_on: FailOn,
    *,
    as_json: bool,
) -> None:
    from agent.cli.frontends import execute

    status = execute(settings, thread_id, prompt, last_message, fail_on, as_json=as_json)
    raise typer.Exit(status)
