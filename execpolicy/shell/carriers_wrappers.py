"""Carriers whose carried command is the rest of the line: env, sudo, timeout, xargs, ..."""

from __future__ import annotations

from execpolicy.facts import Access, Word, WordKind
from execpolicy.shell.carriers_base import Carried, Pad
from execpolicy.shell.carriers_options import Scan, known, scan, tail
from execpolicy.shell.catalogue import Entry

Argv = tuple[Word, ...]

MAX_SPLITS = 8


def _begin(program: str, entry: Entry, argv: Argv, *, operands: int = 0) -> tuple[Pad, Scan]:
    pad = Pad(program, entry)
    read = scan(argv, entry.options, operands=operands)
    pad.doubts(read)
    pad.roles(read)
    pad.runs_code(read, argv[0])
    return pad, read


def _assignments(pad: Pad, argv: Argv) -> Argv:
    """Take NAME=VALUE words off the front. A word that may or may not be one stands for any number."""
    at = 0
    while at < len(argv) and (pad.assign(argv[at]) or argv[at].prefix.startswith("=")):
        at += 1
    rest = argv[at:]
    if rest and rest[0].kind is not WordKind.LITERAL and not rest[0].prefix.strip():
        pad.unknown(f"`{rest[0].raw}` may be a command or a variable for it", rest[0])
        first = Word.unknown(rest[0].why, raw=rest[0].raw, many=True, span=rest[0].span)
        return (first, *rest[1:])
    return rest


def rest_of_line(program: str, entry: Entry, argv: Argv) -> Carried:
    """`nice -n 5 CMD`, `timeout 5 CMD`: options, skipped operands, then the command."""
    pad, read = _begin(program, entry, argv, operands=entry.skip)
    rest = argv[read.rest :]
    if entry.optional_skip and read.operands:
        # What is skipped may be missing, and options may stand behind it.
        pad.argvs.append((*read.operands, *rest))
        rest = rest[scan((argv[0], *rest), entry.options).rest - 1 :]
    if entry.skip and rest and known(rest[0]) == "--":
        rest = rest[1:]
    if entry.assigns:
        rest = _assignments(pad, rest)
    if rest and entry.join:
        joined_words(pad, rest)
    elif rest:
        pad.argvs.append(rest)
    elif entry.default == "shell":
        pad.stdin_script("sh", argv[0])
    elif entry.default:
        pad.argvs.append((Word.literal(entry.default), pad.more(argv[0])))
    return pad.carried()


def joined(program: str, entry: Entry, argv: Argv) -> Carried:
    """`watch a b`: the operands, joined by blanks, are text for a shell."""
    pad, read = _begin(program, entry, argv, operands=entry.skip)
    rest = argv[read.rest :]
    if rest:
        joined_words(pad, rest)
    elif entry.default == "shell":
        pad.stdin_script("sh", argv[0])
    return pad.carried()


def joined_words(pad: Pad, words: Argv) -> None:
    """Words that are joined by blanks and read by a shell."""
    texts = [known(word) for word in words]
    if any(text is None for text in texts):
        pad.unknown(f"the shell text of `{pad.program}` is not known", words[0])
        pad.argvs.append(words)
        return
    text = " ".join(text for text in texts if text is not None)
    pad.shell_text(Word.literal(text, span=words[0].span), "sh")


def query(program: str, entry: Entry, argv: Argv) -> Carried:
    """`command CMD` runs CMD; `command -v CMD` only looks it up."""
    pad, read = _begin(program, entry, argv)
    if not read.has("-v", "-V"):
        pad.argvs.append(argv[read.rest :])
    return pad.carried()


