"""Does one rule speak wherever another does: what shadowed, duplicate and conflicting rules are found by.

Every answer of True is a proof about the engine's own matching, unknown words included. False means that it could
not be shown.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from execpolicy.decision import Decision, Layer
from execpolicy.engine.index import command_rules, prefix_rules
from execpolicy.engine.policy import Policy
from execpolicy.facts import Word
from execpolicy.lang.rules import (
    And,
    CommandRule,
    Condition,
    Element,
    End,
    Meta,
    Mode,
    NetworkRule,
    Or,
    PathRule,
    PrefixRule,
    Rest,
    Rule,
    ToolRule,
    WordPattern,
)
from execpolicy.lint.words import covers, speaks_of_folders, takes_everything, texts

MAX_COMPARED: Final = 200  # rules that one rule is compared with


def speaks_wherever(wide: Rule, narrow: Rule) -> bool:
    """Whether `wide` matches with at least the certainty of `narrow`, whatever is judged."""
    if not _condition(wide.when, narrow.when):
        return False
    match wide, narrow:
        case PrefixRule(), PrefixRule():
            return _program(wide, narrow) and _prefix(wide, narrow)
        case CommandRule(), CommandRule():
            return _program(wide, narrow) and _command(wide, narrow)
        case ((PrefixRule() | CommandRule()), (PrefixRule() | CommandRule())):
            return _program_alone(wide) and _program(wide, narrow)
        case PathRule(), PathRule():
            return set(narrow.paths) <= set(wide.paths) and narrow.access <= wide.access
        case NetworkRule(), NetworkRule():
            return (
                _host(wide.host, narrow.host)
                and wide.port in (None, narrow.port)
                and wide.protocol in (None, narrow.protocol)
            )
        case ToolRule(), ToolRule():
            return _tool(wide, narrow)
        case _:
            return False


def makes_needless(policy: Policy, wide: Rule, wide_layer: Layer, narrow: Rule, narrow_layer: Layer) -> bool:
    """Whether `narrow` could be taken out and nothing would be decided, or judged on other terms, in another way."""
    if wide_layer > narrow_layer or not _decides_as_much(policy, wide.meta, narrow.meta):
        return False
    both_allow = wide.meta.decision is Decision.ALLOW
    if both_allow and wide_layer is not narrow_layer and policy.hosts.by_name:
        return False  # whose places of a program count differs from layer to layer
    return speaks_wherever(wide, narrow)


def _decides_as_much(policy: Policy, wide: Meta, narrow: Meta) -> bool:
    if wide.decision < narrow.decision or wide.mode is Mode.AUDIT or narrow.mode is Mode.AUDIT:
        return False
    if wide.id in policy.exceptions or narrow.id in policy.exceptions or wide.expires != narrow.expires:
        return False
    unread = any(declared.unknown is Decision.DENY for _, declared in policy.defaults)
    if narrow.decision is Decision.ALLOW and wide.decision is Decision.ASK and unread:
        return False  # the allow covers program text; without it the deny for what is not known would speak
    same_terms = (
        narrow.sandbox in (None, wide.sandbox)
        and narrow.network in (None, wide.network)
        and narrow.scope in (None, wide.scope)
    )
    if wide.decision is narrow.decision:
        return same_terms and wide.reviewer is narrow.reviewer
    return same_terms and narrow.reviewer is None


# --- programs and words ---------------------------------------------------------------------


def program_of(rule: PrefixRule | CommandRule) -> WordPattern:
    """The pattern of the program."""
    if isinstance(rule, CommandRule):
        return rule.program
    first = rule.pattern[0]
    assert not isinstance(first, Rest | End)
    return first


def _program(wide: PrefixRule | CommandRule, narrow: PrefixRule | CommandRule) -> bool:
    if _is_canonical(wide) or _is_canonical(narrow):
        return _is_canonical(wide) == _is_canonical(narrow) and program_of(wide) == program_of(narrow)
    return _program_covers(program_of(wide), program_of(narrow))


def _is_canonical(rule: PrefixRule | CommandRule) -> bool:
    return isinstance(rule, PrefixRule) and rule.canonical


def _program_covers(wide: WordPattern, narrow: WordPattern) -> bool:
    if wide == narrow:
        return True
    if speaks_of_folders(wide) or speaks_of_folders(narrow):
        return False
    listed = texts(narrow)
    if listed is not None and any("/" in text for text in listed):
        # A path may stand for a program of that name with less than certainty: only the same path is as sure.
        named = texts(wide)
        return (named is not None and set(listed) <= set(named)) or takes_everything(wide)
    if texts(wide) is not None and listed is None:
        return False
    return covers(wide, narrow)


def _program_alone(rule: PrefixRule | CommandRule) -> bool:
    """Whether the rule speaks about every use of its program."""
    if rule.unless:
        return False
    if isinstance(rule, PrefixRule):
        return not rule.canonical and all(
            isinstance(one, Rest) and one.each is None for one in rule.pattern[1:]
        )
    flags = rule.flags
    return not (rule.subcommand or flags.all_of or flags.any_of or flags.none_of) and rule.args is None


def _open(elements: Sequence[Element]) -> Sequence[Element]:
    """Without a `rest` at the end, which says nothing about a prefix."""
    last = elements[-1] if elements else None
    return elements[:-1] if isinstance(last, Rest) and last.each is None else elements


def _plain(elements: Sequence[Element]) -> bool:
    return not any(isinstance(element, Rest | End) for element in elements)


def _starts(wide: Sequence[Element], narrow: Sequence[Element]) -> bool:
    """Whether lists that start like `narrow` start like `wide`, a list of words without `rest` and `end`."""
    head = narrow[: len(wide)]
    return _plain(wide) and len(head) == len(wide) and _plain(head) and all(map(_element, wide, head))


def _same_form(wide: Sequence[Element], narrow: Sequence[Element]) -> bool:
    return len(wide) == len(narrow) and all(map(_element, wide, narrow))


def _element(wide: Element, narrow: Element) -> bool:
    match wide, narrow:
        case End(), End():
            return True
        case Rest(each=outer), Rest(each=inner):
            return outer is None or (inner is not None and covers(outer, inner))
        case (Rest() | End(), _) | (_, Rest() | End()):
            return False
        case _:
            assert not isinstance(wide, Rest | End)
            assert not isinstance(narrow, Rest | End)
            return covers(wide, narrow)


def _prefix(wide: PrefixRule, narrow: PrefixRule) -> bool:
    if wide.canonical and wide.pattern != narrow.pattern:
        return False
    if wide.unless and (
        wide.unless != narrow.unless
        or wide.pattern != narrow.pattern
        or wide.canonical != narrow.canonical  # the letters of what is excepted
    ):
        return False
    outer, inner = _open(wide.pattern[1:]), narrow.pattern[1:]
    return _starts(outer, inner) or _same_form(wide.pattern[1:], inner)


def _command(wide: CommandRule, narrow: CommandRule) -> bool:
    outer, inner = wide.flags, narrow.flags
    given = set(inner.all_of)
    if not set(outer.all_of) <= given or not set(outer.none_of) <= set(inner.none_of):
        return False
    if outer.any_of and not (
        given & set(outer.any_of) or (inner.any_of and set(inner.any_of) <= set(outer.any_of))
    ):
        return False
    if wide.unless and (wide.unless != narrow.unless or wide.subcommand != narrow.subcommand):
        return False
    words = (*narrow.subcommand, *(narrow.args or ()))
    if wide.args is None:
        return _starts(wide.subcommand, words)
    if narrow.args is None:
        return False
    whole = (*wide.subcommand, *wide.args)
    last = wide.args[-1] if wide.args else None
    if isinstance(last, Rest) and last.each is None and _starts(whole[:-1], words):
        return True
    return _same_form(whole, words)


# --- the rest -------------------------------------------------------------------------------


def _condition(wide: Condition | None, narrow: Condition | None) -> bool:
    """Whether `wide` holds at least as surely as `narrow`."""
    if wide is None or wide == narrow:
        return True
    if isinstance(narrow, And) and any(_condition(wide, one) for one in narrow.operands):
        return True
    return (
        isinstance(wide, Or) and narrow is not None and any(_condition(one, narrow) for one in wide.operands)
    )


def _host(wide: str, narrow: str) -> bool:
    return wide == narrow or (
        wide.startswith("*.") and narrow.removeprefix("*.").endswith(wide[1:]) and narrow != wide[2:]
    )


def _tool(wide: ToolRule, narrow: ToolRule) -> bool:
    if (wide.server is None) != (narrow.server is None):
        return False
    if wide.server is not None and narrow.server is not None and not covers(wide.server, narrow.server):
        return False
    inner = dict(narrow.arguments)
    return covers(wide.tool, narrow.tool) and all(
        name in inner and covers(pattern, inner[name]) for name, pattern in wide.arguments
    )


# --- which rules to compare -----------------------------------------------------------------


def rivals(policy: Policy, number: int) -> Iterator[int]:
    """Rules that may speak wherever rule `number` does, the same rule left out; at most MAX_COMPARED."""
    count = 0
    for other in dict.fromkeys(_rivals(policy, policy.rules[number])):
        if other == number:
            continue
        yield other
        count += 1
        if count >= MAX_COMPARED:
            return


def _rivals(policy: Policy, rule: Rule) -> Iterator[int]:
    index = policy.index
    match rule:
        case PrefixRule() | CommandRule():
            yield from index.anywhere
            names = texts(program_of(rule))
            if not names:
                return
            bucket = policy.bucket(names[0])
            words = list(_first_words(rule))
            if isinstance(rule, PrefixRule) and rule.canonical:
                for numbers in index.caseless.values():
                    yield from numbers
            if bucket.prefixes is not None:
                behind = words if isinstance(rule, PrefixRule) else []
                yield from prefix_rules(bucket.prefixes, behind)
            first = words if isinstance(rule, CommandRule) else []
            yield from command_rules(bucket, first)
        case PathRule():
            yield from index.paths.every
        case NetworkRule(host=host):
            labels = host.removeprefix("*.").split(".")
            yield from index.hosts.get(host, ())
            for at in range(len(labels)):
                yield from index.hosts.get("*." + ".".join(labels[at:]), ())
        case ToolRule():
            yield from index.tools


def _first_words(rule: PrefixRule | CommandRule) -> Iterator[Word]:
    """A command that the rule is about, as far as its words are listed."""
    elements = rule.pattern[1:] if isinstance(rule, PrefixRule) else (*rule.subcommand, *(rule.args or ()))
    for element in elements:
        listed = None if isinstance(element, Rest | End) else texts(element)
        if not listed:
            return
        yield Word.literal(listed[0])
