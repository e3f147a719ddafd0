"""`agent review`: a change goes to the model, which may read and not write."""

from __future__ import annotations

from typing import Annotated

import typer

from agent.cli.options import (
    AsJson,
    BaseUrl,
    Ephemeral,
    FailOnOption,
    Folder,
    Ignored,
    LastMessage,
    Model,
    Override,
    Policy,
    Profile,
    Prompt,
    Sandbox,
    Schema,
    Shared,
    SkipGit,
)

_ASKED = (
    "Review this change. Look at {what}. Read the code around it as far as you need to.\n"
    "Tell only what the author would want to repair: defects, security holes, broken promises, missing tests for "
    "what can break. No praise, no style. For each finding: file and line, what happens, when, how bad "
    "(P0 blocks the release to P3 may wait), and how to repair it. Say so when there is nothing. Change no file."
)


def review(
    prompt: Prompt = None,
    uncommitted: Annotated[
        bool, typer.Option("--uncommitted", help="What is not committed: staged, unstaged and new files.")
    ] = False,
    base: Annotated[
        str | None, typer.Option("--base", metavar="BRANCH", help="What this branch adds to BRANCH.")
    ] = None,
    commit: Annotated[str | None, typer.Option("--commit", metavar="SHA", help="One commit.")] = None,
    policy: Policy = None,
    cd: Folder = None,
    model: Model = None,
    base_url: BaseUrl = None,
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
    """Let the model look at a change: what is not committed (default), a branch, or a commit.

    It works in a read-only sandbox and asks nobody. PROMPT says what to look for beside the usual.
    """
    from agent.cli.frontends import Begin, Task, execute
    from agent.errors import UsageError

    if sum((uncommitted, base is not None, commit is not None)) > 1:
        raise UsageError("`--uncommitted`, `--base` and `--commit` do not go together", "give one of them")
    shared = Shared(
        policy=policy,
        cd=cd,
        model=model,
        base_url=base_url,
        sandbox=Sandbox.READ_ONLY,
        config=config,
        profile=profile,
        ephemeral=ephemeral,
        fail_on=fail_on,
    )
    settings = shared.settings(interactive=False)
    what = _what(str(settings.cwd), base, commit)
    text = _ASKED.format(what=what) + (f"\n\n{prompt}" if prompt else "")
    raise typer.Exit(execute(settings, Begin(), Task(text, (), output_schema, last_message, as_json=json)))


def _what(folder: str, base: str | None, commit: str | None) -> str:
    """What to look at, as git names it; a name that git does not know is told before a model is asked."""
    if commit is not None:
        found = _commit(folder, commit)
        return f"commit {found} (`git show {found}`)"
    if base is not None:
        found = _commit(folder, base)
        return f"what this branch adds since it left `{base}` (`git diff {found}...HEAD`)"
    _commit(folder, "HEAD")
    return "what is not committed (`git status --short`, `git diff HEAD`, and the files that git does not know yet)"


def _commit(folder: str, name: str) -> str:
    import subprocess

    from agent.errors import UsageError

    words = ["git", "rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}"]
    try:
        done = subprocess.run(words, cwd=folder, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise UsageError("git is not installed", "a review needs it") from None
    if done.returncode:
        raise UsageError(f"git knows no commit `{name}` in `{folder}`", "check the name and the folder")
    return done.stdout.strip()
