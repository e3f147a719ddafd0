"""The commands, files and doubts in words, assignments and redirections."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from typing import assert_never

from execpolicy.facts import Access, Assignment, CommandFacts, FileAccess, Unknown, Word, WordKind
from execpolicy.shell import arithmetic
from execpolicy.shell.environment import hook
from execpolicy.shell.expand import Expander
from execpolicy.shell.lexer import Budget
from execpolicy.shell.state import State
from execpolicy.shell.substitutions import kind_of
from execpolicy.shell.tree import (
    Arithmetic,
    ArrayValue,
    AssignNode,
    Block,
    Parameter,
    Part,
    ProcessSubstitution,
    RedirectNode,
    Substitution,
    Text,
    WordNode,
)
from execpolicy.source import Span

MAX_COMMANDS = 12_000
_WRITES = frozenset({">", ">>", ">|", "&>", "&>>", "<>", ">&"})


class Full(Exception):
    """More commands than anybody would judge."""


class Surface:
    """Notes down what it finds; lists of commands are walked by the class on top."""

    def __init__(self, budget: Budget) -> None:
        self.budget = budget
        self.commands: list[CommandFacts] = []
        self.unknowns: list[Unknown] = []
        self.readable = True
        self.arrays: set[str] = set()  # variables that are arrays, as far as that was seen

    @abstractmethod
    def block(self, block: Block, state: State) -> None:
        """Walk a list of commands."""

    def stop(self, why: str, span: Span) -> None:
        self.readable = False
        self.unknowns.append(Unknown(why, span))

    def doubt(self, why: str, span: Span) -> None:
        self.unknowns.append(Unknown(why, span))

    def emit(self, facts: CommandFacts) -> None:
        if len(self.commands) >= MAX_COMMANDS:
            raise Full
        self.commands.append(facts)

    def word_parts(self, node: WordNode, state: State) -> None:
        if node.parts is not None:
            self.parts(node.parts, state)

    def parts(self, parts: tuple[Part, ...], state: State) -> None:
        """The commands that hide in a word."""
        for part in parts:
            match part:
                case Text():
                    pass
                case Substitution():
                    inside = state.inside("substitution")
                    inside.errexit = False  # a substitution does not inherit it
                    self.block(part.body, inside)
                case ProcessSubstitution():
                    inside = state.inside("process substitution")
                    inside.errexit = False
                    self.block(part.body, inside)
                case Parameter():
                    self.parameter(part, state)
                case Arithmetic():
                    self.arithmetic(part, state)
                case ArrayValue():
                    for element in part.elements:
                        self.word_parts(element, state)
                case _:
                    assert_never(part)

    def parameter(self, part: Parameter, state: State) -> None:
        if part.operand:
            self.parts(part.operand, state)
        if part.subscript is not None:
            self.subscript(part.subscript, (), part.span, state)
        if not part.operator:
            return
        match part.operator:
            case "@P":
                self.doubt("text that is expanded as a prompt", part.span)
            case "!":
                self.doubt("variable whose name is computed", part.span)
            case ":":
                if not arithmetic.is_safe(part.operand_text.replace(":", " + "), state):
                    self.doubt("arithmetic on text that is not known", part.span)
            case "=" | ":=":
                self.assigned(part.name, part.span, state)
            case _:
                pass

    def assigned(self, name: str, span: Span, state: State) -> None:
        """A variable gets a value that is not known."""
        state.set(name, None)
        why = hook(name)
        if why is not None:
            self.doubt(why, span)

    def subscript(self, text: str, parts: tuple[Part, ...], span: Span, state: State) -> None:
        self.parts(parts, state)
        if text not in ("@", "*") and not arithmetic.is_safe(text, state):
            self.doubt("array subscript that is evaluated", span)

    def arithmetic(self, part: Arithmetic, state: State) -> None:
        self.parts(part.parts, state)
        safe = arithmetic.is_safe(part.text, state)
        for name in arithmetic.names(part.text):
            state.set(name, None)
        if not safe:
            self.doubt("arithmetic on text that is not known", part.span)

    def assignments(
        self, nodes: tuple[AssignNode, ...], state: State
    ) -> tuple[tuple[Assignment, ...], tuple[Unknown, ...]]:
        found: list[Assignment] = []
        expander = Expander(state, kind_of)
        for node in nodes:
            span = Span(node.start, node.end)
            if node.subscript is not None:
                self.subscript(node.subscript, node.subscript_parts, span, state)
            if node.value is None or node.subscript is not None:
                self.arrays.add(node.name)
            for element in node.elements:
                self.word_parts(element, state)
            value: Word | None = None
            if node.value is not None:
                self.word_parts(node.value, state)
                value = expander.one(node.value)
            plain = value if node.subscript is None else None
            found.append(Assignment(node.name, plain, node.append))
        assignments = tuple(found)
        return assignments, hooks_of(assignments, Span(nodes[0].start, nodes[-1].end))

    def redirects(
        self, nodes: tuple[RedirectNode, ...], state: State
    ) -> tuple[tuple[FileAccess, ...], str | None]:
        """Files that are opened, and the text of standard input if that is certain."""
        files: list[FileAccess] = []
        expander = Expander(state, kind_of)
        stdin = state.stdin
        for node in nodes:
            span = Span(node.start, node.end)
            if node.document is not None:
                self.parts(node.document.body, state)
                if node.descriptor in ("", "0"):
                    stdin = expander.text(node.document.body)
                continue
            if node.target is None:
                continue
            self.word_parts(node.target, state)
            if node.operator == "<<<":
                if node.descriptor in ("", "0"):
                    text = expander.one(node.target).text
                    stdin = None if text is None else text + "\n"
                continue
            if node.operator in ("<", "<>", "<&") and node.descriptor in ("", "0"):
                stdin = None
            files.extend(self.opened(node, expander, span))
        return tuple(files), stdin

    def opened(self, node: RedirectNode, expander: Expander, span: Span) -> Iterator[FileAccess]:
        assert node.target is not None
        target = node.target
        if node.operator in ("<&", ">&"):
            if target.raw == "-" or target.raw.rstrip("-").isdigit():
                return
            if node.operator == "<&" or node.descriptor:
                # A descriptor that is not known; a file is an error.
                return
        if (
            any(isinstance(part, ProcessSubstitution) for part in target.parts or ())
            and len(target.parts or ()) == 1
        ):
            return
        for path in expander.words(target):
            if node.operator in ("<", "<>"):
                yield FileAccess(path, Access.READ, "redirection", span)
            if node.operator in _WRITES:
                yield FileAccess(path, Access.WRITE, "redirection", span)


def hooks_of(assignments: Sequence[Assignment], span: Span) -> tuple[Unknown, ...]:
    """Assignments that change what a harmless command runs."""
    found = []
    for assignment in assignments:
        value = None
        if assignment.value is not None and not assignment.append:
            value = "0" if assignment.value.kind is WordKind.NUMBER else assignment.value.text
        why = hook(assignment.name, value)
        if why is not None:
            found.append(Unknown(why, span))
    return tuple(found)
