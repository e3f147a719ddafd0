"""What files a pattern of the shell may name, as a glob, and whether another glob may name one of them."""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from execpolicy.lang.regular import Automaton, BadPattern, compile_path
from execpolicy.lang.rules import Glob
from execpolicy.late import late_pattern

MAX_PAIRS: Final = 300  # of states of two globs; beyond, they may meet

_SPECIAL = frozenset("*?[\\")
# Written without quotes, expansions or extended patterns: what stands there is what the shell reads.
_PLAIN = late_pattern(r"[A-Za-z0-9_.@%+,:=/*?\[\]!^-]+")
_BOTH = late_pattern(r"\[([a-zA-Z])[a-zA-Z]\]")
_END = late_pattern(r"(?:[^*?\[\]\\]|\[[a-zA-Z]{2}\])*\Z")


def shape_of(raw: str, folder: str | None) -> str | None:
    """A glob over absolute paths that covers every file which `raw` may name in `folder`; None: not known.

    It is wider than the pattern: a class of characters is any text, and letters stand for both cases, for
    an option of the shell may say so.
    """
    text = raw.removeprefix("./")
    if _PLAIN.fullmatch(text) is None or "//" in text:
        return None
    parts = text.split("/")
    if "." in parts or ".." in parts:
        return None
    if text.startswith("/"):
        return "/".join(map(_widened, parts))
    if folder is None:
        return None
    root = "" if folder == "/" else escaped(folder)
    return root + "/" + "/".join(map(_widened, parts))


def escaped(text: str) -> str:
    """`text` as a glob for itself."""
    return "".join("\\" + char if char in _SPECIAL else char for char in text)


def _widened(part: str) -> str:
    if not _SPECIAL.intersection(part):
        return part
    before, bracket, _ = part.partition("[")
    folded = "".join(f"[{char.lower()}{char.upper()}]" if char.isalpha() else char for char in before)
    if bracket:
        folded += "*"
    if not part.startswith(("*", "?", "[")) or part == "**":
        return folded
    # A name with a dot in front needs that dot written out.
    if part[0] == "?":
        return "[!.]" + folded[1:]
    if part[0] == "[":
        return "[!.]*"
    rest = folded.lstrip("*")
    if rest.startswith("."):
        return "[!.]*" + rest
    first = 4 if rest.startswith("[") else 1
    return "[!.]*" + rest[first:]


@lru_cache(maxsize=4096)
def may_meet(one: str, other: str) -> bool:
    """Whether some path may fit both globs. False is certain."""
    if not _ends_agree(one, other):
        return False
    try:
        first, second = compile_path(Glob(one)), compile_path(Glob(other))
    except BadPattern:
        return True
    if not isinstance(first, Automaton) or not isinstance(second, Automaton):
        return True
    letters = sorted({*first.letters(), *second.letters()})
    start = _start(other)
    begin = (_reached(first, start), _reached(second, start), not start)
    seen, open_ = {begin}, [begin]
    while open_:
        left, right, none = open_.pop()  # `none`: no character is read yet
        if first.accepts(left, start=none) and second.accepts(right, start=none):
            return True
        if not first.alive(left) or not second.alive(right):
            continue
        for letter in letters:
            after = (first.follow(left, letter), second.follow(right, letter), False)
            if after not in seen:
                if len(seen) >= MAX_PAIRS:
                    return True
                seen.add(after)
                open_.append(after)
    return False


@lru_cache(maxsize=4096)
def _reached(automaton: Automaton, text: str) -> frozenset[int]:
    states = automaton.begin()
    for char in text:
        states = automaton.follow(states, char)
    return states


def _ends_agree(one: str, other: str) -> bool:
    """A quick look at what stands before the first and behind the last special character."""
    left, right = _start(one), _start(other)
    if not (left.startswith(right) or right.startswith(left)):
        return False
    left, right = _end(one), _end(other)
    return left.endswith(right) or right.endswith(left)


def _start(glob: str) -> str:
    for index, char in enumerate(glob):
        if char in _SPECIAL:
            return glob[:index]
    return glob


def _end(glob: str) -> str:
    """The certain end, in lower case: a letter in both cases is one."""
    found = _END.search(glob)
    assert found is not None
    end = _BOTH.sub(r"\1", found[0])
    if found.start() and glob[found.start() - 1] == "\\":
        end = end[1:]  # an escaped character
    return end.lower()
