"""Where words of the person come from: an editable line on a terminal, or plain lines of any input."""

from __future__ import annotations

import asyncio
import codecs
import contextlib
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from agent.protocol.plain import visible

if TYPE_CHECKING:
    from prompt_toolkit import PromptSession


MOST_CHARACTERS = 4 << 20  # of one line


class Interrupted(Exception):
    """Ctrl-C at a prompt."""


class Input(Protocol):
    """One question at a time."""

    @property
    def lasting(self) -> bool:
        """A person is there: after one task the next is waited for."""
        ...

    async def ask(self, prompt: str, *, fresh: bool) -> str | None:
        """One line; None at the end of input. Raises `Interrupted`.

        `fresh`: what was typed before the question stood there is no answer to it.
        """
        ...

    def interrupt(self) -> None:
        """End a question that is open as Ctrl-C does."""
        ...


class TerminalInput:
    """An editable line with a history (prompt_toolkit)."""

    lasting = True

    def __init__(self, history: Path | None) -> None:
        from prompt_toolkit import PromptSession
        from prompt_toolkit.history import FileHistory, InMemoryHistory

        if history is not None:
            # FileHistory would create the file for everybody to read.
            os.close(os.open(history, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600))
        kept = InMemoryHistory() if history is None else FileHistory(str(history))
        self._tasks: PromptSession[str] = PromptSession(history=kept)
        self._answers: PromptSession[str] = PromptSession(history=InMemoryHistory())

    async def ask(self, prompt: str, *, fresh: bool) -> str | None:
        session = self._answers if fresh else self._tasks
        if fresh:
            self._forget()
        try:
            return await session.prompt_async(prompt, handle_sigint=False)
        except KeyboardInterrupt:
            raise Interrupted from None
        except EOFError:
            return None

    def interrupt(self) -> None:
        for session in (self._tasks, self._answers):
            if session.app.is_running:
                session.app.exit(exception=KeyboardInterrupt())

    def _forget(self) -> None:
        from prompt_toolkit.input.typeahead import clear_typeahead

        clear_typeahead(self._answers.app.input)
        _flush_terminal(0)


class LineInput:
    """Plain lines of a file descriptor, read in a thread of its own so that nothing waits for it."""

    def __init__(self, fd: int, write: Callable[[str], object], *, lasting: bool) -> None:
        self.lasting = lasting
        self._fd = fd
        self._write = write
        self._echo = not os.isatty(fd)  # a terminal shows what is typed by itself
        self._lines: asyncio.Queue[str | None] = asyncio.Queue()
        self._interrupt = asyncio.Event()
        self._wanted = threading.Semaphore(0)
        self._owed = 0  # lines asked for and not yet delivered
        self._thread: threading.Thread | None = None
        self._ended = False

    async def ask(self, prompt: str, *, fresh: bool) -> str | None:
        self._write(prompt)
        if self._ended:
            return None
        if fresh and self.lasting:
            _flush_terminal(self._fd)
        self._begin()
        if not self._owed:
            self._owed += 1
            self._wanted.release()
        self._interrupt.clear()
        line = asyncio.ensure_future(self._lines.get())
        stop = asyncio.ensure_future(self._interrupt.wait())
        try:
            await asyncio.wait((line, stop), return_when=asyncio.FIRST_COMPLETED)
            if not line.done():
                raise Interrupted
            self._owed -= 1
            got = line.result()
            self._ended = got is None
            if got is not None and self._echo:
                self._write(visible(got) + "\n")
            return got
        finally:
            line.cancel()
            stop.cancel()

    def interrupt(self) -> None:
        self._interrupt.set()

    def _begin(self) -> None:
        if self._thread is not None:
            return
        loop = asyncio.get_running_loop()

        def deliver(line: str | None) -> None:
            with contextlib.suppress(RuntimeError):  # the loop has ended
                loop.call_soon_threadsafe(self._lines.put_nowait, line)

        def read() -> None:
            # `sys.stdin` is not used: its lock, held here, would hang the end of the program.
            decoder = codecs.getincrementaldecoder("utf-8")("replace")
            held = ""
            while True:
                self._wanted.acquire()
                while "\n" not in held and len(held) < MOST_CHARACTERS:
                    try:
                        piece = os.read(self._fd, 4096)
                    except OSError:
                        piece = b""
                    held += decoder.decode(piece, final=not piece)
                    if not piece:
                        break
                line, newline, held = held.partition("\n")
                deliver(line.rstrip("\r") if line or newline else None)

        self._thread = threading.Thread(target=read, name="line-input", daemon=True)
        self._thread.start()


def open_input(
    history: Path | None, write: Callable[[str], object], *, terminal: bool, one_task: bool
) -> TerminalInput | LineInput:
    """The best input that this process has. `terminal`: the standard streams are one."""
    if terminal and os.environ.get("TERM", "dumb") != "dumb":
        try:
            return TerminalInput(history)
        except ImportError:
            write("prompt_toolkit is not installed: lines cannot be edited (extra `tui` has it)\n")
    return LineInput(0, write, lasting=terminal or not one_task)


def _flush_terminal(fd: int) -> None:
    import termios

    with contextlib.suppress(termios.error, OSError):
        termios.tcflush(fd, termios.TCIFLUSH)
