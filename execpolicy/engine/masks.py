"""What the masks of a policy hide in a text, and in the arguments of a call."""

from __future__ import annotations

import posixpath
import re
from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import Final

from execpolicy.engine.paths import resolve_glob
from execpolicy.engine.words import Places
from execpolicy.facts import CommandFacts, Word
from execpolicy.lang.covering import covering
from execpolicy.lang.literals import Literals, shortest
from execpolicy.lang.regular import compile_path, compile_word
from execpolicy.lang.rules import AnyOf, Exact, Glob, Mask, Regex, WordPattern
from execpolicy.source import Span
from execpolicy.values import frozen

MOST_SCRIPT: Final = (
    1 << 16
)  # characters of a text that is read as a script; a longer one is read word by word
MOST_NAMES: Final = 2048  # for which it is remembered what hides their values

# `NAME=value`, `name: value`, `"name": "value"`; `open` stands before the name, `in` before the value
_NAMED: Final = re.compile(
    r"(?P<open>\\?[\"']|)(?<![\w-])(?P<name>[A-Za-z_][\w.-]{0,99}+)(?P<close>\\?[\"']|)"
    r"[ \t]{0,4}[:=][ \t]{0,4}(?P<in>\\?[\"']|)"
)
_SHELL_WORD: Final = re.compile(r"""(?:[^\s"'`;|&<>\\]+|\\.|"(?:[^"\\]|\\.)*"|'[^']*')+""", re.DOTALL)
_LINE: Final = re.compile(r"[^\n\"']*")
_BARE: Final = re.compile(r"[^\s\"',;&|)}\]]+")
_QUOTED: Final = {
    '"': re.compile(r'(?:[^"\\]|\\.)*', re.DOTALL),
    "'": re.compile(r"[^']*"),
    '\\"': re.compile(r'(?:[^"\\]|\\[^"])*', re.DOTALL),
    "\\'": re.compile(r"[^'\\]*"),
}
_HEREDOC: Final = re.compile(r"<<-?[ \t]*(?P<q>[\"']?)(?P<end>\w+)(?P=q)[^\n]*\n")
_LONE_WORD: Final = re.compile(r"^[ \t]*+(?P<word>\w++)[ \t]*+$", re.MULTILINE)
_PATCHED: Final = re.compile(
    r"^(?:\*\*\* (?:Add|Update|Delete) File: |\*\*\* Move to: |\+\+\+ (?:b/)?|--- (?:a/)?)(?P<path>[^\t\r\n]+)",
    re.MULTILINE,
)
_SECTION: Final = re.compile(r"^(?:\*\*\* |diff --git |--- |\+\+\+ )", re.MULTILINE)


@frozen
class Hidden:
    """`start:end` of a text is hidden by the mask of this id."""

    start: int
    end: int
    mask: str


