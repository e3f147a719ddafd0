"""Words and strings as Codex writes and reads them: shell words, Rust debug strings."""

from __future__ import annotations

import unicodedata

# Rust's white space: Python's `str.strip` also takes U+001C to U+001F.
WHITE = "\t\n\v\f\r \x85\xa0\u1680\u2028\u2029\u202f\u205f\u3000" + "".join(map(chr, range(0x2000, 0x200B)))
BARE = frozenset("+-./:@]_0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz")
NOT_IN_SINGLE = frozenset("'^\\")
NOT_IN_DOUBLE = frozenset("`$!^")
ESCAPED_IN_DOUBLE = frozenset('$`"\\')
DEBUG = {"\0": "\\0", "\t": "\\t", "\n": "\\n", "\r": "\\r", '"': '\\"', "\\": "\\\\"}


def split_words(text: str) -> list[str] | None:
    """Shell words of an example: quotes, backslashes and comments, nothing else. None when a quote is open."""
    words: list[str] = []
    at = 0
    while at < len(text):
        if text[at] in " \t\n":
            at += 1
        elif text[at] == "#":
            end = text.find("\n", at)
            at = len(text) if end < 0 else end + 1
        else:
            found = _word(text, at)
            if found is None:
                return None
            word, at = found
            words.append(word)
    return words


def _word(text: str, at: int) -> tuple[str, int] | None:
    out: list[str] = []
    while at < len(text) and text[at] not in " \t\n":
        char = text[at]
        at += 1
        if char == "'":
            end = text.find("'", at)
            if end < 0:
                return None
            out.append(text[at:end])
            at = end + 1
        elif char == '"':
            inside = _double(text, at)
            if inside is None:
                return None
            out.append(inside[0])
            at = inside[1]
        elif char == "\\":
            if at == len(text):
                return None
            if text[at] != "\n":
                out.append(text[at])
            at += 1
        else:
            out.append(char)
    return "".join(out), at


def _double(text: str, at: int) -> tuple[str, int] | None:
    out: list[str] = []
    while at < len(text):
        char = text[at]
        at += 1
        if char == '"':
            return "".join(out), at
        if char == "\\":
            if at == len(text):
                return None
            follow = text[at]
            at += 1
            if follow in ESCAPED_IN_DOUBLE:
                out.append(follow)
            elif follow != "\n":
                out.append("\\" + follow)
        else:
            out.append(char)
    return None


def join_words(words: tuple[str, ...]) -> str | None:
    """Words as one would type them; None when one holds NUL."""
    if any("\0" in word for word in words):
        return None
    return " ".join(map(_quoted, words))


def _quoted(word: str) -> str:
    if not word:
        return "''"
    out: list[str] = []
    at = 0
    while at < len(word):
        end, style = _chunk(word, at)
        chunk = word[at:end]
        if style == "":
            out.append(chunk)
        elif style == "'":
            out.append(f"'{chunk}'")
        else:
            out.append(
                '"' + "".join("\\" + char if char in ESCAPED_IN_DOUBLE else char for char in chunk) + '"'
            )
        at = end
    return "".join(out)


def _chunk(word: str, at: int) -> tuple[int, str]:
    """How far one way of quoting reaches, and which: none, single or double quotes, in this order."""
    bare, single, double = True, True, True
    end = at
    if word[at] == "^":  # bash reads a caret elsewhere as history
        bare = double = False
        end += 1
    while end < len(word):
        char = word[end]
        follow = (
            bare and char in BARE,
            single and char not in NOT_IN_SINGLE,
            double and char not in NOT_IN_DOUBLE,
        )
        if not any(follow):
            break
        bare, single, double = follow
        end += 1
    return end, "" if bare else "'" if single else '"'


def debug(text: str) -> str:
    """`text` as Rust's debug form writes it."""
    return '"' + "".join(map(_debug_char, text)) + '"'


def _debug_char(char: str) -> str:
    if char in DEBUG:
        return DEBUG[char]
    if char == " " or (char.isprintable() and unicodedata.category(char) not in ("Mn", "Me")):
        return char
    return f"\\u{{{ord(char):x}}}"


def debug_list(items: list[str]) -> str:
    """A list of things that are already in debug form."""
    return f"[{', '.join(items)}]"


def normal_path(path: str) -> str:
    """An absolute path without `.`, `..` and doubled slashes."""
    parts: list[str] = []
    for part in path.split("/"):
        if part == "..":
            del parts[-1:]
        elif part not in ("", "."):
            parts.append(part)
    return "/" + "/".join(parts)
