"""Typed rules to plain lists and back, for the compiled form of a policy."""

from __future__ import annotations

from typing import Any, assert_never

from execpolicy.decision import Decision, Layer, NetworkAccess, Origin, Reviewer, SandboxMode, Scope
from execpolicy.facts import Access
from execpolicy.lang.rules import (
    AllOf,
    And,
    AnyOf,
    CommandRule,
    Compare,
    Condition,
    Defaults,
    Element,
    End,
    EnvFact,
    Exact,
    Fact,
    Flags,
    Glob,
    GroupFact,
    Mask,
    Meta,
    Mode,
    NetworkRule,
    NoneOf,
    Not,
    Or,
    PathRule,
    PrefixRule,
    Regex,
    Rest,
    Rule,
    RuleException,
    TimeBetween,
    ToolRule,
    Truth,
    Within,
    WordPattern,
)

Plain = Any  # what JSON holds

# --- patterns -------------------------------------------------------------------------------


def pack_element(element: Element) -> Plain:
    match element:
        case Exact(text):
            return text
        case Glob(text):
            return ["g", text]
        case Regex(text):
            return ["r", text]
        case Within(text):
            return ["w", text]
        case AnyOf(options):
            return ["|", *map(pack_element, options)]
        case AllOf(options):
            return ["&", *map(pack_element, options)]
        case NoneOf(options):
            return ["!", *map(pack_element, options)]
        case Rest(each):
            return ["*"] if each is None else ["*", pack_element(each)]
        case End():
            return ["$"]
        case _:
            assert_never(element)


def element(plain: Plain) -> Element:
    if isinstance(plain, str):
        return Exact(plain)
    match plain[0]:
        case "*":
            return Rest(word(plain[1]) if len(plain) > 1 else None)
        case "$":
            return End()
        case _:
            return word(plain)


def word(plain: Plain) -> WordPattern:
    if isinstance(plain, str):
        return Exact(plain)
    match plain[0]:
        case "g":
            return Glob(plain[1])
        case "r":
            return Regex(plain[1])
        case "w":
            return Within(plain[1])
        case "|":
            return AnyOf(tuple(map(word, plain[1:])))
        case "&":
            return AllOf(tuple(map(word, plain[1:])))
        case "!":
            return NoneOf(tuple(map(word, plain[1:])))
        case kind:
            raise ValueError(f"no pattern: {kind!r}")


def _lists(unless: tuple[tuple[Element, ...], ...]) -> Plain:
    return [list(map(pack_element, elements)) for elements in unless]


def _elements(plain: Plain) -> tuple[tuple[Element, ...], ...]:
    return tuple(tuple(map(element, elements)) for elements in plain)


# --- conditions -----------------------------------------------------------------------------


def pack_condition(condition: Condition | None) -> Plain:
    match condition:
        case None:
            return None
        case And(operands):
            return ["and", *map(pack_condition, operands)]
        case Or(operands):
            return ["or", *map(pack_condition, operands)]
        case Not(operand):
            return ["not", pack_condition(operand)]
        case Truth(fact):
            return ["is", fact.name]
        case TimeBetween(start, end):
            return ["time", start, end]
        case Compare(subject, options):
            kind = "env" if isinstance(subject, EnvFact) else "fact"
            packed = [
                ["group", option.name] if isinstance(option, GroupFact) else pack_element(option)
                for option in options
            ]
            return [kind, subject.name, *packed]
        case _:
            assert_never(condition)


def condition(plain: Plain) -> Condition | None:
    return None if plain is None else _condition(plain)


def _condition(plain: Plain) -> Condition:
    match plain[0]:
        case "and":
            return And(tuple(map(_condition, plain[1:])))
        case "or":
            return Or(tuple(map(_condition, plain[1:])))
        case "not":
            return Not(_condition(plain[1]))
        case "is":
            return Truth(Fact(plain[1]))
        case "time":
            return TimeBetween(plain[1], plain[2])
        case "env" | "fact":
            subject = EnvFact(plain[1]) if plain[0] == "env" else Fact(plain[1])
            return Compare(subject, tuple(map(_option, plain[2:])))
        case kind:
            raise ValueError(f"no condition: {kind!r}")


def _option(plain: Plain) -> WordPattern | GroupFact:
    return GroupFact(plain[1]) if isinstance(plain, list) and plain[0] == "group" else word(plain)


# --- rules ----------------------------------------------------------------------------------


def _value(choice: SandboxMode | NetworkAccess | Reviewer | Scope | None) -> str | None:
    return None if choice is None else choice.value


def _pack_meta(meta: Meta) -> Plain:
    origin = meta.origin
    packed = [meta.id, int(meta.decision), [int(origin.layer), origin.path, origin.line, origin.column]]
    more = [
        meta.justification,
        meta.suggest,
        meta.owner,
        meta.severity,
        list(meta.controls),
        meta.expires,
        meta.mode.value,
        _value(meta.sandbox),
        _value(meta.network),
        _value(meta.reviewer),
        _value(meta.scope),
    ]
    return [*packed, *more] if more != _PLAIN_META else packed


_PLAIN_META: Plain = [None, None, None, None, [], None, "enforce", None, None, None, None]


def _meta(plain: Plain) -> Meta:
    layer, path, line, column = plain[2]
    origin = Origin(Layer(layer), path, line, column)
    if len(plain) == 3:
        return Meta(id=plain[0], decision=Decision(plain[1]), origin=origin)
    justification, suggest, owner, severity, controls, expires, mode, sandbox, network, reviewer, scope = (
        plain[3:]
    )
    return Meta(
        id=plain[0],
        decision=Decision(plain[1]),
        origin=origin,
        justification=justification,
        suggest=suggest,
        owner=owner,
        severity=severity,
        controls=tuple(controls),
        expires=expires,
        mode=Mode(mode),
        sandbox=None if sandbox is None else SandboxMode(sandbox),
        network=None if network is None else NetworkAccess(network),
        reviewer=None if reviewer is None else Reviewer(reviewer),
        scope=None if scope is None else Scope(scope),
    )