class Masks:
    """The masks of all layers: what one of them hides is hidden."""

    def __init__(
        self,
        masks: Sequence[Mask],
        *,
        places: Places,
        read: Callable[[str], Sequence[CommandFacts]],
    ) -> None:
        """`read` gives the commands of a script."""
        self._masks = masks
        self._places = places
        self._read = read
        self._patterns = [(mask.id, covering(one)) for mask in masks for one in mask.pattern]
        self._named = [mask for mask in masks if mask.env or mask.header or mask.argument]
        self._by_name: dict[str, tuple[Mask, ...]] = {}
        self._programs = [mask for mask in masks if mask.program]
        self._mentions = [
            (mask, _word_needles(mask.program) or ("",), _behind(mask)) for mask in self._programs
        ]
        self._files = [mask for mask in masks if mask.paths]
        self._whole_calls = [mask for mask in masks if mask.tool and not mask.argument]
        self._signs = _Signs.of(masks)

    def __bool__(self) -> bool:
        return bool(self._masks)

    def may(self, text: str, lower: str) -> bool:
        """Whether something may be hidden in a text; `lower` is the same in lower case. False is certain."""
        return self._signs.seen(text, lower)

    @property
    def reach(self) -> int:
        """How many characters tell for sure: what is seen later is not seen in fewer because they are few."""
        return self._signs.reach

    def begins(self, text: str, lower: str) -> bool:
        """Whether a piece of a text may be why something is hidden in the whole. False is certain.

        That is where the rest hides nothing, and the piece holds `reach` characters of it at each side.
        """
        return self._signs.begun(text, lower)

    def whole_call(self, tool: str, server: str | None) -> bool:
        """Whether all arguments of a call are hidden."""
        return any(_of_call(mask, tool, server) for mask in self._whole_calls)

    def find(self, text: str, tool: str | None = None, server: str | None = None) -> Iterator[Hidden]:
        """What is hidden in `text`. `tool` is called by it, where that is known; a mask of another is left out."""
        for id_, pattern in self._patterns:
            if pattern.needle in text:
                for start, end in pattern.spans(text):
                    yield Hidden(start, end, id_)
        if self._named:
            yield from self._named_values(text, tool, server)
        if self._programs:
            yield from self._words(text)
        if self._files:
            yield from self._contents(text)
        if tool is not None:
            for mask in self._whole_calls:
                if _of_call(mask, tool, server):
                    start = text.find("{")
                    yield Hidden(max(start, 0), len(text), mask.id)

    def argument(self, name: str, tool: str | None, server: str | None) -> str | None:
        """The id of the mask that hides the argument `name` of a call; a tool of None is any."""
        for mask in self._masks:
            fits = mask.argument is None or _fits(mask.argument, name)
            if (mask.argument or mask.tool) and fits and (tool is None or _of_call(mask, tool, server)):
                return mask.id
        return None

    def file(self, path: str) -> str | None:
        """The id of the mask that hides the contents of the file at `path`."""
        if not self._files or not path:
            return None
        if path.startswith("~/"):
            path = self._places.home + path[1:]
        absolute = self._places.absolute(path) or posixpath.normpath(f"/{path}")
        for mask in self._files:
            for glob in mask.paths:
                pattern = resolve_glob(glob.pattern, self._places)
                if pattern is not None and compile_path(Glob(pattern)).matches(absolute):
                    return mask.id
        return None

    def variable(self, name: str) -> str | None:
        """The id of the mask that hides the value of the environment variable `name`."""
        return next((mask.id for mask in self._named if mask.env and _fits(mask.env, name)), None)

    def reads(self, script: str) -> str | None:
        """The id of the mask that hides what `script` says, for it reads a file whose contents are hidden."""
        if not self._files:
            return None
        commands = self._commands(script)
        paths = [one.path.text or one.path.raw for facts in commands for one in facts.files]
        words = [word.text or word.raw for facts in commands for word in facts.argv[1:]]
        return next((found for path in (*paths, *words) if (found := self.file(path))), None)

    # --- in a text --------------------------------------------------------------------------

    def _named_values(self, text: str, tool: str | None, server: str | None) -> Iterator[Hidden]:
        at = 0
        past: dict[int, int] = {}  # each passes over its own values only: no mask takes a name from another
        while found := _NAMED.search(text, at):
            at = found.end("name")
            for mask in self._of_name(found["name"]):
                if found.start("name") < past.get(id(mask), 0):
                    continue
                span = self._value_of(mask, found, tool, server)
                if span is not None and span[0] < span[1]:
                    yield Hidden(*span, mask.id)
                    past[id(mask)] = span[1]

    def _of_name(self, name: str) -> tuple[Mask, ...]:
        """Those of the masks of names that hide what has this one."""
        known = self._by_name.get(name)
        if known is None:
            if len(self._by_name) >= MOST_NAMES:
                self._by_name.clear()
            lower = name.lower()
            known = self._by_name[name] = tuple(mask for mask in self._named if _is_named(mask, name, lower))
        return known

    def _value_of(
        self, mask: Mask, found: re.Match[str], tool: str | None, server: str | None
    ) -> tuple[int, int] | None:
        if mask.env is not None:
            return _value(found, _SHELL_WORD)
        if mask.header is not None:
            return _value(found, _LINE)
        return _value(found, _BARE) if tool is None or _of_call(mask, tool, server) else None

    def _words(self, text: str) -> Iterator[Hidden]:
        wanted = [
            mask for mask, names, behind in self._mentions if _one_of(names, text) and _one_of(behind, text)
        ]
        if not wanted:
            return
        commands = self._commands(text)
        for mask in wanted:
            for secret in {one for facts in commands for one in _secrets(mask, facts.argv)}:
                yield from _everywhere(text, secret, mask.id)

    def _commands(self, text: str) -> Sequence[CommandFacts]:
        found = self._read(text) if len(text) <= MOST_SCRIPT else ()
        if found:
            return found
        words = tuple(Word.literal(word.strip("\"'"), word) for word in text.split())
        starts: set[int] = set()
        for mask in self._programs:  # each as many as it had alone
            starts.update(islice((at for at, word in enumerate(words) if _is_program(mask, word)), 256))
        return [CommandFacts(argv=words[at : at + 64], span=Span(0, 0)) for at in sorted(starts)]

    def _contents(self, text: str) -> Iterator[Hidden]:
        hidden = 0  # where the last section begins that is hidden
        for found in _PATCHED.finditer(text):
            mask = self.file(found["path"].strip()) if found.start() >= hidden else None
            if mask is None:
                continue
            start = text.find("\n", found.end()) + 1
            if start <= 0:
                continue
            while (following := _SECTION.match(text, start)) is not None and text.find("\n", start) > 0:
                start = text.find("\n", following.end()) + 1
            hidden = start
            following = _SECTION.search(text, start)
            yield from _lines(text, start, following.start() if following else len(text), mask)
        if "<<" in text and (mask := self.reads(text)) is not None:
            ends: dict[str, list[int]] = {}
            for lone in _LONE_WORD.finditer(text):
                ends.setdefault(lone["word"], []).append(lone.start())
            behind = 0  # of what is hidden already
            for begun in _HEREDOC.finditer(text):
                places = ends.get(begun["end"], ())
                at = bisect_left(places, begun.end())
                end = places[at] if at < len(places) else len(text)
                yield from _lines(text, max(begun.end(), behind), end, mask)
                behind = max(behind, end)


