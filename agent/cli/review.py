"""`agent review`: a change goes to the model, which may read and not write."""

from __future__ import annotations

from typing import Annotated

import typer

from agent.cli.options import Ephemeral, Prompt, Sandbox, Shared, Wanted

_ASKED = (
    "Review this change. Look at {what}. Read the code around it as far as you need to.\n"
    "Tell only what the author would want to repair: defects, security holes, broken promises, missing tests for "
    "what can break. No praise, no style. For each finding: file and line, what happens, when, how bad "
    "(P0 blocks the release to P3 may wait), and how to repair it. Say so when there is nothing. Change no file."
)


def review(
    prompt: Prompt = None,
    *,
    uncommitted: Annotated[
        bool, typer.Option("--uncommitted", help="What is not committed: staged, unstaged and new files.")
    ] = False,
    base: Annotated[
        str | None, typer.Option("--base", metavar="BRANCH", help="What this branch adds to BRANCH.")
    ] = None,
    commit: Annotated[str | None, typer.Option("--commit", metavar="SHA", help="One commit.")] = None,
    title: Annotated[
        str | None, typer.Option("--title", metavar="TEXT", help="What the change calls itself.")
    ] = None,
    shared: Shared,
    ephemeral: Ephemeral = False,
    wanted: Wanted,
) -> None:
    """Let the model look at a change: what is not committed (default), a branch, or a commit.

    It works in a read-only sandbox and asks nobody. PROMPT says what to look for beside the usual.
    """
    import dataclasses

    from agent.cli.frontends import Begin, execute
    from agent.errors import UsageError

    if sum((uncommitted, base is not None, commit is not None)) > 1:
        raise UsageError("`--uncommitted`, `--base` and `--commit` do not go together", "give one of them")
    if shared.full_auto or shared.bypass or shared.sandbox not in (None, Sandbox.READ_ONLY):
        raise UsageError("a review works in the read-only sandbox", "leave the sandbox out")
    reading = dataclasses.replace(shared, sandbox=Sandbox.READ_ONLY)
    settings = reading.settings(interactive=False, ephemeral=ephemeral, fail_on=wanted.fail_on)
    what = _what(str(settings.cwd), base, commit)
    text = _ASKED.format(what=what)
    text += f"\n\nThe change calls itself: {title}" if title else ""
    text += f"\n\n{prompt}" if prompt else ""
    raise typer.Exit(execute(settings, Begin(), wanted.task(text, shared.images)))


def _what(folder: str, base: str | None, commit: str | None) -> str:
    """What to look at, as git names it; a name that git does not know is told before a model is asked."""
    from agent.errors import UsageError

    if commit is not None:
        found = _commit(folder, commit)
        return f"commit {found} (`git show {found}`)"
    if base is not None:
        found = _commit(folder, base)
        return f"what this branch adds since it left `{base}` (`git diff {found}...HEAD`)"
    if not _git(folder, "rev-parse", "--verify", "--quiet", "HEAD"):
        if not _git(folder, "rev-parse", "--git-dir"):
            raise UsageError(f"`{folder}` is no git repository", "a review needs one")
        return "what is to be the first commit: every file that git does not ignore (`git status --short`)"
    return "what is not committed (`git status --short`, `git diff HEAD`, and the files that git does not know yet)"


def _commit(folder: str, name: str) -> str:
    from agent.errors import UsageError

    found = _git(folder, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}")
    if not found:
        raise UsageError(f"git knows no commit `{name}` in `{folder}`", "check the name and the folder")
    return found


def _git(folder: str, *words: str) -> str:
    """What git prints; nothing where it fails."""
    import subprocess

    from agent.errors import UsageError

    try:
        done = subprocess.run(["git", *words], cwd=folder, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise UsageError("git is not installed", "a review needs it") from None
    return done.stdout.strip() if done.returncode == 0 else ""
