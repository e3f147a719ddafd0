"""Reads a plain `prefix_rule` on lines of its own at once: most of a large file is made of them.

Whatever is not plain, or not right, is left to the parser. Both give the same rule.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from execpolicy.lang import rules

STRING = r'"[^"\\\r\n]*+"'
WORD = rf"(?:{STRING}|\[\s*+{STRING}(?:\s*+,\s*+{STRING})*+\s*+,?\s*+\])"
GAP = r"[ \t\n]*+"
RULE = re.compile(
    (
        rf"prefix_rule\({GAP}(?:pattern{GAP}={GAP})?\[{GAP}(?P<words>{WORD}(?:{GAP},{GAP}{WORD})*+){GAP},?{GAP}\]"
        rf'(?:{GAP},{GAP}decision{GAP}={GAP}"(?P<decision>allow|ask|deny|prompt|forbidden)")?'
        rf"(?:{GAP},{GAP}justification{GAP}={GAP}(?P<justification>{STRING}))?"
        rf"{GAP},?{GAP}\)[ \t]*+(?:\n|\Z)"
    ).replace(r"\s", r"[ \t\n]")
)
WORDS = re.compile(rf"{STRING}|\[[^\]\[]*?\]".replace(r"[^\]\[]*?", rf"(?:[ \t\n,]++|{STRING})*+"))
TEXTS = re.compile(r'"([^"]*+)"')


class LiteralRule(NamedTuple):
    start: int
    end: int  # where the next statement starts
    pattern: tuple[rules.WordPattern, ...]
    decision: str
    justification: str | None


def literal_rule(text: str, at: int) -> LiteralRule | None:
    """The rule that starts at `at`, when it is a plain one."""
    found = RULE.match(text, at)
    if found is None:
        return None
    words, decision, justification = found.group("words", "decision", "justification")
    if justification is not None:
        justification = justification[1:-1]
        if not justification.strip():
            return None
    pattern = tuple(map(_word, WORDS.findall(words)))
    return LiteralRule(at, found.end(), pattern, decision or "allow", justification)


def _word(text: str) -> rules.WordPattern:
    if text[0] == '"':
        return rules.Exact(text[1:-1])
    options = tuple(map(rules.Exact, TEXTS.findall(text)))
    return options[0] if len(options) == 1 else rules.AnyOf(options)