def _is_named(mask: Mask, name: str, lower: str) -> bool:
    if mask.env is not None:
        return _fits(mask.env, name)
    if mask.header is not None:
        return _fits(mask.header, lower)
    return mask.argument is not None and _fits(mask.argument, name)


def _fits(pattern: WordPattern, text: str) -> bool:
    return compile_word(pattern).matches(text)


def _of_call(mask: Mask, tool: str, server: str | None) -> bool:
    if mask.server is not None and (server is None or not _fits(mask.server, server)):
        return server is None and mask.tool is None
    return mask.tool is None or _fits(mask.tool, tool)


def _value(found: re.Match[str], bare: re.Pattern[str]) -> tuple[int, int]:
    text, at = found.string, found.end()
    if found["in"]:
        quoted = _QUOTED[found["in"]].match(text, at)
        end = quoted.end() if quoted else at
        shell = bare is _SHELL_WORD and not found["close"]
        if shell and (more := bare.match(text, end + len(found["in"]))):
            return at, more.end()  # `NAME='a'b"c"`
        return at, end
    if found["open"] and not found["close"]:  # the quote that opened before the name closes behind the value
        quoted = _QUOTED[found["open"]].match(text, at)
        return at, quoted.end() if quoted else at
    if text[at : at + 1] in ("{", "[") and found["close"]:
        return at, _balanced(text, at)
    plain = bare.match(text, at)
    return at, plain.end() if plain else at


def _balanced(text: str, at: int) -> int:
    depth = 0
    for found in re.compile(r"[\[\]{}]").finditer(text, at):
        depth += 1 if found[0] in "[{" else -1
        if depth == 0:
            return found.end()
    return len(text)


def _is_program(mask: Mask, word: Word) -> bool:
    name = (word.text if word.text is not None else word.raw).rsplit("/", 1)[-1]
    return mask.program is not None and (_fits(mask.program, name) or word.text is None)


def _one_of(needles: Sequence[str], text: str) -> bool:
    for needle in needles:  # noqa: SIM110 - half the time of `any`
        if needle in text:
            return True
    return False


def _behind(mask: Mask) -> tuple[str, ...]:
    """Of which one stands wherever the mask hides something behind its program; a long option may be cut short."""
    return tuple(one[:6] if one.startswith("--") else one for one in mask.option) or ("",)


def _secrets(mask: Mask, argv: Sequence[Word]) -> Iterator[str]:
    """What of the words is hidden: as the program gets it, and as it is written."""
    if not argv or not _is_program(mask, argv[0]):
        return
    known = {word.text for word in argv[1:]}
    if not all(word in known for word in mask.subcommand):
        return
    if not mask.option:
        for word in argv[1 + len(mask.subcommand) :] if mask.subcommand else argv[1:]:
            if word.text not in mask.subcommand:
                yield from _both(word, 0)
        return
    for at, word in enumerate(argv[1:], 1):
        given = _option(mask, word)
        if given is None:
            continue
        if given < len(word.text or word.raw):
            yield from _both(word, given)
        elif not mask.attached and at + 1 < len(argv):
            yield from _both(argv[at + 1], 0)


def _option(mask: Mask, word: Word) -> int | None:
    """Where the value begins in a word that is one of the options; its length when it stands in the next word."""
    text = word.text or word.prefix or word.raw
    name, equals, _ = text.partition("=")
    for option in mask.option:
        if text == option or (equals and name == option):
            return len(name) + len(equals)
        if option.startswith("--"):
            if len(name) > 4 and option.startswith(name):  # options may be cut short
                return len(name) + len(equals)
        elif len(option) == 2 and text.startswith(option):
            return len(option)
    return None


