"""Sees through the programs that run other programs: sudo, env, xargs, find -exec, bash -c, ..."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from execpolicy.facts import Access, FileAccess, Unknown, Word
from execpolicy.shell.carriers_awk import awk
from execpolicy.shell.carriers_base import NOTHING, Carried, Pad, ShellText, StdinScript
from execpolicy.shell.carriers_builtins import condition, evaluate, export, opaque, trap
from execpolicy.shell.carriers_code import code, make
from execpolicy.shell.carriers_files import copy, curl, dd, sevenzip, tar, unzip, wget
from execpolicy.shell.carriers_find import fd, find
from execpolicy.shell.carriers_hosts import behind_dashes, git, network, pod, socat, ssh, subcommand
from execpolicy.shell.carriers_options import known, scan_all
from execpolicy.shell.carriers_sed import sed
from execpolicy.shell.carriers_shells import shell
from execpolicy.shell.carriers_texts import each, entr, flock, parallel, script, start, su, watch
from execpolicy.shell.carriers_wrappers import (
    applet,
    env,
    joined,
    package,
    query,
    rest_of_line,
    sudo,
    xargs,
)
from execpolicy.shell.catalogue import Entry, Form, program
from execpolicy.values import replace

__all__ = ["Carried", "ShellText", "StdinScript", "see_through"]

Argv = tuple[Word, ...]

# Where installed programs lie.
SYSTEM = (
    "/bin/",
    "/sbin/",
    "/usr/bin/",
    "/usr/sbin/",
    "/usr/local/bin/",
    "/usr/libexec/",
    "/opt/homebrew/bin/",
    "/lib",
)


def see_through(argv: Argv) -> Carried:
    """What the program named by `argv[0]` would run and touch. Never raises.

    Carried commands are not looked into: who asks goes on with each of them.
    """
    path = known(argv[0]) if argv else None
    if path is None:
        return NOTHING
    name = path.rpartition("/")[2] if "/" in path else path
    entry = program(name)
    carried = NOTHING if entry is None else look_into(name, entry, argv)
    return carried if name is path or path.startswith(SYSTEM) else _by_path(argv[0], carried)


def _by_path(path: Word, carried: Carried) -> Carried:
    """A program that is no installed one is a file that could hold anything."""
    return replace(
        carried,
        files=(FileAccess(path, Access.EXECUTE, "program", path.span), *carried.files),
        unknowns=(*carried.unknowns, Unknown("a program by path that is not read", path.span, code=True)),
    )


def plain(name: str, entry: Entry, argv: Argv) -> Carried:
    """A program that runs nothing but what its options say."""
    pad = Pad(name, entry)
    read = scan_all(argv, entry.options)
    pad.doubts(read)
    pad.roles(read)
    pad.operand_roles(read)
    pad.runs_code(read, argv[0])
    if entry.default == "shell" and len(read.operands) <= entry.skip and not read.has(*entry.inert):
        pad.unknown(f"`{name}` runs what its standard input says", argv[0], code=True)
    for option in read.options:
        if option.name[:1] == "+":
            pad.unknown(f"a command that `{name}` runs at its start", argv[option.at])
    return pad.carried()


def look_into(name: str, entry: Entry, argv: Argv) -> Carried:
    """Read `argv` as its form says."""
    return FORMS[entry.form](name, entry, argv)


FORMS: Mapping[Form, Callable[[str, Entry, Argv], Carried]] = {
    Form.PLAIN: plain,
    Form.ARGV: rest_of_line,
    Form.DDASH: behind_dashes,
    Form.POD: pod,
    Form.SUB: subcommand(look_into),
    Form.GIT: git(look_into),
    Form.JOIN: joined,
    Form.EACH: each,
    Form.SHELL: shell,
    Form.ENV: env,
    Form.SUDO: sudo,
    Form.SU: su,
    Form.XARGS: xargs,
    Form.PARALLEL: parallel,
    Form.WATCH: watch,
    Form.ENTR: entr,
    Form.FLOCK: flock,
    Form.SCRIPT: script,
    Form.START: start,
    Form.PACKAGE: package,
    Form.APPLET: applet,
    Form.FIND: find,
    Form.FD: fd,
    Form.CODE: code,
    Form.AWK: awk,
    Form.SED: sed,
    Form.MAKE: make,
    Form.SSH: ssh,
    Form.IP: network,
    Form.SOCAT: socat,
    Form.QUERY: query,
    Form.EVAL: evaluate,
    Form.TRAP: trap,
    Form.TEST: condition,
    Form.EXPORT: export,
    Form.OPAQUE: opaque,
    Form.COPY: copy,
    Form.TAR: tar,
    Form.UNZIP: unzip,
    Form.SEVENZIP: sevenzip,
    Form.DD: dd,
    Form.CURL: curl,
    Form.WGET: wget,
}
