"""Options that several commands share, and how they become flags of the settings."""

from __future__ import annotations

import enum
import inspect
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_type_hints

import typer

if TYPE_CHECKING:
    from agent.cli.frontends import Task
    from agent.config.model import Settings


class Sandbox(enum.StrEnum):
    """The last is Codex's spelling of full-access."""

    READ_ONLY = "read-only"
    WORKSPACE_WRITE = "workspace-write"
    FULL_ACCESS = "full-access"
    DANGER_FULL_ACCESS = "danger-full-access"


class Approval(enum.StrEnum):
    """When a person is asked what the policy asks."""

    UNTRUSTED = "untrusted"
    ON_FAILURE = "on-failure"
    ON_REQUEST = "on-request"
    NEVER = "never"


class Color(enum.StrEnum):
    ALWAYS = "always"
    NEVER = "never"
    AUTO = "auto"


class LocalService(enum.StrEnum):
    OLLAMA = "ollama"
    LMSTUDIO = "lmstudio"


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
ApprovalOption = Annotated[
    Approval | None,
    typer.Option(
        "--ask-for-approval",
        "-a",
        metavar="WHEN",
        help="What reaches a person: on-request (default), untrusted, on-failure or never.",
    ),
]
ApproveWith = Annotated[
    str | None,
    typer.Option(
        "--approve-with",
        metavar="WHO",
        help="Who answers an ask before a person does: a command, model or model:NAME.",
    ),
]
FullAuto = Annotated[
    bool, typer.Option("--full-auto", help="Codex's word for `--sandbox workspace-write`.", hidden=True)
]
Bypass = Annotated[
    bool,
    typer.Option(
        "--dangerously-bypass-approvals-and-sandbox",
        "--yolo",
        help="No sandbox, and nobody is asked. What the policy denies or asks about stays refused.",
        hidden=True,
    ),
]
Search = Annotated[bool, typer.Option("--search", help="As `-c web_search=live`.", hidden=True)]
Oss = Annotated[bool, typer.Option("--oss", help="Ask a model service of this machine.", hidden=True)]
LocalProvider = Annotated[
    LocalService | None,
    typer.Option("--local-provider", metavar="NAME", help="Which: ollama or lmstudio.", hidden=True),
]
NoUserConfig = Annotated[
    bool, typer.Option("--ignore-user-config", help="Do not read your config.toml.", hidden=True)
]
# What Codex's clients pass on for its own service or screen. It changes nothing here.
Ignored = Annotated[str | None, typer.Option("--thread-source", "--cyber-access-program", hidden=True)]
ColorOption = Annotated[Color | None, typer.Option("--color", hidden=True)]
IgnoredFlag = Annotated[
    bool,
    typer.Option(
        "--dangerously-bypass-hook-trust",
        "--strict-config",
        "--progress-cursor",
        "--no-alt-screen",
        hidden=True,
    ),
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
    """What every command takes that runs a model."""

    policy: Policy = None
    cd: Folder = None
    model: Model = None
    base_url: BaseUrl = None
    sandbox: SandboxOption = None
    add_dir: AddDir = None
    image: Image = None
    config: Override = None
    profile: Profile = None
    approval: ApprovalOption = None
    approve_with: ApproveWith = None
    full_auto: FullAuto = False
    bypass: Bypass = False
    search: Search = False
    oss: Oss = False
    local_provider: LocalProvider = None
    ignore_user_config: NoUserConfig = False
    ignored_flag: IgnoredFlag = False

    def settings(
        self, *, interactive: bool, ephemeral: bool = False, fail_on: FailOn | None = None
    ) -> Settings:
        """The settings of this run; the state folder stands ready. Raises `AgentError`."""
        from agent.config.load import Flags, ensure_home, load_settings
        from agent.config.values import sandbox_mode

        start = current_folder()
        sandbox, approval = self._power()
        local = self.local_provider or (LocalService.OLLAMA if self.oss else None)
        flags = Flags(
            cwd=self.cd,
            model=self.model,
            base_url=self.base_url,
            sandbox=sandbox_mode(sandbox.value) if sandbox else None,
            approval=approval.value if approval else None,
            reviewer=self.approve_with,
            web_search="live" if self.search else None,
            local=local.value if local else None,
            policy_files=tuple(self.policy or ()),
            add_dirs=tuple(self.add_dir or ()),
            overrides=tuple(self.config or ()),
            ephemeral=ephemeral,
            profile=self.profile,
            fail_on=fail_on.value if fail_on else None,
            interactive=interactive,
            ignore_user=self.ignore_user_config,
        )
        settings = load_settings(flags, os.environ, start)
        ensure_home(settings.agent_home)
        return settings

    @property
    def images(self) -> tuple[str, ...]:
        """Paths of pictures. Several stand in one word with commas between them, as Codex takes them."""
        found: list[str] = []
        for text in self.image or ():
            found += [text] if os.path.exists(text) else text.split(",")
        return tuple(found)

    def _power(self) -> tuple[Sandbox | None, Approval | None]:
        """The sandbox and the approvals wanted, where short words for both may contradict them."""
        from agent.errors import UsageError

        words: tuple[tuple[bool, str, frozenset[Sandbox]], ...] = (
            (self.full_auto, "--full-auto", frozenset((Sandbox.WORKSPACE_WRITE,))),
            (
                self.bypass,
                "--dangerously-bypass-approvals-and-sandbox",
                frozenset((Sandbox.FULL_ACCESS, Sandbox.DANGER_FULL_ACCESS)),
            ),
        )
        sandbox = self.sandbox
        for given, word, modes in words:
            if given and sandbox is not None and sandbox not in modes:
                raise UsageError(f"`{word}` and the sandbox {sandbox.value} do not go together", "give one")
            if given:
                sandbox = sandbox or min(modes)
        if not self.bypass:
            return sandbox, self.approval
        if self.approval not in (None, Approval.NEVER):
            raise UsageError(
                f"`--dangerously-bypass-approvals-and-sandbox` and `-a {self.approval}` do not go together",
                "give one",
            )
        return sandbox, Approval.NEVER


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What `exec` and its like take beside: what comes out, and where it goes."""

    json: AsJson = False
    last_message: LastMessage = None
    output_schema: Schema = None
    fail_on: FailOnOption = None
    skip_git_repo_check: SkipGit = False
    ignored: Ignored = None
    color: ColorOption = None

    def task(self, prompt: str | None, images: tuple[str, ...] = ()) -> Task:
        from agent.cli.frontends import Task

        return Task(prompt, images, self.output_schema, self.last_message, as_json=self.json)


def expanded(function: Callable[..., Any]) -> Callable[..., Any]:
    """`function` as the command line library has to see it.

    A parameter that is a group of options, like `Shared`, stands for the fields of that group.
    """
    groups: dict[str, type[Any]] = {}
    hints = get_type_hints(function, include_extras=True)
    parameters: list[inspect.Parameter] = []
    for parameter in inspect.signature(function).parameters.values():
        hint = hints[parameter.name]
        if isinstance(hint, type) and is_dataclass(hint):
            groups[parameter.name] = hint
            parameters += _parameters_of(hint)
        else:
            parameters.append(parameter.replace(annotation=hint, kind=inspect.Parameter.KEYWORD_ONLY))

    def call(**given: Any) -> Any:
        for name, group in groups.items():
            given[name] = group(**{field.name: given.pop(field.name) for field in fields(group)})
        return function(**given)

    call.__doc__ = function.__doc__
    call.__name__ = function.__name__
    # PEP 362 gives every callable this attribute; the type of a function does not have it.
    call.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    call.__annotations__ = {}
    return call


def _parameters_of(group: type[Any]) -> Iterator[inspect.Parameter]:
    hints = get_type_hints(group, include_extras=True)
    for field in fields(group):
        yield inspect.Parameter(
            field.name, inspect.Parameter.KEYWORD_ONLY, default=field.default, annotation=hints[field.name]
        )
