"""Finds every command that a script can run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import assert_never

from execpolicy.facts import (
    Access,
    Assignment,
    Carrier,
    CommandFacts,
    Effect,
    FileAccess,
    ScriptFacts,
    Unknown,
    Word,
    WordKind,
)
from execpolicy.shell import arithmetic
from execpolicy.shell.builtins import note_changes
from execpolicy.shell.carriers import Carried, see_through
from execpolicy.shell.dialects import differs
from execpolicy.shell.environment import hook
from execpolicy.shell.expand import Expander
from execpolicy.shell.lexer import MAX_DEPTH, Budget
from execpolicy.shell.reader import read
from execpolicy.shell.state import State, joined
from execpolicy.shell.substitutions import kind_of
from execpolicy.shell.tree import (
    Arithmetic,
    ArithmeticCommand,
    ArithmeticFor,
    ArrayValue,
    AssignNode,
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
    Parameter,
    Part,
    Pipeline,
    ProcessSubstitution,
    RedirectNode,
    Simple,
    Substitution,
    Test,
    Text,
    While,
    WordNode,
)
from execpolicy.source import NOWHERE, Span

MAX_COMMANDS = 12_000
MAX_CARRIERS = 24
_READS = {"<": Access.READ, "<>": Access.WRITE}
_WRITES = frozenset({">", ">>", ">|", "&>", "&>>", "<>", ">&"})
_STDIN_KEEPERS = frozenset({"xargs", "find", "parallel", "fd"})  # what they run does not get their input


def analyse(script: str, *, cwd: str | None = None, dialect: str = "bash") -> ScriptFacts:
    """The facts of `script`. Never raises; bounded in time and memory whatever the text."""
    walk = Walk(Budget())
    state = State(dialect=dialect)
    try:
        walk.text(script, state, NOWHERE, fixed=False)
    except RecursionError:
        walk.stop("nested too deeply", NOWHERE)
    return ScriptFacts(
        text=script,
        commands=tuple(walk.commands),
        unknowns=tuple(dict.fromkeys(walk.unknowns)),
        readable=walk.readable,
    )


def analyse_argv(argv: Sequence[str]) -> ScriptFacts:
    """The facts of words that no shell reads."""
    walk = Walk(Budget())
    words = []
    at = 0
    for text in argv:
        words.append(Word.literal(text, span=Span(at, at + len(text))))
        at += len(text) + 1
    try:
        if words:
            walk.run(tuple(words), State(), Span(0, at - 1))
    except RecursionError:
        walk.stop("nested too deeply", NOWHERE)
    return ScriptFacts(
        text=" ".join(argv),
        commands=tuple(walk.commands),
        unknowns=tuple(dict.fromkeys(walk.unknowns)),
        readable=walk.readable,
    )


class _Full(Exception):
    """More commands than anybody would judge."""


class Walk:
    """Goes through trees in the order in which they run, and notes down every command."""

    def __init__(self, budget: Budget) -> None:
        self.budget = budget
        self.commands: list[CommandFacts] = []
        self.unknowns: list[Unknown] = []
        self.readable = True

    def stop(self, why: str, span: Span) -> None:
        self.readable = False
        self.unknowns.append(Unknown(why, span))

    def doubt(self, why: str, span: Span) -> None:
        self.unknowns.append(Unknown(why, span))

    # --- texts ---

    def text(self, source: str, state: State, span: Span, *, fixed: bool = True) -> None:
        """A text that a shell reads, in `state`, which it changes."""
        why = differs(source, state.dialect)
        if why is not None:
            self.doubt(why, span)
        if self.budget.depth > MAX_DEPTH:
            self.stop("nested too deeply", span)
            return
        self.budget.depth += 1
        script = read(source, self.budget, fixed=span if fixed else None)
        try:
            for line in script.lines:
                self.block(line, state)
            for simple in script.loose:
                self.simple(simple, state.fork())
        except _Full:
            self.stop("more commands than can be judged", span)
        if script.failure is not None:
            self.stop(script.failure.why, script.failure.span)
        self.budget.depth -= 1

    # --- lists ---

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
            before = current.fork()
            self.pipeline(item.pipeline, current)
            if current.cwd is not before.cwd:
                stopped = either(stopped, before)
            stopped = either(stopped, current)
            current = current.fork()
        state.take(current if stopped is None else either(stopped, current))

    def pipeline(self, pipeline: Pipeline, state: State) -> None:
        commands = pipeline.commands
        if len(commands) == 1:
            self.command(commands[0], state)
            return
        stdin: str | None = None
        for command in commands:
            forked = state.inside("pipeline")
            forked.stdin = stdin
            self.command(command, forked)
            stdin = self.printed(command, forked)

    def printed(self, command: Command, state: State) -> str | None:
        """What a command writes to standard output, if that is certain: `echo text`."""
        if not isinstance(command, Simple) or command.redirects or command.assigns or not command.words:
            return None
        if command.words[0].raw != "echo" or "echo" in state.functions:
            return None
        expander = Expander(state, kind_of)
        words = [word for node in command.words[1:] for word in expander.words(node)]
        texts = [word.text for word in words if word.text is not None]
        if len(texts) != len(words) or any(text.startswith("-") or "\\" in text for text in texts):
            return None
        return " ".join(texts) + "\n"

    # --- commands ---

    def command(self, command: Command, state: State) -> None:
        match command:
            case Simple():
                self.simple(command, state)
            case Function():
                body = state.inside(f"function:{command.name}")
                body.forget()
                body.cwd = Word.unknown("folder of the caller")
                state.define(command.name, certain=True)
                body.define(command.name, certain=True)
                self.command(command.body, body)
            case Coprocess():
                self.command(command.body, state.inside("coprocess"))
                state.set(command.name, None)
            case _:
                self.redirects_of(command.frame, state)
                self.compound(command, state)

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
                loop = self.loop(state, "loop")
                self.block(command.condition, loop)
                self.block(command.body, loop)
                self.after_loop(state, loop)
            case For():
                self.for_loop(command, state)
            case ArithmeticFor():
                self.arithmetic(command.header, state)
                loop = self.loop(state, "loop")
                self.block(command.body, loop)
                self.after_loop(state, loop)
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
            self.block(condition, state)
            branch = state.inside("branch")
            self.block(body, branch)
            ends.append(branch)
        if command.otherwise is not None:
            branch = state.inside("branch")
            self.block(command.otherwise, branch)
            ends.append(branch)
        for branch in ends:
            state.merge(branch)

    def loop(self, state: State, what: str) -> State:
        """The state inside a loop: what a round before may have changed is not certain."""
        loop = state.inside(what)
        loop.forget()
        return loop

    def after_loop(self, state: State, loop: State) -> None:
        state.merge(loop)

    def for_loop(self, command: For, state: State) -> None:
        if command.words is not None:
            for node in command.words:
                self.word_parts(node, state)
        loop = self.loop(state, "loop")
        loop.set(command.name, None)
        self.block(command.body, loop)
        self.after_loop(state, loop)

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

    # --- simple commands ---

    def simple(self, node: Simple, state: State) -> None:
        expander = Expander(state, kind_of)
        argv: list[Word] = []
        span = Span(node.start, node.end)
        for word in node.words:
            if word.parts is None:
                raw = word.raw
                argv.append(Word(raw, raw, WordKind.LITERAL, raw, False, "", Span(word.start, word.end)))
                continue
            self.parts(word.parts, state)
            argv.extend(expander.words(word))
        files: tuple[FileAccess, ...] = ()
        stdin = state.stdin
        if node.redirects:
            files, stdin = self.redirects(node.redirects, state)
        assignments, unknowns = self.assignments(node.assigns, state) if node.assigns else ((), ())
        if not argv:
            for assign in assignments:
                known = assign.value.text if assign.value is not None and not assign.append else None
                state.set(assign.name, known)
            if files or assignments:
                self.emit(
                    CommandFacts(
                        argv=(),
                        span=span,
                        via=state.via,
                        assignments=assignments,
                        files=files,
                        context=state.context,
                        cwd=state.cwd,
                        unknowns=unknowns,
                    )
                )
            return
        self.run(tuple(argv), state, span, assignments, files, unknowns, stdin)

    def run(
        self,
        argv: tuple[Word, ...],
        state: State,
        span: Span,
        assignments: tuple[Assignment, ...] = (),
        files: tuple[FileAccess, ...] = (),
        unknowns: tuple[Unknown, ...] = (),
        stdin: str | None = None,
    ) -> None:
        """One command with all that it carries."""
        name = argv[0].text
        certain = state.functions.get(name) if name is not None else None
        if certain:
            self.emit(
                CommandFacts(
                    argv=argv,
                    span=span,
                    via=state.via,
                    assignments=assignments,
                    files=files,
                    context=state.context,
                    cwd=state.cwd,
                    transparent=True,
                    shadowed=True,
                    unknowns=unknowns,
                )
            )
            state.forget()
            return
        carried = see_through(argv)
        doubts = carried.unknowns
        fed = carried.stdin is not None and stdin is not None
        if carried.stdin is not None and fed:
            doubts = tuple(doubt for doubt in doubts if doubt is not carried.stdin.unknown)
        self.emit(
            CommandFacts(
                argv=argv,
                span=span,
                via=state.via,
                assignments=assignments,
                files=files + carried.files if carried.files else files,
                context=state.context,
                cwd=state.cwd,
                transparent=carried.transparent or fed,
                shadowed=certain is not None,
                unknowns=unknowns + doubts if doubts else unknowns,
            )
        )
        if certain is not None:
            state.forget()
        if carried.name:
            self.carried(carried, argv, state, span, assignments, stdin)
        note_changes(argv, state)

    def carried(
        self,
        carried: Carried,
        argv: tuple[Word, ...],
        state: State,
        span: Span,
        assignments: tuple[Assignment, ...],
        stdin: str | None,
    ) -> None:
        """What a carrier runs."""
        if not (carried.argvs or carried.texts or carried.stdin):
            return
        if len(state.via) >= MAX_CARRIERS:
            self.stop("carriers nested too deeply", span)
            return
        same_shell = carried.name in ("eval", "builtin", "command", "exec", "trap")
        inner = state if same_shell and carried.name != "trap" else state.fork()
        via, cwd, functions = inner.via, inner.cwd, inner.functions
        inner.via = (*via, Carrier(carried.name, carried.effects))
        if carried.cwd is not None:
            inner.cwd = joined(cwd, carried.cwd)
        if carried.effects & {Effect.REMOTE, Effect.CONTAINER}:
            inner.cwd = Word.unknown("folder on another machine")
        hooks = hooks_of(carried.assignments, span)
        given = (*assignments, *carried.assignments)
        if carried.name != "eval" and carried.name != "trap":
            inner.functions = {}
        passed = None if carried.name in _STDIN_KEEPERS else stdin
        for words in carried.argvs:
            self.run(words, inner, words[0].span if words else span, given, (), hooks, passed)
        inner.functions = functions
        for text in carried.texts:
            if text.text.text is None:
                continue
            if same_shell:
                self.text(text.text.text, inner, text.text.span)
            else:
                shell = inner.fork()
                shell.forget()
                shell.cwd = inner.cwd
                shell.dialect = text.dialect
                shell.functions = dict.fromkeys(functions, False)
                self.text(text.text.text, shell, text.text.span)
        if carried.stdin is not None and stdin is not None:
            shell = inner.fork()
            shell.forget()
            shell.cwd = inner.cwd
            shell.dialect = carried.stdin.dialect
            shell.functions = dict.fromkeys(functions, False)
            self.text(stdin, shell, argv[0].span)
        if inner is state:
            state.via = via
            if not same_shell:
                state.cwd = cwd

    def emit(self, facts: CommandFacts) -> None:
        if len(self.commands) >= MAX_COMMANDS:
            raise _Full
        self.commands.append(facts)

    # --- assignments and redirections ---

    def assignments(
        self, nodes: tuple[AssignNode, ...], state: State
    ) -> tuple[tuple[Assignment, ...], tuple[Unknown, ...]]:
        found: list[Assignment] = []
        expander = Expander(state, kind_of)
        for node in nodes:
            span = Span(node.start, node.end)
            if node.subscript is not None:
                self.subscript(node.subscript, node.subscript_parts, span, state)
            for element in node.elements:
                self.word_parts(element, state)
            value: Word | None = None
            if node.value is not None:
                self.word_parts(node.value, state)
                value = expander.one(node.value)
            plain = value if node.subscript is None else None
            found.append(Assignment(node.name, plain, node.append))
        assignments = tuple(found)
        return assignments, hooks_of(assignments, Span(nodes[0].start, nodes[-1].end))

    def redirects(
        self, nodes: tuple[RedirectNode, ...], state: State
    ) -> tuple[tuple[FileAccess, ...], str | None]:
        """Files that are opened, and the text of standard input if that is certain."""
        files: list[FileAccess] = []
        expander = Expander(state, kind_of)
        stdin = state.stdin
        for node in nodes:
            span = Span(node.start, node.end)
            if node.document is not None:
                self.parts(node.document.body, state)
                if node.descriptor in ("", "0"):
                    stdin = expander.text(node.document.body)
                continue
            if node.target is None:
                continue
            self.word_parts(node.target, state)
            if node.operator == "<<<":
                if node.descriptor in ("", "0"):
                    text = expander.one(node.target).text
                    stdin = None if text is None else text + "\n"
                continue
            if node.operator in ("<", "<>", "<&") and node.descriptor in ("", "0"):
                stdin = None
            files.extend(self.opened(node, expander, span))
        return tuple(files), stdin

    def opened(self, node: RedirectNode, expander: Expander, span: Span) -> Iterator[FileAccess]:
        assert node.target is not None
        target = node.target
        if node.operator in ("<&", ">&"):
            if target.raw == "-" or target.raw.rstrip("-").isdigit():
                return
            if node.operator == "<&" or node.descriptor:
                # A descriptor that is not known; a file is an error.
                return
        if (
            any(isinstance(part, ProcessSubstitution) for part in target.parts or ())
            and len(target.parts or ()) == 1
        ):
            return
        for path in expander.words(target):
            if node.operator in ("<", "<>"):
                yield FileAccess(path, Access.READ, "redirection", span)
            if node.operator in _WRITES:
                yield FileAccess(path, Access.WRITE, "redirection", span)

    # --- words ---

    def word_parts(self, node: WordNode, state: State) -> None:
        if node.parts is not None:
            self.parts(node.parts, state)

    def parts(self, parts: tuple[Part, ...], state: State) -> None:
        """The commands that hide in a word."""
        for part in parts:
            match part:
                case Text():
                    pass
                case Substitution():
                    self.block(part.body, state.inside("substitution"))
                case ProcessSubstitution():
                    self.block(part.body, state.inside("process substitution"))
                case Parameter():
                    self.parameter(part, state)
                case Arithmetic():
                    self.arithmetic(part, state)
                case ArrayValue():
                    for element in part.elements:
                        self.word_parts(element, state)
                case _:
                    assert_never(part)

    def parameter(self, part: Parameter, state: State) -> None:
        if part.operand:
            self.parts(part.operand, state)
        if part.subscript is not None:
            self.subscript(part.subscript, (), part.span, state)
        match part.operator:
            case "@P":
                self.doubt("text that is expanded as a prompt", part.span)
            case "!":
                self.doubt("variable whose name is computed", part.span)
            case ":":
                if not arithmetic.is_safe(part.operand_text.replace(":", " + "), state):
                    self.doubt("arithmetic on text that is not known", part.span)
            case "=" | ":=":
                state.set(part.name, None)
            case _:
                pass

    def subscript(self, text: str, parts: tuple[Part, ...], span: Span, state: State) -> None:
        self.parts(parts, state)
        if text not in ("@", "*") and not arithmetic.is_safe(text, state):
            self.doubt("array subscript that is evaluated", span)

    def arithmetic(self, part: Arithmetic, state: State) -> None:
        self.parts(part.parts, state)
        safe = arithmetic.is_safe(part.text, state)
        for name in arithmetic.names(part.text):
            state.set(name, None)
        if not safe:
            self.doubt("arithmetic on text that is not known", part.span)


def hooks_of(assignments: Sequence[Assignment], span: Span) -> tuple[Unknown, ...]:
    """Assignments that change what a harmless command runs."""
    found = []
    for assignment in assignments:
        value = assignment.value.text if assignment.value is not None and not assignment.append else None
        why = hook(assignment.name, value)
        if why is not None:
            found.append(Unknown(why, span))
    return tuple(found)


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
