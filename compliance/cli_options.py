"""Options that several commands of `agent audit` share."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

Folder = Annotated[
    Path | None, typer.Option("--dir", help="Folder of the log.", show_default="$AGENT_HOME/audit")
]


def default_folder() -> Path:
    """`AGENT_HOME`/audit, by default `~/.agent/audit`."""
    home = os.environ.get("AGENT_HOME")
    return (Path(home).expanduser() if home else Path.home() / ".agent") / "audit"
