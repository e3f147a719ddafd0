"""The commands that run a model: interactive, `exec`, `resume`, `fork`. Thin."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from agent.cli.options import (
    AddDir,
    AsJson,
    BaseUrl,
    Ephemeral,
    FailOnOption,
    Folder,
    Ignored,
    Image,
    LastMessage,
    Model,
    Override,
    Policy,
    Profile,
    Prompt,
    SandboxOption,
    Schema,
    Shared,
    SkipGit,
    WorktreeOption,
)

if TYPE_CHECKING:
    from agent.cli.frontends import Begin, Task
    from agent.config.model import Settings

SessionId = Annotated[
    str | None, typer.Argument(metavar="ID", help="The session: its id, the start of it, or its name.")
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
    image: Image = None,
    config: Override = None,
    profile: Profile = None,
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

    shared = Shared(
        policy=policy,
        cd=cd,
        model=model,
        base_url=base_url,
        sandbox=sandbox,
        add_dir=add_dir,
        config=config,
        profile=profile,
        ephemeral=ephemeral,
    )
    _converse(shared.settings(interactive=True), Begin(worktree=worktree), prompt, image)


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
    image: Image = None,
    config: Override = None,
    profile: Profile = None,
) -> None:
    """Go on with a stored session. Without ID: the one last used in this folder."""
    shared = Shared(
        policy=policy,
        cd=cd,
        model=model,
        base_url=base_url,
        sandbox=sandbox,
        add_dir=add_dir,
        config=config,
        profile=profile,
    )
    _go_on(shared, session, prompt, image, last=last, fork=False)


def fork(
    session: SessionId = None,
    prompt: Prompt = None,
    last: Last = False,
    policy: Policy = None,
    cd: Folder = None,
    model: Model = None,
    base_url: BaseUrl = None,
    sandbox: SandboxOption = None,
    add_dir: AddDir = None,
    image: Image = None,
    config: Override = None,
    profile: Profile = None,
    ephemeral: Ephemeral = False,
) -> None:
    """Begin a new session with all that a stored one holds. The stored one stays as it is."""
    shared = Shared(
        policy=policy,
        cd=cd,
        model=model,
        base_url=base_url,
        sandbox=sandbox,
        add_dir=add_dir,
        config=config,
        profile=profile,
        ephemeral=ephemeral,
    )
    _go_on(shared, session, prompt, image, last=last, fork=True)


def exec_task(
    prompt: Prompt = None,
    policy: Policy = None,
    cd: Folder = None,
    model: Model = None,
    base_url: BaseUrl = None,
    sandbox: SandboxOption = None,
    add_dir: AddDir = None,
    image: Image = None,
    config: Override = None,
    profile: Profile = None,
    ephemeral: Ephemeral = False,
    worktree: WorktreeOption = False,
    json: AsJson = False,
    last_message: LastMessage = None,
    output_schema: Schema = None,
    fail_on: FailOnOption = None,
    skip_git_repo_check: SkipGit = False,
    ignored: Ignored = None,
) -> None:
    """Run one task without asking anybody. An action that would need a yes is refused.

    PROMPT is an argument, standard input (`-` or none), or both. `agent exec resume ID` goes on with a
    stored session, `agent exec fork ID` with a copy of it.
    """
    from agent.cli.frontends import Begin, Task

    shared = Shared(
        policy=policy,
        cd=cd,
        model=model,
        base_url=base_url,
        sandbox=sandbox,
        add_dir=add_dir,
        config=config,
        profile=profile,
        ephemeral=ephemeral,
        fail_on=fail_on,
    )
    task = Task(prompt, tuple(image or ()), output_schema, last_message, as_json=json)
    _execute(shared.settings(interactive=False), Begin(worktree=worktree), task)


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
    image: Image = None,
    config: Override = None,
    profile: Profile = None,
    json: AsJson = False,
    last_message: LastMessage = None,
    output_schema: Schema = None,
    fail_on: FailOnOption = None,
    skip_git_repo_check: SkipGit = False,
    ignored: Ignored = None,
) -> None:
    """Go on with a stored session, without asking anybody."""
    from agent.cli.frontends import Begin, Task

    shared = Shared(
        policy=policy,
        cd=cd,
        model=model,
        base_url=base_url,
        sandbox=sandbox,
        add_dir=add_dir,
        config=config,
        profile=profile,
        fail_on=fail_on,
    )
    settings = shared.settings(interactive=False)
    session, prompt = _named(session, prompt, last=last)
    task = Task(prompt, tuple(image or ()), output_schema, last_message, as_json=json)
    _execute(settings, Begin(stored_session(settings, session)), task)


def exec_fork(
    session: SessionId = None,
    prompt: Prompt = None,
    last: Last = False,
    policy: Policy = None,
    cd: Folder = None,
    model: Model = None,
    base_url: BaseUrl = None,
    sandbox: SandboxOption = None,
    add_dir: AddDir = None,
    image: Image = None,
    config: Override = None,
    profile: Profile = None,
    ephemeral: Ephemeral = False,
    json: AsJson = False,
    last_message: LastMessage = None,
    output_schema: Schema = None,
    fail_on: FailOnOption = None,
    skip_git_repo_check: SkipGit = False,
    ignored: Ignored = None,
) -> None:
    """Begin a new session with all that a stored one holds, without asking anybody."""
    from agent.cli.frontends import Begin, Task

    shared = Shared(
        policy=policy,
        cd=cd,
        model=model,
        base_url=base_url,
        sandbox=sandbox,
        add_dir=add_dir,
        config=config,
        profile=profile,
        ephemeral=ephemeral,
        fail_on=fail_on,
    )
    settings = shared.settings(interactive=False)
    session, prompt = _named(session, prompt, last=last)
    task = Task(prompt, tuple(image or ()), output_schema, last_message, as_json=json)
    _execute(settings, Begin(stored_session(settings, session), fork=True), task)


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


def _go_on(
    shared: Shared,
    session: str | None,
    prompt: str | None,
    image: list[str] | None,
    *,
    last: bool,
    fork: bool,
) -> None:
    from agent.cli.frontends import Begin

    settings = shared.settings(interactive=True)
    session, prompt = _named(session, prompt, last=last)
    _converse(settings, Begin(stored_session(settings, session), fork=fork), prompt, image)


def _converse(settings: Settings, begin: Begin, prompt: str | None, image: list[str] | None) -> None:
    from agent.cli.frontends import converse

    raise typer.Exit(converse(settings, begin, prompt, tuple(image or ())))


def _execute(settings: Settings, begin: Begin, task: Task) -> None:
    from agent.cli.frontends import execute

    raise typer.Exit(execute(settings, begin, task))
