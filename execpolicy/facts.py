"""What a script can do, as far as it is known before it runs.

The shell reader writes these values and the engine reads them; neither knows the other.
"""

from __future__ import annotations

import enum

from execpolicy.source import Span
from execpolicy.values import frozen


class Access(enum.Enum):
    """What is done to a file."""

    READ = "read"
    WRITE = "write"  # create, truncate, append, change mode or owner
    DELETE = "delete"
    EXECUTE = "execute"


class Effect(enum.Enum):
    """What a carrier changes for the command it carries."""

    PRIVILEGE = "privilege"  # sudo, doas, su
    NAMESPACE = "namespace"  # unshare, nsenter, chroot
    REMOTE = "remote"  # ssh: runs on another machine
    CONTAINER = "container"  # docker exec
    NETWORK = "network"
    BACKGROUND = "background"


class WordKind(enum.Enum):
    """How much of a word is known."""

    LITERAL = "literal"  # `text` is exactly what the program will get
    PATTERN = "pattern"  # a glob: expands to file names that fit, or stays as written
    PATH = "path"  # unknown, but one path: $(pwd), $PWD
    NUMBER = "number"  # unknown, but one number: $$, $?
    UNKNOWN = "unknown"


@frozen
class Word:
    """One word of a command, or as many words as it may expand to."""

    raw: str  # as written
    text: str | None  # INVARIANT: str if and only if kind is LITERAL
    kind: WordKind = WordKind.LITERAL
    prefix: str = ""  # the longest start that is certain (of a word that is not literal)
    many: bool = False  # may become any number of words, none included
    why: str = ""  # why it is not known: "variable x", "command substitution", ...
    span: Span = Span(0, 0)

    @staticmethod
    def literal(text: str, raw: str | None = None, span: Span = Span(0, 0)) -> Word:
        return Word(raw=text if raw is None else raw, text=text, prefix=text, span=span)

    @staticmethod
    def unknown(
        why: str, *, raw: str = "?", prefix: str = "", many: bool = False, span: Span = Span(0, 0)
    ) -> Word:
        return Word(raw=raw, text=None, kind=WordKind.UNKNOWN, prefix=prefix, many=many, why=why, span=span)


@frozen
class Unknown:
    """Something that could not be known, and where it stands."""

    why: str  # one short phrase: "here-document fed to an interpreter"
    span: Span
    # Code that the program exists to run: `python3 -c TEXT`, `python3 file.py`, `make`. An allow rule that
    # names the program covers it, silence does not. Any other unknown is an ask whatever is allowed.
    code: bool = False


@frozen
class Assignment:
    name: str
    value: Word | None  # None: an array or another form whose value is not read
    append: bool = False


@frozen
class FileAccess:
    """A file that a redirection or a known operand reads, writes, deletes or executes."""

    path: Word  # relative paths are relative to `cwd` of the command
    access: Access
    why: str = "redirection"
    span: Span = Span(0, 0)


@frozen
class Carrier:
    """A program that runs another: sudo, env, xargs, bash -c, find -exec."""

    name: str
    effects: frozenset[Effect] = frozenset()


@frozen(kw_only=True)
class CommandFacts:
    """One command that can run.

    A carrier and what it carries are two commands: `sudo git push` gives `sudo git push` (carrier)
    and `git push` (with `via` holding sudo). An empty argv stands for redirections or assignments alone.
    """

    argv: tuple[Word, ...]
    span: Span
    via: tuple[Carrier, ...] = ()  # outermost first
    assignments: tuple[Assignment, ...] = ()  # of this command alone: `A=1 cmd`, `env A=1 cmd`
    files: tuple[FileAccess, ...] = ()
    context: tuple[str, ...] = ()  # enclosing: pipeline, subshell, substitution, function:NAME, loop, ...
    cwd: Word | None = None  # None: where the script started; else after `cd`
    # A carrier that only passes another command on (env, timeout, nice, bash -c with a readable
    # script). Silence of the rules about it is not an ask; what it carries is judged by itself.
    transparent: bool = False
    # A function or alias of this name is defined in the script: an allow for the program does not cover it.
    shadowed: bool = False
    unknowns: tuple[Unknown, ...] = ()  # about this command: an environment hook, an unknown option


@frozen(kw_only=True)
class ScriptFacts:
    """Everything that one script can do.

    `readable` is False when the text was not read exactly as bash reads it; then `unknowns` says why and
    `commands` holds what was found so far, for denies only.
    """

    text: str
    commands: tuple[CommandFacts, ...]
    unknowns: tuple[Unknown, ...] = ()  # about the script as a whole
    readable: bool = True
