"""Shells: `-c TEXT`, a script file, or standard input."""

from __future__ import annotations

from execpolicy.facts import Access, Word
from execpolicy.shell.carriers_base import Carried, Pad
from execpolicy.shell.carriers_options import known, scan
from execpolicy.shell.catalogue import Entry

Argv = tuple[Word, ...]

# Options under which a shell reads its text otherwise than the reader does.
CHANGES_READING = {
    "-k": "every NAME=VALUE word becomes a variable",
    "+B": "braces are not expanded",
    "-H": "history expansion is on",
    "-D": "strings are translated",
}
HARMLESS_SETTINGS = frozenset(
    (
        "allexport",
        "braceexpand",
        "emacs",
        "errexit",
        "errtrace",
        "functrace",
        "hashall",
        "ignoreeof",
        "interactive-comments",
        "monitor",
        "noclobber",
        "noexec",
        "noglob",
        "nolog",
        "notify",
        "nounset",
        "onecmd",
        "physical",
        "pipefail",
        "privileged",
        "verbose",
        "vi",
        "xtrace",
    )
)


def shell(program: str, entry: Entry, argv: Argv) -> Carried:
    """`bash [options] -c TEXT [NAME [WORD...]]`, `bash FILE`, `bash -s`, `bash`."""
    pad = Pad(program, entry)
    read = scan(argv, entry.options)
    pad.doubts(read)
    dialect = program
    for option in read.options:
        if option.name in CHANGES_READING:
            pad.unknown(f"`{option.name}`: {CHANGES_READING[option.name]}", argv[option.at])
        elif option.name in ("-o", "+o"):
            setting = None if option.value is None else known(option.value)
            if setting == "posix":
                dialect = "sh"
            elif setting not in HARMLESS_SETTINGS:
                pad.unknown("a shell setting that may change how the text is read", argv[option.at])
        elif option.name in ("-O", "+O"):
            pad.unknown("a shell option that may change how the text is read", argv[option.at])
        elif option.name in ("--rcfile", "--init-file") and option.value is not None:
            pad.touch(option.value, Access.EXECUTE)
            pad.unknown("a start-up file of the shell", option.value)
        elif option.name == "--posix":
            dialect = "sh"
    rest = argv[read.rest :]
    if rest and known(rest[0]) == "-" and not read.has("-c"):
        rest = rest[1:]
    if read.has("--version", "--help"):
        return pad.carried(transparent=False)
    if read.has("-c"):
        if not rest:
            return pad.carried(transparent=False)
        if rest[0].many or known(rest[0]) is None:
            pad.unknown(f"the shell text of `{program}` is not known", rest[0])
            return pad.carried(transparent=False)
        pad.shell_text(rest[0], dialect)
        return pad.carried(transparent=True)
    if rest and not read.has("-s"):
        pad.touch(rest[0], Access.EXECUTE, f"script of {program}")
        pad.unknown("a script file that is not read", rest[0], code=True)
    else:
        pad.stdin_script(dialect, argv[0])
    return pad.carried(transparent=False)
