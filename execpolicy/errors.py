"""The exception tree of the package. Expected outcomes are values, not exceptions."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from execpolicy.diagnostics import Diagnostic


class ExecPolicyError(Exception):
    """Base of everything this package raises."""


class PolicyError(ExecPolicyError):
    """Rule files that cannot be used. `diagnostics` holds every error of every file."""

    def __init__(self, diagnostics: tuple[Diagnostic, ...]) -> None:
        super().__init__(f"{len(diagnostics)} error(s) in rule files")
        self.diagnostics = diagnostics
