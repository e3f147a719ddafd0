"""What a piece of script may change in the shell that runs it, whichever way it goes: for loops, whose
first command may run after their last."""

from __future__ import annotations

from collections.abc import Iterable

from execpolicy.facts import Word
from execpolicy.late import late_pattern
from execpolicy.shell import arithmetic
from execpolicy.shell.builtins import FILLERS, named
from execpolicy.shell.tree import (
    Arithmetic,
    ArithmeticCommand,
    ArithmeticFor,
    ArrayValue,
    Block,
    Case,
    Command,
    Coprocess,
    For,
    Function,
    Group,
    GroupKind,
    If,
    Parameter,
    Part,
    Simple,
    Test,
    Text,
    While,
    WordNode,
)
from execpolicy.values import frozen

MAX_NAMES = 64
_NAME = late_pattern(r"[A-Za-z_][A-Za-z0-9_]*")
_SETTERS = frozenset(
    [
        "read",
        "mapfile",
        "readarray",
        "getopts",
        "printf",
        "declare",
        "typeset",
        "local",
        "export",
        "readonly",
        "unset",
        "wait",
    ]
)
_ANYTHING = frozenset(
    [
        "eval",
        "source",
        ".",
        "trap",
        "shopt",
        "alias",
        "enable",
        "builtin",
        "command",
        "exec",
        "hash",
        "set",
        "let",
        "bind",
        "complete",
    ]
)
_FOLDER = frozenset({"cd", "pushd", "popd"})


@frozen
class Changes:
    """Names that may be set; with `anything` also any other."""

    names: frozenset[str] = frozenset()
    called: frozenset[str] = frozenset()  # programs and functions by name
    folder: bool = False
    anything: bool = False

    def __or__(self, other: Changes) -> Changes:
        if self.anything or other.anything:
            return EVERYTHING
        if other is NOTHING and len(self.names) <= MAX_NAMES:
            return self
        names = self.names | other.names
        called = self.called | other.called
        if len(names) > MAX_NAMES or len(called) > MAX_NAMES:
            return EVERYTHING
        return Changes(names, called, self.folder or other.folder)


NOTHING = Changes()
EVERYTHING = Changes(folder=True, anything=True)


class ChangeFinder:
    """Finds changes, each block once."""

    def __init__(self) -> None:
        # The block stays alive beside its answer, so that no other takes its id.
        self.seen: dict[int, tuple[Block, Changes]] = {}

    def block(self, block: Block) -> Changes:
        seen = self.seen.get(id(block))
        if seen is not None:
            return seen[1]
        found = NOTHING
        for item in block.items:
            commands = item.pipeline.commands
            if len(commands) == 1 and not item.background:
                found |= self.command(commands[0])
        self.seen[id(block)] = (block, found)
        return found

    def command(self, command: Command) -> Changes:
        match command:
            case Simple():
                return self.simple(command)
            case Function():
                return EVERYTHING
            case Coprocess():
                return Changes(frozenset({command.name}))
            case Group():
                return NOTHING if command.kind is GroupKind.SUBSHELL else self.block(command.body)
            case If():
                found = NOTHING if command.otherwise is None else self.block(command.otherwise)
                for condition, body in command.branches:
                    found |= self.block(condition) | self.block(body)
                return found
            case While():
                return self.block(command.condition) | self.block(command.body)
            case For():
                words = self.words(command.words or ())
                return Changes(frozenset({command.name})) | words | self.block(command.body)
            case ArithmeticFor():
                return self.parts((command.header,)) | self.block(command.body)
            case Case():
                found = self.words((command.subject,))
                for patterns, body in command.clauses:
                    found |= self.words(patterns) | self.block(body)
                return found
            case Test():
                found = NOTHING
                for _, operands in command.tests:
                    found |= self.words(operands)
                return found
            case ArithmeticCommand():
                return self.parts((command.expression,))

    def simple(self, command: Simple) -> Changes:
        found = NOTHING
        if command.assigns:
            found = Changes(frozenset(node.name for node in command.assigns))
            found |= self.words(node.value for node in command.assigns if node.value is not None)
        found |= self.words(command.words)
        if command.redirects:
            found |= self.words(node.target for node in command.redirects if node.target is not None)
        for node in command.redirects:
            if node.descriptor.startswith("{"):
                found |= Changes(frozenset({node.descriptor[1:-1]}))
            if node.document is not None:
                found |= self.parts(node.document.body)
        if not command.words:
            return found
        name = text_of(command.words[0])
        if name is None or name in _ANYTHING:
            return EVERYTHING
        found |= Changes(called=frozenset({name}), folder=name in _FOLDER)
        return found | setters(name, command.words[1:]) if name in _SETTERS else found

    def words(self, words: Iterable[WordNode]) -> Changes:
        found = NOTHING
        for word in words:
            if word.parts is not None:
                found |= self.parts(word.parts)
        return found

    def parts(self, parts: tuple[Part, ...]) -> Changes:
        """`${x:=v}` and `$((x = 1))` set variables; substitutions are shells of their own."""
        found = NOTHING
        for part in parts:
            match part:
                case Parameter():
                    if part.operator in ("=", ":="):
                        found |= Changes(frozenset({part.name}))
                    if part.operator == ":" or part.subscript is not None:
                        found |= arithmetic_changes(part.operand_text + (part.subscript or ""))
                    found |= self.parts(part.operand)
                case Arithmetic():
                    found |= arithmetic_changes(part.text) | self.parts(part.parts)
                case ArrayValue():
                    found |= self.words(part.elements)
                case _:
                    pass
        return found


def arithmetic_changes(text: str) -> Changes:
    if "$" in text and arithmetic.names(text):
        return EVERYTHING  # the names may be computed
    return Changes(arithmetic.names(text))


def setters(name: str, words: tuple[WordNode, ...]) -> Changes:
    """The variables that the arguments of a builtin name."""
    names: set[str] = {"REPLY", "MAPFILE", "OPTARG", "OPTIND"}
    texts = [text_of(word) for word in words]
    if name in FILLERS:
        argv = (
            Word.literal(name),
            *(Word.unknown("") if text is None else Word.literal(text) for text in texts),
        )
        filled = named(argv)
        if any(word.text is None for word in filled):
            return EVERYTHING
        return Changes(frozenset(names | {(word.text or "").partition("[")[0] for word in filled}))
    for word, text in zip(words, texts, strict=True):
        found = _NAME.match(word.raw if text is None else text)
        if text is None and (found is None or not word.raw[found.end() :].startswith("=")):
            return EVERYTHING
        if text is not None and text.startswith("-") and set(text) & set("niluA"):
            return EVERYTHING
        if found is not None:
            names.add(found[0])
    return Changes(frozenset(names))


def text_of(word: WordNode) -> str | None:
    """The text of a word that is the same whatever the state."""
    if word.parts is None:
        return word.raw
    texts = [part.text for part in word.parts if isinstance(part, Text)]
    plain = all(
        part.quoted or not set(part.text) & set("*?[{~") for part in word.parts if isinstance(part, Text)
    )
    return "".join(texts) if plain and len(texts) == len(word.parts) else None
