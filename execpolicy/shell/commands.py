"""Reads lists, pipelines, simple commands, redirections and here-documents."""

from __future__ import annotations

import re
from abc import abstractmethod

from execpolicy.late import late_pattern
from execpolicy.shell.lexer import Budget
from execpolicy.shell.tree import (
    ArrayValue,
    AssignNode,
    Block,
    Command,
    Connector,
    Function,
    HereDocument,
    Item,
    Part,
    Pipeline,
    RedirectNode,
    Simple,
    Text,
    WordNode,
)
from execpolicy.shell.words import WordReader
from execpolicy.source import Span

# A plain argument: nothing in it that bash would look at twice.
_ARGUMENT = late_pattern(
    r"[ \t]*([^ \t\n;&|()<>$`\"'\\*?\[{}~#][^ \t\n;&|()<>$`\"'\\*?\[{}~]*)(?=[ \t\n;&|)]|\Z)"
)
_REDIRECT = late_pattern(
    r"(&>>?)|([0-9]+|\{[A-Za-z_][A-Za-z0-9_]*\})?(<<<|<<-|<<|<>|<&|>>|>&|>\||[<>](?!\())"
)
_KEYWORD = late_pattern(
    r"(if|for|while|until|case|select|function|time|coproc|then|else|elif|fi|do|done|esac|in|\{|\}|!|\[\[|\]\])"
    r"(?=[ \t\n;&|()]|[<>](?!\()|\Z)"
)
_TIME_OPTION = late_pattern(r"[ \t]*(-p|--)(?=[ \t\n;&|()<>]|\Z)")
# Builtins whose arguments may be arrays: `declare a=(x y)`.
_DECLARING = frozenset({"declare", "typeset", "local", "export", "readonly", "alias", "eval", "let"})
_ARRAY_ARGUMENT = late_pattern(r"[A-Za-z_][A-Za-z0-9_]*\+?=\(")
_LOOKS_ASSIGNED = late_pattern(r"[A-Za-z_][A-Za-z0-9_]*(?:\[|\+?=)")
_PARENTHESIS = frozenset({")"})


