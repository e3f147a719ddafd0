"""`agent sessions`: what is stored."""

from __future__ import annotations

from typing import Annotated

import typer

from agent.cli.width import settings_of_help

app = typer.Typer(
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    no_args_is_help=True,
    context_settings=settings_of_help(),
    help="What is stored of earlier sessions.",
)

Here = Annotated[bool, typer.Option("--here", help="Only sessions of the folder you are in.")]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object a line.")]
Limit = Annotated[int, typer.Option("--limit", "-n", min=1, help="Most sessions to list.")]


@app.callback()
def sessions() -> None:
    """What is stored of earlier sessions."""


@app.command("list", context_settings=settings_of_help())
def list_sessions(here: Here = False, json: AsJson = False, limit: Limit = 50) -> None:
    """List stored sessions, the last used first."""
    import dataclasses
    import json as encoder
    import os

    from agent.cli.options import current_folder
    from agent.config.load import home_folder
    from agent.protocol.plain import one_line
    from agent.sessions.store import SessionStore

    path = home_folder(os.environ, current_folder()) / "sessions.db"
    if not path.exists():
        if not json:
            typer.echo("no sessions yet")
        return
    with SessionStore.open(path) as store:
        found = store.list(str(current_folder()) if here else None, limit)
    if json:
        for info in found:
            typer.echo(encoder.dumps(dataclasses.asdict(info)))
        return
    if not found:
        typer.echo("no sessions yet")
    for info in found:
        used = info.updated_at[:16].replace("T", " ")
        typer.echo(f"{info.thread_id}  {used}  {one_line(info.cwd, 40):<40}  {one_line(info.title, 60)}")


@app.command("set-aside", context_settings=settings_of_help())
def set_aside_command() -> None:
    """Move a session database that cannot be used out of the way. Nothing is deleted."""
    import os

    from agent.cli.options import current_folder
    from agent.config.load import home_folder
    from agent.errors import SessionError
    from agent.sessions.store import set_aside

    path = home_folder(os.environ, current_folder()) / "sessions.db"
    if not path.exists():
        raise SessionError(f"there is no session database `{path}`", "nothing needs to be done")
    typer.echo(f"kept as {set_aside(path)}")
