"""Frozen syntax nodes: what was written and where, with every comment kept."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from execpolicy.source import SourceText, Span


@dataclass(frozen=True, slots=True)
class Comment:
    """From `#` to the end of the line. `own_line`: nothing but white space stands before it."""

    text: str
    span: Span
    own_line: bool


@dataclass(frozen=True, slots=True)
class Str:
    """`raw` is the literal as written, quotes included; `value` is what it means."""

    value: str
    raw: str
    span: Span


@dataclass(frozen=True, slots=True)
class Num:
    raw: str
    span: Span


@dataclass(frozen=True, slots=True)
class Name:
    id: str
    span: Span


@dataclass(frozen=True, slots=True)
class ListExpr:
    items: tuple[Expr, ...]
    span: Span


@dataclass(frozen=True, slots=True)
class TupleExpr:
    """Read so that the error can say that a list is wanted."""

    items: tuple[Expr, ...]
    span: Span


@dataclass(frozen=True, slots=True)
class Entry:
    key: Expr
    value: Expr


@dataclass(frozen=True, slots=True)
class DictExpr:
    entries: tuple[Entry, ...]
    span: Span


@dataclass(frozen=True, slots=True)
class Argument:
    name: Name | None  # None: positional
    value: Expr

    @property
    def span(self) -> Span:
        return Span(self.name.span.start if self.name else self.value.span.start, self.value.span.end)


@dataclass(frozen=True, slots=True)
class Call:
    function: Expr
    arguments: tuple[Argument, ...]
    span: Span


@dataclass(frozen=True, slots=True)
class Attribute:
    owner: Expr
    name: Name
    span: Span


@dataclass(frozen=True, slots=True)
class Subscript:
    owner: Expr
    index: Expr
    span: Span


@dataclass(frozen=True, slots=True)
class Sum:
    operands: tuple[Expr, ...]  # INVARIANT: two or more
    span: Span


class Comparator(enum.Enum):
    EQUAL = "=="
    NOT_EQUAL = "!="
    IN = "in"
    NOT_IN = "not in"


@dataclass(frozen=True, slots=True)
class Comparison:
    left: Expr
    comparator: Comparator
    right: Expr
    span: Span


@dataclass(frozen=True, slots=True)
class NotTest:
    operand: Expr
    span: Span


@dataclass(frozen=True, slots=True)
class AndTest:
    operands: tuple[Expr, ...]
    span: Span


@dataclass(frozen=True, slots=True)
class OrTest:
    operands: tuple[Expr, ...]
    span: Span


@dataclass(frozen=True, slots=True)
class Group:
    """An expression in parentheses."""

    inner: Expr
    span: Span


Expr = (
    Str
    | Num
    | Name
    | ListExpr
    | TupleExpr
    | DictExpr
    | Call
    | Attribute
    | Subscript
    | Sum
    | Comparison
    | NotTest
    | AndTest
    | OrTest
    | Group
)


@dataclass(frozen=True, slots=True)
class Constant:
    """`NAME = value`"""

    name: Name
    value: Expr
    span: Span


@dataclass(frozen=True, slots=True)
class Expression:
    """A declaration, or a string that stands alone as documentation."""

    value: Expr
    span: Span


Statement = Constant | Expression


@dataclass(frozen=True, slots=True)
class SyntaxFile:
    """Statements and comments in the order of the text. Broken statements are left out."""

    source: SourceText
    statements: tuple[Statement, ...]
    comments: tuple[Comment, ...]
