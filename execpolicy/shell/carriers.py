"""Sees through the programs that run other programs: sudo, env, xargs, find -exec, bash -c, ..."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from execpolicy.facts import Word
from execpolicy.shell.carriers_base import NOTHING, Carried, Pad, ShellText, StdinScript
from execpolicy.shell.carriers_find import find
from execpolicy.shell.carriers_options import known, scan
from execpolicy.shell.carriers_shells import shell
from execpolicy.shell.carriers_wrappers import env, joined, query, rest_of_line, sudo, xargs
from execpolicy.shell.catalogue import Entry, Form, program

__all__ = ["Carried", "ShellText", "StdinScript", "see_through"]

Argv = tuple[Word, ...]


def see_through(argv: Argv) -> Carried:
    """What the program named by `argv[0]` would run and touch. Never raises.

    Carried commands are not looked into: who asks goes on with each of them.
    """
    name = known(argv[0]) if argv else None
    if name is None:
        return NOTHING
    entry = program(name.rpartition("/")[2])
    if entry is None:
        return NOTHING
    return FORMS[entry.form](name.rpartition("/")[2], entry, argv)


def plain(name: str, entry: Entry, argv: Argv) -> Carried:
    """A program that runs nothing but what its options say."""
    pad = Pad(name, entry)
    read = scan(argv, entry.options, operands=len(argv))
    pad.doubts(read)
    pad.roles(read)
    pad.operand_roles(read.operands)
    return pad.carried()


FORMS: Mapping[Form, Callable[[str, Entry, Argv], Carried]] = {
    Form.PLAIN: plain,
    Form.ARGV: rest_of_line,
    Form.JOIN: joined,
    Form.QUERY: query,
    Form.ENV: env,
    Form.SUDO: sudo,
    Form.XARGS: xargs,
    Form.SHELL: shell,
    Form.FIND: find,
}
