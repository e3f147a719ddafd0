"""Text to syntax; every error of a file as a diagnostic. The only importer of lark."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from importlib import resources
from typing import Any, cast

from lark import Lark, Transformer, v_args
from lark import Token as LarkToken
from lark.exceptions import UnexpectedInput, UnexpectedToken
from lark.lexer import Lexer

from execpolicy.diagnostics import Diagnostic
from execpolicy.lang import syntax
from execpolicy.lang.scanner import IMPORT_HELP, PROGRAM_WORDS, Chunk, Scanner, Token
from execpolicy.lang.strings import BadEscape, body_of, decode
from execpolicy.lang.syntax import Argument, Comparator, Entry, Expr, Name, Statement, SyntaxFile
from execpolicy.source import SourceText, Span

# fmt: off
TERMINALS = {
    "(": "LPAR", ")": "RPAR", "[": "LSQB", "]": "RSQB", "{": "LBRACE", "}": "RBRACE", ",": "COMMA", "=": "EQUAL",
    "+": "PLUS", ":": "COLON", ".": "DOT", "==": "EQ", "!=": "NE",
    "and": "AND", "or": "OR", "not": "NOT", "in": "IN",
}
# fmt: on
EXPECTED = {kind: f"`{text}`" for text, kind in TERMINALS.items()} | {
    "$END": "the end of the line",
    "STRING": "a value",
    "NUMBER": "a value",
    "NAME": "a value",
    "LSQB": "a value",
    "LBRACE": "a value",
    "LPAR": "a value",
}


def parse(text: str, path: str) -> tuple[SyntaxFile, tuple[Diagnostic, ...]]:
    """The syntax of a whole file. A broken statement gives diagnostics and leaves the others alone."""
    source = SourceText(path, text)
    scanner = Scanner(source)
    statements: list[Statement] = []
    diagnostics: list[Diagnostic] = []
    for chunk in scanner.chunks():
        statement, errors = parse_statement(chunk, source)
        diagnostics += errors
        if statement is not None:
            statements.append(statement)
    return SyntaxFile(source, tuple(statements), tuple(scanner.comments)), tuple(diagnostics)


def parse_statement(chunk: Chunk, source: SourceText) -> tuple[Statement | None, list[Diagnostic]]:
    """The syntax of one statement, or why it has none."""
    if word := _program_word(chunk.tokens):
        message = f"`{word.text}` belongs to a Starlark program"
        return None, [_diagnostic(source, "E007", message, word.start, word.end, help=IMPORT_HELP)]
    errors = chunk.errors or _bad_strings(chunk.tokens, source)
    if errors:
        return None, errors
    try:
        return cast("Statement", cast("object", _lark().parse(cast("str", chunk.tokens)))), []
    except UnexpectedInput as error:
        return None, [_unexpected(error, chunk, source)]


def _program_word(tokens: Sequence[Token]) -> Token | None:
    first = tokens[0] if tokens else None
    if first is None or first.kind != "name" or first.text not in PROGRAM_WORDS:
        return None
    if len(tokens) > 1 and tokens[1].text == "=":
        return None
    return first


def _bad_strings(tokens: Sequence[Token], source: SourceText) -> list[Diagnostic]:
    errors: list[Diagnostic] = []
    for token in tokens:
        if token.kind == "string" and "\\" in token.text:
            try:
                decode(token.text)
            except BadEscape as error:
                start = token.start + body_of(token.text)[2] + error.offset
                errors.append(_diagnostic(source, "E002", str(error), start, start + 2))
    return errors[:20]


def _unexpected(error: UnexpectedInput, chunk: Chunk, source: SourceText) -> Diagnostic:
    """One sentence for a word that cannot stand where it stands."""
    if not isinstance(error, UnexpectedToken) or error.token.type == "$END":
        wanted = _wanted(error.accepts or error.expected) if isinstance(error, UnexpectedToken) else ""
        return _diagnostic(source, "E005", "statement ends too early", chunk.end - 1, chunk.end, wanted)
    token, index = error.token, 0
    start, end = cast("int", token.start_pos), cast("int", token.end_pos)
    while chunk.tokens[index].start != start:
        index += 1
    before = chunk.tokens[index - 1] if index else None
    text = str(token)
    help_ = ""
    if text in PROGRAM_WORDS:
        return _diagnostic(
            source, "E007", f"`{text}` belongs to a Starlark program", start, end, help=IMPORT_HELP
        )
    if token.type == "STRING" and before is not None and before.kind == "string":
        help_ = "put `+` between two strings that are one, a comma between two values"
    elif text in ("<", ">", "<=", ">=", "-", "*", "/", "%", "|", "&", "^", "~"):
        help_ = f"conditions know `and`, `or`, `not`, `in`, `==` and `!=`; {IMPORT_HELP}"
    shown = text if len(text) <= 40 else f"{text[:37]}..."
    return _diagnostic(
        source, "E005", f"unexpected `{shown}`", start, end, _wanted(error.accepts or error.expected), help_
    )


def _wanted(kinds: set[str]) -> str:
    """`expected a comma or ...`, when there are few enough to help."""
    names = sorted({EXPECTED.get(kind, kind) for kind in kinds})
    if "NAME" in kinds:
        return "expected a value"
    for likely in ("`,`", "`)`", "`]`", "`}`"):
        if likely in names:
            closing = [name for name in names if name in ("`,`", "`)`", "`]`", "`}`", "`:`")]
            return f"expected {' or '.join(closing)}"
    return "expected a new line" if "the end of the line" in names else ""


def _diagnostic(
    source: SourceText, code: str, message: str, start: int, end: int, label: str = "", help: str = ""
) -> Diagnostic:
    return Diagnostic(
        code=code, message=message, source=source, span=Span(start, end), label=label, help=help
    )


class _Tokens(Lexer):
    """Hands the scanner's tokens to lark."""

    __future_interface__ = 1

    def __init__(self, lexer_conf: object) -> None:
        pass

    def lex(self, lexer_state: Any, parser_state: Any) -> Iterator[LarkToken]:
        for token in cast("Sequence[Token]", lexer_state.text):
            word = token.kind in ("op", "keyword")
            kind = TERMINALS.get(token.text, "BAD") if word else token.kind.upper()
            yield LarkToken(kind, token.text, start_pos=token.start, end_pos=token.end)


