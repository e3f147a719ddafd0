"""Which asks reach somebody: the approval policies, and the kinds of asks that they tell apart."""

from __future__ import annotations

import enum

from execpolicy.values import frozen


class Ask(enum.Enum):
    """What an ask is about."""

    COMMANDS = "commands"  # a command, or input for a running program
    ESCALATION = "escalation"  # to run outside the sandbox
    TOOLS = "tools"  # a tool of a server, or one of our own
    NETWORK = "network"  # a host
    PATCHES = "patches"  # files changed by a patch


# Keys of Codex that mean the same here. Its others have nothing that they could be about.
CODEX_KINDS = {"sandbox_approval": Ask.ESCALATION, "rules": Ask.COMMANDS, "mcp_elicitations": Ask.TOOLS}


class Mode(enum.Enum):
    ON_REQUEST = "on-request"
    NEVER = "never"
    UNTRUSTED = "untrusted"
    ON_FAILURE = "on-failure"
    GRANULAR = "granular"


@frozen
class AskPolicy:
    """`approval_policy`, read."""

    mode: Mode = Mode.ON_REQUEST
    kinds: frozenset[Ask] = frozenset(Ask)  # that reach somebody

    @property
    def text(self) -> str:
        """As `read_policy` takes it."""
        if self.mode is not Mode.GRANULAR:
            return str(self.mode.value)
        return (
            f"{self.mode.value}: {', '.join(kind.value for kind in Ask if kind in self.kinds) or 'nothing'}"
        )

    @property
    def plain(self) -> str | dict[str, dict[str, bool]]:
        """As it is written in a file."""
        if self.mode is not Mode.GRANULAR:
            return self.text
        return {"granular": {kind.value: kind in self.kinds for kind in Ask}}

    def refuses(self, kinds: frozenset[Ask]) -> str:
        """Why an ask of these kinds reaches nobody; empty where it does."""
        if self.mode is Mode.NEVER:
            return "approval_policy is `never`: what would be asked is refused"
        left_out = [kind.value for kind in Ask if kind in kinds - self.kinds]
        if left_out:
            return f"approval_policy is granular and leaves out `{'`, `'.join(left_out)}`: such an ask is refused"
        return ""


def read_policy(text: str) -> AskPolicy:
    """The policy that `text` of the settings names. Raises `ValueError` for another text."""
    name, colon, rest = text.partition(": ")
    mode = Mode(name)
    if mode is Mode.NEVER:
        return AskPolicy(mode, frozenset())
    if mode is Mode.GRANULAR:
        if not colon:
            raise ValueError(text)
        return AskPolicy(mode, frozenset(map(Ask, rest.split(", "))) if rest != "nothing" else frozenset())
    if colon:
        raise ValueError(text)
    return AskPolicy(mode)


def granular(table: object) -> AskPolicy | str:
    """`{ granular = { commands = true, ... } }`, or what is wrong with it. A kind that is left out is refused."""
    if not isinstance(table, dict) or set(table) != {"granular"} or not isinstance(table["granular"], dict):
        return "`approval_policy` as a table holds `granular` and nothing else"
    known: dict[str, Ask] = {kind.value: kind for kind in Ask} | CODEX_KINDS
    said: dict[Ask, bool] = {}
    for name, value in table["granular"].items():
        kind = known.get(name)
        if kind is None:
            return f"`approval_policy.granular.{name}` is no kind of ask: known are {', '.join(known)}"
        if not isinstance(value, bool):
            return f"`approval_policy.granular.{name}` must be true or false"
        if said.setdefault(kind, value) is not value:
            return f"`approval_policy.granular` says two things about `{kind.value}`"
    return AskPolicy(Mode.GRANULAR, frozenset(kind for kind, value in said.items() if value))
