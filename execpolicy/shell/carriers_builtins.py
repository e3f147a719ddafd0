"""Parts of the shell that run text, or change what later words mean: eval, trap, test, export, alias."""

from __future__ import annotations

from execpolicy.facts import Word
from execpolicy.shell.carriers_base import Carried, Pad
from execpolicy.shell.carriers_options import known, may_be_option, scan
from execpolicy.shell.catalogue import Entry
from execpolicy.shell.environment import hook

Argv = tuple[Word, ...]
COMPARISONS = frozenset(
    (
        "=",
        "==",
        "!=",
        "<",
        ">",
        "-eq",
        "-ne",
        "-lt",
        "-le",
        "-gt",
        "-ge",
        "-nt",
        "-ot",
        "-ef",
        "-a",
        "-o",
        "=~",
    )
)


def evaluate(program: str, entry: Entry, argv: Argv) -> Carried:
    """`eval WORD...`: the words, joined by blanks, are read by the same shell."""
    pad = Pad(program, entry)
    words = argv[1:]
    if words and known(words[0]) == "--":
        words = words[1:]
    texts = [known(word) for word in words]
    if any(text is None for text in texts):
        pad.unknown("the text of `eval` is not known", words[0])
        pad.argvs.append(words)
    elif words:
        pad.shell_text(Word.literal(" ".join(text or "" for text in texts), span=words[0].span), "")
    return pad.carried()


def trap(program: str, entry: Entry, argv: Argv) -> Carried:
    """`trap TEXT SIGNAL...`: the text is run later."""
    pad = Pad(program, entry)
    read = scan(argv, entry.options)
    rest = argv[read.rest :]
    if len(rest) >= 2 and known(rest[0]) not in ("", "-") and not read.has("-l", "-p", "-P"):
        pad.shell_text(rest[0], "")
    elif rest and known(rest[0]) is None:
        pad.unknown("the text of `trap` is not known", rest[0])
    return pad.carried()


def condition(program: str, entry: Entry, argv: Argv) -> Carried:
    """`[ ... ]`: behind -v and -R stands a name whose subscript is evaluated."""
    pad = Pad(program, entry)
    words = argv[1:]
    for place, word in enumerate(words):
        text = known(word)
        following = words[place + 1] if place + 1 < len(words) else None
        if text is None:
            if word.many and may_be_option(word):
                pad.unknown(f"`{word.raw}` is not quoted and may become an operator", word)
            elif may_be_option(word) and following is not None and not _harmless(known(following)):
                pad.unknown(f"`{word.raw}` is not known and may be an operator", word)
        elif text in ("-v", "-R") and following is not None and len(words) - place > 1:
            pad.arith(following)
    return pad.carried()


def _harmless(text: str | None) -> bool:
    """Whether a word cannot be a name with a subscript."""
    return text is not None and (text in COMPARISONS or "[" not in text)


def export(program: str, entry: Entry, argv: Argv) -> Carried:
    """`export NAME=VALUE`, `declare NAME=VALUE`: for every command that follows."""
    pad = Pad(program, entry)
    integer = any("i" in (known(word) or "") for word in argv[1:] if word.prefix.startswith("-"))
    for word in argv[1:]:
        name, equals, value = word.prefix.partition("=")
        text = known(word)
        if text is None and not equals:
            pad.unknown(f"`{word.raw}` may set any variable", word)
            continue
        if word.many:
            pad.unknown(f"`{word.raw}` is split, and may set any variable", word)
        if name.startswith("-") or not equals:
            continue
        why = hook(name.rstrip("+").partition("[")[0], value if text is not None else None)
        if why is not None:
            pad.unknown(why, word)
        if integer and set(value) & set("[$`"):
            pad.unknown(f"the value of {name} is evaluated by the shell", word)
        if "[" in name:
            pad.arith(Word.literal(name, span=word.span))
    return pad.carried()


def opaque(program: str, entry: Entry, argv: Argv) -> Carried:
    """alias, enable, hash, shopt, set: change what later words mean, but for harmless settings."""
    pad = Pad(program, entry)
    read = scan(argv, entry.options)
    what = f"`{program}` may change what later words mean"
    if read.doubts:
        pad.unknown(what, argv[0])
    for option in read.options:
        if option.name in entry.risky:
            pad.unknown(what, argv[option.at])
        elif option.value is not None and known(option.value) not in entry.settings:
            pad.unknown(what, option.value)
    rest = argv[read.rest :]
    positional = program == "set"  # its operands are only $1, $2, ...
    if not positional and not (
        entry.inert and read.options and all(o.name in entry.inert for o in read.options)
    ):
        for word in rest:
            if known(word) not in entry.settings:
                pad.unknown(what, word)
    return pad.carried()
