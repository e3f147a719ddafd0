"""What builtins change in the shell that reads on: variables, the folder, functions, options."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterator

from execpolicy.facts import Word
from execpolicy.late import late_pattern
from execpolicy.shell import arithmetic
from execpolicy.shell.environment import hook
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
_ANYTHING = frozenset({"eval", "source", ".", "shopt", "alias", "enable", "hash", "bind", "complete"})
_NOTED = _SETTERS | _ANYTHING | {"cd", "pushd", "popd", "trap", "set"}


# Letters of options that take a value, and those whose value names a variable.
_TAKES = {
    "read": "adinNptu",
    "mapfile": "dnOsuCc",
    "readarray": "dnOsuCc",
    "printf": "v",
    "wait": "p",
    "getopts": "",
}
FILLERS = frozenset(_TAKES)
_NAMING = {"read": "a", "printf": "v", "wait": "p"}
DECLARERS = frozenset({"declare", "typeset", "local", "readonly", "export"})
# Builtins that are looked at closely.
CHANGERS = FILLERS | DECLARERS | {"let", "unset", "trap"}
# Without these a program is looked for in the current folder.
_NEEDED = frozenset({"PATH"})


def doubts_about(argv: tuple[Word, ...], state: State, arrays: Collection[str]) -> Iterator[str]:
    """Why a builtin may run code that hides in names or values."""
    name = argv[0].text
    if name in DECLARERS:
        yield from _attributes(argv)
        yield from _compound(argv, arrays)
    elif name == "let":
        for word in argv[1:]:
            if word.text is None or not arithmetic.is_safe(word.text, state):
                yield "arithmetic on text that is not known"
    elif name in _TAKES:
        for word in named(argv):
            if word.text is None:
                yield f"`{name}` sets a variable whose name is not known"
            else:
                yield from _named_safely(word.text, state)
    if name in ("unset", "local"):
        yield from (
            f"variable {word.text}: without it programs are looked for in the current folder"
            for word in argv[1:]
            if word.text in _NEEDED
        )


def _named_safely(text: str, state: State) -> Iterator[str]:
    variable, bracket, subscript = text.partition("[")
    if bracket and subscript not in ("@]", "*]") and not arithmetic.is_safe(subscript[:-1], state):
        yield "array subscript that is evaluated"
    why = hook(variable)
    if why is not None:
        yield why


def _attributes(argv: tuple[Word, ...]) -> Iterator[str]:
    """A declaration that makes later assignments run hidden code."""
    for word in argv[1:]:
        if word.text is None:
            if not word.prefix.strip("-+").isidentifier() and word.prefix[:1] in ("", "-"):
                yield "attributes of a variable that are not known"
        elif word.text[:1] == "-" and "i" in word.text:
            yield "variable whose values are evaluated as arithmetic"
        elif word.text[:1] == "-" and "n" in word.text and argv[0].text != "export":
            yield "variable that stands for another"
        elif word.text[:1] in ("+", "-") and set(word.text) & set("ulc"):
            yield "variable whose values are changed"


def _compound(argv: tuple[Word, ...], arrays: Collection[str]) -> Iterator[str]:
    """`declare -a 'x=($(command))'`: a value in parentheses is read as elements, with all expansions."""
    listed = any(set(word.prefix) & set("aA") for word in argv[1:] if word.prefix.startswith("-"))
    for word in argv[1:]:
        variable, equals, value = word.prefix.partition("=")
        if not equals or word.why == "array":
            continue
        variable = variable.rstrip("+").partition("[")[0]
        if word.text is None and not value:
            if listed or variable in arrays:
                yield "array whose elements are not known"
        elif value.lstrip()[:1] == "(" and (word.text is None or set(value) & set("$`[")):
            yield "array whose elements are evaluated"


def named(argv: tuple[Word, ...]) -> tuple[Word, ...]:
    """The words that name variables a builtin fills: `read -ra x`, `printf -vx`, `mapfile x`."""
    name = argv[0].text or ""
    takes, naming = _TAKES.get(name), _NAMING.get(name, "")
    if takes is None:
        return ()
    found: list[Word] = []
    index = 1
    while index < len(argv):
        text = argv[index].text
        if text is None or len(text) < 2 or text[0] != "-":
            break
        index += 1
        if text == "--":
            break
        taker = next((at for at, char in enumerate(text) if at and char in takes), 0)
        if not taker:
            continue
        attached = text[taker + 1 :]
        if text[taker] in naming:
            found.extend(
                [Word.literal(attached, span=argv[index - 1].span)] if attached else argv[index : index + 1]
            )
        index += not attached
    operands = argv[index:]
    if name in ("printf", "wait"):
        # Only an option names a variable; one that is not known may be such an option.
        first = operands[:1]
        return (
            *found,
            *(word for word in first if word.text is None and word.prefix[:2] in ("", "-", f"-{naming}")),
        )
    return (*found, *operands)


def note_changes(argv: tuple[Word, ...], state: State) -> None:
    """Take over into `state` what the command changes in its own shell."""
    name = argv[0].text
    if name is None:
        state.forget()
    elif name not in _NOTED:
        return
    elif name in ("cd", "pushd", "popd"):
        _folder(name, argv, state)
    elif name == "trap":
        if runs_any_time(argv):
            state.interrupt()
    elif name in _ANYTHING:
        state.forget_values()
    elif name == "set":
        _options(argv, state)
    elif name in _SETTERS:
        _set(name, argv, state)


def runs_any_time(argv: tuple[Word, ...]) -> bool:
    """Whether `trap` sets what runs before the end of the script, between any two commands."""
    words = [word.text for word in argv[1:] if word.text != "--"]
    if len(words) < 2 or words[0] in ("", "-", "-l", "-p", "-P"):
        return any(text is None for text in words)
    return any(text is None or text.upper() not in ("EXIT", "0") for text in words[1:])


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
    if name in _TAKES:
        for word in named(argv):
            if word.text is None:
                state.forget_values()
            else:
                state.set(word.text.partition("[")[0], None)
    for word in argv[1:] if name not in _TAKES else ():
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