def _both(word: Word, skip: int) -> Iterator[str]:
    written = word.raw
    if skip and written[:1] in ("'", '"') and written[-1:] == written[:1]:
        written = written[1:-1]
    if word.text is not None and len(word.text) > skip:
        yield word.text[skip:]
    if written != word.text and len(written) > skip:
        yield written[skip:]


def _everywhere(text: str, secret: str, mask: str) -> Iterator[Hidden]:
    at = text.find(secret)
    while at >= 0:
        yield Hidden(at, at + len(secret), mask)
        at = text.find(secret, at + len(secret))


def _lines(text: str, start: int, end: int, mask: str) -> Iterator[Hidden]:
    """The lines between two places, each without the sign of a patch before it."""
    while start < end:
        stop = text.find("\n", start, end)
        stop = end if stop < 0 else stop
        first = start + (text[start : start + 1] in ("+", "-", " "))
        if first < stop and not text.startswith("@@", start):
            yield Hidden(first, stop, mask)
        start = stop + 1


# --- what has to stand in a text -------------------------------------------------------------


@frozen
class _Signs:
    """Texts of which one stands wherever a mask may hide something."""

    always: bool  # a mask that needs nothing
    words: Literals
    lower: Literals
    long: tuple[tuple[str, int], ...]  # counts only in a text of so many characters
    behind: tuple[tuple[str, tuple[str, ...]], ...]  # what follows a program, and the programs
    dashed: tuple[tuple[str, tuple[str, ...]], ...]  # the same; what follows begins with a dash
    every: Literals  # all of these that stand in the text as it is, and halves of pairs
    first: Literals  # the same without what follows programs: where none stands, nothing is seen
    reach: int  # the longest of them, or the most characters that one asks for

    @staticmethod
    def of(masks: Sequence[Mask]) -> _Signs:
        always = False
        words: list[str] = []
        lower: list[str] = []
        long: list[tuple[str, int]] = []
        programs: dict[str, list[str]] = {}
        for mask in masks:
            if mask.paths:
                words += ("*** ", "+++ ", "<<")
            elif mask.pattern:
                long += [(covering(one).needle, covering(one).least) for one in mask.pattern]
            elif mask.program is not None:
                behind = mask.subcommand[:1] or _behind(mask)
                for one in behind:
                    programs.setdefault(one, []).extend(_word_needles(mask.program) or ("",))
            else:
                pattern = mask.env or mask.header or mask.argument
                found = None if pattern is None else _word_needles(pattern)
                always |= found is None and (pattern is not None or mask.tool is None)
                (lower if mask.header is not None else words).extend(found or ())
        pairs = [(behind, shortest(names)) for behind, names in programs.items()]
        halves = {text for behind, names in pairs for text in (behind, *names) if text}
        every = Literals([*words, *(needle for needle, _ in long), *halves])
        low = Literals(lower)
        return _Signs(
            always,
            Literals(words),
            low,
            tuple(sorted(set(long), key=lambda one: one[1])),
            tuple(pair for pair in pairs if not pair[0].startswith("-")),
            tuple(pair for pair in pairs if pair[0].startswith("-")),
            every,
            Literals(
                [*words, *(needle for needle, _ in long), *(name for _, names in pairs for name in names)]
            ),
            max(every.longest, low.longest, *(least for _, least in long), 0),
        )

    def begun(self, text: str, lower: str) -> bool:
        return self.always or self.every.within(text) or self.lower.within(lower)

    def seen(self, text: str, lower: str) -> bool:
        if self.always or self.lower.within(lower):
            return True
        if not self.first.within(text):
            return False
        if self.words.within(text):
            return True
        size = len(text)
        for word, least in self.long:
            if size < least:
                break
            if word in text:
                return True
        for behind, programs in self.behind:
            if behind in text and _one_of(programs, text):
                return True
        if "-" not in text:
            return False
        for behind, programs in self.dashed:  # noqa: SIM110 - half the time of `any`
            if behind in text and _one_of(programs, text):
                return True
        return False


def _word_needles(pattern: WordPattern | None) -> tuple[str, ...] | None:
    match pattern:
        case Exact(text):
            return (text,) if text else None
        case Glob(text):
            longest = max(re.split(r"\\.|\[[^\]]*\]|[*?\[\]\\]", text), key=len)
            return (longest,) if longest else None
        case Regex():
            needle = covering(pattern).needle
            return (needle,) if needle else None
        case AnyOf(options):
            found = [_word_needles(option) for option in options]
            if any(one is None for one in found):
                return None
            return tuple(needle for one in found for needle in one or ())
        case _:
            return None
