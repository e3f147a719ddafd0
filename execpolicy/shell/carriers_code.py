"""Interpreters and builds: program text that is not read, and what of their options is."""

from __future__ import annotations

from execpolicy.facts import Access, Word
from execpolicy.shell.carriers_base import Carried, Pad
from execpolicy.shell.carriers_options import Scan, known, scan, scan_all
from execpolicy.shell.catalogue import Entry, Role
from execpolicy.shell.environment import hook

Argv = tuple[Word, ...]


def code(program: str, entry: Entry, argv: Argv) -> Carried:
    """`python -c TEXT`, `python -m MODULE`, `python FILE`, `python` on its standard input."""
    pad = Pad(program, entry)
    read = scan(argv, entry.options)
    rest = argv[read.rest :]
    if entry.modules:
        read, rest = _module(pad, read, argv)
    if not entry.source and read.has(*entry.inert) and not rest:
        return pad.carried()
    for doubt in read.doubts:
        pad.unknowns.append(doubt)
    pad.roles(read)
    given = any(
        entry.roles.get(o.name) in (Role.CODE, Role.SCRIPT) and o.value is not None for o in read.options
    )
    if entry.inplace and read.has(*entry.inplace):
        for place in rest if given else rest[1:]:
            pad.touch(place, Access.WRITE)
    elif not given and not pad.unknowns:
        _program(pad, rest, argv)
    return pad.carried()


def _program(pad: Pad, rest: Argv, argv: Argv) -> None:
    """The script file, or standard input."""
    what = "a file that the shell reads" if pad.entry.source else "a script file that is not read"
    if rest and known(rest[0]) != "-":
        pad.touch(rest[0], Access.EXECUTE, f"script of {pad.program}")
        pad.unknown(what, rest[0], code=known(rest[0]) is not None or not pad.entry.source)
    elif not pad.entry.source:
        pad.unknown(f"`{pad.program}` runs its standard input", argv[0], code=True)


def _module(pad: Pad, read: Scan, argv: Argv) -> tuple[Scan, Argv]:
    """`-m NAME` ends the options: what follows belongs to the module."""
    for option in read.options:
        if option.name == "-c" and option.value is not None:
            end = option.at + (2 if argv[option.at + 1 : option.at + 2] == (option.value,) else 1)
            return scan(argv[:end], pad.entry.options), argv[end:]
        if option.name != "-m" or option.value is None:
            continue
        module = known(option.value)
        end = option.at + (2 if argv[option.at + 1 : option.at + 2] == (option.value,) else 1)
        if module in pad.entry.modules:
            pad.argvs.append((option.value, *argv[end:]))
        pad.unknown(f"module {module or 'that is not known'} of {pad.program}", option.value, code=True)
        return scan(argv[:end], pad.entry.options), argv[end:]
    return read, argv[read.rest :]


def make(program: str, entry: Entry, argv: Argv) -> Carried:
    """`make [-f FILE] [NAME=VALUE] [TARGET]`: runs the build file; a variable can name programs."""
    pad = Pad(program, entry)
    read = scan_all(argv, entry.options)
    if read.has("--version", "-v", "--help", "-h") and not read.operands:
        return pad.carried()
    pad.unknowns.extend(read.doubts)
    for value in read.of("-f", "--file", "--makefile"):
        pad.touch(value, Access.EXECUTE, "build file")
    for value in read.of("-C", "--directory"):
        pad.cwd = value
    if read.has("--eval", "-E"):
        pad.unknown("build text on the command line", argv[0])
    for word in read.operands:
        name, equals, text = word.prefix.partition("=")
        name = name.rstrip(":?+!")
        if equals and (hook(name) is not None or name == ".SHELLFLAGS" or set(text) & set("$`;|&<>")):
            pad.unknown(f"the variable {name} may change what the build runs", word)
        elif equals and known(word) is None:
            pad.unknown(f"the variable {name} is not known", word)
    pad.unknown("a build file that is not read", argv[0], code=True)
    return pad.carried()
