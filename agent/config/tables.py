"""A table of settings becomes typed entries, each with the place where it was written."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from agent.config.keys import (
    BY_NAME,
    PROFILE,
    PROFILES,
    PROJECTS,
    PROVIDER_BY_NAME,
    PROVIDERS,
    TABLES,
    TRUST_LEVELS,
    Key,
)
from agent.config.servers import SERVERS, read_server, unknown_key
from agent.config.values import Bad, Value, absolute, read_value
from execpolicy.values import field, frozen

# Settings of Codex's screen and service that change nothing here, so that its clients may give them.
OF_CODEX = (
    "show_raw_agent_reasoning",
    "hide_agent_reasoning",
    "model_supports_reasoning_summaries",
    "disable_response_storage",
    "disable_paste_burst",
    "check_for_update_on_startup",
    "suppress_unstable_features_warning",
)
# Keys of Codex that have another name here, or no meaning, by the first name of the key.
_INSTEAD = {
    "tools": 'a search is `web_search = "live"`; the other tools are always there, and judged by rules',
    "features": "features are settings of their own here",
    "shell_environment_policy": "commands get no secrets; docs/reference/config.md lists what is set",
    "approvals_reviewer": "see `approvals` and `--approve-with`",
    "model_instructions_file": "write AGENTS.md, or AGENTS.override.md",
    "experimental_instructions_file": "write AGENTS.md, or AGENTS.override.md",
    "developer_instructions": "write AGENTS.md, or AGENTS.override.md",
    "instructions": "write AGENTS.md, or AGENTS.override.md",
    "history": "`--ephemeral` stores no session",
    "otel": "telemetry is set by the usual OTEL_ variables",
    "notify": "`agent exec --json` tells a program what happens",
}
_OWN = "set it in your own config.toml"


@frozen
class Entry:
    """One value and where it was written."""

    value: Value
    origin: str


@frozen
class FileLayer:
    """What one place says."""

    entries: Mapping[str, Entry] = field(default_factory=dict)  # by field of Settings
    trust: Mapping[Path, str] = field(default_factory=dict)  # folder -> trust level
    providers: Mapping[str, Mapping[str, Entry]] = field(default_factory=dict)
    profiles: Mapping[str, Mapping[str, Entry]] = field(default_factory=dict)
    profile: Entry | None = None
    servers: Mapping[str, Mapping[str, object]] = field(default_factory=dict)  # as they are written


@frozen
class Problem:
    """What is wrong with one key."""

    key: str
    what: str
    help: str


class TableReader:
    """Reads one table. `origin` names the place of a key; relative paths are relative to `base`.

    `partial`: another table says the rest of what this one says of a server.
    """

    def __init__(
        self, base: Path, origin: Callable[[str], str], *, project: bool = False, partial: bool = False
    ) -> None:
        self.problems: list[Problem] = []
        self._base = base
        self._origin = origin
        self._project = project
        self._partial = partial
        self._entries: dict[str, Entry] = {}
        self._trust: dict[Path, str] = {}
        self._providers: dict[str, dict[str, Entry]] = {}
        self._profiles: dict[str, dict[str, Entry]] = {}
        self._profile: Entry | None = None
        self._servers: dict[str, Mapping[str, object]] = {}

    def read(self, table: Mapping[str, object]) -> FileLayer:
        """What `table` says; what is wrong with it stands in `problems`."""
        for name, raw in table.items():
            if name in (PROJECTS, PROVIDERS, PROFILES, PROFILE, SERVERS):
                self._special(name, raw)
            else:
                self._keys({name: raw}, "", self._entries)
        return FileLayer(
            self._entries, self._trust, self._providers, self._profiles, self._profile, self._servers
        )

    def _special(self, name: str, raw: object) -> None:
        if self._project:
            self._wrong(name, f"`{name}` cannot be set by a project", _OWN)
        elif name == PROFILE:
            if isinstance(raw, str) and raw:
                self._profile = Entry(raw, self._origin(name))
            else:
                self._wrong(name, "`profile` must be the name of a profile", 'write `profile = "name"`')
        elif name == PROJECTS:
            self._read_trust(raw)
        elif name == SERVERS:
            self._read_servers(raw)
        else:
            groups = self._providers if name == PROVIDERS else self._profiles
            if not isinstance(raw, dict) or not all(isinstance(one, dict) for one in raw.values()):
                self._wrong(name, f"`{name}` must hold tables", f"write `[{name}.NAME]`")
                return
            for group, about in raw.items():
                into = groups.setdefault(group, {})
                if name == PROVIDERS:
                    self._provider(group, about, into)
                else:
                    self._keys(about, f"{name}.{group}.", into)

    def _keys(self, table: Mapping[str, object], prefix: str, into: dict[str, Entry]) -> None:
        for name, raw in _flat(table, ""):
            key = BY_NAME.get(name)
            if key is None and name in OF_CODEX and isinstance(raw, bool):
                continue
            if key is None:
                self._wrong(prefix + name, f"unknown key `{prefix}{name}`", nearest(name, BY_NAME))
            elif self._project and not key.project:
                self._wrong(name, f"`{name}` cannot be set by a project", _OWN)
            else:
                self._take(key, prefix + name, raw, into)

    def _provider(self, group: str, about: Mapping[str, object], into: dict[str, Entry]) -> None:
        for name, raw in about.items():
            full = f"{PROVIDERS}.{group}.{name}"
            key = PROVIDER_BY_NAME.get(name)
            if key is None:
                self._wrong(full, f"unknown key `{full}`", nearest(name, PROVIDER_BY_NAME))
            else:
                self._take(key, full, raw, into)

    def _take(self, key: Key, full: str, raw: object, into: dict[str, Entry]) -> None:
        value = read_value(key, raw, self._base)
        if isinstance(value, Bad):
            self._wrong(full, value.why, f"{key.name}: {key.about}")
        else:
            into[key.field] = Entry(value, self._origin(full))

    def _read_trust(self, raw: object) -> None:
        help = 'write `[projects."/path"]` and `trust_level = "trusted"`'
        if not isinstance(raw, dict):
            self._wrong(PROJECTS, f"`{PROJECTS}` must be a table of folders", help)
            return
        for folder, about in raw.items():
            full = f"{PROJECTS}.{folder}"
            if not isinstance(about, dict) or set(about) != {"trust_level"}:
                self._wrong(full, f"`{full}` must hold `trust_level` and nothing else", help)
            elif about["trust_level"] not in TRUST_LEVELS:
                self._wrong(
                    full, f"`trust_level` of `{folder}` must be one of {', '.join(TRUST_LEVELS)}", help
                )
            else:
                self._trust[absolute(folder, self._base).resolve()] = about["trust_level"]

    def _read_servers(self, raw: object) -> None:
        help = "docs/reference/config.md lists every key"
        if not isinstance(raw, dict) or not all(isinstance(one, dict) for one in raw.values()):
            self._wrong(SERVERS, f"`{SERVERS}` must hold tables", f"write `[{SERVERS}.NAME]`")
            return
        for name, about in raw.items():
            found = unknown_key(name, about) if self._partial else read_server(name, about)
            if isinstance(found, str):
                self._wrong(f"{SERVERS}.{name}", found, help)
            else:
                self._servers[name] = about

    def _wrong(self, key: str, what: str, help: str) -> None:
        self.problems.append(Problem(key, what, help))


def _flat(table: Mapping[str, object], prefix: str) -> Iterator[tuple[str, object]]:
    for name, value in table.items():
        full = prefix + name
        if full in TABLES and isinstance(value, dict):
            yield from _flat(value, full + ".")
        else:
            yield full, value


def nearest(name: str, known: Mapping[str, object]) -> str:
    """A word about the key that was perhaps meant."""
    if known is BY_NAME and (instead := _INSTEAD.get(name.partition(".")[0])):
        return instead
    names = (*known, *((PROJECTS, PROVIDERS, PROFILES, PROFILE, SERVERS) if known is BY_NAME else ()))
    close = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    if close:
        return f"did you mean `{close[0]}`?"
    ends = [one for one in known if one.rpartition(".")[2] == name]
    return f"did you mean `{ends[0]}`?" if ends else "docs/reference/config.md lists every key"
