"""Answers one `policy import`: a program of rules as the plain rules that it makes."""

from __future__ import annotations

import sys
from pathlib import Path

from execpolicy.cli.files import Unreadable, fail, read_text, write_text
from execpolicy.codex.importer import FileError, import_program


def import_file(name: str, output: str | None) -> int:
    """Print the rules, or write them to `output`. Exit status 1 when the program does not come to an end."""
    path = Path(name)
    try:
        rules = import_program(read_text(path), name)
        if output is None:
            sys.stdout.write(rules)
        else:
            write_text(Path(output), rules)
    except FileError as error:
        return fail(error.text.removeprefix("error: "))
    except Unreadable as error:
        return fail(str(error))
    return 0
