"""Options that several commands share, and how they become flags of the settings."""

from __future__ import annotations

import enum
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from agent.config.model import Settings


class Sandbox(enum.StrEnum):
    """The last is Codex's spelling of full-access."""

    READ_ONLY = "read-only"
    WORKSPACE_WRITE = "workspace-write"
    FULL_ACCESS = "full-access"
    DANGER_FULL_ACCESS = "danger-full-access"


class FailOn(enum.StrEnum):
    DENY = "deny"
    ASK = "ask"
    NEVER = "never"


Policy = Annotated[
    list[str] | None,
    typer.Option(
        "--policy", metavar="FILE", help="Rule file for this run, beside those in force. Repeatable."
    ),
]
Folder = Annotated[
    str | None, typer.Option("--cd", "-C", metavar="DIR", help="Folder to work in. Default: where you are.")
]
Model = Annotated[str | None, typer.Option("--model", "-m", metavar="NAME", help="Model to ask.")]
BaseUrl = Annotated[
    str | None,
    typer.Option("--base-url", metavar="URL", help="Server that speaks the Responses API. Default: OpenAI."),
]
SandboxOption = Annotated[
    Sandbox | None,
    typer.Option(
        "--sandbox",
        "-s",
        metavar="MODE",
        help="What commands may write: read-only, workspace-write (default) or full-access.",
    ),
]
AddDir = Annotated[
    list[str] | None,
    typer.Option("--add-dir", metavar="DIR", help="One more folder that commands may write. Repeatable."),
]
Override = Annotated[
    list[str] | None,
    typer.Option("--config", "-c", metavar="KEY=VALUE", help="One setting for this run. Repeatable."),
]
Ephemeral = Annotated[
    bool, typer.Option("--ephemeral", help="Store no session. The audit record is written all the same.")
]
AsJson = Annotated[
    bool, typer.Option("--json", "--experimental-json", help="Events as JSON Lines on standard output.")
]
LastMessage = Annotated[
    str | None,
    typer.Option("--output-last-message", "-o", metavar="FILE", help="Write the final message to FILE."),
]
FailOnOption = Annotated[
    FailOn | None,
    typer.Option(
        "--fail-on",
        metavar="WHAT",
        help="Exit 1 when an action was denied (deny), denied or asked about (ask), or never (default).",
    ),
]
Profile = Annotated[
    str | None,
    typer.Option(
        "--profile",
        "-p",
        metavar="NAME",
        help="Profile of config.toml, or of the rules that ship: standard, strict, ci, read-only.",
    ),
]
Image = Annotated[
    list[str] | None,
    typer.Option("--image", "-i", metavar="FILE", help="Picture that goes with the task. Repeatable."),
]
Schema = Annotated[
    str | None,
    typer.Option("--output-schema", metavar="FILE", help="JSON Schema that the final message has to fit."),
]
WorktreeOption = Annotated[
    bool, typer.Option("--worktree", help="Work in a git worktree of its own, beside the repository.")
]
# What Codex's clients pass on for its own service. It changes nothing here.
Ignored = Annotated[
    str | None, typer.Option("--thread-source", "--cyber-access-program", "--color", hidden=True)
]
SkipGit = Annotated[
    bool,
    typer.Option(
        "--skip-git-repo-check", help="Accepted for Codex's sake; no repository is needed.", hidden=True
    ),
]
Prompt = Annotated[
    str | None, typer.Argument(metavar="PROMPT", help="The task, in quotes.", show_default=False)
]


def current_folder() -> Path:
    """Where the user is; `UsageError` where that is gone."""
    from agent.errors import UsageError

    try:
        return Path.cwd()
    except OSError:
        raise UsageError("the folder you are in is gone", "change to a folder that exists") from None


@dataclass(frozen=True, slots=True, kw_only=True)
class Shared:
    """The shared options as they were given."""

    policy: list[str] | None = None
    cd: str | None = None
    model: str | None = None
    base_url: str | None = None
    sandbox: Sandbox | None = None
    add_dir: list[str] | None = None
    config: list[str] | None = None
    ephemeral: bool = False
    profile: str | None = None
    fail_on: FailOn | None = None

    def settings(self, *, interactive: bool) -> Settings:
        """The settings of this run; the state folder stands ready. Raises `AgentError`."""
        from agent.config.load import Flags, ensure_home, load_settings
        from agent.config.values import sandbox_mode

        start = current_folder()
        flags = Flags(
            cwd=self.cd,
            model=self.model,
            base_url=self.base_url,
            sandbox=sandbox_mode(self.sandbox.value) if self.sandbox else None,
            policy_files=tuple(self.policy or ()),
            add_dirs=tuple(self.add_dir or ()),
            overrides=tuple(self.config or ()),
            ephemeral=self.ephemeral,
            profile=self.profile,
            fail_on=self.fail_on.value if self.fail_on else None,
            interactive=interactive,
        )
        settings = load_settings(flags, os.environ, start)
        ensure_home(settings.agent_home)
        return settings
