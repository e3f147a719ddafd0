"""Goes through a tree in the order in which it runs: lists, branches, loops, functions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import assert_never

from execpolicy.facts import CommandFacts, Word
from execpolicy.shell import arithmetic
from execpolicy.shell.changes import NOTHING, ChangeFinder, Changes, arithmetic_changes
from execpolicy.shell.dialects import differs
from execpolicy.shell.expand import Expander
from execpolicy.shell.lexer import MAX_DEPTH, Budget
from execpolicy.shell.reader import read
from execpolicy.shell.run import Runner
from execpolicy.shell.state import State
from execpolicy.shell.substitutions import kind_of
from execpolicy.shell.surface import Full
from execpolicy.shell.tree import (
    ArithmeticCommand,
    ArithmeticFor,
    Block,
    Case,
    Command,
    Connector,
    Coprocess,
    For,
    Frame,
    Function,
    Group,
    GroupKind,
    If,
    Item,
    Pipeline,
    Simple,
    Test,
    While,
    WordNode,
)
from execpolicy.source import Span

MAX_UNROLLED = 200  # commands; in longer scripts a loop variable is not certain
MAX_FUNCTIONS = 2000
MAX_ROUNDS = 16  # of loops over words that are certain, one in the other


class Walk(Runner):
    """Walks whole texts."""

    def __init__(self, budget: Budget, *, functions_stay: bool = True) -> None:
        super().__init__(budget, functions_stay=functions_stay)
        self.changes = ChangeFinder()
        self.rounds_open = 1

    def text(self, source: str, state: State, span: Span, *, fixed: bool = True) -> None:
        """A text that a shell reads, in `state`, which it changes."""
        why = differs(source, state.dialect)
        if why is not None:
            self.doubt(why, span)
        if self.budget.depth > MAX_DEPTH:
            self.stop("nested too deeply", span)
            return
        self.budget.depth += 1
        given, state.stdin = state.stdin, None
        script = read(source, self.budget, fixed=span if fixed else None)
        try:
            for line in script.lines:
                self.block(line, state)
            for simple in script.loose:
                self.simple(simple, state.fork())
        except Full:
            self.stop("more commands than can be judged", span)
        if script.failure is not None:
            self.stop(script.failure.why, script.failure.span)
        state.stdin = given
        self.budget.depth -= 1

    def block(self, block: Block, state: State) -> None:
        items = block.items
        index = 0
        while index < len(items):
            end = index + 1
            while end < len(items) and items[end].connector is not Connector.THEN:
                end += 1
            if end == index + 1:
                self.alone(items[index], state)
            else:
                self.chain(items[index:end], state)
            index = end

    def alone(self, item: Item, state: State) -> None:
        if item.background:
            self.pipeline(item.pipeline, state.inside("background"))
            return
        before = state.cwd
        self.pipeline(item.pipeline, state)
        if state.cwd is not before and not state.errexit:
            state.cwd = merged_folder(before, state.cwd)

    def chain(self, items: Sequence[Item], state: State) -> None:
        """Pipelines joined by `&&` and `||`."""
        if items[0].background:
            state = state.inside("background")
        current = state.fork()  # goes on as if all went well
        current.errexit = False  # it does not count inside of such a list
        stopped: State | None = None  # what is certain wherever the chain stopped before
        certain = True  # whether all before succeeded when this one runs
        for item in items:
            if item.connector is Connector.OR:
                success, current = current, either(stopped, current).fork()
                self.pipeline(item.pipeline, current)
                if leaves(item.pipeline):
                    stopped, current = None, success
                else:
                    stopped = either(success, current)
                    current = current.fork()
                certain = False
                continue
            if item.connector is Connector.AND and not certain and stopped is not None:
                current = either(stopped, current)
            folder = current.cwd
            self.pipeline(item.pipeline, current)
            if current.cwd is not folder:
                failed = current.fork()
                failed.cwd = folder
                stopped = either(stopped, failed)
            stopped = either(stopped, current)
        strict = state.errexit
        state.take(current if stopped is None else stopped)  # what ran last is in it by now
        state.errexit = strict

    def pipeline(self, pipeline: Pipeline, state: State) -> None:
        commands = pipeline.commands
        if len(commands) == 1:
            strict = state.errexit
            if pipeline.negated:
                state.errexit = False
            self.command(commands[0], state)
            if pipeline.negated:
                state.errexit = strict
            return
        stdin: str | None = None
        for command in commands:
            forked = state.inside("pipeline")
            forked.stdin = stdin
            self.command(command, forked)
            stdin = self.printed(command, forked)

    def printed(self, command: Command, state: State) -> str | None:
        """What a command writes to standard output, if that is certain: `echo text`."""
        if not isinstance(command, Simple) or command.assigns or not command.words:
            return None
        if command.words[0].raw == "cat" and len(command.words) == 1 and "cat" not in state.functions:
            documents = [node.document for node in command.redirects]
            if len(documents) == 1 and documents[0] is not None:
                return Expander(state, kind_of).text(documents[0].body)
        if command.redirects:
            return None
        if command.words[0].raw != "echo" or "echo" in state.functions:
            return None
        expander = Expander(state, kind_of)
        words = [word for node in command.words[1:] for word in expander.words(node)]
        texts = [word.text for word in words if word.text is not None]
        if len(texts) != len(words) or any(text.startswith("-") or "\\" in text for text in texts):
            return None
        return " ".join(texts) + "\n"

    def command(self, command: Command, state: State) -> None:
        match command:
            case Simple():
                self.simple(command, state)
            case Function():
                body = state.inside(f"function:{command.name}")
                body.forget()
                body.cwd = Word.unknown("folder of the caller")
                self.defined.add(command.name)
                if len(self.defined) > MAX_FUNCTIONS:
                    raise Full
                state.define(command.name, certain=True)
                body.define(command.name, certain=True)
                self.command(command.body, body)
            case Coprocess():
                self.command(command.body, state.inside("coprocess"))
                self.assigned(command.name, Span(command.start, command.end), state)
            case _:
                # What is inside shares its input, and may read a part of it.
                self.redirects_of(command.frame, state)
                given, state.stdin = state.stdin, None
                self.compound(command, state)
                state.stdin = given

    def compound(
        self,
        command: Group | If | While | For | ArithmeticFor | Case | Test | ArithmeticCommand,
        state: State,
    ) -> None:
        match command:
            case Group():
                subshell = command.kind is GroupKind.SUBSHELL
                self.block(command.body, state.inside("subshell") if subshell else state)
            case If():
                self.branches(command, state)
            case While():
                loop = self.loop(state, command.condition, command.body)
                self.condition(command.condition, loop)
                self.block(command.body, loop)
                state.merge(loop)
            case For():
                self.for_loop(command, state)
            case ArithmeticFor():
                self.arithmetic(command.header, state)
                loop = self.loop(state, command.body, extra=arithmetic_changes(command.header.text))
                self.block(command.body, loop)
                state.merge(loop)
            case Case():
                self.word_parts(command.subject, state)
                reached = state.fork()
                for patterns, body in command.clauses:
                    for pattern in patterns:
                        self.word_parts(pattern, reached)
                    branch = reached.inside("case")
                    self.block(body, branch)
                    reached.merge(branch)  # a clause may follow on another: `;&`
                state.take(reached)
            case Test():
                for operator, words in command.tests:
                    self.test(operator, words, state)
            case ArithmeticCommand():
                self.arithmetic(command.expression, state)
            case _:
                assert_never(command)

    def branches(self, command: If, state: State) -> None:
        ends: list[State] = []
        for condition, body in command.branches:
            self.condition(condition, state)
            branch = state.inside("branch")
            self.block(body, branch)
            ends.append(branch)
        if command.otherwise is not None:
            branch = state.inside("branch")
            self.block(command.otherwise, branch)
            ends.append(branch)
        for branch in ends:
            state.merge(branch)

    def condition(self, block: Block, state: State) -> None:
        """A list whose failing ends nothing, whatever `set -e` says."""
        strict, state.errexit = state.errexit, False
        self.block(block, state)
        state.errexit = strict

    def loop(self, state: State, *bodies: Block, extra: Changes = NOTHING) -> State:
        """The state inside a loop: what a round before may have changed is not certain."""
        loop = state.inside("loop")
        changes = extra
        for body in bodies:
            changes |= self.changes.block(body)
        if changes.anything or not changes.called.isdisjoint(state.functions):
            loop.forget()
            return loop
        for name in changes.names:
            loop.set(name, None)
        if changes.folder:
            loop.cwd = Word.unknown("folder that a round of the loop changes")
        return loop

    def for_loop(self, command: For, state: State) -> None:
        for node in command.words or ():
            self.word_parts(node, state)
        span = Span(command.frame.start, command.frame.end)
        base = self.loop(state, command.body)
        values = self.rounds(command, state)
        if not values:
            self.assigned(command.name, span, base)
            self.block(command.body, base)
            state.merge(base)
            return
        self.rounds_open *= len(values)
        for value in values:
            each = base.fork()
            self.assigned(command.name, span, each)
            each.set(command.name, value)
            self.block(command.body, each)
            state.merge(each)
        self.rounds_open //= len(values)

    def rounds(self, command: For, state: State) -> list[str]:
        """The values of a loop variable, if they are few and certain; else none."""
        words = command.words
        if not words or len(words) > MAX_ROUNDS or len(self.commands) > MAX_UNROLLED:
            return []
        changes = self.changes.block(command.body)
        if changes.anything or command.name in changes.names:
            return []
        if not changes.called.isdisjoint(state.functions):
            return []
        expander = Expander(state, kind_of)
        expanded = [word.text for node in words for word in expander.words(node)]
        texts = [text for text in expanded if text is not None]
        if len(texts) != len(expanded) or len(texts) * self.rounds_open > MAX_ROUNDS:
            return []
        return texts

    def test(self, operator: str, words: tuple[WordNode, ...], state: State) -> None:
        for node in words:
            self.word_parts(node, state)
        if operator in ("-eq", "-ne", "-lt", "-le", "-gt", "-ge"):
            expander = Expander(state, kind_of)
            for node in words:
                word = expander.one(node)
                if not arithmetic.is_number(word):
                    self.doubt("arithmetic on text that is not known", word.span)
        elif operator == "-v":
            name = Expander(state, kind_of).one(words[0])
            if name.text is None or "[" in name.text:
                self.doubt("array subscript that is evaluated", name.span)

    def redirects_of(self, frame: Frame, state: State) -> None:
        """The redirections of a compound command, as a command of their own."""
        if not frame.redirects:
            return
        files, _ = self.redirects(frame.redirects, state)
        if files:
            self.emit(
                CommandFacts(
                    argv=(),
                    span=Span(frame.start, frame.end),
                    via=state.via,
                    files=files,
                    context=state.context,
                    cwd=state.cwd,
                )
            )


def either(first: State | None, second: State) -> State:
    """What is certain whichever of two ways was taken."""
    if first is None:
        return second.fork()
    both = first.fork()
    both.merge(second)
    return both


def merged_folder(before: Word | None, after: Word | None) -> Word | None:
    return before if before == after else Word.unknown("folder that is known only if `cd` succeeded")


def leaves(pipeline: Pipeline) -> bool:
    """Whether nothing runs after this: `exit`, `return`, `{ echo no; exit 1; }`."""
    if len(pipeline.commands) != 1:
        return False
    command = pipeline.commands[0]
    if isinstance(command, Group) and command.kind is GroupKind.BRACE and command.body.items:
        last = command.body.items[-1]
        return last.connector is Connector.THEN and not last.background and leaves(last.pipeline)
    return isinstance(command, Simple) and bool(command.words) and command.words[0].raw in ("exit", "return")
