"""A command as reviewer: the question on its standard input, the answer on its standard output."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shlex
import shutil
import signal
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from agent.approvals.answers import MOST_ANSWER, Review, encoded, read_answer
from agent.errors import ConfigError
from agent.process.pipes import let_go
from agent.protocol.approvals import ApprovalRequest
from execpolicy.engine.words import inside

_GRACE_SECONDS: Final = 1.0
REVIEWING: Final = "AGENT_REVIEWING"  # set for a reviewer: an agent that it runs has none of its own


def program_of(
    text: str, writable: tuple[Path, ...], environ: Mapping[str, str], cwd: Path
) -> tuple[str, ...]:
    """The words of the command, its program by its path.

    Raises `ConfigError` where it is not there, or where what it is about to review could have written it: a
    reviewer, or a file that it is given, inside a folder that commands may write.
    """
    try:
        words = shlex.split(text)
    except ValueError as error:
        raise ConfigError(
            f"the reviewer `{text}` is no command: {error}", "quote it as a shell would"
        ) from None
    if not words:
        raise ConfigError("`--approve-with` names no command", "name a command, `model` or `model:NAME`")
    name = words[0]
    found = str(cwd / name) if "/" in name else shutil.which(name, path=environ.get("PATH", os.defpath))
    if found is None or not os.access(found, os.X_OK) or os.path.isdir(found):
        raise ConfigError(f"there is no reviewer `{name}` that can be run", "name it by its path")
    for word in (found, *words[1:]):
        for path in {os.path.abspath(cwd / word), os.path.realpath(cwd / word)}:
            root = next((one for one in writable if inside(path, os.path.realpath(one))), None)
            if root is not None and (os.path.lexists(path) or word is found):
                raise ConfigError(
                    f"the reviewer's file `{path}` lies in `{root}`, which the commands under review may write",
                    "put it into a folder that no command of the agent can write",
                )
    return (os.path.realpath(found) if os.path.islink(found) else os.path.abspath(found), *words[1:])


class CommandReviewer:
    """Runs the command once a question. Its process and all that it started end with the question."""

    def __init__(
        self,
        argv: tuple[str, ...],
        *,
        session: str,
        seconds: float,
        most: int,
        environment: Callable[[], Mapping[str, str]],
        folder: str,
        masked: Callable[[str], str] = str,
    ) -> None:
        """`most` questions a session; `folder` is where it runs; `masked` takes secrets out of a text."""
        self.name = f"command:{argv[0]}"
        self._argv = argv
        self._session = session
        self._seconds = seconds
        self._left = most
        self._environment = environment
        self._folder = folder
        self._masked = masked

    async def review(self, request: ApprovalRequest) -> Review:
        """Its answer. Never raises."""
        if self._left <= 0:
            return Review(None, "it was asked as often as it may be in one session")
        self._left -= 1
        try:
            return read_answer(await self._run(encoded(request, self._session, self._masked)))
        except TimeoutError:
            return Review(None, f"it did not answer within {self._seconds:g} seconds")
        except (OSError, ValueError) as error:
            return Review(None, str(error))

    async def _run(self, question: bytes) -> bytes:
        process = await asyncio.create_subprocess_exec(
            *self._argv,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            env={**self._environment(), REVIEWING: "1"},
            cwd=self._folder,
            start_new_session=True,
        )
        try:
            async with asyncio.timeout(self._seconds):
                data = await self._talk(process, question)
                status = await process.wait()
        finally:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)
            let_go(process)  # of pipes that stay full, or open in what left the group
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_GRACE_SECONDS):
                    await process.wait()
        if status != 0:
            raise ValueError(f"it ended with exit status {status}")
        return data

    async def _talk(self, process: asyncio.subprocess.Process, question: bytes) -> bytes:
        assert process.stdin is not None
        assert process.stdout is not None
        writer, reader = process.stdin, process.stdout

        async def write() -> None:
            with contextlib.suppress(
                BrokenPipeError, ConnectionResetError
            ):  # it need not read what it is told
                writer.write(question)
                await writer.drain()
            writer.close()

        writing = asyncio.create_task(write())
        try:
            data = b""
            while len(data) <= MOST_ANSWER and (piece := await reader.read(8192)):
                data += piece
            if len(data) > MOST_ANSWER:
                raise ValueError(f"its answer is longer than {MOST_ANSWER} bytes")
            await writing
        finally:
            writing.cancel()
        return data
