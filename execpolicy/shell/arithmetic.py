"""Which arithmetic is harmless: bash runs commands hidden in the values of the variables it names."""

from __future__ import annotations

import re

from execpolicy.facts import Word, WordKind
from execpolicy.late import late_pattern
from execpolicy.shell.state import NUMBERS, State

_NUMBER = late_pattern(r"[ \t\n]*[+-]?(?:0[xX][0-9A-Fa-f]+|[0-9]+(?:#[0-9A-Za-z@_]+)?)[ \t\n]*\Z")
_TOKEN = late_pattern(
    r"[ \t\n]+|0[xX][0-9A-Fa-f]+|[0-9]+#[0-9A-Za-z@_]+|[0-9]+(?![A-Za-z_])"
    r"|\$?(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?!\[)|\$\{(?P<braced>[A-Za-z_][A-Za-z0-9_]*)\}"
    r"|\$(?P<special>[#?$])|\$\{#(?P<length>[A-Za-z_@*][A-Za-z0-9_]*(?:\[[@*]\])?)\}"
    r"|[-+*/%<>=!&|^~?:,;()]+"
)


def is_number(word: Word) -> bool:
    """Whether a word is certainly one number."""
    if word.kind is WordKind.NUMBER:
        return not word.prefix
    return word.text is not None and (_NUMBER.match(word.text) is not None or not word.text.strip())


def is_safe(text: str, state: State) -> bool:
    """Whether evaluating `text` runs nothing: every name in it holds a number."""
    at = 0
    while at < len(text):
        token = _TOKEN.match(text, at)
        if token is None:
            return False
        name = token["name"] or token["braced"]
        if name is not None and not _holds_number(name, state):
            return False
        at = token.end()
    return True


def names(text: str) -> frozenset[str]:
    """Every name that evaluating `text` may set."""
    if "=" not in text and "++" not in text and "--" not in text:
        return frozenset()
    return frozenset(re.findall(r"[A-Za-z_][A-Za-z0-9_]*", text))


def _holds_number(name: str, state: State) -> bool:
    value = state.values.get(name)
    if value is not None:
        return _NUMBER.match(value) is not None
    return name in NUMBERS and state.is_special(name)
