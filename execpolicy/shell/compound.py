"""Reads compound commands: groups, loops, branches, tests, functions, coprocesses."""

from __future__ import annotations

from execpolicy.late import late_pattern
from execpolicy.shell.commands import CommandReader, function_name
from execpolicy.shell.tree import (
    Arithmetic,
    ArithmeticCommand,
    ArithmeticFor,
    Block,
    Case,
    Command,
    Coprocess,
    For,
    Frame,
    Function,
    Group,
    GroupKind,
    If,
    Part,
    Test,
    Text,
    While,
    WordNode,
)

_THEN = frozenset({"then"})
_AFTER_THEN = frozenset({"elif", "else", "fi"})
_FI = frozenset({"fi"})
_DO = frozenset({"do"})
_DONE = frozenset({"done"})
_BRACE = frozenset({"}"})
_PARENTHESIS = frozenset({")"})
_CLAUSE = frozenset({";;", "esac"})
_WORD_END = r"(?=[ \t\n;&|()]|[<>](?!\()|\Z)"
_IN = late_pattern(r"in" + _WORD_END)
_ESAC = late_pattern(r"esac" + _WORD_END)
_DO_WORD = late_pattern(r"do" + _WORD_END)
_OPEN_BRACE = late_pattern(r"\{" + _WORD_END)
_TEST_END = late_pattern(r"\]\]" + _WORD_END)
_CLAUSE_END = late_pattern(r";;&|;;|;&")
_IDENTIFIER = late_pattern(r"[A-Za-z_][A-Za-z0-9_]*\Z")
_STARTER = late_pattern(r"(if|for|while|until|case|select|\{|\[\[)" + _WORD_END + r"|(\()")
_NOT_NAMED = late_pattern(r"(time|!|function|coproc|then|else|elif|fi|do|done|esac|in|\}|\]\])" + _WORD_END)
_NOT_SECOND = late_pattern(r"(!|function|coproc|then|else|elif|fi|do|done|esac|in|\}|\]\])" + _WORD_END)
_BINARY = frozenset({"=", "==", "!=", "=~", "-eq", "-ne", "-lt", "-le", "-gt", "-ge", "-nt", "-ot", "-ef"})
_UNARY = late_pattern(r"-[abcdefghknoprstuvwxzGLOSNR]\Z")
_MATCH_RUN = late_pattern(r"[^ \t\n;&|()<>$`\"'\\]+")
_GROUP_RUN = late_pattern(r"[^()$`\"'\\]+")


