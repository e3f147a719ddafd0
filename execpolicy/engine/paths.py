"""Which file a word names, and does a path rule speak about it."""

from __future__ import annotations

import posixpath
from functools import lru_cache
from typing import TYPE_CHECKING

from execpolicy.decision import Certainty, Decision
from execpolicy.engine.conditions import holds
from execpolicy.engine.context import CheckContext
from execpolicy.engine.shapes import escaped, may_meet, shape_of
from execpolicy.engine.words import MAYBE, NO, YES, Places, inside, literal_start
from execpolicy.facts import Access, Word, WordKind
from execpolicy.lang.rules import Glob, PathRule
from execpolicy.late import late_pattern
from execpolicy.values import frozen

if TYPE_CHECKING:
    from execpolicy.lang.regular import Matcher

STREAMS = frozenset({"/dev/null", "/dev/stdout", "/dev/stderr", "/dev/tty", "/dev/stdin"})

_HOME = late_pattern(
    r"""(?:~|"\$(?:HOME|\{HOME\})"|(?P<open>"\$(?:HOME|\{HOME\})))(?P<rest>(?:/[\w.@%+,:=-]*)*)(?(open)")"""
)


@frozen
class FileView:
    """A file as far as its name is known before the command runs."""

    path: str | None  # absolute and normal; None: not known
    real: str | None  # with symbolic links resolved
    tail: str | None  # of a relative name in a folder that is not known: that name
    start: str  # the certain start of an absolute path that is not known
    spread: bool  # whether the unknown part stays below `start`: no `..` in it
    shape: str | None = None  # a glob over absolute paths that covers every file the word may name

    @staticmethod
    def of(word: Word, places: Places, context: CheckContext) -> FileView:
        text = word.text
        if text is not None:
            return _known(text, word.raw, places, context)
        if word.kind is WordKind.PATH and (home := _below_home(word.raw)) is not None:
            return _known(home, home, places, context)
        start = word.prefix
        shape = shape_of(word.raw, places.cwd) if word.kind is WordKind.PATTERN else None
        if start.startswith("~/") and places.home and word.raw.startswith("~"):
            start = places.home + start[1:]
        elif not start.startswith("/"):
            start = "" if places.cwd is None else f"{places.cwd}/{start}"
        spread = word.kind in (WordKind.PATTERN, WordKind.NUMBER) and ".." not in word.raw
        if "/.." in start or "/./" in start or "//" in start:
            folder, _, last = start.rpartition("/")
            start = posixpath.normpath(folder or "/").rstrip("/") + "/" + last if last != ".." else ""
        return FileView(None, None, None, start if spread else "", spread, shape)

    @property
    def known(self) -> tuple[str, ...]:
        """Every name of the file."""
        if self.path is None:
            return () if self.real is None else (self.real,)
        return (self.path,) if self.real is None or self.real == self.path else (self.path, self.real)


def _below_home(raw: str) -> str | None:
    """`~/x` for a word that is certain but for the home folder: `~/x`, `"$HOME/x"`; else None."""
    found = _HOME.fullmatch(raw)
    return None if found is None else "~" + found["rest"].rstrip("/")


def _known(text: str, raw: str, places: Places, context: CheckContext) -> FileView:
    if raw.startswith("~") and (text == "~" or text.startswith("~/")):
        if not places.home:
            return FileView(None, None, posixpath.normpath(text[2:] or "."), "", False)
        text = places.home + text[1:]
    path = places.absolute(text)
    if path is None:
        tail = posixpath.normpath(text)
        return FileView(None, None, None if tail.startswith("..") else tail, "", False)
    real = context.resolver.real(_physical(text, places)) if context.resolver is not None else path
    return FileView(path, real, None, "", False)


def _physical(text: str, places: Places) -> str:
    """The path as written: `..` behind a symbolic link means the folder above its target."""
    return text if text.startswith("/") else f"{places.cwd}/{text}"


def resolve_glob(pattern: str, places: Places) -> str | None:
    """The pattern with its root written out: absolute, or `**/` for one that may stand anywhere."""
    return _resolved(pattern, places.home, places.workspace)


