"""An error in a text, and how it is shown: code, place, source line, carets, help."""

from __future__ import annotations

import enum
import unicodedata

from execpolicy.source import SourceText, Span
from execpolicy.values import frozen


class Severity(enum.Enum):
    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


@frozen(kw_only=True)
class Diagnostic:
    """Lower case, no full stop, one line; the user's text in `backticks`; advice in `help`."""

    code: str  # E014, L003
    message: str
    source: SourceText
    span: Span
    severity: Severity = Severity.ERROR
    label: str = ""  # stands behind the carets
    help: str = ""

    @property
    def place(self) -> str:
        """`file:line:column`"""
        line, column = self.source.position(self.span.start)
        return f"{self.source.path}:{line}:{column}"


WIDTH = 120  # columns of a source line that are shown
BEFORE = 40  # of them before the caret, when the line is longer


def render(diagnostic: Diagnostic) -> str:
    """The lines for a person. No control character of the text reaches the terminal."""
    source, span = diagnostic.source, diagnostic.span
    number, column = source.position(span.start)
    shown, carets = _excerpt(source, span, number, column)
    gutter = " " * len(str(number))
    lines = [
        f"{diagnostic.severity.value}[{diagnostic.code}]: {printable(diagnostic.message)}",
        f"{gutter}--> {printable(source.path)}:{number}:{column}",
        f"{gutter} |",
        f"{number} | {shown}".rstrip(),
        f"{gutter} | {carets} {printable(diagnostic.label)}".rstrip(),
    ]
    if diagnostic.help:
        lines.append(f"{gutter} = help: {printable(diagnostic.help)}")
    return "\n".join(lines)


def to_json(diagnostic: Diagnostic) -> dict[str, object]:
    """The same as an object; lines and columns count from 1, the end is exclusive."""
    source, span = diagnostic.source, diagnostic.span
    line, column = source.position(span.start)
    end_line, end_column = source.position(span.end)
    return {
        "code": diagnostic.code,
        "severity": diagnostic.severity.value,
        "message": diagnostic.message,
        "path": source.path,
        "line": line,
        "column": column,
        "end_line": end_line,
        "end_column": end_column,
        "label": diagnostic.label,
        "help": diagnostic.help,
    }


def _excerpt(source: SourceText, span: Span, number: int, column: int) -> tuple[str, str]:
    """The source line around the caret, and the carets under it."""
    line = source.line(number)
    first = column - 1
    last = max(first + 1, min(len(line), first + span.end - span.start))
    start = max(0, first - BEFORE) if len(line) > WIDTH else 0
    cut = line[start : start + WIDTH]
    head = "..." if start else ""
    tail = "..." if start + WIDTH < len(line) else ""
    before = head + printable(cut[: first - start])
    under = printable(cut[first - start : last - start])
    carets = " " * _columns(before) + "^" * max(1, _columns(under))
    return f"{head}{printable(cut)}{tail}", carets


def printable(text: str) -> str:
    """`text` with tabs as a space and every other control character as a visible mark."""
    if text.isprintable():
        return text
    return "".join(_mark(char) for char in text)


def _mark(char: str) -> str:
    if char == "\t":
        return " "
    return char if char.isprintable() else f"\\u{{{ord(char):x}}}"


def _columns(text: str) -> int:
    """How many columns of a terminal `text` takes."""
    wide = sum(unicodedata.east_asian_width(char) in "WF" for char in text)
    marks = sum(unicodedata.combining(char) != 0 for char in text)
    return len(text) + wide - marks
