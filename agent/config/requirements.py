"""What the owner of the machine requires. Nobody's setting overrides it; a contrary one is an error."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from agent.config.keys import BY_NAME, KEYS, Key, Kind
from agent.config.layers import read_toml, told
from agent.config.tables import Entry, Problem, TableReader, nearest
from agent.config.values import Bad, Value, read_value
from agent.errors import ConfigError
from execpolicy.decision import SandboxMode
from execpolicy.values import field, frozen

PLACE = Path("/etc/agent/requirements.toml")
_LISTS = {
    "allowed_sandbox_modes": "sandbox_mode",
    "allowed_approval_policies": "approval_policy",
    "allowed_web_search_modes": "web_search",
}
_ORDER = tuple(SandboxMode)


@frozen
class Requirements:
    """Fixed values, and the values that a key may have."""

    path: Path
    fixed: Mapping[str, Entry] = field(default_factory=dict)  # by field of Settings
    allowed: Mapping[str, tuple[Value, ...]] = field(default_factory=dict)

    def apply(self, entries: dict[str, Entry], defaults: Mapping[str, Value]) -> None:
        """Put what is required into `entries`. Raises `ConfigError` where somebody set it otherwise."""
        for name, required in self.fixed.items():
            given = entries.get(name)
            if given is not None and given.value != required.value:
                raise self._contrary(name, given, f"`{_shown(required.value)}` is required")
            entries[name] = required
        for name, values in self.allowed.items():
            given = entries.get(name)
            if given is None:
                if defaults[name] not in values:
                    entries[name] = Entry(values[0], str(self.path))
            elif given.value not in values:
                shown = ", ".join(map(_shown, values))
                raise self._contrary(name, given, f"allowed is {shown}")

    @property
    def most_sandbox(self) -> SandboxMode:
        """The most power that anything may run with, also by a rule or with a yes.

        Outside the sandbox the network is open, so an owner who keeps it closed keeps everything inside.
        """
        given = self.fixed.get("sandbox")
        values = self.allowed.get("sandbox", _ORDER) if given is None else (given.value,)
        most = max((SandboxMode(value) for value in values), key=_ORDER.index)
        return most if self.most_network else min(most, SandboxMode.WORKSPACE_WRITE, key=_ORDER.index)

    @property
    def most_network(self) -> bool:
        """Whether a rule or a yes may open the network."""
        given = self.fixed.get("network")
        return given is None or given.value is not False

    def _contrary(self, name: str, given: Entry, what: str) -> ConfigError:
        key = next((key.name for key in KEYS if key.field == name), name)
        return ConfigError(
            f"`{key}` cannot be `{_shown(given.value)}` ({given.origin}): {what} by {self.path}",
            "take that setting back; the owner of this machine decides about it",
        )


def read_requirements(path: Path = PLACE) -> Requirements:
    """The requirements at `path`; none when there is no file. One that cannot be read is fatal."""
    text, table = read_toml(path)
    problems: list[Problem] = []
    allowed: dict[str, tuple[Value, ...]] = {}
    fixed: Mapping[str, Entry] = {}
    for name, raw in table.items():
        if name == "required" and isinstance(raw, dict):
            reader = TableReader(path.parent, lambda full: f"{path}: required.{full}")
            layer = reader.read(raw)
            problems += [Problem(f"required.{one.key}", one.what, one.help) for one in reader.problems]
            if layer.trust or layer.providers or layer.profiles or layer.profile:
                problems.append(Problem(name, "`required` holds keys of the table of settings only", ""))
            fixed = layer.entries
        elif name in _LISTS:
            key = BY_NAME[_LISTS[name]]
            values = _values(key, raw, path.parent)
            if isinstance(values, Bad):
                problems.append(Problem(name, values.why, f"{key.name}: {key.wanted}"))
            else:
                allowed[key.field] = values
        else:
            known = dict.fromkeys((*_LISTS, "required"))
            problems.append(Problem(name, f"unknown key `{name}`", nearest(name, known)))
    told(path, text, problems)
    return Requirements(path, fixed, allowed)


def _values(key: Key, raw: object, base: Path) -> tuple[Value, ...] | Bad:
    if not isinstance(raw, list) or not raw:
        return Bad(f"a list of values of `{key.name}` is wanted, not `{raw}`")
    values = []
    for one in raw:
        value = read_value(key, one, base)
        if isinstance(value, Bad):
            return value
        values.append(value)
    if key.kind is Kind.SANDBOX:  # the first is the one in force where nobody says anything
        values.sort(key=lambda mode: _ORDER.index(SandboxMode(mode)))
    return tuple(values)


def _shown(value: Value) -> str:
    if isinstance(value, SandboxMode):
        return value.value
    return str(value).lower() if isinstance(value, bool) else str(value)
