"""Reads words: every quoting and every expansion, with the commands that hide in them."""

from __future__ import annotations

import re
from abc import abstractmethod

from execpolicy.late import late_pattern
from execpolicy.shell.lexer import Lexer, Unread
from execpolicy.shell.quoting import ansi_c, inside_backquotes
from execpolicy.shell.tree import (
    Arithmetic,
    AssignNode,
    Block,
    Parameter,
    Part,
    ProcessSubstitution,
    Substitution,
    Text,
    WordNode,
)

_RUN = late_pattern(r"[^ \t\n;&|()<>$`\"'\\]+")
_DOUBLE = late_pattern(r"[^\"\\$`]+")
_HERE = late_pattern(r"[^\\$`]+")
_NAME = late_pattern(r"[A-Za-z_][A-Za-z0-9_]*")
_VARIABLE = late_pattern(r"[A-Za-z_][A-Za-z0-9_]*|[0-9@*#?$!-]")
_BRACED = late_pattern(r"[A-Za-z_][A-Za-z0-9_]*|[0-9]+|[@*#?$!-]")
_LENGTH = late_pattern(r"#([A-Za-z_][A-Za-z0-9_]*|[0-9]+|[@*?$!#-])?")
_OPERATOR = late_pattern(r":[-=?+]|[-=?+]|##?|%%?|//?|\^\^?|,,?|~~?|@[QEPAKaULuk]|:")
_PATTERN_OPERATORS = frozenset({"#", "##", "%", "%%", "/", "//", "^", "^^", ",", ",,", "~", "~~"})
_OPERAND = late_pattern(r"[^}\"'\\$`<>]+")
_OPERAND_QUOTED = late_pattern(r"[^}\"'\\$`<>]+")
_BACKQUOTED = late_pattern(r"(?:[^`\\]|\\.)*", re.DOTALL)
_ARITHMETIC = late_pattern(r"[^()\"'\\$`]+")
_ANSI = late_pattern(r"(?:[^'\\]|\\.)*", re.DOTALL)
_SUBSCRIPT = late_pattern(r"[^\[\]\"'\\$` \t\n;&|()<>]+")
_DESCRIPTOR = late_pattern(r"[0-9]+\Z|\{[A-Za-z_][A-Za-z0-9_]*\}\Z")
_ANGLES = ("<", ">")
_ASSIGN = late_pattern(r"([A-Za-z_][A-Za-z0-9_]*)(\+?=)")
_ELEMENT = late_pattern(r"([A-Za-z_][A-Za-z0-9_]*)\[")
_PLAIN = late_pattern(r"([^ \t\n;&|()<>$`\"'\\*?\[{}~]+)(?=[ \t\n;&|)]|\Z)")


