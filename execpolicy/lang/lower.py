"""Syntax to typed rules: names, kinds and ranges checked, every error reported."""

from __future__ import annotations

import gc
import hashlib
import re

from execpolicy.decision import Layer
from execpolicy.diagnostics import Diagnostic, Severity
from execpolicy.lang import rules, syntax
from execpolicy.lang.declarations import Declarations
from execpolicy.lang.literal import literal_rule
from execpolicy.lang.quick import quick_statement
from execpolicy.lang.scanner import DECLARATIONS, IMPORT_HELP, Chunk, Scanner
from execpolicy.lang.values import STARLARK, Evaluator, Text, Value, suggestion
from execpolicy.source import SourceText, Span
from execpolicy.values import frozen

MAX_TEXT = 64 * 1024 * 1024  # characters of one file
BLANK = re.compile(r"(?:[ \t]*+(?:\#[^\n]*+|\r)?+\n|;)++")
MANY = 200_000  # characters
MAX_SHOWN = 1000  # errors of one file


@frozen
class Parsed:
    """The well-formed declarations of a file, and what is wrong with the others."""

    file: rules.RuleFile
    diagnostics: tuple[Diagnostic, ...]


def parse_rules(text: str, path: str, layer: Layer, *, fast: bool = True) -> Parsed:
    """The typed rules of one file. Never raises; a broken declaration leaves the others alone.

    `fast` reads plain literal rules without the parser; the answer is the same.
    """
    reading = _Reading(text, path, layer)
    if len(text) < MANY or not gc.isenabled():
        return reading.read(fast)
    gc.disable()  # a large file makes nothing but new objects that stay: looking through them again is in vain
    try:
        return reading.read(fast)
    finally:
        gc.enable()


class _Reading:
    def __init__(self, text: str, path: str, layer: Layer) -> None:
        self.source = SourceText(path, text)
        self.diagnostics: list[Diagnostic] = []
        self.unshown = 0
        self.constants: dict[str, Value | None] = {}
        self.evaluator = Evaluator(self.constants, self.report)
        self.declarations = Declarations(self.source, layer, self.evaluator, self.report)

    def report(self, code: str, message: str, span: Span, label: str = "", help: str = "") -> None:
        self.add(
            Diagnostic(code=code, message=message, source=self.source, span=span, label=label, help=help)
        )

    def add(self, diagnostic: Diagnostic) -> None:
        if len(self.diagnostics) < MAX_SHOWN:
            self.diagnostics.append(diagnostic)
        else:
            self.unshown += 1

    def read(self, fast: bool) -> Parsed:
        text = self.source.text
        if len(text) > MAX_TEXT:
            self.report("E006", "file is too large", Span(0, 1), help=f"at most {MAX_TEXT} characters")
            return self.parsed()
        scanner = Scanner(self.source)
        at, end = 0, len(text)
        while at < end:
            if blank := BLANK.match(text, at):
                at = blank.end()
                continue
            if fast and (found := literal_rule(text, at)):
                at = found.end
                self.declarations.literal(found)
                continue
            chunk, at = scanner.statement(at)
            if not chunk.tokens and not chunk.errors:
                continue
            statement = quick_statement(chunk.tokens) if fast and not chunk.errors else None
            if statement is None:
                statement = self.parse(chunk)
            if statement is not None:
                self.statement(statement)
            elif self.unshown:
                at = scanner.next_declaration(at)  # more errors are not shown, but no declaration is lost
            elif len(chunk.tokens) > 1 and chunk.tokens[0].kind == "name" and chunk.tokens[1].text == "=":
                self.constants[chunk.tokens[0].text] = None  # its uses are no errors of their own
        return self.parsed()

    def parse(self, chunk: Chunk) -> syntax.Statement | None:
        from execpolicy.lang.parser import parse_statement  # late: plain files do without lark

        statement, errors = parse_statement(chunk, self.source)
        for error in errors:
            self.add(error)
        return statement

    def statement(self, statement: syntax.Statement) -> None:
        match statement:
            case syntax.Constant(name, value, span):
                if name.id in DECLARATIONS:
                    self.report("E010", f"`{name.id}` is a declaration and cannot be redefined", name.span)
                    return
                self.constants[name.id] = self._kept(self.evaluator.value(value), span)
            case syntax.Expression(syntax.Call() as call, _):
                self.call(call)
            case syntax.Expression(syntax.Str(), _):
                pass  # documentation
            case syntax.Expression(value, span):
                self.report(
                    "E010", "this declares nothing", span, help=f"declarations: {', '.join(DECLARATIONS)}"
                )

    def _kept(self, value: Value | None, span: Span) -> Value | None:
        """A constant is a string, a list, or what they are made of."""
        if isinstance(value, Text) and len(value.text) > MAX_TEXT:
            self.report("E006", "value is too long", span)
            return None
        return value

    def call(self, call: syntax.Call) -> None:
        name = call.function.id if isinstance(call.function, syntax.Name) else ""
        if name not in DECLARATIONS:
            shown = f"`{name[:60]}`" if name else "this"
            help_ = (
                IMPORT_HELP
                if name in STARLARK
                else suggestion(name, DECLARATIONS) or f"declarations: {', '.join(DECLARATIONS)}"
            )
            self.report("E010", f"{shown} is not a declaration", call.function.span, help=help_)
            return
        self.declarations.lower(name, call)

    def parsed(self) -> Parsed:
        source, made = self.source, self.declarations
        self.diagnostics.sort(key=lambda diagnostic: diagnostic.span.start)
        if self.unshown:
            message = f"{self.unshown} more errors are not shown"
            note = Diagnostic(
                code="E000", message=message, source=source, span=Span(0, 0), severity=Severity.NOTE
            )
            self.diagnostics.append(note)
        digest = hashlib.sha256(source.text.encode("utf-8", "surrogatepass")).hexdigest()
        file = rules.RuleFile(
            path=source.path,
            digest=digest,
            rules=tuple(made.rules),
            host_executables=tuple(made.host_executables),
            defaults=made.defaults,
            exceptions=tuple(made.exceptions),
            masks=tuple(made.masks),
        )
        return Parsed(file, tuple(self.diagnostics))
