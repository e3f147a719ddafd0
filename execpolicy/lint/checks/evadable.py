"""L008: an ask or deny on words in a row that another spelling of the same command escapes.

The escape is never guessed: the engine is asked about each spelling, with the whole policy.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Final

from execpolicy.decision import Decision
from execpolicy.diagnostics import Severity
from execpolicy.engine.check import check_argv
from execpolicy.engine.context import CheckContext
from execpolicy.engine.index import base_name
from execpolicy.engine.options import Grammar, grammar_of
from execpolicy.lang.rules import End, Mode, PrefixRule, Rest
from execpolicy.lint.base import Finding, Numbered, Subject
from execpolicy.lint.words import texts

CONTEXT: Final = CheckContext(cwd="/workspace", workspace="/workspace", home="/home/user")
SPELLINGS: Final = 40  # of one command
COMMANDS: Final = 4  # that one rule is about
RULES: Final = 2_000  # looked at in one run


class Evadable:
    code = "L008"
    name = "evadable"
    summary = "an ask or deny that another spelling of the same command escapes"

    def run(self, subject: Subject) -> Iterator[Finding]:
        looked = 0
        for _, rule, file in Numbered(subject):
            if (
                not isinstance(rule, PrefixRule)
                or rule.meta.decision is Decision.ALLOW
                or rule.when is not None
            ):
                continue
            if rule.meta.mode is Mode.AUDIT or len(rule.pattern) < 2 or looked >= RULES:
                continue
            looked += 1
            found = _escape(rule, subject)
            if found is None:
                continue
            written, escape, decision = found
            verb = {Decision.ALLOW: "is allowed", Decision.ASK: "only asks"}[decision]
            yield Finding(
                code=self.code,
                severity=Severity.WARNING,
                message=f"rule `{rule.meta.id}` stops `{written}`, but `{escape}` {verb}",
                file=file,
                origin=rule.meta.origin,
                key="pattern",
                label="these words, in this order",
                help=_instead(rule),
            )


def _escape(rule: PrefixRule, subject: Subject) -> tuple[str, str, Decision] | None:
    for words in islice(_commands(rule), COMMANDS):
        if check_argv(words, subject.policy, CONTEXT).decision is not rule.meta.decision:
            continue
        for other in islice(dict.fromkeys(spellings(words)), SPELLINGS):
            decision = check_argv(other, subject.policy, CONTEXT).decision
            if decision < rule.meta.decision:
                return " ".join(words), " ".join(other), decision
    return None


def _commands(rule: PrefixRule) -> Iterator[tuple[str, ...]]:
    """Commands that the rule is about, each option and word as it lists them."""
    choices: list[Sequence[str]] = []
    for element in rule.pattern:
        listed = None if isinstance(element, Rest | End) else texts(element)
        if not listed:
            break
        choices.append(listed)
    if len(choices) < 2:
        return
    base = [listed[0] for listed in choices]
    yield tuple(base)
    for at, choice in enumerate(choices):
        for text in choice[1:]:
            yield (*base[:at], text, *base[at + 1 :])


def spellings(words: Sequence[str]) -> Iterator[tuple[str, ...]]:
    """Other ways to write the command, and the same command with an operand or a harmless word more."""
    program, behind = words[0], list(words[1:])
    grammar = grammar_of(base_name(program))
    lead = next((at for at, word in enumerate(behind) if word.startswith("-")), len(behind))
    sub = behind[0] if behind and not behind[0].startswith("-") else None
    inner = grammar.subcommands.get(sub, Grammar()) if sub is not None else grammar
    for at, word in enumerate(behind):
        for instead in _other_words(word, inner, grammar):
            yield (program, *behind[:at], *instead, *behind[at + 1 :])
    options = [word for word in behind[lead:] if word.startswith("-")]
    named = all(word.lstrip("-")[:1].isalpha() and word not in inner.values for word in options)
    if len(options) > 1 and named:
        yield (program, *behind[:lead], *reversed(options), *behind[lead + len(options) :])
    if options and named and (lead or inner.complete):
        yield (program, *behind[:lead], "operand", *behind[lead:])
    if options and named and ("-v" in inner.same or "-v" in inner.plain):
        yield (program, *behind[:lead], "-v", *behind[lead:])
    if sub is not None and grammar.subcommands:
        for option in sorted(grammar.values, key=lambda option: (len(option), option))[:6]:
            yield (program, option, "value", *behind)
        yield (program, "--verbose", *behind)


def _other_words(word: str, inner: Grammar, outer: Grammar) -> Iterator[tuple[str, ...]]:
    if word.startswith("--"):
        name, equals, value = word.partition("=")
        if equals and name in (inner.values | outer.values):
            yield (name, value)
    elif word.startswith("-") and len(word) > 2 and not inner.long_dash and word[1:].isalpha():
        letters = word[1:]
        yield tuple(f"-{letter}" for letter in letters)
        yield (f"-{letters[::-1]}",)
    for spelling in inner.same.get(word, ()):
        if spelling != word:
            yield (spelling,)
    if word.startswith("-") and not word.startswith("--") and len(word) > 2 and not inner.long_dash:
        for at, letter in enumerate(word[1:]):
            for spelling in inner.same.get(f"-{letter}", ()):
                rest = word[1 : at + 1] + word[at + 2 :]
                if spelling != f"-{letter}":
                    yield (spelling, *([f"-{rest}"] if rest else []))


def _instead(rule: PrefixRule) -> str:
    """The rule that says the same whatever the spelling."""
    words = [texts(element) for element in rule.pattern if not isinstance(element, Rest | End)]
    program = (words[0] or ("...",))[0]
    behind = [listed[0] for listed in words[1:] if listed]
    plain = [word for word in behind if not word.startswith("-")]
    flags: list[str] = []
    for word in behind:
        if word.startswith("--"):
            flags.append(word.partition("=")[0])
        elif word.startswith("-") and word[1:].isalpha() and not grammar_of(base_name(program)).long_dash:
            flags += [f"-{letter}" for letter in word[1:]]
        elif word.startswith("-"):
            flags.append(word)
    parts = [f'program = "{program}"']
    if plain:
        parts.append(f'subcommand = "{" ".join(plain)}"')
    if flags:
        listed = ", ".join(f'"{flag}"' for flag in dict.fromkeys(flags))
        parts.append(f"flags = all_of({listed})")
    return f"`command_rule({', '.join(parts)}, ...)` reads options in any order and spelling"
