"""A command line as its program reads it: options with their values, and operands."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from functools import cache, lru_cache

from execpolicy.decision import Certainty
from execpolicy.engine.sequence import Listed, Perhaps
from execpolicy.engine.words import MAYBE, NO, YES
from execpolicy.facts import Word
from execpolicy.shell import catalogue
from execpolicy.values import field, frozen


@frozen
class Grammar:
    """What is known of a program's options. `complete`: no other option takes a separate value."""

    values: frozenset[str] = frozenset()  # options that take the next word
    plain: frozenset[str] = frozenset()  # options that do not
    complete: bool = False
    long_dash: bool = False  # `-name` is one option, not a cluster
    same: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # option -> all its spellings
    subcommands: Mapping[str, Grammar] = field(default_factory=dict)

    def joined(self, other: Grammar) -> Grammar:
        """What both know."""
        return Grammar(
            values=self.values | other.values,
            plain=(self.plain | other.plain) - self.values - other.values,
            complete=self.complete or other.complete,
            long_dash=self.long_dash or other.long_dash,
            same={**other.same, **self.same},
            subcommands={**other.subcommands, **self.subcommands},
        )


@cache
def _table() -> Mapping[str, Mapping[str, object]]:
    import tomllib

    with open(os.path.join(os.path.dirname(__file__), "options.toml"), "rb") as file:
        return tomllib.load(file)


@lru_cache(maxsize=512)
def grammar_of(program: str) -> Grammar:
    """What our own table and the catalogue of carriers know about `program`."""
    entry = catalogue.program(program)
    carried = Grammar() if entry is None else _carried(entry)
    own = _table().get(program)
    return carried if own is None else _own(own).joined(carried)


def _own(entry: Mapping[str, object]) -> Grammar:
    values, same = entry.get("values", []), entry.get("same", [])
    assert isinstance(values, list)
    assert isinstance(same, list)
    return Grammar(
        values=frozenset(values),
        complete=entry.get("complete") is True,
        long_dash=entry.get("long_dash") is True,
        same={option: tuple(group.split()) for group in same for option in group.split()},
        subcommands={name: _own(value) for name, value in entry.items() if isinstance(value, dict)},
    )


def _carried(entry: catalogue.Entry) -> Grammar:
    options = entry.options
    return Grammar(
        values=options.values,
        plain=options.flags | options.optional,
        long_dash=options.single,
        subcommands={name: _carried(catalogue.entry(raw)) for name, raw in entry.subs.items()},
    )


@frozen
class Given:
    """One option that was given, as written up to its `=`."""

    name: str
    sure: bool  # False: it may be the value of the option before it, or an operand


@frozen
class CommandLine:
    """What stands behind the program."""

    options: tuple[Given, ...]
    operands: tuple[Listed, ...]
    unknown_starts: tuple[str, ...]  # the certain starts of unknown words that may be options
    grammar: Grammar  # of the program and its subcommand

    def has(self, option: str) -> Certainty:
        """Whether `option` is given. MAYBE for an abbreviation and for a word that may be a value."""
        best = self.spelled(option)
        if best is NO and self.unknown_starts:
            spellings = self.grammar.same.get(option, (option,))
            if any(_may_spell(start, spelling) for start in self.unknown_starts for spelling in spellings):
                return MAYBE
        return best

    def spelled(self, option: str) -> Certainty:
        """As `has`, looking only at words that are known."""
        spellings = self.grammar.same.get(option, (option,))
        return max(
            (self._spells(given, spelling) for given in self.options for spelling in spellings), default=NO
        )

    def spelled_by(self, text: str, option: str) -> bool:
        """Whether the word `text` is what gives `option`."""
        if not text.startswith("-"):
            return False
        given = Given(text.partition("=")[0], sure=True)
        return any(self._spells(given, spelling) for spelling in self.grammar.same.get(option, (option,)))

    def _spells(self, given: Given, option: str) -> Certainty:
        name = given.name
        found = NO
        if name == option:
            found = YES
        elif option.startswith("--"):
            if name.startswith("--") and len(name) > 2 and option.startswith(name):
                found = MAYBE
        elif len(option) == 2 and not name.startswith("--") and not self.grammar.long_dash:
            found = _in_cluster(name, option, self.grammar.values)
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
    grammar = everything = grammar_of(program)
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
            if first and text in grammar.subcommands:
                grammar = grammar.subcommands[text]
                everything = grammar.joined(everything)
            operands.append(Perhaps(word) if pending else word)
    return CommandLine(tuple(options), tuple(operands), tuple(starts), everything)


def _takes_value(name: str, grammar: Grammar) -> Certainty:
    if name in grammar.values:
        return YES
    if not name.startswith("--") and not grammar.long_dash and len(name) > 2:
        letters = name[1:]
        for index, letter in enumerate(letters):
            if "-" + letter in grammar.values:
                return YES if index == len(letters) - 1 else NO
    return NO if grammar.complete or name in grammar.plain else MAYBE
