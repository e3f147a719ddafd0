"""The difference of two files as a unified diff, in bounded time."""

from __future__ import annotations

import difflib

_CONTEXT = 3
_COMPARED = 2000  # lines on one side; more are shown as one replaced block


def unified(name: str, before: bytes | None, after: bytes | None) -> str:
    """A unified diff with `a/` and `b/` names; empty where nothing differs."""
    if before == after:
        return ""
    old, new = "/dev/null" if before is None else f"a/{name}", "/dev/null" if after is None else f"b/{name}"
    head = f"--- {old}\n+++ {new}\n"
    if b"\0" in (before or b"") or b"\0" in (after or b""):
        return head + "Binary files differ\n"
    return head + "".join(_hunks(_lines(before), _lines(after)))


def _lines(content: bytes | None) -> list[str]:
    lines = (content or b"").decode("utf-8", "replace").split("\n")
    last = lines.pop()
    whole = [line + "\n" for line in lines]
    return [*whole, last] if last else whole


def _hunks(old: list[str], new: list[str]) -> list[str]:
    start, stop = _common(old, new)
    first = max(0, start - _CONTEXT)
    middle_old, middle_new = old[start : len(old) - stop], new[start : len(new) - stop]
    if max(len(middle_old), len(middle_new)) > _COMPARED:
        groups = [[("replace", 0, len(middle_old), 0, len(middle_new))]]
        shift = start
    else:
        tail = min(stop, _CONTEXT)
        shift = first
        matcher = difflib.SequenceMatcher(
            None, old[first : len(old) - stop + tail], new[first : len(new) - stop + tail], autojunk=False
        )
        groups = [list(group) for group in matcher.get_grouped_opcodes(_CONTEXT)]
    return [text for group in groups for text in _hunk(group, old, new, shift)]


def _hunk(
    group: list[tuple[str, int, int, int, int]], old: list[str], new: list[str], shift: int
) -> list[str]:
    a, b, c, d = group[0][1] + shift, group[-1][2] + shift, group[0][3] + shift, group[-1][4] + shift
    out = [f"@@ -{_range(a, b)} +{_range(c, d)} @@\n"]
    for tag, i, j, k, m in group:
        if tag == "equal":
            out += [_line(" ", line) for line in old[i + shift : j + shift]]
            continue
        out += [_line("-", line) for line in old[i + shift : j + shift]]
        out += [_line("+", line) for line in new[k + shift : m + shift]]
    return out


def _range(start: int, stop: int) -> str:
    length = stop - start
    return f"{start + (length > 0)},{length}" if length != 1 else str(start + 1)


def _line(mark: str, line: str) -> str:
    return mark + line if line.endswith("\n") else f"{mark}{line}\n\\ No newline at end of file\n"


def _common(old: list[str], new: list[str]) -> tuple[int, int]:
    """How many lines are equal at the start, and behind that at the end."""
    least = min(len(old), len(new))
    start = next((at for at in range(least) if old[at] != new[at]), least)
    stop = next((at for at in range(least - start) if old[-1 - at] != new[-1 - at]), least - start)
    return start, stop
