"""A child process that runs foreign programs for us: bounded in time and memory, blind to files."""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType

MEMORY = 1 << 30  # bytes of address space
SECONDS = 10.0
REPLY = 512 << 20  # bytes


class ChildError(Exception):
    """The program did not come to an end inside its bounds."""


class MissingProgram(ChildError):
    """The library that runs programs is not installed."""


class Child:
    """Sends one JSON line, waits for one. Started when first used, and again after it was killed.

    `program` is a Python file. Its argument is the number of bytes it must limit itself to before it reads.
    """

    def __init__(self, program: Path, *, seconds: float = SECONDS, memory: int = MEMORY) -> None:
        self.program = program
        self.seconds = seconds
        self.memory = memory
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Child:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def ask(self, request: dict[str, str]) -> dict[str, object]:
        """The reply to `request`. Raises `ChildError`."""
        process = self._process or self._start()
        line = json.dumps(request).encode() + b"\n"
        try:
            reply = self._exchange(process, line, time.monotonic() + self.seconds)
        except ChildError:
            self.close()
            raise
        except OSError:
            reply = b""
        if not reply.endswith(b"\n"):
            status = process.wait()
            note = process.stderr.read(2000).decode("utf-8", "replace") if process.stderr else ""
            self.close()
            if "ModuleNotFoundError" in note and "starlark" in note:
                raise MissingProgram(
                    "programs need the `starlark` extra: `pip install policy-agent[starlark]`"
                )
            what = (
                "it ran out of memory or crashed" if status < 0 or "memory" in note else "its process failed"
            )
            raise ChildError(f"the program was stopped: {what}")
        answer = json.loads(reply)
        assert isinstance(answer, dict)
        return answer

    def close(self) -> None:
        """Ends the process, if there is one."""
        process, self._process = self._process, None
        if process is None:
            return
        process.kill()
        for stream in (process.stdin, process.stdout, process.stderr):
            if stream is not None:
                with contextlib.suppress(OSError):
                    stream.close()
        process.wait()

    def _start(self) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(
            [sys.executable, "-I", str(self.program), str(self.memory)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={"PYTHONDONTWRITEBYTECODE": "1", "PYTHONUTF8": "1"},
            cwd="/" if os.name == "posix" else None,
            start_new_session=True,
        )
        self._process = process
        return process

    def _exchange(self, process: subprocess.Popen[bytes], line: bytes, deadline: float) -> bytes:
        """Writes and reads together, so that neither side waits for the other."""
        assert process.stdin is not None
        assert process.stdout is not None
        out, rest = bytearray(), memoryview(line)
        os.set_blocking(process.stdin.fileno(), False)
        with selectors.DefaultSelector() as ready:
            ready.register(process.stdin, selectors.EVENT_WRITE)
            ready.register(process.stdout, selectors.EVENT_READ)
            while not out.endswith(b"\n"):
                left = deadline - time.monotonic()
                if left <= 0:
                    raise ChildError(f"the program did not end within {self.seconds:g} seconds")
                for key, _ in ready.select(left):
                    if key.fileobj is process.stdin:
                        with contextlib.suppress(BlockingIOError):
                            rest = rest[os.write(process.stdin.fileno(), rest[:65536]) :]
                        if not rest:
                            ready.unregister(process.stdin)
                    else:
                        chunk = os.read(process.stdout.fileno(), 1 << 20)
                        out += chunk
                        if not chunk:
                            return bytes(out)
                        if len(out) > REPLY:
                            raise ChildError("the program makes too many rules")
        return bytes(out)
