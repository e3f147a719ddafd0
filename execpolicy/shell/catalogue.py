"""The typed catalogue of programs that run others or touch files: package data, read once.

`catalogue.yaml` is what a person reads and edits; `catalogue.json` holds the same for a quick start
(`scripts/build_catalogue.py` writes it, a test keeps the two together).
"""

from __future__ import annotations

import enum
import functools
import json
import os
from collections.abc import Mapping

from execpolicy.facts import Effect
from execpolicy.shell.carriers_options import OptionSpec
from execpolicy.values import frozen

Raw = Mapping[str, object]


class Form(enum.Enum):
    """How a program takes what it runs."""

    __hash__ = object.__hash__  # members are equal only to themselves; that of `Enum` hashes the name

    PLAIN = "plain"  # runs nothing but what its options say
    ARGV = "argv"  # the command is the rest of the line
    DDASH = "ddash"  # the command stands behind `--`
    POD = "pod"  # behind `--`, or behind the first operand
    SUB = "sub"  # a subcommand decides
    GIT = "git"
    JOIN = "join"  # the rest of the line, joined by blanks, is shell text
    EACH = "each"  # every operand is shell text
    SHELL = "shell"  # sh: -c TEXT, a script file, or standard input
    ENV = "env"
    SUDO = "sudo"
    SU = "su"
    XARGS = "xargs"
    PARALLEL = "parallel"
    WATCH = "watch"
    ENTR = "entr"
    FLOCK = "flock"
    SCRIPT = "script"
    START = "start"  # start-stop-daemon
    PACKAGE = "package"  # npx: fetches a package and runs it
    APPLET = "applet"  # busybox: the rest is a command line of its own
    FIND = "find"
    FD = "fd"
    CODE = "code"  # an interpreter: program text in an option, a script file, or standard input
    AWK = "awk"
    SED = "sed"
    MAKE = "make"
    SSH = "ssh"
    IP = "ip"
    SOCAT = "socat"
    QUERY = "query"  # `command`: runs the rest unless -v or -V asks about it
    EVAL = "eval"
    TRAP = "trap"
    TEST = "test"
    EXPORT = "export"
    OPAQUE = "opaque"  # changes what later words mean
    COPY = "copy"
    TAR = "tar"
    UNZIP = "unzip"
    SEVENZIP = "sevenzip"
    DD = "dd"
    CURL = "curl"
    WGET = "wget"


class Role(enum.Enum):
    """What a value means to the program that gets it."""

    __hash__ = object.__hash__  # as above

    READ = "read"
    WRITE = "write"
    DELETE = "delete"
    EXECUTE = "execute"
    SHELL = "shell"  # text that a shell runs
    SPLIT = "split"  # words, split at blanks, that are run
    PROGRAM = "program"  # a program that is run with arguments of its caller's choice
    CODE = "code"  # program text of another language
    SCRIPT = "script"  # a file of program text
    CONFIG = "config"  # can make the program run anything
    CHDIR = "chdir"
    ASSIGN = "assign"  # NAME=VALUE for the environment of what is run
    ARITH = "arith"  # names a variable whose subscript a shell evaluates
    TRANSPORT = "transport"  # where git fetches from: may name a program


@frozen(kw_only=True)
class Entry:
    """What is known about one program or subcommand."""

    form: Form = Form.PLAIN
    options: OptionSpec = OptionSpec()
    roles: Mapping[str, Role]  # option -> meaning of its value, or of its presence when it takes none
    skip: int = 0  # operands in front of the carried command
    assigns: bool = False  # NAME=VALUE words may stand in front of the carried command
    transparent: bool = False
    effects: frozenset[Effect] = frozenset()
    default: str = ""  # what runs when no command is given: `shell`, or a program
    first: Role | None = None  # meaning of the first operand
    operands: Role | None = None  # of the operands that neither `first` nor `last` speak about
    last: Role | None = None  # of the last operand, when there are two or more
    join: bool = False  # the carried words are joined and read by a shell
    subs: Mapping[str, Raw]  # subcommand -> its entry, not yet read
    strip: bool = False  # options in front of the subcommand are taken out
    optional_skip: bool = False  # what is skipped may be missing
    otherwise: str = ""  # `code`: a subcommand that is not listed runs program text
    code: bool = False  # runs program text whatever it is told
    hard: bool = False  # ... of a kind that an allow does not cover
    source: bool = False
    inert: frozenset[str] = frozenset()
    leading: frozenset[str] | None = None  # None: the first operand is one like the others
    read_with: frozenset[str] = frozenset()
    write_with: frozenset[str] = frozenset()
    inplace: frozenset[str] = frozenset()
    modules: frozenset[str] = frozenset()
    settings: frozenset[str] = frozenset()
    risky: frozenset[str] = frozenset()
    note: str = ""