class CommandReader(WordReader):
    """Reads commands; compound ones are read by the class on top."""

    def __init__(
        self,
        source: str,
        budget: Budget,
        finished: list[Simple],
        *,
        base: int = 0,
        fixed: Span | None = None,
    ) -> None:
        super().__init__(source, budget, base=base, fixed=fixed)
        self.finished = finished  # every simple command read so far, also of lines that fail later
        self.pending: list[HereDocument] = []  # wait for the end of the line
        self.substitutions = 0  # how many are open
        self.closable = False  # the last command ended so that a closing word may follow at once

    @abstractmethod
    def compound(self, keyword: str) -> Command | None:
        """The compound command that starts here, None when none does. `keyword` may be empty."""

    @abstractmethod
    def function_body(self, name: str, start: int) -> Function:
        """The rest of a function after its name and parentheses."""

    @abstractmethod
    def expanded(self, text: str, span: Span, start: int, *, same: bool) -> tuple[Part, ...]:
        """The pieces of a here-document whose text is expanded."""

    # --- lists ---

    def line(self) -> Block:
        """One line of the script as bash takes it: up to a newline outside of everything."""
        items: list[Item] = []
        while True:
            self.and_or(items)
            char = self.blanks()
            if char in (";", "&"):
                if self.text.startswith((";;", ";&"), self.pos):
                    raise self.fail("`;;` outside of a case")
                self.pos += 1
                char = self.blanks()
            elif char and char != "\n":
                raise self.fail("operator that nothing opened")
            if not char:
                break
            if char == "\n":
                self.newline()
                break
        return Block(tuple(items))

    def block(self, closers: frozenset[str], *, may_be_empty: bool = False) -> Block:
        """A list up to one of `closers`, at which the place stands afterwards."""
        items: list[Item] = []
        self.newlines()
        while not self.at_closer(closers):
            self.and_or(items)
            char = self.blanks()
            if char == "\n":
                self.newlines()
            elif char in (";", "&"):
                if self.text.startswith((";;", ";&"), self.pos):
                    if ";;" in closers:
                        break
                    raise self.fail("`;;` outside of a case")
                self.pos += 1
                self.newlines()
            elif not ((char == ")" or self.closable) and self.at_closer(closers)):
                raise self.fail("end of a list expected")
        if not items and not may_be_empty:
            raise self.fail("empty list")
        return Block(tuple(items))

    def at_closer(self, closers: frozenset[str]) -> bool:
        char = self.text[self.pos : self.pos + 1]
        if char == ")":
            return ")" in closers
        if char == ";":
            return ";;" in closers and self.text.startswith((";;", ";&"), self.pos)
        keyword = _KEYWORD.match(self.text, self.pos)
        return keyword is not None and keyword[1] in closers

    def and_or(self, items: list[Item]) -> None:
        """Pipelines joined by `&&` and `||`, with a `&` that stands behind them noticed."""
        first = len(items)
        connector = Connector.THEN
        while True:
            items.append(Item(self.pipeline(), connector))
            char = self.blanks()
            if char == "&" and self.text.startswith("&&", self.pos):
                connector = Connector.AND
            elif char == "|":
                connector = Connector.OR
                if not self.text.startswith("||", self.pos):
                    raise self.fail("pipe without a command")
            else:
                break
            self.pos += 2
            self.newlines()
        if char == "&":
            items[first:] = [Item(item.pipeline, item.connector, True) for item in items[first:]]

    def pipeline(self) -> Pipeline:
        negated = timed = False
        while True:
            self.blanks()
            keyword = _KEYWORD.match(self.text, self.pos)
            if keyword is None or keyword[1] not in ("!", "time"):
                break
            self.step()
            self.pos = keyword.end()
            if keyword[1] == "!":
                negated = not negated
            else:
                timed = True
                option = _TIME_OPTION.match(self.text, self.pos)
                while option is not None:
                    self.pos = option.end()
                    option = _TIME_OPTION.match(self.text, self.pos) if option[1] == "-p" else None
        empty = (negated or timed) and self.blanks() in ("", "\n", ";")
        if empty and not self.text.startswith((";;", ";&"), self.pos):
            self.closable = False
            return Pipeline((), negated, timed)
        commands = [self.command("" if keyword is None else keyword[1])]
        while self.blanks() == "|" and not self.text.startswith("||", self.pos):
            self.pos += 2 if self.text.startswith("|&", self.pos) else 1
            at = self.pos
            self.newlines()
            keyword = _KEYWORD.match(self.text, self.pos)
            word = "" if keyword is None else keyword[1]
            if word == "time":
                if "\n" in self.text[at : self.pos]:
                    raise self.fail("`time` after a pipe")
                word = ""
            commands.append(self.command(word))
        return Pipeline(tuple(commands), negated, timed)

    def command(self, keyword: str) -> Command:
        """One command; `keyword` is the reserved word that stands here, if any."""
        if keyword or self.text.startswith("(", self.pos):
            self.deeper()
            found = self.compound(keyword)
            self.shallower()
            if found is None:
                raise self.fail(f"`{keyword}` that nothing opened")
            return found
        return self.simple()

    # --- simple commands ---

    def simple(self) -> Command:
        words: list[WordNode] = []
        assigns: list[AssignNode] = []
        redirects: list[RedirectNode] = []
        start = self.pos
        match = _ARGUMENT.match
        limit = self.budget.steps
        while True:
            plain = match(self.text, self.pos)
            if plain is not None and (words or "=" not in plain[1]):
                begin, self.pos = plain.span(1)
                if len(words) > limit:
                    raise self.fail("too long to be read")
                if self.mapped:
                    words.append(WordNode(plain[1], *self.at(begin, self.pos)))
                else:
                    words.append(WordNode(plain[1], begin, self.pos))
                continue
            char = self.blanks()
            if not char or char in "\n;|)":
                break
            if char in "<>&{0123456789":
                redirect = self.redirect()
                if redirect is not None:
                    if redirects and not words and redirect.target is not None:
                        self.no_assignment(redirect.target)
                    redirects.append(redirect)
                    continue
                if char == "&":
                    break
            if char == "(":
                if len(words) != 1 or assigns or redirects:
                    raise self.fail("parenthesis that nothing allows")
                return self.function(words[0], start)
            if not words:
                assign = self.assignment()
                if assign is not None:
                    assigns.append(assign)
                    continue
            words.append(self.argument(words, declares=bool(words) and not redirects))
        if not (words or assigns or redirects):
            raise self.fail("command expected")
        self.budget.steps -= len(words)
        self.step()
        self.closable = False
        span = self.at(start, self.pos) if self.mapped else (start, self.pos)
        simple = Simple(tuple(words), *span, tuple(assigns), tuple(redirects))
        self.finished.append(simple)
        return simple

    def argument(self, words: list[WordNode], *, declares: bool) -> WordNode:
        start = self.pos
        if declares and words[0].raw in _DECLARING:
            array = _ARRAY_ARGUMENT.match(self.text, start)
            if array is not None:
                self.pos = array.end() - 1
                elements = self.elements()
                value = ArrayValue(elements, self.place(start, self.pos))
                parts = (Text(array[0][:-1], True), value)
                return WordNode(self.text[start : self.pos], *self.at(start, self.pos), parts)
        return self.token("word expected")

    def function(self, name: WordNode, start: int) -> Function:
        """`name ( ) body`; the place is at the parenthesis."""
        self.pos += 1
        if self.blanks() != ")":
            raise self.fail("parenthesis that nothing allows")
        self.pos += 1
        return self.function_body(function_name(name) or self.no_name(), start)

    def no_name(self) -> str:
        raise self.fail("function name that is not plain")

    # --- redirections ---

    def redirect(self) -> RedirectNode | None:
        """The redirection that starts here, None when none does."""
        start = self.pos
        match = _REDIRECT.match(self.text, start)
        if match is None:
            return None
        descriptor = match[2] or ""
        if len(descriptor) > 9 and descriptor[0] != "{":
            raise self.fail("descriptor")
        operator = match[1] or match[3]
        self.pos = match.end()
        char = self.blanks()
        if operator in ("<<", "<<-"):
            return self.here(operator, descriptor, start)
        if char == "-" and operator in (">&", "<&"):
            target = WordNode("-", *self.at(self.pos, self.pos + 1))
            self.pos += 1
        else:
            target = self.token("target of a redirection expected", number=operator in (">&", "<&"))
            if operator in (">&", "<&") and target.raw.endswith("-") and not target.raw[:-1].isdigit():
                raise self.fail("descriptor that is moved", start)
        return RedirectNode(operator, target, *self.at(start, self.pos), descriptor)

    def no_assignment(self, target: WordNode) -> None:
        """In front of a command bash takes the target of a second redirection for an assignment."""
        if _LOOKS_ASSIGNED.match(target.raw):
            raise self.fail("assignment as the target of a redirection")

    def here(self, operator: str, descriptor: str, start: int) -> RedirectNode:
        """`<<delimiter`; its text is read when the line ends."""
        at = self.pos
        node = self.token("delimiter of a here-document")
        if "$" in node.raw or "`" in node.raw:
            raise self.fail("delimiter of a here-document", at)
        if node.parts is None:
            delimiter = node.raw
        else:
            texts = [part.text for part in node.parts if isinstance(part, Text)]
            if len(texts) != len(node.parts):
                raise self.fail("delimiter of a here-document", at)
            delimiter = "".join(texts)
        if "\n" in delimiter:
            raise self.fail("delimiter of a here-document", at)
        quoted = any(char in node.raw for char in "'\"\\")
        document = HereDocument(delimiter, quoted, operator == "<<-")
        self.pending.append(document)
        return RedirectNode(operator, None, *self.at(start, self.pos), descriptor, document)

    def redirects(self) -> tuple[RedirectNode, ...]:
        """What follows a compound command."""
        found: list[RedirectNode] = []
        while self.blanks() and self.text[self.pos] in "<>&{0123456789":
            redirect = self.redirect()
            if redirect is None:
                break
            found.append(redirect)
        self.closable = not found
        return tuple(found)

    # --- newlines and here-documents ---

    def newlines(self) -> None:
        """Skip blanks, comments and newlines."""
        while self.blanks() == "\n":
            self.newline()

    def newline(self) -> None:
        self.pos += 1
        if self.pending:
            self.documents()

    def documents(self) -> None:
        pending, self.pending = self.pending, []
        for document in pending:
            self.document(document)

    def document(self, document: HereDocument) -> None:
        """The lines of one here-document; the place is at the first of them."""
        start = self.pos
        self.step()
        kept = document.quoted and bool(self.cuts)  # continuations are text here
        text = self.source if kept else self.text
        begin = self.origin_end(start) if kept else start
        tabs = r"\t*" if document.strip_tabs else ""
        closing = re.compile(rf"^{tabs}{re.escape(document.delimiter)}$", re.MULTILINE)
        found = closing.search(text, begin)
        if found is None:
            if self.substitutions:
                raise self.fail("here-document that is not closed")
            body, after = text[begin:], len(text)
        else:
            body, after = text[begin : found.start()], min(found.end() + 1, len(text))
        self.pos = self.joined(after) if kept else after
        document.span = self.place(start, self.pos)
        if document.strip_tabs:
            body = re.sub(r"^\t+", "", body, flags=re.MULTILINE)
        document.raw = body
        if document.quoted or not any(char in body for char in "$`\\"):
            document.body = (Text(body, True),)
            return
        same = not document.strip_tabs and not self.cut_within(start, self.pos)
        self.deeper()
        document.body = self.expanded(body, document.span, start, same=same)
        self.shallower()

    # --- substitutions ---

    def parenthesised(self) -> Block:
        pending, self.pending = self.pending, []
        self.substitutions += 1
        body = self.block(_PARENTHESIS, may_be_empty=True)
        if self.pending:
            raise self.fail("here-document in a substitution that ends before it")
        self.pos += 1
        self.pending = pending
        self.substitutions -= 1
        return body


def function_name(name: WordNode) -> str | None:
    """The name of a function as bash keeps it, None when it is not plain."""
    if name.parts is None:
        return name.raw
    texts = [part.text for part in name.parts if isinstance(part, Text) and not part.quoted]
    return "".join(texts) if len(texts) == len(name.parts) else None
