"""A command line as its program reads it: options with their values, and operands."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from execpolicy.decision import Certainty
from execpolicy.engine.sequence import Listed, Perhaps
from execpolicy.engine.words import MAYBE, NO, YES
from execpolicy.facts import Word


@dataclass(frozen=True, slots=True)
class Grammar:
    """What is known of a program's options. `complete`: no other option takes a separate value."""

    values: frozenset[str] = frozenset()  # options that take the next word
    complete: bool = False
    long_dash: bool = False  # `-name` is one option, not a cluster
    subcommands: Mapping[str, Grammar] | None = None


_STRANGER = Grammar()


@cache
def _grammars() -> Mapping[str, Grammar]:
    text = (files("execpolicy.engine") / "options.toml").read_text(encoding="utf-8")
    return {name: _grammar(entry) for name, entry in tomllib.loads(text).items()}


def _grammar(entry: Mapping[str, object]) -> Grammar:
    values = entry.get("values", [])
    assert isinstance(values, list)
    subcommands = {name: _grammar(value) for name, value in entry.items() if isinstance(value, dict)}
    return Grammar(
        values=frozenset(values),
        complete=entry.get("complete") is True,
        long_dash=entry.get("long_dash") is True,
        subcommands=subcommands or None,
    )


@dataclass(frozen=True, slots=True)
class Given:
    """One option that was given, as written up to its `=`."""

    name: str
    sure: bool  # False: it may be the value of the option before it, or an operand


@dataclass(frozen=True, slots=True)
class CommandLine:
    """What stands behind the program."""

    options: tuple[Given, ...]
    operands: tuple[Listed, ...]
    unknown_starts: tuple[str, ...]  # the certain starts of unknown words that may be options
    long_dash: bool
    values: frozenset[str]

    def has(self, option: str) -> Certainty:
        """Whether `option` is given. MAYBE for an abbreviation and for a word that may be a value."""
        best = self.spelled(option)
        if best is NO and any(_may_spell(start, option) for start in self.unknown_starts):
            return MAYBE
        return best

    def spelled(self, option: str) -> Certainty:
        """As `has`, looking only at words that are known."""
        return max((self._spells(given, option) for given in self.options), default=NO)

    def spelled_by(self, text: str, option: str) -> bool:
        """Whether the word `text` is what gives `option`."""
        if not text.startswith("-"):
            return False
        return self._spells(Given(text.partition("=")[0], sure=True), option) is not NO

    def _spells(self, given: Given, option: str) -> Certainty:
        name = given.name
        found = NO
        if name == option:
            found = YES
        elif option.startswith("--"):
            if name.startswith("--") and len(name) > 2 and option.startswith(name):
                found = MAYBE
        elif len(option) == 2 and not name.startswith("--") and not self.long_dash:
            found = _in_cluster(name, option, self.values)
        if found is YES and not given.sure:
            return MAYBE
        return found


def _in_cluster(name: str, option: str, values: frozenset[str]) -> Certainty:
    letters = name[1:]
    at = letters.find(option[1])
    if at < 0:
        return NO
    if any("-" + letter in values for letter in letters[:at]):
        return NO  # the rest of the cluster is the value of an earlier letter
    return YES if letters.isalpha() else MAYBE


def _may_spell(start: str, option: str) -> bool:
    """Whether a word that starts with `start` may be `option`."""
    if not start:
        return True
    if option.startswith(start) or start.startswith(option + "="):
        return True
    return len(option) == 2 and start.startswith("-") and not start.startswith("--")


def read(program: str, words: Sequence[Word]) -> CommandLine:
    """Options and operands of `words`, the words behind `program`."""
    grammar = _grammars().get(program, _STRANGER)
    long_dash, values = grammar.long_dash, grammar.values
    options: list[Given] = []
    operands: list[Listed] = []
    starts: list[str] = []
    closed = False  # after `--`
    value_next = NO  # whether the next word is the value of the option before it
    for word in words:
        text = word.text
        pending, value_next = value_next, NO
        if text is None:
            if not closed and (not word.prefix or word.prefix.startswith("-")):
                starts.append(word.prefix)
                operands.append(Perhaps(word) if not word.many else word)
            elif pending is not YES or word.many:
                operands.append(Perhaps(word) if pending and not word.many else word)
            continue
        if closed:
            operands.append(word)
        elif pending is YES:
            continue
        elif text == "--":
            closed = True
        elif text.startswith("-") and text != "-":
            name, equals, _ = text.partition("=")
            options.append(Given(name, sure=pending is NO))
            value_next = NO if equals else _takes_value(name, grammar)
        else:
            first = not pending and not any(isinstance(operand, Word) for operand in operands)
            if first and grammar.subcommands and text in grammar.subcommands:
                grammar = grammar.subcommands[text]
                values |= grammar.values
            operands.append(Perhaps(word) if pending else word)
    return CommandLine(tuple(options), tuple(operands), tuple(starts), long_dash, values)


def _takes_value(name: str, grammar: Grammar) -> Certainty:
    if name in grammar.values:
        return YES
    if not name.startswith("--") and not grammar.long_dash and len(name) > 2:
        letters = name[1:]
        for index, letter in enumerate(letters):
            if "-" + letter in grammar.values:
                return YES if index == len(letters) - 1 else NO
    return NO if grammar.complete else MAYBE
