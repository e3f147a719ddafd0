"""Turns words as written into words as a program would get them, as far as that is certain."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import assert_never

from execpolicy.facts import Word, WordKind
from execpolicy.late import late_pattern
from execpolicy.shell import braces
from execpolicy.shell.state import FOLDERS, NUMBERS, State
from execpolicy.shell.tree import (
    Arithmetic,
    ArrayValue,
    Parameter,
    Part,
    ProcessSubstitution,
    Substitution,
    Text,
    WordNode,
)
from execpolicy.source import Span
from execpolicy.values import field, slotted

_BLANK = late_pattern(r"[ \t\n]+")
_TILDE = late_pattern(r"~[^/]*")
_LOOKS_ASSIGNED = late_pattern(r"[A-Za-z_][A-Za-z0-9_]*\+?=")
_MAGIC = late_pattern(r"[*?\[]")
MAX_EXPANDED = 4000  # characters of one word that values may fill
MAX_PIECES = 16  # words that the values in one word may become

Typed = Callable[[Substitution], WordKind]


@slotted
class _Field:
    """One word in the making."""

    text: list[str] = field(default_factory=list)
    length: int = 0
    present: bool = False  # has content or quotes: an empty word stays
    unknown: str = ""  # why, of the first piece that is not known
    kind: WordKind = WordKind.UNKNOWN
    prefix: str = ""
    many: bool = False
    magic: int = -1  # where the first `*` or `?` stands
    bracket: int = -1  # where the first `[` stands
    closed: bool = False  # a `]` stands after it

    def add(self, text: str) -> None:
        self.text.append(text)
        self.length += len(text)
        self.present = True

    def add_unquoted(self, text: str) -> None:
        for found in _MAGIC.finditer(text):
            at = self.length + found.start()
            if found[0] == "[":
                self.bracket = at if self.bracket < 0 else self.bracket
            else:
                self.magic = at if self.magic < 0 else self.magic
        if self.bracket >= 0 and not self.closed:
            self.closed = text.find("]", max(0, self.bracket - self.length)) >= 0
        self.add(text)

    def add_unknown(self, why: str, kind: WordKind, *, many: bool) -> None:
        if not self.unknown:
            self.prefix = "".join(self.text)
            self.unknown = why
            self.kind = kind if not self.prefix else WordKind.UNKNOWN
        elif self.kind is not WordKind.PATH or kind is not WordKind.NUMBER:
            self.kind = WordKind.UNKNOWN
        self.many = self.many or many
        self.present = True

    def word(self, raw: str, span: Span) -> Word:
        text = "".join(self.text)
        starts = [at for at in (self.magic, self.bracket if self.closed else -1) if at >= 0]
        if self.unknown:
            prefix = self.prefix[: min(starts)] if starts and min(starts) < len(self.prefix) else self.prefix
            kind = self.kind
            if kind is WordKind.NUMBER and text != self.prefix:
                kind = WordKind.UNKNOWN
            many = self.many or bool(starts)
            return Word(raw, None, WordKind.UNKNOWN if many else kind, prefix, many, self.unknown, span)
        if starts:
            return Word(raw, None, WordKind.PATTERN, text[: min(starts)], True, "glob", span)
        return Word(raw, text, WordKind.LITERAL, text, False, "", span)


class Expander:
    """Expands words in one state. Substitutions inside are somebody else's to judge."""

    def __init__(self, state: State, typed: Typed) -> None:
        self.state = state
        self.typed = typed

    def words(self, node: WordNode) -> list[Word]:
        """All words that one word of a command becomes."""
        if node.parts is None:
            return [
                Word(node.raw, node.raw, WordKind.LITERAL, node.raw, False, "", Span(node.start, node.end))
            ]
        span = Span(node.start, node.end)
        if braces.may_expand(node.parts):
            expanded = braces.expand(node.parts)
            if expanded is None:
                return [Word.unknown("brace expansion", raw=node.raw, many=True, span=span)]
            return [word for parts in expanded for word in self.fields(parts, node.raw, span)]
        return self.fields(node.parts, node.raw, span)

    def is_kept_whole(self, node: WordNode) -> bool:
        """Whether a word behind `export` is an assignment, which is neither split nor globbed."""
        first = node.parts[0] if node.parts else None
        return (
            isinstance(first, Text)
            and not first.quoted
            and _LOOKS_ASSIGNED.match(first.text) is not None
            and node.parts is not None
            and not braces.may_expand(node.parts)
            and "~" not in node.raw
        )

    def one(self, node: WordNode) -> Word:
        """The value of an assignment, a word that is not split: no braces, no globs."""
        if node.parts is None:
            return Word(node.raw, node.raw, WordKind.LITERAL, node.raw, False, "", Span(node.start, node.end))
        quoted = tuple(_without_splitting(part) for part in node.parts)
        tilde = _tilde_in_value(node.parts)
        made = _Field(present=True)
        for index, part in enumerate(quoted):
            if tilde == index:
                made.add_unknown("home folder", WordKind.PATH, many=False)
            self.piece(part, [made])
        return made.word(node.raw, Span(node.start, node.end))

    def text(self, parts: tuple[Part, ...]) -> str | None:
        """The text of pieces that are not split, None when it is not certain."""
        made = _Field(present=True)
        for part in parts:
            self.piece(_without_splitting(part), [made])
        return None if made.unknown else "".join(made.text)

    def fields(self, parts: tuple[Part, ...], raw: str, span: Span) -> list[Word]:
        first = parts[0] if parts else None
        if isinstance(first, Text) and first.quoted and len(parts) == 1:
            return [Word(raw, first.text, WordKind.LITERAL, first.text, False, "", span)]
        fields = [_Field()]
        if isinstance(first, Text) and not first.quoted and first.text.startswith("~"):
            tilde = _TILDE.match(first.text)
            assert tilde is not None
            whole = tilde.end() < len(first.text) or len(parts) == 1
            if not whole:
                fields[0].add_unknown("home folder", WordKind.UNKNOWN, many=True)
                parts = (Text(first.text[tilde.end() :], False), *parts[1:])
            else:
                home = tilde[0] == "~" and self.state.is_special("HOME")
                kind = WordKind.PATH if home else WordKind.UNKNOWN
                fields[0].add_unknown("home folder" if home else "tilde", kind, many=False)
                parts = (Text(first.text[tilde.end() :], False), *parts[1:])
        elif (
            isinstance(first, Text)
            and not first.quoted
            and _LOOKS_ASSIGNED.match(first.text)
            and any(isinstance(part, Text) and not part.quoted and "~" in part.text for part in parts)
        ):
            assigned = _LOOKS_ASSIGNED.match(first.text)
            assert assigned is not None
            if re.search(r"[=:]~", raw):
                fields[0].add(assigned[0])
                fields[0].add_unknown("tilde", WordKind.UNKNOWN, many=False)
        for part in parts:
            self.piece(part, fields)
        return [made.word(raw, span) for made in fields if made.present]

    def piece(self, part: Part, fields: list[_Field]) -> None:
        """Add one piece to the last of `fields`, opening more where it is split."""
        made = fields[-1]
        match part:
            case Text():
                if part.quoted:
                    made.add(part.text)
                elif part.text:
                    made.add_unquoted(part.text)
            case Parameter():
                self.parameter(part, fields)
            case Substitution():
                kind = self.typed(part)
                single = part.quoted or (kind is WordKind.NUMBER and self.state.splits())
                made.add_unknown("command substitution", kind, many=not single)
            case ProcessSubstitution():
                made.add_unknown("process substitution", WordKind.PATH, many=False)
            case Arithmetic():
                single = part.quoted or self.state.splits()
                made.add_unknown("arithmetic", WordKind.NUMBER, many=not single)
            case ArrayValue():
                made.add_unknown("array", WordKind.UNKNOWN, many=False)
            case _:
                assert_never(part)

    def parameter(self, part: Parameter, fields: list[_Field]) -> None:
        made = fields[-1]
        name = part.name
        state = self.state
        if not part.operator and part.subscript is None:
            value = state.values.get(name)
            if value is not None:
                self.value(value, fields, quoted=part.quoted)
                return
            if name in NUMBERS and state.is_special(name):
                made.add_unknown(
                    f"variable {name}", WordKind.NUMBER, many=not (part.quoted or state.splits())
                )
                return
            if name in FOLDERS and part.quoted and state.is_special(name):
                why = "home folder" if name == "HOME" else f"variable {name}"
                made.add_unknown(why, WordKind.PATH, many=False)
                return
        elif part.operator == "length":
            made.add_unknown(f"length of {name}", WordKind.NUMBER, many=not (part.quoted or state.splits()))
            return
        listing = name == "@" or part.subscript == "@" or part.operator in ("!*", "@A", "@K", "@k")
        made.add_unknown(f"variable {name}", WordKind.UNKNOWN, many=listing or not part.quoted)

    def value(self, value: str, fields: list[_Field], *, quoted: bool) -> None:
        """A value that is certain."""
        if fields[-1].length > MAX_EXPANDED:
            fields[-1].add_unknown("a word that is too long", WordKind.UNKNOWN, many=not quoted)
            return
        if quoted:
            fields[-1].add(value)
            return
        if not self.state.splits() or "\\" in value:
            fields[-1].add_unknown("variable that may be split", WordKind.UNKNOWN, many=True)
            return
        pieces = _BLANK.split(value)
        if len(pieces) > MAX_PIECES or len(fields) > MAX_PIECES:
            fields[-1].add_unknown("variable of many words", WordKind.UNKNOWN, many=True)
            return
        for index, piece in enumerate(pieces):
            if index and fields[-1].present:
                fields.append(_Field())
            if piece:
                fields[-1].add_unquoted(piece)


def _without_splitting(part: Part) -> Part:
    """The same piece where neither splitting nor globbing happens."""
    match part:
        case Text():
            return Text(part.text, True)
        case Parameter():
            if part.quoted:
                return part
            return Parameter(
                part.name, True, part.span, part.operator, part.subscript, part.operand, part.operand_text
            )
        case Substitution():
            return Substitution(part.body, True, part.span)
        case Arithmetic():
            return Arithmetic(part.text, part.parts, True, part.span)
        case ProcessSubstitution() | ArrayValue():
            return part
        case _:
            assert_never(part)


def _tilde_in_value(parts: tuple[Part, ...]) -> int | None:
    """The piece of a value in which a tilde stands for a folder."""
    for index, part in enumerate(parts):
        if not isinstance(part, Text) or part.quoted:
            continue
        if (index == 0 and part.text.startswith("~")) or ":~" in part.text:
            return index
    return None
