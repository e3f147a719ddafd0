"""L011: a regular expression that is looked for anywhere in a word."""

from __future__ import annotations

from collections.abc import Iterator
from typing import assert_never

from execpolicy.decision import Decision
from execpolicy.diagnostics import Severity
from execpolicy.lang.expression import BadPattern, Branch, Chars, Edge, Node, Repeat, Row, read_regex
from execpolicy.lang.rules import (
    AllOf,
    And,
    AnyOf,
    CommandRule,
    Compare,
    Condition,
    Element,
    End,
    Exact,
    Glob,
    GroupFact,
    NoneOf,
    Not,
    Or,
    PrefixRule,
    Regex,
    Rest,
    Rule,
    TimeBetween,
    ToolRule,
    Truth,
    Within,
    WordPattern,
)
from execpolicy.lint.base import Finding, Numbered, Subject


class Unanchored:
    code = "L011"
    name = "unanchored"
    summary = "a regular expression that is looked for anywhere in a word"

    def run(self, subject: Subject) -> Iterator[Finding]:
        for _, rule, file in Numbered(subject):
            allow = rule.meta.decision is Decision.ALLOW
            for key, text, excepts in dict.fromkeys(_regexes(rule)):
                loosens = allow is not excepts  # more words fit: more is allowed, or less is stopped
                if anchored(text) or (not loosens and _edge(read_regex(text), Edge.START)):
                    continue
                yield Finding(
                    code=self.code,
                    severity=Severity.WARNING if loosens else Severity.NOTE,
                    message=f"`{text}` is looked for anywhere in the word",
                    file=file,
                    origin=rule.meta.origin,
                    key=key,
                    label="more words fit than it seems" if loosens else "",
                    help=_help(text),
                )


def _help(text: str) -> str:
    node = read_regex(text)
    lacks = [
        word
        for word, edge in (("`^` in front", Edge.START), ("`$` behind", Edge.END))
        if not _edge(node, edge)
    ]
    return f"write {' and '.join(lacks)} for the whole word, or `.*` there where anything may stand"


def anchored(text: str) -> bool:
    """Whether the expression says where it begins and ends; `.*` at an edge says it too."""
    try:
        node = read_regex(text)
    except BadPattern:
        return True
    return _edge(node, Edge.START) and _edge(node, Edge.END)


def _edge(node: Node, edge: Edge) -> bool:
    match node:
        case Edge():
            return node is edge
        case Row(nodes):
            return bool(nodes) and _edge(nodes[0 if edge is Edge.START else -1], edge)
        case Branch(options):
            return all(_edge(option, edge) for option in options)
        case Repeat(inner, low, high):
            return (low == 0 and high is None and _any_character(inner)) or (low > 0 and _edge(inner, edge))
        case Chars():
            return False
    assert_never(node)


def _any_character(node: Node) -> bool:
    if not isinstance(node, Chars):
        return False
    newline = ord("\n")
    return all(missing == (newline, newline) for missing in Chars.of(node.ranges(), negated=True).ranges())


# A key, an expression in its value, and whether the expression takes words out.
Found = Iterator[tuple[str, str, bool]]


def _regexes(rule: Rule) -> Found:
    match rule:
        case PrefixRule():
            yield from _in_elements("pattern", rule.pattern, False)
        case CommandRule():
            yield from _in_elements("program", (rule.program,), False)
            yield from _in_elements("subcommand", rule.subcommand, False)
            yield from _in_elements("args", rule.args or (), False)
        case ToolRule():
            yield from _in_elements("tool", (rule.tool,), False)
            yield from _in_elements("server", (rule.server,) if rule.server is not None else (), False)
            yield from _in_elements("arguments", tuple(pattern for _, pattern in rule.arguments), False)
        case _:
            pass
    if isinstance(rule, PrefixRule | CommandRule):
        for elements in rule.unless:
            yield from _in_elements("unless", elements, True)
    if rule.when is not None:
        yield from _in_condition(rule.when, False)


def _in_elements(key: str, elements: tuple[Element, ...], excepts: bool) -> Found:
    for element in elements:
        match element:
            case End():
                pass
            case Rest(each):
                if each is not None:
                    yield from _in_word(key, each, excepts)
            case _:
                yield from _in_word(key, element, excepts)


def _in_word(key: str, pattern: WordPattern, excepts: bool) -> Found:
    match pattern:
        case Regex(text):
            yield key, text, excepts
        case AnyOf(options) | AllOf(options):
            for option in options:
                yield from _in_word(key, option, excepts)
        case NoneOf(options):
            for option in options:
                yield from _in_word(key, option, not excepts)
        case Exact() | Glob() | Within():
            pass


def _in_condition(condition: Condition, excepts: bool) -> Found:
    match condition:
        case And(operands) | Or(operands):
            for operand in operands:
                yield from _in_condition(operand, excepts)
        case Not(operand):
            yield from _in_condition(operand, not excepts)
        case Compare(_, options):
            for option in options:
                if not isinstance(option, GroupFact):
                    yield from _in_word("when", option, excepts)
        case Truth() | TimeBetween():
            pass
