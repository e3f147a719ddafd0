"""Hypothesis strategies: words, commands, rules, policies, contexts over a small alphabet that collides often."""

from __future__ import annotations

import posixpath
from collections.abc import Sequence
from functools import partial

from hypothesis import strategies as st

from execpolicy.decision import Decision, Layer, NetworkAccess, Origin, Reviewer, SandboxMode, Scope
from execpolicy.engine.context import CheckContext
from execpolicy.facts import (
    Access,
    Carrier,
    CommandFacts,
    FileAccess,
    ScriptFacts,
    Unknown,
    Word,
    WordKind,
)
from execpolicy.lang import rules as r
from execpolicy.source import Span
from execpolicy.values import replace

HERE = Span(0, 0)
PROGRAMS = ("git", "rm", "tool")
TEXTS = (
    "push",
    "status",
    "origin",
    "main",
    "-f",
    "--force",
    "-rf",
    "-r",
    "--",
    "a/b",
    "x",
    "-C",
    "--dry=1",
    "",
)
FLAGS = ("-f", "--force", "-r", "--dry")
PATHS = ("a.txt", "/ws/b", "/etc/passwd", "/ws/.git/config", "/tmp/t", "../up", "sub/.env", "/dev/null")
GLOBS = ("*", "m*", "**", "a/*", "?", "-*", "[mo]*")

decisions = st.sampled_from(Decision)
layers = st.sampled_from(Layer)


def origin(layer: Layer = Layer.USER, line: int = 1) -> Origin:
    return Origin(layer, "t.rules", line)


# --- patterns -------------------------------------------------------------------------------

exacts = st.sampled_from(TEXTS).map(r.Exact)
atoms = st.one_of(
    exacts, exacts, st.sampled_from(GLOBS).map(r.Glob), st.sampled_from(("^m", "or", "n$")).map(r.Regex)
)
word_patterns = st.one_of(
    atoms,
    st.lists(exacts, min_size=1, max_size=3).map(lambda options: r.AnyOf(tuple(options))),
    st.lists(atoms, min_size=1, max_size=2).map(lambda options: r.NoneOf(tuple(options))),
    st.lists(atoms, min_size=1, max_size=2).map(lambda options: r.AllOf(tuple(options))),
)
program_patterns = st.one_of(
    st.sampled_from(PROGRAMS).map(r.Exact),
    st.sampled_from(PROGRAMS).map(r.Exact),
    st.sampled_from(("/usr/bin/git", "./git")).map(r.Exact),
    st.lists(st.sampled_from(PROGRAMS).map(r.Exact), min_size=1, max_size=2).map(lambda o: r.AnyOf(tuple(o))),
    st.sampled_from(("*", "g*")).map(r.Glob),
)
elements = st.one_of(word_patterns, word_patterns, st.none().map(r.Rest), word_patterns.map(r.Rest))


@st.composite
def element_lists(draw: st.DrawFn, max_size: int = 3) -> tuple[r.Element, ...]:
    items: list[r.Element] = draw(st.lists(elements, max_size=max_size))
    if draw(st.booleans()) and draw(st.booleans()):
        items.append(r.End())
    return tuple(items)


facts_ = st.one_of(
    st.sampled_from(("main", "dev")).map(lambda b: r.Compare(r.Fact("branch"), (r.Exact(b),))),
    st.just(r.Truth(r.Fact("interactive"))),
    st.just(r.Compare(r.EnvFact("CI"), (r.Exact("1"),))),
    st.just(r.TimeBetween(600, 720)),
)
conditions = st.recursive(
    facts_,
    lambda inner: st.one_of(
        inner.map(r.Not),
        st.lists(inner, min_size=1, max_size=2).map(lambda o: r.And(tuple(o))),
        st.lists(inner, min_size=1, max_size=2).map(lambda o: r.Or(tuple(o))),
    ),
    max_leaves=3,
)
whens = st.one_of(st.none(), st.none(), conditions)


@st.composite
def metas(draw: st.DrawFn, decision: Decision | None = None) -> r.Meta:
    return r.Meta(
        id=draw(st.sampled_from(("one", "two", "three", "four"))),
        decision=draw(decisions) if decision is None else decision,
        origin=origin(),
        expires=draw(st.sampled_from((None, None, None, "2026-01-01", "2026-12-31"))),
        mode=draw(st.sampled_from((r.Mode.ENFORCE, r.Mode.ENFORCE, r.Mode.ENFORCE, r.Mode.AUDIT))),
        sandbox=draw(st.sampled_from((None, *SandboxMode))),
        network=draw(st.sampled_from((None, *NetworkAccess))),
        reviewer=draw(st.sampled_from((None, *Reviewer))),
        scope=draw(st.sampled_from((None, *Scope))),
    )


@st.composite
def prefix_rules(draw: st.DrawFn, decision: Decision | None = None) -> r.PrefixRule:
    return r.PrefixRule(
        meta=draw(metas(decision)),
        pattern=(draw(program_patterns), *draw(element_lists())),
        unless=draw(st.one_of(st.just(()), st.just(()), st.tuples(element_lists(2)))),
        when=draw(whens),
    )


