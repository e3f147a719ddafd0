"""What one call of `policy check` asks, and how its words are read without a command line library."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from typing import Final

from execpolicy.late import late_pattern
from execpolicy.values import frozen

PLAIN_PROGRAM: Final = late_pattern(r"[\w./+:@%,-]+")


class Format(Enum):
    TEXT = "text"
    JSON = "json"
    CODEX = "codex"


@frozen(kw_only=True)
class Asked:
    """One question: some rule files or the real layers, and a command, a script or standard input."""

    rules: tuple[str, ...] = ()  # neither these nor profiles: the layers in force
    profiles: tuple[str, ...] = ()  # of the shipped ones
    folder: str = "."
    format: Format = Format.TEXT
    script: str | None = None
    stdin: bool = False
    facts: tuple[str, ...] = ()  # NAME=VALUE
    words: tuple[str, ...] = ()

    @property
    def wrong(self) -> str | None:
        """Why this is no question; None when it is one."""
        given = (self.script is not None) + self.stdin + bool(self.words)
        if given == 0:
            return "nothing to check: give a command behind `--`, `--script` or `--stdin`"
        if given > 1:
            return "give one of a command, `--script` and `--stdin`"
        for fact in self.facts:
            if not fact.partition("=")[1] or fact.startswith("="):
                return f"`{fact}` is no NAME=VALUE"
        return None

    @property
    def read_as_script(self) -> str | None:
        """The script, if a shell would read what was given.

        One single word that is no plain name of a program is a script; more than one word are the words of a command.
        """
        if self.script is not None:
            return self.script
        if len(self.words) == 1 and PLAIN_PROGRAM.fullmatch(self.words[0]) is None:
            return self.words[0]
        return None


VALUED: Final = {
    "--rules": "rules",
    "-r": "rules",
    "--profile": "profiles",
    "--cd": "folder",
    "--cwd": "folder",
    "-C": "folder",
    "--format": "format",
    "--script": "script",
    "--fact": "facts",
}


def codex_words(words: Sequence[str]) -> list[str] | None:
    """The words for the Codex dialect, `--format codex` taken out; None when it was not asked for."""
    at = 0
    while at < len(words):
        word = words[at]
        if word == "--format=codex" or (word == "--format" and words[at + 1 : at + 2] == ["codex"]):
            return [*words[:at], *words[at + (1 if "=" in word else 2) :]]
        if word == "--" or not word.startswith("-"):
            return None
        at += 2 if word in VALUED else 1
    return None


def quickly(words: Sequence[str]) -> Asked | None:
    """Reads the usual forms. None: anything else, the command line library has the word."""
    lists: dict[str, list[str]] = {"rules": [], "profiles": [], "facts": []}
    singles: dict[str, str] = {}
    stdin = False
    at = 0
    while at < len(words):
        word = words[at]
        at += 1
        if word == "--":
            break
        if not word.startswith("-") or word == "-":
            at -= 1
            break
        if word == "--stdin":
            stdin = True
            continue
        name, equals, value = word.partition("=")
        field = VALUED.get(name)
        if field is None or (equals and not name.startswith("--")):
            return None
        if not equals:
            if at >= len(words):
                return None
            value = words[at]
            at += 1
        if field in lists:
            lists[field].append(value)
        else:
            singles[field] = value
    form = singles.get("format", "text")
    if form not in ("text", "json"):
        return None
    asked = Asked(
        rules=tuple(lists["rules"]),
        profiles=tuple(lists["profiles"]),
        facts=tuple(lists["facts"]),
        folder=singles.get("folder", "."),
        format=Format(form),
        script=singles.get("script"),
        stdin=stdin,
        words=tuple(words[at:]),
    )
    return asked if asked.wrong is None else None
