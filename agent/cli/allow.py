"""`agent approvals allow`: a lasting yes before anybody asks, for runs where nobody will be there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from agent.cli.options import Folder

if TYPE_CHECKING:
    from agent.app.beforehand import Beforehand

MOST_DAYS = 3650
Words = Annotated[
    list[str] | None, typer.Argument(metavar="CMD", help="The command and its arguments, behind `--`.")
]
Script = Annotated[
    str | None, typer.Option("--script", metavar="TEXT", help="A script as bash would read it.")
]
Project = Annotated[
    bool, typer.Option("--project", help="Keep it for this project, which must be trusted, not for you.")
]
Days = Annotated[
    int | None,
    typer.Option(
        "--days",
        metavar="N",
        min=1,
        max=MOST_DAYS,
        help="How long it holds. Default: `approvals.expire_days`.",
    ),
]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Keep what is shown without asking.")]


def allow(
    words: Words = None,
    script: Script = None,
    project: Project = False,
    days: Days = None,
    yes: Yes = False,
    cd: Folder = None,
) -> int:
    """Allow one command beforehand, to the letter, as a yes on the card would.

    What it would allow is shown with examples, and kept once you say yes. Exit status: 0 it is allowed, 1 it is
    not, 2 wrong usage.
    """
    import shlex
    import sys

    from agent.app import policy
    from agent.app.beforehand import work_out
    from agent.cli.options import Shared
    from agent.errors import UsageError
    from execpolicy.values import replace

    if (not words) == (script is None):
        raise UsageError("one of a command behind `--` and `--script` is wanted")
    text = shlex.join(words) if words else script or ""
    if not text.strip():
        raise UsageError("the command is empty")
    settings = Shared(cd=cd).settings(interactive=True)
    if days is not None:
        settings = replace(settings, approval_days=days)
    in_force = policy.load(settings)
    for warning in in_force.warnings:
        typer.echo(f"warning: {warning.message}", err=True)
    found = work_out(settings, text, project=project, in_force=in_force)
    if found is None:
        typer.echo("nothing to keep: the policy allows it already")
        return 0
    _show(found)
    if not yes:
        if not sys.stdin.isatty():
            raise UsageError("nobody is there to say yes", "look at what is shown, then add `--yes`")
        if not typer.confirm("keep this?"):
            typer.echo("not kept")
            return 1
    for id_ in found.keep(_user()):
        typer.echo(f"kept: {id_} ({found.answer.value}), until {found.offer.ends}")
    return 0


def _show(found: Beforehand) -> None:
    from agent.protocol.plain import visible
    from agent.tui.approvals import card

    for line in card(found.request, whole=True)[1:]:
        typer.echo(f"{line.mark}{line.text}")
    for rule in found.offer.rules:
        typer.echo(visible(rule).rstrip("\n"))


def _user() -> str:
    import getpass

    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "user"
