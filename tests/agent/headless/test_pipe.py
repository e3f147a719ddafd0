"""Lines for a reader that is slow, gone, or never there."""

from __future__ import annotations

import os
import signal
import threading
import time

import pytest

from agent.headless import pipe
from agent.headless.pipe import Pipe

LINE = "x" * 300_000 + "\n"


@pytest.fixture
def ends() -> tuple[int, int]:
    return os.pipe()


def test_a_slow_reader_gets_everything(ends: tuple[int, int]) -> None:
    reader, writer = ends
    got: list[bytes] = []

    def read() -> None:
        time.sleep(0.3)
        while piece := os.read(reader, 1 << 16):
            got.append(piece)

    slow = threading.Thread(target=read)
    slow.start()
    Pipe(writer).write(LINE)
    os.close(writer)
    slow.join()
    assert b"".join(got).decode() == LINE


def test_a_reader_that_is_gone_is_told(ends: tuple[int, int]) -> None:
    reader, writer = ends
    os.close(reader)
    with pytest.raises(BrokenPipeError):
        Pipe(writer).write(LINE)


def test_nobody_reads_and_a_signal_comes(ends: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipe, "LAST_SECONDS", 0.2)
    reader, writer = ends
    shown = Pipe(writer)
    before = signal.signal(signal.SIGUSR1, lambda *_: shown.hurry())
    threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGUSR1)).start()
    try:
        shown.write(LINE)  # comes back, although nobody reads
        shown.write("last\n")
    finally:
        signal.signal(signal.SIGUSR1, before)
    os.close(writer)
    left = b"".join(iter(lambda: os.read(reader, 1 << 16), b""))
    assert LINE.encode().startswith(left)


def test_files_and_hurry_without_need(tmp_path: os.PathLike[str]) -> None:
    with open(os.path.join(tmp_path, "out"), "w+b") as file:
        shown = Pipe(file.fileno())
        shown.hurry()
        shown.write(LINE)
        file.seek(0)
        assert file.read().decode() == LINE
