"""The binding's account of an error: its sentence, its place, and the lines that show it."""

from __future__ import annotations

import re

ERROR = re.compile(r"^error: (?:StarlarkError: )?(?P<message>.*?)$(?P<rest>.*)", re.MULTILINE | re.DOTALL)
PLACE = re.compile(r"^ *--> .*?:(?P<line>[0-9]+):(?P<column>[0-9]+)$", re.MULTILINE)
CLOSES = {"(": ")", "[": "]", "{": "}"}
TOKEN = re.compile(
    r"""(?P<string>[A-Za-z]{0,2}(?:\"\"\"(?:[^"\\]|\\.|"(?!""))*+\"\"\"|'''(?:[^'\\]|\\.|'(?!''))*+'''
        |"(?:[^"\\\n]|\\.)*+"|'(?:[^'\\\n]|\\.)*+'))|(?P<comment>\#[^\n]*)|(?P<word>\w+)|(?P<newline>\n)|(?P<other>\S)""",
    re.VERBOSE | re.DOTALL,
)


def message_of(error: str) -> str:
    """The sentence of an error that the binding tells with its place."""
    found = ERROR.search(error)
    return found["message"] if found else error


def line_of(text: str, number: int) -> str:
    """One line without its end; nothing behind the last one."""
    lines = text.split("\n")
    return lines[number - 1].rstrip("\r") if number <= len(lines) else ""


def place_of(text: str, offset: int) -> tuple[int, int]:
    """Line and column, from 1."""
    return text.count("\n", 0, offset) + 1, offset - text.rfind("\n", 0, offset)


def excerpt(text: str, path: str, line: int, column: int, width: int) -> str:
    """The lines that show a place: `width` carets under `column` of `line`."""
    code = text.split("\n")[line - 1].rstrip("\r")
    gutter = " " * len(str(line))
    carets = " " * (column - 1) + "^" * max(1, min(width, len(code) - column + 1))
    return (
        f"{gutter}--> {path}:{line}:{column}\n{gutter} |\n{line} | {code}\n{gutter} | {carets}\n{gutter} |\n"
    )


def call_end(text: str, at: int) -> int:
    """Behind the bracket that closes the call whose name starts at `at`; the line end when there is none."""
    depth = 0
    for token in TOKEN.finditer(text, at):
        if token.lastgroup == "other":
            if token.group() in CLOSES:
                depth += 1
            elif token.group() in ")]}":
                depth -= 1
                if depth == 0:
                    return token.end()
        elif token.lastgroup == "newline" and depth == 0:
            return token.start()
    return len(text)