@st.composite
def command_rules(draw: st.DrawFn, decision: Decision | None = None) -> r.CommandRule:
    flags = st.one_of(st.just(()), st.lists(st.sampled_from(FLAGS), max_size=2).map(tuple))
    return r.CommandRule(
        meta=draw(metas(decision)),
        program=draw(program_patterns),
        subcommand=tuple(draw(st.lists(word_patterns, max_size=1))),
        flags=r.Flags(draw(flags), draw(flags), draw(flags)),
        args=draw(st.one_of(st.none(), element_lists(2))),
        unless=draw(st.one_of(st.just(()), st.just(()), st.tuples(element_lists(2)))),
        when=draw(whens),
    )


@st.composite
def path_rules(draw: st.DrawFn, decision: Decision | None = None) -> r.PathRule:
    globs = st.sampled_from(("**/.env*", "/etc/**", "$WORKSPACE/**", "*.txt", "/tmp/*", "~/.ssh/**"))
    return r.PathRule(
        meta=draw(metas(decision)),
        paths=tuple(map(r.Glob, draw(st.lists(globs, min_size=1, max_size=2)))),
        access=draw(st.frozensets(st.sampled_from(Access), min_size=1)),
        when=draw(whens),
    )


def any_rules(decision: Decision | None = None) -> st.SearchStrategy[r.Rule]:
    return st.one_of(
        prefix_rules(decision), prefix_rules(decision), command_rules(decision), path_rules(decision)
    )


# --- files and policies ---------------------------------------------------------------------

defaults = st.builds(
    r.Defaults,
    unmatched=decisions,
    unknown=st.sampled_from((Decision.ASK, Decision.DENY)),
    origin=st.just(origin()),
)
exceptions = st.builds(
    r.RuleException,
    to=st.sampled_from(("one", "two")),
    until=st.sampled_from(("2026-01-01", "2027-01-01")),
    approved_by=st.just("ciso"),
    when=whens,
    origin=st.just(origin()),
)
NAMES = ("A", "b", "x-key", "token")
name_patterns = st.one_of(
    st.sampled_from(NAMES).map(r.Exact),
    st.sampled_from(("*", "x-*", "[Ab]", "*k*")).map(r.Glob),
    st.lists(st.sampled_from(NAMES).map(r.Exact), min_size=1, max_size=2).map(lambda o: r.AnyOf(tuple(o))),
)
flag_lists = st.lists(st.sampled_from(("-f", "-C", "--dry")), max_size=2, unique=True).map(tuple)
_mask = partial(r.Mask, origin=origin())
masks = st.builds(
    replace,
    st.one_of(
        st.builds(
            _mask,
            id=st.just("program"),
            program=program_patterns,
            subcommand=st.sampled_from(((), ("push",))),
            option=flag_lists,
        ),
        st.builds(_mask, id=st.just("env"), env=name_patterns),
        st.builds(_mask, id=st.just("header"), header=name_patterns),
        st.builds(
            _mask,
            id=st.just("pattern"),
            pattern=st.lists(
                st.one_of(
                    st.sampled_from(("main", "a/b", "x")).map(r.Exact),
                    st.sampled_from(("ma?i+n", "[a-c]{2}", "-f.", "x|or")).map(r.Regex),
                ),
                min_size=1,
                max_size=2,
            ).map(tuple),
        ),
        st.builds(_mask, id=st.just("argument"), argument=name_patterns),
        st.builds(
            _mask, id=st.just("call"), tool=name_patterns, argument=st.one_of(st.none(), name_patterns)
        ),
        st.builds(
            _mask,
            id=st.just("path"),
            paths=st.sampled_from(("**/.env*", "*.txt", "/ws/**")).map(lambda glob: (r.Glob(glob),)),
        ),
    ),
    id=st.sampled_from(("one", "two", "three")),
)
MARKS = (
    "=",
    ": ",
    " ",
    "\n",
    '"',
    "'",
    '\\"',
    "{",
    "}",
    ",",
    ";",
    "<<E\n",
    "\nE\n",
    "*** Add File: sub/.env\n",
)
masked_texts = st.lists(
    st.sampled_from((*PROGRAMS, *TEXTS, *NAMES, *PATHS, *MARKS, "+", "--- a/a.txt\n", "@@\n", "cat > ")),
    max_size=16,
).map("".join)

hosts = st.builds(
    r.HostExecutable,
    name=st.sampled_from(PROGRAMS),
    paths=st.lists(st.sampled_from(("/usr/bin/git", "/ws/git", "/usr/bin/rm")), max_size=2).map(tuple),
    origin=st.just(origin()),
)


