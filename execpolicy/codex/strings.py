"""Codex's strings where the binding's are older: format strings and byte strings as it can read them."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from execpolicy.lang.strings import BadEscape, decode

STRING_START = re.compile(r"(?P<prefix>[A-Za-z]{0,2})(?P<quote>\"\"\"|'''|\"|')")
SKIP = re.compile(r"[A-Za-z0-9_]++|\#[^\n]*+|[^A-Za-z0-9_\"'#]++")
CONVERSION = re.compile(
    r"(?P<value>.*[^!=<>])!(?!=) *(?P<how>[A-Za-z_][A-Za-z0-9_]*|)(?P<behind>[^\"'()\[\]{}]*)", re.DOTALL
)
VALUE_END = "f-string expression end '}'"
FORMAT_PREFIXES = ("f", "fr")
BYTE_PREFIXES = ("b", "br", "rb")


@dataclass(frozen=True, slots=True)
class Bytes:
    """A byte string of the program: all that is asked of one is its type, look and length."""

    value: bytes

    @property
    def shown(self) -> str:
        escapes = {34: '\\"', 92: "\\\\", 10: "\\n", 13: "\\r", 9: "\\t"}
        body = "".join(
            escapes.get(byte) or (chr(byte) if 32 <= byte < 127 else f"\\x{byte:02x}") for byte in self.value
        )
        return f'b"{body}"'


def _bytes(literal: str, raw: bool) -> bytes:
    try:
        return decode(f"r{literal}" if raw else literal).encode("utf-8")
    except BadEscape:
        return literal.encode("utf-8", "replace")


@dataclass(frozen=True, slots=True)
class Braces:
    """What stands between braces of a format string; `wrong` where the string itself is broken there."""

    at: int
    value: str
    wrong: str | None = None


@dataclass(slots=True)
class Rewritten:
    """A program without format and byte strings, line for line."""

    code: str = ""
    constants: dict[str, Bytes] = field(default_factory=dict)  # byte strings by the name put in their place
    values: list[Braces] = field(default_factory=list)


def rewritten(text: str) -> Rewritten:
    """`text` for the binding."""
    result = Rewritten()
    constants = result.constants
    out: list[str] = []
    at = 0
    while at < len(text):
        if found := STRING_START.match(text, at):
            prefix, quote = found["prefix"], found["quote"]
            end = _string_end(text, found.end(), quote, "f" in prefix)
            literal = text[at:end]
            if prefix in FORMAT_PREFIXES and not _closed(text, found.end(), end, quote):
                result.values.append(Braces(at, "", "Parse error: unfinished string literal"))
                out.append("None")
            elif prefix in FORMAT_PREFIXES:
                out.append(_format(text, found.end(), end - len(quote), prefix, quote, result.values))
            elif prefix in BYTE_PREFIXES and literal.endswith(quote):
                name = f"_codex_bytes_{len(constants)}_"
                constants[name] = Bytes(_bytes(literal[len(prefix) :], "r" in prefix))
                out.append(name)
            else:
                out.append(literal)
            at = end
        elif found := SKIP.match(text, at):
            out.append(found.group())
            at = found.end()
        else:
            out.append(text[at])
            at += 1
    result.code = "".join(out)
    return result


def _closed(text: str, start: int, end: int, quote: str) -> bool:
    inside = text[start : end - len(quote)]
    escaped = (len(inside) - len(inside.rstrip("\\"))) % 2 == 1
    return end - len(quote) >= start and text.startswith(quote, end - len(quote)) and not escaped


def format_end(text: str, at: int) -> int:
    """Behind the format string that starts at `at`."""
    found = STRING_START.match(text, at)
    assert found is not None
    return _string_end(text, found.end(), found["quote"], True)


def _string_end(text: str, at: int, quote: str, nested: bool) -> int:
    """Behind the closing quote; strings inside the braces of a format string are stepped over."""
    while at < len(text):
        char = text[at]
        if char == "\\":
            at += 2
        elif text.startswith(quote, at):
            return at + len(quote)
        elif char == "\n" and len(quote) == 1:
            return at
        elif nested and char == "{":
            at = at + 2 if text.startswith("{{", at) else _braces_end(text, at + 1, quote)
        else:
            at += 1
    return len(text)


def _braces_end(text: str, at: int, quote: str) -> int:
    """Behind the brace that closes; at the quote or line end when there is none."""
    depth = 0
    while at < len(text):
        char = text[at]
        if char in "\"'":
            # The quote of the format string itself may stand inside braces, when it closes again before they do.
            start = STRING_START.match(text, at)
            inner = start["quote"] if start else char
            end = _string_end(text, at + len(inner), inner, False)
            if inner == quote and "}" not in text[end : _line_end(text, end)]:
                return at
            at = end
            continue
        if char == "\n" and len(quote) == 1:
            return at
        if char in "([{":
            depth += 1
        elif char in ")]}":
            if char == "}" and depth == 0:
                return at + 1
            depth -= 1
        at += 1
    return at


def _line_end(text: str, at: int) -> int:
    end = text.find("\n", at)
    return len(text) if end < 0 else end


def _format(text: str, at: int, end: int, prefix: str, quote: str, found: list[Braces]) -> str:
    """A format string as a call of `format` on a plain one."""
    plain: list[str] = []
    values: list[str] = []
    while at < end:
        char = text[at]
        if char == "\\":
            plain.append(text[at : at + 2])
            at += 2
        elif text.startswith(("{{", "}}"), at):
            plain.append(char * 2)
            at += 2
        elif char == "}":
            found.append(Braces(at, "", "Parse error: invalid input `}`"))
            at += 1
        elif char == "{":
            close = _braces_end(text, at + 1, quote)
            if text[close - 1] != "}":
                found.append(Braces(at + 1, "", "Parse error: unfinished string literal"))
                break
            value, conversion, wrong = _value(text[at + 1 : close - 1])
            plain.append("{" + conversion + "}")
            values.append(value)
            found.append(Braces(at + 1, value, wrong))
            at = close
        else:
            plain.append(char)
            at += 1
    raw = "r" if "r" in prefix else ""
    body = f"{raw}{quote}{''.join(plain)}{quote}"
    return f"{body}.format({', '.join(f'({value})' for value in values)})"


def _value(inner: str) -> tuple[str, str, str | None]:
    """The value, how it is shown, and what is wrong with that."""
    found = CONVERSION.fullmatch(inner)
    if found is None:
        return inner, "", None
    how, behind = found["how"], found["behind"].strip(" ")
    if how not in ("r", "s"):
        return found["value"], "", "invalid f-string conversion specifier, expected 's' or 'r'"
    wrong = f"Parse error: unexpected symbol '{behind[0]}', expected {VALUE_END}" if behind else None
    return found["value"], f"!{how}", wrong
