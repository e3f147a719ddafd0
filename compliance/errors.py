"""The exception tree of the package. Each carries what a person needs: what is wrong and what to do."""

from __future__ import annotations


class ComplianceError(Exception):
    """Base of everything this package raises. `help` is the remedy, one line."""

    def __init__(self, message: str, help: str = "") -> None:
        super().__init__(message)
        self.help = help


class AuditError(ComplianceError):
    """An event could not be recorded. What it speaks of must not run."""


class RecordError(ComplianceError):
    """A stored record that cannot be read."""
