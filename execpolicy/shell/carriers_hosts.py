"""Carriers whose commands run elsewhere or behind a subcommand: ssh, docker, kubectl, git, npm, ip."""

from __future__ import annotations

from collections.abc import Callable

from execpolicy.facts import Effect, Word
from execpolicy.shell.carriers_base import Carried, Pad
from execpolicy.shell.carriers_options import Scan, known, scan, scan_all, tail
from execpolicy.shell.carriers_wrappers import joined_words
from execpolicy.shell.catalogue import Entry, Form, Role
from execpolicy.shell.catalogue import subcommand as known_subcommand
from execpolicy.values import replace

Argv = tuple[Word, ...]
Dispatch = Callable[[str, Entry, Argv], Carried]

SSH_PROGRAMS = frozenset(("proxycommand", "localcommand", "knownhostscommand"))
GIT_FAMILIES = ("color.", "advice.", "status.", "column.", "blame.", "versionsort.", "grep.")
GIT_IDLE = {
    "pager.": ("", "cat", "false"),
    "core.pager": ("", "cat", "false"),
    "core.editor": (":", "true", "false", "cat"),
    "sequence.editor": (":", "true", "cat"),
    "core.fsmonitor": ("false", "", "0"),
    "core.hookspath": ("/dev/null", ""),
    "diff.external": ("",),
    "credential.helper": ("",),
    "core.sshcommand": ("ssh",),
    "gpg.program": ("gpg",),
}


def subcommand(dispatch: Dispatch) -> Dispatch:
    """Reader of programs whose first operand says what they do; `dispatch` reads on behind it."""

    def read_sub(program: str, entry: Entry, argv: Argv) -> Carried:
        pad = Pad(program, entry)
        read = scan(argv, entry.options, operands=1)
        return _behind(dispatch, pad, read, argv)

    return read_sub


def _behind(dispatch: Dispatch, pad: Pad, read: Scan, argv: Argv) -> Carried:
    entry = pad.entry
    pad.doubts(read)
    pad.roles(read)
    if not read.operands or read.has(*entry.inert):
        return pad.carried(transparent=False)
    at = read.rest - 1
    name = known(argv[at])
    if entry.strip and at > 1:
        # What is behind the options is a command of its own, so that rules need not know them all.
        pad.argvs.append((argv[0], *argv[at:]))
        return pad.carried(transparent=True)
    if name is None:
        pad.unknown(f"the subcommand of `{pad.program}` is not known", argv[at], code=True)
        return pad.carried(transparent=False)
    further = known_subcommand(f"{pad.program} {name}") if name in entry.subs else None
    if further is None or further.form is Form.PLAIN:
        _settings_behind(pad, argv[at:])
    if further is None:
        if entry.otherwise == "code" or entry.code:
            pad.unknown(
                entry.note or f"`{pad.program} {name}` may run program text", argv[at], code=not entry.hard
            )
        return pad.carried(transparent=False)
    below = dispatch(f"{pad.program} {name}", further, argv[at:])
    if below.transparent and below.argvs:
        # Options were taken out further in: the words in front still belong to the command.
        outer = tuple((argv[0], *inner) if inner[0] is argv[at] else inner for inner in below.argvs)
        below = replace(below, argvs=outer)
    return _merged(pad, below, transparent=below.transparent)


def _settings_behind(pad: Pad, argv: Argv) -> None:
    """Options of the program that lead to other settings are understood behind the subcommand too."""
    risky = [name for name, role in pad.entry.roles.items() if role is Role.CONFIG]
    if not risky:
        return
    end = next((at for at, word in enumerate(argv) if known(word) == "--"), len(argv))
    behind = scan_all(argv[:end], pad.entry.options)
    pad.unknowns.extend(behind.doubts if not pad.entry.options.strict else ())
    for option in behind.options:
        if option.name in risky and option.name.startswith("--"):
            pad.unknown(f"`{option.name}` of {pad.program} can make it run anything", argv[option.at])


