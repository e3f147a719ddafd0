"""What builtins change in the shell that reads on: variables, the folder, functions, options."""

from __future__ import annotations

import itertools

from execpolicy.facts import Word
from execpolicy.late import late_pattern
from execpolicy.shell.state import State

_NAME = late_pattern(r"[A-Za-z_][A-Za-z0-9_]*")
# Builtins that set the variables their arguments name.
_SETTERS = frozenset(
    {
        "read",
        "mapfile",
        "readarray",
        "getopts",
        "printf",
        "declare",
        "typeset",
        "local",
        "export",
        "readonly",
        "unset",
        "let",
        "wait",
        "test",
        "[",
    }
)
_ANYTHING = frozenset({"eval", "source", ".", "trap", "shopt", "alias", "enable", "hash", "bind", "complete"})


def attribute(argv: tuple[Word, ...]) -> str | None:
    """Why a declaration makes later assignments run hidden code, None when it does not."""
    if argv[0].text not in ("declare", "typeset", "local", "readonly", "export"):
        return None
    for word in argv[1:]:
        if word.text is None and not word.prefix.strip("-+").isidentifier() and word.prefix[:1] in ("", "-"):
            return "attributes of a variable that are not known"
        if word.text is not None and word.text[:1] == "-" and "i" in word.text:
            return "variable whose values are evaluated as arithmetic"
        if word.text is not None and word.text[:1] == "-" and "n" in word.text and argv[0].text != "export":
            return "variable that stands for another"
        if word.text is not None and word.text[:1] in "+-" and set(word.text) & set("ulc"):
            return "variable whose values are changed"
    return None


def read_into(argv: tuple[Word, ...]) -> tuple[str, ...]:
    """Variables that get a value from outside: `read x`, `printf -v x`, `mapfile x`."""
    name = argv[0].text
    if name not in ("read", "mapfile", "readarray", "getopts", "printf"):
        return ()
    texts = [word.text or "" for word in argv[1:]]
    if name == "printf":
        return tuple(texts[1:2]) if texts[:1] == ["-v"] else ()
    return tuple(text for text in texts if text.isidentifier())


def note_changes(argv: tuple[Word, ...], state: State) -> None:
    """Take over into `state` what the command changes in its own shell."""
    name = argv[0].text
    if name is None:
        state.forget()
    elif name in ("cd", "pushd", "popd"):
        _folder(name, argv, state)
    elif name in _ANYTHING:
        state.forget_values()
    elif name == "set":
        _options(argv, state)
    elif name in _SETTERS:
        _set(name, argv, state)


def _folder(name: str, argv: tuple[Word, ...], state: State) -> None:
    operands = [word for word in argv[1:] if word.text not in ("-P", "-L", "-e", "-@", "--")]
    state.set("OLDPWD", None)
    if "PWD" in state.values:
        state.set("PWD", None)
    if name == "popd" or len(operands) > 1:
        state.cwd = Word.unknown("the folder before this one")
    elif not operands:
        state.change_folder(None)
    elif not state.is_special("CDPATH") and not (operands[0].text or "").startswith(("/", "./", "../")):
        state.cwd = Word.unknown("folder that CDPATH decides")
    elif name == "pushd" and (operands[0].text or "")[:1] in ("+", "-"):
        state.cwd = Word.unknown("the folder before this one")
    else:
        state.change_folder(operands[0])


def _options(argv: tuple[Word, ...], state: State) -> None:
    for word in argv[1:]:
        text = word.text
        if text is None or not text.startswith(("-", "+")):
            break
        if text[0] == "-" and not text.startswith("--") and "e" in text:
            state.errexit = True
        elif text[0] == "+" and "e" in text:
            state.errexit = False
    texts = [word.text for word in argv[1:]]
    for flag, option in itertools.pairwise(texts):
        if option == "errexit" and flag in ("-o", "+o"):
            state.errexit = flag == "-o"


def _set(name: str, argv: tuple[Word, ...], state: State) -> None:
    if name == "read" and len(argv) == 1:
        state.set("REPLY", None)
    declares = name in ("declare", "typeset", "local", "export", "readonly")
    freezes = name == "readonly" or (
        declares and any((word.text or "")[:1] == "-" and "r" in (word.text or "") for word in argv[1:])
    )
    for word in argv[1:]:
        if word.text is None:
            assigned = _NAME.match(word.prefix)
            if assigned is None or not word.prefix[assigned.end() :].startswith("=") or word.many:
                state.forget_values()
            else:
                state.set(assigned[0], None)
                if freezes:
                    state.freeze(assigned[0])
            continue
        if declares and word.text.startswith("-") and any(char in word.text for char in "nrilux"):
            if any(char in word.text for char in "nilu"):
                state.forget_values()
            continue
        for found in _NAME.findall(word.text) if name == "let" else _NAME.findall(word.text)[:1]:
            value = None
            if declares and word.text.startswith(f"{found}="):
                value = word.text[len(found) + 1 :]
            state.set(found, value)
            if freezes:
                state.freeze(found)
    if name in ("read", "mapfile", "readarray"):
        state.set("REPLY", None)
        state.set("MAPFILE", None)
    if name == "getopts":
        state.set("OPTARG", None)
        state.set("OPTIND", None)
