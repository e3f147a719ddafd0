"""The calls that a Codex file makes: read by the language where it is literal, run in a child where it is not."""

from __future__ import annotations

import re
from pathlib import Path
from typing import cast

from execpolicy.codex.builtins import SIGNATURES, Given, Recorder, RuleError
from execpolicy.codex.dialect import (
    ERROR,
    PLACE,
    call_end,
    excerpt,
    line_of,
    message_of,
    place_of,
)
from execpolicy.codex.grammar import mistake
from execpolicy.codex.starlark import Child, ChildError, MissingProgram
from execpolicy.lang import syntax
from execpolicy.lang.literal import literal_rule
from execpolicy.lang.quick import quick_statement
from execpolicy.lang.rules import AnyOf, Exact, WordPattern
from execpolicy.lang.scanner import Chunk, Scanner
from execpolicy.source import SourceText

PROGRAM = Path(__file__).with_name("child.py")
BLANK = re.compile(r"(?:[ ]*(?:#[^\n]*)?\n)+|[ ]*(?:#[^\n]*)?\Z")
FRAME = re.compile(
    r"^  \* (?P<path>.*):(?P<line>[0-9]+), in (?P<name>.*)\n(?:      (?P<code>.*)\n)?", re.MULTILINE
)
BUILTIN = re.compile(r"\b(?:prefix_rule|network_rule|host_executable)\b")
HIDDEN = "<prelude>"


