"""Where a change belongs in a file: the lines it expects, found exactly or nearly."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Callable, Sequence

from agent.patch.parse import Chunk, Line, Mark
from execpolicy.values import frozen

_SHOWN_LINES = 20
_COUNTED = 500  # occurrences of one line looked at when the nearest place is sought

_PUNCTUATION = str.maketrans(
    {
        **dict.fromkeys("‐‑‒–—―−", "-"),
        **dict.fromkeys("‘’‚‛′", "'"),
        **dict.fromkeys("“”„‟″", '"'),
        **dict.fromkeys(
            "\u00a0\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u202f\u205f\u3000", " "
        ),
        "…": "...",
    }
)


def _exact(text: str) -> str:
    return text


def _plain(text: str) -> str:
    return unicodedata.normalize("NFC", text.translate(_PUNCTUATION)).strip()


# From strict to tolerant: the first that finds something decides.
_VIEWS: tuple[Callable[[str], str], ...] = (_exact, str.rstrip, str.strip, _plain)


@frozen
class Found:
    """The change replaces `lines` of the patch from line `at` (from 0) of the file on."""

    at: int
    lines: tuple[Line, ...]


@frozen
class NotFound:
    message: str
    help: str


def locate(file: Sequence[str], chunk: Chunk, start: int) -> Found | NotFound:
    """Find `chunk` in the lines of a file, from `start` on. Two equally good places are none."""
    starts = [start]
    for depth, context in enumerate(chunk.context):
        found = [place + 1 for place in _first_view(file, (context,), starts[0])]
        if not found:
            return _missing(
                file,
                (context,),
                starts[0],
                f"the `@@` line of the change at line {chunk.number} is not in the file",
            )
        # The first may stand in several places; a further one is the next behind it.
        starts = found if depth == 0 else sorted({f for f in (_next(found, place) for place in starts) if f})
    lines = chunk.lines
    if all(line.mark is Mark.ADD for line in lines):
        return _insertion(file, chunk, starts)
    while True:
        expected = tuple(line.text for line in lines if line.mark is not Mark.ADD)
        places = _places(file, expected, chunk, starts)
        if not places and chunk.context:
            places = _places(
                file, expected, chunk, [place - 1 for place in starts]
            )  # the `@@` line once more
        if len(places) == 1:
            return Found(places[0], lines)
        if places:
            return _ambiguous(expected, places, chunk)
        # A blank last line is often only the end of the patch's paragraph.
        if len(expected) < 2 or lines[-1] != Line(Mark.KEEP, ""):
            break
        lines = lines[:-1]
    expected = tuple(line.text for line in chunk.lines if line.mark is not Mark.ADD)
    where = " at the end of the file" if chunk.at_end else f" after line {starts[0]}" if starts[0] else ""
    return _missing(
        file,
        expected,
        starts[0],
        f"the lines of the change at line {chunk.number} are not in the file{where}",
    )


def _insertion(file: Sequence[str], chunk: Chunk, starts: list[int]) -> Found | NotFound:
    if not chunk.context or chunk.at_end:
        return Found(len(file), chunk.lines)
    if len(starts) > 1:
        return _ambiguous(chunk.context[-1:], [place - 1 for place in starts], chunk)
    return Found(starts[0], chunk.lines)


def _places(file: Sequence[str], expected: tuple[str, ...], chunk: Chunk, starts: list[int]) -> list[int]:
    if chunk.at_end:
        last = len(file) - len(expected)
        return [last] if last >= starts[0] and last in _first_view(file, expected, last) else []
    found = _first_view(file, expected, starts[0])
    if not chunk.context:
        return found
    # Behind each context line the first place counts; they must agree.
    return sorted({place for place in (_next(found, start) for start in starts) if place is not None})


def _next(places: list[int], start: int) -> int | None:
    return next((place for place in places if place >= start), None)


def _first_view(file: Sequence[str], expected: tuple[str, ...], start: int) -> list[int]:
    for view in _VIEWS:
        found = _occurrences([view(text) for text in file[start:]], [view(text) for text in expected])
        if found:
            return [start + at for at in found]
    return []


def _occurrences(text: list[str], wanted: list[str]) -> list[int]:
    """Every place of `wanted` in `text`, in time that grows with their sum (Knuth, Morris, Pratt)."""
    fallback = [0] * len(wanted)
    matched = 0
    for at in range(1, len(wanted)):
        while matched and wanted[at] != wanted[matched]:
            matched = fallback[matched - 1]
        matched += wanted[at] == wanted[matched]
        fallback[at] = matched
    found, matched = [], 0
    for at, line in enumerate(text):
        while matched and (matched == len(wanted) or line != wanted[matched]):
            matched = fallback[matched - 1]
        matched += line == wanted[matched]
        if matched == len(wanted):
            found.append(at + 1 - matched)
    return found


def _ambiguous(expected: Sequence[str], places: list[int], chunk: Chunk) -> NotFound:
    shown = ", ".join(str(place + 1) for place in places[:5]) + (", ..." if len(places) > 5 else "")
    return NotFound(
        f"the change at line {chunk.number} of the patch fits {len(places)} places (lines {shown}):\n"
        + _quoted(expected),
        "add more lines around the change, or a `@@` line with the function or class it is in",
    )


def _missing(file: Sequence[str], expected: tuple[str, ...], start: int, message: str) -> NotFound:
    place = _nearest(file, expected, start)
    if place is None:
        return NotFound(f"{message}:\n{_quoted(expected)}", "read the file again: no line of these is in it")
    for offset, want in enumerate(expected):
        have = file[place + offset] if place + offset < len(file) else None
        if have is None or _plain(have) != _plain(want):
            is_there = (
                "the file ends there" if have is None else f"line {place + offset + 1} is `{have[:200]}`"
            )
            return NotFound(
                f"{message}:\n{_quoted(expected)}",
                f"nearest place: line {place + 1}; but {is_there} where the patch expects `{want[:200]}`",
            )
    return NotFound(
        f"{message}:\n{_quoted(expected)}",
        f"they are at line {place + 1}, before an earlier change of the same file: keep the order of the file",
    )


def _nearest(file: Sequence[str], expected: tuple[str, ...], start: int) -> int | None:
    """The place where most expected lines stand as they should; of equals the first from `start` on."""
    where: dict[str, list[int]] = {}
    for at, text in enumerate(file):
        places = where.setdefault(_plain(text), [])
        if len(places) < _COUNTED:
            places.append(at)
    votes: Counter[int] = Counter()
    for offset, text in enumerate(expected):
        if plain := _plain(text):
            votes.update(at - offset for at in where.get(plain, ()) if at >= offset)
    return min(votes, key=lambda place: (-votes[place], place < start, place)) if votes else None


def _quoted(lines: Sequence[str]) -> str:
    shown = [f"    {line}" for line in lines[:_SHOWN_LINES]]
    if len(lines) > _SHOWN_LINES:
        shown.append(f"    ... and {len(lines) - _SHOWN_LINES} more lines")
    return "\n".join(shown)