@lru_cache(maxsize=8192)
def _resolved(pattern: str, home: str, workspace: str) -> str | None:
    if pattern == "~" or pattern.startswith("~/"):
        return escaped(home) + pattern[1:] if home else None
    if pattern == "$WORKSPACE" or pattern.startswith("$WORKSPACE/"):
        return escaped(workspace) + pattern[len("$WORKSPACE") :]
    if pattern.startswith(("/", "**/")):
        return pattern
    return "**/" + pattern.removeprefix("./")


def match_path(
    rule: PathRule, view: FileView, access: Access, context: CheckContext, places: Places
) -> Certainty:
    """Whether `rule` speaks about this access, its `when` included."""
    if access not in rule.access:
        return NO
    found = NO
    for glob in rule.paths:
        found = max(found, _match_glob(glob.pattern, view, access, rule.meta.decision, places))
        if found is YES or (found and not view.known):
            break
    if found and rule.when is not None:
        found = min(found, holds(rule.when, context, places))
    return found


def _match_glob(
    pattern: str, view: FileView, access: Access, decision: Decision, places: Places
) -> Certainty:
    glob = resolve_glob(pattern, places)
    if glob is None:
        return MAYBE
    known = view.known
    if not known:
        return _match_unknown(glob, view, access)
    if decision is Decision.ALLOW:
        return min(_fits(glob, path) for path in known)
    return max(_match_known(glob, path, access) for path in known)


def _fits(glob: str, path: str) -> Certainty:
    start, matcher = _matcher(glob)
    if matcher is None:
        return MAYBE
    return YES if path.startswith(start) and matcher.matches(path) else NO


@lru_cache(maxsize=8192)
def _matcher(glob: str) -> tuple[str, Matcher | None]:
    """The text that every path that fits begins with, and what tells the others; no matcher for a broken glob."""
    from execpolicy.lang.regular import BadPattern, compile_path

    plain = next((at for at, letter in enumerate(glob) if letter in "*?[\\"), len(glob))
    try:
        return glob[:plain], compile_path(Glob(glob))
    except BadPattern:
        return "", None


def _match_known(glob: str, path: str, access: Access) -> Certainty:
    found = _fits(glob, path)
    if glob.endswith("/**"):
        found = max(found, _fits(glob[:-3], path))  # the folder itself
    if found:
        return found
    if access is Access.DELETE and inside(literal_start(glob), path):
        return MAYBE  # deleting a folder deletes what lies in it
    return NO


def _match_unknown(glob: str, view: FileView, access: Access) -> Certainty:
    if view.tail is not None:
        # Wherever it lies, its name is known: a folder that cannot occur in a pattern stands for the unknown one.
        return max(MAYBE, _fits(glob, "/\0/" + view.tail)) if glob.startswith("**/") else MAYBE
    if not view.spread or not view.start:
        return MAYBE
    if view.shape is not None:
        return MAYBE if _meets(glob, view.shape, access) else NO
    first = literal_start(glob)
    if glob.startswith("**/"):
        return MAYBE
    return MAYBE if first.startswith(view.start) or view.start.startswith(first) else NO


def _meets(glob: str, shape: str, access: Access) -> bool:
    shapes = (shape, shape + "/**") if access is Access.DELETE else (shape,)  # what lies in a folder goes too
    globs = (glob, glob[:-3]) if glob.endswith("/**") else (glob,)  # the folder itself
    return any(may_meet(one, other) for one in globs for other in shapes)


def writes_inside(view: FileView, context: CheckContext) -> bool:
    """Whether a write stays where the session may write."""
    known = view.known
    if not known:
        if not (view.spread and view.start):
            return False
        known = (view.start.rpartition("/")[0] or "/",)
    return all(_writable(path, context) for path in known)


def _writable(path: str, context: CheckContext) -> bool:
    return any(inside(path, root) for root in (context.workspace, *context.writable))


def touches_protected(view: FileView, access: Access, context: CheckContext) -> bool:
    """Whether a change is one of a protected place."""
    for root in context.protected:
        for path in view.known:
            if inside(path, root):
                return True
            if access is Access.DELETE and inside(root, path):
                return True
    return False
