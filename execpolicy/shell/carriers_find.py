"""find: the commands of -exec and what -delete and -fprint touch."""

from __future__ import annotations

from execpolicy.facts import Access, Word, WordKind
from execpolicy.shell.carriers_base import Carried, Pad
from execpolicy.shell.carriers_options import known, may_be_option, scan_all
from execpolicy.shell.carriers_wrappers import replaced
from execpolicy.shell.catalogue import Entry

Argv = tuple[Word, ...]
EXECUTES = frozenset({"-exec", "-execdir", "-ok", "-okdir"})
WRITES = frozenset({"-fprint", "-fprint0", "-fprintf", "-fls"})


def find(program: str, entry: Entry, argv: Argv) -> Carried:
    """Read an expression of find."""
    pad = Pad(program, entry)
    starts: list[Word] = []
    began = False  # a test or action was met: later words are arguments of tests, not paths
    found: Word | None = None
    at = 1
    while at < len(argv):
        word = argv[at]
        text = known(word)
        at += 1
        if text is None:
            if may_be_option(word):
                pad.unknown(f"`{word.raw}` is not known and may be an action of find", word)
            starts.append(word)
            found = None
        elif text in EXECUTES:
            began = True
            found = found or _found(starts)
            at = _execute(pad, argv, at, text, found)
        elif text in WRITES:
            if at < len(argv):
                pad.touch(argv[at], Access.WRITE, f"`{text}` of {program}")
                at += 1
        elif text == "-delete":
            began = True
            pad.touch(_found(starts), Access.DELETE, "`-delete` of find")
        elif text == "-files0-from":
            starts.append(Word.unknown("paths from a file"))
            at += 1
        elif text == "-D":
            at += 1
        elif text.startswith(("-", "(", ")", "!", ",")):
            began = began or text[:2] not in ("-H", "-L", "-P", "-D", "-O")
        elif not began:
            starts.append(word)
    for start in starts:
        pad.touch(start, Access.READ)
    return pad.carried()


def _found(starts: list[Word]) -> Word:
    """A path that find comes upon: it starts as one of the starting points does."""
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
    if action in ("-execdir", "-okdir"):
        found = Word.unknown(found.why, raw="{}", prefix="./")
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


def fd(program: str, entry: Entry, argv: Argv) -> Carried:
    """`fd PATTERN [FOLDER] -x CMD`: the command goes on to `;` or the end."""
    pad = Pad(program, entry)
    words = list(argv)
    at = 1
    while at < len(words):
        text = known(words[at])
        action = text if text in ("-x", "-X", "--exec", "--exec-batch") else _attached(text)
        if action is None:
            at += 1
            continue
        end = next((place for place in range(at + 1, len(words)) if known(words[place]) == ";"), len(words))
        found = Word.unknown(
            "a file that fd comes upon", raw="{}", prefix="", many=action in ("-X", "--exec-batch")
        )
        command = words[at + 1 : end]
        if "=" in (text or ""):
            command.insert(0, Word.literal((text or "").partition("=")[2], span=words[at].span))
        filled = [_placed(word) for word in command]
        pad.argvs.append(tuple(filled) if filled != command else (*filled, found))
        del words[at : end + 1]
    read = scan_all(tuple(words), entry.options)
    pad.unknowns.extend(read.doubts)
    return pad.carried()


def _attached(text: str | None) -> str | None:
    name, equals, _ = (text or "").partition("=")
    if equals and name in ("--exec", "--exec-batch"):
        return name
    # A cluster that ends in x or X (`-Hx rm`) has the same meaning.
    if (
        text
        and len(text) > 2
        and text[0] == "-"
        and text[1] != "-"
        and text[-1] in "xX"
        and text[1:-1].isalpha()
    ):
        return f"-{text[-1]}"
    return None


def _placed(word: Word) -> Word:
    for mark in ("{}", "{/}", "{//}", "{.}", "{/.}"):
        if mark in (known(word) or ""):
            return replaced(word, mark, "a file that fd comes upon")
    return word
