"""Runs the `match` and `not_match` examples that rules carry."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from typing import assert_never

from execpolicy.decision import Certainty, Decision, Layer
from execpolicy.engine.context import CheckContext
from execpolicy.engine.identity import Hosts
from execpolicy.engine.masks import Masks
from execpolicy.engine.match import CommandView, match_command, match_prefix, places_of
from execpolicy.engine.paths import FileView, match_path
from execpolicy.engine.words import YES, Places
from execpolicy.facts import CommandFacts, ScriptFacts, Word
from execpolicy.lang.rules import (
    CommandRule,
    Example,
    Mask,
    NetworkRule,
    PathRule,
    PrefixRule,
    Rule,
    ToolRule,
)
from execpolicy.shell.analyse import analyse, analyse_argv
from execpolicy.source import Span
from execpolicy.values import frozen, replace

_CONTEXT = CheckContext(cwd="/workspace", workspace="/workspace", home="/home/user")
_PLACES = Places("/workspace", "/workspace", "/home/user")


@frozen
class Failure:
    """An example that does not hold."""

    example: Example
    expected: bool  # whether the rule was to match
    rule_id: str
    what: str = "rule"

    @property
    def message(self) -> str:
        verb = "does not match" if self.expected else "matches"
        return f"{self.what} `{self.rule_id}` {verb} this example"


def failures(rules: Sequence[Rule], hosts: Hosts) -> Iterator[Failure]:
    """The examples of `rules` that do not hold. `when`, `expires` and `mode` are left aside."""
    for rule in rules:
        if isinstance(rule, NetworkRule | ToolRule) or not (rule.match or rule.not_match):
            continue
        speaks = _Speaks(rule, hosts)
        for example in rule.not_match:
            if speaks.surely(example):
                yield Failure(example, False, rule.meta.id)
        for example in rule.match:
            if not speaks.somehow(example):
                yield Failure(example, True, rule.meta.id)


def mask_failures(masks: Sequence[Mask]) -> Iterator[Failure]:
    """The examples of `masks` that do not hold. An example is what a record would show.

    For a mask of files it is a path, for one of whole calls the name of the tool; which tool is called is
    left aside otherwise.
    """
    for mask in masks:
        hiding = Masks((mask,), places=_PLACES, read=lambda script: analyse(script).commands)
        for expected, examples in ((False, mask.not_match), (True, mask.match)):
            for example in examples:
                if _hides(mask, hiding, example) is not expected:
                    yield Failure(example, expected, mask.id, what="mask")


def _hides(mask: Mask, hiding: Masks, example: Example) -> bool:
    text = example.script if example.script is not None else shlex.join(example.words or ())
    if mask.paths:
        return hiding.file(text) is not None
    if mask.tool is not None and mask.argument is None:
        return hiding.argument("", text, None) is not None
    return any(hiding.find(text))


class _Speaks:
    """One rule, asked about examples as a deny would be: a path to a program stands for the program."""

    def __init__(self, rule: PrefixRule | CommandRule | PathRule, hosts: Hosts) -> None:
        self.rule = replace(rule, when=None, meta=replace(rule.meta, decision=Decision.DENY))
        self.hosts = hosts

    def somehow(self, example: Example) -> bool:
        """Whether the rule matches the example, read as words or as a script."""
        return any(self._script(facts) for facts in self._readings(example))

    def surely(self, example: Example) -> bool:
        """For a prefix rule an example is words first: what a script would run besides is no part of it."""
        readings = self._readings(example)
        if isinstance(self.rule, PrefixRule):
            return self._script(readings[0])
        return any(self._script(facts) for facts in readings)

    def _readings(self, example: Example) -> list[ScriptFacts]:
        if example.words is not None:
            readings = [analyse_argv(example.words)]
            return [_plain(example.words), *readings] if isinstance(self.rule, PrefixRule) else readings
        assert example.script is not None
        readings = [analyse(example.script)]
        if isinstance(self.rule, PrefixRule):
            try:
                words = tuple(shlex.split(example.script, comments=True))
            except ValueError:
                return readings
            return [_plain(words), *readings] if words else readings
        if isinstance(self.rule, PathRule):
            return [ScriptFacts(text=example.script, commands=()), *readings]
        return readings

    def _script(self, facts: ScriptFacts) -> bool:
        rule = self.rule
        if isinstance(rule, PathRule) and not facts.commands and facts.text:
            view = FileView.of(Word.literal(facts.text), _PLACES, _CONTEXT)
            return any(match_path(rule, view, access, _CONTEXT, _PLACES) is YES for access in rule.access)
        return any(self._command(command) for command in facts.commands)

    def _command(self, facts: CommandFacts) -> bool:
        rule = self.rule
        if isinstance(rule, PathRule):
            places = places_of(facts, _CONTEXT)
            return any(
                match_path(rule, FileView.of(file.path, places, _CONTEXT), file.access, _CONTEXT, places)
                is YES
                for file in facts.files
            )
        if not facts.argv:
            return False
        view = CommandView(facts, _CONTEXT)
        if not self._listed(view):
            return False
        return self._match(rule, view) is YES

    def _match(self, rule: PrefixRule | CommandRule, view: CommandView) -> Certainty:
        match rule:
            case PrefixRule():
                return match_prefix(rule, view, self.hosts, Layer.SESSION)
            case CommandRule():
                return match_command(rule, view, self.hosts, Layer.SESSION)
            case _:
                assert_never(rule)

    def _listed(self, view: CommandView) -> bool:
        """A path must be one of the declared places of its program, if there are any."""
        program = view.program
        if program.text is None or "/" not in program.text:
            return True
        declared = self.hosts.speaking(program.base, Layer.SESSION)
        return not declared or program.path in declared[-1]


def _plain(words: Sequence[str]) -> ScriptFacts:
    """Words as they stand, nothing seen through."""
    command = CommandFacts(argv=tuple(map(Word.literal, words)), span=Span(0, 0))
    return ScriptFacts(text=" ".join(words), commands=(command,))