@functools.cache
def _lark() -> Lark:
    grammar = resources.files(__package__).joinpath("grammar.lark").read_text("utf-8")
    return Lark(grammar, parser="lalr", lexer=_Tokens, transformer=_Builder(), maybe_placeholders=False)


def _at(token: LarkToken) -> Span:
    return Span(cast("int", token.start_pos), cast("int", token.end_pos))


def _from(first: LarkToken, last: LarkToken) -> Span:
    return Span(cast("int", first.start_pos), cast("int", last.end_pos))


def _over(nodes: Sequence[Expr]) -> Span:
    return Span(nodes[0].span.start, nodes[-1].span.end)


@v_args(inline=True)
class _Builder(Transformer[LarkToken, object]):
    """Makes the node of each grammar rule while lark reads, so that no tree is walked."""

    def constant(self, name: LarkToken, value: Expr) -> Statement:
        return syntax.Constant(self.name_of(name), value, Span(cast("int", name.start_pos), value.span.end))

    def expression(self, value: Expr) -> Statement:
        return syntax.Expression(value, value.span)

    def or_test(self, *operands: Expr) -> Expr:
        return syntax.OrTest(operands, _over(operands))

    def and_test(self, *operands: Expr) -> Expr:
        return syntax.AndTest(operands, _over(operands))

    def negation(self, word: LarkToken, operand: Expr) -> Expr:
        return syntax.NotTest(operand, Span(cast("int", word.start_pos), operand.span.end))

    def equal(self, left: Expr, _: LarkToken, right: Expr) -> Expr:
        return syntax.Comparison(left, Comparator.EQUAL, right, _over((left, right)))

    def not_equal(self, left: Expr, _: LarkToken, right: Expr) -> Expr:
        return syntax.Comparison(left, Comparator.NOT_EQUAL, right, _over((left, right)))

    def within(self, left: Expr, right: Expr) -> Expr:
        return syntax.Comparison(left, Comparator.IN, right, _over((left, right)))

    def not_within(self, left: Expr, right: Expr) -> Expr:
        return syntax.Comparison(left, Comparator.NOT_IN, right, _over((left, right)))

    def sum(self, *operands: Expr) -> Expr:
        return syntax.Sum(operands, _over(operands))

    def call(self, function: Expr, _: LarkToken, *rest: Any) -> Expr:
        arguments = rest[0] if len(rest) > 1 else ()
        return syntax.Call(function, arguments, Span(function.span.start, cast("int", rest[-1].end_pos)))

    def attribute(self, owner: Expr, name: LarkToken) -> Expr:
        return syntax.Attribute(owner, self.name_of(name), Span(owner.span.start, cast("int", name.end_pos)))

    def subscript(self, owner: Expr, _: LarkToken, index: Expr, last: LarkToken) -> Expr:
        return syntax.Subscript(owner, index, Span(owner.span.start, cast("int", last.end_pos)))

    def string(self, token: LarkToken) -> Expr:
        return syntax.Str(decode(token), str(token), _at(token))

    def number(self, token: LarkToken) -> Expr:
        return syntax.Num(str(token), _at(token))

    def name(self, token: LarkToken) -> Expr:
        return self.name_of(token)

    def name_of(self, token: LarkToken) -> Name:
        return Name(str(token), _at(token))

    def group(self, first: LarkToken, inner: Expr, last: LarkToken) -> Expr:
        return syntax.Group(inner, _from(first, last))

    def row(self, first: LarkToken, *rest: Any) -> Expr:
        items = [rest[0]] if len(rest) > 1 else []
        if len(rest) > 3:
            items += rest[2]
        return syntax.TupleExpr(tuple(items), _from(first, rest[-1]))

    def sequence(self, first: LarkToken, *rest: Any) -> Expr:
        return syntax.ListExpr(rest[0] if len(rest) > 1 else (), _from(first, rest[-1]))

    def mapping(self, first: LarkToken, *rest: Any) -> Expr:
        return syntax.DictExpr(rest[0] if len(rest) > 1 else (), _from(first, rest[-1]))

    def items(self, *found: Expr) -> tuple[Expr, ...]:
        return found

    def entries(self, *found: Entry) -> tuple[Entry, ...]:
        return found

    def arguments(self, *found: Argument) -> tuple[Argument, ...]:
        return found

    def entry(self, key: Expr, value: Expr) -> Entry:
        return Entry(key, value)

    def named(self, name: LarkToken, value: Expr) -> Argument:
        return Argument(self.name_of(name), value)

    def positional(self, value: Expr) -> Argument:
        return Argument(None, value)
