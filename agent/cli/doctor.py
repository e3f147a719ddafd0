"""`agent doctor`: what of this machine works for the agent, and how to get the rest."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from agent.cli.width import settings_of_help

if TYPE_CHECKING:
    from agent.sandbox.machine import Layer

app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object a line.")]
_MARKS = {"works": "ok", "missing": "MISSING", "unused": "-"}


@app.command(context_settings=settings_of_help())
def doctor(json: AsJson = False) -> int:
    """Say which layers of confinement this machine has and what else the agent needs.

    The exit status is 1 when something that commands need is missing.
    """
    import json as encoder

    found = [*_layers(), *_programs(), *_state(), *_names()]
    for layer in found:
        if json:
            row = {"name": layer.name, "state": layer.state.value, "about": layer.about, "help": layer.help}
            typer.echo(encoder.dumps(row))
            continue
        typer.echo(f"{_MARKS[layer.state.value]:<8}{layer.name}: {layer.about}")
        if layer.help:
            typer.echo(f"{'':<8}help: {layer.help}")
    return int(any(layer.state.value == "missing" for layer in found))


def _layers() -> Iterator[Layer]:
    from agent.sandbox.machine import layers

    yield from layers()


def _programs() -> Iterator[Layer]:
    import shutil

    from agent.sandbox.machine import Layer, State

    for name, need in (("bash", State.MISSING), ("git", State.UNUSED)):
        path = shutil.which(name)
        if path is None:
            yield Layer(name, need, "not installed", f"install `{name}` with the system's package manager")
        else:
            yield Layer(name, State.WORKS, path)


def _state() -> Iterator[Layer]:
    import os

    from agent.cli.options import current_folder
    from agent.config.load import ensure_home, home_folder
    from agent.errors import AgentError
    from agent.sandbox.machine import Layer, State

    home = home_folder(os.environ, current_folder())
    try:
        ensure_home(home)
    except AgentError as error:
        yield Layer("state folder", State.MISSING, str(error), error.help)
        return
    yield Layer("state folder", State.WORKS, str(home))


def _names() -> Iterator[Layer]:
    """Other distributions may bring a package of the same name; installers overwrite without a word."""
    from importlib.metadata import packages_distributions

    from agent.sandbox.machine import Layer, State

    owners = packages_distributions()
    for package in ("agent", "execpolicy", "compliance"):
        others = sorted(set(owners.get(package, [])) - {"policy-agent"})
        if others:
            yield Layer(
                "package names",
                State.MISSING,
                f"`{package}` also belongs to {', '.join(others)}",
                "install the agent into an environment of its own",
            )
            return
    yield Layer("package names", State.WORKS, "agent, execpolicy and compliance are ours alone")