def pack_rule(rule: Rule) -> Plain:
    """Everything that deciding and explaining need; examples have been run and are left behind."""
    meta, when = _pack_meta(rule.meta), pack_condition(rule.when)
    match rule:
        case PrefixRule():
            pattern = list(map(pack_element, rule.pattern))
            if not (rule.canonical or rule.unless or when):
                return ["p", meta, pattern]
            return ["p", meta, pattern, rule.canonical, _lists(rule.unless), when]
        case CommandRule():
            flags = [list(rule.flags.all_of), list(rule.flags.any_of), list(rule.flags.none_of)]
            args = None if rule.args is None else list(map(pack_element, rule.args))
            subcommand = list(map(pack_element, rule.subcommand))
            return ["c", meta, pack_element(rule.program), subcommand, flags, args, _lists(rule.unless), when]
        case PathRule():
            access = sorted(access.value for access in rule.access)
            return ["f", meta, [glob.pattern for glob in rule.paths], access, when]
        case NetworkRule():
            return ["n", meta, rule.host, rule.port, rule.protocol, when]
        case ToolRule():
            server = None if rule.server is None else pack_element(rule.server)
            arguments = [[name, pack_element(pattern)] for name, pattern in rule.arguments]
            return ["t", meta, pack_element(rule.tool), server, arguments, when]
        case _:
            assert_never(rule)


def rule(plain: Plain) -> Rule:
    meta = _meta(plain[1])
    match plain[0]:
        case "p":
            pattern = tuple(map(element, plain[2]))
            if len(plain) == 3:
                return PrefixRule(meta=meta, pattern=pattern)
            return PrefixRule(
                meta=meta,
                pattern=pattern,
                canonical=plain[3],
                unless=_elements(plain[4]),
                when=condition(plain[5]),
            )
        case "c":
            return CommandRule(
                meta=meta,
                program=word(plain[2]),
                subcommand=tuple(map(word, plain[3])),
                flags=Flags(*(tuple(flags) for flags in plain[4])),
                args=None if plain[5] is None else tuple(map(element, plain[5])),
                unless=_elements(plain[6]),
                when=condition(plain[7]),
            )
        case "f":
            return PathRule(
                meta=meta,
                paths=tuple(map(Glob, plain[2])),
                access=frozenset(map(Access, plain[3])),
                when=condition(plain[4]),
            )
        case "n":
            return NetworkRule(
                meta=meta, host=plain[2], port=plain[3], protocol=plain[4], when=condition(plain[5])
            )
        case "t":
            return ToolRule(
                meta=meta,
                tool=word(plain[2]),
                server=None if plain[3] is None else word(plain[3]),
                arguments=tuple((name, word(pattern)) for name, pattern in plain[4]),
                when=condition(plain[5]),
            )
        case kind:
            raise ValueError(f"no rule: {kind!r}")


# --- what stands beside the rules -------------------------------------------------------------


def _pack_origin(origin: Origin) -> Plain:
    return [int(origin.layer), origin.path, origin.line, origin.column]


def _origin(plain: Plain) -> Origin:
    return Origin(Layer(plain[0]), plain[1], plain[2], plain[3])


def pack_defaults(defaults: Defaults) -> Plain:
    return [int(defaults.unmatched), int(defaults.unknown), _pack_origin(defaults.origin)]


def read_defaults(plain: Plain) -> Defaults:
    return Defaults(unmatched=Decision(plain[0]), unknown=Decision(plain[1]), origin=_origin(plain[2]))


def pack_exception(one: RuleException) -> Plain:
    return [
        one.to,
        one.until,
        one.approved_by,
        one.ticket,
        pack_condition(one.when),
        _pack_origin(one.origin),
    ]


def read_exception(plain: Plain) -> RuleException:
    return RuleException(
        to=plain[0],
        until=plain[1],
        approved_by=plain[2],
        ticket=plain[3],
        when=condition(plain[4]),
        origin=_origin(plain[5]),
    )


def _pack_word(pattern: WordPattern | None) -> Plain:
    return None if pattern is None else pack_element(pattern)


def _maybe_word(plain: Plain) -> WordPattern | None:
    return None if plain is None else word(plain)


def pack_mask(mask: Mask) -> Plain:
    return [
        mask.id,
        _pack_origin(mask.origin),
        [mask.justification, mask.owner, list(mask.controls)],
        [_pack_word(getattr(mask, name)) for name in _MASK_WORDS],
        [list(mask.subcommand), list(mask.option), mask.attached],
        [pack_element(pattern) for pattern in mask.pattern],
        [glob.pattern for glob in mask.paths],
    ]


_MASK_WORDS = ("program", "env", "header", "tool", "server", "argument")


def read_mask(plain: Plain) -> Mask:
    name, origin, about, words, options, patterns, paths = plain
    found = [word(one) for one in patterns]
    program, env, header, tool, server, argument = map(_maybe_word, words)
    return Mask(
        id=name,
        origin=_origin(origin),
        justification=about[0],
        owner=about[1],
        controls=tuple(about[2]),
        program=program,
        env=env,
        header=header,
        tool=tool,
        server=server,
        argument=argument,
        subcommand=tuple(options[0]),
        option=tuple(options[1]),
        attached=options[2],
        pattern=tuple(one for one in found if isinstance(one, Exact | Regex)),
        paths=tuple(map(Glob, paths)),
    )
