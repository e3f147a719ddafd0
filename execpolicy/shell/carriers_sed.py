"""sed: reads a script as far as it takes to know which commands it holds."""

from __future__ import annotations

from execpolicy.facts import Access, Word
from execpolicy.late import late_pattern
from execpolicy.shell.carriers_base import Carried, Pad
from execpolicy.shell.carriers_options import known, scan
from execpolicy.shell.catalogue import Entry

Argv = tuple[Word, ...]
SIMPLE = frozenset("=dDgGhHnNpPxzFlqQL")
ADDRESS = late_pattern(r"\s*(?:\d+(?:[~,]\s*[+~]?\d+)?|\$|[+~]\d+)")


def sed(program: str, entry: Entry, argv: Argv) -> Carried:
    """`sed [-n] [-i] 'SCRIPT' FILE...`."""
    pad = Pad(program, entry)
    read = scan(argv, entry.options)
    if read.has("--version", "--help"):
        return pad.carried()
    pad.unknowns.extend(read.doubts)
    scripts = list(read.of("-e", "--expression"))
    operands = list(read.operands)
    for value in read.of("-f", "--file"):
        pad.touch(value, Access.EXECUTE, f"script of {program}")
        pad.unknown("a script file that is not read", value)
    inplace = read.has("-i", "--in-place")
    if inplace and operands and known(operands[0]) == "":
        # `sed -i '' SCRIPT FILE`: the suffix is a word of its own on some systems.
        operands.pop(0)
    if not scripts and not read.has("-f", "--file") and operands:
        scripts.append(operands.pop(0))
    if scripts:
        texts = [known(word) for word in scripts]
        if None in texts:
            pad.unknown("the script of sed is not known", scripts[0])
        else:
            _judge(pad, "\n".join(text or "" for text in texts), scripts[0])
    for path in operands:
        pad.touch(path, Access.WRITE if inplace else Access.READ)
    return pad.carried()


def _judge(pad: Pad, text: str, word: Word) -> None:
    reading = SedScript(text)
    if not reading.run():
        pad.unknown("the script of sed is not read exactly", word)
    for path in reading.writes:
        pad.touch(Word.literal(path, span=word.span), Access.WRITE, "command `w` of sed")
    for path in reading.reads:
        pad.touch(Word.literal(path, span=word.span), Access.READ, "command `r` of sed")
    for command in reading.runs:
        if command:
            pad.shell_text(Word.literal(command, span=word.span), "sh")
        else:
            pad.unknown("sed runs what it reads (`e`)", word)


class SedScript:
    """One pass over a script; `run` is False when a place was not read."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.writes: list[str] = []
        self.reads: list[str] = []
        self.runs: list[str] = []

    def run(self) -> bool:
        while True:
            self._skip(" \t\n;}")
            if self.at >= len(self.text):
                return True
            if not self._command():
                return False

    def _skip(self, characters: str) -> None:
        while self.at < len(self.text) and self.text[self.at] in characters:
            self.at += 1

    def _line(self) -> str:
        """The rest of the line."""
        end = self.text.find("\n", self.at)
        end = len(self.text) if end < 0 else end
        line = self.text[self.at : end]
        self.at = end
        return line.strip()

    def _addresses(self) -> bool:
        while self.at < len(self.text):
            number = ADDRESS.match(self.text, self.at)
            if number is not None:
                self.at = number.end()
            elif self.text[self.at] == "/":
                self.at += 1
                if not self._delimited("/"):
                    return False
                self._skip("IM")
            elif self.text[self.at] == "\\" and self.at + 1 < len(self.text):
                mark = self.text[self.at + 1]
                self.at += 2
                if not self._delimited(mark):
                    return False
                self._skip("IM")
            elif self.text[self.at] in ", \t!":
                self.at += 1
            else:
                return True
        return True

    def _delimited(self, mark: str) -> bool:
        """Pass over text up to `mark`, which stands unescaped."""
        while self.at < len(self.text):
            character = self.text[self.at]
            if character == "\\":
                self.at += 2
                continue
            self.at += 1
            if character == mark:
                return True
        return False

    def _command(self) -> bool:
        if not self._addresses() or self.at >= len(self.text):
            return False
        command = self.text[self.at]
        self.at += 1
        if command in "{":
            return True
        if command in SIMPLE:
            self._skip(" \t0123456789")
            return self.at >= len(self.text) or self.text[self.at] in ";\n}# \t"
        if command in "#":
            self._line()
            return True
        if command in "aic":
            self._text()
            return True
        if command in ":btTv":
            while self.at < len(self.text) and self.text[self.at] not in ";\n}":
                self.at += 1
            return True
        if command in "rR":
            self.reads.append(self._line())
            return True
        if command in "wW":
            self.writes.append(self._line())
            return True
        if command == "e":
            self.runs.append(self._line())
            return True
        return command in "sy" and self._substitute(command)

    def _text(self) -> None:
        """Text to insert goes on over lines that end in a backslash."""
        while self.at < len(self.text):
            end = self.text.find("\n", self.at)
            if end < 0:
                self.at = len(self.text)
                return
            escaped = self.text[self.at : end].endswith("\\")
            self.at = end + 1
            if not escaped:
                return

    def _substitute(self, command: str) -> bool:
        if self.at >= len(self.text):
            return False
        mark = self.text[self.at]
        self.at += 1
        if mark in "\n\\" or not self._delimited(mark) or not self._delimited(mark):
            return False
        while command == "s" and self.at < len(self.text):
            flag = self.text[self.at]
            if flag in "gpiImM0123456789":
                self.at += 1
            elif flag == "e":
                self.at += 1
                self.runs.append("")
            elif flag == "w":
                self.at += 1
                self.writes.append(self._line())
                return True
            else:
                break
        return self.at >= len(self.text) or self.text[self.at] in ";\n}# \t"
