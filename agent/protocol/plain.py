"""Text of others on a terminal: what would steer the terminal or hide something is made visible."""

from __future__ import annotations

import re

# Colours and other renditions of command output: dropped, they carry no text.
_RENDITION = re.compile("\x1b\\[[0-9;:]*m")
_RENDERED = re.compile(r"(error|warning|note)\[")  # how a diagnostic begins
_EMOJI_GLUE = re.compile("[\u200d\ufe0e\ufe0f]")
_GAP = re.compile(r"[^\S\n]{40,}")
_BLANK = re.compile(r"\n(?:[^\S\n]*\n){4,}")

# Not printed by a terminal, or printed elsewhere than they stand: bidirectional controls, characters
# without width, invisible operators, tags, variation selectors, line and paragraph separators.
_HIDDEN = (
    "\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2028-\u202e\u2060-\u206f\u3164"
    "\ufe00-\ufe0f\ufeff\uffa0\ufff9-\ufffb\u0600-\u0605\u06dd\u070f\u0890\u0891\u08e2\U000110bd\U000110cd\U00013430-\U0001343f"
    "\U00016fe4\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
)
_STEERS = re.compile(f"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff{_HIDDEN}]")
# Blank, and yet no blank to a shell.
_BLANKS = re.compile("[\u00a0\u1680\u2000-\u200a\u202f\u205f\u2800\u3000]")


def visible(text: str) -> str:
    """`text` with every character shown where it stands; line ends and tabs stay."""
    return _STEERS.sub(_picture, text.replace("\r\n", "\n"))


def one_line(text: str, most: int = 200) -> str:
    """`visible` text in one line of at most `most` characters."""
    line = visible(text).strip().replace("\n", "⏎ ").replace("\t", " ")
    return line if len(line) <= most else line[: most - 1] + "…"


def output_text(text: str) -> str:
    """`visible` text of a command's output; colours are dropped."""
    return visible(_RENDITION.sub("", text))


def message_text(text: str) -> str:
    """`visible` text of the model; what only joins or colours emoji is dropped."""
    return visible(_EMOJI_GLUE.sub("", text))


def command_text(text: str) -> str:
    """`visible` text of a command; a gap that would push the rest out of sight is named instead."""
    named = _BLANKS.sub(_picture, visible(text))
    shown = _GAP.sub(lambda found: f" ⟨{len(found[0])} blanks⟩ ", named)
    return _BLANK.sub(lambda found: "\n⟨" + str(found[0].count("\n") - 1) + " empty lines⟩\n", shown)


def _picture(found: re.Match[str]) -> str:
    code = ord(found[0])
    if code < 0x20:
        return chr(0x2400 + code)  # U+241B for escape, and so on
    if code == 0x7F:
        return "␡"
    return f"⟨U+{code:04X}⟩"


def labelled(word: str, message: str) -> str:
    """`visible` lines that each begin with `word:`; a rendered diagnostic has its own label and keeps it."""
    paragraphs: list[str] = []
    for paragraph in visible(message).split("\n\n"):
        if _RENDERED.match(paragraph):
            paragraphs.append(paragraph + "\n")
        else:
            paragraphs.append("\n".join(f"{word}: {line}" for line in paragraph.split("\n") if line))
    return "\n".join(paragraphs).rstrip("\n")