def _merged(pad: Pad, below: Carried, *, transparent: bool) -> Carried:
    """One finding out of what the program and its subcommand say. The carrier keeps its own name."""
    pad.argvs.extend(below.argvs)
    pad.texts.extend(below.texts)
    pad.unknowns.extend(below.unknowns)
    pad.files.extend(below.files)
    pad.assignments.extend(below.assignments)
    # Effects of what is carried; a program that carries nothing has those of its name alone.
    pad.effects.update(below.effects)
    pad.cwd = below.cwd or pad.cwd
    pad.stdin = below.stdin
    return pad.carried(transparent=transparent)


def git(dispatch: Dispatch) -> Dispatch:
    """`git [-C DIR] [-c KEY=VALUE] SUBCOMMAND`: settings and some options name programs."""

    def read_git(program: str, entry: Entry, argv: Argv) -> Carried:
        pad = Pad(program, entry)
        read = scan(argv, entry.options, operands=1)
        for option in read.options:
            at = option.value or argv[option.at]
            if option.name == "-c":
                _git_setting(pad, at)
            elif option.name == "--config-env":
                pad.unknown("a setting of git that is not known", at)
            elif option.name == "--exec-path" and option.value is not None:
                pad.unknown("`--exec-path` changes the programs of git", at)
            elif option.name in ("--git-dir", "--work-tree") and known(at) not in (".git", "."):
                pad.unknown(f"`{option.name}` names another repository, whose settings may run programs", at)
        if read.operands and known(read.operands[0]) == "config":
            _kept_setting(pad, argv[read.rest :])
        return _behind(dispatch, pad, read, argv)

    return read_git


def _kept_setting(pad: Pad, words: Argv) -> None:
    """`git config KEY VALUE`: every git command from here on follows it."""
    read = scan_all(words, pad.entry.options)
    operands = [word for word in words if not word.prefix.startswith("-")]
    if operands and known(operands[0]) in ("set", "get", "list", "unset"):
        operands = operands[1:]
    if len(operands) < 2 or read.has("--get", "--get-all", "--unset", "--get-regexp", "--list", "-l"):
        return
    files = [place for place, word in enumerate(operands) if "." in word.prefix and "/" not in word.prefix]
    for place in files[:2] or [0]:
        for value in operands[place + 1 : place + 2]:
            key, text = known(operands[place]), known(value)
            if key is None or (text is None and not _idle(pad.entry, key.lower(), "")):
                pad.unknown("a setting of git that is not known", operands[place])
            elif text is not None:
                _git_setting(pad, Word.literal(f"{key}={text}", span=value.span))


def _git_setting(pad: Pad, word: Word) -> None:
    name, _, value = word.prefix.partition("=")
    key = name.lower()
    text = known(word)
    if text is None:
        pad.unknown("a setting of git that is not known", word)
    elif key.startswith("alias."):
        if value.startswith("!"):
            pad.shell_text(Word.literal(value[1:], span=word.span), "sh")
        else:
            words = tuple(Word.literal(piece, span=word.span) for piece in value.split())
            pad.argvs.append((Word.literal("git", span=word.span), *words, pad.more(word)))
    elif not _idle(pad.entry, key, value):
        pad.unknown(f"the setting `{name}` of git may run a program", word)


def _idle(entry: Entry, key: str, value: str) -> bool:
    """Whether a setting runs nothing, or nothing with that value."""
    if key in entry.settings or key.startswith(GIT_FAMILIES):
        return True
    return value in GIT_IDLE.get("pager." if key.startswith("pager.") else key, ())