class WordReader(Lexer):
    """Reads one word at the current place."""

    @abstractmethod
    def parenthesised(self) -> Block:
        """Read a list up to its `)`; the place is just after the `(`."""

    @abstractmethod
    def inner(self, text: str, start: int, end: int, *, same: bool) -> Block:
        """Read `text` as a script of its own; with `same` it stands in this text as it is."""

    @abstractmethod
    def newline(self) -> None:
        """Take the newline that stands here, and the here-documents that wait for it."""

    def word(self) -> WordNode:
        """The word that starts here. Empty when no word does: the place has not moved."""
        start = self.pos
        plain = _PLAIN.match(self.text, start)
        self.step()
        if plain is not None:
            self.pos = plain.end()
            return WordNode(plain[1], *self.at(start, self.pos))
        parts = self.pieces()
        return WordNode(self.text[start : self.pos], *self.at(start, self.pos), parts)

    def token(self, expected: str, *, number: bool = False) -> WordNode:
        """A word where nothing else may stand. Digits or `{name}` in front of an angle are none."""
        start = self.pos
        node = self.word()
        if self.pos == start:
            raise self.fail(expected)
        at_angle = self.text[self.pos : self.pos + 1] in _ANGLES and _DESCRIPTOR.match(node.raw) is not None
        if at_angle and not (number and node.raw[0] != "{"):
            raise self.fail(expected, start)
        return node

    def pieces(self) -> tuple[Part, ...]:
        """The pieces of an unquoted word, up to a blank or an operator."""
        text = self.text
        parts: list[Part] = []
        while self.pos < self.end:
            char = text[self.pos]
            run = _RUN.match(text, self.pos)
            if run is not None:
                parts.append(Text(run[0], False))
                self.pos = run.end()
            elif char in "<>":
                if text[self.pos + 1 : self.pos + 2] != "(":
                    break
                parts.append(self.process())
            elif not self.quoting(char, parts):
                break
            text = self.text
        return tuple(parts)

    def quoting(self, char: str, parts: list[Part]) -> bool:
        """Read one quoting or expansion outside double quotes; False when `char` starts none."""
        if char == "'":
            parts.append(Text(self.single(), True))
        elif char == '"':
            self.pos += 1
            self.double(parts)
        elif char == "\\":
            # At the very end of the text a backslash is itself.
            parts.append(Text(self.text[self.pos + 1 : self.pos + 2] or "\\", True))
            self.pos = min(self.pos + 2, self.end)
        elif char == "$":
            self.dollar(parts, quoted=False)
        elif char == "`":
            parts.append(self.backquotes(quoted=False))
        else:
            return False
        self.step()
        return True

    # --- quotes ---

    def single(self) -> str:
        """`'...'`; the place is at the opening quote."""
        start = self.pos + 1
        close = self.text.find("'", start)
        if close < 0:
            raise self.fail("single quote is not closed")
        self.pos = close + 1
        return self.as_written(start, close)

    def double(self, parts: list[Part]) -> None:
        """The pieces of `"..."`; the place is after the opening quote."""
        start = self.pos - 1
        before = len(parts)
        while True:
            run = _DOUBLE.match(self.text, self.pos)
            if run is not None:
                parts.append(Text(run[0], True))
                self.pos = run.end()
            if self.pos >= self.end:
                raise self.fail("double quote is not closed", start)
            char = self.text[self.pos]
            if char == '"':
                self.pos += 1
                break
            self.inside_double(char, parts)
        if len(parts) == before:
            parts.append(Text("", True))

    def inside_double(self, char: str, parts: list[Part], escapable: str = '$`"\\') -> None:
        """One backslash, dollar or backquote inside double quotes or a here-document."""
        self.step()
        if char == "\\":
            following = self.text[self.pos + 1 : self.pos + 2]
            if following and following in escapable:
                parts.append(Text(following, True))
                self.pos += 2
            else:
                parts.append(Text("\\", True))
                self.pos += 1
        elif char == "$":
            self.dollar(parts, quoted=True)
        else:
            parts.append(self.backquotes(quoted=True))

    def ansi(self, parts: list[Part]) -> None:
        """`$'...'`; the place is at the dollar."""
        start = self.pos
        body = _ANSI.match(self.text, start + 2)
        assert body is not None
        if not self.text.startswith("'", body.end()):
            raise self.fail("single quote is not closed", start)
        self.pos = body.end() + 1
        text = ansi_c(self.as_written(body.start(), body.end()))
        if text is None:
            raise self.fail("escape that depends on the locale", start)
        parts.append(Text(text, True))

    # --- substitutions ---

    def dollar(self, parts: list[Part], *, quoted: bool) -> None:
        """What `$` starts here; a lone dollar is itself."""
        start = self.pos
        text = self.text
        char = text[start + 1] if start + 1 < self.end else ""
        if char == "(":
            if text.startswith("(", start + 2) and self.arithmetic(parts, quoted=quoted):
                return
            self.pos = start + 2
            self.deeper()
            body = self.parenthesised()
            self.shallower()
            parts.append(Substitution(body, quoted, self.place(start, self.pos)))
        elif char == "{":
            self.deeper()
            parts.append(self.braces(quoted=quoted))
            self.shallower()
        elif char == "[":
            raise self.fail("old form of arithmetic")
        elif char == "'" and not quoted:
            self.ansi(parts)
        elif char == '"' and not quoted:
            self.pos += 2
            self.double(parts)
        else:
            name = _VARIABLE.match(text, start + 1)
            if name is None:
                parts.append(Text("$", True))
                self.pos = start + 1
            else:
                self.pos = name.end()
                parts.append(Parameter(name[0], quoted, self.place(start, self.pos)))

    def process(self) -> ProcessSubstitution:
        """`<(...)`; the place is at the angle."""
        start = self.pos
        self.pos += 2
        self.deeper()
        body = self.parenthesised()
        self.shallower()
        return ProcessSubstitution(body, self.place(start, self.pos))

    def backquotes(self, *, quoted: bool) -> Substitution:
        """Backquotes; the place is at the opening one."""
        start = self.pos
        raw = _BACKQUOTED.match(self.text, start + 1)
        assert raw is not None
        if not self.text.startswith("`", raw.end()):
            raise self.fail("backquote is not closed", start)
        self.pos = raw.end() + 1
        text = inside_backquotes(raw[0], double_quoted=quoted)
        self.deeper()
        same = text == raw[0] and not self.cut_within(start, self.pos)
        body = self.inner(text, raw.start(), raw.end(), same=same)
        self.shallower()
        return Substitution(body, quoted, self.place(start, self.pos))

    def arithmetic(self, parts: list[Part], *, quoted: bool) -> bool:
        """`$((...))`; False, with the place back at the dollar, when the parentheses say it is none."""
        start = self.pos
        found = self.expression(start + 3)
        if found is None:
            self.pos = start
            return False
        text, inner = found
        parts.append(Arithmetic(text, inner, quoted, self.place(start, self.pos)))
        return True

    def expression(self, start: int) -> tuple[str, tuple[Part, ...]] | None:
        """An expression up to its `))`, with the expansions in it; None when it does not end so."""
        self.pos = start
        parts: list[Part] = []
        odd: int | None = None
        level = 2
        while self.pos < self.end:
            run = _ARITHMETIC.match(self.text, self.pos)
            if run is not None:
                self.pos = run.end()
                continue
            self.step()
            char = self.text[self.pos]
            if char == "(":
                level += 1
                self.pos += 1
            elif char == ")":
                level -= 1
                self.pos += 1
                if level == 1:
                    if self.text[self.pos : self.pos + 1] != ")":
                        return None
                    if odd is not None:
                        raise self.fail("quote in arithmetic", odd)
                    self.pos += 1
                    return self.text[start : self.pos - 2], tuple(parts)
            elif char in "'\\":
                odd = self.pos
                self.quoting(char, [])
            elif char == '"':
                self.pos += 1
                self.double(parts)
            else:
                self.inside_double(char, parts)
        raise self.fail("parenthesis is not closed", start)

    # --- parameters ---

    def braces(self, *, quoted: bool) -> Parameter:
        """`${...}`; the place is at the dollar."""
        start = self.pos
        self.step()
        self.pos += 2
        text = self.text
        length = _LENGTH.match(text, self.pos)
        if length is not None:
            self.pos = length.end()
            subscript, inner = self.subscript()
            if length[1] is None and self.text.startswith("}", self.pos):
                return self.close(start, Parameter("#", quoted, self.place(start, self.pos + 1)))
            if length[1] is not None and self.text.startswith("}", self.pos):
                span = self.place(start, self.pos + 1)
                return self.close(start, Parameter(length[1], quoted, span, "length", subscript, inner))
            raise self.fail("parameter expansion", start)
        indirect = text.startswith("!", self.pos) and not text.startswith("!}", self.pos)
        if indirect:
            self.pos += 1
        name = _BRACED.match(text, self.pos)
        if name is None:
            raise self.fail("parameter expansion", start)
        self.pos = name.end()
        subscript, inner = self.subscript()
        if indirect:
            return self.indirect(start, name[0], subscript, inner, quoted=quoted)
        if self.text.startswith("}", self.pos):
            span = self.place(start, self.pos + 1)
            return self.close(start, Parameter(name[0], quoted, span, "", subscript, inner))
        operator = _OPERATOR.match(self.text, self.pos)
        if operator is None:
            raise self.fail("parameter expansion", start)
        self.pos = operator.end()
        at = self.pos
        operand = self.operand(operator[0], quoted=quoted)
        if operator[0][0] == "@" and operand:
            raise self.fail("parameter expansion", start)
        span = self.place(start, self.pos + 1)
        return self.close(
            start,
            Parameter(
                name[0], quoted, span, operator[0], subscript, inner + operand, self.text[at : self.pos]
            ),
        )

    def indirect(
        self, start: int, name: str, subscript: str | None, inner: tuple[Part, ...], *, quoted: bool
    ) -> Parameter:
        """The rest of `${!name...}`."""
        listing = self.text[self.pos : self.pos + 1]
        operator = "!"
        if listing in ("*", "@") and self.text.startswith("}", self.pos + 1):
            self.pos += 1
            operator = "!*"
        elif subscript in ("@", "*"):
            operator = "!*"
        if not self.text.startswith("}", self.pos):
            raise self.fail("indirect expansion", start)
        span = self.place(start, self.pos + 1)
        return self.close(start, Parameter(name, quoted, span, operator, subscript, inner))

    def close(self, start: int, parameter: Parameter) -> Parameter:
        if not self.text.startswith("}", self.pos):
            raise self.fail("brace is not closed", start)
        self.pos += 1
        return parameter

    def subscript(self) -> tuple[str | None, tuple[Part, ...]]:
        """`[...]` if it stands here: its text and the expansions in it."""
        if not self.text.startswith("[", self.pos):
            return None, ()
        start = self.pos
        self.pos += 1
        parts: list[Part] = []
        while self.pos < self.end:
            run = _SUBSCRIPT.match(self.text, self.pos)
            if run is not None:
                self.pos = run.end()
            char = self.text[self.pos : self.pos + 1]
            if char == "]":
                self.pos += 1
                return self.text[start + 1 : self.pos - 1], tuple(parts)
            if not char or char not in "$\"'":
                break
            self.quoting(char, parts)
        raise self.fail("array subscript", start)

    def operand(self, operator: str, *, quoted: bool) -> tuple[Part, ...]:
        """The word after the operator of `${x:-word}`, up to the closing brace."""
        parts: list[Part] = []
        run_of = _OPERAND_QUOTED if quoted else _OPERAND
        literal_quote = quoted and operator not in _PATTERN_OPERATORS
        start = self.pos
        while self.pos < self.end:
            run = run_of.match(self.text, self.pos)
            if run is not None:
                parts.append(Text(run[0], quoted))
                self.pos = run.end()
                continue
            self.step()
            char = self.text[self.pos]
            if char == "}":
                return tuple(parts)
            if char in "<>":
                if self.text.startswith("(", self.pos + 1):
                    raise self.fail("process substitution in a parameter expansion")
                parts.append(Text(char, quoted))
                self.pos += 1
            elif char == "'" and literal_quote:
                raise self.fail("quote in a quoted parameter expansion")
            elif char == '"' and quoted:
                self.pos += 1
                self.double(parts)
            elif char == "'" or (char == "\\" and not quoted) or (char == '"'):
                self.quoting(char, parts)
            elif char == "\\":
                self.inside_double(char, parts, '$`"\\}')
            elif char == "$":
                self.dollar(parts, quoted=quoted)
            else:
                parts.append(self.backquotes(quoted=quoted))
        raise self.fail("brace is not closed", start)

    # --- assignments ---

    def assignment(self) -> AssignNode | None:
        """The assignment that starts here, None when the word is none: the place has not moved."""
        start = self.pos
        match = _ASSIGN.match(self.text, start)
        if match is not None:
            self.pos = match.end()
            return self.assigned(start, match[1], match[2] == "+=", None, ())
        element = _ELEMENT.match(self.text, start)
        if element is None:
            return None
        self.pos = element.end() - 1
        try:
            subscript, inner = self.subscript()
        except Unread:
            self.pos = start
            raise
        for operator in ("=", "+="):
            if self.text.startswith(operator, self.pos):
                self.pos += len(operator)
                return self.assigned(start, element[1], operator == "+=", subscript, inner)
        self.pos = start
        return None

    def assigned(
        self, start: int, name: str, append: bool, subscript: str | None, inner: tuple[Part, ...]
    ) -> AssignNode:
        """The value of an assignment; the place is after the `=`."""
        if self.text.startswith("(", self.pos):
            if subscript is not None:
                raise self.fail("array in an array element")
            elements = self.elements()
            return AssignNode(name, append, None, *self.at(start, self.pos), subscript, inner, elements)
        value = self.word()
        return AssignNode(name, append, value, *self.at(start, self.pos), subscript, inner)

    def elements(self) -> tuple[WordNode, ...]:
        """`(words)` of an array; the place is at the parenthesis."""
        opening = self.pos
        self.pos += 1
        found: list[WordNode] = []
        while True:
            char = self.blanks()
            if char == "\n":
                self.newline()
                continue
            if char == ")":
                self.pos += 1
                break
            if not char:
                raise self.fail("parenthesis is not closed", opening)
            if char == "[":
                found.append(self.keyed_element())
                continue
            found.append(self.token("operator in an array"))
        following = self.text[self.pos : self.pos + 1]
        if following and following not in " \t\n;&|)<>":
            raise self.fail("text after an array")
        return tuple(found)

    def keyed_element(self) -> WordNode:
        """`[key]=value` in an array."""
        start = self.pos
        key, inner = self.subscript()
        if self.text.startswith("+=", self.pos):
            self.pos += 2
        elif self.text.startswith("=", self.pos):
            self.pos += 1
        else:
            self.pos = start
            return self.word()
        value = self.word()
        parts = value.parts if value.parts is not None else (Text(value.raw, False),)
        subscript = Parameter("", True, self.place(start, self.pos), "[", key, inner)
        return WordNode(self.text[start : self.pos], *self.at(start, self.pos), (subscript, *parts))
