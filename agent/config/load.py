"""From files, environment and flags to the settings of one run."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

from agent.config.credentials import Credentials
from agent.config.keys import KEYS
from agent.config.layers import read_file, read_override
from agent.config.model import Settings
from agent.config.providers import LOCAL_MODELS, choose_provider, find_key, headers_of, provider_name
from agent.config.requirements import PLACE, read_requirements
from agent.config.servers import McpServer, merged, read_server
from agent.config.tables import Entry, FileLayer
from agent.config.values import Bad, Value, absolute, read_value
from agent.errors import ConfigError, UsageError
from execpolicy.decision import SandboxMode
from execpolicy.values import fields, frozen

# What holds where nobody says anything, of the keys whose values may be limited.
_DEFAULTS: Mapping[str, Value] = {
    "sandbox": SandboxMode.WORKSPACE_WRITE,
    "approval_policy": "on-request",
    "web_search": "disabled",
}
_STRICTNESS = (SandboxMode.READ_ONLY, SandboxMode.WORKSPACE_WRITE, SandboxMode.FULL_ACCESS)


@frozen(kw_only=True)
class Flags:
    """What the command line says. None and empty: it says nothing."""

    cwd: str | None = None
    model: str | None = None
    base_url: str | None = None
    sandbox: SandboxMode | None = None
    approval: str | None = None
    reviewer: str | None = None
    web_search: str | None = None
    local: str | None = None  # a model service of this machine
    policy_files: tuple[str, ...] = ()
    add_dirs: tuple[str, ...] = ()
    overrides: tuple[str, ...] = ()  # -c key=value
    profile: str | None = None
    fail_on: str | None = None
    ephemeral: bool = False
    interactive: bool = False
    ignore_user: bool = False  # the user's config.toml is not read


def home_folder(environ: Mapping[str, str], cwd: Path) -> Path:
    """Where all state lies: `AGENT_HOME`, else `~/.agent`."""
    named = environ.get("AGENT_HOME")
    if named:
        return absolute(named, cwd)
    try:
        return Path.home() / ".agent"
    except RuntimeError:
        raise ConfigError("no home folder is known", "set AGENT_HOME to a folder you can write") from None


def load_settings(
    flags: Flags, environ: Mapping[str, str], start: Path, requirements: Path = PLACE
) -> Settings:
    """Defaults < user's file < trusted project's file < profile < environment < flags. Writes nothing.

    What the owner of the machine requires stands above all of them.
    """
    found = read_layers(flags, environ, start, requirements)
    entries = found.entries
    key = find_key(entries, found.about, environ, lambda: Credentials(found.home).get(provider_name(entries)))
    headers, secrets = headers_of(found.about, environ)
    values: dict[str, Any] = {name: entry.value for name, entry in entries.items()}
    origins = dict.fromkeys(fields(Settings), "default")
    origins |= {name: entry.origin for name, entry in entries.items()}
    origins |= {"agent_home": "environment AGENT_HOME" if environ.get("AGENT_HOME") else "default"}
    origins |= {"api_key": key.origin, "profile": found.profile.origin if found.profile else "default"}
    del origins["origins"], origins["secrets"]
    if key.variable:
        values["env_key"] = key.variable
    return Settings(
        agent_home=found.home,
        cwd=found.cwd,
        workspace=found.workspace,
        trusted=found.trusted,
        api_key=key.value,
        headers=headers,
        secrets=(*filter(None, (key.value,)), *secrets),
        interactive=flags.interactive and values.get("approval_policy") != "never",
        ephemeral=flags.ephemeral,
        profile=str(found.profile.value) if found.profile else "",
        origins=MappingProxyType(origins),
        servers=found.servers,
        most_sandbox=found.most_sandbox,
        most_network=found.most_network,
        **values,
    )


@frozen(kw_only=True)
class Layers:
    """All layers put together, before a key is looked for."""

    cwd: Path
    home: Path
    workspace: Path
    trusted: bool
    entries: Mapping[str, Entry]  # by field of Settings
    about: Mapping[str, Entry]  # the chosen provider
    profile: Entry | None
    servers: tuple[McpServer, ...]
    most_sandbox: SandboxMode
    most_network: bool


def read_layers(flags: Flags, environ: Mapping[str, str], start: Path, requirements: Path = PLACE) -> Layers:
    """What `load_settings` goes by. Raises `AgentError`."""
    cwd = _working_folder(flags.cwd, start)
    home = home_folder(environ, start)
    workspace = find_workspace(cwd, home)
    user = FileLayer() if flags.ignore_user else read_file(home / "config.toml", project=False)
    overrides = [read_override(text, cwd) for text in flags.overrides]
    entries: dict[str, Entry] = dict(user.entries)
    trusted = user.trust.get(workspace.resolve()) == "trusted"
    if trusted:
        _add_project(entries, workspace / ".agent" / "config.toml")
    profile = _add_profile(entries, user, overrides, flags.profile)
    _add_environment(entries, environ, cwd)
    for layer in overrides:
        entries.update(layer.entries)
    if flags.local is not None:
        entries["provider"] = Entry(flags.local, "--oss")
        entries.setdefault("model", Entry(LOCAL_MODELS[flags.local], "--oss"))
    required = read_requirements(requirements)
    if "provider" in required.fixed:  # what it says of itself is looked up before the rest is settled
        entries.setdefault("provider", required.fixed["provider"])
    about = choose_provider(entries, _providers(user, overrides))
    _add_flags(entries, flags, start, cwd)
    required.apply(entries, _DEFAULTS)
    return Layers(
        cwd=cwd,
        home=home,
        workspace=workspace,
        trusted=trusted,
        entries=entries,
        about=about,
        profile=profile,
        servers=_servers(user, overrides),
        most_sandbox=required.most_sandbox,
        most_network=required.most_network,
    )


def _servers(user: FileLayer, overrides: Sequence[FileLayer]) -> tuple[McpServer, ...]:
    tables = dict(user.servers)
    for layer in overrides:
        for name, about in layer.servers.items():
            tables[name] = merged(tables.get(name, {}), about)
    found = [read_server(name, about) for name, about in tables.items()]
    for one in found:
        if isinstance(one, str):
            raise ConfigError(f"{one} (`-c`)", "docs/reference/config.md lists every key")
    return tuple(one for one in found if isinstance(one, McpServer))


def _providers(user: FileLayer, overrides: Sequence[FileLayer]) -> dict[str, dict[str, Entry]]:
    found = {name: dict(about) for name, about in user.providers.items()}
    for layer in overrides:
        for name, about in layer.providers.items():
            found.setdefault(name, {}).update(about)
    return found


def _add_profile(
    entries: dict[str, Entry], user: FileLayer, overrides: Sequence[FileLayer], named: str | None
) -> Entry | None:
    chosen = user.profile
    profiles = dict(user.profiles)
    for layer in overrides:
        chosen = layer.profile or chosen
        for name, about in layer.profiles.items():
            profiles[name] = {**profiles.get(name, {}), **about}
    if named is not None:
        chosen = Entry(named, "--profile")
    if chosen is None:
        return None
    found = profiles.get(str(chosen.value))
    if found is None and named is not None:
        entries["rules_profile"] = chosen  # then it is one of those that ship; the policy knows them
        return None
    if found is None:
        known = ", ".join(profiles) or "none"
        raise ConfigError(f"no profile `{chosen.value}` ({chosen.origin})", f"known are: {known}")
    entries.update(found)
    return chosen


def find_workspace(cwd: Path, home: Path) -> Path:
    """The root of the git repository around `cwd`, else `cwd`.

    A repository that holds the state folder or the user's home (dotfiles) is not taken whole: a command
    that may write the workspace could then write everything that the user owns.
    """
    user_home = Path(os.path.expanduser("~"))
    for folder in (cwd, *cwd.parents):
        if (folder / ".git").exists():
            if folder != cwd and (home.is_relative_to(folder) or user_home.is_relative_to(folder)):
                return cwd
            return folder
    return cwd


def ensure_home(home: Path) -> None:
    """The state folder exists, belongs to the user alone and can be written; else `ConfigError`."""
    remedy = "set AGENT_HOME to a folder you can write"
    try:
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        mode = home.stat().st_mode
        with tempfile.TemporaryFile(dir=home):
            pass
    except OSError as error:
        raise ConfigError(f"the state folder `{home}` cannot be written: {error.strerror}", remedy) from None
    if mode & 0o022 and not mode & 0o1000:
        raise ConfigError(f"the state folder `{home}` can be written by others", f"run `chmod 700 {home}`")


def _working_folder(named: str | None, start: Path) -> Path:
    if named is None:
        return start
    cwd = absolute(named, start)
    if not cwd.is_dir():
        raise UsageError(f"`--cd {named}` is not a folder", "name an existing folder")
    return cwd.resolve()


def _add_project(entries: dict[str, Entry], path: Path) -> None:
    for name, entry in read_file(path, project=True).entries.items():
        if isinstance(entry.value, SandboxMode):
            before = entries[name].value if name in entries else SandboxMode.WORKSPACE_WRITE
            if _STRICTNESS.index(entry.value) > _STRICTNESS.index(SandboxMode(before)):
                raise ConfigError(
                    f"{entry.origin}: a project cannot loosen `sandbox_mode` to `{entry.value.value}`",
                    "use `--sandbox` or your own config.toml",
                )
        entries[name] = entry


def _add_environment(entries: dict[str, Entry], environ: Mapping[str, str], cwd: Path) -> None:
    for key in KEYS:
        raw = environ.get(key.variable) if key.variable else None
        if raw:
            value = read_value(key, raw, cwd)
            if isinstance(value, Bad):
                raise ConfigError(
                    f"{value.why} (environment {key.variable})", f"unset or correct {key.variable}"
                )
            entries[key.field] = Entry(value, f"environment {key.variable}")


def _add_flags(entries: dict[str, Entry], flags: Flags, start: Path, cwd: Path) -> None:
    for option, field, given in (
        ("--model", "model", flags.model),
        ("--base-url", "base_url", flags.base_url),
        ("--ask-for-approval", "approval_policy", flags.approval),
        ("--approve-with", "reviewer", flags.reviewer),
        ("--search", "web_search", flags.web_search),
    ):
        if given is not None:
            key = next(key for key in KEYS if key.field == field)
            read = read_value(key, given, cwd)
            if isinstance(read, Bad):
                raise UsageError(f"{read.why} (`{option}`)", key.about)
            entries[field] = Entry(read, option)
    if flags.fail_on is not None:
        entries["fail_on"] = Entry(flags.fail_on, "--fail-on")
    if flags.sandbox is not None:
        entries["sandbox"] = Entry(flags.sandbox, "--sandbox")
    if flags.add_dirs:
        before = entries["writable"].value if "writable" in entries else ()
        assert isinstance(before, tuple)
        added = tuple(absolute(one, start) for one in flags.add_dirs)
        for path in added:
            if not path.is_dir():
                raise UsageError(f"`--add-dir {path}` is not a folder", "name an existing folder")
        entries["writable"] = Entry((*before, *added), "--add-dir")
    if flags.policy_files:
        files = tuple(absolute(one, start) for one in flags.policy_files)
        for path in files:
            if not path.exists():
                raise ConfigError(f"rule file `{path}` does not exist", "check the path of `--policy`")
        entries["policy_files"] = Entry(files, "--policy")
