"""Codex's dialect, strictness and blind spots included: the same rules, the same answer, the same bytes."""

from __future__ import annotations

import sys
from typing import TextIO


def main(argv: list[str], stdout: TextIO | None = None, stderr: TextIO | None = None) -> int:
    """`codex execpolicy check ARGV`: writes what Codex writes and returns its exit status."""
    from execpolicy.codex.check import check

    return check(argv, stdout or sys.stdout, stderr or sys.stderr)
