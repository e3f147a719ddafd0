"""Canonical text of a rule file: comments kept, meaning kept, formatting it again changes nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import assert_never

from execpolicy.diagnostics import Diagnostic
from execpolicy.lang import syntax
from execpolicy.lang.parser import parse
from execpolicy.lang.strings import encode
from execpolicy.lang.syntax import Comment, Expr, Statement, SyntaxFile
from execpolicy.source import SourceText, Span
from execpolicy.values import frozen

WIDTH = 100
INDENT = "    "
MANY = 8  # short words of a list share their lines
SHORT = 30


@frozen
class Formatted:
    """`text` is None when the file was left alone; then `diagnostics` says why."""

    text: str | None
    diagnostics: tuple[Diagnostic, ...] = ()


def format_text(text: str, path: str) -> Formatted:
    """The canonical form of a rule file, or why there is none. The result reads as the same declarations."""
    file, diagnostics = parse(text, path)
    if diagnostics:
        return Formatted(None, diagnostics)
    result = "".join(line + "\n" for line in _Printer(file).lines())
    again, broken = parse(result, path)
    if broken or meaning(again) != meaning(file) or _texts(again) != _texts(file):
        message = "formatting would change what the file says, so it was left alone"
        refusal = Diagnostic(code="E090", message=message, source=SourceText(path, text), span=Span(0, 1))
        return Formatted(None, (refusal, *broken))
    return Formatted(result)


def meaning(file: SyntaxFile) -> tuple[object, ...]:
    """What the statements say, whatever their spelling: equal for files that mean the same."""
    return tuple(_statement(statement) for statement in file.statements)


def _texts(file: SyntaxFile) -> list[str]:
    return sorted(comment.text for comment in file.comments)


def _statement(statement: Statement) -> tuple[object, ...]:
    match statement:
        case syntax.Constant(name, value, _):
            return ("constant", name.id, _shape(value))
        case syntax.Expression(value, _):
            return ("expression", _shape(value))
    assert_never(statement)


def _shape(expr: Expr) -> object:
    match expr:
        case syntax.Str(value, _, _):
            return ("text", value)
        case syntax.Num(raw, _):
            return ("number", raw)
        case syntax.Name(id_, _):
            return ("name", id_)
        case syntax.ListExpr(items, _) | syntax.TupleExpr(items, _):
            return (type(expr), *map(_shape, items))
        case syntax.DictExpr(entries, _):
            return ("dict", *((_shape(entry.key), _shape(entry.value)) for entry in entries))
        case syntax.Call(function, arguments, _):
            given = ((argument.name and argument.name.id, _shape(argument.value)) for argument in arguments)
            return ("call", _shape(function), *given)
        case syntax.Attribute(owner, name, _):
            return ("attribute", _shape(owner), name.id)
        case syntax.Subscript(owner, index, _):
            return ("subscript", _shape(owner), _shape(index))
        case syntax.Sum(operands, _) | syntax.AndTest(operands, _) | syntax.OrTest(operands, _):
            return (type(expr), *map(_shape, operands))
        case syntax.Comparison(left, comparator, right, _):
            return (comparator, _shape(left), _shape(right))
        case syntax.NotTest(operand, _):
            return ("not", _shape(operand))
        case syntax.Group(inner, _):
            return ("group", _shape(inner))
    assert_never(expr)


def flat(expr: Expr) -> str:
    """`expr` on one line, but for strings that hold line ends."""
    match expr:
        case syntax.Str():
            return _string(expr)
        case syntax.Num(raw, _):
            return raw
        case syntax.Name(id_, _):
            return id_
        case syntax.ListExpr(items, _):
            return f"[{', '.join(map(flat, items))}]"
        case syntax.TupleExpr(items, _):
            comma = "," if len(items) == 1 else ""
            return f"({', '.join(map(flat, items))}{comma})"
        case syntax.DictExpr(entries, _):
            return "{" + ", ".join(f"{flat(entry.key)}: {flat(entry.value)}" for entry in entries) + "}"
        case syntax.Call(function, arguments, _):
            return f"{flat(function)}({', '.join(_key(argument) + flat(argument.value) for argument in arguments)})"
        case syntax.Attribute(owner, name, _):
            return f"{flat(owner)}.{name.id}"
        case syntax.Subscript(owner, index, _):
            return f"{flat(owner)}[{flat(index)}]"
        case syntax.Sum(operands, _):
            return " + ".join(map(flat, operands))
        case syntax.AndTest(operands, _):
            return " and ".join(map(flat, operands))
        case syntax.OrTest(operands, _):
            return " or ".join(map(flat, operands))
        case syntax.Comparison(left, comparator, right, _):
            return f"{flat(left)} {comparator.value} {flat(right)}"
        case syntax.NotTest(operand, _):
            return f"not {flat(operand)}"
        case syntax.Group(inner, _):
            return f"({flat(inner)})"
    assert_never(expr)


def _string(literal: syntax.Str) -> str:
    """Double quotes, unless the writer chose a raw or a three-quoted string."""
    raw = literal.raw
    if raw[0] not in "\"'" or raw[:3] in ('"""', "'''"):
        return raw.replace("\r\n", "\n")
    return encode(literal.value)


def _key(argument: syntax.Argument) -> str:
    return f"{argument.name.id} = " if argument.name else ""


