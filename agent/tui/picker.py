"""Which stored session is meant: a numbered list that words make shorter."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from agent.protocol.plain import one_line
from agent.sessions.store import SessionInfo

SHOWN = 15


def pick(
    sessions: Sequence[SessionInfo],
    ask: Callable[[str], str | None],
    write: Callable[[str], object],
    *,
    folders: bool = False,
) -> SessionInfo | None:
    """The one that is chosen, the last used first; None where nobody wants one.

    `ask` gives one line, None at the end of input. `folders`: they are of several, which are shown too.
    """
    found = list(sessions)
    while True:
        for number, info in enumerate(found[:SHOWN], start=1):
            write(_line(number, info, folders=folders))
        if len(found) > SHOWN:
            write(f"    and {len(found) - SHOWN} more: words of the title show fewer\n")
        answer = ask("which? a number, words of the title, Enter for the first, q for none: ")
        if answer is None or answer.strip() == "q":
            return None
        wanted = answer.strip()
        if not wanted:
            return found[0]
        if wanted.isdecimal() and 1 <= int(wanted) <= min(len(found), SHOWN):
            return found[int(wanted) - 1]
        found = [info for info in sessions if _holds(info, wanted.casefold())]
        if not found:
            write(f"no session has `{one_line(wanted, 60)}`\n")
            found = list(sessions)


def _holds(info: SessionInfo, text: str) -> bool:
    return any(text in one.casefold() for one in (info.name, info.title, info.thread_id))


def _line(number: int, info: SessionInfo, *, folders: bool) -> str:
    used = info.updated_at[:16].replace("T", " ")
    title = f"[{info.name}] {info.title}" if info.name else info.title
    where = f"  {one_line(info.cwd, 30)}" if folders else ""
    return f"{number:>3} {used}{where}  {one_line(title, 60)}\n"
