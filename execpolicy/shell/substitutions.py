"""Command substitutions that print one path or one number and nothing else."""

from __future__ import annotations

from execpolicy.facts import WordKind
from execpolicy.shell.tree import Simple, Substitution

_PATHS = frozenset(
    {
        "pwd",
        "pwd -P",
        "pwd -L",
        "git rev-parse --show-toplevel",
        "git rev-parse --git-dir",
        "mktemp",
        "mktemp -d",
        "go env GOPATH",
        "go env GOROOT",
        "xcrun --show-sdk-path",
        "npm root",
        "npm root -g",
        "npm prefix",
        "npm bin",
        "brew --prefix",
    }
)
_NUMBERS = frozenset(
    {"nproc", "nproc --all", "id -u", "id -g", "date +%s", "getconf _NPROCESSORS_ONLN", "sysctl -n hw.ncpu"}
)


def kind_of(part: Substitution) -> WordKind:
    """What the output of a substitution is, as far as its command says."""
    items = part.body.items
    if len(items) != 1 or items[0].background:
        return WordKind.UNKNOWN
    pipeline = items[0].pipeline
    if len(pipeline.commands) != 1 or pipeline.negated or pipeline.timed:
        return WordKind.UNKNOWN
    command = pipeline.commands[0]
    if not isinstance(command, Simple) or command.assigns or command.redirects:
        return WordKind.UNKNOWN
    if any(word.parts is not None for word in command.words):
        return WordKind.UNKNOWN
    text = " ".join(word.raw for word in command.words)
    if text in _PATHS:
        return WordKind.PATH
    return WordKind.NUMBER if text in _NUMBERS else WordKind.UNKNOWN
