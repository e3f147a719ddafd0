"""Carriers that hand their words to a shell in their own ways: su, watch, flock, script, parallel, ..."""

from __future__ import annotations

from execpolicy.facts import Access, Word
from execpolicy.shell.carriers_base import Carried, Pad
from execpolicy.shell.carriers_options import known, scan, scan_all
from execpolicy.shell.carriers_wrappers import joined_words, replaced
from execpolicy.shell.catalogue import Entry

Argv = tuple[Word, ...]

SEPARATORS = frozenset((":::", "::::", ":::+", "::::+"))
SHELL_MARKS = frozenset("|&;<>()$`\\\"'*?[]#~!\n")


def su(program: str, entry: Entry, argv: Argv) -> Carried:
    """`su [-] [USER [WORD...]] [-c TEXT]`; `runuser -u USER CMD`; `sg GROUP -c TEXT`."""
    pad = Pad(program, entry)
    read = scan(argv, entry.options)
    pad.doubts(read)
    operands = tuple(word for word in read.operands if known(word) != "-")
    if read.has("--help", "--version", "-h", "-V"):
        return pad.carried()
    if read.has("-u", "--user"):
        pad.argvs.append(operands)
        return pad.carried()
    texts = read.of("-c", "--command", "--session-command")
    rest = operands[1:]
    shells = read.of("-s", "--shell")
    name = shells[-1] if shells else Word.literal("sh", span=argv[0].span)
    if program == "sg" and rest and not texts:
        joined_words(pad, rest)
    elif texts:
        pad.argvs.append((name, Word.literal("-c"), texts[-1], *rest))
    elif rest:
        pad.argvs.append((name, *rest))
    else:
        pad.stdin_script("sh", argv[0])
    return pad.carried()


def watch(program: str, entry: Entry, argv: Argv) -> Carried:
    """`watch WORD...`: shell text; with -x a command."""
    pad = Pad(program, entry)
    read = scan(argv, entry.options)
    pad.doubts(read)
    rest = argv[read.rest :]
    if read.has("-x", "--exec"):
        pad.argvs.append(rest)
    elif rest:
        joined_words(pad, rest)
    return pad.carried()


def each(program: str, entry: Entry, argv: Argv) -> Carried:
    """`hyperfine TEXT...`: every operand is a script."""
    pad = Pad(program, entry)
    read = scan_all(argv, entry.options)
    pad.doubts(read)
    pad.roles(read)
    for text in read.operands:
        if read.has("-N") or any(known(value) == "none" for value in read.of("-S", "--shell")):
            pad.run_split(text)
        else:
            pad.shell_text(text, "sh")
    return pad.carried()


def entr(program: str, entry: Entry, argv: Argv) -> Carried:
    """`entr CMD`: `/_` is the file that changed; with -s the first operand is shell text."""
    pad = Pad(program, entry)
    read = scan(argv, entry.options)
    pad.doubts(read)
    rest = argv[read.rest :]
    if read.has("-s") and rest:
        pad.shell_text(rest[0], "sh")
    else:
        pad.argvs.append(tuple(replaced(word, "/_", "the file that changed") for word in rest))
    return pad.carried()


def flock(program: str, entry: Entry, argv: Argv) -> Carried:
    """`flock FILE CMD`, `flock FILE -c TEXT`, `flock NUMBER`."""
    pad = Pad(program, entry)
    read = scan(argv, entry.options, operands=1)
    pad.doubts(read)
    for lock in read.operands:
        if not (known(lock) or "").isdigit():
            pad.touch(lock, Access.WRITE)
    rest = argv[read.rest :]
    texts = read.of("-c", "--command")
    if rest and known(rest[0]) in ("-c", "--command"):
        texts = rest[1:2]
    if texts:
        pad.shell_text(texts[-1], "sh")
    else:
        pad.argvs.append(rest)
    return pad.carried()


def script(program: str, entry: Entry, argv: Argv) -> Carried:
    """`script -c TEXT FILE`; elsewhere `script FILE CMD`."""
    pad = Pad(program, entry)
    read = scan(argv, entry.options)
    pad.doubts(read)
    pad.roles(read)
    if read.operands:
        pad.touch(read.operands[0], Access.WRITE)
    elif not read.has("--help", "--version", "-h", "-V"):
        pad.touch(Word.literal("typescript", span=argv[0].span), Access.WRITE)
    if len(read.operands) > 1:
        pad.argvs.append(read.operands[1:])
    elif not read.has("-c", "--command", "--help", "--version", "-h", "-V"):
        pad.stdin_script("sh", argv[0])
    return pad.carried()


def start(program: str, entry: Entry, argv: Argv) -> Carried:
    """`start-stop-daemon --start --exec PROGRAM -- WORD...`."""
    pad = Pad(program, entry)
    read = scan(argv, entry.options)
    for option in read.options:
        if option.name in ("-x", "--exec", "-a", "--startas") and option.value is not None:
            pad.argvs.append((option.value, *argv[read.rest :]))
    if not pad.argvs:
        pad.unknown(f"what `{program}` starts is not known", argv[0], code=True)
    return pad.carried()


def parallel(program: str, entry: Entry, argv: Argv) -> Carried:
    """`parallel CMD ::: WORD...`: the command is shell text, the words are quoted into it."""
    pad = Pad(program, entry)
    read = scan(argv, entry.options)
    pad.unknowns.extend(read.doubts)
    if read.has(*entry.risky):
        pad.unknown(f"options of `{program}` that are not read", argv[0])
    rest = argv[read.rest :]
    cut = next((at for at, word in enumerate(rest) if known(word) in SEPARATORS), len(rest))
    command, data = rest[:cut], rest[cut:]
    if not command:
        _data_commands(pad, data, argv[0])
        return pad.carried()
    words = tuple(_filled(word) for word in command)
    if not any(a is not b for a, b in zip(words, command, strict=True)):
        words = (*words, Word.unknown("words from the input of parallel", many=True, span=argv[0].span))
    pad.argvs.append(words)
    for word in command:
        text = known(word)
        if text is None or len(text.split()) != 1 or set(text.replace("{}", "")) & SHELL_MARKS:
            pad.unknown(f"the shell text of `{program}` is not read exactly", word)
            break
    return pad.carried()


def _filled(word: Word) -> Word:
    """A word with {}, {.}, {/}, {1} or the like in it is not known behind that place."""
    start = (known(word) or "").find("{")
    if start < 0:
        return word
    return Word.unknown(
        "words from the input of parallel", raw=word.raw, prefix=word.prefix[:start], span=word.span
    )


def _data_commands(pad: Pad, data: Argv, at: Word) -> None:
    if not data or any(known(word) in ("::::", "::::+") for word in data):
        pad.stdin_script("sh", at)
        return
    for word in data:
        if known(word) not in SEPARATORS:
            pad.shell_text(word, "sh")
