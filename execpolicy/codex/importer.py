"""`policy import`: a Codex program as the plain rules that it makes."""

from __future__ import annotations

from execpolicy.codex.builtins import SIGNATURES, Call, Given, Plain
from execpolicy.codex.expand import PROGRAM, FileError, expand
from execpolicy.codex.starlark import Child
from execpolicy.lang.format import format_text
from execpolicy.lang.strings import encode

__all__ = ["FileError", "import_program"]


def import_program(text: str, path: str = "program.rules", child: Child | None = None) -> str:
    """The rules that a Codex file makes, in canonical form. Raises `FileError` with Codex's message."""
    if child is None:
        with Child(PROGRAM) as own:
            return import_program(text, path, own)
    plain = plain_rules(text, path, child)
    formatted = format_text(plain, path)
    return plain if formatted.text is None else formatted.text


def plain_rules(text: str, path: str, child: Child) -> str:
    """The rules that a Codex file makes, one call a line, in the order of the calls. Raises `FileError`."""
    return "".join(f"{_call(call)}\n" for call in expand(text, path, child).calls)


def _call(call: Call | Plain) -> str:
    if isinstance(call, Plain):
        words = ", ".join(
            encode(options[0]) if len(options) == 1 else f"[{', '.join(map(encode, options))}]"
            for options in call.words
        )
        why = "" if call.justification is None else f", justification = {encode(call.justification)}"
        return f"prefix_rule(pattern = [{words}], decision = {encode(call.decision)}{why})"
    given = dict(call.given)
    keys = [key for key, _, _ in SIGNATURES[call.name] if key in given]
    return f"{call.name}({', '.join(f'{key} = {_value(given[key])}' for key in keys)})"


def _value(given: Given) -> str:
    if given.text is not None:
        return encode(given.text)
    if given.items is not None:
        return f"[{', '.join(map(_value, given.items))}]"
    return str(given.truth)
