"""`agent config show`: every setting with its value, and where it comes from."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from agent.cli.options import AddDir, Folder, Model, Override, Profile, SandboxOption, Shared
from agent.cli.width import settings_of_help

if TYPE_CHECKING:
    from agent.config.model import Settings

app = typer.Typer(
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    no_args_is_help=True,
    context_settings=settings_of_help(),
    help="What is set, and where.",
)


@app.callback()
def config() -> None:
    """What is set, and where."""


@app.command("show", context_settings=settings_of_help())
def show(
    origin: Annotated[bool, typer.Option("--origin", help="Say where each value comes from.")] = False,
    json: Annotated[bool, typer.Option("--json", help="One JSON object a line, origins included.")] = False,
    cd: Folder = None,
    model: Model = None,
    sandbox: SandboxOption = None,
    add_dir: AddDir = None,
    overrides: Override = None,
    profile: Profile = None,
) -> None:
    """Show the settings in force here. Keys of model services are never shown."""
    import json as encoder

    from agent.config.keys import KEYS
    from compliance.redact import Redactor

    shared = Shared(cd=cd, model=model, sandbox=sandbox, add_dir=add_dir, config=overrides, profile=profile)
    settings = shared.settings(interactive=True)
    rows = [(key.name, _value(settings, key.field), settings.origins[key.field]) for key in KEYS]
    others = ("profile", "rules_profile", "agent_home")
    rows += [(name, _value(settings, name), settings.origins[name]) for name in others]
    rows.append(("key", "set" if settings.api_key else "not set", settings.origins["api_key"]))
    trust = "trusted" if settings.trusted else "not trusted"
    rows.append((f"project {settings.workspace}", trust, "user config" if settings.trusted else "default"))
    hide = Redactor(settings.secrets).json  # an address may hold a password
    for name, value, where in rows:
        value = hide(value)
        if json:
            typer.echo(encoder.dumps({"key": name, "value": value, "origin": where}))
        elif origin:
            typer.echo(f"{name} = {encoder.dumps(value, ensure_ascii=False)}  # {where}")
        else:
            typer.echo(f"{name} = {encoder.dumps(value, ensure_ascii=False)}")


def _value(settings: Settings, field: str) -> object:
    """As it is written in the file."""
    from execpolicy.decision import SandboxMode

    value = getattr(settings, field)
    if field == "approval_policy":
        from agent.config.asking import read_policy

        return read_policy(value).plain
    if isinstance(value, SandboxMode):
        return value.value
    if isinstance(value, tuple):
        return [str(one) for one in value]
    if isinstance(value, Path):
        return str(value)
    if field.endswith("_seconds"):
        return round(value * 1000)
    return value
