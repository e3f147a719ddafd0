"""`agent sessions`: what is stored, and what a person does with it."""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, Annotated

import typer

from agent.cli.width import settings_of_help

if TYPE_CHECKING:
    from agent.app.masking import Masking
    from agent.sessions.store import SessionInfo, SessionStore

app = typer.Typer(
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    no_args_is_help=True,
    context_settings=settings_of_help(),
    help="What is stored of earlier sessions.",
)


class Form(enum.StrEnum):
    JSONL = "jsonl"
    MARKDOWN = "markdown"


Here = Annotated[bool, typer.Option("--here", help="Only sessions of the folder you are in.")]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object a line.")]
Limit = Annotated[int, typer.Option("--limit", "-n", min=1, help="Most sessions to list.")]
Archived = Annotated[bool, typer.Option("--archived", help="Those that were archived.")]
Id = Annotated[str, typer.Argument(metavar="ID", help="The session: its id, the start of it, or its name.")]


@app.callback()
def sessions() -> None:
    """What is stored of earlier sessions."""


@app.command("list", context_settings=settings_of_help())
def list_sessions(
    here: Here = False, archived: Archived = False, json: AsJson = False, limit: Limit = 50
) -> None:
    """List stored sessions, the last used first."""
    import dataclasses
    import json as encoder

    from agent.cli.options import current_folder

    found: tuple[SessionInfo, ...] = ()
    if store := _store():
        with store:
            found = store.list(str(current_folder()) if here else None, limit, archived=archived)
    if not found and not json:
        typer.echo("nothing is archived" if archived else "no sessions yet")
    hiding = _hiding() if found else None
    for info in found:
        shown = _shown(info, hiding)
        if json:
            typer.echo(encoder.dumps(dataclasses.asdict(shown)))
        else:
            _line(shown)


@app.command("search", context_settings=settings_of_help())
def search_command(
    text: Annotated[str, typer.Argument(metavar="TEXT", help="The words, as they stand.")],
    here: Here = False,
    json: AsJson = False,
    limit: Limit = 50,
) -> None:
    """Find sessions that hold TEXT: in messages, calls, outputs or names. The exit status is 1 when none does."""
    import dataclasses
    import itertools
    import json as encoder

    from agent.cli.options import current_folder
    from agent.protocol.plain import one_line
    from agent.sessions.search import search

    found = 0
    hiding: Masking | None = None
    if store := _store():
        with store:
            for hit in itertools.islice(search(store, text, str(current_folder()) if here else None), limit):
                found += 1
                hiding = hiding or _hiding()
                session = _shown(hit.session, hiding)
                hit = dataclasses.replace(hit, session=session, excerpt=hiding.text(hit.excerpt))
                if json:
                    typer.echo(encoder.dumps(dataclasses.asdict(hit)))
                else:
                    _line(hit.session)
                    typer.echo(f"    {hit.count} x, last: {one_line(hit.excerpt, 140)}")
    if not found:
        if not json:
            typer.echo("no session holds that", err=True)
        raise typer.Exit(1)


@app.command("name", context_settings=settings_of_help())
def name_command(
    session: Id,
    name: Annotated[str, typer.Argument(metavar="NAME", help="Its name; empty: none any more.")],
) -> None:
    """Give a session a name by which every command finds it."""
    from agent.sessions.lifecycle import rename

    with _opened() as store:
        rename(store, store.find(session).thread_id, name)


@app.command("archive", context_settings=settings_of_help())
def archive_command(session: Id) -> None:
    """Take a session out of the list. Nothing of it is lost."""
    _archive(session, away=True)


@app.command("unarchive", context_settings=settings_of_help())
def unarchive_command(session: Id) -> None:
    """Put an archived session back."""
    _archive(session, away=False)


@app.command("delete", context_settings=settings_of_help())
def delete_command(
    session: Id,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Remove a session for good. The audit record keeps what was decided and done."""
    import sys

    from agent.errors import UsageError
    from agent.protocol.plain import one_line
    from agent.sessions.lifecycle import delete

    with _opened() as store:
        info = store.find(session)
        if not yes:
            if not sys.stdin.isatty():
                raise UsageError("nobody can be asked", "say `--yes` if you mean it")
            typer.confirm(f"delete {info.thread_id} ({one_line(info.name or info.title, 60)})?", abort=True)
        kept = delete(store, info.thread_id)
    typer.echo(f"deleted {info.thread_id}")
    if kept:
        typer.echo(f"{kept} events stay in the database: sessions that were forked from it begin with them")


@app.command("export", context_settings=settings_of_help())
def export_command(
    session: Id,
    form: Annotated[Form, typer.Option("--format", "-f", help="jsonl or markdown.")] = Form.MARKDOWN,
    output: Annotated[
        str | None, typer.Option("--output", "-o", metavar="FILE", help="Default: standard output.")
    ] = None,
) -> None:
    """Write a whole session as JSON Lines or as Markdown, without its secrets."""
    import os

    from agent.errors import ConfigError
    from agent.sessions.export import json_lines, markdown, without_secrets

    with _opened() as store:
        found = store.find(session)
        info, events = without_secrets(found, store.events(found.thread_id), _hiding())
        lines = (json_lines if form is Form.JSONL else markdown)(info, events)
        if output is None:
            for line in lines:
                typer.echo(line.encode("utf-8", "replace").decode("utf-8"))
            return
        try:
            # As private as the database that it comes from.
            handle = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with open(handle, "w", encoding="utf-8", errors="replace") as file:
                file.writelines(line + "\n" for line in lines)
        except OSError as error:
            raise ConfigError(
                f"cannot write `{output}`: {error.strerror}", "check the path of `-o`"
            ) from None


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


def _archive(session: str, *, away: bool) -> None:
    from agent.sessions.lifecycle import archive

    with _opened() as store:
        archive(store, store.find(session).thread_id, away=away)


def _shown(info: SessionInfo, hiding: Masking | None) -> SessionInfo:
    """A line of the list without secrets: the first prompt may hold one."""
    import dataclasses

    if hiding is None:
        return info
    return dataclasses.replace(
        info,
        title=hiding.text(info.title),
        name=hiding.text(info.name),
        cwd=hiding.text(info.cwd),
        workspace=hiding.text(info.workspace),
    )


def _hiding() -> Masking:
    import os

    from agent.app.masking import masking_here
    from agent.cli.options import current_folder

    return masking_here(os.environ, current_folder())


def _opened() -> SessionStore:
    from agent.errors import SessionError

    store = _store()
    if store is None:
        raise SessionError("no session is stored yet", "begin one: `agent PROMPT`")
    return store


def _store() -> SessionStore | None:
    import os

    from agent.cli.options import current_folder
    from agent.config.load import home_folder
    from agent.sessions.store import SessionStore

    path = home_folder(os.environ, current_folder()) / "sessions.db"
    return SessionStore.open(path) if path.exists() else None


def _line(info: SessionInfo) -> None:
    from agent.protocol.plain import one_line

    used = info.updated_at[:16].replace("T", " ")
    told = info.title or "(no task yet)"
    title = f"[{info.name}] {told}" if info.name else told
    typer.echo(f"{info.thread_id}  {used}  {one_line(info.cwd, 40):<40}  {one_line(title, 60)}")