# Fields that name options: such an option is a known one, a flag unless it stands among those with a value.
LISTS = ("inert", "leading", "read_with", "write_with", "inplace", "risky")


def _words(raw: Raw, key: str) -> frozenset[str]:
    return frozenset(str(raw.get(key, "")).split())


def _role(raw: Raw, key: str) -> Role | None:
    value = raw.get(key)
    return None if value is None else Role(str(value))


def _mapping(raw: Raw, key: str) -> Raw:
    value = raw.get(key)
    return value if isinstance(value, dict) else {}


def entry(raw: Raw) -> Entry:
    """Read one entry; `raw` is a mapping as it stands in the catalogue."""
    roles = {
        option: Role(str(kind))
        for kind, options in _mapping(raw, "roles").items()
        for option in str(options).split()
    }
    skip = raw.get("skip", 0)
    return Entry(
        form=Form(str(raw.get("form", "plain"))),
        options=OptionSpec(
            values=_words(raw, "values"),
            optional=_words(raw, "optional"),
            flags=_words(raw, "flags")
            | frozenset(word for key in LISTS for word in _words(raw, key))
            | frozenset(option for option in roles if option.startswith(("-", "+"))),
            strict=bool(raw.get("strict", False)),
            permute=bool(raw.get("permute", False)),
            single=bool(raw.get("single", False)),
            plus=bool(raw.get("plus", False)),
        ),
        roles=roles,
        skip=skip if isinstance(skip, int) else 0,
        assigns=bool(raw.get("assigns", False)),
        transparent=bool(raw.get("transparent", False)),
        effects=frozenset(Effect(word) for word in _words(raw, "effects")),
        default=str(raw.get("default", "")),
        first=_role(raw, "first"),
        operands=_role(raw, "operands"),
        last=_role(raw, "last"),
        join=bool(raw.get("join", False)),
        subs={
            name: sub if isinstance(sub, dict) else {}
            for names, sub in _mapping(raw, "subs").items()
            for name in names.split()
        },
        strip=bool(raw.get("strip", False)),
        optional_skip=bool(raw.get("optional_skip", False)),
        otherwise=str(raw.get("otherwise", "")),
        code=bool(raw.get("code", False)),
        hard=bool(raw.get("hard", False)),
        source=bool(raw.get("source", False)),
        inert=_words(raw, "inert"),
        leading=_words(raw, "leading") if "leading" in raw else None,
        read_with=_words(raw, "read_with"),
        write_with=_words(raw, "write_with"),
        inplace=_words(raw, "inplace"),
        modules=_words(raw, "modules"),
        settings=_words(raw, "settings"),
        risky=_words(raw, "risky"),
        note=str(raw.get("note", "")),
    )


@functools.cache
def _catalogue() -> Mapping[str, Raw]:
    with open(os.path.join(os.path.dirname(__file__), "catalogue.json"), "rb") as file:
        data: dict[str, Raw] = json.load(file)
    return {name: raw for names, raw in data.items() for name in names.split()}


def program(name: str) -> Entry | None:
    """The entry of a program by its bare name; None when nothing is known about it."""
    return _known(name) if name in _catalogue() else None


@functools.cache  # bounded: only names of the catalogue come here
def _known(name: str) -> Entry:
    return entry(_catalogue()[name])


@functools.cache
def subcommand(line: str) -> Entry | None:
    """The entry of a subcommand by its words: `docker compose run`; None when it has none."""
    above, _, last = line.rpartition(" ")
    parent = subcommand(above) if " " in above else program(above)
    raw = None if parent is None else parent.subs.get(last)
    return None if raw is None else entry(raw)


def names() -> frozenset[str]:
    """Every program in the catalogue."""
    return frozenset(_catalogue())
