"""Answers one `policy fmt`: rule files in canonical form, or what would change."""

from __future__ import annotations

import difflib
import sys
from collections.abc import Sequence
from pathlib import Path

from execpolicy.cli.files import Unreadable, fail, read_stdin, read_text, write_text
from execpolicy.diagnostics import render
from execpolicy.lang.format import format_text


def fmt(files: Sequence[str], *, check: bool, stdin: bool) -> int:
    """Format `files` in place. Exit status 1 when a file is broken, or when `check` finds something to change."""
    if stdin:
        return _stdin(check=check)
    status = changed = 0
    for name in dict.fromkeys(files):
        try:
            text = read_text(Path(name))
            new = _formatted(text, name)
            if new is None:
                status = 1
            elif new != text:
                changed += 1
                if check:
                    _show(name, text, new)
                else:
                    write_text(Path(name), new)
        except Unreadable as error:
            status = fail(str(error))
    if changed:
        files_ = "file" if changed == 1 else "files"
        print(f"{changed} {files_} {'would change' if check else 'changed'}", file=sys.stderr)
    return 1 if status or (check and changed) else 0


def _stdin(*, check: bool) -> int:
    try:
        text = read_stdin()
    except Unreadable as error:
        return fail(str(error))
    new = _formatted(text, "standard input")
    if new is None:
        return 1
    if not check:
        sys.stdout.write(new)
        return 0
    if new != text:
        _show("standard input", text, new)
    return int(new != text)


def _formatted(text: str, name: str) -> str | None:
    done = format_text(text, name)
    for one in done.diagnostics:
        print(render(one) + "\n", file=sys.stderr)
    return done.text


def _show(name: str, old: str, new: str) -> None:
    lines = difflib.unified_diff(
        old.splitlines(keepends=True), new.splitlines(keepends=True), name, f"{name} (formatted)"
    )
    for line in lines:
        sys.stdout.write(line if line.endswith("\n") else line + "\n\\ no newline at the end\n")
