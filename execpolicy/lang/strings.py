"""What a string literal means: Codex's quotes, prefixes and escapes."""

from __future__ import annotations

import json
import re

SIMPLE = {
    "n": "\n", "t": "\t", "r": "\r", "a": "\a", "b": "\b", "f": "\f", "v": "\v",
    "\\": "\\", "'": "'", '"': '"', "\n": "",
}  # fmt: skip
ESCAPE = re.compile(
    r"\\(?:(?P<hex>x[0-9A-Fa-f]{2}|u[0-9A-Fa-f]{4}|U[0-9A-Fa-f]{8})|(?P<octal>[0-7]{1,3})|(?P<one>.))",
    re.DOTALL,
)


class BadEscape(ValueError):
    """An escape that stands for no character. `offset` counts from the start of the literal's body."""

    def __init__(self, offset: int, text: str) -> None:
        super().__init__(f"invalid string escape sequence `{text}`")
        self.offset = offset
        self.text = text


def body_of(literal: str) -> tuple[str, str, int]:
    """Prefix letters, text between the quotes, and where that text starts."""
    quote_at = 0
    while literal[quote_at] not in "\"'":
        quote_at += 1
    quote = literal[quote_at]
    width = 3 if literal[quote_at : quote_at + 3] == quote * 3 and len(literal) >= quote_at + 6 else 1
    return literal[:quote_at].lower(), literal[quote_at + width : -width], quote_at + width


def decode(literal: str) -> str:
    """The value of a string literal; raises `BadEscape`."""
    prefix, body, _ = body_of(literal)
    body = body.replace("\r", "")
    if "r" in prefix or "\\" not in body:
        return body

    def replace(found: re.Match[str]) -> str:
        if one := found["one"]:
            if one in "xuU":
                raise BadEscape(found.start(), body[found.start() + 1 : found.start() + 9])
            return SIMPLE.get(one, "\\" + one)
        if octal := found["octal"]:
            return chr(int(octal, 8))
        code = int(found["hex"][1:], 16)
        if code > 0x10FFFF or 0xD800 <= code <= 0xDFFF:
            raise BadEscape(found.start(), found["hex"])
        return chr(code)

    return ESCAPE.sub(replace, body)


def encode(value: str) -> str:
    """A double-quoted literal that means `value`, readable where it can be."""
    text = json.dumps(value, ensure_ascii=False)
    # JSON's own escapes are all ours but `\/`, which dumps never writes.
    return "".join(char if char.isprintable() else _escape(char) for char in text)


def _escape(char: str) -> str:
    code = ord(char)
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