class CompoundReader(CommandReader):
    """Reads every compound command of bash."""

    def compound(self, keyword: str) -> Command | None:
        start = self.pos
        self.pos += len(keyword)
        match keyword:
            case "":
                return self.parenthesis(start)
            case "{":
                body = self.block(_BRACE)
                self.pos += 1
                return Group(GroupKind.BRACE, body, self.frame(start))
            case "if":
                return self.branches(start)
            case "while" | "until":
                condition = self.block(_DO)
                self.pos += 2
                body = self.block(_DONE)
                self.pos += 4
                return While(condition, body, self.frame(start))
            case "for" | "select":
                return self.loop(start, keyword)
            case "case":
                return self.case(start)
            case "[[":
                return self.test(start)
            case "function":
                return self.named_function(start)
            case "coproc":
                return self.coprocess(start)
            case _:
                self.pos = start
                return None

    def frame(self, start: int) -> Frame:
        """Redirections and place of a compound command that has ended."""
        end = self.pos
        redirects = self.redirects()
        return Frame(*self.at(start, end if not redirects else self.pos), redirects)

    # --- groups ---

    def parenthesis(self, start: int) -> Command:
        """`( ... )` or `(( ... ))`."""
        if self.text.startswith("((", start):
            found = self.expression(start + 2)
            if found is not None:
                expression = Arithmetic(*found, False, self.place(start, self.pos))
                return ArithmeticCommand(expression, self.frame(start))
        self.pos = start + 1
        body = self.block(_PARENTHESIS)
        self.pos += 1
        return Group(GroupKind.SUBSHELL, body, self.frame(start))

    def branches(self, start: int) -> If:
        found: list[tuple[Block, Block]] = []
        otherwise: Block | None = None
        while True:
            condition = self.block(_THEN)
            self.pos += 4
            found.append((condition, self.block(_AFTER_THEN)))
            if self.text.startswith("elif", self.pos):
                self.pos += 4
                continue
            if self.text.startswith("else", self.pos):
                self.pos += 4
                otherwise = self.block(_FI)
            self.pos += 2
            return If(tuple(found), otherwise, self.frame(start))

    # --- loops ---

    def loop(self, start: int, keyword: str) -> For | ArithmeticFor:
        if self.blanks() == "(" and keyword == "for" and self.text.startswith("((", self.pos):
            return self.counted(start)
        name = self.word()
        if name.parts is not None or not _IDENTIFIER.match(name.raw):
            raise self.fail("name of a loop variable", start)
        words: list[WordNode] | None = None
        if self.blanks() == ";":
            self.pos += 1
            self.newlines()
        else:
            self.newlines()
            if _IN.match(self.text, self.pos):
                self.pos += 2
                words = self.loop_words()
        return For(name.raw, None if words is None else tuple(words), self.loop_body(), self.frame(start))

    def loop_words(self) -> list[WordNode]:
        words: list[WordNode] = []
        while True:
            char = self.blanks()
            if char == ";":
                self.pos += 1
                break
            if char == "\n":
                break
            words.append(self.token("words of a loop"))
        self.newlines()
        return words

    def loop_body(self) -> Block:
        if _DO_WORD.match(self.text, self.pos):
            self.pos += 2
            body = self.block(_DONE)
            self.pos += 4
        elif _OPEN_BRACE.match(self.text, self.pos):
            self.pos += 1
            body = self.block(_BRACE)
            self.pos += 1
        else:
            raise self.fail("`do` expected")
        return body

    def counted(self, start: int) -> ArithmeticFor:
        """`for ((a; b; c))`; the place is at the parentheses."""
        at = self.pos
        found = self.expression(at + 2)
        if found is None or found[0].count(";") != 2:
            raise self.fail("header of a loop", at)
        header = Arithmetic(*found, False, self.place(at, self.pos))
        if self.blanks() == ";":
            self.pos += 1
        self.newlines()
        return ArithmeticFor(header, self.loop_body(), self.frame(start))

    # --- case ---

    def case(self, start: int) -> Case:
        self.blanks()
        subject = self.token("word of a case")
        self.newlines()
        if not _IN.match(self.text, self.pos):
            raise self.fail("`in` expected")
        self.pos += 2
        clauses: list[tuple[tuple[WordNode, ...], Block]] = []
        self.newlines()
        while not _ESAC.match(self.text, self.pos):
            patterns = self.patterns()
            body = self.block(_CLAUSE, may_be_empty=True)
            clauses.append((patterns, body))
            ending = _CLAUSE_END.match(self.text, self.pos)
            if ending is not None:
                self.pos = ending.end()
            elif not _ESAC.match(self.text, self.pos):
                raise self.fail("end of a case clause")
            self.newlines()
        self.pos += 4
        return Case(subject, tuple(clauses), self.frame(start))

    def patterns(self) -> tuple[WordNode, ...]:
        """`(a | b)` in front of a clause; the opening parenthesis may be missing."""
        if self.text.startswith("(", self.pos):
            self.pos += 1
            self.blanks()
            if _ESAC.match(self.text, self.pos):
                raise self.fail("`esac` as a pattern")
        found: list[WordNode] = []
        while True:
            self.blanks()
            found.append(self.token("pattern expected"))
            char = self.blanks()
            self.pos += 1
            if char == ")":
                return tuple(found)
            if char != "|" or self.text.startswith(("|", "&"), self.pos):
                raise self.fail("end of a pattern expected")

    # --- tests ---

    def test(self, start: int) -> Test:
        tests: list[tuple[str, tuple[WordNode, ...]]] = []
        self.either(tests)
        if not _TEST_END.match(self.text, self.pos):
            raise self.fail("end of a test expected")
        self.pos += 2
        return Test(tuple(tests), self.frame(start))

    def either(self, tests: list[tuple[str, tuple[WordNode, ...]]]) -> None:
        """Primaries joined by `&&` and `||`."""
        while True:
            self.primary(tests)
            self.newlines()
            if not self.text.startswith(("&&", "||"), self.pos):
                return
            self.pos += 2

    def primary(self, tests: list[tuple[str, tuple[WordNode, ...]]]) -> None:
        self.newlines()
        while self.text.startswith("!", self.pos) and self.text[self.pos + 1 : self.pos + 2] in tuple(
            " \t\n("
        ):
            self.pos += 1
            self.newlines()
        if self.text.startswith("(", self.pos):
            self.pos += 1
            self.deeper()
            self.either(tests)
            self.shallower()
            if not self.text.startswith(")", self.pos):
                raise self.fail("end of a test expected")
            self.pos += 1
            return
        left = self.operand_word()
        char = self.blanks()
        if left.parts is None and _UNARY.match(left.raw):
            tests.append((left.raw, (self.operand_word(),)))
            return
        if char in ("<", ">") and not self.text.startswith("(", self.pos + 1):
            self.pos += 1
            self.blanks()
            tests.append((char, (left, self.operand_word())))
            return
        if char in ("", "\n", ")") or self.text.startswith(("&&", "||"), self.pos) or self.at_test_end():
            tests.append(("-n", (left,)))
            return
        at = self.pos
        operator = self.word()
        if operator.raw not in _BINARY:
            raise self.fail("operator of a test", at)
        self.blanks()
        match operator.raw:
            case "=" | "==" | "!=":
                right = self.pattern_word("?*+@!")
            case "=~":
                right = self.pattern_word("")
            case _:
                right = self.operand_word()
        tests.append((operator.raw, (left, right)))

    def at_test_end(self) -> bool:
        return _TEST_END.match(self.text, self.pos) is not None

    def operand_word(self) -> WordNode:
        if self.at_test_end():
            raise self.fail("operand of a test")
        return self.token("operand of a test")

    def pattern_word(self, before_group: str) -> WordNode:
        """The right side of `==` (groups after `?*+@!`) or of `=~` (any group, and `|`)."""
        start = self.pos
        if self.at_test_end():
            raise self.fail("operand of a test")
        parts: list[Part] = []
        while self.pos < self.end:
            char = self.text[self.pos]
            run = _MATCH_RUN.match(self.text, self.pos)
            if run is not None:
                parts.append(Text(run[0], False))
                self.pos = run.end()
            elif char == "(":
                previous = self.text[self.pos - 1 : self.pos]
                if before_group and (self.pos == start or previous not in before_group):
                    raise self.fail("parenthesis in a pattern")
                self.group_text(parts)
            elif char == "|" and not before_group:
                parts.append(Text("|", False))
                self.pos += 1
            elif char in "<>":
                if self.text.startswith("(", self.pos + 1):
                    raise self.fail("process substitution in a pattern")
                break
            elif not self.quoting(char, parts):
                break
        if self.pos == start:
            raise self.fail("operand of a test")
        return WordNode(self.text[start : self.pos], *self.at(start, self.pos), tuple(parts))

    def group_text(self, parts: list[Part]) -> None:
        """A parenthesised part of a pattern."""
        start = self.pos
        level = 0
        while self.pos < self.end:
            char = self.text[self.pos]
            run = _GROUP_RUN.match(self.text, self.pos)
            if run is not None:
                parts.append(Text(run[0], False))
                self.pos = run.end()
            elif char in "()":
                level += 1 if char == "(" else -1
                parts.append(Text(char, False))
                self.pos += 1
                self.step()
                if level == 0:
                    return
            elif char == "`" or (char == "$" and self.text.startswith("(", self.pos + 1)):
                raise self.fail("substitution inside a group of a pattern")
            elif not self.group_quoting(char, parts):
                break
        raise self.fail("parenthesis is not closed", start)

    def group_quoting(self, char: str, parts: list[Part]) -> bool:
        """Like `quoting`, where bash counts parentheses inside of `${...}` too."""
        start = self.pos
        found = self.quoting(char, parts)
        if char == "$" and any(mark in self.text[start : self.pos] for mark in "()"):
            raise self.fail("substitution inside a group of a pattern", start)
        return found

    # --- functions and coprocesses ---

    def named_function(self, start: int) -> Function:
        """`function name [()] body`."""
        self.blanks()
        node = self.word()
        name = function_name(node) if node.raw else None
        if name is None:
            raise self.fail("function name that is not plain")
        if self.blanks() == "(":
            at = self.pos
            self.pos += 1
            if self.blanks() == ")":
                self.pos += 1
            else:
                self.pos = at
        return self.function_body(name, start)

    def function_body(self, name: str, start: int) -> Function:
        self.newlines()
        starter = _STARTER.match(self.text, self.pos)
        if starter is None:
            raise self.fail("body of a function")
        self.deeper()
        body = self.compound(starter[1] or "")
        self.shallower()
        if body is None:
            raise self.fail("body of a function")
        return Function(name, body, *self.at(start, self.pos))

    def coprocess(self, start: int) -> Coprocess:
        self.blanks()
        name = "COPROC"
        if _STARTER.match(self.text, self.pos) is None:
            if _NOT_NAMED.match(self.text, self.pos):
                raise self.fail("coprocess")
            at = self.pos
            node = self.word()
            self.blanks()
            if _NOT_SECOND.match(self.text, self.pos):
                raise self.fail("coprocess")
            if node.raw and _STARTER.match(self.text, self.pos):
                if node.parts is not None or not _IDENTIFIER.match(node.raw):
                    raise self.fail("name of a coprocess", at)
                name = node.raw
            else:
                self.pos = at
        starter = _STARTER.match(self.text, self.pos)
        if starter is None:
            return Coprocess(name, self.simple(), *self.at(start, self.pos))
        body = self.compound(starter[1] or "")
        if body is None:
            raise self.fail("coprocess")
        return Coprocess(name, body, *self.at(start, self.pos))
