"""find: the commands of -exec and what -delete and -fprint touch."""

from __future__ import annotations

from execpolicy.facts import Access, Word, WordKind
from execpolicy.shell.carriers_base import Carried, Pad
from execpolicy.shell.carriers_options import known, may_be_option
from execpolicy.shell.carriers_wrappers import replaced
from execpolicy.shell.catalogue import Entry

Argv = tuple[Word, ...]
EXECUTES = frozenset({"-exec", "-execdir", "-ok", "-okdir"})
WRITES = frozenset({"-fprint", "-fprint0", "-fprintf", "-fls"})


def find(program: str, entry: Entry, argv: Argv) -> Carried:
    """Read an expression of find."""
    pad = Pad(program, entry)
    starts: list[Word] = []
    at = 1
    while at < len(argv):
        word = argv[at]
        text = known(word)
        at += 1
        if text is None:
            if may_be_option(word):
                pad.unknown(f"`{word.raw}` is not known and may be an action of find", word)
            starts.append(word)
        elif text in EXECUTES:
            at = _execute(pad, argv, at, text, _found(starts, text))
        elif text in WRITES:
            if at < len(argv):
                pad.touch(argv[at], Access.WRITE, f"`{text}` of {program}")
                at += 1
        elif text == "-delete":
            pad.touch(_found(starts, text), Access.DELETE, "`-delete` of find")
        elif text == "-files0-from":
            starts.append(Word.unknown("paths from a file"))
            at += 1
        elif text == "-D":
            at += 1
        elif not text.startswith(("-", "(", ")", "!", ",")) and not _expression_began(argv[1 : at - 1]):
            starts.append(word)
    for start in starts:
        pad.touch(start, Access.READ)
    return pad.carried()


def _expression_began(before: Argv) -> bool:
    """Whether a test or action stands before: later words are their arguments, not paths."""
    return any(
        text is not None
        and (text in ("(", "!") or (text.startswith("-") and text[:2] not in ("-H", "-L", "-P", "-D", "-O")))
        for text in map(known, before)
    )


def _found(starts: list[Word], action: str) -> Word:
    """A path that find comes upon: it starts as one of the starting points does."""
    if action in ("-execdir", "-okdir"):
        return Word.unknown("a file that find comes upon", raw="{}", prefix="./")
    prefix = _shared([start.prefix for start in starts] or ["."])
    if len(starts) == 1 and starts[0].kind is WordKind.LITERAL and prefix.endswith("/"):
        prefix = prefix.rstrip("/") + "/"
    return Word.unknown("a file that find comes upon", raw="{}", prefix=prefix)


def _shared(texts: list[str]) -> str:
    """The longest start of all texts."""
    first, last = min(texts), max(texts)
    same = 0
    while same < len(first) and first[same] == last[same]:
        same += 1
    return first[:same]


def _execute(pad: Pad, argv: Argv, at: int, action: str, found: Word) -> int:
    """Read `-exec CMD... ;` or `-exec CMD... {} +`; return the index behind it."""
    end = at
    plus = False
    while end < len(argv):
        text = known(argv[end])
        if text == ";":
            break
        if text == "+" and end > at and known(argv[end - 1]) == "{}":
            plus = True
            break
        if text is None and argv[end].many:
            pad.unknown(f"`{argv[end].raw}` may end the command of `{action}`", argv[end])
        end += 1
    words = argv[at:end]
    pad.argvs.append(
        tuple(
            replaced(word, "{}", found.why, many=plus and known(word) == "{}", prefix=found.prefix)
            for word in words
        )
    )
    return end + 1
