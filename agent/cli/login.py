"""`agent login` and `agent logout`: the key of a model service, kept where only you can get it."""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from agent.config.credentials import Credentials

MOST_BYTES = 8192  # of a key
Provider = Annotated[
    str,
    typer.Option("--provider", metavar="NAME", help="Model provider that the key is for."),
]


class Action(enum.StrEnum):
    STATUS = "status"


def login(
    action: Annotated[
        Action | None, typer.Argument(metavar="status", help="As `--status`.", show_default=False)
    ] = None,
    provider: Provider = "openai",
    with_api_key: Annotated[
        bool, typer.Option("--with-api-key", help="Read the key from standard input, as without a terminal.")
    ] = False,
    status: Annotated[bool, typer.Option("--status", help="Say where keys are kept, and keep none.")] = False,
) -> None:
    """Keep the key of the model service in the system keyring, else in a file that only you can read.

    The key is typed without being shown, or read from standard input. A key in the environment goes first.
    """
    import getpass
    import os
    import sys

    from agent.config.model import CODEX_KEY_VARIABLE, DEFAULT_KEY_VARIABLE
    from agent.errors import UsageError

    kept = _credentials()
    if status or action is Action.STATUS:
        stores = kept.stores()
        for name, where in stores.items():
            typer.echo(f"{name}: {'the system keyring' if where == 'keyring' else kept.path}")
        if not stores:
            typer.echo("no key is kept")
        for name in (CODEX_KEY_VARIABLE, DEFAULT_KEY_VARIABLE):
            if os.environ.get(name):
                typer.echo(f"{name} is set in the environment, and goes first")
                break
        else:
            if not stores:
                raise typer.Exit(1)
        return
    if with_api_key or not sys.stdin.isatty():
        key = sys.stdin.buffer.read(MOST_BYTES + 1).decode("utf-8", "replace").strip()
    else:
        key = getpass.getpass(f"key of {provider}: ").strip()
    if not key or not key.isascii() or not key.isprintable() or " " in key or len(key) > MOST_BYTES:
        raise UsageError("that is no key", "give the key in one line, as the model service shows it")
    stored = kept.put(provider, key)
    if stored.store == "keyring":
        typer.echo(f"the key of {provider} is in the system keyring")
        return
    typer.echo(f"the key of {provider} is in {kept.path}")
    typer.echo(
        f"warning: {stored.why}: the key stands in a file with mode 0600, readable for every program of yours",
        err=True,
    )


def logout(provider: Provider = "openai") -> None:
    """Forget the key that `agent login` keeps."""
    if _credentials().remove(provider):
        typer.echo(f"the key of {provider} is forgotten")
    else:
        typer.echo(f"no key of {provider} is kept")


def _credentials() -> Credentials:
    import os

    from agent.cli.options import current_folder
    from agent.config.credentials import Credentials
    from agent.config.load import ensure_home, home_folder

    home = home_folder(os.environ, current_folder())
    ensure_home(home)
    return Credentials(home)
