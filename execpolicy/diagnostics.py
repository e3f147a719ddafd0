"""An error in a text, and how it is shown: code, place, source line, carets, help."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from execpolicy.source import SourceText, Span


class Severity(enum.Enum):
    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnostic:
    """Lower case, no full stop, one line; the user's text in `backticks`; advice in `help`."""

    code: str  # E014, L003
    message: str
    source: SourceText
    span: Span
    severity: Severity = Severity.ERROR
    label: str = ""  # stands behind the carets
    help: str = ""