def env(program: str, entry: Entry, argv: Argv) -> Carried:
    """`env [-i] [-u NAME] [A=1] CMD`, and `env -S 'words of a command'`."""
    for _ in range(MAX_SPLITS):
        pad, read = _begin(program, entry, argv)
        option = next((one for one in read.options if one.name in ("-S", "--split-string")), None)
        if option is None:
            break
        text = None if option.value is None else known(option.value)
        if text is None or option.value is None or any(mark in text for mark in "\"'\\$#"):
            pad.unknown("the words of `env -S` are not read exactly", argv[option.at])
            break
        words = tuple(Word.literal(piece, span=option.value.span) for piece in text.split())
        # What is split out of the option is read as if it stood there: options, variables, command.
        end = option.at + (1 if known(argv[option.at]) != option.name else 2)
        # A cluster in front of S (`-iS`) changes only the environment.
        argv = (*argv[: option.at], *words, *argv[end:])
    else:
        pad.unknown("`env -S` is nested too deeply", argv[0])
    for value in read.of("-C", "--chdir"):
        pad.cwd = value
    rest = argv[read.rest :]
    if rest and known(rest[0]) == "-":  # an old spelling of -i
        rest = rest[1:]
    rest = _assignments(pad, rest)
    pad.argvs.append(rest)
    # Alone it prints the environment: that is a program of its own.
    return pad.carried(transparent=bool(rest) and entry.transparent)


def sudo(program: str, entry: Entry, argv: Argv) -> Carried:
    """`sudo [-u USER] [A=1] CMD`; -s and -i hand the words to a shell; -e edits files."""
    pad, read = _begin(program, entry, argv)
    rest = _assignments(pad, argv[read.rest :])
    if read.has("-e", "--edit"):
        for path in rest:
            pad.touch(path, Access.WRITE)
        pad.unknown("`sudo -e` runs an editor", argv[0], code=True)
    elif read.has("-l", "--list", "-v", "--validate", "-V", "--version", "--help"):
        pass
    elif rest and read.has("-s", "--shell", "-i", "--login"):
        pad.argvs.append(tuple(_expanded(word) for word in rest))
    elif rest:
        pad.argvs.append(rest)
    elif read.has("-s", "--shell", "-i", "--login"):
        pad.stdin_script("sh", argv[0])
    return pad.carried()


def _expanded(word: Word) -> Word:
    """sudo quotes every character for the shell but the dollar."""
    if "$" not in (known(word) or ""):
        return word
    return Word.unknown("a variable that the shell of sudo expands", raw=word.raw, many=True, span=word.span)


def xargs(program: str, entry: Entry, argv: Argv) -> Carried:
    """`xargs CMD`: words from standard input follow; with -I they stand where the mark is."""
    pad, read = _begin(program, entry, argv)
    rest = argv[read.rest :] or (Word.literal("echo", span=argv[0].span),)
    mark: str | None = None
    for option in read.options:
        if option.name in ("-I", "-J"):
            mark = None if option.value is None else known(option.value)
            if mark is None:
                pad.unknown("the mark of `xargs -I` is not known", argv[option.at])
        elif option.name in ("-i", "--replace"):
            mark = "{}" if option.value is None else known(option.value)
    data = Word.unknown("words from standard input", many=True, span=argv[0].span)
    if mark:
        pad.argvs.append(tuple(replaced(word, mark, "a line from standard input") for word in rest))
    else:
        pad.argvs.append((*rest, data))
    return pad.carried()


def replaced(word: Word, mark: str, why: str, *, many: bool = False, prefix: str = "") -> Word:
    """`word` with `mark` standing for data that is not known but starts with `prefix`."""
    text = known(word)
    if text is None:
        return tail(word, 0) if mark not in word.prefix else _cut(word, mark, why, many, prefix)
    return word if mark not in text else _cut(word, mark, why, many, prefix)


def _cut(word: Word, mark: str, why: str, many: bool, prefix: str) -> Word:
    before = word.prefix.partition(mark)[0]
    return Word.unknown(why, raw=word.raw, prefix=before + prefix, many=many or word.many, span=word.span)


def applet(program: str, entry: Entry, argv: Argv) -> Carried:
    """`busybox CMD`: the rest is a command line of its own."""
    pad = Pad(program, entry)
    rest = argv[1:]
    if not rest:
        return pad.carried(transparent=False)
    if rest[0].prefix.startswith("-"):
        pad.unknown(f"an option of `{program}`", rest[0])
        return pad.carried(transparent=False)
    pad.argvs.append(rest)
    return pad.carried()


def package(program: str, entry: Entry, argv: Argv) -> Carried:
    """`npx PACKAGE`: what it fetches and runs is known by its name only."""
    pad, read = _begin(program, entry, argv)
    if not read.has(*entry.inert):
        at = argv[read.rest] if read.rest < len(argv) else argv[0]
        pad.unknown(f"`{program}` may fetch a package and run it", at, code=True)
    return pad.carried()
