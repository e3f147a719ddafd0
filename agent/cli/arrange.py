"""Which command a line means. A first word that names no command is the prompt."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Sequence

from agent.errors import UsageError
from execpolicy.values import frozen


@frozen
class Line:
    """A command, the options that stood before its name, and what followed."""

    command: str | None  # None: no command was named, everything stands in `after`
    before: tuple[str, ...] = ()
    after: tuple[str, ...] = ()

    @property
    def words(self) -> list[str]:
        """Options before the name count as if they stood behind it."""
        return [*self.before, *self.after]


def arrange(
    words: Sequence[str], commands: Collection[str], valued: Collection[str], besides: Collection[str] = ()
) -> Line:
    """Find the command in `words`. `valued` are the options that take the next word as their value.

    `besides` are further names that count as commands, but that no other word is taken to mean.

    After `--` nothing is a command any more: `agent -- exec` has the prompt `exec`.
    """
    at = 0
    while at < len(words):
        word = words[at]
        if word == "--":
            break
        if len(word) > 1 and word.startswith("-"):
            at += 2 if word in valued else 1
            continue
        if word in commands or word in besides:
            return Line(word, tuple(words[:at]), tuple(words[at + 1 :]))
        if at + 1 < len(words) and (close := _meant(word, commands)):
            raise UsageError(
                f"no command `{word}`", f"did you mean `{close}`? a prompt of several words stands in quotes"
            )
        break
    return Line(None, (), tuple(words))


def _meant(word: str, commands: Collection[str]) -> str:
    close = difflib.get_close_matches(word, commands, n=1, cutoff=0.74)
    return close[0] if close else ""
