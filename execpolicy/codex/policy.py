"""Codex's policy: prefix rules by first word, and where programs may live."""

from __future__ import annotations

import enum
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache

from execpolicy.codex.text import debug, debug_list, join_words, normal_path


class CodexDecision(enum.IntEnum):
    """Codex's spelling of a decision, by strictness."""

    ALLOW = 0
    PROMPT = 1
    FORBIDDEN = 2

    @property
    def word(self) -> str:
        return self.name.lower()

    @property
    def debug(self) -> str:
        return self.name.capitalize()


@dataclass(frozen=True, slots=True, kw_only=True)
class CodexRule:
    """One rule of one first word; `rest` holds the alternatives of each further word."""

    first: str
    rest: tuple[tuple[str, ...], ...]
    decision: CodexDecision
    justification: str | None = None
    canonical: bool = False

    def matches(self, command: tuple[str, ...]) -> bool:
        """Whether `command`, whose first word is known to fit, begins with the pattern."""
        if len(command) <= len(self.rest):
            return False
        if not self.canonical:
            return all(word in options for options, word in zip(self.rest, command[1:], strict=False))
        return all(
            key(word) in map(key, options) for options, word in zip(self.rest, command[1:], strict=False)
        )

    @property
    def debug(self) -> str:
        rest = debug_list([_debug_options(options) for options in self.rest])
        pattern = (
            f"PrefixPattern {{ canonical_matching: {str(self.canonical).lower()}, "
            f"first: {debug(self.first)}, rest: {rest} }}"
        )
        why = debug_option(self.justification)
        return f"PrefixRule {{ pattern: {pattern}, decision: {self.decision.debug}, justification: {why} }}"


def _debug_options(options: tuple[str, ...]) -> str:
    if len(options) == 1:
        return f"Single({debug(options[0])})"
    return f"Alts({debug_list([debug(option) for option in options])})"


def debug_option(text: str | None) -> str:
    return "None" if text is None else f"Some({debug(text)})"


@lru_cache(maxsize=4096)
def key(text: str) -> str:
    """Unicode canonical caseless key (D145)."""
    if text.isascii():
        return text.lower()
    return unicodedata.normalize("NFD", unicodedata.normalize("NFD", text).casefold())


@dataclass(frozen=True, slots=True, kw_only=True)
class CodexMatch:
    prefix: tuple[str, ...]  # the words of the command
    decision: CodexDecision
    resolved: str | None = None
    justification: str | None = None

    @property
    def debug(self) -> str:
        resolved = "None" if self.resolved is None else f"Some(AbsolutePathBuf({debug(self.resolved)}))"
        prefix = debug_list([debug(word) for word in self.prefix])
        return (
            f"PrefixRuleMatch {{ matched_prefix: {prefix}, decision: {self.decision.debug}, "
            f"resolved_program: {resolved}, justification: {debug_option(self.justification)} }}"
        )

    def to_json(self) -> dict[str, object]:
        inner: dict[str, object] = {"matchedPrefix": list(self.prefix), "decision": self.decision.word}
        if self.resolved is not None:
            inner["resolvedProgram"] = self.resolved
        if self.justification is not None:
            inner["justification"] = self.justification
        return {"prefixRuleMatch": inner}


@dataclass(frozen=True, slots=True)
class Folders:
    """What relative and `~/` programs are relative to."""

    cwd: str
    home: str

    def absolute(self, program: str) -> str | None:
        """The path that Codex takes `program` for: no search, no look at the disk."""
        if program == "~" or program.startswith("~/"):
            return normal_path(self.home + program[1:]) if self.home else None
        return normal_path(program if program.startswith("/") else f"{self.cwd}/{program}")


@dataclass(slots=True)
class RuleTable:
    """Rules in the order of insertion, found by first word."""

    exact: dict[str, list[CodexRule]] = field(default_factory=dict)
    spellings: dict[str, dict[str, list[CodexRule]]] = field(default_factory=dict)  # canonical rules by key

    def add(self, rule: CodexRule) -> None:
        self.exact.setdefault(rule.first, []).append(rule)
        if rule.canonical:
            self.spellings.setdefault(key(rule.first), {}).setdefault(rule.first, []).append(rule)

    def of(self, first: str) -> Iterator[CodexRule]:
        """Rules of this very spelling, then canonical rules of others."""
        yield from self.exact.get(first, ())
        if self.spellings:
            for spelling, rules in self.spellings.get(key(first), {}).items():
                if spelling != first:
                    yield from rules


def find(
    table: RuleTable, hosts: dict[str, tuple[str, ...]], command: tuple[str, ...], folders: Folders | None
) -> list[CodexMatch]:
    """The matches of one command; `folders` turns on the resolution of programs by their last name."""
    found = [
        CodexMatch(
            prefix=command[: len(rule.rest) + 1], decision=rule.decision, justification=rule.justification
        )
        for rule in table.of(command[0])
        if rule.matches(command)
    ]
    if found or folders is None:
        return found
    path = folders.absolute(command[0])
    name = path.rsplit("/", 1)[-1] if path else ""
    if not path or not name or (name in hosts and path not in hosts[name]):
        return []
    renamed = (name, *command[1:])
    return [
        CodexMatch(
            prefix=renamed[: len(rule.rest) + 1],
            decision=rule.decision,
            resolved=path,
            justification=rule.justification,
        )
        for rule in table.of(name)
        if (rule.first not in hosts or path in hosts[rule.first]) and rule.matches(renamed)
    ]


@dataclass(frozen=True, slots=True)
class Examples:
    """The examples of one call, checked against the rules of that call when its file ends."""

    rules: tuple[CodexRule, ...]
    match: tuple[tuple[str, ...], ...]
    not_match: tuple[tuple[str, ...], ...]

    def failure(self, hosts: dict[str, tuple[str, ...]], folders: Folders) -> str | None:
        """What Codex says about the first example that fails."""
        table = RuleTable()
        for rule in self.rules:
            table.add(rule)
        for example in self.not_match:
            if matches := find(table, hosts, example, folders):
                return f"expected example to not match rule `{matches[0].debug}`: {_shown(example)}"
        missed = [example for example in self.match if not find(table, hosts, example, folders)]
        if not missed:
            return None
        rules = debug_list([debug(rule.debug) for rule in self.rules])
        examples = debug_list([debug(_shown(example)) for example in missed])
        return f"expected every example to match at least one rule. rules: {rules}; unmatched examples: {examples}"


def _shown(example: tuple[str, ...]) -> str:
    shown = join_words(example)
    return "unable to render example" if shown is None else shown


@dataclass(slots=True)
class CodexPolicy:
    """What all files together say."""

    rules: RuleTable = field(default_factory=RuleTable)
    hosts: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def check(self, command: tuple[str, ...], folders: Folders | None) -> dict[str, object]:
        """Codex's answer as an object, keys in its order."""
        matches = find(self.rules, self.hosts, command, folders)
        answer: dict[str, object] = {"matchedRules": [match.to_json() for match in matches]}
        if matches:
            answer["decision"] = max(match.decision for match in matches).word
        return answer
