"""Reads a statement without operators straight from its tokens: several times faster than the parser.

Whatever it does not know, errors included, is left to the parser (None). Both make the same nodes.
"""

from __future__ import annotations

from collections.abc import Sequence

from execpolicy.lang.scanner import PROGRAM_WORDS, Token
from execpolicy.lang.strings import BadEscape, decode
from execpolicy.lang.syntax import (
    Argument,
    Call,
    Constant,
    Expr,
    Expression,
    ListExpr,
    Name,
    Num,
    Statement,
    Str,
)
from execpolicy.source import Span


class _Unknown(Exception):
    """Not a statement for this reader."""


def quick_statement(tokens: Sequence[Token]) -> Statement | None:
    """The statement that `tokens` make, or None."""
    if len(tokens) < 3 or tokens[0].kind != "name" or tokens[0].text in PROGRAM_WORDS:
        return None
    reader = _Reader(tokens)
    first = tokens[0]
    try:
        if tokens[1].text == "=":
            reader.at = 2
            value = reader.value()
            name = Name(first.text, Span(first.start, first.end))
            statement: Statement = Constant(name, value, Span(first.start, value.span.end))
        else:
            value = reader.value()
            statement = Expression(value, value.span)
    except (_Unknown, BadEscape, IndexError):
        return None
    return statement if reader.at == len(tokens) else None


class _Reader:
    __slots__ = ("at", "tokens")

    def __init__(self, tokens: Sequence[Token]) -> None:
        self.tokens = tokens
        self.at = 0

    def value(self) -> Expr:
        kind, text, start, end = self.tokens[self.at]
        self.at += 1
        if kind == "string":
            quote = text[0]
            plain = quote == '"' and "\\" not in text and text[1:2] != '"'
            return Str(text[1:-1] if plain else decode(text), text, Span(start, end))
        if kind == "name":
            name = Name(text, Span(start, end))
            if self.at < len(self.tokens) and self.tokens[self.at].text == "(":
                self.at += 1
                return self.call(name)
            return name
        if kind == "number":
            return Num(text, Span(start, end))
        if text == "[" and kind == "op":
            return self.items(start)
        raise _Unknown

    def items(self, start: int) -> Expr:
        tokens = self.tokens
        found: list[Expr] = []
        while tokens[self.at].text != "]":
            found.append(self.value())
            self.comma("]")
        self.at += 1
        return ListExpr(tuple(found), Span(start, tokens[self.at - 1].end))

    def call(self, name: Name) -> Expr:
        tokens = self.tokens
        found: list[Argument] = []
        while tokens[self.at].text != ")":
            token = tokens[self.at]
            key = None
            if token.kind == "name" and tokens[self.at + 1].text == "=":
                key = Name(token.text, Span(token.start, token.end))
                self.at += 2
            found.append(Argument(key, self.value()))
            self.comma(")")
        self.at += 1
        return Call(name, tuple(found), Span(name.span.start, tokens[self.at - 1].end))

    def comma(self, closing: str) -> None:
        """Steps over a comma; what stands there instead must close."""
        text = self.tokens[self.at].text
        if text == ",":
            self.at += 1
        elif text != closing:
            raise _Unknown
