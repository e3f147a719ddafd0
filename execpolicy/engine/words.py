"""Does one word fit one pattern: yes, no or maybe."""

from __future__ import annotations

import posixpath
from typing import TYPE_CHECKING, assert_never

from execpolicy.decision import Certainty
from execpolicy.facts import Word, WordKind
from execpolicy.lang.rules import AllOf, AnyOf, Exact, Glob, NoneOf, Regex, Within, WordPattern
from execpolicy.values import frozen

if TYPE_CHECKING:
    from execpolicy.lang.regular import Matcher

NO, MAYBE, YES = Certainty.NO, Certainty.MAYBE, Certainty.YES


@frozen
class Places:
    """What relative paths and `$WORKSPACE`, `~` in patterns stand for."""

    cwd: str | None  # None: not known
    workspace: str
    home: str

    def root(self, text: str) -> str | None:
        """The folder that `text` names in a rule; None when it cannot be known."""
        if text == "$WORKSPACE" or text.startswith("$WORKSPACE/"):
            text = self.workspace + text[len("$WORKSPACE") :]
        elif text == "~" or text.startswith("~/"):
            if not self.home:
                return None
            text = self.home + text[1:]
        elif not text.startswith("/"):
            text = f"{self.workspace}/{text}"
        return posixpath.normpath(text)

    def absolute(self, text: str) -> str | None:
        """The normal form of a path as a command would see it; None when it cannot be known."""
        if text.startswith("/"):
            return posixpath.normpath(text)
        return None if self.cwd is None else posixpath.normpath(f"{self.cwd}/{text}")


def inside(path: str, root: str) -> bool:
    """Whether normal `path` is `root` or lies in it."""
    if root in ("/", "//"):
        return path.startswith("/")
    return path == root or path.startswith(root + "/")


def canonical(text: str) -> str:
    """Unicode canonical caseless key: NFD(casefold(NFD(text)))."""
    if text.isascii():
        return text.lower()
    import unicodedata

    return unicodedata.normalize("NFD", unicodedata.normalize("NFD", text).casefold())


def fits(pattern: WordPattern, word: Word, places: Places) -> Certainty:
    """Whether the one word that `word` stands for fits `pattern`.

    YES and NO hold for every text the word may become. A word with `many` is judged as one of its words.
    """
    if word.text is not None:
        return fits_text(pattern, word.text, places)
    match pattern:
        case Exact(text):
            return MAYBE if text.startswith(word.prefix) and _can_be(word, text) else NO
        case Glob() | Regex():
            matcher = _matcher(pattern)
            if matcher is None:
                return MAYBE
            if matcher.matches_all_with_prefix(word.prefix):
                return YES
            return MAYBE if matcher.may_match_prefix(word.prefix) else NO
        case Within():
            return MAYBE
        case AnyOf(options):
            return max((fits(option, word, places) for option in options), default=NO)
        case AllOf(options):
            return min((fits(option, word, places) for option in options), default=YES)
        case NoneOf(options):
            return _negate(max((fits(option, word, places) for option in options), default=NO))
        case _:
            assert_never(pattern)


def fits_text(pattern: WordPattern, text: str, places: Places) -> Certainty:
    """Whether a known word fits. MAYBE only where a folder or an expression could not be read."""
    match pattern:
        case Exact(wanted):
            return YES if wanted == text else NO
        case Glob() | Regex():
            matcher = _matcher(pattern)
            if matcher is None:
                return MAYBE
            return YES if matcher.matches(text) else NO
        case Within(folder):
            root, path = places.root(folder), places.absolute(text)
            if root is None or path is None:
                return MAYBE
            return YES if inside(path, root) else NO
        case AnyOf(options):
            return max((fits_text(option, text, places) for option in options), default=NO)
        case AllOf(options):
            return min((fits_text(option, text, places) for option in options), default=YES)
        case NoneOf(options):
            return _negate(max((fits_text(option, text, places) for option in options), default=NO))
        case _:
            assert_never(pattern)


def _negate(certainty: Certainty) -> Certainty:
    return Certainty(YES - certainty)


def _can_be(word: Word, text: str) -> bool:
    """Whether an unknown of this kind can become `text`; its prefix is known to agree."""
    if word.kind is WordKind.NUMBER:
        return any(char.isdecimal() for char in text[len(word.prefix) :])
    return True


def _matcher(pattern: Glob | Regex) -> Matcher | None:
    """None: a pattern that is not one of ours, which may match anything."""
    from execpolicy.lang.regular import BadPattern, compile_word  # late: many policies have plain words only

    try:
        return compile_word(pattern)
    except BadPattern:
        return None


def literal_start(glob: str) -> str:
    """The characters of `glob` before its first special one."""
    for index, char in enumerate(glob):
        if char in "*?[\\":
            return glob[:index]
    return glob


def canonical_fits(pattern: WordPattern, word: Word, places: Places) -> Certainty:
    """As `fits`, with literal words compared by their canonical caseless key."""
    match pattern:
        case Exact(text):
            if word.text is None:
                return MAYBE
            return YES if canonical(text) == canonical(word.text) else NO
        case AnyOf(options):
            return max((canonical_fits(option, word, places) for option in options), default=NO)
        case Glob() | Regex() | Within() | AllOf() | NoneOf():
            return fits(pattern, word, places)
        case _:
            assert_never(pattern)
