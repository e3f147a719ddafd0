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


def prompt_first(words: Sequence[str], commands: Collection[str], valued: Collection[str]) -> Line | None:
    """`PROMPT resume --last` as `resume --last PROMPT`: who writes the prompt first means the same.

    None where the first word that is no option names one of `commands`, or the second one none.
    A session that is not named is the last.
    """
    placed = _positions(words, valued)
    if len(placed) < 2 or words[placed[0]] in commands or words[placed[1]] not in commands:
        return None
    if "--" in words[: placed[1]]:
        return None
    at, prompt = placed[1], words[placed[0]]
    before = (*words[: placed[0]], *words[placed[0] + 1 : at])
    after = tuple(words[at + 1 :])
    last = "--last" in after or "--last" in before
    named = len(_positions(after, valued))
    if named > (0 if last else 1):
        raise UsageError(
            f"two prompts: `{prompt}` stands before `{words[at]}`, another one behind it", "give one of them"
        )
    return Line(words[at], (*before, *(() if last or named else ("--last",))), (*after, prompt))


def _positions(words: Sequence[str], valued: Collection[str]) -> list[int]:
    """Where the words stand that are neither options nor values of options."""
    found: list[int] = []
    at = 0
    while at < len(words):
        word = words[at]
        if word == "--":
            return [*found, *range(at + 1, len(words))]
        if len(word) > 1 and word.startswith("-"):
            at += 2 if word in valued else 1
            continue
        found.append(at)
        at += 1
    return found


def _meant(word: str, commands: Collection[str]) -> str:
    close = difflib.get_close_matches(word, commands, n=1, cutoff=0.74)
    return close[0] if close else ""
