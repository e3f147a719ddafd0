"""Reads a script as bash does: lists, pipelines and simple commands, or says where it did not."""

from __future__ import annotations

from execpolicy.late import late_pattern
from execpolicy.shell.compound import CompoundReader
from execpolicy.shell.lexer import MAX_LENGTH, Budget, Unread
from execpolicy.shell.tree import Block, Failure, Part, Script, Text
from execpolicy.source import Span

_HERE_RUN = late_pattern(r"[^\\$`]+")


class Reader(CompoundReader):
    """Reads a whole text."""

    def script(self) -> Script:
        """Everything up to the end, line by line as bash takes it."""
        lines: list[Block] = []
        failure: Failure | None = None
        done = len(self.finished)
        try:
            strange = self.strange()
            if strange is not None:
                raise strange
            if self.end > MAX_LENGTH:
                raise Unread("too long to be read", 0, self.end)
            while True:
                self.newlines()
                if self.pos >= self.end:
                    break
                lines.append(self.line())
                done = len(self.finished)
            if self.pending:
                self.documents()
        except Unread as unread:
            failure = Failure(unread.why, self.place(unread.start, unread.end))
        except RecursionError:
            failure = Failure("nested too deeply", self.place(self.pos, self.pos))
        return Script(tuple(lines), failure, tuple(self.finished[done:]) if failure else ())

    def inner(self, text: str, start: int, end: int, *, same: bool) -> Block:
        script = self.nested(text, self.place(start, end), same=same).script()
        if script.failure is not None:
            raise Unread(script.failure.why, start, end)
        return Block(tuple(item for line in script.lines for item in line.items))

    def expanded(self, text: str, span: Span, start: int, *, same: bool) -> tuple[Part, ...]:
        reader = self.nested(text, span, same=same)
        try:
            return reader.here_text()
        except Unread as unread:
            raise Unread(unread.why, start, start) from None

    def nested(self, text: str, span: Span, *, same: bool) -> Reader:
        """A reader for text inside this one; with `same` it stands at `span` as it is."""
        if same:
            return Reader(text, self.budget, self.finished, base=span.start, fixed=self.fixed)
        return Reader(text, self.budget, self.finished, fixed=span)

    def here_text(self) -> tuple[Part, ...]:
        """The whole text, expanded as the text of a here-document is."""
        parts: list[Part] = []
        while self.pos < self.end:
            run = _HERE_RUN.match(self.text, self.pos)
            if run is not None:
                parts.append(Text(run[0], True))
                self.pos = run.end()
            else:
                self.inside_double(self.text[self.pos], parts, "$`\\")
        return tuple(parts)


def read(source: str, budget: Budget | None = None, *, fixed: Span | None = None) -> Script:
    """The tree of `source`. Never raises."""
    return Reader(source, budget or Budget(), [], fixed=fixed).script()