def ssh(program: str, entry: Entry, argv: Argv) -> Carried:
    """`ssh [options] HOST [WORD...]`: the words, joined by blanks, are text for a shell over there."""
    pad = Pad(program, entry)
    read = scan(argv, entry.options, operands=1)
    # Options may stand behind the host too.
    more = scan(argv[read.rest - 1 :], entry.options) if read.operands else Scan((), (), 1)
    pad.doubts(read)
    pad.doubts(more)
    pad.roles(read)
    pad.roles(more)
    for option in (*read.options, *more.options):
        if option.name == "-o" and option.value is not None:
            ssh_setting(pad, option.value)
    rest = argv[read.rest - 1 :][more.rest :] if read.operands else ()
    if rest:
        joined_words(pad, rest)
    elif read.operands and not read.has("-N", "-f", "-G", "-O", "-W") and not more.has("-N", "-W", "-O"):
        pad.stdin_script("sh", argv[0])
    return pad.carried()


def ssh_setting(pad: Pad, word: Word) -> None:
    name = word.prefix.replace("=", " ", 1).split(" ", 1)[0].lower()
    if name in SSH_PROGRAMS and known(word) is not None:
        cut = len(name) + 1
        if (known(word) or "")[cut:].strip() != "none":
            pad.shell_text(tail(word, cut), "sh")
    elif name not in pad.entry.settings:
        pad.unknown("a setting of ssh that may run a program", word)


def behind_dashes(program: str, entry: Entry, argv: Argv) -> Carried:
    """`doppler run -- CMD`: what stands behind `--` is run."""
    pad = Pad(program, entry)
    read = scan_all(argv, entry.options)
    pad.doubts(read)
    pad.roles(read)
    place = next((at for at, word in enumerate(argv) if known(word) == "--"), None)
    if place is not None:
        pad.argvs.append(argv[place + 1 :])
    elif entry.default == "shell":
        pad.stdin_script("sh", argv[0])
    elif read.operands and not pad.texts:
        pad.unknown(f"what `{program}` runs is not read", argv[0], code=True)
    return pad.carried()


def pod(program: str, entry: Entry, argv: Argv) -> Carried:
    """`kubectl exec POD [-c NAME] -- CMD`, in its old form without the dashes."""
    pad = Pad(program, entry)
    place = next((at for at, word in enumerate(argv) if known(word) == "--"), None)
    read = scan(argv[:place], entry.options, operands=1)
    pad.doubts(read)
    if place is not None:
        pad.argvs.append(argv[place + 1 :])
    elif read.rest < len(argv):
        rest = argv[read.rest :]
        while rest and (known(rest[0]) or "").startswith("-"):
            rest = rest[2:] if known(rest[0]) in entry.options.values else rest[1:]
        pad.argvs.append(rest)
    return pad.carried()


def network(program: str, entry: Entry, argv: Argv) -> Carried:
    """`ip netns exec NAME CMD`, `ip vrf exec NAME CMD`."""
    pad = Pad(program, entry)
    texts = [known(word) or "" for word in argv]
    for at in range(1, len(argv) - 1):
        if (texts[at] and "netns".startswith(texts[at])) or texts[at] == "vrf":
            if texts[at + 1] and "exec".startswith(texts[at + 1]):
                pad.effects.add(Effect.NAMESPACE)
                pad.argvs.append(argv[at + 3 :])
        elif not texts[at].startswith("-"):
            break
    if any(text in ("-b", "-batch", "-force") for text in texts[1:]):
        pad.unknown("commands of `ip` from a file", argv[0])
    return pad.carried()


def socat(program: str, entry: Entry, argv: Argv) -> Carried:
    """Addresses of socat that run programs."""
    pad = Pad(program, entry)
    pad.effects.add(Effect.NETWORK)
    for word in argv[1:]:
        kind, colon, _ = word.prefix.partition(":")
        if known(word) is None:
            pad.unknown("an address of socat that is not known", word)
        elif colon and kind.upper() in ("SYSTEM", "SHELL"):
            pad.shell_text(tail(word, len(kind) + 1), "sh")
        elif colon and kind.upper() == "EXEC":
            pad.run_split(tail(word, len(kind) + 1))
        elif kind.upper() not in ("-", "STDIO", "STDIN", "STDOUT", "STDERR") and "tcp" not in kind.lower():
            pad.unknown("an address of socat", word, code=True)
    return pad.carried()
