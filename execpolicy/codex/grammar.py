"""What Codex's parser expected where a program is not one: the grammar read top down, up to the first error."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from execpolicy.codex.strings import VALUE_END, format_end
from execpolicy.codex.text import debug
from execpolicy.lang.strings import BadEscape, decode

KEYWORDS: Final = frozenset(
    {"and", "break", "continue", "def", "elif", "else", "for", "if", "in", "lambda", "load", "not", "or"}
    | {"pass", "return"}
)
RESERVED: Final = frozenset(
    {"as", "assert", "async", "await", "class", "del", "except", "finally", "from", "global", "import", "is"}
    | {"nonlocal", "raise", "try", "while", "with", "yield"}
)
STRING: Final = re.compile(
    r'(?P<prefix>(?:fr?|br?|rb?)?)(?P<body>"""(?:[^"\\]|\\.|"(?!""))*+"""|\'\'\'(?:[^\'\\]|\\.|\'(?!\'\'))*+\'\'\''
    r'|"(?!"")(?:[^"\\\n]|\\.)*+"|\'(?!\'\')(?:[^\'\\\n]|\\.)*+\')',
    re.DOTALL,
)
TOKEN: Final = re.compile(
    r"(?P<skip>[ ]+|\\\r?\n|\#[^\r\n]*+)|(?P<newline>\r?\n)"
    r"|(?P<float>[0-9]+\.[0-9]*(?:[eE][-+]?[0-9]+)?|[0-9]+[eE][-+]?[0-9]+|\.[0-9]+(?:[eE][-+]?[0-9]+)?)"
    r"|(?P<int>0[xX][0-9A-Fa-f]+|0[bB][01]+|0[oO][0-7]+|[0-9]+)"
    r"|(?P<word>[A-Za-z_][A-Za-z0-9_]*)"
    r"|(?P<symbol>\.\.\.|//=|<<=|>>=|->|==|!=|<=|>=|\+=|-=|\*=|/=|%=|&=|\|=|\^=|//|<<|>>|\*\*|[-+*/%~&|^<>=.,;:()\[\]{}])"
)
LINE: Final = re.compile(r"(?P<pad>[ ]*)(?P<more>[^ \r\n#]?)")
ASSIGNMENTS: Final = frozenset(("=", "+=", "-=", "*=", "/=", "//=", "%=", "&=", "|=", "^=", "<<=", ">>="))
COMPARISONS: Final = frozenset(("==", "!=", "<", ">", "<=", ">=", "in", "not"))
BINDING: Final = (
    {"or": 1, "and": 3, "|": 7, "^": 9, "&": 11, "<<": 13, ">>": 13, "+": 15, "-": 15}
    | dict.fromkeys(COMPARISONS, 5)
    | dict.fromkeys(("*", "%", "/", "//"), 17)
)
VALUE_STARTS: Final = frozenset(("(", "[", "{", "+", "-", "~", "not", "..."))
LITERALS: Final = frozenset(("identifier", "int", "float", "string", "fstring"))
MAX_DEPTH: Final = 120


@dataclass(frozen=True, slots=True)
class Token:
    """`text` is what a keyword or symbol is known by."""

    kind: str
    text: str

    @property
    def shown(self) -> str:
        match self.kind:
            case "keyword" | "symbol" | "identifier":
                return f"{self.kind} '{self.text}'"
            case "int":
                return f"integer literal '{_whole(self.text)}'"
            case _:
                return self.text


class _Mistake(Exception):
    """The whole sentence."""


class _Unread(Exception):
    """Past what is read here: a mistake inside a token, or too deep. The binding speaks for it."""


def mistake(text: str) -> str | None:
    """What is said about the first error in the syntax of a program; None when this grammar has no word on it."""
    return _told(_Reader(_tokens(text)).module)


def value_mistake(value: str) -> str | None:
    """The same about what stands between the braces of a format string."""
    inside = (token for token in _tokens(value) if token.kind not in ("newline", "indent", "dedent"))
    return _told(_Reader(_closed(inside)).value)


def _told(read: Callable[[], None]) -> str | None:
    try:
        read()
    except _Mistake as found:
        return str(found)
    except _Unread:
        return None
    return None


def _closed(tokens: Iterator[Token]) -> Iterator[Token]:
    yield from tokens
    yield Token("end", VALUE_END)


def _whole(digits: str) -> int | str:
    try:
        return int(digits, 0)
    except ValueError:
        return digits


def _tokens(text: str) -> Iterator[Token]:
    """Words, brackets, line ends, and the steps of indentation."""
    at, depth = 0, 0
    levels = [0]
    start = True  # of a line outside brackets
    while at < len(text):
        if start:
            start = False
            line = LINE.match(text, at)
            assert line is not None
            if line["more"]:
                width = len(line["pad"])
                if width > levels[-1]:
                    levels.append(width)
                    yield Token("indent", "new indentation block")
                while width < levels[-1]:
                    levels.pop()
                    yield Token("dedent", "end of indentation block")
                if width != levels[-1]:
                    yield Token("bad", "")
        if string := STRING.match(text, at):
            prefix, body = string["prefix"], string["body"]
            if "f" in prefix:
                at = format_end(text, at)
                yield Token("fstring", "f-string start")
                continue
            at = string.end()
            yield Token("bytes" if "b" in prefix else "string", _quoted(body, "r" in prefix))
            continue
        found = TOKEN.match(text, at)
        if found is None:
            yield Token("bad", "")
            return
        at = found.end()
        token = found.group()
        match found.lastgroup:
            case "newline":
                if depth == 0:
                    yield Token("newline", "new line")
                    start = True
            case "word" if token in RESERVED:
                yield Token("bad", "")
            case "word":
                yield Token("keyword" if token in KEYWORDS else "identifier", token)
            case "int":
                yield Token("bad" if len(token) > 1 and token.isdigit() and token[0] == "0" else "int", token)
            case "float":
                yield Token("float", f"float literal '{float(token):g}'")
            case "symbol":
                depth += (token in "([{") - (token in ")]}")
                yield Token("symbol", token)
    yield Token("newline", "new line")
    for _ in levels[1:]:
        yield Token("dedent", "end of indentation block")


def _quoted(body: str, raw: bool) -> str:
    try:
        return f"string literal {debug(decode(f'r{body}' if raw else body))}"
    except BadEscape:
        return ""


class _Reader:
    """One token of look-ahead; every method reads what it is named after."""

    def __init__(self, tokens: Iterator[Token]) -> None:
        self.tokens = tokens
        self.token: Token | None = next(tokens, None)
        self.depth = 0
        self.named = False  # the name that an expression begins with is read already

    def step(self) -> None:
        self.token = next(self.tokens, None)

    def at(self, *texts: str) -> bool:
        token = self.token
        return token is not None and token.kind in ("keyword", "symbol") and token.text in texts

    def kind(self, *kinds: str) -> bool:
        return self.token is not None and self.token.kind in kinds

    def eat(self, text: str) -> bool:
        found = self.at(text)
        if found:
            self.step()
        return found

    def fail(self, wanted: str) -> _Mistake | _Unread:
        if self.token is None:
            return _Mistake(f"Parse error: unexpected end of file, expected {wanted}")
        if self.token.kind == "bad" or not self.token.shown:
            return _Unread()
        return _Mistake(f"Parse error: unexpected {self.token.shown}, expected {wanted}")

    def need(self, text: str) -> None:
        if not self.eat(text):
            raise self.fail(f"{'keyword' if text.isalpha() else 'symbol'} '{text}'")

    def need_kind(self, kind: str, wanted: str) -> None:
        if not self.kind(kind):
            raise self.fail(wanted)
        self.step()

    def name(self) -> None:
        self.need_kind("identifier", "identifier")

    def lines(self) -> None:
        while self.kind("newline"):
            self.step()

    # --- statements -------------------------------------------------------------------------

    def module(self) -> None:
        self.lines()
        while self.token is not None:
            self.statement()
            self.lines()

    def value(self) -> None:
        self.test()
        if not self.kind("end"):
            raise self.fail(VALUE_END)

    def statement(self) -> None:
        if self.eat("def"):
            self.name()
            self.need("(")
            self.parameters(")", typed=True)
            self.need(")")
            if self.eat("->"):
                self.test()
            self.suite()
        elif self.eat("if"):
            self.test()
            self.suite()
            while self.eat("elif"):
                self.test()
                self.suite()
            if self.eat("else"):
                self.suite()
        elif self.eat("for"):
            self.targets()
            self.need("in")
            self.test()
            self.suite()
        else:
            self.simple()

    def suite(self) -> None:
        self.need(":")
        if not self.kind("newline"):
            self.simple()
            return
        self.enter()
        self.lines()
        self.need_kind("indent", "new indentation block")
        self.lines()
        while True:
            self.statement()
            self.lines()
            if self.token is None or self.kind("dedent"):
                break
        if self.kind("dedent"):
            self.step()
        self.depth -= 1

    def simple(self) -> None:
        self.small()
        while self.eat(";"):
            if self.token is None or self.kind("newline"):
                break
            self.small()
        self.need_kind("newline", "new line")

    def small(self) -> None:
        if self.at("break", "continue", "pass"):
            self.step()
        elif self.eat("return"):
            if not (self.token is None or self.kind("newline") or self.at(";")):
                self.tests()
        elif self.eat("load"):
            self.load()
        else:
            self.test()
            listed = self.at(",")
            if listed:
                self.more(trailing=False)
            annotated = self.eat(":")
            if annotated:
                self.test()
            if self.at(*ASSIGNMENTS):
                self.step()
                self.tests()
            elif listed or annotated:
                raise self.fail("assignment operator")

    def load(self) -> None:
        self.need("(")
        self.need_kind("string", "string literal")
        if self.eat(")"):
            return
        self.need(",")
        while not self.at(")"):
            if self.kind("identifier"):
                self.step()
                if not self.eat("="):
                    raise _Mistake("Parse error: expected string literal in load statement")
                self.need_kind("string", "string literal")
            else:
                self.need_kind("string", "string literal or identifier")
            if not self.eat(","):
                break
        self.need(")")

    # --- expressions ------------------------------------------------------------------------

    def enter(self) -> None:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise _Unread

    def starts(self) -> bool:
        return self.kind(*LITERALS) or self.at(*VALUE_STARTS)

    def tests(self, *, trailing: bool = False) -> None:
        self.test()
        if self.at(","):
            self.more(trailing=trailing)

    def more(self, *, trailing: bool) -> None:
        while self.eat(","):
            if not (self.starts() or self.at("lambda")):
                if trailing:
                    return
                raise _Mistake("unparenthesized tuple with trailing comma")
            self.test()

    def targets(self) -> None:
        self.operation(7)
        while self.eat(","):
            if not self.starts():
                raise _Mistake("unparenthesized tuple with trailing comma")
            self.operation(7)

    def test(self) -> None:
        self.enter()
        if not self.named and self.eat("lambda"):
            self.parameters(":", typed=False)
            self.need(":")
            self.test()
        else:
            self.operation(0)
            if self.eat("if"):
                self.operation(0)
                self.need("else")
                self.test()
        self.depth -= 1

    def operation(self, least: int) -> None:
        self.enter()
        if least <= 5 and not self.named and self.eat("not"):
            self.operation(5)
        else:
            self.unary()
        while self.token is not None and self.token.kind in ("keyword", "symbol"):
            operator = self.token.text
            power = BINDING.get(operator)
            if power is None or power < least:
                break
            self.step()
            if operator == "not" and not self.eat("in"):
                raise self.fail("'in' after 'not'")
            self.operation(power + 1)
            if power == 5 and self.at(*COMPARISONS):
                raise self.fail("end of expression (comparisons are not associative in Starlark)")
        self.depth -= 1

    def unary(self) -> None:
        while not self.named and self.at("+", "-", "~"):
            self.step()
        if not self.named:
            self.atom()
        self.named = False
        while True:
            if self.eat("."):
                self.name()
            elif self.eat("("):
                self.arguments()
                self.need(")")
            elif self.eat("["):
                self.index()
                self.need("]")
            else:
                return

    def index(self) -> None:
        if not self.at(":"):
            self.test()
            if self.eat(","):
                self.test()
                return
        for _ in range(2):
            if not self.eat(":"):
                return
            if not self.at("]", ":"):
                self.test()

    def atom(self) -> None:
        if self.kind(*LITERALS, "bytes") or self.at("..."):
            self.step()
        elif self.eat("("):
            if not self.at(")"):
                self.tests(trailing=True)
            self.need(")")
        elif self.eat("["):
            self.items("]", pairs=False)
        elif self.eat("{"):
            self.items("}", pairs=True)
        else:
            raise self.fail("expression")

    def items(self, close: str, *, pairs: bool) -> None:
        if self.eat(close):
            return
        self.item(pairs)
        if self.at("for"):
            self.comprehension()
        else:
            while self.eat(",") and not self.at(close):
                self.item(pairs)
        self.need(close)

    def item(self, pairs: bool) -> None:
        self.test()
        if pairs:
            self.need(":")
            self.test()

    def comprehension(self) -> None:
        while self.at("for", "if"):
            if self.eat("if"):
                self.operation(0)
            else:
                self.step()
                self.targets()
                self.need("in")
                self.operation(0)

    # --- parameters and arguments -----------------------------------------------------------

    def parameters(self, close: str, *, typed: bool) -> None:
        while not self.at(close):
            if not self.eat("/"):
                self.parameter(typed)
            if not self.eat(","):
                return

    def parameter(self, typed: bool) -> None:
        if self.eat("*") and not self.kind("identifier"):
            return
        double = self.eat("**")
        self.name()
        if typed and self.eat(":"):
            self.test()
        if not double and self.eat("="):
            self.test()

    def arguments(self) -> None:
        while not self.at(")"):
            if self.at("*", "**"):
                self.step()
            elif self.kind("identifier"):
                self.step()
                self.named = not self.eat("=")
            self.test()
            if not self.eat(","):
                return
