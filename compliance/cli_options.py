"""Options that several commands of `agent audit` share."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from compliance.note import Verifier
    from execpolicy.bundle.load import PolicySource

Folder = Annotated[
    Path | None, typer.Option("--dir", help="Folder of the log.", show_default="$AGENT_HOME/audit")
]
Logs = Annotated[
    list[Path] | None,
    typer.Option(
        "--log",
        "--dir",
        metavar="PATH",
        help="A log, an export as JSON Lines, or a folder of these; several times for several machines.",
        show_default="$AGENT_HOME/audit",
    ),
]
Since = Annotated[
    str, typer.Option("--from", "--since", help="Not before: ISO 8601, or an age such as 30m, 2h, 3d, 1w.")
]
Until = Annotated[str, typer.Option("--to", "--until", help="Before: as --from.")]
RuleFiles = Annotated[
    list[Path] | None,
    typer.Option("--rules", metavar="PATH", help="Rule files to compare with: a file, or a folder of them."),
]


def default_folder() -> Path:
    """`AGENT_HOME`/audit, by default `~/.agent/audit`."""
    home = os.environ.get("AGENT_HOME")
    return (Path(home).expanduser() if home else Path.home() / ".agent") / "audit"


def rule_sources(places: Iterable[Path], profile: str) -> list[PolicySource]:
    """The rule files that were named. BadParameter for a place that holds none."""
    from execpolicy.bundle.load import PolicySource
    from execpolicy.bundle.shipped import NoProfile, profile_sources
    from execpolicy.decision import Layer

    found: list[PolicySource] = []
    for place in places:
        paths = sorted(place.rglob("*.rules")) if place.is_dir() else [place]
        paths = [path for path in paths if path.is_file()]
        if not paths:
            raise typer.BadParameter(f"no rule file in `{place}`", param_hint="--rules")
        found += [PolicySource(path, Layer.USER) for path in paths]
    try:
        return [*found, *(profile_sources(profile) if profile else ())]
    except NoProfile as error:
        raise typer.BadParameter(str(error), param_hint="--profile") from None


def moment_of(text: str, option: str) -> str:
    """A time of the command line as it stands in records; empty stays empty."""
    from datetime import UTC, datetime

    from compliance.moments import moment

    try:
        return moment(text, datetime.now(UTC)) if text else ""
    except ValueError:
        raise typer.BadParameter(
            f"`{text}` is no time: write 2026-01-31, 2026-01-31T12:00, or an age such as 30m, 2h, 3d",
            param_hint=option,
        ) from None


def read_key(text: str, option: str = "--key") -> Verifier:
    """The key of a file, or of the text itself. BadParameter when it is none."""
    from compliance.note import SealError, read_verifier

    path = Path(text)
    try:
        return read_verifier(path.read_text(encoding="utf-8") if path.is_file() else text)
    except (SealError, OSError, UnicodeDecodeError) as error:
        raise typer.BadParameter(str(error), param_hint=option) from None
