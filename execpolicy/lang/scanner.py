"""Cuts a rule file into statements of tokens, so that one broken statement stays alone.

Linear in the text: every token pattern is possessive, and no text is scanned twice.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from execpolicy.diagnostics import Diagnostic
from execpolicy.lang.syntax import Comment
from execpolicy.source import SourceText, Span
from execpolicy.values import field, slotted

MAX_DEPTH = 64  # brackets, and `not` in a row
MAX_ERRORS = 20  # in one statement
MAX_TOKENS = 200_000  # in one statement
DECLARATIONS = (
    "prefix_rule",
    "command_rule",
    "path_rule",
    "network_rule",
    "tool_rule",
    "host_executable",
    "defaults",
    "exception",
    "mask",
)
KEYWORDS = frozenset({"and", "or", "not", "in"})
# fmt: off
PROGRAM_WORDS = frozenset({
    "def", "for", "if", "elif", "else", "while", "lambda", "return", "pass", "break", "continue", "load", "import",
    "from", "class", "try", "except", "finally", "raise", "assert", "del", "global", "nonlocal", "with", "yield",
    "async", "await", "is", "as",
})
# fmt: on
TOKEN = re.compile(
    r"""
      (?P<space>(?:[ \t]|\\\r?\n)++)
    | (?P<newline>\r?\n)
    | (?P<comment>\#[^\n]*+)
    | (?P<string>[A-Za-z]{0,2}(?:
            \"\"\"(?:[^"\\]++|\\.|"(?!""))*+\"\"\"
          | '''(?:[^'\\]++|\\.|'(?!''))*+'''
          | "(?!"")(?:[^"\\\n]++|\\\r\n|\\.)*+"
          | '(?!'')(?:[^'\\\n]++|\\\r\n|\\.)*+'
          | ""(?!") | ''(?!')
      ))
    | (?P<name>[A-Za-z_][A-Za-z0-9_]*+)
    | (?P<number>[0-9][0-9A-Za-z_.]*+)
    | (?P<op>==|!=|<=|>=|[-()\[\]{},=+:.;<>*/%|&^~])
    """,
    re.VERBOSE | re.DOTALL,
)
OPENED_STRING = re.compile(r"[A-Za-z]{0,2}(\"\"\"|'''|\"|')")
NEXT_DECLARATION = re.compile(rf"(?:{'|'.join(DECLARATIONS)})[ \t]*\(")
LATER_DECLARATION = re.compile(rf"^{NEXT_DECLARATION.pattern}", re.MULTILINE)
TO_LINE_END = re.compile(r"[^\n]*")
CLOSES = {")": "(", "]": "[", "}": "{"}
OPENS = {opening: closing for closing, opening in CLOSES.items()}
IMPORT_HELP = "`agent policy import FILE` writes the rules that a program makes"


class Token(NamedTuple):
    kind: str  # name string number keyword op
    text: str
    start: int
    end: int


@slotted
class Chunk:
    """The tokens of one statement. With errors it is not parsed: its tokens may not be what was meant."""

    tokens: list[Token]
    start: int
    end: int
    opened_at: int = 0
    hopeless: bool = False  # the rest of it is not read
    errors: list[Diagnostic] = field(default_factory=list)


class Scanner:
    """Hands out the statements of one text, and keeps its comments."""

    def __init__(self, source: SourceText) -> None:
        self.source = source
        self.comments: list[Comment] = []
        self._no_more: set[str] = set()  # triple quotes that are known to be never closed from here on

    def chunks(self, start: int = 0) -> Iterator[Chunk]:
        """Statements from `start` on; each ends at a newline or `;` outside brackets."""
        text, at = self.source.text, start
        while at < len(text):
            chunk, at = self.statement(at)
            if chunk.tokens or chunk.errors:
                yield chunk

    def statement(self, at: int) -> tuple[Chunk, int]:
        """The statement that starts at `at`, and where the next one starts."""
        text, match = self.source.text, TOKEN.match
        chunk = Chunk([], at, at)
        opened: list[str] = []
        nots = 0
        end = len(text)
        while at < end:
            if chunk.hopeless:
                return self._close(chunk, opened), self.next_declaration(at)
            found = None if self._no_more and self._never_closed(at) else match(text, at)
            if found is None:
                at = self._unreadable(at, chunk)
                if not chunk.tokens and chunk.errors[-1].code == "E001":
                    return chunk, at  # what follows is read for itself: it may deny
                continue
            kind, stop = found.lastgroup, found.end()
            if kind == "newline":
                if not opened or NEXT_DECLARATION.match(text, stop):
                    return self._close(chunk, opened), stop
            elif kind == "comment":
                self._comment(at, stop)
            elif kind != "space":
                word = found.group()
                if kind == "op" and word == ";" and not opened:
                    return self._close(chunk, opened), stop
                nots = nots + 1 if word == "not" else 0
                if kind == "op":
                    self._bracket(chunk, opened, word, at)
                elif kind == "string":
                    if word[0] not in "\"'":
                        self._prefix(chunk, word, at)
                elif word in KEYWORDS:
                    kind = "keyword"
                    if nots == MAX_DEPTH:
                        self._too_deep(chunk, at, stop)
                self._add(chunk, Token(kind or "", word, at, stop))
            at = stop
        return self._close(chunk, opened), end

    def next_declaration(self, at: int) -> int:
        """Where the next declaration starts a line, from `at` on."""
        found = LATER_DECLARATION.search(self.source.text, at)
        return found.start() if found else len(self.source.text)

    def _never_closed(self, at: int) -> bool:
        found = OPENED_STRING.match(self.source.text, at)
        return found is not None and len(found[1]) == 3 and found[1] in self._no_more

    def _add(self, chunk: Chunk, token: Token) -> None:
        if not chunk.tokens and not chunk.errors:
            chunk.start = token.start
        chunk.end = token.end
        if not chunk.errors or not chunk.tokens:
            chunk.tokens.append(token)
            if len(chunk.tokens) == MAX_TOKENS:
                self._error(
                    chunk,
                    "E006",
                    "statement is too long",
                    chunk.start,
                    chunk.start + 1,
                    f"{MAX_TOKENS} words",
                )

    def _bracket(self, chunk: Chunk, opened: list[str], word: str, at: int) -> None:
        if word in "([{":
            if not opened:
                chunk.opened_at = at
            opened.append(word)
            if len(opened) == MAX_DEPTH:
                self._too_deep(chunk, at, at + 1)
        elif word in CLOSES:
            if not opened:
                self._error(chunk, "E004", f"`{word}` closes nothing", at, at + 1, "")
                return
            if opened[-1] != CLOSES[word]:
                wanted = OPENS[opened[-1]]
                self._error(
                    chunk,
                    "E004",
                    f"`{word}` does not close `{opened[-1]}`",
                    at,
                    at + 1,
                    f"expected `{wanted}`",
                )
            # The innermost bracket is taken as closed in any case, so that the statement can still end.
            opened.pop()

    def _too_deep(self, chunk: Chunk, at: int, stop: int) -> None:
        self._error(chunk, "E006", "nested too deeply", at, stop, f"at most {MAX_DEPTH} levels")

    def _close(self, chunk: Chunk, opened: list[str]) -> Chunk:
        if opened and not chunk.errors:
            at = chunk.opened_at
            self._error(chunk, "E003", f"`{opened[0]}` is never closed", at, at + 1, "opened here")
        return chunk

    def _prefix(self, chunk: Chunk, word: str, at: int) -> None:
        quote = min(place for place in (word.find('"'), word.find("'")) if place >= 0)
        prefix = word[:quote]
        if prefix == "r":
            return
        if prefix in ("f", "fr", "b", "br", "rb"):
            kind = "a format string" if "f" in prefix else "a byte string"
            self._error(
                chunk, "E007", f"{kind} belongs to a Starlark program", at, at + quote, "", help=IMPORT_HELP
            )
        else:
            self._error(
                chunk, "E002", f"`{prefix}` is not a string prefix", at, at + quote, "`r` is the only one"
            )

    def _comment(self, at: int, stop: int) -> None:
        text = self.source.text
        before = text.rfind("\n", 0, at) + 1
        own = at - before < 4096 and text[before:at].strip(" \t") == ""
        body = text[at:stop].rstrip()
        self.comments.append(Comment(body, Span(at, at + len(body)), own))

    def _unreadable(self, at: int, chunk: Chunk) -> int:
        text = self.source.text
        if found := OPENED_STRING.match(text, at):
            quote = found[1]
            stop = TO_LINE_END.match(text, at).end()  # type: ignore[union-attr]
            self._no_more.add(quote)
            note = "" if len(quote) == 3 else "a string ends on the line where it starts"
            self._error(chunk, "E002", "unfinished string", at, found.end(), "opened here", help=note)
            return stop
        char = text[at]
        help_ = ""
        if char == "\ufeff":
            help_ = "save the file as UTF-8 without a byte order mark"
        elif char in "\u201c\u201d\u2018\u2019":
            help_ = "use straight quotes"
        elif char in "\u00a0\u3000":
            help_ = "use an ordinary space"
        shown = char if char.isprintable() else f"U+{ord(char):04X}"
        stop = at + 1
        while stop < len(text) and text[stop] == char:
            stop += 1
        self._error(chunk, "E001", f"unexpected character `{shown}`", at, min(stop, at + 1), "", help=help_)
        return stop

    def _error(
        self, chunk: Chunk, code: str, message: str, start: int, end: int, label: str, *, help: str = ""
    ) -> None:
        chunk.hopeless = code == "E006" or len(chunk.errors) == MAX_ERRORS - 1
        if len(chunk.errors) < MAX_ERRORS:
            chunk.errors.append(
                Diagnostic(
                    code=code,
                    message=message,
                    source=self.source,
                    span=Span(start, end),
                    label=label,
                    help=help,
                )
            )
