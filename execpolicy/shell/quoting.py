"""What quoted text stands for: `$'...'` escapes and the text inside backquotes."""

from __future__ import annotations

import re

from execpolicy.late import late_pattern

_ESCAPE = late_pattern(
    r"\\(?:([abeEfnrtv\\'\"?])|([0-7]{1,3})|x([0-9A-Fa-f]{1,2})|u([0-9A-Fa-f]{1,4})|U([0-9A-Fa-f]{1,8})|c(.)|(.))",
    re.DOTALL,
)
_SIMPLE = {
    "a": "\a", "b": "\b", "e": "\x1b", "E": "\x1b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v",
    "\\": "\\", "'": "'", '"': '"', "?": "?",
}  # fmt: skip


def ansi_c(body: str) -> str | None:
    """The text of `$'body'`, or None where bash's own answer depends on its locale or its buffers."""
    out = bytearray()
    done = 0
    for match in _ESCAPE.finditer(body):
        out += body[done : match.start()].encode("utf-8", "surrogatepass")
        done = match.end()
        simple, octal, hexadecimal, short, long, control, other = match.groups()
        if simple is not None:
            out += _SIMPLE[simple].encode()
        elif octal is not None:
            out.append(int(octal, 8) & 0xFF)
        elif hexadecimal is not None:
            out.append(int(hexadecimal, 16))
        elif short is not None or long is not None:
            code = int(short or long, 16)
            if code >= 0x80:
                return None
            out.append(code)
        elif control is not None or other in "xuUc":
            return None
        else:
            out += b"\\" + other.encode("utf-8", "surrogatepass")
    out += body[done:].encode("utf-8", "surrogatepass")
    if any(byte in out for byte in (0, 1, 0x7F)):
        return None
    try:
        return out.decode("utf-8")
    except UnicodeDecodeError:
        return None


def inside_backquotes(body: str, *, double_quoted: bool) -> str:
    """The script between two backquotes, one level of backslashes taken off."""
    if "\\" not in body:
        return body
    if double_quoted:
        body = re.sub(r"\\(.)", lambda m: '"' if m[1] == '"' else m[0], body, flags=re.DOTALL)
    return re.sub(r"\\([$`\\])", r"\1", body)