class _Printer:
    def __init__(self, file: SyntaxFile) -> None:
        self.file = file
        self.comments = file.comments
        self.next = 0  # the first comment that is not printed yet

    def lines(self) -> list[str]:
        out: list[str] = []
        behind = 0  # where the last printed thing ends
        statements = self.file.statements
        for index, statement in enumerate(statements):
            behind = self._standing(statement.span.start, out, behind)
            self._gap(out, behind, statement.span.start)
            out += self._statement(statement)
            follows = (
                statements[index + 1].span.start
                if index + 1 < len(statements)
                else len(self.file.source.text)
            )
            behind = self._trailing(out, follows, statement.span.end)
        self._standing(len(self.file.source.text), out, behind)
        return out

    def _standing(self, until: int, out: list[str], behind: int) -> int:
        """Comments before `until`, each on its own line; where the last one ends."""
        for comment in self._take(until):
            self._gap(out, behind, comment.span.start)
            out.append(comment.text)
            behind = comment.span.end
        return behind

    def _gap(self, out: list[str], behind: int, ahead: int) -> None:
        """One empty line where the text has some."""
        if out and self.file.source.text.count("\n", behind, ahead) > 1:
            out.append("")

    def _take(self, until: int) -> list[Comment]:
        start = self.next
        while self.next < len(self.comments) and self.comments[self.next].span.start < until:
            self.next += 1
        return list(self.comments[start : self.next])

    def _trailing(self, out: list[str], until: int, behind: int) -> int:
        """Puts the comment that stands behind a thing, on its line, behind its last line."""
        if self.next < len(self.comments):
            comment = self.comments[self.next]
            if comment.span.start < until and not comment.own_line:
                self.next += 1
                out[-1] += f"  {comment.text}"
                return comment.span.end
        return behind

    def _holds_comment(self, span: Span) -> bool:
        return self.next < len(self.comments) and self.comments[self.next].span.start < span.end

    def _statement(self, statement: Statement) -> list[str]:
        match statement:
            case syntax.Constant(name, value, _):
                return self._expr(value, "", f"{name.id} = ", "")
            case syntax.Expression(value, _):
                return self._expr(value, "", "", "")
        assert_never(statement)

    def _expr(self, expr: Expr, indent: str, prefix: str, suffix: str) -> list[str]:
        """The lines of `expr`; comments that cannot stand inside come before it."""
        inside = self._holds_comment(expr.span)
        text = f"{indent}{prefix}{flat(expr)}{suffix}"
        fits = len(text) <= WIDTH or not _parts(expr)
        if not inside and (fits or "\n" in text):
            return text.split("\n")
        match expr:
            case syntax.Call(function, arguments, _) if arguments or inside:
                if self._holds_comment(function.span):
                    break_before = [indent + comment.text for comment in self._take(function.span.end)]
                    return break_before + self._expr(expr, indent, prefix, suffix)
                items = [(argument.span, _key(argument), argument.value) for argument in arguments]
                return self._block(
                    items, f"{indent}{prefix}{flat(function)}(", f"{indent}){suffix}", indent, expr.span
                )
            case syntax.ListExpr(values, _) if values or inside:
                items = [(value.span, "", value) for value in values]
                return self._block(items, f"{indent}{prefix}[", f"{indent}]{suffix}", indent, expr.span)
            case syntax.DictExpr(entries, _) if entries or inside:
                items = [
                    (Span(entry.key.span.start, entry.value.span.end), f"{flat(entry.key)}: ", entry.value)
                    for entry in entries
                ]
                return self._block(items, f"{indent}{prefix}{{", f"{indent}}}{suffix}", indent, expr.span)
            case _:
                hoisted = [indent + comment.text for comment in self._take(expr.span.end)]
                return hoisted + text.split("\n")

    def _block(
        self, items: Sequence[tuple[Span, str, Expr]], opening: str, closing: str, indent: str, span: Span
    ) -> list[str]:
        inner = indent + INDENT
        if not self._holds_comment(span) and (words := _short_words(items)):
            return [opening, *_filled(words, inner), closing]
        out = [opening]
        for index, (place, key, value) in enumerate(items):
            out += [inner + comment.text for comment in self._take(value.span.start if key else place.start)]
            out += self._expr(value, inner, key, ",")
            follows = items[index + 1][0].start if index + 1 < len(items) else span.end
            self._trailing(out, follows, place.end)
        out += [inner + comment.text for comment in self._take(span.end)]
        out.append(closing)
        return out


def _short_words(items: Sequence[tuple[Span, str, Expr]]) -> list[str]:
    """The items where they are a long list of short words; else none."""
    words = [flat(value) for _, key, value in items if not key and _is_word(value)]
    if (
        len(words) != len(items)
        or len(words) < MANY
        or max(map(len, words)) > SHORT
        or "\n" in "".join(words)
    ):
        return []
    return words


def _is_word(expr: Expr) -> bool:
    """A string, alone or as `glob("...")`: nothing is gained by breaking it."""
    match expr:
        case syntax.Str():
            return True
        case syntax.Call(syntax.Name(), [syntax.Argument(None, syntax.Str())], _):
            return True
        case _:
            return False


def _filled(words: Sequence[str], indent: str) -> list[str]:
    """As many words a line as there is room for."""
    lines = [indent + words[0] + ","]
    for word in words[1:]:
        if len(lines[-1]) + len(word) + 2 <= WIDTH:
            lines[-1] += f" {word},"
        else:
            lines.append(f"{indent}{word},")
    return lines


def _parts(expr: Expr) -> bool:
    """Whether `expr` can be written on several lines."""
    match expr:
        case syntax.Call(_, arguments, _):
            return bool(arguments) and not _is_word(expr)
        case syntax.ListExpr(items, _):
            return bool(items)
        case syntax.DictExpr(entries, _):
            return bool(entries)
        case _:
            return False