@st.composite
def rule_files(draw: st.DrawFn, max_rules: int = 4) -> r.RuleFile:
    return r.RuleFile(
        path="t.rules",
        digest="",
        rules=tuple(draw(st.lists(any_rules(), max_size=max_rules))),
        host_executables=tuple(draw(st.lists(hosts, max_size=1))),
        defaults=draw(st.one_of(st.none(), st.none(), defaults)),
        exceptions=tuple(draw(st.lists(exceptions, max_size=1))),
    )


def layered_files(max_size: int = 3) -> st.SearchStrategy[list[tuple[Layer, r.RuleFile]]]:
    return st.lists(st.tuples(layers, rule_files()), max_size=max_size)


# --- commands -------------------------------------------------------------------------------

literals = st.sampled_from(TEXTS).map(Word.literal)
firsts = st.sampled_from((*PROGRAMS, *PROGRAMS, "/usr/bin/git", "./git", "/tmp/git", "other")).map(
    Word.literal
)


@st.composite
def unknown_words(draw: st.DrawFn, prefix_of: str = "") -> Word:
    """A word that may become `prefix_of`, among others."""
    prefix = prefix_of[: draw(st.integers(0, len(prefix_of)))]
    many = draw(st.booleans())
    if draw(st.booleans()):
        return Word.unknown("variable x", raw=prefix + "$x", prefix=prefix, many=many)
    return Word(raw=prefix + "*", text=None, kind=WordKind.PATTERN, prefix=prefix, many=many, why="glob")


words = st.one_of(literals, literals, literals, literals, st.sampled_from(TEXTS).flatmap(unknown_words))
path_words = st.one_of(st.sampled_from(PATHS).map(Word.literal), unknown_words("/ws/b"))
files = st.builds(FileAccess, path_words, st.sampled_from(Access))
unknowns = st.builds(Unknown, why=st.just("environment hook"), span=st.just(HERE), code=st.booleans())


@st.composite
def commands(draw: st.DrawFn, argument: st.SearchStrategy[Word] = words) -> CommandFacts:
    return CommandFacts(
        argv=(
            draw(st.one_of(firsts, firsts, firsts, unknown_words("git"))),
            *draw(st.lists(argument, max_size=4)),
        ),
        span=HERE,
        via=tuple(draw(st.lists(st.just(Carrier("sudo")), max_size=1))),
        files=tuple(draw(st.lists(files, max_size=1))),
        transparent=draw(st.sampled_from((False, False, False, True))),
        shadowed=draw(st.sampled_from((False, False, False, True))),
        unknowns=tuple(draw(st.one_of(st.just([]), st.just([]), st.lists(unknowns, max_size=1)))),
    )


@st.composite
def known_commands(draw: st.DrawFn) -> CommandFacts:
    """Every word is known."""
    command = draw(commands(literals))
    known = tuple(replace(file, path=Word.literal(draw(st.sampled_from(PATHS)))) for file in command.files)
    return replace(command, argv=(draw(firsts), *command.argv[1:]), files=known)


def scripts(command: st.SearchStrategy[CommandFacts] | None = None) -> st.SearchStrategy[ScriptFacts]:
    return st.builds(
        ScriptFacts,
        text=st.just("generated"),
        commands=st.lists(command if command is not None else commands(), max_size=3).map(tuple),
        unknowns=st.one_of(st.just(()), st.just(()), st.just((Unknown("unread", HERE),))),
        readable=st.sampled_from((True, True, True, False)),
    )


# --- contexts -------------------------------------------------------------------------------


class Disk:
    """A resolver over two folders: `/usr/bin` holds git and rm, the workspace its own git."""

    def __init__(self, shadowing: bool) -> None:
        self.shadowing = shadowing

    def program(self, name: str, cwd: str) -> str | None:
        if "/" in name:
            return name if name.startswith("/") else f"{cwd}/{name.removeprefix('./')}"
        if name == "git":
            return "/ws/git" if self.shadowing else "/usr/bin/git"
        return "/usr/bin/rm" if name == "rm" else None

    def real(self, path: str) -> str:
        return posixpath.normpath(path)


@st.composite
def contexts(draw: st.DrawFn) -> CheckContext:
    facts: dict[str, str | bool] = {}
    if draw(st.booleans()):
        facts["branch"] = draw(st.sampled_from(("main", "dev")))
    if draw(st.booleans()):
        facts["interactive"] = draw(st.booleans())
    return CheckContext(
        cwd="/ws",
        workspace="/ws",
        home="/home/u",
        writable=("/tmp",),
        protected=("/ws/.git",),
        sandbox=draw(st.sampled_from(SandboxMode)),
        facts=facts,
        env=draw(st.sampled_from((None, {}, {"CI": "1"}))),
        today=draw(st.sampled_from((None, "2026-06-01"))),
        minute=draw(st.sampled_from((None, 0, 660))),
        resolver=draw(st.sampled_from((None, Disk(False), Disk(True)))),
    )


def spoil(command: CommandFacts, at: int, unknown: Word) -> CommandFacts:
    """`command` with word `at` not known."""
    argv: Sequence[Word] = command.argv
    return replace(command, argv=(*argv[:at], unknown, *argv[at + 1 :]))
