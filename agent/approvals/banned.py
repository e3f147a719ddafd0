"""What is never offered for longer: programs that run whatever they are given, and forms that cannot be taken back.

A rule written by hand may allow them; then somebody has thought about it. A key that is pressed on the way may not.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from execpolicy.engine.index import base_name
from execpolicy.engine.options import grammar_of
from execpolicy.shell import catalogue
from execpolicy.shell.catalogue import Form, Role

# Forms that run nothing which the words of the command do not show.
_BOUND: Final = frozenset(
    {
        Form.PLAIN,
        Form.COPY,
        Form.TAR,
        Form.UNZIP,
        Form.SEVENZIP,
        Form.DD,
        Form.CURL,
        Form.WGET,
        Form.TEST,
        Form.SUB,
        Form.GIT,
        Form.MAKE,
    }
)
_RUNNING: Final = frozenset({Role.SHELL, Role.SPLIT, Role.PROGRAM, Role.CODE, Role.SCRIPT, Role.CONFIG})
# Not in the catalogue of carriers, and yet whatever somebody makes of them.
_INTERPRETERS: Final = (
    "R Rscript awk bash bun cmd cscript csh dart dash deno elixir erl expect fish gawk gdb ghci groovy guile "
    "iex irb jshell julia ksh lldb lua luajit mawk mksh node nodejs nu octave osascript perl php powershell "
    "pwsh py pypy pypy3 python pythonw raku ruby sbcl scala sh sqlite3 mysql psql swift tclsh tcsh ts-node tsx "
    "wish wscript xonsh zsh"
)
_INTERPRETER_NAMES: Final = frozenset(_INTERPRETERS.split())
_POWER_NAMES: Final = (
    "chroot dd doas eval exec kexec mkfs nsenter pkexec rm rmdir runas shred source ssh su sudo "
    "systemd-run unshare wipefs bwrap concurrently cross-env firejail guix nix-shell nodemon proot run-parts "
    "screen winpty wsl agent aider ansible claude codex foreman forever gemini goose honcho opencode pm2 "
    "circusd supervisord"
)
_POWER: Final = frozenset(_POWER_NAMES.split())
_SYSTEM: Final = ("/bin/", "/sbin/", "/usr/")  # where a session cannot change a program
# A subcommand that is given by the words, and may yet do anything or undo everything with the words behind it.
_WIDE_NAMES: Final = (
    "apply auth clean config credential cp debug delete deploy destroy dlx drop eval exec filter-branch "
    "gc import init login npm plugin prune publish purge push rebase remote repl reset restore rm run "
    "run-script scale secret secrets shell ssh stash submodule sudo terminate transfer tunnel uninstall "
    "update-ref x worktree workspace alias replace checkout switch"
)
_WIDE: Final = frozenset(_WIDE_NAMES.split())
# Given by the words, and what follows is another command, whatever the program is.
_CARRYING: Final = frozenset({"exec", "dlx"})
# Words of programs without a grammar that commonly mean: do what the files here say.
_DOING_NAMES: Final = (
    "bench benchmark build check compile coverage deploy dev generate install lint migrate preview release run "
    "runserver serve start storybook sync task test up watch worker"
)
_DOING: Final = frozenset(_DOING_NAMES.split())
# Beside the programs that the catalogue knows.
_PROJECT_NAMES: Final = (
    "act agda airflow alembic astro ava behave celery coqc cypress dagger dart django-admin dvc earthly elm ember "
    "expo fastlane flask flutter ghc gatsby gunicorn hugo hypercorn jasmine jbang jekyll k6 karma lake latexmk lean "
    "lint-staged locust mage mkdocs moon netlify next ng npm-run-all nuxt nvm ocamlrun playwright pnpm pod rails "
    "robot rspec run-p run-s rush rustc sam scala-cli serverless skaffold sls snakemake sphinx-build tap tilt "
    "uvicorn vercel volta wireit wrangler yarn yarnpkg"
)
_PROJECT: Final = frozenset(_PROJECT_NAMES.split())
_NO_CODE: Final = frozenset({"apt", "apt-get", "brew", "dnf", "git", "systemctl", "service", "yum"})


def why_never(argv: Sequence[str]) -> str:
    """Why no lasting yes is offered for this command, however exactly; empty where one may be."""
    name = base_name(argv[0])
    plain = name.rstrip("0123456789.")
    entry = catalogue.program(name)
    if "/" in argv[0] and not argv[0].startswith(_SYSTEM):
        return f"`{argv[0]}` is a file that may be another one then"
    if (
        name in _INTERPRETER_NAMES
        or plain in _INTERPRETER_NAMES
        or (entry is not None and _interprets(entry))
    ):
        return f"`{name}` runs whatever program text it gets"
    if name in _POWER or plain in _POWER or name.startswith("mkfs"):
        return f"`{name}` can do too much to be allowed for longer"
    if entry is not None and entry.form not in _BOUND:
        return f"`{name}` runs other commands"
    if entry is not None and (runs := _carried(entry, argv[1:])):
        return f"`{name} {runs}` runs other commands"
    if (first := _first(argv)) in _CARRYING:
        return f"`{name} {first}` runs other commands"
    return ""


def why_not_wide(argv: Sequence[str], words: int) -> str:
    """Why the first `words` of the command are too few to allow all that begins with them."""
    name = base_name(argv[0])
    if words < 2:
        return f"all of `{name}` would be more than one program doing one thing"
    if any(word in _WIDE for word in argv[1:words]):
        return f"`{' '.join(argv[:words])}` can do too many things with other words behind it"
    entry = catalogue.program(name)
    if entry is not None and _code(entry, argv[1:words]):
        return f"`{' '.join(argv[:words])}` runs what files of the project say, with whatever words stand behind it"
    return ""


def runs_project_code(argv: Sequence[str]) -> bool:
    """What the command does is written in files that may change after the yes."""
    name = base_name(argv[0])
    entry = catalogue.program(name)
    if entry is not None and (_code(entry, argv[1:]) or entry.form is Form.MAKE):
        return True
    first = _first(argv)
    known = grammar_of(name).subcommands
    if name == "git":
        return bool(first) and first not in known  # an alias, or a program that is called so
    return name in _PROJECT or (first in _DOING and name not in _NO_CODE)


def subcommand(argv: Sequence[str]) -> int:
    """How many first words are the program and its subcommand; 0 where none is known to stand there.

    An option in front of the subcommand may have a value, so only a subcommand that follows at once is known.
    """
    grammar = grammar_of(base_name(argv[0]))
    count = 1
    while count < len(argv) and argv[count] in grammar.subcommands:
        grammar = grammar.subcommands[argv[count]]
        count += 1
    return count if count > 1 else 0


def _first(argv: Sequence[str]) -> str:
    """The first word behind the program that is no option; empty where there is none."""
    return next((word for word in argv[1:] if not word.startswith("-")), "")


def _interprets(entry: catalogue.Entry) -> bool:
    return entry.hard or entry.form in (Form.SHELL, Form.CODE, Form.EVAL, Form.AWK, Form.SED)


def _code(entry: catalogue.Entry, words: Sequence[str]) -> bool:
    """Whether the program, or a subcommand of it that is among the words, runs code of the project."""
    if entry.code:
        return True
    for at, word in enumerate(words):
        if word in entry.subs:
            return _code(catalogue.entry(entry.subs[word]), words[at + 1 :])
    return False


def _carried(entry: catalogue.Entry, words: Sequence[str]) -> str:
    """The words that make the program run what others of its words name; empty where none does."""
    for word in words:
        if entry.roles.get(word.partition("=")[0]) in _RUNNING:
            return word
    if entry.operands in _RUNNING or entry.first in _RUNNING or entry.last in _RUNNING:
        return "..."
    for at, word in enumerate(words):
        if word in entry.subs:
            sub = catalogue.entry(entry.subs[word])
            if sub.form not in _BOUND:
                return word
            found = _carried(sub, words[at + 1 :])
            return f"{word} {found}" if found else ""
    return ""
