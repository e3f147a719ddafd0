"""The prompt of one task: from the argument, from standard input, or from both."""

from __future__ import annotations

import os
import select
import stat
from collections.abc import Callable

from agent.errors import AgentError, UsageError

MOST_BYTES = 16 << 20
FIRST_SECONDS = 1.0  # how long an open pipe may keep silent before it is left alone
QUIET_SECONDS = 5.0  # how long it may pause between two pieces


def read_prompt(argument: str | None, fd: int, note: Callable[[str], object]) -> str:
    """The prompt. With an argument, an open pipe that keeps silent is not waited for; `note` is told."""
    mode = _mode(fd)
    argument = whole_text(argument)
    if argument is None or argument == "-":
        if mode is None or (argument is None and os.isatty(fd)):
            raise UsageError("no prompt", "give one: `agent exec PROMPT`, or pipe it in")
        if argument is None:
            note("reading prompt from stdin...")
        text = _text(_read(fd, note, patient=True))
        if not text.strip():
            raise AgentError("no prompt provided via stdin", "give one: `agent exec PROMPT`, or pipe it in")
        return text
    if mode is None or stat.S_ISCHR(mode):  # closed, a terminal, /dev/null
        return argument
    more = _text(_read(fd, note, patient=stat.S_ISREG(mode)))
    return f"{argument}\n\n<stdin>\n{more.rstrip(chr(10))}\n</stdin>" if more else argument


def whole_text(argument: str | None) -> str | None:
    """An argument whose bytes are no UTF-8 holds halves of characters, which no request can carry."""
    return argument if argument is None else _text(argument.encode("utf-8", "surrogateescape"))


def _mode(fd: int) -> int | None:
    try:
        return os.fstat(fd).st_mode
    except OSError:
        return None


def _read(fd: int, note: Callable[[str], object], *, patient: bool) -> bytes:
    pieces: list[bytes] = []
    size = 0
    wait = FIRST_SECONDS
    while True:
        if not patient and not select.select([fd], [], [], wait)[0]:
            if pieces:
                note(f"stdin stays open: going on with the {size} bytes that came")
            else:
                note("stdin is open but silent, not reading it (`-` in place of the prompt waits for it)")
            break
        piece = os.read(fd, 1 << 16)
        if not piece:
            break
        pieces.append(piece)
        size += len(piece)
        wait = QUIET_SECONDS
        if size > MOST_BYTES:
            raise UsageError(
                f"stdin holds more than {MOST_BYTES} bytes", "name the file in the prompt instead"
            )
    return b"".join(pieces)


def _text(raw: bytes) -> str:
    return raw.decode("utf-8-sig", "replace")
