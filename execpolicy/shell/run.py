"""One simple command: its words, what its program carries, and what it changes in the shell."""

from __future__ import annotations

from abc import abstractmethod

from execpolicy.facts import Assignment, Carrier, CommandFacts, Effect, FileAccess, Unknown, Word, WordKind
from execpolicy.shell.builtins import CHANGERS, DECLARERS, doubts_about, named, note_changes, runs_any_time
from execpolicy.shell.carriers import Carried, ShellText, see_through
from execpolicy.shell.dialects import may_be_eaten, reads_a_part
from execpolicy.shell.expand import Expander
from execpolicy.shell.lexer import Budget
from execpolicy.shell.state import State, joined
from execpolicy.shell.substitutions import kind_of
from execpolicy.shell.surface import Surface, hooks_of
from execpolicy.shell.tree import Simple
from execpolicy.source import Span

MAX_CARRIERS = 24
_SHELLS = frozenset({"sh", "bash", "rbash", "dash", "ash", "zsh", "ksh", "mksh", "fish", "busybox"})
_SAME_SHELL = frozenset({"eval", "builtin", "command", "exec", "trap"})
_ELSEWHERE = frozenset({Effect.REMOTE, Effect.CONTAINER})
_STDIN_KEEPERS = frozenset({"xargs", "find", "parallel", "fd"})  # what they run does not get their input


class Runner(Surface):
    """Notes down commands and all that they carry."""

    def __init__(self, budget: Budget, *, functions_stay: bool = True) -> None:
        super().__init__(budget)
        self.functions_stay = functions_stay  # no function that is defined is taken away again
        self.defined: set[str] = set()  # functions
        self.removed: set[str] = set()  # names given to `unset`
        self.trapped = False  # something may run between any two commands

    def noted(self, argv: tuple[Word, ...]) -> None:
        """Keep what a builtin does to places that were walked before."""
        name = argv[0].text
        texts = [word.text or word.prefix for word in argv[1:]]
        if name == "unset" and "-v" not in texts:
            self.removed.update(texts)
        elif name == "trap":
            self.trapped = self.trapped or runs_any_time(argv)
        elif name in ("mapfile", "readarray", "read"):
            self.arrays.update(word.text or "" for word in named(argv))
        elif any(set(text) & set("aA") for text in texts if text.startswith("-")):
            self.arrays.update(text.partition("=")[0] for text in texts)

    @abstractmethod
    def text(self, source: str, state: State, span: Span, *, fixed: bool = True) -> None:
        """Walk a text that a shell reads."""

    def simple(self, node: Simple, state: State) -> None:
        argv: list[Word] = []
        span = Span(node.start, node.end)
        expander = Expander(state, kind_of)
        literal = WordKind.LITERAL
        for word in node.words:
            if word.parts is None:
                raw = word.raw
                argv.append(Word(raw, raw, literal, raw, False, "", Span(word.start, word.end)))
                continue
            self.parts(word.parts, state)
            if node.words[0].raw in DECLARERS and expander.is_kept_whole(word):
                argv.append(expander.one(word))
            else:
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
        if certain and self.functions_stay:
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
        if name in CHANGERS:
            self.noted(argv)
            doubts = (*doubts, *(Unknown(why, span) for why in doubts_about(argv, state, self.arrays)))
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
        if carried.argvs or carried.texts or carried.stdin:
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
        if len(state.via) >= MAX_CARRIERS:
            self.stop("carriers nested too deeply", span)
            return
        same_shell = carried.name in _SAME_SHELL
        inner = state if same_shell and carried.name != "trap" else state.fork()
        via, cwd, functions = inner.via, inner.cwd, inner.functions
        inner.via = (*via, Carrier(carried.name, carried.effects))
        if carried.cwd is not None:
            inner.cwd = joined(cwd, carried.cwd)
        if carried.effects and not carried.effects.isdisjoint(_ELSEWHERE):
            inner.cwd = Word.unknown("folder on another machine")
        if carried.name == "trap":
            inner.forget()  # it runs later
        elif same_shell:
            for assignment in assignments:
                inner.set(assignment.name, None)
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
                if carried.name not in _SHELLS:
                    self.own_shell(text, inner, span)
                self.text(text.text.text, self.new_shell(inner, functions, text.dialect), text.text.span)
        if carried.stdin is not None and stdin is not None:
            before = len(self.commands)
            self.text(stdin, self.new_shell(inner, functions, carried.stdin.dialect), argv[0].span)
            if may_be_eaten(stdin) or (
                "\n" in stdin.strip() and any(map(reads_a_part, self.commands[before:]))
            ):
                self.doubt("input that the commands in it may read themselves", span)
        if inner is state:
            state.via = via
            if not same_shell:
                state.cwd = cwd

    def own_shell(self, text: ShellText, state: State, span: Span) -> None:
        """The shell that a carrier starts for its text: `sh -c text`."""
        argv = (Word.literal(text.dialect, span=span), Word.literal("-c", span=span), text.text)
        self.emit(
            CommandFacts(
                argv=argv, span=span, via=state.via, context=state.context, cwd=state.cwd, transparent=True
            )
        )

    def new_shell(self, state: State, functions: dict[str, bool], dialect: str) -> State:
        """The state in which another shell starts: exported functions may reach it."""
        shell = state.fork()
        shell.forget()
        shell.cwd = state.cwd
        shell.dialect = dialect
        shell.functions = dict.fromkeys(functions, False)
        return shell
