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
            for key, text in dict.fromkeys(_regexes(rule)):
                if anchored(text):
                    continue
                allow = rule.meta.decision is Decision.ALLOW
                yield Finding(
                    code=self.code,
                    severity=Severity.WARNING if allow else Severity.NOTE,
                    message=f"`{text}` is looked for anywhere in the word",
                    file=file,
                    origin=rule.meta.origin,
                    span=file.span(rule.meta.origin, key),
                    label="more words fit than it seems" if allow else "",
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
    return isinstance(node, Chars) and node.has(ord("a")) and node.has(ord("/")) and node.has(0x10FFFF)


def _regexes(rule: Rule) -> Iterator[tuple[str, str]]:
    match rule:
        case PrefixRule():
            yield from _in_elements("pattern", rule.pattern)
        case CommandRule():
            yield from _in_elements("program", (rule.program,))
            yield from _in_elements("subcommand", rule.subcommand)
            yield from _in_elements("args", rule.args or ())
        case ToolRule():
            yield from _in_elements("tool", (rule.tool,))
            yield from _in_elements("server", (rule.server,) if rule.server is not None else ())
            yield from _in_elements("arguments", tuple(pattern for _, pattern in rule.arguments))
        case _:
            pass
    if isinstance(rule, PrefixRule | CommandRule):
        for elements in rule.unless:
            yield from _in_elements("unless", elements)
    if rule.when is not None:
        yield from (("when", text) for text in _in_condition(rule.when))


def _in_elements(key: str, elements: tuple[Element, ...]) -> Iterator[tuple[str, str]]:
    for element in elements:
        match element:
            case End():
                pass
            case Rest(each):
                if each is not None:
                    yield from ((key, text) for text in _in_word(each))
            case _:
                yield from ((key, text) for text in _in_word(element))


def _in_word(pattern: WordPattern) -> Iterator[str]:
    match pattern:
        case Regex(text):
            yield text
        case AnyOf(options) | AllOf(options) | NoneOf(options):
            for option in options:
                yield from _in_word(option)
        case Exact() | Glob() | Within():
            pass


def _in_condition(condition: Condition) -> Iterator[str]:
    match condition:
        case And(operands) | Or(operands):
            for operand in operands:
                yield from _in_condition(operand)
        case Not(operand):
            yield from _in_condition(operand)
        case Compare(_, options):
            for option in options:
                if not isinstance(option, GroupFact):
                    yield from _in_word(option)
        case Truth() | TimeBetween():
            pass
