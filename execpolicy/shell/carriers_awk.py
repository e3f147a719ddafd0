"""awk: reads a program as far as it takes to know that it only computes and prints."""

from __future__ import annotations

import re

from execpolicy.facts import Access, Word
from execpolicy.late import late_pattern
from execpolicy.shell.carriers_base import Carried, Pad
from execpolicy.shell.carriers_options import known, scan
from execpolicy.shell.catalogue import Entry

Argv = tuple[Word, ...]

TOKEN = late_pattern(
    r'"(?:[^"\\\n]|\\.)*"|[A-Za-z_]\w*|[0-9.]+|\|\||\|&|&&|>=|<=|==|!=|>>|\s+|#[^\n]*|.', re.DOTALL
)
REGEX = late_pattern(r"/(?:[^/\\\[\n]|\\.|\[\^?\]?(?:[^\]\\\n]|\\.)*\])*/")
# Behind these a slash divides; anywhere else it opens a pattern.
WORDS_BEFORE_PATTERN = frozenset(
    ("print", "printf", "return", "in", "if", "while", "for", "else", "do", "case")
)
RUNS = frozenset(("system", "getline", "@"))


def awk(program: str, entry: Entry, argv: Argv) -> Carried:
    """`awk [-v A=B] 'PROGRAM' FILE...`."""
    pad = Pad(program, entry)
    read = scan(argv, entry.options)
    rest = argv[read.rest :]
    if read.has("--version", "-V", "--help", "-h") and not rest:
        return pad.carried()
    pad.unknowns.extend(read.doubts)
    for value in read.of("-W"):
        if known(value) not in ("version", "posix", "traditional", "interactive"):
            pad.unknown("an option of awk that may name a script", value)
    texts = list(read.of("-e", "--source"))
    for value in read.of("-f", "--file", "-E", "--exec", "-i", "--include", "-l", "--load"):
        pad.touch(value, Access.EXECUTE, f"script of {program}")
        pad.unknown("a script file that is not read", value)
        if known(value) == "inplace":
            pad.unknown("awk changes its operands in place", value)
    if not texts and not read.has("-f", "--file", "-E", "--exec") and rest:
        texts.append(rest[0])
        rest = rest[1:]
    for value in read.of("-o", "--pretty-print", "-d", "--dump-variables", "-p", "--profile"):
        pad.touch(value, Access.WRITE)
    for text in texts:
        _judge(pad, text)
    for path in rest:
        if "=" not in path.prefix:
            pad.touch(path, Access.READ)
    return pad.carried()


def _judge(pad: Pad, word: Word) -> None:
    text = known(word)
    if text is None:
        pad.unknown("the program text of awk is not known", word)
        return
    tokens = tokens_of(text)
    if tokens is None:
        pad.unknown("the program text of awk is not read exactly", word)
        return
    for why, path in dangers(tokens):
        if path is None:
            pad.unknown(why, word)
        else:
            pad.touch(Word.literal(path, span=word.span), Access.WRITE, why)


def tokens_of(text: str) -> list[str] | None:
    """The tokens of a program, blanks dropped, patterns as `/`; None when they are in doubt."""
    tokens: list[str] = []
    at = 0
    while at < len(text):
        if text[at] == "/" and not _divides(tokens):
            pattern = REGEX.match(text, at)
            if pattern is None:
                return None
            tokens.append("/re/")
            at = pattern.end()
            continue
        found = TOKEN.match(text, at)
        if found is None or found.group() == '"' or (found.group() == "\\" and text[at : at + 2] != "\\\n"):
            return None
        piece = found.group()
        at = found.end()
        if piece == "\n" or (piece.isspace() and "\n" in piece):
            tokens.append("\n")
        elif not piece.isspace() and not piece.startswith("#"):
            tokens.append(piece)
    return tokens


def _divides(tokens: list[str]) -> bool:
    if not tokens:
        return False
    last = tokens[-1]
    return (last[0].isalnum() or last[0] in '_.")]$') and last not in WORDS_BEFORE_PATTERN


def dangers(tokens: list[str]) -> list[tuple[str, str | None]]:
    """What a program can do beside printing: a phrase each, and the path when it writes a known file."""
    found: list[tuple[str, str | None]] = []
    printing = False
    depth = 0
    for place, token in enumerate(tokens):
        if token in RUNS:
            found.append((f"awk may run a program or read a file (`{token}`)", None))
        elif token in ("|", "|&"):
            found.append(("awk may run a program (`|`)", None))
        elif token in ("print", "printf"):
            printing, depth = True, 0
        elif token in ("(", "["):
            depth += 1
        elif token in (")", "]"):
            depth -= 1
        elif token in (";", "\n", "}", "{"):
            printing = False
        elif token in (">", ">>") and printing and depth <= 0:
            target = tokens[place + 1] if place + 1 < len(tokens) else ""
            after = tokens[place + 2] if place + 2 < len(tokens) else ""
            if target.startswith('"') and "\\" not in target and after in (";", "\n", "}", ""):
                found.append(("`print >` of awk", target[1:-1]))
            else:
                found.append(("awk writes a file that is not known", None))
    return found
