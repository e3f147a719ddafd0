"""Does one rule match one command: pure, total, three-valued."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

from execpolicy.decision import Certainty, Decision, Layer
from execpolicy.engine.conditions import holds
from execpolicy.engine.context import CheckContext
from execpolicy.engine.identity import Hosts, Program
from execpolicy.engine.sequence import Fits, Listed, start, whole
from execpolicy.engine.words import NO, YES, Places, canonical_fits, fits
from execpolicy.facts import CommandFacts, Word
from execpolicy.lang.rules import (
    AnyOf,
    CommandRule,
    Element,
    End,
    Exact,
    Flags,
    PrefixRule,
    Rest,
    WordPattern,
)

if TYPE_CHECKING:
    from execpolicy.engine.options import CommandLine


class CommandView:
    """A command with what matching works out about it, each at most once."""

    __slots__ = ("_line", "context", "facts", "places", "program", "unread")

    def __init__(self, facts: CommandFacts, context: CheckContext) -> None:
        self.facts = facts
        self.context = context
        self.places = places_of(facts, context)
        self.program = Program.of(facts, context, self.places)
        self._line: CommandLine | None = None
        self.unread = False  # not every rule that an unknown word may reach was looked at

    @property
    def line(self) -> CommandLine:
        if self._line is None:
            from execpolicy.engine.options import read  # late: policies of prefix rules do without its table

            self._line = read(self.program.base, self.facts.argv[1:])
        return self._line


def places_of(facts: CommandFacts, context: CheckContext) -> Places:
    """Where the command runs and what its paths are relative to."""
    if facts.cwd is None:
        return _places(context.cwd, context.workspace, context.home)
    return Places(folder_of(facts.cwd, context), context.workspace, context.home)


@lru_cache(maxsize=64)
def _places(cwd: str, workspace: str, home: str) -> Places:
    return Places(cwd, workspace, home)


@lru_cache(maxsize=256)
def _join(cwd: str, path: str, home: str) -> str | None:
    return Places(cwd, "/", home).absolute(path)


def folder_of(cwd: Word | None, context: CheckContext) -> str | None:
    """The working folder as an absolute path; None when it is not known."""
    if cwd is None:
        return context.cwd
    if cwd.text is None:
        return None
    if cwd.text == "~" or (cwd.text.startswith("~/") and cwd.raw.startswith("~")):
        return context.home + cwd.text[1:] if context.home else None
    return _join(context.cwd, cwd.text, context.home)


def match_prefix(rule: PrefixRule, view: CommandView, hosts: Hosts, layer: Layer) -> Certainty:
    """Whether `rule` speaks about the command, its `when` and `unless` included."""
    first, rest = rule.pattern[0], rule.pattern[1:]
    assert not isinstance(first, Rest | End)
    found = program_fits(first, rule.meta.decision, view, hosts, layer)
    if rule.canonical and found is NO:
        found = _canonical_program(first, rule.meta.decision, view)
    if found and rest:
        found = min(found, _first_words(rest, view, canonical=rule.canonical))
    if found and rule.unless:
        found = min(
            found, _not_excepted(rule.unless, behind(rule, view.facts.argv), view.places, test=_lifts(rule))
        )
    if found and rule.when is not None:
        found = min(found, holds(rule.when, view.context, view.places))
    return found


def program_fits(
    pattern: WordPattern, decision: Decision, view: CommandView, hosts: Hosts, layer: Layer
) -> Certainty:
    """Whether the program is the one that a rule means: proof for an allow, possibility for the others."""
    if decision is Decision.ALLOW:
        return view.program.proven(pattern, view.places, hosts, layer)
    return view.program.possible(pattern, view.places)


def _canonical_program(pattern: WordPattern, decision: Decision, view: CommandView) -> Certainty:
    """Another spelling of the program: a deny covers it; an allow only where no file is looked up."""
    names = view.program.names
    if decision is Decision.ALLOW:
        trusted = view.program.found and view.program.text == view.program.base
        names = (view.program.base,) if trusted and view.context.resolver is None else ()
    return max((canonical_fits(pattern, Word.literal(name), view.places) for name in names), default=NO)


def _first_words(elements: Sequence[Element], view: CommandView, *, canonical: bool) -> Certainty:
    argv = view.facts.argv
    found = YES
    for index, element in enumerate(elements, 1):
        if isinstance(element, Rest | End):
            break
        if index >= len(argv):
            return NO
        word = argv[index]
        if word.many and word.text is None:
            break
        if type(element) is Exact and word.text is not None and not canonical:
            if element.text != word.text:
                return NO
            continue
        found = min(found, (canonical_fits if canonical else fits)(element, word, view.places))
        if found is NO:
            return NO
    else:
        return found
    return min(found, start(elements, argv[1:], view.places, canonical_fits if canonical else fits))


def behind(rule: PrefixRule, argv: Sequence[Word]) -> Sequence[Word]:
    """The words behind the ones that the pattern names: those that a `rest` takes are among them."""
    pattern = rule.pattern
    taken = next((at for at, one in enumerate(pattern) if isinstance(one, Rest | End)), len(pattern))
    if any(word.many and word.text is None for word in argv[:taken]):
        return (Word.unknown("", many=True),)
    return argv[taken:]


def _lifts(rule: PrefixRule) -> Fits:
    """Another spelling takes an allow away, as it is one; a deny is lifted by the words as they are only."""
    return canonical_fits if rule.canonical and rule.meta.decision is Decision.ALLOW else fits


def _not_excepted(
    unless: Sequence[Sequence[Element]],
    words: Sequence[Listed],
    places: Places,
    head: Sequence[Element] = (),
    test: Fits = fits,
) -> Certainty:
    worst = max((whole((*head, *elements), words, places, test) for elements in unless), default=NO)
    return Certainty(YES - worst)


def match_command(rule: CommandRule, view: CommandView, hosts: Hosts, layer: Layer) -> Certainty:
    """Whether `rule` speaks about the command, whatever the order and spelling of its options."""
    found = program_fits(rule.program, rule.meta.decision, view, hosts, layer)
    if found is NO:
        return NO
    line = view.line
    found = min(found, _flags(rule.flags, line, rule.meta.decision))
    if found and rule.args is not None:
        found = min(found, whole((*rule.subcommand, *rule.args), line.operands, view.places))
    elif found and rule.subcommand:
        found = min(found, start(rule.subcommand, line.operands, view.places))
    if found and rule.unless:
        found = min(found, _not_excepted(rule.unless, line.operands, view.places, rule.subcommand))
    if found and rule.when is not None:
        found = min(found, holds(rule.when, view.context, view.places))
    return found


def _flags(flags: Flags, line: CommandLine, decision: Decision) -> Certainty:
    found = YES
    if flags.all_of:
        found = min(_given(option, line, decision) for option in flags.all_of)
    if found and flags.any_of:
        found = min(found, max(_given(option, line, decision) for option in flags.any_of))
    for option in flags.none_of:
        if found is NO:
            break
        found = min(found, Certainty(YES - line.has(option)))
    return found


def _given(option: str, line: CommandLine, decision: Decision) -> Certainty:
    """An ask or deny takes an abbreviation, or a word that may be a value, for the option itself."""
    if decision is not Decision.ALLOW and line.spelled(option):
        return YES
    return line.has(option)


def about(rule: PrefixRule | CommandRule, facts: CommandFacts, view: CommandView) -> tuple[str, ...]:
    """The words of the command that the rule is about, as written."""
    argv = facts.argv
    if isinstance(rule, PrefixRule):
        taken = len(rule.pattern)
        if isinstance(rule.pattern[-1], End | Rest):
            taken -= 1
        return tuple([word.raw for word in argv[:taken]])
    words = [argv[0].raw]
    wanted = (*rule.flags.all_of, *rule.flags.any_of)
    for word in argv[1:]:
        if word.text is None:
            continue
        plain = any(fits(pattern, word, view.places) for pattern in rule.subcommand)
        if plain or any(view.line.spelled_by(word.text, option) for option in wanted):
            words.append(word.raw)
    return tuple(words)


def first_key(pattern: WordPattern | Rest | End) -> tuple[str, ...] | None:
    """The known names that a pattern of one word stands for; None when they cannot be listed."""
    match pattern:
        case Exact(text):
            return (text,)
        case AnyOf(options):
            keys = [first_key(option) for option in options]
            if any(key is None for key in keys):
                return None
            return tuple(dict.fromkeys(text for key in keys if key is not None for text in key))
        case _:
            return None