class FileError(Exception):
    """What Codex says under `starlark error:`, several lines."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text

    @property
    def message(self) -> str:
        return message_of(self.text)


class MissingExtra(FileError):
    """The file is a program, and what runs programs is not installed."""


class Stopped(FileError):
    """The program did not come to an end inside its bounds."""


def expand(text: str, path: str, child: Child) -> Recorder:
    """What the calls of one file say. Raises `FileError` and those below it."""
    recorder = _literal(text)
    if recorder is not None:
        return recorder
    try:
        reply = child.ask({"text": text, "path": path})
    except MissingProgram as error:
        recorder = _plain(text, path)
        if recorder is None:
            raise MissingExtra(f"error: {error}") from None
        return recorder
    except ChildError as error:
        raise Stopped(f"error: {error}") from None
    recorder = Recorder()
    for name, positional, named in cast("list[tuple[str, list[object], list[list[object]]]]", reply["calls"]):
        recorder.call(
            name, list(map(_given, positional)), [(str(key), _given(value)) for key, value in named]
        )
    if isinstance(reply["error"], str):
        refusal = reply["refusal"]
        raise FileError(
            _told(
                reply["error"],
                text,
                path,
                refusal if isinstance(refusal, str) else None,
                str(reply.get("line", "")),
            )
        )
    return recorder


def _given(value: object) -> Given:
    kind, shown, payload = cast("list[object]", value)
    return Given(
        kind=str(kind),
        repr=str(shown),
        text=payload if isinstance(payload, str) else None,
        items=tuple(map(_given, payload)) if isinstance(payload, list) else None,
        truth=payload if isinstance(payload, bool) else None,
    )


def _literal(text: str) -> Recorder | None:
    """The calls of a file that holds nothing but literal calls and comments, and that Codex does not refuse."""
    if any(char in text for char in "\t\r\\"):
        return None
    recorder = Recorder()
    scanner = Scanner(SourceText("", text))
    at = 0
    try:
        while at < len(text):
            if (blank := BLANK.match(text, at)) and blank.end() > at:
                at = blank.end()
            elif rule := literal_rule(text, at):
                recorder.literal(tuple(map(_options, rule.pattern)), rule.decision, rule.justification)
                at = rule.end
            else:
                chunk, at = scanner.statement(at)
                _statement(chunk, text, recorder)
    except (RuleError, _NotLiteral):
        return None
    return recorder


class _NotLiteral(Exception):
    """Something that is left to the child."""


def _statement(chunk: Chunk, text: str, recorder: Recorder) -> None:
    statement = None if chunk.errors else quick_statement(chunk.tokens)
    if not isinstance(statement, syntax.Expression) or (chunk.start and text[chunk.start - 1] != "\n"):
        raise _NotLiteral
    if not isinstance(statement.value, syntax.Call):
        raise _NotLiteral
    _record(statement.value, recorder, {})


def _record(call: syntax.Call, recorder: Recorder, constants: dict[str, Given]) -> None:
    if not isinstance(call.function, syntax.Name):
        raise _NotLiteral
    if call.function.id not in SIGNATURES:
        raise _NotLiteral
    positional = [_value(argument.value, constants) for argument in call.arguments if argument.name is None]
    named = [
        (argument.name.id, _value(argument.value, constants))
        for argument in call.arguments
        if argument.name is not None
    ]
    ordered = all(argument.name is None for argument in call.arguments[: len(positional)])
    if not ordered or len({key for key, _ in named}) < len(named):
        raise _NotLiteral
    recorder.call(call.function.id, positional, named)


def _plain(text: str, path: str) -> Recorder | None:
    """The calls of a file without a program in it, constants and escapes included, where no child can run."""
    from execpolicy.lang.parser import parse

    file, diagnostics = parse(text, path)
    recorder = Recorder()
    constants: dict[str, Given] = {}
    try:
        for statement in file.statements:
            if isinstance(statement, syntax.Constant):
                constants[statement.name.id] = _value(statement.value, constants)
            elif isinstance(statement.value, syntax.Call):
                _record(statement.value, recorder, constants)
            elif not isinstance(statement.value, syntax.Str):
                return None
    except RuleError as error:
        raise FileError(f"error: {error}") from None
    except _NotLiteral:
        return None
    return None if diagnostics else recorder


def _value(expr: syntax.Expr, constants: dict[str, Given]) -> Given:
    match expr:
        case syntax.Str(value, _, _):
            return _string(value)
        case syntax.ListExpr(items, _):
            return Given("list", "", items=tuple(_value(item, constants) for item in items))
        case syntax.Name(name, _) if name in constants:
            return constants[name]
        case syntax.Sum(operands, _):
            return _sum([_value(operand, constants) for operand in operands])
        case syntax.Name("True" | "False" as word, _):
            return Given("bool", word, truth=word == "True")
        case _:
            raise _NotLiteral


def _sum(values: list[Given]) -> Given:
    if all(value.text is not None for value in values):
        return _string("".join(value.text or "" for value in values))
    if any(value.items is None for value in values):
        raise _NotLiteral
    return Given("list", "", items=tuple(item for value in values for item in value.items or ()))


def _string(text: str) -> Given:
    return Given("string", "", text=text)


def _options(pattern: WordPattern) -> tuple[str, ...]:
    if isinstance(pattern, Exact):
        return (pattern.text,)
    assert isinstance(pattern, AnyOf)
    return tuple(option.text for option in pattern.options if isinstance(option, Exact))


# --- errors ---------------------------------------------------------------------------------


def _told(error: str, text: str, path: str, refusal: str | None, read: str) -> str:
    """The binding's account of an error as Codex gives it: the program as written, no prelude."""
    found = ERROR.search(error)
    if found is None:
        return error if error.startswith("error: ") else f"error: {error}"
    error = error.replace(f"{HIDDEN}.", "")  # a function of ours is a native one there
    found = ERROR.search(error) or found
    message, rest = found["message"], found["rest"]
    frames = [frame for frame in FRAME.finditer(error) if frame["path"] != HIDDEN]
    trace = "".join(_frame(frame, text) for frame in frames)
    place = PLACE.search(error)
    if refusal is not None and frames:
        message, rest = refusal, "\n" + _call(text, path, frames[-1])
    elif place is not None:
        line, column = int(place["line"]), int(place["column"])
        if message.startswith("Parse error"):
            message = _syntax(message, text)
        rest = _rest(rest, text, path, line, column, read)
    head = f"Traceback (most recent call last):\n{trace}" if trace else ""
    return f"{head}error: {message}{rest}"


def _frame(frame: re.Match[str], text: str) -> str:
    shown = line_of(text, int(frame["line"])).strip()
    return f"  * {frame['path']}:{frame['line']}, in {frame['name']}\n" + (
        f"      {shown}\n" if shown else ""
    )


def _syntax(message: str, text: str) -> str:
    """The sentence as Codex puts it. What is wrong inside a token both say alike."""
    if message.startswith("Parse error: unexpected "):
        return mistake(text) or message
    return message


def _rest(rest: str, text: str, path: str, line: int, column: int, read: str) -> str:
    """The excerpt, with the line as written where it was rewritten."""
    if not read or read == line_of(text, line) or f"{line} | {read}" not in rest:
        return rest
    whole = column + rest.count("^") > len(read)
    width = len(line_of(text, line)) if whole else rest.count("^")
    return "\n" + excerpt(text, path, line, min(column, len(line_of(text, line))), width)


def _call(text: str, path: str, frame: re.Match[str]) -> str:
    """Where the refused call stands: its name in the line of the innermost frame."""
    number = int(frame["line"])
    start = sum(len(line) + 1 for line in text.split("\n")[: number - 1])
    code = line_of(text, number)
    found = BUILTIN.search(code) or re.search(r"\S", code)
    at = start + (found.start() if found else 0)
    line, column = place_of(text, at)
    return excerpt(text, path, line, column, call_end(text, at) - at)
