"""Frozen syntax nodes: what was written and where, with every comment kept."""

from __future__ import annotations

import enum

from execpolicy.source import SourceText, Span
from execpolicy.values import frozen


@frozen
class Comment:
    """From `#` to the end of the line. `own_line`: nothing but white space stands before it."""

    text: str
    span: Span
    own_line: bool


@frozen
class Str:
    """`raw` is the literal as written, quotes included; `value` is what it means."""

    value: str
    raw: str
    span: Span


@frozen
class Num:
    raw: str
    span: Span


@frozen
class Name:
    id: str
    span: Span


@frozen
class ListExpr:
    items: tuple[Expr, ...]
    span: Span


@frozen
class TupleExpr:
    """Read so that the error can say that a list is wanted."""

    items: tuple[Expr, ...]
    span: Span


@frozen
class Entry:
    key: Expr
    value: Expr


@frozen
class DictExpr:
    entries: tuple[Entry, ...]
    span: Span


@frozen
class Argument:
    name: Name | None  # None: positional
    value: Expr

    @property
    def span(self) -> Span:
        return Span(self.name.span.start if self.name else self.value.span.start, self.value.span.end)


@frozen
class Call:
    function: Expr
    arguments: tuple[Argument, ...]
    span: Span


@frozen
class Attribute:
    owner: Expr
    name: Name
    span: Span


@frozen
class Subscript:
    owner: Expr
    index: Expr
    span: Span


@frozen
class Sum:
    operands: tuple[Expr, ...]  # INVARIANT: two or more
    span: Span


class Comparator(enum.Enum):
    EQUAL = "=="
    NOT_EQUAL = "!="
    IN = "in"
    NOT_IN = "not in"


@frozen
class Comparison:
    left: Expr
    comparator: Comparator
    right: Expr
    span: Span


@frozen
class NotTest:
    operand: Expr
    span: Span


@frozen
class AndTest:
    operands: tuple[Expr, ...]
    span: Span


@frozen
class OrTest:
    operands: tuple[Expr, ...]
    span: Span


@frozen
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


@frozen
class Constant:
    """`NAME = value`"""

    name: Name
    value: Expr
    span: Span


@frozen
class Expression:
    """A declaration, or a string that stands alone as documentation."""

    value: Expr
    span: Span


Statement = Constant | Expression


@frozen
class SyntaxFile:
    """Statements and comments in the order of the text. Broken statements are left out."""

    source: SourceText
    statements: tuple[Statement, ...]
    comments: tuple[Comment, ...]
