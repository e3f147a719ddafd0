"""Codex's Starlark where the binding's is older: format strings, byte strings, the words of syntax errors."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from execpolicy.lang.strings import BadEscape, decode

STRING_START = re.compile(r"(?P<prefix>[A-Za-z]{0,2})(?P<quote>\"\"\"|'''|\"|')")
SKIP = re.compile(r"[A-Za-z0-9_]++|\#[^\n]*+|[^A-Za-z0-9_\"'#]++")
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


@dataclass(slots=True)
class Rewritten:
    """A program without format and byte strings, line for line."""

    code: str = ""
    constants: dict[str, Bytes] = field(default_factory=dict)  # byte strings by the name put in their place
    values: list[tuple[int, str]] = field(default_factory=list)  # what stands in braces, and where


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
            if prefix in FORMAT_PREFIXES and end > found.end():
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


def _format(text: str, at: int, end: int, prefix: str, quote: str, found: list[tuple[int, str]]) -> str:
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
        elif char == "{":
            close = _braces_end(text, at + 1, quote)
            inner = text[at + 1 : close - 1]
            value, conversion = _value(inner)
            plain.append("{" + conversion + "}")
            values.append(value)
            found.append((at + 1, value))
            at = close
        else:
            plain.append(char)
            at += 1
    raw = "r" if "r" in prefix else ""
    body = f"{raw}{quote}{''.join(plain)}{quote}"
    return f"{body}.format({', '.join(f'({value})' for value in values)})"


def _value(inner: str) -> tuple[str, str]:
    if inner.endswith(("!r", "!s")):
        return inner[:-2], inner[-2:]
    return inner, ""


# --- syntax errors --------------------------------------------------------------------------

ERROR = re.compile(r"^error: (?:StarlarkError: )?(?P<message>.*?)$(?P<rest>.*)", re.MULTILINE | re.DOTALL)
PLACE = re.compile(r"^ *--> .*?:(?P<line>[0-9]+):(?P<column>[0-9]+)$", re.MULTILINE)
OLD = re.compile(r"^(?P<head>Parse error: unexpected .*) here, expected one of (?P<kinds>.*)$", re.DOTALL)
QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"')
STARTERS = {"IDENTIFIER", "STRING", "INTEGER"}
COMPARATORS = ("'<'", "'>'", "'<='", "'>='", "'=='", "'!='", "keyword 'in'", "keyword 'not'")
VALUE_END = "f-string expression end '}'"
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


def reworded(message: str, before: str) -> str:
    """A syntax error of the binding in Codex's words; `before` is the text up to where it stands."""
    found = OLD.match(message)
    if found is None:
        return message
    head = found["head"]
    kinds = {kind.replace('\\"', '"') for kind in QUOTED.findall(found["kinds"])}
    return f"{head}, expected {_expected(head, kinds, before)}"


def reworded_value(message: str, before: str) -> str:
    """A syntax error inside the braces of a format string, which was read as `(value)`."""
    if not before.strip("( \t\n"):
        return f"Parse error: unexpected {VALUE_END}, expected expression"
    told = reworded(message, before)
    outer = [kind for kind in TOKEN.findall(before) if kind[-1] in ("(", ")")]
    if told.endswith(", expected symbol ')'") and sum(1 if kind[-1] == "(" else -1 for kind in outer) == 1:
        told = told.removesuffix("symbol ')'") + VALUE_END
    return told.replace("unexpected symbol ')',", f"unexpected {VALUE_END},")


def _expected(head: str, kinds: set[str], before: str) -> str:
    if kinds >= STARTERS:
        return "expression"
    if "==" not in kinds and "and" in kinds and head.endswith(COMPARATORS):
        return "end of expression (comparisons are not associative in Starlark)"
    if len(kinds) == 1:
        return _named(next(iter(kinds)))
    if "INDENT" in kinds:
        return _named("INDENT")
    place = _place(before)
    if "(" in kinds and ":" in kinds and before.rpartition("def ")[2].strip().isidentifier():
        return _named("(")
    return place if place != "new line" or "\\n" in kinds or not kinds else _likeliest(kinds)


def _named(kind: str) -> str:
    if kind in ("IDENTIFIER", "STRING"):
        return "identifier" if kind == "IDENTIFIER" else "string literal"
    if kind == "\\n":
        return "new line"
    if kind == "INDENT":
        return "new indentation block"
    return f"keyword '{kind}'" if kind.isalpha() else f"symbol '{kind}'"


def _likeliest(kinds: set[str]) -> str:
    for kind in ("else", "=", ":", ")", "]", "}", "in", "IDENTIFIER"):
        if kind in kinds:
            return _named(kind)
    return _named(min(kinds))


def _place(before: str) -> str:
    """What would end the innermost thing that is open at the end of `before`."""
    opened: list[str] = []  # brackets, and the words that want another behind them
    start = True
    for token in TOKEN.finditer(before):
        text = token.group()
        if token.lastgroup == "newline":
            if not any(item in CLOSES for item in opened):
                opened.clear()
                start = True
            continue
        if token.lastgroup == "comment":
            continue
        if token.lastgroup == "other":
            if text in CLOSES:
                opened.append(text)
            elif text in ")]}":
                while opened and opened.pop() not in CLOSES:
                    pass
            elif text == ":":
                _shut(opened, ("if:", "for:", "def:", "lambda:", "{", "while:", "in:"))
            elif text == ",":
                while (
                    opened and opened[-1] not in CLOSES and opened[-1] not in ("{:", "lambda:", "for", "for:")
                ):
                    opened.pop()
                if opened and opened[-1] == "{:":
                    opened.pop()
            elif text == ";" and not any(item in CLOSES for item in opened):
                opened.clear()
                start = True
                continue
        elif token.lastgroup == "word":
            if text in ("if", "elif", "while") and start:
                opened.append("if:")
            elif text == "if":
                if not _in_comprehension(opened):
                    opened.append("if")
            elif text == "else" and not start:
                _shut(opened, ("if",))
            elif text == "else":
                opened.append("if:")
            elif text == "for":
                opened.append("for" if not start else "for-")
            elif text == "in" and opened and opened[-1] in ("for", "for-"):
                opened[-1] = "comprehension" if opened[-1] == "for" else "in:"
            elif text == "def":
                opened.append("def:")
            elif text == "lambda":
                opened.append("lambda:")
        start = False
    return _wanted(opened)


def _in_comprehension(opened: list[str]) -> bool:
    return bool(opened) and opened[-1] == "comprehension"


def _shut(opened: list[str], kinds: tuple[str, ...]) -> None:
    for index in range(len(opened) - 1, -1, -1):
        if opened[index] in kinds:
            if opened[index] == "{":
                del opened[index + 1 :]
                opened.append("{:")
            else:
                del opened[index:]
            return
        if opened[index] in CLOSES:
            return


def _wanted(opened: list[str]) -> str:
    if not opened:
        return "new line"
    match opened[-1]:
        case "{":
            return "symbol ':'"
        case "{:":
            return "symbol '}'"
        case "(" | "[":
            return f"symbol '{CLOSES[opened[-1]]}'"
        case "if":
            return "keyword 'else'"
        case "for" | "for-":
            return "keyword 'in'"
        case "comprehension":
            return next(
                (f"symbol '{CLOSES[item]}'" for item in reversed(opened) if item in CLOSES), "new line"
            )
        case _:
            return "symbol ':'"


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
